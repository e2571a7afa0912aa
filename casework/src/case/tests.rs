//! Who may take which step of a case, and when.

mod contests;
mod deciders;
pub(crate) mod desk;
mod model;
mod order;

use super::*;
use crate::county::{ItemRoute, Statement};
use crate::entry::{Entry, Kind, Signers};
use crate::event::{Event, Handover, Level, Route, Step, encode};
use crate::ids::{AttachmentId, SubjectId};
use desk::*;

#[test]
fn a_case_goes_its_way_from_draft_to_archive() {
    let mut desk = Desk::new(0);
    let way = [
        ("opened", Phase::Draft, Some(Task::Finish), Level::Village),
        ("submitted", Phase::Received, Some(Task::Take), Level::Village),
        ("taken", Phase::TownshipTaken, Some(Task::Forward), Level::Township),
        ("forwarded", Phase::Forwarded, Some(Task::Accept), Level::County),
        ("accepted", Phase::Accepted, Some(Task::Decide), Level::County),
        ("approved", Phase::Approved, Some(Task::Complete), Level::County),
        ("completed", Phase::Completed, Some(Task::Deliver), Level::County),
        ("delivered", Phase::Delivered, Some(Task::Rate), Level::County),
        ("rated", Phase::Rated, Some(Task::Archive), Level::County),
        ("archived", Phase::Archived, None, Level::County),
    ];
    for (name, phase, task, holder) in way {
        desk.walk(&[name]);
        let state = desk.folded().state;
        assert_eq!((state.phase, state.task(), state.holder), (phase, task, holder), "{name}");
    }
    let state = desk.folded().state;
    assert_eq!(state.term, 2);
    assert_eq!(state.rating, Some(Some(5)));
    assert_eq!(state.delivery.map(|d| d.to), Some(Handover::Applicant));
    let decision = state.decision.expect("a decision");
    assert_eq!(decision.kind, DecisionKind::Approved);
    assert_eq!(decision.person, Some(person_id(REVIEWER.person)));
    assert!(decision.relay_attested, "a reviewer without a key is never shown as having signed");
    assert_eq!(state.chain.len(), 2, "the agent and the clerk; the reviewer may decide");
}

#[test]
fn the_rungs_of_the_ladder_are_climbed_one_by_one() {
    let mut desk = Desk::new(0);
    let mut rungs = Vec::new();
    for name in ["opened", "submitted", "taken", "forwarded", "accepted"] {
        desk.walk(&[name]);
        let state = desk.folded().state;
        rungs.push((state.submission.is_some(), state.taken, state.acceptance.is_some()));
    }
    let (f, t) = (false, true);
    assert_eq!(rungs, [(f, f, f), (t, f, f), (t, t, f), (t, t, f), (t, t, t)]);
    let acceptance = desk.folded().state.acceptance.expect("accepted");
    assert_eq!((acceptance.due.as_str(), acceptance.calendar.as_str()), ("2026-12-20", "2026"));
    assert_eq!(desk.folded().state.due(), Some("2026-12-20"));
}

#[test]
fn the_last_rung_is_whose_acceptance_it_is() {
    use Level::{County, Township};
    let way = |route: Route, names: &[&str]| {
        let mut desk = Desk::new(0);
        desk.step(AGENT, opened(YUNLING, route));
        for name in names {
            let by_township = desk.folded().state.accepts_at() == Township;
            let who = if *name == "accepted" && by_township { CLERK } else { desk.usual(name) };
            let step = desk.named(name);
            let id = desk.step(who, step);
            assert_eq!(desk.standing(id), Standing::Effective, "{name}");
        }
        let state = desk.folded().state;
        (state.accepts_at(), state.acceptance.map(|acceptance| acceptance.by))
    };
    let to_township = ["submitted", "taken"];
    assert_eq!(way(by_county(), &to_township), (County, None));
    assert_eq!(way(by_township(), &[]), (Township, None), "as soon as it is begun");
    assert_eq!(way(by_township(), &to_township), (Township, None));
    let accepted = ["submitted", "taken", "accepted"];
    assert_eq!(way(by_township(), &accepted), (Township, Some(Township)));
    // Once it has gone up, the county accepts, whatever the way was.
    let up = ["submitted", "taken", "forwarded"];
    assert_eq!(way(by_township(), &up), (County, None));
    let up = ["submitted", "taken", "forwarded", "accepted"];
    assert_eq!(way(by_township(), &up), (County, Some(County)));
}

