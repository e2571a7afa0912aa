//! The attack suite on whole replicas: each test is named after its row of `tests/attacks`.

mod county;

use county::*;
use cunkou_casework::case::{Phase, Reason, Standing};
use cunkou_casework::county::Statement;
use cunkou_casework::document::{Document, Schema, Section, Write, actor};
use cunkou_casework::entry::{Entry, Kind};
use cunkou_casework::event::{Event, Filer, Step, Witness, decode, encode};
use cunkou_casework::ids::{AttachmentId, EntryId, Incarnation, SubjectId};
use cunkou_engine::{Call, Frame, Hello, Input, Output, Port, ScopeState, Session, Violation};
use cunkou_store::{EntryState, ForkKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const OURS: &str = "place:11";
const THEIRS: &str = "place:12";

fn approve(term: u32) -> Step {
    Step::Approved { term, opinion: "同意".into() }
}

/// A case of 云岭村 that waits for its decision; everybody has it.
fn accepted_case(county: &County) -> SubjectId {
    let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    county.yunling.save(AGENT_YUNLING, case, &phone("138"));
    county.yunling.step(AGENT_YUNLING, case, submitted()).expect("submitted");
    county.settle();
    county.centre.step(CLERK, case, Step::Taken).expect("taken");
    let forward = Step::Forwarded { opinion: String::new(), term: 2 };
    county.centre.step(CLERK, case, forward).expect("forwarded");
    county.settle();
    county.relay.step(REVIEWER, case, accepted(2)).expect("accepted");
    county.settle();
    case
}

fn phase(station: &Station, case: SubjectId) -> Phase {
    said(station, case).expect("here").state.phase
}

/// Entries arrive at the relay from a box, as its next batch of a village's log.
fn sends(county: &County, from: &Station, scope: &str, entries: &[Vec<u8>]) -> (u32, u32) {
    let peer = county.relay.peer(from);
    let upto = from.head(scope) + 1;
    let admitted = county.relay.take_in(&peer, scope, upto, entries);
    (admitted.new, admitted.quarantined)
}

#[test]
fn threat_01_an_approval_forged_by_a_village_key_or_in_the_relays_name_counts_nowhere() {
    let county = County::founded();
    let case = accepted_case(&county);
    let after = said(&county.relay, case).expect("here").frontier;
    let head = county.relay.county().head();
    let forged =
        |by, keys, salt| forge(case, Kind::Event, by, keys, salt, event(&after, approve(2)), head);
    let own = forged((Some(AGENT_YUNLING), BOX_YUNLING), (Some(AGENT_YUNLING), BOX_YUNLING), 1);
    let others = [
        forged((Some(REVIEWER), BOX_YUNLING), (None, BOX_YUNLING), 2),
        forged((Some(REVIEWER), BOX_YUNLING), (Some(AGENT_YUNLING), BOX_YUNLING), 3),
        forged((Some(REVIEWER), RELAY), (None, BOX_YUNLING), 4),
        forged((None, RELAY), (None, BOX_YUNLING), 5),
    ];
    let batch: Vec<Vec<u8>> = others.iter().chain([&own]).map(Entry::encode).collect();
    assert_eq!(sends(&county, &county.yunling, OURS, &batch), (1, 4));
    county.settle();
    for station in county.holding(YUNLING) {
        assert_eq!(phase(station, case), Phase::Accepted);
    }
    for entry in &others {
        let (state, why) = county.relay.state_of(entry.id()).expect("kept");
        assert_eq!(state, EntryState::Quarantined);
        assert!(why.is_some(), "it says why");
    }
    let shown = Standing::Quarantined(Reason::NoPost);
    assert!(said(&county.relay, case).expect("here").standings.contains(&(own.id(), shown)));
}

#[test]
fn threat_01_a_status_written_into_the_document_is_no_status() {
    let county = County::founded();
    let case = accepted_case(&county);
    for key in ["status", "phase", "approved", "decision"] {
        let writes = [Write::set(Section::Form, key, "approved")];
        county.yunling.save(AGENT_YUNLING, case, &writes);
    }
    county.settle();
    for station in county.holding(YUNLING) {
        let said = said(station, case).expect("here");
        assert_eq!((said.state.phase, said.row.phase.as_str()), (Phase::Accepted, "accepted"));
        assert!(said.state.decision.is_none());
    }
}

#[test]
fn threat_01_an_approval_replayed_onto_another_case_does_nothing() {
    let county = County::founded();
    let (one, other) = (accepted_case(&county), accepted_case(&county));
    let approval = county.relay.step(REVIEWER, one, approve(2)).expect("approved");
    county.settle();
    let row = county.relay.store().read(|view| view.entry(&approval.0)).expect("works");
    let bytes = row.expect("kept").bytes;
    let before = said(&county.relay, other);
    // As it is: it is about the first case, and known.
    assert_eq!(sends(&county, &county.yunling, OURS, std::slice::from_ref(&bytes)), (0, 0));
    // With the other case's name written over the first one's.
    let at = bytes.windows(16).position(|part| part == one.0).expect("the subject");
    let mut moved = bytes;
    moved[at..at + 16].copy_from_slice(&other.0);
    let as_other = Entry::decode(&moved).expect("well-formed");
    assert_eq!(as_other.subject(), other);
    assert_eq!(sends(&county, &county.yunling, OURS, &[moved]), (0, 1));
    county.settle();
    let after = said(&county.relay, other).expect("here");
    assert_eq!(after.state, before.expect("here").state);
    assert_eq!(phase(&county.relay, one), Phase::Approved);
}

#[test]
fn threat_01_content_edited_after_the_approval_is_not_what_was_approved() {
    let county = County::founded();
    let case = accepted_case(&county);
    let frozen = said(&county.relay, case).expect("here").state.submission.expect("submitted");
    county.relay.step(REVIEWER, case, approve(2)).expect("approved");
    county.settle();
    county.yunling.save(AGENT_YUNLING, case, &phone("666"));
    county.settle();
    for station in county.holding(YUNLING) {
        let said = said(station, case).expect("here");
        assert_eq!(said.content.all(Section::Form, "phone"), ["138"]);
        assert_eq!(said.state.submission.as_ref(), Some(&frozen));
        // The signed digest is that of what is shown.
        assert!(frozen.digest.is_some());
    }
}

#[test]
fn threat_02_a_box_that_writes_for_another_village_is_set_aside() {
    let county = County::founded();
    let case = accepted_case(&county);
    let after = said(&county.relay, case).expect("here").frontier;
    let head = county.relay.county().head();
    let by = (Some(AGENT_LONGTAN), BOX_LONGTAN);
    let withdraw = Step::Withdrawn { reason: "冒名".into() };
    let entry = |salt, subject, step| {
        let after = if subject == case { &after[..] } else { &[] };
        forge(subject, Kind::Event, by, by, salt, event(after, step), head).encode()
    };
    let new = SubjectId([0xee; 16]);
    let opening = || opened("000470000015".into(), YUNLING);
    // In its own village's log it may not speak of another's cases.
    let batch = [entry(1, case, withdraw.clone()), entry(2, new, opening())];
    assert_eq!(sends(&county, &county.longtan, THEIRS, &batch), (0, 2));
    // Through a township's box that serves both, authority says no.
    let batch = [entry(3, case, withdraw), entry(4, SubjectId([0xef; 16]), opening())];
    sends(&county, &county.centre, OURS, &batch);
    county.settle();
    assert_eq!(phase(&county.relay, case), Phase::Accepted);
    assert!(county.relay.row(SubjectId([0xef; 16])).is_none());
}

/// What the relay's session says to a hello of a box, and then to one frame.
fn conversation(county: &County, from: &Station, scopes: &[&str], then: Frame) -> Vec<Output> {
    let peer = county.relay.peer(from);
    let hello = county.relay.hello(&peer).expect("a hello");
    let mut session = Session::new(Duration::ZERO, hello, Call::In);
    let name = |scope: &&str| ScopeState {
        scope: (*scope).to_owned(),
        head: 1000,
        read: 0,
        epoch: [0; 16],
        acked: None,
        sum: None,
        whole: None,
    };
    let greeting = Hello {
        scopes: scopes.iter().map(name).collect(),
        ..from.hello(&from.peer(&county.relay)).expect("a hello")
    };
    session.handle(Duration::ZERO, Input::Received(Frame::Hello(greeting).encode()));
    session.handle(Duration::ZERO, Input::Received(then.encode()));
    std::iter::from_fn(|| session.poll_output()).collect()
}

#[test]
fn threat_08_a_box_that_asks_for_another_village_gets_nothing_of_it() {
    let county = County::founded();
    accepted_case(&county);
    let frame = Frame::Entries { scope: OURS.into(), upto: 1, head: 1000, entries: vec![] };
    let out = conversation(&county, &county.longtan, &["system", OURS, THEIRS], frame);
    let loads: Vec<_> = out
        .iter()
        .filter_map(|o| match o {
            Output::Load(part) => Some(part.scope.as_str()),
            _ => None,
        })
        .collect();
    assert!(!loads.contains(&OURS), "{loads:?}");
    let sent = out.iter().filter_map(|o| match o {
        Output::Send(bytes) => Some(bytes),
        _ => None,
    });
    for bytes in sent {
        assert!(!bytes.windows(OURS.len()).any(|part| part == OURS.as_bytes()), "not its name");
    }
    assert_eq!(out.last(), Some(&Output::Close(Violation::Scope)), "writing there ends it");
}

#[test]
fn threat_08_photos_of_another_village_are_not_given_out() {
    let county = County::founded();
    let photo = b"a photo of somebody's card".to_vec();
    let id = *blake3::hash(&photo).as_bytes();
    let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    let filed = Step::Submitted {
        filer: Filer::Applicant,
        attachments: vec![AttachmentId(id)],
        deferred: vec![],
    };
    county.yunling.step(AGENT_YUNLING, case, filed).expect("submitted");
    county.settle();
    county.relay.keep_attachment(&id, &photo).expect("kept");
    let asked = |by: &Station| county.relay.attachment(&county.relay.peer(by), &id);
    assert_eq!(asked(&county.longtan).expect("works"), None);
    assert_eq!(asked(&county.yunling).expect("works"), Some(photo.clone()));
    assert_eq!(asked(&county.centre).expect("works"), Some(photo));
}

#[test]
fn threat_02_a_revoked_box_that_is_connected_is_told_at_once_and_shares_no_village_any_more() {
    let county = County::founded();
    let key = secret(BOX_YUNLING).public().0;
    let live = county.relay.admit_peer(&key).expect("enrolled");
    assert!(live.scopes.contains(&OURS.to_owned()));
    let told = Arc::new(AtomicBool::new(false));
    let tell = Arc::clone(&told);
    county.relay.on_change(Box::new(move || tell.store(true, Ordering::SeqCst)));
    let device = device_id(BOX_YUNLING);
    let revoked = Statement::DeviceRevoked { device, reason: "被盗".into() };
    county.relay.state(&authority(), vec![revoked]).expect("revoked");
    // Every open conversation looks at its peer again when the store tells of news, and ends when
    // what the peer may hear is not what it was.
    assert!(told.load(Ordering::SeqCst), "the open conversation is woken");
    let now = county.relay.admit_peer(&key).expect("to hear why");
    assert_eq!(now.scopes, ["system"]);
}

#[test]
fn threat_06_a_device_that_says_two_things_under_one_number_is_found_and_named() {
    let county = County::founded();
    let case = accepted_case(&county);
    let head = county.relay.county().head();
    let by = (Some(AGENT_YUNLING), BOX_YUNLING);
    let save = |value: &str| {
        let mut document = Document::new(Schema::Case1).expect("new");
        let run = actor(device_id(BOX_YUNLING), Incarnation([7; 16]));
        let change = document.write(run, 0, &phone(value)).expect("written").expect("a change");
        forge(case, Kind::Edit, by, (None, BOX_YUNLING), 7, change, head).encode()
    };
    sends(&county, &county.yunling, OURS, &[save("1"), save("2")]);
    let forks = county.relay.forks().expect("works");
    assert!(forks.iter().any(|f| f.kind == ForkKind::SameNumber), "{forks:?}");
    assert!(forks.iter().all(|f| f.device == device_id(BOX_YUNLING).0));
}

#[test]
fn threat_06_nobody_frames_another_device_as_having_two_histories() {
    let county = County::founded();
    let case = accepted_case(&county);
    let head = county.relay.county().head();
    let by = (None, BOX_YUNLING);
    let framed = |text: &str| {
        let payload = event(&[], Step::Withdrawn { reason: text.into() });
        forge(case, Kind::Event, by, (None, BOX_LONGTAN), 7, payload, head).encode()
    };
    sends(&county, &county.centre, OURS, &[framed("1"), framed("2")]);
    assert!(county.relay.forks().expect("works").is_empty());
}

#[test]
fn threat_03_a_witness_made_by_a_box_does_not_put_a_step_before_its_revocation() {
    let county = County::founded();
    let case = accepted_case(&county);
    let head = county.relay.county().head();
    let after = said(&county.relay, case).expect("here").frontier;
    let withdraw = Step::Withdrawn { reason: String::new() };
    let by = (Some(AGENT_YUNLING), BOX_YUNLING);
    let late = forge(case, Kind::Event, by, by, 1, event(&after, withdraw), head);
    let device = device_id(BOX_YUNLING);
    let revoked = Statement::DeviceRevoked { device, reason: "被盗".into() };
    county.relay.state(&authority(), vec![revoked]).expect("revoked");
    let witness = |entries: Vec<EntryId>| {
        let witness = Witness { entries, log: [1; 16], position: 1, time_ms: 1 };
        encode(&witness)
    };
    let by_box = (None, BOX_LONGTAN);
    let in_relays_name = (None, RELAY);
    let batch = [
        late.encode(),
        forge(case, Kind::Witness, by_box, by_box, 2, witness(vec![late.id()]), head).encode(),
        forge(case, Kind::Witness, in_relays_name, by_box, 3, witness(vec![late.id()]), head)
            .encode(),
    ];
    sends(&county, &county.centre, OURS, &batch);
    assert_eq!(phase(&county.relay, case), Phase::Accepted);
    let (state, _) = county.relay.state_of(late.id()).expect("kept");
    assert_ne!(state, EntryState::Good);
}

#[test]
fn threat_18_a_county_statement_by_a_box_enrols_nobody_and_widens_nothing() {
    let county = County::founded();
    let head = county.relay.county().head();
    let wider = cunkou_casework::county::Numbered {
        position: head.position + 1,
        previous: head.head,
        statement: device(
            BOX_YUNLING,
            cunkou_casework::county::DeviceKind::Village,
            &[YUNLING, LONGTAN],
        ),
    };
    let by = (None, BOX_YUNLING);
    let of_county = SubjectId([0xc0; 16]);
    let forged = forge(of_county, Kind::County, by, by, 1, encode(&wider), head);
    assert_eq!(sends(&county, &county.yunling, "system", &[forged.encode()]), (0, 1));
    let own = upward(BOX_YUNLING);
    assert_eq!(county.relay.peer(&county.yunling).scopes, ["system", &own, OURS]);
    assert_eq!(county.relay.county().head(), head);
}

#[test]
fn threat_01_a_changed_byte_of_an_approval_is_no_approval() {
    let county = County::founded();
    let case = accepted_case(&county);
    let approval = county.relay.step(REVIEWER, case, approve(2)).expect("approved");
    let row = county.relay.store().read(|view| view.entry(&approval.0)).expect("works");
    let bytes = row.expect("kept").bytes;
    // To the township's box, which has not got it yet, with each byte changed in turn.
    let from = county.centre.peer(&county.relay);
    let at = county.centre.head(OURS);
    for i in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[i] ^= 1;
        county.centre.take_in(&from, OURS, at, &[changed]);
    }
    assert_eq!(phase(&county.centre, case), Phase::Accepted);
    let event: Event =
        decode(Entry::decode(&bytes).expect("an entry").payload()).expect("an event");
    assert!(matches!(event.step, Step::Approved { .. }));
}

