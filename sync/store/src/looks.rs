//! Who looked at whom: written with every page about somebody, kept for more than a year. At the
//! county, the looks of the boxes too; how they get there is in `upward.rs`.

use crate::{StoreError, Txn, View};
use rusqlite::{OptionalExtension, Row};

/// Looks are kept so long: the law demands six months, people ask about last year. Milliseconds.
pub const LOOK_KEPT_MS: i64 = 400 * 24 * 3_600_000;
/// The same masked page by the same person within this time is one look. Milliseconds.
const SAME_LOOK_MS: i64 = 10 * 60 * 1000;
/// The end of a look is written down no more often than this. Milliseconds.
const RENEWED_MS: i64 = 60 * 1000;
/// Each look takes so many old ones with it, so that the table never grows for ever.
const PRUNED: u32 = 8;

/// Somebody looked at somebody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LookRow {
    /// When, milliseconds.
    pub at_ms: i64,
    /// Until when: a page that renews itself is one look. 0 for looks of older programs.
    pub until_ms: i64,
    /// Who.
    pub person: [u8; 16],
    /// At which case or resident; zeros for a list.
    pub subject: [u8; 16],
    /// At which page: method and path of the route.
    pub what: String,
    /// Full numbers were shown.
    pub uncovered: bool,
    /// What for, a number of `casework::looking::Purpose`; 0 for a case in one's hands.
    pub purpose: u8,
    /// Of a list: the villages or the department; empty for all of this store.
    pub scope: String,
    /// On which box; zeros for this machine.
    pub device: [u8; 16],
}

pub(crate) const COLUMNS: &str =
    "at_ms, until_ms, person, subject, what, uncovered, purpose, scope, device";
/// This machine.
pub(crate) const HERE: [u8; 16] = [0; 16];

pub(crate) fn look(row: &Row<'_>) -> rusqlite::Result<LookRow> {
    Ok(LookRow {
        at_ms: row.get(0)?,
        until_ms: row.get(1)?,
        person: row.get(2)?,
        subject: row.get(3)?,
        what: row.get(4)?,
        uncovered: row.get(5)?,
        purpose: row.get(6)?,
        scope: row.get(7)?,
        device: row.get(8)?,
    })
}

impl View<'_> {
    /// Who looked at a resident, at one of their cases, or at one case, the latest first. Lists are
    /// not among them. At most `limit`.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn looks_at(&self, subject: &[u8; 16], limit: u32) -> Result<Vec<LookRow>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM look WHERE subject = ?1
               OR subject IN (SELECT subject FROM case_row WHERE resident = ?1)
             ORDER BY at_ms DESC, id DESC LIMIT ?2"
        );
        let mut query = self.0.prepare_cached(&sql)?;
        let rows = query.query_map((subject, limit), look)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The number of a case; nothing for what is no case here.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn number_of(&self, case: &[u8; 16]) -> Result<Option<String>, StoreError> {
        let sql = "SELECT number FROM case_row WHERE subject = ?1";
        Ok(self.0.prepare_cached(sql)?.query_row([case], |row| row.get(0)).optional()?)
    }

    /// All looks from a moment on, the latest first, at most `limit` after `offset`.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn looks(&self, from_ms: i64, limit: u32, offset: u32) -> Result<Vec<LookRow>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM look WHERE at_ms >= ?1
             ORDER BY at_ms DESC, id DESC LIMIT ?2 OFFSET ?3"
        );
        let mut query = self.0.prepare_cached(&sql)?;
        let rows = query.query_map((from_ms, limit, offset), look)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl Txn<'_> {
    /// Somebody looks at somebody here. A masked page that renews itself stays one look until it
    /// was told to the county; full numbers are a look each time. Looks older than [`LOOK_KEPT_MS`] go, a few at a time.
    ///
    /// # Errors
    /// When SQLite fails: nothing may be shown then.
    pub fn look(&self, look: &LookRow) -> Result<(), StoreError> {
        let sql = "SELECT id, max(at_ms, until_ms) FROM look
                   WHERE subject = ?1 AND at_ms > ?2 AND at_ms <= ?3 AND person = ?4 AND what = ?5
                     AND uncovered = 0 AND purpose = ?6 AND scope = ?7
                     AND sent = 0 AND device = ?8
                   ORDER BY at_ms DESC LIMIT 1";
        let same = (
            look.subject,
            look.at_ms - SAME_LOOK_MS,
            look.at_ms,
            look.person,
            &look.what,
            look.purpose,
            &look.scope,
            HERE,
        );
        let found = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
        let known = match look.uncovered {
            true => None,
            false => self.0.prepare_cached(sql)?.query_row(same, found).optional()?,
        };
        if let Some((id, until_ms)) = known {
            if look.at_ms - until_ms >= RENEWED_MS {
                let sql = "UPDATE look SET until_ms = ?2 WHERE id = ?1";
                self.0.prepare_cached(sql)?.execute((id, look.at_ms))?;
            }
            return Ok(());
        }
        let row = LookRow { until_ms: look.at_ms, device: HERE, ..look.clone() };
        self.put_look(&row, look.at_ms, false)?;
        self.prune_looks(look.at_ms, PRUNED)?;
        Ok(())
    }

    /// Writes a look down: when it came, and whether the county has it or is on its way to have it.
    pub(crate) fn put_look(
        &self,
        look: &LookRow,
        received_ms: i64,
        sent: bool,
    ) -> Result<(), StoreError> {
        let sql = format!(
            "INSERT INTO look({COLUMNS}, received_ms, sent)
             VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
        );
        self.0.prepare_cached(&sql)?.execute((
            look.at_ms,
            look.until_ms,
            look.person,
            look.subject,
            &look.what,
            look.uncovered,
            look.purpose,
            &look.scope,
            look.device,
            received_ms,
            sent,
        ))?;
        Ok(())
    }

    /// Looks that have been here for longer than [`LOOK_KEPT_MS`] go, at most `limit`. What counts
    /// is when a look came here: a box whose clock is wrong neither keeps nor loses its looks.
    /// Gives how many.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn prune_looks(&self, now_ms: i64, limit: u32) -> Result<usize, StoreError> {
        let sql = "DELETE FROM look WHERE id IN
                     (SELECT id FROM look WHERE received_ms < ?1 ORDER BY received_ms LIMIT ?2)";
        Ok(self.0.prepare_cached(sql)?.execute((now_ms - LOOK_KEPT_MS, limit))?)
    }
}
