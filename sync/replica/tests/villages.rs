//! A box that loses a village hands in what was written there, then keeps names only; the village
//! comes back, and so does its content.
#![allow(missing_docs)]

mod county;

use county::talk::{converse, converse_for};
use county::*;
use cunkou_casework::county::DeviceKind;
use cunkou_casework::document::{Section, Write};
use cunkou_casework::entry::Entry;
use cunkou_casework::event::{Filer, Step};
use cunkou_casework::ids::{AttachmentId, PlaceId, Scope, SubjectId};
use cunkou_casework::material::{Page, json, page_key};
use cunkou_casework::suite::attachment_id;
use cunkou_engine::Port;
use cunkou_replica::{ActError, Who};
use cunkou_store::{AttachmentState, LeavingRow, Stage, StoreError};

const PHOTO: &[u8] = b"the picture side of an ID card";
const NAME: &str = "金丝雀甲";

fn scope(place: PlaceId) -> String {
    Scope::Place(place).to_string()
}

/// The county says which villages the township's box serves.
fn serves(county: &County, places: &[PlaceId]) {
    let statement = device(CENTRE, DeviceKind::Township, places);
    county.relay.state(&authority(), vec![statement]).expect("stated");
}

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

fn resident(station: &Station, who: u8, place: PlaceId) -> SubjectId {
    let key = secret(who);
    station
        .act(|desk| -> Result<_, ActError> {
            let who = Who { person: person_id(who), key: Some(&key) };
            let subject = SubjectId(desk.random());
            desk.event(subject, who, Step::ResidentAdded { place })?;
            desk.edit(subject, who, &[Write::set(Section::Particulars, "name", NAME)])?;
            Ok(subject)
        })
        .expect("registered")
}

/// Everything that is readable in a station's database.
fn plain(station: &Station) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("work.db");
    station.store().checkpoint().expect("written out");
    station.store().snapshot(&copy).expect("a copy");
    let lock = cunkou_store::Lock::Key(cunkou_keys::Key::of([station.n; 32]));
    let open = folder.path().join("open.db");
    cunkou_store::Store::rewrap(&copy, &lock, &open, &cunkou_store::Lock::Plain).expect("unlocked");
    std::fs::read(open).expect("readable")
}

fn contains(station: &Station, words: &str) -> bool {
    plain(station).windows(words.len()).any(|window| window == words.as_bytes())
}

fn everybody(county: &County) {
    for _ in 0..3 {
        for station in county.boxes() {
            converse(station, &county.relay);
        }
    }
}

struct Scene {
    county: County,
    /// Of the village that stays, and of the one that goes.
    ours: SubjectId,
    theirs: SubjectId,
    resident: SubjectId,
    photo: AttachmentId,
}

/// The township's box has cases of two villages; all is at the county but for what it then writes
/// in the one village without a network.
fn scene() -> Scene {
    let county = County::founded();
    let ours = county.centre.open_case(CLERK, YUNLING);
    let theirs = county.longtan.open_case(AGENT_LONGTAN, LONGTAN);
    let resident = resident(&county.longtan, AGENT_LONGTAN, LONGTAN);
    everybody(&county);
    let photo = attachment_id(PHOTO);
    county.centre.store().write_attachment(&photo.0, PHOTO).expect("photographed");
    county
        .centre
        .store()
        .write(|tx| tx.attachment_here(&photo.0, PHOTO.len() as u64))
        .expect("here");
    county.centre.save(CLERK, theirs, &page(photo));
    county.centre.save(CLERK, ours, &phone("13900000101"));
    let step =
        Step::Submitted { filer: Filer::Applicant, attachments: vec![photo], deferred: vec![] };
    county.centre.step(CLERK, theirs, step).expect("submitted");
    Scene { county, ours, theirs, resident, photo }
}

