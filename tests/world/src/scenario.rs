//! A whole county and its bad luck, drawn from a seed.

use crate::disk::Disk;
use crate::model::{FEATURES, Model, Traits};
use crate::plan::{
    Access, Bounds, DAY, Failure, Fault, HOUR, MINUTE, MS, Micros, Plan, Point, Report, SECOND,
    Seat, What, Work,
};
use crate::plant::Plant;
use crate::quic::Weather;
use crate::registry::{Device, Registry, SYSTEM};
use crate::rng::Rng;
use crate::world::World;
use std::collections::BTreeSet;
use std::sync::Arc;

/// How large a county is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// 2 relays, a township or two, 8 to 10 boxes.
    Small,
    /// 2 relays, a township for eight boxes, 50 to 200 boxes.
    Large,
}

/// What a seed says.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// The seed.
    pub seed: u64,
    /// The size.
    pub size: Size,
    /// What is broken on purpose.
    pub plant: Plant,
    /// Whether QUIC carries the frames, packet by packet.
    pub quic: bool,
}

/// Who is where.
struct Layout {
    devices: Vec<Device>,
    /// The scopes in which people work at a machine.
    works: Vec<Vec<String>>,
    relays: usize,
}

fn layout(size: Size, rng: &mut Rng) -> Layout {
    let boxes = match size {
        Size::Small => rng.within(8, 10),
        Size::Large => rng.within(50, 200),
    };
    let townships = match size {
        Size::Small => rng.within(1, 2),
        Size::Large => boxes / 8,
    };
    let place = |n: u64| format!("place:{n}");
    let mut devices = Vec::new();
    let mut works = Vec::new();
    let mut all: BTreeSet<String> = [SYSTEM.to_owned()].into();
    let mut served = vec![Vec::new(); usize::try_from(townships).unwrap_or(1)];
    let mut village = Vec::new();
    for n in 0..boxes {
        // Some villages have two service points, some service points two villages.
        let beside = n > 0 && rng.percent(15);
        let mut places = vec![if beside { place(n - 1) } else { place(n) }];
        if n > 1 && rng.percent(10) {
            places.push(place(n - 2));
        }
        served[usize::try_from(n % townships).unwrap_or(0)].extend(places.clone());
        village.push(places);
    }
    let relays = 2;
    let mut seats: Vec<Vec<String>> = served;
    seats.extend(village);
    for (n, mut places) in seats.into_iter().enumerate() {
        let id = [u8::try_from(n + relays + 1).unwrap_or(u8::MAX); 16];
        let upward = format!("upward:{n}");
        works.push(places.clone());
        places.extend([upward, SYSTEM.to_owned()]);
        all.extend(places.iter().cloned());
        devices.push(Device { id, relay: false, scopes: places.into_iter().collect() });
    }
    let relay = |n: u8| Device { id: [n; 16], relay: true, scopes: all.clone() };
    devices.splice(0..0, [relay(1), relay(2)]);
    let of_relay: Vec<String> = all.iter().filter(|s| !s.starts_with("upward")).cloned().collect();
    works.splice(0..0, [of_relay.clone(), of_relay]);
    for (n, works) in works.iter_mut().enumerate().skip(relays) {
        works.push(format!("upward:{}", n - relays));
    }
    Layout { devices, works, relays }
}

fn access(relay: bool, rng: &mut Rng) -> Access {
    if relay {
        return Access { latency: 2 * MS, jitter: MS, bits: 100_000_000 };
    }
    let bits = [64_000, 64_000, 256_000, 2_000_000, 20_000_000, 100_000_000];
    let latency = rng.within(5, 700) * MS;
    Access { latency, jitter: rng.below(latency), bits: bits[rng.index(bits.len())] }
}

