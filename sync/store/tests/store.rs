//! The store's promises, on a real database in a folder of its own.
#![allow(missing_docs)]

use cunkou_engine::Part;
use cunkou_keys::Key;
use cunkou_store::{
    AttachmentState, EntryState, KeyKind, LOOK_KEPT_MS, Listed, Lock, LookRow, NewEntry, PeerRow,
    Redeemed, ResidentRow, Store, StoreError,
};
use proptest::prelude::*;
use tempfile::TempDir;

const A: &str = "place:11";
const B: &str = "place:12";

fn lock() -> Lock {
    Lock::Key(Key::of([42; 32]))
}

fn store() -> (TempDir, Store) {
    let folder = TempDir::new().expect("a folder");
    let store = Store::open(folder.path(), &lock()).expect("a new store");
    (folder, store)
}

fn entry<'a>(id: &'a [u8; 32], via: i64, bytes: &'a [u8]) -> NewEntry<'a> {
    NewEntry {
        id,
        subject: &[1; 16],
        kind: 1,
        via,
        received_ms: 1000,
        state: EntryState::Good,
        reason: None,
        bytes,
    }
}

fn append(store: &Store, n: u8, via: i64, scope: &str) -> Option<u64> {
    let (id, bytes) = ([n; 32], [n; 10]);
    store.write(|tx| tx.append(&entry(&id, via, &bytes), scope)).expect("the store works")
}

fn log(store: &Store, scope: &str, after: u64, peer: i64, most: usize) -> (u64, Vec<u8>) {
    let part = Part::behind(scope, after, most);
    let (upto, entries) =
        store.read(|view| view.log_part(&part, peer, u64::MAX >> 1)).expect("the store works");
    (upto, entries.iter().map(|e| e[0]).collect())
}

fn head(store: &Store, scope: &str) -> u64 {
    store.read(|view| view.head(scope)).expect("the store works")
}

fn peer(device: u8, epoch: u8) -> PeerRow {
    PeerRow {
        id: 0,
        device: [device; 16],
        store: [device; 16],
        epoch: [epoch; 16],
        name: format!("peer {device}"),
        software: "1".into(),
        seen_ms: 5,
        clock_error_ms: 0,
        completed_ms: None,
        features: 0,
    }
}

fn greet(store: &Store, seen: &PeerRow) -> i64 {
    store.write(|tx| tx.greet_peer(seen)).expect("the store works").id
}

#[test]
fn the_log_of_each_scope_counts_without_gaps_whatever_else_is_appended_or_undone() {
    let (_folder, store) = store();
    assert_eq!(append(&store, 1, 0, A), Some(1));
    assert_eq!(append(&store, 2, 0, B), Some(2));
    // Here already: no position, no place in any log.
    assert_eq!(append(&store, 1, 0, A), None);
    assert_eq!(append(&store, 1, 0, B), None);
    // Undone: its number is given again.
    let undone = store.write(|tx| {
        tx.append(&entry(&[9; 32], 0, &[9; 10]), A)?;
        Err::<(), _>(StoreError::Poisoned)
    });
    assert!(matches!(undone, Err(StoreError::Poisoned)));
    assert_eq!(append(&store, 3, 0, A), Some(3));
    assert_eq!((head(&store, A), head(&store, B), head(&store, "place:13")), (2, 1, 0));
    assert_eq!(log(&store, A, 0, 7, 1000), (2, vec![1, 3]));
    assert_eq!(log(&store, A, 1, 7, 1000), (2, vec![3]));
    assert_eq!(log(&store, A, 2, 7, 1000), (2, vec![]));
}

