//! Who may take which step: the one place where authority is decided.

use super::state::CaseState;
use super::{Phase, Record};
use crate::county::{CountyLog, DeviceKind, Person, Post, Role};
use crate::decider::Grade;
use crate::entry::{Entry, Header, Kind, SignerRole};
use crate::event::{Event, Level, Step};
use crate::ids::PlaceId;

/// What a step is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It counts (provisional until witnessed).
    Accept,
    /// It may count once something that it builds on has arrived.
    Pending(Reason),
    /// It is kept and shown, never folded.
    Quarantine(Reason),
}

/// Why a step does not count, or not yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The device is not in the county log (yet).
    #[error("the device is not known")]
    UnknownDevice,
    /// The person is not in the county log (yet).
    #[error("the person is not known")]
    UnknownPerson,
    /// Its author had read further in the county log than we have.
    #[error("the county log has not arrived that far")]
    LogBehind,
    /// An earlier step that it names has not arrived.
    #[error("an earlier step has not arrived")]
    MissingPast,
    /// An earlier step that it builds on does not count.
    #[error("an earlier step does not count")]
    PastQuarantined,
    /// A signature does not hold.
    #[error("a signature does not hold")]
    BadSignature,
    /// It names a statement of another county log than the one that is here.
    #[error("it names another county log")]
    OtherLog,
    /// Its author was revoked, and no relay is known to have had it before.
    #[error("the author was revoked, and no relay has said that it had this before")]
    Unwitnessed,
    /// The person has keys of their own, and none of them signed.
    #[error("the person has a security key, and it did not sign")]
    NoOwnKey,
    /// The device was revoked.
    #[error("the device was revoked")]
    DeviceRevoked,
    /// The person was revoked.
    #[error("the person was revoked")]
    PersonRevoked,
    /// The device does not serve the case's village.
    #[error("the device does not serve this village")]
    OutOfScope,
    /// The person has no post that may take this step.
    #[error("the person may not take this step")]
    NoPost,
    /// The step needs a person.
    #[error("the step needs a person")]
    NoPerson,
    /// Somebody would decide a case in whose chain they stand.
    #[error("nobody decides a case they took part in")]
    OwnCase,
    /// Somebody would decide their own or a registered relative's case.
    #[error("nobody decides their own or a relative's case")]
    Kin,
    /// The case names another way through the offices than the catalogue.
    #[error("the catalogue has another way for this item")]
    OtherWay,
    /// The state does not allow the step.
    #[error("the state of the case does not allow this step")]
    NotNow,
    /// The payload cannot be read.
    #[error("the entry's content cannot be read")]
    Unreadable,
}

/// On whose word a person stands behind a step, and how much that word is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Attestation {
    /// The person's own key, wrapped by their PIN.
    Person,
    /// The person's security key.
    SecurityKey,
    /// The person's passkey, kept by their computer or telephone.
    Passkey,
    /// The person's UKey.
    Ukey,
    /// The relay says that the person gave the right one-time password; not personally signed.
    Otp,
    /// The relay says that the person was signed in; not personally signed.
    Relay,
    /// A device speaks for itself.
    Device,
}

impl Attestation {
    /// True when the person's own key signed. All else is never shown as personally signed.
    #[must_use]
    pub fn personal(self) -> bool {
        matches!(self, Self::Person | Self::SecurityKey | Self::Passkey | Self::Ukey)
    }
}

impl From<Grade> for Attestation {
    fn from(grade: Grade) -> Self {
        match grade {
            Grade::SecurityKey => Self::SecurityKey,
            Grade::Passkey => Self::Passkey,
            Grade::Ukey => Self::Ukey,
            Grade::Otp => Self::Otp,
        }
    }
}

