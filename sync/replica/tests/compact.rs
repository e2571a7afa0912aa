//! Closed cases take less room, and nobody who reads them can tell.
#![allow(missing_docs)]

mod county;

use county::*;
use cunkou_casework::county::{DeviceKind, Person, Role, Statement};
use cunkou_casework::document::{Section, Write};
use cunkou_casework::erasure::Basis;
use cunkou_casework::event::Step;
use cunkou_casework::ids::SubjectId;
use cunkou_engine::Part;
use cunkou_keys::Key;
use cunkou_replica::{COMPACT_DAYS, Compacted, Who};
use cunkou_store::{EntryRow, Lock, Store, StoreError};
use std::collections::BTreeMap;

const OURS: &str = "place:11";

/// A case as a village files it: the record of the resident, two pages of a form, corrections,
/// three photos, a submission, withdrawn in the end.
fn closed(station: &Station, n: usize) -> SubjectId {
    let case = station.open_case(AGENT_YUNLING, YUNLING);
    let set = |section, key: &str, value: String| Write::set(section, key, value);
    let particulars = [
        ("name", format!("张桂兰{n}")),
        ("id", format!("1309991942030{n:05}")),
        ("phone", format!("139{n:08}")),
        ("address", format!("云溪县清河镇云岭村{n}组{n}号")),
        ("nation", "汉族".to_owned()),
        ("bank", format!("62284801{n:010}")),
    ];
    let all = particulars.map(|(key, value)| set(Section::Particulars, key, value));
    station.save(AGENT_YUNLING, case, &all);
    for page in 0..2 {
        let fields = (0..7).map(|f| {
            set(
                Section::Form,
                &format!("page{page}-field{f}"),
                format!("第 {f} 项的回答 {}", n * f),
            )
        });
        station.save(AGENT_YUNLING, case, &fields.collect::<Vec<_>>());
    }
    for photo in 0..3 {
        let json = format!(
            r#"{{"hash":"{:064x}","name":"第 {photo} 页","bytes":{}}}"#,
            n * 1_000_003 + photo,
            200_000 + n
        );
        station.save(AGENT_YUNLING, case, &[set(Section::Materials, &format!("p/{photo}"), json)]);
    }
    station.save(AGENT_YUNLING, case, &phone(&format!("138{n:08}")));
    station.step(AGENT_YUNLING, case, submitted()).expect("submitted");
    let withdrawn = Step::Withdrawn { reason: "不办了".into() };
    station.step(AGENT_YUNLING, case, withdrawn).expect("withdrawn");
    case
}

/// A county with closed cases and an open one, all at the relay and older than the policy asks.
fn county(cases: usize) -> (County, Vec<SubjectId>, SubjectId) {
    let county = County::founded();
    let all = (0..cases).map(|n| closed(&county.yunling, n)).collect();
    let open = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    county.yunling.save(AGENT_YUNLING, open, &phone("13700000000"));
    county.settle();
    county.relay.wait_days(COMPACT_DAYS + 1);
    (county, all, open)
}

type Read = (Vec<EntryRow>, Vec<Vec<u8>>, Vec<Vec<u8>>, [u8; 16]);

/// Everything that anybody reads of these cases: rows, what is sent, what is given by name, sums.
fn read(station: &Station, cases: &[SubjectId]) -> Read {
    let read = station.store().read(|view| -> Result<Read, StoreError> {
        let mut rows = Vec::new();
        for case in cases {
            rows.extend(view.entries_of(&case.0)?);
        }
        let head = view.head(OURS)?;
        let (_, sent) = view.log_part(&Part::behind(OURS, 0, usize::MAX), i64::MIN, head)?;
        let names: Vec<[u8; 32]> = rows.iter().map(|row| row.id).collect();
        let picked = view.pick(OURS, &names, usize::MAX, false)?.entries;
        Ok((rows, sent, picked, view.name_sum(OURS)?.digest(head)))
    });
    read.expect("the store works")
}

fn pages(station: &Station, cases: &[SubjectId]) -> BTreeMap<SubjectId, String> {
    let page = |case: &SubjectId| {
        let file = station.case(*case).expect("the store works").expect("here");
        let said = format!("{:?} {:?} {:?}", file.current, file.heads, file.edits);
        assert!(file.content_holds);
        (*case, said)
    };
    cases.iter().map(page).collect()
}

fn compacted(station: &Station) -> Compacted {
    station.compact(COMPACT_DAYS, |_| ()).expect("the store works")
}

fn packed(station: &Station) -> u64 {
    station.store().read(|view| view.packed()).expect("the store works").0
}

#[test]
fn a_packed_case_is_read_sent_checked_and_made_again_as_it_was() {
    let (county, cases, open) = county(40);
    let relay = &county.relay;
    let all: Vec<SubjectId> = cases.iter().copied().chain([open]).collect();
    let before = (read(relay, &all), pages(relay, &all));
    let used_before = relay.store().read(|view| view.used_bytes()).expect("the store works");
    let done = compacted(relay);
    assert_eq!((done.cases, packed(relay)), (40, 40), "the open one is left");
    assert!(done.after * 10 < done.before * 7, "{done:?}");
    let used = relay.store().read(|view| view.used_bytes()).expect("the store works");
    println!("{done:?}; pages in use {used_before} -> {used}");
    assert!(used * 100 < used_before * 95, "{used_before} {used}");
    assert_eq!((read(relay, &all), pages(relay, &all)), before);
    assert_eq!(compacted(relay), Compacted::default(), "once");
    let found = relay.scrub(&[], |_, _| ()).expect("scrubbed");
    assert!(found.clean(), "{found:?}");
    relay.rebuild(|_, _| ()).expect("rebuilt");
    assert_eq!((read(relay, &all), pages(relay, &all)), before, "made again from the packs");
    assert_eq!(compacted(relay).cases, 40, "documents that were made again go back into them");
    assert_eq!((read(relay, &all), pages(relay, &all)), before);
    assert_eq!(compacted(relay), Compacted::default());
}

