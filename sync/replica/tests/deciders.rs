//! Steps that wait for a key, and cases that leave as a file, over real stores.
#![allow(missing_docs)]
mod county;
#[allow(dead_code, unreachable_pub, missing_debug_implementations)]
#[path = "../../../casework/tests/soft/mod.rs"]
mod soft;

use county::*;
use cunkou_casework::case::*;
use cunkou_casework::county::*;
use cunkou_casework::entry::*;
use cunkou_casework::event::*;
use cunkou_casework::export::Export;
use cunkou_casework::ids::*;
use cunkou_replica::*;
use soft::SoftKey;

fn key() -> SoftKey {
    SoftKey::new(7)
}

/// A case that the township has forwarded, at every replica; the reviewer has a security key.
fn forwarded() -> (County, SubjectId) {
    let county = County::founded();
    let known = county.relay.county().person(person_id(REVIEWER)).expect("known").clone();
    let person = Person { keys: Some(vec![key().public()]), ..known };
    county.relay.state(&authority(), vec![Statement::Person(person)]).expect("stated");
    county.settle();
    let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    county.yunling.save(AGENT_YUNLING, case, &phone("13900000101"));
    county.yunling.step(AGENT_YUNLING, case, submitted()).expect("submitted");
    county.settle();
    county.centre.step(CLERK, case, Step::Taken).expect("taken");
    let forward = Step::Forwarded { opinion: "属实".into(), term: 2 };
    county.centre.step(CLERK, case, forward).expect("forwarded");
    county.settle();
    (county, case)
}

fn prepare(county: &County, case: SubjectId, step: Step) -> Result<Prepared, ActError> {
    county.relay.act(|desk| desk.prepare(case, person_id(REVIEWER), step))
}

fn confirm(county: &County, prepared: Prepared, challenge: &[u8; 32]) -> Result<EntryId, ActError> {
    let proof = Proof::Signature(key().assert(challenge));
    county.relay.act(|desk| desk.confirm(prepared, &key().public(), proof))
}

fn chain(station: &Station) -> Vec<u8> {
    station.store().read(|view| view.meta("chain")).expect("the store works").unwrap_or_default()
}

#[test]
fn a_prepared_step_counts_everywhere_once_its_key_has_signed_and_leaves_the_chain_alone() {
    let (county, case) = forwarded();
    let prepared = prepare(&county, case, accepted(2)).expect("it may be taken");
    assert_eq!(county.relay.case(case).expect("read").expect("here").state.phase, Phase::Forwarded);
    // The relay's own chain goes on while the person looks for the key.
    let other = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    county.settle();
    let before = chain(&county.relay);
    let challenge = prepared.challenge();
    confirm(&county, prepared, &challenge).expect("confirmed");
    assert_eq!(chain(&county.relay), before);
    county.settle();
    for station in county.holding(YUNLING) {
        let file = station.case(case).expect("read").expect("here");
        assert_eq!(file.state.phase, Phase::Accepted, "{}", station.n);
        let last = file.steps.last().expect("a step");
        assert_eq!(last.record.attestation, Attestation::SecurityKey, "{}", station.n);
        assert_eq!((last.record.header.seq, last.record.header.previous), (1, None));
    }
    assert!(county.relay.case(other).expect("read").is_some());
}

#[test]
fn a_step_of_who_has_a_key_is_refused_without_it_and_so_is_an_assertion_for_another() {
    let (county, case) = forwarded();
    let refused = county.relay.step(REVIEWER, case, accepted(2));
    assert!(matches!(refused, Err(ActError::Refused(Reason::NoOwnKey))), "{refused:?}");
    let prepared = prepare(&county, case, accepted(2)).expect("it may be taken");
    let again = prepare(&county, case, accepted(2)).expect("it may be taken");
    let refused = confirm(&county, prepared, &again.challenge());
    assert!(matches!(refused, Err(ActError::Refused(Reason::NoOwnKey))), "{refused:?}");
    let wrong = prepare(&county, case, accepted(3));
    assert!(matches!(wrong, Err(ActError::Refused(Reason::NotNow))), "before the key is touched");
}

#[test]
fn a_case_that_has_moved_on_is_not_decided_by_a_step_prepared_before() {
    let (county, case) = forwarded();
    let prepared = prepare(&county, case, accepted(2)).expect("it may be taken");
    let challenge = prepared.challenge();
    let withdrawn = Step::Withdrawn { reason: "不办了".into() };
    county.yunling.step(AGENT_YUNLING, case, withdrawn).expect("withdrawn");
    county.settle();
    let refused = confirm(&county, prepared, &challenge);
    assert!(matches!(refused, Err(ActError::Refused(_))), "{refused:?}");
    assert_eq!(county.relay.case(case).expect("read").expect("here").state.phase, Phase::Withdrawn);
}

#[test]
fn every_replica_that_holds_a_case_exports_the_same_file_and_the_relay_adds_its_proofs() {
    let (county, case) = forwarded();
    let prepared = prepare(&county, case, accepted(2)).expect("it may be taken");
    let challenge = prepared.challenge();
    confirm(&county, prepared, &challenge).expect("confirmed");
    county.settle();
    let [relay, one, two] =
        county.holding(YUNLING).map(|s| s.export(case, true).expect("read").expect("here"));
    assert_eq!(one, two);
    let mut export = Export::decode(&relay).expect("an export");
    assert!(export.proofs.take().is_some(), "its log is the relay's alone");
    assert_eq!(export.encode(), one);
    assert_eq!(Some(export.fingerprint()), county.relay.fingerprint().expect("read"));
    let kinds = |kind| {
        let entries = export.entries.iter().map(|b| Entry::decode(b).expect("an entry"));
        entries.filter(|e| e.kind() == kind).count()
    };
    assert_eq!((kinds(Kind::Event), kinds(Kind::Edit)), (5, 1));
    assert!(kinds(Kind::Witness) > 0);
    assert!(county.longtan.export(case, true).expect("read").is_none());
}
