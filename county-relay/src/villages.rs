//! Which box serves which village: seen, changed, and two villages that become one.

use crate::home::Home;
use cunkou_casework::county::{CountyLog, Device, DeviceKind, Place, Statement};
use cunkou_casework::event::Level;
use cunkou_casework::ids::{DeviceId, PlaceId};
use cunkou_edge::cli::{Exit, Failure};
use serde_json::{Value, json};

fn refused(words: impl Into<String>) -> Failure {
    Failure::new(Exit::Refused, words)
}

/// The boxes that count.
fn boxes(county: &CountyLog) -> impl Iterator<Item = &Device> {
    county.devices().filter(|d| d.kind != DeviceKind::Relay && county.device_counts(d.id))
}

fn village(county: &CountyLog, id: PlaceId) -> Result<&Place, Failure> {
    let place = county.place(id).filter(|place| place.level == Level::Village);
    place.ok_or_else(|| refused(format!("{id} is no village of this county")))
}

/// The boxes as they are when one village has become a part of another: who serves that one serves
/// both, and nobody else the first.
fn joined(county: &CountyLog, from: PlaceId, into: PlaceId) -> Vec<Device> {
    let mut changed = Vec::new();
    for before in boxes(county) {
        let mut device = before.clone();
        device.places.retain(|place| *place != from);
        if device.places.contains(&into) {
            device.places.push(from);
            device.places.sort_unstable();
        }
        let mut places = before.places.clone();
        places.sort_unstable();
        if device.places != places {
            changed.push(device);
        }
    }
    changed
}

impl Home {
    /// Villages with the boxes that serve them.
    pub(crate) fn list_villages(&self) -> Value {
        let county = self.replica.county();
        let rows = county.places().filter(|place| place.level == Level::Village).map(|place| {
            let serving = boxes(&county).filter(|d| d.places.contains(&place.id));
            let serving: Vec<Value> =
                serving.map(|d| json!({ "id": d.id.to_string(), "name": d.name })).collect();
            json!({
                "place": place.id.0, "code": place.code, "name": place.name,
                "parent": place.parent.map(|parent| parent.0), "boxes": serving,
            })
        });
        json!({ "schema": 1, "villages": rows.collect::<Vec<_>>() })
    }

    /// States which villages a box serves from now on.
    pub(crate) fn serve_villages(
        &self,
        device: DeviceId,
        mut places: Vec<PlaceId>,
    ) -> Result<Value, Failure> {
        let county = self.replica.county();
        places.sort_unstable();
        places.dedup();
        places.iter().try_for_each(|place| village(&county, *place).map(|_| ()))?;
        let before = county.device(device).ok_or_else(|| refused("there is no such box"))?;
        let named = |ids: Vec<PlaceId>| -> Vec<String> {
            ids.into_iter().map(|place| county.place_name(place)).collect()
        };
        let gained = places.iter().filter(|p| !before.places.contains(p)).copied().collect();
        let lost: Vec<PlaceId> =
            before.places.iter().filter(|p| !places.contains(p)).copied().collect();
        let served =
            |place: &PlaceId| boxes(&county).any(|d| d.id != device && d.places.contains(place));
        let unserved = lost.iter().filter(|place| !served(place)).copied().collect();
        let next = "the box hears of it at its next contact; what it serves no more leaves it once \
                    all that was written there is at the county";
        let done = json!({
            "schema": 1, "device": device.to_string(), "gained": named(gained),
            "lost": named(lost), "served_by_nobody": named(unserved), "next": next,
        });
        self.say(vec![Statement::Device(Device { places, ..before.clone() })], done)
    }

    /// States that one village is a part of another now: its records keep their ids and go to the
    /// boxes of the other.
    pub(crate) fn merge_villages(&self, from: PlaceId, into: PlaceId) -> Result<Value, Failure> {
        let county = self.replica.county();
        let (place, other) = (village(&county, from)?, village(&county, into)?);
        if from == into {
            return Err(refused("a village cannot become a part of itself"));
        }
        if !boxes(&county).any(|d| d.places.contains(&into)) {
            return Err(refused(format!("no box serves {}", other.name)));
        }
        let changed = joined(&county, from, into);
        let names: Vec<String> = changed.iter().map(|d| d.name.clone()).collect();
        let place = Place { parent: other.parent, ..place.clone() };
        let mut statements = vec![Statement::Places { places: vec![place] }];
        statements.extend(changed.into_iter().map(Statement::Device));
        let done = json!({
            "schema": 1, "merged": county.place_name(from), "into": other.name, "boxes": names,
            "next": "give its agents a post there: cunkou-relay staff; and change places.json",
        });
        self.say(statements, done)
    }
}
