//! Hand-overs of duty over real stores: signed by two at one box, the same everywhere in the end.
#![allow(missing_docs)]
mod county;

use county::*;
use cunkou_casework::case::Reason;
use cunkou_casework::county::{Post, Role, Statement};
use cunkou_casework::duty::{Duty, Phase};
use cunkou_casework::entry::Kind;
use cunkou_casework::event::{Original, Promise, Step};
use cunkou_casework::ids::{EntryId, PlaceId, SubjectId};
use cunkou_replica::{ActError, Who};
use cunkou_store::EntryState;

const COLLEAGUE: u8 = 36;

fn offered(to: u8, case: SubjectId) -> Step {
    Step::DutyOffered {
        place: YUNLING,
        to: person_id(to),
        cases: vec![case],
        originals: vec![Original { case: Some(case), what: "户口簿".into() }],
        promises: vec![Promise { case: None, what: "送药".into(), until: "2026-12-01".into() }],
        note: String::new(),
    }
}

fn taken(offer: EntryId) -> Step {
    Step::DutyTaken { offer, remark: "户口簿没找到".into(), missing: vec![0] }
}

fn withdrawn() -> Step {
    Step::Withdrawn { reason: String::new() }
}

/// A county in which a second agent works in the village.
fn staffed() -> County {
    let county = County::founded();
    let colleague = person(COLLEAGUE, Role::Agent, YUNLING);
    county.relay.state(&authority(), vec![colleague]).expect("stated");
    county.settle();
    county
}

fn said(station: &Station, duty: SubjectId) -> Option<Duty> {
    station.duty(duty).expect("the store works").map(|file| file.duty)
}

const DUTY: SubjectId = SubjectId([0xd0; 16]);

#[test]
fn what_two_people_signed_at_a_box_without_a_network_stands_at_the_township_and_the_county() {
    let county = staffed();
    let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    let offer = county.yunling.step(AGENT_YUNLING, DUTY, offered(COLLEAGUE, case)).expect("given");
    for (who, step, why) in [
        (AGENT_YUNLING, taken(offer), Reason::NoPost),
        (COLLEAGUE, withdrawn(), Reason::NoPost),
        (COLLEAGUE, offered(AGENT_YUNLING, case), Reason::NoPost),
    ] {
        let refused = county.yunling.step(who, DUTY, step);
        assert!(matches!(refused, Err(ActError::Refused(found)) if found == why), "{refused:?}");
    }
    county.yunling.step(COLLEAGUE, DUTY, taken(offer)).expect("taken");
    let here = said(&county.yunling, DUTY).expect("here");
    assert_eq!(here.phase, Phase::Taken);
    county.settle();
    for station in county.holding(YUNLING) {
        assert_eq!(said(station, DUTY).as_ref(), Some(&here));
        let rows = station.store().read(|view| view.duties(&[YUNLING.0], false, 10));
        let rows = rows.expect("rows");
        let [row] = &rows[..] else { unreachable!("one hand-over: {rows:?}") };
        assert_eq!(
            (row.phase.as_str(), row.cases, row.originals, row.promises),
            ("taken", 1, 1, 1)
        );
        assert_eq!((row.giver, row.receiver, row.aside), ([AGENT_YUNLING; 16], [COLLEAGUE; 16], 0));
        let held = station.store().read(|view| view.duty_held(YUNLING.0)).expect("rows");
        assert_eq!((held.as_ref(), row.missing), (Some(row), 1));
    }
    assert_eq!(said(&county.longtan, DUTY), None, "another village does not see it");
    let steps = county.relay.duty(DUTY).expect("works").expect("here").steps;
    let uploaded = county.yunling.duty(DUTY).expect("works").expect("here").steps;
    assert!(steps.len() == 2 && uploaded.iter().all(|s| s.witnessed.is_some()));
}

