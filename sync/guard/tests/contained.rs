//! The guard with a real child: the known bad shapes, and every single-bit flip of a good change.
//! Nothing is judged in this process, so its memory is what the parent takes.
#![allow(missing_docs, clippy::unwrap_used)]

use cunkou_casework::document::{Document, Schema, Section, Write};
use cunkou_guard::{Candidate, Guard, Job, Verdict};
use sha2::Digest;

const ACTOR: [u8; 16] = [7; 16];
const SIBLING: [u8; 16] = [9; 16];

fn change(actor: [u8; 16]) -> Vec<u8> {
    let mut doc = Document::new(Schema::Case1).unwrap();
    let writes = [
        Write::set(Section::Form, "phone", "13900000101"),
        Write::set(Section::Notes, "n", "说明"),
    ];
    doc.write(actor, 0, &writes).unwrap().unwrap()
}

fn good() -> Vec<u8> {
    change(ACTOR)
}

fn sibling() -> Vec<u8> {
    change(SIBLING)
}

fn repaired(mut chunk: Vec<u8>) -> Vec<u8> {
    let hash = sha2::Sha256::digest(&chunk[8..]);
    chunk[4..8].copy_from_slice(&hash[..4]);
    chunk
}

fn child() -> Guard {
    Guard::child_of(env!("CARGO_BIN_EXE_cunkou-guard-worker").into())
}

fn judge_and_apply(guard: &Guard, chunks: &[Vec<u8>]) -> (Vec<Verdict>, Document) {
    let sibling = sibling();
    let candidate = |c: &Vec<u8>| Candidate {
        actor: if *c == sibling { SIBLING } else { ACTOR },
        chunk: c.clone().into(),
    };
    let job = Job::new(Schema::Case1, None, chunks.iter().map(candidate).collect());
    let judged = guard.judge_one(&job);
    let (document, saved) = cunkou_guard::apply(Schema::Case1, None, &judged.good(&job)).unwrap();
    Document::load(Schema::Case1, &saved).unwrap();
    (judged.verdicts, document)
}

/// The most memory that this process ever had. KiB.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn no_flipped_bit_with_a_repaired_checksum_ends_the_program_or_damages_a_document() {
    let (guard, good) = (child(), good());
    let (mut through, mut refused) = (0, 0);
    let flipped = (8..good.len()).flat_map(|at| (0..8).map(move |bit| (at, bit)));
    let mutants: Vec<Vec<u8>> = flipped
        .map(|(at, bit)| {
            let mut chunk = good.clone();
            chunk[at] ^= 1 << bit;
            repaired(chunk)
        })
        .collect();
    // A sibling in each batch: it must go through whatever the others do.
    for batch in mutants.chunks(31) {
        let batch = [batch, &[sibling()][..]].concat();
        let (verdicts, document) = judge_and_apply(&guard, &batch);
        assert_eq!(verdicts.last(), Some(&Verdict::Good));
        assert!(!document.projection().all(Section::Notes, "n").is_empty());
        through += verdicts.iter().filter(|v| **v == Verdict::Good).count() - 1;
        refused += verdicts.iter().filter(|v| **v != Verdict::Good).count();
    }
    assert!(through > 0, "some mutants are honest-looking changes and must be applied contained");
    assert!(refused > 0);
    assert!(peak_kib() < 64 * 1024, "nothing of it stays here: {} KiB", peak_kib());
}

#[test]
fn a_poisonous_change_hurts_only_itself() {
    let poison = repaired({
        let mut chunk = good();
        let last = chunk.len() - 1;
        chunk[last] ^= 0x40;
        chunk
    });
    let (_, document) = judge_and_apply(&child(), &[poison, sibling()]);
    assert!(document.projection().get(Section::Notes, "n").is_some());
}

#[test]
fn every_hostile_file_leaves_the_parent_alive_and_small_and_its_siblings_applied() {
    let guard = child();
    let files: [&[u8]; 5] = [
        include_bytes!("data/change-list-1000000-nulls.bin"),
        include_bytes!("data/change-nested-1000.bin"),
        include_bytes!("data/doc-nested-10000.bin"),
        include_bytes!("data/doc-text-5000000.bin"),
        include_bytes!("data/doc-mutated-2gib-alloc.bin"),
    ];
    for file in files {
        let (verdicts, document) = judge_and_apply(&guard, &[file.to_vec(), sibling()]);
        assert!(matches!(verdicts[0], Verdict::Refused(_)), "{:?}", verdicts[0]);
        assert_eq!(verdicts[1], Verdict::Good);
        assert!(document.projection().get(Section::Notes, "n").is_some());
    }
    assert!(peak_kib() < 64 * 1024, "{} KiB", peak_kib());
}

/// A job whose document is the bomb: no gate stands before it, as if it were not known yet.
#[test]
fn what_takes_all_memory_or_time_ends_the_worker_alone_and_the_next_job_is_answered() {
    let guard = child();
    let bomb = include_bytes!("data/doc-mutated-2gib-alloc.bin");
    let candidate = Candidate { actor: ACTOR, chunk: good().into() };
    let before = peak_kib();
    let job = Job::new(Schema::Case1, Some(bomb), vec![candidate.clone()]);
    let judged = guard.judge_one(&job);
    assert_eq!(judged.verdicts, [Verdict::Fatal], "the worker died of it");
    let honest = Job::new(Schema::Case1, None, vec![candidate]);
    let both = guard.judge(&[job, honest]);
    assert_eq!(both[0].verdicts, [Verdict::Fatal]);
    assert_eq!(both[1].verdicts, [Verdict::Good], "another document's job is not touched");
    assert!(peak_kib() < before + 32 * 1024, "{before} -> {} KiB", peak_kib());
}

#[test]
fn without_a_worker_nothing_is_judged_and_nothing_is_lost() {
    let candidate = Candidate { actor: ACTOR, chunk: good().into() };
    for program in ["/nowhere/at/all", "/bin/true"] {
        let job = Job::new(Schema::Case1, None, vec![candidate.clone()]);
        let judged = Guard::child_of(program.into()).judge_one(&job);
        assert_eq!(judged.verdicts, [Verdict::Unjudged], "{program}");
    }
}

#[test]
fn what_builds_on_something_absent_waits_and_order_of_arrival_does_not_matter() {
    let mut doc = Document::new(Schema::Case1).unwrap();
    let mut save =
        |key: &str| doc.write(ACTOR, 0, &[Write::set(Section::Notes, key, "v")]).unwrap().unwrap();
    let (first, second, third) = (save("a"), save("b"), save("c"));
    let guard = child();
    let (verdicts, _) = judge_and_apply(&guard, &[third.clone(), first.clone()]);
    assert_eq!(verdicts, [Verdict::Waiting, Verdict::Good]);
    let (verdicts, document) = judge_and_apply(&guard, &[third, second, first]);
    assert_eq!(verdicts, [Verdict::Good, Verdict::Good, Verdict::Good]);
    assert_eq!(document.projection().section(Section::Notes).count(), 3);
}
