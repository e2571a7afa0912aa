//! A person's way back when they have forgotten their PIN: what a box tells those who may help.

use super::authority::{Grant, Power, covers};
use super::log::CountyLog;
use super::office::{Device, DeviceKind, Person, Role};
use crate::event::{BadPayload, Level, decode};
use crate::ids::{PersonId, PlaceId};
use crate::suite::PublicKey;
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use std::collections::BTreeSet;

/// A rescue names at most so many helpers.
pub const HELPERS_MAX: usize = 16;
/// What is sealed to one helper is never longer. Bytes.
const SEALED_BYTES_MAX: usize = 256;

/// The payload of an entry of kind Rescue: who can read out a code with which this person opens
/// their key on this box again. Without the box's disk it opens nothing.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Rescue {
    /// Whose key.
    #[n(0)]
    pub person: PersonId,
    /// Names it on its box; the last digit stands in the number that the box shows.
    #[n(1)]
    pub id: u64,
    /// One to [`HELPERS_MAX`], sorted by key.
    #[n(2)]
    pub helpers: Vec<Helper>,
}

/// One who may help.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Helper {
    /// The Ed25519 key of a relay or of a person.
    #[n(0)]
    pub key: PublicKey,
    /// What the code is counted from, sealed to that key.
    #[n(1)]
    pub sealed: ByteVec,
}

impl Rescue {
    /// Reads one within its limits.
    ///
    /// # Errors
    /// [`BadPayload`] in words.
    pub fn read(bytes: &[u8]) -> Result<Self, BadPayload> {
        let rescue: Self = decode(bytes)?;
        let keys: Vec<PublicKey> = rescue.helpers.iter().map(|h| h.key).collect();
        if keys.is_empty() || keys.len() > HELPERS_MAX {
            return Err(BadPayload("a rescue names none or too many helpers".into()));
        }
        if !keys.windows(2).all(|pair| pair[0] < pair[1]) {
            return Err(BadPayload("helpers are not sorted, or named twice".into()));
        }
        if rescue.helpers.iter().any(|h| h.sealed.len() > SEALED_BYTES_MAX) {
            return Err(BadPayload("what is sealed to a helper is too long".into()));
        }
        Ok(rescue)
    }
}

impl CountyLog {
    /// Whether a person works at a device: has a slot on a box, or signs in at a console.
    #[must_use]
    pub fn works_at(&self, person: &Person, device: &Device) -> bool {
        person.posts.iter().any(|post| match (device.kind, post.role) {
            (DeviceKind::Village, Role::Agent) => device.places.contains(&post.place),
            (DeviceKind::Township, Role::Township) => {
                device.places.iter().any(|p| self.township_of(*p) == Some(post.place))
            }
            (DeviceKind::Relay, role) => role.level() == Level::County,
            _ => false,
        })
    }

    /// Whether a person may read out codes for another: they work in the township of the other's
    /// posts and hold a grant to name such people there.
    #[must_use]
    pub fn may_help(&self, helper: &Person, person: &Person) -> bool {
        let Some(key) = helper.key else { return false };
        let posts = person.posts.iter().filter_map(|post| match post.role {
            Role::Agent => Some((Power::Agents, post.place)),
            Role::Township => Some((Power::TownshipStaff, post.place)),
            _ => None,
        });
        helper.id != person.id
            && posts.into_iter().any(|(power, place)| {
                let township = self.township_of(place);
                let near = |post: &super::Post| {
                    post.role == Role::Township && Some(post.place) == township
                };
                helper.posts.iter().any(near) && self.holds(&key, power, place)
            })
    }

    fn holds(&self, key: &PublicKey, power: Power, place: PlaceId) -> bool {
        let carries = |grant: &Grant| {
            grant.holder == *key
                && grant.powers.contains(&power)
                && self.usable(grant)
                && covers(self, grant, Some(&[place]))
        };
        self.grants().any(carries)
    }

    /// The keys of all who may help a person: the county's relays first, then people of the
    /// township by grant. At most [`HELPERS_MAX`], sorted.
    #[must_use]
    pub fn helpers_of(&self, person: &Person) -> Vec<PublicKey> {
        let relays =
            self.devices().filter(|d| d.kind == DeviceKind::Relay && self.device_counts(d.id));
        let people = self.people().filter(|p| self.may_help(p, person)).filter_map(|p| p.key);
        let first: Vec<PublicKey> = relays.map(|d| d.key).chain(people).take(HELPERS_MAX).collect();
        let sorted: BTreeSet<PublicKey> = first.into_iter().collect();
        sorted.into_iter().collect()
    }
}
