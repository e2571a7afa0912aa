//! Replication between two stores, as a state machine.
//!
//! A [`Session`] is one conversation with one peer. It is fed with [`Input`] and asked for
//! [`Output`] and for the time at which it wants to be woken. Each side keeps, per scope, a
//! cursor into the other's log; after one exchange of hellos each streams what the other lacks
//! and acknowledges what it has committed.
//!
//! **Invariants:** no I/O, no clock, no randomness, no hash order; entries are opaque bytes; every
//! queue is bounded (one batch in flight per scope and direction); what a peer sends wrongly is a
//! [`Violation`], never a panic.

mod backoff;
mod pack;
mod perform;
mod port;
mod quota;
pub mod ranges;
mod reconcile;
mod session;
mod sketch;
mod sums;
mod wire;

pub use backoff::Backoff;
pub use perform::perform;
pub use port::{
    Admitted, Differences, Given, Kept, Loaded, Named, Part, PeerInfo, Picked, Port, PortError,
    RefusalCode, Refused, Repaired, Rotten, Wholes,
};
pub use quota::{Knock, Limits, Quotas, Rate, TooMuch};
pub use reconcile::RANGE_BYTES_MAX;
pub use session::{Call, Input, Output, Progress, Session};
pub use sketch::{Difference, SKETCH_BYTES, SMALL_SKETCH_BYTES, Sketch};
pub use sums::NameSum;
pub use wire::{
    BATCH_BYTES, Brief, Checked, ENTRIES_MAX, FETCHED_MAX, FRAME_BYTES_MAX, Frame, Hello,
    LAST_WORD_BYTES_MAX, LONE_BATCH_BYTES, News, OFFERED_MAX, PROTOCOL, QUESTION_BYTES_MAX,
    SCOPES_MAX, ScopeState, Violation, WHOLE_BYTES, WHOLE_TOKEN_BYTES_MAX, features,
};
