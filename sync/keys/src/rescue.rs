//! A way back to a person's key when its PIN is forgotten: a code that a helper reads out over the
//! phone, for one box, one person and one number that the box shows.
//!
//! At the box, while the person's key is plain in memory, twelve digits and a mask are drawn. The
//! key is sealed under the digits (Argon2id, mixed with the machine's secret); digits and mask are
//! sealed to each helper; the box keeps the sealed key and the mask and forgets the digits. A helper
//! reads out `digits + HMAC(mask, number) mod 10^12`, and the box takes the mask off again.

use crate::sealed::{BoxSecret, open_sealed, seal_to, seal_under, unseal_under};
use crate::stretch::stretch_with;
use crate::{CHALLENGE_DIGITS, Key, KeyError};
use hmac::{Hmac, Mac};
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Digits of the code.
pub const RESCUE_DIGITS: u32 = 12;
const CODES: u64 = 10u64.pow(RESCUE_DIGITS);
const TO_HELPER: &[u8] = b"cunkou rescue helper v1\0";
const AT_BOX: &[u8] = b"cunkou rescue box v1\0";
const CODE: &[u8] = b"cunkou rescue code v1\0";

/// Whose key, on which box, and which of the ways back to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RescueFor {
    /// The box.
    pub device: [u8; 16],
    /// The person.
    pub person: [u8; 16],
    /// The rescue's own id.
    pub id: u64,
}

impl RescueFor {
    fn info(&self, domain: &[u8]) -> Vec<u8> {
        [domain, &self.device, &self.person, &self.id.to_be_bytes()].concat()
    }

    /// The number that a box shows for it: seven drawn digits, and the last digit of its id, so
    /// that a helper sees which one is meant.
    #[must_use]
    pub fn number(&self, drawn: u64) -> String {
        let width = CHALLENGE_DIGITS as usize - 1;
        format!("{:0width$}{}", drawn % 10u64.pow(CHALLENGE_DIGITS - 1), self.id % 10)
    }

    /// Whether a number may be one for it.
    #[must_use]
    pub fn may_be(&self, number: &str) -> bool {
        number.len() == CHALLENGE_DIGITS as usize
            && number.bytes().all(|b| b.is_ascii_digit())
            && number.as_bytes().last().map(|b| u64::from(b - b'0')) == Some(self.id % 10)
    }

    fn shift(&self, mask: &Key, number: &str) -> u64 {
        let mac = <Hmac<Sha256> as Mac>::new_from_slice(mask.bytes()).map(|mut mac| {
            mac.update(&self.info(CODE));
            mac.update(number.as_bytes());
            mac.finalize().into_bytes()
        });
        let Ok(mac) = mac else { unreachable!("HMAC takes keys of any length") };
        // 128 bits over 10^12: every code is as likely as any other.
        let wide = mac[..16].iter().fold(0u128, |n, b| (n << 8) | u128::from(*b));
        u64::try_from(wide % u128::from(CODES)).unwrap_or_default()
    }
}

/// What a code is counted from: known to helpers, forgotten by the box.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Spoken {
    digits: u64,
    mask: Key,
}

impl std::fmt::Debug for Spoken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Spoken(…)")
    }
}

impl Spoken {
    fn random() -> Result<Self, KeyError> {
        // 2^128 over 10^12 leaves no digit more likely than another that anybody could tell.
        let drawn = Key::random()?;
        let wide = drawn.bytes()[..16].iter().fold(0u128, |n, b| (n << 8) | u128::from(*b));
        let digits = u64::try_from(wide % u128::from(CODES)).unwrap_or_default();
        Ok(Self { digits, mask: Key::random()? })
    }

    /// Seals it to a helper's Ed25519 key.
    ///
    /// # Errors
    /// When the key is none.
    pub fn seal(&self, helper: &[u8; 32], of: &RescueFor) -> Result<Vec<u8>, KeyError> {
        let to = BoxSecret::public_of(helper).ok_or(KeyError::Wrong)?;
        let plain =
            Zeroizing::new([&self.digits.to_be_bytes()[..], &self.mask.bytes()[..]].concat());
        seal_to(&to, None, &of.info(TO_HELPER), &plain)
    }

    /// Opens what was sealed to a helper with the seed of their key.
    ///
    /// # Errors
    /// [`KeyError::Wrong`].
    pub fn open(seed: &[u8; 32], of: &RescueFor, sealed: &[u8]) -> Result<Self, KeyError> {
        let secret = BoxSecret::of_seed(seed);
        let plain = open_sealed(&secret, None, &of.info(TO_HELPER), sealed)?;
        let (digits, mask) = plain.split_at_checked(8).ok_or(KeyError::Wrong)?;
        let digits = digits.try_into().map(u64::from_be_bytes).map_err(|_| KeyError::Wrong)?;
        let mask = mask.try_into().map(Key::of).map_err(|_| KeyError::Wrong)?;
        Ok(Self { digits: digits % CODES, mask })
    }

    /// The code to read out for a number, twelve digits.
    #[must_use]
    pub fn code(&self, of: &RescueFor, number: &str) -> String {
        let code = (self.digits + of.shift(&self.mask, number)) % CODES;
        let width = RESCUE_DIGITS as usize;
        format!("{code:0width$}")
    }
}

/// What the box keeps: a person's key behind a code.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Behind {
    #[cbor(n(0), with = "minicbor::bytes")]
    salt: [u8; 16],
    #[n(1)]
    mask: ByteVec,
    #[n(2)]
    sealed: ByteVec,
}

