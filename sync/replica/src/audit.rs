//! What a relay's log is held to: the relay signs checkpoints of it, and boxes demand that each
//! continues the last and holds what the relay said it had.

use crate::Replica;
use cunkou_casework::checkpoint::{
    ASKED_MAX, Answer, Checkpoint, FILES_ASKED_MAX, Inclusion, Inconsistent, Question,
    SignedCheckpoint, check, told,
};
use cunkou_casework::county::DeviceKind;
use cunkou_casework::event::{decode, encode};
use cunkou_casework::hex;
use cunkou_casework::ids::{AttachmentId, DeviceId, EntryId, Incarnation};
use cunkou_casework::merkle::{self, Hash, Nodes};
use cunkou_engine::PeerInfo;
use cunkou_store::{AlarmRow, AttachmentState, DoubleRow, ForkRow, StoreError, View};
use tracing::warn;

/// So many leaves are added in one transaction.
const LEAVES: u32 = 5000;

/// Where entries stand in a relay's log.
#[derive(Clone, Debug)]
pub struct InLog {
    /// Its latest checkpoint.
    pub checkpoint: SignedCheckpoint,
    /// For each entry asked for; nothing for one that the checkpoint does not cover.
    pub places: Vec<Option<Inclusion>>,
}

/// The tree over the log of a store.
pub(crate) struct Tree<'a, 'b>(pub(crate) &'a View<'b>);

impl Nodes for Tree<'_, '_> {
    type Error = StoreError;

    fn node(&self, level: u8, index: u64) -> Result<Hash, StoreError> {
        self.0.tree_node(level, index)
    }
}

impl Replica {
    pub(crate) fn log_name(&self, view: &View<'_>) -> Result<[u8; 32], StoreError> {
        let mut name = [0; 32];
        for (key, part) in [("store", 0), ("epoch", 16)] {
            let id = view.meta(key)?.unwrap_or_default();
            let id: [u8; 16] =
                id.try_into().map_err(|_| StoreError::Damaged { what: "store identity" })?;
            name[part..part + 16].copy_from_slice(&id);
        }
        Ok(name)
    }

    /// Signs how long the log is and what it holds, if something came since the last time. For
    /// relays; called about once a minute.
    ///
    /// # Errors
    /// When the store fails.
    pub fn checkpoint(&self) -> Result<Option<SignedCheckpoint>, StoreError> {
        while self.grow_tree()? {}
        let me = self.me().device;
        let now_ms = self.now_ms();
        self.store().write(|tx| -> Result<_, StoreError> {
            let (size, log) = (tx.tree_size()?, self.log_name(tx)?);
            let before = tx.checkpoint(&me.0)?.and_then(|b| decode::<SignedCheckpoint>(&b).ok());
            let before = before.and_then(|c| c.read(&self.me().key.public()).ok());
            if before.is_some_and(|b| b.log == log && b.size == size) || size == 0 {
                return Ok(None);
            }
            let root = merkle::root(&Tree(tx), size)?;
            let made = Checkpoint { log, size, root, time_ms: now_ms, relay: me };
            let signed = SignedCheckpoint::new(&made, &self.me().key);
            tx.keep_checkpoint(&me.0, &log, &encode(&signed))?;
            Ok(Some(signed))
        })
    }

    /// Adds leaves for what came to the log. True when there may be more.
    fn grow_tree(&self) -> Result<bool, StoreError> {
        self.store().write(|tx| -> Result<bool, StoreError> {
            let size = tx.tree_size()?;
            let new = tx.entry_ids_after(size, LEAVES)?;
            for (pos, id) in &new {
                // Positions run from 1 without gaps, leaves from 0.
                let made = merkle::append(&Tree(tx), pos - 1, merkle::leaf(EntryId(*id)))?;
                for (level, index, hash) in made {
                    tx.set_tree_node(level, index, &hash)?;
                }
            }
            Ok(new.len() == LEAVES as usize)
        })
    }

    /// The latest checkpoint of this relay's own log, and where an entry stands in it.
    ///
    /// # Errors
    /// When the store fails; `None` when there is no checkpoint yet.
    pub fn shown(&self, entries: &[EntryId]) -> Result<Option<InLog>, StoreError> {
        self.store().read(|view| self.shown_in(view, entries))
    }

    pub(crate) fn shown_in(
        &self,
        view: &View<'_>,
        entries: &[EntryId],
    ) -> Result<Option<InLog>, StoreError> {
        let Some(signed) = view.checkpoint(&self.me().device.0)? else { return Ok(None) };
        let damaged = |_| StoreError::Damaged { what: "checkpoint" };
        let signed: SignedCheckpoint = decode(&signed).map_err(damaged)?;
        let Checkpoint { size, .. } = decode(&signed.body).map_err(damaged)?;
        let shown = entries.iter().map(|entry| {
            let Some(row) = view.entry(&entry.0)?.filter(|row| row.pos <= size) else {
                return Ok(None);
            };
            let index = row.pos - 1;
            let proof = merkle::inclusion(&Tree(view), index, size)?;
            Ok(Some(Inclusion { index, proof: told(proof) }))
        });
        let shown = shown.collect::<Result<_, StoreError>>()?;
        Ok(Some(InLog { checkpoint: signed, places: shown }))
    }

