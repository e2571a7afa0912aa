//! Materialised documents: derived from the edits, kept so that a page need not replay them.

use crate::pack::WHOLE;
use crate::{StoreError, Txn, View};
use rusqlite::OptionalExtension;

/// A saved document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDocument {
    /// Edits up to this position of the store are in it.
    pub pos: u64,
    /// The saved form.
    pub bytes: Vec<u8>,
}

impl View<'_> {
    /// The saved document of a subject.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn document(&self, subject: &[u8; 16]) -> Result<Option<StoredDocument>, StoreError> {
        let sql = format!("SELECT e.pos, {WHOLE} FROM document e WHERE e.subject = ?1");
        let mut query = self.0.prepare_cached(&sql)?;
        let row =
            |row: &rusqlite::Row<'_>| Ok(StoredDocument { pos: row.get(0)?, bytes: row.get(1)? });
        Ok(query.query_row([subject], row).optional()?)
    }
}

impl Txn<'_> {
    /// Keeps a subject's document.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn set_document(&self, subject: &[u8; 16], doc: &StoredDocument) -> Result<(), StoreError> {
        let sql = "INSERT INTO document(subject, pos, bytes) VALUES(?1, ?2, ?3)
                   ON CONFLICT(subject) DO UPDATE SET pos = excluded.pos, bytes = excluded.bytes";
        self.0.prepare_cached(sql)?.execute((subject, doc.pos, &doc.bytes))?;
        Ok(())
    }
}
