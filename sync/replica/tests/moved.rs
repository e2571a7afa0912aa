//! A resident moves to another village: the record follows, the old village's boxes keep names.
#![allow(missing_docs)]

mod county;

use county::talk::{converse, converse_for};
use county::*;
use cunkou_casework::county::{DeviceKind, Role, Statement};
use cunkou_casework::document::{Section, Write};
use cunkou_casework::event::Step;
use cunkou_casework::ids::{EntryId, PlaceId, Scope, SubjectId};
use cunkou_engine::Port;
use cunkou_replica::{ActError, Who};

const NAME: &str = "金丝雀甲";
const LATER: &str = "金丝雀乙";

fn scope(place: PlaceId) -> String {
    Scope::Place(place).to_string()
}

fn named(station: &Station, who: u8, subject: SubjectId, name: &str) -> Result<bool, ActError> {
    let key = secret(who);
    station.act(|desk| {
        let who = Who { person: person_id(who), key: Some(&key) };
        desk.edit(subject, who, &[Write::set(Section::Particulars, "name", name)])
    })
}

fn added(station: &Station, who: u8, place: PlaceId) -> SubjectId {
    let key = secret(who);
    let subject = station
        .act(|desk| -> Result<_, ActError> {
            let who = Who { person: person_id(who), key: Some(&key) };
            let subject = SubjectId(desk.random());
            desk.event(subject, who, Step::ResidentAdded { place })?;
            Ok(subject)
        })
        .expect("registered");
    named(station, who, subject, NAME).expect("saved");
    subject
}

fn moved(
    station: &Station,
    who: u8,
    subject: SubjectId,
    place: PlaceId,
) -> Result<EntryId, ActError> {
    station.step(who, subject, Step::ResidentMoved { place })
}

fn everybody(county: &County) {
    for _ in 0..3 {
        for station in county.boxes() {
            converse(station, &county.relay);
        }
    }
}

fn name_at(station: &Station, subject: SubjectId) -> Option<String> {
    station.resident(subject).expect("readable").map(|file| file.resident.name)
}

/// Everybody who shares a village with the relay holds the same of it, and nothing is repaired.
fn at_rest(county: &County) {
    for station in county.boxes() {
        let heard = converse(station, &county.relay);
        assert!(heard.from_relay.is_empty() && heard.repaired.is_empty(), "{heard:?}");
        let scopes = station.peer(&county.relay).scopes;
        let ours = station.sums(&station.peer(&county.relay), &scopes).expect("readable");
        let theirs = county.relay.sums(&county.relay.peer(station), &scopes).expect("readable");
        let sum = |all: &[(String, u64, [u8; 16])]| -> Vec<_> {
            all.iter().map(|(scope, _, sum)| (scope.clone(), *sum)).collect()
        };
        assert_eq!(sum(&ours), sum(&theirs), "device {}", station.n);
        assert_eq!(station.scrub_status().expect("readable").to_heal, 0);
    }
}

#[test]
fn the_record_follows_a_resident_and_leaves_the_old_village_once_the_county_has_it() {
    let county = County::founded();
    let subject = added(&county.yunling, AGENT_YUNLING, YUNLING);
    let other = added(&county.yunling, AGENT_YUNLING, YUNLING);
    everybody(&county);
    // The agent of another village may not fetch somebody.
    assert!(moved(&county.longtan, AGENT_LONGTAN, subject, LONGTAN).is_err());
    named(&county.yunling, AGENT_YUNLING, subject, LATER).expect("saved");
    moved(&county.yunling, AGENT_YUNLING, subject, LONGTAN).expect("moved");
    // Not acknowledged: it stays.
    assert_eq!(county.yunling.settle_villages().expect("the store works"), 0);
    assert_eq!(name_at(&county.yunling, subject).as_deref(), Some(LATER));
    everybody(&county);
    assert_eq!(name_at(&county.longtan, subject).as_deref(), Some(LATER));
    assert_eq!(name_at(&county.yunling, subject), None);
    let rows = county.yunling.store().read(|view| view.entries_of(&subject.0)).expect("readable");
    assert!(rows.iter().all(|row| row.bytes.is_empty()));
    assert_eq!(name_at(&county.yunling, other).as_deref(), Some(NAME));
    for both in [&county.relay, &county.centre] {
        assert_eq!(name_at(both, subject).as_deref(), Some(LATER));
    }
    // The new village goes on with it, and the old one hears nothing of that.
    named(&county.longtan, AGENT_LONGTAN, subject, NAME).expect("saved");
    assert!(named(&county.yunling, AGENT_YUNLING, subject, "别人").is_err());
    everybody(&county);
    assert_eq!(name_at(&county.centre, subject).as_deref(), Some(NAME));
    assert_eq!(name_at(&county.yunling, subject), None);
    at_rest(&county);
    county.yunling.rebuild(|_, _| {}).expect("rebuilt");
    assert_eq!(name_at(&county.yunling, subject), None);
    county.relay.rebuild(|_, _| {}).expect("rebuilt");
    at_rest(&county);
}

