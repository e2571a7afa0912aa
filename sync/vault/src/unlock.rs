//! Unlocking: a person's key opens their slot, the slot gives the work key, the work key opens
//! `work.db`, and the inbox is drained into it.

use crate::mirror::carry_catalogue;
use crate::{Enrolled, Passed, Vault, VaultError, inbox, membership};
use cunkou_casework::county::Person;
use cunkou_casework::event::{decode, encode};
use cunkou_casework::suite::SecretKey;
use cunkou_keys::{BoxSecret, Key, KeyError, Slot};
use cunkou_replica::{Replica, Unlocked};
use cunkou_store::{Lock, Store, StoreError};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tracing::{info, warn};

pub(crate) const SLOTS: &str = "slots";

/// Why a person did not unlock the box.
#[derive(Debug, thiserror::Error)]
pub enum UnlockError {
    /// This person has no slot: they were added while the box was locked, or removed.
    #[error("this person has no slot on this box")]
    NoSlot,
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl From<StoreError> for UnlockError {
    fn from(e: StoreError) -> Self {
        Self::Vault(e.into())
    }
}

impl From<KeyError> for UnlockError {
    fn from(e: KeyError) -> Self {
        Self::Vault(e.into())
    }
}

fn slots_of(bytes: Option<Vec<u8>>) -> Result<Option<Vec<Slot>>, VaultError> {
    match bytes {
        Some(bytes) => decode(&bytes).map(Some).map_err(|_| VaultError::Damaged("slots")),
        None => Ok(None),
    }
}

impl Vault {
    pub(crate) fn slots(&self) -> Result<Option<Vec<Slot>>, VaultError> {
        slots_of(self.open.store().read(|view| view.meta(SLOTS))?)
    }

    /// The keys that shall have a slot now: the people who work here, and the county.
    fn holders(&self) -> BTreeSet<[u8; 32]> {
        let people = self.open.workers().into_iter().filter_map(|p| p.key).map(|key| key.0);
        people.chain(self.enrolled.recovery).collect()
    }

    /// Takes away the slots of people who do not work here any more. Needs no key.
    pub(crate) fn prune_slots(&self) -> Result<(), VaultError> {
        let Some(slots) = self.slots()? else { return Ok(()) };
        let holders = self.holders();
        let kept: Vec<Slot> =
            slots.iter().filter(|slot| holders.contains(&slot.holder)).cloned().collect();
        if kept.len() < slots.len() {
            info!(dropped = slots.len() - kept.len(), "slots of people who left are gone");
            self.open.store().write(|tx| tx.set_meta(SLOTS, &encode(&kept)))?;
        }
        Ok(())
    }

    /// Gives everybody who works here a slot, and takes away the others.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn refresh_slots(&self, work: &Key) -> Result<(), VaultError> {
        let _turn = self.lock_turn();
        let before = self.slots()?;
        let mut slots = before.clone().unwrap_or_default();
        let holders = self.holders();
        slots.retain(|slot| holders.contains(&slot.holder));
        let device = &self.enrolled.device.0;
        for holder in holders {
            if slots.iter().any(|slot| slot.holder == holder) {
                continue;
            }
            let slot = if self.enrolled.recovery == Some(holder) {
                Slot::for_recovery(work, &holder, device)
            } else {
                Slot::for_person(work, &holder, &self.machine, device)
            };
            match slot {
                Ok(slot) => slots.push(slot),
                Err(why) => warn!(%why, "a person's key cannot have a slot"),
            }
        }
        if before.as_ref() != Some(&slots) {
            self.open.store().write(|tx| tx.set_meta(SLOTS, &encode(&slots)))?;
        }
        Ok(())
    }

    /// Unlocks the box with a person's key, which their PIN has opened. The very first person to
    /// sign in makes the work key.
    ///
    /// # Errors
    /// [`UnlockError`].
    pub fn unlock(&self, person: &Person, key: &SecretKey) -> Result<Unlocked, UnlockError> {
        let work = match self.slots()? {
            Some(slots) => {
                let public = key.public().0;
                let slot = slots.iter().find(|slot| slot.holder == public);
                let slot = slot
                    .filter(|_| person.key.is_some_and(|k| k.0 == public))
                    .ok_or(UnlockError::NoSlot)?;
                slot.open(&key.seed(), &self.machine, &self.enrolled.device.0)?
            }
            None => {
                let work = Key::random()?;
                self.refresh_slots(&work)?;
                work
            }
        };
        Ok(self.open_work(&work)?)
    }

