//! Contained application: on a scratch copy, proved by saving and loading.

use cunkou_casework::document::{Document, DocumentError, Schema};
use std::cell::Cell;
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

/// Runs `work`; a panic inside becomes `None`.
pub(crate) fn contained<T>(work: impl FnOnce() -> T) -> Option<T> {
    let before = GUARDED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(before);
    result.ok()
}

/// What became of a batch of gated changes.
#[derive(Debug)]
pub struct Applied {
    /// The document with all good changes in it.
    pub document: Document,
    /// Its saved form, proved to load again.
    pub saved: Vec<u8>,
    /// Indexes of the changes that would have damaged it: to quarantine.
    pub bad: Vec<usize>,
}

/// Applies gated changes whose dependencies are there. The whole batch is tried at once; if that
/// fails, one after another, so that a poisonous change hurts only itself.
///
/// # Errors
/// When the saved document itself cannot be read.
pub fn apply(
    schema: Schema,
    saved: Option<&[u8]>,
    changes: &[Vec<u8>],
) -> Result<Applied, DocumentError> {
    let document = match saved {
        Some(saved) => Document::load(schema, saved)?,
        None => Document::new(schema)?,
    };
    if let Some((document, saved)) = attempt(&document, changes) {
        return Ok(Applied { document, saved, bad: Vec::new() });
    }
    let mut good = document;
    let mut bytes = good.save();
    let mut bad = Vec::new();
    for (i, change) in changes.iter().enumerate() {
        match attempt(&good, std::slice::from_ref(change)) {
            Some((next, saved)) => (good, bytes) = (next, saved),
            None => bad.push(i),
        }
    }
    Ok(Applied { document: good, saved: bytes, bad })
}

fn attempt(document: &Document, changes: &[Vec<u8>]) -> Option<(Document, Vec<u8>)> {
    contained(|| {
        let mut scratch = document.clone();
        scratch.apply(changes).ok()?;
        let saved = scratch.save();
        let loaded = Document::load(scratch.schema(), &saved).ok()?;
        (loaded.heads() == scratch.heads() && loaded.projection() == scratch.projection())
            .then_some((loaded, saved))
    })
    .flatten()
}
