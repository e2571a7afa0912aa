//! Encrypted streams: what is too long for memory, written and read once from front to end.
//!
//! 19 random bytes, then chunks of 64 KiB of content, each 16 bytes longer than what it holds:
//! STREAM over XChaCha20-Poly1305 as in files. A chunk is given out only once it is authentic, and
//! the last one says that it is the last.

use crate::Key;
use crate::chunks::{CHUNK, NONCE, TAG, stream};
use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::Payload;
use chacha20poly1305::aead::stream::{StreamBE32, StreamPrimitive};
use std::io::{Read, Write};

/// Why a stream cannot be written or read on.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// It ends before its last chunk, or its end is damaged.
    #[error("it ends too early")]
    Cut,
    /// The wrong key, or damaged bytes.
    #[error("this key does not open it, or it is damaged")]
    Damaged,
    /// Longer than a stream can be.
    #[error("it is too long")]
    TooLong,
    /// The disk.
    #[error(transparent)]
    Disk(#[from] std::io::Error),
}

/// A stream that is being written.
pub struct Sealing<W> {
    stream: StreamBE32<XChaCha20Poly1305>,
    name: Vec<u8>,
    number: u32,
    chunk: Vec<u8>,
    written: u64,
    out: W,
}

impl<W> std::fmt::Debug for Sealing<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealing({} bytes)", self.written)
    }
}

impl<W: Write> Sealing<W> {
    /// Begins a stream; `name` is bound to every chunk. The key is used for nothing else.
    ///
    /// # Errors
    /// When there is no randomness, or the disk fails.
    pub fn begin(key: &Key, name: &[u8], mut out: W) -> Result<Self, StreamError> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|e| std::io::Error::other(e.to_string()))?;
        out.write_all(&nonce)?;
        Ok(Self {
            stream: stream(key, &nonce),
            name: name.to_vec(),
            number: 0,
            chunk: Vec::with_capacity(CHUNK),
            written: NONCE as u64,
            out,
        })
    }

    /// How long the stream would be if it ended here. Bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.written + (self.chunk.len() + TAG) as u64
    }

    /// How much longer the stream becomes by so much content, at most. Bytes.
    #[must_use]
    pub fn cost(content: u64) -> u64 {
        content + (content / CHUNK as u64 + 1) * TAG as u64
    }

    /// Adds content.
    ///
    /// # Errors
    /// When the disk fails, or the stream is too long.
    pub fn write(&mut self, mut content: &[u8]) -> Result<(), StreamError> {
        while !content.is_empty() {
            if self.chunk.len() == CHUNK {
                self.put(false)?;
            }
            let (now, later) = content.split_at(content.len().min(CHUNK - self.chunk.len()));
            self.chunk.extend_from_slice(now);
            content = later;
        }
        Ok(())
    }

    fn put(&mut self, last: bool) -> Result<(), StreamError> {
        let payload = Payload { msg: &self.chunk, aad: &self.name };
        let sealed = self.stream.encrypt(self.number, last, payload);
        let sealed = sealed.map_err(|_| StreamError::TooLong)?;
        self.out.write_all(&sealed)?;
        self.written += sealed.len() as u64;
        self.number = self.number.checked_add(1).ok_or(StreamError::TooLong)?;
        self.chunk.clear();
        Ok(())
    }

    /// Writes the last chunk and gives back where it was written.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn finish(mut self) -> Result<W, StreamError> {
        self.put(true)?;
        Ok(self.out)
    }
}

/// A stream that is being read.
pub struct Opening<R> {
    stream: StreamBE32<XChaCha20Poly1305>,
    name: Vec<u8>,
    number: u32,
    /// Read ahead: whether a chunk is the last is known when nothing follows.
    next: Vec<u8>,
    chunk: Vec<u8>,
    given: usize,
    over: bool,
    read: u64,
    input: R,
}

impl<R> std::fmt::Debug for Opening<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Opening({} bytes)", self.read)
    }
}

impl<R: Read> Opening<R> {
    /// Begins to read a stream.
    ///
    /// # Errors
    /// [`StreamError`].
    pub fn begin(key: &Key, name: &[u8], mut input: R) -> Result<Self, StreamError> {
        let nonce = full(&mut input, NONCE)?;
        if nonce.len() < NONCE {
            return Err(StreamError::Cut);
        }
        let next = full(&mut input, CHUNK + TAG)?;
        let read = (nonce.len() + next.len()) as u64;
        Ok(Self {
            stream: stream(key, &nonce),
            name: name.to_vec(),
            number: 0,
            next,
            chunk: Vec::new(),
            given: 0,
            over: false,
            read,
            input,
        })
    }

