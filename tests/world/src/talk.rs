//! Driving sessions as `sync/link/src/driver.rs` does: it moves frames, timers and store calls and
//! takes no decisions.

use crate::conn::Batch;
use crate::disk::Disk;
use crate::plan::{Failure, Micros, Point};
use crate::world::{Done, Event, World};
use cunkou_engine::{
    Call, FETCHED_MAX, Hello, Input, OFFERED_MAX, Output, PeerInfo, RANGE_BYTES_MAX, Session,
    Violation, perform,
};
use std::time::Duration;

/// The longest acknowledgement, and what surrounds a batch. Bytes.
const SMALL: usize = 160;
/// A question or its answer, at most. Bytes.
const QUESTION: usize = 64 * 1024;

fn elapsed(now: Micros) -> Duration {
    Duration::from_micros(now)
}

/// What follows for a conversation from doing something.
enum Next {
    On,
    /// It waits for the disk.
    Wait,
    /// It is over.
    Over,
}

impl<D: Disk> World<D> {
    pub(crate) fn established(&mut self, conn: usize) -> Result<(), Failure> {
        let Some(found) = self.conns.get(&conn) else { return Ok(()) };
        if found.cut {
            return Ok(());
        }
        let pair = found_pair(found.ends[0].machine, found.ends[1].machine);
        if !self.seated(conn) {
            self.report.refused += 1;
            if let Some(found) = self.conns.get_mut(&conn) {
                found.refused = true;
            }
            self.close(conn, 1);
            return Ok(());
        }
        self.report.sessions += 1;
        self.trace(3, conn as u64, pair);
        self.fell_over(conn);
        for end in 0..2 {
            if !self.greet(conn, end)? {
                self.close(conn, end);
                return Ok(());
            }
        }
        for end in 0..2 {
            self.pump(conn, end)?;
        }
        Ok(())
    }

    /// Whoever is called talks to one machine of a device at a time, as
    /// `sync/link/src/doubles.rs` does: a conversation that has died makes room, one that lives
    /// does not.
    fn seated(&mut self, conn: usize) -> bool {
        let Some(found) = self.conns.get(&conn) else { return false };
        let (caller, called) = (found.ends[0].machine, found.ends[1].machine);
        let device = self.machines[caller].seat.device;
        let others = self.machines[called].conns.iter().copied().filter(|other| *other != conn);
        let before = others.into_iter().find(|other| {
            self.conns.get(other).is_some_and(|c| {
                c.ends[1].machine == called
                    && c.ends[1].session.is_some()
                    && self.machines[c.ends[0].machine].seat.device == device
            })
        });
        match before {
            None => true,
            Some(before) if self.conns[&before].cut => {
                self.gone(before, 1);
                true
            }
            Some(_) => false,
        }
    }

    fn admitted(&self, conn: usize, end: usize) -> Option<(PeerInfo, Hello)> {
        let found = self.conns.get(&conn)?;
        let (me, other) = (found.ends[end].machine, found.ends[1 - end].machine);
        let port = self.machines[me].seat.disk.port();
        let peer = port.admit_peer(&self.machines[other].seat.disk.key()).ok()?;
        let hello = port.hello(&peer).ok()?;
        Some((peer, hello))
    }

    fn greet(&mut self, conn: usize, end: usize) -> Result<bool, Failure> {
        let Some((peer, hello)) = self.admitted(conn, end) else { return Ok(false) };
        let now = self.now;
        let Some(found) = self.conns.get_mut(&conn) else { return Ok(false) };
        let (me, other) = (found.ends[end].machine, found.ends[1 - end].machine);
        let Ok(knows) = self.machines[me].seat.disk.port().knows(&peer) else { return Ok(false) };
        let bounds = self.bounds;
        let scopes = peer.scopes.len();
        let this = &mut found.ends[end];
        if let Some(hostile) = &mut this.hostile {
            let frame = hostile.hello(&peer, Some(hello));
            this.peer = Some(peer);
            this.bound = usize::MAX;
            self.send(conn, end, frame)?;
            self.after(crate::plan::SECOND, Event::Evil { conn });
            return Ok(true);
        }
        // A hello, four batches, entries that are fetched and given, an offer, a request, messages
        // about ranges, an acknowledgement for each scope, one question and one answer.
        this.bound = 110 * (scopes + 2)
            + 6 * (bounds.batch + bounds.entry + SMALL)
            + 8 * OFFERED_MAX
            + 32 * FETCHED_MAX
            + RANGE_BYTES_MAX
            + (scopes + 2) * SMALL
            + 2 * QUESTION
            + 5 * (bounds.batch / 32 + 2);
        // Which of the two dialled: the first end of a connection.
        let call = if end == 0 { Call::Out { knows } } else { Call::In };
        this.peer = Some(peer);
        this.session = Some(Session::new(elapsed(now), hello, call));
        let pair = (self.machines[me].seat.device, self.machines[other].seat.device);
        self.pairs.entry(pair).or_default().1 += 1;
        Ok(true)
    }

