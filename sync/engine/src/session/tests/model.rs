//! One side in memory: a session over a log, and two of them talking.

use super::*;
use crate::port::{Differences, Part};
use crate::sketch::Sketch;

pub(super) const NOW: Duration = Duration::ZERO;
pub(super) const SCOPE: &str = "place:1";
pub(super) const ALL: u64 = features::BRIEF
    | features::PACKED
    | features::OFFER
    | features::RECONCILE
    | features::SNAPSHOT
    | features::SKETCH;

/// One side: a session over a log in memory.
pub(super) struct Side {
    store: [u8; 16],
    /// Who a memory is of.
    other: [u8; 16],
    features: Option<u64>,
    pub(super) log: Vec<(u8, Vec<u8>)>,
    pub(super) read: u64,
    pub(super) acked: u64,
    /// The peer's log was read to its end once, even if there was nothing in it.
    was_read: bool,
    /// How far whole subjects came.
    pub(super) warmed: Option<Vec<u8>>,
    /// What came so, in the order in which it came.
    pub(super) warm: Vec<Vec<u8>>,
    /// Sketches of the other side that were held against the own one.
    pub(super) sketches: usize,
    pub(super) session: Session,
    pub(super) completed: usize,
    pub(super) closed: Option<Violation>,
    pub(super) repaired: Vec<(u64, u64, bool)>,
    /// Bytes of frames that were sent.
    pub(super) sent: usize,
    pub(super) now: Duration,
}

pub(super) fn hello(store: [u8; 16], head: u64, read: u64, acked: u64) -> Hello {
    let epoch = if store == [1; 16] { [2; 16] } else { [1; 16] };
    let scope = SCOPE.into();
    let state = ScopeState { scope, head, read, epoch, acked: Some(acked), sum: None, whole: None };
    Hello {
        protocol: PROTOCOL,
        store,
        epoch: store,
        incarnation: [0; 16],
        software: "test".into(),
        time_ms: 0,
        scopes: vec![state],
        features: None,
    }
}

pub(super) fn name(entry: &[u8]) -> [u8; 32] {
    *blake3::hash(entry).as_bytes()
}

fn join(entries: &[&[u8]]) -> Vec<u8> {
    let with_length = |e: &&[u8]| [&[e.len() as u8], *e].concat();
    entries.iter().flat_map(with_length).collect()
}

fn parts(mut body: &[u8]) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    while let Some((length, rest)) = body.split_first() {
        let (entry, after) = rest.split_at(usize::from(*length));
        out.push(entry.to_vec());
        body = after;
    }
    out
}

fn short(entry: &[u8]) -> [u8; 8] {
    name(entry)[..8].try_into().expect("8 of 32 bytes")
}

impl Side {
    pub(super) fn new(store: u8, log: Vec<(u8, Vec<u8>)>, read: u64) -> Self {
        Self::that_knows(store, log, read, None)
    }

    pub(super) fn that_knows(
        store: u8,
        log: Vec<(u8, Vec<u8>)>,
        read: u64,
        features: Option<u64>,
    ) -> Self {
        let other = if store == 1 { [2; 16] } else { [1; 16] };
        let store = [store; 16];
        let session = Session::new(NOW, hello(store, 0, 0, 0), Call::In);
        let (repaired, sent) = (Vec::new(), 0);
        let mut side = Self {
            store,
            other,
            features,
            log,
            read,
            acked: 0,
            was_read: false,
            warmed: None,
            warm: Vec::new(),
            sketches: 0,
            session,
            completed: 0,
            closed: None,
            repaired,
            sent,
            now: NOW,
        };
        side.reconnect();
        side
    }

    fn sum(&self) -> [u8; 16] {
        let mut sum = crate::NameSum::default();
        self.log.iter().for_each(|(_, entry)| sum.add(&name(entry)));
        sum.digest(self.log.len() as u64)
    }

