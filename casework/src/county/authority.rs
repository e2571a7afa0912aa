//! Who may say what in the county log: the administrators together, one of them, or the holder of
//! a grant.

use super::log::CountyLog;
use super::office::{Device, DeviceKind, KIN_MAX, Person, Post, Role};
use super::statement::Statement;
pub use crate::ids::GrantId;
use crate::ids::PlaceId;
use crate::suite::PublicKey;
use minicbor::{Decode, Encode};
use std::collections::BTreeSet;

/// A county has at most so many administrators.
pub const ADMINISTRATORS_MAX: usize = 9;
/// A grant is handed on at most so often.
const DEPTH_MAX: u8 = 4;

/// One of those who guard the county.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
pub struct Administrator {
    /// Their name.
    #[n(0)]
    pub name: String,
    /// The key that they keep away from the network.
    #[n(1)]
    pub key: PublicKey,
}

/// Who guards the county, and how many of them must agree (m of n).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
pub struct Constitution {
    /// One to [`ADMINISTRATORS_MAX`], each with a key of their own.
    #[n(0)]
    pub administrators: Vec<Administrator>,
    /// So many must sign what binds the county.
    #[n(1)]
    pub threshold: u8,
    /// X25519 key to which boxes seal their recovery slots and backups; absent when there is none.
    #[n(2)]
    pub recovery: Option<PublicKey>,
}

impl Constitution {
    /// One administrator with one key, as demonstrations and the first version have it.
    #[must_use]
    pub fn single(key: PublicKey) -> Self {
        let alone = Administrator { name: String::new(), key };
        Self { administrators: vec![alone], threshold: 1, recovery: None }
    }

    /// True when it can be fulfilled: different keys, and a threshold between one and their number.
    #[must_use]
    pub fn holds_together(&self) -> bool {
        let keys: BTreeSet<_> = self.administrators.iter().map(|a| a.key).collect();
        let n = self.administrators.len();
        keys.len() == n && n <= ADMINISTRATORS_MAX && (1..=n).contains(&usize::from(self.threshold))
    }

    /// How many of its administrators are among the signers.
    #[must_use]
    pub fn agreeing(&self, signers: &BTreeSet<PublicKey>) -> usize {
        self.administrators.iter().filter(|a| signers.contains(&a.key)).count()
    }

    /// True when enough of its administrators are among the signers.
    #[must_use]
    pub fn agreed(&self, signers: &BTreeSet<PublicKey>) -> bool {
        self.agreeing(signers) >= usize::from(self.threshold)
    }
}

/// What a grant allows.
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
#[serde(rename_all = "kebab-case")]
pub enum Power {
    /// Enrol and change village boxes.
    #[n(1)]
    VillageBoxes,
    /// Enrol and change township boxes.
    #[n(2)]
    TownshipBoxes,
    /// Name agents.
    #[n(3)]
    Agents,
    /// Name township staff.
    #[n(4)]
    TownshipStaff,
    /// Give out number blocks nobody has.
    #[n(5)]
    Numbers,
    /// Say how places are called and where they belong.
    #[n(6)]
    Places,
    /// Publish catalogues.
    #[n(7)]
    Catalogue,
    /// Revoke boxes and people, and say that two histories of a box both stay.
    #[n(8)]
    Revoke,
}

/// The right to make some statements, for some places, so often, until some day.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
pub struct Grant {
    /// Its name.
    #[n(0)]
    pub id: GrantId,
    /// Who holds it: a device's or a person's key.
    #[n(1)]
    pub holder: PublicKey,
    /// What it allows, sorted.
    #[n(2)]
    pub powers: Vec<Power>,
    /// Villages and townships for which it holds, a township with its villages; none means the
    /// whole county.
    #[n(3)]
    pub places: Vec<PlaceId>,
    /// So many statements may be made under it.
    #[n(4)]
    pub count: u32,
    /// Not after this, milliseconds since 1970 UTC, by the log's own time.
    #[n(5)]
    pub until_ms: i64,
    /// It may be handed on so many times more, each time narrower.
    #[n(6)]
    pub depth: u8,
    /// The grant under which it was handed on; absent when the administrators gave it.
    #[n(7)]
    pub parent: Option<GrantId>,
}