#[test]
fn only_the_office_whose_turn_it_is_may_take_a_step() {
    let table: [(&str, Phase, &[&str]); 20] = [
        ("submitted", Phase::Draft, &["agent", "clerk", "chief"]),
        ("withdrawn", Phase::Received, &["agent", "clerk", "chief"]),
        ("taken", Phase::Received, &["clerk", "chief"]),
        ("taken over", Phase::Received, &["reviewer", "second reviewer"]),
        ("promised", Phase::Received, &["agent", "clerk", "chief"]),
        ("forwarded", Phase::TownshipTaken, &["clerk", "chief"]),
        ("asked", Phase::TownshipTaken, &["clerk", "chief"]),
        ("asked", Phase::Forwarded, &["reviewer", "second reviewer"]),
        ("given", Phase::Supplementing, &["agent", "clerk", "chief"]),
        ("accepted", Phase::Forwarded, &["reviewer", "second reviewer"]),
        ("refused", Phase::Forwarded, &["reviewer", "second reviewer"]),
        ("approved", Phase::Accepted, &["reviewer", "second reviewer"]),
        ("denied", Phase::Accepted, &["reviewer", "second reviewer"]),
        ("completed", Phase::Approved, &["reviewer", "second reviewer"]),
        ("completed", Phase::Denied, &["reviewer", "second reviewer"]),
        ("completed", Phase::Refused, &["reviewer", "second reviewer"]),
        ("delivered", Phase::Completed, &["agent", "clerk", "chief"]),
        ("rated", Phase::Delivered, &["agent", "clerk", "chief"]),
        ("archived", Phase::Rated, &["agent", "clerk", "chief"]),
        ("resolved", Phase::Contested, &["reviewer", "second reviewer"]),
    ];
    for (name, phase, allowed) in table {
        let mut desk = at(phase);
        for (role, who) in EVERYBODY {
            let step = desk.named(name);
            let id = desk.step(who, step);
            let expected = match (allowed.contains(&role), role) {
                (true, _) => Standing::Effective,
                (false, "neighbour") => Standing::Quarantined(Reason::OutOfScope),
                (false, _) => Standing::Quarantined(Reason::NoPost),
            };
            assert_eq!(desk.standing(id), expected, "{name} by the {role} in {phase:?}");
            desk.entries.pop();
        }
    }
}

#[test]
fn only_an_agent_of_the_village_or_its_township_opens_a_case() {
    for (role, who) in EVERYBODY {
        let mut desk = Desk::new(0);
        let id = desk.step(who, opened(YUNLING, by_county()));
        let expected = match role {
            "agent" | "clerk" | "chief" => Standing::Effective,
            "neighbour" => Standing::Quarantined(Reason::OutOfScope),
            _ => Standing::Quarantined(Reason::NoPost),
        };
        assert_eq!(desk.standing(id), expected, "{role}");
    }
}

#[test]
fn a_township_item_is_accepted_by_the_township_and_decided_by_somebody_who_did_not_take_it_in() {
    let mut desk = Desk::new(0);
    desk.step(AGENT, opened(YUNLING, by_township()));
    desk.walk(&["submitted", "taken"]);
    assert_eq!(desk.folded().state.task(), Some(Task::Accept));
    let by_reviewer = desk.step(REVIEWER, accepted(1));
    assert_eq!(desk.standing(by_reviewer), Standing::Quarantined(Reason::NoPost));
    desk.step(CLERK, accepted(1));
    assert_eq!(desk.phase(), Phase::Accepted);
    let approve = Step::Approved { term: 1, opinion: String::new() };
    let own = desk.step(CLERK, approve.clone());
    assert_eq!(desk.standing(own), Standing::Quarantined(Reason::OwnCase));
    let agents = desk.step(AGENT, approve.clone());
    assert_eq!(desk.standing(agents), Standing::Quarantined(Reason::NoPost));
    let reviewers = desk.step(REVIEWER, approve.clone());
    assert_eq!(desk.standing(reviewers), Standing::Quarantined(Reason::NoPost));
    let chiefs = desk.step(CHIEF, approve);
    assert_eq!(desk.standing(chiefs), Standing::Effective);
    assert!(!desk.folded().state.decision.expect("decided").relay_attested);
}

