//! Whole replicas on real databases: what reaches them in whatever way, they agree in the end.
#![allow(missing_docs)]

mod county;

use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, Automerge, ROOT};
use county::*;
use cunkou_casework::case::{Phase, Reason, Standing};
use cunkou_casework::county::{DeviceKind, Role, Statement};
use cunkou_casework::document::{Document, Schema, Section, Write, actor};
use cunkou_casework::entry::Kind;
use cunkou_casework::event::{Defect, Handover, Step, encode};
use cunkou_casework::ids::{AttachmentId, Incarnation, PlaceId, SubjectId};
use cunkou_casework::number::parse;
use cunkou_engine::{Admitted, Port};
use cunkou_replica::{ActError, LastWord};
use cunkou_store::{EntryState, NewEntry, StoreError};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn place(place: PlaceId) -> String {
    format!("place:{place}")
}

#[test]
fn a_case_goes_from_the_village_to_the_county_and_back_and_everybody_sees_each_rung() {
    let county = County::founded();
    let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    county.yunling.save(AGENT_YUNLING, case, &phone("13900000101"));
    county.yunling.step(AGENT_YUNLING, case, submitted()).expect("submitted");
    let rungs = |station: &Station| {
        let l = said(station, case).expect("here").ladder;
        (l.saved, l.uploaded, l.taken, l.accepted)
    };
    assert_eq!(rungs(&county.yunling), (true, false, false, false));
    county.settle();
    assert_eq!(rungs(&county.yunling), (true, true, false, false));
    county.centre.step(CLERK, case, Step::Taken).expect("taken");
    let forward = Step::Forwarded { opinion: "属实".into(), term: 2 };
    county.centre.step(CLERK, case, forward).expect("forwarded");
    county.settle();
    assert_eq!(rungs(&county.yunling), (true, true, true, false));
    county.relay.step(REVIEWER, case, accepted(2)).expect("accepted");
    county.settle();
    assert_eq!(rungs(&county.yunling), (true, true, true, true));
    let approve = Step::Approved { term: 2, opinion: String::new() };
    county.relay.step(REVIEWER, case, approve).expect("approved");
    county.relay.step(REVIEWER, case, Step::Completed).expect("completed");
    county.settle();
    let proof = AttachmentId([9; 32]);
    let deliver = Step::Delivered { to: Handover::Applicant, receiver: String::new(), proof };
    county.yunling.step(AGENT_YUNLING, case, deliver).expect("delivered");
    county.yunling.step(AGENT_YUNLING, case, Step::Archived).expect("archived");
    county.settle();
    let [relay, centre, village] = county.holding(YUNLING).map(|s| said(s, case).expect("here"));
    assert_eq!(relay.state.phase, Phase::Archived);
    assert_eq!(relay.content.get(Section::Form, "phone"), Some("13900000101"));
    assert_eq!(relay, centre);
    assert_eq!(relay, village);
    assert_eq!((relay.row.phase.as_str(), relay.row.open, relay.row.aside), ("archived", false, 0));
}

#[test]
fn a_village_box_never_receives_what_belongs_to_another_village() {
    let county = County::founded();
    let ours = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    let theirs = county.longtan.open_case(AGENT_LONGTAN, LONGTAN);
    county.settle();
    assert!(said(&county.yunling, ours).is_some() && said(&county.longtan, theirs).is_some());
    assert!(said(&county.yunling, theirs).is_none() && said(&county.longtan, ours).is_none());
    assert_eq!(county.yunling.head(&place(LONGTAN)), 0);
    let none = county.yunling.store().read(|view| view.entries_of(&theirs.0));
    assert!(none.expect("the store works").is_empty());
    assert!(said(&county.relay, theirs).is_some() && said(&county.centre, theirs).is_some());
    let scopes = |a: &Station, b: &Station| a.peer(b).scopes;
    let (of_box, of_centre) = (upward(BOX_YUNLING), upward(CENTRE));
    assert_eq!(scopes(&county.relay, &county.yunling), ["system", &of_box, "place:11"]);
    assert_eq!(scopes(&county.yunling, &county.relay), ["system", &of_box, "place:11"]);
    let at_centre = ["system", &of_centre, "place:11", "place:12"];
    assert_eq!(scopes(&county.relay, &county.centre), at_centre);
}

