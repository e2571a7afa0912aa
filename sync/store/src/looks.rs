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
    /// A box says it of somebody who had no post there.
    pub no_post: bool,
    /// When it came here, milliseconds; set by the store.
    pub received_ms: i64,
}

/// Looks, the latest first, and of which machines there are more than are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// The looks.
    pub rows: Vec<LookRow>,
    /// The machines whose older looks are left out; zeros for this one.
    pub cut: Vec<[u8; 16]>,
}

pub(crate) const COLUMNS: &str = "at_ms, until_ms, person, subject, what, uncovered, purpose, scope, device, no_post, received_ms";
/// This machine.
pub(crate) const HERE: [u8; 16] = [0; 16];
/// This machine in words of SQL: an index of a part of the table is used only where they are said.
pub(crate) const IS_HERE: &str = "device = x'00000000000000000000000000000000'";

pub(crate) fn put() -> String {
    format!(
        "INSERT INTO look({COLUMNS}, sent)
         VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
         ON CONFLICT(device, at_ms, person, subject, what, uncovered, purpose, scope)
           WHERE device <> x'00000000000000000000000000000000'
         DO UPDATE SET until_ms = max(until_ms, excluded.until_ms)"
    )
}

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
        no_post: row.get(9)?,
        received_ms: row.get(10)?,
    })
}

/// How many of each machine fit when together there is room for `room`: who has fewer leaves the
/// rest to the others.
fn share(mut counts: Vec<u32>, mut room: u32) -> u32 {
    counts.sort_unstable();
    let mut left = counts.len() as u32;
    for count in counts {
        let each = room / left;
        if count > each {
            return each;
        }
        room -= count;
        left -= 1;
    }
    u32::MAX
}

fn newest_first(rows: &mut [LookRow]) {
    rows.sort_by_key(|row| std::cmp::Reverse(row.at_ms.min(row.received_ms)));
}

