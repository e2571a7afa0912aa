//! What a driver asks of the store behind a session. Implemented by the replica.

use crate::ranges::{Outline, Outliner, span};
use crate::sketch::Sketch;
use crate::wire::Hello;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

/// Why a peer is sent away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalCode {
    /// No certificate, or one that the county log does not know.
    NotEnrolled,
    /// Enrolled once, revoked since.
    Revoked,
    /// It sent too much that does not count; county IT lets it in again.
    Suspended,
    /// Of another county.
    OtherCounty,
    /// This enrolment file was used already, is too old, or was never ours.
    Token,
}

/// A refusal, in words for both sides.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{words}")]
pub struct Refused {
    /// Which.
    pub code: RefusalCode,
    /// In words.
    pub words: String,
}

/// A peer that may talk to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerInfo {
    /// Its device id.
    pub device: [u8; 16],
    /// What people call it.
    pub name: String,
    /// The scopes that are talked about.
    pub scopes: Vec<String>,
    /// Those of them in which the box only hands in what it had written before it lost them: the
    /// relay takes, and gives nothing.
    pub handed_in: Vec<String>,
}

/// Part of our own log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// Where this part ends.
    pub upto: u64,
    /// Where the log ends.
    pub head: u64,
    /// The entries, without those the peer gave us.
    pub entries: Vec<Vec<u8>>,
}

/// A part of our own log that a session wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Of which scope.
    pub scope: String,
    /// After this position.
    pub after: u64,
    /// At most up to here.
    pub until: u64,
    /// Positions that the peer does not want.
    pub skip: BTreeSet<u64>,
    /// About how many bytes.
    pub bytes_max: usize,
}

impl Part {
    /// Everything after a position, about so many bytes of it.
    #[must_use]
    pub fn behind(scope: &str, after: u64, bytes_max: usize) -> Self {
        let (scope, skip) = (scope.to_owned(), BTreeSet::new());
        Self { scope, after, until: u64::MAX, skip, bytes_max }
    }
}

/// Names of a part of our own log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Where this part ends.
    pub upto: u64,
    /// Where the log ends.
    pub head: u64,
    /// Where each entry stands, ascending; without those the peer gave us.
    pub positions: Vec<u64>,
    /// The first 8 bytes of the name of each.
    pub names: Vec<[u8; 8]>,
}

/// Entries that were asked for by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Picked {
    /// So many names, from the first, were looked for; at least one.
    pub dealt: usize,
    /// Those that are here and may be given.
    pub entries: Vec<Vec<u8>>,
}

/// Whole subjects of a scope, for a peer that has nothing of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wholes {
    /// How far this goes, in the store's own words; at most [`crate::WHOLE_TOKEN_BYTES_MAX`].
    pub next: Vec<u8>,
    /// There are no more.
    pub end: bool,
    /// The subjects, in a form that the other side's store reads.
    pub body: Vec<u8>,
}

/// Entries of a scope that are damaged on this disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotten {
    /// Which scope.
    pub scope: String,
    /// Their names.
    pub names: Vec<[u8; 32]>,
}

/// Differences of a scope that a sketch has named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// The first 8 bytes of the names that this store lacks.
    pub lacking: Vec<[u8; 8]>,
    /// The names that the peer lacks.
    pub names: Vec<[u8; 32]>,
}

/// What a repair of a scope came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repaired {
    /// Entries that came and were not here.
    pub received: u64,
    /// Entries that the peer lacked.
    pub given: u64,
    /// False when the scope still differs: a person should look.
    pub equal: bool,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Admitted {
    /// New and good, or waiting.
    pub new: u32,
    /// Kept aside as not counting.
    pub quarantined: u32,
    /// Not kept at all: not even an entry.
    pub refused: u32,
}

/// The store failed; the conversation ends and is tried again later.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the store failed: {0}")]
pub struct PortError(pub String);

impl PortError {
    /// A session asked for what this store has not said it can do.
    fn unasked() -> Self {
        Self("the session asked for more than the store had offered".into())
    }
}

/// What an attachment's peer may have of us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given<T> {
    /// Not here, or not for this peer.
    Lacking,
    /// Today's bytes are used up: not before so long.
    Later(Duration),
    /// This.
    Here(T),
}

/// What became of groups that were received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// On disk; more are to come.
    Part,
    /// All of it is here, on disk.
    Whole,
    /// Nobody wants it any more: erased, or left, while it was on its way.
    Unwanted,
}

