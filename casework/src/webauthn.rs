//! WebAuthn, as far as a signature needs it: assertions are verified, registrations are read.
//!
//! Pure and stateless. Whatever a browser sends is bounded before it is read, and read strictly.
//! Sources: W3C Web Authentication Level 3, 6.1 (authenticator data), 7.1 and 7.2 (procedures);
//! RFC 9053 (COSE algorithms).

mod client_data;
mod registration;

pub use client_data::{base64url, from_base64url};
pub use registration::{Registered, register};

use crate::suite::SIGNATURE_BYTES_MAX;
use ed25519_dalek::VerifyingKey as EdKey;
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{Signature as EcSignature, VerifyingKey as EcKey};
use sha2::{Digest, Sha256};

/// Somebody was there and touched it.
const USER_PRESENT: u8 = 0x01;
/// And proved who they are to the authenticator: PIN, finger or face.
const USER_VERIFIED: u8 = 0x04;
const BACKUP_ELIGIBLE: u8 = 0x08;
const BACKED_UP: u8 = 0x10;
const KEY_INCLUDED: u8 = 0x40;
const EXTENSIONS: u8 = 0x80;
/// Hash of the relying party, flags, counter.
const FIXED_BYTES: usize = 37;

/// Why an assertion or a registration is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadWebauthn {
    /// Too long, or not in its form.
    #[error("not in the form of WebAuthn")]
    Form,
    /// What the browser signed is not a JSON object of the expected kind.
    #[error("the browser's part cannot be read")]
    ClientData,
    /// Made for something else: another event, another registration.
    #[error("made for another challenge")]
    Challenge,
    /// Made on a page of another site.
    #[error("made on a page of another site")]
    Origin,
    /// For another relying party.
    #[error("for another relying party")]
    RelyingParty,
    /// Nobody touched the key, or the key did not ask who it is.
    #[error("the key did not check who is there")]
    Flags,
    /// A key of a kind that is not read here.
    #[error("neither P-256 nor Ed25519")]
    Key,
    /// The signature does not hold.
    #[error("the signature does not hold")]
    Signature,
}

/// An assertion as it stands in a signature's bytes: an array of 3, at most
/// [`SIGNATURE_BYTES_MAX`] together.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Assertion {
    /// What the authenticator says.
    #[n(0)]
    pub authenticator_data: ByteVec,
    /// What the browser says, JSON.
    #[n(1)]
    pub client_data: ByteVec,
    /// The signature over both: ECDSA in DER, or 64 bytes of Ed25519.
    #[n(2)]
    pub signature: ByteVec,
}

impl Assertion {
    /// The bytes of a signature of suite 2.
    ///
    /// # Errors
    /// [`BadWebauthn::Form`] when they would be longer than a signature may be.
    pub fn encode(&self) -> Result<Vec<u8>, BadWebauthn> {
        let bytes = crate::event::encode(self);
        if bytes.len() > SIGNATURE_BYTES_MAX { Err(BadWebauthn::Form) } else { Ok(bytes) }
    }
}

/// The challenge for a signing message: 32 bytes.
#[must_use]
pub fn challenge(message: &[u8]) -> [u8; 32] {
    blake3::derive_key("cunkou webauthn challenge v1", message)
}

/// Verifies an assertion in a signature's bytes.
///
/// # Errors
/// The first thing that does not hold.
pub fn verify(
    key: &[u8],
    rp_id: &str,
    challenge: &[u8; 32],
    bytes: &[u8],
) -> Result<(), BadWebauthn> {
    if bytes.len() > SIGNATURE_BYTES_MAX {
        return Err(BadWebauthn::Form);
    }
    let assertion: Assertion = crate::event::decode(bytes).map_err(|_| BadWebauthn::Form)?;
    client_data::check(&assertion.client_data, "webauthn.get", challenge, rp_id)?;
    let data = &assertion.authenticator_data;
    let flags = fixed_part(data, rp_id)?;
    if flags & KEY_INCLUDED != 0 || (flags & EXTENSIONS == 0 && data.len() != FIXED_BYTES) {
        return Err(BadWebauthn::Form);
    }
    let signed = [&data[..], &Sha256::digest(&assertion.client_data[..])].concat();
    if verifies_raw(key, &signed, &assertion.signature) {
        Ok(())
    } else {
        Err(BadWebauthn::Signature)
    }
}

/// The flags of authenticator data for `rp_id`, which say that somebody was there and verified.
fn fixed_part(data: &[u8], rp_id: &str) -> Result<u8, BadWebauthn> {
    let (hash, rest) = data.split_at_checked(32).ok_or(BadWebauthn::Form)?;
    if data.len() < FIXED_BYTES {
        return Err(BadWebauthn::Form);
    }
    if hash != &Sha256::digest(rp_id.as_bytes())[..] {
        return Err(BadWebauthn::RelyingParty);
    }
    let flags = rest[0];
    if flags & USER_PRESENT == 0 || flags & USER_VERIFIED == 0 {
        return Err(BadWebauthn::Flags);
    }
    if flags & BACKED_UP != 0 && flags & BACKUP_ELIGIBLE == 0 {
        return Err(BadWebauthn::Flags);
    }
    Ok(flags)
}

/// ECDSA on P-256 with SHA-256 (33 bytes of key, signature in DER) or strict Ed25519 (32 bytes).
///
/// Both halves of an ECDSA signature's twin forms are taken, as WebAuthn demands no low S: the
/// device signs the person's signature, so nobody but the device can swap one form for the other.
pub(crate) fn verifies_raw(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    if let Ok(key) = <&[u8; 32]>::try_from(key) {
        let (Ok(key), Ok(signature)) =
            (EdKey::from_bytes(key), ed25519_dalek::Signature::from_slice(signature))
        else {
            return false;
        };
        return key.verify_strict(message, &signature).is_ok();
    }
    if key.len() != 33 {
        return false;
    }
    let (Ok(key), Ok(signature)) = (EcKey::from_sec1_bytes(key), EcSignature::from_der(signature))
    else {
        return false;
    };
    key.verify(message, &signature).is_ok()
}

#[cfg(test)]
mod tests;
