//! The history of contacts, and what is on this disk only.
#![allow(missing_docs)]

use cunkou_store::{
    CONTACTS_KEPT, CaseRow, EntryState, How, Lock, NewEntry, PeerRow, Rungs, Store, StoreError,
    Txn, View,
};

const RELAY: [u8; 16] = [7; 16];
const OTHER: [u8; 16] = [8; 16];

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), &Lock::Plain).expect("a store");
    write(&store, |tx| tx.set_meta("epoch", &[1; 16]));
    (folder, store)
}

fn write<T>(store: &Store, work: impl FnOnce(&Txn<'_>) -> Result<T, StoreError>) -> T {
    store.write(work).expect("written")
}

fn read<T>(store: &Store, work: impl FnOnce(&View<'_>) -> Result<T, StoreError>) -> T {
    store.read(work).expect("read")
}

fn peer(store: &Store, device: [u8; 16]) -> i64 {
    let seen = PeerRow {
        id: 0,
        device,
        store: [1; 16],
        epoch: [2; 16],
        name: format!("peer {}", device[0]),
        software: String::new(),
        seen_ms: 1,
        clock_error_ms: 0,
        completed_ms: None,
        features: 0,
    };
    write(store, |tx| tx.greet_peer(&seen)).id
}

#[test]
fn a_conversation_is_told_from_its_beginning_to_its_end() {
    let (_folder, store) = store();
    let relay = peer(&store, RELAY);
    assert_eq!(write(&store, |tx| tx.contact_over(&RELAY, 1)), None, "none has begun");
    write(&store, |tx| tx.begin_contact(relay, 100));
    let contact = write(&store, |tx| tx.contact_over(&RELAY, 2)).expect("a contact");
    write(&store, |tx| tx.count_contact(relay, 3, 4));
    write(&store, |tx| tx.contact_carried(contact, 10, 20));
    write(&store, |tx| tx.contact_carried(contact, 1000, 2000));
    write(&store, |tx| tx.set_completed(relay, 150));
    write(&store, |tx| tx.contact_ended(contact, 200, 15));
    // Another store tells of what it has seen: what is over stays as it was.
    write(&store, |tx| tx.set_completed(relay, 900));
    let rows = read(&store, |view| view.contacts(9));
    let [row] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!((row.began_ms, row.completed_ms, row.over_ms), (100, Some(150), Some(200)));
    assert_eq!((row.entries_in, row.entries_out, row.sent, row.received), (3, 4, 1000, 2000));
    assert_eq!((row.way, row.ending, row.how), (2, 15, How::Link));
    assert_eq!((row.peer.as_str(), row.device), ("peer 7", RELAY));
    assert_eq!(write(&store, |tx| tx.contact_over(&RELAY, 1)), None, "it is over");
}

#[test]
fn of_what_lasted_when_a_program_stopped_nobody_says_how_it_ended() {
    let (_folder, store) = store();
    let relay = peer(&store, RELAY);
    write(&store, |tx| tx.begin_contact(relay, 100));
    write(&store, |tx| tx.contacts_untold());
    write(&store, |tx| tx.begin_contact(relay, 200));
    let endings: Vec<u8> =
        read(&store, |view| view.contacts(9)).iter().map(|row| row.ending).collect();
    assert_eq!(endings, [0, 255]);
}

#[test]
fn a_box_that_calls_all_the_time_does_not_push_the_others_out() {
    let (_folder, store) = store();
    let (often, seldom) = (peer(&store, RELAY), peer(&store, OTHER));
    write(&store, |tx| tx.begin_contact(seldom, 1));
    write(&store, |tx| {
        for at in 0..i64::from(CONTACTS_KEPT) + 30 {
            tx.begin_contact(often, at)?;
        }
        Ok(())
    });
    let with = |device| read(&store, |view| view.contacts_with(&device, 9999));
    assert_eq!(with(RELAY).len(), CONTACTS_KEPT as usize);
    assert_eq!(with(RELAY)[0].began_ms, i64::from(CONTACTS_KEPT) + 29, "the latest come first");
    assert_eq!(with(OTHER).len(), 1);
}

#[test]
fn attempts_that_came_to_nothing_are_lines_of_their_own_and_bounded() {
    let (_folder, store) = store();
    let first = write(&store, |tx| tx.begin_unreached("a:1", 10, 5));
    write(&store, |tx| tx.more_unreached(first, 50, 7));
    write(&store, |tx| tx.begin_unreached("a:1", 11, 60));
    let rows = read(&store, |view| view.unreached(9));
    let seen: Vec<_> = rows.iter().map(|r| (r.why, r.began_ms, r.last_ms, r.times)).collect();
    assert_eq!(seen, [(11, 60, 60, 1), (10, 5, 50, 7)]);
    write(&store, |tx| {
        for at in 0..600 {
            tx.begin_unreached("a:1", 10, at)?;
        }
        Ok(())
    });
    let rows = read(&store, |view| view.unreached(9999));
    assert_eq!(rows.len(), CONTACTS_KEPT as usize);
}

fn entry(store: &Store, n: u8, subject: u8, kind: u8, via: i64, at_ms: i64) -> u64 {
    let new = NewEntry {
        id: &[n; 32],
        subject: &[subject; 16],
        kind,
        via,
        received_ms: at_ms,
        state: EntryState::Good,
        reason: None,
        bytes: &[n; 10],
    };
    write(store, |tx| tx.append(&new, "place:1")).expect("new")
}

fn photo(store: &Store, n: u8, bytes: u64, subject: u8, preview: bool) {
    write(store, |tx| {
        tx.attachment_here(&[n; 32], bytes)?;
        tx.attachment_named(&[n; 32], "place:1", &[subject; 16])?;
        tx.attachment_described(&[n; 32], preview, bytes as u32)
    });
}

#[test]
fn what_no_peer_has_is_told_by_subject_and_the_oldest_comes_first() {
    let (_folder, store) = store();
    let relay = peer(&store, RELAY);
    entry(&store, 1, 1, 1, 0, 50);
    entry(&store, 2, 2, 1, 0, 20);
    entry(&store, 3, 2, 2, 0, 70);
    entry(&store, 4, 3, 1, relay, 10); // came from the relay
    entry(&store, 5, 4, 7, 0, 10); // a look: nobody's work
    let here = read(&store, |view| view.only_here());
    let seen: Vec<_> =
        here.iter().map(|r| (r.subject[0], r.entries, r.bytes, r.oldest_ms)).collect();
    assert_eq!(seen, [(2, 2, 20, Some(20)), (1, 1, 10, Some(50))]);
    let unsent = read(&store, |view| view.unsent());
    assert_eq!(unsent.entries, here.iter().map(|r| r.entries).sum::<u64>(), "as status counts");
    write(&store, |tx| tx.set_acked(relay, "place:1", 2));
    let here = read(&store, |view| view.only_here());
    assert_eq!(here.iter().map(|r| (r.subject[0], r.entries)).collect::<Vec<_>>(), [(2, 1)]);
    write(&store, |tx| tx.set_acked(relay, "place:1", 5));
    assert_eq!(read(&store, |view| view.only_here()), []);
}

#[test]
fn a_photo_is_only_here_until_a_relay_was_given_all_of_it_and_again_when_it_asks_anew() {
    let (_folder, store) = store();
    photo(&store, 1, 1000, 9, false);
    photo(&store, 2, 30, 9, true);
    // Of two cases it is counted once.
    write(&store, |tx| tx.attachment_named(&[1; 32], "place:1", &[10; 16]));
    // One that came is not only here, and taking it again does not make it so.
    write(&store, |tx| {
        tx.attachment_named(&[3; 32], "place:1", &[9; 16])?;
        tx.attachment_arrived(&[3; 32], 77)?;
        tx.attachment_here(&[3; 32], 77)
    });
    // The catalogue came, whoever names it.
    write(&store, |tx| {
        tx.attachment_came(&[4; 32], 5000)?;
        tx.attachment_named(&[4; 32], "system", &[11; 16])
    });
    let photos = || {
        let here = read(&store, |view| view.only_here());
        here.iter().map(|r| (r.subject[0], r.photos, r.photo_bytes)).collect::<Vec<_>>()
    };
    assert_eq!(photos(), [(9, 1, 1030)]);
    write(&store, |tx| tx.given_whole(&[1; 32], &RELAY));
    assert_eq!(photos(), [(9, 0, 30)]);
    write(&store, |tx| tx.given_whole(&[2; 32], &RELAY));
    assert_eq!(photos(), []);
    write(&store, |tx| tx.asked_again(&[1; 32], &OTHER));
    assert_eq!(photos(), [], "another relay asks: the first one has it");
    write(&store, |tx| tx.asked_again(&[1; 32], &RELAY));
    assert_eq!(photos(), [(9, 1, 1000)], "it lacks it after all");
}

#[test]
fn cases_in_doubt_are_found_by_village() {
    let (_folder, store) = store();
    let case = |n: u8, place: u32, conflict: bool, aside: u32| {
        let rungs = (n == 1).then_some(Rungs { taken: true, accepted: false, by_township: true });
        let (subject, number) = ([n; 16], format!("{n:012}"));
        let open = true;
        let row =
            CaseRow { subject, number, place, open, conflict, aside, rungs, ..CaseRow::default() };
        write(&store, |tx| tx.set_case_row(&row));
        assert_eq!(read(&store, |view| view.case_row(&[n; 16])), Some(row));
    };
    case(1, 1, true, 0);
    case(2, 2, true, 1);
    case(3, 1, false, 0);
    let found = |conflict, places: &[u32], limit| {
        let page = read(&store, |view| view.cases_in_doubt(conflict, places, limit));
        (page.rows.iter().map(|r| r.subject[0]).collect::<Vec<_>>(), page.total)
    };
    assert_eq!(found(true, &[], 9), (vec![1, 2], 2));
    assert_eq!(found(true, &[], 1), (vec![1], 2));
    assert_eq!(found(true, &[1], 9), (vec![1], 1));
    assert_eq!(found(false, &[], 9), (vec![2], 1));
}

#[test]
fn a_store_of_an_older_program_takes_what_its_cases_have_not_brought_up_for_only_here() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = rusqlite::Connection::open(folder.path().join("work.db")).expect("a database");
    for schema in [
        include_str!("../src/schema-1.sql"),
        include_str!("../src/schema-2.sql"),
        include_str!("../src/schema-3.sql"),
        include_str!("../src/schema-4.sql"),
        include_str!("../src/schema-5.sql"),
        include_str!("../src/schema-6.sql"),
        include_str!("../src/schema-7.sql"),
        include_str!("../src/schema-8.sql"),
        include_str!("../src/schema-9.sql"),
    ] {
        db.execute_batch(schema).expect("the old tables");
    }
    let case =
        "INSERT INTO case_row VALUES(?1, '1', zeroblob(16), '', '', 1, 'received', 1, '', '', '',
                '', 0, 1, 0, ?2, 0, 0)";
    let entry = "INSERT INTO entry VALUES(?1, ?2, ?3, 2, ?4, 0, 0, NULL, x'01')";
    // Ours and not uploaded; ours and uploaded; another's and not uploaded.
    for (n, uploaded, via) in [(1u8, false, 0), (2, true, 0), (3, false, 5)] {
        db.execute(case, ([n; 16], uploaded)).expect("a case");
        db.execute(entry, (n, [n; 32], [n; 16], via)).expect("an entry");
        db.execute("INSERT INTO attachment(id, bytes, state) VALUES(?1, 7, 1)", [[n; 32]])
            .expect("a photo");
        db.execute("INSERT INTO attachment_of VALUES(?1, 'place:1', ?2)", ([n; 32], [n; 16]))
            .expect("its name");
    }
    db.pragma_update(None, "user_version", 9).expect("as the older program left it");
    drop(db);
    let store = Store::open(folder.path(), &Lock::Plain).expect("a store");
    let here = read(&store, |view| view.only_here());
    assert_eq!(here.iter().map(|r| (r.subject[0], r.photos)).collect::<Vec<_>>(), [(1, 1)]);
    let row = read(&store, |view| view.case_row(&[1; 16])).expect("a case");
    assert_eq!(row.rungs, None, "nobody knows until the case is materialised again");
}
