//! Bugs planted on purpose, in the model disk alone: the simulator must find each of them.

use std::str::FromStr;

/// A planted bug.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Plant {
    /// None.
    #[default]
    None,
    /// `synchronous=OFF`: a commit is acknowledged before it is on the disk.
    SyncOff,
    /// The cursor is committed and acknowledged in a transaction of its own; the entries are
    /// synced with whatever comes next. (Only to commit them one after the other does no harm:
    /// nobody believes a cursor beyond what was acknowledged to him.)
    LostCursor,
    /// Positions are handed out when a transaction begins and seen when it ends.
    Bigserial,
    /// Nobody holds bytes against their hash, neither what comes nor what is read.
    SkippedHash,
    /// What a box may have no more leaves it before a relay has acknowledged it.
    LeavesEarly,
}

impl Plant {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::SyncOff, Self::LostCursor, Self::Bigserial, Self::SkippedHash, Self::LeavesEarly];

    /// What it is called on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::SyncOff => "sync-off",
            Self::LostCursor => "lost-cursor",
            Self::Bigserial => "bigserial",
            Self::SkippedHash => "skipped-hash",
            Self::LeavesEarly => "leaves-early",
        }
    }
}

impl FromStr for Plant {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let all = Self::ALL.into_iter().chain([Self::None]);
        all.into_iter().find(|p| p.name() == word).ok_or_else(|| format!("no plant {word}"))
    }
}
