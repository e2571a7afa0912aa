//! What two people of the county agreed to destroy is gone on every device, and stays gone.
#![allow(missing_docs)]

mod county;

use county::*;
use cunkou_casework::case::Reason;
use cunkou_casework::catalogue::{Contacts, Items, Release, read};
use cunkou_casework::county::Role;
use cunkou_casework::document::{Section, Write};
use cunkou_casework::entry::Kind;
use cunkou_casework::erasure::{Basis, Saying};
use cunkou_casework::event::{Filer, Step, encode};
use cunkou_casework::ids::{AttachmentId, EntryId, SubjectId};
use cunkou_casework::material::{Page, json, page_key};
use cunkou_casework::suite::attachment_id;
use cunkou_engine::Port;
use cunkou_replica::{ActError, Who};

const PHOTO: &[u8] = b"the picture side of an ID card";
const OFFICER: u8 = 31;
const SECOND: u8 = 32;
const OURS: &str = "place:11";

/// A village files a case with a photo and withdraws it; all have it. Two data officers are named.
fn closed() -> (County, SubjectId, AttachmentId) {
    let county = County::founded();
    let officer = |n| match person(n, Role::DataOfficer, COUNTY) {
        cunkou_casework::county::Statement::Person(person) => {
            cunkou_casework::county::Statement::Person(cunkou_casework::county::Person {
                key: None,
                ..person
            })
        }
        other => other,
    };
    county.relay.state(&authority(), vec![officer(OFFICER), officer(SECOND)]).expect("named");
    let id = attachment_id(PHOTO);
    county.yunling.store().write_attachment(&id.0, PHOTO).expect("photographed");
    let case = file(&county.yunling, id);
    withdraw(&county.yunling, case);
    county.settle();
    for station in [&county.relay, &county.centre] {
        station.keep_attachment(&id.0, PHOTO).expect("received");
    }
    (county, case, id)
}

fn file(station: &Station, id: AttachmentId) -> SubjectId {
    let case = station.open_case(AGENT_YUNLING, YUNLING);
    let page = Page {
        hash: id,
        name: "人像面".into(),
        bytes: 9,
        taken: "2026-11-22".into(),
        preview: None,
    };
    let writes = [
        Write::set(Section::Materials, page_key("id-card", 0), json(&page)),
        Write::set(Section::Particulars, "name", "金丝雀甲"),
    ];
    station.save(AGENT_YUNLING, case, &writes);
    let step = Step::Submitted { filer: Filer::Applicant, attachments: vec![id], deferred: vec![] };
    station.step(AGENT_YUNLING, case, step).expect("submitted");
    case
}

fn withdraw(station: &Station, case: SubjectId) {
    let withdrawn = Step::Withdrawn { reason: "不办了".into() };
    station.step(AGENT_YUNLING, case, withdrawn).expect("withdrawn");
}

/// Publishes a catalogue in which the item of the test cases is kept for so many years.
fn publish(relay: &Station, years: Option<u32>) {
    let items = include_str!("../../../county-relay/catalogue/items.json");
    let holidays = include_str!("../../../county-relay/catalogue/holidays.json");
    let mut items: Items = read("items.json", items).expect("the shipped items");
    items.version = format!("kept for {years:?}");
    items.items.truncate(1);
    items.items[0].key = "senior-allowance".into();
    items.items[0].retention = years;
    let contacts = Contacts { complaint: "12345".into(), county_it: "0319-1".into() };
    let holidays = read("holidays.json", holidays).expect("the shipped holidays");
    let bytes = Release { items, holidays, contacts }.encode();
    let digest = attachment_id(&bytes);
    relay.store().write_attachment(&digest.0, &bytes).expect("written");
    relay.store().write(|tx| tx.attachment_here(&digest.0, bytes.len() as u64)).expect("written");
    let version = format!("kept for {years:?}");
    let bytes = u32::try_from(bytes.len()).expect("short");
    let said =
        cunkou_casework::county::Statement::Catalogue { version, digest, bytes, routes: None };
    relay.state(&authority(), vec![said]).expect("published");
}

fn who(n: u8) -> Who<'static> {
    Who { person: person_id(n), key: None }
}

