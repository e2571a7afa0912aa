//! Hash and signature suites, named by one byte so that others (WebAuthn, SM2/SM3) can follow.

use crate::ids::{AttachmentId, EntryId};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

/// BLAKE3 and Ed25519: the suite of this version.
pub const BLAKE3_ED25519: u8 = 1;

/// A signature may be this long, so that a WebAuthn assertion fits. Bytes.
pub const SIGNATURE_BYTES_MAX: usize = 1024;

/// A key to verify with, 32 bytes of Ed25519 in suite 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublicKey(pub [u8; 32]);

impl PublicKey {
    /// The first eight bytes of the key's hash; names a key inside a signature.
    #[must_use]
    pub fn short_id(&self) -> [u8; 8] {
        key_id(&self.0)
    }

    /// True when `signature` is this key's over `message` (strict Ed25519: no malleable forms).
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let (Ok(key), Ok(signature)) =
            (VerifyingKey::from_bytes(&self.0), Signature::from_slice(signature))
        else {
            return false;
        };
        key.verify_strict(message, &signature).is_ok()
    }
}

impl serde::Serialize for PublicKey {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&crate::hex::encode(&self.0))
    }
}

impl<'de> serde::Deserialize<'de> for PublicKey {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        crate::ids::unhex(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

impl<C> minicbor::Encode<C> for PublicKey {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&self.0)?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for PublicKey {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let bytes = d.bytes()?;
        bytes.try_into().map(Self).map_err(|_| minicbor::decode::Error::message("wrong key length"))
    }
}

/// A key to sign with. Its bytes are wiped from memory when it is dropped.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

impl SecretKey {
    /// The key whose 32 secret bytes are `seed`; the caller draws them at random.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The 32 secret bytes, to be stored wrapped or readable by the owner alone.
    #[must_use]
    pub fn seed(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The key that verifies what this one signs.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs `message`: 64 bytes.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).to_bytes().to_vec()
    }
}

/// The name of an attachment's bytes.
#[must_use]
pub fn attachment_id(bytes: &[u8]) -> AttachmentId {
    AttachmentId(*blake3::hash(bytes).as_bytes())
}

pub(crate) fn key_id(key: &[u8]) -> [u8; 8] {
    let hash = blake3::derive_key("cunkou key id v1", key);
    let mut id = [0; 8];
    id.copy_from_slice(&hash[..8]);
    id
}

/// Under what a one-time code for a person's key is kept: never the code itself.
#[must_use]
pub fn key_code_hash(code: &str) -> [u8; 32] {
    blake3::derive_key("cunkou key code v1", code.as_bytes())
}

pub(crate) fn commitment(payload: &[u8]) -> [u8; 32] {
    blake3::derive_key("cunkou payload v1", payload)
}

pub(crate) fn body_digest(body: &[u8]) -> [u8; 32] {
    blake3::derive_key("cunkou entry body v1", body)
}

pub(crate) fn act_digest(body: &[u8]) -> [u8; 32] {
    blake3::derive_key("cunkou act body v1", body)
}

pub(crate) fn entry_id(frame: &[u8]) -> EntryId {
    EntryId(blake3::derive_key("cunkou entry id v1", frame))
}

/// The keyed index under which a resident's ID number is looked up: a hash with the county's
/// secret, so that nobody without it can try numbers (design 4, security 24).
#[must_use]
pub fn id_number_index(county_secret: &[u8; 32], id_number: &str) -> [u8; 32] {
    *blake3::keyed_hash(county_secret, id_number.as_bytes()).as_bytes()
}
