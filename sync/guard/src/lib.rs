//! The guard: strangers' Automerge changes are judged in a child process before anything of them
//! touches a document here.
//!
//! Automerge 0.12 can panic, overflow its stack, run out of memory or write what it cannot read
//! again when it is fed with changes made in bad faith. So every change by somebody else goes
//! through two walls:
//!
//! 1. **The envelope** ([`envelope`]), here: one plain change chunk, short, checksum true. No
//!    Automerge.
//! 2. **The worker**, a child process of the same program with bounded memory and processor time,
//!    no files and almost no system calls: [`gate()`] (sizes and operations bounded, the actor bound
//!    to the device, every operation held against the schema), order by dependencies, application
//!    on a scratch copy that is saved, loaded again and compared.
//!
//! What the worker let through is then applied here; the library is deterministic, so what passed
//! there on the same document passes here. The worker's death is the verdict for the change that
//! caused it, and leaves nothing in the parent.

mod apply;
mod child;
mod gate;
mod guard;
mod job;
mod limits;
pub mod worker;

pub use apply::{apply, contained, is_guarded, judge_here};
pub use gate::{Gated, OPS_MAX, Refusal, envelope, gate};
pub use guard::{Guard, WORKER_COMMAND};
pub use job::{
    CANDIDATES_MAX, Candidate, JOB_BYTES_MAX, Job, Judged, Part, Verdict, job_bytes, read_jobs,
    read_judged,
};
pub use limits::{JOB_CPU_S, WORKER_BYTES};
