//! A cold start: whole subjects first, then the log.
#![allow(missing_docs)]

mod county;

use county::*;
use cunkou_casework::document::{Projection, Section, Write};
use cunkou_casework::event::Step;
use cunkou_casework::ids::{Scope, SubjectId};
use cunkou_engine::{Call, Frame, Input, Output, PeerInfo, Port, Session, perform};
use std::time::Duration;

/// One side of a conversation: a real replica behind a real session.
struct Side<'a> {
    station: &'a Station,
    peer: PeerInfo,
    session: Session,
    /// Lengths of the frames it sent.
    sent: Vec<usize>,
    completed: bool,
}

impl<'a> Side<'a> {
    fn new(station: &'a Station, other: &Station, dials: bool) -> Self {
        let peer = station.peer(other);
        let knows = station.knows(&peer).expect("the store works");
        let call = if dials { Call::Out { knows } } else { Call::In };
        let session = Session::new(Duration::ZERO, station.hello(&peer).expect("a hello"), call);
        Self { station, peer, session, sent: Vec::new(), completed: false }
    }

    fn turn(&mut self) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        while let Some(output) = self.session.poll_output() {
            let port: &dyn Port = &**self.station;
            let inputs = match output {
                Output::Send(frame) => {
                    self.sent.push(frame.len());
                    frames.push(frame);
                    continue;
                }
                Output::Greeted(hello) => {
                    port.greeted(&self.peer, &hello).expect("greeted");
                    continue;
                }
                Output::GreetedAgain { incarnation, time_ms, features } => {
                    port.greeted_again(&self.peer, &incarnation, time_ms, features)
                        .expect("greeted");
                    continue;
                }
                Output::Store { scope, upto, entries } => {
                    port.store(&self.peer, &scope, upto, &entries).expect("stored");
                    vec![Input::Stored { scope, upto }]
                }
                Output::Completed => {
                    port.completed(&self.peer).expect("completed");
                    self.completed = true;
                    continue;
                }
                Output::Close(violation) => unreachable!("{violation}"),
                output => perform(port, &self.peer, output).expect("the store works"),
            };
            for input in inputs {
                self.session.handle(Duration::ZERO, input);
            }
            for (scope, head) in port.heads(&self.peer).expect("heads") {
                self.session.handle(Duration::ZERO, Input::Committed { scope, head });
            }
        }
        frames
    }
}

/// Lets two talk until they are silent, or `frames_max` frames have passed; says what `change` made
/// of each frame of the second.
fn talk(
    a: &Station,
    b: &Station,
    frames_max: usize,
    mut change: impl FnMut(Frame) -> Frame,
) -> (Vec<usize>, Vec<usize>) {
    let (mut a, mut b) = (Side::new(a, b, true), Side::new(b, a, false));
    let mut frames = 0;
    loop {
        let from_a = a.turn();
        for frame in &from_a {
            b.session.handle(Duration::ZERO, Input::Received(frame.clone()));
        }
        let from_b = b.turn();
        for frame in &from_b {
            let frame = change(Frame::decode(frame).expect("a frame")).encode();
            a.session.handle(Duration::ZERO, Input::Received(frame));
            frames += 1;
            if frames >= frames_max {
                a.turn();
                return (a.sent, b.sent);
            }
        }
        if from_a.is_empty() && from_b.is_empty() {
            return (a.sent, b.sent);
        }
    }
}

fn place() -> String {
    Scope::Place(YUNLING).to_string()
}

fn long(n: usize) -> Vec<Write> {
    let key = |k: usize| format!("field-{k}");
    (0..6).map(|k| Write::set(Section::Form, key(k), format!("云岭村第{n}组第{k}项"))).collect()
}

/// A county with many cases of a village, half of them closed, that has come to rest.
fn busy(cases: usize) -> (County, Vec<SubjectId>) {
    let county = County::founded();
    let all: Vec<SubjectId> = (0..cases)
        .map(|n| {
            let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
            assert!(county.yunling.save(AGENT_YUNLING, case, &long(n)));
            assert!(county.yunling.save(AGENT_YUNLING, case, &phone(&format!("138{n:08}"))));
            assert!(county.yunling.save(AGENT_YUNLING, case, &phone(&format!("139{n:08}"))));
            county.yunling.step(AGENT_YUNLING, case, submitted()).expect("submitted");
            if n % 2 == 1 {
                let withdrawn = Step::Withdrawn { reason: "不办了".into() };
                county.yunling.step(AGENT_YUNLING, case, withdrawn).expect("withdrawn");
            }
            case
        })
        .collect();
    county.settle();
    (county, all)
}

