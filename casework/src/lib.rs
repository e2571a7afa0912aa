//! The domain of Cunkou: what a case is, what may be done to it and by whom.
//!
//! **Invariant:** pure. No I/O, no clock, no randomness, no hash order: everything comes in as a
//! value, and the same values give the same result on every box, relay and console.

pub mod calendar;
pub mod case;
pub mod catalogue;
pub mod checkpoint;
pub mod citizen_id;
pub mod cosign;
pub mod county;
pub mod decider;
pub mod document;
pub mod duty;
pub mod eligibility;
pub mod enrolment;
pub mod entry;
pub mod erasure;
pub mod event;
pub mod export;
pub mod fields;
pub mod hex;
pub mod ids;
pub mod looking;
pub mod material;
pub mod merkle;
pub mod names;
pub mod number;
pub mod papers;
pub mod receipt;
pub mod registry;
pub mod resident;
pub mod retention;
pub mod sensitive;
pub mod suite;
pub mod webauthn;

/// So that helpers shared with the tests outside can name this crate as they do.
#[cfg(test)]
extern crate self as cunkou_casework;