fn ask(relay: &Station, n: u8, case: SubjectId) -> Result<EntryId, ActError> {
    relay.act(|desk| desk.ask_erasure(case, who(n), Basis::Request, "本人申请,2026 年 7 号"))
}

fn agree(relay: &Station, n: u8, case: SubjectId) -> Result<EntryId, ActError> {
    relay.act(|desk| desk.agree_erasure(case, who(n)))
}

fn erase(relay: &Station, case: SubjectId) {
    ask(relay, OFFICER, case).expect("asked");
    agree(relay, SECOND, case).expect("agreed");
    relay.finish_erasures().expect("the disk works");
}

#[test]
fn everybody_with_a_post_at_the_county_can_sign_in_at_the_relay_and_nowhere_else() {
    let county = County::founded();
    let roles =
        [Role::Reviewer, Role::Finance, Role::It, Role::Security, Role::Audit, Role::DataOfficer];
    let named = (40..).zip(roles).map(|(n, role)| person(n, role, COUNTY)).collect();
    county.relay.state(&authority(), named).expect("named");
    county.settle();
    let works = |station: &Station, n: u8| station.workers().iter().any(|p| p.id == person_id(n));
    for (n, role) in (40..).zip(roles) {
        assert!(works(&county.relay, n), "{role:?}");
        assert!(!works(&county.centre, n) && !works(&county.yunling, n), "{role:?}");
    }
    assert!(!works(&county.relay, AGENT_YUNLING) && works(&county.yunling, AGENT_YUNLING));
}

/// A case closed in 2026 is past ten years on the first of January 2037, and listed until somebody
/// asks; one declined is listed again, and said to be.
#[test]
fn cases_past_their_retention_are_listed_and_nothing_destroys_itself() {
    let (county, case, id) = closed();
    let over = || {
        let rows = county.relay.retention_over(10).expect("readable");
        rows.iter().map(|(row, declined)| (SubjectId(row.subject), *declined)).collect::<Vec<_>>()
    };
    publish(&county.relay, Some(10));
    assert!(over().is_empty());
    county.relay.wait_days(10 * 365);
    assert!(over().is_empty(), "the tenth year after the closing runs still");
    county.relay.wait_days(50);
    assert_eq!(over(), [(case, false)]);
    assert!(!gone(&county.relay, case, id), "nothing is destroyed by itself");
    ask(&county.relay, OFFICER, case).expect("asked");
    assert!(over().is_empty(), "it is asked for");
    county.relay.act(|desk| desk.decline_erasure(case, who(SECOND), "还在发放")).expect("declined");
    assert_eq!(over(), [(case, true)]);
    publish(&county.relay, None);
    assert!(over().is_empty(), "kept for ever");
}

/// Nothing but what was said about the erasure is left of it.
fn gone(station: &Station, case: SubjectId, id: AttachmentId) -> bool {
    let rows = station.store().read(|view| view.entries_of(&case.0)).expect("readable");
    let erasure = |row: &cunkou_store::EntryRow| row.kind == 8;
    let photo = station.store().read_attachment(&id.0).expect("readable");
    let document = station.store().read(|view| view.document(&case.0)).expect("readable");
    rows.iter().all(|row| erasure(row) != row.bytes.is_empty())
        && photo.is_none()
        && document.is_none()
        && station.row(case).is_none()
        && station.case(case).expect("readable").is_none()
}

fn confirmed(relay: &Station, case: SubjectId) -> Vec<u8> {
    let erased = relay.erasure(case).expect("readable").erased.expect("erased");
    erased.done.keys().map(|device| device.0[0]).collect()
}

#[test]
fn what_two_agree_on_leaves_every_device_and_each_says_so() {
    let (county, case, id) = closed();
    ask(&county.relay, OFFICER, case).expect("asked");
    county.settle();
    for station in county.holding(YUNLING) {
        assert!(!gone(station, case, id), "one person alone destroys nothing");
    }
    assert!(matches!(agree(&county.relay, OFFICER, case), Err(ActError::Refused(Reason::OwnCase))));
    agree(&county.relay, SECOND, case).expect("agreed");
    county.relay.finish_erasures().expect("the disk works");
    assert!(gone(&county.relay, case, id));
    assert_eq!(confirmed(&county.relay, case), [RELAY]);
    assert!(!gone(&county.yunling, case, id), "no contact yet");
    county.settle();
    for station in county.holding(YUNLING) {
        assert!(gone(station, case, id));
    }
    assert_eq!(confirmed(&county.relay, case), [RELAY, CENTRE, BOX_YUNLING]);
    let counts = county.all().map(|s| s.entry_count());
    county.settle();
    assert_eq!(counts, county.all().map(|s| s.entry_count()), "and then there is silence");
    assert_eq!(county.yunling.unsent(), 0);
}