impl View<'_> {
    /// The machines that looks here are of: this one first.
    fn sources(&self) -> Result<Vec<[u8; 16]>, StoreError> {
        let sql = "SELECT device FROM look WHERE device > ?1 ORDER BY device LIMIT 1";
        let mut query = self.0.prepare_cached(sql)?;
        let mut sources = vec![HERE];
        let mut last = HERE;
        while let Some(next) = query.query_row([last], |row| row.get(0)).optional()? {
            sources.push(next);
            last = next;
        }
        Ok(sources)
    }

    /// Who looked at a resident, at one of their cases, or at one case, the latest first. Lists are
    /// not among them. At most `limit` of each machine, so that none pushes out what is of another.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn looks_at(&self, subject: &[u8; 16], limit: u32) -> Result<Listed, StoreError> {
        let sql = "SELECT subject FROM case_row WHERE resident = ?1 AND subject <> ?1";
        let mut query = self.0.prepare_cached(sql)?;
        let cases = query.query_map([subject], |row| row.get(0))?;
        let mut about: Vec<[u8; 16]> = cases.collect::<Result<_, _>>()?;
        about.push(*subject);
        let sql = format!(
            "SELECT {COLUMNS} FROM look WHERE device = ?1 AND subject = ?2
             ORDER BY seen_ms DESC, id DESC LIMIT ?3"
        );
        let mut query = self.0.prepare_cached(&sql)?;
        let (most, mut listed) = (limit as usize, Listed::default());
        for device in self.sources()? {
            let mut rows: Vec<LookRow> = Vec::new();
            for subject in &about {
                let found = query.query_map((device, subject, i64::from(limit) + 1), look)?;
                rows.extend(found.collect::<Result<Vec<_>, _>>()?);
            }
            newest_first(&mut rows);
            if rows.len() > most {
                rows.truncate(most);
                listed.cut.push(device);
            }
            listed.rows.append(&mut rows);
        }
        newest_first(&mut listed.rows);
        Ok(listed)
    }

    /// The latest looks of all: at most `limit` of this machine, and at most `limit` of all others
    /// together, of which each has its share.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn latest_looks(&self, limit: u32) -> Result<Listed, StoreError> {
        let sql = "SELECT count(*) FROM (SELECT 1 FROM look WHERE device = ?1 LIMIT ?2)";
        let mut query = self.0.prepare_cached(sql)?;
        let counted = |device| {
            Ok((device, query.query_row((device, i64::from(limit) + 1), |row| row.get(0))?))
        };
        let counts: Vec<([u8; 16], u32)> =
            self.sources()?.into_iter().map(counted).collect::<Result<_, StoreError>>()?;
        let others = counts.iter().filter(|(device, _)| *device != HERE);
        let each = share(others.map(|(_, count)| *count).collect(), limit);
        let sql = format!(
            "SELECT {COLUMNS} FROM look WHERE device = ?1 ORDER BY seen_ms DESC, id DESC LIMIT ?2"
        );
        let mut query = self.0.prepare_cached(&sql)?;
        let mut listed = Listed::default();
        for (device, count) in counts {
            let most = if device == HERE { limit } else { each };
            if count > most {
                listed.cut.push(device);
            }
            let rows = query.query_map((device, most), look)?;
            listed.rows.append(&mut rows.collect::<Result<_, _>>()?);
        }
        newest_first(&mut listed.rows);
        Ok(listed)
    }

    /// The number of a case; nothing for what is no case here.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn number_of(&self, case: &[u8; 16]) -> Result<Option<String>, StoreError> {
        let sql = "SELECT number FROM case_row WHERE subject = ?1";
        Ok(self.0.prepare_cached(sql)?.query_row([case], |row| row.get(0)).optional()?)
    }

    /// All looks from a moment on, the latest first, at most `limit` after `offset`. What a box
    /// dates after it came here stands where it came.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn looks(&self, from_ms: i64, limit: u32, offset: u32) -> Result<Vec<LookRow>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM look WHERE seen_ms >= ?1
             ORDER BY seen_ms DESC, id DESC LIMIT ?2 OFFSET ?3"
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
        let sql = format!(
            "SELECT id, max(at_ms, until_ms) FROM look
             WHERE subject = ?1 AND at_ms > ?2 AND at_ms <= ?3 AND person = ?4 AND what = ?5
               AND uncovered = 0 AND purpose = ?6 AND scope = ?7 AND sent = 0 AND {IS_HERE}
             ORDER BY at_ms DESC LIMIT 1"
        );
        let same = (
            look.subject,
            look.at_ms - SAME_LOOK_MS,
            look.at_ms,
            look.person,
            &look.what,
            look.purpose,
            &look.scope,
        );
        let found = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
        let known = match look.uncovered {
            true => None,
            false => self.0.prepare_cached(&sql)?.query_row(same, found).optional()?,
        };
        if let Some((id, until_ms)) = known {
            if look.at_ms - until_ms >= RENEWED_MS {
                let sql = "UPDATE look SET until_ms = ?2 WHERE id = ?1";
                self.0.prepare_cached(sql)?.execute((id, look.at_ms))?;
            }
            return Ok(());
        }
        let row = LookRow { until_ms: look.at_ms, device: HERE, no_post: false, ..look.clone() };
        self.put_look(&row, look.at_ms, false)?;
        self.prune_looks(look.at_ms, PRUNED)?;
        Ok(())
    }

    /// Writes a look down: when it came, and whether the county has it or is on its way to have it.
    /// One of another machine that is here already stays one, until its later end.
    pub(crate) fn put_look(
        &self,
        look: &LookRow,
        received_ms: i64,
        sent: bool,
    ) -> Result<(), StoreError> {
        self.0.prepare_cached(&put())?.execute((
            look.at_ms,
            look.until_ms,
            look.person,
            look.subject,
            &look.what,
            look.uncovered,
            look.purpose,
            &look.scope,
            look.device,
            look.no_post,
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