/// Whether an entry whose signatures hold still counts, after what was revoked since. What a relay
/// had before the revocation stays; what nobody had is not believed on its author's word, who could
/// name any older position of the log. `witnessed` is the earliest position of the county log at
/// which a relay has said that it had the entry.
///
/// # Errors
/// The verdict that keeps the entry from counting.
pub fn still_counts(
    header: &Header,
    county: &CountyLog,
    witnessed: Option<u64>,
) -> Result<(), Verdict> {
    let position = header.log.position;
    // A relay's own word is its witness.
    let of_relay = county.device_at(header.device, position).map(|d| d.kind == DeviceKind::Relay);
    let had = if of_relay == Some(true) { Some(position) } else { witnessed };
    let person = header.person.and_then(|id| county.person_revoked_at(id));
    let revocations = [
        (county.device_revoked_at(header.device), Reason::DeviceRevoked),
        (person, Reason::PersonRevoked),
    ];
    for (at, why) in revocations {
        let Some(at) = at else { continue };
        if position >= at {
            return Err(Verdict::Quarantine(why));
        }
        match had {
            Some(had) if had < at => {}
            Some(_) => return Err(Verdict::Quarantine(why)),
            None => return Err(Verdict::Pending(Reason::Unwitnessed)),
        }
    }
    Ok(())
}

/// Holds an entry's signatures against the county log. `witnessed` as for [`still_counts`].
///
/// # Errors
/// The verdict that keeps the entry from counting.
pub fn authenticate(
    entry: &Entry,
    county: &CountyLog,
    witnessed: Option<u64>,
) -> Result<Attestation, Verdict> {
    let header = entry.header();
    let position = header.log.position;
    if position > county.head().position {
        return Err(Verdict::Pending(Reason::LogBehind));
    }
    if !county.agrees_with(header.log) {
        return Err(Verdict::Quarantine(Reason::OtherLog));
    }
    // Judged by what the county log said where the author had read it: a later change of keys,
    // posts or villages does not undo the past.
    let Some(device) = county.device_at(header.device, position) else {
        return Err(match county.device(header.device) {
            Some(_) => Verdict::Quarantine(Reason::UnknownDevice),
            None => Verdict::Pending(Reason::UnknownDevice),
        });
    };
    if !entry.signed_by(SignerRole::Device, &device.key) {
        return Err(Verdict::Quarantine(Reason::BadSignature));
    }
    still_counts(header, county, witnessed)?;
    let Some(id) = header.person else {
        return Ok(Attestation::Device);
    };
    let Some(person) = county.person_at(id, position) else {
        return Err(match county.person(id) {
            Some(_) => Verdict::Quarantine(Reason::UnknownPerson),
            None => Verdict::Pending(Reason::UnknownPerson),
        });
    };
    if entry.kind() == Kind::Edit {
        return Ok(Attestation::Device);
    }
    let keys = person.keys.as_deref().unwrap_or_default();
    if let Some(key) = keys.iter().find(|key| entry.confirmed_by(key, &device.key)) {
        // Only a relay has people in front of it who confirm by one-time password.
        if key.grade == Grade::Otp && device.kind != DeviceKind::Relay {
            return Err(Verdict::Quarantine(Reason::BadSignature));
        }
        return Ok(key.grade.into());
    }
    if !keys.is_empty() && needs_own_key(entry) {
        return Err(Verdict::Quarantine(Reason::NoOwnKey));
    }
    match &person.key {
        Some(key) if entry.signed_by(SignerRole::Person, key) => Ok(Attestation::Person),
        None if device.kind == DeviceKind::Relay && !entry.has_person_signature() => {
            Ok(Attestation::Relay)
        }
        _ => Err(Verdict::Quarantine(Reason::BadSignature)),
    }
}

/// Whether who has a key must sign this with it: every step of a case but 办结, which only states
/// that the decision before it is done, and nothing of the registry, which is filled in bulk.
fn needs_own_key(entry: &Entry) -> bool {
    // An erasure needs two people instead, and comes by the hundred when retention ends.
    entry.kind() != Kind::Erasure
        && Event::decode(entry.payload()).map_or(true, |event| event.step.needs_own_key())
}

/// On whose word an entry stands that was authenticated before: what [`authenticate`] gave,
/// without checking signatures again.
#[must_use]
pub fn attested(entry: &Entry, county: &CountyLog) -> Attestation {
    let header = entry.header();
    let Some(id) = header.person else { return Attestation::Device };
    let person = county.person_at(id, header.log.position);
    let keys = person.and_then(|p| p.keys.as_deref()).unwrap_or_default();
    match keys.iter().find(|key| entry.names_key(key)) {
        Some(key) => key.grade.into(),
        None if entry.has_person_signature() => Attestation::Person,
        None => Attestation::Relay,
    }
}

