//! Frozen test vectors: what was released once stays readable, and is made the same again.
//!
//! `CUNKOU_WRITE_VECTORS=1 cargo test -p cunkou-casework --test vectors` writes them anew; a
//! vector that was ever released is never written anew but joined by another.
#![allow(missing_docs)]

#[allow(dead_code, unreachable_pub, missing_debug_implementations)]
mod soft;

use cunkou_casework::county::{
    Credential, Device, DeviceKind, Numbered, Person, Place, Post, Role, Statement,
};
use cunkou_casework::decider::{DeciderKey, Grade, SUITE_OTP};
use cunkou_casework::document::{Document, Projection, Schema, Section, Write, actor};
use cunkou_casework::entry::{
    ClockSource, Draft, Entry, Header, Kind, LogPosition, SignerRole, Signers, change_id,
};
use cunkou_casework::event::{
    Defect, Deferred, Event, Filer, Handover, Level, Original, Promise, Route, Step, Witness,
    decode, encode,
};
use cunkou_casework::ids::{
    AttachmentId, ChangeId, DeviceId, EntryId, Incarnation, PersonId, PlaceId, SubjectId,
};
use cunkou_casework::number::{BLOCK_MAX, BLOCK_SIZE, case_number, grouped, parse};
use cunkou_casework::suite::SecretKey;
use serde_json::{Value, json};
use std::path::PathBuf;

const DEVICE: [u8; 32] = [0xd1; 32];
const PERSON: [u8; 32] = [0xe2; 32];
const AUTHORITY: [u8; 32] = [0xa3; 32];

