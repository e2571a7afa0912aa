//! Hand-overs: who may offer and take, and that every order gives the same.

use super::*;
use crate::case::tests::desk::*;
use crate::case::{Reason, Record, Standing};
use crate::county::{CountyLog, Person, Post, Role, Statement};
use crate::entry::{Entry, Kind, Signers};
use crate::event::{
    DUTY_CASES_MAX, DUTY_LINE_CHARS_MAX, DUTY_ORIGINALS_MAX, DUTY_PROMISES_MAX, Event, Original,
    Promise, REFERENCES_MAX, Step, TEXT_CHARS_MAX, encode,
};
use crate::ids::{EntryId, PlaceId, SubjectId};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A second and a third agent of the same village.
const COLLEAGUE: Actor = Actor { person: 19, device: BOX_YUNLING };
const THIRD: Actor = Actor { person: 18, device: BOX_YUNLING };

fn with_colleagues() -> CountyLog {
    let mut log = county();
    for who in [COLLEAGUE, THIRD] {
        say(
            &mut log,
            Statement::Person(Person {
                id: person_id(who.person),
                login: format!("p{}", who.person),
                name: format!("person {}", who.person),
                key: Some(secret(who.person).public()),
                posts: vec![Post { role: Role::Agent, place: YUNLING, department: None }],
                phone: String::new(),
                kin: None,
                keys: None,
            }),
        );
    }
    log
}

fn offered(to: Actor, place: PlaceId) -> Step {
    Step::DutyOffered {
        place,
        to: person_id(to.person),
        cases: vec![SubjectId([0xca; 16])],
        originals: vec![Original { case: None, what: "张桂兰的户口簿".into() }],
        promises: vec![Promise {
            case: None, what: "送药到家".into(), until: "2026-12-01".into()
        }],
        note: "钥匙在抽屉".into(),
    }
}

fn taken(offer: EntryId) -> Step {
    Step::DutyTaken { offer, remark: String::new(), missing: vec![] }
}

fn withdrawn() -> Step {
    Step::Withdrawn { reason: "不走了".into() }
}

/// One hand-over and the entries made about it.
struct Table {
    county: CountyLog,
    salt: u64,
    entries: Vec<Entry>,
}

impl Table {
    fn new(salt: u64) -> Self {
        Self { county: with_colleagues(), salt: salt << 16, entries: Vec::new() }
    }

    fn after(&mut self, who: Actor, after: &[EntryId], step: Step) -> EntryId {
        let n = self.salt + self.entries.len() as u64;
        let header = header(n, Some(who.person), who.device, self.county.head());
        let mut after = after.to_vec();
        after.sort_unstable();
        let event = Event { after, heads: vec![], digest: None, step };
        let (device, person) = (secret(who.device), secret(who.person));
        let person = has_key(who.person).then_some(&person);
        let signers = Signers { device: &device, person, authority: None };
        let subject = SubjectId([0xd0; 16]);
        let entry = Entry::sign(subject, Kind::Event, header, encode(&event), signers);
        let entry = entry.expect("a small entry");
        let id = entry.id();
        self.entries.push(entry);
        id
    }

    fn step(&mut self, who: Actor, step: Step) -> EntryId {
        let after = self.folded().frontier;
        self.after(who, &after, step)
    }

    fn records(&self) -> Vec<Record> {
        self.entries.iter().filter_map(|e| record(e, &self.county, None).ok()).collect()
    }

    fn folded(&self) -> Folded {
        fold(&self.records(), &self.county)
    }

    fn standing(&self, id: EntryId) -> Standing {
        let standings = self.folded().standings;
        standings.iter().find(|(e, _)| *e == id).map(|(_, s)| *s).expect("an event of it")
    }
}

