//! The receipt that this device gives for a case.

use crate::Replica;
use cunkou_casework::case::CaseState;
use cunkou_casework::receipt::{Receipt, SignedReceipt};

impl Replica {
    /// A receipt for what was submitted, under this device's signature; none before the submission.
    #[must_use]
    pub fn receipt(&self, state: &CaseState) -> Option<SignedReceipt> {
        let (opened, submission) = (state.opened.as_ref()?, state.submission.as_ref()?);
        let receipt = Receipt {
            number: opened.number.parse().ok()?,
            submission: submission.event,
            item: opened.item.clone(),
            at_ms: submission.at_ms,
            device: self.me.device,
        };
        Some(SignedReceipt::new(&receipt, &self.me.key))
    }
}
