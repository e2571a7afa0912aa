//! Attachments piece by piece: what is here is read in groups of 16 KiB, and what is on its way is
//! kept in a part file until all of it is here.
//!
//! A part file lies in `attachments/parts-…` (the stores of one folder have different keys, so
//! different folders) under the attachment's keyed name: `CKP1`, 19 random
//! bytes, 8 bytes of length, the sealed names of the groups (piece 0), then group after group
//! (piece 1 on). Every group was checked before it is written and is checked again when the part is
//! read, so nothing else says how far it is, and what a power cut tore is fetched again.

use crate::{Store, StoreError};
use cunkou_engine::ranges::{ATTACHMENT_BYTES_MAX, GROUP, Outline, Outliner, span};
use cunkou_keys::files::{self, Pieces};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{MutexGuard, PoisonError};

const MAGIC: &[u8; 4] = b"CKP1";
const HEAD: usize = MAGIC.len() + Pieces::NONCE + 8;
/// The content is read in blocks of so many bytes.
const BLOCK: usize = files::CHUNK;

/// A file's content, from anywhere.
enum Content<'a> {
    Sealed(files::Reader<'a, File>),
    Plain(File, u64),
}

impl Content<'_> {
    fn length(&self) -> u64 {
        match self {
            Self::Sealed(reader) => reader.length(),
            Self::Plain(_, length) => *length,
        }
    }

    /// Some bytes from a position on, at most a block; none at the end.
    fn read(&mut self, at: u64) -> io::Result<Vec<u8>> {
        match self {
            Self::Sealed(reader) => reader.read(at),
            Self::Plain(file, _) => {
                file.seek(SeekFrom::Start(at))?;
                let mut out = Vec::new();
                file.take(BLOCK as u64).read_to_end(&mut out)?;
                Ok(out)
            }
        }
    }
}

/// How the pieces of a part file are sealed; not at all in a store without a key.
enum Sealing {
    Keyed(Pieces),
    Plain,
}

impl Sealing {
    fn more(&self) -> usize {
        match self {
            Self::Keyed(_) => Pieces::MORE,
            Self::Plain => 0,
        }
    }

    fn seal(&self, number: u32, last: bool, name: &[u8], piece: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Keyed(pieces) => pieces.seal(number, last, name, piece).map_err(io::Error::other),
            Self::Plain => Ok(piece.to_vec()),
        }
    }

    fn open(&self, number: u32, last: bool, name: &[u8], sealed: Vec<u8>) -> Option<Vec<u8>> {
        match self {
            Self::Keyed(pieces) => pieces.open(number, last, name, &sealed).ok(),
            Self::Plain => Some(sealed),
        }
    }
}

/// What the pieces of a part file are bound to.
fn part_name(id: &[u8; 32], length: u64) -> Vec<u8> {
    [&b"cunkou part v1\0"[..], id, &length.to_be_bytes()].concat()
}

/// Where a group's piece lies.
fn place(outline: &Outline, more: usize, group: u16) -> u64 {
    let names = outline.names().len() + more;
    (HEAD + names) as u64 + u64::from(group) * (GROUP + more) as u64
}

fn missing(e: &io::Error) -> bool {
    e.kind() == ErrorKind::NotFound
}

impl Store {
    fn content(&self, id: &'_ [u8; 32]) -> Result<Option<(PathBuf, File)>, StoreError> {
        let path = self.attachment_path(id);
        match File::open(&path) {
            Ok(file) => Ok(Some((path, file))),
            Err(e) if missing(&e) => Ok(None),
            Err(source) => Err(StoreError::Disk { path, source }),
        }
    }

