//! Looks on their way from a box to the county: which wait, which have left, and what is emptied
//! when it is old.

use crate::looks::{COLUMNS, HERE, look};
use crate::{LOOK_KEPT_MS, LookRow, StoreError, Txn, View};
use rusqlite::OptionalExtension;

/// Looks at this machine that no entry tells of yet, and that are over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WaitingLooks {
    /// How many, counted up to the limit that was asked for.
    pub count: u32,
    /// When the oldest was, milliseconds.
    pub oldest_ms: Option<i64>,
}

// Full numbers are a look each time; a masked page may still go on. One from the future by our
// clock, which was set back, is not waited for: what was told does not go on (`Txn::look`).
const OVER: &str = "sent = 0 AND device = ?1 AND (uncovered = 1 OR at_ms <= ?2 OR at_ms > ?3)";

impl View<'_> {
    /// What waits to be told: full numbers, and masked looks begun up to `over_ms` or after
    /// `ahead_ms`, which lies in the future.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn waiting_looks(
        &self,
        over_ms: i64,
        ahead_ms: i64,
        limit: u32,
    ) -> Result<WaitingLooks, StoreError> {
        let sql = format!(
            "SELECT count(*), min(at_ms) FROM
               (SELECT at_ms FROM look WHERE {OVER} ORDER BY at_ms LIMIT ?4)"
        );
        let mut query = self.0.prepare_cached(&sql)?;
        Ok(query.query_row((HERE, over_ms, ahead_ms, limit), |row| {
            Ok(WaitingLooks { count: row.get(0)?, oldest_ms: row.get(1)? })
        })?)
    }

    /// The same looks, the oldest first, each with its number in this store.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn looks_to_tell(
        &self,
        over_ms: i64,
        ahead_ms: i64,
        limit: u32,
    ) -> Result<Vec<(i64, LookRow)>, StoreError> {
        let sql =
            format!("SELECT {COLUMNS}, id FROM look WHERE {OVER} ORDER BY at_ms, id LIMIT ?4");
        let mut query = self.0.prepare_cached(&sql)?;
        let rows = query
            .query_map((HERE, over_ms, ahead_ms, limit), |row| Ok((row.get(9)?, look(row)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// How far any peer has acknowledged our log of a scope.
    fn acked_by_any(&self, scope: &str) -> Result<u64, StoreError> {
        let sql = "SELECT coalesce(max(seq), 0) FROM acked WHERE scope = ?1";
        Ok(self.0.prepare_cached(sql)?.query_row([scope], |row| row.get(0))?)
    }
}

impl Txn<'_> {
    /// An entry tells of these looks.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn looks_told(&self, ids: &[i64]) -> Result<(), StoreError> {
        let mut query = self.0.prepare_cached("UPDATE look SET sent = 1 WHERE id = ?1")?;
        for id in ids {
            query.execute([id])?;
        }
        Ok(())
    }

    /// Takes in a look that an entry tells of; one that is here already stays one, until its
    /// later end. `look.device` is zeros where the entry is this machine's own.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn take_look(&self, look: &LookRow, now_ms: i64) -> Result<(), StoreError> {
        let sql = "SELECT id FROM look WHERE subject = ?1 AND at_ms = ?2 AND device = ?3
                     AND person = ?4 AND what = ?5 AND uncovered = ?6 AND purpose = ?7
                     AND scope = ?8 LIMIT 1";
        let same = (
            look.subject,
            look.at_ms,
            look.device,
            look.person,
            &look.what,
            look.uncovered,
            look.purpose,
            &look.scope,
        );
        let known: Option<i64> =
            self.0.prepare_cached(sql)?.query_row(same, |row| row.get(0)).optional()?;
        match known {
            Some(id) => {
                let sql = "UPDATE look SET until_ms = max(until_ms, ?2), sent = 1 WHERE id = ?1";
                self.0.prepare_cached(sql)?.execute((id, look.until_ms))?;
                Ok(())
            }
            None => self.put_look(look, now_ms, true),
        }
    }

    /// Empties entries of a scope of looks that came more than [`LOOK_KEPT_MS`] ago; their names
    /// stay. Where they are our own, only what a peer has. At most `limit`; gives how many.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn empty_looks(
        &self,
        scope: &str,
        own: bool,
        now_ms: i64,
        limit: u32,
    ) -> Result<usize, StoreError> {
        let key = format!("looks emptied in {scope}");
        let stored = self.meta(&key)?.unwrap_or_default();
        let mark = <[u8; 8]>::try_from(&stored[..]).map_or(0, u64::from_be_bytes);
        let until = if own { self.acked_by_any(scope)? } else { self.head(scope)? };
        let sql = "SELECT l.seq, e.pos FROM log l JOIN entry e ON e.pos = l.pos
                   WHERE l.scope = ?1 AND l.seq > ?2 AND l.seq <= ?3 AND e.received_ms < ?4
                   ORDER BY l.seq LIMIT ?5";
        let asked = (scope, mark, until, now_ms - LOOK_KEPT_MS, limit);
        let old: Vec<(u64, i64)> = self
            .0
            .prepare_cached(sql)?
            .query_map(asked, |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        let Some((last, _)) = old.last() else { return Ok(0) };
        let mut query =
            self.0.prepare_cached("UPDATE entry SET bytes = x'', reason = NULL WHERE pos = ?1")?;
        for (_, pos) in &old {
            query.execute([pos])?;
        }
        self.set_meta(&key, &last.to_be_bytes())?;
        Ok(old.len())
    }
}