#[test]
fn boxes_do_not_talk_to_each_other_and_a_stranger_or_revoked_box_is_turned_away() {
    let county = County::founded();
    let key = |n| secret(n).public().0;
    assert!(county.yunling.admit_peer(&key(CENTRE)).is_err());
    assert!(county.relay.admit_peer(&key(77)).is_err());
    let device = device_id(BOX_LONGTAN);
    let revoked = Statement::DeviceRevoked { device, reason: "丢失".into() };
    county.relay.state(&authority(), vec![revoked]).expect("revoked");
    // A revoked box may hear that it was revoked and say its last word, and nothing else.
    let peer = county.relay.admit_peer(&key(BOX_LONGTAN)).expect("to hear why");
    assert_eq!(peer.scopes, ["system"]);
    let at = county.relay.county().device_revoked_at(device).expect("revoked");
    let word = LastWord::sign(SubjectId([0xc0; 16]), device, at, 5, &secret(BOX_LONGTAN));
    assert!(county.relay.heard(&peer, &encode(&word)).expect("the store works"));
    let refused = county.relay.admit_peer(&key(BOX_LONGTAN)).expect_err("revoked");
    assert_eq!(refused.code, cunkou_engine::RefusalCode::Revoked);
    assert!(county.relay.admit_peer(&key(BOX_YUNLING)).is_ok());
}

#[test]
fn what_two_boxes_save_apart_stands_side_by_side_on_both_until_somebody_chooses() {
    let county = County::founded();
    let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    county.settle();
    county.yunling.save(AGENT_YUNLING, case, &phone("138"));
    county.centre.save(CLERK, case, &phone("139"));
    county.settle();
    for station in county.holding(YUNLING) {
        let file = station.case(case).expect("the store works").expect("here");
        assert_eq!(file.current.all(Section::Form, "phone"), ["138", "139"]);
        assert_eq!(file.conflicts().len(), 1);
        assert!(station.row(case).expect("a row").conflict);
    }
    county.centre.save(CLERK, case, &phone("139"));
    county.settle();
    for station in county.holding(YUNLING) {
        assert_eq!(said(station, case).expect("here").current.all(Section::Form, "phone"), ["139"]);
        assert!(!station.row(case).expect("a row").conflict);
    }
}

#[test]
fn what_was_submitted_stays_as_it_was_whatever_is_saved_later() {
    let county = County::founded();
    let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    county.yunling.save(AGENT_YUNLING, case, &phone("138"));
    county.settle();
    county.centre.save(CLERK, case, &phone("666"));
    county.yunling.step(AGENT_YUNLING, case, submitted()).expect("submitted");
    county.yunling.save(AGENT_YUNLING, case, &phone("777"));
    county.yunling.save(AGENT_YUNLING, case, &[Write::set(Section::Notes, "n", "下午来")]);
    county.settle();
    for station in county.holding(YUNLING) {
        let said = said(station, case).expect("here");
        assert_eq!(said.content.all(Section::Form, "phone"), ["138"]);
        assert_eq!(said.content.get(Section::Notes, "n"), Some("下午来"), "notes stay open");
    }
}

