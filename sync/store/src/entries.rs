//! The entry log.

use crate::pack::WHOLE;
use crate::{StoreError, Txn, View};
use rusqlite::{OptionalExtension, Row};

/// Whether an entry counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryState {
    /// It counts.
    Good,
    /// It waits for something that has not arrived.
    Waiting,
    /// It was set aside at the door and never counts.
    Quarantined,
    /// It does not count as things stand; the fold judges it again when more is known.
    Unfounded,
}

impl EntryState {
    pub(crate) fn code(self) -> i64 {
        match self {
            Self::Good => 0,
            Self::Waiting => 1,
            Self::Quarantined => 2,
            Self::Unfounded => 3,
        }
    }

    fn of(code: i64) -> Self {
        match code {
            0 => Self::Good,
            1 => Self::Waiting,
            3 => Self::Unfounded,
            _ => Self::Quarantined,
        }
    }
}

/// An entry to append.
#[derive(Clone, Copy, Debug)]
pub struct NewEntry<'a> {
    /// Its name.
    pub id: &'a [u8; 32],
    /// What it is about.
    pub subject: &'a [u8; 16],
    /// Its kind's number.
    pub kind: u8,
    /// The peer it came from; 0 for our own, -1 for what enrolment brought, -2 for what came from
    /// a peer that has begun another epoch since.
    pub via: i64,
    /// When, milliseconds.
    pub received_ms: i64,
    /// Whether it counts.
    pub state: EntryState,
    /// Why not.
    pub reason: Option<&'a str>,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// A stored entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryRow {
    /// Position in this store.
    pub pos: u64,
    /// Its name.
    pub id: [u8; 32],
    /// What it is about.
    pub subject: [u8; 16],
    /// Its kind's number.
    pub kind: u8,
    /// Whether it counts.
    pub state: EntryState,
    /// Why not.
    pub reason: Option<String>,
    /// When it came, milliseconds.
    pub received_ms: i64,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

const COLUMNS: &str = "e.pos, e.id, e.subject, e.kind, e.state, e.reason, e.received_ms";

pub(crate) fn entry(row: &Row<'_>) -> rusqlite::Result<EntryRow> {
    Ok(EntryRow {
        pos: row.get(0)?,
        id: row.get(1)?,
        subject: row.get(2)?,
        kind: row.get(3)?,
        state: EntryState::of(row.get(4)?),
        reason: row.get(5)?,
        received_ms: row.get(6)?,
        bytes: row.get(7)?,
    })
}

impl View<'_> {
    /// All entries of a subject in the order in which they came.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn entries_of(&self, subject: &[u8; 16]) -> Result<Vec<EntryRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS}, {WHOLE} FROM entry e WHERE subject = ?1 ORDER BY pos");
        let mut query = self.0.prepare_cached(&sql)?;
        let rows = query.query_map([subject], entry)?.collect::<Result<_, _>>()?;
        Ok(rows)
    }

    /// Entries of a subject of one kind number, in the order of the log.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn entries_of_kind(
        &self,
        subject: &[u8; 16],
        kind: u8,
    ) -> Result<Vec<EntryRow>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS}, {WHOLE} FROM entry e WHERE subject = ?1 AND kind = ?2 ORDER BY pos"
        );
        let mut query = self.0.prepare_cached(&sql)?;
        let rows = query.query_map((subject, kind), entry)?.collect::<Result<_, _>>()?;
        Ok(rows)
    }

    /// Entries of a subject of one kind number that wait.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn waiting_of(&self, subject: &[u8; 16], kind: u8) -> Result<Vec<EntryRow>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS}, {WHOLE} FROM entry e INDEXED BY entry_aside
             WHERE state <> 0 AND state = 1 AND subject = ?1 AND kind = ?2 ORDER BY pos"
        );
        let mut query = self.0.prepare_cached(&sql)?;
        let rows = query.query_map((subject, kind), entry)?.collect::<Result<_, _>>()?;
        Ok(rows)
    }

    /// An entry by its name.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn entry(&self, id: &[u8; 32]) -> Result<Option<EntryRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS}, {WHOLE} FROM entry e WHERE id = ?1");
        Ok(self.0.prepare_cached(&sql)?.query_row([id], entry).optional()?)
    }

    /// Entries of one kind number in one scope, in log order.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn entries_in(&self, scope: &str, kind: u8) -> Result<Vec<EntryRow>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS}, {WHOLE} FROM log l JOIN entry e ON e.pos = l.pos
             WHERE l.scope = ?1 AND e.kind = ?2 ORDER BY l.seq"
        );
        let mut query = self.0.prepare_cached(&sql)?;
        let rows = query.query_map((scope, kind), entry)?.collect::<Result<_, _>>()?;
        Ok(rows)
    }

    /// How many entries are in quarantine: set aside at the door, or not counting as things stand.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn quarantined(&self) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM entry WHERE state <> 0 AND state >= 2";
        Ok(self.0.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
    }

    /// The scope of a subject and its schema's number.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn subject(&self, id: &[u8; 16]) -> Result<Option<(u8, String)>, StoreError> {
        let mut query = self.0.prepare_cached("SELECT schema, scope FROM subject WHERE id = ?1")?;
        Ok(query.query_row([id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
    }

    /// Subjects whose derived rows are behind their entries.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn dirty(&self, limit: u32) -> Result<Vec<[u8; 16]>, StoreError> {
        let mut query = self.0.prepare_cached("SELECT subject FROM dirty LIMIT ?1")?;
        let rows = query.query_map([limit], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(rows)
    }

    /// Whether a subject's derived rows are behind its entries.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn is_dirty(&self, subject: &[u8; 16]) -> Result<bool, StoreError> {
        let mut query = self.0.prepare_cached("SELECT 1 FROM dirty WHERE subject = ?1")?;
        Ok(query.exists([subject])?)
    }

    /// How many entries there are.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn entry_count(&self) -> Result<u64, StoreError> {
        let sql = "SELECT coalesce(max(pos), 0) FROM entry";
        Ok(self.0.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
    }
}

