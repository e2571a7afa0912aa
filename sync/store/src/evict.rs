//! Content that leaves a box: the bytes go, the names of the entries stay, so that a peer neither
//! brings them back nor asks for them for ever.

use crate::{StoreError, Txn, View};
use rusqlite::OptionalExtension;

impl View<'_> {
    /// Closed cases whose last entry came before `before_ms`, with nothing that no peer has
    /// acknowledged and nothing set aside. At most `limit`.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn evictable(&self, before_ms: i64, limit: u32) -> Result<Vec<[u8; 16]>, StoreError> {
        let sql = "SELECT c.subject FROM case_row c
                   WHERE c.open = 0 AND c.aside = 0 AND (c.uploaded = 1 OR c.submitted_ms = 0)
                     AND c.changed_ms <= ?1
                     AND NOT EXISTS (SELECT 1 FROM evicted v WHERE v.subject = c.subject)
                     AND NOT EXISTS (SELECT 1 FROM entry e
                        WHERE e.subject = c.subject AND e.received_ms > ?1)
                     AND NOT EXISTS (SELECT 1 FROM entry e JOIN log l ON l.pos = e.pos
                        WHERE e.subject = c.subject AND e.via = 0 AND l.seq >
                          (SELECT coalesce(max(a.seq), 0) FROM acked a JOIN peer p ON p.id = a.peer
                             WHERE a.scope = l.scope AND p.beside = 0))
                   ORDER BY c.changed_ms LIMIT ?2";
        let mut query = self.0.prepare_cached(sql)?;
        let rows = query.query_map((before_ms, limit), |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// When a subject's content left this store, milliseconds.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn evicted(&self, subject: &[u8; 16]) -> Result<Option<i64>, StoreError> {
        let mut query = self.0.prepare_cached("SELECT at_ms FROM evicted WHERE subject = ?1")?;
        Ok(query.query_row([subject], |row| row.get(0)).optional()?)
    }

    /// How many cases have left this store.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn evicted_count(&self) -> Result<u64, StoreError> {
        Ok(self.0.query_row("SELECT count(*) FROM evicted", [], |row| row.get(0))?)
    }
}

impl Txn<'_> {
    /// Takes a case's content away: bytes of entries but those of the kind number `keep`, document,
    /// photos that no case here still needs. Gives the attachments whose files are to be removed after the commit.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn evict(
        &self,
        subject: &[u8; 16],
        applicant: &str,
        at_ms: i64,
        keep: u8,
    ) -> Result<Vec<[u8; 32]>, StoreError> {
        let mark = "INSERT OR IGNORE INTO evicted(subject, at_ms) VALUES(?1, ?2)";
        self.0.prepare_cached(mark)?.execute((subject, at_ms))?;
        self.blank_but(subject, keep)?;
        self.0.prepare_cached("DELETE FROM document WHERE subject = ?1")?.execute([subject])?;
        let card = "UPDATE case_row SET applicant = ?2, due = '', task = '' WHERE subject = ?1";
        self.0.prepare_cached(card)?.execute((subject, applicant))?;
        // What a resident gave before stays usable by reference: a resident's record alone does
        // not keep a photo here.
        let leave = "UPDATE attachment SET state = 2 WHERE state <> 2 AND id IN (
                       SELECT o.attachment FROM attachment_of o WHERE o.subject = ?1
                         AND NOT EXISTS (SELECT 1 FROM attachment_of p
                           JOIN case_row c ON c.subject = p.subject
                           WHERE p.attachment = o.attachment AND p.subject <> ?1
                             AND NOT EXISTS (SELECT 1 FROM evicted v WHERE v.subject = p.subject)))
                     RETURNING id";
        let mut query = self.0.prepare_cached(leave)?;
        let rows = query.query_map([subject], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
