//! How long a batch is on its way, in virtual time.

use super::*;

const ENTRY: usize = 700;

/// What does not become shorter.
fn noise(n: usize) -> Vec<(u8, Vec<u8>)> {
    let entry = |i: usize| {
        let mut bytes = vec![0; ENTRY];
        let mut hasher = blake3::Hasher::new();
        hasher.update(&i.to_be_bytes());
        hasher.finalize_xof().fill(&mut bytes);
        (0, bytes)
    };
    (0..n).map(entry).collect()
}

/// A link of so many bytes a second each way. Gives the lengths of all frames with entries, in
/// their order, and how long it took.
fn over(rate: u64, delay: Duration, a: &mut Side, b: &mut Side) -> (Vec<usize>, Duration) {
    let mut wires: [VecDeque<(Duration, Vec<u8>)>; 2] = Default::default();
    let mut free = [Duration::ZERO; 2];
    let mut now = Duration::ZERO;
    let mut batches = Vec::new();
    loop {
        (a.now, b.now) = (now, now);
        let said = [a.turn(usize::MAX / 4), b.turn(usize::MAX / 4)];
        for (way, frames) in said.into_iter().enumerate() {
            for frame in frames {
                if way == 0 && frame.len() > ENTRY {
                    batches.push(frame.len());
                }
                let takes = Duration::from_micros(frame.len() as u64 * 1_000_000 / rate);
                free[way] = free[way].max(now) + takes;
                wires[way].push_back((free[way] + delay, frame));
            }
        }
        let next = |way: usize| wires[way].front().map(|(at, _)| *at);
        let way = match (next(0), next(1)) {
            (None, None) => return (batches, now),
            (Some(there), Some(back)) => usize::from(back < there),
            (there, _) => usize::from(there.is_none()),
        };
        let (at, frame) = wires[way].pop_front().expect("the earlier of the two");
        now = now.max(at);
        (a.now, b.now) = (now, now);
        let to = if way == 0 { &mut *b } else { &mut *a };
        to.session.handle(now, Input::Received(frame));
    }
}

#[test]
fn on_a_slow_link_no_batch_is_on_its_way_for_longer_than_a_second() {
    for (rate, delay) in [(8_000, 40), (8_000, 600), (16_000, 150), (5_000, 40)] {
        let mut a = Side::that_knows(1, noise(400), 0, Some(ALL & !features::SNAPSHOT));
        let mut b = Side::that_knows(2, Vec::new(), 0, Some(ALL & !features::SNAPSHOT));
        let (batches, took) = over(rate, Duration::from_millis(delay), &mut a, &mut b);
        assert_eq!(b.contents(), a.contents());
        // Those that were on their way before anything was known of the link: 8 KiB each.
        let known = &batches[4..];
        let longest = known.iter().max().copied().unwrap_or_default() as u64;
        assert!(longest <= rate + ENTRY as u64, "{rate} B/s, {delay} ms: {longest} {batches:?}");
        assert!(batches[..4].iter().all(|first| *first <= 8 * 1024 + 100), "{batches:?}");
        // And the link is used: within a tenth of what it can carry.
        let whole = Duration::from_secs_f64(400.0 * ENTRY as f64 / rate as f64);
        assert!(
            took < whole + whole / 10 + Duration::from_millis(6 * delay),
            "{rate} B/s, {delay} ms: {took:?} of {whole:?}"
        );
    }
}

#[test]
fn on_a_fast_link_batches_are_soon_as_large_as_they_may_be() {
    for (rate, delay) in [(1_000_000, 25), (1_000_000, 300), (12_500_000, 1)] {
        let mut a = Side::that_knows(1, noise(3000), 0, Some(ALL & !features::SNAPSHOT));
        let mut b = Side::that_knows(2, Vec::new(), 0, Some(ALL & !features::SNAPSHOT));
        let (batches, _) = over(rate, Duration::from_millis(delay), &mut a, &mut b);
        assert_eq!(b.contents(), a.contents());
        let large = batches.iter().position(|bytes| *bytes > 60 * 1024);
        assert!(large.is_some_and(|n| n <= 8), "{rate} B/s, {delay} ms: {batches:?}");
    }
}

#[test]
fn single_entries_over_a_long_link_leave_batches_as_large_as_they_were() {
    let mut a = Side::that_knows(1, noise(1000), 0, Some(ALL & !features::SNAPSHOT));
    let mut b = Side::that_knows(2, Vec::new(), 0, Some(ALL & !features::SNAPSHOT));
    let link = (1_000_000, Duration::from_millis(300));
    over(link.0, link.1, &mut a, &mut b);
    for i in 0..5 {
        a.append(vec![i; 40]);
        over(link.0, link.1, &mut a, &mut b);
    }
    for (_, entry) in noise(1300).split_off(1000) {
        a.append(entry);
    }
    let (batches, _) = over(link.0, link.1, &mut a, &mut b);
    // The first goes alone, at once.
    assert!(batches[1] > 60 * 1024, "{batches:?}");
}
