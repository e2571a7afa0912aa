//! One conversation with one peer.

mod cold;
mod greeting;
mod io;
mod lane;
mod repair;
mod sketched;

pub use io::{Call, Input, Output, Progress};

use crate::port::{Rotten, Wholes};
use crate::wire::{Frame, Hello, LAST_WORD_BYTES_MAX, QUESTION_BYTES_MAX, Violation};
use greeting::Said;
use lane::{Lane, Pace};
use repair::Repair;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// A peer that says nothing for so long, when something is due, is left.
const PATIENCE: Duration = Duration::from_secs(60);
/// A peer that owes an acknowledgement may have stopped reading because a quota is used up
/// ([`crate::Limits`]); whether it is there at all is the transport's matter.
const PATIENCE_FOR_ACK: Duration = Duration::from_secs(15 * 60);

/// One conversation. See the crate's page for the rules.
#[derive(Debug)]
pub struct Session {
    hello: Hello,
    call: Call,
    said: Said,
    /// What both sides understand.
    features: u64,
    lanes: BTreeMap<String, Lane>,
    /// Heads of our log that came about after our hello was made and before the greeting.
    early: BTreeMap<String, u64>,
    pace: Pace,
    greeted: bool,
    told_completed: bool,
    /// We have asked and were not answered yet.
    asked: bool,
    /// The peer has asked and was not answered yet.
    answering: bool,
    repair: Repair,
    closed: bool,
    deadline: Option<Duration>,
    out: VecDeque<Output>,
}

impl Session {
    /// Begins a conversation. Who dials says hello, in short where the peer is known to remember
    /// the same; who answers waits for it. `now` counts from any fixed moment.
    #[must_use]
    pub fn new(now: Duration, hello: Hello, call: Call) -> Self {
        let mut session = Self {
            hello,
            call,
            said: Said::Nothing,
            features: 0,
            lanes: BTreeMap::new(),
            early: BTreeMap::new(),
            pace: Pace::default(),
            greeted: false,
            told_completed: false,
            asked: false,
            answering: false,
            repair: Repair::default(),
            closed: false,
            deadline: Some(now + PATIENCE),
            out: VecDeque::new(),
        };
        session.open();
        session
    }

