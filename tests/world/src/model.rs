//! The model disk: a store in memory that keeps its promises exactly as far as its disk does.
//!
//! It follows `sync/replica/src/peer.rs` and `sync/store/src/sync.rs`; the conformance suite holds
//! both to the same rules.

use crate::disk::{Disk, Held, Id, Made, sum};
use crate::entry;
use crate::plant::Plant;
use crate::registry::{Registry, key_of};
use crate::rng::Rng;
use crate::tables::{NOBODY, Op, Row, Tables, Tx, VOID};
use cunkou_engine::{
    Admitted, Hello, Loaded, NameSum, Named, PROTOCOL, Part, PeerInfo, Picked, Port, PortError,
    Refused, Repaired, Rotten, ScopeState, Sketch, Wholes, features,
};
use minicbor::bytes::ByteVec;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// With `synchronous=OFF` the system writes back after so many commits.
const WRITE_BACK: usize = 12;

/// All that this program understands beside the first version; attachments are not simulated.
pub const FEATURES: u64 = features::BRIEF
    | features::PACKED
    | features::OFFER
    | features::RECONCILE
    | features::SNAPSHOT
    | features::SKETCH;

/// How a model disk behaves.
#[derive(Clone, Debug)]
pub struct Traits {
    /// A batch is no longer than this, nor than the session asks for. Bytes.
    pub batch: usize,
    /// Content of an entry, at least and at most. Bytes.
    pub content: (u64, u64),
    /// What is broken on purpose.
    pub plant: Plant,
    /// What the program understands: less for an older one, nothing for the first version.
    pub features: Option<u64>,
}

#[derive(Debug)]
struct Inner {
    tables: Tables,
    journal: Vec<Tx>,
    /// So many transactions are on the platter.
    synced: usize,
    skip_sync: bool,
    full: bool,
    damaged: bool,
    incarnation: [u8; 16],
    time_ms: i64,
    made: Vec<Made>,
    left: Vec<Id>,
    /// Positions handed out before their commit, by the bug [`Plant::Bigserial`].
    reserved: BTreeMap<([u8; 16], String), Vec<u64>>,
    handed_out: BTreeMap<String, u64>,
}

/// An offer is short here, so that small worlds make several.
const NAMED_MAX: usize = 7;

fn short(id: &Id) -> [u8; 8] {
    let mut out = [0; 8];
    out.copy_from_slice(&id[..8]);
    out
}

/// A store in memory over a disk with a write-back cache.
#[derive(Debug)]
pub struct Model {
    device: [u8; 16],
    store: [u8; 16],
    registry: Arc<Registry>,
    traits: Traits,
    inner: Mutex<Inner>,
}

/// A model disk as it lay.
#[derive(Clone, Debug)]
pub struct Image(Vec<Tx>);

fn full() -> PortError {
    PortError("no room".into())
}

impl Inner {
    fn commit(&mut self, plant: Plant, ops: Vec<Op>) -> Result<(), PortError> {
        if self.full {
            return Err(full());
        }
        for (at, op) in ops.iter().enumerate() {
            self.tables.apply(op, (self.journal.len(), at));
        }
        self.journal.push(Tx::new(ops));
        let lazy = plant == Plant::SyncOff && self.journal.len() - self.synced < WRITE_BACK;
        if !self.skip_sync && !lazy {
            self.synced = self.journal.len();
        }
        self.skip_sync = false;
        Ok(())
    }

    fn replay(&mut self, store: [u8; 16]) {
        let whole = self.journal.iter().take_while(|tx| tx.whole()).count();
        self.journal.truncate(whole);
        self.synced = whole;
        self.tables = Tables::new(store);
        for (nr, tx) in self.journal.iter().enumerate() {
            for (at, op) in tx.ops().iter().enumerate() {
                self.tables.apply(op, (nr, at));
            }
        }
        self.made.clear();
        self.left.clear();
        self.reserved.clear();
        self.handed_out.clear();
        self.skip_sync = false;
        self.damaged = false;
    }

    fn next_seq(&mut self, scope: &str) -> u64 {
        let head = self.tables.head(scope);
        let next = self.handed_out.entry(scope.to_owned()).or_default();
        *next = (*next).max(head) + 1;
        *next
    }
}

