//! Whom to call on a local network, and when: anybody may say anything there.
//!
//! Pure: time and chance are told. What a hostile machine can make a box do is bounded here: so
//! many addresses are remembered, so many calls are made in an hour, one that fails is left alone
//! for longer each time, and an address that is none of a local network is never called.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// So many addresses are remembered.
const KNOWN_MAX: usize = 16;
/// So many conversations are called for at once.
const TALKS_MAX: usize = 3;
/// So many calls are made in any hour. One that fails costs 5 kB on the local network.
const CALLS_MAX: usize = 30;
const HOUR: Duration = Duration::from_secs(3600);
/// One that failed is left alone for so long, and twice as long each time after that.
const FAILED: Duration = Duration::from_secs(30);
/// One with which a conversation ended is called again after so long.
const ENDED: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, Default)]
struct Known {
    failures: u32,
    not_before: Duration,
    talking: bool,
}

/// Where a box without its relay stands with those around it.
#[derive(Debug)]
pub(super) struct Rounds {
    /// A box looks around when it had no relay for so long.
    after: Duration,
    /// Whether addresses of this machine itself are called, too: for tests.
    anywhere: bool,
    away: Option<Duration>,
    known: BTreeMap<SocketAddr, Known>,
    /// When the calls of the last hour were made.
    calls: Vec<Duration>,
}

/// Whether an address can be one of a local network.
fn is_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unique_local(),
    }
}

impl Rounds {
    /// Begins with no relay.
    pub(super) fn new(after: Duration, anywhere: bool) -> Self {
        Self {
            after,
            anywhere,
            away: Some(Duration::ZERO),
            known: BTreeMap::new(),
            calls: Vec::new(),
        }
    }

    /// The relay is talked to, or not.
    pub(super) fn relay(&mut self, now: Duration, online: bool) {
        self.away = if online { None } else { self.away.or(Some(now)) };
    }

    /// Whether to look around: there was no relay for long enough.
    pub(super) fn looks(&self, now: Duration) -> bool {
        self.away.is_some_and(|since| now.saturating_sub(since) >= self.after)
    }

    /// Somebody says that a box is there.
    pub(super) fn heard(&mut self, now: Duration, at: SocketAddr) {
        let usable = at.port() != 0 && (self.anywhere || is_local(at.ip()));
        if !usable || self.known.contains_key(&at) {
            return;
        }
        if self.known.len() >= KNOWN_MAX {
            // Who failed most makes room: what answers is never pushed out by what does not.
            let worst = self.known.iter().filter(|(_, k)| !k.talking && k.failures > 0);
            let worst = worst.max_by_key(|(_, k)| k.failures).map(|(at, _)| *at);
            let Some(worst) = worst else { return };
            self.known.remove(&worst);
        }
        self.known.insert(at, Known { not_before: now, ..Known::default() });
    }

    /// Whom to call now, if anybody.
    pub(super) fn next(&mut self, now: Duration) -> Option<SocketAddr> {
        self.calls.retain(|at| now.saturating_sub(*at) < HOUR);
        let talking = self.known.values().filter(|k| k.talking).count();
        if !self.looks(now) || talking >= TALKS_MAX || self.calls.len() >= CALLS_MAX {
            return None;
        }
        let due = self.known.iter_mut().filter(|(_, k)| !k.talking && k.not_before <= now);
        let (at, known) = due.min_by_key(|(_, k)| (k.failures, k.not_before))?;
        known.talking = true;
        self.calls.push(now);
        Some(*at)
    }

    /// A call is over; `talked` when the other was a box of this county. `random` is any number.
    pub(super) fn ended(&mut self, now: Duration, at: SocketAddr, talked: bool, random: u32) {
        let Some(known) = self.known.get_mut(&at) else { return };
        known.talking = false;
        known.failures = if talked { 0 } else { known.failures.saturating_add(1) };
        let wait = match known.failures {
            0 => ENDED,
            n => FAILED.saturating_mul(1 << n.min(10)).min(HOUR),
        };
        // Two that call each other at the same moment do not do so again.
        let jitter = f64::from(random) / f64::from(u32::MAX);
        known.not_before = now + wait.mul_f64(0.5 + jitter);
    }