/// The lane of attachments, as far as there is something to give.
fn lane(from: &Station, to: &Station) -> usize {
    let (of_from, of_to) = (to.peer(from), from.peer(to));
    let mut given = 0;
    for id in to.wanted(&of_from, 100).expect("readable") {
        if let Some(bytes) = from.attachment(&of_to, &id).expect("readable") {
            to.keep_attachment(&id, &bytes).expect("kept");
            given += 1;
        }
    }
    given
}

#[test]
fn what_was_written_before_a_village_was_lost_is_handed_in_and_nothing_of_it_is_given() {
    let Scene { county, theirs, .. } = scene();
    serves(&county, &[YUNLING]);
    // The village's own box goes on working there.
    county.longtan.save(AGENT_LONGTAN, theirs, &[Write::set(Section::Notes, "n", "只给本村")]);
    converse(&county.longtan, &county.relay);
    let heard = converse(&county.centre, &county.relay);
    let lost = heard.from_relay.iter().filter(|(of, _)| *of == scope(LONGTAN)).count();
    assert_eq!(lost, 0, "not one byte");
    assert!(heard.repaired.is_empty());
    let at_county = county.relay.case(theirs).expect("readable").expect("here");
    assert_eq!(at_county.current.get(Section::Particulars, "name"), Some(NAME));
    assert_eq!(county.relay.row(theirs).expect("a row").phase, "received", "the step counts");
    assert_eq!(county.relay.status().expect("readable").quarantine, 0);
    // And who serves the village has it from there.
    converse(&county.longtan, &county.relay);
    let seen = county.longtan.row(theirs).expect("a row");
    assert_eq!((seen.phase.as_str(), seen.aside), ("received", 0));
}

#[test]
fn content_leaves_once_a_relay_holds_all_of_it_photos_included_and_the_names_stay() {
    let Scene { county, ours, theirs, resident, photo } = scene();
    serves(&county, &[YUNLING]);
    converse(&county.centre, &county.relay);
    // The entries are there; the photo is on this disk alone.
    let lost = county.centre.lost_villages().expect("readable");
    assert_eq!(lost.len(), 1);
    assert_eq!((lost[0].place, lost[0].unsent.entries, lost[0].files), (LONGTAN, 0, 1));
    assert!(!lost[0].left && county.centre.case(theirs).expect("readable").is_some());
    assert_eq!(lane(&county.centre, &county.relay), 1, "the relay fetches it");
    county.relay.checkpoint().expect("signed");
    let before = county.centre.head(&scope(LONGTAN));
    converse(&county.centre, &county.relay);
    let lost = county.centre.lost_villages().expect("readable");
    assert!(lost[0].left, "{lost:?}");
    for gone in [theirs, resident] {
        let rows = county.centre.store().read(|view| view.entries_of(&gone.0)).expect("readable");
        assert!(!rows.is_empty() && rows.iter().all(|row| row.bytes.is_empty()));
    }
    assert!(county.centre.case(theirs).expect("readable").is_none());
    assert!(county.centre.row(theirs).is_none());
    assert!(county.centre.resident(resident).expect("readable").is_none());
    assert_eq!(county.centre.store().read_attachment(&photo.0).expect("readable"), None);
    assert_eq!(county.centre.head(&scope(LONGTAN)), before, "names stay");
    assert!(!contains(&county.centre, NAME));
    assert!(contains(&county.relay, NAME), "the control");
    // The other village is whole, and both sides are at rest: nothing is repaired, nothing fetched.
    assert!(county.centre.case(ours).expect("readable").is_some());
    let heard = converse(&county.centre, &county.relay);
    assert!(heard.from_relay.is_empty() && heard.repaired.is_empty() && heard.brief, "{heard:?}");
    assert_eq!(county.centre.unsent(), 0);
    let scrubbed = county.centre.scrub(&[], |_, _| {}).expect("readable");
    assert!(scrubbed.clean(), "{scrubbed:?}");
    county.centre.rebuild(|_, _| {}).expect("rebuilt");
    assert!(county.centre.row(theirs).is_none() && county.centre.row(ours).is_some());
}

