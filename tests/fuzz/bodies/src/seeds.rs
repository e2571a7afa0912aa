//! Inputs to begin from: the vectors, what real encoders write, and what is known to be hostile.

use crate::bodies::our_hello;
use cunkou_casework::catalogue::{Contacts, Items, Release};
use cunkou_casework::document::{Document, Schema, Section, Write};
use cunkou_casework::hex;
use cunkou_engine::Frame;
use cunkou_engine::ranges::{Answer, Ask, GROUP, Outliner};
use cunkou_guard::{Candidate, Job, job_bytes};
use cunkou_link::{EnrolRequest, EnrolResponse, OfferedEnrolment};
use std::time::Duration;

pub(crate) const ACTOR: [u8; 16] = [7; 16];

const HOSTILE: [&[u8]; 5] = [
    include_bytes!("../../../../sync/guard/tests/data/change-list-1000000-nulls.bin"),
    include_bytes!("../../../../sync/guard/tests/data/change-nested-1000.bin"),
    include_bytes!("../../../../sync/guard/tests/data/doc-mutated-2gib-alloc.bin"),
    include_bytes!("../../../../sync/guard/tests/data/doc-nested-10000.bin"),
    include_bytes!("../../../../sync/guard/tests/data/doc-text-5000000.bin"),
];

fn collect(value: &serde_json::Value, out: &mut Vec<Vec<u8>>) {
    match value {
        serde_json::Value::String(text) if text.len() > 20 => out.extend(hex::decode(text)),
        serde_json::Value::Array(all) => all.iter().for_each(|v| collect(v, out)),
        serde_json::Value::Object(all) => all.values().for_each(|v| collect(v, out)),
        _ => {}
    }
}

/// Every byte string of the frozen vectors: entries, steps, statements.
pub(crate) fn payloads() -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    for text in [
        include_str!("../../../../docs/vectors/entries.json"),
        include_str!("../../../../docs/vectors/audit.json"),
        include_str!("../../../../docs/vectors/erasure.json"),
    ] {
        if let Ok(value) = serde_json::from_str(text) {
            collect(&value, &mut out);
        }
    }
    let receipt = include_str!("../../../../docs/vectors/receipt.json");
    if let Ok(serde_json::Value::Object(receipt)) = serde_json::from_str(receipt)
        && let Some(code) = receipt.get("code").and_then(|code| code.as_str())
    {
        out.extend(hex::decode(code.trim_start_matches("CUNKOU:R1:")));
    }
    out
}

pub(crate) fn entries() -> Vec<Vec<u8>> {
    let mut out = payloads();
    out.extend(HOSTILE.iter().map(|h| h.to_vec()));
    out
}

fn wire() -> serde_json::Value {
    let text = include_str!("../../../../docs/vectors/frames.json");
    serde_json::from_str(text).unwrap_or_default()
}

/// One of each frame of the vectors, with entries as they are, and with as many as may be.
pub(crate) fn frames() -> Vec<Vec<u8>> {
    let entries = payloads().into_iter().take(4).map(Into::into).collect();
    let (scope, upto, head) = ("place:1".to_owned(), 3, 9);
    let mut all = vec![
        Frame::Hello(our_hello()).encode(),
        Frame::Entries { scope: scope.clone(), upto, head, entries }.encode(),
        Frame::Entries { scope, upto, head, entries: vec![vec![].into(); 1999] }.encode(),
    ];
    let told = wire();
    let vectors = told["frames"].as_object().into_iter().flatten();
    all.extend(vectors.filter_map(|(_, frame)| hex::decode(frame.as_str()?)));
    all
}

pub(crate) fn ranges() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for length in [1, GROUP, GROUP + 1, 5 * GROUP] {
        let mut outliner = Outliner::default();
        outliner.read(&vec![7; length]);
        let names = outliner.finish().map(|outline| outline.names()).unwrap_or_default();
        let ask = Ask::Groups { first: 1, count: 4 };
        let (here, later) = (Answer::Here(length as u64), Answer::Later(Duration::from_secs(9)));
        for answer in [here, later, Answer::Lacking] {
            let mut tail = answer.encode();
            tail.reverse();
            let mut asked = ask.encode();
            asked.reverse();
            all.push([&(length as u64).to_be_bytes()[..], &names, &tail, &asked].concat());
        }
    }
    all
}

