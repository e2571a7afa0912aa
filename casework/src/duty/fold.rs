//! The fold of a hand-over: from its events, in whatever order they came, to one state.

use super::authorise::authorise;
use crate::case::{Attestation, Reason, Record, Standing, Verdict, causal_order};
use crate::county::CountyLog;
use crate::event::{Original, Promise, Step};
use crate::ids::{DeviceId, EntryId, PersonId, PlaceId, SubjectId};
use std::collections::{BTreeMap, BTreeSet};

/// Where a hand-over stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Offered, not yet taken.
    #[default]
    Offered,
    /// Both have signed.
    Taken,
    /// The giver has taken it back.
    Withdrawn,
}

impl Phase {
    /// The word of the code.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Offered => "offered",
            Self::Taken => "taken",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// Who signed, where and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The entry.
    pub entry: EntryId,
    /// At which device.
    pub device: DeviceId,
    /// Claimed time, milliseconds.
    pub at_ms: i64,
    /// On whose word.
    pub attestation: Attestation,
    /// How far the signer had read the county log: their key is the one that it named there.
    pub position: u64,
}

impl Signed {
    fn of(record: &Record) -> Self {
        Self {
            entry: record.id,
            device: record.header.device,
            at_ms: record.header.claimed_ms,
            attestation: record.attestation,
            position: record.header.log.position,
        }
    }
}

/// What is handed over, as it was said last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The offering entry.
    pub offer: EntryId,
    /// The village, or the township.
    pub place: PlaceId,
    /// Who gives.
    pub from: PersonId,
    /// Who is to take.
    pub to: PersonId,
    /// Open cases.
    pub cases: Vec<SubjectId>,
    /// Originals in the drawer.
    pub originals: Vec<Original>,
    /// Promises.
    pub promises: Vec<Promise>,
    /// What else there is to say.
    pub note: String,
    /// The giver's signature.
    pub signed: Signed,
}

/// The taking of a hand-over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The receiver's signature.
    pub signed: Signed,
    /// Their remark.
    pub remark: String,
    /// Which of the given originals were not there: positions in [`Given::originals`], all of them
    /// within it.
    pub missing: Vec<u16>,
}

/// What the events of one hand-over come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Duty {
    /// What is handed over; absent until a rightful event says so.
    pub given: Option<Given>,
    /// Where it stands.
    pub phase: Phase,
    /// The receiver's signature, and what they said with it.
    pub taken: Option<Taken>,
    /// When it was taken back, with the giver's reason.
    pub withdrawn: Option<(Signed, String)>,
}

/// The result of a fold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// The state.
    pub duty: Duty,
    /// Every event in causal order with what became of it.
    pub standings: Vec<(EntryId, Standing)>,
    /// The latest accepted events: what the next event comes after. Sorted.
    pub frontier: Vec<EntryId>,
}

/// So many events may lie before one event of a hand-over; the last place is kept for a taking or
/// a withdrawal, so that what was offered often can still be settled.
pub const DUTY_PAST_MAX: usize = 64;

/// Folds the events of one hand-over. Any order, duplication and partition of the same events
/// gives the same result.
#[must_use]
pub fn fold(records: &[Record], county: &CountyLog) -> Folded {
    let by_id: BTreeMap<EntryId, &Record> = records.iter().map(|r| (r.id, r)).collect();
    let order = causal_order(&by_id);
    let places: BTreeMap<EntryId, usize> = order.iter().copied().zip(0..).collect();
    // Of accepted events alone, so that none is longer than the limit allows.
    let mut pasts: Pasts = BTreeMap::new();
    let mut verdicts: BTreeMap<EntryId, Verdict> = BTreeMap::new();
    for id in &order {
        let verdict = match past_of(by_id[id], &verdicts, &pasts) {
            Ok(past) => {
                let mut before: Vec<EntryId> = past.iter().copied().collect();
                before.sort_unstable_by_key(|id| places.get(id));
                let verdict = authorise(by_id[id], &replay(&before, &by_id, &pasts).0, county);
                if verdict == Verdict::Accept {
                    pasts.insert(*id, past);
                }
                verdict
            }
            Err(verdict) => verdict,
        };
        verdicts.insert(*id, verdict);
    }
    let accepted: Vec<EntryId> =
        order.iter().copied().filter(|id| verdicts[id] == Verdict::Accept).collect();
    let (duty, effective) = replay(&accepted, &by_id, &pasts);
    let standing = |id: &EntryId| match verdicts.get(id) {
        Some(Verdict::Accept) if effective.contains(id) => Standing::Effective,
        Some(Verdict::Accept) => Standing::Overtaken,
        Some(Verdict::Pending(why)) => Standing::Waiting(*why),
        Some(Verdict::Quarantine(why)) => Standing::Quarantined(*why),
        // An event of a cycle never comes up in the causal order.
        None => Standing::Waiting(Reason::MissingPast),
    };
    let stuck = by_id.keys().filter(|id| !verdicts.contains_key(id));
    let standings = order.iter().chain(stuck).map(|id| (*id, standing(id))).collect();
    let covered: BTreeSet<&EntryId> = accepted.iter().flat_map(|id| &pasts[id]).collect();
    let mut frontier: Vec<EntryId> =
        accepted.iter().copied().filter(|id| !covered.contains(id)).collect();
    frontier.sort_unstable();
    Folded { duty, standings, frontier }
}

