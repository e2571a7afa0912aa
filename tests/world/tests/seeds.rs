//! What the simulated world shows, and that it can see at all.
#![allow(missing_docs)]

use cunkou_world::{Fault, Plant, Point, SECOND, Scenario, Size, What};

/// A planted bug is found among so many seeds, or the simulator is blind.
const FOUND_WITHIN: u64 = 60;

#[test]
fn the_same_seed_is_the_same_world_to_the_last_frame() {
    for (size, quic) in [(Size::Small, false), (Size::Large, false), (Size::Small, true)] {
        let scenario = Scenario { size, quic, ..Scenario::small(5) };
        let [first, second] = [(); 2].map(|()| scenario.run().expect("it holds"));
        assert_eq!(first, second);
        let other = Scenario { seed: 6, ..scenario }.run().expect("it holds");
        assert_ne!(first.trace, other.trace);
    }
}

#[test]
fn packets_that_are_lost_doubled_and_overtaken_change_nothing_of_what_holds() {
    let mut lost = 0;
    let mut twice = 0;
    for seed in 0..40 {
        let run = Scenario::over_quic(seed).run();
        let report = run.unwrap_or_else(|e| panic!("seed {seed} over QUIC: {e:?}"));
        lost += report.packets_lost;
        twice += report.packets_twice;
    }
    assert!(lost > 100 && twice > 100, "the weather was fine: {lost} lost, {twice} twice");
}

#[test]
fn every_planted_bug_is_found_and_the_same_seed_holds_without_it() {
    for plant in Plant::ALL {
        for quic in [false, true] {
            let planted = |seed| Scenario { plant, quic, ..Scenario::small(seed) };
            let found = (0..FOUND_WITHIN).find(|seed| planted(*seed).run().is_err());
            let seed = found.unwrap_or_else(|| panic!("{} was not found", plant.name()));
            let without = Scenario { plant: Plant::None, ..planted(seed) };
            without.run().unwrap_or_else(|e| panic!("seed {seed} without: {e:?}"));
        }
    }
}

#[test]
fn a_failure_is_told_with_no_more_faults_than_it_needs() {
    let planted = Scenario { plant: Plant::SyncOff, ..Scenario::small(0) };
    let seed = (0..FOUND_WITHIN).find(|seed| Scenario { seed: *seed, ..planted }.run().is_err());
    let planted = Scenario { seed: seed.expect("it is found"), ..planted };
    let fewer = planted.shrink();
    assert!(fewer.len() <= planted.draw().1.faults.len());
    assert!(planted.run_faults(fewer).is_err(), "they are enough");
}

/// The power goes at each machine at each of its first commits, at every point of it.
#[test]
fn the_power_may_go_at_every_commit_and_every_acknowledgement() {
    let scenario = Scenario::small(11);
    let machines = scenario.draw().0.len();
    let points = [Point::BeforeWrite, Point::BeforeSync, Point::BeforeAnswer, Point::AfterAnswer];
    for machine in 0..machines {
        for commits in 0..20 {
            for point in points {
                let what = What::CrashAt { machine, commits, point, off: 20 * SECOND };
                let run = scenario.run_faults(vec![Fault { at: 0, what: what.clone() }]);
                run.unwrap_or_else(|e| panic!("{what:?}: {e:?}"));
            }
        }
    }
}

#[test]
fn a_relay_whose_disk_went_back_unnoticed_gets_back_what_it_gave_away() {
    // Found by the world: a peer's own entries were never sent back to it in the same epoch.
    for seed in 0..12 {
        let scenario = Scenario::small(seed);
        let well = scenario.draw().1.well;
        for machine in 0..4 {
            let faults = vec![
                Fault { at: well / 4, what: What::Backup { machine } },
                Fault { at: well / 2, what: What::Restore { machine, new_epoch: false } },
            ];
            let run = scenario.run_faults(faults);
            run.unwrap_or_else(|e| panic!("seed {seed}, machine {machine}: {e:?}"));
        }
    }
}

#[test]
fn two_machines_of_one_device_never_talk_to_a_relay_at_once_and_both_end_with_everything() {
    let mut refused = 0;
    for seed in 0..12 {
        let scenario = Scenario::small(seed);
        let (seats, plan, ..) = scenario.draw();
        for machine in 2..seats.len() {
            let faults = vec![Fault { at: plan.well / 3, what: What::Clone { machine } }];
            let run = scenario.run_faults(faults);
            refused +=
                run.unwrap_or_else(|e| panic!("seed {seed}, machine {machine}: {e:?}")).refused;
        }
    }
    assert!(refused > 0, "no double was ever refused: nothing is shown");
}
