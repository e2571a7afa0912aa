//! How much one device may ask of a relay, as token buckets in virtual time.
//!
//! A quota slows down and loses nothing: what is over it is not read until the bucket has filled
//! again, and stays on the sender's disk meanwhile. Only who sends what does not count is cut off
//! ([`Limits::quarantined`]). Everything here is in memory: a relay that restarts begins anew.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// So many address prefixes are told apart; beyond, strangers share one.
const PREFIXES_MAX: usize = 4096;

/// Quiet prefixes are looked for this often.
const SWEEP: Duration = Duration::from_secs(1);

/// So many at once, and so many in a while after that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// At once, after a quiet time.
    pub burst: u64,
    /// Refilled in each window.
    pub amount: u64,
    /// The window.
    pub window: Duration,
}

/// What one device may ask of a relay, and strangers of its door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Entries received. The burst is weeks of work without a network.
    pub entries: Rate,
    /// Bytes of entries received.
    pub bytes: Rate,
    /// Nanoseconds in which the store was busy with what it sent: a batch keeps the one writer
    /// from the others.
    pub busy_ns: Rate,
    /// Bytes of attachments fetched from it.
    pub attachments_in: Rate,
    /// Bytes of attachments given to it.
    pub attachments_out: Rate,
    /// Conversations begun.
    pub connects: Rate,
    /// Conversations open at once.
    pub connections: u32,
    /// Handshakes from one address prefix (/24, /48) before an address must be proved by a QUIC
    /// retry; four times as many are dropped unanswered.
    pub handshakes: Rate,
    /// Entries in quarantine before the device is suspended. One that ended the guard's worker
    /// counts as a hundred.
    pub quarantined: u64,
}

impl Limits {
    /// The start values: the security report's, with bursts for boxes that were long away and
    /// for first uploads of photos.
    pub const START: Self = Self {
        entries: Rate { burst: 2_000, amount: 200, window: MINUTE },
        bytes: Rate { burst: 64_000_000, amount: 20_000_000, window: DAY },
        busy_ns: Rate { burst: 1_000_000_000, amount: 200_000_000, window: SECOND },
        attachments_in: Rate { burst: 2_000_000_000, amount: 500_000_000, window: DAY },
        attachments_out: Rate { burst: 4_000_000_000, amount: 1_000_000_000, window: DAY },
        connects: Rate { burst: 60, amount: 60, window: MINUTE },
        connections: 4,
        handshakes: Rate { burst: 60, amount: 30, window: SECOND },
        quarantined: 1_000,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::START
    }
}

/// A token bucket. It may be overdrawn by one helping; then one waits.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// Tokens times nanoseconds of the window.
    level: i128,
    at: Duration,
}

impl Bucket {
    fn full(rate: Rate, now: Duration) -> Self {
        Self { level: Self::most(rate), at: now }
    }

    fn most(rate: Rate) -> i128 {
        i128::from(rate.burst) * Self::scale(rate)
    }

    fn scale(rate: Rate) -> i128 {
        i128::try_from(rate.window.as_nanos()).unwrap_or(i128::MAX >> 64)
    }

    fn refill(&mut self, rate: Rate, now: Duration) {
        let passed = i128::try_from(now.saturating_sub(self.at).as_nanos()).unwrap_or(0);
        let level = self.level.saturating_add(passed.saturating_mul(rate.amount.into()));
        (self.level, self.at) = (level.min(Self::most(rate)), self.at.max(now));
    }

    /// Takes so many and says how long to wait before the next helping.
    fn take(&mut self, rate: Rate, now: Duration, n: u64) -> Duration {
        self.refill(rate, now);
        self.level = self.level.saturating_sub(i128::from(n).saturating_mul(Self::scale(rate)));
        let lacking = u128::try_from(-self.level).unwrap_or(0);
        let nanos = lacking.div_ceil(u128::from(rate.amount.max(1)));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[derive(Debug)]
struct Account {
    entries: Bucket,
    bytes: Bucket,
    busy: Bucket,
    attachments_in: Bucket,
    attachments_out: Bucket,
    connects: Bucket,
    connections: u32,
}

/// What to do with somebody who knocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knock {
    /// Let the handshake go on.
    Welcome,
    /// Have them prove their address first.
    Retry,
    /// Say nothing.
    Ignore,
}

/// Why a device may not open another conversation now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooMuch {
    /// [`Limits::connections`] are open.
    #[error("this box has {0} conversations open already; close the others or wait half a minute")]
    Open(u32),
    /// [`Limits::connects`] are used up.
    #[error("this box connects too often; it may try again in {0} s")]
    Often(u64),
}

/// The accounts of all devices that talk to a relay.
#[derive(Debug)]
pub struct Quotas {
    limits: Limits,
    devices: BTreeMap<[u8; 16], Account>,
    prefixes: BTreeMap<[u8; 7], (Bucket, Bucket)>,
    swept: Duration,
}

