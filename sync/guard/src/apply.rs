//! Judging a job on a scratch copy, and applying what was judged good.

use crate::gate::{Gated, envelope, gate};
use crate::job::{Job, Judged, Part, Verdict};
use cunkou_casework::document::{Document, DocumentError, Schema};
use cunkou_casework::ids::ChangeId;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// True while this thread works on a stranger's change: a panic is then expected and caught, and
/// the program's panic hook stays quiet.
#[must_use]
pub fn is_guarded() -> bool {
    GUARDED.get()
}

/// Runs `work` of a library on bytes from outside; a panic inside becomes `None`, and the panic
/// hook stays quiet.
pub fn contained<T>(work: impl FnOnce() -> T) -> Option<T> {
    let before = GUARDED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(before);
    result.ok()
}

/// Applies changes that were judged good, in their order; gives the document and its saved form.
/// Panics are caught here too, as a second wall.
///
/// # Errors
/// When the saved document cannot be read, or a change does not do here what it did in the worker.
pub fn apply(
    schema: Schema,
    saved: Option<&[u8]>,
    good: &[Vec<u8>],
) -> Result<(Document, Vec<u8>), DocumentError> {
    let mut document = open(schema, saved)?;
    let applied = contained(|| -> Result<(Document, Vec<u8>), DocumentError> {
        document.apply(good)?;
        let saved = document.save();
        Ok((document, saved))
    });
    applied.unwrap_or_else(|| Err(DocumentError::Change("the library panicked".into())))
}

fn open(schema: Schema, saved: Option<&[u8]>) -> Result<Document, DocumentError> {
    match saved {
        Some(saved) => Document::load(schema, saved),
        None => Document::new(schema),
    }
}

/// Judges a job in this process: what the worker does, and what tests without a worker do. A
/// panic is caught, a failed allocation or a full stack is not.
#[must_use]
pub fn judge_here(job: &Job) -> Judged {
    let schema = job.schema();
    if job.is_apart() {
        let parts = contained(|| take_apart(schema, job.saved()?)).flatten();
        return Judged { parts, ..Judged::all(job, &Verdict::Unjudged) };
    }
    let Some(Ok(document)) = contained(|| open(schema, job.saved())) else {
        return Judged::all(job, &Verdict::Unjudged);
    };
    let mut judged = Judged::all(job, &Verdict::Waiting);
    let mut through: Vec<(usize, Gated)> = Vec::new();
    for (i, candidate) in job.candidates().iter().enumerate() {
        let passed = envelope(&candidate.chunk)
            .and_then(|_| gate(&candidate.chunk, schema, &candidate.actor));
        match passed {
            Ok(gated) => through.push((i, gated)),
            Err(refusal) => judged.verdicts[i] = Verdict::Refused(refusal.to_string()),
        }
    }
    let ready = in_order(through, &document);
    let chunk = |i: usize| job.candidates()[i].chunk.to_vec();
    let all: Vec<Vec<u8>> = ready.iter().map(|(i, _)| chunk(*i)).collect();
    if all.is_empty() {
        return judged;
    }
    if attempt(&document, &all).is_some() {
        for (i, _) in ready {
            pass(&mut judged, i);
        }
        return judged;
    }
    // One after another, so that a poisonous change hurts only itself and what builds on it.
    let mut good = document;
    for (i, gated) in ready {
        if !good.has(&gated.deps) {
            continue;
        }
        match attempt(&good, &[chunk(i)]) {
            Some(next) => {
                good = next;
                pass(&mut judged, i);
            }
            None => judged.verdicts[i] = Verdict::Damaging,
        }
    }
    judged
}

/// A stranger's document as the changes that it was made of, when each passes the gate and the whole
/// can be saved, loaded and read again.
fn take_apart(schema: Schema, snapshot: &[u8]) -> Option<Vec<Part>> {
    let document = Document::load(schema, snapshot).ok()?;
    let mut parts = Vec::new();
    for chunk in document.changes() {
        if chunk == schema.genesis() {
            continue;
        }
        let actor = actor_of(&chunk)?;
        envelope(&chunk).ok()?;
        gate(&chunk, schema, &actor).ok()?;
        parts.push(Part { actor, chunk: chunk.into() });
    }
    attempt(&document, &[])?;
    Some(parts)
}

fn actor_of(chunk: &[u8]) -> Option<[u8; 16]> {
    let change = automerge::Change::from_bytes(chunk.to_vec()).ok()?;
    change.actor_id().to_bytes().try_into().ok()
}

fn pass(judged: &mut Judged, i: usize) {
    judged.verdicts[i] = Verdict::Good;
    judged.order.extend(u32::try_from(i));
}

/// Puts changes behind those that they build on; what builds on something absent is left out.
fn in_order(mut left: Vec<(usize, Gated)>, document: &Document) -> Vec<(usize, Gated)> {
    let mut ready = Vec::new();
    let mut known: BTreeSet<ChangeId> = BTreeSet::new();
    loop {
        let before = left.len();
        let (now, later) = left.into_iter().partition::<Vec<_>, _>(|(_, gated)| {
            let there = gated.deps.iter().all(|dep| known.contains(dep) || document.has(&[*dep]));
            if there {
                known.insert(gated.id);
            }
            there
        });
        ready.extend(now);
        left = later;
        if left.len() == before {
            return ready;
        }
    }
}

/// Applies to a scratch copy that must save, load and say the same again.
fn attempt(document: &Document, changes: &[Vec<u8>]) -> Option<Document> {
    contained(|| {
        let mut scratch = document.clone();
        scratch.apply(changes).ok()?;
        let saved = scratch.save();
        let loaded = Document::load(scratch.schema(), &saved).ok()?;
        let same = loaded.heads() == scratch.heads() && loaded.projection() == scratch.projection();
        same.then_some(loaded)
    })
    .flatten()
}