#[test]
fn an_entry_of_an_unknown_device_waits_and_its_siblings_go_on() {
    let county = County::founded();
    let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    county.settle();
    let after = said(&county.relay, case).expect("here").frontier;
    let before = county.relay.county().head();
    let new_box = 8;
    // The relay enrols a box; the centre has not heard of it yet.
    let enrolled = device(new_box, DeviceKind::Village, &[YUNLING]);
    county.relay.state(&authority(), vec![enrolled]).expect("enrolled");
    let head = county.relay.county().head();
    let by_new_box = forge(
        case,
        Kind::Event,
        (Some(AGENT_YUNLING), new_box),
        (Some(AGENT_YUNLING), new_box),
        1,
        event(&after, submitted()),
        head,
    );
    let mut document = Document::new(Schema::Case1).expect("new");
    let run = actor(device_id(new_box), Incarnation([2; 16]));
    let change = document.write(run, 0, &phone("131")).expect("written").expect("a change");
    let save_of_new_box =
        forge(case, Kind::Edit, (Some(AGENT_YUNLING), new_box), (None, new_box), 2, change, head);
    let run = actor(device_id(BOX_YUNLING), Incarnation([3; 16]));
    let mut document = Document::new(Schema::Case1).expect("new");
    let note = [Write::set(Section::Notes, "n", "好")];
    let change = document.write(run, 0, &note).expect("written").expect("a change");
    let sibling = forge(
        case,
        Kind::Edit,
        (Some(AGENT_YUNLING), BOX_YUNLING),
        (None, BOX_YUNLING),
        3,
        change,
        before,
    );
    let from = county.centre.peer(&county.relay);
    let batch = [&by_new_box, &save_of_new_box, &sibling].map(|e| e.encode());
    let admitted = county.centre.take_in(&from, &place(YUNLING), 50, &batch);
    assert_eq!(admitted, Admitted { new: 3, quarantined: 0, refused: 0 });
    let waits = |station: &Station, entry: &cunkou_casework::entry::Entry| {
        station.state_of(entry.id()).map(|(state, _)| state) == Some(EntryState::Waiting)
    };
    assert!(waits(&county.centre, &by_new_box) && waits(&county.centre, &save_of_new_box));
    assert_eq!(said(&county.centre, case).expect("here").state.phase, Phase::Draft);
    let notes = said(&county.centre, case).expect("here").current;
    assert_eq!(notes.get(Section::Notes, "n"), Some("好"));
    assert_eq!(notes.get(Section::Form, "phone"), None);
    Talk::begin(&county.relay, &county.centre).part(0, "system", 100_000, 0);
    let centre = said(&county.centre, case).expect("here");
    assert_eq!(centre.state.phase, Phase::Received);
    assert_eq!(centre.current.get(Section::Form, "phone"), Some("131"));
    assert_eq!(centre.row.phase, "received");
    assert!(!waits(&county.centre, &by_new_box) && !waits(&county.centre, &save_of_new_box));
}

#[test]
fn an_entry_with_a_false_signature_is_quarantined_and_its_siblings_go_on() {
    let county = County::founded();
    let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    county.settle();
    let after = said(&county.relay, case).expect("here").frontier;
    let head = county.relay.county().head();
    let approve = || event(&after, Step::Approved { term: 1, opinion: String::new() });
    let forged = |by, keys, salt| forge(case, Kind::Event, by, keys, salt, approve(), head);
    let bad = [
        forged((Some(REVIEWER), RELAY), (None, BOX_YUNLING), 1),
        forged((Some(REVIEWER), BOX_YUNLING), (None, BOX_YUNLING), 2),
        forged((Some(CLERK), CENTRE), (Some(AGENT_YUNLING), CENTRE), 3),
        forged((Some(AGENT_YUNLING), BOX_YUNLING), (Some(AGENT_YUNLING), BOX_YUNLING), 4),
    ];
    let good = forge(
        case,
        Kind::Event,
        (Some(AGENT_YUNLING), BOX_YUNLING),
        (Some(AGENT_YUNLING), BOX_YUNLING),
        5,
        event(&after, submitted()),
        head,
    );
    let mut batch: Vec<Vec<u8>> = bad.iter().map(|e| e.encode()).collect();
    batch.insert(1, b"no entry at all".to_vec());
    batch.push(good.encode());
    let from = county.relay.peer(&county.centre);
    let upto = county.centre.head(&place(YUNLING));
    let admitted = county.relay.take_in(&from, &place(YUNLING), upto, &batch);
    assert_eq!((admitted.quarantined, admitted.refused), (3, 1));
    for entry in &bad {
        let state = county.relay.state_of(entry.id()).map(|(state, _)| state);
        let aside = matches!(state, Some(EntryState::Quarantined | EntryState::Unfounded));
        assert!(aside, "{state:?}");
    }
    assert_eq!(county.relay.status().expect("the store works").quarantine, 4);
    county.settle();
    for station in [&county.relay, &county.yunling] {
        let said = said(station, case).expect("here");
        assert_eq!(said.state.phase, Phase::Received);
        let aside = Standing::Quarantined(Reason::NotNow);
        assert!(said.standings.contains(&(bad[3].id(), aside)), "kept and shown");
        assert_eq!(station.state_of(good.id()), Some((EntryState::Good, None)));
    }
}

