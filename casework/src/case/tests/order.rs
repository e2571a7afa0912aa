//! The order of arrival makes no difference.

use super::desk::*;
use crate::case::{Phase, Record, Standing, fold};
use crate::county::CountyLog;
use crate::document::{Document, Schema, Section, Write, actor};
use crate::entry::Entry;
use crate::event::Step;
use crate::ids::{EntryId, Incarnation};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// One act of the generated history: who, what, how much of the history they know, and how.
type Act = (u8, u8, u64, u8);

const STEP_NAMES: [&str; 18] = [
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

/// A history by several people who each know only part of it, illegal and forged steps included,
/// with saves of the document in between.
struct History {
    county: CountyLog,
    records: Vec<Record>,
    changes: Vec<Vec<u8>>,
}

fn history(acts: &[Act]) -> History {
    let mut desk = Desk::new(0);
    desk.step(AGENT, opened(YUNLING, by_county()));
    let mut changes: Vec<Vec<u8>> = Vec::new();
    for &(who, what, knows, how) in acts {
        let (_, who) = EVERYBODY[usize::from(who) % EVERYBODY.len()];
        // What they know: a random part, with everything that it builds on. The opening always.
        let mut known: BTreeMap<EntryId, Record> = BTreeMap::new();
        for (i, record) in desk.records().into_iter().enumerate() {
            let reads = i == 0 || knows >> (i % 64) & 1 == 1;
            if reads && record.event.after.iter().all(|a| known.contains_key(a)) {
                known.insert(record.id, record);
            }
        }
        let known: Vec<Record> = known.into_values().collect();
        let seen = fold(&known, &desk.county);
        // Mostly the step that is due; else any.
        let name = match (how % 4, seen.state.phase) {
            (0, _) => STEP_NAMES[usize::from(what) % STEP_NAMES.len()],
            (1, Phase::Received | Phase::Forwarded | Phase::Accepted) => "withdrawn",
            (_, Phase::Draft) => "submitted",
            (_, Phase::Received) => "taken",
            (_, Phase::TownshipTaken) => ["forwarded", "asked"][usize::from(what % 2)],
            (_, Phase::Forwarded) => ["accepted", "asked", "refused"][usize::from(what % 3)],
            (_, Phase::Supplementing) => "given",
            (_, Phase::Accepted) => ["approved", "denied"][usize::from(what % 2)],
            (_, Phase::Refused | Phase::Approved | Phase::Denied) => "completed",
            (_, Phase::Completed) => "delivered",
            (_, Phase::Contested) => "resolved",
            _ => "archived",
        };
        let mut view = Desk::new(0);
        view.entries =
            desk.entries.iter().filter(|e| known.iter().any(|r| r.id == e.id())).cloned().collect();
        let step = view.named(name);
        let who = if how % 8 == 0 { who } else { view.usual(name) };
        let after = if how % 16 == 9 {
            desk.entries.iter().rev().take(2).map(Entry::id).collect()
        } else {
            seen.frontier
        };
        desk.step_after(who, &after, step);

        // And a save, by the same person, of the document as far as they know it.
        let mut document = Document::new(Schema::Case1).expect("new");
        for (i, change) in changes.iter().enumerate() {
            if knows >> (i % 64) & 1 == 1 {
                document.apply(std::slice::from_ref(change)).expect("our own change");
            }
        }
        let key = ["phone", "address"][usize::from(how % 2)];
        let write = match how % 5 {
            0 => Write::remove(Section::Form, key),
            _ => Write::set(Section::Form, key, format!("{what}")),
        };
        let mut run = [0; 16];
        run[..8].copy_from_slice(&(changes.len() as u64).to_be_bytes());
        let actor = actor(device_id(who.device), Incarnation(run));
        changes.extend(document.write(actor, START_MS, &[write]).expect("written"));
    }
    let records = desk.records();
    History { county: desk.county, records, changes }
}

/// A fixed way of mixing, with some things twice.
fn mixed<T: Clone>(all: &[T], seed: u64) -> Vec<T> {
    let mut state = seed | 1;
    let mut draw = move |n: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize % n
    };
    let mut out = all.to_vec();
    for _ in 0..all.len() / 2 {
        let again = out[draw(all.len())].clone();
        out.push(again);
    }
    for i in (1..out.len()).rev() {
        out.swap(i, draw(i + 1));
    }
    out
}

