//! Reading a bundle record by record: each is authentic before it is given out.

use crate::wire::{
    End, Head, INFO, MAGIC, RECORD_BYTES_MAX, Record, SEALED_KEY, code_of, end_message,
    head_message, verifies,
};
use cunkou_engine::ENTRIES_MAX;
use cunkou_keys::{BoxSecret, Key, Opening, StreamError, open_sealed};
use std::io::Read;

/// Why a file cannot be read as a bundle.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Another kind of file.
    #[error("this file is no bundle")]
    NoBundle,
    /// For somebody else: their code.
    #[error("this bundle is for another machine")]
    ForOther([u8; 8]),
    /// It ends before its end.
    #[error("the bundle is not whole: it ends too early")]
    Cut,
    /// Bytes that are not what was written.
    #[error("the bundle is damaged")]
    Damaged,
    /// Not signed by whom it names, or put together from others.
    #[error("the bundle's signature does not hold")]
    Signature,
    /// The disk.
    #[error("the bundle cannot be read: {0}")]
    Disk(std::io::Error),
}

impl From<StreamError> for ReadError {
    fn from(e: StreamError) -> Self {
        match e {
            StreamError::Cut => Self::Cut,
            StreamError::Damaged | StreamError::TooLong => Self::Damaged,
            StreamError::Disk(e) => Self::Disk(e),
        }
    }
}

/// The code of whom a file is for; nothing when it is no bundle.
#[must_use]
pub fn receiver_of(begin: &[u8]) -> Option<[u8; 8]> {
    begin.strip_prefix(MAGIC)?.first_chunk().copied()
}

/// A bundle that is being read.
pub struct Reader<R> {
    opening: Opening<R>,
    before: u64,
    digest: blake3::Hasher,
    head: Head,
    sender: [u8; 32],
    /// Whether the end was read, and more follows on another stick.
    ended: Option<bool>,
}

impl<R> std::fmt::Debug for Reader<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reader({:?})", self.opening)
    }
}

impl<R: Read> Reader<R> {
    /// Opens a bundle with the receiver's seed and checks its head.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn begin(seed: &[u8; 32], mut input: R) -> Result<Self, ReadError> {
        let me = ed25519_dalek::SigningKey::from_bytes(seed).verifying_key().to_bytes();
        let mut start = Vec::new();
        let length = MAGIC.len() + 8 + SEALED_KEY;
        input.by_ref().take(length as u64).read_to_end(&mut start).map_err(ReadError::Disk)?;
        let code = receiver_of(&start).ok_or(ReadError::NoBundle)?;
        if code != code_of(&me) {
            return Err(ReadError::ForOther(code));
        }
        if start.len() < length {
            return Err(ReadError::Cut);
        }
        let sealed = &start[length - SEALED_KEY..];
        let key = open_sealed(&BoxSecret::of_seed(seed), None, INFO, sealed);
        let key = key.ok().and_then(|k| k[..].try_into().ok()).map(Key::of);
        let key = key.ok_or(ReadError::Damaged)?;
        let opening = Opening::begin(&key, &[INFO, &code].concat(), input)?;
        let mut digest = blake3::Hasher::new();
        let mut opening = opening;
        let Some(Record::Head { sender, body, proof }) = next(&mut opening, &mut digest)? else {
            return Err(ReadError::Damaged);
        };
        if !verifies(&sender, &head_message(&me, key.bytes(), &body), &proof) {
            return Err(ReadError::Signature);
        }
        let head = Head::read(&body).ok_or(ReadError::Damaged)?;
        Ok(Self { opening, before: length as u64, digest, head, sender, ended: None })
    }

    /// What stands before everything else.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The sender's device key. That it is somebody's whom this store knows is for the port to say.
    #[must_use]
    pub fn sender(&self) -> &[u8; 32] {
        &self.sender
    }

    /// How much of the file was read. Bytes.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.before + self.opening.position()
    }

    /// Whether another bundle goes on from this one; known at its end.
    #[must_use]
    pub fn more(&self) -> Option<bool> {
        self.ended
    }

    /// The next record; nothing once the end was read and holds.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn record(&mut self) -> Result<Option<Record>, ReadError> {
        if self.ended.is_some() {
            return Ok(None);
        }
        let before = *self.digest.finalize().as_bytes();
        match next(&mut self.opening, &mut self.digest)?.ok_or(ReadError::Damaged)? {
            Record::Head { .. } => Err(ReadError::Damaged),
            Record::End { body, proof } => {
                if !verifies(&self.sender, &end_message(&self.head.id, &body), &proof) {
                    return Err(ReadError::Signature);
                }
                let end: End = minicbor::decode(&body).map_err(|_| ReadError::Damaged)?;
                let mut more = [0];
                if end.digest != before || self.opening.read(&mut more)? {
                    return Err(ReadError::Damaged);
                }
                self.ended = Some(end.more);
                Ok(None)
            }
            Record::Entries { entries, .. } if entries.len() > ENTRIES_MAX => {
                Err(ReadError::Damaged)
            }
            record => Ok(Some(record)),
        }
    }
}

fn next<R: Read>(
    opening: &mut Opening<R>,
    digest: &mut blake3::Hasher,
) -> Result<Option<Record>, ReadError> {
    let mut length = [0; 4];
    if !opening.read(&mut length)? {
        return Ok(None);
    }
    let bytes = u32::from_be_bytes(length) as usize;
    if bytes > RECORD_BYTES_MAX {
        return Err(ReadError::Damaged);
    }
    let mut record = vec![0; bytes];
    if bytes > 0 && !opening.read(&mut record)? {
        return Err(ReadError::Damaged);
    }
    digest.update(&length);
    digest.update(&record);
    Record::decode(&record).map(Some).ok_or(ReadError::Damaged)
}
