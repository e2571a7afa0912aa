use super::*;
use crate::pack;
use crate::wire::Brief;
use crate::wire::{PROTOCOL, ScopeState, features};
use proptest::prelude::*;
use std::collections::BTreeSet;

mod model;
mod pace;
use model::{ALL, NOW, SCOPE, Side, hello, run};

fn entries(side: u8, n: usize) -> Vec<(u8, Vec<u8>)> {
    (0..n).map(|i| (0, vec![side, i as u8])).collect()
}

/// More than a byte can number.
fn numbered(side: u8, n: u16) -> Vec<(u8, Vec<u8>)> {
    (0..n).map(|i| (0, [&[side][..], &i.to_le_bytes()].concat())).collect()
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
fn what_is_new_while_two_greet_each_other_is_sent() {
    // Found by the world (seed 1010616): the hello of whoever answers is made when the connection
    // stands, and said a round trip later.
    for features in [None, Some(ALL)] {
        for early in 0..2 {
            let mut sides = [
                Side::that_knows(1, entries(1, 3), 0, features),
                Side::that_knows(2, entries(2, 2), 0, features),
            ];
            let [a, b] = &mut sides;
            run(a, b, 10, usize::MAX);
            a.reconnect();
            b.reconnect();
            sides[early].append(vec![9]);
            let [a, b] = &mut sides;
            run(a, b, 10, usize::MAX);
            assert!(a.contents().contains(&vec![9]) && b.contents().contains(&vec![9]));
            let due = a.session.poll_timeout().or(b.session.poll_timeout());
            assert_eq!(due, None, "{features:?} {early}");
        }
    }
}

#[test]
fn what_a_restored_peer_still_has_is_known_at_once() {
    // Found by the world (seed 9373): its new epoch makes its acknowledgements void, and nothing was
    // sent that it could acknowledge again.
    let mut session = Session::new(NOW, hello([1; 16], 3, 0, 3), Call::In);
    let mut restored = hello([2; 16], 0, 2, 0);
    restored.epoch = [9; 16];
    session.handle(NOW, Input::Received(Frame::Hello(restored).encode()));
    let all: Vec<Output> = std::iter::from_fn(|| session.poll_output()).collect();
    let greeted = all.iter().position(|o| matches!(o, Output::Greeted(_)));
    let acked = all.iter().position(|o| *o == Output::Acked { scope: SCOPE.into(), upto: 2 });
    assert!(greeted.is_some() && acked > greeted, "{all:?}");
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
    let mut session = Session::new(NOW, mine, Call::In);
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

fn met(n: usize, features: Option<u64>) -> (Side, Side) {
    let mut a = Side::that_knows(1, entries(1, n), 0, features);
    let mut b = Side::that_knows(2, Vec::new(), 0, features);
    run(&mut a, &mut b, 10, usize::MAX);
    (a, b)
}

fn again(a: &mut Side, b: &mut Side) -> usize {
    a.reconnect();
    b.reconnect();
    (a.completed, b.completed, a.sent, b.sent) = (0, 0, 0, 0);
    run(a, b, 10, usize::MAX)
}

#[test]
fn two_that_remember_the_same_say_so_in_short() {
    let (mut a, mut b) = met(30, Some(ALL));
    assert_eq!(again(&mut a, &mut b), 2);
    assert_eq!((a.completed, b.completed), (1, 1));
    assert!(a.sent <= 90 && b.sent <= 90, "{} {}", a.sent, b.sent);
    a.append(vec![9]);
    assert_eq!(again(&mut a, &mut b), 8, "brief, batch, acknowledgement and a check, each way");
    assert_eq!(b.contents(), a.contents());
}

#[test]
fn one_that_remembers_otherwise_says_a_whole_hello() {
    let (mut a, mut b) = met(30, Some(ALL));
    b.acked = 0;
    let frames = again(&mut a, &mut b);
    assert!(a.closed.is_none() && b.closed.is_none(), "{:?} {:?}", a.closed, b.closed);
    assert!(a.completed > 0 && b.completed > 0 && frames > 2);
    assert_eq!(again(&mut a, &mut b), 2, "and then both remember the same again");
}

#[test]
fn old_and_new_programs_understand_each_other() {
    for (old, new) in [(None, Some(ALL)), (Some(ALL), None), (Some(0), Some(ALL))] {
        let mut a = Side::that_knows(1, entries(1, 30), 0, old);
        let mut b = Side::that_knows(2, entries(2, 30), 0, new);
        run(&mut a, &mut b, 4, usize::MAX);
        assert!(a.closed.is_none() && b.closed.is_none(), "{:?} {:?}", a.closed, b.closed);
        assert_eq!(a.contents(), b.contents());
        assert_eq!(a.contents().len(), 60);
    }
}

#[test]
fn who_comes_from_another_relay_is_offered_names_and_takes_what_it_lacks() {
    let all = entries(1, 200);
    let mut known: Vec<_> = all.iter().map(|(_, e)| (9, e.clone())).collect();
    known.truncate(180);
    known.push((0, vec![77]));
    let mut a = Side::that_knows(1, known, 0, Some(ALL));
    let mut b = Side::that_knows(2, all, 0, Some(ALL));
    run(&mut a, &mut b, 20, usize::MAX);
    assert_eq!(a.contents(), b.contents());
    assert_eq!(a.contents().len(), 201);
    let plain = 200 * 3;
    assert!(b.sent < 200 * 8 + plain, "names and twenty entries: {}", b.sent);
    assert!(a.repaired.is_empty() && b.repaired.is_empty());
}

#[test]
fn what_differs_behind_the_cursors_is_found_and_repaired_on_both_sides() {
    let (mut a, mut b) = met(100, Some(ALL));
    // Both have lost something, and the cursors know nothing of it.
    a.log[3].1 = vec![50, 50];
    b.log[90].1 = vec![60, 60];
    again(&mut a, &mut b);
    assert!(a.closed.is_none() && b.closed.is_none(), "{:?} {:?}", a.closed, b.closed);
    assert_eq!(a.contents(), b.contents());
    assert_eq!(a.contents().len(), 102);
    assert_eq!(a.repaired, [(2, 2, true)]);
    // What was repaired moves through the logs once more; then there is silence.
    again(&mut a, &mut b);
    assert_eq!(again(&mut a, &mut b), 2);
    assert_eq!(a.repaired.len(), 1);
}

#[test]
fn a_few_differences_are_named_by_a_sketch_and_many_by_ranges() {
    for (differ, sketches, knows) in
        [(4, 1, ALL), (60, 2, ALL), (250, 2, ALL), (60, 0, ALL & !features::SKETCH)]
    {
        let mut a = Side::that_knows(1, numbered(1, 300), 0, Some(knows));
        let mut b = Side::that_knows(2, Vec::new(), 0, Some(ALL));
        run(&mut a, &mut b, 50, usize::MAX);
        for n in 0..differ {
            a.log[n].1 = vec![50, n as u8];
        }
        again(&mut a, &mut b);
        assert!(a.closed.is_none() && b.closed.is_none(), "{:?} {:?}", a.closed, b.closed);
        assert_eq!(a.contents(), b.contents(), "{differ}");
        assert_eq!(b.sketches, sketches, "{differ}");
        assert_eq!(a.repaired, [(differ as u64, differ as u64, true)]);
    }
}

#[test]
fn ten_differences_are_named_within_a_kilobyte_and_one_round_trip() {
    let mut a = Side::that_knows(1, numbered(1, 3000), 0, Some(ALL));
    let mut b = Side::that_knows(2, Vec::new(), 0, Some(ALL));
    run(&mut a, &mut b, 50, usize::MAX);
    (0..5).for_each(|n| a.log[n].1 = vec![50, n as u8]);
    a.reconnect();
    b.reconnect();
    let (mut named, mut frames) = (0, 0);
    loop {
        let (from_a, from_b) = (a.turn(50), b.turn(50));
        let all = from_a.iter().chain(&from_b);
        for frame in all.clone() {
            if matches!(Frame::decode(frame), Ok(Frame::Sketch { .. } | Frame::Sketched { .. })) {
                named += frame.len();
                frames += 1;
            }
        }
        if all.count() == 0 {
            break;
        }
        from_a.into_iter().for_each(|f| b.session.handle(NOW, Input::Received(f)));
        from_b.into_iter().for_each(|f| a.session.handle(NOW, Input::Received(f)));
    }
    assert_eq!(a.contents(), b.contents());
    assert!(frames == 2 && named <= 1000, "{frames} frames, {named} bytes");
}

#[test]
fn damaged_entries_are_fetched_by_either_side() {
    let (mut a, mut b) = met(100, Some(ALL));
    again(&mut a, &mut b);
    let lost = a.log.remove(5).1;
    let names = vec![model::name(&lost)];
    a.session.handle(NOW, Input::Rotten(Rotten { scope: SCOPE.into(), names }));
    run(&mut a, &mut b, 10, usize::MAX);
    assert_eq!(a.contents(), b.contents());
    let lost = b.log.remove(7).1;
    let names = vec![model::name(&lost), [3; 32]];
    b.session.handle(NOW, Input::Rotten(Rotten { scope: SCOPE.into(), names }));
    run(&mut a, &mut b, 10, usize::MAX);
    assert_eq!(a.contents(), b.contents());
    assert!(a.closed.is_none() && b.closed.is_none());
}

#[test]
fn what_is_out_of_turn_is_named() {
    let scope = || SCOPE.to_owned();
    let empty = || Vec::new().into();
    let frames = [
        Frame::Want { scope: scope(), upto: 1, lacking: empty() },
        Frame::Differ(vec![]),
        Frame::Ranged { scope: scope(), message: empty() },
        Frame::Fetched { scope: scope(), dealt: 1, entries: vec![] },
        Frame::Given { scope: scope() },
        Frame::Took { scope: scope() },
        Frame::Sketched { scope: scope(), named: true, lacking: empty(), names: empty() },
        Frame::Whole {
            scope: scope(),
            next: vec![1].into(),
            end: false,
            size: 1,
            bytes: pack::deflate(&[7]).into(),
        },
        Frame::Brief(Brief {
            protocol: PROTOCOL,
            features: 0,
            incarnation: [0; 16],
            time_ms: 0,
            base: [0; 16],
            sum: None,
            news: vec![],
        }),
    ];
    for frame in frames {
        let (mut a, mut b) = met(3, Some(ALL));
        for side in [&mut a, &mut b] {
            side.session.handle(NOW, Input::Received(frame.encode()));
            side.turn(1);
            assert_eq!(side.closed, Some(Violation::OutOfTurn), "{frame:?}");
        }
    }
    let ranges = Frame::Range { scope: scope(), message: vec![1, 2].into() };
    let (_, mut b) = met(3, Some(ALL));
    b.session.handle(NOW, Input::Received(ranges.encode()));
    b.turn(1);
    assert_eq!(b.closed, Some(Violation::Range));
}

#[test]
fn a_cold_start_gets_what_matters_first_and_nothing_twice() {
    let mut a = Side::that_knows(1, Vec::new(), 0, Some(ALL));
    let mut b = Side::that_knows(2, entries(2, 100), 0, Some(ALL));
    run(&mut a, &mut b, 7, usize::MAX);
    assert!(a.closed.is_none() && b.closed.is_none(), "{:?} {:?}", a.closed, b.closed);
    assert_eq!(a.contents(), b.contents());
    let last_first: Vec<_> = entries(2, 100).into_iter().rev().map(|(_, e)| e).collect();
    assert_eq!(a.warm, last_first);
    assert_eq!(a.log.len(), 100, "the log brought nothing again");
    assert_eq!((a.warmed.clone(), a.read), (None, 100));
    again(&mut a, &mut b);
    assert_eq!(again(&mut a, &mut b), 2, "and then both remember the same");
}

#[test]
fn a_cold_start_that_was_cut_goes_on_where_it_was() {
    let mut a = Side::that_knows(1, Vec::new(), 0, Some(ALL));
    let mut b = Side::that_knows(2, entries(2, 100), 0, Some(ALL));
    let mut cuts = 0;
    while a.read == 0 {
        run(&mut a, &mut b, 3, 9 + cuts % 8);
        a.reconnect();
        b.reconnect();
        cuts += 1;
    }
    assert!(cuts > 5, "{cuts}");
    run(&mut a, &mut b, 3, usize::MAX);
    assert_eq!(a.contents(), b.contents());
    assert_eq!(a.warm.len(), 100, "nothing came a second time");
}

#[test]
fn what_grows_during_a_cold_start_comes_too() {
    let mut a = Side::that_knows(1, Vec::new(), 0, Some(ALL));
    let mut b = Side::that_knows(2, entries(2, 50), 0, Some(ALL));
    for n in 0..20 {
        run(&mut a, &mut b, 3, 2);
        b.append(vec![8, n]);
    }
    run(&mut a, &mut b, 3, usize::MAX);
    assert_eq!(a.contents(), b.contents());
    assert_eq!(a.contents().len(), 70);
}

#[test]
fn who_does_not_know_whole_subjects_gets_the_log() {
    let plain = ALL & !features::SNAPSHOT;
    for (mine, theirs) in [(ALL, plain), (plain, ALL), (ALL & !features::OFFER, ALL)] {
        let mut a = Side::that_knows(1, Vec::new(), 0, Some(mine));
        let mut b = Side::that_knows(2, entries(2, 30), 0, Some(theirs));
        run(&mut a, &mut b, 7, usize::MAX);
        assert!(a.closed.is_none() && b.closed.is_none(), "{:?} {:?}", a.closed, b.closed);
        assert_eq!(a.contents(), b.contents());
        assert!(a.warm.is_empty());
    }
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
    fn two_that_lost_things_behind_their_cursors_end_equal_however_often_they_are_cut(
        n_a in 0usize..20, n_b in 0usize..20, batch in 1usize..7,
        cuts in proptest::collection::vec((1usize..9, any::<bool>(), any::<prop::sample::Index>()), 0..8),
        knows in prop::sample::select(vec![
            ALL, ALL & !features::BRIEF, ALL & !features::OFFER, ALL & !features::SNAPSHOT,
            ALL & !features::SKETCH,
        ]),
    ) {
        let mut a = Side::that_knows(1, entries(1, n_a), 0, Some(knows));
        let mut b = Side::that_knows(2, entries(2, n_b), 0, Some(ALL));
        let mut all: BTreeSet<_> = a.contents().union(&b.contents()).cloned().collect();
        for (n, (frames, which, at)) in cuts.into_iter().enumerate() {
            run(&mut a, &mut b, batch, frames);
            // One entry is another one now, as after a part of the disk was put back.
            let side = if which { &mut a } else { &mut b };
            if !side.log.is_empty() {
                let (place, new) = (at.index(side.log.len()), vec![7, 7, n as u8]);
                side.log[place].1 = new.clone();
                all.insert(new);
            }
            a.reconnect();
            b.reconnect();
        }
        run(&mut a, &mut b, batch, usize::MAX);
        for _ in 0..3 {
            again(&mut a, &mut b);
        }
        prop_assert_eq!(a.contents(), b.contents());
        prop_assert!(a.contents().is_subset(&all));
        prop_assert!(a.closed.is_none() && b.closed.is_none(), "{:?} {:?}", a.closed, b.closed);
        prop_assert_eq!(again(&mut a, &mut b), 2, "silence in the end");
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
    let mut session = Session::new(NOW, hello(1), Call::In);
    let word = |n: usize| Input::Received(Frame::LastWord(vec![7; n].into()).encode());
    session.handle(NOW, word(10));
    let last = std::iter::from_fn(|| session.poll_output()).last();
    assert_eq!(last, Some(Output::Close(Violation::OutOfTurn)));
    let mut session = Session::new(NOW, hello(1), Call::In);
    session.handle(NOW, Input::Received(Frame::Hello(hello(2)).encode()));
    session.handle(NOW, word(10));
    let all: Vec<Output> = std::iter::from_fn(|| session.poll_output()).collect();
    assert!(all.contains(&Output::LastWord(vec![7; 10])), "{all:?}");
    session.handle(NOW, word(5000));
    let last = std::iter::from_fn(|| session.poll_output()).last();
    assert_eq!(last, Some(Output::Close(Violation::FrameTooLong(5000))));
}
