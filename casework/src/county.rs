//! The county log: which boxes, people, places, number blocks and catalogues hold.
//!
//! Signed by the county's authority (one key today; the second issue makes it m of n), numbered
//! without gaps, each statement naming the one before it.

use crate::entry::{Entry, Kind, LogPosition, SignerRole};
use crate::event::{BadPayload, Level};
use crate::ids::{AttachmentId, DeviceId, EntryId, PersonId, PlaceId, SubjectId};
use crate::suite::PublicKey;
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use std::collections::{BTreeMap, BTreeSet};

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
    /// County IT: boxes, staff, catalogue; no cases.
    #[n(5)]
    It,
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
    /// The key with which they sign; absent for county staff until deciders have keys, whose
    /// steps are then relay-attested.
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
}

/// What a statement says.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Statement {
    /// The county begins.
    #[n(1)]
    Founded {
        /// Its name.
        #[n(0)]
        name: String,
        /// The authority's key.
        #[n(1)]
        authority: PublicKey,
    },
    /// Places as they are from now on; each replaces the one of the same id.
    #[n(2)]
    Places {
        /// At most a few hundred at a time.
        #[n(0)]
        places: Vec<Place>,
    },
    /// A device is enrolled or changed.
    #[n(3)]
    Device(#[n(0)] Device),
    /// A person is added or changed.
    #[n(4)]
    Person(#[n(0)] Person),
    /// A device may give out case numbers of these blocks.
    #[n(5)]
    Numbers {
        /// The device.
        #[n(0)]
        device: DeviceId,
        /// Blocks of a million numbers each, 0 to 99,999.
        #[n(1)]
        blocks: Vec<u32>,
    },
    /// A catalogue is published; its bytes are an attachment.
    #[n(6)]
    Catalogue {
        /// Version in words.
        #[n(0)]
        version: String,
        /// Hash of the release file.
        #[n(1)]
        digest: AttachmentId,
        /// Size of the release file, bytes.
        #[n(2)]
        bytes: u32,
    },
    /// A device no longer counts from here on.
    #[n(7)]
    DeviceRevoked {
        /// Which.
        #[n(0)]
        device: DeviceId,
        /// Why.
        #[n(1)]
        reason: String,
    },
    /// A person no longer counts from here on.
    #[n(8)]
    PersonRevoked {
        /// Which.
        #[n(0)]
        person: PersonId,
        /// Why.
        #[n(1)]
        reason: String,
    },
}

/// The payload of an entry of kind County: a numbered statement.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Numbered {
    /// From 1, without gaps.
    #[n(0)]
    pub position: u64,
    /// The statement before; zeros for the first.
    #[n(1)]
    pub previous: EntryId,
    /// What it says.
    #[n(2)]
    pub statement: Statement,
}

/// The payload of an entry of kind Credential: a person's key wrapped by their PIN. It goes only
/// to the places where the person works, never into the county log.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Credential {
    /// Whose.
    #[n(0)]
    pub person: PersonId,
    /// 16 bytes of salt for the PIN.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub salt: [u8; 16],
    /// Argon2id memory, KiB.
    #[n(2)]
    pub memory_kib: u32,
    /// Argon2id passes.
    #[n(3)]
    pub passes: u32,
    /// Nonce and sealed key.
    #[n(4)]
    pub sealed: ByteVec,
}

/// Why a statement was not taken into the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// Not signed by the county's authority.
    #[error("the statement is not signed by this county's authority")]
    NotAuthority,
    /// Not about this county.
    #[error("the statement is of another county")]
    OtherCounty,
    /// A statement before it has not arrived.
    #[error("statement {position} came, {expected} is next")]
    OutOfOrder {
        /// Its number.
        position: u64,
        /// The number that is next.
        expected: u64,
    },
    /// It does not name the statement before it.
    #[error("the statement does not continue this log")]
    Forked,
    /// Not readable.
    #[error(transparent)]
    Payload(#[from] BadPayload),
}

