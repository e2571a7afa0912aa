//! What a scrub reads, what it marks, and what a peer heals.
//!
//! An entry that has rotted is emptied: an empty entry is never sent and never folded. That it is
//! to come back is in the table `rotten`, unless its subject left or was erased since.

use crate::entries::entry;
use crate::open::ask;
use crate::pack::WHOLE;
use crate::{EntryRow, Store, StoreError, Txn, View};
use rusqlite::ErrorCode;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::time::{Duration, SystemTime};

/// A file that nothing names is younger than this may be a photo whose row is still to come.
const ORPHAN_AGE: Duration = Duration::from_secs(24 * 3600);
/// How the extension of a file begins that is being written.
pub(crate) const HALF: &str = "part-";
/// Folders of attachments are called by the first two digits of the names in them.
pub const ATTACHMENT_FOLDERS: u16 = 256;
const COLUMNS: &str = "e.pos, e.id, e.subject, e.kind, e.state, e.reason, e.received_ms";
// What left or was erased since is not to come back.
const TO_HEAL: &str = "FROM rotten r JOIN entry e ON e.pos = r.pos
    WHERE NOT EXISTS (SELECT 1 FROM evicted v WHERE v.subject = e.subject)
      AND NOT EXISTS (SELECT 1 FROM erased v WHERE v.subject = e.subject)";

/// [`TO_HEAL`] for all of them: begun from the few that have rotted. Left to itself SQLite reads every
/// entry, at every contact.
fn all_to_heal(columns: &str) -> String {
    format!("SELECT {columns} {}", TO_HEAL.replacen(" JOIN ", " CROSS JOIN ", 1))
}

impl StoreError {
    /// Whether the disk gave back something else than was written.
    #[must_use]
    pub fn is_rot(&self) -> bool {
        match self {
            Self::Sqlite(e) => matches!(
                e.sqlite_error_code(),
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
            ),
            Self::Damaged { .. } => true,
            _ => false,
        }
    }
}

impl Store {
    /// What SQLite says of one table and its indexes, as one reader sees them.
    ///
    /// # Errors
    /// When SQLite fails otherwise than by finding damage.
    pub fn integrity_of(&self, table: &str) -> Result<Vec<String>, StoreError> {
        let mut out = Vec::new();
        let quoted = table.replace('"', "");
        match ask(&self.reader()?, &format!("PRAGMA integrity_check(\"{quoted}\")"), &mut out) {
            Err(error) if error.is_rot() => out.push(error.to_string()),
            done => done?,
        }
        out.retain(|line| line != "ok");
        Ok(out)
    }

    /// Names of the files that these attachments have or will have.
    pub fn attachment_files(&self, ids: &[[u8; 32]]) -> BTreeSet<OsString> {
        ids.iter()
            .filter_map(|id| self.attachment_path(id).file_name().map(OsString::from))
            .collect()
    }

