//! The gate against changes made in bad faith. The worker has its own tests in `contained.rs`.
#![allow(missing_docs, clippy::unwrap_used)]

use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, Automerge, ObjType, ROOT, ScalarValue};
use cunkou_casework::document::{Document, Schema, Section, Write};
use cunkou_guard::{Candidate, Guard, Job, OPS_MAX, Refusal, Verdict, apply, gate};

const ACTOR: [u8; 16] = [7; 16];

fn base() -> Automerge {
    let saved = Document::new(Schema::Case1).unwrap().save();
    Automerge::load(&saved).unwrap().with_actor(ActorId::from(&ACTOR[..]))
}

fn change(work: impl FnOnce(&mut automerge::transaction::Transaction<'_>)) -> Vec<u8> {
    let mut doc = base();
    let mut tx = doc.transaction();
    work(&mut tx);
    tx.commit_with(CommitOptions::default().with_time(0));
    doc.get_last_local_change().unwrap().raw_bytes().to_vec()
}

fn form(tx: &automerge::transaction::Transaction<'_>) -> automerge::ObjId {
    use automerge::ReadDoc;
    tx.get(ROOT, "form").unwrap().unwrap().1
}

fn good() -> Vec<u8> {
    let mut doc = Document::new(Schema::Case1).unwrap();
    let writes = [
        Write::set(Section::Form, "phone", "13900000101"),
        Write::set(Section::Notes, "n", "说明"),
    ];
    doc.write(ACTOR, 0, &writes).unwrap().unwrap()
}

#[test]
fn an_honest_change_goes_through_and_says_what_it_writes() {
    let gated = gate(&good(), Schema::Case1, &ACTOR).unwrap();
    assert_eq!(gated.writes.len(), 2);
    let candidate = Candidate { actor: ACTOR, chunk: good().into() };
    let job = Job::new(Schema::Case1, None, vec![candidate]);
    let judged = Guard::in_this_process().judge_one(&job);
    assert_eq!(judged.verdicts, [Verdict::Good]);
    let (document, _) = apply(Schema::Case1, None, &judged.good(&job)).unwrap();
    assert_eq!(document.projection().get(Section::Form, "phone"), Some("13900000101"));
}

#[test]
fn what_is_outside_the_schema_is_refused() {
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("a value at the root", change(|tx| tx.put(ROOT, "status", "approved").unwrap())),
        (
            "a new map",
            change(|tx| {
                let form = form(tx);
                tx.put_object(&form, "x", ObjType::Map).unwrap();
            }),
        ),
        (
            "a text object",
            change(|tx| {
                let form = form(tx);
                tx.put_object(&form, "x", ObjType::Text).unwrap();
            }),
        ),
        (
            "a counter",
            change(|tx| {
                let form = form(tx);
                tx.put(&form, "x", ScalarValue::counter(1)).unwrap();
            }),
        ),
        (
            "a number",
            change(|tx| {
                let form = form(tx);
                tx.put(&form, "x", 5).unwrap();
            }),
        ),
        (
            "a long value",
            change(|tx| {
                let form = form(tx);
                tx.put(&form, "x", "长".repeat(3000)).unwrap();
            }),
        ),
    ];
    for (what, chunk) in cases {
        assert_eq!(gate(&chunk, Schema::Case1, &ACTOR), Err(Refusal::Schema), "{what}");
    }
}

#[test]
fn another_actor_and_too_many_operations_are_refused() {
    assert_eq!(gate(&good(), Schema::Case1, &[8; 16]), Err(Refusal::Actor));
    let many = change(|tx| {
        let form = form(tx);
        for i in 0..=OPS_MAX {
            tx.put(&form, format!("k{i}"), "v").unwrap();
        }
    });
    assert_eq!(gate(&many, Schema::Case1, &ACTOR), Err(Refusal::TooManyOps(OPS_MAX + 1)));
}

#[test]
fn a_million_operations_in_a_hundred_bytes_and_whole_documents_are_refused_unexpanded() {
    let list = include_bytes!("data/change-list-1000000-nulls.bin");
    assert!(matches!(gate(list, Schema::Case1, &ACTOR), Err(Refusal::TooManyOps(_))));
    let nested = include_bytes!("data/change-nested-1000.bin");
    assert!(gate(nested, Schema::Case1, &ACTOR).is_err());
    for doc in [
        &include_bytes!("data/doc-nested-10000.bin")[..],
        include_bytes!("data/doc-text-5000000.bin"),
        include_bytes!("data/doc-mutated-2gib-alloc.bin"),
    ] {
        assert_eq!(gate(doc, Schema::Case1, &ACTOR), Err(Refusal::NotPlain));
    }
}
