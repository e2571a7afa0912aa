//! Rows of hand-overs of duty.

use crate::{StoreError, Txn, View};
use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Row, params_from_iter};

/// What a list shows of a hand-over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DutyRow {
    /// The hand-over.
    pub subject: [u8; 16],
    /// The village or township.
    pub place: u32,
    /// Who gives.
    pub giver: [u8; 16],
    /// Who is to take.
    pub receiver: [u8; 16],
    /// Where it stands, as a word of the code.
    pub phase: String,
    /// When it was offered last, milliseconds.
    pub offered_ms: i64,
    /// When it was taken or taken back, milliseconds: as claimed, yet no later than it was here or
    /// at a relay. 0 while it waits.
    pub settled_ms: i64,
    /// How many open cases.
    pub cases: u32,
    /// How many originals.
    pub originals: u32,
    /// How many promises.
    pub promises: u32,
    /// How many originals the receiver did not find.
    pub missing: u32,
    /// Entries waiting or in quarantine.
    pub aside: u32,
}

const COLUMNS: &str = "subject, place, giver, receiver, phase, offered_ms, settled_ms, cases,
    originals, promises, missing, aside";

fn duty(row: &Row<'_>) -> rusqlite::Result<DutyRow> {
    Ok(DutyRow {
        subject: row.get(0)?,
        place: row.get(1)?,
        giver: row.get(2)?,
        receiver: row.get(3)?,
        phase: row.get(4)?,
        offered_ms: row.get(5)?,
        settled_ms: row.get(6)?,
        cases: row.get(7)?,
        originals: row.get(8)?,
        promises: row.get(9)?,
        missing: row.get(10)?,
        aside: row.get(11)?,
    })
}

impl View<'_> {
    /// Hand-overs of these places, or of all when none is named, the latest first; all of them, or
    /// those that wait to be taken.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn duties(
        &self,
        places: &[u32],
        waiting: bool,
        limit: u32,
    ) -> Result<Vec<DutyRow>, StoreError> {
        let condition = match places.len() {
            0 => "1".to_owned(),
            n => format!("place IN ({})", vec!["?"; n].join(",")),
        };
        let phase = if waiting { "phase = 'offered'" } else { "1" };
        let sql = format!(
            "SELECT {COLUMNS} FROM duty WHERE {condition} AND {phase}
             ORDER BY offered_ms DESC, subject LIMIT ?"
        );
        let mut values: Vec<Value> =
            places.iter().map(|place| Value::Integer((*place).into())).collect();
        values.push(Value::Integer(limit.into()));
        let mut query = self.0.prepare_cached(&sql)?;
        Ok(query.query_map(params_from_iter(values), duty)?.collect::<Result<_, _>>()?)
    }

    /// The hand-over by which somebody has the duty of a place now: the one taken last, by
    /// [`DutyRow::settled_ms`], so that a time to come claims it for nobody. None when it was never handed over.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn duty_held(&self, place: u32) -> Result<Option<DutyRow>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM duty WHERE phase = 'taken' AND place = ?1
             ORDER BY settled_ms DESC, subject LIMIT 1"
        );
        Ok(self.0.prepare_cached(&sql)?.query_row([place], duty).optional()?)
    }

    /// Hand-overs that wait and that this person gives or is to take.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn duties_waiting(&self, person: &[u8; 16]) -> Result<Vec<DutyRow>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM duty WHERE phase = 'offered' AND (receiver = ?1 OR giver = ?1)
             ORDER BY offered_ms DESC, subject LIMIT 20"
        );
        let mut query = self.0.prepare_cached(&sql)?;
        Ok(query.query_map([person], duty)?.collect::<Result<_, _>>()?)
    }
}

impl Txn<'_> {
    /// Forgets the row of a hand-over, where there is one.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn remove_duty(&self, subject: &[u8; 16]) -> Result<(), StoreError> {
        self.0.prepare_cached("DELETE FROM duty WHERE subject = ?1")?.execute([subject])?;
        Ok(())
    }

    /// Keeps the row of a hand-over.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn set_duty(&self, row: &DutyRow) -> Result<(), StoreError> {
        let sql = format!(
            "INSERT OR REPLACE INTO duty({COLUMNS}) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)"
        );
        self.0.prepare_cached(&sql)?.execute(rusqlite::params![
            row.subject,
            row.place,
            row.giver,
            row.receiver,
            row.phase,
            row.offered_ms,
            row.settled_ms,
            row.cases,
            row.originals,
            row.promises,
            row.missing,
            row.aside,
        ])?;
        Ok(())
    }
}
