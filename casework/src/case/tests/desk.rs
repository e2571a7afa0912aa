//! A small county, its people, and a desk at which they make properly signed entries of one case.

use crate::case::{Folded, Phase, Record, Standing, Verdict, authenticate, fold};
use crate::county::{
    CountyLog, Device, DeviceKind, Numbered, Person, Place, Post, Role, Statement,
};
use crate::entry::{ClockSource, Entry, Header, Kind, LogPosition, Signers};
use crate::event::{Defect, Event, Filer, Handover, Level, Route, Step, encode};
use crate::ids::{
    AttachmentId, ChangeId, DeviceId, EntryId, Incarnation, PersonId, PlaceId, SubjectId,
};
use crate::suite::SecretKey;
use std::collections::BTreeMap;

pub(crate) const COUNTY: PlaceId = PlaceId(1);
pub(crate) const TOWNSHIP: PlaceId = PlaceId(2);
pub(crate) const YUNLING: PlaceId = PlaceId(11);
pub(crate) const LONGTAN: PlaceId = PlaceId(12);
pub(crate) const DEPARTMENT: &str = "县民政局";
pub(crate) const START_MS: i64 = 1_795_000_000_000;

// Devices and people are numbers; their keys come from them.
pub(crate) const RELAY: u8 = 1;
pub(crate) const CENTRE: u8 = 2;
pub(crate) const BOX_YUNLING: u8 = 3;
pub(crate) const BOX_LONGTAN: u8 = 4;

/// A person at a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Actor {
    pub(crate) person: u8,
    pub(crate) device: u8,
}

pub(crate) const AGENT: Actor = Actor { person: 21, device: BOX_YUNLING };
pub(crate) const NEIGHBOUR: Actor = Actor { person: 22, device: BOX_LONGTAN };
pub(crate) const CLERK: Actor = Actor { person: 23, device: CENTRE };
pub(crate) const CHIEF: Actor = Actor { person: 24, device: CENTRE };
pub(crate) const REVIEWER: Actor = Actor { person: 25, device: RELAY };
pub(crate) const SECOND_REVIEWER: Actor = Actor { person: 26, device: RELAY };
pub(crate) const HEALTH_REVIEWER: Actor = Actor { person: 27, device: RELAY };
pub(crate) const IT: Actor = Actor { person: 28, device: RELAY };
/// The agent of the village next door, at the township's box, which serves both villages.
pub(crate) const NEIGHBOUR_IN_TOWN: Actor = Actor { person: 22, device: CENTRE };

pub(crate) const EVERYBODY: [(&str, Actor); 9] = [
    ("agent", AGENT),
    ("neighbour", NEIGHBOUR),
    ("neighbour in town", NEIGHBOUR_IN_TOWN),
    ("clerk", CLERK),
    ("chief", CHIEF),
    ("reviewer", REVIEWER),
    ("second reviewer", SECOND_REVIEWER),
    ("health reviewer", HEALTH_REVIEWER),
    ("it", IT),
];

pub(crate) fn secret(n: u8) -> SecretKey {
    SecretKey::from_seed(&[n; 32])
}

pub(crate) fn person_id(n: u8) -> PersonId {
    PersonId([n; 16])
}

pub(crate) fn device_id(n: u8) -> DeviceId {
    DeviceId([n; 16])
}

pub(crate) fn has_key(person: u8) -> bool {
    person < REVIEWER.person
}

