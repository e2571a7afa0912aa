//! Opening the database: every setting with its reason.

use crate::{StoreError, pack};
use cunkou_engine::NameSum;
use cunkou_keys::Key;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};
use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once};
use zeroize::Zeroizing;

/// What each version added.
const SCHEMAS: [&str; 14] = [
    include_str!("schema-1.sql"),
    include_str!("schema-2.sql"),
    include_str!("schema-3.sql"),
    include_str!("schema-4.sql"),
    concat!(include_str!("schema-5.sql"), include_str!("schema-5-later.sql")),
    include_str!("schema-6.sql"),
    include_str!("schema-7.sql"),
    include_str!("schema-8.sql"),
    include_str!("schema-9.sql"),
    include_str!("schema-10.sql"),
    include_str!("schema-11.sql"),
    include_str!("schema-12.sql"),
    include_str!("schema-13.sql"),
    include_str!("schema-14.sql"),
];
/// The version since which each scope has a sum of its names.
const SUMMED: i64 = 5;
/// The version since which entries of erased subjects are left out of that sum.
const LEFT_OUT: i64 = 11;
/// The kind number of what was said about erasures.
const ERASURE: u8 = 8;
/// What came to that version after programs with its first half had run: their stores say that it
/// is done.
const SECOND_HALF: &str = include_str!("schema-5-later.sql");
const SCHEMA: i64 = SCHEMAS.len() as i64;
const READERS: usize = 3;
/// The database of everything readable.
const WORK: &str = "work.db";

/// How a store is locked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lock {
    /// Encrypted with this key: the database by SQLCipher, attachments chunk by chunk.
    Key(Key),
    /// Not encrypted: for measurements and as the control of tests, never for people's data.
    Plain,
}

impl From<Key> for Lock {
    fn from(key: Key) -> Self {
        Self::Key(key)
    }
}

/// A store: one writer, a few readers.
pub struct Store {
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
    path: PathBuf,
    lock: Lock,
    pub(crate) attachments: PathBuf,
    pub(crate) files: Option<FileKeys>,
    /// Held while a part file is written.
    pub(crate) parts: Mutex<()>,
}

/// The keys of attachments: one for what is in them, one for their names.
#[derive(Debug)]
pub(crate) struct FileKeys {
    pub(crate) content: Key,
    pub(crate) names: Key,
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
    /// When the key is wrong, the disk or SQLite fails, or the database is of a newer program.
    pub fn open(folder: &Path, lock: &Lock) -> Result<Self, StoreError> {
        Self::open_as(folder, WORK, lock)
    }