#[test]
fn a_step_in_the_wrong_state_is_quarantined_and_changes_nothing() {
    let steps = [
        "opened",
        "submitted",
        "withdrawn",
        "taken",
        "forwarded",
        "asked",
        "given",
        "promised",
        "accepted",
        "refused",
        "approved",
        "denied",
        "completed",
        "delivered",
        "rated",
        "archived",
        "taken over",
        "resolved",
    ];
    let allowed = |phase| -> &[&str] {
        match phase {
            Phase::Draft => &["submitted", "withdrawn"],
            Phase::Received => &["taken", "withdrawn", "taken over", "promised"],
            Phase::TownshipTaken => &["forwarded", "asked", "withdrawn", "taken over", "promised"],
            Phase::Forwarded => {
                &["accepted", "refused", "asked", "withdrawn", "taken over", "promised"]
            }
            Phase::Supplementing => &["given", "withdrawn", "promised"],
            Phase::Accepted => &["approved", "denied", "withdrawn", "promised"],
            Phase::Refused => &["completed"],
            Phase::Approved | Phase::Denied => &["completed", "promised"],
            Phase::Completed => &["delivered", "promised"],
            Phase::Delivered => &["rated", "archived", "promised"],
            Phase::Rated => &["archived", "promised"],
            Phase::Contested => &["resolved"],
            Phase::Archived | Phase::Withdrawn => &[],
        }
    };
    for phase in Phase::ALL {
        let mut desk = at(phase);
        let before = desk.folded();
        for name in steps {
            let (who, step) = (desk.usual(name), desk.named(name));
            let id = desk.step(who, step);
            if allowed(phase).contains(&name) {
                assert_eq!(desk.standing(id), Standing::Effective, "{name} in {phase:?}");
            } else {
                let wrong = Standing::Quarantined(Reason::NotNow);
                assert_eq!(desk.standing(id), wrong, "{name} in {phase:?}");
                let after = desk.folded();
                assert_eq!(after.state, before.state, "{name} in {phase:?}");
                assert_eq!(after.frontier, before.frontier, "{name} in {phase:?}");
            }
            desk.entries.pop();
        }
    }
}

#[test]
fn a_decision_or_hand_over_in_another_term_is_refused() {
    for (phase, who, steps) in [
        (
            Phase::TownshipTaken,
            CLERK,
            [1, 3].map(|term| Step::Forwarded { opinion: String::new(), term }),
        ),
        (Phase::Forwarded, REVIEWER, [1, 3].map(accepted)),
        (
            Phase::Forwarded,
            REVIEWER,
            [1, 3].map(|term| Step::Refused { term, reason: String::new(), remedy: String::new() }),
        ),
        (
            Phase::Forwarded,
            REVIEWER,
            [2, 4].map(|term| Step::TakenOver { term, reason: String::new() }),
        ),
        (
            Phase::Accepted,
            REVIEWER,
            [1, 3].map(|term| Step::Approved { term, opinion: String::new() }),
        ),
        (
            Phase::Accepted,
            REVIEWER,
            [1, 3].map(|term| Step::Denied { term, reason: String::new(), remedy: String::new() }),
        ),
    ] {
        let mut desk = at(phase);
        for step in steps {
            let id = desk.step(who, step.clone());
            let wrong = Standing::Quarantined(Reason::NotNow);
            assert_eq!(desk.standing(id), wrong, "{step:?} in {phase:?}");
        }
    }
}

#[test]
fn a_take_over_raises_the_term_and_voids_the_hand_over_made_apart_from_it() {
    let mut both = [false; 2];
    for salt in 0..16 {
        let mut desk = Desk::new(salt);
        desk.walk(&["opened", "submitted", "taken"]);
        let after = desk.folded().frontier;
        let (forward, take_over) = (desk.named("forwarded"), desk.named("taken over"));
        let forwarded = desk.step_after(CLERK, &after, forward);
        let taken_over = desk.step_after(REVIEWER, &after, take_over);
        let state = desk.folded().state;
        assert_eq!((state.phase, state.holder, state.term), (Phase::Forwarded, Level::County, 2));
        let standings = [desk.standing(forwarded), desk.standing(taken_over)];
        both[usize::from(standings[0] == Standing::Effective)] = true;
        assert!(standings.contains(&Standing::Effective));
        assert!(standings.contains(&Standing::Overtaken), "one hand-over counts, not two");
    }
    assert_eq!(both, [true; 2], "among sixteen cases each comes first in some");
}

