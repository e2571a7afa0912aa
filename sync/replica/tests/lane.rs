//! The lane of attachments between replicas: previews first, pieces that outlive a restart, today's
//! bytes, and what is erased on its way.
#![allow(missing_docs)]

mod county;

use county::*;
use cunkou_casework::document::{Section, Write};
use cunkou_casework::event::{Filer, Step};
use cunkou_casework::ids::{AttachmentId, SubjectId};
use cunkou_casework::material::{Page, Preview, json, page_key};
use cunkou_casework::suite::attachment_id;
use cunkou_engine::ranges::{GROUP, Outline};
use cunkou_engine::{Given, Kept, Port};
use cunkou_replica::Budget;
use cunkou_store::AttachmentState;

const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

fn photo() -> Vec<u8> {
    (0..10 * GROUP + 77).map(|i| (i % 241) as u8).collect()
}

fn small() -> Vec<u8> {
    vec![5; 29_000]
}

/// A case with a photo and its preview, filed on a box and known to the county.
fn filed(station: &Station) -> (SubjectId, AttachmentId, AttachmentId) {
    let (photo, small) = (photo(), small());
    let (id, preview) = (attachment_id(&photo), attachment_id(&small));
    let case = station.open_case(AGENT_YUNLING, YUNLING);
    for (id, bytes) in [(id, &photo), (preview, &small)] {
        station.store().write_attachment(&id.0, bytes).expect("written");
        let here = station.store().write(|tx| tx.attachment_here(&id.0, bytes.len() as u64));
        here.expect("the store works");
    }
    let page = Page {
        hash: id,
        name: "人像面".into(),
        bytes: photo.len() as u32,
        taken: "2026-11-22".into(),
        preview: Some(Preview { hash: preview, bytes: small.len() as u32 }),
    };
    let write = Write::set(Section::Materials, page_key("id-card", 0), json(&page));
    station.save(AGENT_YUNLING, case, &[write]);
    let step = Step::Submitted { filer: Filer::Applicant, attachments: vec![id], deferred: vec![] };
    station.step(AGENT_YUNLING, case, step).expect("submitted");
    (case, id, preview)
}

fn outline(from: &Station, to: &Station, id: AttachmentId) -> Outline {
    match from.outline(&from.peer(to), &id.0).expect("readable") {
        Given::Here(outline) => outline,
        other => unreachable!("{other:?}"),
    }
}

/// One group over.
fn one(from: &Station, to: &Station, of: &Outline, group: u16) -> Option<Kept> {
    match from.groups(&from.peer(to), of.id(), group, 1).expect("readable") {
        Given::Here((_, bytes)) => Some(to.keep_groups(of, group, &bytes).expect("kept")),
        Given::Lacking | Given::Later(_) => None,
    }
}

fn state(station: &Station, id: AttachmentId) -> Option<AttachmentState> {
    let row = station.store().read(|view| view.attachment(&id.0)).expect("the store works");
    row.map(|row| row.state)
}

#[test]
fn previews_are_asked_for_first_and_are_no_photos_and_only_what_is_committed_is_asked_for() {
    let county = County::founded();
    let (case, id, preview) = filed(&county.yunling);
    let wanted = || {
        let of = county.relay.peer(&county.yunling);
        county.relay.wanted(&of, 10).expect("the store works")
    };
    assert!(wanted().is_empty(), "nothing goes up before the entries that name it");
    county.settle();
    assert_eq!(wanted(), [preview.0, id.0]);
    let of = outline(&county.yunling, &county.relay, preview);
    assert_eq!(one(&county.yunling, &county.relay, &of, 0), Some(Kept::Part));
    assert_eq!(one(&county.yunling, &county.relay, &of, 1), Some(Kept::Whole));
    assert_eq!(wanted(), [id.0]);
    let of = county.relay.store().read(|view| view.attachments_of(&case.0));
    assert_eq!(of.expect("the store works"), (0, 1), "none of one photo is here");
    assert_eq!(state(&county.relay, preview), Some(AttachmentState::Here));
}

