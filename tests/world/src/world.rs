//! The world: one thread, virtual time, events in one order.

use crate::conn::{Batch, Conn, End};
use crate::disk::Disk;
use crate::oracle::{AtRest, Oracle, name};
use crate::plan::{
    Bounds, DAY, Failure, HOUR, MINUTE, MS, Micros, Plan, Point, Report, SECOND, Seat,
};
use crate::quic::{Quic, Weather};
use crate::rng::Rng;
use cunkou_engine::Backoff;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Connecting may take so long before it is given up.
pub(crate) const CONNECT: Micros = 6 * SECOND;
/// Who is refused because another of its device talks comes again after so long at least.
pub(crate) const DOUBLE: Micros = 60 * SECOND;
/// A transport that hears nothing for so long gives the connection up.
pub(crate) const IDLE: Micros = 30 * SECOND;
/// Who talks to its second relay tries the first again after so long.
const FAIL_BACK: Micros = HOUR;
/// So long a machine waits before it tells its sessions of news: commits come in groups.
const GATHER: Micros = MS;
/// No world of any size needs as many.
const EVENTS_MAX: u64 = 20_000_000;

/// Something that happens.
#[derive(Debug)]
pub(crate) enum Event {
    Dial { machine: usize, run: u64 },
    Established { conn: usize },
    Frame { conn: usize, to: usize, bytes: Vec<u8> },
    Committed { conn: usize, end: usize },
    Tick { conn: usize, end: usize, at: Micros },
    News { machine: usize, run: u64 },
    Gone { conn: usize, end: usize },
    Start { machine: usize, run: u64 },
    FailBack { conn: usize },
    Work(usize),
    Fault(usize),
    Roomy { machine: usize },
    Evil { conn: usize },
    Packet { conn: usize, to: usize, bytes: Vec<u8> },
    Alarm { conn: usize, end: usize, at: Micros },
    Turn { conn: usize, end: usize },
    Well,
}

/// How a machine gets to a relay.
#[derive(Debug)]
pub(crate) struct Dial {
    /// Which of its relays.
    pub(crate) at: usize,
    failures: u32,
    pub(crate) backoff: Backoff,
    pub(crate) conn: Option<usize>,
}

#[derive(Debug)]
pub(crate) struct Machine<D: Disk> {
    pub(crate) seat: Seat<D>,
    pub(crate) on: bool,
    pub(crate) run: u64,
    /// When it is on again.
    pub(crate) back_at: Micros,
    pub(crate) dial: Dial,
    pub(crate) armed: Option<(u64, Point, Micros)>,
    pub(crate) backup: Option<D::Image>,
    pub(crate) conns: BTreeSet<usize>,
    pub(crate) news: bool,
    /// A copy that was taken away.
    pub(crate) retired: bool,
    /// How often its history may have begun anew for its peers.
    pub(crate) resets: u64,
    /// Scopes that it has, or had.
    pub(crate) ever: BTreeSet<String>,
}

/// What became of something that was to be committed.
pub(crate) enum Done<T> {
    Yes(T),
    /// The disk refused.
    No,
    /// The power went.
    Dark,
}

/// Many machines, their connections and their fate.
#[derive(Debug)]
pub struct World<D: Disk> {
    pub(crate) now: Micros,
    nr: u64,
    queue: BTreeMap<(Micros, u64), Event>,
    pub(crate) machines: Vec<Machine<D>>,
    pub(crate) conns: BTreeMap<usize, Conn>,
    next_conn: usize,
    pub(crate) partitions: Vec<(Micros, BTreeSet<usize>)>,
    pub(crate) plan: Plan,
    pub(crate) bounds: Bounds,
    pub(crate) oracle: Oracle,
    pub(crate) rng: Rng,
    pub(crate) report: Report,
    /// Entries' bytes and conversations for each pair of devices.
    pub(crate) pairs: BTreeMap<([u8; 16], [u8; 16]), (u64, u64)>,
    /// By then all must be said.
    rest_by: Micros,
    /// Of QUIC, where that carries the frames.
    pub(crate) weather: Option<Weather>,
    /// Content left a machine that no relay has.
    wrong: Option<String>,
    /// Whether to say what happens.
    loud: bool,
}

