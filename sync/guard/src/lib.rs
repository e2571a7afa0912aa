//! The guard: strangers' Automerge changes are let through a gate and applied contained.
//!
//! Automerge 0.12 can panic, run out of memory or write what it cannot read again when it is fed
//! with changes made in bad faith. So: plain changes only, sizes and operation counts bounded
//! before anything is expanded, the actor bound to the device, every operation held against the
//! schema, and then application on a scratch copy that is saved and loaded again, panics caught.
//!
//! **Limit, said plainly:** a panic is caught, a failed allocation is not. The counts above bound
//! what is expanded; a child process as the last wall comes with the second issue.

mod apply;
mod gate;

pub use apply::{Applied, apply, is_guarded};
pub use gate::{Gated, OPS_MAX, Refusal, gate};
