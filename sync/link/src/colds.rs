//! How many boxes begin from nothing at once: after a disaster three hundred of them must not keep
//! the relay from those that have news.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So many at once for each core (the sync report, 4.4).
const PER_CORE: usize = 8;
/// A conversation that owes its peer fewer entries than this is not a cold start.
const COLD_ENTRIES: u64 = 1_000;
/// How long a cold start is taken to last before one was seen.
const TYPICAL: Duration = Duration::from_secs(60);
/// Nobody is asked to come sooner.
const WAIT_MIN: Duration = Duration::from_secs(30);
/// Nobody is asked to wait longer: a box believes no longer wait.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(900);

/// Whether a peer begins from nothing, or almost: it is owed much, and holds less than that. One
/// that comes from another relay holds what it is owed; one that was away for a season holds more.
pub(crate) fn is_cold(owed: u64, held: u64) -> bool {
    owed >= COLD_ENTRIES && held < owed
}

/// Who begins from nothing now, and who was asked to come again. Pure: time is told.
#[derive(Debug)]
struct Colds {
    most: usize,
    running: BTreeMap<[u8; 16], Duration>,
    /// Until when each is to wait.
    waiting: BTreeMap<[u8; 16], Duration>,
    typical: Duration,
}

impl Colds {
    fn new(most: usize) -> Self {
        Self {
            most: most.max(1),
            running: BTreeMap::new(),
            waiting: BTreeMap::new(),
            typical: TYPICAL,
        }
    }

    /// Lets a device begin, or says after how long it may ask again.
    fn enter(&mut self, now: Duration, device: [u8; 16]) -> Result<(), Duration> {
        // Who did not come back in time has given up, or has found another relay.
        let late = self.typical * 2;
        self.waiting.retain(|_, until| now < *until + late);
        if self.running.contains_key(&device) || self.running.len() < self.most {
            self.waiting.remove(&device);
            self.running.insert(device, now);
            return Ok(());
        }
        self.waiting.remove(&device);
        let before = u32::try_from(self.waiting.len() / self.most).unwrap_or(u32::MAX);
        let wait = self.typical.saturating_mul(before.saturating_add(1));
        let wait = wait.clamp(WAIT_MIN, WAIT_MAX);
        self.waiting.insert(device, now + wait);
        Err(wait)
    }

    /// It has all it was owed, or has gone.
    fn leave(&mut self, now: Duration, device: [u8; 16]) {
        if let Some(since) = self.running.remove(&device) {
            self.typical = (self.typical * 3 + now.saturating_sub(since)) / 4;
        }
    }
}

/// The door for cold starts, which all conversations share.
#[derive(Clone, Debug)]
pub(crate) struct ColdDoor {
    colds: Arc<Mutex<Colds>>,
    begun: Instant,
}

/// One cold start that goes on; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Cold {
    door: ColdDoor,
    device: [u8; 16],
}

impl ColdDoor {
    /// For so many at once.
    pub(crate) fn new(most: usize) -> Self {
        Self { colds: Arc::new(Mutex::new(Colds::new(most))), begun: Instant::now() }
    }

    /// For as many as this machine's cores bear.
    pub(crate) fn of_this_machine() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::new(cores * PER_CORE)
    }

    fn with<T>(&self, work: impl FnOnce(&mut Colds, Duration) -> T) -> T {
        let mut colds = self.colds.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut colds, self.begun.elapsed())
    }

    /// Lets a device begin, or says after how long it may ask again.
    pub(crate) fn enter(&self, device: [u8; 16]) -> Result<Cold, Duration> {
        self.with(|colds, now| colds.enter(now, device))?;
        Ok(Cold { door: self.clone(), device })
    }
}

impl Drop for Cold {
    fn drop(&mut self) {
        self.door.with(|colds, now| colds.leave(now, self.device));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(n: u16) -> [u8; 16] {
        let mut id = [0; 16];
        id[..2].copy_from_slice(&n.to_be_bytes());
        id
    }

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn who_has_little_to_get_or_holds_as_much_is_no_cold_start() {
        for (owed, held, cold) in [
            (0, 0, false),
            (999, 0, false),
            (1_000, 0, true),
            (50_000, 900, true),
            // From another relay, which had given it the same.
            (50_000, 50_000, false),
            // Away for a season.
            (3_000, 47_000, false),
        ] {
            assert_eq!(is_cold(owed, held), cold, "{owed} owed, {held} held");
        }
    }

    /// Each takes a minute and comes when it was told to, with the jitter of a box.
    #[test]
    fn three_hundred_boxes_after_a_disaster_all_begin_within_the_hour_and_never_too_many_at_once() {
        let mut colds = Colds::new(16);
        let mut asks: BTreeMap<Duration, Vec<u16>> = BTreeMap::new();
        let mut ends: BTreeMap<Duration, Vec<u16>> = BTreeMap::new();
        asks.insert(secs(0), (0..300).collect());
        let (mut done, mut refusals, mut last) = (0, 0, secs(0));
        loop {
            let next = asks.keys().chain(ends.keys()).min().copied();
            let Some(now) = next else { break };
            for box_nr in ends.remove(&now).unwrap_or_default() {
                colds.leave(now, device(box_nr));
                (done, last) = (done + 1, now);
            }
            for box_nr in asks.remove(&now).unwrap_or_default() {
                match colds.enter(now, device(box_nr)) {
                    Ok(()) => ends.entry(now + secs(60)).or_default().push(box_nr),
                    Err(wait) => {
                        refusals += 1;
                        assert!((WAIT_MIN..=WAIT_MAX).contains(&wait), "{wait:?}");
                        let jitter = wait.mul_f64(f64::from(box_nr % 50) / 100.0);
                        asks.entry(now + wait + jitter).or_default().push(box_nr);
                    }
                }
            }
            assert!(colds.running.len() <= 16);
        }
        assert_eq!(done, 300);
        assert!(last <= secs(3600), "the last one was done after {last:?}");
        assert!(refusals <= 300 * 6, "{refusals} refusals");
        assert!(colds.running.is_empty() && colds.waiting.is_empty());
    }

    #[test]
    fn a_device_that_comes_again_while_it_runs_takes_no_second_place() {
        let mut colds = Colds::new(1);
        assert_eq!(colds.enter(secs(0), device(1)), Ok(()));
        assert_eq!(colds.enter(secs(1), device(1)), Ok(()));
        assert!(colds.enter(secs(1), device(2)).is_err());
        colds.leave(secs(2), device(1));
        assert_eq!(colds.enter(secs(3), device(2)), Ok(()));
    }

    #[test]
    fn who_is_asked_to_wait_and_never_comes_back_is_forgotten() {
        let mut colds = Colds::new(1);
        assert_eq!(colds.enter(secs(0), device(0)), Ok(()));
        for n in 1..=40_u16 {
            assert!(colds.enter(secs(0), device(n)).is_err());
        }
        assert_eq!(colds.enter(secs(7200), device(99)), Err(TYPICAL), "nobody is before it");
    }
}
