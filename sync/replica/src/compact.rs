//! Closed cases take less room: what nobody works on any more is packed, case by case, while
//! everything else goes on. Names, signatures and hashes stay where they are, and whoever reads an
//! entry gets the bytes that were signed.

use crate::Replica;
use crate::kinds::{CASE, schema_of};
use cunkou_casework::document::Document;
use cunkou_store::{StoreError, Txn};

/// So long after the last entry of a closed case has come it is packed. Days.
pub const COMPACT_DAYS: i64 = 90;
const DAY_MS: i64 = 24 * 3600 * 1000;
/// So many cases are packed in one transaction: people wait for it.
const BATCH: u32 = 4;
/// Under this name it is kept when the last round ended.
const ENDED: &str = "compacted";

/// What was packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Cases that were looked at.
    pub cases: u64,
    /// Bytes of their entries and documents before.
    pub before: u64,
    /// And after.
    pub after: u64,
}

impl Replica {
    /// Packs every closed case to which nothing has come for `days`. `progress` hears how many
    /// cases are done. A cut leaves each case as it was or packed; the next call goes on.
    ///
    /// # Errors
    /// When the store fails.
    pub fn compact(
        &self,
        days: i64,
        mut progress: impl FnMut(u64),
    ) -> Result<Compacted, StoreError> {
        let before_ms = self.now_ms() - days * DAY_MS;
        let (mut after, mut done) = (Vec::new(), Compacted::default());
        loop {
            let part = self.store.read(|view| view.packable(before_ms, &after, BATCH))?;
            let Some(last) = part.last() else { break };
            after = last.to_vec();
            let packed = self.store.write(|tx| {
                part.iter().map(|subject| pack(tx, subject)).collect::<Result<Vec<_>, _>>()
            })?;
            for (before, now) in packed {
                done.before += before;
                done.after += now;
            }
            done.cases += part.len() as u64;
            progress(done.cases);
        }
        if done.cases > 0 {
            tracing::info!(
                cases = done.cases,
                before = done.before,
                after = done.after,
                "closed cases are packed"
            );
        }
        Ok(done)
    }

    /// The same, once a day.
    ///
    /// # Errors
    /// When the store fails.
    pub fn compact_when_due(&self) -> Result<(), StoreError> {
        let now_ms = self.now_ms();
        let ended = self.store.read(|view| view.meta(ENDED))?.unwrap_or_default();
        let ended = <[u8; 8]>::try_from(&ended[..]).map_or(i64::MIN, i64::from_be_bytes);
        // A clock that jumps far back lets nobody wait for years.
        if now_ms.saturating_sub(ended).saturating_abs() < DAY_MS {
            return Ok(());
        }
        self.compact(COMPACT_DAYS, |_| ())?;
        self.store.write(|tx| tx.set_meta(ENDED, &now_ms.to_be_bytes()))
    }
}

/// Packs one case; bytes before and after. What came since it was chosen leaves it as it is.
fn pack(tx: &Txn<'_>, subject: &[u8; 16]) -> Result<(u64, u64), StoreError> {
    if tx.is_dirty(subject)? || tx.is_rotten(subject)? {
        return Ok((0, 0));
    }
    let plain = match tx.document(subject)? {
        Some(stored) => {
            let load = |saved: &[u8]| Document::load(schema_of(CASE), saved);
            let Ok(document) = load(&stored.bytes) else { return Ok((0, 0)) };
            let plain = document.save();
            if !load(&plain).is_ok_and(|again| again.heads() == document.heads()) {
                return Ok((0, 0));
            }
            Some(plain)
        }
        None => None,
    };
    match tx.pack(subject, plain.as_deref()) {
        Ok(packed) => Ok((packed.before, packed.after)),
        Err(e) if e.is_rot() => {
            tracing::warn!(%e, "a case cannot be packed; a scrub will say more");
            Ok((0, 0))
        }
        Err(e) => Err(e),
    }
}
