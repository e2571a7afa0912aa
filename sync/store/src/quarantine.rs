//! What each device has in quarantine, and the devices that are suspended for it. Local to this
//! store: another relay counts for itself.

use crate::{StoreError, Txn, View};

/// Why an edit is in quarantine that ended the guard's worker; it counts as many.
pub const FATAL_REASON: &str = "the change ended the guard's worker";
/// Why an edit waits that builds on one that is not here; it counts like one in quarantine, so
/// that nobody fills a store with what can never be judged.
pub const PARKED_REASON: &str = "an earlier save has not arrived";
const FATAL_COUNTS: u64 = 100;

const PREFIX: &str = "quarantine:";
const SUSPENDED: u8 = 1;
const LIFTED: u8 = 2;

/// A device's standing. Kept under one key of `meta`: a byte, a position, a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suspension {
    /// The device.
    pub device: [u8; 16],
    /// Since when, milliseconds.
    pub since_ms: i64,
}

fn key(device: &[u8; 16]) -> String {
    let digits: String = device.iter().map(|b| format!("{b:02x}")).collect();
    format!("{PREFIX}{digits}")
}

/// Kind, position, time.
fn parse(value: &[u8]) -> Option<(u8, u64, i64)> {
    let (kind, rest) = value.split_first()?;
    let (pos, at) = rest.split_first_chunk::<8>()?;
    Some((*kind, u64::from_be_bytes(*pos), i64::from_be_bytes(at.try_into().ok()?)))
}

impl View<'_> {
    /// Since when a device is suspended, milliseconds; nothing when it is not.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn suspended(&self, device: &[u8; 16]) -> Result<Option<i64>, StoreError> {
        let kept = self.meta(&key(device))?;
        let kept = kept.as_deref().and_then(parse);
        Ok(kept.filter(|(kind, ..)| *kind == SUSPENDED).map(|(.., at)| at))
    }

    /// How much a device has in quarantine or waiting for nothing that came, set aside at the
    /// door or by the guard: what passed the door is its author's, whoever carried it, all else
    /// whose brought it. Counted since a suspension was last lifted. What ended the guard's worker counts a hundred times.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn quarantined_of(&self, device: &[u8; 16]) -> Result<u64, StoreError> {
        let kept = self.meta(&key(device))?;
        let after = match kept.as_deref().and_then(parse) {
            Some((LIFTED, pos, _)) => pos,
            _ => 0,
        };
        let sql = "SELECT count(*), coalesce(sum(e.reason = ?3), 0)
                   FROM entry e JOIN peer p ON p.id = e.via LEFT JOIN author a ON a.pos = e.pos
                   WHERE (e.state = 2 OR (e.state = 1 AND e.reason = ?4))
                     AND e.state <> 0 AND e.pos > ?2 AND coalesce(a.device, p.device) = ?1";
        let (all, fatal): (u64, u64) = self
            .0
            .prepare_cached(sql)?
            .query_row((device, after, FATAL_REASON, PARKED_REASON), |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        Ok(all + fatal * (FATAL_COUNTS - 1))
    }

    /// All suspended devices.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn suspensions(&self) -> Result<Vec<Suspension>, StoreError> {
        let sql = "SELECT key, value FROM meta WHERE key >= ?1 AND key < ?2";
        let mut query = self.0.prepare_cached(sql)?;
        let mut rows = query.query((PREFIX, "quarantine;"))?;
        let mut out = Vec::new();
        while let Some(row) = rows.next()? {
            let (name, value): (String, Vec<u8>) = (row.get(0)?, row.get(1)?);
            let digits = name.strip_prefix(PREFIX).unwrap_or_default();
            let device = u128::from_str_radix(digits, 16).map(u128::to_be_bytes);
            if let (Ok(device), Some((SUSPENDED, _, since_ms))) = (device, parse(&value)) {
                out.push(Suspension { device, since_ms });
            }
        }
        Ok(out)
    }
}

impl Txn<'_> {
    /// Suspends a device: it is not talked to until somebody lifts it.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn suspend(&self, device: &[u8; 16], now_ms: i64) -> Result<(), StoreError> {
        self.keep(device, SUSPENDED, now_ms)
    }

    /// Lifts a suspension. What is in quarantine stays there and counts no more. Returns false
    /// when the device was not suspended.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn lift(&self, device: &[u8; 16], now_ms: i64) -> Result<bool, StoreError> {
        if self.suspended(device)?.is_none() {
            return Ok(false);
        }
        self.keep(device, LIFTED, now_ms)?;
        Ok(true)
    }

    fn keep(&self, device: &[u8; 16], kind: u8, now_ms: i64) -> Result<(), StoreError> {
        let pos = self.entry_count()?;
        let value = [&[kind][..], &pos.to_be_bytes(), &now_ms.to_be_bytes()].concat();
        self.set_meta(&key(device), &value)
    }
}
