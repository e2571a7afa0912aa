use super::*;
use crate::county::{Person, Post, Role};

#[test]
fn a_withdrawal_that_knew_nothing_of_the_acceptance_contests_with_the_approval() {
    let mut seen = std::collections::BTreeMap::new();
    for salt in 0..32 {
        let mut desk = Desk::new(salt);
        desk.walk(&["opened", "submitted"]);
        let after = desk.folded().frontier;
        desk.walk(&["taken", "forwarded", "accepted", "approved"]);
        desk.step_after(AGENT, &after, Step::Withdrawn { reason: "不办了".into() });
        *seen.entry(desk.phase()).or_insert(0) += 1;
    }
    assert_eq!(seen.keys().copied().collect::<Vec<_>>(), [Phase::Contested], "{seen:?}");
}

#[test]
fn steps_built_on_a_contested_decision_are_not_effective() {
    let mut seen = std::collections::BTreeMap::new();
    for salt in 0..32 {
        let mut desk = Desk::new(salt);
        desk.walk(&["opened", "submitted", "taken", "forwarded", "accepted"]);
        let after = desk.folded().frontier;
        desk.walk(&["approved"]);
        let completed = desk.walk(&["completed"]);
        let denied = Step::Denied { term: 2, reason: "x".into(), remedy: "x".into() };
        desk.step_after(SECOND_REVIEWER, &after, denied);
        let k = format!("{:?}", desk.standing(completed));
        *seen.entry(k).or_insert(0) += 1;
        assert_eq!(desk.phase(), Phase::Contested);
    }
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert!(!seen.contains_key("Effective"), "{seen:?}");
}

#[test]
fn new_posts_do_not_undo_the_past() {
    let mut desk = at(Phase::Approved);
    let id = person_id(AGENT.person);
    let mut moved: Person = desk.county.person(id).expect("agent").clone();
    moved.posts = vec![Post { role: Role::Agent, place: LONGTAN, department: None }];
    say(&mut desk.county, Statement::Person(moved));
    assert_eq!(desk.phase(), Phase::Approved);
}

#[test]
fn a_new_key_does_not_undo_the_past() {
    let mut desk = at(Phase::Approved);
    let id = person_id(AGENT.person);
    let mut reset: Person = desk.county.person(id).expect("agent").clone();
    reset.key = Some(secret(77).public());
    say(&mut desk.county, Statement::Person(reset));
    assert_eq!(desk.phase(), Phase::Approved, "as a replica that is new sees it");
}

#[test]
fn new_villages_of_a_box_do_not_undo_the_past() {
    let mut desk = at(Phase::Approved);
    let mut moved = desk.county.device(device_id(BOX_YUNLING)).expect("box").clone();
    moved.places = vec![LONGTAN];
    say(&mut desk.county, Statement::Device(moved));
    assert_eq!(desk.phase(), Phase::Approved);
}

#[test]
fn a_township_item_that_was_taken_over_can_be_accepted() {
    let mut desk = Desk::new(0);
    desk.step(AGENT, opened(YUNLING, by_township()));
    desk.walk(&["submitted", "taken over"]);
    let mut any = false;
    for (_, who) in EVERYBODY {
        for name in ["accepted", "refused", "forwarded", "taken", "approved"] {
            let step = desk.named(name);
            let id = desk.step(who, step);
            any |= desk.standing(id) == Standing::Effective;
            desk.entries.pop();
        }
    }
    assert!(any, "somebody can go on");
}

#[test]
fn a_rival_that_the_resolution_did_not_know_contests_again() {
    let mut seen = std::collections::BTreeMap::new();
    for salt in 0..32 {
        let mut desk = Desk::new(salt);
        let [a, _] = contest(&mut desk);
        let after = desk.records()[4].id;
        desk.step(REVIEWER, Step::Resolved { keep: a, reason: "x".into() });
        desk.step_after(AGENT, &[after], Step::Withdrawn { reason: "x".into() });
        *seen.entry(desk.phase()).or_insert(0) += 1;
    }
    assert_eq!(seen.keys().collect::<Vec<_>>(), [&Phase::Contested], "{seen:?}");
}

#[test]
fn a_reviewer_who_is_an_agent_elsewhere_may_decide() {
    let mut desk = at(Phase::Forwarded);
    let mut p = desk.county.person(person_id(REVIEWER.person)).expect("reviewer").clone();
    p.posts.push(Post { role: Role::Agent, place: LONGTAN, department: None });
    say(&mut desk.county, Statement::Person(p));
    desk.walk(&["accepted"]);
    let s = desk.named("approved");
    let id = desk.step(REVIEWER, s);
    assert_eq!(desk.standing(id), Standing::Effective, "only accepted, never filed");
}
