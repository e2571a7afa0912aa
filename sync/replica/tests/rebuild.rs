//! Derived rows are dropped and made again from the log: the same as before, at every moment whole.
#![allow(missing_docs)]

mod county;

use county::*;
use cunkou_casework::county::{Role, Statement};
use cunkou_casework::document::{Document, Schema, Section, Write};
use cunkou_casework::erasure::Basis;
use cunkou_casework::event::{Filer, Original, Step};
use cunkou_casework::ids::{AttachmentId, SubjectId};
use cunkou_casework::material::{Page, json, page_key};
use cunkou_casework::suite::attachment_id;
use cunkou_engine::Port;
use cunkou_keys::Key;
use cunkou_replica::{ActError, Who};
use cunkou_store::{AttachmentState, Lock, Store};
use std::collections::BTreeMap;

const PHOTO: &[u8] = b"the picture side of an ID card";
const COLLEAGUE: u8 = 36;
const OFFICERS: [u8; 2] = [31, 32];
const DUTY: SubjectId = SubjectId([0xd0; 16]);
const RESIDENT: SubjectId = SubjectId([0x77; 16]);

fn file(station: &Station, id: AttachmentId) -> SubjectId {
    let case = station.open_case(AGENT_YUNLING, YUNLING);
    let page = Page {
        hash: id,
        name: "人像面".into(),
        bytes: 9,
        taken: "2026-11-22".into(),
        preview: None,
    };
    let mut writes = phone("13900000101");
    writes.push(Write::set(Section::Materials, page_key("id-card", 0), json(&page)));
    writes.push(Write::set(Section::Particulars, "name", "金丝雀甲"));
    station.save(AGENT_YUNLING, case, &writes);
    let step = Step::Submitted { filer: Filer::Applicant, attachments: vec![id], deferred: vec![] };
    station.step(AGENT_YUNLING, case, step).expect("submitted");
    case
}

fn officer(n: u8) -> Statement {
    match person(n, Role::DataOfficer, COUNTY) {
        Statement::Person(person) => {
            Statement::Person(cunkou_casework::county::Person { key: None, ..person })
        }
        other => other,
    }
}

/// A county with all there is: cases open, in conflict, waiting for another's, a resident, a
/// hand-over, one that left the village, one that two people erased.
fn lived() -> County {
    let county = County::founded();
    let colleague = person(COLLEAGUE, Role::Agent, YUNLING);
    let [one, two] = OFFICERS.map(officer);
    county.relay.state(&authority(), vec![colleague, one, two]).expect("stated");
    county.settle();
    let id = attachment_id(PHOTO);
    county.yunling.store().write_attachment(&id.0, PHOTO).expect("photographed");
    let withdraw = |case| {
        let withdrawn = Step::Withdrawn { reason: "不办了".into() };
        county.yunling.step(AGENT_YUNLING, case, withdrawn).expect("withdrawn");
    };
    let (erased, left) = (file(&county.yunling, id), file(&county.yunling, id));
    withdraw(erased);
    withdraw(left);
    county.settle();
    for station in [&county.relay, &county.centre] {
        station.keep_attachment(&id.0, PHOTO).expect("received");
    }
    let officer = |n| Who { person: person_id(n), key: None };
    let asked = |desk: &cunkou_replica::Desk<'_>| {
        desk.ask_erasure(erased, officer(OFFICERS[0]), Basis::Request, "本人申请")
    };
    county.relay.act(asked).expect("asked");
    let agreed = county.relay.act(|desk| desk.agree_erasure(erased, officer(OFFICERS[1])));
    agreed.expect("agreed");
    county.settle();
    county.yunling.wait_days(31);
    assert_eq!(county.yunling.evict().expect("the store works").cases, 1);
    // From here on: what is at work.
    let open = file(&county.yunling, id);
    county.settle();
    let shared = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    county.settle();
    county.yunling.save(AGENT_YUNLING, shared, &phone("13900000001"));
    county.centre.save(CLERK, shared, &phone("13900000002"));
    county.centre.step(CLERK, open, Step::Taken).expect("taken");
    let added = |desk: &cunkou_replica::Desk<'_>| -> Result<(), ActError> {
        let key = secret(AGENT_YUNLING);
        let who = Who { person: person_id(AGENT_YUNLING), key: Some(&key) };
        desk.event(RESIDENT, who, Step::ResidentAdded { place: YUNLING })?;
        let writes = [
            Write::set(Section::Particulars, "name", "重复"),
            Write::set(Section::Particulars, "phone", "13900000303"),
        ];
        desk.edit(RESIDENT, who, &writes).map(|_| ())
    };
    county.yunling.act(added).expect("added");
    let offered = Step::DutyOffered {
        place: YUNLING,
        to: person_id(COLLEAGUE),
        cases: vec![open],
        originals: vec![Original { case: Some(open), what: "户口簿".into() }],
        promises: vec![],
        note: String::new(),
    };
    let offer = county.yunling.step(AGENT_YUNLING, DUTY, offered).expect("given");
    let taken = Step::DutyTaken { offer, remark: "户口簿没找到".into(), missing: vec![0] };
    county.yunling.step(COLLEAGUE, DUTY, taken).expect("taken");
    county.settle();
    county
}

const TABLES: [&str; 9] = [
    "subject",
    "case_row",
    "resident_row",
    "resident_key",
    "duty",
    "dirty",
    "attachment",
    "attachment_of",
    "entry",
];