#[test]
fn what_is_open_is_not_asked_for_nor_twice_nor_by_others_and_an_asking_is_taken_back() {
    let (county, case, id) = closed();
    let open = file(&county.yunling, id);
    county.settle();
    assert!(matches!(ask(&county.relay, OFFICER, open), Err(ActError::Refused(Reason::NotNow))));
    assert!(matches!(ask(&county.relay, REVIEWER, case), Err(ActError::Refused(Reason::NoPost))));
    assert!(matches!(agree(&county.relay, SECOND, case), Err(ActError::Unknown)));
    ask(&county.relay, OFFICER, case).expect("asked");
    assert!(ask(&county.relay, SECOND, case).is_err(), "it is asked already");
    let back = |n| county.relay.act(|desk| desk.decline_erasure(case, who(n), "还要留着"));
    back(SECOND).expect("declined");
    assert!(matches!(agree(&county.relay, SECOND, case), Err(ActError::Unknown)));
    county.settle();
    assert!(!gone(&county.yunling, case, id));
    erase(&county.relay, case);
    county.settle();
    assert!(county.yunling.case(case).expect("readable").is_none());
    let photo = county.yunling.store().read_attachment(&id.0).expect("readable");
    assert!(photo.is_some(), "another case names the photo");
    withdraw(&county.yunling, open);
    county.settle();
    erase(&county.relay, open);
    county.settle();
    assert!(gone(&county.yunling, open, id));
}

#[test]
fn a_village_cannot_have_anything_erased_in_anybodys_name() {
    let (county, case, id) = closed();
    let head = county.relay.county().head();
    let asked = Saying::Asked {
        basis: Basis::Mistake,
        number: String::new(),
        item: String::new(),
        reason: "冒名".into(),
    };
    let by = (Some(OFFICER), BOX_YUNLING);
    let keys = (None, BOX_YUNLING);
    let ask = forge(case, Kind::Erasure, by, keys, 1, encode(&asked), head);
    let saying = Saying::Agreed { asked: ask.id() };
    let by = (Some(SECOND), BOX_YUNLING);
    let agree = forge(case, Kind::Erasure, by, keys, 2, encode(&saying), head);
    // The same in the relay's name.
    let by = (Some(OFFICER), RELAY);
    let third = forge(case, Kind::Erasure, by, keys, 3, encode(&asked), head);
    let saying = Saying::Agreed { asked: third.id() };
    let by = (Some(SECOND), RELAY);
    let fourth = forge(case, Kind::Erasure, by, keys, 4, encode(&saying), head);
    let batch: Vec<Vec<u8>> = [ask, agree, third, fourth].iter().map(|e| e.encode()).collect();
    let from = county.relay.peer(&county.yunling);
    Talk::begin(&county.relay, &county.yunling).finish();
    let admitted = county.relay.take_in(&from, OURS, 999, &batch);
    assert_eq!((admitted.new, admitted.quarantined), (0, 4));
    county.settle();
    for station in county.holding(YUNLING) {
        assert!(!gone(station, case, id));
    }
}

#[test]
fn a_power_cut_between_the_commit_and_the_files_is_finished_at_the_next_start() {
    let (mut county, case, id) = closed();
    ask(&county.relay, OFFICER, case).expect("asked");
    agree(&county.relay, SECOND, case).expect("agreed");
    county.relay.restart();
    assert!(county.relay.store().read_attachment(&id.0).expect("readable").is_some());
    assert_eq!(county.relay.finish_erasures().expect("the disk works"), 1);
    assert!(gone(&county.relay, case, id));
    assert_eq!(county.relay.finish_erasures().expect("the disk works"), 0);
}