    /// Removes files of one attachments' folder (of [`ATTACHMENT_FOLDERS`]) that nothing names and
    /// that are a day old: a cut left them. `named` are files of every store that keeps its
    /// attachments here. What is on its way stays as long as it is named. Gives how many.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn remove_orphans(
        &self,
        folder: u16,
        named: &BTreeSet<OsString>,
    ) -> Result<usize, StoreError> {
        let path = self.attachments.join(format!("{folder:02x}"));
        let disk = |source| StoreError::Disk { path: path.clone(), source };
        let files = match fs::read_dir(&path) {
            Ok(files) => files,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(0),
            Err(source) => return Err(disk(source)),
        };
        let mut removed = 0;
        for file in files {
            let file = file.map_err(disk)?;
            let path = file.path();
            // What `write_attachment` had not finished is of no use to anybody.
            let half = path.extension().is_some_and(|e| e.to_string_lossy().starts_with(HALF));
            if !half && path.file_stem().is_some_and(|stem| named.contains(stem)) {
                continue;
            }
            let changed = file.metadata().and_then(|m| m.modified()).map_err(disk)?;
            let old = SystemTime::now().duration_since(changed).is_ok_and(|age| age > ORPHAN_AGE);
            if old {
                fs::remove_file(path).map_err(disk)?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

impl View<'_> {
    /// Entries after a position, at most `limit` and about `bytes_max`.
    ///
    /// # Errors
    /// When SQLite fails, or a page of it has rotted.
    pub fn entries_after(
        &self,
        after: u64,
        limit: u32,
        bytes_max: usize,
    ) -> Result<Vec<EntryRow>, StoreError> {
        let sql =
            format!("SELECT {COLUMNS}, {WHOLE} FROM entry e WHERE pos > ?1 ORDER BY pos LIMIT ?2");
        let mut query = self.0.prepare_cached(&sql)?;
        let mut rows = query.query((after, limit))?;
        let (mut out, mut bytes) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            let row = entry(row)?;
            bytes += row.bytes.len();
            out.push(row);
            if bytes >= bytes_max {
                break;
            }
        }
        Ok(out)
    }

    /// Names of entries of these scopes that have rotted and are to be healed.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn rotten(&self, scopes: &[String], limit: usize) -> Result<Vec<[u8; 32]>, StoreError> {
        let sql = all_to_heal("e.id, r.pos") + " ORDER BY r.pos";
        let mut query = self.0.prepare_cached(&sql)?;
        let mut rows = query.query([])?;
        let mut out = Vec::new();
        while let Some(row) = rows.next()? {
            let pos: u64 = row.get(1)?;
            for scope in scopes {
                if self.seq_of(scope, pos)?.is_some() {
                    out.push(row.get(0)?);
                    break;
                }
            }
            if out.len() >= limit {
                break;
            }
        }
        Ok(out)
    }

    /// How many entries have rotted and are to be healed.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn rotten_count(&self) -> Result<u64, StoreError> {
        let sql = all_to_heal("count(*)");
        Ok(self.0.prepare_cached(&sql)?.query_row([], |row| row.get(0))?)
    }

    /// Whether a subject has an entry that is to be healed.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn is_rotten(&self, subject: &[u8; 16]) -> Result<bool, StoreError> {
        let sql = format!("SELECT 1 {TO_HEAL} AND e.subject = ?1");
        Ok(self.0.prepare_cached(&sql)?.exists([subject])?)
    }

    /// Subjects with documents after one, in the order of their bytes.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn documents_after(&self, after: &[u8], limit: u32) -> Result<Vec<[u8; 16]>, StoreError> {
        let sql = "SELECT subject FROM document WHERE subject > ?1 ORDER BY subject LIMIT ?2";
        let mut query = self.0.prepare_cached(sql)?;
        let rows = query.query_map((after, limit), |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Attachments that are here after one, in the order of their names, with their sizes.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn attachments_after(
        &self,
        after: &[u8],
        limit: u32,
    ) -> Result<Vec<([u8; 32], u64)>, StoreError> {
        let sql = "SELECT id, bytes FROM attachment WHERE id > ?1 AND state = 1
                   ORDER BY id LIMIT ?2";
        let mut query = self.0.prepare_cached(sql)?;
        let rows = query.query_map((after, limit), |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Attachments that may have files: here or wanted.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn attachments_with_files(&self) -> Result<Vec<[u8; 32]>, StoreError> {
        let mut query = self.0.prepare_cached("SELECT id FROM attachment WHERE state IN (0, 1)")?;
        let rows = query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(rows)
    }

    /// Names of all tables.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn tables(&self) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT name FROM sqlite_schema WHERE type = 'table'
                     AND name NOT LIKE 'sqlite_%' ORDER BY name";
        let mut query = self.0.prepare_cached(sql)?;
        let rows = query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(rows)
    }

    /// How much there is to scrub: entries, documents, attachments that are here.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn to_scrub(&self) -> Result<(u64, u64, u64), StoreError> {
        let sql = "SELECT (SELECT coalesce(max(pos), 0) FROM entry),
                          (SELECT count(*) FROM document),
                          (SELECT count(*) FROM attachment WHERE state = 1)";
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        Ok(self.0.prepare_cached(sql)?.query_row([], row)?)
    }
}

impl Txn<'_> {
    /// An entry has rotted: it is emptied, counts no longer, and is to be healed. Its subject is
    /// to be derived again.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn mark_rotten(&self, pos: u64, now_ms: i64) -> Result<(), StoreError> {
        let mark = "INSERT OR IGNORE INTO rotten(pos, found_ms) VALUES(?1, ?2)";
        self.0.prepare_cached(mark)?.execute((pos, now_ms))?;
        self.0.prepare_cached("UPDATE entry SET bytes = x'' WHERE pos = ?1")?.execute([pos])?;
        let dirty = "INSERT OR IGNORE INTO dirty(subject) SELECT subject FROM entry WHERE pos = ?1";
        self.0.prepare_cached(dirty)?.execute([pos])?;
        Ok(())
    }

    /// An entry that had rotted is here again; `bytes` have its name, which the caller has checked.
    /// False when it was not rotten, or its subject left or was erased meanwhile.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn heal(&self, id: &[u8; 32], bytes: &[u8]) -> Result<bool, StoreError> {
        let wanted = format!("SELECT 1 {TO_HEAL} AND e.id = ?1");
        let wanted = self.0.prepare_cached(&wanted)?.exists([id])?;
        if wanted {
            let sql = "UPDATE entry SET bytes = ?2 WHERE id = ?1";
            self.0.prepare_cached(sql)?.execute((id, bytes))?;
            let dirty =
                "INSERT OR IGNORE INTO dirty(subject) SELECT subject FROM entry WHERE id = ?1";
            self.0.prepare_cached(dirty)?.execute([id])?;
        }
        let sql = "DELETE FROM rotten WHERE pos IN (SELECT pos FROM entry WHERE id = ?1)";
        self.0.prepare_cached(sql)?.execute([id])?;
        Ok(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Lock, Store};

    #[test]
    fn what_rotted_is_found_without_reading_every_entry() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path(), &Lock::Plain).expect("a store");
        let plan = |sql: String| -> Result<Vec<String>, StoreError> {
            store.read(|view| {
                let mut query = view.0.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
                let rows = query.query_map([], |row| row.get("detail"))?;
                Ok(rows.collect::<Result<_, _>>()?)
            })
        };
        for sql in [all_to_heal("count(*)"), all_to_heal("e.id, r.pos") + " ORDER BY r.pos"] {
            let steps = plan(sql).expect("a plan");
            assert!(steps.iter().any(|step| step.starts_with("SEARCH e ")), "{steps:?}");
            assert!(!steps.iter().any(|step| step.starts_with("SCAN e")), "{steps:?}");
        }
    }
}
