//! Who has a key of their own decides with it, and nobody else decides in their name.

use super::desk::*;
use crate::case::{Attestation, Phase, Reason, Verdict, attested, authenticate};
use crate::county::{CountyLog, Person, Statement};
use crate::decider::{DeciderKey, Grade, SUITE_OTP};
use crate::entry::{Draft, Entry, Kind, Signers};
use crate::event::{Event, Step, encode};

#[path = "../../../tests/soft/mod.rs"]
#[allow(dead_code, unreachable_pub, missing_docs, missing_debug_implementations)]
mod soft;
use soft::SoftKey;

fn give(county: &mut CountyLog, who: Actor, keys: Option<Vec<DeciderKey>>) {
    let person = county.person(person_id(who.person)).expect("of the county").clone();
    say(county, Statement::Person(Person { keys, ..person }));
}

fn otp() -> DeciderKey {
    DeciderKey {
        suite: SUITE_OTP,
        key: vec![0x0f; 16].into(),
        rp_id: String::new(),
        credential: vec![].into(),
        name: "手机".into(),
        grade: Grade::Otp,
        aaguid: None,
    }
}

fn draft(desk: &Desk, who: Actor, device: u8, step: Step) -> Draft {
    let event = Event { after: desk.folded().frontier, heads: vec![], digest: None, step };
    let header = header(500, Some(who.person), device, desk.county.head());
    Draft::new(desk.subject, Kind::Event, header, encode(&event)).expect("an event")
}

fn by_key(draft: Draft, key: &SoftKey, device: u8) -> Entry {
    let signature = key.assert(&draft.challenge());
    draft.sign(&key.public(), signature, &secret(device)).expect("small")
}

/// A case in 受理 whose reviewer has a security key.
fn ready() -> (Desk, SoftKey) {
    let mut desk = Desk::new(0);
    desk.walk(&["opened", "submitted", "taken", "forwarded", "accepted"]);
    let key = SoftKey::new(7);
    give(&mut desk.county, REVIEWER, Some(vec![key.public()]));
    (desk, key)
}

#[test]
fn a_decision_on_the_security_key_counts_and_is_shown_as_such() {
    let (mut desk, key) = ready();
    let entry = by_key(draft(&desk, REVIEWER, RELAY, desk.named("approved")), &key, RELAY);
    let entry = Entry::decode(&entry.encode()).expect("one form");
    assert_eq!(authenticate(&entry, &desk.county, None), Ok(Attestation::SecurityKey));
    assert_eq!(attested(&entry, &desk.county), Attestation::SecurityKey);
    desk.entries.push(entry);
    let state = desk.folded().state;
    assert_eq!(state.phase, Phase::Approved);
    let decision = state.decision.expect("decided");
    assert_eq!(decision.attestation, Attestation::SecurityKey);
    assert!(!decision.relay_attested);
}

#[test]
fn without_the_key_nothing_is_decided_in_the_name_of_who_has_one() {
    let (desk, key) = ready();
    let approve = || desk.named("approved");
    let stranger = SoftKey::new(8);
    let refused = |reason| Err(Verdict::Quarantine(reason));
    let plain = desk.sign(REVIEWER, &desk.folded().frontier, approve());
    assert_eq!(authenticate(&plain, &desk.county, None), refused(Reason::NoOwnKey), "by PIN only");
    let other = by_key(draft(&desk, REVIEWER, RELAY, approve()), &stranger, RELAY);
    assert_eq!(
        authenticate(&other, &desk.county, None),
        refused(Reason::NoOwnKey),
        "another's key"
    );
    let d = draft(&desk, REVIEWER, RELAY, approve());
    let own =
        SoftKey::new(7).assert(&draft(&desk, REVIEWER, RELAY, desk.named("denied")).challenge());
    let moved = d.sign(&key.public(), own, &secret(RELAY)).expect("small");
    assert_eq!(
        authenticate(&moved, &desk.county, None),
        refused(Reason::NoOwnKey),
        "of another event"
    );
    let vouched = draft(&desk, REVIEWER, RELAY, approve()).vouch(&otp(), &secret(RELAY));
    let verdict = authenticate(&vouched.expect("small"), &desk.county, None);
    assert_eq!(verdict, refused(Reason::NoOwnKey), "by a password that was never enrolled");
    let boxed = by_key(draft(&desk, REVIEWER, BOX_YUNLING, approve()), &key, RELAY);
    assert_eq!(
        authenticate(&boxed, &desk.county, None),
        refused(Reason::BadSignature),
        "another device"
    );
}

