//! Looks on their way from a box to the county: which wait, which have left, and what is emptied
//! when it is old.

use crate::looks::{COLUMNS, HERE, IS_HERE, look};
use crate::{LOOK_KEPT_MS, LookRow, StoreError, Txn, View};
use rusqlite::OptionalExtension;

/// Looks at this machine that no entry tells of yet, and that are over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WaitingLooks {
    /// How many, counted up to the limit that was asked for.
    pub count: u32,
    /// When the oldest was, milliseconds.
    pub oldest_ms: Option<i64>,
}

// Full numbers are a look each time; a masked page may still go on. One from the future by our
// clock, which was set back, is not waited for: what was told does not go on (`Txn::look`).
const OVER: &str = "sent = 0 AND device = ?1 AND (uncovered = 1 OR at_ms <= ?2 OR at_ms > ?3)";

impl View<'_> {
    /// What waits to be told: full numbers, and masked looks begun up to `over_ms` or after
    /// `ahead_ms`, which lies in the future.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn waiting_looks(
        &self,
        over_ms: i64,
        ahead_ms: i64,
        limit: u32,
    ) -> Result<WaitingLooks, StoreError> {
        let sql = format!(
            "SELECT count(*), min(at_ms) FROM
               (SELECT at_ms FROM look WHERE {OVER} ORDER BY at_ms LIMIT ?4)"
        );
        let mut query = self.0.prepare_cached(&sql)?;
        Ok(query.query_row((HERE, over_ms, ahead_ms, limit), |row| {
            Ok(WaitingLooks { count: row.get(0)?, oldest_ms: row.get(1)? })
        })?)
    }

    /// The same looks, the oldest first, each with its number in this store.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn looks_to_tell(
        &self,
        over_ms: i64,
        ahead_ms: i64,
        limit: u32,
    ) -> Result<Vec<(i64, LookRow)>, StoreError> {
        let sql =
            format!("SELECT {COLUMNS}, id FROM look WHERE {OVER} ORDER BY at_ms, id LIMIT ?4");
        let mut query = self.0.prepare_cached(&sql)?;
        let rows = query
            .query_map((HERE, over_ms, ahead_ms, limit), |row| Ok((row.get(11)?, look(row)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// How far any peer has acknowledged our log of a scope.
    fn acked_by_any(&self, scope: &str) -> Result<u64, StoreError> {
        let sql = "SELECT coalesce(max(seq), 0) FROM acked WHERE scope = ?1";
        Ok(self.0.prepare_cached(sql)?.query_row([scope], |row| row.get(0))?)
    }
}

impl Txn<'_> {
    /// An entry tells of these looks.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn looks_told(&self, ids: &[i64]) -> Result<(), StoreError> {
        let mut query = self.0.prepare_cached("UPDATE look SET sent = 1 WHERE id = ?1")?;
        for id in ids {
            query.execute([id])?;
        }
        Ok(())
    }

    /// Takes in a look that an entry tells of; one that is here already stays one, until its
    /// later end. `look.device` is zeros where the entry is this machine's own.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn take_look(&self, look: &LookRow, now_ms: i64) -> Result<(), StoreError> {
        // Looks of other machines are told apart by an index (`put_look`); our own may repeat.
        if look.device != HERE {
            return self.put_look(look, now_ms, true);
        }
        let sql = format!(
            "SELECT id FROM look WHERE subject = ?1 AND at_ms = ?2 AND person = ?3 AND what = ?4
               AND uncovered = ?5 AND purpose = ?6 AND scope = ?7 AND {IS_HERE} LIMIT 1"
        );
        let same = (
            look.subject,
            look.at_ms,
            look.person,
            &look.what,
            look.uncovered,
            look.purpose,
            &look.scope,
        );
        let known: Option<i64> =
            self.0.prepare_cached(&sql)?.query_row(same, |row| row.get(0)).optional()?;
        match known {
            Some(id) => {
                let sql = "UPDATE look SET until_ms = max(until_ms, ?2), sent = 1 WHERE id = ?1";
                self.0.prepare_cached(sql)?.execute((id, look.until_ms))?;
                Ok(())
            }
            None => self.put_look(look, now_ms, true),
        }
    }

    /// Empties entries of a scope of looks that came more than [`LOOK_KEPT_MS`] ago; their names
    /// stay. Where they are our own, only what a peer has. At most `limit`; gives how many.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn empty_looks(
        &self,
        scope: &str,
        own: bool,
        now_ms: i64,
        limit: u32,
    ) -> Result<usize, StoreError> {
        let key = format!("looks emptied in {scope}");
        let stored = self.meta(&key)?.unwrap_or_default();
        let mark = <[u8; 8]>::try_from(&stored[..]).map_or(0, u64::from_be_bytes);
        let until = if own { self.acked_by_any(scope)? } else { self.head(scope)? };
        let sql = "SELECT l.seq, e.pos FROM log l JOIN entry e ON e.pos = l.pos
                   WHERE l.scope = ?1 AND l.seq > ?2 AND l.seq <= ?3 AND e.received_ms < ?4
                   ORDER BY l.seq LIMIT ?5";
        let asked = (scope, mark, until, now_ms - LOOK_KEPT_MS, limit);
        let old: Vec<(u64, i64)> = self
            .0
            .prepare_cached(sql)?
            .query_map(asked, |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        let Some((last, _)) = old.last() else { return Ok(0) };
        let mut query =
            self.0.prepare_cached("UPDATE entry SET bytes = x'', reason = NULL WHERE pos = ?1")?;
        for (_, pos) in &old {
            query.execute([pos])?;
        }
        self.set_meta(&key, &last.to_be_bytes())?;
        Ok(old.len())
    }
}