fn dial_of(at: usize) -> Dial {
    let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
    Dial { at, failures: 0, backoff, conn: None }
}

impl<D: Disk> World<D> {
    /// A world in which all machines are on and nobody has met yet.
    #[must_use]
    pub fn new(seats: Vec<Seat<D>>, plan: Plan, bounds: Bounds, rng: Rng) -> Self {
        let mut world = Self {
            now: 0,
            nr: 0,
            queue: BTreeMap::new(),
            machines: Vec::new(),
            conns: BTreeMap::new(),
            next_conn: 0,
            partitions: Vec::new(),
            plan,
            bounds,
            oracle: Oracle::default(),
            rng,
            report: Report::default(),
            pairs: BTreeMap::new(),
            rest_by: Micros::MAX,
            weather: None,
            wrong: None,
            loud: std::env::var_os("CUNKOU_WORLD_LOUD").is_some(),
        };
        for seat in seats {
            world.seat(seat);
            let machine = world.machines.len() - 1;
            world.oracle.seat();
            world.learn(machine, true);
        }
        for nr in 0..world.plan.work.len() {
            world.at(world.plan.work[nr].at, Event::Work(nr));
        }
        for nr in 0..world.plan.faults.len() {
            world.at(world.plan.faults[nr].at, Event::Fault(nr));
        }
        world.at(world.plan.well, Event::Well);
        world
    }

    /// Somebody new; dials within a minute.
    pub(crate) fn seat(&mut self, seat: Seat<D>) {
        let machine = self.machines.len();
        let ever = seat.scopes.clone();
        self.machines.push(Machine {
            seat,
            ever,
            on: true,
            run: 0,
            back_at: 0,
            dial: dial_of(0),
            armed: None,
            backup: None,
            conns: BTreeSet::new(),
            news: false,
            retired: false,
            resets: 0,
        });
        let wait = self.rng.below(MINUTE);
        self.after(wait, Event::Dial { machine, run: 0 });
    }

    pub(crate) fn at(&mut self, at: Micros, event: Event) {
        self.nr += 1;
        self.queue.insert((at.max(self.now), self.nr), event);
    }

    pub(crate) fn after(&mut self, wait: Micros, event: Event) {
        self.at(self.now + wait, event);
    }

    pub(crate) fn fail<T>(&self, what: impl Into<String>) -> Result<T, Failure> {
        Err(Failure { at: self.now, what: what.into() })
    }

    pub(crate) fn trace(&mut self, tag: u64, a: u64, b: u64) {
        let mut word = self.report.trace ^ self.now.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ tag;
        for part in [a, b] {
            word = (word ^ part).wrapping_mul(0x9fb2_1c65_1e98_df25);
            word ^= word >> 31;
        }
        self.report.trace = word;
    }

    pub(crate) fn say(&self, what: impl FnOnce() -> String) {
        if self.loud {
            let s = self.now / SECOND;
            println!(
                "{}d {:02}:{:02}:{:02}.{:06} {}",
                s / 86_400,
                s / 3600 % 24,
                s / 60 % 60,
                s % 60,
                self.now % SECOND,
                what()
            );
        }
    }

    /// When all must be said, from the last fault on: everything once over the slowest line for
    /// each machine, and patience, back-off and fail-back.
    fn rest_by(&self) -> Micros {
        let slowest = self.machines.iter().map(|m| m.seat.access.bits).min().unwrap_or(1).max(1);
        let commit = self.machines.iter().map(|m| m.seat.commit).max().unwrap_or(0);
        let everything = self.machines.iter().flat_map(|m| m.seat.scopes.iter().cloned()).collect();
        let once = self.oracle.bytes_in(&everything) * 8 * SECOND / slowest
            + self.oracle.entries() * commit;
        self.now + 3 * HOUR + 8 * once
    }

    /// Lets everything happen until nothing more does.
    ///
    /// # Errors
    /// The first thing that must never be.
    pub fn run(&mut self) -> Result<Report, Failure> {
        while let Some(((at, _), event)) = self.queue.pop_first() {
            self.now = at;
            self.report.events += 1;
            self.happen(event)?;
            if let Some(what) = self.wrong.take() {
                return self.fail(what);
            }
            if self.now > self.rest_by || self.report.events > EVENTS_MAX {
                return self.fail("no rest: something is still going on");
            }
        }
        self.at_rest()?;
        Ok(self.report.clone())
    }

