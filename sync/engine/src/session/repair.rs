//! Two sides that should hold the same and do not: found by sums, settled by ranges of names.
//!
//! The side that dialled asks, when all that the cursors know of is exchanged: first whether the
//! sums fit (`Check`), then, scope by scope, which names differ (`Range`), then for what it lacks
//! (`Fetch`) and with what the other lacks (`Give`). The other side keeps nothing between two
//! messages. Entries that are damaged on one disk are fetched in the same way by either side.

use super::sketched::Size;
use super::{Call, Output, Session};
use crate::port::Repaired;
use crate::reconcile;
use crate::wire::{BATCH_BYTES, Checked, FETCHED_MAX, Frame, Violation, features};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// While a conversation lasts, sums are compared at most so often.
const CHECK_EVERY: Duration = Duration::from_secs(15 * 60);
/// A scope that still differs after it was repaired is left to people for so long.
const REPAIR_EVERY: Duration = Duration::from_secs(3600);

/// What is wanted by whoever asked for entries by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum For {
    /// The scope that is being repaired.
    Work,
    /// The peer.
    Peer,
    /// This side's own damaged entries.
    Rot,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Our sketch is being loaded.
    Sketching,
    /// Our names are being loaded, to learn from a message or to begin.
    Naming(Option<Vec<u8>>),
    /// The peer answers about a range.
    Asked,
    /// What we lack is on its way here, or being committed.
    Fetching,
    /// What the peer lacks is being loaded, or on its way there.
    Giving,
}

/// The scope that is being repaired.
#[derive(Clone, Debug)]
pub(super) struct Work {
    pub(super) scope: String,
    pub(super) stage: Stage,
    /// The next message about ranges.
    next: Option<Vec<u8>>,
    pub(super) have: VecDeque<[u8; 32]>,
    pub(super) lack: VecDeque<[u8; 32]>,
    /// How far sketches go in this repair.
    pub(super) sketch: Size,
    received: u64,
    given: u64,
}

/// A request for entries by name that the peer has not answered to the end.
#[derive(Clone, Debug)]
struct Fetching {
    scope: String,
    whose: For,
    asked: usize,
}

/// What is known of differences.
#[derive(Clone, Debug, Default)]
pub(super) struct Repair {
    /// Scopes that held the same on both sides when they were last looked at.
    equal: BTreeSet<String>,
    next_check: Duration,
    /// Something moved while sums were made: nothing is looked at before it has come to rest.
    held: bool,
    /// The scopes of the check that is being made, once it was sent.
    checking: Option<Vec<String>>,
    summing: bool,
    /// The peer's check, while our sums are made.
    checked: Option<Vec<Checked>>,
    differ: VecDeque<String>,
    pub(super) work: Option<Work>,
    /// Repaired, and to be looked at once more: what came and what went, and whether by a sketch.
    done: BTreeMap<String, (u64, u64, bool)>,
    /// A sketch has not helped: what came and what went, before ranges are tried.
    sketched: BTreeMap<String, (u64, u64)>,
    /// The peer waits for what its sketch differs in from ours.
    pub(super) asked_by_sketch: bool,
    /// Not to be repaired again before.
    rests: BTreeMap<String, Duration>,
    /// A peer's message about ranges, while our names are loaded.
    ranged: Option<(String, Vec<u8>)>,
    fetching: Option<Fetching>,
    rot: VecDeque<(String, VecDeque<[u8; 32]>)>,
    picks: VecDeque<For>,
    heals: VecDeque<For>,
}

impl Repair {
    pub(super) fn is_equal(&mut self, scope: &str) {
        self.equal.insert(scope.to_owned());
    }

    pub(super) fn changed(&mut self, scope: &str) {
        self.equal.remove(scope);
        self.held = false;
    }

    pub(super) fn moved(&mut self) {
        self.held = false;
    }

    pub(super) fn waits_for_peer(&self) -> bool {
        let asked = self.work.as_ref().is_some_and(|work| work.stage == Stage::Asked);
        let giving = self.work.as_ref().is_some_and(|work| work.stage == Stage::Giving);
        asked || giving || self.checking.is_some() || self.fetching.is_some()
    }
}

fn names(bytes: &[u8]) -> Vec<[u8; 32]> {
    bytes.chunks_exact(32).filter_map(|name| name.try_into().ok()).collect()
}