/// Why a statement is not permitted to those who signed it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Too few administrators.
    #[error("{have} of the {need} administrators' signatures that it needs are there")]
    Administrators {
        /// Signatures that hold.
        have: usize,
        /// Signatures that are needed.
        need: usize,
    },
    /// A constitution that cannot be fulfilled.
    #[error("the administrators and their number do not fit together")]
    Constitution,
    /// A grant that is wider than the one it stands on.
    #[error("the grant is wider than the one it is handed on from")]
    Wider,
    /// The log knows a grant of that name.
    #[error("there is a grant of that name already")]
    Known,
    /// A number block that somebody has.
    #[error("a number block is given out already")]
    BlockTaken,
    /// More relatives than a person registers.
    #[error("at most {KIN_MAX} records of relatives are registered")]
    Kin,
    /// Founding statements stand at the beginning only.
    #[error("a county is founded once")]
    FoundedOnce,
}

/// A statement's claim on a grant.
struct Claim {
    powers: BTreeSet<Power>,
    /// Absent when it concerns the whole county.
    places: Option<Vec<PlaceId>>,
}

/// Whether those who signed may make the statement after `log`. Gives the grant that is used up by
/// one, if it stands on one.
///
/// # Errors
/// [`Denied`].
pub(super) fn permit(
    log: &CountyLog,
    statement: &Statement,
    signers: &BTreeSet<PublicKey>,
) -> Result<Option<GrantId>, Denied> {
    let constitution = log.constitution();
    let together = || {
        let need = usize::from(constitution.threshold);
        let have = constitution.agreeing(signers);
        if have >= need { Ok(None) } else { Err(Denied::Administrators { have, need }) }
    };
    match statement {
        Statement::Founded { .. } | Statement::Constituted { .. } if log.head().position > 0 => {
            return Err(Denied::FoundedOnce);
        }
        Statement::Founded { authority, .. } if !constitution.holds_together() => {
            // Nobody is known yet: the anchor vouches for the founding.
            let missing = Denied::Administrators { have: 0, need: 1 };
            return if signers.contains(authority) { Ok(None) } else { Err(missing) };
        }
        Statement::Constituted { constitution, relay, .. } => {
            if !constitution.holds_together() || relay.kind != DeviceKind::Relay {
                return Err(Denied::Constitution);
            }
            return if constitution.agreed(signers) { Ok(None) } else { together() };
        }
        Statement::Constitution(next) => {
            if !next.holds_together() {
                return Err(Denied::Constitution);
            }
            // As with a TUF root: the old hand over, and enough of the new are able to sign.
            let (need, have) = (usize::from(next.threshold), next.agreeing(signers));
            together()?;
            return if have >= need { Ok(None) } else { Err(Denied::Administrators { have, need }) };
        }
        Statement::Person(person) if person.kin.as_ref().is_some_and(|k| k.len() > KIN_MAX) => {
            return Err(Denied::Kin);
        }
        Statement::Numbers { blocks, .. } if blocks.iter().any(|b| log.has_block(*b)) => {
            return Err(Denied::BlockTaken);
        }
        Statement::Grant(grant) => {
            if log.grant(grant.id).is_some() {
                return Err(Denied::Known);
            }
            if grant.depth > DEPTH_MAX {
                return Err(Denied::Wider);
            }
            return match grant.parent.and_then(|id| log.grant(id)) {
                None if grant.parent.is_some() => Err(Denied::Wider),
                None => together(),
                Some(parent) if !within(log, grant, parent) => Err(Denied::Wider),
                Some(parent) if log.usable(parent) && signers.contains(&parent.holder) => {
                    Ok(Some(parent.id))
                }
                Some(_) => together(),
            };
        }
        Statement::DeviceRevoked { .. }
        | Statement::PersonRevoked { .. }
        | Statement::GrantEnded { .. }
        | Statement::ForkCleared { .. }
            // What stops harm must not wait for a second signature.
            if constitution.agreeing(signers) > 0 =>
        {
            return Ok(None);
        }
        _ => {}
    }
    if constitution.agreed(signers) {
        return Ok(None);
    }
    let Some(claim) = claim(log, statement) else { return together() };
    let carries = |grant: &&Grant| {
        signers.contains(&grant.holder)
            && log.usable(grant)
            && claim.powers.iter().all(|p| grant.powers.contains(p))
            && covers(log, grant, claim.places.as_deref())
    };
    match log.grants().find(carries) {
        Some(grant) => Ok(Some(grant.id)),
        None => together(),
    }
}