fn behind_lengths(frames: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut all = Vec::new();
    for frame in frames {
        all.extend(u16::try_from(frame.len()).unwrap_or(u16::MAX).to_be_bytes());
        all.extend(frame);
    }
    all
}

/// All frames after a hello, to either side, and what each side hears in the conversations of the
/// vectors.
pub(crate) fn conversations() -> Vec<Vec<u8>> {
    let (answers, dials) = ([0].as_slice(), [1].as_slice());
    let hello = || Frame::Hello(our_hello()).encode();
    let mut all = vec![behind_lengths(frames())];
    for frame in frames() {
        let said = behind_lengths([hello(), frame]);
        all.extend([[answers, &said].concat(), [dials, &said].concat()]);
    }
    let told = wire();
    for (_, said) in told["conversations"].as_object().into_iter().flatten() {
        for (hears, who) in [(answers, "dials"), (dials, "answers")] {
            let of = |line: &serde_json::Value| hex::decode(line[who].as_str()?);
            let frames = said.as_array().into_iter().flatten().filter_map(of);
            let rest: Vec<Vec<u8>> = frames.skip(1).collect();
            all.push([hears, &behind_lengths(std::iter::once(hello()).chain(rest))].concat());
        }
    }
    all
}

pub(crate) fn enrolments() -> Vec<Vec<u8>> {
    let request = EnrolRequest::new([1; 32], &[2; 32], vec![4; 91], vec![vec![10, 0, 0, 2].into()]);
    let offer = OfferedEnrolment {
        device: [1; 16],
        certificate: vec![3; 300].into(),
        county: [4; 16],
        founding: [5; 32],
        index_secret: [6; 32],
        county_log: payloads().into_iter().map(Into::into).collect(),
        issuing: Some(vec![3; 300].into()),
        roots: Some(vec![vec![3; 300].into()]),
        web_certificate: Some(vec![3; 300].into()),
        recovery: Some([7; 32]),
        lease: Some([8; 32]),
    };
    let refused = EnrolResponse::Refused("no".into());
    [
        minicbor::to_vec(request),
        minicbor::to_vec(EnrolResponse::Enrolled(Box::new(offer))),
        minicbor::to_vec(refused),
    ]
    .into_iter()
    .flatten()
    .collect()
}

pub(crate) fn changes() -> Vec<Vec<u8>> {
    let mut out: Vec<Vec<u8>> = HOSTILE.iter().map(|h| h.to_vec()).collect();
    if let Ok(mut document) = Document::new(Schema::Case1) {
        for n in 0..3 {
            let writes = [
                Write::set(Section::Form, "phone", format!("1390000010{n}")),
                Write::set(Section::Notes, format!("n{n}"), "说明"),
                Write::remove(Section::Notes, "n0"),
            ];
            out.extend(document.write(ACTOR, 0, &writes).ok().flatten());
        }
        let candidates =
            out.iter().map(|c| Candidate { actor: ACTOR, chunk: c.clone().into() }).collect();
        out.push(job_bytes(&[Job::new(Schema::Case1, Some(&document.save()), candidates)]));
    }
    out
}

pub(crate) fn catalogues() -> Vec<Vec<u8>> {
    let items: Option<Items> =
        serde_json::from_str(include_str!("../../../../county-relay/catalogue/items.json")).ok();
    let holidays =
        serde_json::from_str(include_str!("../../../../county-relay/catalogue/holidays.json")).ok();
    let contacts: Option<Contacts> =
        serde_json::from_str::<serde_json::Value>(include_str!("../../../demo/county/places.json"))
            .ok()
            .and_then(|places| serde_json::from_value(places["contacts"].clone()).ok());
    match (items, holidays, contacts) {
        (Some(items), Some(holidays), Some(contacts)) => {
            vec![Release { items, holidays, contacts }.encode()]
        }
        _ => Vec::new(),
    }
}
