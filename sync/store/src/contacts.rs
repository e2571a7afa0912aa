//! The history of contacts: conversations with peers, and attempts that came to nothing. Local to
//! this store. What the numbers of ways and endings mean is the link's matter.

use crate::{How, StoreError, Txn, View};
use rusqlite::OptionalExtension;

/// So many conversations with one peer are remembered, the last; of attempts that came to nothing
/// as many in all.
pub const CONTACTS_KEPT: u32 = 500;
/// So many conversations are remembered of all peers together.
const CONTACTS_OF_ALL: u32 = 20_000;

/// How a conversation ended of which nobody said.
const UNTOLD: u8 = 255;

/// One conversation in the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactRow {
    /// Its number here.
    pub id: i64,
    /// With which device.
    pub device: [u8; 16],
    /// What people call it.
    pub peer: String,
    /// From, milliseconds.
    pub began_ms: i64,
    /// When everything was last exchanged in it, milliseconds; absent when it never was.
    pub completed_ms: Option<i64>,
    /// When it was over, milliseconds; absent while it lasts, or when the power was cut.
    pub over_ms: Option<i64>,
    /// How it ended; 0 while it lasts.
    pub ending: u8,
    /// Entries received.
    pub entries_in: u64,
    /// Entries acknowledged by the peer.
    pub entries_out: u64,
    /// Bytes that came, attachments and protocol included.
    pub received: u64,
    /// Bytes that went.
    pub sent: u64,
    /// How it came about.
    pub how: How,
    /// Over what, where it was a link; 0 when nobody said.
    pub way: u8,
}

/// Attempts to reach a relay that came to nothing for one reason, one after another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreachedRow {
    /// The relay as it is configured.
    pub relay: String,
    /// Why, a number of the link.
    pub why: u8,
    /// The first, milliseconds.
    pub began_ms: i64,
    /// The last that was written down, milliseconds.
    pub last_ms: i64,
    /// So many.
    pub times: u64,
}

const CONTACT: &str = "SELECT c.id, p.device, p.name, c.began_ms, c.ended_ms, c.over_ms, c.ending,
    c.entries_in, c.entries_out, c.received, c.sent, c.how, c.way
    FROM contact c JOIN peer p ON p.id = c.peer";

fn contact(row: &rusqlite::Row<'_>) -> rusqlite::Result<ContactRow> {
    Ok(ContactRow {
        id: row.get(0)?,
        device: row.get(1)?,
        peer: row.get(2)?,
        began_ms: row.get(3)?,
        completed_ms: row.get(4)?,
        over_ms: row.get(5)?,
        ending: row.get(6)?,
        entries_in: row.get(7)?,
        entries_out: row.get(8)?,
        received: row.get(9)?,
        sent: row.get(10)?,
        how: How::of(row.get(11)?),
        way: row.get(12)?,
    })
}

impl View<'_> {
    /// The last conversations, the latest first.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn contacts(&self, limit: u32) -> Result<Vec<ContactRow>, StoreError> {
        let sql = format!("{CONTACT} ORDER BY c.id DESC LIMIT ?1");
        let mut query = self.0.prepare_cached(&sql)?;
        let rows = query.query_map([limit], contact)?.collect::<Result<_, _>>()?;
        Ok(rows)
    }

    /// The last conversations with one device, the latest first.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn contacts_with(
        &self,
        device: &[u8; 16],
        limit: u32,
    ) -> Result<Vec<ContactRow>, StoreError> {
        let sql = format!("{CONTACT} WHERE p.device = ?1 ORDER BY c.id DESC LIMIT ?2");
        let mut query = self.0.prepare_cached(&sql)?;
        let rows = query.query_map((device, limit), contact)?.collect::<Result<_, _>>()?;
        Ok(rows)
    }

    /// The last attempts that came to nothing, the latest first.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn unreached(&self, limit: u32) -> Result<Vec<UnreachedRow>, StoreError> {
        let sql = "SELECT relay, why, began_ms, last_ms, times FROM unreached
                   ORDER BY id DESC LIMIT ?1";
        let mut query = self.0.prepare_cached(sql)?;
        let rows = query.query_map([limit], |row| {
            let (relay, why) = (row.get(0)?, row.get(1)?);
            let (began_ms, last_ms, times) = (row.get(2)?, row.get(3)?, row.get(4)?);
            Ok(UnreachedRow { relay, why, began_ms, last_ms, times })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl Txn<'_> {
    pub(crate) fn trim_contacts(&self, peer: i64) -> Result<(), StoreError> {
        let of_peer = "DELETE FROM contact WHERE peer = ?1 AND id <=
                       (SELECT id FROM contact WHERE peer = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)";
        self.0.prepare_cached(of_peer)?.execute((peer, CONTACTS_KEPT))?;
        let of_all = "DELETE FROM contact WHERE id <= (SELECT max(id) - ?1 FROM contact)";
        self.0.prepare_cached(of_all)?.execute([CONTACTS_OF_ALL])?;
        Ok(())
    }

    /// Over what the conversation with a device goes that has just begun; gives its number, by
    /// which the rest is told.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn contact_over(&self, device: &[u8; 16], way: u8) -> Result<Option<i64>, StoreError> {
        let sql = "UPDATE contact SET way = ?2 WHERE over_ms IS NULL AND id = (SELECT max(c.id)
                     FROM contact c JOIN peer p ON p.id = c.peer WHERE p.device = ?1) RETURNING id";
        let mut query = self.0.prepare_cached(sql)?;
        Ok(query.query_row((device, way), |row| row.get(0)).optional()?)
    }

    /// What a conversation has carried so far. Bytes.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn contact_carried(&self, id: i64, sent: u64, received: u64) -> Result<(), StoreError> {
        let sql = "UPDATE contact SET sent = ?2, received = ?3 WHERE id = ?1";
        self.0.prepare_cached(sql)?.execute((id, sent, received))?;
        Ok(())
    }

    /// A conversation is over.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn contact_ended(&self, id: i64, at_ms: i64, ending: u8) -> Result<(), StoreError> {
        let sql = "UPDATE contact SET over_ms = ?2, ending = ?3 WHERE id = ?1";
        self.0.prepare_cached(sql)?.execute((id, at_ms, ending))?;
        Ok(())
    }

    /// A program begins: nobody will say any more how earlier conversations ended.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn contacts_untold(&self) -> Result<(), StoreError> {
        let sql = "UPDATE contact SET ending = ?1 WHERE over_ms IS NULL AND ending = 0";
        self.0.prepare_cached(sql)?.execute([UNTOLD])?;
        Ok(())
    }

    /// An attempt came to nothing, the first of its kind; gives the number by which the next of the
    /// same kind are told.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn begin_unreached(&self, relay: &str, why: u8, at_ms: i64) -> Result<i64, StoreError> {
        let sql = "INSERT INTO unreached(relay, why, began_ms, last_ms, times)
                   VALUES(?1, ?2, ?3, ?3, 1)";
        self.0.prepare_cached(sql)?.execute((relay, why, at_ms))?;
        let id = self.0.last_insert_rowid();
        let trim = "DELETE FROM unreached WHERE id <= ?1";
        self.0.prepare_cached(trim)?.execute([id - i64::from(CONTACTS_KEPT)])?;
        Ok(id)
    }

    /// So many attempts by now came to nothing for the same reason.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn more_unreached(&self, id: i64, at_ms: i64, times: u64) -> Result<(), StoreError> {
        let sql = "UPDATE unreached SET last_ms = ?2, times = ?3 WHERE id = ?1";
        self.0.prepare_cached(sql)?.execute((id, at_ms, times))?;
        Ok(())
    }
}
