//! Who wrote which entry as which step of which device: finds two histories of one device, and
//! what a revoked author wrote.

use crate::{StoreError, Txn, View};

/// An entry's place in its device's own history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Author<'a> {
    /// The device.
    pub device: &'a [u8; 16],
    /// The acting person.
    pub person: Option<&'a [u8; 16]>,
    /// The run of the device's process.
    pub incarnation: &'a [u8; 16],
    /// The number within the run, from 1.
    pub seq: u64,
    /// The device's entry before this one.
    pub previous: Option<&'a [u8; 32]>,
}

/// In which way a device has two histories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForkKind {
    /// Two entries carry the same number of the same run: only a device that says different
    /// things to different people makes these.
    SameNumber,
    /// Two entries follow the same one: the disk was restored or copied.
    SameParent,
}

/// Two entries of one device that cannot both follow from one history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForkRow {
    /// The device.
    pub device: [u8; 16],
    /// In which way.
    pub kind: ForkKind,
    /// The runs to which the two entries belong.
    pub runs: [[u8; 16]; 2],
    /// The two entries.
    pub entries: [[u8; 32]; 2],
    /// When it was found, milliseconds.
    pub found_ms: i64,
}

/// At most so many forks are kept of one device: more say nothing more.
const FORKS_MAX: u32 = 20;

impl Txn<'_> {
    /// Remembers who wrote an entry whose device signature holds, and whether the device has
    /// written something beside it.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn note_author(&self, pos: u64, author: Author<'_>, now_ms: i64) -> Result<(), StoreError> {
        let sql = "INSERT OR IGNORE INTO author(pos, device, person, incarnation, seq, previous)
                   VALUES(?1, ?2, ?3, ?4, ?5, ?6)";
        let seq = author.seq.cast_signed();
        self.0.prepare_cached(sql)?.execute((
            pos,
            author.device,
            author.person,
            author.incarnation,
            seq,
            author.previous,
        ))?;
        let number = "SELECT pos FROM author
                      WHERE device = ?1 AND incarnation = ?2 AND seq = ?3 AND pos <> ?4 LIMIT 1";
        let beside: Vec<u64> = self
            .0
            .prepare_cached(number)?
            .query_map((author.device, author.incarnation, seq, pos), |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for other in beside {
            self.note_fork(author.device, 1, other, pos, now_ms)?;
        }
        let parent = "SELECT pos FROM author
                      WHERE device = ?1 AND previous = ?2 AND incarnation <> ?3 LIMIT 1";
        let beside: Vec<u64> = self
            .0
            .prepare_cached(parent)?
            .query_map((author.device, author.previous, author.incarnation), |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for other in beside {
            self.note_fork(author.device, 2, other, pos, now_ms)?;
        }
        Ok(())
    }

    fn note_fork(
        &self,
        device: &[u8; 16],
        kind: u8,
        first: u64,
        second: u64,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let sql = "INSERT OR IGNORE INTO fork(device, kind, first, second, found_ms)
                   SELECT ?1, ?2, ?3, ?4, ?5
                   WHERE (SELECT count(*) FROM fork WHERE device = ?1) < ?6";
        self.0.prepare_cached(sql)?.execute((device, kind, first, second, now_ms, FORKS_MAX))?;
        Ok(())
    }

    /// Everything that a device or a person wrote is to be judged again.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn mark_author_dirty(&self, id: &[u8; 16]) -> Result<(), StoreError> {
        let sql = "INSERT OR IGNORE INTO dirty(subject)
                   SELECT DISTINCT e.subject FROM author a JOIN entry e ON e.pos = a.pos
                   WHERE a.device = ?1 OR a.person = ?1";
        self.0.prepare_cached(sql)?.execute([id])?;
        Ok(())
    }
}

impl View<'_> {
    /// How many wrapped keys (kind number 5) or ways back (6) a device has signed, in the name of
    /// this person when one is named, that came after a time in milliseconds and are not
    /// quarantined. 0 for other kinds.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn given_since(
        &self,
        kind: u8,
        device: &[u8; 16],
        person: Option<&[u8; 16]>,
        since_ms: i64,
    ) -> Result<u64, StoreError> {
        // The written-out kinds let SQLite use the index; the order keeps it from the author's.
        let sql = "SELECT count(*) FROM entry e CROSS JOIN author a ON a.pos = e.pos
                   WHERE e.kind = ?1 AND e.kind IN (5, 6) AND e.state <> 2 AND e.received_ms > ?2
                     AND a.device = ?3 AND (?4 IS NULL OR a.person = ?4)";
        let mut query = self.0.prepare_cached(sql)?;
        Ok(query.query_row((kind, since_ms, device, person), |row| row.get(0))?)
    }

    /// Devices that have two histories, as found here, the latest first.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn forks(&self) -> Result<Vec<ForkRow>, StoreError> {
        let sql = "SELECT f.device, f.kind, a.incarnation, b.incarnation, c.id, d.id, f.found_ms
                   FROM fork f
                   JOIN author a ON a.pos = f.first JOIN author b ON b.pos = f.second
                   JOIN entry c ON c.pos = f.first JOIN entry d ON d.pos = f.second
                   ORDER BY f.found_ms DESC, f.second DESC";
        let mut query = self.0.prepare_cached(sql)?;
        let rows = query.query_map([], |row| {
            let kind: u8 = row.get(1)?;
            Ok(ForkRow {
                device: row.get(0)?,
                kind: if kind == 1 { ForkKind::SameNumber } else { ForkKind::SameParent },
                runs: [row.get(2)?, row.get(3)?],
                entries: [row.get(4)?, row.get(5)?],
                found_ms: row.get(6)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
