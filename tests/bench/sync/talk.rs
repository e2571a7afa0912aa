//! A conversation of two replicas in this process: real sessions, real stores, and every byte and
//! every turn of what they say counted.

use super::county::{peer, secret};
use anyhow::{Result, bail};
use cunkou_engine::{Call, Frame, Input, Output, PeerInfo, Port, Session, perform};
use cunkou_replica::Replica;
use std::collections::VecDeque;
use std::time::Duration;

/// How much was said since it was asked last.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Said {
    /// Frames with their lengths. Bytes, both ways.
    pub(crate) bytes: usize,
    /// Entries that went over. Bytes as they are signed.
    pub(crate) entries: usize,
    /// Frames that neither carry entries, nor ask for them by name, nor acknowledge them: what it
    /// takes to know what the other side lacks. Bytes.
    pub(crate) naming: usize,
    /// How often the direction changed, and everything that was under way arrived.
    pub(crate) turns: usize,
    /// The same until the last frame of [`Said::naming`].
    pub(crate) naming_turns: usize,
}

impl Said {
    /// Round trips: there and back.
    pub(crate) fn round_trips(self) -> f64 {
        self.turns as f64 / 2.0
    }

    /// Round trips until all that differs is named.
    pub(crate) fn round_trips_to_name(self) -> f64 {
        self.naming_turns as f64 / 2.0
    }
}

struct Side<'a> {
    replica: &'a Replica,
    other: PeerInfo,
    session: Session,
    /// What has arrived and was not read yet.
    arrived: VecDeque<Vec<u8>>,
    /// What is under way to the other side.
    sent: VecDeque<Vec<u8>>,
}

/// Two sides that talk; the first one has called.
pub(crate) struct Talk<'a> {
    sides: [Side<'a>; 2],
    said: Said,
}

impl<'a> Talk<'a> {
    /// The device `a` on its replica calls `b`; everything is said that is to be said.
    pub(crate) fn begin(a: (u8, &'a Replica), b: (u8, &'a Replica)) -> Result<Self> {
        let to_b = peer(a.1, b.0)?;
        let to_a = b.1.admit_peer(&secret(a.0).public().0)?;
        let call = Call::Out { knows: a.1.knows(&to_b)? };
        let side = |replica: &'a Replica, other: PeerInfo, call| -> Result<Side<'a>> {
            let session = Session::new(Duration::ZERO, replica.hello(&other)?, call);
            let (arrived, sent) = (VecDeque::new(), VecDeque::new());
            Ok(Side { replica, other, session, arrived, sent })
        };
        let sides = [side(a.1, to_b, call)?, side(b.1, to_a, Call::In)?];
        let mut talk = Self { sides, said: Said::default() };
        talk.go_on()?;
        Ok(talk)
    }

    /// What was said since this was asked last.
    pub(crate) fn said(&mut self) -> Said {
        std::mem::take(&mut self.said)
    }

    /// A side has committed something of its own; everything that follows is said.
    pub(crate) fn committed(&mut self, side: usize) -> Result<()> {
        let side = &mut self.sides[side];
        for (scope, head) in side.replica.heads(&side.other)? {
            side.session.handle(Duration::ZERO, Input::Committed { scope, head });
        }
        self.go_on()
    }

    /// In turns: each side reads what has arrived and says what it has to say.
    fn go_on(&mut self) -> Result<()> {
        let mut quiet = 0;
        let mut at = 0;
        while quiet < 2 {
            let side = &mut self.sides[at];
            side.act()?;
            while let Some(frame) = side.arrived.pop_front() {
                side.session.handle(Duration::ZERO, Input::Received(frame));
                side.act()?;
            }
            let sent: Vec<Vec<u8>> = side.sent.drain(..).collect();
            quiet = if sent.is_empty() { quiet + 1 } else { 0 };
            self.said.turns += usize::from(!sent.is_empty());
            for frame in &sent {
                self.count(frame)?;
            }
            at = 1 - at;
            self.sides[at].arrived.extend(sent);
        }
        Ok(())
    }

    fn count(&mut self, frame: &[u8]) -> Result<()> {
        // As the link sends it: the length, then the frame.
        let bytes = frame.len() + 4;
        self.said.bytes += bytes;
        let entries = match Frame::decode(frame)? {
            Frame::Entries { entries, .. }
            | Frame::Fetched { entries, .. }
            | Frame::Give { entries, .. } => entries.iter().map(|e| e.len()).sum(),
            Frame::Packed { size, .. } => usize::try_from(size)?,
            Frame::Ack { .. } | Frame::Fetch { .. } | Frame::Given { .. } => return Ok(()),
            _ => {
                self.said.naming += bytes;
                self.said.naming_turns = self.said.turns;
                return Ok(());
            }
        };
        self.said.entries += entries;
        Ok(())
    }
}

impl Side<'_> {
    /// Does what the session asks for, until it asks for nothing more.
    fn act(&mut self) -> Result<()> {
        let (port, other) = (self.replica, &self.other);
        while let Some(output) = self.session.poll_output() {
            let inputs = match output {
                Output::Send(frame) => {
                    self.sent.push_back(frame);
                    continue;
                }
                Output::Greeted(hello) => {
                    port.greeted(other, &hello)?;
                    continue;
                }
                Output::GreetedAgain { incarnation, time_ms, features } => {
                    port.greeted_again(other, &incarnation, time_ms, features)?;
                    continue;
                }
                Output::Store { scope, upto, entries } => {
                    Port::store(port, other, &scope, upto, &entries)?;
                    vec![Input::Stored { scope, upto }]
                }
                Output::Completed => {
                    port.completed(other)?;
                    continue;
                }
                Output::Close(violation) => bail!("the conversation broke: {violation}"),
                Output::Question(_) | Output::Answer(_) | Output::LastWord(_) => continue,
                output => perform(port, other, output)?,
            };
            for input in inputs {
                self.session.handle(Duration::ZERO, input);
            }
        }
        Ok(())
    }
}