#[test]
fn threat_29_an_old_disk_of_a_box_brings_nothing_back_and_loses_it_at_its_next_contact() {
    let (mut county, case, id) = closed();
    county.yunling.off();
    let old = county.yunling.copied();
    county.yunling.on();
    erase(&county.relay, case);
    county.settle();
    // The old disk wakes up, writes about the case, and tells the county.
    assert!(!gone(&old, case, id));
    old.save(AGENT_YUNLING, case, &[Write::set(Section::Notes, "n", "旧盘上写的")]);
    for _ in 0..3 {
        Talk::begin(&county.relay, &old).finish();
    }
    assert!(gone(&old, case, id));
    assert!(gone(&county.relay, case, id), "what it brought was not kept");
    county.settle();
    assert!(gone(&county.centre, case, id));
}

#[test]
fn threat_29_an_old_backup_of_the_relay_loses_it_again_at_the_first_contact_of_a_box() {
    let (mut county, case, id) = closed();
    county.relay.off();
    let backup = county.relay.copied();
    county.relay.on();
    erase(&county.relay, case);
    county.settle();
    county.relay.off();
    // As the restore does: the same county, another epoch.
    backup.store().write(|tx| tx.set_meta("epoch", &[0xee; 16])).expect("the store works");
    assert!(!gone(&backup, case, id), "the backup holds it still");
    for _ in 0..3 {
        Talk::begin(&backup, &county.yunling).finish();
    }
    assert!(gone(&backup, case, id));
    assert!(gone(&county.yunling, case, id), "and brought nothing back");
    assert_eq!(confirmed(&backup, case), [RELAY, CENTRE, BOX_YUNLING]);
    Talk::begin(&backup, &county.centre).finish();
    assert!(gone(&county.centre, case, id));
}

#[test]
fn a_box_that_never_had_it_learns_that_it_is_gone_and_nothing_else() {
    const NEW: u8 = 5;
    let (county, case, id) = closed();
    erase(&county.relay, case);
    county.settle();
    let kind = cunkou_casework::county::DeviceKind::Village;
    county.relay.state(&authority(), vec![device(NEW, kind, &[YUNLING])]).expect("enrolled");
    let fresh = Station::new(NEW);
    enrol(&county.relay, &fresh);
    for _ in 0..3 {
        Talk::begin(&county.relay, &fresh).finish();
    }
    let rows = fresh.store().read(|view| view.entries_of(&case.0)).expect("readable");
    assert!(
        !rows.is_empty() && rows.iter().all(|row| row.kind == 8),
        "only what was said about it"
    );
    assert!(gone(&fresh, case, id));
    assert!(confirmed(&county.relay, case).contains(&NEW));
}

/// Retention is over long after a case has left its box, and the two entries come apart.
#[test]
fn a_case_that_has_left_its_box_is_erased_there_too_and_the_box_says_so() {
    let (county, case, id) = closed();
    county.yunling.wait_days(31);
    assert_eq!(county.yunling.evict().expect("the store works").cases, 1);
    ask(&county.relay, OFFICER, case).expect("asked");
    county.settle();
    county.yunling.evict().expect("the store works");
    assert!(county.yunling.row(case).is_some(), "its card is here still");
    agree(&county.relay, SECOND, case).expect("agreed");
    county.relay.finish_erasures().expect("the disk works");
    county.settle();
    assert!(gone(&county.yunling, case, id));
    assert_eq!(confirmed(&county.relay, case), [RELAY, CENTRE, BOX_YUNLING]);
}

#[test]
fn what_was_opened_or_submitted_after_the_asking_is_not_destroyed() {
    let (county, _, _) = closed();
    let draft = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    county.settle();
    ask(&county.relay, OFFICER, draft).expect("a draft is nobody's file");
    county.yunling.step(AGENT_YUNLING, draft, submitted()).expect("submitted");
    county.settle();
    assert!(matches!(agree(&county.relay, SECOND, draft), Err(ActError::Refused(Reason::NotNow))));
    assert!(county.relay.case(draft).expect("readable").is_some());
    withdraw(&county.yunling, draft);
    county.settle();
    agree(&county.relay, SECOND, draft).expect("closed by now");
}