#[test]
fn a_box_cannot_put_entries_into_a_scope_or_kind_that_is_not_its_own() {
    let county = County::founded();
    let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    county.settle();
    let head = county.relay.county().head();
    let by = (Some(AGENT_LONGTAN), BOX_LONGTAN);
    // A case of another village, in this village's scope.
    let after = said(&county.relay, case).expect("here").frontier;
    let foreign = forge(
        case,
        Kind::Event,
        by,
        (Some(AGENT_LONGTAN), BOX_LONGTAN),
        1,
        event(&after, Step::Withdrawn { reason: String::new() }),
        head,
    );
    // A witness by a box that is no relay.
    let witness =
        cunkou_casework::event::Witness { entries: after, log: [1; 16], position: 1, time_ms: 1 };
    let payload = encode(&witness);
    let by_box = (None, BOX_LONGTAN);
    let witness = forge(case, Kind::Witness, by_box, by_box, 2, payload.clone(), head);
    let of_county = SubjectId([0xc0; 16]);
    let credential = forge(of_county, Kind::Credential, by_box, by_box, 3, payload, head);
    let from = county.relay.peer(&county.longtan);
    let upto = county.longtan.head(&place(LONGTAN));
    let batch = [&foreign, &witness, &credential].map(|e| e.encode());
    let admitted = county.relay.take_in(&from, &place(LONGTAN), upto, &batch);
    assert_eq!(admitted, Admitted { new: 0, quarantined: 3, refused: 0 });
    assert_eq!(said(&county.relay, case).expect("here").state.phase, Phase::Draft);
}

fn poisoned(run: [u8; 16]) -> Vec<u8> {
    let saved = Document::new(Schema::Case1).expect("new").save();
    let mut doc = Automerge::load(&saved).expect("loads").with_actor(ActorId::from(&run[..]));
    let mut tx = doc.transaction();
    tx.put(ROOT, "status", "approved").expect("put");
    tx.commit_with(CommitOptions::default().with_time(0));
    doc.get_last_local_change().expect("a change").raw_bytes().to_vec()
}

