//! The fold: from a set of events, in whatever order they came, to one state.

use super::authorise::{Attestation, Reason, Verdict, authorise};
use super::state::{CaseState, Phase};
use crate::county::CountyLog;
use crate::entry::Header;
use crate::event::{Event, Step};
use crate::ids::EntryId;
use std::collections::{BTreeMap, BTreeSet};

/// An authenticated event of one case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The entry's name.
    pub id: EntryId,
    /// Who and when.
    pub header: Header,
    /// What.
    pub event: Event,
    /// On whose word.
    pub attestation: Attestation,
}

/// What became of an event in the fold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It took effect.
    Effective,
    /// It was rightful, but a concurrent step had already settled the matter.
    Overtaken,
    /// It is one of the rival steps of 待核.
    Rival,
    /// It waits for something that has not arrived.
    Waiting(Reason),
    /// It does not count.
    Quarantined(Reason),
}

/// The result of a fold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folded {
    /// The state.
    pub state: CaseState,
    /// Every event in causal order with what became of it.
    pub standings: Vec<(EntryId, Standing)>,
    /// The latest accepted events: what the next event comes after. Sorted.
    pub frontier: Vec<EntryId>,
}

struct Judged<'a> {
    record: &'a Record,
    past: BTreeSet<EntryId>,
    verdict: Verdict,
}

/// Folds the events of one case. Any order, duplication and partition of the same events gives
/// the same result; it never sees the present time.
#[must_use]
pub fn fold(records: &[Record], county: &CountyLog) -> Folded {
    let by_id: BTreeMap<EntryId, &Record> = records.iter().map(|r| (r.id, r)).collect();
    let order = causal_order(&by_id);
    let mut judged: BTreeMap<EntryId, Judged<'_>> = BTreeMap::new();
    let mut standings = Vec::new();
    for &id in &order {
        let record = by_id[&id];
        let mut past: BTreeSet<EntryId> = BTreeSet::new();
        for after in &record.event.after {
            past.insert(*after);
            if let Some(earlier) = judged.get(after) {
                past.extend(&earlier.past);
            }
        }
        let verdict = if past.iter().any(|p| !by_id.contains_key(p)) {
            Verdict::Pending(Reason::MissingPast)
        } else if let Some(bad) = past.iter().find_map(|p| match judged[p].verdict {
            Verdict::Accept => None,
            Verdict::Pending(_) => Some(Verdict::Pending(Reason::MissingPast)),
            Verdict::Quarantine(_) => Some(Verdict::Quarantine(Reason::PastQuarantined)),
        }) {
            bad
        } else {
            let before = replay(order.iter().filter(|id| past.contains(id)), &judged);
            authorise(record, &before.state, county)
        };
        judged.insert(id, Judged { record, past, verdict });
    }
    // Events of a cycle or with a missing past never come up in the causal order.
    let stuck = by_id.keys().filter(|id| !judged.contains_key(id)).copied();
    let stuck: Vec<_> = stuck.map(|id| (id, Standing::Waiting(Reason::MissingPast))).collect();

    let accepted = order.iter().filter(|id| judged[id].verdict == Verdict::Accept);
    let replayed = replay(accepted.clone(), &judged);
    for id in &order {
        let standing = match judged[id].verdict {
            Verdict::Pending(reason) => Standing::Waiting(reason),
            Verdict::Quarantine(reason) => Standing::Quarantined(reason),
            Verdict::Accept if replayed.state.rivals.contains(id) => Standing::Rival,
            Verdict::Accept if replayed.effective.contains(id) => Standing::Effective,
            Verdict::Accept => Standing::Overtaken,
        };
        standings.push((*id, standing));
    }
    standings.extend(stuck);
    let covered: BTreeSet<EntryId> =
        accepted.clone().flat_map(|id| judged[id].past.iter().copied()).collect();
    let frontier = accepted.filter(|id| !covered.contains(id)).copied().collect::<BTreeSet<_>>();
    Folded { state: replayed.state, standings, frontier: frontier.into_iter().collect() }
}