/// A statement of the county, made and signed by a village box alone.
fn forged_statement(county: &County, position: u64) -> Vec<u8> {
    let head = county.relay.county().head();
    let numbered = cunkou_casework::county::Numbered {
        position,
        previous: head.head,
        statement: person(77, cunkou_casework::county::Role::Agent, YUNLING),
    };
    let by = (None, BOX_YUNLING);
    forge(SubjectId([0xc0; 16]), Kind::County, by, by, 1, encode(&numbered), head).encode()
}

#[test]
fn threat_18_a_forged_county_statement_for_a_later_turn_does_not_stop_the_county() {
    let mut county = County::founded();
    let next = county.relay.county().head().position + 1;
    sends(&county, &county.yunling, "system", &[forged_statement(&county, next + 1)]);
    for n in [24, 29] {
        let statement = person(n, cunkou_casework::county::Role::Agent, YUNLING);
        county.relay.state(&authority(), vec![statement]).expect("the county goes on");
    }
    assert_eq!(county.relay.county().head().position, next + 1);
    county.relay.restart();
    assert_eq!(county.relay.county().head().position, next + 1);
}

#[test]
fn threat_18_a_forged_county_statement_does_not_stop_a_box_that_hears_it_from_the_relay() {
    let mut county = County::founded();
    let next = county.relay.county().head().position + 1;
    sends(&county, &county.yunling, "system", &[forged_statement(&county, next)]);
    county.settle();
    let statement = person(24, cunkou_casework::county::Role::Agent, YUNLING);
    county.relay.state(&authority(), vec![statement]).expect("the county goes on");
    county.settle();
    county.longtan.restart();
    assert_eq!(county.longtan.county().head().position, next);
}