    /// Works on an attachment's content; nothing when it is not here.
    fn with_content<T>(
        &self,
        id: &[u8; 32],
        work: impl FnOnce(&mut Content<'_>) -> io::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        let Some((path, file)) = self.content(id)? else { return Ok(None) };
        let read = || {
            let mut content = match &self.files {
                Some(keys) => Content::Sealed(files::Reader::new(&keys.content, id, file)?),
                None => {
                    let length = file.metadata()?.len();
                    Content::Plain(file, length)
                }
            };
            work(&mut content)
        };
        match read() {
            Ok(out) => Ok(Some(out)),
            // What the key does not open.
            Err(e) if matches!(e.kind(), ErrorKind::Other | ErrorKind::UnexpectedEof) => {
                Err(StoreError::Damaged { what: "attachment" })
            }
            Err(source) => Err(StoreError::Disk { path, source }),
        }
    }

    /// The outline of an attachment that is here; the whole file is read and checked against its
    /// name, a block at a time.
    ///
    /// # Errors
    /// When the disk fails or the file is damaged.
    pub fn attachment_outline(&self, id: &[u8; 32]) -> Result<Option<Outline>, StoreError> {
        let outline = self.with_content(id, |content| {
            let mut outliner = Outliner::default();
            let mut at = 0;
            while at < content.length() {
                let block = content.read(at)?;
                if block.is_empty() {
                    return Err(ErrorKind::UnexpectedEof.into());
                }
                outliner.read(&block);
                at += block.len() as u64;
            }
            outliner.finish().map_err(io::Error::other)
        })?;
        match outline {
            Some(outline) if outline.id() != id => Err(StoreError::Damaged { what: "attachment" }),
            outline => Ok(outline),
        }
    }

    /// The length of an attachment that is here and some of its groups, those behind the end left
    /// out.
    ///
    /// # Errors
    /// When the disk fails or the file is damaged.
    pub fn attachment_groups(
        &self,
        id: &[u8; 32],
        first: u16,
        count: u8,
    ) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        self.with_content(id, |content| {
            let length = content.length();
            let (mut at, all) = span(length, first, count);
            let mut out = Vec::with_capacity(all);
            while out.len() < all {
                let block = content.read(at)?;
                if block.is_empty() {
                    return Err(ErrorKind::UnexpectedEof.into());
                }
                let block = &block[..block.len().min(all - out.len())];
                out.extend_from_slice(block);
                at += block.len() as u64;
            }
            Ok((length, out))
        })
    }

    fn part_path(&self, id: &[u8; 32]) -> PathBuf {
        let path = self.attachment_path(id);
        let (a, b) = (path.parent().and_then(Path::file_name), path.file_name());
        let name: String =
            [a, b].into_iter().flatten().map(|part| part.to_string_lossy()).collect();
        self.parts_folder().join(name)
    }

    fn parts_folder(&self) -> PathBuf {
        let of = self.files.as_ref().map_or([0; 32], |keys| *keys.names.bytes());
        let name = blake3::keyed_hash(&of, b"parts").to_hex();
        self.attachments.join(format!("parts-{}", &name[..8]))
    }