    /// The disks of all machines that were not taken away.
    pub fn disks(&self) -> impl Iterator<Item = &D> {
        self.machines.iter().filter(|m| !m.retired).map(|m| &m.seat.disk)
    }

    fn happen(&mut self, event: Event) -> Result<(), Failure> {
        match event {
            Event::Dial { machine, run } if self.machines[machine].run == run => self.dial(machine),
            Event::Dial { .. } => {}
            Event::Established { conn } => self.established(conn)?,
            Event::Frame { conn, to, bytes } => self.arrived(conn, to, bytes)?,
            Event::Committed { conn, end } => self.batch_committed(conn, end)?,
            Event::Tick { conn, end, at } => self.tick(conn, end, at)?,
            Event::News { machine, run } => self.spread(machine, run)?,
            Event::Gone { conn, end } => self.gone(conn, end),
            Event::Start { machine, run } if self.machines[machine].run == run => {
                self.start(machine)?;
            }
            Event::Start { .. } => {}
            Event::FailBack { conn } => self.fail_back(conn),
            Event::Work(nr) => self.work(nr),
            Event::Fault(nr) => self.fault(nr)?,
            Event::Roomy { machine } => self.machines[machine].seat.disk.set_full(false),
            Event::Evil { conn } => self.evil(conn)?,
            Event::Packet { conn, to, bytes } => self.packet(conn, to, &bytes)?,
            Event::Alarm { conn, end, at } => self.alarm(conn, end, at)?,
            Event::Turn { conn, end } => self.turn(conn, end)?,
            Event::Well => self.all_well()?,
        }
        Ok(())
    }

    /// When two machines can reach each other; now if they can.
    fn reachable_at(&self, a: usize, b: usize) -> Micros {
        let off = |m: usize| if self.machines[m].on { 0 } else { self.machines[m].back_at };
        let parted = self.partitions.iter().filter(|(_, p)| p.contains(&a) != p.contains(&b));
        parted.map(|(until, _)| *until).max().unwrap_or(0).max(off(a)).max(off(b)).max(self.now)
    }

    pub(crate) fn open(&mut self, a: usize, b: usize) -> usize {
        let conn = self.next_conn;
        self.next_conn += 1;
        let end = |m: usize| End::new(m);
        let (la, lb) = (self.machines[a].seat.access, self.machines[b].seat.access);
        let mut new = Conn::new([end(a), end(b)], la, lb);
        let wait = new.line.latency * 3;
        new.quic = self.weather.map(|weather| Quic::new(self.now, weather, &mut self.rng));
        let shakes = new.quic.is_some();
        self.conns.insert(conn, new);
        self.machines[a].conns.insert(conn);
        self.machines[b].conns.insert(conn);
        if shakes {
            self.turn_due(conn, 0);
        } else {
            self.after(wait, Event::Established { conn });
        }
        conn
    }

    fn dial(&mut self, machine: usize) {
        let me = &self.machines[machine];
        if !me.on || me.retired || me.dial.conn.is_some() || me.seat.dials.is_empty() {
            return;
        }
        let to = me.seat.dials[me.dial.at % me.seat.dials.len()];
        self.hang_up(machine);
        let me = &self.machines[machine];
        if self.reachable_at(machine, to) == self.now {
            let conn = self.open(machine, to);
            self.machines[machine].dial.conn = Some(conn);
            return;
        }
        // Nothing that happens in vain until then matters: the next attempt is one of those after.
        let soonest = me.seat.dials.iter().map(|to| self.reachable_at(machine, *to)).min();
        let pause = self.rng.below(MINUTE);
        let wait = CONNECT + self.wait(machine);
        let at = (self.now + wait)
            .max(soonest.map_or(0, |at| if at > self.now { at + pause } else { 0 }));
        let me = &mut self.machines[machine];
        me.dial.failures += 1;
        if me.dial.failures.is_multiple_of(2) {
            me.dial.at += 1;
        }
        let run = me.run;
        self.at(at, Event::Dial { machine, run });
    }