#[test]
fn who_moves_back_is_whole_again() {
    let mut county = County::founded();
    let subject = added(&county.yunling, AGENT_YUNLING, YUNLING);
    everybody(&county);
    moved(&county.yunling, AGENT_YUNLING, subject, LONGTAN).expect("moved");
    everybody(&county);
    named(&county.longtan, AGENT_LONGTAN, subject, LATER).expect("saved");
    moved(&county.longtan, AGENT_LONGTAN, subject, YUNLING).expect("moved back");
    everybody(&county);
    county.yunling.restart();
    everybody(&county);
    assert_eq!(name_at(&county.yunling, subject).as_deref(), Some(LATER));
    assert_eq!(name_at(&county.longtan, subject), None);
    assert_eq!(name_at(&county.centre, subject).as_deref(), Some(LATER));
    at_rest(&county);
}

#[test]
fn what_the_old_village_saved_without_a_network_reaches_the_new_one() {
    let county = County::founded();
    let subject = added(&county.yunling, AGENT_YUNLING, YUNLING);
    everybody(&county);
    // The township moves them; the village has not heard of it and goes on.
    moved(&county.centre, CLERK, subject, LONGTAN).expect("moved");
    named(&county.yunling, AGENT_YUNLING, subject, LATER).expect("saved");
    converse(&county.centre, &county.relay);
    converse(&county.longtan, &county.relay);
    assert_eq!(name_at(&county.longtan, subject).as_deref(), Some(NAME));
    everybody(&county);
    assert_eq!(name_at(&county.longtan, subject).as_deref(), Some(LATER));
    assert_eq!(name_at(&county.yunling, subject), None);
    at_rest(&county);
}

#[test]
fn a_move_cut_anywhere_ends_in_the_same() {
    for cut in (0..30).step_by(4) {
        let mut county = County::founded();
        let subject = added(&county.yunling, AGENT_YUNLING, YUNLING);
        everybody(&county);
        named(&county.yunling, AGENT_YUNLING, subject, LATER).expect("saved");
        moved(&county.yunling, AGENT_YUNLING, subject, LONGTAN).expect("moved");
        converse_for(&county.yunling, &county.relay, cut);
        county.yunling.restart();
        converse_for(&county.longtan, &county.relay, cut);
        county.longtan.restart();
        everybody(&county);
        assert_eq!(name_at(&county.longtan, subject).as_deref(), Some(LATER), "cut {cut}");
        assert_eq!(name_at(&county.yunling, subject), None, "cut {cut}");
        at_rest(&county);
    }
}

#[test]
fn a_box_that_comes_new_to_the_old_village_is_given_nothing_of_who_left_it() {
    let county = County::founded();
    let subject = added(&county.yunling, AGENT_YUNLING, YUNLING);
    let other = added(&county.yunling, AGENT_YUNLING, YUNLING);
    everybody(&county);
    moved(&county.yunling, AGENT_YUNLING, subject, LONGTAN).expect("moved");
    everybody(&county);
    let fresh = device(8, DeviceKind::Village, &[YUNLING]);
    county.relay.state(&authority(), vec![fresh]).expect("enrolled");
    let station = Station::new(8);
    enrol(&county.relay, &station);
    let heard = converse(&station, &county.relay);
    assert!(heard.repaired.is_empty(), "{:?}", heard.repaired);
    assert_eq!(name_at(&station, other).as_deref(), Some(NAME));
    assert_eq!(name_at(&station, subject), None);
    let rows = station.store().read(|view| view.entries_of(&subject.0)).expect("readable");
    assert_eq!(rows.len(), 1, "that they moved, and nothing else");
}