    /// Opens or makes a store in `folder` whose database has another name.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_as(folder: &Path, name: &str, lock: &Lock) -> Result<Self, StoreError> {
        let disk = |path: &Path| {
            let path = path.to_owned();
            move |source| StoreError::Disk { path, source }
        };
        let attachments = folder.join("attachments");
        std::fs::create_dir_all(&attachments).map_err(disk(&attachments))?;
        let path = folder.join(name);
        begin();
        let mut writer = writing(&path, lock)?;
        migrate(&mut writer)?;
        let files = match lock {
            Lock::Key(key) => Some(FileKeys {
                content: key.derive("attachment contents"),
                names: key.derive("attachment names"),
            }),
            Lock::Plain => None,
        };
        let (writer, readers) = (Mutex::new(writer), Mutex::default());
        Ok(Self {
            writer,
            readers,
            path,
            lock: lock.clone(),
            attachments,
            files,
            parts: Mutex::default(),
        })
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
        let result = match Transaction::new(&mut writer, TransactionBehavior::Immediate) {
            Ok(tx) => work(&Txn { view: View(&tx) })
                .and_then(|result| tx.commit().map(|()| result).map_err(|e| E::from(e.into()))),
            Err(e) => Err(E::from(e.into())),
        };
        // A page that SQLCipher cannot read closes its connection to everything: the next write
        // gets another one.
        if result.is_err() && !reads(&writer) {
            *writer = writing(&self.path, &self.lock).map_err(E::from)?;
        }
        result
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
        // As with the writer; a reader is cheap to open.
        if result.is_ok()
            && let Ok(mut readers) = self.readers.lock()
            && readers.len() < READERS
        {
            readers.push(reader);
        }
        result
    }

    pub(crate) fn reader(&self) -> Result<Connection, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let reader = Connection::open_with_flags(&self.path, flags)?;
        unlock(&reader, &self.lock)?;
        reader.pragma_update(None, "mmap_size", 0)?;
        reader.pragma_update(None, "cache_size", -4096)?;
        reader.busy_timeout(std::time::Duration::from_secs(10))?;
        pack::install(&reader)?;
        Ok(reader)
    }

    /// A consistent copy of the database, under the same key, while others read and write.
    ///
    /// # Errors
    /// When SQLite or the disk fails, or `to` exists.
    pub fn snapshot(&self, to: &Path) -> Result<(), StoreError> {
        let reader = self.reader()?;
        reader.execute("VACUUM INTO ?1", [to.to_string_lossy()])?;
        Ok(())
    }

    /// Copies a closed database to another file under another lock.
    ///
    /// # Errors
    /// When the key is wrong, `to` cannot be written, or SQLite fails.
    pub fn rewrap(from: &Path, old: &Lock, to: &Path, new: &Lock) -> Result<(), StoreError> {
        begin();
        let db = Connection::open(from)?;
        unlock(&db, old)?;
        let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        let key = match new {
            Lock::Key(key) => raw_key(key),
            Lock::Plain => Zeroizing::default(),
        };
        db.execute("ATTACH DATABASE ?1 AS rewrapped KEY ?2", (to.to_string_lossy(), &*key))?;
        db.query_row("SELECT sqlcipher_export('rewrapped')", [], |_| Ok(()))?;
        db.pragma_update(Some("rewrapped"), "user_version", version)?;
        db.execute("DETACH DATABASE rewrapped", [])?;
        Ok(())
    }

    /// What SQLite and SQLCipher say of every page: empty when all is well. Nothing is written
    /// meanwhile: for stores that nobody waits for. See [`Store::integrity`].
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn faults(&self) -> Result<Vec<String>, StoreError> {
        let mut out = Vec::new();
        if matches!(self.lock, Lock::Key(_)) {
            let writer = self.writer.lock().map_err(|_| StoreError::Poisoned)?;
            // SQLCipher looks at the file itself, past the write-ahead log: a page that a cut left
            // half written there is whole in the log, and is no fault.
            if settled(&writer)? {
                ask(&writer, "PRAGMA cipher_integrity_check", &mut out)?;
            }
        }
        out.extend(self.integrity()?);
        Ok(out)
    }

    /// What SQLite says of every page that is in use, as one reader sees them while others read
    /// and write: empty when all is well.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn integrity(&self) -> Result<Vec<String>, StoreError> {
        let mut out = Vec::new();
        ask(&self.reader()?, "PRAGMA integrity_check", &mut out)?;
        out.retain(|line| line != "ok");
        Ok(out)
    }

    /// Writes what was deleted out of the write-ahead log, so that its old pages are overwritten.
    /// False when a reader still stands in the way: then it may be there still.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn checkpoint(&self) -> Result<bool, StoreError> {
        let writer = self.writer.lock().map_err(|_| StoreError::Poisoned)?;
        settled(&writer)
    }

    /// The folder of the database.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(&self.path)
    }
}

/// Brings the write-ahead log into the database; false when a reader stands in the way.
fn settled(writer: &Connection) -> Result<bool, StoreError> {
    let busy: i64 = writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    Ok(busy == 0)
}