    /// A program that dials has no other conversation of its own left.
    fn hang_up(&mut self, machine: usize) {
        let own = |conn: &usize| {
            self.conns.get(conn).is_some_and(|c| {
                c.ends[0].machine == machine && !c.cut && c.ends[0].hostile.is_none()
            })
        };
        let left: Vec<usize> =
            self.machines[machine].conns.iter().copied().filter(|conn| own(conn)).collect();
        for conn in left {
            self.close(conn, 0);
        }
    }

    fn wait(&mut self, machine: usize) -> Micros {
        let drawn = u32::try_from(self.rng.draw() >> 32).unwrap_or(0);
        let wait = self.machines[machine].dial.backoff.next_wait(drawn);
        u64::try_from(wait.as_micros()).unwrap_or(u64::MAX)
    }

    /// The connection is over for this end; its machine may dial again.
    pub(crate) fn gone(&mut self, conn: usize, end: usize) {
        let Some(found) = self.conns.get_mut(&conn) else { return };
        if std::mem::replace(&mut found.ends[end].gone, true) {
            return;
        }
        found.ends[end].session = None;
        found.ends[end].inbox.clear();
        let (machine, over) = (found.ends[end].machine, found.ends.iter().all(|e| e.gone));
        let refused = found.refused;
        self.trace(1, conn as u64, end as u64);
        if over {
            self.conns.remove(&conn);
        }
        let me = &mut self.machines[machine];
        me.conns.remove(&conn);
        if me.dial.conn == Some(conn) {
            me.dial.conn = None;
            let run = me.run;
            let least = if refused { DOUBLE } else { 0 };
            let wait = self.wait(machine).max(least);
            self.after(wait, Event::Dial { machine, run });
        }
    }

    /// One end closes; the other hears of it.
    pub(crate) fn close(&mut self, conn: usize, end: usize) {
        if let Some(found) = self.conns.get_mut(&conn) {
            found.cut = true;
            let latency = found.line.latency;
            self.gone(conn, end);
            self.after(latency, Event::Gone { conn, end: 1 - end });
        }
    }

    /// Both ends find out by themselves, each in its time.
    pub(crate) fn sever(&mut self, conn: usize) {
        if let Some(found) = self.conns.get_mut(&conn) {
            found.cut = true;
            for end in 0..2 {
                let wait = self.rng.within(SECOND, IDLE + 5 * SECOND);
                self.after(wait, Event::Gone { conn, end });
            }
        }
    }

    /// The power goes at a machine.
    pub(crate) fn dark(&mut self, machine: usize, off: Micros) {
        if !self.machines[machine].on {
            return;
        }
        self.say(|| format!("machine {machine} goes dark"));
        // Whatever was to last longer ends when all is well.
        let off = off.min(self.plan.well.saturating_sub(self.now).max(SECOND));
        self.trace(2, machine as u64, off);
        let me = &mut self.machines[machine];
        me.on = false;
        me.run += 1;
        me.armed = None;
        me.news = false;
        me.back_at = self.now + off;
        me.dial.conn = None;
        let (run, conns) = (me.run, std::mem::take(&mut me.conns));
        me.seat.disk.cut(&mut self.rng);
        for conn in conns {
            let Some(found) = self.conns.get_mut(&conn) else { continue };
            found.cut = true;
            let end = usize::from(found.ends[1].machine == machine);
            found.ends[end].gone = true;
            found.ends[end].session = None;
            if found.ends[1 - end].gone {
                self.conns.remove(&conn);
                continue;
            }
            // It is told by a reset when the machine is back, or notices the silence.
            let wait = self.rng.within(SECOND, IDLE + 5 * SECOND).min(off + SECOND);
            self.after(wait, Event::Gone { conn, end: 1 - end });
        }
        self.after(off, Event::Start { machine, run });
    }

    /// A machine starts. What it has promised must be there.
    fn start(&mut self, machine: usize) -> Result<(), Failure> {
        if self.machines[machine].on || self.machines[machine].retired {
            return Ok(());
        }
        self.say(|| format!("machine {machine} starts"));
        self.machines[machine].seat.disk.start(&mut self.rng);
        let held = self.machines[machine].seat.disk.held();
        if let Err(what) = self.oracle.survived(machine, &held) {
            return self.fail(what);
        }
        self.lives_again(machine);
        Ok(())
    }

