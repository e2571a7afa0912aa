//! A receipt holds as it was given, and in no other way.

use super::*;
use crate::county::{Device, DeviceKind, Numbered, Statement};
use crate::entry::{ClockSource, Entry, Header, Kind, Signers};
use crate::ids::{Incarnation, PlaceId, SubjectId};
use proptest::prelude::*;

const BOX: u8 = 2;

fn secret(n: u8) -> SecretKey {
    SecretKey::from_seed(&[n; 32])
}

/// A county with a relay and a box.
fn county(name: u8) -> CountyLog {
    let mut log = CountyLog::new(SubjectId([name; 16]), secret(99).public());
    let device = |n: u8, kind| {
        let (id, key) = (DeviceId([n; 16]), secret(n).public());
        let places = if kind == DeviceKind::Relay { vec![] } else { vec![PlaceId(11)] };
        Statement::Device(Device {
            id, key, kind, name: "云岭村".into(), places, phone: "".into()
        })
    };
    let said = [
        Statement::Founded { name: "清河县".into(), authority: secret(99).public() },
        device(1, DeviceKind::Relay),
        device(BOX, DeviceKind::Village),
    ];
    for statement in said {
        let log_position = log.head();
        let (position, previous) = (log_position.position + 1, log_position.head);
        let header = Header {
            salt: [position as u8; 16],
            person: None,
            device: DeviceId([1; 16]),
            incarnation: Incarnation([1; 16]),
            seq: position,
            previous: None,
            log: log_position,
            claimed_ms: 1_795_000_000_000,
            clock: ClockSource::Relay,
        };
        let payload = encode(&Numbered { position, previous, statement });
        let (relay, authority) = (secret(1), secret(99));
        let signers = Signers { device: &relay, person: None, authority: Some(&authority) };
        let entry = Entry::sign(log.county, Kind::County, header, payload, signers);
        log.take(&entry.expect("small")).expect("the next");
    }
    log
}

fn receipt() -> Receipt {
    Receipt {
        number: 470_000_015,
        submission: EntryId([0x5b; 32]),
        item: "S1-gaoling".into(),
        at_ms: 1_795_000_000_000,
        device: DeviceId([BOX; 16]),
    }
}

fn given() -> SignedReceipt {
    SignedReceipt::new(&receipt(), &secret(BOX))
}

#[test]
fn what_a_box_of_the_county_gave_is_read_without_a_network() {
    let code = given().code();
    assert!(code.len() < 350, "a small QR code: {}", code.len());
    assert!(code.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == ':'));
    // As a scanner with the wrong case and a line end types it.
    let typed = format!(" {}\n", code.to_lowercase());
    let read = SignedReceipt::parse(&typed).expect("a code");
    assert_eq!(read.check(&county(0xc0)), Ok(receipt()));
    assert_eq!(code, given().code(), "the same receipt gives the same code");
}

#[test]
fn threat_17_another_key_another_device_and_another_text_are_refused() {
    let county = county(0xc0);
    let forged = SignedReceipt::new(&receipt(), &secret(66));
    assert_eq!(forged.check(&county), Err(BadReceipt::Forged));
    let stranger = Receipt { device: DeviceId([9; 16]), ..receipt() };
    let stranger = SignedReceipt::new(&stranger, &secret(9));
    assert_eq!(stranger.check(&county), Err(BadReceipt::UnknownDevice));
    // The signature of one receipt under the words of another.
    let other = encode(&Receipt { number: 470_000_023, ..receipt() }).into();
    let moved = SignedReceipt { body: other, signature: given().signature };
    assert_eq!(moved.check(&county), Err(BadReceipt::Forged));
    for text in ["", "4711-0002-6318", "CUNKOU:R2:00", "CUNKOU:E1:00", &"A".repeat(2000)] {
        assert_eq!(SignedReceipt::parse(text), Err(BadReceipt::Other), "{text}");
    }
    for text in ["CUNKOU:R1:", "CUNKOU:R1:0", "CUNKOU:R1:ZZ", "CUNKOU:R1:FFFF"] {
        assert_eq!(SignedReceipt::parse(text), Err(BadReceipt::Damaged), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]
    #[test]
    fn threat_17_no_changed_code_is_a_receipt(
        at in any::<prop::sample::Index>(), to in any::<u8>(), cut in any::<prop::sample::Index>(), how in 0u8..3,
    ) {
        let code = given().code();
        let mut bytes = code.clone().into_bytes();
        match how {
            0 => { let i = at.index(bytes.len()); bytes[i] = to; }
            1 => bytes.truncate(cut.index(bytes.len())),
            _ => { let i = at.index(bytes.len()); bytes.insert(i, to); }
        }
        let changed = String::from_utf8_lossy(&bytes).into_owned();
        let same: String = changed.chars().filter(|c| !c.is_whitespace()).collect();
        prop_assume!(same.to_ascii_uppercase() != code);
        let believed = SignedReceipt::parse(&changed).and_then(|read| read.check(&county(0xc0)));
        prop_assert!(believed.is_err(), "{}", changed);
    }
}