fn judged(standing: Standing) -> Option<bool> {
    match standing {
        Standing::Waiting(_) => None,
        Standing::Quarantined(_) => Some(false),
        Standing::Effective | Standing::Overtaken | Standing::Rival => Some(true),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..<_>::default() })]

    #[test]
    fn any_order_duplication_and_partition_of_the_same_entries_gives_the_same_status_and_content_on_three_replicas(
        acts in proptest::collection::vec(any::<Act>(), 1..16),
        seeds in any::<[u64; 3]>(),
    ) {
        let History { county, records, changes } = history(&acts);
        let whole = fold(&records, &county);
        prop_assert_eq!(whole.standings.len(), records.len());
        prop_assert!(whole.standings.iter().all(|(_, s)| judged(*s).is_some()), "nothing waits");
        let mut content = Document::new(Schema::Case1).expect("new");
        content.apply(&changes).expect("in the order in which they were made");
        for seed in seeds {
            // Events come in parts; at every pause the replica folds what it has.
            let arriving = mixed(&records, seed);
            let mut verdicts: BTreeMap<EntryId, bool> = BTreeMap::new();
            let pause = 1 + (seed % 4) as usize;
            for here in (pause..arriving.len()).step_by(pause) {
                for (id, standing) in fold(&arriving[..here], &county).standings {
                    if let Some(counts) = judged(standing) {
                        let before = *verdicts.entry(id).or_insert(counts);
                        prop_assert_eq!(before, counts, "what was judged once stays judged");
                    }
                }
            }
            prop_assert_eq!(&fold(&arriving, &county), &whole);
            // So do the document's changes; one that came early waits for those before it.
            let mut document = Document::new(Schema::Case1).expect("new");
            for change in mixed(&changes, seed) {
                document.apply(&[change]).expect("a change of ours");
            }
            prop_assert_eq!(document.projection(), content.projection());
            prop_assert_eq!(document.projection().digest(), content.projection().digest());
            prop_assert_eq!(document.heads(), content.heads());
        }
        for (id, standing) in &whole.standings {
            let in_frontier = whole.frontier.contains(id);
            prop_assert!(!in_frontier || judged(*standing) == Some(true));
            prop_assert_eq!(whole.state.rivals.contains(id), *standing == Standing::Rival);
        }
        prop_assert_eq!(whole.state.phase == Phase::Contested, !whole.state.rivals.is_empty());
    }
}

/// All orders of `left`, one after another.
fn orders(done: &mut Vec<Record>, left: &[Record], check: &mut impl FnMut(&[Record])) {
    if left.is_empty() {
        return check(done);
    }
    for i in 0..left.len() {
        let rest = [&left[..i], &left[i + 1..]].concat();
        done.push(left[i].clone());
        orders(done, &rest, check);
        done.pop();
    }
}

#[test]
fn every_one_of_the_orders_in_which_a_contest_may_arrive_gives_the_same_result() {
    let mut desk = Desk::new(3);
    let [approval, _] = contest(&mut desk);
    desk.step(REVIEWER, Step::Resolved { keep: approval, reason: String::new() });
    let (records, whole) = (desk.records(), desk.folded());
    let mut seen = 0;
    orders(&mut Vec::new(), &records[1..], &mut |order| {
        let all = [&records[..1], order].concat();
        assert_eq!(fold(&all, &desk.county), whole);
        seen += 1;
    });
    assert_eq!(seen, 5040);
}
