//! The county log, read up to some position.

use super::authority::{Constitution, Denied, Grant, GrantId, permit};
use super::office::{Device, DeviceKind, Person, Place};
use super::statement::{Act, ActBody, Numbered, Statement};
use crate::entry::{Entry, Kind, LogPosition, SignerRole};
use crate::event::{BadPayload, Level, Route};
use crate::ids::{AttachmentId, DeviceId, EntryId, Incarnation, PersonId, PlaceId, SubjectId};
use crate::suite::PublicKey;
use std::collections::{BTreeMap, BTreeSet};

/// Why a statement was not taken into the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// Not permitted to those who signed it.
    #[error("the statement is not signed by this county's authority: {0}")]
    NotAuthority(#[from] Denied),
    /// The log begins with another founding than the one this device was enrolled under.
    #[error("the log is that of another founding")]
    OtherFounding,
    /// An act is only taken from a relay of the county.
    #[error("no relay of this county gave the act its place")]
    NoRelay,
    /// An act was taken before.
    #[error("the act was taken before")]
    Repeated,
    /// An act came after its end.
    #[error("the act came too late")]
    Expired,
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

/// What a device trusts the beginning of the log by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// Nothing yet: this device founds the county, or keeps the log that it founded.
    Own,
    /// The name of the founding statement: the county's fingerprint.
    Founding(EntryId),
    /// The key of a county with a single administrator.
    Key(PublicKey),
}

impl From<PublicKey> for Anchor {
    fn from(key: PublicKey) -> Self {
        Self::Key(key)
    }
}

impl From<EntryId> for Anchor {
    fn from(id: EntryId) -> Self {
        Self::Founding(id)
    }
}

/// A grant and what is left of it.
#[derive(Clone, Debug)]
struct Granted {
    grant: Grant,
    used: u32,
    ended: bool,
}

/// The county log, read up to some position.
#[derive(Clone, Debug)]
pub struct CountyLog {
    /// The county as a subject.
    pub county: SubjectId,
    anchor: Anchor,
    constitution: Constitution,
    head: LogPosition,
    heads: Vec<EntryId>,
    time_ms: i64,
    name: String,
    places: BTreeMap<PlaceId, Dated<Place>>,
    devices: BTreeMap<DeviceId, Dated<Device>>,
    people: BTreeMap<PersonId, Dated<Person>>,
    blocks: BTreeMap<DeviceId, Vec<u32>>,
    taken_blocks: BTreeSet<u32>,
    catalogue: Option<(String, AttachmentId)>,
    routes: BTreeMap<String, Dated<BTreeMap<String, Route>>>,
    revoked_devices: BTreeMap<DeviceId, u64>,
    revoked_people: BTreeMap<PersonId, u64>,
    grants: BTreeMap<GrantId, Granted>,
    acts: BTreeSet<[u8; 16]>,
    roots: Vec<Vec<u8>>,
    cleared: BTreeMap<DeviceId, BTreeSet<Incarnation>>,
}

impl CountyLog {
    /// An empty log of the county whose id and anchor are known from enrolment.
    #[must_use]
    pub fn new(county: SubjectId, anchor: impl Into<Anchor>) -> Self {
        let anchor = anchor.into();
        let constitution = match anchor {
            Anchor::Key(key) => Constitution::single(key),
            Anchor::Own | Anchor::Founding(_) => {
                Constitution { administrators: Vec::new(), threshold: u8::MAX, recovery: None }
            }
        };
        Self {
            county,
            anchor,
            constitution,
            head: LogPosition::START,
            heads: Vec::new(),
            time_ms: i64::MIN,
            name: String::new(),
            places: BTreeMap::new(),
            devices: BTreeMap::new(),
            people: BTreeMap::new(),
            blocks: BTreeMap::new(),
            taken_blocks: BTreeSet::new(),
            catalogue: None,
            routes: BTreeMap::new(),
            revoked_devices: BTreeMap::new(),
            revoked_people: BTreeMap::new(),
            grants: BTreeMap::new(),
            acts: BTreeSet::new(),
            roots: Vec::new(),
            cleared: BTreeMap::new(),
        }
    }

