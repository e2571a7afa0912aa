//! What a model disk's journal amounts to: the tables of the real store, as far as sync has any.

use crate::disk::{Id, sum};
use cunkou_engine::NameSum;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// In `via`: made here.
pub(crate) const NOBODY: [u8; 16] = [0; 16];
/// In `via`: came from a peer that may lack it since.
pub(crate) const VOID: [u8; 16] = [0xff; 16];

/// One change of the tables.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Entry {
        id: Id,
        scope: Arc<str>,
        /// Its position when that was handed out before.
        seq: Option<u64>,
        via: [u8; 16],
        counts: bool,
        bytes: Arc<[u8]>,
    },
    Greet {
        device: [u8; 16],
        store: [u8; 16],
        epoch: [u8; 16],
        /// Scope, our epoch as the peer knows it, how far it has read us, where its log ends.
        says: Vec<(String, [u8; 16], u64, u64)>,
        features: u64,
    },
    /// A peer that is remembered has come again.
    Again {
        device: [u8; 16],
        features: u64,
    },
    Cursor {
        device: [u8; 16],
        scope: String,
        seq: u64,
    },
    Acked {
        device: [u8; 16],
        scope: String,
        seq: u64,
    },
    /// Whole subjects of a peer have come up to here; nothing when those were all.
    Whole {
        device: [u8; 16],
        scope: String,
        token: Option<Vec<u8>>,
    },
    /// All logs of a peer were read to their ends.
    Read {
        device: [u8; 16],
        scopes: Vec<String>,
    },
    Epoch([u8; 16]),
    /// What a peer may have no more.
    HandedIn {
        device: [u8; 16],
        scopes: BTreeSet<String>,
    },
    /// A scope leaves: names stay.
    Leave {
        scope: String,
    },
}

/// A transaction in the journal.
#[derive(Clone, Debug)]
pub(crate) struct Tx {
    ops: Arc<Vec<Op>>,
    /// Over what was written; another one when the write was torn.
    sum: u64,
}

fn count(ops: &[Op]) -> u64 {
    sum(&ops.len().to_le_bytes())
}

impl Tx {
    pub(crate) fn new(ops: Vec<Op>) -> Self {
        let sum = count(&ops);
        Self { ops: Arc::new(ops), sum }
    }

    pub(crate) fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// Whether all of it came onto the disk.
    pub(crate) fn whole(&self) -> bool {
        self.sum == count(&self.ops)
    }

    /// Only a part of it came onto the disk.
    pub(crate) fn tear(&mut self) {
        let half = self.ops[..self.ops.len() / 2].to_vec();
        *self = Self { ops: Arc::new(half), sum: !self.sum };
    }

    /// Nothing of it came onto the disk.
    pub(crate) fn lose(&mut self) {
        *self = Self { ops: Arc::default(), sum: 0 };
    }

    pub(crate) fn put_bytes(&mut self, at: usize, new: Arc<[u8]>) {
        if let Some(Op::Entry { bytes, .. }) = Arc::make_mut(&mut self.ops).get_mut(at) {
            *bytes = new;
        }
    }
}

/// An entry.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) id: Id,
    pub(crate) scope: Arc<str>,
    pub(crate) via: [u8; 16],
    pub(crate) counts: bool,
    pub(crate) bytes: Arc<[u8]>,
    /// Where in the journal it stands.
    place: (usize, usize),
}

