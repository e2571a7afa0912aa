//! A case (办件): its state is a fold of events, one pure function, the same everywhere.

mod authorise;
mod fold;
mod state;

pub use authorise::{
    Attestation, Reason, Verdict, attested, authenticate, authorise, still_counts,
};
pub(crate) use fold::causal_order;
pub use fold::{Folded, Record, Standing, fold};
pub use state::{
    Acceptance, CaseState, Decision, DecisionKind, Delivery, Ladder, Opened, Phase, Submission,
    SupplementRound, Task,
};

#[cfg(test)]
pub(crate) mod tests;
