//! What people and papers carry when a box is enrolled: six words to compare, and the text of a
//! QR code.

use crate::hex;
use crate::ids::EntryId;
use crate::suite::PublicKey;

/// So many words are compared.
pub const WORDS: usize = 6;
/// A code is never longer. Bytes.
pub const CODE_BYTES_MAX: usize = 1024;
/// An enrolment names at most so many relays.
const RELAYS_MAX: usize = 8;
const MARK: &str = "CUNKOU1";

/// 2,048 everyday words of two characters, no two of which sound alike.
const LIST: &str = include_str!("enrolment/words.txt");

/// The name under which a relay keeps a token, and which a box may say aloud: its BLAKE3 hash.
#[must_use]
pub fn token_id(token: &[u8; 32]) -> [u8; 32] {
    crate::suite::attachment_id(token).0
}

/// Under what a code that binds a spare box is kept: never the code itself. Dashes, blanks and
/// small letters do not matter.
#[must_use]
pub fn bind_code_hash(typed: &str) -> [u8; 32] {
    let plain: String =
        typed.chars().filter(|c| !matches!(c, '-' | ' ')).map(|c| c.to_ascii_uppercase()).collect();
    blake3::derive_key("cunkou bind code v1", plain.as_bytes())
}

/// Six words, 66 bits, that are the same at the box and at the county only if both mean the same
/// county, the same device key and the same token.
#[must_use]
pub fn words(founding: EntryId, device: &PublicKey, token_id: &[u8; 32]) -> [&'static str; WORDS] {
    let said = [&founding.0[..], &device.0, token_id].concat();
    let digest = blake3::derive_key("cunkou enrolment words v1", &said);
    let mut first = [0; 16];
    first.copy_from_slice(&digest[..16]);
    let bits = u128::from_be_bytes(first);
    let list: Vec<&'static str> = LIST.split_whitespace().collect();
    std::array::from_fn(|i| {
        // Eleven bits each, from the top.
        let index = usize::try_from((bits >> (128 - 11 * (i + 1))) & 0x7ff).unwrap_or(0);
        list.get(index).copied().unwrap_or_default()
    })
}

/// An enrolment as a short text, for a QR code: what a file says, but for the root certificate,
/// which the box fetches and checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    /// The one-time token.
    pub token: [u8; 32],
    /// SHA-256 of the county's root certificate in DER.
    pub root: [u8; 32],
    /// Not redeemed later, seconds since 1970 UTC.
    pub expires_s: i64,
    /// The DNS name in the relay's certificate.
    pub relay_name: String,
    /// Addresses of relays, host:port, one to eight.
    pub relays: Vec<String>,
}

impl Code {
    /// The text. Capital letters, digits and `/:.-` only, unless an address needs others: a QR
    /// code holds those in half the space.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { token, root, expires_s, relay_name, relays } = self;
        let (token, root) = (hex::encode(token), hex::encode(root));
        let relays = relays.join("/");
        format!("{MARK}/{token}/{root}/{expires_s}/{relay_name}/{relays}").to_ascii_uppercase()
    }

    /// Reads the text, as scanned or typed; nothing when it is no such text.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() > CODE_BYTES_MAX {
            return None;
        }
        let text = text.to_ascii_lowercase();
        let mut parts = text.split('/');
        if !parts.next()?.eq_ignore_ascii_case(MARK) {
            return None;
        }
        let bytes = |part: &str| hex::decode(part).and_then(|b| <[u8; 32]>::try_from(b).ok());
        let (token, root) = (bytes(parts.next()?)?, bytes(parts.next()?)?);
        let expires_s = parts.next()?.parse().ok()?;
        let relay_name = parts.next().filter(|name| !name.is_empty())?.to_owned();
        let relays: Vec<String> = parts.map(str::to_owned).collect();
        let fit = (1..=RELAYS_MAX).contains(&relays.len()) && relays.iter().all(|r| !r.is_empty());
        fit.then_some(Self { token, root, expires_s, relay_name, relays })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pinyin::ToPinyin;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn there_are_2048_words_of_two_characters_and_none_sounds_like_another() {
        let list: Vec<&str> = LIST.split_whitespace().collect();
        assert_eq!(list.len(), 2048);
        let (mut sounds, mut characters) = (BTreeSet::new(), BTreeSet::new());
        for word in list {
            let mut sorted: Vec<char> = word.chars().collect();
            sorted.sort_unstable();
            assert_eq!(sorted.len(), 2, "{word}");
            assert!(characters.insert(sorted), "{word}: twice, or turned round");
            // In the south zh and z, ch and c, sh and s, ng and n are one.
            let sound: Vec<String> = word
                .to_pinyin()
                .map(|p| p.expect("a reading").plain())
                .map(|p| p.replace("zh", "z").replace("ch", "c").replace("sh", "s"))
                .map(|p| p.replace("ng", "n"))
                .collect();
            assert!(sounds.insert(sound.join(" ")), "{word} sounds like another");
        }
    }

    #[test]
    fn six_words_change_with_county_key_and_token_and_stay_as_they_are() {
        let said = |f: u8, k: u8, t: u8| words(EntryId([f; 32]), &PublicKey([k; 32]), &[t; 32]);
        let usual = said(1, 2, 3);
        assert_eq!(usual, said(1, 2, 3));
        for other in [said(9, 2, 3), said(1, 9, 3), said(1, 2, 9)] {
            assert_ne!(usual, other);
        }
        // Frozen: boxes and relays of different versions compare.
        assert_eq!(usual.join(" "), "晴朗 终于 翅膀 农业 翅膀 柠檬");
    }

    #[test]
    fn a_code_survives_capitals_and_paper() {
        let code = Code {
            token: [0xab; 32],
            root: [0x0c; 32],
            expires_s: 1_780_272_000,
            relay_name: "relay.c130999.home.arpa".into(),
            relays: vec!["10.1.2.3:4443".into(), "[fd00::1]:4443".into()],
        };
        assert_eq!(Code::read(&code.text()), Some(code.clone()));
        assert_eq!(Code::read(&format!(" {}\n", code.text().to_lowercase())), Some(code.clone()));
        assert!(code.text().len() < 260, "{}", code.text().len());
        for bad in ["", "CUNKOU1", "CUNKOU2/aa", "CUNKOU1/aa/bb/1/x/y"] {
            assert_eq!(Code::read(bad), None, "{bad}");
        }
        assert_eq!(Code::read(&format!("{}{}", code.text(), "/a:1".repeat(7))), None);
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reader(text in ".*") {
            let _ = Code::read(&text);
            let _ = Code::read(&format!("CUNKOU1/{text}"));
        }
    }
}