#[test]
fn a_poisoned_save_is_quarantined_everywhere_and_its_siblings_go_on() {
    let county = County::founded();
    let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    county.settle();
    let head = county.relay.county().head();
    let by = (Some(AGENT_YUNLING), BOX_YUNLING);
    let save = |salt: u8, change: Vec<u8>| {
        forge(case, Kind::Edit, by, (None, BOX_YUNLING), salt, change, head)
    };
    let run = |salt: u8| actor(device_id(BOX_YUNLING), Incarnation([salt; 16]));
    let written = |salt: u8, key: &str| {
        let mut document = Document::new(Schema::Case1).expect("new");
        let write = [Write::set(Section::Form, key, "v")];
        document.write(run(salt), 0, &write).expect("written").expect("a change")
    };
    let outside = save(1, poisoned(run(1)));
    let other_actor = save(2, written(99, "b"));
    let good = save(3, written(3, "c"));
    let from = county.relay.peer(&county.yunling);
    let upto = county.yunling.head(&place(YUNLING));
    let batch = [&outside, &other_actor, &good].map(|e| e.encode());
    county.relay.take_in(&from, &place(YUNLING), upto, &batch);
    county.settle();
    for station in [&county.relay, &county.centre] {
        for bad in [&outside, &other_actor] {
            let state = station.state_of(bad.id()).map(|(state, _)| state);
            assert_eq!(state, Some(EntryState::Quarantined));
        }
        let said = said(station, case).expect("here");
        let form: Vec<_> = said.current.section(Section::Form).map(|(key, _)| key).collect();
        assert_eq!(form, ["c"]);
        assert_eq!((said.row.aside, said.saves), (2, 1));
    }
}

#[test]
fn a_save_that_came_before_the_one_it_builds_on_waits_for_it() {
    let county = County::founded();
    let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    county.yunling.save(AGENT_YUNLING, case, &phone("1"));
    county.yunling.save(AGENT_YUNLING, case, &phone("2"));
    let peer = county.yunling.peer(&county.relay);
    let from = county.relay.peer(&county.yunling);
    Talk::begin(&county.relay, &county.yunling);
    let log = county.yunling.load(&peer, &place(YUNLING), 0, usize::MAX).expect("loaded");
    let [opening, first, second] = &log.entries[..] else { unreachable!("three entries") };
    let store = |entry: &Vec<u8>| {
        let batch = std::slice::from_ref(entry);
        county.relay.take_in(&from, &place(YUNLING), 0, batch);
    };
    store(second);
    assert!(said(&county.relay, case).is_none(), "its case is not known yet");
    store(opening);
    let said_then = said(&county.relay, case).expect("here");
    assert_eq!((said_then.current.get(Section::Form, "phone"), said_then.row.aside), (None, 1));
    store(first);
    let said_now = said(&county.relay, case).expect("here");
    assert_eq!((said_now.current.get(Section::Form, "phone"), said_now.row.aside), (Some("2"), 0));
}

#[test]
fn the_same_entries_again_change_nothing() {
    let county = County::founded();
    let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    county.yunling.save(AGENT_YUNLING, case, &phone("1"));
    county.yunling.step(AGENT_YUNLING, case, submitted()).expect("submitted");
    county.settle();
    let before = (county.all().map(Station::entry_count), said(&county.relay, case));
    for station in county.boxes() {
        let talk = Talk::begin(&county.relay, station);
        for scope in talk.scopes() {
            for way in 0..2 {
                assert_eq!(talk.again(way, &scope, 0), Admitted::default());
            }
        }
    }
    county.settle();
    assert_eq!((county.all().map(Station::entry_count), said(&county.relay, case)), before);
}

#[test]
fn what_is_unsent_is_counted_until_the_relay_has_acknowledged_it() {
    let county = County::founded();
    county.settle();
    assert_eq!(county.all().map(Station::unsent), [0; 4]);
    let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    county.yunling.save(AGENT_YUNLING, case, &phone("1"));
    assert_eq!(county.yunling.unsent(), 2);
    let talk = Talk::begin(&county.yunling, &county.relay);
    talk.part(0, &place(YUNLING), usize::MAX, 1);
    assert_eq!(county.yunling.unsent(), 2, "cut before it was committed");
    talk.part(0, &place(YUNLING), usize::MAX, 2);
    assert_eq!(county.yunling.unsent(), 2, "committed there, but nobody said so");
    Talk::begin(&county.yunling, &county.relay).finish();
    assert_eq!(county.yunling.unsent(), 0);
    county.settle();
    assert_eq!(county.all().map(Station::unsent), [0; 4]);
    assert!(county.yunling.status().expect("the store works").last_completed_ms.is_some());
}

