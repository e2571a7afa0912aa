//! Encrypted files: STREAM over XChaCha20-Poly1305 in chunks of 64 KiB.
//!
//! `CKF1`, 19 random bytes, then the chunks, each 16 bytes longer than what it holds. A chunk
//! knows its number and whether it is the last, so none can be left out, repeated or moved; any
//! one can be read without those before it, which is what resumed and ranged reads need.

use crate::{Key, KeyError};
use chacha20poly1305::aead::stream::{NewStream, StreamBE32, StreamPrimitive};
use chacha20poly1305::aead::{KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, aead::generic_array::GenericArray};

/// Bytes of content in each chunk but the last.
pub const CHUNK: usize = 64 * 1024;
const MAGIC: &[u8; 4] = b"CKF1";
pub(crate) const NONCE: usize = 19;
pub(crate) const TAG: usize = 16;
const HEAD: usize = MAGIC.len() + NONCE;

pub(crate) fn stream(key: &Key, nonce: &[u8]) -> StreamBE32<XChaCha20Poly1305> {
    let cipher = XChaCha20Poly1305::new(GenericArray::from_slice(key.bytes()));
    StreamBE32::from_aead(cipher, GenericArray::from_slice(nonce))
}

/// Encrypts a file's content; `name` is bound to it, so that two files cannot change places.
///
/// # Errors
/// [`KeyError::NoRandomness`].
pub fn encrypt(key: &Key, name: &[u8], content: &[u8]) -> Result<Vec<u8>, KeyError> {
    let mut nonce = [0; NONCE];
    getrandom::fill(&mut nonce).map_err(|_| KeyError::NoRandomness)?;
    let stream = stream(key, &nonce);
    let chunks = content.len().div_ceil(CHUNK).max(1);
    let mut out = Vec::with_capacity(HEAD + content.len() + chunks * TAG);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&nonce);
    for i in 0..chunks {
        let part = &content[i * CHUNK..content.len().min((i + 1) * CHUNK)];
        let payload = Payload { msg: part, aad: name };
        let number = u32::try_from(i).map_err(|_| KeyError::Wrong)?;
        let sealed = stream.encrypt(number, i + 1 == chunks, payload);
        out.extend_from_slice(&sealed.map_err(|_| KeyError::Wrong)?);
    }
    Ok(out)
}

/// How long the content of an encrypted file is, from the length of the file. Bytes.
#[must_use]
pub fn length(file: u64) -> Option<u64> {
    let body = file.checked_sub(HEAD as u64)?;
    let chunks = body.div_ceil((CHUNK + TAG) as u64);
    body.checked_sub(chunks * TAG as u64).filter(|_| chunks > 0)
}

/// Decrypts a whole file.
///
/// # Errors
/// [`KeyError::Wrong`].
pub fn open(key: &Key, name: &[u8], file: &[u8]) -> Result<Vec<u8>, KeyError> {
    open_from(key, name, file, 0)
}

/// Decrypts a file from a position of its content on; only the chunks from there are touched.
///
/// # Errors
/// [`KeyError::Wrong`], also when the position is behind the end.
pub fn open_from(key: &Key, name: &[u8], file: &[u8], from: usize) -> Result<Vec<u8>, KeyError> {
    let (head, body) = file.split_at_checked(HEAD).ok_or(KeyError::Wrong)?;
    let nonce = head.strip_prefix(MAGIC).ok_or(KeyError::Wrong)?;
    let stream = stream(key, nonce);
    let chunks: Vec<&[u8]> = body.chunks(CHUNK + TAG).collect();
    let first = from / CHUNK;
    let mut out = Vec::with_capacity(body.len().saturating_sub(first * (CHUNK + TAG)));
    for (i, chunk) in chunks.iter().enumerate().skip(first) {
        let payload = Payload { msg: chunk, aad: name };
        let number = u32::try_from(i).map_err(|_| KeyError::Wrong)?;
        let part = stream.decrypt(number, i + 1 == chunks.len(), payload);
        out.extend_from_slice(&part.map_err(|_| KeyError::Wrong)?);
    }
    let skip = from - first * CHUNK;
    if first >= chunks.len() || skip > out.len() {
        return Err(KeyError::Wrong);
    }
    out.drain(..skip);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn content(n: usize) -> Vec<u8> {
        (0..n).map(|i| (i % 251) as u8).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn a_file_opens_whole_and_from_anywhere(n in 0usize..200_000, from in 0usize..200_000) {
            let key = Key::of([1; 32]);
            let plain = content(n);
            let file = encrypt(&key, b"a", &plain).expect("sealed");
            prop_assert_eq!(&open(&key, b"a", &file).expect("opened"), &plain);
            prop_assert_eq!(length(file.len() as u64), Some(n as u64));
            match open_from(&key, b"a", &file, from) {
                Ok(rest) => prop_assert_eq!(&rest[..], &plain[from..]),
                Err(_) => prop_assert!(from > n || (from == n && n % CHUNK == 0)),
            }
        }
    }

    #[test]
    fn a_changed_cut_or_moved_file_does_not_open() {
        let key = Key::of([1; 32]);
        let file = encrypt(&key, b"a", &content(3 * CHUNK)).expect("sealed");
        for at in [0, 10, HEAD + 5, file.len() - 1] {
            let mut bad = file.clone();
            bad[at] ^= 1;
            assert!(open(&key, b"a", &bad).is_err(), "byte {at}");
        }
        assert!(open(&key, b"a", &file[..HEAD + 2 * (CHUNK + TAG)]).is_err(), "cut at a chunk");
        let mut swapped = file[..HEAD].to_vec();
        swapped.extend_from_slice(&file[HEAD + CHUNK + TAG..HEAD + 2 * (CHUNK + TAG)]);
        swapped.extend_from_slice(&file[HEAD..HEAD + CHUNK + TAG]);
        swapped.extend_from_slice(&file[HEAD + 2 * (CHUNK + TAG)..]);
        assert!(open(&key, b"a", &swapped).is_err(), "two chunks changed places");
        assert!(open(&key, b"b", &file).is_err(), "another file's name");
        assert!(open(&Key::of([2; 32]), b"a", &file).is_err(), "another key");
        assert!(open(&key, b"a", b"").is_err(), "nothing");
    }
}
