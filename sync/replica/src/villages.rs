//! Villages that a box serves no more: what was written there is handed in, then its content goes.
//!
//! The relay takes entries of such a village from the box and gives nothing of it. Once a relay
//! holds everything, photos included, the box empties entries, documents, rows and files; the names
//! of entries stay, so that what both sides hold is equal if the village comes back, and nothing is
//! repaired for ever. See decision 0031.

use crate::Replica;
use crate::kinds::kind_code;
use cunkou_casework::checkpoint::FILES_ASKED_MAX;
use cunkou_casework::county::{CountyLog, DeviceKind};
use cunkou_casework::entry::Kind;
use cunkou_casework::ids::{DeviceId, PlaceId, Scope};
use cunkou_engine::{NameSum, PeerInfo};
use cunkou_store::{LeavingRow, Stage, StoreError, Txn, Unsent};
use std::sync::atomic::Ordering;
use tracing::{info, warn};

/// A village that this box serves no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostVillage {
    /// Which.
    pub place: PlaceId,
    /// When this box heard of it, milliseconds.
    pub lost_ms: i64,
    /// What was written here and is at no relay yet.
    pub unsent: Unsent,
    /// Photos and papers that are at no relay yet, as far as is known.
    pub files: u64,
    /// All of it has gone from this box.
    pub left: bool,
}

/// The villages that a device lost, as scopes.
fn lost_by(county: &CountyLog, device: DeviceId) -> Vec<String> {
    let relay = county.device(device).is_some_and(|d| d.kind == DeviceKind::Relay);
    let lost = county.served_before(device).into_iter().filter(|_| !relay);
    lost.map(|place| Scope::Place(place).to_string()).collect()
}

/// What both sides say a village holds that is only handed in: it is not compared.
pub(crate) fn not_compared() -> [u8; 16] {
    NameSum::default().digest(0)
}

impl Replica {
    /// What a box and a relay talk about, beside the county log, and in which of it the box only
    /// hands in.
    pub(crate) fn scopes_of_box(&self, county: &CountyLog, device: DeviceId) -> [Vec<String>; 2] {
        let served = county.device(device).map(|d| d.places.clone()).unwrap_or_default();
        let served = served.iter().map(|place| Scope::Place(*place).to_string()).collect();
        [served, lost_by(county, device)]
    }

    /// Whether this is the relay, and the peer has a scope only handed in.
    pub(crate) fn withholds(&self, peer: &PeerInfo, scope: &str) -> bool {
        let relay = self.device().is_some_and(|me| me.kind == DeviceKind::Relay);
        relay && lost_by(&self.county(), DeviceId(peer.device)).iter().any(|lost| lost == scope)
    }

    /// Whether what is left out of a scope is kept from a peer: a relay keeps it from boxes.
    pub(crate) fn keeps_from(&self, peer: &PeerInfo) -> bool {
        let county = self.county();
        let relay = |id| county.device(id).is_some_and(|d| d.kind == DeviceKind::Relay);
        relay(self.me.device) && !relay(DeviceId(peer.device))
    }

    /// Whether this is a box that serves a scope no more: nothing of it is taken in.
    pub(crate) fn has_lost(&self, scope: &str) -> bool {
        lost_by(&self.county(), self.me.device).iter().any(|lost| lost == scope)
    }

    /// Scopes in which this side may have something from the peer, or the peer from this side.
    pub(crate) fn shared(&self, peer: &PeerInfo) -> Vec<String> {
        let shared = |scope: &&String| !self.withholds(peer, scope) && !self.has_lost(scope);
        peer.scopes.iter().filter(shared).cloned().collect()
    }

    /// At a relay: what a peer has only handed in is remembered, and given anew when it comes back.
    pub(crate) fn remember_handed_in(
        &self,
        tx: &Txn<'_>,
        peer: i64,
        device: DeviceId,
    ) -> Result<(), StoreError> {
        let relay = self.device().is_some_and(|me| me.kind == DeviceKind::Relay);
        if relay { tx.only_handed_in(peer, &lost_by(&self.county(), device)) } else { Ok(()) }
    }

    /// This replica keeps the county log and wrapped keys for one that keeps the content: which
    /// villages leave is that one's matter.
    pub fn keep_log_only(&self) {
        self.log_only.store(true, Ordering::Relaxed);
    }

    /// The villages of boxes may have changed.
    pub(crate) fn villages_changed(&self) -> Result<(), StoreError> {
        if self.log_only.load(Ordering::Relaxed) {
            return Ok(());
        }
        let county = self.county();
        if self.device().is_some_and(|me| me.kind == DeviceKind::Relay) {
            return self.store.write(|tx| {
                for peer in tx.peers()? {
                    self.remember_handed_in(tx, peer.id, DeviceId(peer.device))?;
                }
                Ok(())
            });
        }
        let (lost, now_ms) = (lost_by(&county, self.me.device), self.now_ms());
        let known = self.store.read(|view| view.leaving())?;
        let is = |scope: &String| known.iter().find(|row| row.scope == *scope);
        let new: Vec<&String> =
            lost.iter().filter(|s| is(s).is_none_or(|row| row.stage == Stage::Coming)).collect();
        let back: Vec<&LeavingRow> = known
            .iter()
            .filter(|row| row.stage != Stage::Coming && !lost.contains(&row.scope))
            .collect();
        if new.is_empty() && back.is_empty() {
            return Ok(());
        }
        self.store.write(|tx| -> Result<(), StoreError> {
            for scope in new {
                let row =
                    LeavingRow { scope: scope.clone(), lost_ms: now_ms, stage: Stage::HandedIn };
                tx.set_leaving(&row)?;
            }
            for row in back {
                match row.stage {
                    Stage::HandedIn => tx.forget_leaving(&row.scope)?,
                    _ => tx.set_leaving(&LeavingRow { stage: Stage::Coming, ..row.clone() })?,
                }
            }
            Ok(())
        })
    }