#[test]
fn rows_that_a_crash_left_behind_their_entries_are_right_after_the_next_start() {
    let mut county = County::founded();
    let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    county.yunling.save(AGENT_YUNLING, case, &phone("1"));
    county.yunling.step(AGENT_YUNLING, case, submitted()).expect("submitted");
    let log = {
        Talk::begin(&county.relay, &county.yunling);
        let peer = county.yunling.peer(&county.relay);
        county.yunling.load(&peer, &place(YUNLING), 0, usize::MAX).expect("loaded").entries
    };
    // Committed at the relay, and then the power goes before anything is derived.
    let commit = |tx: &cunkou_store::Txn<'_>| -> Result<(), StoreError> {
        for bytes in &log {
            let entry = cunkou_casework::entry::Entry::decode(bytes).expect("an entry");
            let kind = if entry.kind() == Kind::Event { 1 } else { 2 };
            let new = NewEntry {
                id: &entry.id().0,
                subject: &entry.subject().0,
                kind,
                via: 1,
                received_ms: 0,
                state: EntryState::Good,
                reason: None,
                bytes,
            };
            tx.append(&new, &place(YUNLING))?;
        }
        Ok(())
    };
    county.relay.store().write(commit).expect("committed");
    assert!(county.relay.row(case).is_none());
    county.relay.restart();
    let relay = said(&county.relay, case).expect("derived at the start");
    let village = said(&county.yunling, case).expect("here");
    assert_eq!((relay.state, relay.content), (village.state, village.content));
    assert_eq!(relay.row, village.row);
}

#[test]
fn all_derived_rows_can_be_dropped_and_are_made_again() {
    let mut county = County::founded();
    let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    county.yunling.save(AGENT_YUNLING, case, &phone("1"));
    county.centre.restart();
    county.settle();
    county.centre.save(CLERK, case, &phone("2"));
    county.yunling.save(AGENT_YUNLING, case, &phone("3"));
    county.yunling.step(AGENT_YUNLING, case, submitted()).expect("submitted");
    county.settle();
    let before = said(&county.centre, case).expect("here");
    county.centre.off();
    let path = county.centre.folder.path().join("work.db");
    let db = rusqlite::Connection::open(path).expect("the database");
    let key = format!("x'{}'", format!("{CENTRE:02x}").repeat(32));
    db.pragma_update(None, "key", key).expect("the key");
    db.execute_batch(
        "DELETE FROM case_row; DELETE FROM document; DELETE FROM subject;
         INSERT OR IGNORE INTO dirty SELECT DISTINCT subject FROM entry;",
    )
    .expect("dropped");
    drop(db);
    county.centre.on();
    assert_eq!(said(&county.centre, case).expect("derived"), before);
}

#[test]
fn case_numbers_are_unique_and_never_given_again_after_a_restart_or_a_failed_act() {
    let mut county = County::founded();
    let mut numbers = BTreeSet::new();
    let mut given = 0;
    for _ in 0..3 {
        for (station, agent, village) in [
            (&county.yunling, AGENT_YUNLING, YUNLING),
            (&county.longtan, AGENT_LONGTAN, LONGTAN),
            (&county.centre, CLERK, YUNLING),
        ] {
            for _ in 0..3 {
                let case = station.open_case(agent, village);
                let number = station.row(case).expect("a row").number;
                assert_eq!(parse(&number).as_ref(), Some(&number));
                numbers.insert(number);
                given += 1;
            }
            let refused = station.act(|desk| -> Result<SubjectId, ActError> {
                let key = secret(agent);
                let who = cunkou_replica::Who { person: person_id(agent), key: Some(&key) };
                desk.open_case(who, |number| opened(number, village))?;
                Err(ActError::Unknown)
            });
            assert!(refused.is_err(), "nothing of it is kept");
        }
        county.yunling.restart();
        county.longtan.restart();
        county.centre.restart();
    }
    assert_eq!(numbers.len(), given);
    county.settle();
    let filter = cunkou_store::CaseFilter { limit: 100, ..Default::default() };
    let page = county.relay.store().read(|view| view.cases(&filter)).expect("the store works");
    let at_relay: BTreeSet<String> = page.rows.into_iter().map(|row| row.number).collect();
    assert_eq!(at_relay, numbers);
}

