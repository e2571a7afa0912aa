//! Who may have something erased, and that no order and no later word changes it.

use super::*;
use crate::county::{Device, Numbered, Person, Post, Statement};
use crate::entry::{ClockSource, Entry, Kind, LogPosition, Signers};
use crate::event::encode;
use crate::ids::{Incarnation, PlaceId, SubjectId};
use crate::suite::SecretKey;
use proptest::prelude::*;

const RELAY: u8 = 1;
const BOX: u8 = 2;
const OFFICER: u8 = 11;
const SECOND: u8 = 12;
const REVIEWER: u8 = 13;
const IT: u8 = 14;
const AGENT: u8 = 15;

fn secret(n: u8) -> SecretKey {
    SecretKey::from_seed(&[n; 32])
}

fn header(n: u64, person: Option<u8>, device: u8, log: LogPosition) -> Header {
    let mut salt = [0; 16];
    salt[..8].copy_from_slice(&n.to_be_bytes());
    Header {
        salt,
        person: person.map(|p| PersonId([p; 16])),
        device: DeviceId([device; 16]),
        incarnation: Incarnation([device; 16]),
        seq: n + 1,
        previous: None,
        log,
        claimed_ms: 1_795_000_000_000 + n as i64,
        clock: ClockSource::Relay,
    }
}

fn county() -> CountyLog {
    let mut log = CountyLog::new(SubjectId([0xc0; 16]), secret(99).public());
    let device = |n: u8, kind| {
        let (id, key) = (DeviceId([n; 16]), secret(n).public());
        let places = if kind == DeviceKind::Relay { vec![] } else { vec![PlaceId(11)] };
        Statement::Device(Device { id, key, kind, name: String::new(), places, phone: "".into() })
    };
    let person = |n: u8, role| {
        let post = Post { role, place: PlaceId(1), department: None };
        Statement::Person(Person {
            id: PersonId([n; 16]),
            login: format!("p{n}"),
            name: String::new(),
            key: None,
            posts: vec![post],
            phone: String::new(),
            keys: None,
            kin: None,
        })
    };
    let said = [
        Statement::Founded { name: "清河县".into(), authority: secret(99).public() },
        device(RELAY, DeviceKind::Relay),
        device(BOX, DeviceKind::Village),
        person(OFFICER, Role::DataOfficer),
        person(SECOND, Role::DataOfficer),
        person(REVIEWER, Role::Reviewer),
        person(IT, Role::It),
        person(AGENT, Role::Agent),
    ];
    for statement in said {
        let head = log.head();
        let numbered = Numbered { position: head.position + 1, previous: head.head, statement };
        let (relay, authority) = (secret(RELAY), secret(99));
        let signers = Signers { device: &relay, person: None, authority: Some(&authority) };
        let header = header(head.position, None, RELAY, head);
        let entry = Entry::sign(log.county, Kind::County, header, encode(&numbered), signers);
        log.take(&entry.expect("small")).expect("the next");
    }
    log
}

fn said(county: &CountyLog, n: u64, person: Option<u8>, device: u8, saying: Saying) -> Said {
    let mut id = [0; 32];
    // Names are hashes: their order says nothing of time.
    id.copy_from_slice(blake3::hash(&n.to_be_bytes()).as_bytes());
    let header = header(n, person, device, county.head());
    Said { id: EntryId(id), header, attestation: Attestation::Relay, saying }
}

fn asked() -> Saying {
    let (number, item) = ("123456789015".into(), "elder-subsidy".into());
    Saying::Asked {
        basis: Basis::Retention,
        number,
        item,
        reason: "鉴定小组 2026 年第 3 号".into(),
    }
}

#[test]
fn a_data_officer_asks_and_another_person_of_the_county_agrees_and_nobody_else() {
    let county = county();
    let ask = said(&county, 1, Some(OFFICER), RELAY, asked());
    let agree = |who, device| {
        let saying = Saying::Agreed { asked: ask.id };
        judge(&[ask.clone(), said(&county, 2, who, device, saying)], &county)
    };
    for second in [SECOND, REVIEWER] {
        let judged = agree(Some(second), RELAY);
        let erased = judged.erased.expect("agreed");
        assert_eq!((erased.asking.by.0[0], erased.second.0[0]), (OFFICER, second));
        assert_eq!(erased.asking.number, "123456789015");
        assert!(judged.open.is_empty() && judged.refused.is_empty());
    }
    for (who, device, why) in [
        (Some(OFFICER), RELAY, Reason::OwnCase),
        (Some(IT), RELAY, Reason::NoPost),
        (Some(AGENT), RELAY, Reason::NoPost),
        (None, RELAY, Reason::NoPerson),
        (Some(SECOND), BOX, Reason::OutOfScope),
    ] {
        let judged = agree(who, device);
        assert_eq!(judged.erased, None);
        assert_eq!(judged.open.len(), 1, "it still waits for a second person");
        assert_eq!(judged.refused.iter().map(|r| r.1).collect::<Vec<_>>(), [why]);
    }
}

