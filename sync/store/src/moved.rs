//! A subject whose village is another one now: its entries are in the new scope's log, too, and in
//! the old one they are left out: neither given to boxes nor compared. So are those of subjects that
//! were erased, which nobody can be given any more.

use crate::{StoreError, Txn, Unsent, View};

/// A resident whose village this box does not serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MovedRow {
    /// Who.
    pub subject: [u8; 16],
    /// The content has gone from this store.
    pub left: bool,
}

fn list(ids: &[i64]) -> String {
    ids.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")
}

impl View<'_> {
    /// What a scope holds, as it is compared: the sum of the names that count in it.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn held(&self, scope: &str) -> Result<[u8; 16], StoreError> {
        let sql = "SELECT seq - left_out FROM head WHERE scope = ?1";
        let mut query = self.0.prepare_cached(sql)?;
        let mut rows = query.query([scope])?;
        let count = rows.next()?.map_or(Ok(0), |row| row.get(0))?;
        Ok(self.name_sum(scope)?.digest(count))
    }

    /// Residents whose village this box does not serve, those first whose content is still here.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn moved_waiting(&self) -> Result<Vec<[u8; 16]>, StoreError> {
        let mut query = self.0.prepare_cached("SELECT subject FROM moved WHERE stage = 0")?;
        let rows = query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(rows)
    }

    /// Whether a resident's content left this store because their village is another one now.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn moved(&self, subject: &[u8; 16]) -> Result<Option<MovedRow>, StoreError> {
        let mut query = self.0.prepare_cached("SELECT stage FROM moved WHERE subject = ?1")?;
        let mut rows = query.query([subject])?;
        let stage: Option<i64> = rows.next()?.map(|row| row.get(0)).transpose()?;
        Ok(stage.map(|stage| MovedRow { subject: *subject, left: stage == 1 }))
    }

    /// Entries of a subject that none of these peers is known to hold.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn subject_lacked_by(
        &self,
        subject: &[u8; 16],
        peers: &[i64],
    ) -> Result<Unsent, StoreError> {
        let ids = list(peers);
        let sql = format!(
            "SELECT count(*), coalesce(sum(length(e.bytes)), 0), min(e.received_ms) FROM entry e
             WHERE e.subject = ?1 AND e.bytes <> x'' AND e.via <> -1 AND e.via NOT IN ({ids})
               AND NOT EXISTS (SELECT 1 FROM log l WHERE l.pos = e.pos AND l.seq <=
                 (SELECT coalesce(max(a.seq), 0) FROM acked a
                  WHERE a.scope = l.scope AND a.peer IN ({ids})))"
        );
        let row = self.0.prepare(&sql)?.query_row([subject], |row| {
            Ok(Unsent { entries: row.get(0)?, bytes: row.get(1)?, oldest_ms: row.get(2)? })
        })?;
        Ok(row)
    }

    /// Attachments that this subject alone names, that are here, and of which no relay has said
    /// that it holds them.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn subject_only_here(&self, subject: &[u8; 16]) -> Result<Vec<[u8; 32]>, StoreError> {
        let sql =
            "SELECT DISTINCT a.id FROM attachment_of o JOIN attachment a ON a.id = o.attachment
                   WHERE o.subject = ?1 AND a.state = 1
                     AND NOT EXISTS (SELECT 1 FROM attachment_of p
                       WHERE p.attachment = a.id AND p.subject <> ?1)
                     AND NOT EXISTS (SELECT 1 FROM at_relay r WHERE r.attachment = a.id)";
        let mut query = self.0.prepare_cached(sql)?;
        let rows = query.query_map([subject], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(rows)
    }
}

