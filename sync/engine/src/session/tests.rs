use super::*;
use crate::wire::ScopeState;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// One side: a session over a log in memory.
struct Side {
    store: [u8; 16],
    log: Vec<(u8, Vec<u8>)>,
    read: u64,
    acked: u64,
    session: Session,
    completed: usize,
    closed: Option<Violation>,
}

const NOW: Duration = Duration::ZERO;

fn hello(store: [u8; 16], head: u64, read: u64, acked: u64) -> Hello {
    let other = if store == [1; 16] { [2; 16] } else { [1; 16] };
    Hello {
        protocol: PROTOCOL,
        store,
        epoch: store,
        incarnation: [0; 16],
        software: "test".into(),
        time_ms: 0,
        scopes: vec![ScopeState {
            scope: "place:1".into(),
            head,
            read,
            epoch: other,
            acked: Some(acked),
        }],
        features: None,
    }
}

impl Side {
    fn new(store: u8, log: Vec<(u8, Vec<u8>)>, read: u64) -> Self {
        let store = [store; 16];
        let session = Session::new(NOW, hello(store, log.len() as u64, read, 0));
        Self { store, log, read, acked: 0, session, completed: 0, closed: None }
    }

    fn reconnect(&mut self) {
        self.session =
            Session::new(NOW, hello(self.store, self.log.len() as u64, self.read, self.acked));
    }

    fn append(&mut self, entry: Vec<u8>) {
        self.log.push((0, entry));
        let head = self.log.len() as u64;
        self.session.handle(NOW, Input::Committed { scope: "place:1".into(), head });
    }

    /// Does what the session wants; frames to send come out.
    fn turn(&mut self, batch: usize) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Send(frame) => frames.push(frame),
                Output::Load { scope, after, .. } => {
                    let upto = (after as usize + batch).min(self.log.len());
                    let part = &self.log[after as usize..upto];
                    // What came from the peer is left out.
                    let entries =
                        part.iter().filter(|(via, _)| *via == 0).map(|(_, e)| e.clone()).collect();
                    let (upto, head) = (upto as u64, self.log.len() as u64);
                    self.session.handle(NOW, Input::Loaded { scope, upto, head, entries });
                }
                Output::Store { scope, upto, entries } => {
                    for entry in entries {
                        if !self.log.iter().any(|(_, have)| *have == entry) {
                            self.log.push((1, entry));
                        }
                    }
                    self.read = upto;
                    let head = self.log.len() as u64;
                    self.session.handle(NOW, Input::Stored { scope: scope.clone(), upto });
                    self.session.handle(NOW, Input::Committed { scope, head });
                }
                Output::Acked { upto, .. } => self.acked = upto,
                Output::Completed => self.completed += 1,
                Output::Close(violation) => self.closed = Some(violation),
                Output::Greeted(_)
                | Output::LastWord(_)
                | Output::Question(_)
                | Output::Answer(_) => {}
            }
        }
        frames
    }

    fn contents(&self) -> BTreeSet<Vec<u8>> {
        self.log.iter().map(|(_, e)| e.clone()).collect()
    }
}

/// Runs both until nobody says anything, or `frames` frames have passed; says how many did.
fn run(a: &mut Side, b: &mut Side, batch: usize, frames_max: usize) -> usize {
    let mut frames = 0;
    loop {
        let from_a = a.turn(batch);
        for frame in &from_a {
            b.session.handle(NOW, Input::Received(frame.clone()));
        }
        let from_b = b.turn(batch);
        for frame in &from_b {
            a.session.handle(NOW, Input::Received(frame.clone()));
        }
        frames += from_a.len() + from_b.len();
        if (from_a.is_empty() && from_b.is_empty()) || frames >= frames_max {
            return frames;
        }
    }
}

fn entries(side: u8, n: usize) -> Vec<(u8, Vec<u8>)> {
    (0..n).map(|i| (0, vec![side, i as u8])).collect()
}

#[test]
fn nothing_changed_is_said_with_one_hello_each_and_nothing_else() {
    let mut a = Side::new(1, entries(1, 3), 0);
    let mut b = Side::new(2, Vec::new(), 0);
    run(&mut a, &mut b, 10, usize::MAX);
    a.reconnect();
    b.reconnect();
    (a.completed, b.completed) = (0, 0);
    assert_eq!(run(&mut a, &mut b, 10, usize::MAX), 2);
    assert_eq!((a.completed, b.completed), (1, 1));
    assert_eq!(a.session.poll_timeout(), None);
}

#[test]
fn what_is_new_while_connected_is_sent_at_once() {
    let mut a = Side::new(1, Vec::new(), 0);
    let mut b = Side::new(2, Vec::new(), 0);
    run(&mut a, &mut b, 10, usize::MAX);
    a.append(vec![9]);
    run(&mut a, &mut b, 10, usize::MAX);
    assert_eq!(b.contents(), BTreeSet::from([vec![9]]));
    assert_eq!(a.acked, 1);
}