    pub(super) fn reconnect(&mut self) {
        let mut hello = hello(self.store, self.log.len() as u64, self.read, self.acked);
        hello.features = self.features;
        hello.scopes[0].epoch = self.other;
        hello.scopes[0].sum = self.features.map(|_| self.sum());
        let unread = self.read == 0 && !self.was_read;
        if unread && (self.log.is_empty() || self.warmed.is_some()) {
            let snapshots = self.features.filter(|f| f & features::SNAPSHOT != 0);
            hello.scopes[0].whole =
                snapshots.map(|_| self.warmed.clone().unwrap_or_default().into());
        }
        // The first side is the one that dials; it remembers what the other understands.
        let knows = self.features.unwrap_or(0);
        let call = if self.store == [1; 16] { Call::Out { knows } } else { Call::In };
        self.session = Session::new(self.now, hello, call);
    }

    pub(super) fn append(&mut self, entry: Vec<u8>) {
        self.log.push((0, entry));
        let head = self.log.len() as u64;
        self.session.handle(self.now, Input::Committed { scope: SCOPE.into(), head });
    }

    fn take(&mut self, entries: Vec<Vec<u8>>) -> u64 {
        let before = self.log.len();
        for entry in entries {
            if !self.log.iter().any(|(_, have)| *have == entry) {
                self.log.push((self.other[0], entry));
            }
        }
        (self.log.len() - before) as u64
    }

    /// The last entries first, as whole subjects.
    fn wholes(&self, after: &[u8], count: usize) -> Wholes {
        let given = after.first_chunk().map_or(0, |n| usize::from(u16::from_le_bytes(*n)));
        let of = |(via, e): &&(u8, Vec<u8>)| *via != self.other[0] && !e.is_empty();
        let all: Vec<&Vec<u8>> = self.log.iter().rev().filter(of).map(|(_, e)| e).collect();
        let upto = (given + count).min(all.len());
        let part: Vec<&[u8]> = all[given.min(upto)..upto].iter().map(|e| e.as_slice()).collect();
        let body = if part.is_empty() { Vec::new() } else { join(&part) };
        Wholes { next: (upto as u16).to_le_bytes().into(), end: upto == all.len(), body }
    }

    fn sketch(&self) -> Sketch {
        let mut sketch = Sketch::default();
        self.log.iter().for_each(|(_, entry)| sketch.add(&name(entry)));
        sketch
    }

    fn whole(&self, keys: &[[u8; 8]]) -> Vec<[u8; 32]> {
        let all = self.log.iter().map(|(_, entry)| name(entry));
        all.filter(|name| keys.iter().any(|key| name.starts_with(key))).collect()
    }

    fn part(
        &self,
        after: u64,
        until: u64,
        count: usize,
    ) -> (u64, impl Iterator<Item = (u64, &Vec<u8>)>) {
        let until = usize::try_from(until).unwrap_or(usize::MAX).min(self.log.len());
        let upto = (after as usize + count).min(until);
        let other = self.other[0];
        // What came from the peer is left out.
        let part = self.log[after as usize..upto].iter().enumerate();
        let part = part.filter(move |(_, (via, _))| *via != other);
        (upto as u64, part.map(move |(n, (_, entry))| (after + n as u64 + 1, entry)))
    }