impl Session {
    /// Nothing is on its way: the time to look whether both sides hold the same.
    pub(super) fn look_for_differences(&mut self, now: Duration) {
        let dials = matches!(self.call, Call::Out { .. });
        if !dials || !self.both(features::RECONCILE) {
            return;
        }
        let repair = &self.repair;
        let busy = repair.work.is_some() || repair.summing || repair.checking.is_some();
        if busy || repair.held {
            return;
        }
        if let Some(scope) = self.repair.differ.pop_front() {
            return self.begin_work(scope);
        }
        if now < self.repair.next_check {
            return;
        }
        let rests = |scope: &String| self.repair.rests.get(scope).is_some_and(|until| now < *until);
        let due = |scope: &&String| {
            !self.repair.equal.contains(*scope)
                && (self.repair.done.contains_key(*scope) || !rests(scope))
        };
        let still = self.lanes.iter().filter(|(_, lane)| lane.is_still()).map(|(scope, _)| scope);
        let scopes: Vec<String> = still.filter(due).cloned().collect();
        if !scopes.is_empty() {
            self.repair.next_check = now + CHECK_EVERY;
            self.repair.summing = true;
            self.out.push_back(Output::Sum(scopes));
        }
    }

    pub(super) fn summed(&mut self, now: Duration, sums: Vec<(String, u64, [u8; 16])>) {
        if let Some(checked) = self.repair.checked.take() {
            return self.compare(&checked, &sums);
        }
        if !std::mem::take(&mut self.repair.summing) {
            return;
        }
        let mut check = Vec::new();
        for (scope, head, sum) in sums {
            let Some(lane) = self.lanes.get(&scope) else { continue };
            // What changed meanwhile is looked at the next time.
            if lane.is_still() && lane.stand().0 == head {
                check.push(Checked { scope, head, read: lane.stand().1, sum });
            }
        }
        if check.is_empty() {
            self.repair.next_check = now;
            self.repair.held = true;
            return;
        }
        self.repair.checking = Some(check.iter().map(|c| c.scope.clone()).collect());
        self.say(&Frame::Check(check));
    }

    /// Holds the peer's sums against ours.
    fn compare(&mut self, theirs: &[Checked], ours: &[(String, u64, [u8; 16])]) {
        let differs = |checked: &&Checked| {
            let lane = self.lanes.get(&checked.scope);
            let same = |(scope, head, _): &&(String, u64, [u8; 16])| {
                *scope == checked.scope && *head == checked.read
            };
            lane.is_some_and(|lane| lane.stand().1 == checked.head)
                && ours.iter().find(same).is_some_and(|(_, _, sum)| *sum != checked.sum)
        };
        let scopes = theirs.iter().filter(differs).map(|checked| checked.scope.clone()).collect();
        self.say(&Frame::Differ(scopes));
    }

    pub(super) fn hear_of_repair(&mut self, now: Duration, frame: Frame) -> Result<(), Violation> {
        let dials = matches!(self.call, Call::Out { .. });
        match frame {
            Frame::Check(checked) => {
                if dials || self.repair.checked.is_some() {
                    return Err(Violation::OutOfTurn);
                }
                let scopes: Vec<String> = checked.iter().map(|c| c.scope.clone()).collect();
                scopes.iter().try_for_each(|scope| self.lane(scope).map(|_| ()))?;
                self.repair.checked = Some(checked);
                self.out.push_back(Output::Sum(scopes));
            }
            Frame::Differ(differ) => {
                let asked = self.repair.checking.take().ok_or(Violation::OutOfTurn)?;
                if differ.iter().any(|scope| !asked.contains(scope)) {
                    return Err(Violation::Scope);
                }
                self.differ(now, asked, &differ);
            }
            Frame::Sketch { scope, cells } => self.sketch_came(scope, &cells)?,
            Frame::Sketched { scope, named, lacking, names } => {
                self.sketch_answered(scope, named, &lacking, &names)?;
            }
            Frame::Range { scope, message } => {
                self.lane(&scope)?;
                if dials || self.repair.ranged.is_some() {
                    return Err(Violation::OutOfTurn);
                }
                self.repair.ranged = Some((scope.clone(), message.into()));
                self.out.push_back(Output::Names { scope });
            }
            Frame::Ranged { scope, message } => {
                let work = self.repair.work.as_mut().ok_or(Violation::OutOfTurn)?;
                if work.stage != Stage::Asked || work.scope != scope || work.sketch != Size::None {
                    return Err(Violation::OutOfTurn);
                }
                work.stage = Stage::Naming(Some(message.into()));
                self.out.push_back(Output::Names { scope });
            }
            Frame::Fetch { scope, names: bytes } => {
                self.lane(&scope)?;
                let names = names(&bytes);
                if self.repair.picks.contains(&For::Peer) || names.is_empty() {
                    return Err(Violation::OutOfTurn);
                }
                self.repair.picks.push_back(For::Peer);
                self.out.push_back(Output::Pick { scope, names, bytes_max: BATCH_BYTES });
            }
            Frame::Fetched { scope, dealt, entries } => self.fetched(&scope, dealt, entries)?,
            Frame::Give { scope, entries } => {
                self.lane(&scope)?;
                if self.repair.heals.contains(&For::Peer) {
                    return Err(Violation::OutOfTurn);
                }
                self.repair.heals.push_back(For::Peer);
                let entries = entries.into_iter().map(Into::into).collect();
                self.out.push_back(Output::Heal { scope, entries });
            }
            Frame::Given { scope } => {
                let work = self.repair.work.as_mut().ok_or(Violation::OutOfTurn)?;
                if work.stage != Stage::Giving || work.scope != scope {
                    return Err(Violation::OutOfTurn);
                }
                self.go_on();
            }
            _ => return Err(Violation::OutOfTurn),
        }
        Ok(())
    }

