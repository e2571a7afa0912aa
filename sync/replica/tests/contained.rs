//! A relay with the real guard: hostile changes end the worker and nothing else. This program is
//! its own worker, so it has its own `main`.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

mod county;

use county::*;
use cunkou_casework::document::{Document, Schema, Section, Write, actor};
use cunkou_casework::entry::{Entry, Kind};
use cunkou_casework::ids::{Incarnation, Scope, SubjectId};
use cunkou_engine::{Port, RefusalCode};
use cunkou_store::EntryState;
use sha2::Digest;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Instant;

const HOSTILE: [&[u8]; 5] = [
    include_bytes!("../../guard/tests/data/change-list-1000000-nulls.bin"),
    include_bytes!("../../guard/tests/data/change-nested-1000.bin"),
    include_bytes!("../../guard/tests/data/doc-mutated-2gib-alloc.bin"),
    include_bytes!("../../guard/tests/data/doc-nested-10000.bin"),
    include_bytes!("../../guard/tests/data/doc-text-5000000.bin"),
];

fn main() -> ExitCode {
    if cunkou_guard::worker::is_asked_for() {
        let worked = cunkou_guard::worker::run();
        return if worked.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    CHILDREN.store(true, Ordering::SeqCst);
    let tests: [(&str, fn()); 3] = [
        ("hostile_edits_leave_the_relay_alive_and_small_their_siblings_in_and_their_sender_flagged",
            hostile_edits_leave_the_relay_alive_and_small_their_siblings_in_and_their_sender_flagged),
        ("a_box_with_a_thousand_bad_entries_is_suspended_until_county_it_lifts_it",
            a_box_with_a_thousand_bad_entries_is_suspended_until_county_it_lifts_it),
        ("own_saves_need_no_worker_and_others_saves_one_exchange",
            own_saves_need_no_worker_and_others_saves_one_exchange),
    ];
    for (name, test) in tests {
        let begun = Instant::now();
        test();
        println!("test {name} ... ok ({} ms)", begun.elapsed().as_millis());
    }
    ExitCode::SUCCESS
}

fn scope() -> String {
    Scope::Place(YUNLING).to_string()
}

/// The most memory that this process ever had. KiB.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

fn save(run: u8, key: &str) -> Vec<u8> {
    let mut doc = Document::new(Schema::Case1).unwrap();
    let by = actor(device_id(BOX_YUNLING), Incarnation([run; 16]));
    let writes = [Write::set(Section::Notes, key, "v"), Write::set(Section::Form, "phone", "1")];
    doc.write(by, 0, &writes).unwrap().unwrap()
}

fn edit(county: &County, case: SubjectId, run: u8, change: Vec<u8>) -> Entry {
    let head = county.relay.county().head();
    let by = (Some(AGENT_YUNLING), BOX_YUNLING);
    forge(case, Kind::Edit, by, (None, BOX_YUNLING), run, change, head)
}

fn flipped(mut chunk: Vec<u8>, at: usize, bit: u8) -> Vec<u8> {
    chunk[at] ^= 1 << bit;
    let hash = sha2::Sha256::digest(&chunk[8..]);
    chunk[4..8].copy_from_slice(&hash[..4]);
    chunk
}

fn hostile_edits_leave_the_relay_alive_and_small_their_siblings_in_and_their_sender_flagged() {
    let county = County::founded();
    let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    county.settle();
    let from = county.relay.peer(&county.yunling);
    let before = peak_kib();
    let mut at = county.relay.head(&scope()) + 100;
    let (mut run, mut bad) = (1u8, 0);
    let length = save(1, "n").len();
    // As a sender would: whole files where a change may stand, and changes with every fault.
    let files: Vec<Vec<u8>> = HOSTILE.iter().map(|file| file.to_vec()).collect();
    let mutants = (8..length).step_by(3).map(|i| (i, (i % 8) as u8));
    let mutants: Vec<(usize, u8)> = mutants.collect();
    for part in mutants.chunks(10) {
        let mut batch = Vec::new();
        for (i, bit) in part {
            run = run.wrapping_add(1).max(1);
            let change = flipped(save(run, "n"), *i % save(run, "n").len(), *bit);
            if cunkou_casework::entry::change_id(&change).is_ok() {
                batch.push(edit(&county, case, run, change).encode());
            }
        }
        run = run.wrapping_add(1).max(1);
        let sibling = edit(&county, case, run, save(run, &format!("s{run}")));
        batch.push(sibling.encode());
        at += 1;
        county.relay.take_in(&from, &scope(), at, &batch);
        assert_eq!(county.relay.state_of(sibling.id()), Some((EntryState::Good, None)));
        let file = county.relay.case(case).unwrap().unwrap();
        assert!(file.current.get(Section::Notes, &format!("s{run}")).is_some());
        bad += batch.len();
    }
    assert!(bad > 0);
    // A document where a change belongs is no edit at all; a bomb that is a change is.
    let bombs: Vec<Vec<u8>> = files
        .into_iter()
        .filter(|file| cunkou_casework::entry::change_id(file).is_ok())
        .map(|file| edit(&county, case, 250, file).encode())
        .collect();
    assert!(!bombs.is_empty());
    county.relay.take_in(&from, &scope(), at + 1, &bombs);
    let aside = county.relay.store().read(|view| view.quarantined_of(&from.device)).unwrap();
    assert!(aside > bombs.len() as u64, "the sender is flagged: {aside}");
    assert!(county.relay.row(case).unwrap().aside > 0);
    let grown = peak_kib() - before;
    println!("parent VmHWM grew by {grown} KiB (now {} KiB), {aside} aside", peak_kib());
    assert!(grown < 48 * 1024, "{grown} KiB");
}

fn a_box_with_a_thousand_bad_entries_is_suspended_until_county_it_lifts_it() {
    let county = County::founded();
    let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    county.settle();
    let from = county.relay.peer(&county.yunling);
    let bad = |n: u32| {
        let run = (n % 250 + 1) as u8;
        let change = flipped(save(run, &format!("k{n}")), 14 + (n as usize % 8), 6);
        edit(&county, case, run, change).encode()
    };
    let key = secret(BOX_YUNLING).public().0;
    let mut at = county.relay.head(&scope()) + 100;
    let mut n = 0;
    while county.relay.admit_peer(&key).is_ok() {
        assert!(n < 6_000, "never suspended");
        let batch: Vec<Vec<u8>> = (n..n + 250).map(&bad).collect();
        n += 250;
        at += 1;
        county.relay.take_in(&from, &scope(), at, &batch);
    }
    let refused = county.relay.admit_peer(&key).unwrap_err();
    assert_eq!(refused.code, RefusalCode::Suspended);
    assert!(refused.words.contains("county IT"), "{}", refused.words);
    let suspended = county.relay.store().read(|view| view.suspensions()).unwrap();
    assert_eq!(suspended.iter().map(|s| s.device).collect::<Vec<_>>(), [from.device]);
    // The others are not touched, and nobody else is suspended by what the relay passes on.
    assert!(county.relay.admit_peer(&secret(CENTRE).public().0).is_ok());
    assert!(county.relay.lift(device_id(BOX_YUNLING)).unwrap());
    assert!(!county.relay.lift(device_id(BOX_YUNLING)).unwrap(), "once");
    assert!(county.relay.admit_peer(&key).is_ok());
    let one = [bad(n + 1)];
    county.relay.take_in(&from, &scope(), at + 1, &one);
    assert!(county.relay.admit_peer(&key).is_ok(), "what was forgiven does not count again");
}

fn own_saves_need_no_worker_and_others_saves_one_exchange() {
    let county = County::founded();
    let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    let times = |station: &Station, n: u32| {
        let begun = Instant::now();
        for i in 0..n {
            station.save(AGENT_YUNLING, case, &phone(&format!("{}{i}", station.n)));
        }
        begun.elapsed() / n
    };
    let own = times(&county.yunling, 100);
    let begun = Instant::now();
    county.settle();
    println!("own save {own:?}; 100 saves to relay and centre {:?}", begun.elapsed());
    let file = county.relay.case(case).unwrap().unwrap();
    assert_eq!(file.edits.len(), 100);
    assert_eq!(file.current.get(Section::Form, "phone"), Some("399"));
}
