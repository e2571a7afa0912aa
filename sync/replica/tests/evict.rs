//! What leaves a village box 30 days after it was closed, and what can still be done with it.
#![allow(missing_docs)]

mod county;

use county::*;
use cunkou_casework::document::{Section, Write};
use cunkou_casework::event::{Filer, Step};
use cunkou_casework::ids::{AttachmentId, SubjectId};
use cunkou_casework::material::{Page, json, page_key};
use cunkou_casework::suite::attachment_id;
use cunkou_engine::Port;
use cunkou_store::{AttachmentState, StoreError};

const PHOTO: &[u8] = b"the picture side of an ID card, photographed once";
const NAME: &str = "金丝雀甲";

fn page(id: AttachmentId) -> Vec<Write> {
    let page = Page {
        hash: id,
        name: "人像面".into(),
        bytes: 9,
        taken: "2026-11-22".into(),
        preview: None,
    };
    vec![
        Write::set(Section::Materials, page_key("id-card", 0), json(&page)),
        Write::set(Section::Particulars, "name", NAME),
    ]
}

fn file(station: &Station, id: AttachmentId) -> SubjectId {
    let case = station.open_case(AGENT_YUNLING, YUNLING);
    station.save(AGENT_YUNLING, case, &page(id));
    let step = Step::Submitted { filer: Filer::Applicant, attachments: vec![id], deferred: vec![] };
    station.step(AGENT_YUNLING, case, step).expect("submitted");
    case
}

fn state(station: &Station, id: AttachmentId) -> Option<AttachmentState> {
    let row = station.store().read(|view| view.attachment(&id.0)).expect("the store works");
    row.map(|row| row.state)
}

fn bytes(station: &Station, id: AttachmentId) -> Option<Vec<u8>> {
    station.store().read_attachment(&id.0).expect("readable")
}

/// A county in which a case with a photo was filed, withdrawn and settled; the relay has the photo.
fn closed() -> (County, SubjectId, AttachmentId) {
    let county = County::founded();
    let id = attachment_id(PHOTO);
    county.yunling.store().write_attachment(&id.0, PHOTO).expect("photographed");
    let case = file(&county.yunling, id);
    county.settle();
    let wanted = county.relay.wanted(&county.relay.peer(&county.yunling), 10).expect("readable");
    assert_eq!(wanted, [id.0]);
    county.relay.keep_attachment(&id.0, PHOTO).expect("received");
    let withdrawn = Step::Withdrawn { reason: "不办了".into() };
    county.yunling.step(AGENT_YUNLING, case, withdrawn).expect("withdrawn");
    county.settle();
    (county, case, id)
}

#[test]
fn nothing_leaves_before_day_30_nor_what_the_county_has_not_acknowledged_nor_what_is_open() {
    let (county, case, id) = closed();
    let open = file(&county.yunling, id);
    county.settle();
    county.yunling.wait_days(29);
    assert_eq!(county.yunling.evict().expect("the store works").cases, 0);
    // Closed too, but offline: the county does not know.
    let unsent = file(&county.yunling, id);
    let withdrawn = Step::Withdrawn { reason: "不办了".into() };
    county.yunling.step(AGENT_YUNLING, unsent, withdrawn).expect("withdrawn");
    county.yunling.wait_days(300);
    assert_eq!(county.yunling.evict().expect("the store works").cases, 1);
    assert!(county.yunling.case(case).expect("readable").is_none());
    for kept in [open, unsent] {
        assert!(county.yunling.case(kept).expect("readable").is_some());
    }
    assert!(bytes(&county.yunling, id).is_some(), "another case still needs the photo");
    county.relay.wait_days(400);
    assert_eq!(county.relay.evict().expect("the store works").cases, 0, "a relay keeps everything");
}