    fn parts_turn(&self) -> MutexGuard<'_, ()> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sealing(&self, nonce: [u8; Pieces::NONCE]) -> Sealing {
        match &self.files {
            Some(keys) => Sealing::Keyed(Pieces::of(&keys.content, nonce)),
            None => Sealing::Plain,
        }
    }

    /// What is here of an attachment that is on its way: its outline and how many groups from the
    /// first on. A part that does not hold is removed.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn part(&self, id: &[u8; 32]) -> Result<Option<(Outline, u16)>, StoreError> {
        let path = self.part_path(id);
        let disk = |source| StoreError::Disk { path: path.clone(), source };
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if missing(&e) => return Ok(None),
            Err(source) => return Err(disk(source)),
        };
        let Some((outline, sealing)) = self.part_head(id, &mut file).map_err(disk)? else {
            self.remove_part(id)?;
            return Ok(None);
        };
        let mut here = 0;
        while here < outline.groups()
            && part_group(&mut file, &outline, &sealing, here).map_err(disk)?.is_some()
        {
            here += 1;
        }
        Ok(Some((outline, here)))
    }

    /// The beginning of a part file, when it holds.
    fn part_head(&self, id: &[u8; 32], file: &mut File) -> io::Result<Option<(Outline, Sealing)>> {
        let mut head = [0; HEAD];
        if !filled(file, &mut head)? {
            return Ok(None);
        }
        let Some(rest) = head.strip_prefix(MAGIC) else { return Ok(None) };
        let Some((nonce, length)) = rest.split_first_chunk() else { return Ok(None) };
        let length = length.try_into().map_or(0, u64::from_be_bytes);
        let Ok(names_len) = Outline::names_len(length) else { return Ok(None) };
        let sealing = self.sealing(*nonce);
        let mut sealed = vec![0; names_len + sealing.more()];
        if !filled(file, &mut sealed)? {
            return Ok(None);
        }
        let names = sealing.open(0, false, &part_name(id, length), sealed);
        let outline = names.and_then(|names| Outline::check(*id, length, &names).ok());
        Ok(outline.map(|outline| (outline, sealing)))
    }

    /// Begins a part anew.
    fn begin_part(&self, outline: &Outline) -> Result<(), StoreError> {
        let path = self.part_path(outline.id());
        let disk = |source| StoreError::Disk { path: path.clone(), source };
        let folder = self.parts_folder();
        fs::create_dir_all(&folder).map_err(disk)?;
        let sealing = match &self.files {
            Some(keys) => Sealing::Keyed(Pieces::new(&keys.content)?),
            None => Sealing::Plain,
        };
        let nonce = match &sealing {
            Sealing::Keyed(pieces) => *pieces.nonce(),
            Sealing::Plain => [0; Pieces::NONCE],
        };
        let name = part_name(outline.id(), outline.length());
        let write = || -> io::Result<()> {
            let names = sealing.seal(0, false, &name, &outline.names())?;
            let mut file = File::create(&path)?;
            file.write_all(MAGIC)?;
            file.write_all(&nonce)?;
            file.write_all(&outline.length().to_be_bytes())?;
            file.write_all(&names)?;
            file.sync_all()?;
            sync_folder(&folder)
        };
        write().map_err(disk)
    }

    /// Keeps groups, the first of them being number `first`; on disk when this returns. A part
    /// begins with its first group. False when the part is gone: somebody removed it meanwhile.
    ///
    /// # Errors
    /// When the bytes are not these groups, or the disk fails.
    pub fn keep_groups(
        &self,
        outline: &Outline,
        first: u16,
        bytes: &[u8],
    ) -> Result<bool, StoreError> {
        let groups = || (first..).zip(bytes.chunks(GROUP));
        if groups().any(|(group, piece)| outline.verify(group, piece).is_err()) {
            return Err(StoreError::Damaged { what: "group of an attachment" });
        }
        // Two peers may give the same attachment at once.
        let _turn = self.parts_turn();
        if first == 0 && self.part(outline.id())?.is_none_or(|(kept, _)| kept != *outline) {
            self.begin_part(outline)?;
        }
        let path = self.part_path(outline.id());
        let disk = |source| StoreError::Disk { path: path.clone(), source };
        let mut file = match File::options().read(true).write(true).open(&path) {
            Ok(file) => file,
            Err(e) if missing(&e) => return Ok(false),
            Err(source) => return Err(disk(source)),
        };
        let Some((kept, sealing)) = self.part_head(outline.id(), &mut file).map_err(disk)? else {
            return Ok(false);
        };
        if kept != *outline {
            return Ok(false);
        }
        let name = part_name(outline.id(), outline.length());
        let mut write = || -> io::Result<()> {
            for (group, piece) in groups() {
                let last = group + 1 == outline.groups();
                let sealed = sealing.seal(u32::from(group) + 1, last, &name, piece)?;
                file.seek(SeekFrom::Start(place(outline, sealing.more(), group)))?;
                file.write_all(&sealed)?;
            }
            file.sync_data()
        };
        write().map(|()| true).map_err(disk)
    }

    /// Makes a whole part the attachment's file: checked against its name, on disk when this
    /// returns. False when the part is gone or not whole.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn finish_part(&self, outline: &Outline) -> Result<bool, StoreError> {
        let id = outline.id();
        let _turn = self.parts_turn();
        let part = self.part_path(id);
        let disk = |source| StoreError::Disk { path: part.clone(), source };
        let mut from = match File::open(&part) {
            Ok(file) => file,
            Err(e) if missing(&e) => return Ok(false),
            Err(source) => return Err(disk(source)),
        };
        let Some((kept, sealing)) = self.part_head(id, &mut from).map_err(disk)? else {
            return Ok(false);
        };
        let whole = self.place_file(id, kept.length(), |to| {
            let mut hasher = blake3::Hasher::new();
            for group in 0..kept.groups() {
                let Some(bytes) = part_group(&mut from, &kept, &sealing, group)? else {
                    return Ok(false);
                };
                hasher.update(&bytes);
                to.write(&bytes)?;
            }
            Ok(hasher.finalize().as_bytes() == id)
        })?;
        if whole {
            self.remove_part(id)?;
        }
        Ok(whole)
    }

    /// Removes what is here of an attachment that was on its way.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn remove_part(&self, id: &[u8; 32]) -> Result<(), StoreError> {
        let path = self.part_path(id);
        match fs::remove_file(&path) {
            Ok(()) => Ok(()),
            Err(e) if missing(&e) => Ok(()),
            Err(source) => Err(StoreError::Disk { path, source }),
        }
    }

    /// Removes parts of attachments that are not among these; gives how many.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn sweep_parts(&self, wanted: &[[u8; 32]]) -> Result<usize, StoreError> {
        let folder = self.parts_folder();
        let disk = |source| StoreError::Disk { path: folder.clone(), source };
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(e) if missing(&e) => return Ok(0),
            Err(source) => return Err(disk(source)),
        };
        let keep: Vec<PathBuf> = wanted.iter().map(|id| self.part_path(id)).collect();
        let mut gone = 0;
        for entry in entries {
            let path = entry.map_err(disk)?.path();
            if !keep.contains(&path) {
                fs::remove_file(&path).map_err(disk)?;
                gone += 1;
            }
        }
        Ok(gone)
    }
}