impl Txn<'_> {
    /// Appends an entry to this store and to a scope's log, and marks its subject dirty. Returns
    /// its position, or nothing when it was here already.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn append(&self, new: &NewEntry<'_>, scope: &str) -> Result<Option<u64>, StoreError> {
        let sql = "INSERT OR IGNORE INTO entry(pos, id, subject, kind, via, received_ms, state, reason, bytes)
                   VALUES((SELECT coalesce(max(pos), 0) + 1 FROM entry), ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let made = self.0.prepare_cached(sql)?.execute((
            new.id,
            new.subject,
            new.kind,
            new.via,
            new.received_ms,
            new.state.code(),
            new.reason,
            new.bytes,
        ))?;
        if made == 0 {
            return Ok(None);
        }
        let pos = self.0.last_insert_rowid();
        self.log(scope, pos, new.id)?;
        self.mark_dirty(new.subject)?;
        Ok(Some(pos.unsigned_abs()))
    }

    /// An entry that is here already and has never been in this scope's log: it is put there, and
    /// judged as now if it was in quarantine. Gives its position, or nothing when it was otherwise.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn admit_here(&self, new: &NewEntry<'_>, scope: &str) -> Result<Option<u64>, StoreError> {
        let sql = "SELECT pos, state FROM entry e WHERE id = ?1 AND (state <> ?2 OR bytes <> x'')
                   AND NOT EXISTS (SELECT 1 FROM log l WHERE l.pos = e.pos AND l.scope = ?3)";
        let aside = EntryState::Quarantined.code();
        let found: Option<(i64, i64)> = self
            .0
            .prepare_cached(sql)?
            .query_row((new.id, aside, scope), |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((pos, state)) = found else { return Ok(None) };
        if state == aside {
            let sql = "UPDATE entry SET state = ?2, reason = ?3, via = ?4 WHERE pos = ?1";
            self.0.prepare_cached(sql)?.execute((pos, new.state.code(), new.reason, new.via))?;
        }
        self.log(scope, pos, new.id)?;
        self.mark_dirty(new.subject)?;
        Ok(Some(pos.unsigned_abs()))
    }

    pub(crate) fn log(&self, scope: &str, pos: i64, id: &[u8; 32]) -> Result<(), StoreError> {
        let mut sum = self.name_sum(scope)?;
        sum.add(id);
        let raise = "INSERT INTO head(scope, seq, sum) VALUES(?1, 1, ?2)
                     ON CONFLICT(scope) DO UPDATE SET seq = seq + 1, sum = excluded.sum
                     RETURNING seq";
        let seq: i64 =
            self.0.prepare_cached(raise)?.query_row((scope, sum.to_bytes()), |row| row.get(0))?;
        let sql = "INSERT INTO log(scope, seq, pos) VALUES(?1, ?2, ?3)";
        self.0.prepare_cached(sql)?.execute((scope, seq, pos))?;
        Ok(())
    }

    /// Changes whether an entry counts.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn set_state(
        &self,
        pos: u64,
        state: EntryState,
        reason: Option<&str>,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE entry SET state = ?2, reason = ?3 WHERE pos = ?1";
        self.0.prepare_cached(sql)?.execute((pos, state.code(), reason))?;
        Ok(())
    }

    /// The subject's derived rows are behind its entries.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn mark_dirty(&self, subject: &[u8; 16]) -> Result<(), StoreError> {
        let sql = "INSERT OR IGNORE INTO dirty(subject) VALUES(?1)";
        self.0.prepare_cached(sql)?.execute([subject])?;
        Ok(())
    }

    /// The subject's derived rows are up to date again.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn clean(&self, subject: &[u8; 16]) -> Result<(), StoreError> {
        self.0.prepare_cached("DELETE FROM dirty WHERE subject = ?1")?.execute([subject])?;
        Ok(())
    }

    /// Subjects with entries that wait or are aside are to be derived again.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn mark_aside_dirty(&self) -> Result<(), StoreError> {
        let sql = "INSERT OR IGNORE INTO dirty(subject)
                   SELECT DISTINCT subject FROM entry WHERE state <> 0";
        self.0.prepare_cached(sql)?.execute([])?;
        Ok(())
    }

    /// Subjects with entries that wait for this reason are to be derived again.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn mark_reason_dirty(&self, reason: &str) -> Result<(), StoreError> {
        // Written out, so that SQLite uses the index of what is aside and reads nothing else.
        let sql = "INSERT OR IGNORE INTO dirty(subject)
                   SELECT DISTINCT subject FROM entry
                   WHERE state <> 0 AND state = 1 AND reason = ?1";
        self.0.prepare_cached(sql)?.execute([reason])?;
        Ok(())
    }

    /// Remembers a subject's schema and scope.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn set_subject(&self, id: &[u8; 16], schema: u8, scope: &str) -> Result<(), StoreError> {
        let sql = "INSERT INTO subject(id, schema, scope) VALUES(?1, ?2, ?3)
                   ON CONFLICT(id) DO UPDATE SET schema = excluded.schema, scope = excluded.scope";
        self.0.prepare_cached(sql)?.execute((id, schema, scope))?;
        Ok(())
    }
}
