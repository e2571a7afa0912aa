//! Codes that are read over the phone.

use crate::Key;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// Digits of the code that a box shows.
pub const CHALLENGE_DIGITS: u32 = 8;
/// Digits of the code that the county reads back.
pub const EXTENSION_DIGITS: u32 = 10;

/// The code that extends a box's lease by `days` for one challenge: HMAC-SHA256 under the secret
/// that box and county share, cut to decimal digits. Ten digits and a few tries each quarter of an
/// hour: guessing takes longer than the extension is worth.
#[must_use]
pub fn extension_code(shared: &Key, device: &[u8; 16], challenge: &str, days: u32) -> String {
    let mac = <Hmac<Sha256> as Mac>::new_from_slice(shared.bytes()).map(|mut mac| {
        mac.update(b"cunkou lease v1\0");
        mac.update(device);
        mac.update(&days.to_be_bytes());
        mac.update(challenge.as_bytes());
        mac.finalize().into_bytes()
    });
    let Ok(mac) = mac else { unreachable!("HMAC takes keys of any length") };
    let number = mac[..8].iter().fold(0u64, |n, b| (n << 8) | u64::from(*b));
    let width = EXTENSION_DIGITS as usize;
    format!("{:0width$}", number % 10u64.pow(EXTENSION_DIGITS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_holds_for_one_box_one_challenge_and_its_days() {
        let key = Key::of([1; 32]);
        let code = extension_code(&key, &[2; 16], "12345678", 14);
        assert_eq!(code.len(), 10);
        assert!(code.bytes().all(|b| b.is_ascii_digit()));
        for other in [
            extension_code(&Key::of([2; 32]), &[2; 16], "12345678", 14),
            extension_code(&key, &[3; 16], "12345678", 14),
            extension_code(&key, &[2; 16], "12345679", 14),
            extension_code(&key, &[2; 16], "12345678", 15),
        ] {
            assert_ne!(code, other);
        }
    }
}
