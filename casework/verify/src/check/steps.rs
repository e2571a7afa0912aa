//! Steps, each with who, on what and when.

use crate::evidence::Evidence;
use crate::faults::{about, reason};
use crate::report::{Bound, Counts, Finding, Step, Words};
use cunkou_casework::case::{Folded, Reason, Record, Standing};
use cunkou_casework::county::{CountyLog, Person};
use cunkou_casework::entry::Entry;
use cunkou_casework::event::{Event, Step as Taken};
use cunkou_casework::ids::EntryId;
use cunkou_ui::Lang;
use std::collections::BTreeMap;

/// Every step in causal order, then those whose signatures do not hold.
pub(super) fn of(
    events: &[Entry],
    records: &[Record],
    aside: &[(EntryId, Reason)],
    folded: &Folded,
    evidence: &Evidence,
    county: &CountyLog,
    faults: &mut Vec<Finding>,
) -> Vec<Step> {
    let entries: BTreeMap<EntryId, &Entry> = events.iter().map(|e| (e.id(), e)).collect();
    let records: BTreeMap<EntryId, &Record> = records.iter().map(|r| (r.id, r)).collect();
    let judged = folded.standings.iter().map(|(id, standing)| {
        let (counts, why) = match standing {
            Standing::Effective => (Counts::Effective, None),
            Standing::Overtaken => (Counts::Overtaken, None),
            Standing::Rival => (Counts::Rival, None),
            Standing::Waiting(why) => (Counts::Waiting, Some(*why)),
            Standing::Quarantined(why) => (Counts::SetAside, Some(*why)),
        };
        (*id, counts, why)
    });
    let aside = aside.iter().map(|(id, why)| (*id, Counts::SetAside, Some(*why)));
    let mut out = Vec::new();
    for (id, counts, why) in judged.chain(aside) {
        let Some(entry) = entries.get(&id) else { continue };
        let why = why.map(|why| {
            let (code, words) = reason(why);
            faults.push(about(code, id, words.clone()));
            words
        });
        let bounds = [evidence.earliest.get(&id).copied(), evidence.latest.get(&id).copied()];
        out.push(step(entry, records.get(&id).copied(), bounds, county, counts, why));
    }
    out
}

fn step(
    entry: &Entry,
    record: Option<&Record>,
    [earliest, latest]: [Option<Bound>; 2],
    county: &CountyLog,
    counts: Counts,
    why: Option<Words>,
) -> Step {
    let header = entry.header();
    let position = header.log.position;
    let person = header.person.and_then(|id| county.person_at(id, position));
    let device = county.device_at(header.device, position);
    let event = Event::decode(entry.payload()).ok();
    let taken = event.as_ref().map(|e| &e.step);
    Step {
        entry: entry.id(),
        what: taken.map_or_else(
            || Words::new("读不出的环节", "a step that cannot be read"),
            |s| Words::new(Lang::Zh.step(s), Lang::En.step(s)),
        ),
        said: taken.map(said).unwrap_or_default(),
        person: person.map(|p| p.name.clone()),
        office: person.map_or_else(|| Words::new("", ""), |p| office(p, county)),
        device: device.map_or_else(|| header.device.to_string(), |d| d.name.clone()),
        attestation: record.map(|r| r.attestation),
        key: record.and(person).and_then(|p| key(entry, p)),
        claimed_ms: header.claimed_ms,
        clock: header.clock,
        earliest,
        latest,
        counts,
        why,
    }
}

fn office(person: &Person, county: &CountyLog) -> Words {
    let Some(post) = person.posts.first() else { return Words::new("", "") };
    let place = post.department.clone().unwrap_or_else(|| county.place_name(post.place));
    Words::new(
        format!("{place} {}", Lang::Zh.role(post.role)),
        format!("{place}, {}", Lang::En.role(post.role)),
    )
}

/// The key on which a person's word rests: its short name, and what they call it.
fn key(entry: &Entry, person: &Person) -> Option<(String, String)> {
    let hex = |id: [u8; 8]| cunkou_casework::hex::encode(&id);
    let mut keys = person.keys.iter().flatten();
    if let Some(key) = keys.find(|key| entry.names_key(key)) {
        return Some((hex(key.short_id()), key.name.clone()));
    }
    let own = person.key.as_ref().filter(|_| entry.has_person_signature())?;
    Some((hex(own.short_id()), String::new()))
}

/// What was said with a step.
fn said(step: &Taken) -> String {
    match step {
        Taken::Withdrawn { reason }
        | Taken::TakenOver { reason, .. }
        | Taken::Resolved { reason, .. } => reason.clone(),
        Taken::Forwarded { opinion, .. } | Taken::Approved { opinion, .. } => opinion.clone(),
        Taken::Refused { reason, .. } | Taken::Denied { reason, .. } => reason.clone(),
        Taken::SupplementAsked { defects, due, .. } => {
            let reasons: Vec<&str> = defects.iter().map(|d| d.reason.as_str()).collect();
            format!("{} ({due})", reasons.join("; "))
        }
        Taken::Accepted { due, .. } => due.clone(),
        Taken::Delivered { receiver, .. } => receiver.clone(),
        _ => String::new(),
    }
}
