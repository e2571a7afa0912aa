//! Attachments: encrypted files whose names say nothing, and rows that say which are here and
//! whose they are.

use crate::ranges::{FileWriter, sync_folder};
use crate::scrub::HALF;
use crate::{Store, StoreError, Txn, View};
use cunkou_keys::files;
use rusqlite::{OptionalExtension, params_from_iter, types::Value};
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

/// What is not longer comes with the previews. Bytes.
const SMALL_BYTES: u64 = 32 * 1024;

/// Whether an attachment is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachmentState {
    /// Named by an entry, not yet here.
    Wanted,
    /// Here.
    Here,
    /// It was here and left when its case did; the county has it.
    Left,
}

/// What is known of an attachment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttachmentRow {
    /// Whether it is here.
    pub state: AttachmentState,
    /// Its size; 0 while it is wanted.
    pub bytes: u64,
}

impl Store {
    /// Where an attachment lies: a keyed hash, because a plain one tells who has the same photo.
    pub(crate) fn attachment_path(&self, id: &[u8; 32]) -> PathBuf {
        let name = match &self.files {
            Some(keys) => blake3::keyed_hash(keys.names.bytes(), id),
            None => blake3::Hash::from_bytes(*id),
        }
        .to_hex();
        self.attachments.join(&name[..2]).join(&name[2..])
    }

    /// The content of a file, if it is whole.
    fn content_of(&self, id: &[u8; 32], file: Vec<u8>) -> Option<Vec<u8>> {
        let bytes = match &self.files {
            Some(keys) => files::open(&keys.content, id, &file).ok()?,
            None => file,
        };
        (blake3::hash(&bytes).as_bytes() == id).then_some(bytes)
    }

    /// Writes an attachment's file, whole and on disk when this returns. The row follows in a
    /// transaction by [`Txn::attachment_here`].
    ///
    /// # Errors
    /// When the bytes do not have this hash, or the disk fails.
    pub fn write_attachment(&self, id: &[u8; 32], bytes: &[u8]) -> Result<(), StoreError> {
        if blake3::hash(bytes).as_bytes() != id {
            return Err(StoreError::Damaged { what: "attachment" });
        }
        let path = self.attachment_path(id);
        // A file that is whole stays; one that has rotted is written anew.
        if fs::read(&path).is_ok_and(|kept| self.content_of(id, kept).is_some()) {
            return Ok(());
        }
        self.place_file(id, bytes.len() as u64, |to| to.write(bytes).map(|()| true))?;
        Ok(())
    }

    /// Writes a file beside its place and moves it there when `fill` has given all of it and said
    /// yes; on disk when this returns.
    pub(crate) fn place_file(
        &self,
        id: &[u8; 32],
        length: u64,
        fill: impl FnOnce(&mut FileWriter<'_>) -> io::Result<bool>,
    ) -> Result<bool, StoreError> {
        let path = self.attachment_path(id);
        let folder = path.parent().unwrap_or(&self.attachments);
        let part = path.with_extension(format!("{HALF}{:?}", std::thread::current().id()));
        let write = || -> io::Result<bool> {
            fs::create_dir_all(folder)?;
            let file = File::create(&part)?;
            let mut to = match &self.files {
                Some(keys) => {
                    FileWriter::Sealed(files::Writer::new(&keys.content, id, length, file)?)
                }
                None => FileWriter::Plain(file),
            };
            if !fill(&mut to)? {
                fs::remove_file(&part)?;
                return Ok(false);
            }
            to.finish()?.sync_all()?;
            fs::rename(&part, &path)?;
            sync_folder(folder)?;
            sync_folder(&self.attachments)?;
            Ok(true)
        };
        write().map_err(|source| StoreError::Disk { path: path.clone(), source })
    }

    /// Reads an attachment and checks it against its hash.
    ///
    /// # Errors
    /// When the disk fails or the file is damaged; `None` when it is not here.
    pub fn read_attachment(&self, id: &[u8; 32]) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.attachment_path(id);
        match fs::read(&path) {
            Ok(file) => match self.content_of(id, file) {
                Some(bytes) => Ok(Some(bytes)),
                None => Err(StoreError::Damaged { what: "attachment" }),
            },
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StoreError::Disk { path, source }),
        }
    }

    /// Removes an attachment's file, and what is here of one that was on its way; the row is
    /// changed in a transaction before.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn remove_attachment(&self, id: &[u8; 32]) -> Result<(), StoreError> {
        self.remove_part(id)?;
        let path = self.attachment_path(id);
        match fs::remove_file(&path) {
            Ok(()) => Ok(()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(StoreError::Disk { path, source }),
        }
    }
}