#[test]
fn the_log_goes_on_where_it_was_after_the_store_is_opened_again() {
    let (folder, first) = store();
    append(&first, 1, 0, A);
    let peer_id = greet(&first, &peer(5, 1));
    first
        .write(|tx| {
            tx.set_cursor(peer_id, A, 17)?;
            tx.set_acked(peer_id, A, 1)
        })
        .expect("the store works");
    drop(first);
    let again = Store::open(folder.path(), &lock()).expect("the same store");
    assert_eq!(append(&again, 2, 0, A), Some(2));
    assert_eq!(log(&again, A, 0, 0, 1000), (2, vec![]));
    assert_eq!(log(&again, A, 0, 9, 1000), (2, vec![1, 2]));
    let cursor = again.read(|view| view.cursor(peer_id, A)).expect("the store works");
    assert_eq!(cursor, 17);
}

#[test]
fn what_a_peer_gave_us_is_not_sent_back_but_its_positions_are_passed() {
    let (_folder, store) = store();
    let (box_a, box_b) = (greet(&store, &peer(1, 1)), greet(&store, &peer(2, 1)));
    append(&store, 1, box_a, A);
    append(&store, 2, 0, A);
    append(&store, 3, box_a, A);
    append(&store, 4, box_b, A);
    append(&store, 5, box_a, A);
    assert_eq!(log(&store, A, 0, box_a, 1000), (5, vec![2, 4]));
    assert_eq!(log(&store, A, 0, box_b, 1000), (5, vec![1, 2, 3, 5]));
    assert_eq!(log(&store, A, 4, box_a, 1000), (5, vec![]));
}

#[test]
fn a_part_of_the_log_is_about_as_long_as_asked_and_never_empty_before_the_end() {
    let (_folder, store) = store();
    (1..=5).for_each(|n| {
        append(&store, n, 0, A);
    });
    assert_eq!(log(&store, A, 0, 7, 1), (1, vec![1]), "one too long still goes");
    assert_eq!(log(&store, A, 1, 7, 25), (3, vec![2, 3]));
    assert_eq!(log(&store, A, 3, 7, 20), (5, vec![4, 5]));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..<_>::default() })]

    #[test]
    fn reading_part_after_part_gives_everything_once_in_order(
        vias in proptest::collection::vec(0i64..3, 1..40),
        most in 1usize..60,
    ) {
        let (_folder, store) = store();
        for (n, via) in vias.iter().enumerate() {
            append(&store, n as u8, *via, A);
        }
        let (mut at, mut read) = (0, Vec::new());
        while at < head(&store, A) {
            let (upto, entries) = log(&store, A, at, 1, most);
            prop_assert!(upto > at, "each part leads on");
            read.extend(entries);
            at = upto;
        }
        let others = (0..vias.len()).filter(|n| vias[*n] != 1);
        let expected: Vec<u8> = others.map(|n| n as u8).collect();
        prop_assert_eq!(read, expected);
    }
}

#[test]
fn what_nobody_has_acknowledged_is_counted_and_what_came_from_elsewhere_is_not() {
    let (_folder, store) = store();
    let (relay, other) = (greet(&store, &peer(1, 1)), greet(&store, &peer(2, 1)));
    append(&store, 1, 0, A);
    append(&store, 2, 0, B);
    append(&store, 3, relay, A);
    append(&store, 4, 0, A);
    let unsent = || {
        let unsent = store.read(|view| view.unsent()).expect("the store works");
        (unsent.entries, unsent.bytes)
    };
    let acked = |peer, scope, seq| {
        store.write(|tx| tx.set_acked(peer, scope, seq)).expect("the store works");
    };
    assert_eq!(unsent(), (3, 30));
    acked(relay, A, 1);
    assert_eq!(unsent(), (2, 20));
    acked(other, A, 2);
    assert_eq!(unsent(), (2, 20), "the second in that log came from elsewhere");
    acked(relay, B, 1);
    assert_eq!(unsent(), (1, 10));
    acked(other, A, 3);
    assert_eq!(unsent(), (0, 0), "one peer that has it is enough");
    append(&store, 5, relay, A);
    assert_eq!(unsent(), (0, 0));
    append(&store, 6, 0, B);
    assert_eq!(unsent(), (1, 10));
}

