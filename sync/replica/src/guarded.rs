//! Others' edits on their way into a document: past the guard or aside.

use crate::Replica;
use crate::file::{EditRow, Gathered, aside, gather};
use crate::kinds::{CASE, RESIDENT, schema_of};
use cunkou_casework::case::{authenticate, still_counts};
use cunkou_casework::county::CountyLog;
use cunkou_casework::document::{Document, DocumentError, Schema, actor};
use cunkou_casework::event::Step;
use cunkou_casework::ids::PlaceId;
use cunkou_casework::registry;
use cunkou_guard::{CANDIDATES_MAX, Candidate, Job, Verdict};
use cunkou_store::{EntryState, FATAL_REASON, PARKED_REASON, StoreError, Txn, View};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use tracing::warn;

impl Replica {
    pub(crate) fn put_aside(
        &self,
        tx: &Txn<'_>,
        edit: &EditRow,
        state: EntryState,
        reason: &str,
    ) -> Result<(), StoreError> {
        if state != edit.state {
            self.set_aside.fetch_add(1, Ordering::Relaxed);
        }
        if state == EntryState::Quarantined {
            warn!(
                device = %edit.entry.header().device, entry = %edit.entry.id(), %reason,
                "quarantined an edit"
            );
        }
        tx.set_state(edit.pos, state, Some(reason))
    }

    /// Brings edits into a document, part by part: what the guard lets through is applied here.
    pub(crate) fn build<'a>(
        &self,
        schema: Schema,
        mut document: Document,
        saved: Option<&[u8]>,
        mut left: Vec<&'a EditRow>,
    ) -> Result<Built<'a>, DocumentError> {
        let mut bytes = saved.map(<[u8]>::to_vec);
        let mut verdicts = Vec::new();
        loop {
            let mut again = Vec::new();
            let mut grew = false;
            for part in left.chunks(CANDIDATES_MAX) {
                let job = Job::new(schema, bytes.as_deref(), part.iter().map(candidate).collect());
                let mut judged = self.guard.judge_one(&job);
                let good = judged.good(&job);
                if !good.is_empty() {
                    match cunkou_guard::apply(schema, bytes.as_deref(), &good) {
                        Ok((now, saved)) => {
                            (document, bytes, grew) = (now, Some(saved), true);
                        }
                        // Not what the worker saw: nothing of this part counts for now.
                        Err(error) => {
                            warn!(%error, "what the guard let through could not be applied");
                            judged.verdicts.fill(Verdict::Unjudged);
                        }
                    }
                }
                for (edit, verdict) in part.iter().zip(judged.verdicts) {
                    if verdict == Verdict::Waiting {
                        again.push(*edit);
                    } else {
                        verdicts.push((*edit, verdict));
                    }
                }
            }
            // What waits may have waited for a later part.
            let once = left.len() <= CANDIDATES_MAX;
            left = again;
            if left.is_empty() || !grew || once {
                break;
            }
        }
        verdicts.extend(left.into_iter().map(|edit| (edit, Verdict::Waiting)));
        let saved = match bytes {
            Some(saved) => saved,
            None => document.save(),
        };
        Ok(Built { document, saved, verdicts })
    }

    /// Has the guard look at what is to be derived before the writer is held: it remembers, and
    /// nobody waits for the disk while a worker chews on something bad. `anew` is for documents
    /// that are made again from nothing.
    pub(crate) fn look_ahead(
        &self,
        view: &View<'_>,
        subjects: &[[u8; 16]],
        anew: bool,
    ) -> Result<(), StoreError> {
        let county = self.county();
        let mut jobs = Vec::new();
        for subject in subjects {
            if self.came_whole.has(subject) {
                continue;
            }
            let gathered = gather(view.entries_of(subject)?, &county);
            let stored = if anew { None } else { view.document(subject)? };
            let applied_to = stored.as_ref().map_or(0, |d| d.pos);
            let todo: Vec<&EditRow> = gathered.todo(applied_to).collect();
            let Some((schema, homes)) = beginning(&gathered, &county).filter(|_| !todo.is_empty())
            else {
                continue;
            };
            let had = |e: &EditRow| gathered.had(e.entry.id());
            let through =
                todo.into_iter().filter(|e| at_the_door(e, had(e), &county, &homes).is_ok());
            let candidates: Vec<Candidate> =
                through.take(CANDIDATES_MAX).map(|edit| candidate(&edit)).collect();
            if !candidates.is_empty() {
                let saved = stored.as_ref().map(|d| d.bytes.as_slice());
                jobs.push(Job::new(schema_of(schema), saved, candidates));
            }
        }
        let _remembered = self.guard.judge(&jobs);
        Ok(())
    }
}

