//! A small county and one case in it, made entry by entry so that each can be forged.

use cunkou_casework::case::{Record, authenticate, fold};
use cunkou_casework::county::{
    CountyLog, Device, DeviceKind, Numbered, Person, Place, Post, Role, Statement,
};
use cunkou_casework::decider::DeciderKey;
use cunkou_casework::document::{Document, Schema, Section, Write, actor};
use cunkou_casework::entry::{ClockSource, Draft, Entry, Header, Kind, Signers};
use cunkou_casework::event::{Event, Filer, Level, Route, Step, Witness, encode};
use cunkou_casework::export::{Attached, Export};
use cunkou_casework::ids::{
    AttachmentId, DeviceId, EntryId, Incarnation, PersonId, PlaceId, SubjectId,
};
use cunkou_casework::suite::{SecretKey, attachment_id};

#[allow(dead_code)]
#[path = "../../../tests/soft/mod.rs"]
pub mod soft;
use soft::SoftKey;

pub const START_MS: i64 = 1_795_000_000_000;
pub const MINUTE_MS: i64 = 60_000;
pub const RELAY: u8 = 1;
pub const CENTRE: u8 = 2;
pub const BOX: u8 = 3;
pub const AGENT: u8 = 21;
pub const CLERK: u8 = 23;
pub const REVIEWER: u8 = 25;
pub const CASE: SubjectId = SubjectId([0xca; 16]);
pub const RESIDENT: SubjectId = SubjectId([0xee; 16]);
const VILLAGE: PlaceId = PlaceId(11);

pub fn secret(n: u8) -> SecretKey {
    SecretKey::from_seed(&[n; 32])
}

pub fn photo() -> Vec<u8> {
    b"a photo".to_vec()
}

/// A county with what was said and done in it.
#[derive(Clone)]
pub struct World {
    pub log: CountyLog,
    pub statements: Vec<Entry>,
    pub entries: Vec<Entry>,
    pub resident: Vec<Entry>,
    pub attachments: Vec<Attached>,
    pub document: Document,
    pub key: SoftKey,
    pub n: u64,
}

impl World {
    pub fn new() -> Self {
        let mut world = Self {
            log: CountyLog::new(SubjectId([0xc0; 16]), secret(99).public()),
            statements: Vec::new(),
            entries: Vec::new(),
            resident: Vec::new(),
            attachments: Vec::new(),
            document: Document::new(Schema::Case1).expect("new"),
            key: SoftKey::new(7),
            n: 0,
        };
        world.say(Statement::Founded { name: "清河县".into(), authority: secret(99).public() });
        let place = |id, level, name: &str, parent| Place {
            id: PlaceId(id),
            level,
            code: "130999".into(),
            name: name.into(),
            name_en: String::new(),
            parent,
        };
        world.say(Statement::Places {
            places: vec![
                place(1, Level::County, "清河县", None),
                place(2, Level::Township, "云岭镇", Some(PlaceId(1))),
                place(11, Level::Village, "云岭村", Some(PlaceId(2))),
            ],
        });
        for (n, kind, name) in [
            (RELAY, DeviceKind::Relay, "县平台"),
            (CENTRE, DeviceKind::Township, "云岭镇中心"),
            (BOX, DeviceKind::Village, "云岭村服务点"),
        ] {
            let places = if n == RELAY { vec![] } else { vec![VILLAGE] };
            let (id, key) = (DeviceId([n; 16]), secret(n).public());
            let (name, phone) = (name.to_owned(), String::new());
            world.say(Statement::Device(Device { id, key, kind, name, places, phone }));
        }
        for n in [AGENT, CLERK, REVIEWER] {
            let person = world.person(n, None);
            world.say(Statement::Person(person));
        }
        world
    }