#[test]
fn what_one_agent_offers_and_another_takes_is_handed_over_with_both_signatures() {
    let mut table = Table::new(0);
    let offer = table.step(AGENT, offered(COLLEAGUE, YUNLING));
    assert_eq!(table.folded().duty.phase, Phase::Offered);
    let taking = table.step(COLLEAGUE, taken(offer));
    let duty = table.folded().duty;
    assert_eq!(duty.phase, Phase::Taken);
    let given = duty.given.expect("given");
    assert_eq!((given.from, given.to), (person_id(AGENT.person), person_id(COLLEAGUE.person)));
    assert_eq!((given.offer, given.originals.len(), given.promises.len()), (offer, 1, 1));
    let signed = duty.taken.expect("taken").signed;
    assert_eq!(signed.entry, taking);
    assert!(given.signed.attestation.personal() && signed.attestation.personal());
}

#[test]
fn the_giver_is_responsible_until_it_is_taken_and_what_was_missing_stays_written() {
    for missing in [vec![], vec![0], vec![1], vec![0, 1]] {
        let mut table = Table::new(0);
        let mut step = offered(COLLEAGUE, YUNLING);
        let Step::DutyOffered { originals, .. } = &mut step else { unreachable!("an offer") };
        originals.push(Original { case: None, what: "李四的残疾证".into() });
        let offer = table.step(AGENT, step);
        assert_eq!(table.folded().duty.responsible(), Some(person_id(AGENT.person)));
        let (remark, gone) = ("找过抽屉".to_owned(), missing.clone());
        table.step(COLLEAGUE, Step::DutyTaken { offer, remark: remark.clone(), missing });
        let duty = table.folded().duty;
        assert_eq!(duty.responsible(), Some(person_id(COLLEAGUE.person)));
        let (here, missed) = duty.counted();
        assert_eq!((here.len(), missed.len()), (2 - gone.len(), gone.len()));
        let names: Vec<&str> = missed.iter().map(|o| o.what.as_str()).collect();
        let all = ["张桂兰的户口簿", "李四的残疾证"];
        let expected: Vec<&str> = gone.iter().map(|n| all[usize::from(*n)]).collect();
        assert_eq!(names, expected);
        assert_eq!(duty.taken.expect("taken").remark, remark);
    }
}

#[test]
fn nobody_misses_what_was_not_handed_over() {
    let mut table = Table::new(0);
    let offer = table.step(AGENT, offered(COLLEAGUE, YUNLING));
    let step = |missing| Step::DutyTaken { offer, remark: String::new(), missing };
    let wrong = table.step(COLLEAGUE, step(vec![1]));
    assert_eq!(table.standing(wrong), Standing::Quarantined(Reason::Unreadable));
    assert_eq!(table.folded().duty.phase, Phase::Offered);
    for (missing, reads) in [
        (vec![0, 1, 7], true),
        (vec![0, 0], false),
        (vec![1, 0], false),
        ((0..=DUTY_ORIGINALS_MAX as u16).collect(), false),
    ] {
        let event = Event { after: vec![], heads: vec![], digest: None, step: step(missing) };
        assert_eq!(Event::decode(&encode(&event)).is_ok(), reads);
    }
}

#[test]
fn who_may_offer_which_duty_to_whom() {
    use Standing::{Effective, Quarantined};
    let no_post = Quarantined(Reason::NoPost);
    let cases = [
        ("agent to colleague", AGENT, COLLEAGUE, YUNLING, Effective),
        ("agent to the township", AGENT, CLERK, YUNLING, Effective),
        ("clerk to chief, their centre", CLERK, CHIEF, TOWNSHIP, Quarantined(Reason::OutOfScope)),
        ("clerk to chief, a village", CLERK, CHIEF, YUNLING, Effective),
        ("clerk to agent, a village", CLERK, AGENT, YUNLING, Effective),
        ("agent to themselves", AGENT, AGENT, YUNLING, no_post),
        ("agent to another village's", AGENT, NEIGHBOUR, YUNLING, no_post),
        ("agent to a reviewer", AGENT, REVIEWER, YUNLING, no_post),
        ("another village's agent", NEIGHBOUR_IN_TOWN, AGENT, YUNLING, no_post),
        ("at another village's box", NEIGHBOUR, AGENT, YUNLING, Quarantined(Reason::OutOfScope)),
        ("a reviewer", REVIEWER, AGENT, YUNLING, no_post),
        ("county IT", IT, AGENT, YUNLING, no_post),
    ];
    for (name, from, to, place, expected) in cases {
        let mut table = Table::new(0);
        let offer = table.step(from, offered(to, place));
        assert_eq!(table.standing(offer), expected, "{name}");
        assert_eq!(table.folded().duty.given.is_some(), expected == Effective, "{name}");
    }
}

