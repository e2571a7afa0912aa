use cunkou_casework::case::Reason;
use cunkou_casework::document::DocumentError;
use cunkou_casework::entry::BadEntry;
use cunkou_store::{NoRoom, StoreError};

/// Why a replica could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The county log in the store does not hold.
    #[error("the county log on this disk does not hold: {0}")]
    County(#[from] cunkou_casework::county::LogError),
    /// An entry in the store cannot be read.
    #[error("an entry on this disk cannot be read: {0}")]
    Entry(#[from] BadEntry),
}

/// Why somebody could not do something. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// A rule says no.
    #[error(transparent)]
    Refused(#[from] Reason),
    /// There is no such case or resident here.
    #[error("there is no such case or resident here")]
    Unknown,
    /// The county log does not take it.
    #[error(transparent)]
    County(#[from] cunkou_casework::county::LogError),
    /// No numbers are left for new cases.
    #[error("no case numbers are left; county IT gives this box more")]
    NoNumbers,
    /// The disk takes nothing more of people.
    #[error("the disk is full or can only be read; nothing new can be written")]
    NoRoom(NoRoom),
    /// The document.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The entry.
    #[error(transparent)]
    Entry(#[from] BadEntry),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}