    pub(crate) fn lives_again(&mut self, machine: usize) {
        let me = &mut self.machines[machine];
        me.on = true;
        me.dial = dial_of(0);
        let run = me.run;
        let wait = self.rng.below(10 * SECOND);
        self.after(wait, Event::Dial { machine, run });
    }

    /// What a machine has made since is noted.
    pub(crate) fn learn(&mut self, machine: usize, told: bool) {
        for made in self.machines[machine].seat.disk.news() {
            self.oracle.made(machine, made, told);
        }
        // Content that has left a machine is at a relay: one of those that are dialled.
        let gone = self.machines[machine].seat.disk.left();
        self.report.left += gone.len() as u64;
        let relays: BTreeSet<usize> =
            self.machines.iter().flat_map(|m| m.seat.dials.iter().copied()).collect();
        if let Err(what) = self.oracle.left(machine, &gone, &relays) {
            self.wrong.get_or_insert(what);
        }
    }

    /// Does something that commits. The power may go before, in it, or before anybody is told.
    pub(crate) fn commit<T, E>(
        &mut self,
        machine: usize,
        act: impl FnOnce(&mut D) -> Result<T, E>,
    ) -> Done<T> {
        let me = &mut self.machines[machine];
        let due = match &mut me.armed {
            Some((0, point, off)) if *point != Point::AfterAnswer => Some((*point, *off)),
            Some((n, _, _)) => {
                *n = n.saturating_sub(1);
                None
            }
            None => None,
        };
        if let Some((Point::BeforeWrite, off)) = due {
            self.dark(machine, off);
            return Done::Dark;
        }
        if let Some((Point::BeforeSync, _)) = due {
            me.seat.disk.skip_next_sync();
        }
        let done = act(&mut me.seat.disk);
        if let Some((_, off)) = due {
            self.learn(machine, false);
            self.dark(machine, off);
            return Done::Dark;
        }
        match done {
            Ok(done) => Done::Yes(done),
            Err(_) => Done::No,
        }
    }

    fn work(&mut self, nr: usize) {
        let (machine, scope) = (self.plan.work[nr].machine, self.plan.work[nr].scope.clone());
        let me = &self.machines[machine];
        if !me.on || me.retired || !me.seat.scopes.contains(&scope) {
            return;
        }
        let mut rng = self.rng.fork(nr as u64);
        if let Done::Yes(()) = self.commit(machine, |disk| disk.work(&scope, &mut rng)) {
            self.learn(machine, true);
            self.news(machine);
        }
    }

    /// All sessions of a machine are told soon.
    pub(crate) fn news(&mut self, machine: usize) {
        let me = &mut self.machines[machine];
        if me.on && !std::mem::replace(&mut me.news, true) {
            let run = me.run;
            self.after(GATHER, Event::News { machine, run });
        }
    }

    fn spread(&mut self, machine: usize, run: u64) -> Result<(), Failure> {
        if self.machines[machine].run != run {
            return Ok(());
        }
        self.machines[machine].news = false;
        let conns: Vec<usize> = self.machines[machine].conns.iter().copied().collect();
        for conn in conns {
            let Some(found) = self.conns.get_mut(&conn) else { continue };
            let end = usize::from(found.ends[0].machine != machine);
            found.ends[end].news = true;
            self.pump(conn, end)?;
        }
        Ok(())
    }

    fn fail_back(&mut self, conn: usize) {
        let Some(found) = self.conns.get(&conn) else { return };
        let machine = found.ends[0].machine;
        let me = &mut self.machines[machine];
        if me.dial.conn == Some(conn) && !me.dial.at.is_multiple_of(me.seat.dials.len()) {
            me.dial.at = 0;
            self.close(conn, 0);
        }
    }

    fn all_well(&mut self) -> Result<(), Failure> {
        self.say(|| "all is well from here".to_owned());
        self.rest_by = self.rest_by();
        self.partitions.clear();
        for machine in 0..self.machines.len() {
            self.machines[machine].seat.disk.set_full(false);
            self.machines[machine].armed = None;
            if !self.machines[machine].on {
                self.start(machine)?;
            }
        }
        self.copies_leave();
        self.evil_leaves();
        for machine in 0..self.machines.len() {
            if self.machines[machine].on && self.machines[machine].seat.disk.scrub() {
                self.heal(machine);
            }
        }
        Ok(())
    }

