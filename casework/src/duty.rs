//! A hand-over of duty (交接): who gave what to whom, signed by both. It is a record: who may act
//! follows from the county log alone, before and after.

mod authorise;
mod fold;
mod paper;

pub use authorise::{authorise, has_post};
pub use fold::{DUTY_PAST_MAX, Duty, Folded, Given, Phase, Signed, Taken, fold};
pub use paper::{Handed, Signature, handover};

#[cfg(test)]
mod tests;