    pub(crate) fn send(&mut self, conn: usize, end: usize, bytes: Vec<u8>) -> Result<(), Failure> {
        let Some(found) = self.conns.get_mut(&conn) else { return Ok(()) };
        let arrival = if found.quic.is_some() {
            None
        } else {
            let jitter = self.rng.below(found.line.jitter + 1);
            Some(found.arrival(end, self.now, bytes.len(), jitter))
        };
        let this = &mut found.ends[end];
        this.under_way += bytes.len();
        let (under_way, bound, machine) = (this.under_way, this.bound, this.machine);
        self.report.frames += 1;
        self.report.bytes += bytes.len() as u64;
        self.report.quiet_at = self.now;
        self.report.most_under_way =
            self.report.most_under_way.max(if bound == usize::MAX { 0 } else { under_way });
        self.trace(4, conn as u64 * 2 + end as u64, crate::disk::sum(&bytes));
        if under_way > bound {
            return self
                .fail(format!("machine {machine}: {under_way} bytes under way, {bound} may"));
        }
        let answer = bytes.get(1) == Some(&3);
        match arrival {
            Some(at) => self.at(at, Event::Frame { conn, to: 1 - end, bytes }),
            None => self.speak(conn, end, &bytes),
        }
        if answer && let Some((0, Point::AfterAnswer, off)) = self.machines[machine].armed {
            self.dark(machine, off);
        }
        Ok(())
    }

    pub(crate) fn arrived(
        &mut self,
        conn: usize,
        to: usize,
        bytes: Vec<u8>,
    ) -> Result<(), Failure> {
        let Some(found) = self.conns.get_mut(&conn) else { return Ok(()) };
        if found.cut || found.ends[to].gone {
            return Ok(());
        }
        if let Some(hostile) = &mut found.ends[to].hostile {
            found.ends[1 - to].under_way -= bytes.len();
            hostile.hears(&bytes);
            return Ok(());
        }
        found.ends[to].inbox.push_back(bytes);
        self.pump(conn, to)
    }

    pub(crate) fn tick(&mut self, conn: usize, end: usize, at: Micros) -> Result<(), Failure> {
        let now = self.now;
        let Some(this) = self.conns.get_mut(&conn).map(|c| &mut c.ends[end]) else { return Ok(()) };
        if this.tick != Some(at) {
            return Ok(());
        }
        this.tick = None;
        if let Some(session) = &mut this.session
            && this.batch.is_none()
        {
            session.handle(elapsed(now), Input::Tick);
        }
        self.pump(conn, end)
    }

    /// The disk is done with a batch.
    pub(crate) fn batch_committed(&mut self, conn: usize, end: usize) -> Result<(), Failure> {
        let Some(this) = self.conns.get_mut(&conn).map(|c| &mut c.ends[end]) else { return Ok(()) };
        let (Some(batch), false, Some(peer)) = (this.batch.take(), this.gone, this.peer.clone())
        else {
            return Ok(());
        };
        let machine = this.machine;
        let Batch { scope, upto, entries } = batch;
        let stored = self.commit(machine, |disk| disk.port().store(&peer, &scope, upto, &entries));
        match stored {
            Done::Yes(_) => {
                self.promise(machine, &scope, &entries);
                self.learn(machine, true);
                self.news(machine);
                self.input(conn, end, Input::Stored { scope, upto });
                self.pump(conn, end)
            }
            Done::No => self.disk_failed(conn, end),
            Done::Dark => Ok(()),
        }
    }

    /// A machine says that it has these; what it may not have it drops, and that is no promise.
    fn promise(&mut self, machine: usize, scope: &str, entries: &[Vec<u8>]) {
        if self.machines[machine].seat.scopes.contains(scope) {
            for (id, sum) in entries.iter().filter_map(|bytes| Self::batch_id(bytes)) {
                self.oracle.promise(machine, id, sum);
            }
        }
    }

    /// What is damaged, or came back without all of it, is asked for.
    fn fetch(&mut self, conn: usize, end: usize, machine: usize, peer: &PeerInfo) {
        let rotten = self.machines[machine].seat.disk.port().rotten(peer);
        for rotten in rotten.unwrap_or_default() {
            self.input(conn, end, Input::Rotten(rotten));
        }
    }

    fn input(&mut self, conn: usize, end: usize, input: Input) {
        let now = self.now;
        if let Some(found) = self.conns.get_mut(&conn)
            && let Some(session) = &mut found.ends[end].session
        {
            session.handle(elapsed(now), input);
        }
    }

