//! Faults that were found once: each stays mended.
#![allow(missing_docs)]
mod county;
use county::*;
use cunkou_casework::case::*;
use cunkou_casework::county::*;
use cunkou_casework::document::*;
use cunkou_casework::entry::*;
use cunkou_casework::event::*;
use cunkou_casework::ids::*;
use cunkou_engine::*;
use cunkou_replica::*;
use cunkou_store::*;

fn place(place: PlaceId) -> String {
    format!("place:{place}")
}

#[test]
fn a_forged_county_statement_does_not_keep_the_relay_from_starting() {
    let mut county = County::founded();
    let head = county.relay.county().head();
    let numbered = Numbered {
        position: head.position + 1,
        previous: head.head,
        statement: Statement::Founded { name: "x".into(), authority: secret(5).public() },
    };
    let forged = forge(
        SubjectId([0xc0; 16]),
        Kind::County,
        (None, BOX_YUNLING),
        (None, BOX_YUNLING),
        1,
        encode(&numbered),
        head,
    );
    county.settle();
    let from = county.relay.peer(&county.yunling);
    let upto = county.yunling.head("system");
    let admitted = county.relay.take_in(&from, "system", upto + 1, &[forged.encode()]);
    assert_eq!(admitted.quarantined, 1);
    county.relay.restart();
}

#[test]
fn a_statement_that_came_early_counts_when_its_turn_comes() {
    let mut county = County::founded();
    county
        .relay
        .state(
            &authority(),
            vec![person(24, Role::Agent, YUNLING), person(29, Role::Agent, YUNLING)],
        )
        .expect("it works");
    let talk = Talk::begin(&county.relay, &county.yunling);
    drop(talk);
    let peer = county.relay.peer(&county.yunling);
    let log = county.relay.load(&peer, "system", 13, usize::MAX).expect("it works");
    let [one, two] = &log.entries[..] else { panic!("{}", log.entries.len()) };
    let from = county.yunling.peer(&county.relay);
    county.yunling.take_in(&from, "system", 13, std::slice::from_ref(two));
    let again = Port::store(&*county.yunling, &from, "system", 15, &[one.clone(), two.clone()]);
    assert!(again.is_ok(), "{again:?}");
    assert_eq!(county.yunling.county().head().position, 15);
    county.yunling.restart();
}

#[test]
fn an_entry_that_somebody_brought_into_a_wrong_scope_first_still_counts_in_its_own() {
    let mut county = County::founded();
    let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    let known = county.yunling.peer(&county.relay);
    let mine = county.yunling.head(&place(YUNLING));
    let log = county.yunling.load(&known, &place(YUNLING), 0, usize::MAX).expect("it works");
    let other = county.relay.peer(&county.longtan);
    for (n, scope) in (1..).zip(["system".to_owned(), place(LONGTAN)]) {
        let admitted = county.relay.take_in(&other, &scope, 900 + n, &log.entries);
        assert_eq!(admitted.new, 0, "{scope}");
    }
    assert!(county.relay.row(case).is_none());
    county.settle();
    assert!(county.relay.row(case).is_some(), "{mine} entries came in their own scope");
    county.relay.restart();
    assert!(county.relay.row(case).is_some());
}

#[test]
fn a_save_between_commit_and_derivation_keeps_the_peers_save() {
    let county = County::founded();
    let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    county.settle();
    county.yunling.save(AGENT_YUNLING, case, &phone("138"));
    let peer = county.yunling.peer(&county.relay);
    let log = county.yunling.load(&peer, &place(YUNLING), 1, usize::MAX).expect("it works").entries;
    // admit()'s first transaction, then a web handler's act, then materialise_dirty().
    county
        .centre
        .store()
        .write(|tx| -> Result<(), StoreError> {
            for bytes in &log {
                let e = Entry::decode(bytes).expect("e");
                if e.kind() != Kind::Edit {
                    continue;
                }
                tx.append(
                    &NewEntry {
                        id: &e.id().0,
                        subject: &case.0,
                        kind: 2,
                        via: 1,
                        received_ms: 0,
                        state: EntryState::Good,
                        reason: None,
                        bytes,
                    },
                    &place(YUNLING),
                )?;
            }
            Ok(())
        })
        .expect("it works");
    county.centre.save(CLERK, case, &[Write::set(Section::Notes, "n", "x")]);
    let s = said(&county.centre, case).expect("here");
    assert_eq!(s.current.get(Section::Form, "phone"), Some("138"));
}

#[test]
fn after_the_last_number_of_a_block_the_next_block_follows() {
    let county = County::founded();
    county
        .yunling
        .store()
        .write(|tx| tx.set_meta("numbers", &999_998u64.to_be_bytes()))
        .expect("it works");
    county.yunling.open_case(AGENT_YUNLING, YUNLING);
    let c = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    assert!(county.yunling.row(c).expect("it works").number.starts_with("00012"));
}