#[test]
fn nothing_leaves_before_a_relay_has_acknowledged_it() {
    let Scene { mut county, theirs, .. } = scene();
    serves(&county, &[YUNLING]);
    // The box hears of it and is cut before anything of its own is acknowledged.
    let heard = converse_for(&county.centre, &county.relay, 4);
    assert!(heard.frames <= 4);
    Talk::begin(&county.relay, &county.centre).part(0, "system", usize::MAX, 0);
    county.centre.restart();
    assert_eq!(county.centre.settle_villages().expect("the store works"), 0);
    let lost = county.centre.lost_villages().expect("readable");
    assert!(lost[0].unsent.entries > 0 && !lost[0].left);
    let file = county.centre.case(theirs).expect("readable").expect("still here");
    assert_eq!(file.current.get(Section::Particulars, "name"), Some(NAME));
    // Nor is anything more written there.
    let key = secret(CLERK);
    let refused = county.centre.act(|desk| -> Result<bool, ActError> {
        let who = Who { person: person_id(CLERK), key: Some(&key) };
        desk.edit(theirs, who, &phone("1"))
    });
    assert!(matches!(refused, Err(ActError::Refused(_))), "{refused:?}");
    assert!(county.centre.step(CLERK, theirs, Step::Taken).is_err());
}

/// Loses the village and lets all of it leave.
fn gone() -> Scene {
    let scene = scene();
    let county = &scene.county;
    serves(county, &[YUNLING]);
    converse(&county.centre, &county.relay);
    lane(&county.centre, &county.relay);
    county.relay.checkpoint().expect("signed");
    converse(&county.centre, &county.relay);
    assert!(county.centre.lost_villages().expect("readable")[0].left);
    scene
}

#[test]
fn a_village_that_comes_back_has_its_content_again_also_what_this_box_had_written() {
    let Scene { county, theirs, resident, photo, .. } = gone();
    county.longtan.save(AGENT_LONGTAN, theirs, &[Write::set(Section::Notes, "n", "其间写的")]);
    converse(&county.longtan, &county.relay);
    serves(&county, &[YUNLING, LONGTAN]);
    everybody(&county);
    assert!(county.centre.lost_villages().expect("readable").is_empty());
    let [there, here] = [&county.relay, &county.centre].map(|s| said(s, theirs).expect("here"));
    assert_eq!(there, here);
    assert_eq!(here.current.get(Section::Notes, "n"), Some("其间写的"));
    assert_eq!(here.content.get(Section::Particulars, "name"), Some(NAME));
    let again = county.centre.resident(resident).expect("readable").expect("here again");
    assert_eq!(again.resident.name, NAME);
    assert_eq!(lane(&county.relay, &county.centre), 1, "the photo comes by its own lane");
    let row = county.centre.store().read(|view| view.attachment(&photo.0)).expect("readable");
    assert_eq!(row.expect("a row").state, AttachmentState::Here);
    let quiet = converse(&county.centre, &county.relay);
    assert!(quiet.from_relay.is_empty() && quiet.repaired.is_empty() && quiet.brief, "{quiet:?}");
    assert_eq!(county.centre.scrub_status().expect("readable").to_heal, 0);
    // Lost a second time it leaves a second time.
    serves(&county, &[YUNLING]);
    county.relay.checkpoint().expect("signed");
    everybody(&county);
    assert!(county.centre.lost_villages().expect("readable")[0].left);
    assert!(!contains(&county.centre, NAME));
}