#[test]
fn only_the_one_it_was_offered_to_takes_it_and_only_the_giver_takes_it_back() {
    use Standing::{Effective, Quarantined};
    let everybody = [AGENT, COLLEAGUE, THIRD, CLERK, NEIGHBOUR_IN_TOWN, NEIGHBOUR, REVIEWER];
    for who in everybody {
        let refused = match who {
            NEIGHBOUR => Quarantined(Reason::OutOfScope),
            _ => Quarantined(Reason::NoPost),
        };
        for (step, rightful) in [("take", COLLEAGUE), ("withdraw", AGENT), ("again", AGENT)] {
            let mut table = Table::new(0);
            let offer = table.step(AGENT, offered(COLLEAGUE, YUNLING));
            let step_ = match step {
                "take" => taken(offer),
                "withdraw" => withdrawn(),
                _ => offered(THIRD, YUNLING),
            };
            let id = table.step(who, step_);
            let expected = if who == rightful { Effective } else { refused };
            assert_eq!(table.standing(id), expected, "{step} by {who:?}");
        }
    }
}

#[test]
fn what_was_taken_or_taken_back_is_settled() {
    for settle in [taken as fn(EntryId) -> Step, |_| withdrawn()] {
        let mut table = Table::new(0);
        let offer = table.step(AGENT, offered(COLLEAGUE, YUNLING));
        let by = if matches!(settle(offer), Step::DutyTaken { .. }) { COLLEAGUE } else { AGENT };
        table.step(by, settle(offer));
        let before = table.folded().duty;
        for (who, step) in
            [(AGENT, withdrawn()), (AGENT, offered(THIRD, YUNLING)), (COLLEAGUE, taken(offer))]
        {
            let late = table.step(who, step);
            assert_eq!(table.standing(late), Standing::Quarantined(Reason::NotNow));
        }
        assert_eq!(table.folded().duty, before);
    }
}

#[test]
fn a_newer_offer_replaces_the_older_and_the_older_cannot_be_taken() {
    let mut table = Table::new(0);
    let older = table.step(AGENT, offered(COLLEAGUE, YUNLING));
    let newer = table.step(AGENT, offered(THIRD, YUNLING));
    let late = table.step(COLLEAGUE, taken(older));
    assert_eq!(table.standing(late), Standing::Quarantined(Reason::NotNow));
    let wrong = table.step(COLLEAGUE, taken(newer));
    assert_eq!(table.standing(wrong), Standing::Quarantined(Reason::NoPost));
    table.step(THIRD, taken(newer));
    let duty = table.folded().duty;
    assert_eq!((duty.phase, duty.given.expect("given").offer), (Phase::Taken, newer));
    let elsewhere = Table::new(0).after(AGENT, &[], offered(COLLEAGUE, LONGTAN));
    assert_ne!(elsewhere, newer);
}

#[test]
fn a_taking_stands_against_what_the_giver_did_apart() {
    for salt in 0..8 {
        for apart in [withdrawn(), offered(THIRD, YUNLING)] {
            let mut table = Table::new(salt);
            let offer = table.after(AGENT, &[], offered(COLLEAGUE, YUNLING));
            let other = table.after(AGENT, &[offer], apart);
            let taking = table.after(COLLEAGUE, &[offer], taken(offer));
            assert_eq!(table.standing(taking), Standing::Effective);
            assert_eq!(table.standing(other), Standing::Overtaken);
            let duty = table.folded().duty;
            assert_eq!((duty.phase, duty.given.expect("given").offer), (Phase::Taken, offer));
        }
    }
}

