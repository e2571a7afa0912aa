//! Hand-overs of duty: their rows, and one read whole.

use crate::Replica;
use crate::file::{Gathered, StepNote, gather};
use crate::kinds::DUTY;
use crate::materialise::set_standings;
use cunkou_casework::case::{self, Record};
use cunkou_casework::county::CountyLog;
use cunkou_casework::duty::{Duty, Signed, fold};
use cunkou_casework::event::Deferred;
use cunkou_casework::ids::{EntryId, Scope, SubjectId};
use cunkou_store::{DutyRow, EntryState, StoreError, Txn};
use std::collections::BTreeMap;

/// A hand-over, whole.
#[derive(Debug)]
pub struct DutyFile {
    /// The hand-over.
    pub subject: SubjectId,
    /// What it has come to.
    pub duty: Duty,
    /// Steps in causal order.
    pub steps: Vec<StepNote>,
}

/// When something was signed, milliseconds: as claimed, yet no later than it was here, or at a
/// relay.
fn known_by(tx: &Txn<'_>, gathered: &Gathered, signed: &Signed) -> Result<i64, StoreError> {
    let here = tx.entry(&signed.entry.0)?.map(|row| row.received_ms);
    let relay = gathered.witnessed.get(&signed.entry).map(|w| w.time_ms);
    Ok(here.into_iter().chain(relay).fold(signed.at_ms, i64::min))
}

impl Replica {
    pub(crate) fn materialise_duty(
        &self,
        tx: &Txn<'_>,
        subject: SubjectId,
        county: &CountyLog,
        gathered: Gathered,
    ) -> Result<(), StoreError> {
        let folded = fold(&gathered.records, county);
        let mut aside = set_standings(tx, &gathered, &folded.standings)?;
        for edit in &gathered.edits {
            aside += 1;
            let why = "a hand-over has no document";
            self.put_aside(tx, edit, EntryState::Quarantined, why)?;
        }
        let Duty { given: Some(given), phase, taken, withdrawn } = folded.duty else {
            return Ok(());
        };
        let signed = taken.as_ref().map(|taken| &taken.signed);
        let settled = signed.or(withdrawn.as_ref().map(|(signed, _)| signed));
        let settled_ms = settled.map(|signed| known_by(tx, &gathered, signed)).transpose()?;
        tx.set_subject(&subject.0, DUTY, &Scope::Place(given.place).to_string())?;
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        tx.set_duty(&DutyRow {
            subject: subject.0,
            place: given.place.0,
            giver: given.from.0,
            receiver: given.to.0,
            phase: phase.key().to_owned(),
            offered_ms: given.signed.at_ms,
            missing: taken.as_ref().map_or(0, |taken| count(taken.missing.len())),
            settled_ms: settled_ms.unwrap_or(0),
            cases: count(given.cases.len()),
            originals: count(given.originals.len()),
            promises: count(given.promises.len()),
            aside,
        })
    }

    /// Reads a hand-over whole.
    ///
    /// # Errors
    /// When the store fails; `None` when there is no such hand-over here.
    pub fn duty(&self, subject: SubjectId) -> Result<Option<DutyFile>, StoreError> {
        let county = self.county();
        let rows = self.store.read(|view| {
            let known = view.subject(&subject.0)?.is_some_and(|(schema, _)| schema == DUTY);
            if known { view.entries_of(&subject.0) } else { Ok(Vec::new()) }
        })?;
        if rows.is_empty() {
            return Ok(None);
        }
        let gathered = gather(rows, &county);
        let folded = fold(&gathered.records, &county);
        let mut records: BTreeMap<EntryId, Record> =
            gathered.records.into_iter().map(|r| (r.id, r)).collect();
        let steps = folded.standings.iter().filter_map(|(id, standing)| {
            let record = records.remove(id)?;
            let witnessed = gathered.witnessed.get(id).copied();
            Some(StepNote { record, standing: *standing, witnessed })
        });
        let steps = steps.collect();
        Ok(Some(DutyFile { subject, duty: folded.duty, steps }))
    }

    /// The materials that were promised for each of these cases and have not come (容缺).
    ///
    /// # Errors
    /// When the store fails.
    pub fn promised(&self, cases: &[SubjectId]) -> Result<Vec<(SubjectId, Deferred)>, StoreError> {
        let county = self.county();
        let mut out = Vec::new();
        for case in cases {
            let rows = self.store.read(|view| view.entries_of(&case.0))?;
            let folded = case::fold(&gather(rows, &county).records, &county);
            out.extend(folded.state.promised().iter().map(|d| (*case, d.clone())));
        }
        Ok(out)
    }
}