    fn disk_failed(&mut self, conn: usize, end: usize) -> Result<(), Failure> {
        let Some(found) = self.conns.get(&conn) else { return Ok(()) };
        let machine = found.ends[end].machine;
        if self.machines[machine].seat.disk.damaged() {
            self.heal(machine);
        } else {
            self.close(conn, end);
        }
        Ok(())
    }

    /// Does what one end has to do until it waits for something.
    pub(crate) fn pump(&mut self, conn: usize, end: usize) -> Result<(), Failure> {
        let mut outputs = 0;
        loop {
            let Some(this) = self.conns.get_mut(&conn).map(|c| &mut c.ends[end]) else {
                return Ok(());
            };
            let (Some(session), false) = (&mut this.session, this.gone) else { return Ok(()) };
            if this.batch.is_some() {
                return Ok(());
            }
            if let Some(output) = session.poll_output() {
                outputs += 1;
                let lanes = this.peer.as_ref().map_or(0, |p| p.scopes.len());
                if outputs > 4 * lanes + 8 {
                    return self.fail(format!("a queue of more than {outputs} outputs"));
                }
                match self.perform(conn, end, output)? {
                    Next::On => continue,
                    Next::Wait | Next::Over => return Ok(()),
                }
            }
            outputs = 0;
            if let Some(bytes) = this.inbox.pop_front() {
                let length = bytes.len();
                session.handle(elapsed(self.now), Input::Received(bytes));
                if let Some(found) = self.conns.get_mut(&conn) {
                    found.ends[1 - end].under_way -= length;
                }
                self.read_on(conn, end);
                continue;
            }
            if std::mem::take(&mut this.news) {
                if !self.tell_news(conn, end) {
                    self.close(conn, end);
                    return Ok(());
                }
                continue;
            }
            break;
        }
        self.set_tick(conn, end);
        Ok(())
    }

    fn tell_news(&mut self, conn: usize, end: usize) -> bool {
        let now = self.now;
        let Some(found) = self.conns.get_mut(&conn) else { return true };
        let other = found.ends[1 - end].machine;
        let this = &mut found.ends[end];
        let (Some(peer), Some(session)) = (&this.peer, &mut this.session) else { return true };
        let port = self.machines[this.machine].seat.disk.port();
        // The county log may have changed what this peer is.
        let still = port.admit_peer(&self.machines[other].seat.disk.key());
        let same = |now: &PeerInfo| now.scopes == peer.scopes && now.handed_in == peer.handed_in;
        if !still.is_ok_and(|still| same(&still)) {
            return false;
        }
        let Ok(heads) = port.heads(peer) else { return false };
        for (scope, head) in heads {
            session.handle(elapsed(now), Input::Committed { scope, head });
        }
        true
    }

    fn set_tick(&mut self, conn: usize, end: usize) {
        let now = self.now;
        let Some(this) = self.conns.get_mut(&conn).map(|c| &mut c.ends[end]) else { return };
        let wanted = this.session.as_ref().and_then(Session::poll_timeout);
        let Some((at, _)) = wanted else { return };
        let at = u64::try_from(at.as_micros()).unwrap_or(u64::MAX).max(now);
        // One that comes too early asks again; only an earlier wish needs another.
        if this.tick.is_none_or(|under_way| at < under_way) {
            this.tick = Some(at);
            self.at(at, Event::Tick { conn, end, at });
        }
    }

