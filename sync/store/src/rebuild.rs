//! Derived rows dropped, subject by subject, so that the replica makes them again.
//!
//! What cannot be made again stays: cards of cases that left, what was erased, and who names which
//! attachment (a name of an earlier save is in no later document, and a photo cannot be taken
//! again).

use crate::{StoreError, Txn, View};

impl View<'_> {
    /// Subjects of the log after one, in the order of their bytes. At most `limit`.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn subjects_after(&self, after: &[u8], limit: u32) -> Result<Vec<[u8; 16]>, StoreError> {
        let sql = "SELECT DISTINCT subject FROM entry WHERE subject > ?1 ORDER BY subject LIMIT ?2";
        let mut query = self.0.prepare_cached(sql)?;
        let rows = query.query_map((after, limit), |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// How many subjects the log has up to one, and in all.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn subject_count(&self, upto: &[u8]) -> Result<(u64, u64), StoreError> {
        let sql = "SELECT count(DISTINCT subject) FILTER (WHERE subject <= ?1),
                          count(DISTINCT subject) FROM entry";
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        Ok(self.0.prepare_cached(sql)?.query_row([upto], row)?)
    }
}

impl Txn<'_> {
    /// Drops what was derived of a subject, but for one whose content left.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn drop_derived(&self, subject: &[u8; 16]) -> Result<(), StoreError> {
        if self.evicted(subject)?.is_some() {
            return Ok(());
        }
        for sql in [
            "DELETE FROM subject WHERE id = ?1",
            "DELETE FROM document WHERE subject = ?1",
            "DELETE FROM case_row WHERE subject = ?1",
            "DELETE FROM resident_row WHERE subject = ?1",
            "DELETE FROM resident_key WHERE subject = ?1",
            "DELETE FROM duty WHERE subject = ?1",
        ] {
            self.0.prepare_cached(sql)?.execute([subject])?;
        }
        Ok(())
    }

    /// Drops derived rows of subjects of which the log has no entry; says how many rows.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn drop_unfounded(&self) -> Result<usize, StoreError> {
        let mut dropped = 0;
        for (table, column) in [
            ("subject", "id"),
            ("document", "subject"),
            ("case_row", "subject"),
            ("resident_row", "subject"),
            ("resident_key", "subject"),
            ("duty", "subject"),
            ("dirty", "subject"),
        ] {
            let sql = format!(
                "DELETE FROM {table} WHERE NOT EXISTS
                   (SELECT 1 FROM entry e WHERE e.subject = {table}.{column})"
            );
            dropped += self.0.execute(&sql, [])?;
        }
        Ok(dropped)
    }
}
