//! What goes into a session and what comes out of it.

use crate::port::{Differences, Part, Repaired, Rotten, Wholes};
use crate::sketch::Sketch;
use crate::wire::{Hello, Violation};

/// Which side of a conversation a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// It opened the conversation and speaks first.
    Out {
        /// What the peer understood when it was last met ([`crate::features`]); 0 for a stranger.
        knows: u64,
    },
    /// It was called.
    In,
}

/// What happens to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A frame came from the peer.
    Received(Vec<u8>),
    /// Our own log of a scope now ends here.
    Committed {
        /// Which.
        scope: String,
        /// Where.
        head: u64,
    },
    /// A [`Output::Load`] is done.
    Loaded {
        /// Which scope.
        scope: String,
        /// Where the part ends.
        upto: u64,
        /// Where the log ends.
        head: u64,
        /// The entries.
        entries: Vec<Vec<u8>>,
    },
    /// A [`Output::Name`] is done.
    Named {
        /// Which scope.
        scope: String,
        /// Where the part ends.
        upto: u64,
        /// Where the log ends.
        head: u64,
        /// Where each of the named entries stands in the log.
        positions: Vec<u64>,
        /// The first 8 bytes of the name of each.
        names: Vec<[u8; 8]>,
    },
    /// The answer to [`Output::Which`]: for each name whether it is lacking here.
    Lacking {
        /// Which scope.
        scope: String,
        /// In the order asked.
        lacking: Vec<bool>,
    },
    /// A [`Output::Store`] is committed on disk.
    Stored {
        /// Which scope.
        scope: String,
        /// Up to where in the peer's log.
        upto: u64,
    },
    /// The answer to [`Output::Sum`]: scope, head of our log, what it holds.
    Summed(Vec<(String, u64, [u8; 16])>),
    /// The answer to [`Output::Sketch`].
    Sketch {
        /// Which scope.
        scope: String,
        /// What our log of it holds; nothing when it cannot be said.
        sketch: Option<Sketch>,
    },
    /// The answer to [`Output::Differences`].
    Differences {
        /// Which scope.
        scope: String,
        /// What was named; nothing when it could not be.
        found: Option<Differences>,
    },
    /// The answer to [`Output::WholeNames`].
    WholeNames {
        /// Which scope.
        scope: String,
        /// Those that are here.
        names: Vec<[u8; 32]>,
    },
    /// The answer to [`Output::Names`]: every name in the log of a scope.
    Names {
        /// Which scope.
        scope: String,
        /// In any order.
        names: Vec<[u8; 32]>,
    },
    /// The answer to [`Output::Pick`].
    Picked {
        /// Which scope.
        scope: String,
        /// So many of the names, from the first, are dealt with; at least one.
        dealt: usize,
        /// The entries that are here.
        entries: Vec<Vec<u8>>,
    },
    /// A [`Output::Heal`] is committed on disk.
    Healed {
        /// Which scope.
        scope: String,
        /// So many entries were not here before.
        new: u64,
    },
    /// An [`Output::Wholes`] is done.
    Wholes {
        /// Which scope.
        scope: String,
        /// The subjects.
        wholes: Wholes,
    },
    /// An [`Output::Warm`] is committed on disk.
    Warmed {
        /// Which scope.
        scope: String,
    },
    /// Entries of a scope are damaged on this disk: the peer may have them.
    Rotten(Rotten),
    /// To be asked of the peer.
    Question(Vec<u8>),
    /// The answer to an [`Output::Question`].
    Answer(Vec<u8>),
    /// An [`Output::Answer`] does not fit what was seen before.
    Inconsistent,
    /// Reading had stopped because a quota was used up and goes on: what the peer owes, it owes
    /// from now.
    Resumed,
    /// This side has a last word to say.
    LastWord(Vec<u8>),
    /// The time asked for has come.
    Tick,
}

/// What a session wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send a frame.
    Send(Vec<u8>),
    /// Remember the peer.
    Greeted(Hello),
    /// The peer is who it was: only its process, its clock and its software's features are told.
    GreetedAgain {
        /// The run of its process.
        incarnation: [u8; 16],
        /// Its clock, milliseconds since 1970 UTC.
        time_ms: i64,
        /// What it understands.
        features: u64,
    },
    /// Load a part of our log.
    Load(Part),
    /// Name what our log has after a position.
    Name {
        /// Which scope.
        scope: String,
        /// After which position.
        after: u64,
        /// At most so many names.
        count_max: usize,
    },
    /// Which of these are lacking here?
    Which {
        /// Which scope.
        scope: String,
        /// The first 8 bytes of each name.
        names: Vec<[u8; 8]>,
    },
    /// Commit a batch and its cursor.
    Store {
        /// Which scope.
        scope: String,
        /// The cursor.
        upto: u64,
        /// The entries.
        entries: Vec<Vec<u8>>,
    },
    /// The peer has committed our log up to here.
    Acked {
        /// Which scope.
        scope: String,
        /// Up to where.
        upto: u64,
    },
    /// What do these scopes hold?
    Sum(Vec<String>),
    /// What does our log of a scope hold, as a sketch?
    Sketch {
        /// Which scope.
        scope: String,
    },
    /// What does a peer's sketch differ in from ours?
    Differences {
        /// Which scope.
        scope: String,
        /// The peer's.
        sketch: Sketch,
    },
    /// Which names in our log of a scope begin so?
    WholeNames {
        /// Which scope.
        scope: String,
        /// The first 8 bytes of each.
        keys: Vec<[u8; 8]>,
    },
    /// Every name in the log of a scope.
    Names {
        /// Which scope.
        scope: String,
    },
    /// Load entries of a scope by name, about `bytes_max` of them.
    Pick {
        /// Which scope.
        scope: String,
        /// Which entries.
        names: Vec<[u8; 32]>,
        /// About how many bytes.
        bytes_max: usize,
    },
    /// Commit entries that were lacking; no cursor moves.
    Heal {
        /// Which scope.
        scope: String,
        /// The entries.
        entries: Vec<Vec<u8>>,
    },
    /// Load whole subjects of a scope.
    Wholes {
        /// Which scope.
        scope: String,
        /// After these.
        after: Vec<u8>,
        /// About how many bytes.
        bytes_max: usize,
    },
    /// Commit whole subjects; no cursor moves.
    Warm {
        /// Which scope.
        scope: String,
        /// The subjects.
        wholes: Wholes,
    },
    /// A scope that differed was repaired, or was found to differ still.
    Repaired {
        /// Which scope.
        scope: String,
        /// What it came to.
        repaired: Repaired,
    },
    /// The peer asks about our log.
    Question(Vec<u8>),
    /// The peer has answered.
    Answer(Vec<u8>),
    /// The peer has said its last word: keep it and close.
    LastWord(Vec<u8>),
    /// Both sides have everything there was.
    Completed,
    /// End the conversation.
    Close(Violation),
}

/// How far a session is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Positions of our log the peer has yet to acknowledge.
    pub to_send: u64,
    /// Positions of the peer's log we have yet to commit.
    pub to_receive: u64,
}
