//! Between when and when a step was taken, by evidence instead of by its own claim.
//!
//! Not before: the statement of the county log that its author had read, and what it builds on.
//! Not after: what a relay said it had. A step taken at a relay is dated by that relay's clock.
//! All of it rests on the county's clock; a relay that lies about time lies here, too.

use crate::report::{Basis, Bound};
use cunkou_casework::case::Record;
use cunkou_casework::county::{CountyLog, DeviceKind};
use cunkou_casework::ids::{DeviceId, EntryId};
use std::collections::{BTreeMap, BTreeSet};

/// What a relay said of an entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) relay: DeviceId,
    pub(crate) time_ms: i64,
}

/// Bounds of every event.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    pub(crate) earliest: BTreeMap<EntryId, Bound>,
    pub(crate) latest: BTreeMap<EntryId, Bound>,
    /// Everything that an event builds on.
    pub(crate) past: BTreeMap<EntryId, BTreeSet<EntryId>>,
}

fn later(a: Option<Bound>, b: Option<Bound>) -> Option<Bound> {
    [a, b].into_iter().flatten().max_by_key(|bound| bound.ms)
}

fn sooner(a: Option<Bound>, b: Option<Bound>) -> Option<Bound> {
    [a, b].into_iter().flatten().min_by_key(|bound| bound.ms)
}

/// Weighs the evidence. `records` are in causal order: earlier before later.
pub(crate) fn weigh(
    records: &[&Record],
    county: &CountyLog,
    statement_ms: &[i64],
    seen: &BTreeMap<EntryId, Vec<Seen>>,
) -> Evidence {
    let at_relay = |record: &Record| {
        county.device(record.header.device).is_some_and(|d| d.kind == DeviceKind::Relay)
    };
    let by_id: BTreeMap<EntryId, &Record> = records.iter().map(|r| (r.id, *r)).collect();
    let mut out = Evidence::default();
    for record in records {
        let mut past = BTreeSet::new();
        for after in &record.event.after {
            past.insert(*after);
            past.extend(out.past.get(after).into_iter().flatten());
        }
        let position = record.header.log.position;
        let read = usize::try_from(position).ok().and_then(|p| p.checked_sub(1));
        let mut earliest = read
            .and_then(|i| statement_ms.get(i))
            .map(|ms| Bound { ms: *ms, basis: Basis::CountyLog(position) });
        for id in &past {
            earliest = later(earliest, out.earliest.get(id).copied());
            let Some(before) = by_id.get(id) else { continue };
            if at_relay(before) {
                let made = Bound { ms: before.header.claimed_ms, basis: Basis::RelayClock };
                earliest = later(earliest, Some(made));
            }
            // A relay that builds on something had it: not before it said that it had it.
            let here = seen.get(id).into_iter().flatten();
            let here = here.filter(|s| s.relay == record.header.device).map(|s| s.time_ms).min();
            let here = here.map(|ms| Bound { ms, basis: Basis::Witness });
            earliest = later(earliest, here);
        }
        if let Some(bound) = earliest {
            out.earliest.insert(record.id, bound);
        }
        out.past.insert(record.id, past);
    }
    for record in records {
        let mut own = seen
            .get(&record.id)
            .into_iter()
            .flatten()
            .map(|s| s.time_ms)
            .min()
            .map(|ms| Bound { ms, basis: Basis::Witness });
        if at_relay(record) {
            let made = Bound { ms: record.header.claimed_ms, basis: Basis::RelayClock };
            own = sooner(own, Some(made));
        }
        let Some(own) = own else { continue };
        let past = out.past.get(&record.id).into_iter().flatten();
        for id in past.chain([&record.id]) {
            let bound = sooner(out.latest.get(id).copied(), Some(own));
            out.latest.extend(bound.map(|b| (*id, b)));
        }
    }
    out
}