#[test]
fn what_came_of_a_photo_outlives_a_restart_and_the_rest_makes_it_whole() {
    let mut county = County::founded();
    let (_, id, _) = filed(&county.yunling);
    county.settle();
    let of = outline(&county.yunling, &county.relay, id);
    for group in 0..6 {
        assert_eq!(one(&county.yunling, &county.relay, &of, group), Some(Kept::Part));
    }
    county.relay.restart();
    assert_eq!(county.relay.part(&id.0).expect("readable"), Some((of.clone(), 6)));
    assert_eq!(state(&county.relay, id), Some(AttachmentState::Wanted), "half is not here");
    assert_eq!(county.relay.attachment(&county.relay.peer(&county.centre), &id.0), Ok(None));
    for group in 6..10 {
        assert_eq!(one(&county.yunling, &county.relay, &of, group), Some(Kept::Part));
    }
    assert_eq!(one(&county.yunling, &county.relay, &of, 10), Some(Kept::Whole));
    assert_eq!(state(&county.relay, id), Some(AttachmentState::Here));
    assert_eq!(county.relay.part(&id.0).expect("readable"), None);
    let read = county.relay.store().read_attachment(&id.0).expect("readable");
    assert_eq!(read, Some(photo()));
    assert_eq!(one(&county.yunling, &county.relay, &of, 10), Some(Kept::Unwanted), "too late");
    // Who may not see the village gets nothing of it.
    let stranger = county.relay.peer(&county.longtan);
    assert_eq!(county.relay.outline(&stranger, &id.0), Ok(Given::Lacking));
    assert_eq!(county.relay.groups(&stranger, &id.0, 0, 4), Ok(Given::Lacking));
}

#[test]
fn a_part_of_what_left_while_it_was_on_its_way_is_swept_at_the_next_start() {
    let mut county = County::founded();
    let (_, id, _) = filed(&county.yunling);
    county.settle();
    let of = outline(&county.yunling, &county.relay, id);
    one(&county.yunling, &county.relay, &of, 0);
    one(&county.yunling, &county.relay, &of, 1);
    // As a cut leaves it between the transaction and the removal of the file.
    county.relay.store().write(|tx| tx.attachment_here(&id.0, 1)).expect("the store works");
    county.relay.restart();
    assert_eq!(county.relay.part(&id.0).expect("readable"), None);
}

#[test]
fn todays_bytes_are_counted_across_restarts_and_tomorrow_there_are_new_ones() {
    let mut county = County::founded();
    let (case, id, preview) = filed(&county.yunling);
    county.settle();
    let budget = Budget { bytes_per_day: Some(40_000) };
    county.yunling.set_budget(budget);
    let of = outline(&county.yunling, &county.relay, id);
    for group in 0..3 {
        assert!(one(&county.yunling, &county.relay, &of, group).is_some(), "group {group}");
    }
    let asked =
        |station: &Station, group| station.groups(&station.peer(&county.relay), &id.0, group, 1);
    let Ok(Given::Later(wait)) = asked(&county.yunling, 3) else { unreachable!("over the budget") };
    assert!(wait <= DAY && !wait.is_zero());
    let status = county.yunling.lane_status().expect("the store works");
    assert_eq!((status.budget, status.put_off), (budget, 1));
    assert_eq!(status.moved, 3 * GROUP as u64 + of.names().len() as u64);
    assert!(status.waits.is_some_and(|wait| wait <= DAY));
    // Nor does the box ask for anything itself.
    assert!(county.yunling.lane_waits(&[9; 32]).expect("readable").is_some());
    county.yunling.restart();
    county.yunling.set_budget(budget);
    let asked =
        |station: &Station, group| station.groups(&station.peer(&county.relay), &id.0, group, 1);
    assert!(matches!(asked(&county.yunling, 3), Ok(Given::Later(_))), "remembered on disk");
    county.yunling.wait_days(1);
    assert!(matches!(asked(&county.yunling, 3), Ok(Given::Here(_))));
    assert_eq!(county.yunling.lane_status().expect("readable").put_off, 0);
    while let Ok(Given::Here(_)) = asked(&county.yunling, 4) {}
    // A person wants this case's photos now: they go, and nothing else does.
    county.yunling.send_now(case).expect("the store works");
    assert!(matches!(asked(&county.yunling, 4), Ok(Given::Here(_))));
    let small = county.yunling.outline(&county.yunling.peer(&county.relay), &preview.0);
    assert!(matches!(small, Ok(Given::Here(_))));
    assert!(county.yunling.lane_waits(&[9; 32]).expect("readable").is_some());
    // Without a budget nothing is counted and nothing waits.
    county.yunling.set_budget(Budget::default());
    assert_eq!(county.yunling.lane_waits(&[9; 32]).expect("readable"), None);
}

