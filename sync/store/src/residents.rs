//! Rows and search keys of residents.

use crate::{StoreError, Txn, View};
use rusqlite::{OptionalExtension, Row};
use std::collections::BTreeMap;

/// What a search key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyKind {
    /// The name or its end.
    Name,
    /// Pinyin initials.
    Initials,
    /// Full pinyin.
    Pinyin,
    /// 小名
    Nickname,
    /// Name of the head of household.
    Head,
    /// Phone number.
    Phone,
    /// Last four characters of the ID number.
    Tail,
    /// The whole ID number, as a hash keyed with the county's secret.
    Id,
}

impl KeyKind {
    const ALL: [Self; 8] = [
        Self::Name,
        Self::Initials,
        Self::Pinyin,
        Self::Nickname,
        Self::Head,
        Self::Phone,
        Self::Tail,
        Self::Id,
    ];

    fn code(self) -> i64 {
        self as i64
    }

    fn of(code: i64) -> Self {
        usize::try_from(code).ok().and_then(|i| Self::ALL.get(i).copied()).unwrap_or(Self::Name)
    }
}

/// What a list shows of a resident.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResidentRow {
    /// The resident.
    pub subject: [u8; 16],
    /// Their village.
    pub place: u32,
    /// Name.
    pub name: String,
    /// ID number, its middle covered.
    pub masked_id: String,
    /// Birth date, `YYYY-MM-DD`.
    pub birth: String,
    /// 男 or 女.
    pub sex: String,
    /// Village group.
    pub group: String,
    /// Head of household.
    pub head: String,
    /// 小名
    pub nickname: String,
    /// Phone, its middle covered.
    pub masked_phone: String,
    /// Rival values wait for a choice.
    pub conflict: bool,
}

/// A resident found, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchHit {
    /// The resident.
    pub row: ResidentRow,
    /// The keys that matched, best first.
    pub by: Vec<KeyKind>,
}

const COLUMNS: &str =
    "subject, place, name, masked_id, birth, sex, grp, head, nickname, masked_phone, conflict";

fn resident(row: &Row<'_>) -> rusqlite::Result<ResidentRow> {
    Ok(ResidentRow {
        subject: row.get(0)?,
        place: row.get(1)?,
        name: row.get(2)?,
        masked_id: row.get(3)?,
        birth: row.get(4)?,
        sex: row.get(5)?,
        group: row.get(6)?,
        head: row.get(7)?,
        nickname: row.get(8)?,
        masked_phone: row.get(9)?,
        conflict: row.get(10)?,
    })
}

impl View<'_> {
    /// Residents one of whose keys begins with `text`; `group` narrows to a village group.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn search_residents(
        &self,
        text: &str,
        group: Option<&str>,
        limit: usize,
    ) -> Result<Vec<SearchHit>, StoreError> {
        // A prefix is a range of the primary key; the last character of all ends it.
        let end = format!("{text}\u{10FFFF}");
        let sql = match group {
            None => {
                "SELECT kind, subject FROM resident_key WHERE key >= ?1 AND key < ?2
                 AND ?4 IS NULL ORDER BY key, kind LIMIT ?3"
            }
            Some(_) => {
                "SELECT k.kind, k.subject FROM resident_key k
                 JOIN resident_row r ON r.subject = k.subject
                 WHERE k.key >= ?1 AND k.key < ?2 AND r.grp = ?4 ORDER BY k.key, k.kind LIMIT ?3"
            }
        };
        let mut query = self.0.prepare_cached(sql)?;
        // A household shares its head's name, and a name has several keys: look further.
        let most = (limit * 8) as i64;
        let mut rows = query.query((text, &end, most, group))?;
        let mut found: BTreeMap<[u8; 16], Vec<KeyKind>> = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let kinds = found.entry(row.get(1)?).or_default();
            let kind = KeyKind::of(row.get(0)?);
            if !kinds.contains(&kind) {
                kinds.push(kind);
                kinds.sort_unstable();
            }
        }
        let mut hits = Vec::new();
        for (subject, by) in found {
            if let Some(row) = self.resident_row(&subject)? {
                hits.push(SearchHit { row, by });
            }
        }
        hits.sort_by(|a, b| {
            let rank = |h: &SearchHit| (h.by[0], h.row.name.clone(), h.row.birth.clone());
            rank(a).cmp(&rank(b))
        });
        hits.truncate(limit);
        Ok(hits)
    }

    /// Residents of a village, or of a group in it, by name.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn residents(
        &self,
        place: Option<u32>,
        group: Option<&str>,
        limit: u32,
        offset: u32,
    ) -> Result<(Vec<ResidentRow>, u64), StoreError> {
        let condition = "(?1 IS NULL OR place = ?1) AND (?2 IS NULL OR grp = ?2)";
        let count = format!("SELECT count(*) FROM resident_row WHERE {condition}");
        let total = self.0.prepare_cached(&count)?.query_row((place, group), |row| row.get(0))?;
        let sql = format!(
            "SELECT {COLUMNS} FROM resident_row WHERE {condition}
             ORDER BY place, name LIMIT ?3 OFFSET ?4"
        );
        let mut query = self.0.prepare_cached(&sql)?;
        let rows = query.query_map((place, group, limit, offset), resident)?;
        Ok((rows.collect::<Result<_, _>>()?, total))
    }

    /// The row of a resident.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn resident_row(&self, subject: &[u8; 16]) -> Result<Option<ResidentRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM resident_row WHERE subject = ?1");
        Ok(self.0.prepare_cached(&sql)?.query_row([subject], resident).optional()?)
    }

    /// Residents that have exactly this key.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn residents_with_key(
        &self,
        kind: KeyKind,
        key: &str,
    ) -> Result<Vec<[u8; 16]>, StoreError> {
        let sql = "SELECT subject FROM resident_key WHERE key = ?1 AND kind = ?2";
        let mut query = self.0.prepare_cached(sql)?;
        let rows = query.query_map((key, kind.code()), |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl Txn<'_> {
    /// Keeps the row and the search keys of a resident.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn set_resident(
        &self,
        row: &ResidentRow,
        keys: &[(KeyKind, String)],
    ) -> Result<(), StoreError> {
        let sql = format!(
            "INSERT OR REPLACE INTO resident_row({COLUMNS})
             VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)"
        );
        self.0.prepare_cached(&sql)?.execute((
            row.subject,
            row.place,
            &row.name,
            &row.masked_id,
            &row.birth,
            &row.sex,
            &row.group,
            &row.head,
            &row.nickname,
            &row.masked_phone,
            row.conflict,
        ))?;
        let drop = "DELETE FROM resident_key WHERE subject = ?1";
        self.0.prepare_cached(drop)?.execute([row.subject])?;
        let add = "INSERT OR IGNORE INTO resident_key(key, kind, subject) VALUES(?1, ?2, ?3)";
        let mut add = self.0.prepare_cached(add)?;
        for (kind, key) in keys {
            add.execute((key, kind.code(), row.subject))?;
        }
        Ok(())
    }
}
