//! The model disk and a real replica: the same suite, and both in the world.
#![allow(missing_docs)]

mod conformance;
#[path = "../../../sync/replica/tests/county/mod.rs"]
mod county;
mod real;

use conformance::{Pair, suite};
use county::{BOX_YUNLING, CENTRE, RELAY, YUNLING};
use cunkou_casework::ids::{PlaceId, Scope};
use cunkou_world::{
    Access, Bounds, Device, FEATURES, Fault, HOUR, MINUTE, MS, Model, Plan, Plant, Point, Registry,
    Rng, SECOND, Seat, Traits, What, Work, World, contained,
};
use std::sync::Arc;

#[test]
fn the_model_disk_does_what_every_disk_must() {
    suite(|| {
        let scopes = ["system".to_owned(), "place:1".to_owned()];
        let device = |n, relay| Device { id: [n; 16], relay, scopes: scopes.clone().into() };
        let registry = Arc::new(Registry::new([device(1, true), device(2, false)]));
        let disk = |n: u8| {
            let batch = cunkou_engine::BATCH_BYTES;
            let traits =
                Traits { batch, content: (10, 90), plant: Plant::None, features: Some(FEATURES) };
            Model::new([n; 16], Arc::clone(&registry), traits, &mut Rng::new(n.into()))
        };
        Pair { relay: disk(1), village: disk(2), scope: "place:1".into() }
    });
}

#[test]
fn a_real_replica_does_what_every_disk_must() {
    suite(|| {
        let [relay, _, village, _] = real::county();
        Pair { relay, village, scope: Scope::Place(YUNLING).to_string() }
    });
}

fn real_plan(rng: &mut Rng) -> Plan {
    let well = 6 * HOUR;
    let mut plan = Plan { well, ..Plan::default() };
    for _ in 0..rng.within(4, 10) {
        let machine = 1 + rng.index(3);
        let place: PlaceId = if machine == 3 { county::LONGTAN } else { YUNLING };
        let scope = Scope::Place(place).to_string();
        plan.work.push(Work { at: rng.below(well), machine, scope });
    }
    for _ in 0..rng.below(7) {
        let (at, machine) = (rng.below(well), rng.index(4));
        let off = rng.within(SECOND, HOUR);
        let what = match rng.below(8) {
            0 => What::Break { machine, clean: rng.percent(50) },
            1 => What::Partition { machines: [machine].into(), lasts: rng.within(MINUTE, HOUR) },
            2 => What::Crash { machine, off },
            3 | 4 => {
                let points = [Point::BeforeWrite, Point::BeforeAnswer, Point::AfterAnswer];
                let point = points[rng.index(points.len())];
                What::CrashAt { machine, commits: rng.below(6), point, off }
            }
            5 => What::Jump { machine, ms: 40 * 86_400_000 },
            6 => What::Again { machine: 1 + rng.index(3) },
            _ => {
                plan.faults.push(Fault { at: rng.below(at + 1), what: What::Backup { machine } });
                What::Restore { machine, new_epoch: rng.percent(50) }
            }
        };
        plan.faults.push(Fault { at, what });
    }
    plan.faults.sort_by_key(|fault| fault.at);
    plan
}

/// Signed entries, real admission, SQLite in a folder; all machines say the same of every case.
#[test]
fn real_replicas_agree_whatever_the_world_does_to_them() {
    let wanted = |name: &str| std::env::var(name).ok().and_then(|s| s.parse::<u64>().ok());
    let (from, seeds) = match wanted("CUNKOU_WORLD_SEED") {
        Some(seed) => (seed, 1),
        None => (0, wanted("CUNKOU_WORLD_REAL").unwrap_or(16)),
    };
    let mut cases = 0;
    for seed in from..from + seeds {
        let mut rng = Rng::new(seed ^ 0x7ea1);
        let plan = real_plan(&mut rng);
        let places = [vec![YUNLING, county::LONGTAN], vec![YUNLING, county::LONGTAN]];
        let places = places.into_iter().chain([vec![YUNLING], vec![county::LONGTAN]]);
        let devices = [RELAY, CENTRE, BOX_YUNLING, county::BOX_LONGTAN];
        let seats =
            real::county().into_iter().zip(devices).zip(places).map(|((disk, n), places)| {
                let upward = if n == RELAY { devices[1..].to_vec() } else { vec![n] };
                let place = |p: &PlaceId| Scope::Place(*p).to_string();
                let scopes = places.iter().map(place).chain(upward.into_iter().map(county::upward));
                Seat {
                    disk,
                    device: county::device_id(n).0,
                    scopes: scopes.chain(["system".to_owned()]).collect(),
                    access: Access { latency: 100 * MS, jitter: 50 * MS, bits: 256_000 },
                    dials: if n == RELAY { vec![] } else { vec![0] },
                    commit: 20 * MS,
                }
            });
        let bounds = Bounds { batch: cunkou_engine::BATCH_BYTES, entry: 64 * 1024 };
        let mut world = World::new(seats.collect(), plan.clone(), bounds, rng);
        if let Err(failure) = contained(&mut world) {
            panic!("SEED={seed} (CUNKOU_WORLD_SEED={seed}): {failure:?}\n{:#?}", plan.faults);
        }
        cases += real::agree(world.disks(), seed);
    }
    assert!(cases > 0 || seeds == 1, "somebody worked");
}
