//! Encrypted files: STREAM over XChaCha20-Poly1305 in chunks of 64 KiB.
//!
//! `CKF1`, 19 random bytes, then the chunks, each 16 bytes longer than what it holds. A chunk
//! knows its number and whether it is the last, so none can be left out, repeated or moved; any
//! one can be read without those before it, which is what resumed and ranged reads need.

use crate::{Key, KeyError};
use chacha20poly1305::aead::stream::{NewStream, StreamBE32, StreamPrimitive};
use chacha20poly1305::aead::{KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, aead::generic_array::GenericArray};
use std::io::{Read, Seek, SeekFrom, Write};

/// Bytes of content in each chunk but the last.
pub const CHUNK: usize = 64 * 1024;
const MAGIC: &[u8; 4] = b"CKF1";
pub(crate) const NONCE: usize = 19;
pub(crate) const TAG: usize = 16;
const HEAD: usize = MAGIC.len() + NONCE;

pub(crate) fn stream(key: &Key, nonce: &[u8]) -> StreamBE32<XChaCha20Poly1305> {
    let cipher = XChaCha20Poly1305::new(GenericArray::from_slice(key.bytes()));
    StreamBE32::from_aead(cipher, GenericArray::from_slice(nonce))
}

/// Encrypts a file's content; `name` is bound to it, so that two files cannot change places.
///
/// # Errors
/// [`KeyError::NoRandomness`].
pub fn encrypt(key: &Key, name: &[u8], content: &[u8]) -> Result<Vec<u8>, KeyError> {
    let mut nonce = [0; NONCE];
    getrandom::fill(&mut nonce).map_err(|_| KeyError::NoRandomness)?;
    let stream = stream(key, &nonce);
    let chunks = content.len().div_ceil(CHUNK).max(1);
    let mut out = Vec::with_capacity(HEAD + content.len() + chunks * TAG);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&nonce);
    for i in 0..chunks {
        let part = &content[i * CHUNK..content.len().min((i + 1) * CHUNK)];
        let payload = Payload { msg: part, aad: name };
        let number = u32::try_from(i).map_err(|_| KeyError::Wrong)?;
        let sealed = stream.encrypt(number, i + 1 == chunks, payload);
        out.extend_from_slice(&sealed.map_err(|_| KeyError::Wrong)?);
    }
    Ok(out)
}

/// How long the content of an encrypted file is, from the length of the file. Bytes.
#[must_use]
pub fn length(file: u64) -> Option<u64> {
    let body = file.checked_sub(HEAD as u64)?;
    let chunks = body.div_ceil((CHUNK + TAG) as u64);
    body.checked_sub(chunks * TAG as u64).filter(|_| chunks > 0)
}

/// Decrypts a whole file.
///
/// # Errors
/// [`KeyError::Wrong`].
pub fn open(key: &Key, name: &[u8], file: &[u8]) -> Result<Vec<u8>, KeyError> {
    open_from(key, name, file, 0)
}

/// Decrypts a file from a position of its content on; only the chunks from there are touched.
///
/// # Errors
/// [`KeyError::Wrong`], also when the position is behind the end.
pub fn open_from(key: &Key, name: &[u8], file: &[u8], from: usize) -> Result<Vec<u8>, KeyError> {
    let (head, body) = file.split_at_checked(HEAD).ok_or(KeyError::Wrong)?;
    let nonce = head.strip_prefix(MAGIC).ok_or(KeyError::Wrong)?;
    let stream = stream(key, nonce);
    let chunks: Vec<&[u8]> = body.chunks(CHUNK + TAG).collect();
    let first = from / CHUNK;
    let mut out = Vec::with_capacity(body.len().saturating_sub(first * (CHUNK + TAG)));
    for (i, chunk) in chunks.iter().enumerate().skip(first) {
        let payload = Payload { msg: chunk, aad: name };
        let number = u32::try_from(i).map_err(|_| KeyError::Wrong)?;
        let part = stream.decrypt(number, i + 1 == chunks.len(), payload);
        out.extend_from_slice(&part.map_err(|_| KeyError::Wrong)?);
    }
    let skip = from - first * CHUNK;
    if first >= chunks.len() || skip > out.len() {
        return Err(KeyError::Wrong);
    }
    out.drain(..skip);
    Ok(out)
}

/// Pieces that are sealed one by one under one key and 19 random bytes: what encrypted files are
/// made of, and what a file that is not whole yet is kept in.
///
/// **A number is used once**: the same number must never be sealed with two contents.
pub struct Pieces {
    stream: StreamBE32<XChaCha20Poly1305>,
    nonce: [u8; NONCE],
}

impl std::fmt::Debug for Pieces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pieces")
    }
}

impl Pieces {
    /// Random bytes of a file.
    pub const NONCE: usize = NONCE;
    /// A sealed piece is so many bytes longer than what it holds.
    pub const MORE: usize = TAG;

