//! Steps made apart that exclude each other.

use super::desk::*;
use crate::case::{Phase, Reason, Standing, Task};
use crate::event::Step;
use crate::ids::EntryId;

#[test]
fn a_decision_and_a_withdrawal_made_apart_contest_and_neither_takes_effect() {
    for salt in 0..16 {
        let mut desk = Desk::new(salt);
        desk.walk(&["opened", "submitted", "taken", "forwarded", "accepted"]);
        let after = desk.folded().frontier;
        let before = desk.folded().state;
        let (approve, withdraw) = (desk.named("approved"), desk.named("withdrawn"));
        let approval = desk.step_after(REVIEWER, &after, approve);
        let withdrawal = desk.step_after(AGENT, &after, withdraw);
        let state = desk.folded().state;
        assert_eq!(state.phase, Phase::Contested);
        assert_eq!((&state.decision, state.task()), (&None, Some(Task::Resolve)));
        assert_eq!((state.term, state.holder), (before.term, before.holder));
        assert_eq!(desk.standing(approval), Standing::Rival);
        assert_eq!(desk.standing(withdrawal), Standing::Rival);
        for (keep, phase) in [(approval, Phase::Approved), (withdrawal, Phase::Withdrawn)] {
            let lost = if keep == approval { withdrawal } else { approval };
            let resolved = desk.step(REVIEWER, Step::Resolved { keep, reason: "核实".into() });
            assert_eq!(desk.phase(), phase);
            assert_eq!(desk.standing(resolved), Standing::Effective);
            assert_eq!(desk.standing(keep), Standing::Effective);
            assert_eq!(desk.standing(lost), Standing::Overtaken);
            assert!(desk.folded().state.rivals.is_empty());
            desk.entries.pop();
        }
    }
}

#[test]
fn two_decisions_in_one_term_contest_until_one_is_chosen() {
    for salt in 0..16 {
        let mut desk = Desk::new(salt);
        let [approval, denial] = contest(&mut desk);
        assert_eq!(desk.phase(), Phase::Contested);
        let mut rivals = desk.folded().state.rivals;
        rivals.sort_unstable();
        let mut both = vec![approval, denial];
        both.sort_unstable();
        assert_eq!(rivals, both);
        let neither =
            desk.step(REVIEWER, Step::Resolved { keep: EntryId([1; 32]), reason: String::new() });
        assert_eq!(desk.standing(neither), Standing::Quarantined(Reason::NotNow));
        desk.step(REVIEWER, Step::Resolved { keep: denial, reason: "核实".into() });
        let state = desk.folded().state;
        assert_eq!(state.phase, Phase::Denied);
        assert_eq!(state.decision.map(|d| d.event), Some(denial));
        desk.walk(&["completed", "delivered", "rated", "archived"]);
        assert_eq!(desk.phase(), Phase::Archived);
    }
}

#[test]
fn a_second_decision_by_somebody_who_knows_the_first_is_quarantined_not_a_rival() {
    let mut desk = at(Phase::Approved);
    let deny = Step::Denied { term: 2, reason: String::new(), remedy: String::new() };
    let second = desk.step(SECOND_REVIEWER, deny);
    assert_eq!(desk.standing(second), Standing::Quarantined(Reason::NotNow));
    assert_eq!(desk.phase(), Phase::Approved);
}

#[test]
fn two_openings_of_one_case_leave_one_and_the_later_is_overtaken() {
    let mut desk = Desk::new(0);
    let one = desk.step_after(AGENT, &[], opened(YUNLING, by_county()));
    let two = desk.step_after(CLERK, &[], opened(YUNLING, by_township()));
    let standings = [desk.standing(one), desk.standing(two)];
    assert!(standings.contains(&Standing::Effective) && standings.contains(&Standing::Overtaken));
}
