//! What is erased: all of a subject goes but what was said about its erasure. Rows are overwritten
//! (`secure_delete`), files removed after the commit, and names of entries stay, so that whoever
//! brings one back is passed over.

use crate::{StoreError, Txn, View};
use rusqlite::OptionalExtension;

/// A subject that was erased here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasedRow {
    /// Which.
    pub subject: [u8; 16],
    /// Name of the agreement.
    pub agreed: [u8; 32],
    /// Where it belonged.
    pub scope: String,
    /// When it was erased here, milliseconds.
    pub at_ms: i64,
}

impl View<'_> {
    /// Whether a subject was erased here.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn erased(&self, subject: &[u8; 16]) -> Result<bool, StoreError> {
        Ok(self.0.prepare_cached("SELECT 1 FROM erased WHERE subject = ?1")?.exists([subject])?)
    }

    /// Erasures of which this store has not said yet that they are done. At most `limit`.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn erasures_to_say(&self, limit: u32) -> Result<Vec<ErasedRow>, StoreError> {
        let sql = "SELECT subject, agreed, scope, at_ms FROM erased WHERE said = 0 LIMIT ?1";
        let mut query = self.0.prepare_cached(sql)?;
        let rows = query.query_map([limit], |row| {
            let (subject, agreed) = (row.get(0)?, row.get(1)?);
            Ok(ErasedRow { subject, agreed, scope: row.get(2)?, at_ms: row.get(3)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Attachments whose files are still to be removed.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn attachments_gone(&self) -> Result<Vec<[u8; 32]>, StoreError> {
        let sql = "SELECT id FROM attachment_gone WHERE id NOT IN (SELECT id FROM attachment)";
        let mut query = self.0.prepare_cached(sql)?;
        let rows = query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(rows)
    }

    /// Where a subject's first entry came.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn scope_of(&self, subject: &[u8; 16]) -> Result<Option<String>, StoreError> {
        let sql = "SELECT l.scope FROM entry e JOIN log l ON l.pos = e.pos
                   WHERE e.subject = ?1 ORDER BY e.pos LIMIT 1";
        Ok(self.0.prepare_cached(sql)?.query_row([subject], |row| row.get(0)).optional()?)
    }

    /// Where an entry stands.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn scope_at(&self, pos: u64) -> Result<Option<String>, StoreError> {
        let sql = "SELECT scope FROM log WHERE pos = ?1 ORDER BY scope LIMIT 1";
        Ok(self.0.prepare_cached(sql)?.query_row([pos], |row| row.get(0)).optional()?)
    }

    /// Subjects with entries of a kind number (4 and above) that count, the latest first.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn subjects_with(
        &self,
        kind: u8,
        limit: u32,
        offset: u32,
    ) -> Result<Vec<[u8; 16]>, StoreError> {
        let sql = "SELECT subject FROM entry WHERE kind >= 4 AND kind = ?1 AND state = 0
                   GROUP BY subject ORDER BY min(pos) DESC LIMIT ?2 OFFSET ?3";
        let mut query = self.0.prepare_cached(sql)?;
        let rows = query.query_map((kind, limit, offset), |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl Txn<'_> {
    /// Erases a subject: the bytes of all its entries but those of the kind number `keep`, its
    /// document, its rows, and the photos that nobody else names. Files go afterwards
    /// ([`View::attachments_gone`]).
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn erase(&self, row: &ErasedRow, keep: u8) -> Result<(), StoreError> {
        let mark = "INSERT OR IGNORE INTO erased(subject, agreed, scope, at_ms)
                    VALUES(?1, ?2, ?3, ?4)";
        self.0.prepare_cached(mark)?.execute((row.subject, row.agreed, &row.scope, row.at_ms))?;
        self.blank_but(&row.subject, keep)?;
        // Nobody can be given them any more: who comes new does not lack them.
        self.leave_out_erased(&row.subject, keep)?;
        let queue = "INSERT OR IGNORE INTO attachment_gone(id)
                     SELECT DISTINCT o.attachment FROM attachment_of o WHERE o.subject = ?1
                       AND NOT EXISTS (SELECT 1 FROM attachment_of p
                         WHERE p.attachment = o.attachment AND p.subject <> ?1)";
        self.0.prepare_cached(queue)?.execute([row.subject])?;
        for sql in [
            "DELETE FROM attachment_of WHERE subject = ?1",
            "DELETE FROM document WHERE subject = ?1",
            "DELETE FROM case_row WHERE subject = ?1",
            "DELETE FROM resident_row WHERE subject = ?1",
            "DELETE FROM resident_key WHERE subject = ?1",
            "DELETE FROM duty WHERE subject = ?1",
            "DELETE FROM subject WHERE id = ?1",
            "DELETE FROM evicted WHERE subject = ?1",
        ] {
            self.0.prepare_cached(sql)?.execute([row.subject])?;
        }
        let gone = "DELETE FROM attachment WHERE id IN (SELECT id FROM attachment_gone)
                    AND NOT EXISTS (SELECT 1 FROM attachment_of o WHERE o.attachment = attachment.id)";
        self.0.prepare_cached(gone)?.execute([])?;
        Ok(())
    }

    /// Empties the entries of a subject but those of a kind number; all their names stay.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn blank_but(&self, subject: &[u8; 16], keep: u8) -> Result<(), StoreError> {
        let sql = "UPDATE entry SET bytes = x'', reason = NULL
                   WHERE subject = ?1 AND kind <> ?2 AND bytes <> x''";
        self.0.prepare_cached(sql)?.execute((subject, keep))?;
        self.drop_pack(subject)
    }

    /// The file of an attachment is removed.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn attachment_removed(&self, id: &[u8; 32]) -> Result<(), StoreError> {
        self.0.prepare_cached("DELETE FROM attachment_gone WHERE id = ?1")?.execute([id])?;
        Ok(())
    }

    /// This store has said that an erasure is done.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn erasure_said(&self, subject: &[u8; 16]) -> Result<(), StoreError> {
        self.0
            .prepare_cached("UPDATE erased SET said = 1 WHERE subject = ?1")?
            .execute([subject])?;
        Ok(())
    }
}
