//! One conversation with one peer.

use crate::wire::{
    BATCH_BYTES, Frame, Hello, LAST_WORD_BYTES_MAX, PROTOCOL, QUESTION_BYTES_MAX, SCOPES_MAX,
    Violation,
};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// A peer that says nothing for so long, when something is due, is left.
const PATIENCE: Duration = Duration::from_secs(60);
/// A peer that owes an acknowledgement may have stopped reading because a quota is used up
/// ([`crate::Limits`]); whether it is there at all is the transport's matter.
const PATIENCE_FOR_ACK: Duration = Duration::from_secs(15 * 60);
/// So many batches are on their way at once: together they fit into the peer's window, so that two
/// sides that both have much to say never wait for each other.
const LANES_SENDING_MAX: usize = 2;

/// What happens to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A frame came from the peer.
    Received(Vec<u8>),
    /// Our own log of a scope now ends here.
    Committed {
        /// Which.
        scope: String,
        /// Where.
        head: u64,
    },
    /// A [`Output::Load`] is done.
    Loaded {
        /// Which scope.
        scope: String,
        /// Where the part ends.
        upto: u64,
        /// Where the log ends.
        head: u64,
        /// The entries.
        entries: Vec<Vec<u8>>,
    },
    /// A [`Output::Store`] is committed on disk.
    Stored {
        /// Which scope.
        scope: String,
        /// Up to where in the peer's log.
        upto: u64,
    },
    /// To be asked of the peer.
    Question(Vec<u8>),
    /// The answer to an [`Output::Question`].
    Answer(Vec<u8>),
    /// An [`Output::Answer`] does not fit what was seen before.
    Inconsistent,
    /// Reading had stopped because a quota was used up and goes on: what the peer owes, it owes
    /// from now.
    Resumed,
    /// This side has a last word to say.
    LastWord(Vec<u8>),
    /// The time asked for has come.
    Tick,
}

/// What a session wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send a frame.
    Send(Vec<u8>),
    /// Remember the peer.
    Greeted(Hello),
    /// Load our log after a position.
    Load {
        /// Which scope.
        scope: String,
        /// After which position.
        after: u64,
        /// About how many bytes.
        bytes_max: usize,
    },
    /// Commit a batch and its cursor.
    Store {
        /// Which scope.
        scope: String,
        /// The cursor.
        upto: u64,
        /// The entries.
        entries: Vec<Vec<u8>>,
    },
    /// The peer has committed our log up to here.
    Acked {
        /// Which scope.
        scope: String,
        /// Up to where.
        upto: u64,
    },
    /// The peer asks about our log.
    Question(Vec<u8>),
    /// The peer has answered.
    Answer(Vec<u8>),
    /// The peer has said its last word: keep it and close.
    LastWord(Vec<u8>),
    /// Both sides have everything there was.
    Completed,
    /// End the conversation.
    Close(Violation),
}

/// How far a session is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Positions of our log the peer has yet to acknowledge.
    pub to_send: u64,
    /// Positions of the peer's log we have yet to commit.
    pub to_receive: u64,
}

#[derive(Clone, Debug, Default)]
struct Lane {
    our_head: u64,
    /// Acknowledged by the peer.
    acked: u64,
    /// A part is being loaded or is on its way.
    sending: bool,
    their_head: u64,
    /// Committed here.
    read: u64,
    /// A batch is being committed.
    storing: bool,
}

/// One conversation. See the crate's page for the rules.
#[derive(Debug)]
pub struct Session {
    hello: Hello,
    lanes: BTreeMap<String, Lane>,
    greeted: bool,
    told_completed: bool,
    /// We have asked and were not answered yet.
    asked: bool,
    /// The peer has asked and was not answered yet.
    answering: bool,
    closed: bool,
    deadline: Option<Duration>,
    out: VecDeque<Output>,
}

