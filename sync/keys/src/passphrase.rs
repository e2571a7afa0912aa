//! Secrets under a passphrase: keys of administrators and auditors on the sticks that they keep.

use crate::{KeyError, MEMORY_KIB, PASSES, stretch};
use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// A passphrase has at least so many characters, a Chinese one counting as two: whoever finds the
/// stick has all the time there is.
pub const PASSPHRASE_CHARS_MIN: usize = 12;

/// True when a passphrase is long enough.
#[must_use]
pub fn is_passphrase(words: &str) -> bool {
    words.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum::<usize>() >= PASSPHRASE_CHARS_MIN
}

/// 32 secret bytes under a passphrase.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sealed {
    salt: String,
    memory_kib: u32,
    passes: u32,
    /// Nonce and sealed bytes, hexadecimal.
    sealed: String,
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn bytes(digits: &str) -> Option<Vec<u8>> {
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.as_bytes().chunks(2).map(pair).collect()
}

impl Sealed {
    /// Seals under a passphrase.
    ///
    /// # Errors
    /// When the system gives no randomness, or no memory for Argon2.
    pub fn new(secret: &[u8; 32], words: &str) -> Result<Self, KeyError> {
        let (mut salt, mut nonce) = ([0; 16], [0; 24]);
        getrandom::fill(&mut salt).map_err(|_| KeyError::NoRandomness)?;
        getrandom::fill(&mut nonce).map_err(|_| KeyError::NoRandomness)?;
        let key = stretch(words, &salt, MEMORY_KIB, PASSES).ok_or(KeyError::Wrong)?;
        let cipher = XChaCha20Poly1305::new_from_slice(key.bytes()).map_err(|_| KeyError::Wrong)?;
        let sealed = cipher.encrypt(XNonce::from_slice(&nonce), &secret[..]);
        let sealed = sealed.map_err(|_| KeyError::Wrong)?;
        Ok(Self {
            salt: digits(&salt),
            memory_kib: MEMORY_KIB,
            passes: PASSES,
            sealed: digits(&[&nonce[..], &sealed].concat()),
        })
    }

    /// Opens; nothing when the passphrase is wrong or the file is damaged.
    #[must_use]
    pub fn open(&self, words: &str) -> Option<Zeroizing<[u8; 32]>> {
        let salt = bytes(&self.salt)?;
        let key = stretch(words, &salt, self.memory_kib, self.passes)?;
        let cipher = XChaCha20Poly1305::new_from_slice(key.bytes()).ok()?;
        let sealed = bytes(&self.sealed)?;
        let (nonce, sealed) = sealed.split_at_checked(24)?;
        let opened = Zeroizing::new(cipher.decrypt(XNonce::from_slice(nonce), sealed).ok()?);
        <[u8; 32]>::try_from(opened.as_slice()).ok().map(Zeroizing::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passphrase_is_long_and_chinese_characters_count_twice() {
        assert!(is_passphrase("correct horse") && is_passphrase("槐花香满院\u{3000}"));
        assert!(!is_passphrase("12345678901") && !is_passphrase("槐花香满院"));
    }

    #[test]
    fn a_sealed_secret_opens_with_its_words_and_no_others() {
        let sealed = Sealed::new(&[7; 32], "村口的老槐树下有人等").expect("sealed");
        assert_eq!(sealed.open("村口的老槐树下有人等").as_deref(), Some(&[7; 32]));
        assert!(sealed.open("村口的老槐树下有人").is_none());
        let cut = Sealed { sealed: "00".into(), ..sealed.clone() };
        assert!(cut.open("村口的老槐树下有人等").is_none());
        let greedy = Sealed { memory_kib: u32::MAX, ..sealed };
        assert!(greedy.open("村口的老槐树下有人等").is_none());
    }
}