    fn relays(&self) -> Vec<[u8; 16]> {
        let county = self.county();
        county.devices().filter(|d| d.kind == DeviceKind::Relay).map(|d| d.id.0).collect()
    }

    /// Goes on with villages that this box lost or got back. What a crash interrupts is gone on
    /// with at the next call. Gives how many villages have left in this one; none at a relay.
    ///
    /// # Errors
    /// When the store or the disk fails; what was done until then is done.
    pub fn settle_villages(&self) -> Result<usize, StoreError> {
        let relay = self.device().is_some_and(|me| me.kind == DeviceKind::Relay);
        if relay || self.log_only.load(Ordering::Relaxed) {
            return Ok(0);
        }
        self.villages_changed()?;
        let rows = self.store.read(|view| view.leaving())?;
        let (relays, mut left, mut waits) = (self.relays(), 0, false);
        for row in rows {
            let scope = &row.scope;
            match row.stage {
                Stage::Left => {
                    // Said of an erasure since: it goes the same way.
                    if self.store.read(|view| view.has_content(scope))? {
                        let stage = Stage::HandedIn;
                        self.store.write(|tx| tx.set_leaving(&LeavingRow { stage, ..row }))?;
                        waits = true;
                    }
                }
                Stage::Coming => self.fetch_coming(&row)?,
                Stage::HandedIn => {
                    let done = self.store.read(|view| -> Result<bool, StoreError> {
                        let unsent = view.lacked_by(scope, &relays)?.entries;
                        Ok(unsent == 0 && view.only_here_in(scope, 1)?.0 == 0)
                    })?;
                    if done {
                        left += usize::from(self.let_go(row)?);
                    } else {
                        waits = true;
                    }
                }
                Stage::Leaving => left += usize::from(self.let_go(row)?),
            }
        }
        let moved = if relays.is_empty() { 0 } else { self.settle_moved(&relays)? };
        if left + moved > 0 {
            self.finish_erasures()?;
            self.store.checkpoint()?;
        }
        waits |= !self.store.read(|view| view.moved_waiting())?.is_empty();
        if left + moved > 0 || waits {
            // Whoever talks to a relay asks what it has by now.
            self.changed();
        }
        Ok(left)
    }

    fn let_go(&self, row: LeavingRow) -> Result<bool, StoreError> {
        let scope = &row.scope;
        // Before anything is emptied: whatever happens from here on, all of it is asked for again
        // if the village comes back.
        let relays = self.relays();
        let until = self.store.write(|tx| -> Result<Option<u64>, StoreError> {
            // What was written since it was looked at goes another time.
            if tx.lacked_by(scope, &relays)?.entries > 0 {
                return Ok(None);
            }
            tx.set_leaving(&LeavingRow { stage: Stage::Leaving, ..row.clone() })?;
            tx.forget_cursors(scope)?;
            Ok(Some(tx.head(scope)?))
        })?;
        let Some(until) = until else { return Ok(false) };
        let mut after = 0;
        while let Some(end) = self.store.write(|tx| tx.leave_part(scope, after, until))? {
            after = end;
        }
        self.store.write(|tx| tx.set_leaving(&LeavingRow { stage: Stage::Left, ..row.clone() }))?;
        info!(scope, entries = after, "a village that this box serves no more has left it");
        Ok(true)
    }

    /// All that cursors know of has come: what is still missing is asked for by name.
    fn fetch_coming(&self, row: &LeavingRow) -> Result<(), StoreError> {
        let (now_ms, relays) = (self.now_ms(), self.relays());
        self.store.write(|tx| {
            let mut read = false;
            for relay in relays {
                if let Some(peer) = tx.peer(&relay)? {
                    read |= tx.cursor(peer.id, &row.scope)? > 0;
                }
            }
            if !read {
                return Ok(());
            }
            match tx.fetch_lacking(&row.scope, kind_code(Kind::Edit), now_ms)? {
                0 => tx.forget_leaving(&row.scope),
                lacking => {
                    warn!(scope = row.scope, lacking, "a village came back without all of it");
                    Ok(())
                }
            }
        })
    }

    /// The villages that this box served once and serves no more.
    ///
    /// # Errors
    /// When the store fails.
    pub fn lost_villages(&self) -> Result<Vec<LostVillage>, StoreError> {
        let relays = self.relays();
        self.store.read(|view| {
            let mut out = Vec::new();
            for row in view.leaving()? {
                let Ok(Scope::Place(place)) = row.scope.parse() else { continue };
                if row.stage == Stage::Coming {
                    continue;
                }
                out.push(LostVillage {
                    place,
                    lost_ms: row.lost_ms,
                    unsent: view.lacked_by(&row.scope, &relays)?,
                    files: view.only_here_in(&row.scope, 0)?.0,
                    left: row.stage == Stage::Left,
                });
            }
            Ok(out)
        })
    }

    /// Attachments of villages that leave of which nobody knows whether a relay holds them.
    pub(crate) fn files_to_ask_for(&self) -> Result<Vec<[u8; 32]>, StoreError> {
        self.store.read(|view| {
            let mut out: Vec<[u8; 32]> = Vec::new();
            for row in view.leaving()?.iter().filter(|row| row.stage == Stage::HandedIn) {
                let room = FILES_ASKED_MAX.saturating_sub(out.len());
                out.extend(view.only_here_in(&row.scope, room)?.1);
            }
            for subject in view.moved_waiting()? {
                out.extend(view.subject_only_here(&subject)?);
            }
            out.sort_unstable();
            out.dedup();
            out.truncate(FILES_ASKED_MAX);
            Ok(out)
        })
    }
}
