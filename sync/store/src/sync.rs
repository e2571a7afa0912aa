//! Scope logs, cursors, peers and contacts.

use crate::pack::{WHOLE, is_note};
use crate::{StoreError, Txn, View};
use cunkou_engine::{ENTRIES_MAX, NameSum, Named, Part, Picked};
use rusqlite::OptionalExtension;

/// A peer as last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerRow {
    /// Its number here.
    pub id: i64,
    /// Its device.
    pub device: [u8; 16],
    /// Its store.
    pub store: [u8; 16],
    /// Its epoch.
    pub epoch: [u8; 16],
    /// Its name.
    pub name: String,
    /// Its software.
    pub software: String,
    /// When it was last heard, milliseconds.
    pub seen_ms: i64,
    /// Its clock minus ours, milliseconds.
    pub clock_error_ms: i64,
    /// When everything was last exchanged, milliseconds.
    pub completed_ms: Option<i64>,
    /// What its software understands beside the first version of the protocol.
    pub features: u64,
}

/// What a peer says of one scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said<'a> {
    /// Which.
    pub scope: &'a str,
    /// Where the peer's own log ends.
    pub head: u64,
    /// How far it has read ours.
    pub read: u64,
    /// Whether that is of our present epoch, so that it can be held against what it acknowledged.
    pub acknowledged: bool,
}

/// What no peer has acknowledged yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unsent {
    /// How many entries.
    pub entries: u64,
    /// How many bytes.
    pub bytes: u64,
    /// When the oldest was made, milliseconds.
    pub oldest_ms: Option<i64>,
}

/// A scope that differed from a peer's although the cursors knew of nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepairRow {
    /// When, milliseconds.
    pub at_ms: i64,
    /// From whose.
    pub peer: String,
    /// Which.
    pub scope: String,
    /// Entries that came.
    pub received: u64,
    /// Entries that the peer lacked.
    pub given: u64,
    /// False when it still differed afterwards.
    pub equal: bool,
}

const PEER: &str =
    "id, device, store, epoch, name, software, seen_ms, clock_error_ms, completed_ms, features";

fn peer(row: &rusqlite::Row<'_>) -> rusqlite::Result<PeerRow> {
    Ok(PeerRow {
        id: row.get(0)?,
        device: row.get(1)?,
        store: row.get(2)?,
        epoch: row.get(3)?,
        name: row.get(4)?,
        software: row.get(5)?,
        seen_ms: row.get(6)?,
        clock_error_ms: row.get(7)?,
        completed_ms: row.get(8)?,
        features: row.get::<_, i64>(9)?.cast_unsigned(),
    })
}

