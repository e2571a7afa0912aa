//! What comes in from outside: time, randomness, how much room there is.

use crate::Disk;
use std::path::Path;

/// Time, randomness, and the disk.
pub trait World: Send + Sync {
    /// Milliseconds since 1970 UTC.
    fn now_ms(&self) -> i64;
    /// Fills `out` with random bytes.
    fn random(&self, out: &mut [u8]);
    /// The disk under a folder; nothing when it is not known, and then it never fills up.
    fn disk(&self, folder: &Path) -> Option<Disk> {
        let _ = folder;
        None
    }
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

    fn disk(&self, folder: &Path) -> Option<Disk> {
        let fs = rustix::fs::statvfs(folder).ok()?;
        Some(Disk {
            free: fs.f_bavail.saturating_mul(fs.f_frsize),
            total: fs.f_blocks.saturating_mul(fs.f_frsize),
            read_only: fs.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY),
        })
    }
}