    /// Pieces of a new file.
    ///
    /// # Errors
    /// [`KeyError::NoRandomness`].
    pub fn new(key: &Key) -> Result<Self, KeyError> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|_| KeyError::NoRandomness)?;
        Ok(Self::of(key, nonce))
    }

    /// Pieces of a file that began with these random bytes.
    #[must_use]
    pub fn of(key: &Key, nonce: [u8; NONCE]) -> Self {
        Self { stream: stream(key, &nonce), nonce }
    }

    /// The random bytes.
    #[must_use]
    pub fn nonce(&self) -> &[u8; NONCE] {
        &self.nonce
    }

    /// Seals a piece; `name` and whether it is the last are bound to it.
    ///
    /// # Errors
    /// [`KeyError::Wrong`], for pieces of gigabytes.
    pub fn seal(
        &self,
        number: u32,
        last: bool,
        name: &[u8],
        piece: &[u8],
    ) -> Result<Vec<u8>, KeyError> {
        let payload = Payload { msg: piece, aad: name };
        self.stream.encrypt(number, last, payload).map_err(|_| KeyError::Wrong)
    }

    /// Opens a piece.
    ///
    /// # Errors
    /// [`KeyError::Wrong`].
    pub fn open(
        &self,
        number: u32,
        last: bool,
        name: &[u8],
        sealed: &[u8],
    ) -> Result<Vec<u8>, KeyError> {
        let payload = Payload { msg: sealed, aad: name };
        self.stream.decrypt(number, last, payload).map_err(|_| KeyError::Wrong)
    }
}

/// Writes an encrypted file chunk by chunk: in memory is never more than one.
#[derive(Debug)]
pub struct Writer<'a, W> {
    to: W,
    pieces: Pieces,
    name: &'a [u8],
    number: u32,
    left: u64,
    chunk: Vec<u8>,
}

fn other(e: KeyError) -> std::io::Error {
    std::io::Error::other(e)
}

impl<'a, W: Write> Writer<'a, W> {
    /// Begins a file that will hold `length` bytes.
    ///
    /// # Errors
    /// When `to` fails.
    pub fn new(key: &Key, name: &'a [u8], length: u64, mut to: W) -> std::io::Result<Self> {
        let pieces = Pieces::new(key).map_err(other)?;
        to.write_all(MAGIC)?;
        to.write_all(pieces.nonce())?;
        Ok(Self { to, pieces, name, number: 0, left: length, chunk: Vec::new() })
    }

    /// The next bytes.
    ///
    /// # Errors
    /// When there are more than were announced, or `to` fails.
    pub fn write(&mut self, mut bytes: &[u8]) -> std::io::Result<()> {
        while !bytes.is_empty() {
            let room = CHUNK - self.chunk.len();
            let (now, rest) = bytes.split_at(bytes.len().min(room));
            self.chunk.extend_from_slice(now);
            bytes = rest;
            self.left =
                self.left.checked_sub(now.len() as u64).ok_or_else(|| other(KeyError::Wrong))?;
            if self.chunk.len() == CHUNK && self.left > 0 {
                self.seal(false)?;
            }
        }
        Ok(())
    }

    /// Ends the file and gives back where it was written.
    ///
    /// # Errors
    /// When bytes are missing, or `to` fails.
    pub fn finish(mut self) -> std::io::Result<W> {
        if self.left > 0 {
            return Err(other(KeyError::Wrong));
        }
        self.seal(true)?;
        Ok(self.to)
    }

    fn seal(&mut self, last: bool) -> std::io::Result<()> {
        let sealed = self.pieces.seal(self.number, last, self.name, &self.chunk).map_err(other)?;
        self.to.write_all(&sealed)?;
        self.chunk.clear();
        self.number += 1;
        Ok(())
    }
}

/// Reads an encrypted file from anywhere: in memory is never more than one chunk.
#[derive(Debug)]
pub struct Reader<'a, R> {
    from: R,
    pieces: Pieces,
    name: &'a [u8],
    length: u64,
    chunks: u32,
}

impl<'a, R: Read + Seek> Reader<'a, R> {
    /// Reads the file's beginning.
    ///
    /// # Errors
    /// [`KeyError::Wrong`] inside when it is no encrypted file; when `from` fails.
    pub fn new(key: &Key, name: &'a [u8], mut from: R) -> std::io::Result<Self> {
        let file = from.seek(SeekFrom::End(0))?;
        let length = length(file).ok_or_else(|| other(KeyError::Wrong))?;
        from.rewind()?;
        let mut head = [0; HEAD];
        from.read_exact(&mut head)?;
        let nonce = head.strip_prefix(MAGIC).and_then(|nonce| nonce.try_into().ok());
        let pieces = Pieces::of(key, nonce.ok_or_else(|| other(KeyError::Wrong))?);
        let chunks = (file - HEAD as u64).div_ceil((CHUNK + TAG) as u64);
        let chunks = u32::try_from(chunks).map_err(|_| other(KeyError::Wrong))?;
        Ok(Self { from, pieces, name, length, chunks })
    }