#[test]
fn a_village_that_comes_back_while_it_is_leaving_is_whole_again_wherever_the_power_went() {
    for cut in (0..40).step_by(5) {
        let Scene { mut county, theirs, .. } = scene();
        serves(&county, &[YUNLING]);
        converse_for(&county.centre, &county.relay, cut);
        county.centre.restart();
        lane(&county.centre, &county.relay);
        county.relay.checkpoint().expect("signed");
        converse_for(&county.centre, &county.relay, cut / 2);
        county.centre.restart();
        serves(&county, &[YUNLING, LONGTAN]);
        everybody(&county);
        lane(&county.centre, &county.relay);
        let [there, here] = [&county.relay, &county.centre].map(|s| said(s, theirs).expect("here"));
        assert_eq!(there, here, "cut after {cut} frames");
        assert_eq!(here.content.get(Section::Particulars, "name"), Some(NAME));
        assert!(county.centre.lost_villages().expect("readable").is_empty());
        let sums = |station: &Station, other: &Station| {
            station.sums(&station.peer(other), &[scope(LONGTAN)]).expect("readable")
        };
        assert_eq!(sums(&county.relay, &county.centre), sums(&county.centre, &county.relay));
    }
}

#[test]
fn a_cut_between_two_steps_of_leaving_is_gone_on_with_at_the_next_start() {
    for steps in 1..=3 {
        let Scene { mut county, theirs, .. } = scene();
        serves(&county, &[YUNLING]);
        converse(&county.centre, &county.relay);
        let of = scope(LONGTAN);
        let rows = county.centre.store().read(|view| view.leaving()).expect("readable");
        let row = LeavingRow { stage: Stage::Leaving, ..rows[0].clone() };
        // What the box does once all is at a relay, as far as the power lets it.
        let done = county.centre.store().write(|tx| -> Result<_, StoreError> {
            tx.set_leaving(&row)?;
            tx.forget_cursors(&of)?;
            if steps > 1 {
                tx.leave_part(&of, 0, u64::MAX >> 1)?;
            }
            if steps > 2 {
                tx.leave_part(&of, u64::MAX >> 1, u64::MAX >> 1)?;
            }
            Ok(())
        });
        done.expect("the store works");
        county.centre.restart();
        assert_eq!(county.centre.settle_villages().expect("the store works"), 1);
        assert!(county.centre.lost_villages().expect("readable")[0].left, "{steps}");
        assert!(county.centre.row(theirs).is_none());
        assert!(!contains(&county.centre, NAME));
    }
}

#[test]
fn an_entry_of_a_lost_village_that_names_a_later_position_does_not_count() {
    let Scene { county, theirs, .. } = gone();
    let head = county.relay.county().head();
    let after = said(&county.relay, theirs).expect("here").frontier;
    let late = forge(
        theirs,
        cunkou_casework::entry::Kind::Event,
        (Some(CLERK), CENTRE),
        (Some(CLERK), CENTRE),
        7,
        event(&after, Step::Taken),
        head,
    );
    let from = county.relay.peer(&county.centre);
    county.relay.take_in(&from, &scope(LONGTAN), 999, &[late.encode()]);
    assert_eq!(county.relay.row(theirs).expect("a row").phase, "received");
    let id = Entry::decode(&late.encode()).expect("an entry").id();
    let (_, why) = county.relay.state_of(id).expect("kept");
    assert_eq!(why.as_deref(), Some("the device does not serve this village"));
    // Who asks for names, sums or entries of a lost village gets none.
    let port: &dyn Port = &*county.relay;
    assert!(port.names(&from, &scope(LONGTAN)).expect("readable").is_empty());
    assert!(port.sums(&from, &[scope(LONGTAN)]).expect("readable").is_empty());
    assert!(port.pick(&from, &scope(LONGTAN), &[id.0], 9999).expect("readable").entries.is_empty());
    assert_eq!(port.lacking(&from, &scope(LONGTAN), &[[0; 8]]).expect("readable"), [true]);
    assert!(port.load(&from, &scope(LONGTAN), 0, 9999).expect("readable").entries.is_empty());
    let photo = attachment_id(PHOTO);
    assert!(port.attachment(&from, &photo.0).expect("readable").is_none());
}
