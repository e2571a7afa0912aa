//! What the world asks of a machine's store, whichever kind of disk is under it.

use crate::rng::Rng;
use cunkou_engine::{Port, PortError};
use std::collections::BTreeMap;

/// The name of an entry.
pub type Id = [u8; 32];

/// An entry as a disk holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// In which scope's log.
    pub scope: String,
    /// False when it was set aside.
    pub counts: bool,
    /// A sum over its bytes.
    pub sum: u64,
}

/// An entry that this machine has made itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Its name.
    pub id: Id,
    /// Its scope.
    pub scope: String,
    /// A sum over its bytes.
    pub sum: u64,
    /// How many bytes.
    pub bytes: u64,
}

/// A sum over bytes that tells different ones apart.
#[must_use]
pub fn sum(bytes: &[u8]) -> u64 {
    let mut sum = 0xcbf2_9ce4_8422_2325 ^ bytes.len() as u64;
    for part in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..part.len()].copy_from_slice(part);
        sum = (sum ^ u64::from_le_bytes(word)).wrapping_mul(0x9fb2_1c65_1e98_df25);
        sum ^= sum >> 29;
    }
    sum
}

/// A machine's disk with the store on it: a model in memory or a real replica in a folder.
///
/// All that peers may do goes through [`Disk::port`]; the rest is what happens to disks.
pub trait Disk: Sized {
    /// A whole disk as it was at some time.
    type Image: Clone + std::fmt::Debug;

    /// The store behind this machine's sessions. Only while it is on.
    fn port(&self) -> &dyn Port;

    /// The key by which peers know this machine.
    fn key(&self) -> [u8; 32];

    /// The name of the entry in these bytes; nothing when they are none.
    fn id_of(bytes: &[u8]) -> Option<Id>;

    /// The entries in a body of whole subjects, on a disk whose bodies the world can read.
    fn entries_in(_body: &[u8]) -> Vec<Vec<u8>> {
        Vec::new()
    }

    /// Somebody works: one or more entries are made in a scope and committed.
    ///
    /// # Errors
    /// When the disk fails; nothing is then promised to anybody.
    fn work(&mut self, scope: &str, rng: &mut Rng) -> Result<(), PortError>;

    /// What this machine has made since it was last asked.
    fn news(&mut self) -> Vec<Made>;

    /// All that is held now.
    fn held(&self) -> BTreeMap<Id, Held>;

    /// The county takes a scope from a device, or gives it back; everybody knows at once.
    fn shrinks(&mut self, _device: [u8; 16], _scope: &str, _away: bool) {}

    /// What this machine does when somebody's scopes have changed.
    fn scopes_changed(&mut self) {}

    /// Entries whose content has left this disk since it was last asked, with their scope.
    fn left(&mut self) -> Vec<Id> {
        Vec::new()
    }

    /// The next commit is written and not synced, on a disk that can be told so.
    fn skip_next_sync(&mut self) {}

    /// The power goes. What was not synced may be kept, lost or torn.
    fn cut(&mut self, rng: &mut Rng);

    /// The machine starts from what is on its disk.
    fn start(&mut self, rng: &mut Rng);

    /// The disk as it lies, of a machine that is off.
    fn image(&self) -> Self::Image;

    /// Puts an older disk in. With a new epoch as the operator's command gives it, or without as
    /// when nobody noticed.
    fn restore(&mut self, image: &Self::Image, new_epoch: bool, rng: &mut Rng);

    /// A copy of the disk in a second machine.
    fn copied(&self, rng: &mut Rng) -> Self;

    /// Whether writes fail for lack of room, on a disk that can be full.
    fn set_full(&mut self, _full: bool) {}

    /// The machine's clock jumps by so many milliseconds, to whole days.
    fn jump(&mut self, ms: i64);

    /// A bit of some stored entry flips. False when this disk cannot.
    fn rot(&mut self, _rng: &mut Rng) -> bool {
        false
    }

    /// Whether a read has met bytes that do not fit their hash.
    fn damaged(&self) -> bool {
        false
    }

    /// Reads everything once, as the weekly scrub does. True when something is rotten.
    fn scrub(&mut self) -> bool {
        false
    }

    /// Throws out what is rotten; the store begins a new epoch and reads its peers anew.
    fn heal(&mut self, _rng: &mut Rng) {}

    /// A batch of so many entries has begun to be written.
    fn reserve(&self, _peer: &[u8; 16], _scope: &str, _entries: usize) {}
}