pub(crate) fn county() -> CountyLog {
    let mut log = CountyLog::new(SubjectId([0xc0; 16]), secret(99).public());
    let place = |id, level, code: &str, name: &str, parent| Place {
        id,
        level,
        code: code.into(),
        name: name.into(),
        name_en: String::new(),
        parent,
    };
    let places = vec![
        place(COUNTY, Level::County, "130999", "清河县", None),
        place(TOWNSHIP, Level::Township, "130999101", "云岭镇", Some(COUNTY)),
        place(YUNLING, Level::Village, "130999101201", "云岭村", Some(TOWNSHIP)),
        place(LONGTAN, Level::Village, "130999101202", "龙潭村", Some(TOWNSHIP)),
    ];
    let founded = Statement::Founded { name: "清河县".into(), authority: secret(99).public() };
    say(&mut log, founded);
    say(&mut log, Statement::Places { places });
    for (n, kind, places) in [
        (RELAY, DeviceKind::Relay, vec![]),
        (CENTRE, DeviceKind::Township, vec![YUNLING, LONGTAN]),
        (BOX_YUNLING, DeviceKind::Village, vec![YUNLING]),
        (BOX_LONGTAN, DeviceKind::Village, vec![LONGTAN]),
    ] {
        let (id, key) = (device_id(n), secret(n).public());
        let (name, phone) = (format!("device {n}"), String::new());
        let device = Device { id, key, kind, name, places, phone };
        say(&mut log, Statement::Device(device));
    }
    for (who, role, place, department) in [
        (AGENT, Role::Agent, YUNLING, None),
        (NEIGHBOUR, Role::Agent, LONGTAN, None),
        (CLERK, Role::Township, TOWNSHIP, None),
        (CHIEF, Role::Township, TOWNSHIP, None),
        (REVIEWER, Role::Reviewer, COUNTY, Some(DEPARTMENT)),
        (SECOND_REVIEWER, Role::Reviewer, COUNTY, Some(DEPARTMENT)),
        (HEALTH_REVIEWER, Role::Reviewer, COUNTY, Some("县卫生健康局")),
        (IT, Role::It, COUNTY, None),
    ] {
        say(
            &mut log,
            Statement::Person(Person {
                id: person_id(who.person),
                login: format!("p{}", who.person),
                name: format!("person {}", who.person),
                key: has_key(who.person).then(|| secret(who.person).public()),
                posts: vec![Post { role, place, department: department.map(str::to_owned) }],
                phone: String::new(),
                kin: None,
                keys: None,
            }),
        );
    }
    log
}

pub(crate) fn header(n: u64, person: Option<u8>, device: u8, log: LogPosition) -> Header {
    let mut salt = [0; 16];
    salt[..8].copy_from_slice(&n.to_be_bytes());
    Header {
        salt,
        person: person.map(person_id),
        device: device_id(device),
        incarnation: Incarnation([device; 16]),
        seq: n + 1,
        previous: None,
        log,
        claimed_ms: START_MS + n as i64,
        clock: ClockSource::Rtc,
    }
}

/// The authority makes the next statement.
pub(crate) fn say(log: &mut CountyLog, statement: Statement) {
    let head = log.head();
    let numbered = Numbered { position: head.position + 1, previous: head.head, statement };
    let (device, authority) = (secret(RELAY), secret(99));
    let signers = Signers { device: &device, person: None, authority: Some(&authority) };
    let header = header(head.position, None, RELAY, head);
    let entry = Entry::sign(log.county, Kind::County, header, encode(&numbered), signers);
    log.take(&entry.expect("a small statement")).expect("the next statement");
}

/// One case and the entries made about it.
pub(crate) struct Desk {
    pub(crate) county: CountyLog,
    pub(crate) subject: SubjectId,
    /// Another one gives other hashes, and so another order of unrelated events.
    salt: u64,
    pub(crate) entries: Vec<Entry>,
    /// How far a relay had read the county log when it first had an entry.
    pub(crate) had: BTreeMap<EntryId, u64>,
}

impl Desk {
    pub(crate) fn new(salt: u64) -> Self {
        let (county, subject) = (county(), SubjectId([0xca; 16]));
        Self { county, subject, salt: salt << 16, entries: Vec::new(), had: BTreeMap::new() }
    }

    /// Makes an event that comes after `after`.
    pub(crate) fn sign(&self, who: Actor, after: &[EntryId], step: Step) -> Entry {
        let mut after = after.to_vec();
        after.sort_unstable();
        let n = self.salt + self.entries.len() as u64;
        let header = header(n, Some(who.person), who.device, self.county.head());
        let event = Event { after, heads: vec![ChangeId([n as u8; 32])], digest: None, step };
        let (device, person) = (secret(who.device), secret(who.person));
        let person = has_key(who.person).then_some(&person);
        let signers = Signers { device: &device, person, authority: None };
        Entry::sign(self.subject, Kind::Event, header, encode(&event), signers).expect("small")
    }

