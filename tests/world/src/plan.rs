//! What is to happen in a world: who works when, and what goes wrong when.

use crate::disk::Id;
use std::collections::BTreeSet;

/// Virtual time since the beginning, microseconds.
pub type Micros = u64;
/// A millisecond.
pub const MS: Micros = 1_000;
/// A second.
pub const SECOND: Micros = 1_000 * MS;
/// A minute.
pub const MINUTE: Micros = 60 * SECOND;
/// An hour.
pub const HOUR: Micros = 60 * MINUTE;
/// A day.
pub const DAY: Micros = 24 * HOUR;

/// Where in a commit the power goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// Before anything is written.
    BeforeWrite,
    /// Written, not synced: kept, lost or torn.
    BeforeSync,
    /// On the disk, and nobody was told.
    BeforeAnswer,
    /// The acknowledgement is on its way.
    AfterAnswer,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields say what they are")]
pub enum What {
    /// A connection of a machine breaks; cleanly, or so that each side notices by itself.
    Break { machine: usize, clean: bool },
    /// Some machines cannot reach the others for a while.
    Partition { machines: BTreeSet<usize>, lasts: Micros },
    /// The power goes now and comes back.
    Crash { machine: usize, off: Micros },
    /// The power goes at a coming commit.
    CrashAt { machine: usize, commits: u64, point: Point, off: Micros },
    /// Somebody keeps a copy of the disk.
    Backup { machine: usize },
    /// The copy is put back.
    Restore { machine: usize, new_epoch: bool },
    /// The disk is copied into a second machine, which runs, too.
    Clone { machine: usize },
    /// The clock jumps.
    Jump { machine: usize, ms: i64 },
    /// The disk is full for a while.
    Full { machine: usize, lasts: Micros },
    /// A bit of a stored entry flips.
    Rot { machine: usize },
    /// The county takes a scope from a box.
    Lose { machine: usize, scope: String },
    /// And gives it back.
    Regain { machine: usize, scope: String },
    /// A second connection beside the first.
    Again { machine: usize },
    /// Somebody with the key of a box talks nonsense to a relay.
    Hostile { machine: usize, relay: usize, frames: u32 },
}

/// Something that goes wrong at some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// When.
    pub at: Micros,
    /// What.
    pub what: What,
}

/// Somebody works at a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// When.
    pub at: Micros,
    /// Where.
    pub machine: usize,
    /// In which scope.
    pub scope: String,
}

/// All that is to happen.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The work.
    pub work: Vec<Work>,
    /// The faults, in the order of their times.
    pub faults: Vec<Fault>,
    /// From then on nothing goes wrong any more.
    pub well: Micros,
}

/// A machine's way to the others.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    /// One way, microseconds.
    pub latency: Micros,
    /// It varies by so much, microseconds.
    pub jitter: Micros,
    /// Bits per second, each way.
    pub bits: u64,
}

/// A place at the table of the world.
#[derive(Debug)]
pub struct Seat<D> {
    /// Its disk.
    pub disk: D,
    /// Its device; a clone has the same.
    pub device: [u8; 16],
    /// What it may have.
    pub scopes: BTreeSet<String>,
    /// How it is connected.
    pub access: Access,
    /// Whom it dials, in this order; nobody for a machine that only listens.
    pub dials: Vec<usize>,
    /// How long a commit takes.
    pub commit: Micros,
}

/// What must hold of amounts.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The longest batch, without its last entry. Bytes.
    pub batch: usize,
    /// The longest entry. Bytes.
    pub entry: usize,
}

/// Something that must never be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// When.
    pub at: Micros,
    /// What, in words.
    pub what: String,
}

/// What a world came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Over all that happened, in order.
    pub trace: u64,
    /// Events.
    pub events: u64,
    /// Frames sent.
    pub frames: u64,
    /// Bytes sent.
    pub bytes: u64,
    /// Conversations begun.
    pub sessions: u64,
    /// When the last frame was sent.
    pub quiet_at: Micros,
    /// Entries that everybody who may has.
    pub entries: u64,
    /// Entries that were gone with a disk before anybody else had them.
    pub excused: u64,
    /// Conversations refused because another of the same device lived.
    pub refused: u64,
    /// Scopes that were repaired although the cursors knew of nothing.
    pub repairs: u64,
    /// Entries whose content left a box that may have it no more.
    pub left: u64,
    /// Entries that came by repairs.
    pub healed: u64,
    /// Packets sent, where QUIC carries the frames.
    pub packets: u64,
    /// Of these, lost on the way.
    pub packets_lost: u64,
    /// Of these, come twice.
    pub packets_twice: u64,
    /// The most that was under way in one direction of one connection. Bytes.
    pub most_under_way: usize,
}

/// A short form of a name, for people.
#[must_use]
pub fn short(id: &Id) -> String {
    id[..4].iter().map(|b| format!("{b:02x}")).collect()
}
