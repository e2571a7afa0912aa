//! Boxes that cheat, are copied or come back from the past, and relays that do.

mod county;

use county::*;
use cunkou_casework::case::Phase;
use cunkou_casework::county::Statement;
use cunkou_casework::ids::SubjectId;
use cunkou_engine::{PeerInfo, Port};
use cunkou_replica::Replica;
use cunkou_store::{EntryState, ForkKind};

fn phase(station: &Station, case: SubjectId) -> Phase {
    station.case(case).expect("the store works").expect("a case").state.phase
}

fn asks(of: &Station, relay: &Station) -> Option<bool> {
    let (to, back): (PeerInfo, PeerInfo) = (of.peer(relay), relay.peer(of));
    let (asking, answering): (&Replica, &Replica) = (of, relay);
    let question = Port::question(asking, &to).expect("the store works").expect("a box asks");
    let answer = Port::answer(answering, &back, &question).expect("the store works")?;
    Some(Port::answered(asking, &to, &answer).expect("the store works"))
}

fn revoke(county: &County, n: u8) {
    let revoked = Statement::DeviceRevoked { device: device_id(n), reason: "被盗".into() };
    county.relay.state(&authority(), vec![revoked]).expect("revoked");
}

/// What lies in a station's log of a scope, sent to another as if by `from`.
fn carry(from: &Station, by: &Station, to: &Station) {
    let scope = "place:11";
    let loaded = from.load(&from.peer(to), scope, 0, usize::MAX).expect("the store works");
    let batch: Vec<Vec<u8>> = loaded.entries;
    to.take_in(&to.peer(by), scope, 0, &batch);
}

#[test]
fn what_a_revoked_box_brings_later_is_set_aside_everywhere_alike() {
    let county = County::founded();
    let in_time = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    county.yunling.step(AGENT_YUNLING, in_time, submitted()).expect("submitted");
    county.settle();
    // The box is stolen. What it writes now names the log as it knew it: before the revocation.
    let late = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    let submitted_late =
        county.yunling.step(AGENT_YUNLING, late, submitted()).expect("on its disk");
    let edited = county.yunling.save(AGENT_YUNLING, in_time, &phone("13800000000"));
    assert!(edited, "its disk takes everything");
    revoke(&county, BOX_YUNLING);
    // Somebody else carries its entries to the relay, as a stick or a neighbour would.
    carry(&county.yunling, &county.centre, &county.relay);
    let (state, why) = county.relay.state_of(submitted_late).expect("kept");
    assert_ne!(state, EntryState::Good, "{why:?}");
    assert!(county.relay.row(late).is_none(), "the case counts nowhere");
    assert_eq!(phase(&county.relay, in_time), Phase::Received, "what the county had, stays");
    for station in [&county.centre, &county.longtan] {
        for _ in 0..3 {
            Talk::begin(&county.relay, station).finish();
        }
    }
    assert!(county.centre.row(late).is_none());
    assert_eq!(phase(&county.centre, in_time), Phase::Received);
    let of = |s: &Station| s.case(in_time).expect("works").expect("here").current.digest();
    assert_eq!(of(&county.centre), of(&county.relay), "the late edit is in neither document");
}

#[test]
fn a_save_of_a_revoked_box_that_was_applied_is_taken_out_again() {
    let county = County::founded();
    let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    county.settle();
    let before = county.centre.case(case).expect("works").expect("here").current.digest();
    assert!(county.yunling.save(AGENT_YUNLING, case, &phone("13800000000")));
    // It reaches the township's box by hand, before any relay has had it.
    let loaded =
        county.yunling.load(&county.yunling.peer(&county.relay), "place:11", 0, usize::MAX);
    let batch = loaded.expect("the store works").entries;
    county.centre.take_in(&county.centre.peer(&county.relay), "place:11", 0, &batch);
    let with = county.centre.case(case).expect("works").expect("here").current.digest();
    assert_ne!(with, before, "provisional until witnessed");
    revoke(&county, BOX_YUNLING);
    for _ in 0..3 {
        Talk::begin(&county.relay, &county.centre).finish();
    }
    let after = county.centre.case(case).expect("works").expect("here").current.digest();
    assert_eq!(after, before);
}