#[test]
fn a_box_without_a_block_gives_no_number() {
    let county = County::founded();
    let key = secret(CLERK);
    let opening = county.relay.act(|desk| -> Result<SubjectId, ActError> {
        let who = cunkou_replica::Who { person: person_id(CLERK), key: Some(&key) };
        desk.open_case(who, |number| opened(number, YUNLING))
    });
    assert!(matches!(opening, Err(ActError::NoNumbers)));
}

#[test]
fn a_step_that_would_not_count_is_not_written() {
    let county = County::founded();
    let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    county.settle();
    let before = county.all().map(Station::entry_count);
    let refused = |result: Result<_, ActError>, why: Reason| {
        assert!(matches!(result, Err(ActError::Refused(reason)) if reason == why), "{why}");
    };
    refused(county.yunling.step(AGENT_YUNLING, case, Step::Completed), Reason::NotNow);
    refused(county.centre.step(AGENT_LONGTAN, case, submitted()), Reason::NoPost);
    county.yunling.step(AGENT_YUNLING, case, submitted()).expect("submitted");
    refused(county.yunling.step(AGENT_YUNLING, case, Step::Taken), Reason::NoPost);
    let unknown = county.longtan.step(AGENT_LONGTAN, case, submitted());
    assert!(matches!(unknown, Err(ActError::Unknown)));
    let mut after = before;
    after[2] += 1;
    assert_eq!(county.all().map(Station::entry_count), after);
}

/// One happening: which kind, where, about which case, with what.
type Happening = (u8, u8, u8, u8);

/// Somebody does what is due with a case there, or saves something.
fn do_something(
    county: &County,
    cases: &mut Vec<(SubjectId, PlaceId)>,
    (what, at, which, n): Happening,
) {
    let (station, who, village) = match at % 4 {
        0 => (&county.yunling, AGENT_YUNLING, YUNLING),
        1 => (&county.longtan, AGENT_LONGTAN, LONGTAN),
        2 => (&county.centre, CLERK, [YUNLING, LONGTAN][usize::from(which % 2)]),
        _ => (&county.relay, REVIEWER, YUNLING),
    };
    if cases.is_empty() || (what % 8 == 0 && at % 4 != 3) {
        let (station, who, village) = match at % 4 {
            3 => (&county.yunling, AGENT_YUNLING, YUNLING),
            _ => (station, who, village),
        };
        cases.push((station.open_case(who, village), village));
        return;
    }
    let (case, _) = cases[usize::from(which) % cases.len()];
    let Some(seen) = said(station, case) else { return };
    if what % 8 < 4 && who != REVIEWER {
        let section = [Section::Form, Section::Notes][usize::from(n % 2)];
        let key = ["a", "b", "c"][usize::from(n % 3)];
        let write = match n % 7 {
            0 => Write::remove(section, key),
            _ => Write::set(section, key, format!("{n} {at}")),
        };
        station.save(who, case, &[write]);
        return;
    }
    let term = seen.state.term;
    let text = || "理由".to_owned();
    let step = match (seen.state.phase, n % 5) {
        (Phase::Received | Phase::Accepted, 0) => Step::Withdrawn { reason: text() },
        (Phase::TownshipTaken | Phase::Forwarded, 0) => Step::SupplementAsked {
            defects: vec![Defect { material: "id-card".into(), reason: text() }],
            due: "2026-12-01".into(),
            calendar: "2026".into(),
        },
        (Phase::Draft, _) => submitted(),
        (Phase::Received, _) => Step::Taken,
        (Phase::TownshipTaken, _) => Step::Forwarded { opinion: text(), term: term + 1 },
        (Phase::Supplementing, _) => {
            let round = seen.state.open_supplement().map_or(1, |s| s.round);
            Step::SupplementGiven { round, attachments: vec![] }
        }
        (Phase::Forwarded, _) => accepted(term),
        (Phase::Accepted, 1) => Step::Denied { term, reason: text(), remedy: text() },
        (Phase::Accepted, _) => Step::Approved { term, opinion: text() },
        (Phase::Contested, _) => Step::Resolved { keep: seen.state.rivals[0], reason: text() },
        (Phase::Refused | Phase::Approved | Phase::Denied, _) => Step::Completed,
        (Phase::Completed, _) => Step::Delivered {
            to: Handover::Applicant,
            receiver: String::new(),
            proof: AttachmentId([n; 32]),
        },
        _ => Step::Archived,
    };
    match station.step(who, case, step) {
        Ok(_) | Err(ActError::Refused(_)) => {}
        Err(e) => unreachable!("{e}"),
    }
}

