//! A bundle as `docs/vectors/bundle.json` has it: it opens, and its records are these.
#![allow(missing_docs)]

use cunkou_bundle::{Head, Reader, Record, Start, Writer, code_of};
use cunkou_engine::{Hello, PROTOCOL, ScopeState};
use serde_json::{Value, json};
use std::fmt::Write as _;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/vectors/bundle.json");

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn unhex(value: &Value) -> Vec<u8> {
    let text = value.as_str().expect("hexadecimal");
    let digits = (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16));
    digits.collect::<Result<_, _>>().expect("hexadecimal")
}

fn key(seed: [u8; 32]) -> [u8; 32] {
    ed25519_dalek::SigningKey::from_bytes(&seed).verifying_key().to_bytes()
}

fn head() -> Head {
    let scope = ScopeState {
        scope: "system".into(),
        head: 4,
        read: 2,
        epoch: [5; 16],
        acked: Some(1),
        sum: None,
        whole: None,
    };
    let hello = Hello {
        protocol: PROTOCOL,
        store: [1; 16],
        epoch: [2; 16],
        incarnation: [3; 16],
        software: "0.1.0".into(),
        time_ms: 1_790_000_000_000,
        scopes: vec![scope],
        features: None,
    };
    Head {
        id: [7; 16],
        number: 3,
        part: 1,
        made_ms: 1_790_000_000_000,
        hello,
        starts: vec![Start { scope: "system".into(), after: 1 }],
        acks: vec![[8; 16].into()],
        wanted: vec![[9; 32].into()],
    }
}

fn records() -> Vec<Record> {
    let photo = vec![1, 2, 3, 4, 5];
    vec![
        Record::Entries {
            scope: "system".into(),
            after: 1,
            upto: 4,
            head: 4,
            entries: vec![vec![10, 11].into(), vec![12].into()],
        },
        Record::Part {
            id: *blake3::hash(&photo).as_bytes(),
            length: 5,
            bytes: photo[..3].to_vec().into(),
        },
        Record::Part {
            id: *blake3::hash(&photo).as_bytes(),
            length: 5,
            bytes: photo[3..].to_vec().into(),
        },
    ]
}

#[test]
fn the_bundle_of_the_documents_opens_and_says_what_it_said() {
    let (sender, receiver) = ([1; 32], [2; 32]);
    if std::env::var_os("CUNKOU_WRITE_VECTORS").is_some() {
        let mut writer =
            Writer::begin(&key(receiver), &sender, &head(), Vec::new()).expect("begun");
        for record in records() {
            writer.encoded(&record.encode()).expect("written");
        }
        let file = writer.finish(true).expect("finished");
        let mut body = Vec::new();
        minicbor::encode(head(), &mut body).expect("in memory");
        let vector = json!({
            "sender_seed": hex(&sender), "receiver_seed": hex(&receiver),
            "receiver_code": hex(&code_of(&key(receiver))), "head": hex(&body),
            "records": records().iter().map(|r| hex(&r.encode())).collect::<Vec<_>>(),
            "more": true, "file": hex(&file),
        });
        std::fs::write(PATH, format!("{vector:#}\n")).expect("written");
    }
    let text = std::fs::read_to_string(PATH).expect("the vector");
    let v: Value = serde_json::from_str(&text).expect("JSON");
    let file = unhex(&v["file"]);
    assert_eq!(hex(&file[4..12]), v["receiver_code"].as_str().expect("a code"));
    let mut reader = Reader::begin(&receiver, &file[..]).expect("it opens");
    assert_eq!((reader.sender(), reader.head()), (&key(sender), &head()));
    let mut body = Vec::new();
    minicbor::encode(head(), &mut body).expect("in memory");
    assert_eq!(body, unhex(&v["head"]), "one form alone");
    for (record, bytes) in records().into_iter().zip(v["records"].as_array().expect("a list")) {
        assert_eq!(record.encode(), unhex(bytes));
        assert_eq!(reader.record().expect("a record"), Some(record));
    }
    assert_eq!(reader.record().expect("the end"), None);
    assert_eq!(reader.more(), Some(true));
}