/// What was said of one thing, and from which position on: the past is judged by what held then.
#[derive(Clone, Debug)]
struct Dated<T>(Vec<(u64, T)>);

impl<T> Default for Dated<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Dated<T> {
    fn say(&mut self, position: u64, value: T) {
        self.0.push((position, value));
    }

    fn now(&self) -> Option<&T> {
        self.0.last().map(|(_, value)| value)
    }

    fn at(&self, position: u64) -> Option<&T> {
        self.0.iter().rev().find(|(from, _)| *from <= position).map(|(_, value)| value)
    }
}

/// The county log, read up to some position.
#[derive(Clone, Debug)]
pub struct CountyLog {
    /// The county as a subject.
    pub county: SubjectId,
    authority: PublicKey,
    head: LogPosition,
    name: String,
    places: BTreeMap<PlaceId, Dated<Place>>,
    devices: BTreeMap<DeviceId, Dated<Device>>,
    people: BTreeMap<PersonId, Dated<Person>>,
    blocks: BTreeMap<DeviceId, Vec<u32>>,
    catalogue: Option<(String, AttachmentId)>,
    revoked_devices: BTreeMap<DeviceId, u64>,
    revoked_people: BTreeMap<PersonId, u64>,
}

impl CountyLog {
    /// An empty log of the county whose id and authority's key are known from enrolment.
    #[must_use]
    pub fn new(county: SubjectId, authority: PublicKey) -> Self {
        Self {
            county,
            authority,
            head: LogPosition::START,
            name: String::new(),
            places: BTreeMap::new(),
            devices: BTreeMap::new(),
            people: BTreeMap::new(),
            blocks: BTreeMap::new(),
            catalogue: None,
            revoked_devices: BTreeMap::new(),
            revoked_people: BTreeMap::new(),
        }
    }

    /// Takes the next statement. One that is already in is passed over.
    ///
    /// # Errors
    /// [`LogError`]; the log is then unchanged.
    pub fn take(&mut self, entry: &Entry) -> Result<(), LogError> {
        if entry.kind() != Kind::County || entry.subject() != self.county {
            return Err(LogError::OtherCounty);
        }
        if !entry.signed_by(SignerRole::Authority, &self.authority) {
            return Err(LogError::NotAuthority);
        }
        let numbered: Numbered = crate::event::decode(entry.payload())?;
        if numbered.position <= self.head.position {
            return Ok(());
        }
        if numbered.position != self.head.position + 1 {
            return Err(LogError::OutOfOrder {
                position: numbered.position,
                expected: self.head.position + 1,
            });
        }
        if numbered.previous != self.head.head {
            return Err(LogError::Forked);
        }
        self.head = LogPosition { position: numbered.position, head: entry.id() };
        self.say(numbered.statement);
        Ok(())
    }

    fn say(&mut self, statement: Statement) {
        let position = self.head.position;
        match statement {
            Statement::Founded { name, .. } => self.name = name,
            Statement::Places { places } => {
                for place in places {
                    self.places.entry(place.id).or_default().say(position, place);
                }
            }
            Statement::Device(device) => {
                self.devices.entry(device.id).or_default().say(position, device);
            }
            Statement::Person(person) => {
                self.people.entry(person.id).or_default().say(position, person);
            }
            Statement::Numbers { device, blocks } => {
                self.blocks.entry(device).or_default().extend(blocks);
            }
            Statement::Catalogue { version, digest, .. } => {
                self.catalogue = Some((version, digest));
            }
            Statement::DeviceRevoked { device, .. } => {
                self.revoked_devices.entry(device).or_insert(position);
            }
            Statement::PersonRevoked { person, .. } => {
                self.revoked_people.entry(person).or_insert(position);
            }
        }
    }