/// The village's box, replaced: the same device with an empty disk.
fn replaced(county: &County) -> Station {
    let fresh = Station::new(BOX_YUNLING);
    enrol(&county.relay, &fresh);
    fresh
}

fn same(county: &County, fresh: &Station, cases: &[SubjectId]) {
    for case in cases {
        assert_eq!(said(fresh, *case), said(&county.relay, *case));
        assert!(said(fresh, *case).is_some_and(|said| said.content != Projection::default()));
    }
    let sum = |station: &Station| {
        let sum = station.store().read(|view| view.name_sum(&place()));
        sum.expect("the store works")
    };
    assert_eq!(sum(fresh), sum(&county.relay));
}

#[test]
fn a_replaced_box_gets_open_cases_first_whole_and_the_log_brings_nothing_twice() {
    let (county, cases) = busy(40);
    let fresh = replaced(&county);
    let mut order = Vec::new();
    let mut again = 0;
    talk(&fresh, &county.relay, usize::MAX, |frame| {
        match &frame {
            Frame::Whole { next, end, .. } => order.push((next.first().copied(), *end)),
            Frame::Packed { scope, size, .. } if *scope == place() => again += size,
            _ => {}
        }
        frame
    });
    assert_eq!(order.last().map(|(_, end)| *end), Some(true));
    assert!(again < 3000, "what the log still had to bring: {again} bytes");
    same(&county, &fresh, &cases);
    let (mine, theirs) = talk(&fresh, &county.relay, usize::MAX, |frame| frame);
    let rest = mine.iter().chain(&theirs).sum::<usize>();
    assert!(mine.len() <= 2 && rest < 250, "at rest: {mine:?} {theirs:?}");
}

#[test]
fn a_cold_start_that_is_cut_anywhere_goes_on_and_ends_the_same() {
    let (county, cases) = busy(12);
    let fresh = replaced(&county);
    for cut in 1..14 {
        talk(&fresh, &county.relay, cut, |frame| frame);
    }
    talk(&fresh, &county.relay, usize::MAX, |frame| frame);
    same(&county, &fresh, &cases);
}

#[test]
fn documents_that_were_changed_on_the_way_are_not_believed_and_the_log_brings_the_true_ones() {
    let (county, cases) = busy(12);
    for offset in [4, 12, 60, 120, 300] {
        let fresh = replaced(&county);
        let mut changed = 0;
        talk(&fresh, &county.relay, usize::MAX, |frame| match frame {
            Frame::Whole { scope, next, end, size, bytes } => {
                let most = usize::try_from(size).expect("short");
                let mut body = zstd::bulk::decompress(&bytes, most).expect("a body");
                for start in documents(&body) {
                    body[start + offset] ^= 0x10;
                    changed += 1;
                }
                let bytes = zstd::bulk::compress(&body, 3).expect("packed").into();
                Frame::Whole { scope, next, end, size, bytes }
            }
            frame => frame,
        });
        assert_eq!(changed, cases.len());
        same(&county, &fresh, &cases);
    }
}

/// Where documents begin: Automerge's magic bytes, four of a checksum, and the number of a document.
fn documents(body: &[u8]) -> Vec<usize> {
    let begins = |bytes: &[u8]| bytes.starts_with(&[0x85, 0x6f, 0x4a, 0x83]) && bytes[8] == 0;
    (0..body.len().saturating_sub(9)).filter(|at| begins(&body[*at..])).collect()
}

#[test]
fn only_a_relay_is_asked_for_whole_subjects() {
    let (county, _) = busy(2);
    let of_box = county.relay.peer(&county.yunling);
    let hello = county.relay.hello(&of_box).expect("a hello");
    assert!(hello.scopes.iter().all(|state| state.whole.is_none()));
    let of_relay = county.yunling.peer(&county.relay);
    let hello = county.yunling.hello(&of_relay).expect("a hello");
    assert!(hello.scopes.iter().all(|state| state.whole.is_none()), "what was read is not asked");
}
