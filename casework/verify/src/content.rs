//! The content of the case, held against the digests that its steps signed.
//!
//! Changes come from strangers: each goes through the guard's gate first, and all of it runs where
//! a panic is caught.

use cunkou_casework::case::Record;
use cunkou_casework::document::{Document, Projection, Schema, Section, actor};
use cunkou_casework::entry::Entry;
use cunkou_casework::ids::{AttachmentId, ChangeId, EntryId};
use cunkou_casework::material::attachments_named;
use cunkou_guard::{CANDIDATES_MAX, Candidate, Gated, Job, Verdict, gate};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What the content says of itself.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    /// Saves that count.
    pub(crate) saves: u64,
    /// Saves that do not, and why.
    pub(crate) bad: Vec<(EntryId, String)>,
    /// Saves whose earlier saves are not in the file.
    pub(crate) parked: Vec<EntryId>,
    /// Steps about content that is not what they signed.
    pub(crate) differs: Vec<EntryId>,
    /// Steps about content that is not in the file.
    pub(crate) missing: Vec<EntryId>,
    /// Saves of what the submission had frozen that it did not know.
    pub(crate) late: Vec<EntryId>,
    /// The applicant's name as it stands.
    pub(crate) applicant: String,
    /// Attachments that the content names.
    pub(crate) named: BTreeSet<AttachmentId>,
}

/// Checks the content; nothing when it could not be checked.
pub(crate) fn check(
    edits: &[Entry],
    records: &[&Record],
    frozen: Option<&[ChangeId]>,
) -> Option<Checked> {
    catch_unwind(AssertUnwindSafe(|| read(edits, records, frozen))).ok().flatten()
}

fn read(edits: &[Entry], records: &[&Record], frozen: Option<&[ChangeId]>) -> Option<Checked> {
    let mut out = Checked::default();
    let mut gated: Vec<(&Entry, Gated)> = Vec::new();
    for edit in edits {
        let header = edit.header();
        let by = actor(header.device, header.incarnation);
        match gate(edit.payload(), Schema::Case1, &by) {
            Ok(change) => gated.push((edit, change)),
            Err(why) => out.bad.push((edit.id(), why.to_string())),
        }
    }
    let (ready, parked) = in_order(gated)?;
    out.parked = parked;
    let (document, damaging) = apply(&ready)?;
    out.saves = (ready.len() - damaging.len()) as u64;
    for edit in damaging {
        out.bad.push((edit, "it would damage the document".into()));
    }
    for record in records {
        let Some(digest) = record.event.digest else { continue };
        match document.projection_at(&record.event.heads) {
            None => out.missing.push(record.id),
            Some(then) if then.digest() != digest => out.differs.push(record.id),
            Some(_) => {}
        }
    }
    let now = document.projection();
    let counted = frozen.and_then(|heads| document.projection_at(heads));
    if let Some(heads) = frozen {
        let known = ancestors(heads, &ready);
        let closed = |g: &Gated| g.writes.iter().any(|w| !w.section.open_after_submission());
        let late = ready.iter().filter(|(_, g)| !known.contains(&g.id) && closed(g));
        out.late = late.map(|(edit, _)| edit.id()).collect();
    }
    let name = |p: &Projection| p.get(Section::Particulars, "name").map(str::to_owned);
    out.applicant = name(counted.as_ref().unwrap_or(&now)).unwrap_or_default();
    out.named = attachments_named(&now);
    Some(out)
}

/// The document that the saves make, and those that would damage it.
fn apply(ready: &Saves<'_>) -> Option<(Document, Vec<EntryId>)> {
    let mut document = Document::new(Schema::Case1).ok()?;
    let (mut saved, mut damaging) = (None, Vec::new());
    for part in ready.chunks(CANDIDATES_MAX) {
        let candidates = part.iter().map(|(edit, _)| {
            let header = edit.header();
            let actor = actor(header.device, header.incarnation);
            Candidate { actor, chunk: edit.payload().to_vec().into() }
        });
        let job = Job::new(Schema::Case1, saved.as_deref(), candidates.collect());
        let judged = cunkou_guard::judge_here(&job);
        let bad = part.iter().zip(&judged.verdicts).filter(|(_, v)| **v != Verdict::Good);
        damaging.extend(bad.map(|((edit, _), _)| edit.id()));
        let good = judged.good(&job);
        if !good.is_empty() {
            let (now, bytes) = cunkou_guard::apply(Schema::Case1, saved.as_deref(), &good).ok()?;
            (document, saved) = (now, Some(bytes));
        }
    }
    Some((document, damaging))
}

type Saves<'a> = Vec<(&'a Entry, Gated)>;

/// Puts saves behind those that they build on; names those that build on something absent.
fn in_order(mut left: Saves<'_>) -> Option<(Saves<'_>, Vec<EntryId>)> {
    let genesis = Document::new(Schema::Case1).ok()?;
    let mut known: BTreeSet<ChangeId> = genesis.heads().into_iter().collect();
    let mut ready = Vec::with_capacity(left.len());
    loop {
        let before = left.len();
        let mut rest = Vec::new();
        for (edit, gated) in left {
            if gated.deps.iter().all(|dep| known.contains(dep)) {
                known.insert(gated.id);
                ready.push((edit, gated));
            } else {
                rest.push((edit, gated));
            }
        }
        if rest.len() == before {
            return Some((ready, rest.iter().map(|(edit, _)| edit.id()).collect()));
        }
        left = rest;
    }
}

/// The changes at and before some heads.
fn ancestors(heads: &[ChangeId], saves: &[(&Entry, Gated)]) -> BTreeSet<ChangeId> {
    let mut known: BTreeSet<ChangeId> = heads.iter().copied().collect();
    // Each stands behind what it builds on, so one way back is enough.
    for (_, gated) in saves.iter().rev() {
        if known.contains(&gated.id) {
            known.extend(&gated.deps);
        }
    }
    known
}