/// A group of a part, when it is here and right.
fn part_group(
    file: &mut File,
    outline: &Outline,
    sealing: &Sealing,
    group: u16,
) -> io::Result<Option<Vec<u8>>> {
    file.seek(SeekFrom::Start(place(outline, sealing.more(), group)))?;
    let (_, length) = outline.span(group, 1);
    let mut sealed = vec![0; length + sealing.more()];
    if !filled(file, &mut sealed)? {
        return Ok(None);
    }
    let last = group + 1 == outline.groups();
    let name = part_name(outline.id(), outline.length());
    let bytes = sealing.open(u32::from(group) + 1, last, &name, sealed);
    Ok(bytes.filter(|bytes| outline.verify(group, bytes).is_ok()))
}

/// Reads as many bytes as there is room for; false when the file ends before.
fn filled(file: &mut File, room: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(room) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(e) => Err(e),
    }
}

pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Where the bytes of a new file go.
pub(crate) enum FileWriter<'a> {
    Sealed(files::Writer<'a, File>),
    Plain(File),
}

impl FileWriter<'_> {
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Sealed(writer) => writer.write(bytes),
            Self::Plain(file) => file.write_all(bytes),
        }
    }

    pub(crate) fn finish(self) -> io::Result<File> {
        match self {
            Self::Sealed(writer) => writer.finish(),
            Self::Plain(file) => Ok(file),
        }
    }
}

// A group fits into a file's blocks, and a length into what is answered.
const _: () = assert!(BLOCK.is_multiple_of(GROUP) && ATTACHMENT_BYTES_MAX < u32::MAX as u64);
