//! Rows of cases for lists, queues and ledgers.

use crate::{StoreError, Txn, View};
use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Row, params_from_iter};

/// What a list shows of a case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaseRow {
    /// The case.
    pub subject: [u8; 16],
    /// Its number.
    pub number: String,
    /// Whose.
    pub resident: [u8; 16],
    /// Name of the applicant.
    pub applicant: String,
    /// Key of the item.
    pub item: String,
    /// The resident's village.
    pub place: u32,
    /// Legal state, as a word of the code.
    pub phase: String,
    /// Somebody still has something to do.
    pub open: bool,
    /// Which level holds it.
    pub holder: String,
    /// The department that answers for the item.
    pub department: String,
    /// What is to be done next, as a word of the code; may be empty.
    pub task: String,
    /// Last day, `YYYY-MM-DD`; may be empty.
    pub due: String,
    /// When it was opened, milliseconds.
    pub opened_ms: i64,
    /// When it was submitted; 0 for a draft.
    pub submitted_ms: i64,
    /// When the last entry was claimed, milliseconds.
    pub changed_ms: i64,
    /// A relay has witnessed the submission.
    pub uploaded: bool,
    /// Rival values wait for a choice.
    pub conflict: bool,
    /// Entries waiting or in quarantine.
    pub aside: u32,
    /// How far it has come; absent in rows of an older program.
    pub rungs: Option<Rungs>,
}

/// How far a case has come, beyond being saved and uploaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rungs {
    /// The township took it in.
    pub taken: bool,
    /// It was accepted.
    pub accepted: bool,
    /// Accepting it is or was the township's.
    pub by_township: bool,
}

impl Rungs {
    fn code(self) -> i64 {
        i64::from(self.taken) | i64::from(self.accepted) << 1 | i64::from(self.by_township) << 2
    }

    fn of(code: i64) -> Self {
        Self { taken: code & 1 != 0, accepted: code & 2 != 0, by_township: code & 4 != 0 }
    }
}

/// Which cases to list. Empty fields do not narrow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaseFilter {
    /// Legal states.
    pub phases: Vec<String>,
    /// Tasks.
    pub tasks: Vec<String>,
    /// These villages.
    pub places: Vec<u32>,
    /// One department.
    pub department: Option<String>,
    /// One item.
    pub item: Option<String>,
    /// One resident.
    pub resident: Option<[u8; 16]>,
    /// Part of the applicant's name, or the beginning of the number.
    pub text: String,
    /// Only those that are open.
    pub open_only: bool,
    /// By due day, earliest first; otherwise the latest change first.
    pub by_due: bool,
    /// At most this many.
    pub limit: u32,
    /// After so many.
    pub offset: u32,
}

/// One page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaseRowPage {
    /// The rows.
    pub rows: Vec<CaseRow>,
    /// How many there are in all.
    pub total: u64,
}

const COLUMNS: &str = "subject, number, resident, applicant, item, place, phase, open, holder,
    department, task, due, opened_ms, submitted_ms, changed_ms, uploaded, conflict, aside,
    rungs";

fn case(row: &Row<'_>) -> rusqlite::Result<CaseRow> {
    Ok(CaseRow {
        subject: row.get(0)?,
        number: row.get(1)?,
        resident: row.get(2)?,
        applicant: row.get(3)?,
        item: row.get(4)?,
        place: row.get(5)?,
        phase: row.get(6)?,
        open: row.get(7)?,
        holder: row.get(8)?,
        department: row.get(9)?,
        task: row.get(10)?,
        due: row.get(11)?,
        opened_ms: row.get(12)?,
        submitted_ms: row.get(13)?,
        changed_ms: row.get(14)?,
        uploaded: row.get(15)?,
        conflict: row.get(16)?,
        aside: row.get(17)?,
        rungs: row.get::<_, Option<i64>>(18)?.map(Rungs::of),
    })
}

fn conditions(filter: &CaseFilter) -> (String, Vec<Value>) {
    let (mut sql, mut values) = (String::from("1"), Vec::new());
    let mut any_of = |column: &str, all: &[String]| {
        if !all.is_empty() {
            let marks = vec!["?"; all.len()].join(",");
            sql.push_str(&format!(" AND {column} IN ({marks})"));
            values.extend(all.iter().cloned().map(Value::Text));
        }
    };
    any_of("phase", &filter.phases);
    any_of("task", &filter.tasks);
    any_of("department", filter.department.as_slice());
    any_of("item", filter.item.as_slice());
    if !filter.places.is_empty() {
        let marks = vec!["?"; filter.places.len()].join(",");
        sql.push_str(&format!(" AND place IN ({marks})"));
        values.extend(filter.places.iter().map(|place| Value::Integer((*place).into())));
    }
    if let Some(resident) = filter.resident {
        sql.push_str(" AND resident = ?");
        values.push(Value::Blob(resident.to_vec()));
    }
    if filter.open_only {
        sql.push_str(" AND open = 1");
    }
    if !filter.text.is_empty() {
        sql.push_str(" AND (instr(applicant, ?) > 0 OR substr(number, 1, ?) = ?)");
        let digits: String = filter.text.chars().filter(char::is_ascii_digit).collect();
        let digits = if digits.is_empty() { filter.text.clone() } else { digits };
        values.push(Value::Text(filter.text.clone()));
        values.push(Value::Integer(digits.chars().count() as i64));
        values.push(Value::Text(digits));
    }
    (sql, values)
}