fn draw_fault(machines: usize, relays: usize, span: Micros, rng: &mut Rng) -> What {
    let machine = rng.index(machines);
    let boxed = relays + rng.index(machines - relays);
    let lasts = |rng: &mut Rng| match rng.below(3) {
        0 => rng.within(MINUTE, 2 * HOUR),
        1 => rng.within(HOUR, DAY),
        _ => rng.within(DAY, 21 * DAY),
    };
    let short = |rng: &mut Rng| rng.within(SECOND, 10 * MINUTE);
    match rng.below(22) {
        0..=2 => What::Break { machine, clean: rng.percent(50) },
        3 | 4 => {
            let some = rng.within(1, 3);
            let machines = (0..some).map(|_| rng.index(machines)).collect();
            What::Partition { machines, lasts: lasts(rng) }
        }
        5 | 6 => What::Crash { machine, off: short(rng) },
        7 => What::Crash { machine, off: lasts(rng) },
        8..=12 => {
            let points =
                [Point::BeforeWrite, Point::BeforeSync, Point::BeforeAnswer, Point::AfterAnswer];
            let point = points[rng.index(points.len())];
            What::CrashAt { machine, commits: rng.below(8), point, off: short(rng) }
        }
        13 | 14 => What::Restore { machine, new_epoch: rng.percent(60) },
        15 => What::Clone { machine: boxed },
        16 => {
            let years = i64::try_from(rng.below(60)).unwrap_or(0) - 30;
            What::Jump { machine, ms: years * 365 * 86_400_000 }
        }
        17 => What::Full { machine, lasts: rng.within(MINUTE, HOUR.min(span)) },
        18 => What::Rot { machine },
        19 => What::Again { machine: boxed },
        _ => {
            let frames = u32::try_from(rng.within(1, 25)).unwrap_or(1);
            What::Hostile { machine: boxed, relay: rng.index(relays), frames }
        }
    }
}

/// Villages that boxes lose, and of which some come back.
fn shrinking(layout: &Layout, span: Micros, rng: &mut Rng, plan: &mut Plan) {
    for _ in 0..rng.below(4) {
        let mut machine = layout.relays + rng.index(layout.devices.len() - layout.relays);
        let scopes = &layout.devices[machine].scopes;
        let places: Vec<&String> = scopes.iter().filter(|s| s.starts_with("place")).collect();
        if places.is_empty() {
            continue;
        }
        let mut scope = places[rng.index(places.len())].clone();
        let mut at = rng.below(span);
        // Often just when somebody has worked there, and it is not yet sent.
        let work = plan.work[rng.index(plan.work.len())].clone();
        if rng.percent(60) && work.machine >= layout.relays && work.scope.starts_with("place") {
            (machine, scope) = (work.machine, work.scope);
            at = (work.at + rng.below(2 * SECOND)).min(span - 1);
        }
        plan.faults.push(Fault { at, what: What::Lose { machine, scope: scope.clone() } });
        while rng.percent(60) {
            at += rng.below(span - at);
            plan.faults.push(Fault { at, what: What::Regain { machine, scope: scope.clone() } });
            if rng.percent(50) {
                at += rng.below(span - at);
                let scope = scope.clone();
                plan.faults.push(Fault { at, what: What::Lose { machine, scope } });
            }
        }
    }
}

fn draw_plan(layout: &Layout, size: Size, rng: &Rng) -> Plan {
    let machines = layout.devices.len();
    let mut rng_work = rng.fork(21);
    let mut rng_shrink = rng.fork(23);
    let mut rng = rng.fork(22);
    let spans = [2 * HOUR, 2 * DAY, 30 * DAY];
    let span = spans[rng.index(spans.len())];
    let (work, faults) = match size {
        Size::Small => (rng.within(10, 40), rng.below(13)),
        Size::Large => (rng.within(300, 900), rng.within(20, 60)),
    };
    let mut plan = Plan { well: span, ..Plan::default() };
    for _ in 0..work {
        let machine = rng_work.index(machines);
        let scopes = &layout.works[machine];
        let scope = scopes[rng_work.index(scopes.len())].clone();
        // People work in bursts, often two of them on the phone with each other.
        let at = rng_work.below(span);
        let sharing: Vec<usize> =
            (0..machines).filter(|m| layout.works[*m].contains(&scope)).collect();
        let other = sharing[rng_work.index(sharing.len())];
        for n in 0..=rng_work.below(5) {
            let at = at + n * rng_work.below(SECOND);
            let machine = if n % 2 == 0 { machine } else { other };
            plan.work.push(Work { at, machine, scope: scope.clone() });
        }
    }
    for _ in 0..faults {
        let at = rng.below(span);
        let what = draw_fault(machines, layout.relays, span, &mut rng);
        if let What::Restore { machine, .. } = what {
            plan.faults.push(Fault { at: rng.below(at + 1), what: What::Backup { machine } });
        }
        plan.faults.push(Fault { at, what });
    }
    shrinking(layout, span, &mut rng_shrink, &mut plan);
    plan.faults.sort_by_key(|fault| fault.at);
    plan
}

impl Scenario {
    /// A small one without a plant.
    #[must_use]
    pub fn small(seed: u64) -> Self {
        Self { seed, size: Size::Small, plant: Plant::None, quic: false }
    }

    /// A small one in which QUIC carries the frames.
    #[must_use]
    pub fn over_quic(seed: u64) -> Self {
        Self { quic: true, ..Self::small(seed) }
    }