impl Model {
    /// An empty disk.
    #[must_use]
    pub fn new(device: [u8; 16], registry: Arc<Registry>, traits: Traits, rng: &mut Rng) -> Self {
        let store = rng.id();
        let inner = Inner {
            tables: Tables::new(store),
            journal: Vec::new(),
            synced: 0,
            skip_sync: false,
            full: false,
            damaged: false,
            incarnation: rng.id(),
            time_ms: 1_795_000_000_000,
            made: Vec::new(),
            left: Vec::new(),
            reserved: BTreeMap::new(),
            handed_out: BTreeMap::new(),
        };
        Self { device, store, registry, traits, inner: Mutex::new(inner) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known<'a>(inner: &'a Inner, peer: &PeerInfo) -> Result<&'a crate::tables::Peer, PortError> {
        let known = inner.tables.peers.get(&peer.device);
        known.ok_or_else(|| PortError("the peer has not said hello".into()))
    }

    fn take_in(
        &self,
        peer: &PeerInfo,
        scope: &str,
        cursor: Option<u64>,
        entries: &[Vec<u8>],
    ) -> Result<Admitted, PortError> {
        let mut inner = self.inner();
        Self::known(&inner, peer)?;
        let mut places =
            inner.reserved.remove(&(peer.device, scope.to_owned())).unwrap_or_default();
        let mut admitted = Admitted::default();
        let mut ops = Vec::new();
        let mut seen = BTreeSet::new();
        for bytes in entries {
            let Ok(entry) = self.read_entry(bytes) else {
                admitted.refused += 1;
                continue;
            };
            let counts = entry.scope == scope;
            if inner.tables.has(&entry.id, scope, counts) || !seen.insert(entry.id) {
                continue;
            }
            *(if counts { &mut admitted.new } else { &mut admitted.quarantined }) += 1;
            let seq = if places.is_empty() { None } else { Some(places.remove(0)) };
            ops.push(Op::Entry {
                id: entry.id,
                scope: scope.into(),
                seq,
                via: peer.device,
                counts,
                bytes: bytes.as_slice().into(),
            });
        }
        if let Some(seq) = cursor {
            let cursor = Op::Cursor { device: peer.device, scope: scope.to_owned(), seq };
            if self.traits.plant == Plant::LostCursor {
                inner.commit(self.traits.plant, vec![cursor])?;
                inner.skip_sync = true;
            } else {
                ops.push(cursor);
            }
        }
        inner.commit(self.traits.plant, ops)?;
        Ok(admitted)
    }

    /// Whether this is a relay, and the peer may not have the scope.
    fn withholds(&self, peer: &PeerInfo, scope: &str) -> bool {
        self.registry.is_relay(&self.device) && self.registry.lost(&peer.device).contains(scope)
    }

    fn has_lost(&self, scope: &str) -> bool {
        self.registry.lost(&self.device).contains(scope)
    }

    /// What a relay remembers of what a peer may have no more.
    fn handed_in(&self, device: [u8; 16]) -> Option<Op> {
        let relay = self.registry.is_relay(&self.device);
        relay.then(|| Op::HandedIn { device, scopes: self.registry.lost(&device) })
    }

    /// Scopes that a relay holds all of leave.
    fn settle(&self, inner: &mut Inner) -> Result<(), PortError> {
        for scope in self.registry.lost(&self.device) {
            let acked = inner.tables.peers.values().filter_map(|p| p.acked.get(&scope)).max();
            let acked = acked.copied().unwrap_or(0);
            let lacked = |(seq, row): (u64, &Row)| {
                !row.is_name() && seq > acked && (row.via == NOBODY || row.via == VOID)
            };
            if self.traits.plant != Plant::LeavesEarly
                && inner.tables.log_after(&scope, 0).any(lacked)
            {
                continue;
            }
            let full = inner.tables.log_after(&scope, 0).filter(|(_, row)| !row.is_name());
            let gone: Vec<Id> = full.map(|(_, row)| row.id).collect();
            if !gone.is_empty() {
                inner.commit(self.traits.plant, vec![Op::Leave { scope }])?;
                inner.left.extend(gone);
            }
        }
        Ok(())
    }

