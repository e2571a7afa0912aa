//! Opening the database: every setting with its reason.

use crate::StoreError;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

const SCHEMA: i64 = 1;
const READERS: usize = 3;

/// A store: one writer, a few readers.
pub struct Store {
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
    path: PathBuf,
    pub(crate) attachments: PathBuf,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({})", self.path.display())
    }
}

/// A consistent view for reading.
pub struct View<'a>(pub(crate) &'a Connection);

/// A transaction: all of it is on disk when it has ended well, or nothing.
pub struct Txn<'a> {
    pub(crate) view: View<'a>,
}

impl<'a> Deref for Txn<'a> {
    type Target = View<'a>;
    fn deref(&self) -> &View<'a> {
        &self.view
    }
}

impl Store {
    /// Opens or makes the store in `folder`.
    ///
    /// # Errors
    /// When the disk or SQLite fails, or the database is of a newer program.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let disk = |path: &Path| {
            let path = path.to_owned();
            move |source| StoreError::Disk { path, source }
        };
        let attachments = folder.join("attachments");
        std::fs::create_dir_all(&attachments).map_err(disk(&attachments))?;
        let path = folder.join("work.db");
        let mut writer = Connection::open(&path)?;
        settings(&writer)?;
        migrate(&mut writer)?;
        Ok(Self { writer: Mutex::new(writer), readers: Mutex::default(), path, attachments })
    }

    /// Runs one transaction. It is on disk (FULL) when this returns `Ok`, and undone on `Err`.
    ///
    /// # Errors
    /// What `work` returns, or the store's own failure.
    pub fn write<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&Txn<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut writer = self.writer.lock().map_err(|_| E::from(StoreError::Poisoned))?;
        // Immediate: a second writer waits at the start instead of failing at the end.
        let tx = Transaction::new(&mut writer, TransactionBehavior::Immediate)
            .map_err(|e| E::from(e.into()))?;
        let result = work(&Txn { view: View(&tx) })?;
        tx.commit().map_err(|e| E::from(e.into()))?;
        Ok(result)
    }

    /// Reads one consistent state, without waiting for the writer.
    ///
    /// # Errors
    /// What `work` returns, or the store's own failure.
    pub fn read<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&View<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let spare = self.readers.lock().map_err(|_| E::from(StoreError::Poisoned))?.pop();
        let mut reader = match spare {
            Some(reader) => reader,
            None => self.reader().map_err(E::from)?,
        };
        let result = {
            let tx = reader.transaction().map_err(|e| E::from(e.into()))?;
            work(&View(&tx))
        };
        if let Ok(mut readers) = self.readers.lock()
            && readers.len() < READERS
        {
            readers.push(reader);
        }
        result
    }

    fn reader(&self) -> Result<Connection, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let reader = Connection::open_with_flags(&self.path, flags)?;
        reader.pragma_update(None, "mmap_size", 0)?;
        reader.pragma_update(None, "cache_size", -4096)?;
        reader.busy_timeout(std::time::Duration::from_secs(10))?;
        Ok(reader)
    }

    /// The folder of the database.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(&self.path)
    }
}

fn settings(db: &Connection) -> Result<(), StoreError> {
    // Readers do not wait for the writer, and a torn write damages only the tail of the log.
    db.pragma_update(None, "journal_mode", "WAL")?;
    // What was acknowledged is on disk: NORMAL would lose the last commits in a power cut.
    db.pragma_update(None, "synchronous", "FULL")?;
    // A bad sector under a mapped page would be a signal, not an error.
    db.pragma_update(None, "mmap_size", 0)?;
    // Boxes have little memory: 8 MiB.
    db.pragma_update(None, "cache_size", -8192)?;
    // Sorting never writes people's names into temporary files.
    db.pragma_update(None, "temp_store", "MEMORY")?;
    db.pragma_update(None, "foreign_keys", "ON")?;
    // Deleted rows are overwritten: erasure means erasure.
    db.pragma_update(None, "secure_delete", "ON")?;
    // Keep the write-ahead log below 16 MiB between checkpoints.
    db.pragma_update(None, "journal_size_limit", 16 * 1024 * 1024)?;
    db.busy_timeout(std::time::Duration::from_secs(10))?;
    Ok(())
}

fn migrate(db: &mut Connection) -> Result<(), StoreError> {
    let found: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found > SCHEMA {
        return Err(StoreError::Newer { found, known: SCHEMA });
    }
    if found < 1 {
        let tx = db.transaction()?;
        tx.execute_batch(include_str!("schema-1.sql"))?;
        tx.pragma_update(None, "user_version", 1)?;
        tx.commit()?;
    }
    Ok(())
}

impl View<'_> {
    /// A stored setting.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        use rusqlite::OptionalExtension;
        let mut query = self.0.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
        Ok(query.query_row([key], |row| row.get(0)).optional()?)
    }
}

impl Txn<'_> {
    /// Keeps a setting.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn set_meta(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        let sql = "INSERT INTO meta(key, value) VALUES(?1, ?2)
                   ON CONFLICT(key) DO UPDATE SET value = excluded.value";
        self.0.prepare_cached(sql)?.execute((key, value))?;
        Ok(())
    }

    /// Raises a stored number to `least`, unless it is higher already.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn count_at_least(&self, key: &str, least: u64) -> Result<(), StoreError> {
        let stored = self.meta(key)?.unwrap_or_default();
        let value = <[u8; 8]>::try_from(&stored[..]).map_or(0, u64::from_be_bytes);
        if value < least { self.set_meta(key, &least.to_be_bytes()) } else { Ok(()) }
    }

    /// A stored number, raised by one in this transaction; the first is 0.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn count_up(&self, key: &str) -> Result<u64, StoreError> {
        let stored = self.meta(key)?.unwrap_or_default();
        let value = <[u8; 8]>::try_from(&stored[..]).map_or(0, u64::from_be_bytes);
        self.set_meta(key, &(value + 1).to_be_bytes())?;
        Ok(value)
    }
}