pub(crate) fn ask(db: &Connection, pragma: &str, out: &mut Vec<String>) -> Result<(), StoreError> {
    let mut query = db.prepare(pragma)?;
    for line in query.query_map([], |row| row.get::<_, String>(0))? {
        match line {
            Ok(line) => out.push(line),
            Err(e) if e.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => {
                out.push(e.to_string());
                break;
            }
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

/// Lets one thread alone open the first connection of the process: SQLite initialises SQLCipher
/// after it has let go of its own lock (`SQLITE_EXTRA_INIT`), and a second thread that comes in
/// between is refused its key.
fn begin() {
    static FIRST: Once = Once::new();
    // What fails here fails again, with its reason, when the store itself is opened.
    FIRST.call_once(|| drop(Connection::open_in_memory()));
}

fn raw_key(key: &Key) -> Zeroizing<String> {
    let digits: Zeroizing<String> =
        Zeroizing::new(key.bytes().iter().map(|b| format!("{b:02x}")).collect());
    Zeroizing::new(format!("x'{}'", *digits))
}

/// Gives SQLCipher the key; the first page that is read says whether it is the right one.
fn unlock(db: &Connection, lock: &Lock) -> Result<(), StoreError> {
    if let Lock::Key(key) = lock {
        // What SQLCipher has to say comes back as our own error, not past the log.
        db.pragma_update(None, "cipher_log_level", "NONE")?;
        // A raw key: it is random already, so no passphrase is stretched at each opening.
        db.pragma_update(None, "key", &*raw_key(key))?;
        // The page of SQLite and of the disk: one page is one encryption and one write.
        db.pragma_update(None, "cipher_page_size", 4096)?;
        // Locking and wiping every buffer costs a third of the reads and does not help against
        // somebody who reads this process's memory; there is no swap on a box.
        db.pragma_update(None, "cipher_memory_security", "OFF")?;
    }
    match db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0)) {
        Ok(_) => Ok(()),
        Err(e) if e.sqlite_error_code() == Some(ErrorCode::NotADatabase) => {
            Err(StoreError::WrongKey)
        }
        Err(e) => Err(e.into()),
    }
}

fn writing(path: &Path, lock: &Lock) -> Result<Connection, StoreError> {
    let writer = Connection::open(path)?;
    unlock(&writer, lock)?;
    settings(&writer)?;
    pack::install(&writer)?;
    Ok(writer)
}

/// Whether a connection still reads from the disk.
fn reads(db: &Connection) -> bool {
    let first = || -> rusqlite::Result<i64> {
        db.execute_batch("PRAGMA shrink_memory")?;
        db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
    };
    first().is_ok()
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
    if found >= SUMMED && !has_sums(db)? {
        let tx = db.transaction()?;
        tx.execute_batch(SECOND_HALF)?;
        sum_scopes(&tx)?;
        tx.commit()?;
    }
    let todo = SCHEMAS.iter().zip(1..).filter(|(_, version)| *version > found);
    for (schema, version) in todo {
        let tx = db.transaction()?;
        tx.execute_batch(schema)?;
        if version == SUMMED {
            sum_scopes(&tx)?;
        }
        if version == LEFT_OUT {
            leave_out_erased(&tx)?;
        }
        tx.pragma_update(None, "user_version", version)?;
        tx.commit()?;
    }
    Ok(())
}

fn has_sums(db: &Connection) -> Result<bool, StoreError> {
    let sql = "SELECT count(*) FROM pragma_table_info('head') WHERE name = 'sum'";
    Ok(db.query_row(sql, [], |row| row.get::<_, i64>(0))? > 0)
}

/// Gives scopes of an older program the sum of their names.
fn sum_scopes(tx: &Transaction<'_>) -> Result<(), StoreError> {
    let mut sums: BTreeMap<String, NameSum> = BTreeMap::new();
    let mut query = tx.prepare("SELECT l.scope, e.id FROM log l JOIN entry e ON e.pos = l.pos")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        sums.entry(row.get(0)?).or_default().add(&row.get(1)?);
    }
    for (scope, sum) in sums {
        tx.execute("UPDATE head SET sum = ?2 WHERE scope = ?1", (scope, sum.to_bytes()))?;
    }
    Ok(())
}

/// Leaves out of the sums of an older program what was erased.
fn leave_out_erased(tx: &Transaction<'_>) -> Result<(), StoreError> {
    let mut query = tx.prepare("SELECT subject FROM erased")?;
    let erased: Vec<[u8; 16]> = query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let txn = Txn { view: View(tx) };
    erased.iter().try_for_each(|subject| txn.leave_out_erased(subject, ERASURE))
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
    /// Forgets a setting.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn forget_meta(&self, key: &str) -> Result<(), StoreError> {
        self.0.prepare_cached("DELETE FROM meta WHERE key = ?1")?.execute([key])?;
        Ok(())
    }

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
