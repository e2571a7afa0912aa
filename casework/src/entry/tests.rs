use super::*;
use proptest::prelude::*;

fn header() -> Header {
    Header {
        salt: [1; 16],
        person: Some(PersonId([2; 16])),
        device: DeviceId([3; 16]),
        incarnation: Incarnation([4; 16]),
        seq: 5,
        previous: Some(EntryId([6; 32])),
        log: LogPosition { position: 7, head: EntryId([8; 32]) },
        claimed_ms: 1_795_000_000_000,
        clock: ClockSource::Rtc,
    }
}

fn device() -> SecretKey {
    SecretKey::from_seed(&[11; 32])
}

fn person() -> SecretKey {
    SecretKey::from_seed(&[12; 32])
}

fn entry(payload: &[u8]) -> Entry {
    Entry::sign(
        SubjectId([9; 16]),
        Kind::Event,
        header(),
        payload.to_vec(),
        Signers { device: &device(), person: Some(&person()), authority: None },
    )
    .expect("a small entry")
}

#[test]
fn an_entry_reads_back_from_its_bytes_with_its_name_and_signatures() {
    let made = entry(b"payload");
    let read = Entry::decode(&made.encode()).expect("its own bytes");
    assert_eq!(read, made);
    assert!(read.signed_by(SignerRole::Device, &device().public()));
    assert!(read.signed_by(SignerRole::Person, &person().public()));
    assert!(!read.signed_by(SignerRole::Person, &device().public()));
    assert!(!read.signed_by(SignerRole::Authority, &device().public()));
}

#[test]
fn an_entry_longer_than_64_kib_is_not_made_and_not_read() {
    let signers = Signers { device: &device(), person: None, authority: None };
    let long = vec![0; ENTRY_BYTES_MAX];
    let made = Entry::sign(SubjectId([9; 16]), Kind::Event, header(), long, signers);
    assert!(matches!(made, Err(BadEntry::TooLong(_))));
    assert!(matches!(Entry::decode(&vec![0; ENTRY_BYTES_MAX + 1]), Err(BadEntry::TooLong(_))));
}

#[test]
fn a_newer_version_is_named_as_such() {
    let mut bytes = entry(b"x").encode();
    assert_eq!(bytes[1], VERSION);
    bytes[1] = 2;
    assert_eq!(Entry::decode(&bytes), Err(BadEntry::Version(2)));
}

proptest! {
    #[test]
    fn a_changed_byte_is_refused_or_breaks_a_signature(at in 0usize..400, bit in 0u8..8) {
        let made = entry(b"a payload of some length so that many bytes exist");
        let mut bytes = made.encode();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        if let Ok(read) = Entry::decode(&bytes) {
            prop_assert_ne!(read.id(), made.id());
            prop_assert!(
                !read.signed_by(SignerRole::Device, &device().public())
                    || !read.signed_by(SignerRole::Person, &person().public())
            );
        }
    }

    #[test]
    fn bytes_of_a_stranger_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = Entry::decode(&bytes);
    }
}
