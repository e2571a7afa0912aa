//! A village that a box serves no more: its content goes once a relay has all of it, the names of
//! its entries stay; and what comes again when the village comes back.

use crate::{EntryState, NewEntry, StoreError, Txn, Unsent, View};
use rusqlite::OptionalExtension;

/// So many places of a log are looked at in one transaction.
const PART: u32 = 500;
/// In `via`: the county's own log, which enrolment brought.
const ENROLMENT: i64 = -1;

/// How far a lost village is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Something may still have to be handed in.
    HandedIn,
    /// All of it is at a relay; the content is going.
    Leaving,
    /// Only names of entries are here.
    Left,
    /// The box serves it again; the content is on its way back.
    Coming,
}

impl Stage {
    const ALL: [Self; 4] = [Self::HandedIn, Self::Leaving, Self::Left, Self::Coming];

    fn code(self) -> i64 {
        self as i64
    }

    fn of(code: i64) -> Self {
        usize::try_from(code).ok().and_then(|i| Self::ALL.get(i).copied()).unwrap_or(Self::HandedIn)
    }
}

/// A village that this box served once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeavingRow {
    /// Its scope.
    pub scope: String,
    /// When this box heard that it serves it no more, milliseconds.
    pub lost_ms: i64,
    /// How far it is.
    pub stage: Stage,
}

impl View<'_> {
    /// Villages that this box served once, in the order of their scopes.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn leaving(&self) -> Result<Vec<LeavingRow>, StoreError> {
        let sql = "SELECT scope, lost_ms, stage FROM leaving ORDER BY scope";
        let mut query = self.0.prepare_cached(sql)?;
        let rows = query.query_map([], |row| {
            let stage = Stage::of(row.get(2)?);
            Ok(LeavingRow { scope: row.get(0)?, lost_ms: row.get(1)?, stage })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Entries of a scope that none of these devices is known to hold: neither did one give them
    /// nor has one acknowledged them.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn lacked_by(&self, scope: &str, relays: &[[u8; 16]]) -> Result<Unsent, StoreError> {
        let (mut upto, mut ids) = (0, vec![ENROLMENT]);
        for relay in relays {
            if let Some(peer) = self.peer(relay)? {
                upto = upto.max(self.acked(peer.id, scope)?);
                ids.push(peer.id);
            }
        }
        let ids: Vec<String> = ids.iter().map(i64::to_string).collect();
        let sql = format!(
            "SELECT count(*), coalesce(sum(length(e.bytes)), 0), min(e.received_ms)
             FROM log l JOIN entry e ON e.pos = l.pos
             WHERE l.scope = ?1 AND l.seq > ?2 AND e.bytes <> x'' AND e.via NOT IN ({})",
            ids.join(", ")
        );
        let row = self.0.prepare(&sql)?.query_row((scope, upto), |row| {
            Ok(Unsent { entries: row.get(0)?, bytes: row.get(1)?, oldest_ms: row.get(2)? })
        })?;
        Ok(row)
    }

    /// Whether something of a scope has content here that is in no scope that stays.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn has_content(&self, scope: &str) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM log l JOIN entry e ON e.pos = l.pos
                   WHERE l.scope = ?1 AND e.bytes <> x'' AND NOT EXISTS
                     (SELECT 1 FROM log o WHERE o.pos = e.pos AND o.scope <> ?1
                        AND o.scope NOT IN (SELECT scope FROM leaving WHERE stage < 3))";
        Ok(self.0.prepare_cached(sql)?.exists([scope])?)
    }

    /// Attachments of a scope that are here and of which no relay has said that it holds them: how
    /// many, and at most `limit` of them.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn only_here_in(
        &self,
        scope: &str,
        limit: usize,
    ) -> Result<(u64, Vec<[u8; 32]>), StoreError> {
        let sql =
            "SELECT DISTINCT a.id FROM attachment_of o JOIN attachment a ON a.id = o.attachment
                   WHERE o.scope = ?1 AND a.state = 1
                     AND NOT EXISTS (SELECT 1 FROM at_relay r WHERE r.attachment = a.id)";
        let mut query = self.0.prepare_cached(sql)?;
        let mut rows = query.query([scope])?;
        let (mut count, mut out) = (0, Vec::new());
        while let Some(row) = rows.next()? {
            count += 1;
            if out.len() < limit {
                out.push(row.get(0)?);
            }
        }
        Ok((count, out))
    }
}