    /// Somebody who has read everything takes a step.
    pub(crate) fn step(&mut self, who: Actor, step: Step) -> EntryId {
        let after = self.folded().frontier;
        self.step_after(who, &after, step)
    }

    /// Somebody who has read only this takes a step.
    pub(crate) fn step_after(&mut self, who: Actor, after: &[EntryId], step: Step) -> EntryId {
        let entry = self.sign(who, after, step);
        let id = entry.id();
        self.entries.push(entry);
        id
    }

    pub(crate) fn folded(&self) -> Folded {
        fold(&self.records(), &self.county)
    }

    pub(crate) fn records(&self) -> Vec<Record> {
        let had = |e: &Entry| self.had.get(&e.id()).copied();
        self.entries.iter().filter_map(|e| record(e, &self.county, had(e)).ok()).collect()
    }

    pub(crate) fn phase(&self) -> Phase {
        self.folded().state.phase
    }

    pub(crate) fn standing(&self, id: EntryId) -> Standing {
        let standings = self.folded().standings;
        standings.iter().find(|(e, _)| *e == id).map(|(_, s)| *s).expect("an event of the case")
    }

    /// The named step, as the state of the case asks for it.
    pub(crate) fn named(&self, name: &str) -> Step {
        let state = self.folded().state;
        let (term, next) = (state.term, state.term + 1);
        let text = || "理由".to_owned();
        match name {
            "opened" => opened(YUNLING, by_county()),
            "submitted" => submitted(),
            "withdrawn" => Step::Withdrawn { reason: text() },
            "taken" => Step::Taken,
            "forwarded" => Step::Forwarded { opinion: text(), term: next },
            "asked" => asked("2026-12-01"),
            "given" => {
                let round = state.open_supplement().map_or(1, |s| s.round);
                Step::SupplementGiven { round, attachments: vec![] }
            }
            "promised" => Step::SupplementGiven { round: 0, attachments: vec![] },
            "accepted" => accepted(term),
            "refused" => Step::Refused { term, reason: text(), remedy: text() },
            "approved" => Step::Approved { term, opinion: text() },
            "denied" => Step::Denied { term, reason: text(), remedy: text() },
            "completed" => Step::Completed,
            "delivered" => {
                let proof = AttachmentId([7; 32]);
                Step::Delivered { to: Handover::Applicant, receiver: String::new(), proof }
            }
            "rated" => Step::Rated { stars: Some(5), words: String::new() },
            "archived" => Step::Archived,
            "taken over" => Step::TakenOver { term: next, reason: text() },
            "resolved" => {
                let keep = state.rivals.first().copied().unwrap_or(EntryId([0; 32]));
                Step::Resolved { keep, reason: text() }
            }
            other => unreachable!("no step is called {other}"),
        }
    }

    /// Takes named steps one after another, each by whoever does that in an ordinary case.
    pub(crate) fn walk(&mut self, names: &[&str]) -> EntryId {
        let mut last = EntryId([0; 32]);
        for name in names {
            let step = self.named(name);
            let who = self.usual(name);
            last = self.step(who, step);
            assert_eq!(self.standing(last), Standing::Effective, "{name} on an ordinary way");
        }
        last
    }

    pub(crate) fn usual(&self, name: &str) -> Actor {
        match name {
            "taken" | "forwarded" => CLERK,
            "asked" if self.phase() == Phase::TownshipTaken => CLERK,
            "asked" | "accepted" | "refused" | "approved" | "denied" | "completed"
            | "taken over" | "resolved" => REVIEWER,
            _ => AGENT,
        }
    }
}