fn secret(seed: &[u8; 32]) -> SecretKey {
    SecretKey::from_seed(seed)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(value: &Value) -> Vec<u8> {
    let text = value.as_str().expect("hexadecimal text");
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal digits");
    (0..text.len()).step_by(2).map(byte).collect()
}

/// Holds `made` against the frozen file, or writes it when told to. Gives what is frozen.
fn frozen(file: &str, made: &Value) -> Value {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/vectors");
    let path = folder.join(file);
    if std::env::var_os("CUNKOU_WRITE_VECTORS").is_some() {
        let mut text = serde_json::to_string_pretty(made).expect("plain values");
        text.push('\n');
        std::fs::create_dir_all(&folder).expect("the folder of vectors");
        std::fs::write(&path, text).expect("the vectors are written");
    }
    let text = std::fs::read_to_string(&path).expect("the vectors are in the repository");
    let frozen: Value = serde_json::from_str(&text).expect("the vectors are JSON");
    assert_eq!(made, &frozen, "{file} is frozen: today's program makes something else");
    frozen
}

fn header(person: Option<PersonId>) -> Header {
    Header {
        salt: std::array::from_fn(|i| i as u8),
        person,
        device: DeviceId([0x33; 16]),
        incarnation: Incarnation([0x44; 16]),
        seq: 300,
        previous: Some(EntryId([0x55; 32])),
        log: LogPosition { position: 17, head: EntryId([0x66; 32]) },
        claimed_ms: 1_795_000_000_123,
        clock: ClockSource::Tablet,
    }
}

fn person_id() -> PersonId {
    PersonId([0x22; 16])
}

fn sign(kind: Kind, person: bool, authority: bool, payload: Vec<u8>) -> Entry {
    let (device, own, office) = (secret(&DEVICE), secret(&PERSON), secret(&AUTHORITY));
    let signers = Signers {
        device: &device,
        person: person.then_some(&own),
        authority: authority.then_some(&office),
    };
    let header = header((person || kind == Kind::Edit).then(person_id));
    Entry::sign(SubjectId([0x11; 16]), kind, header, payload, signers).expect("a small entry")
}

fn route() -> Route {
    Route {
        take: Level::Township,
        accept: Level::County,
        decide: Level::County,
        department: "县民政局".into(),
    }
}

/// Every step once.
fn steps() -> Vec<Step> {
    let text = || "理由".to_owned();
    let photo = AttachmentId([0x77; 32]);
    vec![
        Step::Opened {
            number: "000470000015".into(),
            place: PlaceId(130_999),
            resident: SubjectId([0x12; 16]),
            item: "senior-allowance".into(),
            catalogue: "2026-11".into(),
            route: route(),
        },
        Step::Submitted {
            filer: Filer::Family,
            attachments: vec![photo],
            deferred: vec![Deferred {
                material: "bank-card".into(),
                until: "2026-12-01".into(),
                reason: text(),
            }],
        },
        Step::Withdrawn { reason: text() },
        Step::Taken,
        Step::Forwarded { opinion: text(), term: 2 },
        Step::SupplementAsked {
            defects: vec![Defect { material: "id-card".into(), reason: text() }],
            due: "2026-12-01".into(),
            calendar: "2026".into(),
        },
        Step::SupplementGiven { round: 1, attachments: vec![photo] },
        Step::Accepted {
            term: 2,
            due: "2026-12-20".into(),
            calendar: "2026".into(),
            uncertain: true,
        },
        Step::Refused { term: 2, reason: text(), remedy: text() },
        Step::Approved { term: 2, opinion: text() },
        Step::Denied { term: 2, reason: text(), remedy: text() },
        Step::Completed,
        Step::Delivered { to: Handover::Proxy, receiver: "王五 子".into(), proof: photo },
        Step::Rated { stars: Some(5), words: text() },
        Step::Archived,
        Step::TakenOver { term: 3, reason: text() },
        Step::Resolved { keep: EntryId([0x78; 32]), reason: text() },
        Step::ResidentAdded { place: PlaceId(7) },
        Step::ResidentMoved { place: PlaceId(8) },
        Step::SamePerson { other: SubjectId([0x13; 16]) },
        Step::NotSamePerson { other: SubjectId([0x13; 16]) },
        Step::DutyOffered {
            place: PlaceId(7),
            to: PersonId([0x23; 16]),
            cases: vec![SubjectId([0x13; 16])],
            originals: vec![
                Original { case: Some(SubjectId([0x13; 16])), what: "户口簿".into() },
                Original { case: None, what: "村委会公章借条".into() },
            ],
            promises: vec![Promise {
                case: Some(SubjectId([0x13; 16])),
                what: "补交银行卡".into(),
                until: "2026-12-01".into(),
            }],
            note: text(),
        },
        Step::DutyTaken { offer: EntryId([0x79; 32]), remark: text(), missing: vec![1] },
    ]
}

/// Every statement once.
fn statements() -> Vec<Statement> {
    let (device, person) = (DeviceId([0x33; 16]), person_id());
    vec![
        Statement::Founded { name: "清河县".into(), authority: secret(&AUTHORITY).public() },
        Statement::Places {
            places: vec![Place {
                id: PlaceId(11),
                level: Level::Village,
                code: "130999101201".into(),
                name: "云岭村".into(),
                name_en: "Yunling".into(),
                parent: Some(PlaceId(2)),
            }],
        },
        Statement::Device(Device {
            id: device,
            key: secret(&DEVICE).public(),
            kind: DeviceKind::Village,
            name: "云岭村代办服务点".into(),
            places: vec![PlaceId(11)],
            phone: "0310-1234567".into(),
        }),
        Statement::Person(Person {
            id: person,
            login: "wang".into(),
            name: "王五".into(),
            key: Some(secret(&PERSON).public()),
            posts: vec![Post { role: Role::Agent, place: PlaceId(11), department: None }],
            phone: String::new(),
            kin: None,
            keys: None,
        }),
        Statement::Numbers { device, blocks: vec![47, 48] },
        Statement::Catalogue {
            version: "2026-11".into(),
            digest: AttachmentId([0x79; 32]),
            bytes: 70_000,
            routes: None,
        },
        Statement::DeviceRevoked { device, reason: "被盗".into() },
        Statement::PersonRevoked { person, reason: "离岗".into() },
    ]
}

fn numbered(statement: Statement) -> Numbered {
    Numbered { position: 18, previous: EntryId([0x66; 32]), statement }
}

fn event(step: Step) -> Event {
    Event {
        after: vec![EntryId([0x01; 32]), EntryId([0x02; 32])],
        heads: vec![ChangeId([0x03; 32])],
        digest: Some([0x04; 32]),
        step,
    }
}

fn witness() -> Witness {
    let entries = vec![EntryId([0x05; 32]), EntryId([0x06; 32])];
    Witness { entries, log: [0x07; 16], position: 123_456, time_ms: 1_795_000_000_456 }
}

fn credential() -> Credential {
    Credential {
        person: person_id(),
        salt: [0x08; 16],
        memory_kib: 19_456,
        passes: 2,
        sealed: vec![0x09; 60].into(),
    }
}

fn change() -> Vec<u8> {
    let mut document = Document::new(Schema::Case1).expect("new");
    let header = header(None);
    let writes = [
        Write::set(Section::Form, "phone", "13900000101"),
        Write::set(Section::Notes, "n", "下午来"),
    ];
    let actor = actor(header.device, header.incarnation);
    let change = document.write(actor, header.claimed_ms, &writes).expect("written");
    change.expect("a change")
}

/// An entry with what a reader must find in it.
fn vector(name: &str, entry: &Entry, payload: Value) -> Value {
    let h = entry.header();
    let signers: Vec<Value> = [
        ("person", SignerRole::Person, PERSON),
        ("device", SignerRole::Device, DEVICE),
        ("authority", SignerRole::Authority, AUTHORITY),
    ]
    .into_iter()
    .filter(|(_, role, seed)| entry.signed_by(*role, &secret(seed).public()))
    .map(|(word, _, seed)| {
        let key = secret(&seed).public();
        json!({
            "role": word, "secret": hex(&seed), "public": hex(&key.0), "key": hex(&key.short_id()),
        })
    })
    .collect();
    json!({
        "name": name,
        "id": entry.id(),
        "subject": entry.subject(),
        "kind": format!("{:?}", entry.kind()),
        "header": {
            "salt": hex(&h.salt),
            "person": h.person,
            "device": h.device,
            "incarnation": h.incarnation,
            "seq": h.seq,
            "previous": h.previous,
            "log": { "position": h.log.position, "head": h.log.head },
            "claimed_ms": h.claimed_ms,
            "clock": h.clock,
        },
        "payload": payload,
        "payload_bytes": hex(entry.payload()),
        "signers": signers,
        "bytes": hex(&entry.encode()),
    })
}

fn of_event() -> Value {
    let submitted = event(steps().swap_remove(1));
    let entry = sign(Kind::Event, true, false, encode(&submitted));
    let read = Event::decode(entry.payload()).expect("its own payload");
    let Step::Submitted { filer, attachments, deferred } = read.step else {
        unreachable!("a submission was signed")
    };
    let deferred: Vec<Value> = deferred
        .iter()
        .map(|d| json!({ "material": d.material, "until": d.until, "reason": d.reason }))
        .collect();
    vector(
        "event",
        &entry,
        json!({
            "after": read.after,
            "heads": read.heads,
            "digest": read.digest.map(|d| hex(&d)),
            "step": { "Submitted": {
                "filer": filer, "attachments": attachments, "deferred": deferred,
            } },
        }),
    )
}

fn of_edit() -> Value {
    let entry = sign(Kind::Edit, false, false, change());
    let id = change_id(entry.payload()).expect("a plain change");
    let mut document = Document::new(Schema::Case1).expect("new");
    document.apply(&[entry.payload().to_vec()]).expect("a good change");
    let actor = actor(entry.header().device, entry.header().incarnation);
    vector(
        "edit",
        &entry,
        json!({
            "change": id,
            "actor": hex(&actor),
            "says": sections(&document.projection()),
        }),
    )
}

fn of_witness() -> Value {
    let entry = sign(Kind::Witness, false, false, encode(&witness()));
    let w: Witness = decode(entry.payload()).expect("its own payload");
    vector(
        "witness",
        &entry,
        json!({
            "entries": w.entries, "log": hex(&w.log), "position": w.position, "time_ms": w.time_ms,
        }),
    )
}

fn of_county() -> Value {
    let statement = numbered(statements().swap_remove(2));
    let entry = sign(Kind::County, false, true, encode(&statement));
    let read: Numbered = decode(entry.payload()).expect("its own payload");
    let Statement::Device(device) = read.statement else { unreachable!("a device was stated") };
    vector(
        "county statement",
        &entry,
        json!({
            "position": read.position,
            "previous": read.previous,
            "statement": { "Device": {
                "id": device.id,
                "key": device.key,
                "kind": device.kind,
                "name": device.name,
                "places": device.places,
                "phone": device.phone,
            } },
        }),
    )
}

fn of_credential() -> Value {
    let entry = sign(Kind::Credential, false, true, encode(&credential()));
    let c: Credential = decode(entry.payload()).expect("its own payload");
    vector(
        "credential",
        &entry,
        json!({
            "person": c.person,
            "salt": hex(&c.salt),
            "memory_kib": c.memory_kib,
            "passes": c.passes,
            "sealed": hex(&c.sealed),
        }),
    )
}

/// `Opened { .. }` is called `Opened`.
fn word(debug: String) -> String {
    debug.chars().take_while(char::is_ascii_alphanumeric).collect()
}

#[test]
fn entries_of_version_1_are_made_and_read_as_they_were_released() {
    let steps = steps();
    let steps = steps.iter().map(|step| {
        json!({ "step": word(format!("{step:?}")), "event": hex(&encode(&event(step.clone()))) })
    });
    let statements = statements();
    let statements = statements.iter().map(|statement| {
        let bytes = encode(&numbered(statement.clone()));
        json!({ "statement": word(format!("{statement:?}")), "numbered": hex(&bytes) })
    });
    let made = json!({
        "version": 1,
        "suite": "BLAKE3, Ed25519",
        "entries": [of_event(), of_edit(), of_witness(), of_county(), of_credential()],
        "steps": steps.collect::<Vec<_>>(),
        "statements": statements.collect::<Vec<_>>(),
    });
    let frozen = frozen("entries.json", &made);
    for vector in frozen["entries"].as_array().expect("entries") {
        let entry = Entry::decode(&unhex(&vector["bytes"])).expect("it stays readable");
        assert_eq!(json!(entry.id()), vector["id"]);
        assert_eq!(entry.payload(), unhex(&vector["payload_bytes"]));
        let signers = vector["signers"].as_array().expect("signers").len();
        let device_alone = vector["kind"] == "Edit" || vector["kind"] == "Witness";
        assert_eq!(signers, if device_alone { 1 } else { 2 });
    }
    for vector in frozen["steps"].as_array().expect("steps") {
        let event = Event::decode(&unhex(&vector["event"])).expect("it stays readable");
        assert_eq!(json!(word(format!("{:?}", event.step))), vector["step"]);
    }
    for vector in frozen["statements"].as_array().expect("statements") {
        let numbered: Numbered = decode(&unhex(&vector["numbered"])).expect("it stays readable");
        assert_eq!(json!(word(format!("{:?}", numbered.statement))), vector["statement"]);
    }
}

#[test]
fn no_changed_byte_of_a_frozen_entry_is_read_as_that_entry() {
    for vector in [of_event(), of_edit(), of_witness(), of_county(), of_credential()] {
        let bytes = unhex(&vector["bytes"]);
        for at in 0..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[at] ^= 1;
            if let Ok(read) = Entry::decode(&wrong) {
                assert_ne!(json!(read.id()), vector["id"], "{}: byte {at}", vector["name"]);
            }
            assert!(Entry::decode(&bytes[..at]).is_err(), "{}: cut at {at}", vector["name"]);
        }
    }
}