impl View<'_> {
    /// What is known of an attachment.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn attachment(&self, id: &[u8; 32]) -> Result<Option<AttachmentRow>, StoreError> {
        let sql = "SELECT state, bytes FROM attachment WHERE id = ?1";
        let row = |row: &rusqlite::Row<'_>| {
            let state = match row.get::<_, i64>(0)? {
                1 => AttachmentState::Here,
                2 => AttachmentState::Left,
                _ => AttachmentState::Wanted,
            };
            Ok(AttachmentRow { state, bytes: row.get(1)? })
        };
        Ok(self.0.prepare_cached(sql)?.query_row([id], row).optional()?)
    }

    /// The attachments that are here.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn attachments_here(&self) -> Result<Vec<[u8; 32]>, StoreError> {
        let mut query = self.0.prepare_cached("SELECT id FROM attachment WHERE state = 1")?;
        let rows = query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(rows)
    }

    /// All attachments that are wanted.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn attachments_wanted(&self) -> Result<Vec<[u8; 32]>, StoreError> {
        let mut query = self.0.prepare_cached("SELECT id FROM attachment WHERE state = 0")?;
        let rows = query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(rows)
    }

    /// Whether an attachment belongs to one of these scopes.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn attachment_in(&self, id: &[u8; 32], scopes: &[String]) -> Result<bool, StoreError> {
        let sql = "SELECT scope FROM attachment_of WHERE attachment = ?1";
        let mut query = self.0.prepare_cached(sql)?;
        let mut rows = query.query([id])?;
        while let Some(row) = rows.next()? {
            let scope: String = row.get(0)?;
            if scopes.contains(&scope) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Wanted attachments of these scopes, in the order in which they are to be fetched: the
    /// catalogue, what a person wants now, previews and what is small, then those of open cases, the latest first.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn wanted(&self, scopes: &[String], limit: usize) -> Result<Vec<[u8; 32]>, StoreError> {
        let marks = vec!["?"; scopes.len()].join(", ");
        let sql = format!(
            "SELECT a.id FROM attachment a JOIN attachment_of o ON o.attachment = a.id
             LEFT JOIN case_row c ON c.subject = o.subject
             LEFT JOIN lane_now n ON n.subject = o.subject
             WHERE a.state = 0 AND o.scope IN ({marks}) GROUP BY a.id
             ORDER BY max(o.scope = 'system') DESC, max(n.subject IS NOT NULL) DESC,
               (a.preview = 1 OR a.named_bytes BETWEEN 1 AND {SMALL_BYTES}) DESC,
               max(coalesce(c.open, 0)) DESC, max(coalesce(c.changed_ms, 0)) DESC, a.id
             LIMIT {limit}"
        );
        let mut query = self.0.prepare(&sql)?;
        let scopes = scopes.iter().map(|scope| Value::from(scope.clone()));
        let rows = query.query_map(params_from_iter(scopes), |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// All attachments that are wanted: how many, and their bytes as far as who names them says.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn wanted_count(&self) -> Result<(u64, u64), StoreError> {
        let sql = "SELECT count(*), coalesce(sum(named_bytes), 0) FROM attachment WHERE state = 0";
        let mut query = self.0.prepare_cached(sql)?;
        Ok(query.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?)
    }

    /// All attachments that are wanted.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn all_wanted(&self) -> Result<Vec<[u8; 32]>, StoreError> {
        let mut query = self.0.prepare_cached("SELECT id FROM attachment WHERE state = 0")?;
        let rows = query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(rows)
    }

    /// How many of a subject's attachments are here, and how many are to be: those that left
    /// earlier and are cited again do not count, nor do previews.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn attachments_of(&self, subject: &[u8; 16]) -> Result<(u64, u64), StoreError> {
        let sql = "SELECT coalesce(sum(a.state = 1), 0), count(*) FROM
                   (SELECT DISTINCT attachment FROM attachment_of WHERE subject = ?1) o
                   JOIN attachment a ON a.id = o.attachment WHERE a.state <> 2 AND a.preview = 0";
        let row =
            self.0.prepare_cached(sql)?.query_row([subject], |r| Ok((r.get(0)?, r.get(1)?)))?;
        Ok(row)
    }
}

