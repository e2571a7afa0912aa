//! What a thief finds in the folder of a store.
#![allow(missing_docs)]

use cunkou_keys::Key;
use cunkou_store::{EntryState, Lock, NewEntry, Store, StoreError};
use std::path::Path;
use tempfile::TempDir;

const CANARY: &str = "110101199003071233";

fn lock(n: u8) -> Lock {
    Lock::Key(Key::of([n; 32]))
}

/// A store with the canary in a row, in a name, in a deleted row and in an attachment. The store
/// is returned open, so that the write-ahead log is as a power cut leaves it.
fn filled(folder: &Path, lock: &Lock) -> Store {
    let store = Store::open(folder, lock).expect("a new store");
    let entry = NewEntry {
        id: &[1; 32],
        subject: &[1; 16],
        kind: 1,
        via: 0,
        received_ms: 1,
        state: EntryState::Waiting,
        reason: Some(CANARY),
        bytes: CANARY.as_bytes(),
    };
    store.write(|tx| tx.append(&entry, "place:1")).expect("written");
    store.write(|tx| tx.set_meta("gone", CANARY.as_bytes())).expect("written");
    store.write(|tx| tx.forget_meta("gone")).expect("deleted");
    let photo = [CANARY.as_bytes(), &[7; 200_000], CANARY.as_bytes()].concat();
    let id = *blake3::hash(&photo).as_bytes();
    store.write_attachment(&id, &photo).expect("written");
    assert_eq!(store.read_attachment(&id).expect("readable"), Some(photo));
    store
}

fn hits(folder: &Path) -> usize {
    let mut all = 0;
    for found in std::fs::read_dir(folder).expect("a folder") {
        let path = found.expect("there").path();
        if path.is_dir() {
            all += hits(&path);
        } else {
            let bytes = std::fs::read(&path).expect("readable");
            all += bytes.windows(CANARY.len()).filter(|w| *w == CANARY.as_bytes()).count();
        }
    }
    all
}

#[test]
fn a_stolen_store_shows_nothing_and_the_same_search_finds_everything_where_nothing_is_encrypted() {
    let (plain, locked) = (TempDir::new().expect("a folder"), TempDir::new().expect("a folder"));
    let _open = (filled(plain.path(), &Lock::Plain), filled(locked.path(), &lock(1)));
    assert!(hits(plain.path()) >= 4, "the control: {}", hits(plain.path()));
    assert_eq!(hits(locked.path()), 0);
    let head = std::fs::read(locked.path().join("work.db")).expect("readable");
    assert!(!head.starts_with(b"SQLite format"));
}

#[test]
fn the_wrong_key_is_named_and_changes_nothing() {
    let folder = TempDir::new().expect("a folder");
    drop(filled(folder.path(), &lock(1)));
    let before = std::fs::read(folder.path().join("work.db")).expect("readable");
    for wrong in [lock(2), Lock::Plain] {
        assert!(matches!(Store::open(folder.path(), &wrong), Err(StoreError::WrongKey)));
    }
    assert_eq!(std::fs::read(folder.path().join("work.db")).expect("readable"), before);
    let again = Store::open(folder.path(), &lock(1)).expect("the right key");
    assert_eq!(again.entry_count(), 1);
    assert_eq!(again.faults().expect("checked"), Vec::<String>::new());
}

trait Count {
    fn entry_count(&self) -> u64;
}

impl Count for Store {
    fn entry_count(&self) -> u64 {
        self.read(|view| view.entry_count()).expect("the store works")
    }
}

#[test]
fn names_of_files_do_not_tell_who_has_the_same_photo() {
    let (one, two) = (TempDir::new().expect("a folder"), TempDir::new().expect("a folder"));
    let _stores = (filled(one.path(), &lock(1)), filled(two.path(), &lock(2)));
    let names = |folder: &Path| -> Vec<std::ffi::OsString> {
        let first = std::fs::read_dir(folder.join("attachments")).expect("a folder");
        first.map(|e| e.expect("there").file_name()).collect()
    };
    assert_ne!(names(one.path()), names(two.path()));
}

#[test]
fn a_rotten_page_is_found_by_the_check() {
    let folder = TempDir::new().expect("a folder");
    let store = filled(folder.path(), &lock(1));
    // Pages at the end that nobody reads while opening.
    let bulk = store.write(|tx| tx.set_meta("bulk", &[7; 200_000]));
    bulk.expect("the store works");
    store.checkpoint().expect("written out");
    drop(store);
    let path = folder.path().join("work.db");
    let mut bytes = std::fs::read(&path).expect("readable");
    let at = bytes.len() - 100;
    bytes[at] ^= 1;
    std::fs::write(&path, bytes).expect("the disk rots");
    let store = Store::open(folder.path(), &lock(1)).expect("its first page is whole");
    assert!(!store.faults().expect("checked").is_empty());
}

#[test]
fn a_page_that_a_cut_left_half_written_and_the_log_has_whole_is_no_fault() {
    let (folder, cut) = (TempDir::new().expect("a folder"), TempDir::new().expect("a folder"));
    let store = filled(folder.path(), &lock(1));
    store.checkpoint().expect("written out");
    store.write(|tx| tx.set_meta("bulk", &[7; 200_000])).expect("the store works");
    // As a cut in the middle of the next checkpoint leaves it.
    for name in ["work.db", "work.db-wal"] {
        std::fs::copy(folder.path().join(name), cut.path().join(name)).expect("copied");
    }
    let path = cut.path().join("work.db");
    let mut bytes = std::fs::read(&path).expect("readable");
    bytes[3000..3512].fill(0);
    std::fs::write(&path, bytes).expect("torn");
    let store = Store::open(cut.path(), &lock(1)).expect("the log has the page");
    assert_eq!(store.faults().expect("checked"), Vec::<String>::new());
}

#[test]
fn a_snapshot_is_consistent_and_under_the_same_key() {
    let (folder, copy) = (TempDir::new().expect("a folder"), TempDir::new().expect("a folder"));
    let store = filled(folder.path(), &lock(1));
    store.snapshot(&copy.path().join("work.db")).expect("copied");
    assert_eq!(hits(copy.path()), 0);
    assert!(matches!(Store::open(copy.path(), &lock(2)), Err(StoreError::WrongKey)));
    assert_eq!(Store::open(copy.path(), &lock(1)).expect("the same key").entry_count(), 1);
}