#[test]
fn a_peer_of_another_epoch_is_read_from_the_start_and_keeps_its_number() {
    let (_folder, store) = store();
    let id = greet(&store, &peer(1, 1));
    let cursor = || store.read(|view| view.cursor(id, A)).expect("the store works");
    store.write(|tx| tx.set_cursor(id, A, 9)).expect("the store works");
    append(&store, 1, 0, A);
    store.write(|tx| tx.set_acked(id, A, 1)).expect("the store works");
    assert_eq!(greet(&store, &peer(1, 1)), id);
    assert_eq!(cursor(), 9, "the same epoch: the cursor stands");
    assert_eq!(greet(&store, &peer(1, 2)), id);
    assert_eq!(cursor(), 0);
    let unsent = store.read(|view| view.unsent()).expect("the store works");
    assert_eq!(unsent.entries, 1, "what it had acknowledged may be lost");
}

fn resident(n: u8, name: &str, group: &str) -> ResidentRow {
    ResidentRow {
        subject: [n; 16],
        place: 11,
        name: name.into(),
        birth: format!("19{n:02}-01-01"),
        group: group.into(),
        ..ResidentRow::default()
    }
}

fn found(store: &Store, text: &str, group: Option<&str>) -> Vec<(String, Vec<KeyKind>)> {
    let hits = store.read(|view| view.search_residents(text, group, 20)).expect("the store works");
    hits.into_iter().map(|hit| (hit.row.name, hit.by)).collect()
}

#[test]
fn residents_are_found_by_the_beginning_of_any_key_names_before_the_rest() {
    let (_folder, store) = store();
    let keep = |row: ResidentRow, keys: &[(KeyKind, &str)]| {
        let keys: Vec<_> = keys.iter().map(|(kind, key)| (*kind, (*key).to_owned())).collect();
        store.write(|tx| tx.set_resident(&row, &keys)).expect("the store works");
    };
    use KeyKind::{Head, Initials, Name, Phone, Pinyin, Tail};
    keep(resident(1, "张三", "3"), &[(Name, "张三"), (Initials, "zs"), (Pinyin, "zhangsan")]);
    keep(resident(2, "张三丰", "4"), &[(Name, "张三丰"), (Initials, "zsf"), (Tail, "0101")]);
    keep(resident(3, "李四", "3"), &[(Head, "张三"), (Name, "李四"), (Phone, "13900000101")]);
    assert_eq!(
        found(&store, "张三", None),
        [
            ("张三".to_owned(), vec![Name]),
            ("张三丰".to_owned(), vec![Name]),
            ("李四".to_owned(), vec![Head]),
        ]
    );
    assert_eq!(found(&store, "张三", Some("3")).len(), 2);
    assert_eq!(found(&store, "zs", None).len(), 2);
    assert_eq!(found(&store, "zhang", None), [("张三".to_owned(), vec![Pinyin])]);
    assert_eq!(found(&store, "0101", None), [("张三丰".to_owned(), vec![Tail])]);
    assert_eq!(found(&store, "139", None), [("李四".to_owned(), vec![Phone])]);
    assert!(found(&store, "三", None).is_empty(), "only beginnings are found");
    for special in ["%", "_", "'", "*", "\u{10FFFF}", "张%"] {
        assert!(found(&store, special, None).is_empty(), "{special} means itself");
    }
    // A changed name takes its old keys away.
    keep(resident(1, "章三", "3"), &[(Name, "章三")]);
    assert_eq!(found(&store, "张三", None).len(), 2);
    assert_eq!(found(&store, "zhang", None), []);
    let exact = store.read(|view| view.residents_with_key(Tail, "0101")).expect("the store works");
    assert_eq!(exact, [[2; 16]]);
}

