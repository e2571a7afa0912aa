//! The tree over this store's own log, the checkpoints that are held, and what does not fit.

use crate::{StoreError, Txn, View};
use rusqlite::OptionalExtension;

/// Something that does not fit, kept until somebody has looked at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlarmRow {
    /// Its number.
    pub id: i64,
    /// The peer that it is about.
    pub device: [u8; 16],
    /// In words.
    pub words: String,
    /// When it was first seen, milliseconds.
    pub at_ms: i64,
}

/// A checkpoint of this store's own log that somebody else has signed, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CosignedRow {
    /// Their key.
    pub key: [u8; 32],
    /// What they are called here.
    pub name: String,
    /// How many entries the log held.
    pub size: u64,
    /// The signed checkpoint.
    pub bytes: Vec<u8>,
    /// When it came back, milliseconds.
    pub received_ms: i64,
}

/// At most so many alarms are kept: more say nothing more.
const ALARMS_MAX: u32 = 200;

impl View<'_> {
    /// A node of the tree over this store's log.
    ///
    /// # Errors
    /// When SQLite fails or the node is not there.
    pub fn tree_node(&self, level: u8, index: u64) -> Result<[u8; 32], StoreError> {
        let sql = "SELECT hash FROM tree WHERE level = ?1 AND idx = ?2";
        let mut query = self.0.prepare_cached(sql)?;
        let node = query.query_row((level, index), |row| row.get(0)).optional()?;
        node.ok_or(StoreError::Damaged { what: "tree" })
    }

    /// How many entries of the log the tree covers.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn tree_size(&self) -> Result<u64, StoreError> {
        let sql = "SELECT coalesce(max(idx) + 1, 0) FROM tree WHERE level = 0";
        Ok(self.0.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
    }

    /// Names of entries behind a position, in log order.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn entry_ids_after(
        &self,
        pos: u64,
        limit: u32,
    ) -> Result<Vec<(u64, [u8; 32])>, StoreError> {
        let sql = "SELECT pos, id FROM entry WHERE pos > ?1 ORDER BY pos LIMIT ?2";
        let mut query = self.0.prepare_cached(sql)?;
        let rows = query.query_map((pos, limit), |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The latest checkpoint that this store signed (its own device) or holds of a peer.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn checkpoint(&self, device: &[u8; 16]) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT bytes FROM checkpoint WHERE device = ?1 ORDER BY rowid DESC LIMIT 1";
        Ok(self.0.prepare_cached(sql)?.query_row([device], |row| row.get(0)).optional()?)
    }

    /// Entries that a relay says it has and has not shown in its log yet, the oldest first, with
    /// the position that it named.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn unproven(
        &self,
        device: &[u8; 16],
        limit: usize,
    ) -> Result<Vec<([u8; 32], u64)>, StoreError> {
        let sql = "SELECT entry, position FROM unproven WHERE device = ?1
                   ORDER BY position LIMIT ?2";
        let mut query = self.0.prepare_cached(sql)?;
        let rows = query.query_map((device, limit), |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What others have signed of a log, the longest first.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn cosigned(&self, log: &[u8; 32]) -> Result<Vec<CosignedRow>, StoreError> {
        let sql = "SELECT key, name, size, bytes, received_ms FROM cosigned
                   WHERE log = ?1 ORDER BY size DESC, key";
        let mut query = self.0.prepare_cached(sql)?;
        let rows = query.query_map([log], |row| {
            Ok(CosignedRow {
                key: row.get(0)?,
                name: row.get(1)?,
                size: row.get(2)?,
                bytes: row.get(3)?,
                received_ms: row.get(4)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What does not fit, the latest first.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn alarms(&self) -> Result<Vec<AlarmRow>, StoreError> {
        let sql = "SELECT rowid, device, words, at_ms FROM alarm ORDER BY at_ms DESC, rowid DESC";
        let mut query = self.0.prepare_cached(sql)?;
        let rows = query.query_map([], |row| {
            Ok(AlarmRow {
                id: row.get(0)?,
                device: row.get(1)?,
                words: row.get(2)?,
                at_ms: row.get(3)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl Txn<'_> {
    /// Keeps a node of the tree.
    ///
    /// # Errors
    /// When SQLite fails; a node is never changed.
    pub fn set_tree_node(&self, level: u8, index: u64, hash: &[u8; 32]) -> Result<(), StoreError> {
        let sql = "INSERT INTO tree(level, idx, hash) VALUES(?1, ?2, ?3)";
        self.0.prepare_cached(sql)?.execute((level, index, hash))?;
        Ok(())
    }

    /// Keeps a checkpoint. Of a peer's log only the latest is needed, and the first of each log
    /// as evidence.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn keep_checkpoint(
        &self,
        device: &[u8; 16],
        log: &[u8; 32],
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        let sql = "DELETE FROM checkpoint WHERE device = ?1 AND log = ?2
                   AND rowid <> (SELECT min(rowid) FROM checkpoint WHERE device = ?1 AND log = ?2)";
        self.0.prepare_cached(sql)?.execute((device, log))?;
        let sql = "INSERT INTO checkpoint(device, log, bytes) VALUES(?1, ?2, ?3)";
        self.0.prepare_cached(sql)?.execute((device, log, bytes))?;
        Ok(())
    }

    /// Keeps what somebody has signed of a log; a shorter one than theirs that is here changes
    /// nothing but the name.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn keep_cosigned(&self, log: &[u8; 32], row: &CosignedRow) -> Result<(), StoreError> {
        let sql = "INSERT INTO cosigned(key, log, name, size, bytes, received_ms)
                   VALUES(?1, ?2, ?3, ?4, ?5, ?6)
                   ON CONFLICT(key, log) DO UPDATE SET
                     name = CASE WHEN excluded.name = '' THEN name ELSE excluded.name END,
                     bytes = CASE WHEN excluded.size >= size THEN excluded.bytes ELSE bytes END,
                     received_ms = CASE WHEN excluded.size >= size THEN excluded.received_ms
                                   ELSE received_ms END,
                     size = max(size, excluded.size)";
        let bytes = (&row.key, log, &row.name, row.size, &row.bytes, row.received_ms);
        self.0.prepare_cached(sql)?.execute(bytes)?;
        Ok(())
    }

    /// A relay has said that it has an entry; it is to be shown if `author` wrote it.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn to_prove(
        &self,
        device: &[u8; 16],
        author: &[u8; 16],
        entry: &[u8; 32],
        position: u64,
    ) -> Result<(), StoreError> {
        let sql = "INSERT OR IGNORE INTO unproven(device, entry, position)
                   SELECT ?1, ?3, ?4 FROM entry e JOIN author a ON a.pos = e.pos
                   WHERE e.id = ?3 AND a.device = ?2";
        self.0.prepare_cached(sql)?.execute((device, author, entry, position))?;
        Ok(())
    }

    /// A relay has shown an entry in its log.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn proven(&self, device: &[u8; 16], entry: &[u8; 32]) -> Result<(), StoreError> {
        let sql = "DELETE FROM unproven WHERE device = ?1 AND entry = ?2";
        self.0.prepare_cached(sql)?.execute((device, entry))?;
        Ok(())
    }

    /// Remembers that something does not fit, with what shows it; the same thing once.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn alarm(
        &self,
        device: &[u8; 16],
        words: &str,
        evidence: &[u8],
        at_ms: i64,
    ) -> Result<(), StoreError> {
        let sql = "INSERT OR IGNORE INTO alarm(device, words, evidence, at_ms)
                   SELECT ?1, ?2, ?3, ?4 WHERE (SELECT count(*) FROM alarm) < ?5";
        self.0.prepare_cached(sql)?.execute((device, words, evidence, at_ms, ALARMS_MAX))?;
        Ok(())
    }
}
