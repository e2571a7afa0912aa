//! What went over the link, whether the box was open or locked meanwhile.

use cunkou_edge::history;
use cunkou_replica::Replica;
use cunkou_store::StoreError;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Rows of a store that are looked at: a year with two relays.
const ROWS: u32 = 24;

/// What went between this box and one relay in one month. Bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Used {
    month: u32,
    pub(crate) name: String,
    pub(crate) sent: u64,
    pub(crate) received: u64,
}

impl Used {
    /// For example 2026-11.
    pub(crate) fn month_words(&self) -> String {
        format!("{}-{:02}", self.month / 100, self.month % 100)
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "month": self.month_words(), "relay": self.name,
            "sent": self.sent, "received": self.received,
        })
    }
}

/// The history of contacts, the latest first, likewise.
pub(crate) fn contacts(
    work: &Replica,
    open: &Replica,
    limit: u32,
) -> Result<Vec<history::Line>, StoreError> {
    let mut lines = history::of(work, limit)?;
    if !std::ptr::eq(work, open) {
        lines.extend(history::of(open, limit)?);
    }
    Ok(history::latest(lines, limit))
}

/// The last months, the newest first: an open box counts in its work, a locked one in the vault.
pub(crate) fn of(work: &Replica, open: &Replica) -> Result<Vec<Used>, StoreError> {
    let mut rows = work.store().read(|view| view.traffic(ROWS))?;
    if !std::ptr::eq(work, open) {
        rows.extend(open.store().read(|view| view.traffic(ROWS))?);
    }
    let mut sums: BTreeMap<(u32, [u8; 16]), Used> = BTreeMap::new();
    for row in rows {
        let used = sums.entry((row.month, row.device)).or_insert_with(|| Used {
            month: row.month,
            name: row.name,
            sent: 0,
            received: 0,
        });
        used.sent += row.sent;
        used.received += row.received;
    }
    Ok(sums.into_values().rev().take(ROWS as usize).collect())
}