    /// How many bytes of the stream were read from where it lies.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.read
    }

    /// Fills `out` with the content that follows; false when the content is over before its first
    /// byte.
    ///
    /// # Errors
    /// [`StreamError`], also when the content ends within `out`.
    pub fn read(&mut self, out: &mut [u8]) -> Result<bool, StreamError> {
        let mut filled = 0;
        while filled < out.len() {
            if self.given == self.chunk.len() {
                if self.over {
                    return if filled == 0 { Ok(false) } else { Err(StreamError::Damaged) };
                }
                self.take()?;
                continue;
            }
            let part = (out.len() - filled).min(self.chunk.len() - self.given);
            out[filled..filled + part].copy_from_slice(&self.chunk[self.given..self.given + part]);
            filled += part;
            self.given += part;
        }
        Ok(true)
    }

    fn take(&mut self) -> Result<(), StreamError> {
        let sealed = std::mem::take(&mut self.next);
        if sealed.len() == CHUNK + TAG {
            self.next = full(&mut self.input, CHUNK + TAG)?;
            self.read += self.next.len() as u64;
        }
        let last = self.next.is_empty();
        let open = |last| {
            let payload = Payload { msg: &sealed[..], aad: &self.name[..] };
            self.stream.decrypt(self.number, last, payload)
        };
        self.chunk = match open(last) {
            Ok(content) => content,
            // Nothing follows, though it is not the last, or the end of it is missing.
            Err(_) if last && (sealed.len() < CHUNK + TAG || open(false).is_ok()) => {
                return Err(StreamError::Cut);
            }
            Err(_) => return Err(StreamError::Damaged),
        };
        self.given = 0;
        self.over = last;
        self.number = self.number.checked_add(1).ok_or(StreamError::TooLong)?;
        Ok(())
    }
}

/// Reads so many bytes, or what there is.
fn full(input: &mut impl Read, bytes: usize) -> Result<Vec<u8>, StreamError> {
    let mut out = Vec::with_capacity(bytes);
    input.take(bytes as u64).read_to_end(&mut out)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn content(n: usize) -> Vec<u8> {
        (0..n).map(|i| (i % 251) as u8).collect()
    }

    fn sealed(plain: &[u8]) -> Vec<u8> {
        let mut sealing = Sealing::begin(&Key::of([1; 32]), b"a", Vec::new()).expect("begun");
        for part in plain.chunks(7_001) {
            sealing.write(part).expect("written");
        }
        let length = sealing.length();
        let out = sealing.finish().expect("finished");
        assert_eq!(out.len() as u64, length);
        out
    }

    fn opened(file: &[u8]) -> Result<Vec<u8>, StreamError> {
        let mut opening = Opening::begin(&Key::of([1; 32]), b"a", file)?;
        let (mut out, mut byte) = (Vec::new(), [0]);
        while opening.read(&mut byte)? {
            out.push(byte[0]);
        }
        Ok(out)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn what_was_written_is_read(n in 0usize..200_000) {
            let plain = content(n);
            let file = sealed(&plain);
            prop_assert!(file.len() as u64 <= NONCE as u64 + Sealing::<Vec<u8>>::cost(n as u64));
            prop_assert_eq!(opened(&file).expect("opened"), plain);
        }
    }

    #[test]
    fn a_stream_that_was_cut_anywhere_says_so() {
        for n in [10, CHUNK, 3 * CHUNK, 3 * CHUNK + 5] {
            let file = sealed(&content(n));
            let cuts = [0, 5, NONCE, NONCE + 3, file.len() / 2, file.len() - 1];
            for at in cuts.into_iter().chain((1..3).map(|i| NONCE + i * (CHUNK + TAG))) {
                if at < file.len() {
                    assert!(matches!(opened(&file[..at]), Err(StreamError::Cut)), "{n} at {at}");
                }
            }
        }
    }

    #[test]
    fn a_changed_byte_or_what_was_put_behind_is_damage() {
        let file = sealed(&content(2 * CHUNK + 100));
        for at in [NONCE + 5, NONCE + CHUNK + TAG + 9] {
            let mut bad = file.clone();
            bad[at] ^= 1;
            assert!(matches!(opened(&bad), Err(StreamError::Damaged)), "byte {at}");
        }
        let whole = sealed(&content(2 * CHUNK));
        let longer = [&whole[..], b"more"].concat();
        assert!(opened(&longer).is_err());
    }
}