impl View<'_> {
    /// Where our log of a scope ends.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn head(&self, scope: &str) -> Result<u64, StoreError> {
        let mut query = self.0.prepare_cached("SELECT seq FROM head WHERE scope = ?1")?;
        Ok(query.query_row([scope], |row| row.get(0)).optional()?.unwrap_or(0))
    }

    /// The sum of the names in a scope's log.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn name_sum(&self, scope: &str) -> Result<NameSum, StoreError> {
        let mut query = self.0.prepare_cached("SELECT sum FROM head WHERE scope = ?1")?;
        let sum: Option<Option<[u8; 32]>> =
            query.query_row([scope], |row| row.get(0)).optional()?;
        Ok(sum.flatten().map(|bytes| NameSum::from_bytes(&bytes)).unwrap_or_default())
    }

    /// A part of our log of a scope up to `head`, without what `peer` gave us: where the part ends,
    /// and its entries.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn log_part(
        &self,
        part: &Part,
        peer: i64,
        head: u64,
    ) -> Result<(u64, Vec<Vec<u8>>), StoreError> {
        self.log_part_for(part, (peer, false), head)
    }

    /// The same; `withheld` says whether what is left out in this scope is kept from the peer.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn log_part_for(
        &self,
        part: &Part,
        (peer, withheld): (i64, bool),
        head: u64,
    ) -> Result<(u64, Vec<Vec<u8>>), StoreError> {
        let sql = format!(
            "SELECT l.seq, e.via, {WHOLE}, l.left_out FROM log l JOIN entry e ON e.pos = l.pos
             WHERE l.scope = ?1 AND l.seq > ?2 AND l.seq <= ?3 ORDER BY l.seq"
        );
        let mut query = self.0.prepare_cached(&sql)?;
        let mut rows = query.query((&part.scope, part.after, head.min(part.until)))?;
        let (mut upto, mut bytes, mut out) = (part.after, 0, Vec::new());
        while let Some(row) = rows.next()? {
            let (seq, via): (u64, i64) = (row.get(0)?, row.get(1)?);
            let left_out = withheld && row.get(3)?;
            if via != peer && !left_out && !part.skip.contains(&seq) {
                let entry: Vec<u8> = row.get(2)?;
                // What left this box has nothing to send; its place is passed over.
                if entry.is_empty() || is_note(&entry) {
                    upto = seq;
                    continue;
                }
                if bytes > 0 && bytes + entry.len() > part.bytes_max || out.len() >= ENTRIES_MAX {
                    break;
                }
                bytes += entry.len();
                out.push(entry);
            }
            upto = seq;
        }
        Ok((upto, out))
    }

    /// The first 8 bytes of the names of a part of our log of a scope up to `head`, with their
    /// places, without what `peer` gave us and, where it is `withheld`, what is left out; and where
    /// the part ends. At most `count_max`.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn names_after(
        &self,
        scope: &str,
        after: u64,
        (peer, withheld): (i64, bool),
        count_max: usize,
        head: u64,
    ) -> Result<Named, StoreError> {
        let sql = "SELECT l.seq, e.via, substr(e.id, 1, 8), e.bytes = x'', l.left_out
                   FROM log l JOIN entry e ON e.pos = l.pos
                   WHERE l.scope = ?1 AND l.seq > ?2 AND l.seq <= ?3 ORDER BY l.seq";
        let mut query = self.0.prepare_cached(sql)?;
        let mut rows = query.query((scope, after, head))?;
        let mut out = Named { upto: after, head, ..Named::default() };
        while let Some(row) = rows.next()? {
            if out.names.len() >= count_max {
                break;
            }
            let (via, gone): (i64, bool) = (row.get(1)?, row.get(3)?);
            out.upto = row.get(0)?;
            let left_out = withheld && row.get(4)?;
            if via != peer && !gone && !left_out {
                out.positions.push(out.upto);
                out.names.push(row.get(2)?);
            }
        }
        Ok(out)
    }

    /// Whether an entry of a scope whose name begins so is here.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn has_named(&self, scope: &str, name: &[u8; 8]) -> Result<bool, StoreError> {
        let (mut from, mut to) = ([0; 32], [0xff; 32]);
        from[..8].copy_from_slice(name);
        to[..8].copy_from_slice(name);
        // What left with its village is wanted again when that comes back.
        let sql = "SELECT 1 FROM entry e JOIN log l ON l.pos = e.pos
                   WHERE e.id >= ?1 AND e.id <= ?2 AND l.scope = ?3
                     AND (e.bytes <> x'' OR NOT EXISTS
                           (SELECT 1 FROM leaving v WHERE v.scope = ?3)
                         OR EXISTS (SELECT 1 FROM evicted v WHERE v.subject = e.subject)
                         OR EXISTS (SELECT 1 FROM erased v WHERE v.subject = e.subject))";
        Ok(self.0.prepare_cached(sql)?.exists((from, to, scope))?)
    }

    /// Every name in the log of a scope that is not left out.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn all_names(&self, scope: &str) -> Result<Vec<[u8; 32]>, StoreError> {
        let sql = "SELECT e.id FROM log l JOIN entry e ON e.pos = l.pos
                   WHERE l.scope = ?1 AND l.left_out = 0";
        let mut query = self.0.prepare_cached(sql)?;
        let rows = query.query_map([scope], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(rows)
    }

    /// Entries of a scope by name, about `bytes_max` of them; what is not here, or has left, is
    /// passed over, and where it is `withheld` what is left out.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn pick(
        &self,
        scope: &str,
        names: &[[u8; 32]],
        bytes_max: usize,
        withheld: bool,
    ) -> Result<Picked, StoreError> {
        let sql = format!(
            "SELECT {WHOLE} FROM entry e JOIN log l ON l.pos = e.pos
             WHERE e.id = ?1 AND l.scope = ?2 AND l.left_out <= ?3"
        );
        let mut query = self.0.prepare_cached(&sql)?;
        let (mut out, mut bytes) = (Picked::default(), 0);
        for name in names {
            let found: Option<Vec<u8>> =
                query.query_row((name, scope, !withheld), |row| row.get(0)).optional()?;
            if let Some(entry) = found.filter(|entry| !entry.is_empty() && !is_note(entry)) {
                if bytes > 0 && bytes + entry.len() > bytes_max {
                    break;
                }
                bytes += entry.len();
                out.entries.push(entry);
            }
            out.dealt += 1;
        }
        Ok(out)
    }

    /// The place of a position of this store in a scope's log.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn seq_of(&self, scope: &str, pos: u64) -> Result<Option<u64>, StoreError> {
        let sql = "SELECT seq FROM log WHERE scope = ?1 AND pos = ?2";
        Ok(self.0.prepare_cached(sql)?.query_row((scope, pos), |row| row.get(0)).optional()?)
    }

    /// The latest repairs, the last one first.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn repairs(&self, limit: u32) -> Result<Vec<RepairRow>, StoreError> {
        let sql = "SELECT r.at_ms, p.name, r.scope, r.received, r.given, r.equal
                   FROM repair r JOIN peer p ON p.id = r.peer ORDER BY r.id DESC LIMIT ?1";
        let mut query = self.0.prepare_cached(sql)?;
        let rows = query.query_map([limit], |row| {
            let (at_ms, peer, scope) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let (received, given, equal) = (row.get(3)?, row.get(4)?, row.get(5)?);
            Ok(RepairRow { at_ms, peer, scope, received, given, equal })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// A peer by its device.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn peer(&self, device: &[u8; 16]) -> Result<Option<PeerRow>, StoreError> {
        let sql = format!("SELECT {PEER} FROM peer WHERE device = ?1");
        Ok(self.0.prepare_cached(&sql)?.query_row([device], peer).optional()?)
    }

    /// All peers ever seen, the latest first; without boxes beside this one.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn peers(&self) -> Result<Vec<PeerRow>, StoreError> {
        let sql = format!("SELECT {PEER} FROM peer WHERE beside = 0 ORDER BY seen_ms DESC, id");
        let mut query = self.0.prepare_cached(&sql)?;
        let rows = query.query_map([], peer)?.collect::<Result<_, _>>()?;
        Ok(rows)
    }

    /// How far we have read a peer's log of a scope.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn cursor(&self, peer: i64, scope: &str) -> Result<u64, StoreError> {
        let sql = "SELECT seq FROM cursor WHERE peer = ?1 AND scope = ?2";
        let found = self.0.prepare_cached(sql)?.query_row((peer, scope), |row| row.get(0));
        Ok(found.optional()?.unwrap_or(0))
    }

    /// How far a peer has acknowledged our log of a scope.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn acked(&self, peer: i64, scope: &str) -> Result<u64, StoreError> {
        let sql = "SELECT seq FROM acked WHERE peer = ?1 AND scope = ?2";
        let found = self.0.prepare_cached(sql)?.query_row((peer, scope), |row| row.get(0));
        Ok(found.optional()?.unwrap_or(0))
    }

    /// Entries of ours that no peer has acknowledged. Entries that came from a peer do not count,
    /// nor what is nobody's work: looks on their way to the county. What a box beside this one has
    /// is not with the county yet.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn unsent(&self) -> Result<Unsent, StoreError> {
        // CROSS JOIN keeps the few scopes outside: the log is long.
        let sql = format!(
            "SELECT count(*), coalesce(sum(length({WHOLE})), 0), min(e.received_ms)
                   FROM head h CROSS JOIN log l ON l.scope = h.scope AND l.seq >
                       (SELECT coalesce(max(a.seq), 0) FROM acked a JOIN peer p ON p.id = a.peer
                        WHERE a.scope = h.scope AND p.beside = 0)
                   JOIN entry e ON e.pos = l.pos WHERE e.via = 0 AND e.kind <> 7"
        );
        let row = self.0.prepare_cached(&sql)?.query_row([], |row| {
            Ok(Unsent { entries: row.get(0)?, bytes: row.get(1)?, oldest_ms: row.get(2)? })
        })?;
        Ok(row)
    }
}

