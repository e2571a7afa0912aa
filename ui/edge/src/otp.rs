//! One-time passwords (RFC 6238: SHA-1, 6 digits, 30 s): a lower grade, for which the relay vouches.
//!
//! The secret lies in the relay's own store and never in an entry.

use cunkou_casework::decider::DeciderKey;
use cunkou_casework::hex;
use cunkou_replica::Replica;
use cunkou_store::{StoreError, Throttle};
use totp_rs::{Builder, Secret, Totp};

/// Length of a secret. Bytes.
pub const SECRET_BYTES: usize = 20;
/// So many wrong passwords in a row cost nothing but the try.
const FREE_TRIES: u32 = 4;
const WAIT_MS_MAX: i64 = 15 * 60 * 1000;

/// How a password was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// Right, and never used before.
    Right,
    /// Wrong, or used.
    Wrong,
    /// Too many were wrong: wait so long. Milliseconds.
    Wait(i64),
}

fn totp(secret: &[u8; SECRET_BYTES]) -> Option<Totp> {
    Builder::new().with_secret(*secret).build().ok()
}

/// The secret as an authenticator takes it when typed.
#[must_use]
pub fn typed(secret: &[u8; SECRET_BYTES]) -> String {
    Secret::from(*secret).to_base32()
}

/// The time step of a right password.
#[must_use]
pub fn step_of(secret: &[u8; SECRET_BYTES], password: &str, now_ms: i64) -> Option<u64> {
    let seconds = u64::try_from(now_ms / 1000).ok()?;
    totp(secret)?.check(password.trim(), seconds)
}

fn place(key: &DeciderKey) -> String {
    format!("otp {}", hex::encode(&key.key))
}

/// Keeps the secret of an enrolment whose first password had this step.
///
/// # Errors
/// When the store fails.
pub fn keep(
    replica: &Replica,
    key: &DeciderKey,
    secret: &[u8; SECRET_BYTES],
    step: u64,
) -> Result<(), StoreError> {
    let kept = [&step.to_be_bytes()[..], secret].concat();
    replica.store().write(|tx| tx.set_meta(&place(key), &kept))
}

/// Checks a password. Each counts once, and wrong ones are counted on disk in the same
/// transaction, so that a restart gives no tries back.
///
/// # Errors
/// When the store fails.
pub fn check(
    replica: &Replica,
    login: &str,
    key: &DeciderKey,
    password: &str,
) -> Result<Checked, StoreError> {
    let (now, row) = (replica.now_ms(), format!("otp {login}"));
    replica.store().write(|tx| {
        let before = tx.throttle(&row)?;
        if before.until_ms > now {
            return Ok(Checked::Wait(before.until_ms - now));
        }
        let kept = tx.meta(&place(key))?.unwrap_or_default();
        let right = kept.split_first_chunk::<8>().and_then(|(last, secret)| {
            let step = step_of(secret.try_into().ok()?, password, now)?;
            (step > u64::from_be_bytes(*last)).then_some((step, secret.to_vec()))
        });
        if let Some((step, secret)) = right {
            tx.set_meta(&place(key), &[&step.to_be_bytes()[..], &secret].concat())?;
            tx.set_throttle(&row, Throttle::default())?;
            return Ok(Checked::Right);
        }
        let fails = before.fails + 1;
        let over = fails.saturating_sub(FREE_TRIES);
        let wait = if over == 0 { 0 } else { (15_000_i64 << over.min(10)).min(WAIT_MS_MAX) };
        tx.set_throttle(&row, Throttle { fails, until_ms: now + wait })?;
        Ok(Checked::Wrong)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_passwords_are_those_of_rfc_6238() {
        // Appendix B, SHA-1, of whose eight digits six are used.
        let secret = b"12345678901234567890";
        for (seconds, password) in
            [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")]
        {
            assert_eq!(step_of(secret, password, seconds * 1000), Some(seconds as u64 / 30));
        }
        assert_eq!(step_of(secret, "287083", 59_000), None);
        assert_eq!(step_of(secret, "287082", 159_000), None, "too late");
        assert_eq!(typed(secret), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    }
}
