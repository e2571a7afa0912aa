//! What is on this disk and nowhere else.

use crate::{StoreError, Txn, View};
use std::collections::{BTreeMap, BTreeSet};

/// What of one subject no peer has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HereRow {
    /// Which.
    pub subject: [u8; 16],
    /// Entries that no peer has acknowledged.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the oldest of them was made, milliseconds.
    pub oldest_ms: Option<i64>,
    /// Attachments that no relay was given whole, without previews.
    pub photos: u64,
    /// Their bytes, with previews.
    pub photo_bytes: u64,
}

impl View<'_> {
    /// What is only here, by subject. Looks on their way to the county are nobody's work and do
    /// not count; nor does what a bundle has brought, once that was confirmed.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn only_here(&self) -> Result<Vec<HereRow>, StoreError> {
        let mut found: BTreeMap<[u8; 16], HereRow> = BTreeMap::new();
        // CROSS JOIN keeps the few scopes outside: the log is long.
        let entries = "SELECT e.subject, count(*), sum(length(e.bytes)), min(e.received_ms)
                   FROM head h CROSS JOIN log l ON l.scope = h.scope AND l.seq >
                       (SELECT coalesce(max(a.seq), 0) FROM acked a WHERE a.scope = h.scope)
                   JOIN entry e ON e.pos = l.pos WHERE e.via = 0 AND e.kind <> 7
                   GROUP BY e.subject";
        let mut query = self.0.prepare_cached(entries)?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let subject = row.get(0)?;
            let (entries, bytes, oldest_ms) = (row.get(1)?, row.get(2)?, row.get(3)?);
            let here = HereRow { subject, entries, bytes, oldest_ms, ..HereRow::default() };
            found.insert(subject, here);
        }
        // A photo of two subjects is counted with one of them, so that sums hold.
        let photos = "SELECT subject, sum(preview = 0), sum(bytes) FROM
                   (SELECT min(o.subject) AS subject, a.preview, a.bytes
                    FROM attachment a JOIN attachment_of o ON o.attachment = a.id
                    WHERE a.only_here = 1 AND a.state = 1 AND o.named = 1 AND NOT EXISTS (
                        SELECT 1 FROM bundle_attachment b
                        WHERE b.attachment = a.id AND b.bundle IS NULL)
                    GROUP BY a.id)
                   GROUP BY subject";
        let mut query = self.0.prepare_cached(photos)?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let subject = row.get(0)?;
            let here = found.entry(subject).or_default();
            (here.subject, here.photos, here.photo_bytes) = (subject, row.get(1)?, row.get(2)?);
        }
        let mut out: Vec<HereRow> = found.into_values().collect();
        out.sort_by_key(|row| (row.oldest_ms.unwrap_or(i64::MAX), row.subject));
        Ok(out)
    }

    /// Whether a relay was given an attachment of ours whole, or has yet to be.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn given_to(&self, id: &[u8; 32]) -> Result<(bool, Option<[u8; 16]>), StoreError> {
        use rusqlite::OptionalExtension;
        let sql = "SELECT only_here, given FROM attachment WHERE id = ?1";
        let row = self.0.prepare_cached(sql)?.query_row([id], |r| Ok((r.get(0)?, r.get(1)?)));
        Ok(row.optional()?.unwrap_or_default())
    }
}

impl Txn<'_> {
    /// A subject names these attachments now and no others: what it named before stays on this disk,
    /// and nobody will ask for it.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn attachments_named_now(
        &self,
        subject: &[u8; 16],
        now: &BTreeSet<[u8; 32]>,
    ) -> Result<(), StoreError> {
        let sql = "SELECT DISTINCT attachment, named FROM attachment_of WHERE subject = ?1";
        let mut query = self.0.prepare_cached(sql)?;
        let rows = query.query_map([subject], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let known: Vec<([u8; 32], bool)> = rows.collect::<Result<_, _>>()?;
        let sql = "UPDATE attachment_of SET named = ?3 WHERE subject = ?1 AND attachment = ?2";
        let mut change = self.0.prepare_cached(sql)?;
        for (id, named) in known {
            if named != now.contains(&id) {
                change.execute((subject, id, !named))?;
            }
        }
        Ok(())
    }

    /// A relay was given an attachment whole: it is not only here any more.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn given_whole(&self, id: &[u8; 32], to: &[u8; 16]) -> Result<(), StoreError> {
        let sql = "UPDATE attachment SET only_here = 0, given = ?2 WHERE id = ?1 AND only_here = 1";
        self.0.prepare_cached(sql)?.execute((id, to))?;
        Ok(())
    }

    /// A relay that was given an attachment asks for it anew: it lacks it after all.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn asked_again(&self, id: &[u8; 32], by: &[u8; 16]) -> Result<(), StoreError> {
        let sql = "UPDATE attachment SET only_here = 1, given = NULL WHERE id = ?1 AND given = ?2";
        self.0.prepare_cached(sql)?.execute((id, by))?;
        Ok(())
    }
}