#[test]
fn offer_and_taking_give_the_same_in_any_order_of_arrival() {
    for backwards in [false, true] {
        let county = staffed();
        let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
        let older = county.yunling.step(AGENT_YUNLING, DUTY, offered(CLERK, case)).expect("given");
        let newer = offered(COLLEAGUE, case);
        let newer = county.yunling.step(AGENT_YUNLING, DUTY, newer).expect("given anew");
        let taking = county.yunling.step(COLLEAGUE, DUTY, taken(newer)).expect("taken");
        let rows = county.yunling.store().read(|view| view.entries_of(&DUTY.0)).expect("rows");
        let mut sent: Vec<Vec<u8>> = rows.into_iter().map(|row| row.bytes).collect();
        if backwards {
            sent.reverse();
        }
        let from = county.relay.peer(&county.yunling);
        let scope = format!("place:{YUNLING}");
        let talk = Talk::begin(&county.relay, &county.yunling);
        for (i, bytes) in sent.into_iter().enumerate() {
            county.relay.take_in(&from, &scope, i as u64, &[bytes]);
        }
        drop(talk);
        let there = said(&county.relay, DUTY).expect("there");
        assert_eq!(there, said(&county.yunling, DUTY).expect("here"));
        assert_eq!(there.given.expect("given").offer, newer);
        for id in [older, newer, taking] {
            assert_eq!(county.relay.state_of(id), Some((EntryState::Good, None)));
        }
    }
}

#[test]
fn an_offer_may_be_taken_back_and_then_nobody_takes_it() {
    let county = staffed();
    let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    let offer = county.yunling.step(AGENT_YUNLING, DUTY, offered(COLLEAGUE, case)).expect("given");
    let waiting = |who: u8| {
        let rows = county.yunling.store().read(|view| view.duties_waiting(&[who; 16]));
        rows.expect("rows").len()
    };
    assert_eq!((waiting(AGENT_YUNLING), waiting(COLLEAGUE), waiting(CLERK)), (1, 1, 0));
    county.yunling.step(AGENT_YUNLING, DUTY, withdrawn()).expect("taken back");
    assert_eq!((waiting(AGENT_YUNLING), waiting(COLLEAGUE)), (0, 0));
    let late = county.yunling.step(COLLEAGUE, DUTY, taken(offer));
    assert!(matches!(late, Err(ActError::Refused(Reason::NotNow))), "{late:?}");
    let key = secret(AGENT_YUNLING);
    let written = county.yunling.act(|desk| {
        let who = Who { person: person_id(AGENT_YUNLING), key: Some(&key) };
        desk.edit(DUTY, who, &phone("13900000101"))
    });
    assert!(matches!(written, Err(ActError::Unknown)), "there is no document to write in");
    county.settle();
    for station in county.holding(YUNLING) {
        assert_eq!(said(station, DUTY).map(|d| d.phase), Some(Phase::Withdrawn));
    }
}

#[test]
fn an_offer_by_somebody_without_a_post_there_or_for_another_village_does_not_count() {
    let county = staffed();
    let log = county.relay.county().head();
    let step = |to: u8, place: PlaceId| Step::DutyOffered {
        place,
        to: person_id(to),
        cases: vec![],
        originals: vec![],
        promises: vec![],
        note: String::new(),
    };
    let tries = [
        // The neighbour at the township's box, which serves both villages.
        (AGENT_LONGTAN, CENTRE, step(AGENT_YUNLING, YUNLING), EntryState::Unfounded),
        (AGENT_YUNLING, BOX_YUNLING, step(AGENT_LONGTAN, YUNLING), EntryState::Unfounded),
        (AGENT_YUNLING, BOX_YUNLING, step(COLLEAGUE, LONGTAN), EntryState::Quarantined),
    ];
    let from = county.relay.peer(&county.yunling);
    Talk::begin(&county.relay, &county.yunling).finish();
    for (salt, (who, at, step, expected)) in tries.into_iter().enumerate() {
        let subject = SubjectId([0xe0 + salt as u8; 16]);
        let by = (Some(who), at);
        let entry = forge(subject, Kind::Event, by, by, 0x70 + salt as u8, event(&[], step), log);
        let scope = format!("place:{YUNLING}");
        county.relay.take_in(&from, &scope, 50 + salt as u64, &[entry.encode()]);
        let state = county.relay.state_of(entry.id()).map(|(state, _)| state);
        assert_eq!(state, Some(expected), "{salt}");
        assert_eq!(said(&county.relay, subject), None);
    }
}