/// Puts the seed of a person's key behind a code. Takes as long as a guess does.
///
/// # Errors
/// [`KeyError::NoRandomness`].
pub fn behind(
    seed: &[u8; 32],
    machine: &Key,
    of: &RescueFor,
) -> Result<(Behind, Spoken), KeyError> {
    let spoken = Spoken::random()?;
    let drawn = Key::random()?;
    let mut salt = [0; 16];
    salt.copy_from_slice(&drawn.bytes()[..16]);
    let key = wrapping(machine, spoken.digits, &salt)?;
    let sealed = seal_under(&key, &of.info(AT_BOX), seed)?;
    let mask = spoken.mask.bytes().to_vec();
    Ok((Behind { salt, mask: mask.into(), sealed: sealed.into() }, spoken))
}

fn wrapping(machine: &Key, digits: u64, salt: &[u8; 16]) -> Result<Key, KeyError> {
    let width = RESCUE_DIGITS as usize;
    let digits = Zeroizing::new(format!("{digits:0width$}"));
    stretch_with(&machine.derive("rescue"), &digits, salt).ok_or(KeyError::Wrong)
}

impl Behind {
    /// Opens the key's seed with the code that was read out for `number`.
    ///
    /// # Errors
    /// [`KeyError::Wrong`].
    pub fn open(
        &self,
        machine: &Key,
        of: &RescueFor,
        number: &str,
        code: &str,
    ) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        let typed: String = code.chars().filter(char::is_ascii_digit).collect();
        if typed.len() != RESCUE_DIGITS as usize {
            return Err(KeyError::Wrong);
        }
        let typed: u64 = typed.parse().map_err(|_| KeyError::Wrong)?;
        let mask: [u8; 32] = self.mask.as_slice().try_into().map_err(|_| KeyError::Wrong)?;
        let digits = (typed + CODES - of.shift(&Key::of(mask), number)) % CODES;
        let key = wrapping(machine, digits, &self.salt)?;
        let seed = unseal_under(&key, &of.info(AT_BOX), &self.sealed)?;
        seed.as_slice().try_into().map(Zeroizing::new).map_err(|_| KeyError::Wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(n: u8) -> RescueFor {
        RescueFor { device: [n; 16], person: [n + 1; 16], id: u64::from(n) * 13 + 7 }
    }

    fn public(seed: &[u8; 32]) -> [u8; 32] {
        ed25519_dalek::SigningKey::from_bytes(seed).verifying_key().to_bytes()
    }

    proptest! {
        // Each case takes Argon2id ten times.
        #![proptest_config(ProptestConfig::with_cases(6))]
        #[test]
        fn a_code_opens_for_its_box_person_rescue_and_number_alone(
            seed in any::<[u8; 32]>(), helper in any::<[u8; 32]>(), machine in any::<[u8; 32]>(),
            device in any::<[u8; 16]>(), person in any::<[u8; 16]>(), id in any::<u64>(),
            drawn in any::<u64>(),
        ) {
            let (machine, of) = (Key::of(machine), RescueFor { device, person, id });
            let (kept, spoken) = behind(&seed, &machine, &of).expect("put behind a code");
            let sealed = spoken.seal(&public(&helper), &of).expect("sealed");
            let heard = Spoken::open(&helper, &of, &sealed).expect("opened");
            let number = of.number(drawn);
            prop_assert!(of.may_be(&number));
            let code = heard.code(&of, &number);
            prop_assert_eq!(code.len(), 12);
            let grouped = format!("{} {}-{}", &code[..4], &code[4..8], &code[8..]);
            prop_assert_eq!(&*kept.open(&machine, &of, &number, &grouped).expect("it opens"), &seed);

            let mut near = code.clone().into_bytes();
            near[11] = if near[11] == b'9' { b'0' } else { near[11] + 1 };
            let near = String::from_utf8(near).expect("digits");
            prop_assert!(kept.open(&machine, &of, &number, &near).is_err());
            let other = of.number(drawn.wrapping_add(1));
            prop_assert!(kept.open(&machine, &of, &other, &code).is_err());
            prop_assert!(kept.open(&Key::of([7; 32]), &of, &number, &code).is_err());
            for wrong in [
                RescueFor { device: [9; 16], ..of },
                RescueFor { person: [9; 16], ..of },
                RescueFor { id: id ^ 1, ..of },
            ] {
                prop_assert!(kept.open(&machine, &wrong, &number, &code).is_err());
                prop_assert!(Spoken::open(&helper, &wrong, &sealed).is_err());
                prop_assert_ne!(&heard.code(&wrong, &number), &code);
            }
        }

        #[test]
        fn strangers_bytes_open_nothing(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Spoken::open(&[1; 32], &of(3), &bytes).is_err());
            if let Ok(kept) = minicbor::decode::<Behind>(&bytes) {
                prop_assert!(kept.open(&Key::of([2; 32]), &of(3), "12345678", "1").is_err());
            }
        }
    }

    #[test]
    fn a_number_says_which_rescue_it_is_for() {
        let of = of(3);
        assert_eq!(of.number(12_345_678_901), format!("5678901{}", of.id % 10));
        assert!(!of.may_be("1234567"));
        assert!(!of.may_be("1234567x"));
        assert!(!of.may_be(&format!("1234567{}", (of.id + 1) % 10)));
    }
}
