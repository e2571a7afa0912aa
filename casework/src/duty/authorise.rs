//! Who may hand over which duty, and who may take it.

use super::fold::{Duty, Phase};
use crate::case::{Reason, Record, Verdict};
use crate::county::{CountyLog, DeviceKind, Person, Role};
use crate::event::Step;
use crate::ids::{PersonId, PlaceId};

/// Whether somebody has a post in a village or in its township's centre, by the county log at a
/// position. A township is its own.
#[must_use]
pub fn has_post(county: &CountyLog, person: PersonId, place: PlaceId, position: u64) -> bool {
    let township = county.township_at(place, position);
    county.person_at(person, position).is_some_and(|p| {
        p.posts.iter().any(|post| match post.role {
            Role::Agent => post.place == place,
            Role::Township => Some(post.place) == township,
            _ => false,
        })
    })
}

/// Whether somebody may work for a place on such a device: agents at any box of the village,
/// township staff at their centre's.
fn at_work(person: &Person, device: DeviceKind, place: PlaceId, township: Option<PlaceId>) -> bool {
    person.posts.iter().any(|post| match (post.role, device) {
        (Role::Agent, DeviceKind::Village | DeviceKind::Township) => post.place == place,
        (Role::Township, DeviceKind::Township) => Some(post.place) == township,
        _ => false,
    })
}

/// Judges one step of a hand-over by what its own causal past makes. Pure, and the same for
/// everybody who has that past and the county log.
#[must_use]
pub fn authorise(record: &Record, past: &Duty, county: &CountyLog) -> Verdict {
    let step = &record.event.step;
    let place = match (&past.given, step) {
        (Some(given), _) => given.place,
        (None, Step::DutyOffered { place, .. }) => *place,
        (None, _) => return Verdict::Quarantine(Reason::NotNow),
    };
    let position = record.header.log.position;
    let Some(person) = record.header.person.and_then(|id| county.person_at(id, position)) else {
        return Verdict::Quarantine(Reason::NoPerson);
    };
    let device = county.device_at(record.header.device, position).map(|d| d.kind);
    if !county.serves_at(record.header.device, place, position) {
        return Verdict::Quarantine(Reason::OutOfScope);
    }
    let township = county.township_at(place, position);
    if !device.is_some_and(|device| at_work(person, device, place, township)) {
        return Verdict::Quarantine(Reason::NoPost);
    }
    if past.phase != Phase::Offered {
        return Verdict::Quarantine(Reason::NotNow);
    }
    let mine = past.given.as_ref().is_none_or(|given| given.from == person.id);
    match step {
        // Who is to take it must be somebody else who works there.
        Step::DutyOffered { to, place: named, .. } => {
            let fits = *named == place && *to != person.id;
            let rightful = mine && fits && has_post(county, *to, place, position);
            if rightful { Verdict::Accept } else { Verdict::Quarantine(Reason::NoPost) }
        }
        Step::Withdrawn { .. } if mine => Verdict::Accept,
        Step::DutyTaken { offer, missing, .. } => match &past.given {
            Some(given) if given.offer != *offer => Verdict::Quarantine(Reason::NotNow),
            Some(given) if given.to != person.id => Verdict::Quarantine(Reason::NoPost),
            Some(given) if missing.iter().any(|n| usize::from(*n) >= given.originals.len()) => {
                Verdict::Quarantine(Reason::Unreadable)
            }
            Some(_) => Verdict::Accept,
            None => Verdict::Quarantine(Reason::NoPost),
        },
        Step::Withdrawn { .. } => Verdict::Quarantine(Reason::NoPost),
        _ => Verdict::Quarantine(Reason::NotNow),
    }
}
