//! Slots: a box's work key, once per person, as LUKS keeps a disk's key once per passphrase.

use crate::sealed::{BoxSecret, open_sealed, seal_to};
use crate::{Key, KeyError};
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

const DOMAIN: &[u8] = b"cunkou slot v1\0";

/// The work key, sealed to one person's own key and mixed with the machine's secret: both are
/// needed. A slot of the county's recovery key is not mixed, so that it opens on another machine.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Slot {
    /// The key it is for: Ed25519 of a person, or X25519 of the county's recovery.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub holder: [u8; 32],
    /// The sealed work key.
    #[n(1)]
    pub sealed: ByteVec,
}

fn info(holder: &[u8; 32], device: &[u8; 16]) -> Vec<u8> {
    [DOMAIN, holder, device].concat()
}

impl Slot {
    /// A slot for a person.
    ///
    /// # Errors
    /// When their key is none.
    pub fn for_person(
        work: &Key,
        person: &[u8; 32],
        machine: &Key,
        device: &[u8; 16],
    ) -> Result<Self, KeyError> {
        let to = BoxSecret::public_of(person).ok_or(KeyError::Wrong)?;
        let sealed = seal_to(&to, Some(machine), &info(person, device), work.bytes())?;
        Ok(Self { holder: *person, sealed: sealed.into() })
    }

    /// A slot for the county's recovery key (X25519).
    ///
    /// # Errors
    /// When the key is none.
    pub fn for_recovery(
        work: &Key,
        county: &[u8; 32],
        device: &[u8; 16],
    ) -> Result<Self, KeyError> {
        let sealed = seal_to(county, None, &info(county, device), work.bytes())?;
        Ok(Self { holder: *county, sealed: sealed.into() })
    }

    /// Opens a person's slot with their signing key's seed.
    ///
    /// # Errors
    /// [`KeyError::Wrong`].
    pub fn open(&self, seed: &[u8; 32], machine: &Key, device: &[u8; 16]) -> Result<Key, KeyError> {
        let secret = BoxSecret::of_seed(seed);
        self.opened(&open_sealed(
            &secret,
            Some(machine),
            &info(&self.holder, device),
            &self.sealed,
        )?)
    }

    /// Opens the county's slot with its recovery secret.
    ///
    /// # Errors
    /// [`KeyError::Wrong`].
    pub fn recover(&self, secret: &BoxSecret, device: &[u8; 16]) -> Result<Key, KeyError> {
        self.opened(&open_sealed(secret, None, &info(&self.holder, device), &self.sealed)?)
    }

    fn opened(&self, bytes: &[u8]) -> Result<Key, KeyError> {
        bytes.try_into().map(Key::of).map_err(|_| KeyError::Wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn public(seed: &[u8; 32]) -> [u8; 32] {
        ed25519_dalek::SigningKey::from_bytes(seed).verifying_key().to_bytes()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_slot_opens_for_its_person_on_its_machine_and_box_alone(
            work in any::<[u8; 32]>(), seed in any::<[u8; 32]>(), machine in any::<[u8; 32]>(),
            device in any::<[u8; 16]>(), other in any::<[u8; 32]>(), byte in 0usize..80,
        ) {
            prop_assume!(other != seed && other != machine);
            let (work, machine) = (Key::of(work), Key::of(machine));
            let slot = Slot::for_person(&work, &public(&seed), &machine, &device).expect("a slot");
            prop_assert_eq!(slot.open(&seed, &machine, &device).expect("opened"), work);
            prop_assert!(slot.open(&other, &machine, &device).is_err());
            prop_assert!(slot.open(&seed, &Key::of(other), &device).is_err());
            let mut elsewhere = device;
            elsewhere[0] ^= 1;
            prop_assert!(slot.open(&seed, &machine, &elsewhere).is_err());
            let mut bad = slot.clone();
            let at = byte % bad.sealed.len();
            bad.sealed[at] ^= 0x40;
            prop_assert!(bad.open(&seed, &machine, &device).is_err());
            let bytes = minicbor::to_vec(&slot).expect("bytes");
            prop_assert_eq!(minicbor::decode::<Slot>(&bytes).expect("a slot"), slot);
        }

        #[test]
        fn strangers_bytes_are_no_slot(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(slot) = minicbor::decode::<Slot>(&bytes) {
                prop_assert!(slot.open(&[1; 32], &Key::of([2; 32]), &[3; 16]).is_err());
            }
        }
    }

    #[test]
    fn the_county_opens_its_slot_on_any_machine() {
        let secret = BoxSecret::random().expect("random");
        let public = secret.public().expect("a key");
        let slot = Slot::for_recovery(&Key::of([5; 32]), &public, &[1; 16]).expect("a slot");
        assert_eq!(slot.recover(&secret, &[1; 16]).expect("opened"), Key::of([5; 32]));
        assert!(slot.recover(&secret, &[2; 16]).is_err());
        assert!(slot.recover(&BoxSecret::random().expect("random"), &[1; 16]).is_err());
    }
}