#[test]
fn a_village_cannot_forge_an_approval() {
    let desk = at(Phase::Accepted);
    let after = desk.folded().frontier;
    let approve = desk.named("approved");
    // In one's own name.
    let own = desk.sign(AGENT, &after, approve.clone());
    let own = record(&own, &desk.county, None).expect("properly signed");
    let judged = authorise(&own, &desk.folded().state, &desk.county);
    assert_eq!(judged, Verdict::Quarantine(Reason::NoPost));
    // In the reviewer's name from the village's box, and with the relay's name on it, too.
    let forged = |person: u8, device: u8, device_key: u8, person_key: Option<u8>| {
        let header = header(900, Some(person), device, desk.county.head());
        let event =
            Event { after: after.clone(), heads: vec![], digest: None, step: approve.clone() };
        let (device, person) = (secret(device_key), person_key.map(secret));
        let signers = Signers { device: &device, person: person.as_ref(), authority: None };
        Entry::sign(desk.subject, Kind::Event, header, encode(&event), signers).expect("small")
    };
    for (what, entry) in [
        ("from the village's box", forged(REVIEWER.person, BOX_YUNLING, BOX_YUNLING, None)),
        ("in the relay's name", forged(REVIEWER.person, RELAY, BOX_YUNLING, None)),
        ("with some key", forged(REVIEWER.person, RELAY, RELAY, Some(AGENT.person))),
        ("as the chief", forged(CHIEF.person, BOX_YUNLING, BOX_YUNLING, Some(AGENT.person))),
        ("as the chief, unsigned", forged(CHIEF.person, RELAY, RELAY, None)),
    ] {
        let verdict = authenticate(&entry, &desk.county, None);
        assert_eq!(verdict, Err(Verdict::Quarantine(Reason::BadSignature)), "{what}");
    }
}

#[test]
fn an_approval_of_one_case_does_nothing_to_another() {
    let mut one = at(Phase::Accepted);
    let approve = one.named("approved");
    one.step(REVIEWER, approve);
    let approval = one.entries.last().expect("the approval").clone();
    let mut other = Desk::new(7);
    other.subject = SubjectId([0xcb; 16]);
    other.walk(&["opened", "submitted", "taken", "forwarded", "accepted"]);
    assert_ne!(approval.subject(), other.subject, "the subject is signed");
    let replayed = record(&approval, &other.county, None).expect("its signatures hold");
    let mut records = other.records();
    records.push(replayed);
    let folded = fold(&records, &other.county);
    assert_eq!(folded.state, other.folded().state);
    let waiting = (approval.id(), Standing::Waiting(Reason::MissingPast));
    assert!(folded.standings.contains(&waiting), "it names events of the other case");
}

#[test]
fn a_revocation_counts_from_the_position_at_which_the_author_had_read_it() {
    let mut desk = at(Phase::Draft);
    let early = desk.sign(AGENT, &desk.folded().frontier, submitted());
    let by_box = desk.sign(CLERK, &desk.folded().frontier, submitted());
    let reason = || "离岗".to_owned();
    let person = person_id(AGENT.person);
    say(&mut desk.county, Statement::PersonRevoked { person, reason: reason() });
    let late = desk.sign(AGENT, &desk.folded().frontier, submitted());
    let device = device_id(CENTRE);
    say(&mut desk.county, Statement::DeviceRevoked { device, reason: reason() });
    let late_box = desk.sign(CLERK, &desk.folded().frontier, submitted());
    let before = desk.county.person_revoked_at(person).expect("revoked") - 1;
    let verdict = |entry, had| authenticate(entry, &desk.county, had);
    assert_eq!(verdict(&early, Some(before)), Ok(Attestation::Person));
    assert_eq!(verdict(&by_box, Some(before)), Ok(Attestation::Person));
    for had in [None, Some(before)] {
        assert_eq!(verdict(&late, had), Err(Verdict::Quarantine(Reason::PersonRevoked)));
        assert_eq!(verdict(&late_box, had), Err(Verdict::Quarantine(Reason::DeviceRevoked)));
    }
    desk.entries.push(early.clone());
    desk.had = desk.entries.iter().map(|e| (e.id(), before)).collect();
    desk.entries.push(late);
    assert_eq!(desk.standing(early.id()), Standing::Effective);
    assert_eq!(desk.phase(), Phase::Received);
}

