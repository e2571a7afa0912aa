//! What a driver asks of the store behind a session. Implemented by the replica.

use crate::wire::Hello;

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
    /// The scopes it may have and give.
    pub scopes: Vec<String>,
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