#[test]
fn case_numbers_are_those_that_were_given_out() {
    let rows = [(0, 1), (1, 1), (47, 1), (47, 2), (47, 999_999), (12_345, 678_901), (BLOCK_MAX, 0)];
    let good = rows.map(|(block, counter)| {
        let number = case_number(block, counter).expect("in the block");
        json!({
            "block": block, "counter": counter, "number": number, "shown": grouped(&number),
        })
    });
    let number = case_number(47, 1).expect("in the block");
    let bad = [
        number[..11].to_owned(),
        format!("{number}0"),
        number.replacen('4', "5", 1),
        number.replacen("47", "74", 1),
        number.replacen('0', "O", 1),
        format!("{}０", &number[..11]),
        String::new(),
    ];
    let made = json!({
        "check": "ISO 7064 MOD 11,10",
        "good": good,
        "bad": bad,
        "beyond": [
            { "block": 47, "counter": BLOCK_SIZE },
            { "block": BLOCK_MAX + 1, "counter": 1 },
        ],
    });
    let frozen = frozen("case-numbers.json", &made);
    for vector in frozen["good"].as_array().expect("good") {
        let number = vector["number"].as_str().map(str::to_owned);
        assert_eq!(parse(vector["shown"].as_str().expect("shown")), number);
        assert_eq!(parse(vector["number"].as_str().expect("number")), number);
    }
    for text in frozen["bad"].as_array().expect("bad") {
        assert_eq!(parse(text.as_str().expect("text")), None, "{text}");
    }
    assert_eq!(case_number(47, BLOCK_SIZE), None);
    assert_eq!(case_number(BLOCK_MAX + 1, 1), None);
}