    /// A dialled conversation has everything.
    pub(crate) fn worked(&mut self, conn: usize) {
        let Some(found) = self.conns.get(&conn) else { return };
        let machine = found.ends[0].machine;
        let me = &mut self.machines[machine];
        if me.dial.conn == Some(conn) {
            me.dial.backoff.reset();
            me.dial.failures = 0;
        }
    }

    /// Called once a connection is there: who fell back to a later relay goes back in time.
    pub(crate) fn fell_over(&mut self, conn: usize) {
        let Some(found) = self.conns.get(&conn) else { return };
        let me = &self.machines[found.ends[0].machine];
        if me.dial.conn == Some(conn) && !me.dial.at.is_multiple_of(me.seat.dials.len()) {
            self.after(FAIL_BACK, Event::FailBack { conn });
        }
    }

    fn at_rest(&mut self) -> Result<(), Failure> {
        if self.now > self.plan.well.max(self.report.quiet_at) + DAY {
            return self.fail("a timer ran although nothing was due");
        }
        self.quiet()?;
        let all = self.machines.iter().enumerate().filter(|(_, m)| !m.retired);
        let held: Vec<_> = all
            .map(|(machine, m)| AtRest {
                machine,
                scopes: &m.seat.scopes,
                held: m.seat.disk.held(),
            })
            .collect();
        if let Err(what) = self.oracle.settled(&held) {
            return self.fail(what);
        }
        self.report.entries = self.oracle.entries();
        self.report.excused = self.oracle.excused;
        self.frugal()
    }

    /// Everybody who dials talks, nobody owes anything, and no timer runs.
    fn quiet(&self) -> Result<(), Failure> {
        for (nr, machine) in self.machines.iter().enumerate().filter(|(_, m)| !m.retired) {
            let talks = machine.dial.conn.is_some() || machine.seat.dials.is_empty();
            if !machine.on || !talks {
                return self.fail(format!("machine {nr} has given up"));
            }
        }
        for (nr, conn) in &self.conns {
            for session in conn.ends.iter().filter_map(|end| end.session.as_ref()) {
                if session.poll_timeout().is_some() || session.progress() != Default::default() {
                    return self.fail(format!("conversation {nr} waits for something for ever"));
                }
            }
        }
        Ok(())
    }

    /// What went over the lines is bounded: each pair's entries once for every time a history
    /// began anew, and six batches for each conversation that was cut.
    fn frugal(&self) -> Result<(), Failure> {
        let batch = (self.bounds.batch + self.bounds.entry) as u64;
        for ((from, to), (bytes, sessions)) in &self.pairs {
            let of = |device: &[u8; 16]| {
                let device = *device;
                self.machines.iter().filter(move |m| m.seat.device == device)
            };
            let doubles = [from, to].iter().any(|d| of(d).count() > 1);
            let resets: u64 = of(from).chain(of(to)).map(|m| m.resets).sum();
            let times = 1 + resets + if doubles { *sessions } else { 0 };
            let scopes = of(to).flat_map(|m| m.ever.iter().cloned()).collect();
            let bound = times * self.oracle.bytes_in(&scopes) + sessions * 6 * batch;
            if *bytes > bound {
                return self.fail(format!(
                    "{bytes} bytes of entries from {} to {} in {sessions} conversations; {bound} are enough",
                    from[0], to[0]
                ));
            }
        }
        Ok(())
    }

    pub(crate) fn batch_begins(&mut self, conn: usize, end: usize, batch: Batch) {
        let Some(found) = self.conns.get_mut(&conn) else { return };
        let end_of = &mut found.ends[end];
        let me = &self.machines[end_of.machine];
        if let Some(peer) = &end_of.peer {
            me.seat.disk.reserve(&peer.device, &batch.scope, batch.entries.len());
        }
        let wait = me.seat.commit;
        end_of.batch = Some(batch);
        let wait = wait + self.rng.below(wait + 1);
        self.after(wait, Event::Committed { conn, end });
    }

    pub(crate) fn batch_id(bytes: &[u8]) -> Option<(crate::disk::Id, u64)> {
        name::<D>(bytes)
    }
}
