//! What parent and worker say to each other: jobs and what became of them, CBOR behind a length.

use cunkou_casework::document::Schema;
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

/// All jobs of one message together are never longer. Bytes.
pub const JOB_BYTES_MAX: usize = 32 * 1024 * 1024;
/// So many jobs go in one message.
pub(crate) const JOBS_MAX: usize = 64;
/// So many changes go in one job; a longer queue is brought in parts, each on top of the one
/// before, so that a slow machine has done with one well within its processor time.
pub const CANDIDATES_MAX: usize = 64;

/// A change and whose it must be.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Candidate {
    /// The actor that it must be by.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub actor: [u8; 16],
    /// The change as it came.
    #[n(1)]
    pub chunk: ByteVec,
}

/// A document and the changes that want to get into it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Job {
    #[n(0)]
    case: bool,
    #[n(1)]
    saved: Option<ByteVec>,
    #[n(2)]
    candidates: Vec<Candidate>,
    /// The document is a stranger's, and to be taken apart.
    #[n(3)]
    apart: bool,
}

impl Job {
    /// A job. `saved` is a document that this store saved itself.
    #[must_use]
    pub fn new(schema: Schema, saved: Option<&[u8]>, candidates: Vec<Candidate>) -> Self {
        let saved = saved.map(|bytes| bytes.to_vec().into());
        Self { case: schema == Schema::Case1, saved, candidates, apart: false }
    }

    /// A job that takes a stranger's document apart.
    #[must_use]
    pub fn apart(schema: Schema, snapshot: &[u8]) -> Self {
        Self { apart: true, ..Self::new(schema, Some(snapshot), Vec::new()) }
    }

    /// Whether the document is a stranger's, and to be taken apart.
    #[must_use]
    pub fn is_apart(&self) -> bool {
        self.apart
    }

    /// The document's schema.
    #[must_use]
    pub fn schema(&self) -> Schema {
        if self.case { Schema::Case1 } else { Schema::Resident1 }
    }

    /// The document as this store saved it; absent for a new one.
    #[must_use]
    pub fn saved(&self) -> Option<&[u8]> {
        self.saved.as_ref().map(|bytes| bytes.as_slice())
    }

    /// The changes.
    #[must_use]
    pub fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }

    /// The same document with other candidates.
    pub(crate) fn with(&self, candidates: Vec<Candidate>) -> Self {
        Self { candidates, ..self.clone() }
    }

    /// About how long it is. Bytes.
    pub(crate) fn weight(&self) -> usize {
        let chunks: usize = self.candidates.iter().map(|c| c.chunk.len() + 32).sum();
        self.saved.as_ref().map_or(0, |s| s.len()) + chunks
    }

    /// A name of exactly this job.
    pub(crate) fn digest(&self) -> [u8; 32] {
        blake3::derive_key("cunkou guard job v1", &job_bytes(std::slice::from_ref(self)))
    }
}

/// What became of one change.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Verdict {
    /// It may be applied.
    #[n(1)]
    Good,
    /// It builds on a change that is not there.
    #[n(2)]
    Waiting,
    /// It does not get through the gate, and why.
    #[n(3)]
    Refused(#[n(0)] String),
    /// It would damage its document.
    #[n(4)]
    Damaging,
    /// It ended the worker: by its memory, its time, or its stack.
    #[n(5)]
    Fatal,
    /// It could not be looked at: no worker, or its actor ended too many. To be asked again.
    #[n(6)]
    Unjudged,
}

/// What became of a job.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Judged {
    /// For each candidate.
    #[n(0)]
    pub verdicts: Vec<Verdict>,
    /// The good ones by number, each behind those that it builds on.
    #[n(1)]
    pub order: Vec<u32>,
    /// What a stranger's document was made of; absent when it does not hold.
    #[n(2)]
    pub parts: Option<Vec<Part>>,
}

/// A change out of a stranger's document, past the gate.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Part {
    /// Whose it says it is.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub actor: [u8; 16],
    /// The change.
    #[n(1)]
    pub chunk: ByteVec,
}

impl Judged {
    /// The same verdict for all.
    pub(crate) fn all(job: &Job, verdict: &Verdict) -> Self {
        let verdicts = vec![verdict.clone(); job.candidates.len()];
        Self { verdicts, order: Vec::new(), parts: None }
    }

    /// True when it answers `job` and contradicts itself nowhere.
    fn fits(&self, job: &Job) -> bool {
        let good = |i: u32| {
            let verdict = usize::try_from(i).ok().and_then(|i| self.verdicts.get(i));
            verdict == Some(&Verdict::Good)
        };
        let mut seen = self.order.clone();
        seen.sort_unstable();
        seen.dedup();
        let goods = self.verdicts.iter().filter(|v| **v == Verdict::Good).count();
        self.verdicts.len() == job.candidates.len()
            && (self.parts.is_none() || job.apart)
            && seen.len() == self.order.len()
            && self.order.len() == goods
            && self.order.iter().all(|i| good(*i))
    }

    /// The good changes of `job` in the order in which they are applied.
    #[must_use]
    pub fn good(&self, job: &Job) -> Vec<Vec<u8>> {
        let at = |i: &u32| job.candidates.get(usize::try_from(*i).ok()?);
        self.order.iter().filter_map(at).map(|c| c.chunk.to_vec()).collect()
    }
}

fn bytes<T: Encode<()>>(value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    match minicbor::encode(value, &mut out) {
        Ok(()) => out,
        Err(e) => unreachable!("encoding into memory failed: {e}"),
    }
}

/// The message that asks for jobs.
#[must_use]
pub fn job_bytes(jobs: &[Job]) -> Vec<u8> {
    let mut out = Vec::new();
    match minicbor::encode(jobs, &mut out) {
        Ok(()) => out,
        Err(e) => unreachable!("encoding into memory failed: {e}"),
    }
}

/// Reads a message that asks for jobs; nothing when it is none or too long.
#[must_use]
pub fn read_jobs(message: &[u8]) -> Option<Vec<Job>> {
    (message.len() <= JOB_BYTES_MAX).then_some(())?;
    minicbor::decode(message).ok()
}

/// The worker's answer.
pub(crate) fn judged_bytes(judged: &[Judged]) -> Vec<u8> {
    bytes(&judged.to_vec())
}

/// Reads the worker's answer to `jobs`; nothing when it does not fit them. The worker has met
/// bytes of strangers, so its answer is held for a stranger's too.
#[must_use]
pub fn read_judged(message: &[u8], jobs: &[Job]) -> Option<Vec<Judged>> {
    let judged: Vec<Judged> = minicbor::decode(message).ok()?;
    let fits = judged.len() == jobs.len() && judged.iter().zip(jobs).all(|(j, job)| j.fits(job));
    fits.then_some(judged)
}