fn sections(projection: &Projection) -> Value {
    let mut out = serde_json::Map::new();
    for section in Schema::Case1.sections() {
        let keys: serde_json::Map<_, _> = projection
            .section(*section)
            .map(|(key, values)| (key.to_owned(), json!(values)))
            .collect();
        if !keys.is_empty() {
            out.insert(section.name().to_owned(), Value::Object(keys));
        }
    }
    Value::Object(out)
}

#[test]
fn the_canonical_form_of_a_document_and_its_digest_are_frozen() {
    let mut agent = Document::new(Schema::Case1).expect("new");
    let mut vectors = Vec::new();
    let mut note = |what: &str, changes: &[Vec<u8>]| {
        let mut document = Document::new(Schema::Case1).expect("new");
        document.apply(changes).expect("good changes");
        let projection = document.projection();
        vectors.push(json!({
            "what": what,
            "schema": "case 1",
            "changes": changes.iter().map(|c| hex(c)).collect::<Vec<_>>(),
            "heads": document.heads(),
            "sections": sections(&projection),
            "canonical": hex(&encode(&projection)),
            "digest": hex(&projection.digest()),
        }));
    };
    let set = |key: &str, value: &str| Write::set(Section::Form, key, value);
    let save = |document: &mut Document, actor: u8, writes: &[Write]| {
        let change = document.write([actor; 16], 1_795_000_000_000, writes).expect("written");
        change.expect("a change")
    };
    note("an empty document", &[]);
    let first = save(
        &mut agent,
        1,
        &[
            set("phone", "13900000101"),
            set("address", "云岭村3组"),
            Write::set(Section::Particulars, "name", "𠮷王·买买提"),
            Write::set(Section::Answers, "empty", ""),
        ],
    );
    note("one save, a rare character and an empty text in it", std::slice::from_ref(&first));
    let mut clerk = agent.clone();
    let one = save(&mut agent, 1, &[set("phone", "13900000102")]);
    let gone = Write::remove(Section::Form, "address");
    let two = save(&mut clerk, 2, &[set("phone", "13900000103"), gone]);
    let apart = [first.clone(), one.clone(), two.clone()];
    note("two saves apart: both values stand, sorted", &apart);
    agent.apply(std::slice::from_ref(&two)).expect("a good change");
    let chosen = save(&mut agent, 1, &[set("phone", "13900000103")]);
    note("one of the values is chosen", &[first, one, two, chosen]);

    let frozen = frozen("projection.json", &json!({ "vectors": vectors }));
    for vector in frozen["vectors"].as_array().expect("vectors") {
        let mut document = Document::new(Schema::Case1).expect("new");
        let changes = vector["changes"].as_array().expect("changes");
        // The other way round: what came early waits.
        let changes: Vec<Vec<u8>> = changes.iter().rev().map(unhex).collect();
        document.apply(&changes).expect("they stay readable");
        assert_eq!(hex(&document.projection().digest()), vector["digest"].as_str().expect("hex"));
    }
}