    fn read_entry<'a>(&self, bytes: &'a [u8]) -> Result<entry::Entry<'a>, entry::NotAnEntry> {
        if self.traits.plant == Plant::SkippedHash {
            entry::claimed(bytes)
        } else {
            entry::read(bytes)
        }
    }
}

impl Port for Model {
    fn admit_peer(&self, key: &[u8; 32]) -> Result<PeerInfo, Refused> {
        self.registry.admit(&self.device, key)
    }

    fn hello(&self, peer: &PeerInfo) -> Result<Hello, PortError> {
        let inner = self.inner();
        let known = inner.tables.peers.get(&peer.device);
        let scopes = peer.scopes.iter().map(|scope| {
            let at = |map: &BTreeMap<String, u64>| map.get(scope).copied().unwrap_or(0);
            let (withheld, lost) = (self.withholds(peer, scope), self.has_lost(scope));
            let sum = match withheld || lost {
                true => NameSum::default().digest(0),
                false => inner.tables.sum(scope),
            };
            let head = if withheld { 0 } else { inner.tables.head(scope) };
            // As the real store: for what was never read, while nothing is here from others.
            let unread = !lost && known.is_none_or(|k| !k.cursors.contains_key(scope));
            let token = known.and_then(|k| k.wholes.get(scope).cloned());
            let whole = token.or_else(|| (inner.tables.head(scope) == 0).then(Vec::new));
            let knows = self.traits.features.is_some_and(|f| f & features::SNAPSHOT != 0);
            ScopeState {
                scope: scope.clone(),
                head,
                read: known.filter(|_| !lost).map_or(0, |k| at(&k.cursors)),
                epoch: known.map_or([0; 16], |k| k.epoch),
                acked: known.map(|k| at(&k.acked)),
                sum: self.traits.features.map(|_| sum),
                whole: whole.filter(|_| unread && knows).map(Into::into),
            }
        });
        Ok(Hello {
            protocol: PROTOCOL,
            store: self.store,
            epoch: inner.tables.epoch,
            incarnation: inner.incarnation,
            software: "model".into(),
            time_ms: inner.time_ms,
            scopes: scopes.collect(),
            features: self.traits.features,
        })
    }

    fn greeted(&self, peer: &PeerInfo, hello: &Hello) -> Result<(), PortError> {
        let mut inner = self.inner();
        let shared = hello
            .scopes
            .iter()
            .filter(|s| !self.withholds(peer, &s.scope) && !self.has_lost(&s.scope));
        let read = shared.map(|s| (s.scope.clone(), s.epoch, s.read, s.head));
        let op = Op::Greet {
            device: peer.device,
            store: hello.store,
            epoch: hello.epoch,
            says: read.collect(),
            features: hello.features.unwrap_or(0),
        };
        let ops = std::iter::once(op).chain(self.handed_in(peer.device)).collect();
        inner.commit(self.traits.plant, ops)
    }

    fn knows(&self, peer: &PeerInfo) -> Result<u64, PortError> {
        Ok(self.inner().tables.peers.get(&peer.device).map_or(0, |known| known.features))
    }

    fn greeted_again(
        &self,
        peer: &PeerInfo,
        _: &[u8; 16],
        _: i64,
        features: u64,
    ) -> Result<(), PortError> {
        let mut inner = self.inner();
        Self::known(&inner, peer)?;
        let again = Op::Again { device: peer.device, features };
        let ops = std::iter::once(again).chain(self.handed_in(peer.device)).collect();
        inner.commit(self.traits.plant, ops)
    }

    fn load(
        &self,
        peer: &PeerInfo,
        scope: &str,
        after: u64,
        bytes_max: usize,
    ) -> Result<Loaded, PortError> {
        self.load_part(peer, &Part::behind(scope, after, bytes_max))
    }