    fn differ(&mut self, now: Duration, asked: Vec<String>, differ: &[String]) {
        for scope in asked {
            let equal = !differ.contains(&scope);
            let done = self.repair.done.remove(&scope);
            if let (Some((received, given, true)), false) = (done, equal) {
                self.repair.sketched.insert(scope.clone(), (received, given));
                self.repair.differ.push_back(scope);
                continue;
            }
            if let Some((received, given, _)) = done {
                self.repair.rests.insert(scope.clone(), now + REPAIR_EVERY);
                let (scope, repaired) = (scope.clone(), Repaired { received, given, equal });
                self.out.push_back(Output::Repaired { scope, repaired });
            } else if !equal {
                self.repair.differ.push_back(scope.clone());
            }
            if equal {
                self.repair.is_equal(&scope);
            }
        }
    }

    fn begin_work(&mut self, scope: String) {
        let tried = self.repair.sketched.remove(&scope);
        let (received, given) = tried.unwrap_or_default();
        let knows = self.both(features::SKETCH) && tried.is_none();
        let stand = self.lanes.get(&scope).filter(|_| knows).map(|lane| lane.stand());
        let sketch = stand.map_or(Size::None, |(ours, theirs)| Size::of(ours.abs_diff(theirs)));
        self.repair.work = Some(Work {
            scope,
            stage: Stage::Sketching,
            next: None,
            have: VecDeque::new(),
            lack: VecDeque::new(),
            sketch,
            received,
            given,
        });
        self.ask_for_names();
    }

    /// By a sketch, while that may help; then by ranges.
    pub(super) fn ask_for_names(&mut self) {
        let Some(work) = &mut self.repair.work else { return };
        let scope = work.scope.clone();
        if work.sketch == Size::None {
            work.stage = Stage::Naming(None);
            self.out.push_back(Output::Names { scope });
        } else {
            work.stage = Stage::Sketching;
            self.out.push_back(Output::Sketch { scope });
        }
    }

    pub(super) fn names(&mut self, scope: String, names: Vec<[u8; 32]>) -> Result<(), Violation> {
        if let Some((of, message)) = self.repair.ranged.take() {
            let message = reconcile::answer(names, &message)?.into();
            self.say(&Frame::Ranged { scope: of, message });
            return Ok(());
        }
        let Some(work) = self.repair.work.as_mut() else { return Ok(()) };
        let Stage::Naming(message) = &work.stage else { return Ok(()) };
        if let Some(message) = message {
            let learnt = reconcile::learn(names, message)?;
            work.next = learnt.next;
            work.have.extend(learnt.have);
            work.lack.extend(learnt.lack);
            self.go_on();
        } else {
            work.stage = Stage::Asked;
            let message = reconcile::begin(names)?.into();
            self.say(&Frame::Range { scope, message });
        }
        Ok(())
    }