impl Row {
    /// Its content has left.
    pub(crate) fn is_name(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// A peer as last seen.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) store: [u8; 16],
    pub(crate) epoch: [u8; 16],
    pub(crate) cursors: BTreeMap<String, u64>,
    pub(crate) acked: BTreeMap<String, u64>,
    /// How far whole subjects have come.
    pub(crate) wholes: BTreeMap<String, Vec<u8>>,
    /// What its program understands.
    pub(crate) features: u64,
    /// Scopes that it may have no more.
    pub(crate) handed_in: BTreeSet<String>,
}

/// The tables.
#[derive(Clone, Debug)]
pub(crate) struct Tables {
    pub(crate) epoch: [u8; 16],
    rows: Vec<Row>,
    by_id: BTreeMap<Id, usize>,
    logs: BTreeMap<Arc<str>, BTreeMap<u64, usize>>,
    pub(crate) peers: BTreeMap<[u8; 16], Peer>,
}

impl Tables {
    /// Of an empty store; its first epoch is as good as its name.
    pub(crate) fn new(store: [u8; 16]) -> Self {
        Self {
            epoch: store,
            rows: Vec::new(),
            by_id: BTreeMap::new(),
            logs: BTreeMap::new(),
            peers: BTreeMap::new(),
        }
    }

    pub(crate) fn head(&self, scope: &str) -> u64 {
        self.logs.get(scope).and_then(|log| log.last_key_value()).map_or(0, |(seq, _)| *seq)
    }

    /// Whether an entry is here so that it would change nothing to take it in once more.
    pub(crate) fn has(&self, id: &Id, scope: &str, counts: bool) -> bool {
        let row = self.by_id.get(id).map(|row| &self.rows[*row]);
        row.is_some_and(|row| match row.is_name() && &*row.scope == scope {
            true => false,
            false => row.counts || !counts || &*row.scope == scope,
        })
    }

    /// What the log of a scope holds.
    pub(crate) fn sum(&self, scope: &str) -> [u8; 16] {
        let (mut sum, mut count) = (NameSum::default(), 0);
        for (_, row) in self.log_after(scope, 0) {
            sum.add(&row.id);
            count += 1;
        }
        sum.digest(count)
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter()
    }

    pub(crate) fn log_after(&self, scope: &str, after: u64) -> impl Iterator<Item = (u64, &Row)> {
        let log = self.logs.get(scope).into_iter();
        log.flat_map(move |log| log.range(after.saturating_add(1)..))
            .map(|(seq, row)| (*seq, &self.rows[*row]))
    }

    pub(crate) fn apply(&mut self, op: &Op, place: (usize, usize)) {
        match op {
            Op::Entry { id, scope, seq, via, counts, bytes } => {
                if self.has(id, scope, *counts) {
                    return;
                }
                let seq = seq.unwrap_or_else(|| self.head(scope) + 1);
                if let Some(row) = self.by_id.get(id).copied() {
                    // It had come into a scope that is not its own.
                    let aside = &mut self.rows[row];
                    if aside.is_name() && aside.scope == *scope {
                        (aside.bytes, aside.via, aside.place) = (Arc::clone(bytes), *via, place);
                        return;
                    }
                    (aside.scope, aside.via, aside.counts) = (Arc::clone(scope), *via, true);
                    self.logs.entry(Arc::clone(scope)).or_default().insert(seq, row);
                    return;
                }
                self.by_id.insert(*id, self.rows.len());
                self.logs.entry(Arc::clone(scope)).or_default().insert(seq, self.rows.len());
                let (id, via, counts) = (*id, *via, *counts);
                let (scope, bytes) = (Arc::clone(scope), Arc::clone(bytes));
                self.rows.push(Row { id, scope, via, counts, bytes, place });
            }
            Op::Greet { device, store, epoch, says, features } => {
                self.greet(device, store, epoch, says);
                self.understands(device, *features);
            }
            Op::Again { device, features } => self.understands(device, *features),
            Op::Cursor { device, scope, seq } => {
                if let Some(peer) = self.peers.get_mut(device) {
                    peer.cursors.insert(scope.clone(), *seq);
                }
            }
            Op::Acked { device, scope, seq } => {
                if let Some(peer) = self.peers.get_mut(device) {
                    peer.acked.insert(scope.clone(), *seq);
                }
            }
            Op::Whole { device, scope, token } => {
                if let Some(peer) = self.peers.get_mut(device) {
                    match token {
                        Some(token) => peer.wholes.insert(scope.clone(), token.clone()),
                        None => peer.wholes.remove(scope),
                    };
                }
            }
            Op::Read { device, scopes } => {
                if let Some(peer) = self.peers.get_mut(device) {
                    for scope in scopes {
                        peer.cursors.entry(scope.clone()).or_default();
                    }
                }
            }
            Op::Epoch(epoch) => self.epoch = *epoch,
            Op::HandedIn { device, scopes } => self.handed_in(device, scopes),
            Op::Leave { scope } => self.leave(scope),
        }
    }