    /// Opens `work.db` with its key and drains the inbox into it.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn open_work(&self, work: &Key) -> Result<Unlocked, VaultError> {
        let store = Store::open(&self.folder, &Lock::Key(work.clone()))?;
        self.prepare(&store)?;
        let me = membership(&self.enrolled);
        let replica =
            Replica::on(store, me, Arc::new(Passed(Arc::clone(&self.world))), (self.guard)())?;
        self.drain(&replica)?;
        carry_catalogue(&self.open, &replica)?;
        self.refresh_slots(work)?;
        self.mirror(&replica)?;
        Ok(Unlocked { replica: Arc::new(replica), work: work.clone() })
    }

    /// Identity, peers and the inbox's secret are in `work.db` before anything else is.
    fn prepare(&self, store: &Store) -> Result<(), VaultError> {
        let (identity, peers) = self.open.store().read(|view| -> Result<_, StoreError> {
            Ok(([view.meta("store")?, view.meta("epoch")?], view.peers()?))
        })?;
        let fresh = BoxSecret::random()?;
        store.write(|tx| -> Result<(), StoreError> {
            for (key, value) in ["store", "epoch"].into_iter().zip(&identity) {
                if let (None, Some(value)) = (tx.meta(key)?, value) {
                    tx.set_meta(key, value)?;
                }
            }
            if tx.meta(inbox::SECRET)?.is_none() {
                tx.set_meta(inbox::SECRET, fresh.key().bytes())?;
            }
            // A peer whose epoch changed while the box was locked is read anew here too.
            for peer in peers.iter().rev() {
                tx.greet_peer(peer)?;
            }
            Ok(())
        })?;
        Ok(())
    }

    /// Moves what waits into `work.db`: a batch is admitted there with its cursor, then leaves the
    /// inbox. A cut between the two admits it again, which changes nothing.
    fn drain(&self, work: &Replica) -> Result<(), VaultError> {
        let _turn = self.lock_turn();
        // From here on what a dying session still brings is not acknowledged; it comes again.
        self.receiving.store(false, Ordering::SeqCst);
        self.copy_public(work)?;
        let stored = [
            work.store().read(|view| view.meta(inbox::SECRET))?,
            self.open.store().read(|view| view.meta(inbox::SECRET))?,
        ];
        let secrets: Vec<BoxSecret> =
            stored.iter().flatten().filter_map(|bytes| inbox::secret(bytes)).collect();
        let mut batches = 0;
        while let Some(row) = self.open.store().read(|view| view.inbox_first())? {
            let peer = work.store().read(|view| view.peer(&row.device))?;
            let (Ok(entries), Some(peer)) = (inbox::unseal(&row, &secrets), peer) else {
                // Nobody may be locked out by a rotten batch. The cursors of `work.db` hold from
                // here on, so the county sends everything behind them again.
                warn!("the inbox is damaged; the county sends it again");
                self.open.store().write(|tx| tx.clear_inbox())?;
                break;
            };
            work.admit(&peer, &row.scope, row.upto, &entries, |_| Ok(()))?;
            self.open.store().write(|tx| tx.drop_inbox(row.id))?;
            batches += 1;
        }
        let Some(secret) = secrets.first() else { return Err(VaultError::Damaged("inbox")) };
        let public = secret.public()?;
        self.open.store().write(|tx| -> Result<(), StoreError> {
            tx.set_meta(inbox::PUBLIC, &public)?;
            tx.forget_meta(inbox::SECRET)
        })?;
        if batches > 0 {
            // Their old pages are overwritten now, not at the next checkpoint.
            self.open.store().checkpoint()?;
            info!(batches, "the inbox is drained");
        }
        Ok(())
    }
}

/// Opens the work key of a box's folder for the county, with its recovery secret. The machine's
/// key must lie in the folder or be given.
///
/// # Errors
/// [`VaultError`].
pub fn recover(
    folder: &Path,
    machine: &Key,
    secret: &BoxSecret,
) -> Result<(Enrolled, Key), VaultError> {
    let store = Store::open_as(folder, crate::OPEN_DB, &crate::open_lock(machine))?;
    let (enrolled, slots) = store.read(|view| -> Result<_, StoreError> {
        Ok((view.meta(crate::ENROLLED)?, view.meta(SLOTS)?))
    })?;
    let enrolled: Enrolled =
        enrolled.and_then(|bytes| decode(&bytes).ok()).ok_or(VaultError::Damaged("enrolment"))?;
    let slots = slots_of(slots)?.ok_or(VaultError::Empty)?;
    let public = secret.public()?;
    let slot = slots.iter().find(|slot| slot.holder == public);
    let slot = slot.ok_or(KeyError::Wrong)?;
    let work = slot.recover(secret, &enrolled.device.0)?;
    Ok((enrolled, work))
}

/// The same, and everybody who works there by the county log on the box gets a slot again.
///
/// # Errors
/// [`VaultError`].
pub fn recover_in_place(vault: &Vault, secret: &BoxSecret) -> Result<usize, VaultError> {
    let (_, work) = recover(&vault.folder, &vault.machine, secret)?;
    vault.refresh_slots(&work)?;
    Ok(vault.slots()?.unwrap_or_default().len())
}