#[test]
fn a_box_that_says_done_of_what_nobody_agreed_to_fills_no_register_and_waits() {
    let (county, case, _) = closed();
    let head = county.relay.county().head();
    let done = encode(&Saying::Done { agreed: EntryId([7; 32]) });
    let made_up = SubjectId([0x77; 16]);
    let lies: Vec<_> = [case, made_up]
        .into_iter()
        .zip(1..)
        .map(|(of, n)| {
            let (by, keys) = ((None, BOX_YUNLING), (None, BOX_YUNLING));
            forge(of, Kind::Erasure, by, keys, 90 + n, done.clone(), head)
        })
        .collect();
    let from = county.relay.peer(&county.yunling);
    let batch: Vec<Vec<u8>> = lies.iter().map(|entry| entry.encode()).collect();
    county.relay.take_in(&from, OURS, 999, &batch);
    assert!(county.relay.erasures(10, 0).expect("readable").is_empty());
    for lie in &lies {
        let state = county.relay.state_of(lie.id()).map(|(state, _)| state);
        assert_eq!(state, Some(cunkou_store::EntryState::Waiting));
    }
    erase(&county.relay, case);
    let erased = county.relay.erasures(10, 0).expect("readable");
    assert_eq!(erased.len(), 1);
}

#[test]
fn a_photo_that_was_on_its_way_when_its_case_was_erased_is_not_kept() {
    let (county, case, id) = closed();
    county.centre.store().remove_attachment(&id.0).expect("not here yet");
    erase(&county.relay, case);
    county.settle();
    county.centre.keep_attachment(&id.0, PHOTO).expect("it arrives");
    assert!(county.centre.store().read_attachment(&id.0).expect("readable").is_none());
    assert!(county.centre.store().read(|view| view.attachment(&id.0)).expect("readable").is_none());
}

#[test]
fn the_number_of_an_erased_case_is_not_given_out_again_by_an_old_disk() {
    let (mut county, _, _) = closed();
    county.yunling.off();
    let old = county.yunling.copied();
    county.yunling.on();
    let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    let number = county.yunling.row(case).expect("here").number;
    county.yunling.step(AGENT_YUNLING, case, submitted()).expect("submitted");
    withdraw(&county.yunling, case);
    county.settle();
    erase(&county.relay, case);
    county.settle();
    for _ in 0..3 {
        Talk::begin(&county.relay, &old).finish();
    }
    let next = old.open_case(AGENT_YUNLING, YUNLING);
    assert_ne!(old.row(next).expect("here").number, number);
}

#[test]
fn a_photo_that_is_half_here_when_its_case_is_erased_goes_with_it_and_does_not_come_back() {
    let (county, _, _) = closed();
    let photo: Vec<u8> = (0..100_000).map(|i| (i % 249) as u8).collect();
    let id = attachment_id(&photo);
    county.yunling.store().write_attachment(&id.0, &photo).expect("photographed");
    let here = county.yunling.store().write(|tx| tx.attachment_here(&id.0, photo.len() as u64));
    here.expect("the store works");
    let case = file(&county.yunling, id);
    withdraw(&county.yunling, case);
    county.settle();
    county.relay.keep_attachment(&id.0, &photo).expect("received");
    let of = county.relay.store().attachment_outline(&id.0).expect("readable").expect("here");
    let half = &photo[..3 * cunkou_engine::ranges::GROUP];
    assert_eq!(county.centre.keep_groups(&of, 0, half), Ok(cunkou_engine::Kept::Part));
    assert!(county.centre.part(&id.0).expect("readable").is_some());
    erase(&county.relay, case);
    county.settle();
    county.centre.finish_erasures().expect("the disk works");
    assert_eq!(county.centre.part(&id.0), Ok(None));
    // What was on its way arrives all the same: from the first byte on, and in the middle.
    assert_eq!(county.centre.keep_groups(&of, 0, half), Ok(cunkou_engine::Kept::Unwanted));
    let next = &photo[half.len()..half.len() + cunkou_engine::ranges::GROUP];
    assert_eq!(county.centre.keep_groups(&of, 3, next), Ok(cunkou_engine::Kept::Unwanted));
    assert_eq!(county.centre.part(&id.0), Ok(None), "nothing of it is left");
    let asked = county.relay.outline(&county.relay.peer(&county.centre), &id.0);
    assert_eq!(asked, Ok(cunkou_engine::Given::Lacking));
}