    fn load_part(&self, peer: &PeerInfo, part: &Part) -> Result<Loaded, PortError> {
        let mut inner = self.inner();
        if self.withholds(peer, &part.scope) {
            if !peer.handed_in.contains(&part.scope) {
                return Err(PortError("the peer may not have this scope any more".into()));
            }
            return Ok(Loaded { upto: part.after, head: 0, entries: Vec::new() });
        }
        let head = inner.tables.head(&part.scope);
        let bytes_max = part.bytes_max.min(self.traits.batch);
        let (mut upto, mut bytes, mut entries) = (part.after, 0, Vec::new());
        let mut rotten = false;
        for (seq, row) in inner.tables.log_after(&part.scope, part.after) {
            if seq > part.until {
                break;
            }
            if row.via != peer.device && !row.is_name() && !part.skip.contains(&seq) {
                if bytes > 0 && bytes + row.bytes.len() > bytes_max {
                    break;
                }
                if self.read_entry(&row.bytes).is_err() {
                    rotten = true;
                    break;
                }
                bytes += row.bytes.len();
                entries.push(row.bytes.to_vec());
            }
            upto = seq;
        }
        if rotten {
            inner.damaged = true;
            return Err(PortError("an entry does not fit its hash".into()));
        }
        Ok(Loaded { upto, head, entries })
    }

    fn store(
        &self,
        peer: &PeerInfo,
        scope: &str,
        upto: u64,
        entries: &[Vec<u8>],
    ) -> Result<Admitted, PortError> {
        if self.has_lost(scope) {
            return Ok(Admitted::default());
        }
        self.take_in(peer, scope, Some(upto), entries)
    }

    fn named(
        &self,
        peer: &PeerInfo,
        scope: &str,
        after: u64,
        count_max: usize,
    ) -> Result<Named, PortError> {
        let inner = self.inner();
        Self::known(&inner, peer)?;
        if self.withholds(peer, scope) {
            return Ok(Named { upto: after, ..Named::default() });
        }
        let head = inner.tables.head(scope);
        let mut out = Named { upto: after, head, ..Named::default() };
        for (seq, row) in inner.tables.log_after(scope, after) {
            if out.names.len() >= count_max.min(NAMED_MAX) {
                break;
            }
            out.upto = seq;
            if row.via != peer.device && !row.is_name() {
                out.positions.push(seq);
                out.names.push(short(&row.id));
            }
        }
        Ok(out)
    }

    fn lacking(
        &self,
        peer: &PeerInfo,
        scope: &str,
        names: &[[u8; 8]],
    ) -> Result<Vec<bool>, PortError> {
        if self.withholds(peer, scope) {
            return Ok(vec![true; names.len()]);
        }
        let inner = self.inner();
        let full = inner.tables.log_after(scope, 0).filter(|(_, row)| !row.is_name());
        let held: BTreeSet<[u8; 8]> = full.map(|(_, row)| short(&row.id)).collect();
        Ok(names.iter().map(|name| !held.contains(name)).collect())
    }

    fn sums(
        &self,
        peer: &PeerInfo,
        scopes: &[String],
    ) -> Result<Vec<(String, u64, [u8; 16])>, PortError> {
        let tables = &self.inner().tables;
        let sum = |scope: &String| (scope.clone(), tables.head(scope), tables.sum(scope));
        let shared = |s: &&String| !self.withholds(peer, s) && !self.has_lost(s);
        Ok(scopes.iter().filter(shared).map(sum).collect())
    }

    fn names(&self, peer: &PeerInfo, scope: &str) -> Result<Vec<Id>, PortError> {
        if self.withholds(peer, scope) {
            return Ok(Vec::new());
        }
        Ok(self.inner().tables.log_after(scope, 0).map(|(_, row)| row.id).collect())
    }

    fn pick(
        &self,
        peer: &PeerInfo,
        scope: &str,
        names: &[Id],
        bytes_max: usize,
    ) -> Result<Picked, PortError> {
        if self.withholds(peer, scope) {
            return Ok(Picked { dealt: names.len(), entries: Vec::new() });
        }
        let mut inner = self.inner();
        let (mut out, mut bytes, mut rotten) = (Picked::default(), 0, false);
        for name in names {
            let found = inner.tables.log_after(scope, 0).find(|(_, row)| row.id == *name);
            if let Some((_, row)) = found.filter(|(_, row)| !row.is_name()) {
                if bytes > 0 && bytes + row.bytes.len() > bytes_max.min(self.traits.batch) {
                    break;
                }
                if self.read_entry(&row.bytes).is_err() {
                    rotten = true;
                    break;
                }
                bytes += row.bytes.len();
                out.entries.push(row.bytes.to_vec());
            }
            out.dealt += 1;
        }
        if rotten {
            inner.damaged = true;
            return Err(PortError("an entry does not fit its hash".into()));
        }
        Ok(out)
    }