    /// What this box asks a relay when all is exchanged; nothing when this is a relay.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) fn question(&self, relay: DeviceId) -> Result<Option<Vec<u8>>, StoreError> {
        let county = self.county();
        let is_relay = |id| county.device(id).is_some_and(|d| d.kind == DeviceKind::Relay);
        if is_relay(self.me().device) || !is_relay(relay) {
            return Ok(None);
        }
        let files = self.files_to_ask_for()?;
        let files: Vec<AttachmentId> = files.into_iter().map(AttachmentId).collect();
        self.store().read(|view| {
            let held = self.held(view, relay)?;
            let prove = view.unproven(&relay.0, ASKED_MAX)?;
            let question = Question {
                log: held.as_ref().map(|h| h.log.to_vec().into()),
                size: held.map_or(0, |h| h.size),
                prove: prove.into_iter().map(|(id, _)| EntryId(id)).collect(),
                files: (!files.is_empty()).then_some(files),
            };
            Ok(Some(encode(&question)))
        })
    }

    fn held(&self, view: &View<'_>, relay: DeviceId) -> Result<Option<Checkpoint>, StoreError> {
        let held = view.checkpoint(&relay.0)?.and_then(|b| decode::<SignedCheckpoint>(&b).ok());
        Ok(held.and_then(|held| decode::<Checkpoint>(&held.body).ok()))
    }

    /// What this relay answers a peer; nothing to what cannot be read, or before its first
    /// checkpoint.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) fn answer(
        &self,
        peer: &PeerInfo,
        question: &[u8],
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let Ok(question) = decode::<Question>(question) else { return Ok(None) };
        let asked = question.files.as_ref().map_or(0, Vec::len);
        if question.prove.len() > ASKED_MAX || asked > FILES_ASKED_MAX {
            return Ok(None);
        }
        self.store().read(|view| {
            let Some(found) = self.shown_in(view, &question.prove)? else { return Ok(None) };
            let InLog { checkpoint, places: inclusion } = found;
            let size = decode::<Checkpoint>(&checkpoint.body).map_or(0, |c| c.size);
            let ours = question
                .log
                .as_ref()
                .is_some_and(|log| self.log_name(view).is_ok_and(|name| name[..] == log[..]));
            let consistency = if ours && question.size <= size {
                told(merkle::consistency(&Tree(view), question.size, size)?)
            } else {
                Vec::new()
            };
            let here = |file: &AttachmentId| -> Result<bool, StoreError> {
                // Of what is none of the peer's nothing is said.
                let row = view.attachment(&file.0)?;
                let here = row.is_some_and(|row| row.state == AttachmentState::Here);
                Ok(here && view.attachment_in(&file.0, &peer.scopes)?)
            };
            let files = question.files.map(|mut files| -> Result<_, StoreError> {
                let mut held = Vec::with_capacity(files.len());
                for file in files.drain(..) {
                    if here(&file)? {
                        held.push(file);
                    }
                }
                Ok(held)
            });
            let files = files.transpose()?;
            Ok(Some(encode(&Answer { checkpoint, consistency, inclusion, files })))
        })
    }

    /// Holds a relay's answer against what this box has seen. False when it does not fit: that is
    /// kept with the evidence, shown to people, and the conversation ends.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) fn answered(&self, relay: DeviceId, answer: &[u8]) -> Result<bool, StoreError> {
        let county = self.county();
        let Some(device) = county.device(relay).filter(|d| d.kind == DeviceKind::Relay) else {
            return Ok(false);
        };
        let now_ms = self.now_ms();
        let mut safe = false;
        let fits = self.store().write(|tx| -> Result<bool, StoreError> {
            let held = self.held(tx, relay)?;
            let asked: Vec<(EntryId, u64)> = tx
                .unproven(&relay.0, ASKED_MAX)?
                .into_iter()
                .map(|(id, position)| (EntryId(id), position))
                .collect();
            let read = decode::<Answer>(answer).map_err(Inconsistent::from);
            let checked = read.and_then(|read| {
                check(&read, &device.key, held.as_ref(), &asked).map(|new| (read, new))
            });
            match checked {
                Ok((read, new)) => {
                    for ((entry, _), shown) in asked.iter().zip(&read.inclusion) {
                        if shown.is_some() {
                            tx.proven(&relay.0, &entry.0)?;
                        }
                    }
                    if held.is_some_and(|held| held.log != new.log) {
                        let words = "the relay has begun a new log";
                        tx.alarm(&relay.0, words, &encode(&read.checkpoint), now_ms)?;
                    }
                    tx.keep_checkpoint(&relay.0, &new.log, &encode(&read.checkpoint))?;
                    for file in read.files.iter().flatten().take(FILES_ASKED_MAX) {
                        tx.set_at_relay(&file.0)?;
                        safe = true;
                    }
                    Ok(true)
                }
                Err(why) => {
                    warn!(relay = %hex::encode(&relay.0), %why, "the relay's log does not fit");
                    tx.alarm(&relay.0, &why.to_string(), answer, now_ms)?;
                    Ok(false)
                }
            }
        })?;
        if safe {
            self.settle_villages()?;
        }
        Ok(fits)
    }

    /// What does not fit in a relay's log, the latest first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn alarms(&self) -> Result<Vec<AlarmRow>, StoreError> {
        self.store().read(|view| view.alarms())
    }

    /// Devices of which two machines were alive at the same time, until somebody has looked.
    ///
    /// # Errors
    /// When the store fails.
    pub fn doubles(&self) -> Result<Vec<DoubleRow>, StoreError> {
        self.store().read(|view| view.doubles())
    }

    /// Devices that have two histories, as found here, without those about which a person has said
    /// that both stay; the latest first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn forks(&self) -> Result<Vec<ForkRow>, StoreError> {
        let county = self.county();
        let mut forks = self.store().read(|view| view.forks())?;
        forks.retain(|fork| {
            let cleared = county.cleared_runs(DeviceId(fork.device));
            !cleared.is_some_and(|c| fork.runs.iter().all(|run| c.contains(&Incarnation(*run))))
        });
        Ok(forks)
    }
}