#[test]
fn a_scope_that_only_the_peer_names_is_not_talked_about() {
    let mut a = Side::new(1, entries(1, 1), 0);
    let mut greedy = hello([2; 16], 0, 0, 0);
    greedy.scopes[0].scope = "place:2".into();
    a.turn(1);
    a.session.handle(NOW, Input::Received(Frame::Hello(greedy).encode()));
    assert!(a.turn(1).is_empty());
    let stray = Frame::Entries { scope: "place:2".into(), upto: 1, head: 1, entries: vec![] };
    a.session.handle(NOW, Input::Received(stray.encode()));
    a.turn(1);
    assert_eq!(a.closed, Some(Violation::Scope));
}

#[test]
fn a_disk_that_went_back_sends_what_it_is_not_sure_of() {
    for (after, what) in [(0, "as long ago"), (2, "shorter"), (3, "as long"), (5, "longer")] {
        let mut a = Side::new(1, entries(1, 3), 0);
        let mut b = Side::new(2, entries(2, 2), 0);
        run(&mut a, &mut b, 10, usize::MAX);
        let then = (a.log.clone(), a.read, a.acked);
        (0..3).for_each(|i| a.append(vec![7, i]));
        run(&mut a, &mut b, 10, usize::MAX);
        (a.log, a.read, a.acked) = then;
        (0..after).for_each(|i| a.log.push((0, vec![8, i])));
        a.reconnect();
        b.reconnect();
        run(&mut a, &mut b, 2, usize::MAX);
        assert!(a.closed.is_none() && b.closed.is_none(), "{what}: {:?} {:?}", a.closed, b.closed);
        assert!((0..after).all(|i| b.contents().contains(&vec![8, i])), "{what}: nothing is lost");
        assert_eq!(a.session.poll_timeout().or(b.session.poll_timeout()), None, "{what}: at rest");
    }
}

#[test]
fn heads_that_cannot_be_added_up_are_no_reason_to_stop() {
    let mut mine = hello([1; 16], 0, 0, 0);
    mine.scopes.push(ScopeState { scope: "place:2".into(), ..mine.scopes[0].clone() });
    let mut theirs = hello([2; 16], u64::MAX, 0, 0);
    theirs.scopes.push(ScopeState { scope: "place:2".into(), ..theirs.scopes[0].clone() });
    let mut session = Session::new(NOW, mine);
    session.handle(NOW, Input::Received(Frame::Hello(theirs).encode()));
    assert_eq!(session.progress().to_receive, u64::MAX);
}

#[test]
fn a_silent_peer_is_left() {
    let mut a = Side::new(1, Vec::new(), 0);
    let (at, _) = a.session.poll_timeout().expect("a hello is due");
    a.session.handle(at, Input::Tick);
    a.turn(1);
    assert_eq!(a.closed, Some(Violation::Silent));
}

proptest! {
    #[test]
    fn two_stores_end_equal_however_often_they_are_cut(
        n_a in 0usize..20, n_b in 0usize..20, batch in 1usize..7,
        cuts in proptest::collection::vec(1usize..9, 0..8),
    ) {
        let mut a = Side::new(1, entries(1, n_a), 0);
        let mut b = Side::new(2, entries(2, n_b), 0);
        for frames in cuts {
            run(&mut a, &mut b, batch, frames);
            a.reconnect();
            b.reconnect();
        }
        run(&mut a, &mut b, batch, usize::MAX);
        prop_assert_eq!(a.contents(), b.contents());
        prop_assert_eq!(a.contents().len(), n_a + n_b);
        prop_assert_eq!(a.session.progress(), Progress::default());
        prop_assert!(a.closed.is_none() && b.closed.is_none());
    }

    #[test]
    fn bytes_of_a_stranger_never_panic(
        frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 0..5)
    ) {
        let mut a = Side::new(1, entries(1, 2), 0);
        for frame in frames {
            a.session.handle(NOW, Input::Received(frame));
            a.turn(3);
        }
    }
}

#[test]
fn a_last_word_is_heard_after_the_hellos_only_and_never_a_long_one() {
    let hello = |n: u8| hello([n; 16], 0, 0, 0);
    let mut session = Session::new(NOW, hello(1));
    let word = |n: usize| Input::Received(Frame::LastWord(vec![7; n].into()).encode());
    session.handle(NOW, word(10));
    let last = std::iter::from_fn(|| session.poll_output()).last();
    assert_eq!(last, Some(Output::Close(Violation::OutOfTurn)));
    let mut session = Session::new(NOW, hello(1));
    session.handle(NOW, Input::Received(Frame::Hello(hello(2)).encode()));
    session.handle(NOW, word(10));
    let all: Vec<Output> = std::iter::from_fn(|| session.poll_output()).collect();
    assert!(all.contains(&Output::LastWord(vec![7; 10])), "{all:?}");
    session.handle(NOW, word(5000));
    let last = std::iter::from_fn(|| session.poll_output()).last();
    assert_eq!(last, Some(Output::Close(Violation::FrameTooLong(5000))));
}