/// Earlier before later; of unrelated events the one with the smaller name first.
pub(crate) fn causal_order(by_id: &BTreeMap<EntryId, &Record>) -> Vec<EntryId> {
    let mut waiting_for: BTreeMap<EntryId, usize> = BTreeMap::new();
    let mut followers: BTreeMap<EntryId, Vec<EntryId>> = BTreeMap::new();
    for (id, record) in by_id {
        let known: BTreeSet<_> =
            record.event.after.iter().filter(|after| by_id.contains_key(after)).collect();
        waiting_for.insert(*id, known.len());
        for after in known {
            followers.entry(*after).or_default().push(*id);
        }
    }
    let mut ready: BTreeSet<EntryId> =
        waiting_for.iter().filter(|(_, n)| **n == 0).map(|(id, _)| *id).collect();
    let mut order = Vec::with_capacity(by_id.len());
    while let Some(id) = ready.pop_first() {
        order.push(id);
        for follower in followers.remove(&id).unwrap_or_default() {
            if let Some(n) = waiting_for.get_mut(&follower) {
                *n -= 1;
                if *n == 0 {
                    ready.insert(follower);
                }
            }
        }
    }
    order
}

#[derive(Default)]
struct Replayed {
    state: CaseState,
    effective: BTreeSet<EntryId>,
}

/// Applies rightful events in order. What a concurrent event has already settled is overtaken,
/// unless both end the question: then neither takes effect, nor does what was built on them, until
/// a resolving event says which one counts.
fn replay<'a>(
    ids: impl Iterator<Item = &'a EntryId>,
    judged: &BTreeMap<EntryId, Judged<'_>>,
) -> Replayed {
    let ids: Vec<EntryId> = ids.copied().collect();
    let rivals = rivals(&ids, judged);
    // Who resolves must have seen every rival: one that comes to light later contests again.
    let resolving = ids.iter().rev().find_map(|id| match &judged[id].record.event.step {
        Step::Resolved { keep, .. }
            if rivals.contains(keep) && rivals.is_subset(&judged[id].past) =>
        {
            Some((*id, *keep))
        }
        _ => None,
    });
    let after_resolution =
        |id: &EntryId| resolving.is_some_and(|(by, _)| *id == by || judged[id].past.contains(&by));
    let lost = |id: &EntryId| rivals.contains(id) && resolving.is_none_or(|(_, keep)| *id != keep);
    let mut out = Replayed::default();
    for id in &ids {
        let Judged { record, past, .. } = &judged[id];
        if lost(id) || (past.iter().any(lost) && !after_resolution(id)) {
            continue;
        }
        if resolving.is_some_and(|(by, _)| by == *id) {
            out.effective.insert(*id);
        } else if out.state.allows(&record.event.step) {
            out.state.step(record);
            out.effective.insert(*id);
        }
    }
    if resolving.is_none() && !rivals.is_empty() {
        out.state.phase = Phase::Contested;
        out.state.rivals = rivals.into_iter().collect();
    }
    out
}

/// Steps that ended the question without knowing of each other: two decisions of the highest
/// term, or a decision and a withdrawal.
fn rivals(ids: &[EntryId], judged: &BTreeMap<EntryId, Judged<'_>>) -> BTreeSet<EntryId> {
    let step = |id: &EntryId| &judged[id].record.event.step;
    let term = |id: &EntryId| match step(id) {
        Step::Approved { term, .. } | Step::Denied { term, .. } | Step::Refused { term, .. } => {
            Some(*term)
        }
        _ => None,
    };
    let highest = ids.iter().filter_map(term).max();
    let ends: Vec<&EntryId> = ids
        .iter()
        .filter(|id| {
            matches!(step(id), Step::Withdrawn { .. }) || (highest.is_some() && term(id) == highest)
        })
        .collect();
    let mut out = BTreeSet::new();
    for (i, a) in ends.iter().enumerate() {
        for b in &ends[i + 1..] {
            let apart = !judged[*a].past.contains(b) && !judged[*b].past.contains(a);
            if apart && (step(a).decides() || step(b).decides()) {
                out.extend([**a, **b]);
            }
        }
    }
    out
}
