//! A village box keeps little: what was closed and has been at the county for 30 days leaves it.
//!
//! What stays is a card (number, item, state, masked name) and the names of the entries. A material
//! that left stays reusable: the resident's record names it, and the county has its bytes.

use crate::Replica;
use crate::kinds::ERASURE;
use cunkou_casework::citizen_id::mask;
use cunkou_casework::county::DeviceKind;
use cunkou_store::StoreError;

/// So long after the last entry of a closed case has come, its content leaves. Days.
pub const EVICT_DAYS: i64 = 30;
const DAY_MS: i64 = 24 * 3600 * 1000;
/// So many cases leave in one go.
const BATCH: u32 = 50;

/// What has left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evicted {
    /// Cases.
    pub cases: usize,
    /// Photos and papers.
    pub attachments: usize,
}

impl Replica {
    /// Takes away what may leave by now. A relay keeps everything.
    ///
    /// # Errors
    /// When the store or the disk fails; what has left until then has left.
    pub fn evict(&self) -> Result<Evicted, StoreError> {
        let mut out = Evicted::default();
        if self.device().is_none_or(|me| me.kind == DeviceKind::Relay) {
            return Ok(out);
        }
        let now = self.now_ms();
        loop {
            let ready =
                self.store().read(|view| view.evictable(now - EVICT_DAYS * DAY_MS, BATCH))?;
            if ready.is_empty() {
                break;
            }
            let gone = self.store().write(|tx| -> Result<_, StoreError> {
                let mut gone = Vec::new();
                for subject in &ready {
                    let row = tx.case_row(subject)?;
                    let applicant = row.map(|r| mask(&r.applicant, 1, 0)).unwrap_or_default();
                    gone.extend(tx.evict(subject, &applicant, now, ERASURE)?);
                }
                Ok(gone)
            })?;
            // A cut here leaves files that nothing names; the next eviction of the same photo or
            // the scrub removes them.
            for id in &gone {
                self.store().remove_attachment(id)?;
            }
            out.cases += ready.len();
            out.attachments += gone.len();
        }
        if out.cases > 0 {
            self.store().checkpoint()?;
            tracing::info!(cases = out.cases, attachments = out.attachments, "closed cases left");
        }
        Ok(out)
    }
}