    /// How far it has been read.
    #[must_use]
    pub fn head(&self) -> LogPosition {
        self.head
    }
    /// The county's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
    /// The authority's key.
    #[must_use]
    pub fn authority(&self) -> &PublicKey {
        &self.authority
    }
    /// All places as they are now, by id.
    pub fn places(&self) -> impl Iterator<Item = &Place> {
        self.places.values().filter_map(Dated::now)
    }
    /// A place.
    #[must_use]
    pub fn place(&self, id: PlaceId) -> Option<&Place> {
        self.places.get(&id)?.now()
    }
    /// The name of a place, or its number when the place is unknown.
    #[must_use]
    pub fn place_name(&self, id: PlaceId) -> String {
        self.place(id).map_or_else(|| id.to_string(), |p| p.name.clone())
    }
    /// The township of a village now; a township is its own.
    #[must_use]
    pub fn township_of(&self, id: PlaceId) -> Option<PlaceId> {
        self.township_at(id, u64::MAX)
    }
    /// The township of a village at a position of this log.
    #[must_use]
    pub fn township_at(&self, id: PlaceId, position: u64) -> Option<PlaceId> {
        let place = self.places.get(&id)?.at(position)?;
        match place.level {
            Level::Village => place.parent,
            Level::Township => Some(id),
            Level::County => None,
        }
    }
    /// All devices, revoked ones too.
    pub fn devices(&self) -> impl Iterator<Item = &Device> {
        self.devices.values().filter_map(Dated::now)
    }
    /// A device, revoked or not.
    #[must_use]
    pub fn device(&self, id: DeviceId) -> Option<&Device> {
        self.devices.get(&id)?.now()
    }
    /// A device as it was at a position of this log.
    #[must_use]
    pub fn device_at(&self, id: DeviceId, position: u64) -> Option<&Device> {
        self.devices.get(&id)?.at(position)
    }
    /// True when the device is enrolled and not revoked.
    #[must_use]
    pub fn device_counts(&self, id: DeviceId) -> bool {
        self.devices.contains_key(&id) && !self.revoked_devices.contains_key(&id)
    }
    /// The position at which a device was revoked.
    #[must_use]
    pub fn device_revoked_at(&self, id: DeviceId) -> Option<u64> {
        self.revoked_devices.get(&id).copied()
    }
    /// The position at which a person was revoked.
    #[must_use]
    pub fn person_revoked_at(&self, id: PersonId) -> Option<u64> {
        self.revoked_people.get(&id).copied()
    }
    /// All people who count.
    pub fn people(&self) -> impl Iterator<Item = &Person> {
        let now = self.people.values().filter_map(Dated::now);
        now.filter(|p| !self.revoked_people.contains_key(&p.id))
    }
    /// A person, revoked or not.
    #[must_use]
    pub fn person(&self, id: PersonId) -> Option<&Person> {
        self.people.get(&id)?.now()
    }
    /// A person as they were at a position of this log.
    #[must_use]
    pub fn person_at(&self, id: PersonId, position: u64) -> Option<&Person> {
        self.people.get(&id)?.at(position)
    }
    /// A person by the name they sign in with.
    #[must_use]
    pub fn person_by_login(&self, login: &str) -> Option<&Person> {
        self.people().find(|p| p.login == login)
    }
    /// The number blocks of a device, in the order in which it shall use them.
    #[must_use]
    pub fn blocks(&self, device: DeviceId) -> &[u32] {
        self.blocks.get(&device).map_or(&[], Vec::as_slice)
    }
    /// The next block nobody has.
    #[must_use]
    pub fn next_free_block(&self) -> u32 {
        let used: BTreeSet<u32> = self.blocks.values().flatten().copied().collect();
        used.last().map_or(1, |last| last + 1)
    }
    /// Version and digest of the published catalogue.
    #[must_use]
    pub fn catalogue(&self) -> Option<(&str, AttachmentId)> {
        self.catalogue.as_ref().map(|(version, digest)| (version.as_str(), *digest))
    }
    /// True when the device held the village's cases and residents at a position of this log.
    #[must_use]
    pub fn serves_at(&self, device: DeviceId, place: PlaceId, position: u64) -> bool {
        let holds = |d: &Device| d.kind == DeviceKind::Relay || d.places.contains(&place);
        self.device_at(device, position).is_some_and(holds)
    }
}
