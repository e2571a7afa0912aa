//! Boxes sealed to a public key, and to one symmetric key.

use crate::{Key, KeyError};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{
    Deserializable, Kem, OpModeR, OpModeS, PskBundle, Serializable, single_shot_open,
    single_shot_seal,
};
use rand_core::{OsRng, TryRngCore};
use zeroize::Zeroizing;

type Kem25519 = X25519HkdfSha256;
const ENCAPPED: usize = 32;
const NONCE: usize = 24;

/// An X25519 secret; what is sealed to its public part opens with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoxSecret(Key);

impl BoxSecret {
    /// A new one.
    ///
    /// # Errors
    /// [`KeyError::NoRandomness`].
    pub fn random() -> Result<Self, KeyError> {
        Key::random().map(Self)
    }

    /// This one.
    #[must_use]
    pub fn of(key: Key) -> Self {
        Self(key)
    }

    /// The X25519 secret that belongs to an Ed25519 seed, as RFC 8032 expands it. One key pair
    /// signs and opens: the two uses are kept apart by HPKE's and the entries' own domains.
    #[must_use]
    pub fn of_seed(seed: &[u8; 32]) -> Self {
        let signing = ed25519_dalek::SigningKey::from_bytes(seed);
        Self(Key::of(signing.to_scalar_bytes()))
    }

    /// The X25519 public key that belongs to an Ed25519 public key; nothing when it is none.
    #[must_use]
    pub fn public_of(ed25519: &[u8; 32]) -> Option<[u8; 32]> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(ed25519).ok()?;
        // A key of small order would let anybody open what is sealed to it.
        (!key.is_weak()).then(|| key.to_montgomery().to_bytes())
    }

    /// Its bytes.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.0
    }

    /// Its public part.
    ///
    /// # Errors
    /// [`KeyError::Wrong`]: never for 32 bytes.
    pub fn public(&self) -> Result<[u8; 32], KeyError> {
        let secret = private(&self.0)?;
        Kem25519::sk_to_pk(&secret).to_bytes().as_slice().try_into().map_err(|_| KeyError::Wrong)
    }
}

fn private(key: &Key) -> Result<<Kem25519 as Kem>::PrivateKey, KeyError> {
    <Kem25519 as Kem>::PrivateKey::from_bytes(key.bytes()).map_err(|_| KeyError::Wrong)
}

/// Seals to an X25519 public key; `mixed` is a second secret without which it does not open.
///
/// # Errors
/// When the public key is none, or there is no randomness.
pub fn seal_to(
    public: &[u8; 32],
    mixed: Option<&Key>,
    info: &[u8],
    plain: &[u8],
) -> Result<Vec<u8>, KeyError> {
    let to = <Kem25519 as Kem>::PublicKey::from_bytes(public).map_err(|_| KeyError::Wrong)?;
    let bundle;
    let mode = match mixed {
        Some(key) => {
            bundle = PskBundle::new(key.bytes(), b"machine").map_err(|_| KeyError::Wrong)?;
            OpModeS::Psk(bundle)
        }
        None => OpModeS::Base,
    };
    let (encapped, sealed) = single_shot_seal::<ChaCha20Poly1305, HkdfSha256, Kem25519, _>(
        &mode,
        &to,
        info,
        plain,
        b"",
        &mut OsRng.unwrap_err(),
    )
    .map_err(|_| KeyError::Wrong)?;
    Ok([encapped.to_bytes().as_slice(), &sealed].concat())
}

/// Opens what [`seal_to`] sealed.
///
/// # Errors
/// [`KeyError::Wrong`].
pub fn open_sealed(
    secret: &BoxSecret,
    mixed: Option<&Key>,
    info: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let (encapped, sealed) = sealed.split_at_checked(ENCAPPED).ok_or(KeyError::Wrong)?;
    let encapped =
        <Kem25519 as Kem>::EncappedKey::from_bytes(encapped).map_err(|_| KeyError::Wrong)?;
    let mode = match mixed {
        Some(key) => {
            OpModeR::Psk(PskBundle::new(key.bytes(), b"machine").map_err(|_| KeyError::Wrong)?)
        }
        None => OpModeR::Base,
    };
    let secret = private(&secret.0)?;
    single_shot_open::<ChaCha20Poly1305, HkdfSha256, Kem25519>(
        &mode, &secret, &encapped, info, sealed, b"",
    )
    .map(Zeroizing::new)
    .map_err(|_| KeyError::Wrong)
}

/// Seals under a symmetric key: 24 bytes of nonce, then XChaCha20-Poly1305 with `info` bound.
///
/// # Errors
/// [`KeyError::NoRandomness`].
pub fn seal_under(key: &Key, info: &[u8], plain: &[u8]) -> Result<Vec<u8>, KeyError> {
    let mut nonce = [0; NONCE];
    getrandom::fill(&mut nonce).map_err(|_| KeyError::NoRandomness)?;
    let cipher = XChaCha20Poly1305::new_from_slice(key.bytes()).map_err(|_| KeyError::Wrong)?;
    let sealed = cipher
        .encrypt(XNonce::from_slice(&nonce), Payload { msg: plain, aad: info })
        .map_err(|_| KeyError::Wrong)?;
    Ok([&nonce[..], &sealed].concat())
}

/// Opens what [`seal_under`] sealed.
///
/// # Errors
/// [`KeyError::Wrong`].
pub fn unseal_under(key: &Key, info: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let (nonce, sealed) = sealed.split_at_checked(NONCE).ok_or(KeyError::Wrong)?;
    let cipher = XChaCha20Poly1305::new_from_slice(key.bytes()).map_err(|_| KeyError::Wrong)?;
    cipher
        .decrypt(XNonce::from_slice(nonce), Payload { msg: sealed, aad: info })
        .map(Zeroizing::new)
        .map_err(|_| KeyError::Wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_to_a_box_opens_with_its_secret_for_its_purpose_only() {
        let secret = BoxSecret::random().expect("random");
        let public = secret.public().expect("a key");
        let sealed = seal_to(&public, None, b"inbox", b"words").expect("sealed");
        assert_eq!(
            open_sealed(&secret, None, b"inbox", &sealed).expect("opened")[..],
            b"words"[..]
        );
        assert!(open_sealed(&secret, None, b"slot", &sealed).is_err());
        assert!(open_sealed(&secret, Some(&Key::of([1; 32])), b"inbox", &sealed).is_err());
        let other = BoxSecret::random().expect("random");
        assert!(open_sealed(&other, None, b"inbox", &sealed).is_err());
        for at in 0..sealed.len() {
            let mut bad = sealed.clone();
            bad[at] ^= 1;
            assert!(open_sealed(&secret, None, b"inbox", &bad).is_err(), "byte {at}");
        }
        assert!(open_sealed(&secret, None, b"inbox", b"short").is_err());
    }

    #[test]
    fn a_signing_key_opens_what_is_sealed_to_its_public_part() {
        let seed = [9; 32];
        let public = ed25519_dalek::SigningKey::from_bytes(&seed).verifying_key().to_bytes();
        let to = BoxSecret::public_of(&public).expect("a point");
        assert_eq!(BoxSecret::of_seed(&seed).public().expect("a key"), to);
    }

    #[test]
    fn a_weak_key_gets_nothing() {
        let mut identity = [0; 32];
        identity[0] = 1;
        assert_eq!(BoxSecret::public_of(&identity), None);
    }
}
