//! What a disk that fills up still takes: first photos of others stay where they are, then no new
//! ones are taken, last of all no forms; what was begun with the county is finished to the end.

use crate::Replica;
use cunkou_casework::ids::AttachmentId;
use cunkou_store::{NoRoom, StoreError};
use tracing::{info, warn};

const MIB: u64 = 1024 * 1024;

/// The disk under a folder. Bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Free for this program.
    pub free: u64,
    /// In all.
    pub total: u64,
    /// Nothing can be written.
    pub read_only: bool,
}

/// What there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Room {
    /// Everything.
    Plenty,
    /// No photos that others took: the county has them, or a box that waits.
    NoFetching,
    /// No new photos either: one is as large as a hundred forms.
    NoPhotos,
    /// Nothing that people write; what peers acknowledge and send is still taken.
    NoForms,
    /// Nothing: the disk can only be read.
    ReadOnly,
}

impl Room {
    /// Its word in status.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Plenty => "plenty",
            Self::NoFetching => "no_fetching",
            Self::NoPhotos => "no_photos",
            Self::NoForms => "no_forms",
            Self::ReadOnly => "read_only",
        }
    }
}

/// Where the stops are. A part of the disk, because a box has a small one; and no more than a
/// number, because a hundredth of a county's disk is more than a village ever writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Marks {
    /// A township's day of photos, a few times.
    fetching: u64,
    /// A few hundred photos; those who are under way with a case can finish it.
    photos: u64,
    /// The write-ahead log (16 MiB between checkpoints) and what a checkpoint may add.
    forms: u64,
    ballast: u64,
}

impl Marks {
    fn of(total: u64) -> Self {
        Self {
            fetching: (total / 10).min(2048 * MIB),
            photos: (total / 20).min(512 * MIB),
            forms: (total / 50).min(48 * MIB),
            ballast: (total / 50).min(32 * MIB),
        }
    }
}

impl Replica {
    /// The disk under this replica, when the system tells.
    #[must_use]
    pub fn disk(&self) -> Option<Disk> {
        self.world.disk(self.store.folder())
    }

    /// What there is room for now.
    #[must_use]
    pub fn room(&self) -> Room {
        let Some(disk) = self.disk() else { return Room::Plenty };
        let marks = Marks::of(disk.total);
        // Its room is for what is under way; until it is held again, nothing new begins.
        let released = self.store.ballast() == Some(0) && disk.free < marks.photos;
        match disk.free {
            _ if disk.read_only => Room::ReadOnly,
            free if free < marks.forms || released => Room::NoForms,
            free if free < marks.photos => Room::NoPhotos,
            free if free < marks.fetching => Room::NoFetching,
            _ => Room::Plenty,
        }
    }

    /// Takes ballast while there is room, gives it up when there is none left, and tells the
    /// link when something may be fetched again. To be called every minute or so.
    ///
    /// # Errors
    /// When the disk fails otherwise than by being full.
    pub fn look_after_room(&self) -> Result<Room, StoreError> {
        let Some(disk) = self.disk().filter(|disk| !disk.read_only) else { return Ok(self.room()) };
        let marks = Marks::of(disk.total);
        let held = self.store.ballast();
        if disk.free < marks.forms && held.is_some_and(|bytes| bytes > 0) {
            self.store.release_ballast()?;
            warn!(free = disk.free, "the disk is full; the ballast is given up");
        } else if held.unwrap_or(0) < marks.ballast && disk.free >= marks.photos + marks.ballast {
            match self.store.take_ballast(marks.ballast) {
                Ok(()) => info!(bytes = marks.ballast, "ballast is taken"),
                Err(e) if e.no_room().is_some() => {
                    warn!(error = %e, "there is no room for ballast")
                }
                Err(e) => return Err(e),
            }
        }
        let room = self.room();
        if room == Room::Plenty && !self.store.read(|view| view.attachments_wanted())?.is_empty() {
            self.changed();
        }
        Ok(room)
    }

    /// Of what is wanted, what there is room for: the catalogue always, it is small and everything
    /// rests on it.
    pub(crate) fn room_for(&self, wanted: Vec<[u8; 32]>) -> Vec<[u8; 32]> {
        if self.room() == Room::Plenty {
            return wanted;
        }
        let catalogue = self.county().catalogue().map(|(_, digest)| digest);
        wanted.into_iter().filter(|id| Some(AttachmentId(*id)) == catalogue).collect()
    }

    /// Nothing when people may write; else why not.
    pub(crate) fn no_forms(&self) -> Option<NoRoom> {
        match self.room() {
            Room::ReadOnly => Some(NoRoom::ReadOnly),
            Room::NoForms => Some(NoRoom::Full),
            _ => None,
        }
    }
}
