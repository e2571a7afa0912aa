//! What is on this machine only, told by case.

use crate::Replica;
use cunkou_casework::county::DeviceKind;
use cunkou_casework::ids::DeviceId;
use cunkou_engine::PeerInfo;
use cunkou_store::{CaseRow, HereRow, StoreError, Unsent, View};

/// A case of which something is only here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseHere {
    /// Its row.
    pub row: CaseRow,
    /// What of it.
    pub here: HereRow,
}

/// What is on this machine only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OnlyHere {
    /// Cases, those that have waited longest first.
    pub cases: Vec<CaseHere>,
    /// So many other things: residents, hand-overs, what the machine itself says.
    pub others: u64,
    /// All entries that no peer has acknowledged.
    pub unsent: Unsent,
    /// Photos that no relay was given whole.
    pub photos: u64,
    /// Their bytes, with their previews.
    pub photo_bytes: u64,
}

impl OnlyHere {
    fn add(&mut self, here: &HereRow) {
        self.unsent.entries += here.entries;
        self.unsent.bytes += here.bytes;
        self.unsent.oldest_ms = [self.unsent.oldest_ms, here.oldest_ms].into_iter().flatten().min();
        self.photos += here.photos;
        self.photo_bytes += here.photo_bytes;
    }

    /// Whether nothing is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.unsent.entries == 0 && self.photo_bytes == 0
    }
}

impl Replica {
    /// What is on this machine only.
    ///
    /// # Errors
    /// When the store fails.
    pub fn only_here(&self) -> Result<OnlyHere, StoreError> {
        self.store.read(|view: &View<'_>| {
            let mut out = OnlyHere::default();
            for here in view.only_here()? {
                out.add(&here);
                match view.case_row(&here.subject)? {
                    Some(row) => out.cases.push(CaseHere { row, here }),
                    None => out.others += 1,
                }
            }
            Ok(out)
        })
    }

    fn is_relay(&self, device: &[u8; 16]) -> bool {
        let county = self.county();
        county.device(DeviceId(*device)).is_some_and(|d| d.kind == DeviceKind::Relay)
    }

    /// A peer was given `bytes` of an attachment from a place on. With the last a relay has it; one
    /// that begins anew has not.
    pub(crate) fn handed(
        &self,
        peer: &PeerInfo,
        id: &[u8; 32],
        (from, bytes, length): (u64, u64, u64),
    ) -> Result<(), StoreError> {
        let (only_here, given) = self.store.read(|view| view.given_to(id))?;
        if only_here && from + bytes >= length && self.is_relay(&peer.device) {
            return self.store.write(|tx| tx.given_whole(id, &peer.device));
        }
        if from + bytes < length && given == Some(peer.device) {
            return self.store.write(|tx| tx.asked_again(id, &peer.device));
        }
        Ok(())
    }
}