/// Judges one step by the state that its own causal past makes. Pure, and the same for everybody
/// who has that past and the county log.
#[must_use]
pub fn authorise(record: &Record, past: &CaseState, county: &CountyLog) -> Verdict {
    let step = &record.event.step;
    let place = match (&past.opened, step) {
        (Some(opened), _) => opened.place,
        (None, Step::Opened { place, .. }) => *place,
        (None, _) => return Verdict::Quarantine(Reason::NotNow),
    };
    let position = record.header.log.position;
    let Some(person) = record.header.person.and_then(|id| county.person_at(id, position)) else {
        return Verdict::Quarantine(Reason::NoPerson);
    };
    if !county.serves_at(record.header.device, place, position) {
        return Verdict::Quarantine(Reason::OutOfScope);
    }
    if !past.allows(step) {
        return Verdict::Quarantine(Reason::NotNow);
    }
    if let Step::Opened { catalogue, item, route, .. } = step
        && !county.is_way(catalogue, item, route, position)
    {
        return Verdict::Quarantine(Reason::OtherWay);
    }
    let device = county.device_at(record.header.device, position).map(|d| d.kind);
    let desk = Desk { person, device, township: county.township_at(place, position) };
    if !desk.may(step, past, place) {
        return Verdict::Quarantine(Reason::NoPost);
    }
    if step.decides() && past.chain.contains(&person.id) {
        return Verdict::Quarantine(Reason::OwnCase);
    }
    if (step.decides() || matches!(step, Step::Resolved { .. })) && is_kin(person, past) {
        return Verdict::Quarantine(Reason::Kin);
    }
    Verdict::Accept
}

fn is_kin(person: &Person, past: &CaseState) -> bool {
    let resident = past.opened.as_ref().map(|o| o.resident);
    person.kin.iter().flatten().any(|kin| Some(*kin) == resident)
}

/// A person at a device, with what their posts allow in one village.
struct Desk<'a> {
    person: &'a Person,
    device: Option<DeviceKind>,
    township: Option<PlaceId>,
}

impl Desk<'_> {
    fn agent(&self, place: PlaceId) -> bool {
        self.device != Some(DeviceKind::Relay)
            && self.person.posts.iter().any(|p| p.role == Role::Agent && p.place == place)
    }

    fn clerk(&self) -> bool {
        let here = |p: &Post| p.role == Role::Township && Some(p.place) == self.township;
        self.device == Some(DeviceKind::Township) && self.person.posts.iter().any(here)
    }

    fn reviewer(&self, past: &CaseState) -> bool {
        let department = past.opened.as_ref().map(|o| o.route.department.as_str());
        let of_it = |p: &Post| p.role == Role::Reviewer && p.department.as_deref() == department;
        self.device == Some(DeviceKind::Relay) && self.person.posts.iter().any(of_it)
    }

    fn at(&self, level: Level, past: &CaseState, place: PlaceId) -> bool {
        match level {
            Level::Village => self.agent(place),
            Level::Township => self.clerk(),
            Level::County => self.reviewer(past),
        }
    }

    fn may(&self, step: &Step, past: &CaseState, place: PlaceId) -> bool {
        match step {
            Step::Opened { .. }
            | Step::Submitted { .. }
            | Step::Withdrawn { .. }
            | Step::SupplementGiven { .. }
            | Step::Delivered { .. }
            | Step::Rated { .. }
            | Step::Archived => self.agent(place) || self.clerk(),
            Step::Taken | Step::Forwarded { .. } => self.clerk(),
            Step::SupplementAsked { .. } => self.at(past.holder, past, place),
            Step::Accepted { .. } | Step::Refused { .. } => self.at(past.accepting(), past, place),
            Step::Approved { .. } | Step::Denied { .. } => self.at(past.deciding(), past, place),
            Step::Completed => match past.phase {
                Phase::Refused => self.at(past.accepting(), past, place),
                _ => self.at(past.deciding(), past, place),
            },
            Step::TakenOver { .. } | Step::Resolved { .. } => self.reviewer(past),
            Step::ResidentAdded { .. }
            | Step::ResidentMoved { .. }
            | Step::SamePerson { .. }
            | Step::NotSamePerson { .. }
            | Step::DutyOffered { .. }
            | Step::DutyTaken { .. } => false,
        }
    }
}