#[test]
fn a_step_on_a_security_key_and_one_by_one_time_password_are_frozen() {
    let (key, device) = (soft::SoftKey::new(7), secret(&DEVICE));
    let otp = DeciderKey {
        suite: SUITE_OTP,
        key: vec![0x0f; 16].into(),
        rp_id: String::new(),
        credential: vec![].into(),
        name: "手机".into(),
        grade: Grade::Otp,
        aaguid: None,
    };
    let draft = || {
        let payload = encode(&event(Step::Approved { term: 2, opinion: "同意".into() }));
        Draft::new(SubjectId([0x11; 16]), Kind::Event, header(Some(person_id())), payload)
            .expect("an event")
    };
    let assertion = key.assert(&draft().challenge());
    let signed = draft().sign(&key.public(), assertion.clone(), &device).expect("small");
    let vouched = draft().vouch(&otp, &device).expect("small");
    let person = |keys| {
        numbered(Statement::Person(Person {
            id: person_id(),
            login: "zhao".into(),
            name: "赵敏".into(),
            key: None,
            posts: vec![Post {
                role: Role::Reviewer,
                place: PlaceId(1),
                department: Some("县民政局".into()),
            }],
            phone: String::new(),
            keys,
            kin: None,
        }))
    };
    let made = json!({
        "rp_id": soft::RP,
        "message": hex(&draft().message()),
        "challenge": hex(&draft().challenge()),
        "key": hex(&key.public().key),
        "key_id": hex(&key.public().short_id()),
        "assertion": hex(&assertion),
        "entry": { "id": signed.id(), "bytes": hex(&signed.encode()) },
        "otp": { "id": vouched.id(), "bytes": hex(&vouched.encode()) },
        "person": hex(&encode(&person(Some(vec![key.public(), otp.clone()])))),
        "person_without_keys": hex(&encode(&person(None))),
    });
    let frozen = frozen("deciders.json", &made);
    let public = device.public();
    let read = |v: &Value| Entry::decode(&unhex(&v["bytes"])).expect("it stays readable");
    assert!(read(&frozen["entry"]).confirmed_by(&key.public(), &public));
    assert!(read(&frozen["otp"]).confirmed_by(&otp, &public));
    assert!(!read(&frozen["otp"]).has_person_signature());
    let numbered: Numbered = decode(&unhex(&frozen["person"])).expect("it stays readable");
    let Statement::Person(person) = numbered.statement else { unreachable!("a person was stated") };
    assert_eq!(person.keys, Some(vec![key.public(), otp]));
}
