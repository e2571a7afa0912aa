//! Every derived row made again from the log, while people go on working.
//!
//! A subject's rows are dropped and made in one transaction: whoever reads sees the old ones or
//! the new ones, and so does whoever starts after a cut. How far it has come is in the same
//! transaction; asked again, it goes on from there.

use crate::Replica;
use cunkou_casework::ids::SubjectId;
use cunkou_store::StoreError;

/// The last subject that was done, while it is not over.
const MARK: &str = "rebuild";
/// So many subjects are made again in one transaction: people wait for it.
const BATCH: u32 = 20;

/// What was made again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// Subjects whose rows were made, those before a cut among them.
    pub subjects: u64,
    /// Rows that belonged to nothing.
    pub dropped: usize,
}

impl Replica {
    /// Makes every derived row again. `progress` hears how many subjects are done, of how many.
    ///
    /// # Errors
    /// When the store fails; what was made until then is whole, and the next call goes on.
    pub fn rebuild(&self, mut progress: impl FnMut(u64, u64)) -> Result<Rebuilt, StoreError> {
        let mut after = self.store.read(|view| view.meta(MARK))?.unwrap_or_default();
        let (mut done, all) = self.store.read(|view| view.subject_count(&after))?;
        loop {
            let part = self.store.read(|view| view.subjects_after(&after, BATCH))?;
            let Some(last) = part.last() else { break };
            self.store.read(|view| self.look_ahead(view, &part, true))?;
            self.store.write(|tx| -> Result<(), StoreError> {
                for subject in &part {
                    tx.drop_derived(subject)?;
                    self.materialise(tx, SubjectId(*subject))?;
                }
                tx.set_meta(MARK, last)
            })?;
            after = last.to_vec();
            done += part.len() as u64;
            progress(done.min(all), all);
        }
        let dropped = self.store.write(|tx| -> Result<usize, StoreError> {
            tx.forget_meta(MARK)?;
            tx.drop_unfounded()
        })?;
        self.reclaim_attachments()?;
        self.changed();
        Ok(Rebuilt { subjects: done, dropped })
    }

    /// What is wanted and lies on the disk is not fetched.
    fn reclaim_attachments(&self) -> Result<(), StoreError> {
        for id in self.store.read(|view| view.attachments_wanted())? {
            match self.store.read_attachment(&id) {
                Ok(Some(bytes)) => {
                    self.store.write(|tx| tx.attachment_arrived(&id, bytes.len() as u64))?;
                }
                Ok(None) | Err(StoreError::Damaged { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether a rebuild was begun and is not over.
    ///
    /// # Errors
    /// When the store fails.
    pub fn rebuilding(&self) -> Result<bool, StoreError> {
        Ok(self.store.read(|view| view.meta(MARK))?.is_some())
    }
}