type Pasts = BTreeMap<EntryId, BTreeSet<EntryId>>;

/// Everything before an event, when all of it counts and it is not too much. It depends on the
/// event's own past alone, never on what else came or when.
fn past_of(
    record: &Record,
    verdicts: &BTreeMap<EntryId, Verdict>,
    pasts: &Pasts,
) -> Result<BTreeSet<EntryId>, Verdict> {
    let after = &record.event.after;
    let quarantined = |id| matches!(verdicts.get(id), Some(Verdict::Quarantine(_)));
    if after.iter().any(quarantined) {
        return Err(Verdict::Quarantine(Reason::PastQuarantined));
    }
    if after.iter().any(|id| !pasts.contains_key(id)) {
        return Err(Verdict::Pending(Reason::MissingPast));
    }
    let mut past: BTreeSet<EntryId> = after.iter().copied().collect();
    past.extend(after.iter().filter_map(|id| pasts.get(id)).flatten());
    let offering = matches!(record.event.step, Step::DutyOffered { .. });
    if past.len() > DUTY_PAST_MAX - usize::from(offering) {
        return Err(Verdict::Quarantine(Reason::NotNow));
    }
    Ok(past)
}

/// Applies rightful events in order. Where a taking and a withdrawal or another offer did not know
/// of each other, the taking stands: two people have signed it.
fn replay(
    ids: &[EntryId],
    by_id: &BTreeMap<EntryId, &Record>,
    pasts: &Pasts,
) -> (Duty, BTreeSet<EntryId>) {
    let taking =
        ids.iter().find(|id| matches!(by_id[*id].event.step, Step::DutyTaken { .. })).copied();
    let settled = |id: &EntryId| match taking {
        Some(taking) => *id == taking || pasts[&taking].contains(id),
        None => true,
    };
    let (mut duty, mut effective) = (Duty::default(), BTreeSet::new());
    for id in ids.iter().filter(|id| settled(id)) {
        if duty.step(by_id[id]) {
            effective.insert(*id);
        }
    }
    (duty, effective)
}

impl Duty {
    /// Who is responsible by this hand-over: the giver until somebody has taken it.
    #[must_use]
    pub fn responsible(&self) -> Option<PersonId> {
        let given = self.given.as_ref()?;
        Some(if self.phase == Phase::Taken { given.to } else { given.from })
    }

    /// The originals that were counted, and those that were missing.
    #[must_use]
    pub fn counted(&self) -> (Vec<&Original>, Vec<&Original>) {
        let missing = self.taken.as_ref().map_or(&[][..], |taken| &taken.missing);
        let all = self.given.iter().flat_map(|given| &given.originals).enumerate();
        let (gone, here): (Vec<_>, Vec<_>) =
            all.partition(|(n, _)| missing.iter().any(|m| usize::from(*m) == *n));
        let bare = |all: Vec<(usize, _)>| all.into_iter().map(|(_, original)| original).collect();
        (bare(here), bare(gone))
    }

    /// Applies a rightful step; false when something that it did not know of has settled the
    /// matter.
    fn step(&mut self, record: &Record) -> bool {
        if self.phase != Phase::Offered {
            return false;
        }
        let signed = Signed::of(record);
        match (&record.event.step, record.header.person) {
            (Step::DutyOffered { place, to, cases, originals, promises, note }, Some(from)) => {
                let same = |g: &Given| g.from == from && g.place == *place;
                if !self.given.as_ref().is_none_or(same) {
                    return false;
                }
                self.given = Some(Given {
                    offer: record.id,
                    place: *place,
                    from,
                    to: *to,
                    cases: cases.clone(),
                    originals: originals.clone(),
                    promises: promises.clone(),
                    note: note.clone(),
                    signed,
                });
            }
            (Step::DutyTaken { offer, remark, missing }, _) => {
                if self.given.as_ref().is_none_or(|given| given.offer != *offer) {
                    return false;
                }
                self.taken =
                    Some(Taken { signed, remark: remark.clone(), missing: missing.clone() });
                self.phase = Phase::Taken;
            }
            (Step::Withdrawn { reason }, _) => {
                self.withdrawn = Some((signed, reason.clone()));
                self.phase = Phase::Withdrawn;
            }
            _ => return false,
        }
        true
    }
}