impl Txn<'_> {
    /// The file of an attachment that was made here is on disk; what nobody was given is only here.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn attachment_here(&self, id: &[u8; 32], bytes: u64) -> Result<(), StoreError> {
        let sql = "INSERT INTO attachment(id, bytes, state, only_here) VALUES(?1, ?2, 1, 1)
                   ON CONFLICT(id) DO UPDATE SET bytes = excluded.bytes, state = 1,
                     only_here = given IS NULL AND (state <> 1 OR only_here)";
        self.0.prepare_cached(sql)?.execute((id, bytes))?;
        Ok(())
    }

    /// The file of an attachment that is wanted whoever names it was fetched, and is on disk.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn attachment_came(&self, id: &[u8; 32], bytes: u64) -> Result<(), StoreError> {
        let sql = "INSERT INTO attachment(id, bytes, state) VALUES(?1, ?2, 1)
                   ON CONFLICT(id) DO UPDATE SET bytes = excluded.bytes, state = 1";
        self.0.prepare_cached(sql)?.execute((id, bytes))?;
        Ok(())
    }

    /// The file of an attachment that was fetched is on disk; false when nobody here names it any
    /// more, and the file is to go.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn attachment_arrived(&self, id: &[u8; 32], bytes: u64) -> Result<bool, StoreError> {
        let sql = "UPDATE attachment SET bytes = ?2, state = 1 WHERE id = ?1 AND state IN (0, 1)";
        Ok(self.0.prepare_cached(sql)?.execute((id, bytes))? > 0)
    }

    /// The file of an attachment is gone or has rotted: it is wanted again. False when it was
    /// not here anyway.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn attachment_lost(&self, id: &[u8; 32]) -> Result<bool, StoreError> {
        let sql = "UPDATE attachment SET state = 0 WHERE id = ?1 AND state = 1";
        Ok(self.0.prepare_cached(sql)?.execute([id])? > 0)
    }

    /// A subject names an attachment; if it is not here it is wanted.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn attachment_named(
        &self,
        id: &[u8; 32],
        scope: &str,
        subject: &[u8; 16],
    ) -> Result<(), StoreError> {
        let want = "INSERT OR IGNORE INTO attachment(id, bytes, state) VALUES(?1, 0, 0)";
        self.0.prepare_cached(want)?.execute([id])?;
        let name =
            "INSERT OR IGNORE INTO attachment_of(attachment, scope, subject) VALUES(?1, ?2, ?3)";
        self.0.prepare_cached(name)?.execute((id, scope, subject))?;
        Ok(())
    }

    /// What whoever names an attachment says of it: whether it is the preview of another, and its
    /// bytes. It orders the lane and is believed for nothing else.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn attachment_described(
        &self,
        id: &[u8; 32],
        preview: bool,
        bytes: u32,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE attachment SET preview = ?2, named_bytes = ?3
                   WHERE id = ?1 AND (preview <> ?2 OR named_bytes <> ?3)";
        self.0.prepare_cached(sql)?.execute((id, preview, bytes))?;
        Ok(())
    }
}