#[test]
fn threat_18_a_case_is_exported_whole_after_a_forged_county_statement() {
    let county = County::founded();
    let case = accepted_case(&county);
    let next = county.relay.county().head().position + 1;
    sends(&county, &county.yunling, "system", &[forged_statement(&county, next)]);
    let bytes = county.relay.export(case, false).expect("the store works").expect("the case");
    let export = cunkou_casework::export::Export::decode(&bytes).expect("readable");
    let read = export.read_county_log().expect("readable");
    assert_eq!(read.broken, None);
}

#[test]
fn threat_01_a_village_that_names_itself_as_the_deciding_office_decides_nothing() {
    let county = County::founded();
    let colleague = 30;
    let statement = person(colleague, cunkou_casework::county::Role::Agent, YUNLING);
    county.relay.state(&authority(), vec![statement]).expect("a second agent");
    county.settle();
    let key = secret(AGENT_YUNLING);
    let case = county.yunling.act(|desk| -> Result<_, cunkou_replica::ActError> {
        let who = cunkou_replica::Who { person: person_id(AGENT_YUNLING), key: Some(&key) };
        desk.open_case(who, |number| {
            let mut step = opened(number, YUNLING);
            if let Step::Opened { route, .. } = &mut step {
                route.accept = cunkou_casework::event::Level::Township;
                route.decide = cunkou_casework::event::Level::Village;
            }
            step
        })
    });
    // An honest box does not even write it; a hostile one is held to the same rule by everybody.
    assert!(matches!(case, Err(cunkou_replica::ActError::Refused(Reason::OtherWay))), "{case:?}");
}