#[test]
fn nobody_back_dates_a_step_to_before_their_revocation() {
    let mut desk = at(Phase::Draft);
    let back_dated = desk.sign(AGENT, &desk.folded().frontier, submitted());
    let person = person_id(AGENT.person);
    say(&mut desk.county, Statement::PersonRevoked { person, reason: "离岗".into() });
    let at = desk.county.head().position;
    let verdict = |had| authenticate(&back_dated, &desk.county, had);
    assert_eq!(verdict(None), Err(Verdict::Pending(Reason::Unwitnessed)), "nobody had it");
    for had in [at, at + 1, u64::MAX] {
        let late = Err(Verdict::Quarantine(Reason::PersonRevoked));
        assert_eq!(verdict(Some(had)), late, "a relay had it only at {had}");
    }
    assert_eq!(verdict(Some(at - 1)), Ok(Attestation::Person), "a relay had it in time");
}

#[test]
fn what_the_relay_itself_took_down_before_a_revocation_stays() {
    let mut desk = at(Phase::Approved);
    let person = person_id(REVIEWER.person);
    say(&mut desk.county, Statement::PersonRevoked { person, reason: "调离".into() });
    assert_eq!(desk.phase(), Phase::Approved);
}

#[test]
fn an_entry_that_names_another_county_log_does_not_count() {
    let mut desk = at(Phase::Draft);
    let revoked = |reason: &str| Statement::PersonRevoked {
        person: person_id(CLERK.person),
        reason: reason.into(),
    };
    let mut split = desk.county.clone();
    say(&mut desk.county, revoked("一份"));
    say(&mut split, revoked("另一份"));
    let entry = desk.sign(AGENT, &desk.folded().frontier, submitted());
    assert!(record(&entry, &desk.county, None).is_ok());
    let verdict = authenticate(&entry, &split, None);
    assert_eq!(verdict, Err(Verdict::Quarantine(Reason::OtherLog)));
}

#[test]
fn a_case_that_names_another_way_than_the_catalogue_does_not_count() {
    let village = Route { decide: Level::Village, ..by_county() };
    let itself = Route { accept: Level::Village, ..by_county() };
    for way in [village, itself] {
        let mut desk = Desk::new(0);
        let id = desk.step(AGENT, opened(YUNLING, way));
        assert_eq!(
            desk.standing(id),
            Standing::Quarantined(Reason::OtherWay),
            "no village decides"
        );
    }
    let mut desk = Desk::new(0);
    let published = Statement::Catalogue {
        version: "2026-11".into(),
        digest: AttachmentId([1; 32]),
        bytes: 1,
        routes: Some(vec![ItemRoute { item: "senior-allowance".into(), route: by_county() }]),
    };
    say(&mut desk.county, published);
    let other = desk.step(AGENT, opened(YUNLING, by_township()));
    assert_eq!(desk.standing(other), Standing::Quarantined(Reason::OtherWay));
    let mut honest = desk;
    honest.entries.clear();
    let id = honest.step(AGENT, opened(YUNLING, by_county()));
    assert_eq!(honest.standing(id), Standing::Effective);
}

#[test]
fn nobody_decides_their_own_or_a_relatives_case() {
    let mut desk = at(Phase::Accepted);
    let resident = desk.folded().state.opened.expect("opened").resident;
    let mut related = desk.county.person(person_id(REVIEWER.person)).expect("known").clone();
    related.kin = Some(vec![SubjectId([1; 16]), resident]);
    say(&mut desk.county, Statement::Person(related));
    for name in ["approved", "denied", "refused"] {
        let step = desk.named(name);
        let id = desk.step(REVIEWER, step);
        assert!(
            matches!(desk.standing(id), Standing::Quarantined(Reason::Kin | Reason::NotNow)),
            "{name}"
        );
    }
    let approve = desk.named("approved");
    let by_another = desk.step(SECOND_REVIEWER, approve);
    assert_eq!(desk.standing(by_another), Standing::Effective);
}

