//! Bundles carried by hand: what left, what came, what was acknowledged, and how entries came.

use crate::{StoreError, Txn, View};
use rusqlite::OptionalExtension;
use std::collections::BTreeMap;

/// Bundles made here are remembered so long after they were acknowledged or replaced: the last so
/// many for each device.
const KEPT: u64 = 1000;

/// How something came from a peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum How {
    /// Over a link.
    #[default]
    Link,
    /// In a bundle that somebody carried.
    Stick,
    /// In a bundle that two relays exchanged through folders.
    Ferry,
    /// From a box beside this one.
    Neighbour,
}

impl How {
    pub(crate) fn code(self) -> i64 {
        match self {
            Self::Link => 0,
            Self::Stick => 1,
            Self::Ferry => 2,
            Self::Neighbour => 3,
        }
    }

    pub(crate) fn of(code: i64) -> Self {
        match code {
            1 => Self::Stick,
            2 => Self::Ferry,
            3 => Self::Neighbour,
            _ => Self::Link,
        }
    }
}

/// A bundle that was made here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleOut {
    /// Its name.
    pub id: [u8; 16],
    /// For whom.
    pub device: [u8; 16],
    /// Counts the bundles for this device, from 1.
    pub number: u64,
    /// Which stick of a series, from 1.
    pub part: u32,
    /// It was full: the next goes on from it.
    pub more: bool,
    /// How it travels.
    pub how: How,
    /// When it was made, milliseconds.
    pub made_ms: i64,
    /// Entries in it.
    pub entries: u64,
    /// Attachments in it.
    pub attachments: u64,
    /// Bytes.
    pub bytes: u64,
    /// When the receiver's word came that it has it whole, milliseconds.
    pub acked_ms: Option<i64>,
}

impl BundleOut {
    /// Entries and attachments in it: none in what merely acknowledges.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.entries + self.attachments
    }
}

/// A bundle that came in whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BundleIn {
    /// Its name.
    pub id: [u8; 16],
    /// From whom.
    pub device: [u8; 16],
    /// Its sender's count.
    pub number: u64,
    /// How it came.
    pub how: How,
    /// Entries and attachments in it: none in what merely acknowledges.
    pub held: u64,
    /// When it was made, by its sender's clock, milliseconds.
    pub made_ms: i64,
    /// When it came, milliseconds.
    pub came_ms: i64,
}

/// A part of our log in a bundle: scope, the place it follows on, where it ends.
pub type BundlePart = (String, u64, u64);

/// How one of our own entries left by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// It is on its way in a bundle, since this time, milliseconds.
    OnItsWay(How, i64),
    /// It arrived in a bundle.
    Arrived(How),
}

const OUT: &str =
    "id, device, number, part, more, how, made_ms, entries, attachments, bytes, acked_ms";

fn out(row: &rusqlite::Row<'_>) -> rusqlite::Result<BundleOut> {
    Ok(BundleOut {
        id: row.get(0)?,
        device: row.get(1)?,
        number: row.get(2)?,
        part: row.get(3)?,
        more: row.get(4)?,
        how: How::of(row.get(5)?),
        made_ms: row.get(6)?,
        entries: row.get(7)?,
        attachments: row.get(8)?,
        bytes: row.get(9)?,
        acked_ms: row.get(10)?,
    })
}

