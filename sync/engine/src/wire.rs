//! Frames: what two sessions say to each other. Deterministic CBOR behind a length.

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

/// The protocol version spoken.
pub const PROTOCOL: u16 = 1;
/// A frame is never longer. Bytes.
pub const FRAME_BYTES_MAX: usize = 1024 * 1024;
/// A batch of entries is about this long: what a cut costs. Bytes.
pub const BATCH_BYTES: usize = 64 * 1024;
/// The same for a peer that takes one batch at a time. Bytes.
pub const LONE_BATCH_BYTES: usize = 256 * 1024;
/// A frame carries at most this many entries: a batch of the shortest possible ones is half of it.
pub const ENTRIES_MAX: usize = 2000;
/// A hello names at most this many scopes.
pub const SCOPES_MAX: usize = 4096;

/// One scope in a hello.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ScopeState {
    /// Name.
    #[n(0)]
    pub scope: String,
    /// Head of the sender's own log of it.
    #[n(1)]
    pub head: u64,
    /// How far the sender has read the receiver's log of it.
    #[n(2)]
    pub read: u64,
    /// The receiver's epoch in which that was.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub epoch: [u8; 16],
    /// How far the receiver has acknowledged the sender's log of it, as the sender knows.
    #[n(4)]
    pub acked: Option<u64>,
    /// What the sender's log of it holds up to its head ([`crate::NameSum::digest`]).
    #[cbor(n(5), with = "minicbor::bytes")]
    pub sum: Option<[u8; 16]>,
    /// Present where the sender would have whole subjects before the receiver's log of it: after
    /// which [`Frame::Whole`], empty for the first.
    #[n(6)]
    pub whole: Option<ByteVec>,
}

/// The first frame of each side.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Hello {
    /// Protocol spoken.
    #[n(0)]
    pub protocol: u16,
    /// The sender's store.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub store: [u8; 16],
    /// The store's epoch: changes whenever its log may have gone back.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub epoch: [u8; 16],
    /// The run of the sender's process.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub incarnation: [u8; 16],
    /// Software version, for the county's list of boxes.
    #[n(4)]
    pub software: String,
    /// The sender's clock, milliseconds since 1970 UTC.
    #[n(5)]
    pub time_ms: i64,
    /// The scopes it wants and has.
    #[n(6)]
    pub scopes: Vec<ScopeState>,
    /// What the sender understands beside protocol 1 ([`features`]); absent from the first version.
    #[n(7)]
    pub features: Option<u64>,
}