    /// The plan and the seats of this seed.
    #[must_use]
    pub fn draw(&self) -> (Vec<Seat<Model>>, Plan, Bounds, Rng) {
        let rng = Rng::new(self.seed);
        let layout = layout(self.size, &mut rng.fork(1));
        let mut draws = rng.fork(2);
        let fat = draws.percent(5);
        let content = if fat { (0, 60_000) } else { (0, draws.within(40, 900)) };
        let batches = [400, 2_000, 20_000, cunkou_engine::BATCH_BYTES];
        let batch = batches[draws.index(batches.len())];
        let registry = Arc::new(Registry::new(layout.devices.clone()));
        let mut seats = Vec::new();
        for (nr, device) in layout.devices.iter().enumerate() {
            let features = match draws.below(10) {
                0 | 1 => None,
                // Of a version between the first and this one.
                2 => Some(draws.draw() & FEATURES),
                _ => Some(FEATURES),
            };
            let traits = Traits { batch, content, plant: self.plant, features };
            let dials = match nr {
                0 => Vec::new(),
                1 => vec![0],
                _ if draws.percent(50) => vec![0, 1],
                _ => vec![1, 0],
            };
            seats.push(Seat {
                disk: Model::new(device.id, Arc::clone(&registry), traits, &mut draws),
                device: device.id,
                scopes: device.scopes.clone(),
                access: access(device.relay, &mut draws),
                dials,
                commit: draws.within(MS, 200 * MS),
            });
        }
        let plan = draw_plan(&layout, self.size, &rng);
        let entry = usize::try_from(content.1).unwrap_or(0) + 100;
        (seats, plan, Bounds { batch, entry }, rng.fork(3))
    }

    fn world(&self, seats: Vec<Seat<Model>>, plan: Plan, bounds: Bounds, rng: Rng) -> World<Model> {
        let mut draws = Rng::new(self.seed).fork(4);
        let world = World::new(seats, plan, bounds, rng);
        if !self.quic {
            return world;
        }
        let queue = draws.within(1, 4) * SECOND;
        world.over_quic(Weather { loss: draws.below(51), twice: draws.below(31), queue })
    }

    /// Runs it with the faults that `keep` says.
    ///
    /// # Errors
    /// The first thing that must never be; a panic is one.
    pub fn run_with(&self, keep: impl Fn(usize) -> bool) -> Result<Report, Failure> {
        let (seats, plan, bounds, rng) = self.draw();
        let plan = plan.with_faults(keep);
        contained(&mut self.world(seats, plan, bounds, rng))
    }

    /// Runs it with other faults than its own.
    ///
    /// # Errors
    /// The first thing that must never be; a panic is one.
    pub fn run_faults(&self, faults: Vec<Fault>) -> Result<Report, Failure> {
        let (seats, plan, bounds, rng) = self.draw();
        contained(&mut self.world(seats, Plan { faults, ..plan }, bounds, rng))
    }

    /// Runs it.
    ///
    /// # Errors
    /// The first thing that must never be; a panic is one.
    pub fn run(&self) -> Result<Report, Failure> {
        self.run_with(|_| true)
    }

    /// The faults without which a failure goes away: leaves out halves, then smaller parts, as
    /// long as it still fails.
    #[must_use]
    pub fn shrink(&self) -> Vec<Fault> {
        let (_, plan, _, _) = self.draw();
        let mut kept: BTreeSet<usize> = (0..plan.faults.len()).collect();
        let mut part = kept.len().div_ceil(2);
        while part > 0 {
            for first in kept.clone().into_iter().step_by(part) {
                let gone: BTreeSet<usize> = kept.range(first..).take(part).copied().collect();
                let fewer: BTreeSet<usize> = kept.difference(&gone).copied().collect();
                if fewer.len() < kept.len() && self.run_with(|nr| fewer.contains(&nr)).is_err() {
                    kept = fewer;
                }
            }
            part = if part == 1 { 0 } else { part.div_ceil(2) };
        }
        plan.with_faults(|nr| kept.contains(&nr)).faults
    }
}

/// Runs a world; a panic in it is a failure like another.
///
/// # Errors
/// The first thing that must never be.
pub fn contained<D: Disk>(world: &mut World<D>) -> Result<Report, Failure> {
    let run = std::panic::AssertUnwindSafe(|| world.run());
    std::panic::catch_unwind(run).unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<String>().map(String::as_str);
        let words = words.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(Failure { at: 0, what: format!("panic: {}", words.unwrap_or("?")) })
    })
}