#[test]
fn a_disk_that_was_copied_or_restored_is_found_and_named_and_nothing_is_lost() {
    let mut county = County::founded();
    let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    county.settle();
    county.yunling.off();
    let copy = county.yunling.copied();
    county.yunling.on();
    county.yunling.step(AGENT_YUNLING, case, submitted()).expect("submitted");
    county.settle();
    assert!(county.relay.forks().expect("works").is_empty(), "one history");
    // The copy wakes up and goes on from where it was taken.
    let other = copy.open_case(AGENT_YUNLING, YUNLING);
    for _ in 0..2 {
        Talk::begin(&county.relay, &copy).finish();
    }
    let forks = county.relay.forks().expect("works");
    assert_eq!(forks.len(), 1, "{forks:?}");
    assert_eq!(forks[0].kind, ForkKind::SameParent);
    assert_eq!(forks[0].device, device_id(BOX_YUNLING).0);
    assert_eq!(phase(&county.relay, other), Phase::Draft, "nothing is dropped for it");
    assert_eq!(phase(&county.relay, case), Phase::Received);
    // Back from the relay, the copy hears which numbers are out.
    for _ in 0..2 {
        Talk::begin(&county.relay, &copy).finish();
    }
    let third = copy.open_case(AGENT_YUNLING, YUNLING);
    let number = |case| copy.row(case).expect("a row").number;
    assert!(number(third) != number(other) && number(third) != number(case));
    // Somebody has looked: the disk was restored on purpose.
    let runs = forks[0].runs.map(cunkou_casework::ids::Incarnation).to_vec();
    let device = device_id(BOX_YUNLING);
    let cleared = Statement::ForkCleared { device, runs, reason: "换盘恢复".into() };
    county.relay.state(&authority(), vec![cleared]).expect("stated");
    assert!(county.relay.forks().expect("works").is_empty());
}

#[test]
fn a_relay_that_shows_another_log_than_before_is_found_out() {
    let mut county = County::founded();
    county.yunling.open_case(AGENT_YUNLING, YUNLING);
    county.settle();
    county.relay.checkpoint().expect("works").expect("signed");
    county.relay.off();
    let earlier = county.relay.copied();
    county.relay.on();
    assert_eq!(asks(&county.yunling, &county.relay), Some(true));
    assert!(county.relay.checkpoint().expect("works").is_none(), "nothing came since");
    county.yunling.open_case(AGENT_YUNLING, YUNLING);
    county.settle();
    county.relay.checkpoint().expect("works").expect("signed");
    assert_eq!(asks(&county.yunling, &county.relay), Some(true));
    assert!(county.yunling.alarms().expect("works").is_empty());
    // The relay goes back in time and takes in other things.
    county.longtan.open_case(AGENT_LONGTAN, LONGTAN);
    for _ in 0..2 {
        Talk::begin(&earlier, &county.longtan).finish();
    }
    earlier.checkpoint().expect("works").expect("signed");
    assert_eq!(asks(&county.yunling, &earlier), Some(false));
    let alarms = county.yunling.alarms().expect("works");
    assert_eq!(alarms.len(), 1, "{alarms:?}");
    assert_eq!(asks(&county.yunling, &county.relay), Some(true), "the true one is still believed");
}

#[test]
fn a_relay_is_held_to_what_it_said_it_had() {
    let county = County::founded();
    county.yunling.open_case(AGENT_YUNLING, YUNLING);
    county.settle();
    let owed = |s: &Station| {
        s.store().read(|view| view.unproven(&device_id(RELAY).0, 16)).expect("works").len()
    };
    assert!(owed(&county.yunling) > 0, "acknowledged, not shown yet");
    county.relay.checkpoint().expect("works").expect("signed");
    assert_eq!(asks(&county.yunling, &county.relay), Some(true));
    assert_eq!(owed(&county.yunling), 0, "shown in the relay's log");
}
