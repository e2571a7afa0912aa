//! Sketches of scopes: kept as far as they were last asked for, so that asking again costs what came
//! since and appending costs nothing.

use crate::{StoreError, Txn, View};
use cunkou_engine::Sketch;
use rusqlite::OptionalExtension;

impl View<'_> {
    /// The names in a scope's log that begin so.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn names_like(&self, scope: &str, keys: &[[u8; 8]]) -> Result<Vec<[u8; 32]>, StoreError> {
        let sql = "SELECT e.id FROM entry e JOIN log l ON l.pos = e.pos AND l.scope = ?1
                   WHERE e.id >= ?2 AND e.id <= ?3 AND l.left_out = 0";
        let mut query = self.0.prepare_cached(sql)?;
        let mut out = Vec::new();
        for key in keys {
            let (mut from, mut to) = ([0; 32], [0xff; 32]);
            from[..8].copy_from_slice(key);
            to[..8].copy_from_slice(key);
            let rows = query.query_map((scope, from, to), |row| row.get(0))?;
            for row in rows {
                out.push(row?);
            }
        }
        Ok(out)
    }
}

impl Txn<'_> {
    /// What a scope's log holds.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn sketch(&self, scope: &str) -> Result<Sketch, StoreError> {
        let head = self.head(scope)?;
        let kept = "SELECT upto, cells FROM sketch WHERE scope = ?1";
        let kept: Option<(u64, Vec<u8>)> = self
            .0
            .prepare_cached(kept)?
            .query_row([scope], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let kept = kept.filter(|(upto, _)| *upto <= head);
        let kept = kept.and_then(|(upto, cells)| Some((upto, Sketch::from_bytes(&cells)?)));
        let (upto, mut sketch) = kept.unwrap_or_default();
        if upto == head {
            return Ok(sketch);
        }
        let names = "SELECT e.id FROM log l JOIN entry e ON e.pos = l.pos
                     WHERE l.scope = ?1 AND l.seq > ?2 AND l.seq <= ?3 AND l.left_out = 0";
        let mut names = self.0.prepare_cached(names)?;
        let mut rows = names.query((scope, upto, head))?;
        while let Some(row) = rows.next()? {
            sketch.add(&row.get(0)?);
        }
        let keep = "INSERT INTO sketch(scope, upto, cells) VALUES(?1, ?2, ?3)
                    ON CONFLICT(scope) DO UPDATE SET upto = excluded.upto, cells = excluded.cells";
        self.0.prepare_cached(keep)?.execute((scope, head, sketch.to_bytes()))?;
        Ok(sketch)
    }
}