    /// Does what the session wants; frames to send come out.
    pub(super) fn turn(&mut self, batch: usize) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        while let Some(output) = self.session.poll_output() {
            let head = self.log.len() as u64;
            let input = match output {
                Output::Send(frame) => {
                    self.sent += frame.len();
                    frames.push(frame);
                    continue;
                }
                Output::Load(Part { scope, after, until, skip, bytes_max }) => {
                    let fits = self.log[after as usize..].iter().scan(0, |sum, (via, e)| {
                        *sum += if *via == self.other[0] { 0 } else { e.len() };
                        Some(*sum)
                    });
                    let fits = fits.take_while(|sum| *sum <= bytes_max).count().max(1);
                    let (upto, part) = self.part(after, until, batch.min(fits));
                    let entries =
                        part.filter(|(at, _)| !skip.contains(at)).map(|(_, e)| e.clone()).collect();
                    Input::Loaded { scope, upto, head, entries }
                }
                Output::Name { scope, after, count_max } => {
                    let (upto, part) = self.part(after, u64::MAX, count_max.min(batch * 3));
                    let (positions, names) = part.map(|(at, e)| (at, short(e))).unzip();
                    Input::Named { scope, upto, head, positions, names }
                }
                Output::Which { scope, names } => {
                    let has = |n: &[u8; 8]| self.log.iter().any(|(_, e)| name(e)[..8] == *n);
                    Input::Lacking { scope, lacking: names.iter().map(|n| !has(n)).collect() }
                }
                Output::Store { scope, upto, entries } => {
                    self.take(entries);
                    self.read = upto;
                    self.session.handle(self.now, Input::Stored { scope: scope.clone(), upto });
                    Input::Committed { scope, head: self.log.len() as u64 }
                }
                Output::Sum(scopes) => {
                    let sum = |scope| (scope, head, self.sum());
                    Input::Summed(scopes.into_iter().map(sum).collect())
                }
                Output::Names { scope } => {
                    Input::Names { scope, names: self.log.iter().map(|(_, e)| name(e)).collect() }
                }
                Output::Sketch { scope } => Input::Sketch { scope, sketch: Some(self.sketch()) },
                Output::Differences { scope, sketch } => {
                    self.sketches += 1;
                    let found = self.sketch().like(&sketch).difference(&sketch);
                    let found = found.map(|found| Differences {
                        lacking: found.theirs,
                        names: self.whole(&found.ours),
                    });
                    Input::Differences { scope, found }
                }
                Output::WholeNames { scope, keys } => {
                    Input::WholeNames { scope, names: self.whole(&keys) }
                }
                Output::Pick { scope, names, .. } => {
                    let dealt = names.len().min(batch);
                    let wanted = |(_, e): &&(u8, Vec<u8>)| names[..dealt].contains(&name(e));
                    let entries = self.log.iter().filter(wanted).map(|(_, e)| e.clone()).collect();
                    Input::Picked { scope, dealt, entries }
                }
                Output::Heal { scope, entries } => {
                    let new = self.take(entries);
                    self.session.handle(self.now, Input::Healed { scope: scope.clone(), new });
                    Input::Committed { scope, head: self.log.len() as u64 }
                }
                Output::Wholes { scope, after, .. } => {
                    Input::Wholes { scope, wholes: self.wholes(&after, batch) }
                }
                Output::Warm { scope, wholes } => {
                    self.warmed = (!wholes.end).then_some(wholes.next);
                    let entries = parts(&wholes.body);
                    self.warm.extend(entries.clone());
                    self.take(entries);
                    self.session.handle(NOW, Input::Warmed { scope: scope.clone() });
                    Input::Committed { scope, head: self.log.len() as u64 }
                }
                Output::Repaired { repaired, .. } => {
                    self.repaired.push((repaired.received, repaired.given, repaired.equal));
                    continue;
                }
                Output::Acked { upto, .. } => {
                    self.acked = upto;
                    continue;
                }
                Output::Completed => {
                    self.completed += 1;
                    self.was_read = true;
                    continue;
                }
                Output::Close(violation) => {
                    self.closed = Some(violation);
                    continue;
                }
                Output::Greeted(_)
                | Output::GreetedAgain { .. }
                | Output::LastWord(_)
                | Output::Question(_)
                | Output::Answer(_) => continue,
            };
            self.session.handle(self.now, input);
        }
        frames
    }

    pub(super) fn contents(&self) -> BTreeSet<Vec<u8>> {
        self.log.iter().map(|(_, e)| e.clone()).collect()
    }
}

/// Runs both until nobody says anything, or `frames` frames have passed; says how many did.
pub(super) fn run(a: &mut Side, b: &mut Side, batch: usize, frames_max: usize) -> usize {
    let mut frames = 0;
    loop {
        let from_a = a.turn(batch);
        for frame in &from_a {
            b.session.handle(NOW, Input::Received(frame.clone()));
        }
        let from_b = b.turn(batch);
        for frame in &from_b {
            a.session.handle(NOW, Input::Received(frame.clone()));
        }
        frames += from_a.len() + from_b.len();
        if (from_a.is_empty() && from_b.is_empty()) || frames >= frames_max {
            return frames;
        }
    }
}