/// Every derived row as text, and every document as what it says.
fn derived(station: &Station) -> BTreeMap<String, Vec<String>> {
    let folder = tempfile::tempdir().expect("a folder");
    let (copy, plain) = (folder.path().join("copy.db"), folder.path().join("plain.db"));
    station.store().snapshot(&copy).expect("a copy");
    let lock = Lock::Key(Key::of([station.n; 32]));
    Store::rewrap(&copy, &lock, &plain, &Lock::Plain).expect("unlocked");
    let db = rusqlite::Connection::open(plain).expect("opened");
    let rows = |table: &str| -> Vec<String> {
        let mut query = db.prepare(&format!("SELECT * FROM {table}")).expect("a table");
        let columns = query.column_count();
        let rows = query.query_map([], |row| {
            (0..columns)
                .map(|n| row.get::<_, rusqlite::types::Value>(n))
                .collect::<Result<Vec<_>, _>>()
        });
        let rows = rows.expect("rows").map(|row| format!("{:?}", row.expect("a row")));
        let mut rows: Vec<String> = rows.collect();
        rows.sort();
        rows
    };
    let mut out: BTreeMap<String, Vec<String>> =
        TABLES.map(|table| (table.to_owned(), rows(table))).into();
    let mut query = db.prepare("SELECT subject, pos, bytes FROM document").expect("documents");
    let documents = query.query_map([], |row| {
        let (subject, bytes): ([u8; 16], Vec<u8>) = (row.get(0)?, row.get(2)?);
        let schema = if subject == RESIDENT.0 { Schema::Resident1 } else { Schema::Case1 };
        let document = Document::load(schema, &bytes).expect("it loads");
        let pos: u64 = row.get(1)?;
        Ok(format!("{subject:?} {pos} {:?} {:?}", document.heads(), document.projection()))
    });
    let mut documents: Vec<String> = documents.expect("rows").map(|d| d.expect("a row")).collect();
    documents.sort();
    out.insert("document".into(), documents);
    out
}

#[test]
fn every_derived_row_is_made_again_as_it_was_and_what_left_or_was_erased_stays_so() {
    let county = lived();
    for station in county.all() {
        let before = derived(station);
        let mut heard = Vec::new();
        let rebuilt = station.rebuild(|done, all| heard.push((done, all))).expect("rebuilt");
        assert_eq!(derived(station), before);
        assert_eq!(rebuilt.dropped, 0);
        assert!(heard.is_sorted() && heard.last().is_some_and(|(done, all)| done == all));
        assert!(!station.rebuilding().expect("readable"));
    }
    let village = derived(&county.yunling);
    let count = |table: &str| village[table].len();
    assert_eq!((count("case_row"), count("resident_row"), count("duty")), (3, 1, 1));
    assert!(village["case_row"].iter().any(|card| card.contains("金***")), "the card of what left");
    assert!(count("document") == 3 && count("resident_key") > 2);
}

#[test]
fn rows_that_went_wrong_are_put_right_and_rows_of_nothing_go() {
    let county = lived();
    let station = &county.yunling;
    let before = derived(station);
    let spoiled: Result<(), cunkou_store::StoreError> = station.store().write(|tx| {
        let cases = tx.subjects_after(&[], 100)?;
        for case in &cases {
            if let (Some(row), None) = (tx.case_row(case)?, tx.evicted(case)?) {
                tx.set_case_row(&cunkou_store::CaseRow { phase: "archived".into(), ..row })?;
            }
        }
        tx.remove_duty(&DUTY.0)?;
        tx.set_subject(&[0xee; 16], 1, "place:11")
    });
    spoiled.expect("the store works");
    assert_ne!(derived(station), before, "the control");
    assert_eq!(station.rebuild(|_, _| ()).expect("rebuilt").dropped, 1);
    assert_eq!(derived(station), before);
}

#[test]
fn a_photo_that_lies_on_the_disk_is_not_fetched_again() {
    let county = lived();
    let id = attachment_id(PHOTO);
    let lost = county.relay.store().write(|tx| tx.attachment_lost(&id.0));
    lost.expect("the store works");
    county.relay.rebuild(|_, _| ()).expect("rebuilt");
    let row = county.relay.store().read(|view| view.attachment(&id.0)).expect("readable");
    assert_eq!(row.map(|row| row.state), Some(AttachmentState::Here));
}

#[test]
fn what_a_cut_interrupts_is_whole_at_every_moment_and_goes_on_where_it_was() {
    let mut county = County::founded();
    for _ in 0..30 {
        let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
        county.yunling.save(AGENT_YUNLING, case, &phone("13900000101"));
    }
    let before = derived(&county.yunling);
    let station = &county.yunling;
    let cut = std::panic::AssertUnwindSafe(|| station.rebuild(|_, _| panic!("the power is cut")));
    assert!(std::panic::catch_unwind(cut).is_err());
    assert!(station.rebuilding().expect("readable"));
    assert_eq!(derived(station), before, "old rows and new ones, each whole");
    county.yunling.restart();
    let mut heard = Vec::new();
    let rebuilt = county.yunling.rebuild(|done, all| heard.push((done, all))).expect("rebuilt");
    // 30 cases and the county itself; twenty were done.
    assert_eq!((heard.first(), rebuilt.subjects), (Some(&(31, 31)), 31));
    assert!(!county.yunling.rebuilding().expect("readable"));
    assert_eq!(derived(&county.yunling), before);
}