impl View<'_> {
    /// Whether a bundle came in whole already.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn bundle_in(&self, id: &[u8; 16]) -> Result<Option<BundleIn>, StoreError> {
        let sql =
            "SELECT id, device, number, how, held, made_ms, came_ms FROM bundle_in WHERE id = ?1";
        Ok(self.0.prepare_cached(sql)?.query_row([id], bundle_in).optional()?)
    }

    /// Bundles of a device that came in whole, the latest first.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn bundles_in(&self, device: &[u8; 16], limit: u32) -> Result<Vec<BundleIn>, StoreError> {
        let sql = "SELECT id, device, number, how, held, made_ms, came_ms FROM bundle_in
                   WHERE device = ?1 ORDER BY came_ms DESC, number DESC LIMIT ?2";
        let mut query = self.0.prepare_cached(sql)?;
        let rows = query.query_map((device, limit), bundle_in)?.collect::<Result<_, _>>()?;
        Ok(rows)
    }

    /// The number of the next bundle for a device.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn next_bundle(&self, device: &[u8; 16]) -> Result<u64, StoreError> {
        let sql = "SELECT coalesce(max(number), 0) + 1 FROM bundle_out WHERE device = ?1";
        Ok(self.0.prepare_cached(sql)?.query_row([device], |row| row.get(0))?)
    }

    /// Bundles made here for a device in this store's epoch, the latest first.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn bundles_out(&self, device: &[u8; 16], limit: u32) -> Result<Vec<BundleOut>, StoreError> {
        let sql = format!(
            "SELECT {OUT} FROM bundle_out WHERE device = ?1
             AND epoch = (SELECT value FROM meta WHERE key = 'epoch')
             ORDER BY number DESC LIMIT ?2"
        );
        let mut query = self.0.prepare_cached(&sql)?;
        let rows = query.query_map((device, limit), out)?.collect::<Result<_, _>>()?;
        Ok(rows)
    }

    /// Which parts of our log a bundle holds.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn bundle_parts(&self, id: &[u8; 16]) -> Result<Vec<BundlePart>, StoreError> {
        let sql = "SELECT scope, after, upto FROM bundle_part WHERE bundle = ?1 ORDER BY scope";
        let mut query = self.0.prepare_cached(sql)?;
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let rows = query.query_map([id], row)?.collect::<Result<_, _>>()?;
        Ok(rows)
    }

    /// Whether a peer has left this epoch behind.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn is_past(&self, device: &[u8; 16], epoch: &[u8; 16]) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM peer_past WHERE device = ?1 AND epoch = ?2";
        Ok(self.0.prepare_cached(sql)?.exists((device, epoch))?)
    }

    /// Attachments that are here and belong to what a part of our log is about, without those that
    /// the device has or gave, or that are on their way to it.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn attachments_behind(
        &self,
        device: &[u8; 16],
        (scope, after, upto): (&str, u64, u64),
    ) -> Result<Vec<[u8; 32]>, StoreError> {
        let sql = "SELECT DISTINCT o.attachment FROM attachment_of o
                   JOIN attachment a ON a.id = o.attachment AND a.state = 1
                   WHERE o.scope = ?2 AND o.subject IN
                       (SELECT e.subject FROM log l JOIN entry e ON e.pos = l.pos
                        WHERE l.scope = ?2 AND l.seq > ?3 AND l.seq <= ?4)
                   AND NOT EXISTS (SELECT 1 FROM bundle_attachment b
                                   WHERE b.device = ?1 AND b.attachment = o.attachment)";
        let mut query = self.0.prepare_cached(sql)?;
        let rows = query
            .query_map((device, scope, after, upto), |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        Ok(rows)
    }

    /// Attachments that a device has asked for and that are here, without those on their way.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn asked_for(&self, device: &[u8; 16]) -> Result<Vec<[u8; 32]>, StoreError> {
        let sql = "SELECT w.attachment FROM bundle_wanted w
                   JOIN attachment a ON a.id = w.attachment AND a.state = 1
                   WHERE w.device = ?1 AND NOT EXISTS
                       (SELECT 1 FROM bundle_attachment b WHERE b.device = w.device
                        AND b.attachment = w.attachment AND b.bundle IS NOT NULL)";
        let mut query = self.0.prepare_cached(sql)?;
        let rows = query.query_map([device], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(rows)
    }

    /// How entries of a subject came, of those that did not come over a link.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn came(&self, subject: &[u8; 16]) -> Result<BTreeMap<[u8; 32], How>, StoreError> {
        let sql = "SELECT e.id, c.how FROM entry e JOIN came c ON c.pos = e.pos
                   WHERE e.subject = ?1";
        let mut query = self.0.prepare_cached(sql)?;
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, How::of(row.get(1)?)));
        let rows = query.query_map([subject], row)?.collect::<Result<_, _>>()?;
        Ok(rows)
    }

    /// How entries of a subject left this store by hand, or to a box beside this one: those that no
    /// relay has acknowledged otherwise.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn left(&self, subject: &[u8; 16]) -> Result<BTreeMap<[u8; 32], Left>, StoreError> {
        let sql = "SELECT e.id, b.how, b.made_ms, b.acked_ms,
                          l.seq <= (SELECT coalesce(max(a.seq), 0)
                                    FROM acked a JOIN peer q ON q.id = a.peer
                                    WHERE a.scope = l.scope AND q.beside = 0)
                   FROM entry e JOIN log l ON l.pos = e.pos
                   JOIN bundle_part p ON p.scope = l.scope AND p.after < l.seq AND p.upto >= l.seq
                   JOIN bundle_out b ON b.id = p.bundle
                   WHERE e.subject = ?1 AND e.via = 0
                     AND b.epoch = (SELECT value FROM meta WHERE key = 'epoch')
                   ORDER BY b.made_ms";
        let mut query = self.0.prepare_cached(sql)?;
        let mut rows = query.query([subject])?;
        let mut out = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let (id, how): ([u8; 32], _) = (row.get(0)?, How::of(row.get(1)?));
            let (made_ms, arrived): (i64, Option<i64>) = (row.get(2)?, row.get(3)?);
            let acked: bool = row.get(4)?;
            match (arrived, out.get(&id)) {
                (_, Some(Left::Arrived(_))) => {}
                (Some(_), _) => {
                    out.insert(id, Left::Arrived(how));
                }
                // What a link has brought since is no news of the stick.
                (None, _) if !acked => {
                    out.insert(id, Left::OnItsWay(how, made_ms));
                }
                (None, _) => {}
            }
        }
        drop(rows);
        let sql = "SELECT e.id, p.seen_ms FROM entry e JOIN log l ON l.pos = e.pos
                   JOIN acked a ON a.scope = l.scope AND a.seq >= l.seq
                   JOIN peer p ON p.id = a.peer AND p.beside = 1
                   WHERE e.subject = ?1 AND e.via = 0
                     AND l.seq > (SELECT coalesce(max(a.seq), 0)
                                  FROM acked a JOIN peer q ON q.id = a.peer
                                  WHERE a.scope = l.scope AND q.beside = 0)
                   ORDER BY p.seen_ms";
        let mut query = self.0.prepare_cached(sql)?;
        let mut rows = query.query([subject])?;
        while let Some(row) = rows.next()? {
            let on_its_way = Left::OnItsWay(How::Neighbour, row.get(1)?);
            out.entry(row.get(0)?).or_insert(on_its_way);
        }
        Ok(out)
    }
}

