//! Writing a bundle record by record.

use crate::wire::{
    End, Head, INFO, MAGIC, RECORD_BYTES_MAX, Record, code_of, encode, end_message, head_message,
    sign,
};
use cunkou_keys::{BoxSecret, Key, KeyError, Sealing, StreamError, seal_to};
use minicbor::bytes::ByteVec;
use std::io::Write;

/// Attachments are written in parts of this length. Bytes.
const PART: usize = 256 * 1024;
/// What the end takes, and the tags of the chunks around it. Bytes.
const END_BYTES: u64 = 512;

/// Why a bundle cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The receiver's key.
    #[error("the receiver's key is none that can be sealed to")]
    Receiver,
    /// Too long for one record.
    #[error("a record of {0} bytes; at most {RECORD_BYTES_MAX} are allowed")]
    RecordTooLong(usize),
    /// The stream.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The key.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// A bundle that is being written.
pub struct Writer<W> {
    sealing: Sealing<W>,
    before: u64,
    digest: blake3::Hasher,
    id: [u8; 16],
    seed: [u8; 32],
}

impl<W> std::fmt::Debug for Writer<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Writer(…)")
    }
}

impl<W: Write> Writer<W> {
    /// Begins a bundle for the holder of this device key, signed with the sender's seed.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn begin(
        receiver: &[u8; 32],
        seed: &[u8; 32],
        head: &Head,
        mut out: W,
    ) -> Result<Self, WriteError> {
        let key = Key::random()?;
        let to = BoxSecret::public_of(receiver).ok_or(WriteError::Receiver)?;
        let code = code_of(receiver);
        let start = [&MAGIC[..], &code, &seal_to(&to, None, INFO, key.bytes())?].concat();
        out.write_all(&start).map_err(StreamError::from)?;
        let sealing = Sealing::begin(&key, &[INFO, &code].concat(), out)?;
        let mut writer = Self {
            sealing,
            before: start.len() as u64,
            digest: blake3::Hasher::new(),
            id: head.id,
            seed: *seed,
        };
        let body = encode(head);
        let proof = sign(seed, &head_message(receiver, key.bytes(), &body));
        let sender = ed25519_dalek::SigningKey::from_bytes(seed).verifying_key().to_bytes();
        writer.record(&Record::Head { sender, body: body.into(), proof })?;
        Ok(writer)
    }

    /// How long the file would be if it ended here. Bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.before + self.sealing.length() + END_BYTES
    }

    /// Whether so much more content still fits below `limit`.
    #[must_use]
    pub fn fits(&self, content: usize, limit: u64) -> bool {
        let parts = (content / PART + 1) as u64;
        self.length() + Sealing::<W>::cost(content as u64 + parts * 64) <= limit
    }

    fn record(&mut self, record: &Record) -> Result<(), WriteError> {
        self.encoded(&record.encode())
    }

    /// Adds a record that is encoded already.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn encoded(&mut self, record: &[u8]) -> Result<(), WriteError> {
        let length = u32::try_from(record.len())
            .ok()
            .filter(|_| record.len() <= RECORD_BYTES_MAX)
            .ok_or(WriteError::RecordTooLong(record.len()))?;
        for part in [&length.to_be_bytes()[..], record] {
            self.digest.update(part);
            self.sealing.write(part)?;
        }
        Ok(())
    }

    /// Adds entries of one scope, (`after`, `upto`] of the sender's log that ends at `head`.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn entries(
        &mut self,
        scope: &str,
        (after, upto, head): (u64, u64, u64),
        entries: Vec<Vec<u8>>,
    ) -> Result<(), WriteError> {
        let entries = entries.into_iter().map(Into::into).collect();
        self.record(&Record::Entries { scope: scope.to_owned(), after, upto, head, entries })
    }

    /// Adds an attachment.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn attachment(&mut self, id: &[u8; 32], bytes: &[u8]) -> Result<(), WriteError> {
        let length = bytes.len() as u64;
        for part in bytes.chunks(PART) {
            self.record(&Record::Part { id: *id, length, bytes: ByteVec::from(part.to_vec()) })?;
        }
        Ok(())
    }

    /// Ends the bundle and gives back where it was written. `more`: another goes on from here.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn finish(mut self, more: bool) -> Result<W, WriteError> {
        let body = encode(&End { digest: *self.digest.finalize().as_bytes(), more });
        let proof = sign(&self.seed, &end_message(&self.id, &body));
        self.record(&Record::End { body: body.into(), proof })?;
        Ok(self.sealing.finish()?)
    }
}
