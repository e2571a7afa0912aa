//! Two relays of one county: each has all of it, and neither is in the other's way.
#![allow(missing_docs)]

mod county;

use county::*;
use cunkou_casework::county::{DeviceKind, Statement};
use cunkou_engine::{Port, RefusalCode};

/// The number of the second relay.
const SECOND: u8 = 9;

fn second(county: &County) -> Station {
    let named = vec![device(SECOND, DeviceKind::Relay, &[])];
    county.relay.state(&authority(), named).expect("the county names it");
    let station = Station::new(SECOND);
    enrol(&county.relay, &station);
    station
}

#[test]
fn a_case_reaches_the_other_relay_and_its_boxes_and_each_relay_witnesses_it() {
    let county = County::founded();
    let second = second(&county);
    let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    let opened = county.yunling.case(case).expect("read").expect("a case").steps[0].record.id;
    county.settle();
    Talk::begin(&county.relay, &second).finish();
    let there = said(&second, case).expect("it is there");
    assert_eq!(Some(there.state), said(&county.relay, case).map(|said| said.state));
    // The township talks to the other relay for once: nothing is lacking, nothing comes twice.
    Talk::begin(&second, &county.centre).finish();
    Talk::begin(&county.relay, &second).finish();
    let relay = second.case(case).expect("read").expect("a case");
    let step = relay.steps.iter().find(|step| step.record.id == opened).expect("the step");
    assert!(step.witnessed.is_some());
    // The witness of the second stands beside that of the first, and what the first said counts.
    let first = county.relay.case(case).expect("read").expect("a case").steps[0].witnessed;
    assert_eq!(step.witnessed, first);
}

#[test]
fn two_relays_fall_silent_once_both_have_everything() {
    let county = County::founded();
    let second = second(&county);
    let _case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    county.settle();
    for _ in 0..4 {
        Talk::begin(&county.relay, &second).finish();
    }
    let before = (county.relay.entry_count(), second.entry_count());
    Talk::begin(&county.relay, &second).finish();
    assert_eq!((county.relay.entry_count(), second.entry_count()), before);
}

#[test]
fn what_a_box_tells_the_county_is_shared_between_relays_and_with_no_other_box() {
    let county = County::founded();
    let second = second(&county);
    let peer = county.relay.peer(&second);
    for scope in [upward(BOX_YUNLING), upward(CENTRE), "place:11".into(), "system".into()] {
        assert!(peer.scopes.contains(&scope), "{scope}: {:?}", peer.scopes);
    }
    assert_eq!(peer.scopes, second.peer(&county.relay).scopes, "both say the same");
    let boxed = county.yunling.peer(&county.relay);
    assert!(!boxed.scopes.contains(&upward(CENTRE)));
    let two = county.yunling.admit_peer(&secret(BOX_LONGTAN).public().0);
    assert_eq!(two.map_err(|e| e.code), Err(RefusalCode::NotEnrolled), "two boxes");
    let own = county.relay.admit_peer(&secret(RELAY).public().0);
    assert_eq!(own.map_err(|e| e.code), Err(RefusalCode::NotEnrolled), "our own key");
}

#[test]
fn a_revoked_relay_is_heard_no_more() {
    let county = County::founded();
    let second = second(&county);
    let revoked = Statement::DeviceRevoked { device: device_id(SECOND), reason: "lost".into() };
    county.relay.state(&authority(), vec![revoked]).expect("stated");
    let peer = county.relay.admit_peer(&secret(SECOND).public().0);
    assert!(
        peer.is_ok_and(|peer| peer.scopes == ["system"]),
        "its own revocation and nothing else"
    );
    drop(second);
}
