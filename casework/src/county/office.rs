//! Places, devices and people as the county log knows them.

use crate::event::Level;
use crate::ids::{DeviceId, PersonId, PlaceId, SubjectId};
use crate::suite::PublicKey;
use minicbor::{Decode, Encode};

/// A place (区划) as of now: its id is permanent, the rest is dated data.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
pub struct Place {
    /// Permanent id.
    #[n(0)]
    pub id: PlaceId,
    /// Village, township or county.
    #[n(1)]
    #[serde(rename = "kind")]
    pub level: Level,
    /// Today's code: 6 digits for a county, 9 for a township, 12 for a village.
    #[n(2)]
    pub code: String,
    /// Today's name.
    #[n(3)]
    pub name: String,
    /// Name in English letters; may be empty.
    #[n(4)]
    #[serde(default)]
    pub name_en: String,
    /// The place above it; absent for the county.
    #[n(5)]
    #[serde(default)]
    pub parent: Option<PlaceId>,
}

/// What a device is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize,
)]
#[cbor(index_only)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// A box at a village service point.
    #[n(1)]
    Village,
    /// A box in a township centre.
    #[n(2)]
    Township,
    /// A relay of the county.
    #[n(3)]
    Relay,
}

/// What a person may do, and where.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Encode,
    Decode,
    serde::Serialize,
    serde::Deserialize,
)]
#[cbor(index_only)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// 代办员 of a village.
    #[n(1)]
    Agent,
    /// Staff of a township centre.
    #[n(2)]
    Township,
    /// Reviewer of a county department.
    #[n(3)]
    Reviewer,
    /// Finance of the county.
    #[n(4)]
    Finance,
    /// 系统管理员 of the county: boxes, staff, catalogue; no cases.
    #[n(5)]
    It,
    /// 安全管理员 of the county: revocations, clones, locked people; no cases.
    #[n(6)]
    Security,
    /// 审计管理员 of the county: who looked and who did what; no cases.
    #[n(7)]
    Audit,
    /// 数据专员 of the county: retention, erasure, copies for residents.
    #[n(8)]
    DataOfficer,
}

impl Role {
    /// True for the roles whose people only the county's administrators together may name: who
    /// decides, pays, erases or administers.
    #[must_use]
    pub fn is_guarded(self) -> bool {
        !matches!(self, Self::Agent | Self::Township)
    }

    /// The level of government at which the role works.
    #[must_use]
    pub fn level(self) -> Level {
        match self {
            Self::Agent => Level::Village,
            Self::Township => Level::Township,
            Self::Reviewer
            | Self::Finance
            | Self::It
            | Self::Security
            | Self::Audit
            | Self::DataOfficer => Level::County,
        }
    }
}

/// One role at one place.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
pub struct Post {
    /// The role.
    #[n(0)]
    pub role: Role,
    /// Where it holds.
    #[n(1)]
    pub place: PlaceId,
    /// The department, for reviewers.
    #[n(2)]
    pub department: Option<String>,
}

/// A device as the county log knows it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Device {
    /// Its id.
    #[n(0)]
    pub id: DeviceId,
    /// The key with which it signs and opens connections.
    #[n(1)]
    pub key: PublicKey,
    /// What it is.
    #[n(2)]
    pub kind: DeviceKind,
    /// What people call it, e.g. 云岭村代办服务点.
    #[n(3)]
    pub name: String,
    /// The villages whose cases and residents it holds.
    #[n(4)]
    pub places: Vec<PlaceId>,
    /// Telephone of the point, printed on receipts; may be empty.
    #[n(5)]
    pub phone: String,
}

/// A person who works with Cunkou.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Person {
    /// Their id.
    #[n(0)]
    pub id: PersonId,
    /// The short name they sign in with.
    #[n(1)]
    pub login: String,
    /// Their name.
    #[n(2)]
    pub name: String,
    /// The key with which they sign, wrapped by their PIN; absent for county staff, whose steps are
    /// relay-attested unless they have a key of their own.
    #[n(3)]
    pub key: Option<PublicKey>,
    /// What they may do.
    #[n(4)]
    pub posts: Vec<Post>,
    /// Telephone; may be empty.
    #[n(5)]
    pub phone: String,
    /// Keys with which they decide, at most [`crate::decider::KEYS_MAX`]; absent, never empty,
    /// where they have none.
    #[n(6)]
    pub keys: Option<Vec<crate::decider::DeciderKey>>,
    /// Their own records and their registered relatives' in the register of residents: cases of
    /// these they never decide. At most [`KIN_MAX`].
    #[n(7)]
    pub kin: Option<Vec<SubjectId>>,
}

/// A person registers at most so many records as their own or a relative's.
pub const KIN_MAX: usize = 64;
