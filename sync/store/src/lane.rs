//! What the lane of attachments has moved, and who gave it what was not right. Local to this store.

use crate::{StoreError, Txn, View};
use rusqlite::OptionalExtension;

/// A peer that gave bytes of attachments which were not what their names say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneFault {
    /// Which device.
    pub device: [u8; 16],
    /// What the last was, in words.
    pub words: String,
    /// When, milliseconds.
    pub at_ms: i64,
    /// How often.
    pub times: u64,
}

impl View<'_> {
    /// What the lane of attachments has moved on a day, `YYYY-MM-DD`. Bytes.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn lane_bytes(&self, day: &str) -> Result<u64, StoreError> {
        let mut query = self.0.prepare_cached("SELECT bytes FROM lane_day WHERE day = ?1")?;
        Ok(query.query_row([day], |row| row.get(0)).optional()?.unwrap_or(0))
    }

    /// Whether a person wants an attachment on its way whatever today's bytes are.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn lane_now(&self, attachment: &[u8; 32]) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM attachment_of o JOIN lane_now n ON n.subject = o.subject
                   WHERE o.attachment = ?1";
        Ok(self.0.prepare_cached(sql)?.exists([attachment])?)
    }

    /// Peers that gave what was not right, the latest first.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn lane_faults(&self) -> Result<Vec<LaneFault>, StoreError> {
        let sql = "SELECT device, words, at_ms, times FROM lane_fault ORDER BY at_ms DESC";
        let mut query = self.0.prepare_cached(sql)?;
        let rows = query.query_map([], |row| {
            let (device, words) = (row.get(0)?, row.get(1)?);
            Ok(LaneFault { device, words, at_ms: row.get(2)?, times: row.get(3)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl Txn<'_> {
    /// The lane of attachments has moved so many bytes on a day, `YYYY-MM-DD`; days before `oldest`
    /// are forgotten.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn lane_moved(&self, day: &str, bytes: u64, oldest: &str) -> Result<(), StoreError> {
        let sql = "INSERT INTO lane_day(day, bytes) VALUES(?1, ?2)
                   ON CONFLICT(day) DO UPDATE SET bytes = bytes + excluded.bytes";
        self.0.prepare_cached(sql)?.execute((day, bytes))?;
        self.0.prepare_cached("DELETE FROM lane_day WHERE day < ?1")?.execute([oldest])?;
        Ok(())
    }

    /// A person wants a case's attachments on their way whatever today's bytes are.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn set_lane_now(&self, subject: &[u8; 16]) -> Result<(), StoreError> {
        let sql = "INSERT OR IGNORE INTO lane_now(subject) VALUES(?1)";
        self.0.prepare_cached(sql)?.execute([subject])?;
        Ok(())
    }

    /// A peer gave bytes of an attachment that are not what its name says.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn lane_fault(&self, device: &[u8; 16], words: &str, at_ms: i64) -> Result<(), StoreError> {
        let sql = "INSERT INTO lane_fault(device, words, at_ms, times) VALUES(?1, ?2, ?3, 1)
                   ON CONFLICT(device) DO UPDATE SET
                     words = excluded.words, at_ms = excluded.at_ms, times = times + 1";
        self.0.prepare_cached(sql)?.execute((device, words, at_ms))?;
        Ok(())
    }
}