#[cfg(test)]
mod tests {
    use crate::looks::put;
    use crate::{Listed, Lock, LookRow, Store, StoreError};
    use cunkou_keys::Key;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::TempDir::new().expect("a folder");
        let store = Store::open(folder.path(), &Lock::Key(Key::of([42; 32]))).expect("a store");
        (folder, store)
    }

    fn of_a_box(device: u8, n: u32) -> LookRow {
        let mut person = [0; 16];
        person[..4].copy_from_slice(&n.to_be_bytes());
        let what = "GET /cases".to_owned();
        LookRow { at_ms: 5, until_ms: 5, person, what, device: [device; 16], ..LookRow::default() }
    }

    fn explained(store: &Store, sql: &str, column: usize) -> Vec<String> {
        let steps: Result<Vec<String>, StoreError> = store.read(|view| {
            let mut query = view.0.prepare(sql)?;
            let rows = query.raw_query().mapped(|row| row.get(column)).collect::<Result<_, _>>()?;
            Ok(rows)
        });
        steps.expect("explained")
    }

    #[test]
    fn looks_of_a_box_that_are_alike_but_for_the_person_are_told_apart_without_walking_over_them() {
        let (_folder, store) = store();
        let take = |end: i64| -> Result<(), StoreError> {
            store.write(|tx| {
                (0..20_000)
                    .map(|n| LookRow { until_ms: end, ..of_a_box(7, n) })
                    .try_for_each(|look| tx.take_look(&look, 1000))
            })
        };
        take(5).expect("taken");
        take(9).expect("and again");
        let all: Result<Vec<LookRow>, StoreError> = store.read(|view| view.looks(0, 50_000, 0));
        let all = all.expect("readable");
        assert_eq!(all.len(), 20_000);
        assert!(all.iter().all(|look| look.until_ms == 9));
        let steps = explained(&store, &format!("EXPLAIN {}", put()), 1);
        assert!(steps.iter().any(|step| step == "NoConflict"), "{steps:?}");
        let walks = ["Next", "Prev", "Rewind", "Last", "SorterSort"];
        assert!(!steps.iter().any(|step| walks.contains(&step.as_str())), "{steps:?}");
    }

    #[test]
    fn looks_at_somebody_here_are_not_searched_for_among_those_of_boxes() {
        let (_folder, store) = store();
        let sql = format!(
            "EXPLAIN QUERY PLAN SELECT id FROM look
             WHERE subject = x'00' AND at_ms = 5 AND {}",
            crate::looks::IS_HERE
        );
        let plan = explained(&store, &sql, 3);
        assert!(
            plan.iter().all(|step| step.contains("look_here (subject=? AND at_ms=?)")),
            "{plan:?}"
        );
    }

    const X: [u8; 16] = [9; 16];

    fn at_x(store: &Store, limit: u32) -> Listed {
        let listed: Result<Listed, StoreError> = store.read(|view| view.looks_at(&X, limit));
        listed.expect("readable")
    }

    #[test]
    fn a_box_that_tells_of_many_looks_far_ahead_hides_none_of_the_console_or_of_other_boxes() {
        let (_folder, store) = store();
        let take = |look: LookRow, now_ms| {
            store.write(|tx| tx.take_look(&look, now_ms)).expect("taken");
        };
        let here = LookRow { at_ms: 1000, person: [1; 16], subject: X, ..LookRow::default() };
        store.write(|tx| tx.look(&here)).expect("written");
        take(LookRow { at_ms: 900, subject: X, ..of_a_box(6, 1) }, 2000);
        let year_2099 = 4_070_908_800_000;
        for n in 0..600 {
            take(LookRow { at_ms: year_2099, subject: X, ..of_a_box(7, n) }, 1500);
        }
        let listed = at_x(&store, 500);
        assert_eq!(listed.rows.len(), 502);
        assert_eq!(listed.cut, [[7; 16]], "and it is said whose are left out");
        assert!(listed.rows.iter().any(|look| look.device == [0; 16]));
        assert!(listed.rows.iter().any(|look| look.device == [6; 16]));
        assert_eq!(at_x(&store, 600).cut, [[0; 16]; 0]);
        // What comes after it stands above it, whatever year it named.
        store.write(|tx| tx.look(&LookRow { at_ms: 3_000_000, ..here })).expect("written");
        let first = |rows: &[LookRow]| rows[0].at_ms;
        assert_eq!(first(&at_x(&store, 500).rows), 3_000_000);
        let all: Result<Vec<LookRow>, StoreError> = store.read(|view| view.looks(0, 10, 0));
        assert_eq!(first(&all.expect("readable")), 3_000_000);

        let latest = |limit| -> Listed {
            let listed: Result<Listed, StoreError> = store.read(|view| view.latest_looks(limit));
            listed.expect("readable")
        };
        let some = latest(100);
        assert_eq!((some.rows.len(), some.cut), (2 + 100, vec![[7; 16]]));
        assert!(some.rows.iter().any(|look| look.device == [6; 16]));
        assert!(latest(601).cut.is_empty());
    }
}