    /// When something may be due by itself.
    pub(super) fn wake(&self, now: Duration) -> Option<Duration> {
        let since = self.away?;
        let looks = since + self.after;
        if now < looks {
            return Some(looks);
        }
        let waiting = self.known.values().filter(|k| !k.talking).map(|k| k.not_before).min()?;
        let free = if self.calls.len() >= CALLS_MAX {
            self.calls.iter().min().map_or(now, |first| *first + HOUR)
        } else {
            now
        };
        let talks = self.known.values().filter(|k| k.talking).count();
        (talks < TALKS_MAX).then(|| waiting.max(free))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn at(last: u8) -> SocketAddr {
        SocketAddr::from(([192, 168, 1, last], 4000))
    }

    fn away(after: u64) -> Rounds {
        let mut rounds = Rounds::new(secs(after), false);
        rounds.relay(secs(0), false);
        rounds
    }

    #[test]
    fn a_box_looks_around_last_of_all_and_stops_when_its_relay_is_back() {
        let mut rounds = away(600);
        rounds.heard(secs(0), at(1));
        assert!(!rounds.looks(secs(599)) && rounds.next(secs(599)).is_none());
        assert_eq!(rounds.wake(secs(10)), Some(secs(600)));
        assert!(rounds.looks(secs(600)));
        rounds.relay(secs(600), true);
        assert!(!rounds.looks(secs(5_000)) && rounds.next(secs(5_000)).is_none());
        assert_eq!(rounds.wake(secs(5_000)), None, "no timer runs while all is well");
        rounds.relay(secs(6_000), false);
        rounds.relay(secs(6_500), false);
        assert!(!rounds.looks(secs(6_599)), "counted from when it went");
        assert_eq!(rounds.next(secs(6_600)), Some(at(1)));
    }

    #[test]
    fn only_addresses_of_local_networks_are_called() {
        let mut rounds = away(0);
        for text in ["8.8.8.8:1", "127.0.0.1:1", "[::1]:1", "[2001:db8::1]:1", "192.168.1.1:0"] {
            rounds.heard(secs(0), text.parse().expect("an address"));
        }
        assert_eq!(rounds.next(secs(0)), None);
        for text in ["10.1.2.3:1", "169.254.1.1:1", "[fd00::1]:1"] {
            rounds.heard(secs(0), text.parse().expect("an address"));
        }
        assert!(rounds.next(secs(0)).is_some());
    }

    #[test]
    fn a_thousand_names_that_lead_nowhere_cost_thirty_calls_an_hour_and_push_out_nobody_who_answers()
     {
        let mut rounds = away(0);
        let honest = at(1);
        rounds.heard(secs(0), honest);
        assert_eq!(rounds.next(secs(0)), Some(honest));
        rounds.ended(secs(1), honest, true, 0);
        let (mut calls, mut talks) = (0, 0);
        for second in 1..7200 {
            for n in 0..3_u16 {
                let [a, b] = (second as u16).wrapping_mul(3).wrapping_add(n).to_be_bytes();
                rounds.heard(secs(second), SocketAddr::from(([10, 66, a, b], 4000)));
            }
            assert!(rounds.known.len() <= KNOWN_MAX && rounds.calls.len() <= CALLS_MAX);
            while let Some(called) = rounds.next(secs(second)) {
                calls += 1;
                talks += u32::from(called == honest);
                rounds.ended(secs(second), called, called == honest, 0);
            }
        }
        assert!(calls <= 3 * CALLS_MAX, "{calls} in two hours");
        assert!(talks > 0 && rounds.known.contains_key(&honest));
    }

    #[test]
    fn who_does_not_answer_is_called_ever_more_seldom() {
        let mut rounds = away(0);
        rounds.heard(secs(0), at(1));
        let (mut now, mut gaps) = (secs(0), Vec::new());
        for _ in 0..8 {
            let called = rounds.next(now).expect("it is due");
            rounds.ended(now, called, false, u32::MAX / 2);
            let next = rounds.wake(now).expect("another try");
            gaps.push((next - now).as_secs());
            now = next;
        }
        assert!(gaps.is_sorted() && gaps[0] <= 60 && gaps[7] >= 3500, "{gaps:?}");
    }
}