#[test]
fn a_box_that_is_enrolled_anew_on_an_empty_disk_gets_packed_and_open_cases_as_they_are() {
    const NEW: u8 = 5;
    let (county, cases, open) = county(4);
    let relay = &county.relay;
    let all: Vec<SubjectId> = cases.iter().copied().chain([open]).collect();
    compacted(relay);
    relay
        .state(&authority(), vec![device(NEW, DeviceKind::Village, &[YUNLING])])
        .expect("enrolled");
    let fresh = Station::new(NEW);
    enrol(relay, &fresh);
    Talk::begin(relay, &fresh).finish();
    let bytes = |station: &Station| -> BTreeMap<[u8; 32], Vec<u8>> {
        read(station, &all).0.into_iter().map(|row| (row.id, row.bytes)).collect()
    };
    assert_eq!(bytes(&fresh), bytes(relay));
    for (case, page) in pages(relay, &all) {
        let there = fresh.case(case).expect("the store works").expect("it came");
        assert!(there.content_holds && page.contains(&format!("{:?}", there.current)));
    }
}

#[test]
fn what_comes_later_stands_beside_the_pack_until_it_is_old_enough() {
    let (county, cases, _) = county(2);
    let relay = &county.relay;
    compacted(relay);
    let rows = |station: &Station| read(station, &cases).0;
    let before = rows(relay).len();
    county.yunling.save(AGENT_YUNLING, cases[0], &[Write::set(Section::Notes, "n", "后来")]);
    county.settle();
    let grown = rows(relay);
    assert!(grown.len() > before);
    assert_eq!(compacted(relay).cases, 0, "too young");
    relay.wait_days(COMPACT_DAYS + 1);
    compacted(relay);
    assert_eq!(rows(relay), grown);
}

#[test]
fn what_is_erased_leaves_nothing_in_its_pack() {
    let (county, cases, _) = county(2);
    let relay = &county.relay;
    compacted(relay);
    let officers = [31, 32].map(|n| match person(n, Role::DataOfficer, COUNTY) {
        Statement::Person(person) => Statement::Person(Person { key: None, ..person }),
        other => other,
    });
    relay.state(&authority(), officers.into()).expect("named");
    let who = |n| Who { person: person_id(n), key: None };
    let asked = relay.act(|desk| desk.ask_erasure(cases[0], who(31), Basis::Request, "书面申请"));
    asked.expect("asked");
    relay.act(|desk| desk.agree_erasure(cases[0], who(32))).expect("agreed");
    relay.finish_erasures().expect("the disk works");
    assert_eq!(packed(relay), 1);
    let left = read(relay, &cases[..1]).0;
    assert!(left.iter().filter(|row| row.kind < 4).all(|row| row.bytes.is_empty()));
    assert!(pages(relay, &cases[1..]).contains_key(&cases[1]), "the other one is as it was");
}

/// The disk changes what was written: the database in plain, changed, and sealed again.
fn rot(station: &mut Station, sql: &str) {
    station.off();
    let (folder, lock) = (station.folder.path().to_owned(), Lock::Key(Key::of([station.n; 32])));
    let [work, plain, sealed] =
        ["work.db", "plain.part", "sealed.part"].map(|name| folder.join(name));
    Store::rewrap(&work, &lock, &plain, &Lock::Plain).expect("unlocked");
    rusqlite::Connection::open(&plain).and_then(|db| db.execute_batch(sql)).expect("changed");
    Store::rewrap(&plain, &Lock::Plain, &sealed, &lock).expect("locked");
    std::fs::remove_file(plain).expect("removed");
    std::fs::rename(sealed, work).expect("renamed");
    station.on();
}

#[test]
fn a_pack_that_rots_is_found_sends_nothing_and_heals_from_a_box() {
    let (mut county, cases, _) = county(3);
    let before = read(&county.relay, &cases);
    compacted(&county.relay);
    rot(&mut county.relay, "UPDATE pack SET bytes = substr(bytes, 1, length(bytes) / 2)");
    let (_, sent, picked, sum) = read(&county.relay, &cases);
    assert!(sent.len() < before.1.len() && picked.is_empty(), "a note is never sent");
    assert_eq!(sum, before.3);
    let found = county.relay.scrub(&[], |_, _| ()).expect("scrubbed");
    assert_eq!(found.rotten, before.0.len() as u64, "{found:?}");
    for bytes in &before.1 {
        let entry = cunkou_casework::entry::Entry::decode(bytes).expect("an entry");
        county.relay.heal(entry.id(), bytes).expect("the store works");
    }
    let after = read(&county.relay, &cases);
    let bytes = |read: &Read| read.0.iter().map(|row| row.bytes.clone()).collect::<Vec<_>>();
    assert_eq!(bytes(&after), bytes(&before));
    assert!(county.relay.scrub(&[], |_, _| ()).expect("scrubbed").clean());
    assert_eq!(pages(&county.relay, &cases).len(), 3);
}

#[test]
fn packing_is_asked_for_every_half_minute_and_done_once_a_day() {
    let (county, ..) = county(1);
    county.relay.compact_when_due().expect("the store works");
    assert_eq!(packed(&county.relay), 1);
    closed(&county.yunling, 7);
    county.settle();
    county.relay.compact_when_due().expect("the store works");
    assert_eq!(packed(&county.relay), 1, "too young");
    county.relay.wait_days(COMPACT_DAYS + 1);
    county.relay.compact_when_due().expect("the store works");
    assert_eq!(packed(&county.relay), 2);
}
