//! Short secrets made slow to guess: Argon2id.

use crate::Key;
use argon2::{Algorithm, Argon2, Params, Version};
use std::sync::{Mutex, PoisonError};

/// Argon2id on a box with 1 GB: 32 MiB, 3 passes, one lane.
pub const MEMORY_KIB: u32 = 32 * 1024;
/// Passes over that memory.
pub const PASSES: u32 = 3;
/// Nothing may ask for more than this, so that strange parameters cannot exhaust a box.
const MEMORY_KIB_MAX: u32 = 64 * 1024;
const PASSES_MAX: u32 = 6;
/// One at a time in a process: whoever asks often waits, and takes nobody's memory.
static TURN: Mutex<()> = Mutex::new(());

/// A key from a short secret. Nothing when the parameters ask for too much. One runs at a time:
/// the others wait for it.
#[must_use]
pub fn stretch(short: &str, salt: &[u8], memory_kib: u32, passes: u32) -> Option<Key> {
    with(
        &Argon2::new(Algorithm::Argon2id, Version::V0x13, params(memory_kib, passes)?),
        short,
        salt,
    )
}

/// The same with a second secret mixed in, as RFC 9106 names it (K): both are needed. One runs at a
/// time.
#[must_use]
pub fn stretch_with(mixed: &Key, short: &str, salt: &[u8]) -> Option<Key> {
    let params = params(MEMORY_KIB, PASSES)?;
    let (kind, version) = (Algorithm::Argon2id, Version::V0x13);
    with(&Argon2::new_with_secret(mixed.bytes(), kind, version, params).ok()?, short, salt)
}

fn params(memory_kib: u32, passes: u32) -> Option<Params> {
    if memory_kib > MEMORY_KIB_MAX || passes > PASSES_MAX {
        return None;
    }
    Params::new(memory_kib, passes, 1, Some(32)).ok()
}

fn with(argon: &Argon2<'_>, short: &str, salt: &[u8]) -> Option<Key> {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut key = [0; 32];
    argon.hash_password_into(short.as_bytes(), salt, &mut key).ok()?;
    Some(Key::of(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mixed_in_secret_is_needed_and_greed_is_refused() {
        let (one, two) = (Key::of([1; 32]), Key::of([2; 32]));
        let salt = [3; 16];
        assert_eq!(stretch_with(&one, "123", &salt), stretch_with(&one, "123", &salt));
        assert_ne!(stretch_with(&one, "123", &salt), stretch_with(&two, "123", &salt));
        assert_ne!(stretch_with(&one, "123", &salt), stretch("123", &salt, MEMORY_KIB, PASSES));
        assert!(stretch("1", &salt, u32::MAX, 1).is_none());
        assert!(stretch("1", &salt, 64, 7).is_none());
    }
}
