//! What a backup says of a store.

use crate::{StoreError, View};

impl View<'_> {
    /// How far the log of each scope goes, by the name of the scope.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn all_heads(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let mut query = self.0.prepare_cached("SELECT scope, seq FROM head ORDER BY scope")?;
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