    fn heal(&self, peer: &PeerInfo, scope: &str, entries: &[Vec<u8>]) -> Result<u64, PortError> {
        if self.has_lost(scope) {
            return Ok(0);
        }
        let admitted = self.take_in(peer, scope, None, entries)?;
        Ok(u64::from(admitted.new) + u64::from(admitted.quarantined))
    }

    fn sketch(&self, peer: &PeerInfo, scope: &str) -> Result<Option<Sketch>, PortError> {
        if self.withholds(peer, scope) {
            return Ok(None);
        }
        let mut sketch = Sketch::default();
        self.inner().tables.log_after(scope, 0).for_each(|(_, row)| sketch.add(&row.id));
        Ok(Some(sketch))
    }

    fn whole_names(&self, scope: &str, keys: &[[u8; 8]]) -> Result<Vec<Id>, PortError> {
        let inner = self.inner();
        let like =
            inner.tables.log_after(scope, 0).filter(|(_, row)| keys.contains(&short(&row.id)));
        Ok(like.map(|(_, row)| row.id).collect())
    }

    /// The latest entries first; each is a subject of its own here.
    fn wholes(
        &self,
        peer: &PeerInfo,
        scope: &str,
        after: &[u8],
        bytes_max: usize,
    ) -> Result<Wholes, PortError> {
        let inner = self.inner();
        if self.withholds(peer, scope) {
            return Ok(Wholes { end: true, ..Wholes::default() });
        }
        let after = after.first_chunk().map_or(u64::MAX, |seq| u64::from_le_bytes(*seq));
        let mut all: Vec<(u64, &Row)> =
            inner.tables.log_after(scope, 0).filter(|(seq, _)| *seq < after).collect();
        all.reverse();
        let (mut next, mut bytes, mut entries) = (Vec::new(), 0, Vec::new());
        let mut end = true;
        for (seq, row) in all {
            if bytes > 0 && bytes + row.bytes.len() > bytes_max.min(self.traits.batch) {
                end = false;
                break;
            }
            // What has rotted comes with the log, once it is healed.
            if row.via != peer.device && !row.is_name() && self.read_entry(&row.bytes).is_ok() {
                bytes += row.bytes.len();
                entries.push(ByteVec::from(row.bytes.to_vec()));
            }
            next = seq.to_le_bytes().to_vec();
        }
        let body = if entries.is_empty() {
            Vec::new()
        } else {
            minicbor::to_vec(&entries).map_err(|e| PortError(e.to_string()))?
        };
        Ok(Wholes { next, end, body })
    }

    fn warm(&self, peer: &PeerInfo, scope: &str, wholes: &Wholes) -> Result<(), PortError> {
        let entries = Self::entries_in(&wholes.body);
        self.take_in(peer, scope, None, &entries)?;
        let token = (!wholes.end).then(|| wholes.next.clone());
        let (device, scope) = (peer.device, scope.to_owned());
        self.inner().commit(self.traits.plant, vec![Op::Whole { device, scope, token }])
    }

    fn rotten(&self, peer: &PeerInfo) -> Result<Vec<Rotten>, PortError> {
        let inner = self.inner();
        let Some(known) = inner.tables.peers.get(&peer.device) else { return Ok(Vec::new()) };
        // What came back without all of it is fetched by name.
        let read = |scope: &&String| known.cursors.contains_key(*scope) && !self.has_lost(scope);
        let lacking = |scope: &String| {
            let names = inner.tables.log_after(scope, 0).filter(|(_, row)| row.is_name());
            Rotten { scope: scope.clone(), names: names.map(|(_, row)| row.id).collect() }
        };
        let all = peer.scopes.iter().filter(read).map(lacking);
        Ok(all.filter(|rotten| !rotten.names.is_empty()).collect())
    }

