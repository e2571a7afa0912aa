//! The register of residents: where a record belongs, and which records are one person.

use crate::case::Record;
use crate::county::{CountyLog, DeviceKind, Role};
use crate::event::Step;
use crate::ids::{EntryId, PlaceId, SubjectId};
use std::collections::{BTreeMap, BTreeSet};

/// What the events of one resident's record come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registered {
    /// The village; absent until a rightful event says so.
    pub place: Option<PlaceId>,
    /// Every village that a rightful event named, the present one among them.
    pub homes: BTreeSet<PlaceId>,
    /// The rightful events that moved them. In causal order.
    pub moves: Vec<EntryId>,
    /// Records said to be the same person.
    pub same: BTreeSet<SubjectId>,
    /// The latest rightful events. Sorted.
    pub frontier: Vec<EntryId>,
    /// Events that do not count.
    pub refused: Vec<EntryId>,
    /// Events that wait for an earlier one.
    pub waiting: Vec<EntryId>,
}

/// Folds the events of one record, in any order of arrival: of unrelated events the one with the
/// smaller name comes first.
#[must_use]
pub fn fold(records: &[Record], county: &CountyLog) -> Registered {
    let by_id: BTreeMap<EntryId, &Record> = records.iter().map(|r| (r.id, r)).collect();
    let mut out = Registered::default();
    let mut done: BTreeSet<EntryId> = BTreeSet::new();
    let mut left: BTreeSet<EntryId> = by_id.keys().copied().collect();
    while let Some(id) =
        left.iter().copied().find(|id| by_id[id].event.after.iter().all(|a| done.contains(a)))
    {
        left.remove(&id);
        done.insert(id);
        let record = by_id[&id];
        if !rightful(record, out.place, county) {
            out.refused.push(id);
            continue;
        }
        match &record.event.step {
            Step::ResidentAdded { place } | Step::ResidentMoved { place } => {
                out.place = Some(*place);
                out.homes.insert(*place);
                if matches!(record.event.step, Step::ResidentMoved { .. }) {
                    out.moves.push(id);
                }
            }
            Step::SamePerson { other } => {
                out.same.insert(*other);
            }
            Step::NotSamePerson { other } => {
                out.same.remove(other);
            }
            _ => {}
        }
        out.frontier.retain(|f| !record.event.after.contains(f));
        out.frontier.push(id);
    }
    out.waiting = left.into_iter().collect();
    out.frontier.sort_unstable();
    out
}

/// An agent or clerk of the village's township, or county IT through the relay.
fn rightful(record: &Record, place: Option<PlaceId>, county: &CountyLog) -> bool {
    let place = match (&record.event.step, place) {
        (Step::ResidentAdded { place }, None) => *place,
        (
            Step::ResidentMoved { .. } | Step::SamePerson { .. } | Step::NotSamePerson { .. },
            Some(place),
        ) => place,
        _ => return false,
    };
    let position = record.header.log.position;
    let person = record.header.person.and_then(|id| county.person_at(id, position));
    let device = county.device_at(record.header.device, position);
    let (Some(device), Some(person)) = (device, person) else { return false };
    let township = county.township_at(place, position);
    county.serves_at(device.id, place, position)
        && person.posts.iter().any(|post| match post.role {
            Role::Agent => post.place == place,
            Role::Township => Some(post.place) == township,
            Role::It => device.kind == DeviceKind::Relay,
            Role::Reviewer | Role::Finance | Role::Security | Role::Audit | Role::DataOfficer => {
                false
            }
        })
}
