//! The numbers under which the store knows kinds of entries and schemas of subjects.

use cunkou_casework::document::Schema;
use cunkou_casework::entry::Kind;

/// A case.
pub(crate) const CASE: u8 = 1;
/// A resident.
pub(crate) const RESIDENT: u8 = 2;

/// A hand-over of duty. It has no document.
pub(crate) const DUTY: u8 = 3;

/// The schema of a subject's number.
pub(crate) fn schema_of(code: u8) -> Schema {
    if code == CASE { Schema::Case1 } else { Schema::Resident1 }
}

/// A statement of the county log.
pub(crate) const COUNTY: u8 = 4;

/// Who may help somebody who has forgotten their PIN.
pub(crate) const RESCUE: u8 = 6;

/// Looks of a box.
pub(crate) const LOOKS: u8 = 7;
/// What was agreed to be destroyed.
pub(crate) const ERASURE: u8 = 8;

pub(crate) fn kind_code(kind: Kind) -> u8 {
    match kind {
        Kind::Event => 1,
        Kind::Edit => 2,
        Kind::Witness => 3,
        Kind::County => COUNTY,
        Kind::Credential => 5,
        Kind::Rescue => RESCUE,
        Kind::Looks => LOOKS,
        Kind::Erasure => ERASURE,
    }
}