    fn repaired(&self, _: &PeerInfo, _: &str, _: Repaired) -> Result<(), PortError> {
        self.inner().commit(self.traits.plant, Vec::new())
    }

    fn acked(&self, peer: &PeerInfo, scope: &str, upto: u64) -> Result<(), PortError> {
        let mut inner = self.inner();
        Self::known(&inner, peer)?;
        let op = Op::Acked { device: peer.device, scope: scope.to_owned(), seq: upto };
        inner.commit(self.traits.plant, vec![op])
    }

    fn completed(&self, peer: &PeerInfo) -> Result<(), PortError> {
        let mut inner = self.inner();
        Self::known(&inner, peer)?;
        let served = |scope: &&String| !self.has_lost(scope);
        let scopes = peer.scopes.iter().filter(served).cloned().collect();
        let read = Op::Read { device: peer.device, scopes };
        inner.commit(self.traits.plant, vec![read])?;
        self.settle(&mut inner)
    }

    fn heads(&self, peer: &PeerInfo) -> Result<Vec<(String, u64)>, PortError> {
        let inner = self.inner();
        let head = |s: &String| if self.withholds(peer, s) { 0 } else { inner.tables.head(s) };
        Ok(peer.scopes.iter().map(|s| (s.clone(), head(s))).collect())
    }

    fn heard(&self, _: &PeerInfo, _: &[u8]) -> Result<bool, PortError> {
        Ok(false)
    }

    fn wanted(&self, _: &PeerInfo, _: usize) -> Result<Vec<[u8; 32]>, PortError> {
        Ok(Vec::new())
    }

    fn attachment(&self, _: &PeerInfo, _: &[u8; 32]) -> Result<Option<Vec<u8>>, PortError> {
        Ok(None)
    }

    fn keep_attachment(&self, _: &[u8; 32], _: &[u8]) -> Result<(), PortError> {
        Ok(())
    }

    // The world itself tells sessions of news.
    fn on_change(&self, _: Box<dyn Fn() + Send + Sync>) {}
}

impl Disk for Model {
    type Image = Image;

    fn port(&self) -> &dyn Port {
        self
    }

    fn key(&self) -> [u8; 32] {
        key_of(&self.device)
    }

    fn id_of(bytes: &[u8]) -> Option<Id> {
        entry::claimed(bytes).ok().map(|entry| entry.id)
    }

    fn entries_in(body: &[u8]) -> Vec<Vec<u8>> {
        let entries: Vec<ByteVec> = minicbor::decode(body).unwrap_or_default();
        entries.into_iter().map(Into::into).collect()
    }

    fn work(&mut self, scope: &str, rng: &mut Rng) -> Result<(), PortError> {
        let (least, most) = self.traits.content;
        let content = usize::try_from(rng.within(least, most)).unwrap_or(0);
        let bytes = entry::make(&self.device, scope, content, rng);
        let Ok(entry) = entry::claimed(&bytes) else { return Err(PortError("scope".into())) };
        let id = entry.id;
        let plant = self.traits.plant;
        let mut inner = self.inner();
        let seq = (plant == Plant::Bigserial).then(|| inner.next_seq(scope));
        let length = bytes.len() as u64;
        let made = Made { id, scope: scope.to_owned(), sum: sum(&bytes), bytes: length };
        let op = Op::Entry {
            id,
            scope: scope.into(),
            seq,
            via: NOBODY,
            counts: true,
            bytes: bytes.into(),
        };
        inner.commit(plant, vec![op])?;
        inner.made.push(made);
        Ok(())
    }

    fn news(&mut self) -> Vec<Made> {
        std::mem::take(&mut self.inner().made)
    }

    fn held(&self) -> BTreeMap<Id, Held> {
        let inner = self.inner();
        let held = inner.tables.rows().filter(|row| !row.is_name()).map(|row| {
            let scope = row.scope.to_string();
            (row.id, Held { scope, counts: row.counts, sum: sum(&row.bytes) })
        });
        held.collect()
    }

    fn shrinks(&mut self, device: [u8; 16], scope: &str, away: bool) {
        self.registry.shrink(device, scope, away);
    }