impl Txn<'_> {
    /// A peer has said hello. If its store or epoch is another than before, what we had read of
    /// it counts no longer.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn greet_peer(&self, seen: &PeerRow) -> Result<PeerRow, StoreError> {
        if let Some(before) = self.peer(&seen.device)?
            && (before.store != seen.store || before.epoch != seen.epoch)
        {
            self.0.execute("DELETE FROM cursor WHERE peer = ?1", [before.id])?;
            self.0.execute("DELETE FROM acked WHERE peer = ?1", [before.id])?;
            self.0.execute("DELETE FROM whole WHERE peer = ?1", [before.id])?;
            self.0.execute("DELETE FROM bundle_attachment WHERE device = ?1", [before.device])?;
            let past = "INSERT OR IGNORE INTO peer_past(device, epoch) VALUES(?1, ?2)";
            self.0.execute(past, (before.device, before.epoch))?;
            // Restored from a backup it may lack what it gave us itself: that is sent back, too.
            self.0.execute("UPDATE entry SET via = -2 WHERE via = ?1", [before.id])?;
        }
        let sql = "INSERT INTO peer(device, store, epoch, name, software, seen_ms, clock_error_ms,
                                    features)
                   VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                   ON CONFLICT(device) DO UPDATE SET store = excluded.store,
                     epoch = excluded.epoch, name = excluded.name, software = excluded.software,
                     seen_ms = excluded.seen_ms, clock_error_ms = excluded.clock_error_ms,
                     features = excluded.features";
        self.0.prepare_cached(sql)?.execute((
            seen.device,
            seen.store,
            seen.epoch,
            &seen.name,
            &seen.software,
            seen.seen_ms,
            seen.clock_error_ms,
            seen.features.cast_signed(),
        ))?;
        self.peer(&seen.device)?.ok_or(StoreError::Damaged { what: "peer" })
    }

    /// A peer is a box beside this one and not the county.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn set_beside(&self, peer: i64) -> Result<(), StoreError> {
        self.0.prepare_cached("UPDATE peer SET beside = 1 WHERE id = ?1")?.execute([peer])?;
        Ok(())
    }

    /// What a peer's software understands is not known any more.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn forget_features(&self, device: &[u8; 16]) -> Result<(), StoreError> {
        let sql = "UPDATE peer SET features = 0 WHERE device = ?1 AND features <> 0";
        self.0.prepare_cached(sql)?.execute([device])?;
        Ok(())
    }

    /// Holds what a peer says against what is known of it in its present epoch. One that knows less
    /// than it has acknowledged, or has less than was read of it, runs on a disk that went back, or
    /// on a copy: it may lack what it gave us itself, so that beyond what it has read is sent back,
    /// too. True when that is so.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn doubt_peer(&self, peer: i64, says: &[Said<'_>]) -> Result<bool, StoreError> {
        let mut back = false;
        for said in says {
            let less = said.acknowledged && said.read < self.acked(peer, said.scope)?;
            back |= less || said.head < self.cursor(peer, said.scope)?;
        }
        if !back {
            return Ok(false);
        }
        let acked = "UPDATE acked SET seq = min(seq, ?3) WHERE peer = ?1 AND scope = ?2";
        let via = "UPDATE entry SET via = -2 WHERE via = ?1 AND pos IN
                   (SELECT pos FROM log WHERE scope = ?2 AND seq > ?3)";
        for said in says {
            // A position that SQLite cannot hold is none of ours.
            let read = said.read.min(self.head(said.scope)?);
            self.0.prepare_cached(acked)?.execute((peer, said.scope, read))?;
            self.0.prepare_cached(via)?.execute((peer, said.scope, read))?;
        }
        Ok(true)
    }

    /// We have read a peer's log up to here; in one transaction with the entries.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn set_cursor(&self, peer: i64, scope: &str, seq: u64) -> Result<(), StoreError> {
        let sql = "INSERT INTO cursor(peer, scope, seq) VALUES(?1, ?2, ?3)
                   ON CONFLICT(peer, scope) DO UPDATE SET seq = excluded.seq";
        self.0.prepare_cached(sql)?.execute((peer, scope, seq))?;
        Ok(())
    }

    /// A peer has our log up to here.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn set_acked(&self, peer: i64, scope: &str, seq: u64) -> Result<(), StoreError> {
        let before: Option<u64> = self
            .0
            .prepare_cached("SELECT seq FROM acked WHERE peer = ?1 AND scope = ?2")?
            .query_row((peer, scope), |row| row.get(0))
            .optional()?;
        let sql = "INSERT INTO acked(peer, scope, seq) VALUES(?1, ?2, ?3)
                   ON CONFLICT(peer, scope) DO UPDATE SET seq = excluded.seq";
        self.0.prepare_cached(sql)?.execute((peer, scope, seq))?;
        let ours = "SELECT count(*) FROM log l JOIN entry e ON e.pos = l.pos
                    WHERE l.scope = ?1 AND l.seq > ?2 AND l.seq <= ?3 AND e.via <> ?4";
        let sent: u64 = self
            .0
            .prepare_cached(ours)?
            .query_row((scope, before.unwrap_or(0), seq, peer), |row| row.get(0))?;
        self.count_contact(peer, 0, sent)
    }

    /// Everything was exchanged with a peer.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn set_completed(&self, peer: i64, at_ms: i64) -> Result<(), StoreError> {
        let sql = "UPDATE peer SET completed_ms = ?2, seen_ms = max(seen_ms, ?2) WHERE id = ?1";
        self.0.prepare_cached(sql)?.execute((peer, at_ms))?;
        // What is over is not completed afterwards: another store may only have told of it.
        let contact = "UPDATE contact SET ended_ms = ?2 WHERE over_ms IS NULL AND id =
                       (SELECT max(id) FROM contact WHERE peer = ?1)";
        self.0.prepare_cached(contact)?.execute((peer, at_ms))?;
        Ok(())
    }

    /// A scope differed and was repaired, or differs still; only the last thousand are kept.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn note_repair(&self, peer: i64, row: &RepairRow) -> Result<(), StoreError> {
        let sql = "INSERT INTO repair(at_ms, peer, scope, received, given, equal)
                   VALUES(?1, ?2, ?3, ?4, ?5, ?6)";
        let values = (row.at_ms, peer, &row.scope, row.received, row.given, row.equal);
        self.0.prepare_cached(sql)?.execute(values)?;
        let trim = "DELETE FROM repair WHERE id <= (SELECT max(id) - 1000 FROM repair)";
        self.0.prepare_cached(trim)?.execute([])?;
        Ok(())
    }

    /// A conversation begins; only the last [`crate::CONTACTS_KEPT`] with a peer are kept.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn begin_contact(&self, peer: i64, at_ms: i64) -> Result<(), StoreError> {
        let sql = "INSERT INTO contact(peer, began_ms) VALUES(?1, ?2)";
        self.0.prepare_cached(sql)?.execute((peer, at_ms))?;
        self.trim_contacts(peer)
    }

    /// Entries went through in the present conversation.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn count_contact(&self, peer: i64, entries_in: u64, out: u64) -> Result<(), StoreError> {
        let sql = "UPDATE contact SET entries_in = entries_in + ?2, entries_out = entries_out + ?3
                   WHERE id = (SELECT max(id) FROM contact WHERE peer = ?1)";
        self.0.prepare_cached(sql)?.execute((peer, entries_in, out))?;
        Ok(())
    }
}
