//! Many threads open their first encrypted store at once in a process that never opened one.
//!
//! SQLite runs the initialisation of SQLCipher outside its own lock
//! (`SQLITE_EXTRA_INIT`), so a second thread could come before it had ended and be refused its key.
#![allow(missing_docs)]

use cunkou_keys::Key;
use cunkou_store::{Lock, Store};
use std::process::Command;
use std::sync::{Arc, Barrier};

const CHILD: &str = "CUNKOU_FIRST_OPEN";

fn all_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let start = Arc::new(Barrier::new(8));
    let threads: Vec<_> = (0..8)
        .map(|n| {
            let path = folder.path().join(n.to_string());
            let start = start.clone();
            std::thread::spawn(move || {
                start.wait();
                Store::open(&path, &Lock::Key(Key::of([7; 32]))).map(drop)
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("no panic").expect("every store opens");
    }
}

#[test]
fn the_first_stores_of_a_process_can_be_opened_by_many_threads_at_once() {
    if std::env::var_os(CHILD).is_some() {
        return all_at_once();
    }
    let me = std::env::current_exe().expect("this program");
    for round in 0..40 {
        let child = Command::new(&me).env(CHILD, "1").output().expect("this program again");
        let said = String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success(), "round {round}: {said}");
    }
}
