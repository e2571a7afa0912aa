//! A file that holds room for bad days, and the words of SQLite and the system for a full disk.

use crate::{Store, StoreError};
use rusqlite::ErrorCode;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::PathBuf;

const BALLAST: &str = "ballast";

/// Why nothing can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoom {
    /// The disk is full.
    Full,
    /// It can only be read.
    ReadOnly,
}

impl StoreError {
    /// Whether the disk takes nothing more. What was committed is there all the same.
    #[must_use]
    pub fn no_room(&self) -> Option<NoRoom> {
        match self {
            Self::Sqlite(e) => match e.sqlite_error_code() {
                Some(ErrorCode::DiskFull) => Some(NoRoom::Full),
                Some(ErrorCode::ReadOnly) => Some(NoRoom::ReadOnly),
                _ => None,
            },
            Self::Disk { source, .. } => match source.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Some(NoRoom::Full),
                ErrorKind::ReadOnlyFilesystem => Some(NoRoom::ReadOnly),
                _ => None,
            },
            _ => None,
        }
    }
}

impl Store {
    fn ballast_path(&self) -> PathBuf {
        self.folder().join(BALLAST)
    }

    /// How many bytes the ballast holds: 0 when it was released, nothing when there never was one.
    #[must_use]
    pub fn ballast(&self) -> Option<u64> {
        fs::metadata(self.ballast_path()).ok().map(|found| found.len())
    }

    /// Takes room for bad days.
    ///
    /// # Errors
    /// When the disk has no such room; the ballast is then released.
    pub fn take_ballast(&self, bytes: u64) -> Result<(), StoreError> {
        let path = self.ballast_path();
        let taken = File::create(&path).and_then(|file| {
            let flags = rustix::fs::FallocateFlags::empty();
            match rustix::fs::fallocate(&file, flags, 0, bytes).map_err(std::io::Error::from) {
                // A file system that cannot give room without writing it.
                Err(e) if e.kind() == ErrorKind::Unsupported => {
                    std::io::copy(&mut std::io::repeat(0xb5).take(bytes), &mut &file)?;
                }
                done => done?,
            }
            file.sync_all()
        });
        taken.map_err(|source| {
            // An empty file needs no room.
            let _ = File::create(&path);
            StoreError::Disk { path, source }
        })
    }

    /// Gives the room back: what is under way is written into it. That it was given stays visible
    /// as an empty file.
    ///
    /// # Errors
    /// When the disk can only be read.
    pub fn release_ballast(&self) -> Result<(), StoreError> {
        let path = self.ballast_path();
        let released = File::create(&path).and_then(|file| file.sync_all());
        released.map_err(|source| StoreError::Disk { path, source })
    }
}