    /// As `only_handed_in` of the real store.
    fn handed_in(&mut self, device: &[u8; 16], scopes: &BTreeSet<String>) {
        let Some(peer) = self.peers.get_mut(device) else { return };
        let back: Vec<String> = peer.handed_in.difference(scopes).cloned().collect();
        for scope in back.iter().chain(scopes) {
            peer.acked.remove(scope);
        }
        peer.handed_in.clone_from(scopes);
        for scope in back {
            let Some(log) = self.logs.get(scope.as_str()) else { continue };
            for row in log.values() {
                if self.rows[*row].via == *device {
                    self.rows[*row].via = VOID;
                }
            }
        }
    }

    fn leave(&mut self, scope: &str) {
        for peer in self.peers.values_mut() {
            peer.cursors.remove(scope);
        }
        let Some(log) = self.logs.get(scope) else { return };
        for row in log.values() {
            self.rows[*row].bytes = Arc::default();
        }
    }

    fn understands(&mut self, device: &[u8; 16], features: u64) {
        if let Some(peer) = self.peers.get_mut(device) {
            peer.features = features;
        }
    }

    /// As `greet_peer` of the real store.
    fn greet(
        &mut self,
        device: &[u8; 16],
        store: &[u8; 16],
        epoch: &[u8; 16],
        says: &[(String, [u8; 16], u64, u64)],
    ) {
        let fresh = || Peer {
            store: *store,
            epoch: *epoch,
            cursors: BTreeMap::new(),
            acked: BTreeMap::new(),
            wholes: BTreeMap::new(),
            features: 0,
            handed_in: BTreeSet::new(),
        };
        let before = self.peers.entry(*device).or_insert_with(fresh);
        if before.store != *store || before.epoch != *epoch {
            *before = fresh();
            for row in &mut self.rows {
                if row.via == *device {
                    row.via = VOID;
                }
            }
            return;
        }
        // In the same epoch a peer never knows less than it has acknowledged, nor has it less than
        // was read of it, unless its disk went back or is a copy.
        let at = |map: &BTreeMap<String, u64>, scope: &str| map.get(scope).copied().unwrap_or(0);
        let ours = self.epoch;
        let back = says.iter().any(|(scope, epoch, read, head)| {
            (*epoch == ours && *read < at(&before.acked, scope))
                || *head < at(&before.cursors, scope)
        });
        if !back {
            return;
        }
        for (scope, epoch, read, _) in says {
            let read = if *epoch == ours { *read } else { 0 };
            if let Some(acked) = before.acked.get_mut(scope) {
                *acked = (*acked).min(read);
            }
            let Some(log) = self.logs.get(scope.as_str()) else { continue };
            for row in log.range(read.saturating_add(1)..).map(|(_, row)| *row) {
                if self.rows[row].via == *device {
                    self.rows[row].via = VOID;
                }
            }
        }
    }

    /// Flips a bit of the nth entry and says where in the journal it stands.
    pub(crate) fn rot(&mut self, nth: usize, bit: u64) -> (usize, usize) {
        let row = &mut self.rows[nth];
        let mut bytes = row.bytes.to_vec();
        let at = usize::try_from(bit / 8).unwrap_or(0) % bytes.len();
        bytes[at] ^= 1 << (bit % 8);
        row.bytes = bytes.into();
        row.place
    }
}