/// What came of bringing edits into a document.
pub(crate) struct Built<'a> {
    pub(crate) document: Document,
    pub(crate) saved: Vec<u8>,
    pub(crate) verdicts: Vec<(&'a EditRow, Verdict)>,
}

impl<'a> Built<'a> {
    /// A document that came whole and is made of exactly these.
    pub(crate) fn whole(document: Document, edits: Vec<&'a EditRow>) -> Self {
        let saved = document.save();
        let verdicts = edits.into_iter().map(|edit| (edit, Verdict::Good)).collect();
        Self { document, saved, verdicts }
    }
}

/// Waits for a worker: looked at again at the next start or news of its subject.
pub(crate) const UNJUDGED: &str = "the guard could not look at it yet";

/// Where an edit goes that is not applied; nothing for one that is.
pub(crate) fn standing(verdict: &Verdict) -> Option<(EntryState, Cow<'_, str>)> {
    Some(match verdict {
        Verdict::Good => return None,
        Verdict::Waiting => (EntryState::Waiting, PARKED_REASON.into()),
        Verdict::Unjudged => (EntryState::Waiting, UNJUDGED.into()),
        Verdict::Refused(why) => (EntryState::Quarantined, why.as_str().into()),
        Verdict::Damaging => {
            (EntryState::Quarantined, "the change would damage its document".into())
        }
        Verdict::Fatal => (EntryState::Quarantined, FATAL_REASON.into()),
    })
}

fn candidate(edit: &&EditRow) -> Candidate {
    let header = edit.entry.header();
    Candidate {
        actor: actor(header.device, header.incarnation),
        chunk: edit.entry.payload().to_vec().into(),
    }
}

/// The schema number and the villages that a subject's steps give it, if its fold will agree.
fn beginning(gathered: &Gathered, county: &CountyLog) -> Option<(u8, Homes)> {
    gathered.records.iter().find_map(|r| match &r.event.step {
        Step::Opened { place, .. } => Some((CASE, Homes::One(*place))),
        Step::ResidentAdded { .. } => {
            Some((RESIDENT, Homes::Of(registry::fold(&gathered.records, county).homes)))
        }
        _ => None,
    })
}

/// The villages of a subject.
pub(crate) enum Homes {
    /// A case stays where it was opened.
    One(PlaceId),
    /// A resident's present village and those before, as far as their steps are here.
    Of(BTreeSet<PlaceId>),
}

/// Whether an edit may knock at all; what it holds is the guard's matter. `had` is how far a relay
/// had read the county log when it first had it, `homes` are the villages that the subject has, or
/// had before it moved.
pub(crate) fn at_the_door(
    edit: &EditRow,
    had: Option<u64>,
    county: &CountyLog,
    homes: &Homes,
) -> Result<(), (EntryState, String)> {
    let header = edit.entry.header();
    let judged = match edit.state {
        EntryState::Good => still_counts(header, county, had),
        _ => authenticate(&edit.entry, county, had).map(|_| ()),
    };
    judged.map_err(aside)?;
    let position = header.log.position;
    let serves = |place: &PlaceId| county.serves_at(header.device, *place, position);
    let reason = "the device does not serve this village".to_owned();
    match homes {
        Homes::One(place) if !serves(place) => Err((EntryState::Quarantined, reason)),
        // That they moved may still have to arrive.
        Homes::Of(places) if !places.iter().any(serves) => Err((EntryState::Unfounded, reason)),
        _ => Ok(()),
    }
}