#[test]
fn on_day_31_the_content_has_left_the_card_stays_and_sync_neither_brings_it_back_nor_repairs() {
    let (mut county, case, id) = closed();
    let before = county.yunling.row(case).expect("a card");
    county.yunling.wait_days(31);
    let gone = county.yunling.evict().expect("the store works");
    assert_eq!((gone.cases, gone.attachments), (1, 1));
    assert!(county.yunling.case(case).expect("readable").is_none());
    assert_eq!(bytes(&county.yunling, id), None);
    assert_eq!(state(&county.yunling, id), Some(AttachmentState::Left));
    let card = county.yunling.row(case).expect("the card");
    assert_eq!(
        (&card.number, &card.item, &card.phase),
        (&before.number, &before.item, &before.phase)
    );
    assert_eq!(card.applicant, "金***");
    let rows = county.yunling.store().read(|view| view.entries_of(&case.0)).expect("readable");
    assert!(!rows.is_empty() && rows.iter().all(|row| row.bytes.is_empty()), "names without bytes");
    // Nothing is asked for again, not even after a restart, and everything said again is known.
    let entries = county.yunling.entry_count();
    county.yunling.restart();
    county.settle();
    Talk::begin(&county.relay, &county.yunling).again(0, &format!("place:{YUNLING}"), 0);
    assert_eq!(county.yunling.entry_count(), entries);
    assert!(county.yunling.case(case).expect("readable").is_none());
    let wanted = county.yunling.wanted(&county.yunling.peer(&county.relay), 10).expect("readable");
    assert!(wanted.is_empty());
    assert_eq!(county.yunling.unsent(), 0);
    assert_eq!(county.yunling.evict().expect("the store works").cases, 0);
    // The county has all of it.
    assert!(county.relay.case(case).expect("readable").is_some_and(|file| file.content_holds));
    assert_eq!(bytes(&county.relay, id).as_deref(), Some(PHOTO));
}

#[test]
fn a_material_that_left_is_used_again_by_reference_on_day_31_and_on_day_300_without_a_network() {
    for days in [31, 300] {
        let (county, _, id) = closed();
        county.yunling.wait_days(days);
        assert_eq!(county.yunling.evict().expect("the store works").attachments, 1, "day {days}");
        // Offline: the new case cites the photo that is not here any more.
        let again = file(&county.yunling, id);
        let filed = county.yunling.case(again).expect("readable").expect("filed");
        assert!(filed.content_holds);
        assert_eq!(filed.attachments, (0, 0), "none is to be photographed or fetched here");
        let wanted = county.yunling.wanted(&county.yunling.peer(&county.relay), 10);
        assert!(wanted.expect("readable").is_empty());
        // The network is back: the reviewer's relay resolves the reference to the bytes it has.
        county.settle();
        let seen = county.relay.case(again).expect("readable").expect("at the county");
        assert!(seen.content_holds);
        assert_eq!(seen.attachments, (1, 1), "day {days}: the reviewer sees the photo");
        let scopes = [format!("place:{YUNLING}")];
        let may = county
            .relay
            .store()
            .read(|view| -> Result<bool, StoreError> { view.attachment_in(&id.0, &scopes) });
        assert!(may.expect("readable"));
        assert_eq!(bytes(&county.relay, id).as_deref(), Some(PHOTO));
    }
}

#[test]
fn a_thief_with_every_key_does_not_find_what_left() {
    let (county, _, _) = closed();
    county.yunling.wait_days(31);
    let plain = |station: &Station| {
        let folder = tempfile::tempdir().expect("a folder");
        let copy = folder.path().join("work.db");
        station.store().checkpoint().expect("written out");
        station.store().snapshot(&copy).expect("a copy");
        let lock = cunkou_store::Lock::Key(cunkou_keys::Key::of([station.n; 32]));
        let open = folder.path().join("open.db");
        cunkou_store::Store::rewrap(&copy, &lock, &open, &cunkou_store::Lock::Plain)
            .expect("unlocked");
        std::fs::read(open).expect("readable")
    };
    let contains = |all: &[u8]| all.windows(NAME.len()).any(|window| window == NAME.as_bytes());
    assert!(contains(&plain(&county.yunling)), "the control");
    county.yunling.evict().expect("the store works");
    assert!(!contains(&plain(&county.yunling)));
}
