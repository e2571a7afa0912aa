//! Backups: one sealed file of named members.
//!
//! Four letters that say whose it is, the length (4 bytes) and bytes of a key sealed to the
//! county's recovery key, then members: length of the name (4), name, length (8), encrypted bytes.
//! A member is bound to its place and name; the last one is empty and called `end`.

use crate::chunks::{encrypt, open};
use crate::{BoxSecret, Key, KeyError, open_sealed, seal_to};
use std::io::{Read, Write};
use zeroize::Zeroizing;

/// A large file is cut into members of this length. Bytes.
pub const ARCHIVE_PART: usize = 32 * 1024 * 1024;
/// No name of a member is longer. Bytes.
const NAME_MAX: usize = 200;
/// No sealed key is longer. Bytes.
const SEALED_MAX: usize = 1024;
const END: &str = "end";

/// Whose backups: two kinds never open as each other.
#[derive(Clone, Copy, Debug)]
pub struct ArchiveKind {
    /// The first four bytes of the file.
    pub magic: &'static [u8; 4],
    /// What the key is bound to.
    pub info: &'static [u8],
}

/// Why a backup cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Not a backup of this kind.
    #[error("this is no backup of this kind")]
    Other,
    /// Damaged, cut short, or for another key; these cannot be told apart.
    #[error("the backup is damaged, or the recovery key is another county's")]
    Damaged,
    /// A key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The disk.
    #[error("the disk failed: {0}")]
    Disk(#[from] std::io::Error),
}

/// A backup that is being written.
#[derive(Debug)]
pub struct ArchiveWriter<W> {
    to: W,
    key: Key,
    members: u64,
}

fn bound(index: u64, name: &str) -> Vec<u8> {
    [&index.to_be_bytes()[..], name.as_bytes()].concat()
}

impl<W: Write> ArchiveWriter<W> {
    /// Begins a backup that the secret of `recovery` opens, under a new key.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn begin(mut to: W, kind: ArchiveKind, recovery: &[u8; 32]) -> Result<Self, ArchiveError> {
        let key = Key::random()?;
        let sealed = seal_to(recovery, None, kind.info, key.bytes())?;
        to.write_all(kind.magic)?;
        to.write_all(&(sealed.len() as u32).to_be_bytes())?;
        to.write_all(&sealed)?;
        Ok(Self { to, key, members: 0 })
    }

    /// The key of this backup alone, to read it back.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// One member; it must fit into memory.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn member(&mut self, name: &str, content: &[u8]) -> Result<(), ArchiveError> {
        let bytes = encrypt(&self.key, &bound(self.members, name), content)?;
        self.members += 1;
        self.to.write_all(&(name.len() as u32).to_be_bytes())?;
        self.to.write_all(name.as_bytes())?;
        self.to.write_all(&(bytes.len() as u64).to_be_bytes())?;
        self.to.write_all(&bytes)?;
        Ok(())
    }

    /// A file as members of one name, in parts of [`ARCHIVE_PART`]; `each` sees every part.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn file(
        &mut self,
        name: &str,
        mut from: impl Read,
        mut each: impl FnMut(&[u8]),
    ) -> Result<(), ArchiveError> {
        loop {
            let mut part = Vec::new();
            from.by_ref().take(ARCHIVE_PART as u64).read_to_end(&mut part)?;
            if part.is_empty() {
                return Ok(());
            }
            each(&part);
            self.member(name, &part)?;
        }
    }

    /// Says that this was all. What was written is not on the disk yet.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn finish(mut self) -> Result<W, ArchiveError> {
        self.member(END, b"")?;
        self.to.flush()?;
        Ok(self.to)
    }
}

/// A member's name and content.
pub type Member = (String, Zeroizing<Vec<u8>>);

/// A backup that is being read.
#[derive(Debug)]
pub struct ArchiveReader<R> {
    from: R,
    key: Key,
    members: u64,
}