#[test]
fn a_peer_that_gives_what_is_not_right_is_remembered() {
    let county = County::founded();
    let peer = county.yunling.peer(&county.relay);
    for words in ["group 9 of an attachment is not what its name says", "and again"] {
        county.yunling.lane_fault(&peer, words).expect("the store works");
    }
    let faults = county.yunling.lane_status().expect("the store works").faults;
    assert_eq!(faults.len(), 1);
    assert_eq!(
        (faults[0].device, faults[0].times, &faults[0].words[..]),
        (peer.device, 2, "and again")
    );
}

#[test]
fn a_case_is_only_here_until_the_county_has_its_entries_and_was_given_its_photos_to_the_last_byte()
{
    let county = County::founded();
    county.settle();
    let here = || county.yunling.only_here().expect("the store works");
    assert!(here().is_empty(), "{:?}", here());
    let (case, id, preview) = filed(&county.yunling);
    let all = (photo().len() + small().len()) as u64;
    let now = here();
    assert_eq!(now.cases.iter().map(|c| c.row.subject).collect::<Vec<_>>(), [case.0]);
    assert_eq!((now.photos, now.photo_bytes), (1, all), "a preview is no photo");
    assert_eq!(now.unsent, county.yunling.status().expect("the store works").unsent);
    assert!(now.unsent.entries >= 3 && now.unsent.oldest_ms.is_some());

    county.settle();
    let now = here();
    assert_eq!((now.unsent.entries, now.photos, now.cases.len()), (0, 1, 1), "its photo waits");
    let mut drafts = None;
    let of = outline(&county.yunling, &county.relay, preview);
    for group in 0..2 {
        one(&county.yunling, &county.relay, &of, group);
    }
    assert_eq!((here().photos, here().photo_bytes), (1, photo().len() as u64));
    let of = outline(&county.yunling, &county.relay, id);
    for group in 0..10 {
        one(&county.yunling, &county.relay, &of, group);
        assert_eq!(here().photos, 1, "group {group} is not the last");
    }
    one(&county.yunling, &county.relay, &of, 10);
    assert!(here().is_empty(), "{:?}", here());
    assert!(county.relay.only_here().expect("the store works").photos == 0, "it came to the relay");

    // One that is taken again before anybody asked for it: the first is nobody's any more.
    for (seed, left) in [(7, 1), (8, 1)] {
        let bytes = vec![seed; 500];
        let id = attachment_id(&bytes);
        county.yunling.store().write_attachment(&id.0, &bytes).expect("written");
        let kept = county.yunling.store().write(|tx| tx.attachment_here(&id.0, 500));
        kept.expect("the store works");
        let draft = *drafts.get_or_insert_with(|| county.yunling.open_case(AGENT_YUNLING, YUNLING));
        let (name, taken) = ("人像面".into(), "2026-11-22".into());
        let page = Page { hash: id, name, bytes: 500, taken, preview: None };
        let write = Write::set(Section::Materials, page_key("id-card", 0), json(&page));
        county.yunling.save(AGENT_YUNLING, draft, &[write]);
        assert_eq!((here().photos, here().photo_bytes), (left, 500), "photo {seed}");
    }
    county.settle();
    let wanted = county.relay.wanted(&county.relay.peer(&county.yunling), 9).expect("readable");
    assert_eq!(wanted, [attachment_id(&[8; 500]).0], "nor does the relay ask for it");
    let of = outline(&county.yunling, &county.relay, AttachmentId(wanted[0]));
    one(&county.yunling, &county.relay, &of, 0);
    assert!(here().is_empty(), "{:?}", here());

    // The relay begins to ask for it anew: its disk has lost it.
    county.yunling.groups(&county.yunling.peer(&county.relay), &id.0, 0, 4).expect("readable");
    assert_eq!((here().photos, here().cases.len()), (1, 1));
    county.yunling.groups(&county.yunling.peer(&county.relay), &id.0, 8, 4).expect("readable");
    assert!(here().is_empty());
}
