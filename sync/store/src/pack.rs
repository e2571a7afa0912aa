//! Closed cases take less room: the bytes of a case's entries and its document lie compressed
//! together, and where each was stands a note of where it is now. Whoever reads gets the bytes that
//! were written; names, logs and everything derived stay as they are.
//!
//! A note is a zero byte, which begins no entry and no document, then place and length (4 bytes
//! each), 9 bytes in all. A pack is the length of its content (4 bytes), then zstd.

use crate::{StoreError, Txn, View};
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use std::sync::{Mutex, PoisonError};

/// More of one case is not packed. Bytes.
const PLAIN_MAX: usize = 16 * 1024 * 1024;
/// Packing happens once, in idle time, and unpacking is as fast at every level.
const LEVEL: i32 = 15;
const NOTE: usize = 9;
/// Entries of kinds below this number are packed: what people did on a case and what relays saw of
/// it. What is read by its kind stays as it is.
const KINDS_BELOW: u8 = 4;

/// The bytes of a row of `e` (an entry or a document), unpacked where they are packed.
pub(crate) const WHOLE: &str = "CASE WHEN length(e.bytes) = 9 AND substr(e.bytes, 1, 1) = x'00'
    THEN unpacked(e.bytes, (SELECT p.bytes FROM pack p WHERE p.subject = e.subject))
    ELSE e.bytes END";

/// What packing a case did to its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packed {
    /// Before.
    pub before: u64,
    /// After, notes included.
    pub after: u64,
}

/// Gives a connection the function `unpacked`. What cannot be unpacked stays the note that it is,
/// which is no entry: a scrub finds it and a peer heals it.
pub(crate) fn install(db: &Connection) -> Result<(), StoreError> {
    // All entries of a case are read one after another.
    let last: Mutex<Option<(Vec<u8>, Vec<u8>)>> = Mutex::default();
    let flags = FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_UTF8;
    db.create_scalar_function("unpacked", 2, flags, move |context: &Context<'_>| {
        let note = context.get_raw(0).as_blob()?;
        let found = context.get_raw(1).as_blob_or_null()?;
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        let piece = found.and_then(|pack| {
            if last.as_ref().is_none_or(|(of, _)| of != pack) {
                *last = Some((pack.to_vec(), open(pack)?));
            }
            let (at, length) = place(note)?;
            last.as_ref()?.1.get(at..at.checked_add(length)?).map(<[u8]>::to_vec)
        });
        Ok(piece.unwrap_or_else(|| note.to_vec()))
    })?;
    Ok(())
}

/// Whether bytes that were read are a note: their pack is damaged.
pub(crate) fn is_note(bytes: &[u8]) -> bool {
    bytes.len() == NOTE && bytes.first() == Some(&0)
}

fn note(at: usize, length: usize) -> Option<[u8; NOTE]> {
    let mut out = [0; NOTE];
    out[1..5].copy_from_slice(&u32::try_from(at).ok()?.to_be_bytes());
    out[5..].copy_from_slice(&u32::try_from(length).ok()?.to_be_bytes());
    Some(out)
}

fn place(note: &[u8]) -> Option<(usize, usize)> {
    let (at, length) = note.get(1..NOTE)?.split_at_checked(4)?;
    let number = |bytes: &[u8]| Some(u32::from_be_bytes(bytes.try_into().ok()?) as usize);
    Some((number(at)?, number(length)?))
}

fn close(plain: &[u8]) -> Option<Vec<u8>> {
    let length = u32::try_from(plain.len()).ok()?;
    let packed = zstd::bulk::compress(plain, LEVEL).ok()?;
    Some([&length.to_be_bytes()[..], &packed].concat())
}

fn open(pack: &[u8]) -> Option<Vec<u8>> {
    let (length, packed) = pack.split_first_chunk::<4>()?;
    let length = u32::from_be_bytes(*length) as usize;
    if length > PLAIN_MAX {
        return None;
    }
    let plain = zstd::bulk::decompress(packed, length).ok()?;
    (plain.len() == length).then_some(plain)
}