#[test]
fn a_step_of_a_case_means_nothing_in_a_hand_over_and_the_other_way_round() {
    let mut table = Table::new(0);
    table.step(AGENT, offered(COLLEAGUE, YUNLING));
    let foreign = table.step(AGENT, Step::Archived);
    assert_eq!(table.standing(foreign), Standing::Quarantined(Reason::NotNow));
    let mut desk = Desk::new(0);
    desk.walk(&["opened"]);
    let foreign = desk.step(AGENT, offered(CLERK, YUNLING));
    assert_eq!(desk.standing(foreign), Standing::Quarantined(Reason::NotNow));
}

#[test]
fn the_fullest_hand_over_is_an_entry_and_a_fuller_one_is_not_read() {
    let line = "𠮷".repeat(DUTY_LINE_CHARS_MAX);
    let case = Some(SubjectId([0xca; 16]));
    let full = |more: usize| Step::DutyOffered {
        place: PlaceId(u32::MAX),
        to: person_id(COLLEAGUE.person),
        cases: vec![SubjectId([0xca; 16]); DUTY_CASES_MAX + more],
        originals: vec![Original { case, what: line.clone() }; DUTY_ORIGINALS_MAX],
        promises: vec![
            Promise { case, what: line.clone(), until: "2026-12-01".into() };
            DUTY_PROMISES_MAX
        ],
        note: "𠮷".repeat(TEXT_CHARS_MAX),
    };
    let mut table = Table::new(0);
    let id = table.after(AGENT, &[EntryId([1; 32]); REFERENCES_MAX], full(0));
    let bytes = table.entries[0].encode();
    let read = Entry::decode(&bytes).expect("within an entry's size");
    assert_eq!(read.id(), id);
    assert!(Event::decode(read.payload()).is_ok(), "{} bytes", bytes.len());
    let long = |what: &str, until: &str| Step::DutyOffered {
        place: YUNLING,
        to: person_id(COLLEAGUE.person),
        cases: vec![],
        originals: vec![],
        promises: vec![Promise { case: None, what: what.into(), until: until.into() }],
        note: String::new(),
    };
    for (step, reads) in [
        (full(1), false),
        (long("补交户口簿", "2026-12-01"), true),
        (long("补交户口簿", ""), true),
        (long("补交户口簿", "明天"), false),
        (long(&"长".repeat(DUTY_LINE_CHARS_MAX + 1), ""), false),
    ] {
        let event = Event { after: vec![], heads: vec![], digest: None, step };
        assert_eq!(Event::decode(&encode(&event)).is_ok(), reads);
    }
}

#[test]
fn a_hand_over_has_an_end_of_events_the_same_in_any_order_and_can_still_be_settled_there() {
    let mut table = Table::new(0);
    let mut offers: Vec<EntryId> = Vec::new();
    for _ in 0..DUTY_PAST_MAX + 3 {
        let after: Vec<EntryId> = offers.last().copied().into_iter().collect();
        offers.push(table.after(AGENT, &after, offered(COLLEAGUE, YUNLING)));
    }
    let last = offers[DUTY_PAST_MAX - 1];
    let taking = table.after(COLLEAGUE, &[last], taken(last));
    let standings: BTreeMap<_, _> = table.folded().standings.into_iter().collect();
    for (n, id) in offers.iter().enumerate() {
        let expected = match n.cmp(&DUTY_PAST_MAX) {
            std::cmp::Ordering::Less => Standing::Effective,
            std::cmp::Ordering::Equal => Standing::Quarantined(Reason::NotNow),
            std::cmp::Ordering::Greater => Standing::Quarantined(Reason::PastQuarantined),
        };
        assert_eq!(standings[id], expected, "offer {n}");
    }
    assert_eq!(standings[&taking], Standing::Effective);
    let expected = table.folded();
    let mut records = table.records();
    for by in [1, 7, 30] {
        records.rotate_left(by);
        records.reverse();
        assert_eq!(fold(&records, &table.county), expected);
    }
}

