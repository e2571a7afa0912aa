//! What is erased is not on the disk any more: neither in rows nor in free pages, logs or files.
#![allow(missing_docs)]

use cunkou_store::{
    CaseRow, EntryState, ErasedRow, KeyKind, Lock, NewEntry, ResidentRow, Store, StoreError,
    StoredDocument,
};
use std::path::Path;
use tempfile::TempDir;

const CASE: [u8; 16] = [1; 16];
const RESIDENT: [u8; 16] = [2; 16];
const OTHER: [u8; 16] = [3; 16];
const SCOPE: &str = "place:11";
const ERASURE: u8 = 8;
const CANARY: &str = "金丝雀 130999194001010017";

fn photo() -> [u8; 32] {
    *blake3::hash(CANARY.as_bytes()).as_bytes()
}

fn shared() -> [u8; 32] {
    *blake3::hash(b"shared").as_bytes()
}

/// How many files in the folder hold these bytes.
fn found(folder: &Path, canary: &[u8]) -> usize {
    let mut n = 0;
    for file in std::fs::read_dir(folder).expect("a folder") {
        let path = file.expect("a file").path();
        if path.is_dir() {
            n += found(&path, canary);
        } else {
            let bytes = std::fs::read(&path).expect("readable");
            n += usize::from(bytes.windows(canary.len()).any(|w| w == canary));
        }
    }
    n
}

fn fill(store: &Store) -> Result<(), StoreError> {
    store.write_attachment(&photo(), CANARY.as_bytes())?;
    store.write_attachment(&shared(), b"shared")?;
    store.write(|tx| {
        for (n, subject, kind) in
            [(1, CASE, 1), (2, CASE, 2), (3, CASE, 8), (4, RESIDENT, 2), (5, OTHER, 1)]
        {
            let bytes =
                if kind == 8 { b"agreed".to_vec() } else { CANARY.repeat(200).into_bytes() };
            let entry = NewEntry {
                id: &[n; 32],
                subject: &subject,
                kind,
                via: 0,
                received_ms: 1,
                state: EntryState::Good,
                reason: (subject != OTHER && kind != ERASURE).then_some(CANARY),
                bytes: if subject == OTHER { b"kept" } else { &bytes },
            };
            tx.append(&entry, SCOPE)?;
        }
        let document = StoredDocument { pos: 2, bytes: CANARY.repeat(300).into_bytes() };
        for subject in [CASE, RESIDENT] {
            tx.set_document(&subject, &document)?;
        }
        tx.set_subject(&CASE, 1, SCOPE)?;
        tx.set_case_row(&CaseRow {
            subject: CASE,
            number: "000470000015".into(),
            resident: RESIDENT,
            applicant: CANARY.into(),
            ..CaseRow::default()
        })?;
        let row = ResidentRow {
            subject: RESIDENT,
            place: 11,
            name: CANARY.into(),
            ..ResidentRow::default()
        };
        tx.set_resident(&row, &[(KeyKind::Name, CANARY.to_owned())])?;
        for (id, bytes) in [(photo(), 30), (shared(), 6)] {
            tx.attachment_named(&id, SCOPE, &CASE)?;
            tx.attachment_here(&id, bytes)?;
        }
        tx.attachment_named(&shared(), SCOPE, &OTHER)
    })
}

#[test]
fn nothing_of_an_erased_subject_is_found_on_the_disk_and_the_rest_is_untouched() {
    let folder = TempDir::new().expect("a folder");
    // Not encrypted: so that what is left would be seen.
    let store = Store::open(folder.path(), &Lock::Plain).expect("a new store");
    fill(&store).expect("filled");
    store.checkpoint().expect("the disk works");
    assert!(found(folder.path(), CANARY.as_bytes()) >= 2, "the control finds it");
    for subject in [CASE, RESIDENT] {
        let row = ErasedRow { subject, agreed: [3; 32], scope: SCOPE.into(), at_ms: 5 };
        store.write(|tx| tx.erase(&row, ERASURE)).expect("erased");
    }
    let files = store.read(|view| view.attachments_gone()).expect("readable");
    assert_eq!(files, [photo()], "what another subject names stays");
    for id in &files {
        store.remove_attachment(id).expect("removed");
        store.write(|tx| tx.attachment_removed(id)).expect("noted");
    }
    store.checkpoint().expect("the disk works");
    assert_eq!(found(folder.path(), CANARY.as_bytes()), 0);
    assert_eq!(
        store.read_attachment(&shared()).expect("readable").as_deref(),
        Some(&b"shared"[..])
    );
    let rows = store.read(|view| view.entries_of(&CASE)).expect("readable");
    let left: Vec<(u8, bool)> = rows.iter().map(|r| (r.kind, r.bytes.is_empty())).collect();
    assert_eq!(left, [(1, true), (2, true), (8, false)], "names stay");
    let other = store.read(|view| view.entries_of(&OTHER)).expect("readable");
    assert_eq!(other[0].bytes, b"kept");
}
