//! What is said about an erasure, as released: docs/vectors/erasure.json.
//! `CUNKOU_WRITE_VECTORS=1` writes it anew.

use cunkou_casework::entry::{ClockSource, Entry, Header, Kind, LogPosition, Signers};
use cunkou_casework::erasure::{Basis, Saying};
use cunkou_casework::event::encode;
use cunkou_casework::ids::{DeviceId, EntryId, Incarnation, PersonId, SubjectId};
use cunkou_casework::suite::SecretKey;
use serde_json::{Value, json};
use std::path::Path;

fn hex(bytes: &[u8]) -> String {
    cunkou_casework::hex::encode(bytes)
}

fn sayings() -> [(&'static str, Option<PersonId>, Saying); 4] {
    let (officer, second) = (Some(PersonId([0x0f; 16])), Some(PersonId([0x5e; 16])));
    let asked = Saying::Asked {
        basis: Basis::Retention,
        number: "000470000015".into(),
        item: "S1-gaoling".into(),
        reason: "2037 年鉴定意见 3 号".into(),
    };
    let of = EntryId([0xa5; 32]);
    [
        ("Asked", officer, asked),
        ("Agreed", second, Saying::Agreed { asked: of }),
        ("Declined", second, Saying::Declined { asked: of, reason: "还在发放".into() }),
        ("Done", None, Saying::Done { agreed: of }),
    ]
}

fn entry(person: Option<PersonId>, saying: &Saying) -> Entry {
    let header = Header {
        salt: [0x5a; 16],
        person,
        device: DeviceId([0x40; 16]),
        incarnation: Incarnation([0x1c; 16]),
        seq: 7,
        previous: None,
        log: LogPosition { position: 12, head: EntryId([0x12; 32]) },
        claimed_ms: 2_114_000_000_000,
        clock: ClockSource::Relay,
    };
    let device = SecretKey::from_seed(&[0x40; 32]);
    let signers = Signers { device: &device, person: None, authority: None };
    Entry::sign(SubjectId([0x11; 16]), Kind::Erasure, header, encode(saying), signers)
        .expect("a small entry")
}

#[test]
fn what_is_said_about_an_erasure_is_made_and_read_as_it_was_released() {
    let made: Vec<Value> = sayings()
        .into_iter()
        .map(|(word, person, saying)| {
            let entry = entry(person, &saying);
            json!({
                "saying": word, "payload": hex(&encode(&saying)),
                "id": entry.id(), "bytes": hex(&entry.encode()),
            })
        })
        .collect();
    let made = json!({ "sayings": made });
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/vectors/erasure.json");
    if std::env::var_os("CUNKOU_WRITE_VECTORS").is_some() {
        let text = serde_json::to_string_pretty(&made).expect("plain values") + "\n";
        std::fs::write(&path, text).expect("the vectors are written");
    }
    let text = std::fs::read_to_string(&path).expect("the vectors are in the repository");
    let frozen: Value = serde_json::from_str(&text).expect("the vectors are JSON");
    assert_eq!(made, frozen, "erasure.json is frozen: today's program makes something else");
    for ((word, _, saying), row) in
        sayings().into_iter().zip(frozen["sayings"].as_array().expect("rows"))
    {
        let bytes =
            row["bytes"].as_str().and_then(cunkou_casework::hex::decode).expect("hexadecimal");
        let entry = Entry::decode(&bytes).expect("it stays readable");
        assert_eq!(Saying::decode(entry.payload()), Ok(saying), "{word}");
    }
}