#[test]
fn who_moved_while_a_box_did_not_serve_the_village_is_not_asked_for_for_ever() {
    let county = County::founded();
    let subject = added(&county.yunling, AGENT_YUNLING, YUNLING);
    everybody(&county);
    let serves = |places: &[PlaceId]| {
        let statement = device(CENTRE, DeviceKind::Township, places);
        county.relay.state(&authority(), vec![statement]).expect("stated");
    };
    serves(&[LONGTAN]);
    everybody(&county);
    assert!(county.centre.lost_villages().expect("readable")[0].left);
    moved(&county.yunling, AGENT_YUNLING, subject, LONGTAN).expect("moved");
    everybody(&county);
    assert_eq!(name_at(&county.centre, subject).as_deref(), Some(NAME), "by the new village");
    serves(&[YUNLING]);
    everybody(&county);
    assert_eq!(name_at(&county.centre, subject), None);
    at_rest(&county);
    serves(&[YUNLING, LONGTAN]);
    everybody(&county);
    assert_eq!(name_at(&county.centre, subject).as_deref(), Some(NAME));
    at_rest(&county);
}

#[test]
fn an_agent_who_moves_to_another_box_loses_nothing() {
    let county = County::founded();
    let subject = added(&county.yunling, AGENT_YUNLING, YUNLING);
    let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    county.yunling.save(AGENT_YUNLING, case, &phone("13900000101"));
    // The county gives them a post elsewhere while their box has no network.
    let post = person(AGENT_YUNLING, Role::Agent, LONGTAN);
    county.relay.state(&authority(), vec![post]).expect("stated");
    everybody(&county);
    assert_eq!(name_at(&county.relay, subject).as_deref(), Some(NAME));
    let file = county.relay.case(case).expect("readable").expect("at the county");
    assert_eq!(file.current.get(Section::Form, "phone"), Some("13900000101"));
    assert_eq!(county.relay.status().expect("readable").quarantine, 0);
    // There they work now, here no more.
    assert!(county.yunling.step(AGENT_YUNLING, case, submitted()).is_err());
    county.longtan.open_case(AGENT_YUNLING, LONGTAN);
    everybody(&county);
    at_rest(&county);
}

#[test]
fn a_box_that_comes_new_to_a_village_does_not_repair_what_was_erased_there() {
    let county = County::founded();
    let officer = person(31, Role::DataOfficer, COUNTY);
    let reviewer = person(32, Role::DataOfficer, COUNTY);
    county.relay.state(&authority(), vec![officer, reviewer]).expect("stated");
    let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    county.yunling.save(AGENT_YUNLING, case, &phone("13900000101"));
    everybody(&county);
    let (ask, agree) = (secret(31), secret(32));
    let asked = county.relay.act(|desk| {
        let who = Who { person: person_id(31), key: Some(&ask) };
        desk.ask_erasure(case, who, cunkou_casework::erasure::Basis::Retention, "到期")
    });
    asked.expect("asked");
    let agreed = county
        .relay
        .act(|desk| desk.agree_erasure(case, Who { person: person_id(32), key: Some(&agree) }));
    agreed.expect("agreed");
    everybody(&county);
    assert!(county.yunling.is_erased(case).expect("readable"));
    at_rest(&county);
    let fresh: Statement = device(8, DeviceKind::Village, &[YUNLING]);
    county.relay.state(&authority(), vec![fresh]).expect("enrolled");
    let station = Station::new(8);
    enrol(&county.relay, &station);
    let heard = converse(&station, &county.relay);
    assert!(heard.repaired.is_empty(), "{:?}", heard.repaired);
    assert!(station.is_erased(case).expect("readable"));
    let of = scope(YUNLING);
    let sum = |a: &Station, b: &Station| {
        a.sums(&a.peer(b), std::slice::from_ref(&of)).expect("readable")[0].2
    };
    assert_eq!(sum(&station, &county.relay), sum(&county.relay, &station));
}
