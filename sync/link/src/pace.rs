//! How quickly a conversation goes just now: measured over the last seconds, never promised.

use std::collections::VecDeque;
use std::time::Duration;

/// So often a conversation is looked at.
pub(crate) const EVERY: Duration = Duration::from_secs(1);
/// What is older says nothing about now.
const WINDOW: Duration = Duration::from_secs(8);
/// Less than this is no measurement.
const LEAST: Duration = Duration::from_secs(2);

/// Speeds over the last seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pace {
    /// Measured over so long.
    pub over: Duration,
    /// Bytes that went, each second.
    pub sent: u64,
    /// Bytes that came, each second.
    pub received: u64,
    /// Entries that the peer acknowledged, each second.
    pub entries_out: f64,
    /// Entries that were committed here, each second.
    pub entries_in: f64,
}

/// Where a conversation stands at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Bytes that went and came so far.
    pub(crate) carried: (u64, u64),
    /// Entries still to go and to come.
    pub(crate) left: (u64, u64),
}

/// The readings of the last seconds.
#[derive(Debug, Default)]
pub(crate) struct Pacer(VecDeque<(Duration, Reading)>);

impl Pacer {
    /// Adds a reading; gives the speeds, once they are worth the name.
    pub(crate) fn read(&mut self, at: Duration, reading: Reading) -> Option<Pace> {
        self.0.push_back((at, reading));
        // One reading at or before the window stays: the window is then whole.
        while self.0.get(1).is_some_and(|(next, _)| at.saturating_sub(*next) >= WINDOW) {
            self.0.pop_front();
        }
        let (first_at, first) = *self.0.front()?;
        let over = at.saturating_sub(first_at);
        if over < LEAST {
            return None;
        }
        let seconds = over.as_secs_f64();
        let each = |bytes: u64| (bytes as f64 / seconds) as u64;
        // What is new makes what is left grow again: only what became less was done.
        let (mut out, mut into) = (0, 0);
        for ((_, before), (_, after)) in self.0.iter().zip(self.0.iter().skip(1)) {
            out += before.left.0.saturating_sub(after.left.0);
            into += before.left.1.saturating_sub(after.left.1);
        }
        Some(Pace {
            over,
            sent: each(reading.carried.0.saturating_sub(first.carried.0)),
            received: each(reading.carried.1.saturating_sub(first.carried.1)),
            entries_out: out as f64 / seconds,
            entries_in: into as f64 / seconds,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(sent: u64, left: u64) -> Reading {
        Reading { carried: (sent, 2 * sent), left: (left, 0) }
    }

    #[test]
    fn a_speed_is_measured_over_the_last_seconds_and_not_before_there_are_some() {
        let mut pacer = Pacer::default();
        let at = Duration::from_secs;
        assert_eq!(pacer.read(at(0), reading(0, 100)), None);
        assert_eq!(pacer.read(at(1), reading(12_000, 90)), None);
        let pace = pacer.read(at(2), reading(24_000, 80)).expect("two seconds");
        assert_eq!((pace.sent, pace.received, pace.over), (12_000, 24_000, at(2)));
        assert!((pace.entries_out - 10.0).abs() < 1e-9);
        // What was quick is forgotten: nothing moves any more.
        let mut last = None;
        for second in 3..=30 {
            last = pacer.read(at(second), reading(24_000, 80));
        }
        let last = last.expect("a pace");
        assert_eq!((last.sent, last.received, last.over), (0, 0, WINDOW));
        assert!(last.entries_out.abs() < 1e-9 && pacer.0.len() <= 10);
    }

    #[test]
    fn what_is_new_meanwhile_does_not_hide_what_was_done() {
        let mut pacer = Pacer::default();
        for (second, left) in [(0, 10), (1, 5), (2, 105), (3, 100)] {
            let pace = pacer.read(Duration::from_secs(second), reading(0, left));
            if second == 3 {
                assert!((pace.expect("a pace").entries_out - 10.0 / 3.0).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn a_clock_that_stands_still_or_goes_back_divides_nothing_by_zero() {
        let mut pacer = Pacer::default();
        for _ in 0..5 {
            assert_eq!(pacer.read(Duration::from_secs(7), reading(1, 1)), None);
        }
        assert_eq!(pacer.read(Duration::from_secs(3), reading(0, 0)), None);
    }
}