fn prefix(address: IpAddr) -> [u8; 7] {
    let mut out = [0; 7];
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            out[0] = 4;
            out[1..4].copy_from_slice(&v4.octets()[..3]);
        }
        IpAddr::V6(v6) => {
            out[0] = 6;
            out[1..].copy_from_slice(&v6.octets()[..6]);
        }
    }
    out
}

impl Quotas {
    /// Empty accounts.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, devices: BTreeMap::new(), prefixes: BTreeMap::new(), swept: Duration::ZERO }
    }

    fn account(&mut self, now: Duration, device: [u8; 16]) -> &mut Account {
        let limits = &self.limits;
        // Only enrolled devices get here: there are as many accounts as boxes.
        self.devices.entry(device).or_insert_with(|| Account {
            entries: Bucket::full(limits.entries, now),
            bytes: Bucket::full(limits.bytes, now),
            busy: Bucket::full(limits.busy_ns, now),
            attachments_in: Bucket::full(limits.attachments_in, now),
            attachments_out: Bucket::full(limits.attachments_out, now),
            connects: Bucket::full(limits.connects, now),
            connections: 0,
        })
    }

    /// A device begins a conversation. Every `Ok` is followed by one [`Quotas::disconnect`].
    ///
    /// # Errors
    /// [`TooMuch`], to be told to the device.
    pub fn connect(&mut self, now: Duration, device: [u8; 16]) -> Result<(), TooMuch> {
        let limits = self.limits;
        let account = self.account(now, device);
        if account.connections >= limits.connections {
            return Err(TooMuch::Open(account.connections));
        }
        let wait = account.connects.take(limits.connects, now, 0);
        if !wait.is_zero() {
            return Err(TooMuch::Often(wait.as_secs() + 1));
        }
        account.connects.take(limits.connects, now, 1);
        account.connections += 1;
        Ok(())
    }

    /// A conversation has ended.
    pub fn disconnect(&mut self, device: [u8; 16]) {
        if let Some(account) = self.devices.get_mut(&device) {
            account.connections = account.connections.saturating_sub(1);
        }
    }

    /// So much was received and kept the store busy so long: how long not to read on. Nothing received asks for what is left of
    /// an earlier wait.
    pub fn received(
        &mut self,
        now: Duration,
        device: [u8; 16],
        entries: u64,
        bytes: u64,
        busy: Duration,
    ) -> Duration {
        let limits = self.limits;
        let account = self.account(now, device);
        let by_entries = account.entries.take(limits.entries, now, entries);
        let by_bytes = account.bytes.take(limits.bytes, now, bytes);
        let busy_ns = u64::try_from(busy.as_nanos()).unwrap_or(u64::MAX);
        by_entries.max(by_bytes).max(account.busy.take(limits.busy_ns, now, busy_ns))
    }

    /// An attachment of so many bytes came: how long to wait before fetching another.
    pub fn attachment_in(&mut self, now: Duration, device: [u8; 16], bytes: u64) -> Duration {
        let limits = self.limits;
        self.account(now, device).attachments_in.take(limits.attachments_in, now, bytes)
    }

    /// An attachment of so many bytes is asked for: how long to wait before answering another.
    pub fn attachment_out(&mut self, now: Duration, device: [u8; 16], bytes: u64) -> Duration {
        let limits = self.limits;
        self.account(now, device).attachments_out.take(limits.attachments_out, now, bytes)
    }

    /// Somebody knocks from an address; `proved` when a retry has shown that it is theirs.
    pub fn knock(&mut self, now: Duration, address: IpAddr, proved: bool) -> Knock {
        let rate = self.limits.handshakes;
        let four = Rate { burst: rate.burst * 4, amount: rate.amount * 4, ..rate };
        if self.prefixes.len() >= PREFIXES_MAX && !self.prefixes.contains_key(&prefix(address)) {
            if now >= self.swept + SWEEP {
                self.swept = now;
                // Those that have been quiet are forgotten: a full bucket says nothing.
                self.prefixes.retain(|_, (first, _)| {
                    first.refill(rate, now);
                    first.level < Bucket::most(rate)
                });
            }
            if self.prefixes.len() >= PREFIXES_MAX {
                // So many at once are not boxes of a county.
                return if proved { Knock::Welcome } else { Knock::Retry };
            }
        }
        let fresh = || (Bucket::full(rate, now), Bucket::full(four, now));
        let (first, second) = self.prefixes.entry(prefix(address)).or_insert_with(fresh);
        let within = |bucket: &mut Bucket, rate: Rate| {
            let free = bucket.take(rate, now, 0).is_zero() && bucket.level > 0;
            if free {
                bucket.take(rate, now, 1);
            }
            free
        };
        if within(first, rate) {
            Knock::Welcome
        } else if !within(second, four) {
            Knock::Ignore
        } else if proved {
            Knock::Welcome
        } else {
            Knock::Retry
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOX: [u8; 16] = [1; 16];
    const OTHER: [u8; 16] = [2; 16];

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn a_burst_goes_through_then_the_device_is_slowed_to_its_rate_and_others_are_not() {
        let mut quotas = Quotas::new(Limits::START);
        assert_eq!(quotas.received(secs(0), BOX, 2_000, 1_000_000, Duration::ZERO), Duration::ZERO);
        assert_eq!(quotas.received(secs(0), BOX, 200, 1, Duration::ZERO), secs(60), "200 a minute");
        assert_eq!(
            quotas.received(secs(30), BOX, 0, 0, Duration::ZERO),
            secs(30),
            "asking again takes nothing"
        );
        assert_eq!(quotas.received(secs(60), BOX, 0, 0, Duration::ZERO), Duration::ZERO);
        assert_eq!(quotas.received(secs(60), OTHER, 2_000, 0, Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn in_a_year_of_flood_no_more_than_the_rate_gets_through() {
        let mut quotas = Quotas::new(Limits::START);
        let (mut now, mut through) = (secs(0), 0);
        while now < secs(7 * 24 * 3600) {
            through += 500;
            now += quotas.received(now, BOX, 500, 0, Duration::ZERO);
        }
        let most = 2_000 + 200 * 60 * 24 * 7 + 500;
        assert!(through <= most && through > most - 2_000, "{through} of {most}");
    }

    #[test]
    fn bytes_wait_for_the_day_and_a_quiet_time_fills_no_more_than_the_burst() {
        let mut quotas = Quotas::new(Limits::START);
        assert_eq!(quotas.received(secs(0), BOX, 0, 64_000_000, Duration::ZERO), Duration::ZERO);
        assert_eq!(quotas.received(secs(0), BOX, 0, 20_000_000, Duration::ZERO), DAY);
        let late = DAY * 365;
        assert_eq!(quotas.received(late, BOX, 0, 64_000_000, Duration::ZERO), Duration::ZERO);
        assert!(quotas.received(late, BOX, 0, 1, Duration::ZERO) > Duration::ZERO);
        assert!(quotas.attachment_in(late, BOX, 2_500_000_000) >= DAY);
        assert_eq!(quotas.attachment_out(late, BOX, 8_000_000), Duration::ZERO);
    }

    #[test]
    fn who_keeps_the_store_busy_has_a_fifth_of_it() {
        let mut quotas = Quotas::new(Limits::START);
        let busy = Duration::from_millis(500);
        assert_eq!(quotas.received(secs(0), BOX, 1, 1, busy), Duration::ZERO);
        assert_eq!(quotas.received(secs(0), BOX, 1, 1, busy), Duration::ZERO);
        assert_eq!(quotas.received(secs(0), BOX, 1, 1, busy), Duration::from_millis(2_500));
    }

    #[test]
    fn a_device_has_four_conversations_and_begins_sixty_a_minute() {
        let mut quotas = Quotas::new(Limits::START);
        for _ in 0..4 {
            quotas.connect(secs(0), BOX).unwrap();
        }
        assert_eq!(quotas.connect(secs(0), BOX), Err(TooMuch::Open(4)));
        assert_eq!(quotas.connect(secs(0), OTHER), Ok(()));
        quotas.disconnect(BOX);
        for _ in 0..57 {
            if quotas.connect(secs(0), BOX).is_ok() {
                quotas.disconnect(BOX);
            }
        }
        assert_eq!(quotas.connect(secs(0), BOX), Err(TooMuch::Often(2)));
        assert_eq!(quotas.connect(secs(2), BOX), Ok(()));
    }

    #[test]
    fn who_knocks_too_often_proves_their_address_and_then_is_ignored_and_neighbours_are_let_in() {
        let mut quotas = Quotas::new(Limits::START);
        let from = |last: u8| IpAddr::from([192, 0, 2, last]);
        let all: Vec<Knock> =
            (0..500).map(|i| quotas.knock(secs(0), from(i as u8), false)).collect();
        let count = |knock| all.iter().filter(|k| **k == knock).count();
        assert_eq!((count(Knock::Welcome), count(Knock::Retry)), (60, 240));
        assert_eq!(quotas.knock(secs(0), IpAddr::from([192, 0, 3, 1]), false), Knock::Welcome);
        assert_eq!(quotas.knock(secs(1), from(9), true), Knock::Welcome);
    }

    #[test]
    fn a_million_forged_addresses_take_bounded_memory_and_a_proved_one_still_gets_in() {
        let mut quotas = Quotas::new(Limits::START);
        for i in 0..1_000_000u32 {
            let [a, b, c, _] = i.rotate_left(8).to_be_bytes();
            quotas.knock(secs(0), IpAddr::from([a, b, c, 1]), false);
        }
        assert!(quotas.prefixes.len() <= PREFIXES_MAX);
        let newcomer = IpAddr::from([203, 0, 113, 1]);
        assert_eq!(quotas.knock(secs(0), newcomer, false), Knock::Retry);
        assert_eq!(quotas.knock(secs(0), newcomer, true), Knock::Welcome);
        assert_eq!(quotas.knock(secs(9), newcomer, false), Knock::Welcome);
    }
}