    /// The next thing to do, if any.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When to call with [`Input::Tick`], and why.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Duration, &'static str)> {
        self.deadline.map(|at| (at, "the peer owes an answer"))
    }

    /// How far the conversation is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.lanes.values().fold(Progress::default(), |sum, lane| Progress {
            to_send: sum.to_send.saturating_add(lane.to_send()),
            to_receive: sum.to_receive.saturating_add(lane.to_receive()),
        })
    }

    /// Takes one input.
    pub fn handle(&mut self, now: Duration, input: Input) {
        if self.closed {
            return;
        }
        if let Err(violation) = self.step(now, input) {
            self.closed = true;
            self.deadline = None;
            self.out.push_back(Output::Close(violation));
        }
    }

    fn say(&mut self, frame: &Frame) {
        self.out.push_back(Output::Send(frame.encode()));
    }

    /// Whether both sides understand something.
    fn both(&self, feature: u64) -> bool {
        self.features & feature != 0
    }

    fn lane(&mut self, scope: &str) -> Result<&mut Lane, Violation> {
        self.lanes.get_mut(scope).ok_or(Violation::Scope)
    }

    fn step(&mut self, now: Duration, input: Input) -> Result<(), Violation> {
        match input {
            Input::Received(bytes) => {
                let frame = Frame::decode(&bytes)?;
                self.hear(now, frame)?;
            }
            Input::LastWord(words) => self.say(&Frame::LastWord(words.into())),
            Input::Committed { scope, head } => self.committed(&scope, head),
            Input::Loaded { scope, upto, head, entries } => {
                self.loaded(now, &scope, upto, head, entries);
            }
            Input::Named { scope, upto, head, positions, names } => {
                self.named(&scope, upto, head, positions, &names);
            }
            Input::Lacking { scope, lacking } => self.lacking(&scope, &lacking),
            Input::Stored { scope, upto } => self.stored(&scope, upto),
            Input::Summed(sums) => self.summed(now, sums),
            Input::Sketch { scope, sketch } => self.sketch(scope, sketch),
            Input::Differences { scope, found } => self.differences(scope, found),
            Input::WholeNames { scope, names } => self.whole_names(&scope, names),
            Input::Names { scope, names } => self.names(scope, names)?,
            Input::Picked { scope, dealt, entries } => self.picked(scope, dealt, entries),
            Input::Healed { scope, new } => self.healed(scope, new),
            Input::Rotten(Rotten { scope, names }) => self.rotten(scope, names),
            Input::Wholes { scope, wholes } => self.wholes(&scope, wholes),
            Input::Warmed { scope } => self.warmed(&scope),
            Input::Question(_) if self.asked => {}
            Input::Question(bytes) => {
                self.asked = true;
                self.say(&Frame::Question(bytes.into()));
            }
            Input::Answer(bytes) => {
                self.answering = false;
                self.say(&Frame::Answer(bytes.into()));
            }
            Input::Inconsistent => return Err(Violation::Inconsistent),
            Input::Resumed => {}
            Input::Tick => {
                if self.deadline.is_some_and(|at| now >= at) {
                    return Err(Violation::Silent);
                }
                return Ok(());
            }
        }
        self.settle(now);
        Ok(())
    }

    fn hear(&mut self, now: Duration, frame: Frame) -> Result<(), Violation> {
        match frame {
            Frame::Hello(hello) => return self.heard_hello(hello),
            Frame::Brief(brief) => return self.heard_brief(&brief),
            _ if !self.greeted => return Err(Violation::OutOfTurn),
            Frame::Entries { scope, upto, head, entries } => {
                let entries = entries.into_iter().map(Into::into).collect();
                self.batch(scope, upto, head, entries)?;
            }
            Frame::Packed { scope, upto, head, size, bytes } => {
                let entries = crate::pack::unpack(&bytes, size)?;
                self.batch(scope, upto, head, entries)?;
            }
            Frame::Ack { scope, upto } => self.acked(now, scope, upto)?,
            Frame::Offer { scope, upto, head, names } => self.offered(scope, upto, head, &names)?,
            Frame::Want { scope, upto, lacking } => self.wanted(&scope, upto, &lacking)?,
            Frame::Whole { scope, next, end, size, bytes } => {
                let body = crate::pack::inflate(&bytes, size)?;
                self.whole(scope, Wholes { next: next.into(), end, body })?;
            }
            Frame::Took { scope } => self.took(&scope)?,
            Frame::Question(_) if self.answering => return Err(Violation::OutOfTurn),
            Frame::Question(bytes) if bytes.len() > QUESTION_BYTES_MAX => {
                return Err(Violation::FrameTooLong(bytes.len()));
            }
            Frame::Question(bytes) => {
                self.answering = true;
                self.out.push_back(Output::Question(bytes.into()));
            }
            Frame::Answer(_) if !self.asked => return Err(Violation::OutOfTurn),
            Frame::Answer(bytes) => {
                self.asked = false;
                if !bytes.is_empty() {
                    self.out.push_back(Output::Answer(bytes.into()));
                }
            }
            Frame::LastWord(words) if words.len() <= LAST_WORD_BYTES_MAX => {
                self.out.push_back(Output::LastWord(words.into()));
            }
            Frame::LastWord(words) => return Err(Violation::FrameTooLong(words.len())),
            frame => self.hear_of_repair(now, frame)?,
        }
        Ok(())
    }

    fn settle(&mut self, now: Duration) {
        let Progress { to_send, to_receive } = self.progress();
        let done = self.greeted && to_send == 0 && to_receive == 0;
        if done && !self.told_completed {
            self.out.push_back(Output::Completed);
        }
        self.told_completed = done;
        if done {
            self.look_for_differences(now);
        }
        let sending = self.lanes.values().any(Lane::is_sending);
        let patience = if sending { PATIENCE_FOR_ACK } else { PATIENCE };
        let waiting = !done || self.asked || self.repair.waits_for_peer();
        self.deadline = waiting.then_some(now + patience);
    }
}

#[cfg(test)]
mod tests;