/// The store behind a session. All calls may block.
pub trait Port: Send + Sync + 'static {
    /// Whether the holder of this key may talk to us, as what.
    ///
    /// # Errors
    /// [`Refused`], to be told to the peer.
    fn admit_peer(&self, key: &[u8; 32]) -> Result<PeerInfo, Refused>;

    /// The hello for a peer; `scopes` are those that may be talked about.
    ///
    /// # Errors
    /// When the store fails.
    fn hello(&self, peer: &PeerInfo) -> Result<Hello, PortError>;

    /// The peer's hello has come: remember who it is.
    ///
    /// # Errors
    /// When the store fails.
    fn greeted(&self, peer: &PeerInfo, hello: &Hello) -> Result<(), PortError>;

    /// Entries of our log after a position, about `bytes_max` of them.
    ///
    /// # Errors
    /// When the store fails.
    fn load(
        &self,
        peer: &PeerInfo,
        scope: &str,
        after: u64,
        bytes_max: usize,
    ) -> Result<Loaded, PortError>;

    /// Commits a batch together with the new cursor.
    ///
    /// # Errors
    /// When the store fails; nothing is then acknowledged.
    fn store(
        &self,
        peer: &PeerInfo,
        scope: &str,
        upto: u64,
        entries: &[Vec<u8>],
    ) -> Result<Admitted, PortError>;

    /// The peer has committed our log up to here.
    ///
    /// # Errors
    /// When the store fails.
    fn acked(&self, peer: &PeerInfo, scope: &str, upto: u64) -> Result<(), PortError>;

    /// Both sides have everything.
    ///
    /// # Errors
    /// When the store fails.
    fn completed(&self, peer: &PeerInfo) -> Result<(), PortError>;

    /// Heads of our logs of the peer's scopes, as far as they are for this peer.
    ///
    /// # Errors
    /// When the store fails.
    fn heads(&self, peer: &PeerInfo) -> Result<Vec<(String, u64)>, PortError>;

    /// What this side has to say as its very last word, once greeted; nothing for most.
    ///
    /// # Errors
    /// When the store fails.
    fn last_word(&self) -> Result<Option<Vec<u8>>, PortError> {
        Ok(None)
    }

    /// The peer has said its last word. True when it was kept: the peer is then told so by the
    /// close of the connection.
    ///
    /// # Errors
    /// When the store fails.
    fn heard(&self, peer: &PeerInfo, words: &[u8]) -> Result<bool, PortError>;

    /// Attachments that we lack and this peer may have.
    ///
    /// # Errors
    /// When the store fails.
    fn wanted(&self, peer: &PeerInfo, limit: usize) -> Result<Vec<[u8; 32]>, PortError>;

    /// The bytes of an attachment, when the peer may have it.
    ///
    /// # Errors
    /// When the store fails.
    fn attachment(&self, peer: &PeerInfo, id: &[u8; 32]) -> Result<Option<Vec<u8>>, PortError>;

    /// Keeps an attachment whose hash has been checked.
    ///
    /// # Errors
    /// When the store fails.
    fn keep_attachment(&self, id: &[u8; 32], bytes: &[u8]) -> Result<(), PortError>;

    /// The outline of an attachment, when the peer may have it.
    ///
    /// # Errors
    /// When the store fails.
    fn outline(&self, peer: &PeerInfo, id: &[u8; 32]) -> Result<Given<Outline>, PortError> {
        let Some(bytes) = self.attachment(peer, id)? else { return Ok(Given::Lacking) };
        let mut outliner = Outliner::default();
        outliner.read(&bytes);
        outliner.finish().map(Given::Here).map_err(|e| PortError(e.to_string()))
    }

    /// The length of an attachment and some of its groups, when the peer may have it.
    ///
    /// # Errors
    /// When the store fails.
    fn groups(
        &self,
        peer: &PeerInfo,
        id: &[u8; 32],
        first: u16,
        count: u8,
    ) -> Result<Given<(u64, Vec<u8>)>, PortError> {
        let Some(bytes) = self.attachment(peer, id)? else { return Ok(Given::Lacking) };
        let length = bytes.len() as u64;
        let (from, all) = span(length, first, count);
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        let part = bytes.get(from..).and_then(|rest| rest.get(..all)).unwrap_or_default();
        Ok(Given::Here((length, part.to_vec())))
    }

    /// What is here of an attachment that is on its way: its outline, and how many groups from the
    /// first on.
    ///
    /// # Errors
    /// When the store fails.
    fn part(&self, _id: &[u8; 32]) -> Result<Option<(Outline, u16)>, PortError> {
        Ok(None)
    }

    /// What is here of an attachment is not to be gone on with.
    ///
    /// # Errors
    /// When the store fails.
    fn drop_part(&self, _id: &[u8; 32]) -> Result<(), PortError> {
        Ok(())
    }

    /// Keeps groups that have been checked, the first of them being number `first`; on disk when
    /// this returns.
    ///
    /// # Errors
    /// When the store fails, or keeps nothing in pieces.
    fn keep_groups(&self, _of: &Outline, _first: u16, _bytes: &[u8]) -> Result<Kept, PortError> {
        Err(PortError("this store keeps attachments whole".into()))
    }

    /// How long this attachment has to wait because today's bytes are used up.
    ///
    /// # Errors
    /// When the store fails.
    fn lane_waits(&self, _id: &[u8; 32]) -> Result<Option<Duration>, PortError> {
        Ok(None)
    }

    /// The peer gave bytes of an attachment that are not what its name says; in words.
    ///
    /// # Errors
    /// When the store fails.
    fn lane_fault(&self, _peer: &PeerInfo, _words: &str) -> Result<(), PortError> {
        Ok(())
    }

    /// What to ask the peer now that all is exchanged: that its log continues what it was.
    ///
    /// # Errors
    /// When the store fails.
    fn question(&self, _peer: &PeerInfo) -> Result<Option<Vec<u8>>, PortError> {
        Ok(None)
    }

    /// The answer to a peer's question; nothing when there is none.
    ///
    /// # Errors
    /// When the store fails.
    fn answer(&self, _peer: &PeerInfo, _question: &[u8]) -> Result<Option<Vec<u8>>, PortError> {
        Ok(None)
    }

    /// Holds an answer against what was seen before. False when it does not fit.
    ///
    /// # Errors
    /// When the store fails.
    fn answered(&self, _peer: &PeerInfo, _answer: &[u8]) -> Result<bool, PortError> {
        Ok(true)
    }

    /// What our log of a scope holds, as a sketch; nothing when that is not for this peer.
    ///
    /// # Errors
    /// When the store fails.
    fn sketch(&self, _peer: &PeerInfo, _scope: &str) -> Result<Option<Sketch>, PortError> {
        Ok(None)
    }

    /// The names in our log of a scope that begin so; what is not there is left out.
    ///
    /// # Errors
    /// When the store fails.
    fn whole_names(&self, _scope: &str, _keys: &[[u8; 8]]) -> Result<Vec<[u8; 32]>, PortError> {
        Err(PortError::unasked())
    }

    /// Holds a peer's sketch of a scope against ours; nothing when the differences cannot be named.
    ///
    /// # Errors
    /// When the store fails.
    fn differences(
        &self,
        peer: &PeerInfo,
        scope: &str,
        theirs: &Sketch,
    ) -> Result<Option<Differences>, PortError> {
        let Some(ours) = self.sketch(peer, scope)? else { return Ok(None) };
        let Some(found) = ours.like(theirs).difference(theirs) else { return Ok(None) };
        let names = self.whole_names(scope, &found.ours)?;
        Ok(Some(Differences { lacking: found.theirs, names }))
    }

    /// Whole subjects of a scope after `after` (empty: the first), about `bytes_max` of them; what
    /// matters most first. Never more than half a frame.
    ///
    /// # Errors
    /// When the store fails.
    fn wholes(
        &self,
        _peer: &PeerInfo,
        _scope: &str,
        _after: &[u8],
        _bytes_max: usize,
    ) -> Result<Wholes, PortError> {
        Ok(Wholes { end: true, ..Wholes::default() })
    }

    /// Commits whole subjects, as far as they hold, and how far they go. Nothing depends on it: the
    /// log is offered afterwards.
    ///
    /// # Errors
    /// When the store fails.
    fn warm(&self, _peer: &PeerInfo, _scope: &str, _wholes: &Wholes) -> Result<(), PortError> {
        Err(PortError::unasked())
    }

    /// What a peer's software understood when it was last met ([`crate::features`]).
    ///
    /// # Errors
    /// When the store fails.
    fn knows(&self, _peer: &PeerInfo) -> Result<u64, PortError> {
        Ok(0)
    }

    /// A conversation that was begun ended before the peer had greeted: it may be another program
    /// than it was, and is told everything the next time.
    ///
    /// # Errors
    /// When the store fails.
    fn forget(&self, _peer: &PeerInfo) -> Result<(), PortError> {
        Ok(())
    }

    /// A peer that is remembered has come again: its process, its clock, what it understands.
    ///
    /// # Errors
    /// When the store fails.
    fn greeted_again(
        &self,
        _peer: &PeerInfo,
        _incarnation: &[u8; 16],
        _time_ms: i64,
        _features: u64,
    ) -> Result<(), PortError> {
        Err(PortError::unasked())
    }

    /// A part of our log, without what the peer does not want.
    ///
    /// # Errors
    /// When the store fails.
    fn load_part(&self, peer: &PeerInfo, part: &Part) -> Result<Loaded, PortError> {
        self.load(peer, &part.scope, part.after, part.bytes_max)
    }

    /// Names of a part of our log, at most `count_max` of them.
    ///
    /// # Errors
    /// When the store fails.
    fn named(
        &self,
        _peer: &PeerInfo,
        _scope: &str,
        _after: u64,
        _count_max: usize,
    ) -> Result<Named, PortError> {
        Err(PortError::unasked())
    }

    /// For the first 8 bytes of each name, whether no such entry of the scope is here.
    ///
    /// # Errors
    /// When the store fails.
    fn lacking(
        &self,
        _peer: &PeerInfo,
        _scope: &str,
        _names: &[[u8; 8]],
    ) -> Result<Vec<bool>, PortError> {
        Err(PortError::unasked())
    }

    /// Heads of scopes and what they hold up to there.
    ///
    /// # Errors
    /// When the store fails.
    fn sums(
        &self,
        _peer: &PeerInfo,
        _scopes: &[String],
    ) -> Result<Vec<(String, u64, [u8; 16])>, PortError> {
        Err(PortError::unasked())
    }

    /// Every name in the log of a scope.
    ///
    /// # Errors
    /// When the store fails.
    fn names(&self, _peer: &PeerInfo, _scope: &str) -> Result<Vec<[u8; 32]>, PortError> {
        Err(PortError::unasked())
    }

    /// Entries of a scope by name, about `bytes_max` of them.
    ///
    /// # Errors
    /// When the store fails.
    fn pick(
        &self,
        _peer: &PeerInfo,
        _scope: &str,
        _names: &[[u8; 32]],
        _bytes_max: usize,
    ) -> Result<Picked, PortError> {
        Err(PortError::unasked())
    }

    /// Commits entries that were lacking, whatever the cursor says; gives how many are new.
    ///
    /// # Errors
    /// When the store fails; nothing is then acknowledged.
    fn heal(&self, _peer: &PeerInfo, _scope: &str, _entries: &[Vec<u8>]) -> Result<u64, PortError> {
        Err(PortError::unasked())
    }

    /// Entries that are damaged on this disk and may be had from this peer, by scope.
    ///
    /// # Errors
    /// When the store fails.
    fn rotten(&self, _peer: &PeerInfo) -> Result<Vec<Rotten>, PortError> {
        Ok(Vec::new())
    }

    /// A scope that differed was repaired, or differs still.
    ///
    /// # Errors
    /// When the store fails.
    fn repaired(
        &self,
        _peer: &PeerInfo,
        _scope: &str,
        _repaired: Repaired,
    ) -> Result<(), PortError> {
        Err(PortError::unasked())
    }

    /// Two machines with this device's key are alive at the same time; the second came from this
    /// address and was refused.
    ///
    /// # Errors
    /// When the store fails.
    fn double(&self, _peer: &PeerInfo, _from: IpAddr) -> Result<(), PortError> {
        Ok(())
    }

    /// So many bytes went to the peer and came from it since this was told last, headers included.
    ///
    /// # Errors
    /// When the store fails.
    fn carried(&self, _peer: &PeerInfo, _sent: u64, _received: u64) -> Result<(), PortError> {
        Ok(())
    }

    /// Calls back after every commit that may be news to peers.
    fn on_change(&self, notify: Box<dyn Fn() + Send + Sync>);
}
