//! The store of a box and of a relay: one SQLite database and a folder of attachments.
//!
//! Both are encrypted under one key (SQLCipher, STREAM); names of attachments' files are keyed hashes.
//!
//! **Invariants:** one writer; an entry, its place in the scope logs and the cursor it came with
//! are one transaction; every table but `entry`, `log`, `cursor`, `acked` and `meta` is derived
//! and can be rebuilt. It knows columns, not meanings: rows come ready from the replica.

mod attachments;
mod cases;
mod documents;
mod entries;
mod error;
mod evict;
mod inbox;
mod open;
mod people;
mod residents;
mod sync;

pub use attachments::{AttachmentRow, AttachmentState};
pub use cases::{CaseFilter, CaseRow, CaseRowPage};
pub use documents::StoredDocument;
pub use entries::{EntryRow, EntryState, NewEntry};
pub use error::StoreError;
pub use inbox::InboxRow;
pub use open::{Lock, Store, Txn, View};
pub use people::{LookRow, Redeemed, Throttle};
pub use residents::{KeyKind, ResidentRow, SearchHit};
pub use sync::{ContactRow, PeerRow, Unsent};