#[test]
fn an_author_whom_the_county_log_does_not_know_yet_waits() {
    let desk = at(Phase::Draft);
    let stranger = Actor { person: 20, device: BOX_YUNLING };
    let entry = desk.sign(stranger, &desk.folded().frontier, submitted());
    let verdict = authenticate(&entry, &desk.county, None);
    assert_eq!(verdict, Err(Verdict::Pending(Reason::UnknownPerson)));
    let stray = Actor { person: AGENT.person, device: 9 };
    let entry = desk.sign(stray, &desk.folded().frontier, submitted());
    let verdict = authenticate(&entry, &desk.county, None);
    assert_eq!(verdict, Err(Verdict::Pending(Reason::UnknownDevice)));
}

#[test]
fn a_step_whose_past_is_missing_waits_and_counts_once_it_has_come() {
    let desk = at(Phase::Forwarded);
    let records = desk.records();
    let without_taken = [&records[..2], &records[3..]].concat();
    let folded = fold(&without_taken, &desk.county);
    assert_eq!(folded.state.phase, Phase::Received);
    let waiting = (records[3].id, Standing::Waiting(Reason::MissingPast));
    assert!(folded.standings.contains(&waiting));
    assert_eq!(folded.frontier, [records[1].id], "nothing is built on what waits");
    let late = [&records[..2], &records[3..], &records[2..3]].concat();
    assert_eq!(fold(&late, &desk.county), desk.folded());
    assert_eq!(desk.phase(), Phase::Forwarded);
}

#[test]
fn what_builds_on_a_quarantined_step_does_not_count_either() {
    let mut desk = at(Phase::Accepted);
    let approve = desk.named("approved");
    let forged = desk.step(AGENT, approve);
    let complete = desk.step_after(REVIEWER, &[forged], Step::Completed);
    let built = Standing::Quarantined(Reason::PastQuarantined);
    assert_eq!(desk.standing(complete), built);
    assert_eq!(desk.phase(), Phase::Accepted);
}

#[test]
fn a_supplement_goes_back_to_the_office_that_asked_for_it() {
    for asker in [Phase::TownshipTaken, Phase::Forwarded] {
        let mut desk = at(asker);
        let holder = desk.folded().state.holder;
        for round in 1..=2 {
            let who = desk.usual("asked");
            desk.step(who, asked(&format!("2026-12-0{round}")));
            let state = desk.folded().state;
            assert_eq!((state.phase, state.task()), (Phase::Supplementing, Some(Task::Supplement)));
            assert_eq!(state.due(), Some(format!("2026-12-0{round}").as_str()));
            let open = state.open_supplement().expect("open");
            assert_eq!((open.round, open.asked_by, open.back_to), (round, holder, asker));

            let wrong = Step::SupplementGiven { round: round + 1, attachments: vec![] };
            let wrong = desk.step(AGENT, wrong);
            assert_eq!(desk.standing(wrong), Standing::Quarantined(Reason::NotNow));
            let right = Step::SupplementGiven { round, attachments: vec![AttachmentId([3; 32])] };
            let given = desk.step(AGENT, right);
            let state = desk.folded().state;
            assert_eq!(state.phase, asker);
            assert!(state.open_supplement().is_none());
            let heads = state.supplements.last().and_then(|s| s.given.clone());
            assert_eq!(heads.as_ref().map(|(id, _)| *id), Some(given));
            let frozen = heads.as_ref().map(|(_, heads)| (round, heads.as_slice()));
            assert_eq!(state.frozen_rounds().last().copied(), frozen);
        }
        assert_eq!(desk.folded().state.supplements.len(), 2);
    }
}

#[test]
fn a_supplement_notice_that_names_no_defect_is_refused() {
    let mut desk = at(Phase::Forwarded);
    let none = Step::SupplementAsked {
        defects: vec![],
        due: "2026-12-01".into(),
        calendar: "2026".into(),
    };
    let id = desk.step(REVIEWER, none);
    assert_eq!(desk.standing(id), Standing::Quarantined(Reason::NotNow));
}

#[test]
fn a_rating_outside_one_to_five_stars_is_refused_and_one_may_be_skipped() {
    let mut desk = at(Phase::Delivered);
    for stars in [0, 6] {
        let id = desk.step(AGENT, Step::Rated { stars: Some(stars), words: String::new() });
        assert_eq!(desk.standing(id), Standing::Quarantined(Reason::NotNow));
    }
    desk.step(AGENT, Step::Rated { stars: None, words: String::new() });
    assert_eq!(desk.folded().state.rating, Some(None));
}

mod regressions;