/// What a statement needs of a grant; nothing when no grant can carry it.
fn claim(log: &CountyLog, statement: &Statement) -> Option<Claim> {
    let one = |power, places| Some(Claim { powers: BTreeSet::from([power]), places });
    match statement {
        Statement::Device(device) => {
            let before = log.device(device.id);
            let mut powers = BTreeSet::from([box_power(device)?]);
            let mut places = device.places.clone();
            if let Some(before) = before {
                powers.insert(box_power(before)?);
                places.extend(&before.places);
            }
            Some(Claim { powers, places: Some(places) })
        }
        Statement::Person(person) => {
            let before = log.person(person.id);
            let mut powers = BTreeSet::new();
            let mut places = Vec::new();
            for post in before.iter().flat_map(|p| &p.posts).chain(&person.posts) {
                powers.insert(post_power(post)?);
                places.push(post.place);
            }
            let taken = log.people().any(|p| p.login == person.login && p.id != person.id);
            (!powers.is_empty() && !taken).then_some(Claim { powers, places: Some(places) })
        }
        Statement::Numbers { device, .. } => {
            let device = log.device(*device)?;
            one(Power::Numbers, Some(device.places.clone()))
        }
        Statement::Places { places } => {
            let new = places.iter().any(|p| log.place(p.id).is_none());
            let ids = places.iter().flat_map(|p| [Some(p.id), p.parent]).flatten();
            one(Power::Places, if new { None } else { Some(ids.collect()) })
        }
        Statement::Catalogue { .. } => one(Power::Catalogue, None),
        Statement::DeviceRevoked { device, .. } | Statement::ForkCleared { device, .. } => {
            let device = log.device(*device)?;
            box_power(device)?;
            one(Power::Revoke, Some(device.places.clone()))
        }
        Statement::PersonRevoked { person, .. } => {
            let person: &Person = log.person(*person)?;
            let places = person.posts.iter().map(|p| p.place).collect();
            one(Power::Revoke, Some(places))
        }
        Statement::Founded { .. }
        | Statement::Constituted { .. }
        | Statement::Constitution(_)
        | Statement::Grant(_)
        | Statement::GrantEnded { .. }
        | Statement::Act(_)
        | Statement::Roots { .. } => None,
    }
}

fn box_power(device: &Device) -> Option<Power> {
    match device.kind {
        DeviceKind::Village => Some(Power::VillageBoxes),
        DeviceKind::Township => Some(Power::TownshipBoxes),
        DeviceKind::Relay => None,
    }
}

fn post_power(post: &Post) -> Option<Power> {
    match post.role {
        Role::Agent => Some(Power::Agents),
        Role::Township => Some(Power::TownshipStaff),
        _ => None,
    }
}

/// True when every place is one of the grant's or belongs to one of its townships.
pub(super) fn covers(log: &CountyLog, grant: &Grant, places: Option<&[PlaceId]>) -> bool {
    if grant.places.is_empty() {
        return true;
    }
    let inside = |place: &PlaceId| {
        grant.places.contains(place)
            || log.township_of(*place).is_some_and(|t| grant.places.contains(&t))
    };
    places.is_some_and(|places| !places.is_empty() && places.iter().all(inside))
}

/// True when a grant handed on allows nothing that its parent does not.
fn within(log: &CountyLog, grant: &Grant, parent: &Grant) -> bool {
    let places = if grant.places.is_empty() { None } else { Some(&grant.places[..]) };
    grant.depth < parent.depth
        && grant.until_ms <= parent.until_ms
        && grant.count <= log.left(parent)
        && grant.powers.iter().all(|p| parent.powers.contains(p))
        && covers(log, parent, places)
}