#[test]
fn what_fans_out_and_comes_together_again_is_counted_whole() {
    let mut table = Table::new(0);
    let root = table.after(AGENT, &[], offered(COLLEAGUE, YUNLING));
    let mut joined = Vec::new();
    for _ in 0..DUTY_PAST_MAX + 8 {
        joined.push(table.after(AGENT, &[root], offered(COLLEAGUE, YUNLING)));
    }
    joined.truncate(REFERENCES_MAX);
    let fits = table.after(AGENT, &joined[..DUTY_PAST_MAX - 2], offered(THIRD, YUNLING));
    let over = table.after(AGENT, &joined, offered(THIRD, YUNLING));
    assert_eq!(table.standing(fits), Standing::Effective);
    assert_eq!(table.standing(over), Standing::Quarantined(Reason::NotNow));
    let expected = table.folded();
    let mut records = table.records();
    records.reverse();
    assert_eq!(fold(&records, &table.county), expected);
}

proptest! {
    /// Whatever people do at two boxes that hear of each other now and then: every order, with
    /// anything twice and anything late, gives one state, and nobody's duty is taken twice.
    #[test]
    fn every_order_of_arrival_gives_the_same_state(
        salt in 0_u64..1000,
        plan in prop::collection::vec((0_usize..4, 0_usize..4, any::<prop::sample::Index>(), any::<bool>()), 1..12),
        shuffle in any::<u64>(),
    ) {
        let mut table = Table::new(salt);
        let mut offers = vec![table.after(AGENT, &[], offered(COLLEAGUE, YUNLING))];
        for (who, what, known, apart) in plan {
            let who = [AGENT, COLLEAGUE, THIRD, CLERK][who];
            let offer = *known.get(&offers);
            let after = if apart { vec![offer] } else { table.folded().frontier };
            let step = match what {
                0 => offered(if who == COLLEAGUE { THIRD } else { COLLEAGUE }, YUNLING),
                1 => withdrawn(),
                _ => taken(offer),
            };
            let offering = matches!(step, Step::DutyOffered { .. });
            let id = table.after(who, &after, step);
            if offering {
                offers.push(id);
            }
        }
        let expected = table.folded();
        let takings = expected.standings.iter().filter(|(id, standing)| {
            let taking = table.records().iter().any(|r| r.id == *id && matches!(r.event.step, Step::DutyTaken { .. }));
            taking && *standing == Standing::Effective
        });
        prop_assert!(takings.count() <= 1);
        prop_assert_eq!(expected.duty.taken.is_some(), expected.duty.phase == Phase::Taken);
        let mut records = table.records();
        let mut state = shuffle;
        for i in (1..records.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            records.swap(i, (state >> 33) as usize % (i + 1));
        }
        records.push(records[0].clone());
        prop_assert_eq!(fold(&records, &table.county), expected);
    }
}

#[test]
fn the_paper_names_both_with_their_times_and_says_what_is_missing_and_who_is_responsible() {
    let signature = |name: &str, at_ms| Signature {
        name: name.into(),
        at_ms,
        office: "云岭村代办服务点".into(),
        ..Signature::default()
    };
    let mut handed = Handed {
        place: "云岭村".into(),
        giver: signature("李建国", START_MS),
        to: "孙丽".into(),
        originals: vec!["张*兰的户口簿".into()],
        promises: vec![("送药到家".into(), "2026-12-01".into()), ("回电".into(), String::new())],
        ..Handed::default()
    };
    let text = |handed: &Handed| format!("{:?}", handover(handed));
    let waits = text(&handed);
    for words in
        ["签收前仍由移交人负责", "尚未签收", "李建国", "孙丽", "2026年12月1日前", "Open cases"]
    {
        assert!(waits.contains(words), "{words}: {waits}");
    }
    handed.receiver = Some(signature("孙丽", START_MS + 3_600_000));
    handed.missing = handed.originals.clone();
    let signed = text(&handed);
    for words in ["双方已签名,原件缺 1 件", "清点时不在的原件(1 项)", "originals missing: 1"]
    {
        assert!(signed.contains(words), "{words}: {signed}");
    }
    assert!(!signed.contains("尚未签收"));
    assert_eq!(handover(&handed), handover(&handed.clone()));
}