/// What a program may understand beside the frames of the first version: bits in
/// [`Hello::features`]. Nothing of it is used before both sides have said that they know it.
pub mod features {
    /// A brief hello when both remember the same ([`super::Frame`] 7).
    pub const BRIEF: u64 = 1;
    /// Batches compressed with zstd, several on their way at once.
    pub const PACKED: u64 = 1 << 1;
    /// Short names first, then only what is lacking.
    pub const OFFER: u64 = 1 << 2;
    /// Range-based reconciliation of a scope.
    pub const RECONCILE: u64 = 1 << 3;
    /// Attachments in verified ranges.
    pub const RANGES: u64 = 1 << 4;
    /// Snapshots of whole subjects for a cold start.
    pub const SNAPSHOT: u64 = 1 << 5;
    /// Sketches, from which few differences are named at once.
    pub const SKETCH: u64 = 1 << 6;
}

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Frame {
    /// Who I am and how far I have read you.
    #[n(1)]
    Hello(#[n(0)] Hello),
    /// Entries of my log of one scope.
    #[n(2)]
    Entries {
        /// Which scope.
        #[n(0)]
        scope: String,
        /// After reading these you are here in my log; entries you gave me are left out.
        #[n(1)]
        upto: u64,
        /// Where my log ends.
        #[n(2)]
        head: u64,
        /// The entries in log order.
        #[n(3)]
        entries: Vec<ByteVec>,
    },
    /// I have committed your log of this scope up to here.
    #[n(3)]
    Ack {
        /// Which scope.
        #[n(0)]
        scope: String,
        /// Up to here.
        #[n(1)]
        upto: u64,
    },
    /// My last word: opaque here, signed. Whoever has kept it closes the connection with a code
    /// that says so.
    #[n(4)]
    LastWord(#[n(0)] ByteVec),
    /// A question about the receiver's log; at most [`QUESTION_BYTES_MAX`].
    #[n(5)]
    Question(#[n(0)] ByteVec),
    /// The answer to the one open question; empty when there is none.
    #[n(6)]
    Answer(#[n(0)] ByteVec),
    /// In place of a hello: both remember the same of each other.
    #[n(7)]
    Brief(#[n(0)] Brief),
    /// As [`Frame::Entries`], compressed.
    #[n(8)]
    Packed {
        /// Which scope.
        #[n(0)]
        scope: String,
        /// As in [`Frame::Entries`].
        #[n(1)]
        upto: u64,
        /// As in [`Frame::Entries`].
        #[n(2)]
        head: u64,
        /// How long the array of entries is when it is unpacked. Bytes.
        #[n(3)]
        size: u64,
        /// An array of entries as byte strings, as one zstd frame.
        #[n(4)]
        bytes: ByteVec,
    },
    /// Names of entries of my log, before the entries: the receiver may have them from others.
    #[n(9)]
    Offer {
        /// Which scope.
        #[n(0)]
        scope: String,
        /// Where the offered part of my log ends.
        #[n(1)]
        upto: u64,
        /// Where my log ends.
        #[n(2)]
        head: u64,
        /// The first 8 bytes of each name, in log order; at most [`OFFERED_MAX`] of them.
        #[n(3)]
        names: ByteVec,
    },
    /// Which of the offered entries I lack.
    #[n(10)]
    Want {
        /// Which scope.
        #[n(0)]
        scope: String,
        /// As in the offer.
        #[n(1)]
        upto: u64,
        /// A bit for each name, the first one lowest in the first byte.
        #[n(2)]
        lacking: ByteVec,
    },
    /// What I hold of scopes in which nothing is on its way; asked by the side that dialled.
    #[n(11)]
    Check(#[n(0)] Vec<Checked>),
    /// The scopes of a check that do not hold the same here.
    #[n(12)]
    Differ(#[n(0)] Vec<String>),
    /// A message of the reconciliation of a scope, of the side that dialled.
    #[n(13)]
    Range {
        /// Which scope.
        #[n(0)]
        scope: String,
        /// Negentropy, version 1.
        #[n(1)]
        message: ByteVec,
    },
    /// The other side's answer to [`Frame::Range`].
    #[n(14)]
    Ranged {
        /// Which scope.
        #[n(0)]
        scope: String,
        /// Negentropy, version 1.
        #[n(1)]
        message: ByteVec,
    },
    /// Give me these entries of a scope.
    #[n(15)]
    Fetch {
        /// Which scope.
        #[n(0)]
        scope: String,
        /// Whole names, 32 bytes each; at most [`FETCHED_MAX`].
        #[n(1)]
        names: ByteVec,
    },
    /// The answer to [`Frame::Fetch`].
    #[n(16)]
    Fetched {
        /// Which scope.
        #[n(0)]
        scope: String,
        /// So many of the names, from the first, are dealt with; what is not here is left out.
        #[n(1)]
        dealt: u64,
        /// The entries.
        #[n(2)]
        entries: Vec<ByteVec>,
    },
    /// Entries of a scope that you lack.
    #[n(17)]
    Give {
        /// Which scope.
        #[n(0)]
        scope: String,
        /// The entries.
        #[n(1)]
        entries: Vec<ByteVec>,
    },
    /// What was given is committed.
    #[n(18)]
    Given {
        /// Which scope.
        #[n(0)]
        scope: String,
    },
    /// Whole subjects of a scope, before my log of it: for a receiver whose hello asked for them.
    /// No cursor moves; the log is offered afterwards.
    #[n(19)]
    Whole {
        /// Which scope.
        #[n(0)]
        scope: String,
        /// To be said in the next hello if this is the last that was kept; at most
        /// [`WHOLE_TOKEN_BYTES_MAX`].
        #[n(1)]
        next: ByteVec,
        /// There are no more.
        #[n(2)]
        end: bool,
        /// How long the subjects are when they are unpacked. Bytes.
        #[n(3)]
        size: u64,
        /// The subjects, opaque here, as one zstd frame.
        #[n(4)]
        bytes: ByteVec,
    },
    /// The first [`Frame::Whole`] of this scope that was not answered yet is committed.
    #[n(20)]
    Took {
        /// Which scope.
        #[n(0)]
        scope: String,
    },
    /// What I hold of a scope as a sketch, of the side that dialled; instead of ranges where the two
    /// can differ only little.
    #[n(21)]
    Sketch {
        /// Which scope.
        #[n(0)]
        scope: String,
        /// [`crate::Sketch::to_bytes`].
        #[n(1)]
        cells: ByteVec,
    },
    /// The other side's answer to [`Frame::Sketch`].
    #[n(22)]
    Sketched {
        /// Which scope.
        #[n(0)]
        scope: String,
        /// False when the differences are too many to be named.
        #[n(1)]
        named: bool,
        /// Names that I lack: the first 8 bytes of each.
        #[n(2)]
        lacking: ByteVec,
        /// Names that you lack, 32 bytes each.
        #[n(3)]
        names: ByteVec,
    },
}

/// A hello in short. Whoever dials says it when the other side is known to understand it and to
/// remember the same; who answers says it back when that is so, and else says a whole [`Hello`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Brief {
    /// Protocol spoken.
    #[n(0)]
    pub protocol: u16,
    /// What the sender understands.
    #[n(1)]
    pub features: u64,
    /// The run of the sender's process.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub incarnation: [u8; 16],
    /// The sender's clock, milliseconds since 1970 UTC.
    #[n(3)]
    pub time_ms: i64,
    /// What both remember: stores, scopes, how far each has read the other.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub base: [u8; 16],
    /// What all scopes of the sender hold together; absent when it does not know.
    #[cbor(n(5), with = "minicbor::bytes")]
    pub sum: Option<[u8; 16]>,
    /// Heads of the sender's logs that the receiver has not read to the end.
    #[n(6)]
    pub news: Vec<News>,
}

/// A scope with something new in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct News {
    /// Which: its place among all scopes by name, from 0.
    #[n(0)]
    pub scope: u32,
    /// Where the sender's log of it ends.
    #[n(1)]
    pub head: u64,
}

/// What one side holds of a scope.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Checked {
    /// Which scope.
    #[n(0)]
    pub scope: String,
    /// Where the sender's log of it ends.
    #[n(1)]
    pub head: u64,
    /// How far the sender has read the receiver's.
    #[n(2)]
    pub read: u64,
    /// What the sender's log holds ([`crate::NameSum::digest`]).
    #[cbor(n(3), with = "minicbor::bytes")]
    pub sum: [u8; 16],
}

/// An offer names at most so many entries.
pub const OFFERED_MAX: usize = 4096;

/// At most so many entries are fetched at once.
pub const FETCHED_MAX: usize = 1000;

/// Whole subjects in one frame are about this long before they are packed: packed, what a cut costs.
/// Bytes.
pub const WHOLE_BYTES: usize = 192 * 1024;

/// What says how far whole subjects have come is never longer. Bytes.
pub const WHOLE_TOKEN_BYTES_MAX: usize = 64;

/// A last word is never longer. Bytes.
pub const LAST_WORD_BYTES_MAX: usize = 4096;

/// A question is never longer. Bytes.
pub const QUESTION_BYTES_MAX: usize = 4096;

/// What a peer did wrong; the conversation ends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A frame longer than [`FRAME_BYTES_MAX`].
    #[error("a frame of {0} bytes; at most {FRAME_BYTES_MAX} are allowed")]
    FrameTooLong(usize),
    /// Bytes that are no frame.
    #[error("bytes that are no frame")]
    NotAFrame,
    /// A protocol we do not speak.
    #[error("protocol {0}; this program speaks {PROTOCOL}")]
    Protocol(u16),
    /// Too many scopes.
    #[error("a hello with {0} scopes; at most {SCOPES_MAX} are allowed")]
    TooManyScopes(usize),
    /// Too many entries.
    #[error("a frame of {0} entries; at most {ENTRIES_MAX} are allowed")]
    TooManyEntries(usize),
    /// Something before, or a second, hello.
    #[error("a frame out of turn")]
    OutOfTurn,
    /// A scope that was not agreed.
    #[error("a scope that was not agreed on")]
    Scope,
    /// A position that goes backwards or beyond the head.
    #[error("a log position that cannot be")]
    Position,
    /// A log that does not continue what it was, or lacks what it was said to hold.
    #[error("the log does not fit what was seen of it before")]
    Inconsistent,
    /// A message about ranges of names that cannot be read.
    #[error("a message about ranges of names that cannot be read")]
    Range,
    /// Nothing said for too long.
    #[error("no answer in time")]
    Silent,
}

impl Frame {
    /// The frame's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match minicbor::encode(self, &mut out) {
            Ok(()) => out,
            Err(e) => unreachable!("encoding into memory failed: {e}"),
        }
    }

    /// Reads a frame.
    ///
    /// # Errors
    /// [`Violation`], before anything larger than the input is allocated.
    pub fn decode(bytes: &[u8]) -> Result<Self, Violation> {
        if bytes.len() > FRAME_BYTES_MAX {
            return Err(Violation::FrameTooLong(bytes.len()));
        }
        let frame = minicbor::decode(bytes).map_err(|_| Violation::NotAFrame)?;
        match &frame {
            Self::Entries { entries, .. }
            | Self::Fetched { entries, .. }
            | Self::Give { entries, .. }
                if entries.len() > ENTRIES_MAX =>
            {
                Err(Violation::TooManyEntries(entries.len()))
            }
            Self::Check(scopes) if scopes.len() > SCOPES_MAX => {
                Err(Violation::TooManyScopes(scopes.len()))
            }
            Self::Differ(scopes) if scopes.len() > SCOPES_MAX => {
                Err(Violation::TooManyScopes(scopes.len()))
            }
            Self::Brief(brief) if brief.news.len() > SCOPES_MAX => {
                Err(Violation::TooManyScopes(brief.news.len()))
            }
            Self::Offer { names, .. } if names.len() > 8 * OFFERED_MAX => {
                Err(Violation::TooManyEntries(names.len() / 8))
            }
            Self::Fetch { names, .. } if names.len() > 32 * FETCHED_MAX => {
                Err(Violation::TooManyEntries(names.len() / 32))
            }
            Self::Whole { next, .. } if next.len() > WHOLE_TOKEN_BYTES_MAX => {
                Err(Violation::FrameTooLong(next.len()))
            }
            Self::Sketched { lacking, names, .. }
                if lacking.len() > 8 * FETCHED_MAX || names.len() > 32 * FETCHED_MAX =>
            {
                Err(Violation::TooManyEntries(lacking.len() / 8 + names.len() / 32))
            }
            Self::Sketched { lacking, names, .. }
                if lacking.len() % 8 != 0 || names.len() % 32 != 0 =>
            {
                Err(Violation::NotAFrame)
            }
            Self::Offer { names, .. } if names.len() % 8 != 0 => Err(Violation::NotAFrame),
            Self::Fetch { names, .. } if names.len() % 32 != 0 => Err(Violation::NotAFrame),
            _ => Ok(frame),
        }
    }
}
