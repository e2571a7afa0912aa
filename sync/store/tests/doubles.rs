//! Two machines with one device's key, as the store remembers them.
#![allow(missing_docs)]

use cunkou_store::{DoubleRow, Lock, Store, StoreError, Txn};

fn write<T>(store: &Store, work: impl FnOnce(&Txn<'_>) -> Result<T, StoreError>) -> T {
    store.write(work).expect("written")
}

fn all(store: &Store) -> Vec<DoubleRow> {
    let read: Result<_, StoreError> = store.read(|view| view.doubles());
    read.expect("read")
}

#[test]
fn a_double_is_kept_once_with_its_latest_address_until_somebody_has_looked() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), &Lock::Plain).expect("it opens");
    let note = |device: u8, address: &str, at_ms: i64| {
        write(&store, |tx| tx.note_double(&[device; 16], address, at_ms));
    };
    note(1, "192.0.2.1", 10);
    note(2, "192.0.2.2", 20);
    note(1, "192.0.2.3", 30);
    let doubles = all(&store);
    let [first, second] = &doubles[..] else { panic!("{doubles:?}") };
    assert_eq!((first.device, first.first_ms, first.last_ms), ([1; 16], 10, 30));
    assert_eq!((first.times, first.address.as_str()), (2, "192.0.2.3"));
    assert_eq!((second.device, second.times), ([2; 16], 1));
    let forget = |device: u8| write(&store, |tx| tx.forget_double(&[device; 16]));
    assert!(forget(1) && !forget(1));
    assert_eq!(all(&store).len(), 1);
}