    /// The next thing to do about the scope that is being repaired.
    pub(super) fn go_on(&mut self) {
        let Some(work) = self.repair.work.as_mut() else { return };
        let scope = work.scope.clone();
        if !work.lack.is_empty() {
            work.stage = Stage::Fetching;
            return self.fetch();
        }
        if !work.have.is_empty() {
            work.stage = Stage::Giving;
            let names = work.have.iter().take(FETCHED_MAX).copied().collect();
            self.repair.picks.push_back(For::Work);
            self.out.push_back(Output::Pick { scope, names, bytes_max: BATCH_BYTES });
            return;
        }
        if let Some(message) = work.next.take() {
            work.stage = Stage::Asked;
            self.say(&Frame::Range { scope, message: message.into() });
            return;
        }
        let by_sketch = work.sketch != Size::None;
        self.repair.done.insert(scope, (work.received, work.given, by_sketch));
        self.repair.work = None;
        // Whether it has helped is looked at at once.
        self.repair.next_check = Duration::ZERO;
    }

    /// Asks for entries by name, one request at a time: for the scope that is being repaired, else
    /// for what is damaged here.
    fn fetch(&mut self) {
        if self.repair.fetching.is_some() || self.repair.heals.iter().any(|h| *h != For::Peer) {
            return;
        }
        let lacking = self.repair.work.as_ref().filter(|work| work.stage == Stage::Fetching);
        let lacking = lacking.filter(|work| !work.lack.is_empty());
        let (scope, whose, all) = match (lacking, self.repair.rot.front()) {
            (Some(work), _) => (work.scope.clone(), For::Work, &work.lack),
            (None, Some((scope, rot))) => (scope.clone(), For::Rot, rot),
            (None, None) => return,
        };
        let asked: Vec<[u8; 32]> = all.iter().take(FETCHED_MAX).copied().collect();
        self.repair.fetching = Some(Fetching { scope: scope.clone(), whose, asked: asked.len() });
        self.say(&Frame::Fetch { scope, names: asked.concat().into() });
    }

    fn fetched(
        &mut self,
        scope: &str,
        dealt: u64,
        entries: Vec<minicbor::bytes::ByteVec>,
    ) -> Result<(), Violation> {
        let fetching = self.repair.fetching.take().ok_or(Violation::OutOfTurn)?;
        let dealt = usize::try_from(dealt).unwrap_or(usize::MAX);
        if fetching.scope != scope || dealt == 0 || dealt > fetching.asked {
            return Err(Violation::Position);
        }
        match fetching.whose {
            For::Rot => {
                if let Some((_, rot)) = self.repair.rot.front_mut() {
                    rot.drain(..dealt.min(rot.len()));
                }
                if self.repair.rot.front().is_some_and(|(_, rot)| rot.is_empty()) {
                    self.repair.rot.pop_front();
                }
            }
            _ => {
                if let Some(work) = &mut self.repair.work {
                    work.lack.drain(..dealt.min(work.lack.len()));
                }
            }
        }
        self.repair.heals.push_back(fetching.whose);
        let (scope, entries) = (scope.to_owned(), entries.into_iter().map(Into::into).collect());
        self.out.push_back(Output::Heal { scope, entries });
        Ok(())
    }

    pub(super) fn picked(&mut self, scope: String, dealt: usize, entries: Vec<Vec<u8>>) {
        let plain = |entries: Vec<Vec<u8>>| entries.into_iter().map(Into::into).collect();
        match self.repair.picks.pop_front() {
            Some(For::Peer) => {
                let (dealt, entries) = (dealt as u64, plain(entries));
                self.say(&Frame::Fetched { scope, dealt, entries });
            }
            Some(_) => {
                let Some(work) = self.repair.work.as_mut() else { return };
                work.have.drain(..dealt.min(work.have.len()));
                work.given += entries.len() as u64;
                let entries = plain(entries);
                self.say(&Frame::Give { scope, entries });
            }
            None => {}
        }
    }

    pub(super) fn healed(&mut self, scope: String, new: u64) {
        self.repair.changed(&scope);
        match self.repair.heals.pop_front() {
            Some(For::Peer) => self.say(&Frame::Given { scope }),
            Some(For::Work) => {
                if let Some(work) = &mut self.repair.work {
                    work.received += new;
                }
                self.go_on();
            }
            Some(For::Rot) | None => {}
        }
        self.fetch();
    }

    pub(super) fn rotten(&mut self, scope: String, names: Vec<[u8; 32]>) {
        let known = self.lanes.contains_key(&scope) && self.both(features::RECONCILE);
        if known && !names.is_empty() && !self.repair.rot.iter().any(|(of, _)| *of == scope) {
            self.repair.rot.push_back((scope, names.into()));
            self.fetch();
        }
    }
}