#[test]
fn a_revoked_person_cannot_act_on_their_own_box() {
    let county = County::founded();
    let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    county.settle();
    county
        .relay
        .state(
            &authority(),
            vec![Statement::PersonRevoked { person: person_id(AGENT_YUNLING), reason: "x".into() }],
        )
        .expect("it works");
    county.settle();
    let r = county.yunling.step(AGENT_YUNLING, case, submitted());
    county.settle();
    let p = county.holding(YUNLING).map(|s| said(s, case).expect("it works").state.phase);
    assert!(r.is_err(), "accepted here; phases relay, centre, village: {p:?}");
}

#[test]
fn a_person_without_their_key_cannot_act_on_their_own_box() {
    let county = County::founded();
    let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    let r = county.yunling.act(|desk| {
        desk.event(case, Who { person: person_id(AGENT_YUNLING), key: None }, submitted())
    });
    county.settle();
    let p = county.holding(YUNLING).map(|s| said(s, case).map(|s| s.state.phase));
    assert!(r.is_err(), "accepted here; phases relay, centre, village: {p:?}");
}

#[test]
fn an_entry_ahead_of_our_county_log_is_judged_by_the_log_it_names() {
    let county = County::founded();
    let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    county.settle();
    let after = said(&county.relay, case).expect("it works").frontier;
    county
        .relay
        .state(
            &authority(),
            vec![Statement::PersonRevoked { person: person_id(AGENT_YUNLING), reason: "x".into() }],
        )
        .expect("it works");
    let late = forge(
        case,
        Kind::Event,
        (Some(AGENT_YUNLING), BOX_YUNLING),
        (Some(AGENT_YUNLING), BOX_YUNLING),
        1,
        event(&after, submitted()),
        county.relay.county().head(),
    );
    let via = |s: &Station| {
        let p = s.peer(&county.relay);
        s.take_in(&p, &place(YUNLING), 9, &[late.encode()]);
    };
    // The centre gets the entry before the statement, the village box after it.
    via(&county.centre);
    county.settle();
    via(&county.yunling);
    let p = [&county.centre, &county.yunling].map(|s| said(s, case).expect("it works").state.phase);
    assert_eq!(p[0], p[1]);
}

#[test]
fn a_waiting_witness_counts_once_its_relay_is_enrolled() {
    let county = County::founded();
    let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    let id = county.yunling.step(AGENT_YUNLING, case, submitted()).expect("it works");
    let w = Witness { entries: vec![id], log: [1; 16], position: 1, time_ms: 1 };
    let second_relay = 9;
    county
        .relay
        .state(&authority(), vec![device(second_relay, DeviceKind::Relay, &[])])
        .expect("it works");
    let w = forge(
        case,
        Kind::Witness,
        (None, second_relay),
        (None, second_relay),
        1,
        encode(&w),
        county.relay.county().head(),
    );
    let p = county.yunling.peer(&county.relay);
    county.yunling.take_in(&p, &place(YUNLING), 0, &[w.encode()]);
    assert_eq!(county.yunling.state_of(w.id()).map(|s| s.0), Some(EntryState::Waiting));
    Talk::begin(&county.relay, &county.yunling).part(0, "system", 100000, 0);
    assert_eq!(county.yunling.state_of(w.id()).map(|s| s.0), Some(EntryState::Good));
    assert!(said(&county.yunling, case).expect("it works").ladder.uploaded);
}

#[test]
fn an_edit_of_a_box_whose_villages_grew_waits_for_the_county_log() {
    let county = County::founded();
    let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    county.settle();
    // The box of Longtan gets Yunling, too; its save reaches the centre before the statement.
    county
        .relay
        .state(&authority(), vec![device(BOX_LONGTAN, DeviceKind::Village, &[LONGTAN, YUNLING])])
        .expect("it works");
    let head = county.relay.county().head();
    let mut d = Document::new(Schema::Case1).expect("it works");
    let change = d
        .write(actor(device_id(BOX_LONGTAN), Incarnation([1; 16])), 0, &phone("1"))
        .expect("it works")
        .expect("it works");
    let e = forge(
        case,
        Kind::Edit,
        (Some(AGENT_LONGTAN), BOX_LONGTAN),
        (None, BOX_LONGTAN),
        1,
        change,
        head,
    );
    let p = county.centre.peer(&county.relay);
    county.centre.take_in(&p, &place(YUNLING), 0, &[e.encode()]);
    county.settle();
    let p = county.yunling.peer(&county.relay);
    county.yunling.take_in(&p, &place(YUNLING), 9, &[e.encode()]);
    let s = [&county.centre, &county.yunling].map(|s| said(s, case).expect("it works").current);
    assert_eq!(s[0], s[1]);
}

#[test]
fn the_relay_that_enrols_a_box_judges_again_what_waited_for_it() {
    let county = County::founded();
    let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    county.settle();
    let after = said(&county.relay, case).expect("it works").frontier;
    let e = forge(
        case,
        Kind::Event,
        (Some(AGENT_YUNLING), 8),
        (Some(AGENT_YUNLING), 8),
        1,
        event(&after, submitted()),
        county.relay.county().head(),
    );
    let p = county.relay.peer(&county.centre);
    county.relay.take_in(&p, &place(YUNLING), 9, &[e.encode()]);
    county
        .relay
        .state(&authority(), vec![device(8, DeviceKind::Village, &[YUNLING])])
        .expect("it works");
    let s = said(&county.relay, case).expect("it works");
    assert_eq!(s.row.phase, s.state.phase.key());
}

