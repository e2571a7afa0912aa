//! Devices of which two machines were alive at the same time.

use crate::{StoreError, Txn, View};

/// A device of which there were two, until somebody has looked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoubleRow {
    /// Which device.
    pub device: [u8; 16],
    /// When it was first seen, milliseconds.
    pub first_ms: i64,
    /// When it was last seen, milliseconds.
    pub last_ms: i64,
    /// How often the second was refused.
    pub times: u64,
    /// Where the second was when it was last refused.
    pub address: String,
}

impl View<'_> {
    /// All of them, the latest first.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn doubles(&self) -> Result<Vec<DoubleRow>, StoreError> {
        let sql = "SELECT device, first_ms, last_ms, times, address FROM double
                   ORDER BY last_ms DESC, device";
        let mut query = self.0.prepare_cached(sql)?;
        let rows = query.query_map([], |row| {
            Ok(DoubleRow {
                device: row.get(0)?,
                first_ms: row.get(1)?,
                last_ms: row.get(2)?,
                times: row.get(3)?,
                address: row.get(4)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl Txn<'_> {
    /// A second machine of a device was refused.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn note_double(
        &self,
        device: &[u8; 16],
        address: &str,
        at_ms: i64,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO double(device, first_ms, last_ms, times, address)
                   VALUES(?1, ?3, ?3, 1, ?2)
                   ON CONFLICT(device) DO UPDATE SET last_ms = excluded.last_ms,
                     times = times + 1, address = excluded.address";
        self.0.prepare_cached(sql)?.execute((device, address, at_ms))?;
        Ok(())
    }

    /// Somebody has looked. False when there was nothing.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn forget_double(&self, device: &[u8; 16]) -> Result<bool, StoreError> {
        let sql = "DELETE FROM double WHERE device = ?1";
        Ok(self.0.prepare_cached(sql)?.execute([device])? > 0)
    }
}