    /// The subject of everything that is said of the whole county.
    #[must_use]
    pub fn subject(&self) -> SubjectId {
        self.county
    }

    /// Takes the next statement. One that is already in is passed over.
    ///
    /// # Errors
    /// [`LogError`]; the log is then unchanged.
    pub fn take(&mut self, entry: &Entry) -> Result<(), LogError> {
        if entry.kind() != Kind::County || entry.subject() != self.county {
            return Err(LogError::OtherCounty);
        }
        let numbered: Numbered = crate::event::decode(entry.payload())?;
        if numbered.position <= self.head.position {
            let index = usize::try_from(numbered.position).unwrap_or(usize::MAX);
            let known = index.checked_sub(1).and_then(|i| self.heads.get(i));
            return if known == Some(&entry.id()) { Ok(()) } else { Err(LogError::Forked) };
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
        if let (Anchor::Founding(id), 1) = (self.anchor, numbered.position)
            && entry.id() != id
        {
            return Err(LogError::OtherFounding);
        }
        let (head, time_ms) = (self.head, self.time_ms);
        let here = LogPosition { position: numbered.position, head: entry.id() };
        // The log's own time never runs back, so that a grant that has ended stays ended.
        let now_ms = time_ms.max(entry.header().claimed_ms);
        match numbered.statement {
            Statement::Act(act) => {
                let mut next = self.clone();
                (next.head, next.time_ms) = (here, now_ms);
                next.take_act(self, entry, &act)?;
                *self = next;
            }
            statement => {
                let signers = self.signers(entry, &statement);
                (self.head, self.time_ms) = (here, now_ms);
                let taken = self.permit_and_say(head, statement, &signers);
                if taken.is_err() {
                    (self.head, self.time_ms) = (head, time_ms);
                }
                taken?;
            }
        }
        self.heads.push(entry.id());
        Ok(())
    }

    fn take_act(&mut self, before: &Self, entry: &Entry, act: &Act) -> Result<(), LogError> {
        let body: ActBody = act.read()?;
        if body.county != self.county {
            return Err(LogError::OtherCounty);
        }
        let founding = body.statements.iter().find_map(|s| match s {
            Statement::Constituted { relay, .. } if before.head.position == 0 => Some(relay),
            _ => None,
        });
        let author = entry.header().device;
        let relay = founding.or_else(|| before.device(author)).filter(|d| {
            d.id == author
                && d.kind == DeviceKind::Relay
                && !before.revoked_devices.contains_key(&d.id)
        });
        if !relay.is_some_and(|d| entry.signed_by(SignerRole::Device, &d.key)) {
            return Err(LogError::NoRelay);
        }
        if !self.acts.insert(body.id) {
            return Err(LogError::Repeated);
        }
        if self.time_ms > body.until_ms {
            return Err(LogError::Expired);
        }
        let signers = act.signers();
        let mut at = before.head;
        for statement in body.statements {
            self.permit_and_say(at, statement, &signers)?;
            at = self.head;
        }
        Ok(())
    }

    /// `at` is where the log stood before this statement: the founding stands at the beginning.
    fn permit_and_say(
        &mut self,
        at: LogPosition,
        statement: Statement,
        signers: &BTreeSet<PublicKey>,
    ) -> Result<(), LogError> {
        let here = std::mem::replace(&mut self.head, at);
        let permitted = permit(self, &statement, signers);
        self.head = here;
        if let Some(used) = permitted?
            && let Some(granted) = self.grants.get_mut(&used)
        {
            granted.used += match &statement {
                // What is handed on is spent, whether or not it is used there.
                Statement::Grant(grant) => grant.count,
                _ => 1,
            };
        }
        self.say(statement);
        Ok(())
    }

    /// The keys of administrators and holders of grants that signed the entry itself.
    fn signers(&self, entry: &Entry, statement: &Statement) -> BTreeSet<PublicKey> {
        let alone = match statement {
            Statement::Founded { authority, .. } => Some(*authority),
            _ => None,
        };
        let founding: &[_] = match statement {
            Statement::Constituted { constitution, .. } => &constitution.administrators,
            Statement::Constitution(next) => &next.administrators,
            _ => &[],
        };
        let administrators = self.constitution.administrators.iter().chain(founding);
        let keys = administrators.map(|a| a.key).chain(alone);
        keys.chain(self.grants.values().map(|g| g.grant.holder))
            .filter(|key| entry.signed_by(SignerRole::Authority, key))
            .collect()
    }

    fn say(&mut self, statement: Statement) {
        let position = self.head.position;
        match statement {
            Statement::Founded { name, authority } => {
                self.name = name;
                if !matches!(self.anchor, Anchor::Key(_)) {
                    self.constitution = Constitution::single(authority);
                }
            }
            Statement::Constituted { name, constitution, relay } => {
                self.name = name;
                self.constitution = constitution;
                self.devices.entry(relay.id).or_default().say(position, relay);
            }
            Statement::Constitution(next) => self.constitution = next,
            Statement::Grant(grant) => {
                let id = grant.id;
                self.grants.insert(id, Granted { grant, used: 0, ended: false });
            }
            Statement::GrantEnded { grant, .. } => {
                if let Some(granted) = self.grants.get_mut(&grant) {
                    granted.ended = true;
                }
            }
            Statement::Roots { roots } => {
                self.roots = roots.into_iter().map(Into::into).collect();
            }
            Statement::ForkCleared { device, runs, .. } => {
                self.cleared.entry(device).or_default().extend(runs);
            }
            // An act is opened before anything is said.
            Statement::Act(_) => {}
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
                self.taken_blocks.extend(&blocks);
                self.blocks.entry(device).or_default().extend(blocks);
            }
            Statement::Catalogue { version, digest, routes, .. } => {
                if let Some(routes) = routes {
                    let routes = routes.into_iter().map(|r| (r.item, r.route)).collect();
                    self.routes.entry(version.clone()).or_default().say(position, routes);
                }
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
    /// Who guards the county.
    #[must_use]
    pub fn constitution(&self) -> &Constitution {
        &self.constitution
    }
    /// The name of the founding statement, once it is here: the county's fingerprint.
    #[must_use]
    pub fn founding(&self) -> Option<EntryId> {
        self.heads.first().copied()
    }
    /// The statement at a position.
    #[must_use]
    pub fn head_at(&self, position: u64) -> Option<EntryId> {
        let index = usize::try_from(position).ok()?.checked_sub(1)?;
        self.heads.get(index).copied()
    }
    /// True when the log here has the statement that `named` names, or does not reach so far.
    #[must_use]
    pub fn agrees_with(&self, named: LogPosition) -> bool {
        match named.position {
            0 => named == LogPosition::START,
            position => self.head_at(position).is_none_or(|head| head == named.head),
        }
    }
    /// The latest time a statement claimed, milliseconds: the log's own clock.
    #[must_use]
    pub fn time_ms(&self) -> i64 {
        self.time_ms
    }
    /// The root certificates in force, DER.
    #[must_use]
    pub fn roots(&self) -> &[Vec<u8>] {
        &self.roots
    }
    /// All grants that were ever given, by name.
    pub fn grants(&self) -> impl Iterator<Item = &Grant> {
        self.grants.values().map(|g| &g.grant)
    }
    /// A grant.
    #[must_use]
    pub fn grant(&self, id: GrantId) -> Option<&Grant> {
        self.grants.get(&id).map(|g| &g.grant)
    }
    /// How many statements may still be made under a grant.
    #[must_use]
    pub fn left(&self, grant: &Grant) -> u32 {
        self.grants.get(&grant.id).map_or(0, |g| g.grant.count.saturating_sub(g.used))
    }
    /// True while a grant can carry a statement: it and all that it stands on have not ended, its
    /// time has not passed, something is left of it, and its holder still counts.
    #[must_use]
    pub fn usable(&self, grant: &Grant) -> bool {
        let mut next = Some(grant.id);
        // Each parent was in the log before its child, so the chain ends.
        while let Some(id) = next {
            let Some(granted) = self.grants.get(&id) else { return false };
            if granted.ended || self.holder_is_revoked(granted.grant.holder) {
                return false;
            }
            next = granted.grant.parent;
        }
        self.left(grant) > 0 && self.time_ms <= grant.until_ms
    }
    fn holder_is_revoked(&self, holder: PublicKey) -> bool {
        let device = self.devices().find(|d| d.key == holder);
        let person = self.people.values().filter_map(Dated::now).find(|p| p.key == Some(holder));
        device.is_some_and(|d| self.revoked_devices.contains_key(&d.id))
            || person.is_some_and(|p| self.revoked_people.contains_key(&p.id))
    }
    /// True when the block was given to some device.
    #[must_use]
    pub fn has_block(&self, block: u32) -> bool {
        self.taken_blocks.contains(&block)
    }
    /// The runs of a device about which a person has said that they stand beside each other.
    #[must_use]
    pub fn cleared_runs(&self, device: DeviceId) -> Option<&BTreeSet<Incarnation>> {
        self.cleared.get(&device)
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
    /// Devices and people that are revoked here and were not in an earlier reading of this log.
    #[must_use]
    pub fn revoked_since(&self, earlier: &Self) -> Vec<[u8; 16]> {
        let devices =
            self.revoked_devices.keys().filter(|d| !earlier.revoked_devices.contains_key(d));
        let people = self.revoked_people.keys().filter(|p| !earlier.revoked_people.contains_key(p));
        devices.map(|d| d.0).chain(people.map(|p| p.0)).collect()
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
        self.taken_blocks.last().map_or(1, |last| last + 1)
    }
    /// Whether a case may be opened on this way, by the catalogues that were published up to a
    /// position. Villages take cases in and hand results over: none accepts or decides, whatever
    /// a catalogue says. Where no catalogue has named its ways, any other is believed.
    #[must_use]
    pub fn is_way(&self, catalogue: &str, item: &str, route: &Route, position: u64) -> bool {
        if route.accept == Level::Village || route.decide == Level::Village {
            return false;
        }
        match self.routes.get(catalogue).and_then(|dated| dated.at(position)) {
            Some(routes) => routes.get(item) == Some(route),
            None => !self.routes.values().any(|dated| dated.at(position).is_some()),
        }
    }
    /// Version and digest of the published catalogue.
    #[must_use]
    pub fn catalogue(&self) -> Option<(&str, AttachmentId)> {
        self.catalogue.as_ref().map(|(version, digest)| (version.as_str(), *digest))
    }
    /// The villages that a device served at some position of this log and does not serve any more.
    #[must_use]
    pub fn served_before(&self, device: DeviceId) -> BTreeSet<PlaceId> {
        let Some(said) = self.devices.get(&device) else { return BTreeSet::new() };
        let now = said.now().map(|d| d.places.as_slice()).unwrap_or_default();
        let ever = said.0.iter().flat_map(|(_, device)| device.places.iter().copied());
        ever.filter(|place| !now.contains(place)).collect()
    }
    /// True when the device held the village's cases and residents at a position of this log.
    #[must_use]
    pub fn serves_at(&self, device: DeviceId, place: PlaceId, position: u64) -> bool {
        let holds = |d: &Device| d.kind == DeviceKind::Relay || d.places.contains(&place);
        self.device_at(device, position).is_some_and(holds)
    }
}
