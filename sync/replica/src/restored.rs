//! What a store forgets and takes anew when it comes from a backup.

use crate::World;
use cunkou_store::{Store, StoreError};

/// So many case numbers are passed over: what the lost disk gave out since the backup comes back
/// from the county, but perhaps only after the next case was opened without a link.
pub const NUMBERS_SKIPPED: u64 = 1000;

/// An epoch that nobody had before.
#[must_use]
pub fn new_epoch(world: &dyn World) -> [u8; 16] {
    let mut epoch = [0; 16];
    world.random(&mut epoch);
    epoch
}

/// A store that was restored begins again: under a new epoch, because its log may have gone back
/// and peers must not trust their cursors into it; with a history of its own that follows nothing,
/// because what the lost disk signed last follows the same entry and the two would look like a
/// copied disk; and with numbers that were not given out. Its runs are new with every start, so
/// that no number of an older run comes twice.
///
/// # Errors
/// When the store fails.
pub fn begin_again(store: &Store, epoch: &[u8; 16]) -> Result<(), StoreError> {
    store.write(|tx| {
        tx.set_meta("epoch", epoch)?;
        tx.forget_meta("chain")?;
        let used = tx.meta("numbers")?.unwrap_or_default();
        let used = <[u8; 8]>::try_from(&used[..]).map_or(0, u64::from_be_bytes);
        tx.count_at_least("numbers", used + NUMBERS_SKIPPED)
    })
}