impl View<'_> {
    /// A list of cases.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn cases(&self, filter: &CaseFilter) -> Result<CaseRowPage, StoreError> {
        let (condition, mut values) = conditions(filter);
        let count = format!("SELECT count(*) FROM case_row WHERE {condition}");
        let total = self
            .0
            .prepare_cached(&count)?
            .query_row(params_from_iter(values.iter()), |row| row.get(0))?;
        let order = if filter.by_due {
            "due = '', due, changed_ms, subject"
        } else {
            "changed_ms DESC, subject"
        };
        let sql = format!(
            "SELECT {COLUMNS} FROM case_row WHERE {condition} ORDER BY {order} LIMIT ? OFFSET ?"
        );
        values.push(Value::Integer(filter.limit.max(1).into()));
        values.push(Value::Integer(filter.offset.into()));
        let mut query = self.0.prepare_cached(&sql)?;
        let rows = query.query_map(params_from_iter(values), case)?.collect::<Result<_, _>>()?;
        Ok(CaseRowPage { rows, total })
    }

    /// Cases of some villages, or of all when none are named, in which two versions wait for a
    /// choice; else those with entries that do not count. The first `limit`, and how many there are.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn cases_in_doubt(
        &self,
        conflict: bool,
        places: &[u32],
        limit: u32,
    ) -> Result<CaseRowPage, StoreError> {
        let filter = CaseFilter { places: places.to_vec(), ..CaseFilter::default() };
        let (mut condition, mut values) = conditions(&filter);
        condition.push_str(if conflict {
            " AND conflict = 1 AND open = 1"
        } else {
            " AND aside > 0"
        });
        let count = format!("SELECT count(*) FROM case_row WHERE {condition}");
        let mut query = self.0.prepare_cached(&count)?;
        let total = query.query_row(params_from_iter(values.iter()), |row| row.get(0))?;
        let sql = format!(
            "SELECT {COLUMNS} FROM case_row WHERE {condition} ORDER BY changed_ms, subject LIMIT ?"
        );
        values.push(Value::Integer(limit.into()));
        let mut query = self.0.prepare_cached(&sql)?;
        let rows = query.query_map(params_from_iter(values), case)?.collect::<Result<_, _>>()?;
        Ok(CaseRowPage { rows, total })
    }

    /// The row of a case.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn case_row(&self, subject: &[u8; 16]) -> Result<Option<CaseRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM case_row WHERE subject = ?1");
        Ok(self.0.prepare_cached(&sql)?.query_row([subject], case).optional()?)
    }

    /// Closed cases of an item in which nothing happened and of which nothing came from `before_ms`
    /// on, but for entries of the kind number `but`, the oldest first: at most `limit` after
    /// `offset`. A box with a wrong clock makes nothing old that came lately.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn closed_before(
        &self,
        item: &str,
        before_ms: i64,
        but: u8,
        (limit, offset): (u32, u32),
    ) -> Result<Vec<CaseRow>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM case_row WHERE open = 0 AND item = ?1 AND changed_ms < ?2
               AND NOT EXISTS (SELECT 1 FROM entry e WHERE e.subject = case_row.subject
                 AND e.received_ms >= ?2 AND e.kind <> ?3)
             ORDER BY changed_ms, subject LIMIT ?4 OFFSET ?5"
        );
        let mut query = self.0.prepare_cached(&sql)?;
        let rows = query.query_map((item, before_ms, but, limit, offset), case)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// How many cases of a resident are here.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn cases_of(&self, resident: &[u8; 16]) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM case_row WHERE resident = ?1";
        Ok(self.0.prepare_cached(sql)?.query_row([resident], |row| row.get(0))?)
    }

    /// Cases by number; two only if somebody counterfeits numbers.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn case_by_number(&self, number: &str) -> Result<Option<[u8; 16]>, StoreError> {
        let sql = "SELECT subject FROM case_row WHERE number = ?1 LIMIT 1";
        Ok(self.0.prepare_cached(sql)?.query_row([number], |row| row.get(0)).optional()?)
    }
}

impl Txn<'_> {
    /// Keeps the row of a case.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn set_case_row(&self, row: &CaseRow) -> Result<(), StoreError> {
        let sql = format!(
            "INSERT OR REPLACE INTO case_row({COLUMNS})
             VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19)"
        );
        self.0.prepare_cached(&sql)?.execute(rusqlite::params![
            row.subject,
            row.number,
            row.resident,
            row.applicant,
            row.item,
            row.place,
            row.phase,
            row.open,
            row.holder,
            row.department,
            row.task,
            row.due,
            row.opened_ms,
            row.submitted_ms,
            row.changed_ms,
            row.uploaded,
            row.conflict,
            row.aside,
            row.rungs.map(Rungs::code),
        ])?;
        Ok(())
    }
}