#[test]
fn an_attachment_is_on_disk_when_written_and_still_there_when_opened_again() {
    let (folder, first) = store();
    let photo = b"a photo".to_vec();
    let id = *blake3::hash(&photo).as_bytes();
    assert_eq!(first.read_attachment(&id).expect("readable"), None);
    first.write(|tx| tx.attachment_named(&id, A, &[1; 16])).expect("the store works");
    let wanted = |store: &Store, scope: &str| {
        store.read(|view| view.wanted(&[scope.to_owned()], 10)).expect("the store works")
    };
    assert_eq!(wanted(&first, A), [id]);
    assert!(wanted(&first, B).is_empty(), "another village's photos are not asked for");

    first.write_attachment(&id, &photo).expect("written");
    first.write(|tx| tx.attachment_here(&id, photo.len() as u64)).expect("the store works");
    first.write_attachment(&id, &photo).expect("written again, harmlessly");
    drop(first);
    let again = Store::open(folder.path(), &lock()).expect("the same store");
    assert_eq!(again.read_attachment(&id).expect("readable"), Some(photo));
    assert!(wanted(&again, A).is_empty());
    let row = again.read(|view| view.attachment(&id)).expect("the store works").expect("a row");
    assert_eq!((row.state, row.bytes), (AttachmentState::Here, 7));
    let of = again.read(|view| view.attachments_of(&[1; 16])).expect("the store works");
    assert_eq!(of, (1, 1));
    let parts = std::fs::read_dir(folder.path().join("attachments")).expect("a folder").count();
    assert_eq!(parts, 1, "nothing unfinished is left behind");
}

#[test]
fn an_attachment_whose_bytes_have_another_hash_is_refused_and_nothing_is_written() {
    let (folder, store) = store();
    let id = *blake3::hash(b"a photo").as_bytes();
    let refused = store.write_attachment(&id, b"another photo");
    assert!(matches!(refused, Err(StoreError::Damaged { what: "attachment" })));
    assert_eq!(store.read_attachment(&id).expect("readable"), None);
    let left = std::fs::read_dir(folder.path().join("attachments")).expect("a folder").count();
    assert_eq!(left, 0);
}

/// The only file among the attachments, whatever it is called.
fn the_file(folder: &TempDir) -> std::path::PathBuf {
    let first = |path: &std::path::Path| {
        std::fs::read_dir(path).expect("a folder").next().expect("something").expect("there").path()
    };
    first(&first(&folder.path().join("attachments")))
}

#[test]
fn a_rotten_attachment_is_noticed_when_it_is_read() {
    let (folder, store) = store();
    let id = *blake3::hash(b"a photo").as_bytes();
    store.write_attachment(&id, b"a photo").expect("written");
    std::fs::write(the_file(&folder), b"a phot0").expect("the disk rots");
    let rotten = store.read_attachment(&id);
    assert!(matches!(rotten, Err(StoreError::Damaged { what: "attachment" })));
}

#[test]
fn a_database_of_a_program_with_the_first_half_of_a_step_gets_the_second() {
    let (folder, store) = store();
    append(&store, 1, 0, A);
    let before = store.read(|tx| tx.name_sum(A)).expect("read");
    drop(store);
    let db = rusqlite::Connection::open(folder.path().join("work.db")).expect("the database");
    db.pragma_update(None, "key", format!("x'{}'", "2a".repeat(32))).expect("the key");
    let half = "ALTER TABLE head DROP COLUMN sum; DROP TABLE repair; DROP INDEX log_pos;";
    db.execute_batch(half).expect("as it was");
    drop(db);
    for time in ["first", "second"] {
        let store = Store::open(folder.path(), &lock()).expect("opened");
        let sum = store.read(|tx| tx.name_sum(A)).expect("read");
        assert_eq!(sum, before, "the {time} time");
    }
}

