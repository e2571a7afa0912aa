//! What comes in from outside: time and randomness.

/// Time and randomness.
pub trait World: Send + Sync {
    /// Milliseconds since 1970 UTC.
    fn now_ms(&self) -> i64;
    /// Fills `out` with random bytes.
    fn random(&self, out: &mut [u8]);
}

/// The machine's own clock and randomness.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemWorld;

impl World for SystemWorld {
    fn now_ms(&self) -> i64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
    }

    fn random(&self, out: &mut [u8]) {
        // Without randomness nothing can be signed or kept secret: our own broken invariant.
        assert!(getrandom::fill(out).is_ok(), "the system gives no randomness");
    }
}
