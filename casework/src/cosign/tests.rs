use super::*;
use crate::checkpoint::tests::{Log, relay};
use crate::county::{CountyLog, Device, Numbered, Statement};
use crate::entry::{ClockSource, Header, Kind, Signers};
use crate::ids::{DeviceId, Incarnation};

fn secret(n: u8) -> SecretKey {
    SecretKey::from_seed(&[n; 32])
}

/// The county log of a county with one relay, and more devices.
fn statements(name: &str, kind: DeviceKind) -> Vec<Entry> {
    let county = SubjectId([0xc0; 16]);
    let mut log = CountyLog::new(county, secret(99).public());
    let device = Device {
        id: DeviceId([1; 16]),
        key: relay().public(),
        kind,
        name: "县平台".into(),
        places: Vec::new(),
        phone: String::new(),
    };
    let said = [
        Statement::Founded { name: name.into(), authority: secret(99).public() },
        Statement::Device(device),
    ];
    let mut out = Vec::new();
    for (i, statement) in said.into_iter().enumerate() {
        let head = log.head();
        let numbered = Numbered { position: head.position + 1, previous: head.head, statement };
        let header = Header {
            salt: [i as u8; 16],
            person: None,
            device: DeviceId([1; 16]),
            incarnation: Incarnation([2; 16]),
            seq: i as u64 + 1,
            previous: None,
            log: head,
            claimed_ms: 5,
            clock: ClockSource::Unknown,
        };
        let (device, authority) = (relay(), secret(99));
        let signers = Signers { device: &device, person: None, authority: Some(&authority) };
        let entry = Entry::sign(county, Kind::County, header, encode(&numbered), signers);
        let entry = entry.expect("a small entry");
        log.take(&entry).expect("it may be stated");
        out.push(entry);
    }
    out
}

fn at(log: &Log, time_ms: i64, of: [u8; 32]) -> SignedCheckpoint {
    SignedCheckpoint::new(&Checkpoint { time_ms, log: of, ..log.says() }, &relay())
}

fn letter(log: &Log, time_ms: i64, since: &[u64]) -> Letter {
    let since = since.iter().map(|size| (*size, log.since(*size)));
    let county = statements("清河县", DeviceKind::Relay);
    Letter::new(&county, at(log, time_ms, [7; 32]), since).expect("a small letter")
}

fn held(letter: &Letter) -> Vec<Held> {
    vec![Held { fingerprint: letter.fingerprint(), checkpoint: letter.checkpoint.clone() }]
}

#[test]
fn an_auditor_signs_the_first_log_and_then_what_continues_it() {
    let first = letter(&Log::of(&[1, 2, 3]), 10, &[]);
    let (new, then) = first.judge(&[], false).expect("the first");
    assert_eq!((new.size, then), (3, None));
    let next = letter(&Log::of(&[1, 2, 3, 4, 5]), 20, &[1, 3]);
    let (new, then) = next.judge(&held(&first), false).expect("it continues");
    assert_eq!((new.size, then.map(|c| c.size)), (5, Some(3)));
    let again = first.judge(&held(&first), false).expect("the same once more");
    assert_eq!(again.0.size, 3);
}

#[test]
fn a_log_that_was_rewritten_cut_or_begun_anew_is_not_signed() {
    let first = letter(&Log::of(&[1, 2, 3]), 10, &[]);
    let judged = |letter: &Letter| letter.judge(&held(&first), false).map(|_| ());
    for (what, rewritten) in [
        ("one dropped", &[1, 3, 4, 5][..]),
        ("one replaced", &[1, 9, 3, 4]),
        ("the same length with another end", &[1, 2, 9]),
    ] {
        let refused = judged(&letter(&Log::of(rewritten), 20, &[3]));
        assert_eq!(refused, Err(Refused::Rewritten), "{what}");
    }
    let shorter = judged(&letter(&Log::of(&[1, 2]), 20, &[]));
    assert_eq!(shorter, Err(Refused::Shorter { held: 3, size: 2 }));
    assert!(shorter.is_err_and(|why| why.is_evidence()));
    let older = judged(&letter(&Log::of(&[1, 2]), 5, &[]));
    assert_eq!(older, Err(Refused::Older), "last month's letter is nobody's fault");
    let silent = judged(&letter(&Log::of(&[1, 2, 3, 4]), 20, &[2]));
    assert_eq!(silent, Err(Refused::NotShown(3)));
    let anew = Letter { checkpoint: at(&Log::of(&[1]), 20, [8; 32]), ..first.clone() };
    assert_eq!(judged(&anew), Err(Refused::NewLog));
    assert!(anew.judge(&held(&first), true).is_ok(), "its owner has explained it");
}

#[test]
fn only_a_relay_of_the_same_county_is_believed() {
    let log = Log::of(&[1, 2, 3]);
    let good = letter(&log, 10, &[]);
    let other = statements("白云县", DeviceKind::Relay);
    let other = Letter::new(&other, good.checkpoint.clone(), []).expect("a letter");
    assert!(other.judge(&[], false).is_ok());
    let refused = other.judge(&held(&good), false);
    assert_eq!(refused, Err(Refused::OtherCounty(other.fingerprint())));
    let a_box = statements("清河县", DeviceKind::Village);
    let a_box = Letter::new(&a_box, good.checkpoint.clone(), []).expect("a letter");
    assert_eq!(a_box.judge(&[], false), Err(Refused::NoRelay));
    let by_stranger = SignedCheckpoint::new(&log.says(), &secret(66));
    let by_stranger = Letter { checkpoint: by_stranger, ..good.clone() };
    assert_eq!(by_stranger.judge(&[], false), Err(Refused::NoRelay));
    let mut cut = good;
    cut.county_log.swap(0, 1);
    assert!(matches!(cut.judge(&[], false), Err(Refused::Letter(_))));
}

#[test]
fn a_letter_reads_back_with_the_signatures_that_it_has() {
    let mut letter = letter(&Log::of(&[1, 2, 3]), 10, &[2, 1, 2]);
    let auditor = secret(3);
    assert!(letter.cosigners(&relay().public()).is_empty());
    letter.cosign(&auditor);
    let read = Letter::decode(&letter.encode()).expect("its own bytes");
    assert_eq!(read, letter);
    assert_eq!(read.since.iter().map(|s| s.size).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(read.cosigners(&relay().public()), [auditor.public()]);
    assert_eq!(Letter::decode(b"case"), Err(BadExport::Other));
    let newer = Letter { version: 2, ..letter.clone() };
    assert_eq!(Letter::decode(&newer.encode()), Err(BadExport::Version(2)));
    let mut unsorted = letter;
    unsorted.since.reverse();
    assert!(matches!(Letter::decode(&unsorted.encode()), Err(BadExport::Form(_))));
}