#[test]
fn a_database_of_a_newer_program_is_refused_and_left_as_it_is() {
    let (folder, store) = store();
    append(&store, 1, 0, A);
    drop(store);
    let path = folder.path().join("work.db");
    let keyed = || {
        let db = rusqlite::Connection::open(&path).expect("the database");
        let words = format!("x'{}'", "2a".repeat(32));
        db.pragma_update(None, "key", words).expect("the key");
        db
    };
    let db = keyed();
    let version = |db: &rusqlite::Connection| -> i64 {
        db.query_row("PRAGMA user_version", [], |row| row.get(0)).expect("readable")
    };
    let ours = version(&db);
    let newer = ours + 1;
    db.pragma_update(None, "user_version", newer).expect("as a newer program would");
    drop(db);
    let refused = Store::open(folder.path(), &lock());
    assert!(
        matches!(refused, Err(StoreError::Newer { found, known }) if (found, known) == (newer, ours))
    );
    let db = keyed();
    let count = db.query_row("SELECT count(*) FROM entry", [], |row| row.get::<_, i64>(0));
    assert_eq!(count.expect("readable"), 1);
    assert_eq!(version(&db), newer);
}

#[test]
fn a_failed_act_leaves_nothing_and_a_reader_sees_nothing_unfinished() {
    let (_folder, store) = store();
    let result: Result<(), StoreError> = store.write(|tx| {
        tx.set_meta("k", b"v")?;
        let seen = store.read(|view| view.meta("k"))?;
        assert_eq!(seen, None, "a reader does not see what is not committed");
        Err(StoreError::Poisoned)
    });
    assert!(result.is_err());
    assert_eq!(store.read(|view| view.meta("k")).expect("the store works"), None);
    let counted = |store: &Store| store.write(|tx| tx.count_up("n")).expect("the store works");
    assert_eq!([counted(&store), counted(&store)], [0, 1]);
}

#[test]
fn an_enrolment_is_redeemed_once_and_only_in_time() {
    let (_folder, store) = store();
    let offer = |n: u8| {
        store
            .write(|tx| tx.offer_enrolment(&[n; 32], &[n; 16], b"request", 0, 1000))
            .expect("the store works");
    };
    let redeem =
        |n: u8, now| store.write(|tx| tx.redeem_enrolment(&[n; 32], now)).expect("the store works");
    offer(1);
    offer(2);
    let request = b"request".to_vec();
    assert_eq!(redeem(1, 999), Some(Redeemed { device: [1; 16], request }));
    assert_eq!(redeem(1, 999), None);
    assert_eq!(redeem(2, 1000), None);
    assert_eq!(redeem(3, 0), None);
    // Whoever asks afterwards sees which was used and when.
    let row = |n: u8| store.read(|view| view.enrolment(&[n; 32])).expect("the store works");
    assert_eq!(row(1).map(|r| (r.device, r.used_ms)), Some(([1; 16], Some(999))));
    assert_eq!(row(2).map(|r| (r.expires_ms, r.used_ms)), Some((1000, None)));
    assert_eq!(row(3), None);
    let used = store.read(|view| view.used_enrolments()).expect("the store works");
    assert_eq!(used.iter().map(|r| r.token).collect::<Vec<_>>(), [[1; 32]]);
}

#[test]
fn a_page_that_renews_itself_is_one_look_full_numbers_are_one_each_time_and_old_looks_go() {
    let (_folder, store) = store();
    let look = |at_ms, uncovered, subject: u8| {
        let row = LookRow {
            at_ms,
            person: [1; 16],
            subject: [subject; 16],
            what: "GET /cases/{case}".into(),
            uncovered,
            ..LookRow::default()
        };
        store.write(|tx| tx.look(&row)).expect("written");
    };
    let at = |subject: u8| {
        let rows = store.read(|view| view.looks_at(&[subject; 16], 10));
        let listed: Result<Listed, StoreError> = rows;
        listed.expect("readable").rows
    };
    for second in 0..100 {
        look(1_000_000 + second * 4_000, false, 2);
    }
    let rows = at(2);
    assert_eq!(rows.len(), 1);
    assert!(rows[0].until_ms - rows[0].at_ms >= 300_000, "and it says until when");
    look(1_300_000, true, 2);
    look(1_300_001, true, 2);
    assert_eq!(at(2).len(), 3);
    look(1_300_002 + LOOK_KEPT_MS, false, 3);
    assert_eq!((at(2).len(), at(3).len()), (0, 1), "more than a year later");
}
