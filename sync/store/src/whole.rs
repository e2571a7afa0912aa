//! Whole subjects of a scope: for peers that have nothing of it, and how far those of a peer came.

use crate::pack::WHOLE;
use crate::{StoreError, Txn, View};
use rusqlite::OptionalExtension;

/// Which subjects of a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Of a schema number, cases that are open.
    Open(u8),
    /// Of a schema number, cases that are closed.
    Closed(u8),
    /// Of a schema number, all.
    All(u8),
}

/// An entry of a subject as a scope's log has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// Position in the store.
    pub pos: u64,
    /// Its kind's number.
    pub kind: u8,
    /// Whether it counts.
    pub good: bool,
    /// The entry.
    pub bytes: Vec<u8>,
}

impl View<'_> {
    /// Subjects of a scope after one, by id; at most `limit`.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn subjects_of(
        &self,
        scope: &str,
        which: Which,
        after: Option<&[u8; 16]>,
        limit: u32,
    ) -> Result<Vec<[u8; 16]>, StoreError> {
        let (schema, open) = match which {
            Which::Open(schema) => (schema, Some(true)),
            Which::Closed(schema) => (schema, Some(false)),
            Which::All(schema) => (schema, None),
        };
        let sql = "SELECT s.id FROM subject s
                   WHERE s.scope = ?1 AND s.schema = ?2 AND s.id > ?3
                     AND (?4 IS NULL OR EXISTS (SELECT 1 FROM case_row c
                        WHERE c.subject = s.id AND c.open = ?4))
                   ORDER BY s.id LIMIT ?5";
        let after = after.map_or(&[][..], |id| id);
        let mut query = self.0.prepare_cached(sql)?;
        let rows = query.query_map((scope, schema, after, open, limit), |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What a scope's log has of a subject, in its order, without what `peer` gave us and what has
    /// left.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn subject_in(
        &self,
        scope: &str,
        subject: &[u8; 16],
        peer: i64,
    ) -> Result<Vec<Carried>, StoreError> {
        let sql = format!(
            "SELECT e.pos, e.kind, e.state = 0, {WHOLE} FROM entry e
                   JOIN log l ON l.pos = e.pos AND l.scope = ?1
                   WHERE e.subject = ?2 AND e.via <> ?3 AND e.bytes <> x'' AND l.left_out = 0
                   ORDER BY e.pos"
        );
        let mut query = self.0.prepare_cached(&sql)?;
        let rows = query.query_map((scope, subject, peer), |row| {
            let (pos, kind) = (row.get(0)?, row.get(1)?);
            Ok(Carried { pos, kind, good: row.get(2)?, bytes: row.get(3)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Whether a peer's log of a scope was ever read, if only to find it empty.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn was_read(&self, peer: i64, scope: &str) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM cursor WHERE peer = ?1 AND scope = ?2";
        Ok(self.0.prepare_cached(sql)?.exists((peer, scope))?)
    }

    /// How far whole subjects of a peer have come; nothing when none are on their way.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn whole(&self, peer: i64, scope: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT token FROM whole WHERE peer = ?1 AND scope = ?2";
        Ok(self.0.prepare_cached(sql)?.query_row((peer, scope), |row| row.get(0)).optional()?)
    }
}

impl Txn<'_> {
    /// All of a peer's logs have been read to their ends, empty ones too.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn set_read(&self, peer: i64, scopes: &[String]) -> Result<(), StoreError> {
        let sql = "INSERT OR IGNORE INTO cursor(peer, scope, seq) VALUES(?1, ?2, 0)";
        let mut query = self.0.prepare_cached(sql)?;
        scopes.iter().try_for_each(|scope| query.execute((peer, scope)).map(|_| ()))?;
        Ok(())
    }

    /// Whole subjects of a peer have come up to here; `None` when those were all.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn set_whole(
        &self,
        peer: i64,
        scope: &str,
        token: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        let sql = match token {
            Some(_) => {
                "INSERT INTO whole(peer, scope, token) VALUES(?1, ?2, ?3)
                 ON CONFLICT(peer, scope) DO UPDATE SET token = excluded.token"
            }
            None => "DELETE FROM whole WHERE peer = ?1 AND scope = ?2 AND ?3 IS NULL",
        };
        self.0.prepare_cached(sql)?.execute((peer, scope, token))?;
        Ok(())
    }
}
