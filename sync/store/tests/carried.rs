//! What the store remembers of bundles.
#![allow(missing_docs)]

use cunkou_keys::Key;
use cunkou_store::{
    BundleIn, BundleOut, EntryState, How, Left, Lock, NewEntry, PeerRow, Store, StoreError,
};

const BOX: [u8; 16] = [7; 16];
const SCOPE: &str = "place:1";

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), &Lock::from(Key::of([1; 32]))).expect("a store");
    write(&store, |tx| tx.set_meta("epoch", &[1; 16]));
    (folder, store)
}

fn write<T>(
    store: &Store,
    work: impl FnOnce(&cunkou_store::Txn<'_>) -> Result<T, StoreError>,
) -> T {
    store.write(work).expect("written")
}

fn read<T>(
    store: &Store,
    work: impl FnOnce(&cunkou_store::View<'_>) -> Result<T, StoreError>,
) -> T {
    store.read(work).expect("read")
}

fn append(store: &Store, n: u8) {
    let new = NewEntry {
        id: &[n; 32],
        subject: &[9; 16],
        kind: 1,
        via: 0,
        received_ms: 5,
        state: EntryState::Good,
        reason: None,
        bytes: &[n; 10],
    };
    write(store, |tx| tx.append(&new, SCOPE));
}

fn made(n: u8, after: u64, upto: u64, store: &Store) -> BundleOut {
    let bundle = BundleOut {
        id: [n; 16],
        device: BOX,
        number: u64::from(n),
        part: 1,
        more: false,
        how: How::Stick,
        made_ms: 100 + i64::from(n),
        entries: upto - after,
        attachments: 1,
        bytes: 1000,
        acked_ms: None,
    };
    let parts = [(SCOPE.to_owned(), after, upto)];
    write(store, |tx| tx.bundle_made(&bundle, &parts, &[[n; 32]]));
    bundle
}

fn peer(epoch: u8) -> PeerRow {
    PeerRow {
        id: 0,
        device: BOX,
        store: [3; 16],
        epoch: [epoch; 16],
        name: "box".into(),
        software: String::new(),
        seen_ms: 1,
        clock_error_ms: 0,
        completed_ms: None,
        features: 0,
    }
}

#[test]
fn a_bundle_is_acknowledged_by_its_name_once_and_only_if_it_was_made_here_for_this_device() {
    let (_folder, store) = store();
    made(1, 0, 3, &store);
    let acked =
        |device: [u8; 16], id: u8| write(&store, |tx| tx.bundle_acked(&device, &[id; 16], 9));
    assert_eq!(acked(BOX, 2), [], "a name that nobody gave");
    assert_eq!(acked([8; 16], 1), [], "somebody else's word");
    assert_eq!(acked(BOX, 1), [(SCOPE.to_owned(), 0, 3)]);
    assert_eq!(acked(BOX, 1), [], "once");
    assert_eq!(read(&store, |view| view.bundles_out(&BOX, 9))[0].acked_ms, Some(9));
}

#[test]
fn what_was_made_in_another_epoch_of_this_store_is_never_acknowledged() {
    let (_folder, store) = store();
    made(1, 0, 3, &store);
    write(&store, |tx| tx.set_meta("epoch", &[2; 16]));
    assert_eq!(write(&store, |tx| tx.bundle_acked(&BOX, &[1; 16], 9)), []);
    assert_eq!(read(&store, |view| view.bundles_out(&BOX, 9)), [], "no series goes on from it");
    assert_eq!(read(&store, |view| view.next_bundle(&BOX)), 2, "numbers go on");
}

#[test]
fn an_entry_left_on_a_stick_until_it_arrived_or_a_link_was_faster() {
    let (_folder, store) = store();
    (1..=3).for_each(|n| append(&store, n));
    let left = || read(&store, |view| view.left(&[9; 16]));
    assert!(left().is_empty());
    made(1, 0, 2, &store);
    assert_eq!(left().get(&[1; 32]), Some(&Left::OnItsWay(How::Stick, 101)));
    assert_eq!(left().get(&[3; 32]), None, "it is not on the stick");
    let row = write(&store, |tx| tx.greet_peer(&peer(4)));
    write(&store, |tx| tx.set_acked(row.id, SCOPE, 1));
    assert_eq!(left().get(&[1; 32]), None, "a link was faster");
    write(&store, |tx| tx.bundle_acked(&BOX, &[1; 16], 9));
    assert_eq!(left().get(&[2; 32]), Some(&Left::Arrived(How::Stick)));
}

#[test]
fn an_epoch_that_a_peer_has_left_is_past_and_the_present_one_is_not() {
    let (_folder, store) = store();
    write(&store, |tx| tx.greet_peer(&peer(4)));
    assert!(!read(&store, |view| view.is_past(&BOX, &[4; 16])));
    write(&store, |tx| tx.greet_peer(&peer(5)));
    assert!(read(&store, |view| view.is_past(&BOX, &[4; 16])));
    assert!(!read(&store, |view| view.is_past(&BOX, &[5; 16])));
}

#[test]
fn how_entries_came_and_which_bundles_are_kept_with_what_their_sender_lacks() {
    let (_folder, store) = store();
    append(&store, 1);
    append(&store, 2);
    write(&store, |tx| tx.set_came(1, How::Ferry));
    let came = read(&store, |view| view.came(&[9; 16]));
    assert_eq!(came.into_iter().collect::<Vec<_>>(), [([1; 32], How::Ferry)]);
    let bundle = BundleIn {
        id: [6; 16],
        device: BOX,
        number: 1,
        how: How::Stick,
        held: 2,
        made_ms: 3,
        came_ms: 4,
    };
    write(&store, |tx| tx.bundle_came(&bundle, &[], &[[5; 32]]));
    write(&store, |tx| tx.bundle_came(&bundle, &[], &[[5; 32]]));
    assert_eq!(read(&store, |view| view.bundle_in(&[6; 16])), Some(bundle));
    assert_eq!(read(&store, |view| view.asked_for(&BOX)), Vec::<[u8; 32]>::new(), "not here");
    write(&store, |tx| tx.attachment_here(&[5; 32], 10));
    assert_eq!(read(&store, |view| view.asked_for(&BOX)), [[5; 32]]);
    made(1, 0, 2, &store);
    write(&store, |tx| tx.forget_on_the_way(&BOX));
    assert_eq!(read(&store, |view| view.asked_for(&BOX)), [[5; 32]], "asked for until it has it");
    let behind = || read(&store, |view| view.attachments_behind(&BOX, (SCOPE, 0, 2)));
    write(&store, |tx| tx.attachment_named(&[5; 32], SCOPE, &[9; 16]));
    assert_eq!(behind(), [[5; 32]], "it belongs to what the entries are about");
    let from_it = BundleIn { id: [8; 16], ..bundle };
    write(&store, |tx| tx.bundle_came(&from_it, &[[5; 32]], &[]));
    assert!(behind().is_empty(), "it gave it itself");
    write(&store, |tx| tx.forget_on_the_way(&BOX));
    assert!(behind().is_empty(), "and has it still");
    write(&store, |tx| tx.forget_what_it_has(&BOX));
    assert_eq!(behind(), [[5; 32]], "until it has lost all");
}