#[test]
fn an_assertion_for_one_case_does_nothing_on_another() {
    let (desk, key) = ready();
    let (mut other, _) = ready();
    other.subject = crate::ids::SubjectId([0xcb; 16]);
    let assertion = key.assert(&draft(&desk, REVIEWER, RELAY, desk.named("approved")).challenge());
    let replayed = draft(&other, REVIEWER, RELAY, other.named("approved"))
        .sign(&key.public(), assertion, &secret(RELAY))
        .expect("small");
    let verdict = authenticate(&replayed, &other.county, None);
    assert_eq!(verdict, Err(Verdict::Quarantine(Reason::NoOwnKey)));
}

#[test]
fn completing_needs_no_second_touch_and_every_other_step_of_the_case_does() {
    let (desk, _) = ready();
    for name in ["approved", "denied", "asked", "accepted", "refused", "taken over", "resolved"] {
        let entry = desk.sign(REVIEWER, &desk.folded().frontier, desk.named(name));
        let verdict = authenticate(&entry, &desk.county, None);
        assert_eq!(verdict, Err(Verdict::Quarantine(Reason::NoOwnKey)), "{name}");
    }
    let completed = desk.sign(REVIEWER, &desk.folded().frontier, Step::Completed);
    assert_eq!(authenticate(&completed, &desk.county, None), Ok(Attestation::Relay));
}

#[test]
fn what_was_decided_before_a_key_came_or_after_it_went_is_judged_by_its_own_time() {
    let (mut desk, key) = ready();
    let with = by_key(draft(&desk, REVIEWER, RELAY, desk.named("approved")), &key, RELAY);
    give(&mut desk.county, REVIEWER, None);
    assert_eq!(authenticate(&with, &desk.county, None), Ok(Attestation::SecurityKey));
    let late = by_key(draft(&desk, REVIEWER, RELAY, desk.named("approved")), &key, RELAY);
    let verdict = authenticate(&late, &desk.county, None);
    assert_eq!(verdict, Err(Verdict::Quarantine(Reason::BadSignature)), "the key went");
    let without = desk.sign(REVIEWER, &desk.folded().frontier, desk.named("approved"));
    assert_eq!(authenticate(&without, &desk.county, None), Ok(Attestation::Relay));
}

#[test]
fn a_one_time_password_is_the_relays_word_of_a_grade_of_its_own_and_no_boxs() {
    let (mut desk, _) = ready();
    give(&mut desk.county, REVIEWER, Some(vec![otp()]));
    let entry = draft(&desk, REVIEWER, RELAY, desk.named("approved"))
        .vouch(&otp(), &secret(RELAY))
        .expect("small");
    assert_eq!(authenticate(&entry, &desk.county, None), Ok(Attestation::Otp));
    assert!(!Attestation::Otp.personal() && !Attestation::Relay.personal());
    let boxed = draft(&desk, REVIEWER, BOX_YUNLING, desk.named("approved"))
        .vouch(&otp(), &secret(BOX_YUNLING))
        .expect("small");
    let verdict = authenticate(&boxed, &desk.county, None);
    assert_eq!(verdict, Err(Verdict::Quarantine(Reason::BadSignature)));
}

#[test]
fn an_agents_wrapped_key_is_no_way_round_the_security_key() {
    let (mut desk, key) = ready();
    give(&mut desk.county, CHIEF, Some(vec![key.public()]));
    let header = header(600, Some(CHIEF.person), CENTRE, desk.county.head());
    let event = Event {
        after: desk.folded().frontier,
        heads: vec![],
        digest: None,
        step: desk.named("approved"),
    };
    let (device, own) = (secret(CENTRE), secret(CHIEF.person));
    let signers = Signers { device: &device, person: Some(&own), authority: None };
    let entry = Entry::sign(desk.subject, Kind::Event, header, encode(&event), signers);
    let verdict = authenticate(&entry.expect("small"), &desk.county, None);
    assert_eq!(verdict, Err(Verdict::Quarantine(Reason::NoOwnKey)));
}
