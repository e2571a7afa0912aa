//! Entries of the model: who made it, where it belongs, any bytes, and a hash over all of it.

use crate::disk::Id;
use crate::rng::Rng;

const HASH: usize = 16;
const HEAD: usize = 16 + 8 + 1;

/// Why bytes are no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotAnEntry;

/// An entry that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    pub(crate) id: Id,
    pub(crate) scope: &'a str,
}

fn hash(body: &[u8]) -> [u8; HASH] {
    let mut out = [0; HASH];
    out.copy_from_slice(&blake3::hash(body).as_bytes()[..HASH]);
    out
}

/// A new entry with so many bytes of content.
pub(crate) fn make(device: &[u8; 16], scope: &str, content: usize, rng: &mut Rng) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD + scope.len() + content + HASH);
    out.extend_from_slice(device);
    out.extend_from_slice(&rng.draw().to_be_bytes());
    out.push(u8::try_from(scope.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(scope.as_bytes());
    let from = out.len();
    out.resize(from + content, 0);
    rng.fill(&mut out[from..]);
    let hash = hash(&out);
    out.extend_from_slice(&hash);
    out
}

/// The name that bytes carry, right or wrong.
pub(crate) fn claimed(bytes: &[u8]) -> Result<Entry<'_>, NotAnEntry> {
    let body = bytes.len().checked_sub(HASH).ok_or(NotAnEntry)?;
    let (body, hash) = bytes.split_at(body);
    let length = usize::from(*body.get(HEAD - 1).ok_or(NotAnEntry)?);
    let scope = body.get(HEAD..HEAD + length).ok_or(NotAnEntry)?;
    let scope = std::str::from_utf8(scope).map_err(|_| NotAnEntry)?;
    let mut id = [0; 32];
    id[..HASH].copy_from_slice(hash);
    Ok(Entry { id, scope })
}

/// Reads an entry and holds it against its hash.
pub(crate) fn read(bytes: &[u8]) -> Result<Entry<'_>, NotAnEntry> {
    let entry = claimed(bytes)?;
    let body = &bytes[..bytes.len() - HASH];
    if hash(body) == entry.id[..HASH] { Ok(entry) } else { Err(NotAnEntry) }
}