impl View<'_> {
    /// Closed cases whose last entry came before `before_ms`, with nothing aside and nothing to be
    /// healed, that have entries which no pack has seen, or a document that was made again since;
    /// those after a subject, at most `limit`.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn packable(
        &self,
        before_ms: i64,
        after: &[u8],
        limit: u32,
    ) -> Result<Vec<[u8; 16]>, StoreError> {
        let sql = "SELECT c.subject FROM case_row c LEFT JOIN pack p ON p.subject = c.subject
                   WHERE c.subject > ?2 AND c.open = 0 AND c.aside = 0 AND c.changed_ms <= ?1
                     AND NOT EXISTS (SELECT 1 FROM evicted v WHERE v.subject = c.subject)
                     AND NOT EXISTS (SELECT 1 FROM dirty d WHERE d.subject = c.subject)
                     AND (EXISTS (SELECT 1 FROM entry e WHERE e.subject = c.subject
                            AND e.pos > coalesce(p.upto, 0))
                          OR (p.plain > 0 AND EXISTS (SELECT 1 FROM document d
                            WHERE d.subject = c.subject AND substr(d.bytes, 1, 1) <> x'00')))
                     AND NOT EXISTS (SELECT 1 FROM entry e LEFT JOIN rotten r ON r.pos = e.pos
                        WHERE e.subject = c.subject
                          AND (e.received_ms > ?1 OR e.state <> 0 OR r.pos IS NOT NULL))
                   ORDER BY c.subject LIMIT ?3";
        let mut query = self.0.prepare_cached(sql)?;
        let rows = query.query_map((before_ms, after, limit), |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// How many cases are packed, their bytes before, and now.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn packed(&self) -> Result<(u64, u64, u64), StoreError> {
        let sql = "SELECT count(*), coalesce(sum(plain), 0), coalesce(sum(length(bytes)), 0)
                   FROM pack WHERE bytes <> x''";
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        Ok(self.0.prepare_cached(sql)?.query_row([], row)?)
    }

    /// Bytes of the database's pages that are in use.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn used_bytes(&self) -> Result<u64, StoreError> {
        let sql = "SELECT (p.page_count - f.freelist_count) * s.page_size
                   FROM pragma_page_count p, pragma_freelist_count f, pragma_page_size s";
        Ok(self.0.query_row(sql, [], |row| row.get(0))?)
    }
}

