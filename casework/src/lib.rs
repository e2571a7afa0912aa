//! The domain of Cunkou: what a case is, what may be done to it and by whom.
//!
//! **Invariant:** pure. No I/O, no clock, no randomness, no hash order: everything comes in as a
//! value, and the same values give the same result on every box, relay and console.

pub mod case;
pub mod county;
pub mod document;
pub mod entry;
pub mod event;
pub mod ids;
pub mod suite;
pub mod calendar;
pub mod citizen_id;
pub mod fields;
pub mod names;
pub mod number;
pub mod catalogue;
pub mod eligibility;
pub mod material;
pub mod resident;
pub mod registry;
pub mod papers;