impl Txn<'_> {
    /// Puts the entries of a subject into a scope's log that are not in it yet, in the order in
    /// which they came; what was set aside at the door stays where it is.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn also_in(&self, subject: &[u8; 16], scope: &str) -> Result<(), StoreError> {
        let sql = "SELECT pos, id FROM entry e WHERE subject = ?1 AND state <> 2
                     AND NOT EXISTS (SELECT 1 FROM log l WHERE l.pos = e.pos AND l.scope = ?2)
                   ORDER BY pos";
        let mut query = self.0.prepare_cached(sql)?;
        let rows = query.query_map((subject, scope), |row| Ok((row.get(0)?, row.get(1)?)))?;
        for (pos, id) in rows.collect::<Result<Vec<(i64, [u8; 32])>, _>>()? {
            self.log(scope, pos, &id)?;
        }
        Ok(())
    }

    /// A subject belongs to this scope now: in all others its entries are left out, but for those
    /// at these positions, which say so.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn belongs_to(
        &self,
        subject: &[u8; 16],
        scope: &str,
        tell: &[u64],
    ) -> Result<(), StoreError> {
        let out = |l: &Logged| l.scope != scope && !tell.contains(&l.pos);
        self.leave_out(subject, out)?;
        Ok(())
    }

    /// Of a subject that was erased only what was said about that counts: entries of the kind
    /// number `keep`.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn leave_out_erased(&self, subject: &[u8; 16], keep: u8) -> Result<(), StoreError> {
        self.leave_out(subject, |l| l.left_out || l.kind != keep)
    }

    fn leave_out(
        &self,
        subject: &[u8; 16],
        out: impl Fn(&Logged) -> bool,
    ) -> Result<(), StoreError> {
        let sql = "SELECT l.scope, l.seq, l.pos, e.id, e.kind, l.left_out
                   FROM entry e JOIN log l ON l.pos = e.pos WHERE e.subject = ?1";
        let mut query = self.0.prepare_cached(sql)?;
        let rows = query.query_map([subject], |row| {
            let (scope, seq, pos) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok(Logged {
                scope,
                seq,
                pos,
                id: row.get(3)?,
                kind: row.get(4)?,
                left_out: row.get(5)?,
            })
        })?;
        for logged in rows.collect::<Result<Vec<_>, _>>()? {
            let out = out(&logged);
            if out == logged.left_out {
                continue;
            }
            let mut sum = self.name_sum(&logged.scope)?;
            if out {
                sum.take_out(&logged.id)
            } else {
                sum.add(&logged.id)
            }
            let flag = "UPDATE log SET left_out = ?3 WHERE scope = ?1 AND seq = ?2";
            self.0.prepare_cached(flag)?.execute((&logged.scope, logged.seq, out))?;
            let head = "UPDATE head SET sum = ?2, left_out = left_out + ?3 WHERE scope = ?1";
            let more: i64 = if out { 1 } else { -1 };
            self.0.prepare_cached(head)?.execute((&logged.scope, sum.to_bytes(), more))?;
            // Made anew when it is asked for.
            self.0
                .prepare_cached("DELETE FROM sketch WHERE scope = ?1")?
                .execute([&logged.scope])?;
        }
        Ok(())
    }

    /// A resident's village is one that this box does not serve: their content is to go.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn moves_away(&self, subject: &[u8; 16]) -> Result<(), StoreError> {
        let sql = "INSERT OR IGNORE INTO moved(subject, stage) VALUES(?1, 0)";
        self.0.prepare_cached(sql)?.execute([subject])?;
        Ok(())
    }

    /// A resident's village is one that this box serves.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn moves_in(&self, subject: &[u8; 16]) -> Result<(), StoreError> {
        self.0.prepare_cached("DELETE FROM moved WHERE subject = ?1")?.execute([subject])?;
        Ok(())
    }

    /// The content of a resident who moved away goes; names of entries stay.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn moved_left(&self, subject: &[u8; 16]) -> Result<(), StoreError> {
        let sql = "UPDATE moved SET stage = 1 WHERE subject = ?1";
        self.0.prepare_cached(sql)?.execute([subject])?;
        let healed = "DELETE FROM rotten WHERE pos IN (SELECT pos FROM entry WHERE subject = ?1)";
        self.0.prepare_cached(healed)?.execute([subject])?;
        let sql = "UPDATE entry SET bytes = x'', reason = NULL WHERE subject = ?1 AND bytes <> x''";
        self.0.prepare_cached(sql)?.execute([subject])?;
        self.drop_rows(subject)
    }

    /// A resident whose content had left has come back: it is to be fetched by name.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn fetch_subject(
        &self,
        subject: &[u8; 16],
        edit: u8,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        // A save that comes late is applied late.
        let wait = "UPDATE entry SET state = 1
                    WHERE subject = ?1 AND bytes = x'' AND kind = ?2 AND state = 0";
        self.0.prepare_cached(wait)?.execute((subject, edit))?;
        let ask = "INSERT OR IGNORE INTO rotten(pos, found_ms)
                   SELECT pos, ?2 FROM entry WHERE subject = ?1 AND bytes = x''";
        self.0.prepare_cached(ask)?.execute((subject, now_ms))?;
        Ok(())
    }

    /// Who names attachments of a subject is this scope alone.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn attachments_only_in(&self, subject: &[u8; 16], scope: &str) -> Result<(), StoreError> {
        let sql = "DELETE FROM attachment_of WHERE subject = ?1 AND scope <> ?2";
        self.0.prepare_cached(sql)?.execute((subject, scope))?;
        Ok(())
    }
}

/// An entry's place in a log.
struct Logged {
    scope: String,
    seq: u64,
    pos: u64,
    id: [u8; 32],
    kind: u8,
    left_out: bool,
}