    pub fn person(&self, n: u8, keys: Option<Vec<DeciderKey>>) -> Person {
        let (name, role, place, department) = match n {
            AGENT => ("李建国", Role::Agent, 11, None),
            CLERK => ("王芳", Role::Township, 2, None),
            _ => ("赵敏", Role::Reviewer, 1, Some("县民政局".to_owned())),
        };
        Person {
            id: PersonId([n; 16]),
            login: format!("p{n}"),
            name: name.into(),
            key: (n != REVIEWER).then(|| secret(n).public()),
            posts: vec![Post { role, place: PlaceId(place), department }],
            phone: String::new(),
            keys,
            kin: None,
        }
    }

    pub fn say(&mut self, statement: Statement) {
        let head = self.log.head();
        let numbered = Numbered { position: head.position + 1, previous: head.head, statement };
        let header = Header { log: head, person: None, ..self.header(RELAY, RELAY) };
        let (device, authority) = (secret(RELAY), secret(99));
        let signers = Signers { device: &device, person: None, authority: Some(&authority) };
        let entry = Entry::sign(self.log.county, Kind::County, header, encode(&numbered), signers);
        let entry = entry.expect("a small statement");
        self.log.take(&entry).expect("the next statement");
        self.statements.push(entry);
    }

    /// The header of the next entry; a minute passes with each.
    pub fn header(&mut self, person: u8, device: u8) -> Header {
        self.n += 1;
        let mut salt = [0; 16];
        salt[..8].copy_from_slice(&self.n.to_be_bytes());
        Header {
            salt,
            person: Some(PersonId([person; 16])),
            device: DeviceId([device; 16]),
            incarnation: Incarnation([device; 16]),
            seq: self.n,
            previous: None,
            log: self.log.head(),
            claimed_ms: START_MS + self.n as i64 * MINUTE_MS,
            clock: if device == RELAY { ClockSource::Relay } else { ClockSource::Rtc },
        }
    }

    pub fn records(&self) -> Vec<Record> {
        let events = self.entries.iter().filter(|e| e.kind() == Kind::Event);
        let records = events.filter_map(|e| {
            Some(Record {
                id: e.id(),
                header: e.header().clone(),
                event: Event::decode(e.payload()).ok()?,
                attestation: authenticate(e, &self.log, None).ok()?,
            })
        });
        records.collect()
    }

    pub fn event(&self, step: Step) -> Event {
        Event {
            after: fold(&self.records(), &self.log).frontier,
            heads: self.document.heads(),
            digest: Some(self.document.projection().digest()),
            step,
        }
    }

    pub fn sign(&self, subject: SubjectId, kind: Kind, header: Header, payload: Vec<u8>) -> Entry {
        let person =
            header.person.map(|p| p.0[0]).filter(|p| *p != REVIEWER && kind == Kind::Event);
        let (device, person) = (secret(header.device.0[0]), person.map(secret));
        let signers = Signers { device: &device, person: person.as_ref(), authority: None };
        Entry::sign(subject, kind, header, payload, signers).expect("small")
    }

    /// Somebody takes a step with their wrapped key, or by the relay's word.
    pub fn step(&mut self, person: u8, device: u8, step: Step) -> EntryId {
        let event = self.event(step);
        self.push_event(person, device, &event)
    }

    pub fn push_event(&mut self, person: u8, device: u8, event: &Event) -> EntryId {
        let header = self.header(person, device);
        let entry = self.sign(CASE, Kind::Event, header, encode(event));
        self.entries.push(entry);
        self.entries.last().expect("just pushed").id()
    }

    /// The reviewer takes a step on their security key.
    pub fn step_on_key(&mut self, step: Step) -> EntryId {
        let event = self.event(step);
        self.push_on_key(&event)
    }

    pub fn push_on_key(&mut self, event: &Event) -> EntryId {
        let header = self.header(REVIEWER, RELAY);
        let draft = Draft::new(CASE, Kind::Event, header, encode(event)).expect("an event");
        let signature = self.key.assert(&draft.challenge());
        let entry = draft.sign(&self.key.public(), signature, &secret(RELAY)).expect("small");
        self.entries.push(entry);
        self.entries.last().expect("just pushed").id()
    }