impl Txn<'_> {
    /// Packs a case with its document in the form that packs best, which must load as the same. A
    /// case that would not become a tenth shorter is left as it is, and not looked at again until
    /// another entry comes.
    ///
    /// # Errors
    /// When SQLite fails, or what was packed does not come out again byte for byte: nothing is
    /// changed then.
    pub fn pack(&self, subject: &[u8; 16], document: Option<&[u8]>) -> Result<Packed, StoreError> {
        let damaged = StoreError::Damaged { what: "pack" };
        let sql = format!(
            "SELECT e.pos, {WHOLE} FROM entry e
             WHERE e.subject = ?1 AND e.kind < ?2 AND e.bytes <> x'' ORDER BY e.pos"
        );
        let mut query = self.0.prepare_cached(&sql)?;
        let entries: Vec<(i64, Vec<u8>)> = query
            .query_map((subject, KINDS_BELOW), |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        if entries.iter().any(|(_, bytes)| is_note(bytes)) {
            return Err(damaged);
        }
        let stored = self.document(subject)?.filter(|_| document.is_some());
        let plain = [document.filter(|_| stored.is_some()).unwrap_or_default()]
            .into_iter()
            .chain(entries.iter().map(|(_, bytes)| &bytes[..]))
            .collect::<Vec<_>>()
            .concat();
        let whole: usize = entries.iter().map(|(_, bytes)| bytes.len()).sum();
        let before = whole + stored.as_ref().map_or(0, |stored| stored.bytes.len());
        let small = |pack: &Vec<u8>| {
            plain.len() <= PLAIN_MAX && (pack.len() + NOTE * (entries.len() + 1)) * 10 <= before * 9
        };
        let pack = close(&plain).filter(small);
        let left = Packed { before: before as u64, after: before as u64 };
        let Some(pack) = pack else {
            // One that was packed stays so, with what came later beside it.
            let seen = "INSERT INTO pack(subject, upto, plain, bytes)
                        VALUES(?1, (SELECT max(pos) FROM entry WHERE subject = ?1), 0, x'')
                        ON CONFLICT(subject) DO UPDATE SET upto = excluded.upto";
            self.0.prepare_cached(seen)?.execute([subject])?;
            return Ok(left);
        };
        let out = open(&pack).ok_or(damaged)?;
        let damaged = || StoreError::Damaged { what: "pack" };
        let keep = "INSERT INTO pack(subject, upto, plain, bytes)
                    VALUES(?1, (SELECT max(pos) FROM entry WHERE subject = ?1), ?2, ?3)
                    ON CONFLICT(subject) DO UPDATE SET upto = excluded.upto,
                      plain = excluded.plain, bytes = excluded.bytes";
        self.0.prepare_cached(keep)?.execute((subject, before, &pack))?;
        let mut at = 0;
        let mut noted = |bytes: &[u8]| -> Result<[u8; NOTE], StoreError> {
            let end = at + bytes.len();
            if out.get(at..end) != Some(bytes) {
                return Err(damaged());
            }
            let noted = note(at, bytes.len()).ok_or_else(damaged)?;
            at = end;
            Ok(noted)
        };
        if let (Some(_), Some(document)) = (&stored, document) {
            let sql = "UPDATE document SET bytes = ?2 WHERE subject = ?1";
            self.0.prepare_cached(sql)?.execute((subject, noted(document)?))?;
        }
        // Rows that only become shorter leave their pages half empty; rows that go let SQLite put
        // neighbouring pages together.
        let (go, come) = (
            "DELETE FROM entry WHERE pos = ?1
             RETURNING pos, id, subject, kind, via, received_ms, state, reason",
            "INSERT INTO entry(pos, id, subject, kind, via, received_ms, state, reason, bytes)
             VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        );
        let mut rows = Vec::new();
        for (pos, bytes) in &entries {
            let row = self.0.prepare_cached(go)?.query_row([pos], |row| {
                (0..8).map(|at| row.get::<_, Value>(at)).collect::<Result<Vec<_>, _>>()
            })?;
            rows.push((row, noted(bytes)?));
        }
        for (mut row, note) in rows {
            row.push(Value::Blob(note.to_vec()));
            self.0.prepare_cached(come)?.execute(params_from_iter(row))?;
        }
        let after = pack.len() + NOTE * (entries.len() + usize::from(stored.is_some()));
        Ok(Packed { before: before as u64, after: after as u64 })
    }

    /// What a subject's pack holds goes, unless a row still stands in it; whoever calls it has
    /// emptied the others.
    pub(crate) fn drop_pack(&self, subject: &[u8; 16]) -> Result<(), StoreError> {
        let sql = "DELETE FROM pack WHERE subject = ?1 AND NOT EXISTS
                     (SELECT 1 FROM entry WHERE subject = ?1 AND substr(bytes, 1, 1) = x'00')";
        self.0.prepare_cached(sql)?.execute([subject])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pack_comes_out_as_it_went_in_and_a_bomb_or_a_piece_of_one_does_not() {
        let plain = b"one two one two one two".repeat(50);
        let pack = close(&plain).expect("packed");
        assert_eq!(open(&pack).expect("opened"), plain);
        for at in 0..pack.len() {
            assert!(open(&pack[..at]).is_none(), "cut at {at}");
        }
        let mut bomb = close(&vec![0; PLAIN_MAX + 1]).expect("packed");
        assert!(open(&bomb).is_none(), "more than a pack may hold");
        bomb[..4].copy_from_slice(&100_u32.to_be_bytes());
        assert!(open(&bomb).is_none(), "more than it says");
    }

    #[test]
    fn a_note_says_where_and_nothing_else_reads_as_one() {
        assert_eq!(place(&note(7, 300).expect("fits")), Some((7, 300)));
        assert_eq!(place(b"\0\0\0"), None);
        assert!(is_note(&note(0, 0).expect("fits")) && !is_note(b"") && !is_note(&[0; 10]));
    }
}