#[test]
fn who_lost_the_post_meanwhile_takes_nothing_more() {
    let county = staffed();
    let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    let offer = county.yunling.step(AGENT_YUNLING, DUTY, offered(COLLEAGUE, case)).expect("given");
    let Statement::Person(mut moved) = person(COLLEAGUE, Role::Agent, LONGTAN) else {
        unreachable!("a person")
    };
    moved.posts = vec![Post { role: Role::Agent, place: LONGTAN, department: None }];
    county.relay.state(&authority(), vec![Statement::Person(moved)]).expect("stated");
    county.settle();
    let late = county.yunling.step(COLLEAGUE, DUTY, taken(offer));
    assert!(matches!(late, Err(ActError::Refused(Reason::NoPost))), "{late:?}");
}

#[test]
fn a_subject_that_is_a_case_and_an_offer_is_no_hand_over_whichever_came_first() {
    for backwards in [false, true] {
        let county = staffed();
        Talk::begin(&county.relay, &county.yunling).finish();
        let (from, scope) = (county.relay.peer(&county.yunling), format!("place:{YUNLING}"));
        let (log, by) = (county.relay.county().head(), (Some(AGENT_YUNLING), BOX_YUNLING));
        let offer = event(&[], offered(COLLEAGUE, SubjectId([1; 16])));
        let opening = event(&[], opened("5134-2026-000001".into(), YUNLING));
        let mut sent = [
            forge(DUTY, Kind::Event, by, by, 1, offer, log),
            forge(DUTY, Kind::Event, by, by, 2, opening, log),
        ];
        if backwards {
            sent.reverse();
        }
        for (i, entry) in sent.iter().enumerate() {
            county.relay.take_in(&from, &scope, 50 + i as u64, &[entry.encode()]);
        }
        let rows = county.relay.store().read(|view| view.duties(&[], false, 10)).expect("rows");
        assert_eq!(rows, [], "backwards: {backwards}");
    }
}

#[test]
fn a_taking_dated_in_years_to_come_has_the_duty_until_the_next_one_only() {
    let county = staffed();
    Talk::begin(&county.relay, &county.yunling).finish();
    let (from, scope) = (county.relay.peer(&county.yunling), format!("place:{YUNLING}"));
    let log = county.relay.county().head();
    let (giver, taker) = ((Some(AGENT_YUNLING), BOX_YUNLING), (Some(COLLEAGUE), BOX_YUNLING));
    let ahead = SubjectId([0xe0; 16]);
    let offer = event(&[], offered(COLLEAGUE, SubjectId([1; 16])));
    let offer = forge(ahead, Kind::Event, giver, giver, 1, offer, log);
    let taking = event(&[offer.id()], taken(offer.id()));
    let taking = forge(ahead, Kind::Event, taker, taker, 2, taking, log);
    assert!(taking.header().claimed_ms > county.relay.now_ms() + 24 * 3600 * 1000);
    county.relay.take_in(&from, &scope, 50, &[offer.encode(), taking.encode()]);
    let held = || {
        let row = county.relay.store().read(|view| view.duty_held(YUNLING.0)).expect("rows");
        row.map(|row| row.subject)
    };
    assert_eq!(held(), Some(ahead.0));
    county.yunling.wait_days(1);
    let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    let offer = county.yunling.step(AGENT_YUNLING, DUTY, offered(COLLEAGUE, case)).expect("given");
    county.yunling.step(COLLEAGUE, DUTY, taken(offer)).expect("taken");
    county.relay.wait_days(1);
    county.settle();
    assert_eq!(held(), Some(DUTY.0));
}
