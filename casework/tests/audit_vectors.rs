//! What boxes tell the county's audit and what auditors sign, as released: docs/vectors/audit.json.
//!
//! `CUNKOU_WRITE_VECTORS=1 cargo test -p cunkou-casework --test audit_vectors` writes them anew; a
//! vector that was ever released is never written anew but joined by another.
#![allow(missing_docs)]

use cunkou_casework::checkpoint::{
    Checkpoint, Cosigned, Inclusion, Proofs, Shown, SignedCheckpoint, told,
};
use cunkou_casework::cosign::Letter;
use cunkou_casework::county::{CountyLog, Device, DeviceKind, Numbered, Statement};
use cunkou_casework::entry::{ClockSource, Entry, Header, Kind, LogPosition, Signers};
use cunkou_casework::event::{decode, encode};
use cunkou_casework::hex;
use cunkou_casework::ids::{DeviceId, EntryId, Incarnation, PersonId, SubjectId};
use cunkou_casework::looking::{Look, Looks};
use cunkou_casework::merkle::{self, Hash, Nodes};
use cunkou_casework::suite::SecretKey;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

const BOX: DeviceId = DeviceId([0x33; 16]);
const RELAY: DeviceId = DeviceId([0x01; 16]);
const COUNTY: SubjectId = SubjectId([0xc0; 16]);

fn secret(n: u8) -> SecretKey {
    SecretKey::from_seed(&[n; 32])
}

fn header(device: DeviceId, seq: u64, log: LogPosition) -> Header {
    Header {
        salt: [seq as u8; 16],
        person: None,
        device,
        incarnation: Incarnation([0x44; 16]),
        seq,
        previous: None,
        log,
        claimed_ms: 1_795_000_000_123,
        clock: ClockSource::Tablet,
    }
}

fn looks() -> Entry {
    let full = Look {
        at_ms: 1_795_000_000_000,
        until_ms: 1_795_000_000_000,
        person: PersonId([0x22; 16]),
        subject: Some(SubjectId([0x11; 16])),
        what: "GET /residents/{id}".into(),
        uncovered: true,
        purpose: 1,
        scope: None,
    };
    let list = Look {
        until_ms: 1_795_000_060_000,
        subject: None,
        what: "GET /residents".into(),
        uncovered: false,
        purpose: 0,
        scope: Some("130999101201,130999101202".into()),
        ..full
    };
    let payload = encode(&Looks { looks: vec![full, list] });
    let device = secret(0xd1);
    let signers = Signers { device: &device, person: None, authority: None };
    let log = LogPosition { position: 17, head: EntryId([0x66; 32]) };
    let entry =
        Entry::sign(Looks::subject(BOX), Kind::Looks, header(BOX, 7, log), payload, signers);
    entry.expect("a small entry")
}

fn statements() -> Vec<Entry> {
    let mut log = CountyLog::new(COUNTY, secret(0xa3).public());
    let relay = Device {
        id: RELAY,
        key: secret(0x40).public(),
        kind: DeviceKind::Relay,
        name: "县平台".into(),
        places: Vec::new(),
        phone: String::new(),
    };
    let said = [
        Statement::Founded { name: "清河县".into(), authority: secret(0xa3).public() },
        Statement::Device(relay),
    ];
    let each = said.into_iter().enumerate().map(|(i, statement)| {
        let head = log.head();
        let numbered = Numbered { position: head.position + 1, previous: head.head, statement };
        let (device, authority) = (secret(0x40), secret(0xa3));
        let signers = Signers { device: &device, person: None, authority: Some(&authority) };
        let header = header(RELAY, i as u64 + 1, head);
        let entry = Entry::sign(COUNTY, Kind::County, header, encode(&numbered), signers);
        let entry = entry.expect("a small entry");
        log.take(&entry).expect("it may be stated");
        entry
    });
    each.collect()
}

#[derive(Default)]
struct Tree(BTreeMap<(u8, u64), Hash>);

