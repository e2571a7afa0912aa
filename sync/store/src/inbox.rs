//! The inbox of a locked box: batches sealed to it, waiting for the first sign-in.

use crate::{EntryRow, StoreError, Txn, View};

/// A sealed batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxRow {
    /// Its place in the inbox.
    pub id: i64,
    /// The peer's device.
    pub device: [u8; 16],
    /// The scope it belongs to.
    pub scope: String,
    /// The cursor it came with.
    pub upto: u64,
    /// The sealed entries.
    pub sealed: Vec<u8>,
}

impl View<'_> {
    /// The oldest batch in the inbox.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn inbox_first(&self) -> Result<Option<InboxRow>, StoreError> {
        use rusqlite::OptionalExtension;
        let sql = "SELECT id, device, scope, upto, sealed FROM inbox ORDER BY id LIMIT 1";
        let row = |row: &rusqlite::Row<'_>| {
            Ok(InboxRow {
                id: row.get(0)?,
                device: row.get(1)?,
                scope: row.get(2)?,
                upto: row.get(3)?,
                sealed: row.get(4)?,
            })
        };
        Ok(self.0.prepare_cached(sql)?.query_row([], row).optional()?)
    }

    /// How many batches wait, and their bytes.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn inbox_size(&self) -> Result<(u64, u64), StoreError> {
        let sql = "SELECT count(*), coalesce(sum(length(sealed)), 0) FROM inbox";
        let row = self.0.prepare_cached(sql)?.query_row([], |r| Ok((r.get(0)?, r.get(1)?)))?;
        Ok(row)
    }

    /// Statements and credentials after a position of this store, with the scope each came in:
    /// what a locked box must know. At most `limit`.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn public_after(
        &self,
        pos: u64,
        limit: u32,
    ) -> Result<Vec<(String, EntryRow)>, StoreError> {
        let sql =
            "SELECT e.pos, e.id, e.subject, e.kind, e.state, e.reason, e.received_ms, e.bytes,
                     (SELECT l.scope FROM log l WHERE l.pos = e.pos LIMIT 1)
                   FROM entry e WHERE e.kind >= 4 AND e.kind <> 7 AND e.pos > ?1 ORDER BY e.pos LIMIT ?2";
        let mut query = self.0.prepare_cached(sql)?;
        let rows =
            query.query_map((pos, limit), |row| Ok((row.get(8)?, crate::entries::entry(row)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// How far we have read a peer's logs.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn cursors(&self, peer: i64) -> Result<Vec<(String, u64)>, StoreError> {
        let mut query = self.0.prepare_cached("SELECT scope, seq FROM cursor WHERE peer = ?1")?;
        let rows = query.query_map([peer], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl Txn<'_> {
    /// Puts a sealed batch into the inbox, in one transaction with its cursor.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn put_inbox(
        &self,
        device: &[u8; 16],
        scope: &str,
        upto: u64,
        sealed: &[u8],
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO inbox(device, scope, upto, sealed) VALUES(?1, ?2, ?3, ?4)";
        self.0.prepare_cached(sql)?.execute((device, scope, upto, sealed))?;
        Ok(())
    }

    /// Takes a batch out of the inbox once it is in the other database.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn drop_inbox(&self, id: i64) -> Result<(), StoreError> {
        self.0.prepare_cached("DELETE FROM inbox WHERE id = ?1")?.execute([id])?;
        Ok(())
    }

    /// Forgets every credential: bytes and row.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn forget_credentials(&self) -> Result<(), StoreError> {
        self.0
            .execute("DELETE FROM log WHERE pos IN (SELECT pos FROM entry WHERE kind = 5)", [])?;
        self.0.execute("DELETE FROM entry WHERE kind = 5", [])?;
        Ok(())
    }

    /// Empties the inbox unread.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn clear_inbox(&self) -> Result<(), StoreError> {
        self.0.execute("DELETE FROM inbox", [])?;
        Ok(())
    }
}