impl Txn<'_> {
    /// A village is so far.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn set_leaving(&self, row: &LeavingRow) -> Result<(), StoreError> {
        let sql = "INSERT INTO leaving(scope, lost_ms, stage) VALUES(?1, ?2, ?3)
                   ON CONFLICT(scope) DO UPDATE SET lost_ms = excluded.lost_ms,
                     stage = excluded.stage";
        self.0.prepare_cached(sql)?.execute((&row.scope, row.lost_ms, row.stage.code()))?;
        Ok(())
    }

    /// Nothing about this village is left to be done.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn forget_leaving(&self, scope: &str) -> Result<(), StoreError> {
        self.0.prepare_cached("DELETE FROM leaving WHERE scope = ?1")?.execute([scope])?;
        Ok(())
    }

    /// How far peers' logs of a scope were read is forgotten: should it come back, all of it is
    /// given again.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn forget_cursors(&self, scope: &str) -> Result<(), StoreError> {
        self.0.prepare_cached("DELETE FROM cursor WHERE scope = ?1")?.execute([scope])?;
        self.0.prepare_cached("DELETE FROM whole WHERE scope = ?1")?.execute([scope])?;
        Ok(())
    }

    /// Empties the subjects of a part of a scope's log up to `until`: entries but for their names, documents,
    /// rows; their attachments' files are to be removed. What is also in the log of a scope that
    /// stays is not touched. Gives where the part ends; nothing at the end of the log, and then the
    /// last rows are gone, too.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn leave_part(
        &self,
        scope: &str,
        after: u64,
        until: u64,
    ) -> Result<Option<u64>, StoreError> {
        let sql = "SELECT l.seq, e.subject, e.bytes <> x'' FROM log l JOIN entry e ON e.pos = l.pos
                   WHERE l.scope = ?1 AND l.seq > ?2 AND l.seq <= ?4 ORDER BY l.seq LIMIT ?3";
        let mut query = self.0.prepare_cached(sql)?;
        let rows = query.query_map((scope, after, PART, until), |row| {
            Ok((row.get::<_, u64>(0)?, row.get::<_, [u8; 16]>(1)?, row.get::<_, bool>(2)?))
        })?;
        let rows: Vec<_> = rows.collect::<Result<_, _>>()?;
        for (_, subject, full) in &rows {
            if *full {
                self.empty(subject, scope, until)?;
            }
        }
        if let Some((last, ..)) = rows.last() {
            return Ok(Some(*last));
        }
        // Cards of cases whose content left earlier.
        let rest = "SELECT id FROM subject WHERE scope = ?1";
        let mut query = self.0.prepare_cached(rest)?;
        let rest = query.query_map([scope], |row| row.get(0))?;
        for subject in rest.collect::<Result<Vec<[u8; 16]>, _>>()? {
            self.drop_rows(&subject)?;
        }
        Ok(None)
    }

    fn empty(&self, subject: &[u8; 16], scope: &str, until: u64) -> Result<(), StoreError> {
        let stays = "SELECT 1 FROM log o WHERE o.pos = entry.pos AND o.scope <> ?2
                     AND o.scope NOT IN (SELECT scope FROM leaving WHERE stage < 3)";
        let healed = format!(
            "DELETE FROM rotten WHERE pos IN (SELECT pos FROM entry WHERE subject = ?1
               AND EXISTS (SELECT 1 FROM log l
                           WHERE l.pos = entry.pos AND l.scope = ?2 AND l.seq <= ?3)
               AND NOT EXISTS ({stays}))"
        );
        self.0.prepare_cached(&healed)?.execute((subject, scope, until))?;
        let sql = format!(
            "UPDATE entry SET bytes = x'', reason = NULL WHERE subject = ?1 AND bytes <> x''
               AND EXISTS (SELECT 1 FROM log l
                           WHERE l.pos = entry.pos AND l.scope = ?2 AND l.seq <= ?3)
               AND NOT EXISTS ({stays})"
        );
        self.0.prepare_cached(&sql)?.execute((subject, scope, until))?;
        let more = "SELECT 1 FROM entry WHERE subject = ?1 AND bytes <> x''";
        if self.0.prepare_cached(more)?.exists([subject])? {
            return Ok(());
        }
        self.drop_rows(subject)
    }

    /// Drops all rows of a subject; files of photos that nobody else names are to be removed.
    pub(crate) fn drop_rows(&self, subject: &[u8; 16]) -> Result<(), StoreError> {
        let queue = "INSERT OR IGNORE INTO attachment_gone(id)
                     SELECT DISTINCT o.attachment FROM attachment_of o WHERE o.subject = ?1
                       AND NOT EXISTS (SELECT 1 FROM attachment_of p
                         WHERE p.attachment = o.attachment AND p.subject <> ?1)";
        self.0.prepare_cached(queue)?.execute([subject])?;
        for sql in [
            "DELETE FROM attachment_of WHERE subject = ?1",
            "DELETE FROM document WHERE subject = ?1",
            "DELETE FROM case_row WHERE subject = ?1",
            "DELETE FROM resident_row WHERE subject = ?1",
            "DELETE FROM resident_key WHERE subject = ?1",
            "DELETE FROM duty WHERE subject = ?1",
            "DELETE FROM subject WHERE id = ?1",
            "DELETE FROM evicted WHERE subject = ?1",
            "DELETE FROM lane_now WHERE subject = ?1",
        ] {
            self.0.prepare_cached(sql)?.execute([subject])?;
        }
        self.drop_pack(subject)?;
        let gone = "DELETE FROM attachment WHERE id IN (SELECT id FROM attachment_gone)
                    AND NOT EXISTS (SELECT 1 FROM attachment_of o WHERE o.attachment = attachment.id)";
        self.0.prepare_cached(gone)?.execute([])?;
        self.0
            .prepare_cached(
                "DELETE FROM at_relay WHERE attachment NOT IN (SELECT id FROM attachment)",
            )?
            .execute([])?;
        Ok(())
    }

    /// A relay has said that it holds an attachment.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn set_at_relay(&self, id: &[u8; 32]) -> Result<(), StoreError> {
        let sql = "INSERT OR IGNORE INTO at_relay(attachment)
                   SELECT ?1 WHERE EXISTS (SELECT 1 FROM attachment WHERE id = ?1)";
        self.0.prepare_cached(sql)?.execute([id])?;
        Ok(())
    }

    /// An entry that is here by its name alone, because it left with its village, has come again, in
    /// whichever scope. Gives its position, or nothing when it was otherwise.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn refill(&self, new: &NewEntry<'_>, scope: &str) -> Result<Option<u64>, StoreError> {
        if new.bytes.is_empty() {
            return Ok(None);
        }
        let sql = "SELECT pos FROM entry e WHERE id = ?1 AND bytes = x''
                   AND (EXISTS (SELECT 1 FROM log l JOIN leaving v ON v.scope = l.scope
                                WHERE l.pos = e.pos)
                     OR EXISTS (SELECT 1 FROM moved v WHERE v.subject = e.subject))
                   AND NOT EXISTS (SELECT 1 FROM evicted v WHERE v.subject = e.subject)
                   AND NOT EXISTS (SELECT 1 FROM erased v WHERE v.subject = e.subject)";
        let found: Option<i64> =
            self.0.prepare_cached(sql)?.query_row([new.id], |row| row.get(0)).optional()?;
        let Some(pos) = found else { return Ok(None) };
        if self.seq_of(scope, pos.unsigned_abs())?.is_none() {
            self.log(scope, pos, new.id)?;
        }
        let sql = "UPDATE entry SET bytes = ?2, state = ?3, reason = ?4, via = ?5 WHERE pos = ?1";
        let values = (pos, new.bytes, new.state.code(), new.reason, new.via);
        self.0.prepare_cached(sql)?.execute(values)?;
        self.0.prepare_cached("DELETE FROM rotten WHERE pos = ?1")?.execute([pos])?;
        self.mark_dirty(new.subject)?;
        Ok(Some(pos.unsigned_abs()))
    }

    /// What a scope that has come back still lacks is to be fetched by name, from whoever has it.
    /// Gives how many entries that are.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn fetch_lacking(&self, scope: &str, edit: u8, now_ms: i64) -> Result<usize, StoreError> {
        let lacking = "SELECT l.pos FROM log l JOIN entry e ON e.pos = l.pos
                       WHERE l.scope = ?1 AND e.bytes = x'' AND l.left_out = 0
                         AND NOT EXISTS (SELECT 1 FROM moved v WHERE v.subject = e.subject)
                         AND NOT EXISTS (SELECT 1 FROM evicted v WHERE v.subject = e.subject)
                         AND NOT EXISTS (SELECT 1 FROM erased v WHERE v.subject = e.subject)";
        // A save that comes late is applied late.
        let wait = format!(
            "UPDATE entry SET state = ?2 WHERE kind = ?3 AND state = ?4 AND pos IN ({lacking})"
        );
        let (waiting, good) = (EntryState::Waiting.code(), EntryState::Good.code());
        self.0.prepare_cached(&wait)?.execute((scope, waiting, edit, good))?;
        let ask =
            format!("INSERT OR IGNORE INTO rotten(pos, found_ms) SELECT pos, ?2 FROM ({lacking})");
        self.0.prepare_cached(&ask)?.execute((scope, now_ms))?;
        let count = format!("SELECT count(*) FROM ({lacking})");
        Ok(self.0.prepare_cached(&count)?.query_row([scope], |row| row.get(0))?)
    }

    /// A peer may have a scope no more: it is told nothing of it, and what it had acknowledged is
    /// forgotten.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn set_handed_in(&self, peer: i64, scope: &str) -> Result<(), StoreError> {
        let sql = "INSERT OR IGNORE INTO handed_in(peer, scope) VALUES(?1, ?2)";
        self.0.prepare_cached(sql)?.execute((peer, scope))?;
        let sql = "DELETE FROM acked WHERE peer = ?1 AND scope = ?2";
        self.0.prepare_cached(sql)?.execute((peer, scope))?;
        Ok(())
    }

    /// A peer has these scopes only handed in; what it has again it may lack, what it gave itself
    /// included.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn only_handed_in(&self, peer: i64, scopes: &[String]) -> Result<(), StoreError> {
        let mut query = self.0.prepare_cached("SELECT scope FROM handed_in WHERE peer = ?1")?;
        let before = query.query_map([peer], |row| row.get(0))?;
        for scope in before.collect::<Result<Vec<String>, _>>()? {
            if scopes.contains(&scope) {
                continue;
            }
            let lacks = "UPDATE entry SET via = -2 WHERE via = ?1 AND state <> 2 AND pos IN
                           (SELECT pos FROM log WHERE scope = ?2)";
            self.0.prepare_cached(lacks)?.execute((peer, &scope))?;
            for sql in [
                "DELETE FROM acked WHERE peer = ?1 AND scope = ?2",
                "DELETE FROM handed_in WHERE peer = ?1 AND scope = ?2",
            ] {
                self.0.prepare_cached(sql)?.execute((peer, &scope))?;
            }
        }
        for scope in scopes {
            self.set_handed_in(peer, scope)?;
        }
        Ok(())
    }
}
