//! Keys of people who decide, and how much each kind of key is worth.
//!
//! The county log says which keys a person has (`Person.keys`). Who has one signs every step of a
//! case with it; see [`crate::case::authenticate`].

use crate::webauthn;
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

/// A WebAuthn assertion whose challenge is made from the signing message.
pub const SUITE_WEBAUTHN: u8 = 2;
/// ECDSA on P-256 with SHA-256 by a PKCS#11 token (UKey) over the signing message.
pub const SUITE_TOKEN: u8 = 3;
/// The relay's word that the person gave the right one-time password.
pub const SUITE_OTP: u8 = 4;

/// What a UKey signs when it is registered, for 32 random bytes: no step ever begins so.
#[must_use]
pub fn token_registration(random: &[u8; 32]) -> Vec<u8> {
    [&b"cunkou ukey v1\0"[..], random].concat()
}

/// A person has at most so many keys.
pub const KEYS_MAX: usize = 8;
/// The name that a person gives a key. Characters.
pub const NAME_CHARS_MAX: usize = 40;

/// How much a key is worth; shown wherever its signatures are. Numbers are frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, serde::Serialize)]
#[cbor(index_only)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// 安全密钥: a separate device that never gives its secret away.
    #[n(1)]
    SecurityKey,
    /// 通行密钥: kept by the computer or telephone, perhaps copied between the person's devices.
    #[n(2)]
    Passkey,
    /// UKey: a certificate's token by PKCS#11.
    #[n(3)]
    Ukey,
    /// 动态口令: a one-time password that the relay has checked; the relay signs, not the person.
    #[n(4)]
    Otp,
}

/// One key of a person who decides.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct DeciderKey {
    /// How it signs: [`SUITE_WEBAUTHN`], [`SUITE_TOKEN`] or [`SUITE_OTP`].
    #[n(0)]
    pub suite: u8,
    /// 33 bytes: P-256, compressed (SEC 1). 32 bytes: Ed25519. For one-time passwords 16 random
    /// bytes that name the enrolment.
    #[n(1)]
    pub key: ByteVec,
    /// The county's relying party, e.g. `c130999.home.arpa`; empty outside WebAuthn.
    #[n(2)]
    pub rp_id: String,
    /// WebAuthn's name of the key; empty outside WebAuthn.
    #[n(3)]
    pub credential: ByteVec,
    /// What the person calls it, at most [`NAME_CHARS_MAX`].
    #[n(4)]
    pub name: String,
    /// How much it is worth.
    #[n(5)]
    pub grade: Grade,
    /// The authenticator's model as it says itself; nobody has vouched for it.
    #[cbor(n(6), with = "minicbor::bytes")]
    pub aaguid: Option<[u8; 16]>,
}

impl DeciderKey {
    /// Names the key inside a signature, as [`crate::suite::PublicKey::short_id`] does.
    #[must_use]
    pub fn short_id(&self) -> [u8; 8] {
        crate::suite::key_id(&self.key)
    }

    /// True when `signature` is this key's over the person's signing message. One-time passwords
    /// sign nothing: their word is the relay's, see [`crate::entry::Entry::confirmed_by`].
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self.suite {
            SUITE_WEBAUTHN => {
                let challenge = webauthn::challenge(message);
                webauthn::verify(&self.key, &self.rp_id, &challenge, signature).is_ok()
            }
            SUITE_TOKEN => webauthn::verifies_raw(&self.key, message, signature),
            _ => false,
        }
    }
}