#[test]
fn only_a_data_officer_at_the_relay_asks() {
    let county = county();
    for (who, device) in
        [(Some(REVIEWER), RELAY), (Some(IT), RELAY), (Some(AGENT), BOX), (Some(OFFICER), BOX)]
    {
        let ask = said(&county, 1, who, device, asked());
        let agree = said(&county, 2, Some(SECOND), RELAY, Saying::Agreed { asked: ask.id });
        let judged = judge(&[ask, agree], &county);
        assert_eq!((judged.erased, judged.open.len(), judged.refused.len()), (None, 0, 1));
    }
}

#[test]
fn who_asked_takes_it_back_until_somebody_has_agreed() {
    let county = county();
    let ask = said(&county, 1, Some(OFFICER), RELAY, asked());
    let decline = Saying::Declined { asked: ask.id, reason: "还在诉讼".into() };
    let decline = said(&county, 2, Some(OFFICER), RELAY, decline);
    let judged = judge(&[ask.clone(), decline.clone()], &county);
    assert_eq!((judged.open.len(), judged.erased), (0, None));
    let agree = said(&county, 3, Some(SECOND), RELAY, Saying::Agreed { asked: ask.id });
    let judged = judge(&[ask, decline, agree], &county);
    assert!(judged.erased.is_some(), "an agreement dominates");
}

#[test]
fn every_device_speaks_for_itself_and_a_person_never_for_one() {
    let county = county();
    let ask = said(&county, 1, Some(OFFICER), RELAY, asked());
    let agree = said(&county, 2, Some(SECOND), RELAY, Saying::Agreed { asked: ask.id });
    let done = Saying::Done { agreed: agree.id };
    let by_box = said(&county, 4, None, BOX, done.clone());
    let again = said(&county, 5, None, BOX, done.clone());
    let by_person = said(&county, 6, Some(AGENT), BOX, done);
    let judged = judge(&[ask, agree, by_box, again, by_person], &county);
    let erased = judged.erased.expect("agreed");
    assert_eq!(erased.done.len(), 1);
    assert_eq!(erased.done[&DeviceId([BOX; 16])], 1_795_000_000_004, "the first time it said so");
    assert_eq!(judged.refused.len(), 1);
}

#[test]
fn words_without_end_are_no_saying() {
    let long = Saying::Declined { asked: EntryId([1; 32]), reason: "长".repeat(1001) };
    assert!(Saying::decode(&encode(&long)).is_err());
    assert_eq!(Saying::decode(&encode(&asked())).expect("its own bytes"), asked());
}

proptest! {
    #[test]
    fn whatever_the_order_and_however_often_the_judgement_is_the_same(
        picked in proptest::collection::vec((0u8..4, 0usize..5, 0usize..4), 1..12),
        order in any::<u64>(),
    ) {
        let county = county();
        let people = [OFFICER, SECOND, REVIEWER, IT, AGENT];
        let mut all: Vec<Said> = Vec::new();
        for (n, (what, who, of)) in picked.into_iter().enumerate() {
            let of = all.get(of).map_or(EntryId([0; 32]), |s| s.id);
            let (person, device, saying) = match what {
                0 => (Some(people[who]), RELAY, asked()),
                1 => (Some(people[who]), RELAY, Saying::Agreed { asked: of }),
                2 => (Some(people[who]), RELAY, Saying::Declined { asked: of, reason: "".into() }),
                _ => (None, BOX, Saying::Done { agreed: of }),
            };
            all.push(said(&county, n as u64, person, device, saying));
        }
        let once = judge(&all, &county);
        let mut shuffled: Vec<Said> = all.iter().chain(&all).cloned().collect();
        shuffled.sort_by_key(|s| *blake3::keyed_hash(&[order as u8; 32], &s.id.0).as_bytes());
        prop_assert_eq!(&judge(&shuffled, &county), &once);
        // More is known later; what was gone stays gone.
        for n in 0..all.len() {
            if judge(&all[..n], &county).erased.is_some() {
                prop_assert!(once.erased.is_some());
            }
        }
    }
}
