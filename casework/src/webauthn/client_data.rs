//! What the browser says: a small JSON object, read strictly.

use super::BadWebauthn;
use serde::Deserialize;
use std::borrow::Cow;

/// It is never longer. Bytes.
const CLIENT_DATA_BYTES_MAX: usize = 1024;
/// Browsers speak plain HTTP to this name as if it were safe; for trying things out only.
const LOCAL: &str = "localhost";
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Keys that are not named here may stand in it and are passed over, as WebAuthn demands; one of
/// these that stands twice is refused.
#[derive(Deserialize)]
struct ClientData<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    challenge: Cow<'a, str>,
    #[serde(borrow)]
    origin: Cow<'a, str>,
    #[serde(rename = "crossOrigin", default)]
    cross_origin: bool,
    #[serde(rename = "topOrigin", default, borrow)]
    top_origin: Option<Cow<'a, str>>,
}

/// Holds what the browser says against what was asked.
pub(super) fn check(
    bytes: &[u8],
    kind: &str,
    challenge: &[u8; 32],
    rp_id: &str,
) -> Result<(), BadWebauthn> {
    if bytes.len() > CLIENT_DATA_BYTES_MAX {
        return Err(BadWebauthn::ClientData);
    }
    let said: ClientData<'_> =
        serde_json::from_slice(bytes).map_err(|_| BadWebauthn::ClientData)?;
    if said.kind != kind {
        return Err(BadWebauthn::ClientData);
    }
    if said.challenge != base64url(challenge) {
        return Err(BadWebauthn::Challenge);
    }
    if said.cross_origin || said.top_origin.is_some() || !of_site(&said.origin, rp_id) {
        return Err(BadWebauthn::Origin);
    }
    Ok(())
}

/// Whether an origin is the relying party's own or one below it, over HTTPS; or plain localhost
/// where that is the relying party.
fn of_site(origin: &str, rp_id: &str) -> bool {
    let Some((scheme, rest)) = origin.split_once("://") else { return false };
    let (host, port) = rest.split_once(':').map_or((rest, None), |(h, p)| (h, Some(p)));
    if port.is_some_and(|p| p.parse::<u16>().is_err() || p.starts_with('+')) {
        return false;
    }
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-';
    if rp_id.is_empty() || host.is_empty() || !host.bytes().all(plain) {
        return false;
    }
    let below = host.strip_suffix(rp_id).is_some_and(|front| front.ends_with('.'));
    match scheme {
        "https" => host == rp_id || below,
        "http" => rp_id == LOCAL && host == LOCAL,
        _ => false,
    }
}

/// Base64 for addresses (RFC 4648, 5), without padding.
#[must_use]
pub fn base64url(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for part in bytes.chunks(3) {
        let word = part.iter().fold(0_u32, |word, b| (word << 8) | u32::from(*b));
        let word = word << (8 * (3 - part.len()));
        for i in 0..=part.len() {
            out.push(char::from(DIGITS[(word >> (18 - 6 * i)) as usize & 63]));
        }
    }
    out
}

/// Reads [`base64url`]; absent for anything else than its one form.
#[must_use]
pub fn from_base64url(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for part in text.as_bytes().chunks(4) {
        let mut word = 0_u32;
        for byte in part {
            let digit = DIGITS.iter().position(|d| d == byte)?;
            word = (word << 6) | digit as u32;
        }
        let bytes = (word << (6 * (4 - part.len()))).to_be_bytes();
        out.extend_from_slice(bytes.get(1..part.len())?);
    }
    (base64url(&out) == text).then_some(out)
}