fn bundle_in(row: &rusqlite::Row<'_>) -> rusqlite::Result<BundleIn> {
    Ok(BundleIn {
        id: row.get(0)?,
        device: row.get(1)?,
        number: row.get(2)?,
        how: How::of(row.get(3)?),
        held: row.get(4)?,
        made_ms: row.get(5)?,
        came_ms: row.get(6)?,
    })
}

impl View<'_> {
    /// Whether the last that was heard of a peer came by hand.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn heard_by_hand(&self, peer: i64) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM peer WHERE id = ?1 AND by_hand_ms = seen_ms";
        Ok(self.0.prepare_cached(sql)?.exists([peer])?)
    }
}

impl Txn<'_> {
    /// What is known of a peer's last being there came by hand: its clock was not compared.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn set_heard_by_hand(&self, peer: i64) -> Result<(), StoreError> {
        let sql = "UPDATE peer SET by_hand_ms = seen_ms WHERE id = ?1";
        self.0.prepare_cached(sql)?.execute([peer])?;
        Ok(())
    }

    /// An entry came otherwise than over a link.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn set_came(&self, pos: u64, how: How) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO came(pos, how) VALUES(?1, ?2)";
        self.0.prepare_cached(sql)?.execute((pos, how.code()))?;
        Ok(())
    }

    /// The present contact with a peer is of this kind.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn set_contact_kind(&self, peer: i64, how: How) -> Result<(), StoreError> {
        let sql = "UPDATE contact SET how = ?2 WHERE id =
                   (SELECT max(id) FROM contact WHERE peer = ?1)";
        self.0.prepare_cached(sql)?.execute((peer, how.code()))?;
        Ok(())
    }

    /// The present contact with a peer is over, whatever is still to be exchanged.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn end_contact(&self, peer: i64, at_ms: i64) -> Result<(), StoreError> {
        let sql = "UPDATE contact SET ended_ms = ?2 WHERE id =
                   (SELECT max(id) FROM contact WHERE peer = ?1)";
        self.0.prepare_cached(sql)?.execute((peer, at_ms))?;
        Ok(())
    }

    /// Remembers a bundle that was made here, with the parts of our log and the attachments in it.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn bundle_made(
        &self,
        made: &BundleOut,
        parts: &[BundlePart],
        attachments: &[[u8; 32]],
    ) -> Result<(), StoreError> {
        let sql = format!(
            "INSERT INTO bundle_out({OUT}, epoch)
             VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, NULL,
                    (SELECT value FROM meta WHERE key = 'epoch'))"
        );
        self.0.prepare_cached(&sql)?.execute((
            made.id,
            made.device,
            made.number,
            made.part,
            made.more,
            made.how.code(),
            made.made_ms,
            made.entries,
            made.attachments,
            made.bytes,
        ))?;
        for (scope, after, upto) in parts {
            let sql = "INSERT INTO bundle_part(bundle, scope, after, upto) VALUES(?1, ?2, ?3, ?4)";
            self.0.prepare_cached(sql)?.execute((made.id, scope, after, upto))?;
        }
        for attachment in attachments {
            let sql = "INSERT OR REPLACE INTO bundle_attachment(device, attachment, bundle)
                       VALUES(?1, ?2, ?3)";
            self.0.prepare_cached(sql)?.execute((made.device, attachment, made.id))?;
        }
        let old = "SELECT id FROM bundle_out WHERE device = ?1 AND number + ?2 <= ?3";
        let old: Vec<[u8; 16]> = self
            .0
            .prepare_cached(old)?
            .query_map((made.device, KEPT, made.number), |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for id in old {
            self.0.execute("DELETE FROM bundle_part WHERE bundle = ?1", [id])?;
            self.0.execute("DELETE FROM bundle_attachment WHERE bundle = ?1", [id])?;
            self.0.execute("DELETE FROM bundle_out WHERE id = ?1", [id])?;
        }
        Ok(())
    }

    /// A new series begins: attachments that are on their way to a device in bundles that nobody
    /// has acknowledged may be carried again.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn forget_on_the_way(&self, device: &[u8; 16]) -> Result<(), StoreError> {
        let sql = "DELETE FROM bundle_attachment WHERE device = ?1 AND bundle IS NOT NULL";
        self.0.prepare_cached(sql)?.execute([device])?;
        Ok(())
    }

    /// A device has lost what it had: every attachment may be carried to it again.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn forget_what_it_has(&self, device: &[u8; 16]) -> Result<(), StoreError> {
        let sql = "DELETE FROM bundle_attachment WHERE device = ?1";
        self.0.prepare_cached(sql)?.execute([device])?;
        Ok(())
    }

    /// The receiver says that a bundle of ours came in whole: which parts of our log that were.
    /// Nothing when it is none of ours, of another epoch of this store, or known already.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn bundle_acked(
        &self,
        device: &[u8; 16],
        id: &[u8; 16],
        at_ms: i64,
    ) -> Result<Vec<BundlePart>, StoreError> {
        let sql = "UPDATE bundle_out SET acked_ms = ?3 WHERE id = ?1 AND device = ?2
                   AND acked_ms IS NULL AND epoch = (SELECT value FROM meta WHERE key = 'epoch')";
        if self.0.prepare_cached(sql)?.execute((id, device, at_ms))? == 0 {
            return Ok(Vec::new());
        }
        let has = "UPDATE bundle_attachment SET bundle = NULL WHERE device = ?1 AND bundle = ?2";
        self.0.prepare_cached(has)?.execute((device, id))?;
        self.bundle_parts(id)
    }

    /// A bundle came in whole; with which attachments, and which its sender lacks.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn bundle_came(
        &self,
        came: &BundleIn,
        attachments: &[[u8; 32]],
        wanted: &[[u8; 32]],
    ) -> Result<(), StoreError> {
        let sql = "INSERT OR IGNORE INTO bundle_in(id, device, number, how, held, made_ms, came_ms)
                   VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        self.0.prepare_cached(sql)?.execute((
            came.id,
            came.device,
            came.number,
            came.how.code(),
            came.held,
            came.made_ms,
            came.came_ms,
        ))?;
        for attachment in attachments {
            let sql = "INSERT OR REPLACE INTO bundle_attachment(device, attachment, bundle)
                       VALUES(?1, ?2, NULL)";
            self.0.prepare_cached(sql)?.execute((came.device, attachment))?;
        }
        self.0.execute("DELETE FROM bundle_wanted WHERE device = ?1", [came.device])?;
        for attachment in wanted {
            let sql = "INSERT OR IGNORE INTO bundle_wanted(device, attachment) VALUES(?1, ?2)";
            self.0.prepare_cached(sql)?.execute((came.device, attachment))?;
        }
        let trim = "DELETE FROM bundle_in WHERE device = ?1 AND id NOT IN
                    (SELECT id FROM bundle_in WHERE device = ?1
                     ORDER BY came_ms DESC, number DESC LIMIT ?2)";
        self.0.prepare_cached(trim)?.execute((came.device, KEPT))?;
        Ok(())
    }
}
