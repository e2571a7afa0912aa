//! How long to wait before the next attempt to connect.

use std::time::Duration;

/// Doubling waits with full jitter, from one second to a ceiling.
#[derive(Clone, Debug)]
pub struct Backoff {
    attempts: u32,
    floor: Duration,
    ceiling: Duration,
}

impl Backoff {
    /// Waits between `floor` and `ceiling`.
    #[must_use]
    pub fn new(floor: Duration, ceiling: Duration) -> Self {
        Self { attempts: 0, floor, ceiling }
    }

    /// The next wait; `random` is any number drawn by the caller.
    pub fn next_wait(&mut self, random: u32) -> Duration {
        let doubled = self.floor.saturating_mul(1 << self.attempts.min(20));
        self.attempts = self.attempts.saturating_add(1);
        let most = doubled.min(self.ceiling);
        self.floor
            + (most.saturating_sub(self.floor)).mul_f64(f64::from(random) / f64::from(u32::MAX))
    }

    /// A conversation worked: begin again from the floor.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_ceiling_and_begin_again_after_success() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        let waits: Vec<_> = (0..10).map(|_| backoff.next_wait(u32::MAX).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]);
        assert_eq!(backoff.next_wait(0).as_secs(), 1, "jitter may be anything above the floor");
        backoff.reset();
        assert_eq!(backoff.next_wait(u32::MAX).as_secs(), 1);
    }
}
