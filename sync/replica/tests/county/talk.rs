//! Whole conversations between two stations: the engine's own sessions, frame by frame.

use super::Station;
use cunkou_engine::{Call, Frame, Input, Output, PeerInfo, Port, Session, perform};
use std::collections::VecDeque;
use std::time::Duration;

/// What went over the line.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// Entries that the relay sent, by scope and bytes.
    pub(crate) from_relay: Vec<(String, Vec<u8>)>,
    /// Names of scopes that were repaired.
    pub(crate) repaired: Vec<String>,
    /// Frames.
    pub(crate) frames: usize,
    /// Whether hellos were brief.
    pub(crate) brief: bool,
}

struct Side<'a> {
    station: &'a Station,
    peer: PeerInfo,
    session: Session,
}

impl<'a> Side<'a> {
    fn new(station: &'a Station, other: &Station, dials: bool) -> Self {
        let peer = station.peer(other);
        let hello = station.hello(&peer).expect("a hello");
        let knows = station.knows(&peer).expect("readable");
        let call = if dials { Call::Out { knows } } else { Call::In };
        let session = Session::new(Duration::ZERO, hello, call);
        Self { station, peer, session }
    }

    fn input(&mut self, input: Input) {
        self.session.handle(Duration::ZERO, input);
    }

    /// Does what there is to do, and gives the frames for the other side.
    fn pump(&mut self, heard: &mut Heard) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        let relay = self.station.n == super::RELAY;
        while let Some(output) = self.session.poll_output() {
            let (port, peer): (&dyn Port, _) = (&**self.station, self.peer.clone());
            match output {
                Output::Send(frame) => frames.push(frame),
                Output::Greeted(hello) => {
                    port.greeted(&peer, &hello).expect("greeted");
                    self.rotten();
                }
                Output::GreetedAgain { incarnation, time_ms, features } => {
                    heard.brief = true;
                    port.greeted_again(&peer, &incarnation, time_ms, features).expect("greeted");
                    self.rotten();
                }
                Output::Store { scope, upto, entries } => {
                    if !relay {
                        let of = |bytes: &Vec<u8>| (scope.clone(), bytes.clone());
                        heard.from_relay.extend(entries.iter().map(of));
                    }
                    port.store(&peer, &scope, upto, &entries).expect("stored");
                    self.input(Input::Stored { scope, upto });
                }
                Output::Completed => {
                    port.completed(&peer).expect("completed");
                    if let Some(question) = port.question(&peer).expect("readable") {
                        self.input(Input::Question(question));
                    }
                }
                Output::Question(bytes) => {
                    let answer = port.answer(&peer, &bytes).expect("readable");
                    self.input(Input::Answer(answer.unwrap_or_default()));
                }
                Output::Answer(bytes) => {
                    assert!(port.answered(&peer, &bytes).expect("readable"), "an honest relay");
                }
                Output::Close(violation) => panic!("{violation}"),
                output => {
                    if let Output::Heal { scope, entries } = &output
                        && !relay
                    {
                        let of = |bytes: &Vec<u8>| (scope.clone(), bytes.clone());
                        heard.from_relay.extend(entries.iter().map(of));
                    }
                    if let Output::Repaired { scope, .. } = &output {
                        heard.repaired.push(scope.clone());
                    }
                    for input in perform(port, &peer, output).expect("the store works") {
                        self.input(input);
                    }
                }
            }
        }
        frames
    }

    fn rotten(&mut self) {
        for rotten in self.station.rotten(&self.peer).expect("readable") {
            self.input(Input::Rotten(rotten));
        }
    }

    /// News for the session; false when the other is not what it was.
    fn news(&mut self, other: &Station) -> bool {
        if self.station.peer(other) != self.peer {
            return false;
        }
        for (scope, head) in self.station.heads(&self.peer).expect("readable") {
            self.input(Input::Committed { scope, head });
        }
        true
    }
}

/// One conversation until nobody has anything to say, or until so many frames have gone over. When
/// villages change, it ends, as on a line.
pub(crate) fn converse_for(dials: &Station, relay: &Station, frames_max: usize) -> Heard {
    let mut heard = Heard::default();
    let mut sides = [Side::new(dials, relay, true), Side::new(relay, dials, false)];
    let mut lines = [VecDeque::new(), VecDeque::new()];
    loop {
        let mut moved = false;
        for at in 0..2 {
            let mut frames = sides[at].pump(&mut heard);
            let other = if at == 0 { relay } else { dials };
            if !sides[at].news(other) {
                return heard;
            }
            frames.extend(sides[at].pump(&mut heard));
            moved |= !frames.is_empty();
            lines[at].extend(frames);
            if let Some(frame) = lines[1 - at].pop_front() {
                if heard.frames == frames_max {
                    return heard;
                }
                heard.frames += 1;
                moved = true;
                assert!(Frame::decode(&frame).is_ok());
                sides[at].input(Input::Received(frame));
            }
        }
        if !moved {
            return heard;
        }
    }
}

/// Conversations until nothing moves any more.
pub(crate) fn converse(dials: &Station, relay: &Station) -> Heard {
    let mut all = Heard::default();
    for _ in 0..12 {
        let before = (dials.entry_count(), relay.entry_count(), dials.emptied(), relay.emptied());
        let heard = converse_for(dials, relay, usize::MAX);
        all.from_relay.extend(heard.from_relay);
        all.repaired.extend(heard.repaired);
        all.frames += heard.frames;
        all.brief = heard.brief;
        let after = (dials.entry_count(), relay.entry_count(), dials.emptied(), relay.emptied());
        if before == after {
            return all;
        }
    }
    unreachable!("two stations never come to rest");
}

impl Station {
    /// How many entries are here by their names alone.
    pub(crate) fn emptied(&self) -> usize {
        let rows = self.store().read(|view| view.entries_after(0, u32::MAX, usize::MAX));
        rows.expect("readable").iter().filter(|row| row.bytes.is_empty()).count()
    }
}