impl Session {
    /// Begins a conversation by saying hello. `now` counts from any fixed moment.
    #[must_use]
    pub fn new(now: Duration, hello: Hello) -> Self {
        let mut out = VecDeque::new();
        out.push_back(Output::Send(Frame::Hello(hello.clone()).encode()));
        Self {
            hello,
            lanes: BTreeMap::new(),
            greeted: false,
            told_completed: false,
            asked: false,
            answering: false,
            closed: false,
            deadline: Some(now + PATIENCE),
            out,
        }
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
            to_send: sum.to_send.saturating_add(lane.our_head.saturating_sub(lane.acked)),
            to_receive: sum.to_receive.saturating_add(lane.their_head.saturating_sub(lane.read)),
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

    fn step(&mut self, now: Duration, input: Input) -> Result<(), Violation> {
        match input {
            Input::Received(bytes) => match Frame::decode(&bytes)? {
                Frame::Hello(hello) => self.greet(hello)?,
                _ if !self.greeted => return Err(Violation::OutOfTurn),
                Frame::Entries { scope, upto, head, entries } => {
                    let lane = self.lanes.get_mut(&scope).ok_or(Violation::Scope)?;
                    if lane.storing {
                        return Err(Violation::OutOfTurn);
                    }
                    // A peer whose disk went back sends again what it is not sure of.
                    if upto > head || head < lane.their_head {
                        return Err(Violation::Position);
                    }
                    lane.their_head = head;
                    lane.storing = true;
                    let entries = entries.into_iter().map(Into::into).collect();
                    self.out.push_back(Output::Store { scope, upto, entries });
                }
                Frame::Ack { scope, upto } => {
                    let lane = self.lanes.get_mut(&scope).ok_or(Violation::Scope)?;
                    if upto < lane.acked || upto > lane.our_head || !lane.sending {
                        return Err(Violation::Position);
                    }
                    lane.acked = upto;
                    lane.sending = false;
                    self.out.push_back(Output::Acked { scope, upto });
                    self.send_others();
                }
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
            },
            Input::LastWord(words) => {
                self.out.push_back(Output::Send(Frame::LastWord(words.into()).encode()));
            }
            Input::Committed { scope, head } => {
                if let Some(lane) = self.lanes.get_mut(&scope) {
                    lane.our_head = lane.our_head.max(head);
                    self.send_more(&scope);
                }
            }
            Input::Loaded { scope, upto, head, entries } => {
                if let Some(lane) = self.lanes.get_mut(&scope) {
                    lane.our_head = lane.our_head.max(head);
                    let head = lane.our_head;
                    let entries = entries.into_iter().map(Into::into).collect();
                    let frame = Frame::Entries { scope, upto, head, entries };
                    self.out.push_back(Output::Send(frame.encode()));
                }
            }
            Input::Stored { scope, upto } => {
                if let Some(lane) = self.lanes.get_mut(&scope) {
                    lane.read = upto;
                    lane.storing = false;
                    self.out.push_back(Output::Send(Frame::Ack { scope, upto }.encode()));
                }
            }
            Input::Question(_) if self.asked => {}
            Input::Question(bytes) => {
                self.asked = true;
                self.out.push_back(Output::Send(Frame::Question(bytes.into()).encode()));
            }
            Input::Answer(bytes) => {
                self.answering = false;
                self.out.push_back(Output::Send(Frame::Answer(bytes.into()).encode()));
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

    fn greet(&mut self, hello: Hello) -> Result<(), Violation> {
        if self.greeted {
            return Err(Violation::OutOfTurn);
        }
        if hello.protocol != PROTOCOL {
            return Err(Violation::Protocol(hello.protocol));
        }
        if hello.scopes.len() > SCOPES_MAX {
            return Err(Violation::TooManyScopes(hello.scopes.len()));
        }
        for theirs in &hello.scopes {
            // What only one side names is not talked about: a peer cannot widen its scope.
            let Some(ours) = self.hello.scopes.iter().find(|s| s.scope == theirs.scope) else {
                continue;
            };
            // A cursor of another epoch is void: the log may have gone back since. One beyond what
            // was acknowledged here may be of another log: our disk was restored, or is a copy.
            let known = ours.acked.unwrap_or(0).min(ours.head);
            let acked = if theirs.epoch == self.hello.epoch { theirs.read.min(known) } else { 0 };
            let same = ours.epoch == hello.epoch;
            let read = if same { ours.read.min(theirs.head) } else { 0 };
            let lane = Lane {
                our_head: ours.head,
                acked,
                sending: false,
                their_head: theirs.head,
                read,
                storing: false,
            };
            self.lanes.insert(theirs.scope.clone(), lane);
        }
        self.greeted = true;
        self.out.push_back(Output::Greeted(hello));
        // The county log first: what follows is judged by it.
        self.send_others();
        Ok(())
    }

    fn send_others(&mut self) {
        let mut scopes: Vec<String> = self.lanes.keys().cloned().collect();
        scopes.sort_by_key(|scope| scope != "system");
        for scope in scopes {
            self.send_more(&scope);
        }
    }

    fn send_more(&mut self, scope: &str) {
        let sending = self.lanes.values().filter(|lane| lane.sending).count();
        if sending >= LANES_SENDING_MAX {
            return;
        }
        if let Some(lane) = self.lanes.get_mut(scope)
            && !lane.sending
            && lane.acked < lane.our_head
        {
            lane.sending = true;
            self.out.push_back(Output::Load {
                scope: scope.to_owned(),
                after: lane.acked,
                bytes_max: BATCH_BYTES,
            });
        }
    }

    fn settle(&mut self, now: Duration) {
        let Progress { to_send, to_receive } = self.progress();
        let done = self.greeted && to_send == 0 && to_receive == 0;
        let sending = self.lanes.values().any(|lane| lane.sending);
        let patience = if sending { PATIENCE_FOR_ACK } else { PATIENCE };
        self.deadline = if done && !self.asked { None } else { Some(now + patience) };
        if done && !self.told_completed {
            self.out.push_back(Output::Completed);
        }
        self.told_completed = done;
    }
}

#[cfg(test)]
mod tests;