#[test]
fn rows_follow_the_county_log() {
    let county = County::founded();
    let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    county.settle();
    let after = said(&county.relay, case).expect("it works").frontier;
    // The agent of Longtan helps out in Yunling; the step reaches the centre before the new post.
    let mut p = Statement::clone(&person(AGENT_LONGTAN, Role::Agent, LONGTAN));
    if let Statement::Person(p) = &mut p {
        p.posts.push(Post { role: Role::Agent, place: YUNLING, department: None });
    }
    let e = forge(
        case,
        Kind::Event,
        (Some(AGENT_LONGTAN), BOX_YUNLING),
        (Some(AGENT_LONGTAN), BOX_YUNLING),
        1,
        event(&after, submitted()),
        county.relay.county().head(),
    );
    let peer = county.centre.peer(&county.relay);
    county.centre.take_in(&peer, &place(YUNLING), 0, &[e.encode()]);
    county.relay.state(&authority(), vec![p]).expect("it works");
    county.settle();
    let s = said(&county.centre, case).expect("it works");
    assert_eq!(s.row.phase, s.state.phase.key());
}

#[test]
fn an_agent_who_moves_keeps_their_history_on_every_replica() {
    let county = County::founded();
    let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    county.yunling.step(AGENT_YUNLING, case, submitted()).expect("it works");
    county.settle();
    county
        .relay
        .state(&authority(), vec![person(AGENT_YUNLING, Role::Agent, LONGTAN)])
        .expect("it works");
    county.settle();
    let s = said(&county.centre, case).expect("it works");
    assert_eq!(s.state.phase, Phase::Received);
}

#[test]
fn an_event_with_an_unreadable_payload_is_quarantined() {
    let county = County::founded();
    let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    county.settle();
    let e = forge(
        case,
        Kind::Event,
        (Some(AGENT_YUNLING), BOX_YUNLING),
        (Some(AGENT_YUNLING), BOX_YUNLING),
        1,
        vec![0xff],
        county.relay.county().head(),
    );
    let p = county.relay.peer(&county.yunling);
    county.relay.take_in(&p, &place(YUNLING), 9, &[e.encode()]);
    assert_eq!(county.relay.state_of(e.id()).map(|s| s.0), Some(EntryState::Quarantined));
}

#[test]
fn a_case_of_another_village_is_not_shown_by_the_scope_it_came_in() {
    let county = County::founded();
    let case = SubjectId([7; 16]);
    let e = forge(
        case,
        Kind::Event,
        (Some(CLERK), CENTRE),
        (Some(CLERK), CENTRE),
        1,
        event(&[], opened("000470000015".into(), LONGTAN)),
        county.relay.county().head(),
    );
    let p = county.relay.peer(&county.centre);
    county.relay.take_in(&p, &place(YUNLING), 9, &[e.encode()]);
    county.settle();
    assert!(said(&county.yunling, case).is_none(), "Yunling's box shows a case of Longtan");
}

#[test]
fn a_new_key_does_not_undo_old_entries_on_a_new_box() {
    let county = County::founded();
    let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    county.yunling.step(AGENT_YUNLING, case, submitted()).expect("it works");
    Talk::begin(&county.relay, &county.yunling).finish();
    let mut p = person(AGENT_YUNLING, Role::Agent, YUNLING);
    if let Statement::Person(p) = &mut p {
        p.key = Some(secret(77).public());
    }
    county.relay.state(&authority(), vec![p]).expect("it works");
    county.settle();
    let phases = county.holding(YUNLING).map(|s| said(s, case).map(|s| s.state.phase));
    assert_eq!(phases, [Some(Phase::Received); 3]);
}

#[test]
fn a_disk_that_went_back_unnoticed_gets_back_what_it_had_given_away() {
    let mut county = County::founded();
    county.settle();
    county.yunling.off();
    let older = county.yunling.copied();
    county.yunling.on();
    let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    county.settle();
    let whole = said(&county.relay, case).expect("the relay has it");
    assert!(said(&older, case).is_none());
    for _ in 0..3 {
        Talk::begin(&county.relay, &older).finish();
    }
    assert_eq!(said(&older, case), Some(whole), "the same epoch, and yet it lacked its own work");
}

#[test]
fn what_a_peer_understands_is_remembered_until_it_ends_a_conversation_before_the_greeting() {
    let mut county = County::founded();
    county.settle();
    let relay = county.yunling.peer(&county.relay);
    let knows = |county: &County| county.yunling.knows(&relay).expect("it works");
    assert!(knows(&county) > 0);
    county.yunling.restart();
    assert!(knows(&county) > 0);
    county.yunling.forget(&relay).expect("it works");
    assert_eq!(knows(&county), 0);
    county.settle();
    assert!(knows(&county) > 0);
}
