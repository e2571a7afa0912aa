//! The store of a box and of a relay: one SQLite database and a folder of attachments.
//!
//! Both are encrypted under one key (SQLCipher, STREAM); names of attachments' files are keyed hashes.
//!
//! **Invariants:** one writer; an entry, its place in the scope logs and the cursor it came with
//! are one transaction; every table but `entry`, `log`, `cursor`, `acked` and `meta` is derived
//! and can be rebuilt. It knows columns, not meanings: rows come ready from the replica.

mod attachments;
mod authors;
mod backup;
mod carried;
mod cases;
mod contacts;
mod documents;
mod doubles;
mod duty;
mod entries;
mod erase;
mod error;
mod evict;
mod here;
mod inbox;
mod lane;
mod leaving;
mod looks;
mod moved;
mod open;
mod pack;
mod people;
mod quarantine;
mod ranges;
mod rebuild;
mod residents;
mod scrub;
mod sketch;
mod sync;
mod traffic;
mod tree;
mod upward;
mod watermark;
mod whole;

pub use attachments::{AttachmentRow, AttachmentState};
pub use authors::{Author, ForkKind, ForkRow};
pub use carried::{BundleIn, BundleOut, BundlePart, How, Left};
pub use cases::{CaseFilter, CaseRow, CaseRowPage, Rungs};
pub use contacts::{CONTACTS_KEPT, ContactRow, UnreachedRow};
pub use documents::StoredDocument;
pub use doubles::DoubleRow;
pub use duty::DutyRow;
pub use entries::{EntryRow, EntryState, NewEntry};
pub use erase::ErasedRow;
pub use error::StoreError;
pub use here::HereRow;
pub use inbox::InboxRow;
pub use lane::LaneFault;
pub use leaving::{LeavingRow, Stage};
pub use looks::{LOOK_KEPT_MS, Listed, LookRow};
pub use moved::MovedRow;
pub use open::{Lock, Store, Txn, View};
pub use pack::Packed;
pub use people::{EnrolmentRow, Redeemed, Throttle};
pub use quarantine::{FATAL_REASON, PARKED_REASON, Suspension};
pub use residents::{KeyKind, ResidentRow, SearchHit};
pub use scrub::ATTACHMENT_FOLDERS;
pub use sync::{PeerRow, RepairRow, Said, Unsent};
pub use traffic::TrafficRow;
pub use tree::{AlarmRow, CosignedRow};
pub use upward::WaitingLooks;
pub use watermark::NoRoom;
pub use whole::{Carried, Which};