    /// How long the content is, as the file's length says. Bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The content from a position on: what is left of the chunk in which it lies. Empty at the end.
    ///
    /// # Errors
    /// When the chunk is damaged, or `from` fails.
    pub fn read(&mut self, at: u64) -> std::io::Result<Vec<u8>> {
        if at >= self.length {
            return Ok(Vec::new());
        }
        let number = at / CHUNK as u64;
        self.from.seek(SeekFrom::Start(HEAD as u64 + number * (CHUNK + TAG) as u64))?;
        let mut sealed = Vec::with_capacity(CHUNK + TAG);
        self.from.by_ref().take((CHUNK + TAG) as u64).read_to_end(&mut sealed)?;
        let number = u32::try_from(number).map_err(|_| other(KeyError::Wrong))?;
        let last = number + 1 == self.chunks;
        let mut chunk = self.pieces.open(number, last, self.name, &sealed).map_err(other)?;
        let skip = usize::try_from(at % CHUNK as u64).unwrap_or(0);
        chunk.drain(..skip.min(chunk.len()));
        Ok(chunk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn content(n: usize) -> Vec<u8> {
        (0..n).map(|i| (i % 251) as u8).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn a_file_opens_whole_and_from_anywhere(n in 0usize..200_000, from in 0usize..200_000) {
            let key = Key::of([1; 32]);
            let plain = content(n);
            let file = encrypt(&key, b"a", &plain).expect("sealed");
            prop_assert_eq!(&open(&key, b"a", &file).expect("opened"), &plain);
            prop_assert_eq!(length(file.len() as u64), Some(n as u64));
            match open_from(&key, b"a", &file, from) {
                Ok(rest) => prop_assert_eq!(&rest[..], &plain[from..]),
                Err(_) => prop_assert!(from > n || (from == n && n % CHUNK == 0)),
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn what_is_written_in_parts_is_the_same_file_and_is_read_from_anywhere(
            n in 0usize..200_000, step in 1usize..100_000, from in 0usize..200_000,
        ) {
            let key = Key::of([1; 32]);
            let plain = content(n);
            let mut writer = Writer::new(&key, b"a", n as u64, Vec::new()).expect("begun");
            for part in plain.chunks(step) {
                writer.write(part).expect("written");
            }
            let file = writer.finish().expect("whole");
            prop_assert_eq!(&open(&key, b"a", &file).expect("opened"), &plain);
            let cursor = std::io::Cursor::new(&file);
            let mut reader = Reader::new(&key, b"a", cursor).expect("its head");
            prop_assert_eq!(reader.length(), n as u64);
            let got = reader.read(from as u64).expect("read");
            let most = CHUNK - from % CHUNK;
            let expected = plain.get(from..).unwrap_or_default();
            prop_assert_eq!(&got[..], &expected[..expected.len().min(most)]);
        }
    }

    #[test]
    fn a_file_that_is_not_written_whole_is_not_ended() {
        let key = Key::of([1; 32]);
        let mut writer = Writer::new(&key, b"a", 10, Vec::new()).expect("begun");
        writer.write(b"nine byte").expect("written");
        assert!(writer.finish().is_err(), "a byte is missing");
        let mut writer = Writer::new(&key, b"a", 10, Vec::new()).expect("begun");
        assert!(writer.write(b"eleven byte").is_err(), "one too many");
        let mut file = encrypt(&key, b"a", &content(3 * CHUNK)).expect("sealed");
        file[HEAD + CHUNK + TAG + 7] ^= 1;
        let mut reader = Reader::new(&key, b"a", std::io::Cursor::new(&file)).expect("its head");
        assert!(reader.read(0).is_ok() && reader.read(CHUNK as u64).is_err(), "one chunk is bad");
    }

    #[test]
    fn a_changed_cut_or_moved_file_does_not_open() {
        let key = Key::of([1; 32]);
        let file = encrypt(&key, b"a", &content(3 * CHUNK)).expect("sealed");
        for at in [0, 10, HEAD + 5, file.len() - 1] {
            let mut bad = file.clone();
            bad[at] ^= 1;
            assert!(open(&key, b"a", &bad).is_err(), "byte {at}");
        }
        assert!(open(&key, b"a", &file[..HEAD + 2 * (CHUNK + TAG)]).is_err(), "cut at a chunk");
        let mut swapped = file[..HEAD].to_vec();
        swapped.extend_from_slice(&file[HEAD + CHUNK + TAG..HEAD + 2 * (CHUNK + TAG)]);
        swapped.extend_from_slice(&file[HEAD..HEAD + CHUNK + TAG]);
        swapped.extend_from_slice(&file[HEAD + 2 * (CHUNK + TAG)..]);
        assert!(open(&key, b"a", &swapped).is_err(), "two chunks changed places");
        assert!(open(&key, b"b", &file).is_err(), "another file's name");
        assert!(open(&Key::of([2; 32]), b"a", &file).is_err(), "another key");
        assert!(open(&key, b"a", b"").is_err(), "nothing");
    }
}
