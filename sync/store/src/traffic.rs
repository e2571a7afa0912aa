//! Bytes that went over the link, by month and peer.

use crate::{StoreError, Txn, View};

/// What went between this box and one relay in one month. Bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrafficRow {
    /// Year times 100 and month, e.g. 202611.
    pub month: u32,
    /// The relay's device.
    pub device: [u8; 16],
    /// What people call it.
    pub name: String,
    /// From here.
    pub sent: u64,
    /// To here.
    pub received: u64,
}

impl View<'_> {
    /// The last months, the newest first.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn traffic(&self, limit: u32) -> Result<Vec<TrafficRow>, StoreError> {
        let sql = "SELECT month, device, name, sent, received FROM traffic
                   ORDER BY month DESC, sent + received DESC LIMIT ?1";
        let mut query = self.0.prepare_cached(sql)?;
        let rows = query.query_map([limit], |row| {
            Ok(TrafficRow {
                month: row.get(0)?,
                device: row.get(1)?,
                name: row.get(2)?,
                sent: row.get(3)?,
                received: row.get(4)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl Txn<'_> {
    /// So much more went between this box and a relay in a month.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn add_traffic(&self, row: &TrafficRow) -> Result<(), StoreError> {
        let sql = "INSERT INTO traffic(month, device, name, sent, received)
                   VALUES(?1, ?2, ?3, ?4, ?5)
                   ON CONFLICT(month, device) DO UPDATE SET name = excluded.name,
                     sent = sent + excluded.sent, received = received + excluded.received";
        let mut query = self.0.prepare_cached(sql)?;
        query.execute((row.month, row.device, &row.name, row.sent, row.received))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Lock, Store};

    #[test]
    fn months_and_relays_are_counted_apart_and_the_newest_comes_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path(), &Lock::Plain).expect("a store");
        let row = |month, device: u8, sent| TrafficRow {
            month,
            device: [device; 16],
            name: format!("relay {device}"),
            sent,
            received: 1,
        };
        for (month, device, sent) in [(202_611, 1, 5), (202_612, 1, 7), (202_612, 2, 90)] {
            for _ in 0..2 {
                let add = |tx: &Txn<'_>| tx.add_traffic(&row(month, device, sent));
                store.write(add).expect("written");
            }
        }
        let rows = store.read(|view| view.traffic(10)).expect("read");
        let seen: Vec<_> =
            rows.iter().map(|r| (r.month, r.device[0], r.sent, r.received)).collect();
        assert_eq!(seen, [(202_612, 2, 180, 2), (202_612, 1, 14, 2), (202_611, 1, 10, 2)]);
    }
}