    pub fn save(&mut self, writes: &[Write]) -> EntryId {
        let header = self.header(AGENT, BOX);
        let actor = actor(header.device, header.incarnation);
        let change = self.document.write(actor, header.claimed_ms, writes).expect("written");
        let entry = self.sign(CASE, Kind::Edit, header, change.expect("a change"));
        self.entries.push(entry);
        self.entries.last().expect("just pushed").id()
    }

    /// The relay states that it has everything so far.
    pub fn witness(&mut self) {
        let mut ids: Vec<EntryId> = self.entries.iter().map(Entry::id).collect();
        ids.sort_unstable();
        let header = Header { person: None, ..self.header(RELAY, RELAY) };
        let time_ms = header.claimed_ms;
        let witness = Witness { entries: ids, log: [1; 16], position: 9, time_ms };
        let entry = self.sign(CASE, Kind::Witness, header, encode(&witness));
        self.entries.push(entry);
    }

    pub fn export(&self) -> Vec<u8> {
        let export = Export::new(
            CASE,
            &self.statements,
            &self.entries,
            &self.resident,
            self.attachments.clone(),
            None,
        );
        export.expect("an export").encode()
    }

    pub fn fingerprint(&self) -> String {
        Export::decode(&self.export()).expect("an export").fingerprint()
    }
}

/// A case that was filed, forwarded and accepted, by a reviewer who has a security key.
pub fn accepted() -> World {
    let mut w = World::new();
    let event = Event {
        after: vec![],
        heads: vec![],
        digest: None,
        step: Step::ResidentAdded { place: VILLAGE },
    };
    let header = w.header(AGENT, BOX);
    let added = w.sign(RESIDENT, Kind::Event, header, encode(&event));
    w.resident.push(added);
    let opened = Event {
        after: vec![],
        heads: vec![],
        digest: None,
        step: Step::Opened {
            number: "000470000015".into(),
            place: VILLAGE,
            resident: RESIDENT,
            item: "S1-gaoling".into(),
            catalogue: "1".into(),
            route: Route {
                take: Level::Township,
                accept: Level::County,
                decide: Level::County,
                department: "县民政局".into(),
            },
        },
    };
    w.push_event(AGENT, BOX, &opened);
    let id: AttachmentId = attachment_id(&photo());
    let page = format!(r#"{{"hash":"{id}","name":"正面","bytes":7,"taken":"2026-11-22"}}"#);
    w.save(&[
        Write::set(Section::Particulars, "name", "张桂兰"),
        Write::set(Section::Form, "bank_card", "6222000011112222"),
        Write::set(Section::Materials, "id-card/page/00", page),
    ]);
    w.attachments.push(Attached { id, bytes: Some(photo().into()) });
    let submitted =
        Step::Submitted { filer: Filer::Applicant, attachments: vec![id], deferred: vec![] };
    w.step(AGENT, BOX, submitted);
    w.witness();
    w.step(CLERK, CENTRE, Step::Taken);
    w.step(CLERK, CENTRE, Step::Forwarded { opinion: "齐全".into(), term: 2 });
    w.witness();
    let keys = Some(vec![w.key.public()]);
    let person = w.person(REVIEWER, keys);
    w.say(Statement::Person(person));
    w.step_on_key(Step::Accepted {
        term: 2,
        due: "2026-12-20".into(),
        calendar: "2026".into(),
        uncertain: false,
    });
    w
}

pub fn approve() -> Step {
    Step::Approved { term: 2, opinion: "同意发放".into() }
}

/// And approved and completed.
pub fn approved() -> World {
    let mut w = accepted();
    w.step_on_key(approve());
    w.step(REVIEWER, RELAY, Step::Completed);
    w
}
