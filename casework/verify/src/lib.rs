//! Checks an exported case without a network, a store or a clock.
//!
//! **Invariant:** pure but for the guard's containment of panics. What the file says is judged by
//! the same `casework` code by which every box and relay judges, and nothing in the file is
//! believed that a signature does not carry.

mod check;
mod content;
mod evidence;
mod faults;
mod logged;
pub mod report;
mod words;

pub use check::{Options, check};
pub use words::sentences;