impl<R: Read> ArchiveReader<R> {
    /// Opens a backup with the recovery key.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn begin(from: R, kind: ArchiveKind, secret: &BoxSecret) -> Result<Self, ArchiveError> {
        let (from, sealed) = head(from, kind)?;
        let key =
            open_sealed(secret, None, kind.info, &sealed).map_err(|_| ArchiveError::Damaged)?;
        let key = <[u8; 32]>::try_from(&key[..]).map_err(|_| ArchiveError::Damaged)?;
        Ok(Self { from, key: Key::of(key), members: 0 })
    }

    /// Reads back what [`ArchiveWriter::key`] wrote.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn with_key(from: R, kind: ArchiveKind, key: &Key) -> Result<Self, ArchiveError> {
        let (from, _) = head(from, kind)?;
        Ok(Self { from, key: key.clone(), members: 0 })
    }

    /// The next member, or nothing at the end that was written as such.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn member(&mut self) -> Result<Option<Member>, ArchiveError> {
        let length = number(&mut self.from)?;
        if length > NAME_MAX {
            return Err(ArchiveError::Damaged);
        }
        let name =
            String::from_utf8(exact(&mut self.from, length)?).map_err(|_| ArchiveError::Damaged)?;
        let mut length = [0; 8];
        self.from.read_exact(&mut length).map_err(|_| ArchiveError::Damaged)?;
        let length = usize::try_from(u64::from_be_bytes(length));
        let length = length.map_err(|_| ArchiveError::Damaged)?;
        if length > ARCHIVE_PART + ARCHIVE_PART / 64 {
            return Err(ArchiveError::Damaged);
        }
        let bytes = exact(&mut self.from, length)?;
        let content = open(&self.key, &bound(self.members, &name), &bytes)
            .map_err(|_| ArchiveError::Damaged)?;
        self.members += 1;
        Ok((name != END).then(|| (name, Zeroizing::new(content))))
    }
}

fn head<R: Read>(mut from: R, kind: ArchiveKind) -> Result<(R, Vec<u8>), ArchiveError> {
    let mut magic = [0; 4];
    from.read_exact(&mut magic).map_err(|_| ArchiveError::Damaged)?;
    if &magic != kind.magic {
        return Err(ArchiveError::Other);
    }
    let length = number(&mut from)?;
    if length > SEALED_MAX {
        return Err(ArchiveError::Damaged);
    }
    let sealed = exact(&mut from, length)?;
    Ok((from, sealed))
}

fn number(from: &mut impl Read) -> Result<usize, ArchiveError> {
    let mut length = [0; 4];
    from.read_exact(&mut length).map_err(|_| ArchiveError::Damaged)?;
    Ok(u32::from_be_bytes(length) as usize)
}

fn exact(from: &mut impl Read, length: usize) -> Result<Vec<u8>, ArchiveError> {
    let mut bytes = Vec::new();
    from.take(length as u64).read_to_end(&mut bytes)?;
    if bytes.len() == length { Ok(bytes) } else { Err(ArchiveError::Damaged) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: ArchiveKind = ArchiveKind { magic: b"ONE1", info: b"one" };
    const TWO: ArchiveKind = ArchiveKind { magic: b"TWO1", info: b"two" };

    fn written(secret: &BoxSecret) -> Vec<u8> {
        let public = secret.public().expect("a key");
        let mut to = ArchiveWriter::begin(Vec::new(), ONE, &public).expect("begun");
        to.member("first", b"words").expect("written");
        to.file("file", &vec![7; 100][..], |_| ()).expect("written");
        to.finish().expect("finished")
    }

    type Members = Vec<(String, Vec<u8>)>;

    fn read(bytes: &[u8], kind: ArchiveKind, secret: &BoxSecret) -> Result<Members, ArchiveError> {
        let mut from = ArchiveReader::begin(bytes, kind, secret)?;
        let mut out = Vec::new();
        while let Some((name, content)) = from.member()? {
            out.push((name, content.to_vec()));
        }
        Ok(out)
    }

    #[test]
    fn a_backup_opens_with_its_secret_and_in_its_kind_only() {
        let secret = BoxSecret::random().expect("random");
        let bytes = written(&secret);
        let all = read(&bytes, ONE, &secret).expect("opens");
        assert_eq!(all, [("first".into(), b"words".to_vec()), ("file".into(), vec![7; 100])]);
        let other = BoxSecret::random().expect("random");
        assert!(matches!(read(&bytes, ONE, &other), Err(ArchiveError::Damaged)));
        assert!(matches!(read(&bytes, TWO, &secret), Err(ArchiveError::Other)));
        assert!(!bytes.windows(5).any(|w| w == b"words"));
    }

    #[test]
    fn no_byte_of_a_backup_can_change_or_lack() {
        let secret = BoxSecret::random().expect("random");
        let bytes = written(&secret);
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            assert!(read(&bad, ONE, &secret).is_err(), "byte {at} changed");
            assert!(read(&bytes[..at], ONE, &secret).is_err(), "cut at {at}");
        }
    }
}
