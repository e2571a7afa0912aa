//! A registration: the new key out of what a browser sends.

use super::{BACKUP_ELIGIBLE, BadWebauthn, FIXED_BYTES, KEY_INCLUDED, client_data, fixed_part};
use minicbor::Decoder;
use minicbor::data::Type;
use p256::ecdsa::VerifyingKey;

/// An attestation object is never longer. Bytes.
const ATTESTATION_BYTES_MAX: usize = 16 * 1024;
/// WebAuthn's own limit for the name of a key. Bytes.
const CREDENTIAL_BYTES_MAX: usize = 1023;

/// A new key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// 33 bytes of P-256 or 32 of Ed25519.
    pub key: Vec<u8>,
    /// WebAuthn's name of it.
    pub credential: Vec<u8>,
    /// The authenticator's model as it says itself.
    pub aaguid: [u8; 16],
    /// The authenticator may copy it to other devices of the person.
    pub copies: bool,
}

/// Reads a registration. The attestation statement is passed over: the county does not ask for
/// one (conveyance `none`), so the model is what the authenticator says of itself.
///
/// # Errors
/// The first thing that does not hold.
pub fn register(
    attestation: &[u8],
    client_data: &[u8],
    challenge: &[u8; 32],
    rp_id: &str,
) -> Result<Registered, BadWebauthn> {
    if attestation.len() > ATTESTATION_BYTES_MAX {
        return Err(BadWebauthn::Form);
    }
    client_data::check(client_data, "webauthn.create", challenge, rp_id)?;
    let data = authenticator_data(attestation).ok_or(BadWebauthn::Form)?;
    let flags = fixed_part(data, rp_id)?;
    if flags & KEY_INCLUDED == 0 {
        return Err(BadWebauthn::Form);
    }
    let (aaguid, rest) = data[FIXED_BYTES..].split_first_chunk().ok_or(BadWebauthn::Form)?;
    let (length, rest) = rest.split_first_chunk().ok_or(BadWebauthn::Form)?;
    let length = usize::from(u16::from_be_bytes(*length));
    if length == 0 || length > CREDENTIAL_BYTES_MAX {
        return Err(BadWebauthn::Form);
    }
    let (credential, cose) = rest.split_at_checked(length).ok_or(BadWebauthn::Form)?;
    Ok(Registered {
        key: cose_key(cose).ok_or(BadWebauthn::Key)?,
        credential: credential.to_vec(),
        aaguid: *aaguid,
        copies: flags & BACKUP_ELIGIBLE != 0,
    })
}

/// The authenticator data of an attestation object whose statement is empty or the key's own.
fn authenticator_data(bytes: &[u8]) -> Option<&[u8]> {
    let mut decoder = Decoder::new(bytes);
    let (mut known, mut data) = (false, None);
    for _ in 0..decoder.map().ok()?.filter(|n| *n <= 8)? {
        match decoder.str().ok()? {
            "fmt" => known = matches!(decoder.str().ok()?, "none" | "packed"),
            "authData" => data = Some(decoder.bytes().ok()?),
            _ => decoder.skip().ok()?,
        }
    }
    data.filter(|_| known && decoder.position() == bytes.len())
}

/// The key out of its COSE form: ES256 on P-256, or EdDSA on Ed25519. Extensions may follow.
fn cose_key(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut decoder = Decoder::new(bytes);
    let (mut kind, mut algorithm, mut curve) = (0, 0, 0);
    let (mut x, mut y): (&[u8], &[u8]) = (&[], &[]);
    for _ in 0..decoder.map().ok()?.filter(|n| *n <= 8)? {
        match decoder.i64().ok()? {
            1 => kind = decoder.i64().ok()?,
            3 => algorithm = decoder.i64().ok()?,
            -1 => curve = decoder.i64().ok()?,
            -2 => x = decoder.bytes().ok()?,
            -3 if decoder.datatype().ok()? == Type::Bytes => y = decoder.bytes().ok()?,
            _ => decoder.skip().ok()?,
        }
    }
    match (kind, algorithm, curve, x.len(), y.len()) {
        (2, -7, 1, 32, 32) => {
            let point = [&[4][..], x, y].concat();
            let key = VerifyingKey::from_sec1_bytes(&point).ok()?;
            Some(key.to_sec1_point(true).as_bytes().to_vec())
        }
        (1, -8, 6, 32, 0) => {
            let key = ed25519_dalek::VerifyingKey::from_bytes(x.try_into().ok()?).ok()?;
            Some(key.to_bytes().to_vec())
        }
        _ => None,
    }
}