    fn perform(&mut self, conn: usize, end: usize, output: Output) -> Result<Next, Failure> {
        let Some(found) = self.conns.get(&conn) else { return Ok(Next::Over) };
        let (machine, other) = (found.ends[end].machine, found.ends[1 - end].machine);
        let Some(peer) = found.ends[end].peer.clone() else { return Ok(Next::Over) };
        match output {
            Output::Send(frame) => self.send(conn, end, frame)?,
            Output::Greeted(hello) => {
                let done = self.commit(machine, |disk| disk.port().greeted(&peer, &hello));
                if let Some(over) = self.over(conn, end, &done)? {
                    return Ok(over);
                }
                self.learn(machine, true);
                if let Ok(Some(words)) = self.machines[machine].seat.disk.port().last_word() {
                    self.input(conn, end, Input::LastWord(words));
                }
            }
            Output::GreetedAgain { incarnation, time_ms, features } => {
                let again = |disk: &mut D| {
                    disk.port().greeted_again(&peer, &incarnation, time_ms, features)
                };
                let done = self.commit(machine, again);
                if let Some(over) = self.over(conn, end, &done)? {
                    return Ok(over);
                }
                self.learn(machine, true);
            }
            Output::Store { scope, upto, entries } => {
                self.batch_begins(conn, end, Batch { scope, upto, entries });
                return Ok(Next::Wait);
            }
            Output::Acked { scope, upto } => {
                let done = self.commit(machine, |disk| disk.port().acked(&peer, &scope, upto));
                if let Some(over) = self.over(conn, end, &done)? {
                    return Ok(over);
                }
            }
            Output::Question(bytes) => {
                let answer = self.machines[machine].seat.disk.port().answer(&peer, &bytes);
                let answer = answer.ok().flatten().unwrap_or_default();
                self.input(conn, end, Input::Answer(answer));
            }
            Output::Answer(bytes) => {
                let fits = self.machines[machine].seat.disk.port().answered(&peer, &bytes);
                if fits == Ok(false) {
                    self.input(conn, end, Input::Inconsistent);
                }
            }
            Output::LastWord(_) => {
                self.close(conn, end);
                return Ok(Next::Over);
            }
            Output::Completed => {
                let done = self.commit(machine, |disk| disk.port().completed(&peer));
                if let Some(over) = self.over(conn, end, &done)? {
                    return Ok(over);
                }
                self.learn(machine, true);
                self.worked(conn);
                self.fetch(conn, end, machine, &peer);
                if let Ok(Some(question)) = self.machines[machine].seat.disk.port().question(&peer)
                {
                    self.input(conn, end, Input::Question(question));
                }
            }
            Output::Close(violation) => {
                let hostile = found.ends.iter().any(|e| e.hostile.is_some());
                self.say(|| format!("machine {machine} leaves {other}: {violation}"));
                if !hostile && violation != Violation::Silent {
                    return self.fail(format!("machine {machine} accuses {other}: {violation}"));
                }
                self.close(conn, end);
                return Ok(Next::Over);
            }
            Output::Heal { scope, entries } => {
                let done = self.commit(machine, |disk| disk.port().heal(&peer, &scope, &entries));
                if let Some(over) = self.over(conn, end, &done)? {
                    return Ok(over);
                }
                self.promise(machine, &scope, &entries);
                self.learn(machine, true);
                self.news(machine);
                let new = if let Done::Yes(new) = done { new } else { 0 };
                self.report.healed += new;
                self.input(conn, end, Input::Healed { scope, new });
            }
            Output::Warm { scope, wholes } => {
                let done = self.commit(machine, |disk| disk.port().warm(&peer, &scope, &wholes));
                if let Some(over) = self.over(conn, end, &done)? {
                    return Ok(over);
                }
                self.promise(machine, &scope, &D::entries_in(&wholes.body));
                self.learn(machine, true);
                self.news(machine);
                self.input(conn, end, Input::Warmed { scope });
            }
            Output::Repaired { scope, repaired } => {
                let note = |disk: &mut D| disk.port().repaired(&peer, &scope, repaired);
                let done = self.commit(machine, note);
                if let Some(over) = self.over(conn, end, &done)? {
                    return Ok(over);
                }
                self.report.repairs += 1;
                self.say(|| {
                    format!("machine {machine} repaired {scope} with {other}: {repaired:?}")
                });
            }
            output => {
                let port = self.machines[machine].seat.disk.port();
                let Ok(inputs) = perform(port, &peer, output) else {
                    self.disk_failed(conn, end)?;
                    return Ok(Next::Over);
                };
                for input in inputs {
                    if let Input::Loaded { entries, .. } | Input::Picked { entries, .. } = &input {
                        self.check_given(machine, other, entries)?;
                    }
                    if let Input::Wholes { wholes, .. } = &input {
                        self.check_given(machine, other, &D::entries_in(&wholes.body))?;
                    }
                    self.input(conn, end, input);
                }
            }
        }
        Ok(Next::On)
    }

    fn over<T>(
        &mut self,
        conn: usize,
        end: usize,
        done: &Done<T>,
    ) -> Result<Option<Next>, Failure> {
        match done {
            Done::Yes(_) => Ok(None),
            Done::No => self.disk_failed(conn, end).map(|()| Some(Next::Over)),
            Done::Dark => Ok(Some(Next::Over)),
        }
    }

    /// What goes to a peer is what was made, unchanged, and within the peer's scopes.
    fn check_given(&mut self, from: usize, to: usize, entries: &[Vec<u8>]) -> Result<(), Failure> {
        let device = self.machines[from].seat.device;
        let receiver = self.machines[to].seat.device;
        let pair = self.pairs.entry((device, receiver)).or_default();
        pair.0 += entries.iter().map(|e| e.len() as u64).sum::<u64>();
        for bytes in entries {
            let Some((id, sum)) = Self::batch_id(bytes) else {
                return self.fail(format!("machine {from} sends what is no entry"));
            };
            let scopes = &self.machines[to].seat.scopes;
            if let Err(what) = self.oracle.gives(id, sum, scopes) {
                return self.fail(format!("machine {from} {what}, to {to}"));
            }
        }
        Ok(())
    }
}

fn found_pair(a: usize, b: usize) -> u64 {
    (a as u64) << 32 | b as u64
}
