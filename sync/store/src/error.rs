/// Why the store could not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite says no.
    #[error("the database failed: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The file system says no.
    #[error("the disk failed at {path}: {source}")]
    Disk {
        /// Where.
        path: std::path::PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// Not the key of this database, or no database at all.
    #[error("this key does not open the database")]
    WrongKey,
    /// A key could not be used.
    #[error(transparent)]
    Key(#[from] cunkou_keys::KeyError),
    /// The database is of a newer program.
    #[error(
        "the database is of schema {found}; this program knows up to {known}. Use the newer program"
    )]
    Newer {
        /// Its schema.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// A stored value does not agree with its hash or its form.
    #[error("a stored {what} is damaged")]
    Damaged {
        /// What.
        what: &'static str,
    },
    /// An earlier panic left a lock behind.
    #[error("the store was left in the middle of something; restart the program")]
    Poisoned,
}