/// What a replica makes of an entry that arrives.
pub(crate) fn record(
    entry: &Entry,
    county: &CountyLog,
    had: Option<u64>,
) -> Result<Record, Verdict> {
    let attestation = authenticate(entry, county, had)?;
    let event = Event::decode(entry.payload()).expect("its own payload");
    Ok(Record { id: entry.id(), header: entry.header().clone(), event, attestation })
}

pub(crate) fn by_county() -> Route {
    let department = DEPARTMENT.to_owned();
    Route { take: Level::Township, accept: Level::County, decide: Level::County, department }
}

pub(crate) fn by_township() -> Route {
    Route { accept: Level::Township, decide: Level::Township, ..by_county() }
}

pub(crate) fn opened(place: PlaceId, route: Route) -> Step {
    Step::Opened {
        number: "000470000015".into(),
        place,
        resident: SubjectId([0x5e; 16]),
        item: "senior-allowance".into(),
        catalogue: "2026-11".into(),
        route,
    }
}

pub(crate) fn submitted() -> Step {
    Step::Submitted { filer: Filer::Applicant, attachments: vec![], deferred: vec![] }
}

pub(crate) fn asked(due: &str) -> Step {
    let defects = vec![Defect { material: "id-card".into(), reason: "看不清".into() }];
    Step::SupplementAsked { defects, due: due.into(), calendar: "2026".into() }
}

pub(crate) fn accepted(term: u32) -> Step {
    Step::Accepted { term, due: "2026-12-20".into(), calendar: "2026".into(), uncertain: false }
}

/// The ways to every state.
pub(crate) const WAYS: [(Phase, &[&str]); 14] = [
    (Phase::Draft, &["opened"]),
    (Phase::Received, &["opened", "submitted"]),
    (Phase::TownshipTaken, &["opened", "submitted", "taken"]),
    (Phase::Forwarded, &["opened", "submitted", "taken", "forwarded"]),
    (Phase::Supplementing, &["opened", "submitted", "taken", "forwarded", "asked"]),
    (Phase::Accepted, &["opened", "submitted", "taken", "forwarded", "accepted"]),
    (Phase::Refused, &["opened", "submitted", "taken", "forwarded", "refused"]),
    (Phase::Approved, &["opened", "submitted", "taken", "forwarded", "accepted", "approved"]),
    (Phase::Denied, &["opened", "submitted", "taken", "forwarded", "accepted", "denied"]),
    (
        Phase::Completed,
        &["opened", "submitted", "taken", "forwarded", "accepted", "approved", "completed"],
    ),
    (
        Phase::Delivered,
        &[
            "opened",
            "submitted",
            "taken",
            "forwarded",
            "accepted",
            "approved",
            "completed",
            "delivered",
        ],
    ),
    (
        Phase::Rated,
        &[
            "opened",
            "submitted",
            "taken",
            "forwarded",
            "accepted",
            "approved",
            "completed",
            "delivered",
            "rated",
        ],
    ),
    (
        Phase::Archived,
        &[
            "opened",
            "submitted",
            "taken",
            "forwarded",
            "accepted",
            "approved",
            "completed",
            "delivered",
            "rated",
            "archived",
        ],
    ),
    (Phase::Withdrawn, &["opened", "submitted", "withdrawn"]),
];

pub(crate) fn at(phase: Phase) -> Desk {
    let mut desk = Desk::new(0);
    if phase == Phase::Contested {
        contest(&mut desk);
    } else {
        let (_, way) = WAYS.iter().find(|(p, _)| *p == phase).expect("a way to every state");
        desk.walk(way);
    }
    assert_eq!(desk.phase(), phase);
    desk
}

/// Two reviewers decide apart, in one term.
pub(crate) fn contest(desk: &mut Desk) -> [EntryId; 2] {
    desk.walk(&["opened", "submitted", "taken", "forwarded", "accepted"]);
    let after = desk.folded().frontier;
    let (approved, denied) = (desk.named("approved"), desk.named("denied"));
    let approval = desk.step_after(REVIEWER, &after, approved);
    let denial = desk.step_after(SECOND_REVIEWER, &after, denied);
    [approval, denial]
}