/// A part of a conversation that may be cut anywhere, or be repeated.
fn talk_a_little(county: &County, (what, at, which, n): Happening) {
    let station = county.boxes()[usize::from(at) % 3];
    let talk = Talk::begin(&county.relay, station);
    let scopes = talk.scopes();
    let scope = &scopes[usize::from(which) % scopes.len()];
    let way = usize::from(what % 2);
    match n % 8 {
        0 => {
            talk.again(way, scope, u64::from(n / 8));
        }
        1 => talk.finish(),
        cut => {
            talk.part(way, scope, 1 + usize::from(n) * 16, cut % 4);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, failure_persistence: None, ..<_>::default() })]

    #[test]
    fn all_who_hold_a_village_agree_on_its_cases_however_talks_were_cut_mixed_and_repeated(
        happenings in proptest::collection::vec((any::<bool>(), any::<Happening>()), 10..60),
        restart in any::<u8>(),
    ) {
        let mut county = County::founded();
        let mut cases = Vec::new();
        for (i, (act, happening)) in happenings.iter().enumerate() {
            if *act {
                do_something(&county, &mut cases, *happening);
            } else {
                talk_a_little(&county, *happening);
            }
            if i == usize::from(restart % 60) {
                county.centre.restart();
                county.yunling.restart();
                county.relay.restart();
            }
        }
        county.settle();
        for (case, village) in &cases {
            let [relay, centre, box_] =
                county.holding(*village).map(|s| said(s, *case).expect("all who hold it have it"));
            prop_assert_eq!(&relay, &centre);
            prop_assert_eq!(&relay, &box_);
            let other = if *village == YUNLING { &county.longtan } else { &county.yunling };
            prop_assert!(said(other, *case).is_none(), "another village's box has nothing of it");
        }
        prop_assert_eq!(county.yunling.head(&place(LONGTAN)), 0);
        prop_assert_eq!(county.longtan.head(&place(YUNLING)), 0);
        prop_assert_eq!(county.all().map(Station::unsent), [0; 4]);
        for station in county.all() {
            let status = station.status().expect("the store works");
            prop_assert_eq!(status.quarantine, 0, "everybody was honest");
        }
    }
}

#[test]
fn a_new_person_may_act_as_soon_as_the_county_log_says_so() {
    let county = County::founded();
    let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    let newcomer = 24;
    county.relay.state(&authority(), vec![person(newcomer, Role::Agent, YUNLING)]).expect("added");
    assert!(county.yunling.step(newcomer, case, submitted()).is_err());
    county.settle();
    county.yunling.step(newcomer, case, submitted()).expect("submitted");
    county.settle();
    let [relay, centre, village] = county.holding(YUNLING).map(|s| said(s, case).expect("here"));
    assert_eq!(relay.state.phase, Phase::Received);
    assert!(relay == centre && relay == village);
}