    fn scopes_changed(&mut self) {
        let mut inner = self.inner();
        let peers: Vec<[u8; 16]> = inner.tables.peers.keys().copied().collect();
        let ops: Vec<Op> = peers.into_iter().filter_map(|peer| self.handed_in(peer)).collect();
        // Whoever does not ask what a relay has need not wait until they meet.
        if self.traits.plant == Plant::LeavesEarly {
            let _refused = self.settle(&mut inner);
        }
        // A full disk notes it when they meet.
        if !ops.is_empty() && inner.commit(self.traits.plant, ops).is_err() {
            inner.skip_sync = false;
        }
    }

    fn left(&mut self) -> Vec<Id> {
        std::mem::take(&mut self.inner().left)
    }

    fn skip_next_sync(&mut self) {
        self.inner().skip_sync = true;
    }

    fn cut(&mut self, rng: &mut Rng) {
        let mut inner = self.inner();
        let synced = inner.synced;
        for tx in &mut inner.journal[synced..] {
            match rng.below(3) {
                0 => {}
                1 => tx.tear(),
                _ => tx.lose(),
            }
        }
    }

    fn start(&mut self, rng: &mut Rng) {
        let store = self.store;
        let mut inner = self.inner();
        inner.incarnation = rng.id();
        inner.replay(store);
    }

    fn image(&self) -> Image {
        let inner = self.inner();
        Image(inner.journal[..inner.synced].to_vec())
    }

    fn restore(&mut self, image: &Image, new_epoch: bool, rng: &mut Rng) {
        let store = self.store;
        let mut inner = self.inner();
        inner.journal = image.0.clone();
        if new_epoch {
            inner.journal.push(Tx::new(vec![Op::Epoch(rng.id())]));
        }
        inner.replay(store);
    }

    fn copied(&self, rng: &mut Rng) -> Self {
        let registry = Arc::clone(&self.registry);
        let mut copy = Self::new(self.device, registry, self.traits.clone(), rng);
        copy.store = self.store;
        copy.restore(&self.image(), false, rng);
        copy
    }

    fn set_full(&mut self, full: bool) {
        self.inner().full = full;
    }

    fn jump(&mut self, ms: i64) {
        let mut inner = self.inner();
        inner.time_ms = inner.time_ms.saturating_add(ms);
    }

    fn rot(&mut self, rng: &mut Rng) -> bool {
        let mut inner = self.inner();
        let count = inner.tables.rows().count();
        if count == 0 {
            return false;
        }
        let nth = rng.index(count);
        if inner.tables.rows().nth(nth).is_some_and(Row::is_name) {
            return false;
        }
        let bit = rng.draw();
        let inner = &mut *inner;
        let (tx, at) = inner.tables.rot(nth, bit);
        let bytes = inner.tables.rows().nth(nth).map(|row| Arc::clone(&row.bytes));
        if let (Some(tx), Some(bytes)) = (inner.journal.get_mut(tx), bytes) {
            tx.put_bytes(at, bytes);
        }
        true
    }

    fn damaged(&self) -> bool {
        self.inner().damaged
    }

    fn scrub(&mut self) -> bool {
        if self.traits.plant == Plant::SkippedHash {
            return false;
        }
        self.inner().tables.rows().any(|row| !row.is_name() && entry::read(&row.bytes).is_err())
    }

    fn heal(&mut self, rng: &mut Rng) {
        let store = self.store;
        let mut inner = self.inner();
        let mut ops = vec![Op::Epoch(rng.id())];
        for row in inner.tables.rows() {
            if row.is_name() || entry::read(&row.bytes).is_ok() {
                ops.push(Op::Entry {
                    id: row.id,
                    scope: Arc::clone(&row.scope),
                    seq: None,
                    via: if row.via == NOBODY { NOBODY } else { VOID },
                    counts: row.counts,
                    bytes: Arc::clone(&row.bytes),
                });
            }
        }
        inner.journal = vec![Tx::new(ops)];
        inner.replay(store);
    }

    fn reserve(&self, peer: &[u8; 16], scope: &str, entries: usize) {
        if self.traits.plant == Plant::Bigserial {
            let mut inner = self.inner();
            let places = (0..entries).map(|_| inner.next_seq(scope)).collect();
            inner.reserved.insert((*peer, scope.to_owned()), places);
        }
    }
}