impl Nodes for Tree {
    type Error = (u8, u64);
    fn node(&self, level: u8, index: u64) -> Result<Hash, Self::Error> {
        self.0.get(&(level, index)).copied().ok_or((level, index))
    }
}

/// Seven entries: leaf i is the entry whose name is the byte i, 32 times.
fn tree() -> Tree {
    let mut tree = Tree::default();
    for n in 0..7_u8 {
        let made = merkle::append(&tree, u64::from(n), merkle::leaf(EntryId([n; 32])));
        let made = made.expect("kept").into_iter().map(|(l, i, hash)| ((l, i), hash));
        tree.0.extend(made);
    }
    tree
}

fn signed(size: u64) -> SignedCheckpoint {
    let root = merkle::root(&tree(), size).expect("kept");
    let time_ms = 1_795_000_000_000 + size as i64;
    let says = Checkpoint { log: [7; 32], size, root, time_ms, relay: RELAY };
    SignedCheckpoint::new(&says, &secret(0x40))
}

fn letter() -> Letter {
    let since = [3, 5].map(|old| (old, merkle::consistency(&tree(), old, 7).expect("kept")));
    let mut letter = Letter::new(&statements(), signed(7), since).expect("a small letter");
    letter.cosign(&secret(0xad));
    letter
}

fn proofs() -> Proofs {
    let mut checkpoint = signed(3);
    checkpoint.cosign(&secret(0xad));
    let consistency = told(merkle::consistency(&tree(), 3, 7).expect("kept"));
    let proof = told(merkle::inclusion(&tree(), 2, 7).expect("kept"));
    let inclusion = Inclusion { index: 2, proof };
    Proofs {
        checkpoint: signed(7),
        shown: vec![Shown { entry: EntryId([2; 32]), inclusion }],
        cosigned: Some(vec![Cosigned { checkpoint, consistency }]),
    }
}

#[test]
fn what_boxes_tell_and_auditors_sign_is_as_it_was_released() {
    let (entry, letter, proofs) = (looks(), letter(), proofs());
    let made = json!({
        "schema": 1,
        "looks": {
            "id": entry.id(), "device_key": secret(0xd1).public(),
            "payload": hex::encode(entry.payload()), "bytes": hex::encode(&entry.encode()),
        },
        "letter": {
            "fingerprint": letter.fingerprint(), "relay": secret(0x40).public(),
            "auditor": secret(0xad).public(), "size": 7, "since": [3, 5],
            "bytes": hex::encode(&letter.encode()),
        },
        "proofs": { "size": 7, "cosigned": 3, "bytes": hex::encode(&encode(&proofs)) },
    });
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/vectors/audit.json");
    if std::env::var_os("CUNKOU_WRITE_VECTORS").is_some() {
        let text = serde_json::to_string_pretty(&made).expect("JSON") + "\n";
        std::fs::write(&file, text).expect("written");
    }
    let text = std::fs::read_to_string(&file).expect("docs/vectors/audit.json");
    let frozen: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(frozen, made);

    let bytes = |value: &Value| hex::decode(value.as_str().expect("hex")).expect("hex");
    let read = Entry::decode(&bytes(&frozen["looks"]["bytes"])).expect("it stays readable");
    assert_eq!(Looks::decode(read.payload()).expect("looks").looks.len(), 2);
    let read = Letter::decode(&bytes(&frozen["letter"]["bytes"])).expect("it stays readable");
    let (says, county) = read.read().expect("a relay's");
    assert_eq!((says.size, county.as_str()), (7, "清河县"));
    let read: Proofs = decode(&bytes(&frozen["proofs"]["bytes"])).expect("it stays readable");
    let latest = read.checkpoint.read(&secret(0x40).public()).expect("the relay's");
    let cosigned = &read.cosigned.expect("signed, too")[0];
    let relay = secret(0x40).public();
    assert!(cosigned.read(&relay, &secret(0xad).public(), &latest).is_some());
}
