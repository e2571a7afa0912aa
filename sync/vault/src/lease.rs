//! The lease: a box that the county has not confirmed for 60 days stops opening.
//!
//! Time is counted twice, and the larger count holds: by the highest time ever seen since the last
//! contact (turning the clock back does not help), and by how long the program has run since then
//! (holding the clock still does not help).

use crate::{Vault, VaultError};
use cunkou_casework::event::decode;
use cunkou_keys::{CHALLENGE_DIGITS, Key, extension_code};
use cunkou_store::StoreError;
use minicbor::{Decode, Encode};

/// A box opens for so many days without the county.
pub const LEASE_DAYS: u32 = 60;
/// From these days on it warns.
pub const WARN_DAYS: [u32; 2] = [45, 55];
/// A code over the phone gives so many days from the moment it is typed.
pub const EXTENSION_DAYS: u32 = 14;
const DAY_MS: i64 = 24 * 3600 * 1000;
pub(crate) const LEASE: &str = "lease";
/// A code is tried at most so often per challenge; then a new challenge is drawn.
const TRIES: u32 = 5;

/// What is known of the time since the county confirmed this box.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Lease {
    /// The box's clock at the last contact, milliseconds.
    #[n(0)]
    contact_ms: i64,
    /// The highest time seen since.
    #[n(1)]
    floor_ms: i64,
    /// How long the program has run since, milliseconds.
    #[n(2)]
    awake_ms: i64,
    /// The elapsed time up to which an extension holds, milliseconds.
    #[n(3)]
    until_ms: i64,
    /// The challenge that is open.
    #[n(4)]
    challenge: Option<String>,
    /// Wrong codes for it.
    #[n(5)]
    tries: u32,
}

/// How the lease stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseStanding {
    /// All is well.
    Fine,
    /// It ends in so many days; `urgent` from the second warning on.
    Warn {
        /// Days left, at least 1.
        days_left: u32,
        /// After day 55.
        urgent: bool,
    },
    /// It has ended: nobody may sign in.
    Over,
}

/// Why a code did not extend it.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Not the code for this challenge.
    #[error("not the code for this number")]
    Wrong,
    /// There is no secret shared with the county: enrolled by an old relay.
    #[error("this box has no lease secret")]
    NoSecret,
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl Lease {
    /// The county has just confirmed the box.
    #[must_use]
    pub fn begin(now_ms: i64) -> Self {
        Self {
            contact_ms: now_ms,
            floor_ms: now_ms,
            awake_ms: 0,
            until_ms: i64::from(LEASE_DAYS) * DAY_MS,
            challenge: None,
            tries: 0,
        }
    }

    /// Time goes on: the clock says `now_ms`, and the program has run so long since the last call.
    pub fn pass(&mut self, now_ms: i64, awake_ms: i64) {
        self.floor_ms = self.floor_ms.max(now_ms);
        self.awake_ms = self.awake_ms.saturating_add(awake_ms.max(0));
    }

    fn elapsed_ms(&self) -> i64 {
        self.floor_ms.saturating_sub(self.contact_ms).max(self.awake_ms)
    }

    /// Whole days since the county confirmed the box.
    #[must_use]
    pub fn days(&self) -> u32 {
        u32::try_from(self.elapsed_ms() / DAY_MS).unwrap_or(u32::MAX)
    }

    /// How it stands.
    #[must_use]
    pub fn standing(&self) -> LeaseStanding {
        let left_ms = self.until_ms.saturating_sub(self.elapsed_ms());
        let warn = i64::from(LEASE_DAYS - WARN_DAYS[0]) * DAY_MS;
        let urgent = i64::from(LEASE_DAYS - WARN_DAYS[1]) * DAY_MS;
        if left_ms <= 0 {
            LeaseStanding::Over
        } else if left_ms <= warn {
            let days_left = u32::try_from((left_ms + DAY_MS - 1) / DAY_MS).unwrap_or(1);
            LeaseStanding::Warn { days_left, urgent: left_ms <= urgent }
        } else {
            LeaseStanding::Fine
        }
    }

    /// The challenge that is open; `fresh` becomes it when there is none.
    pub fn challenge(&mut self, fresh: u64) -> String {
        let width = CHALLENGE_DIGITS as usize;
        self.challenge
            .get_or_insert_with(|| format!("{:0width$}", fresh % 10u64.pow(CHALLENGE_DIGITS)))
            .clone()
    }

    /// Extends the lease by a code for the open challenge. Each challenge serves once; after a few
    /// wrong codes it is void.
    pub fn extend(&mut self, shared: &Key, device: &[u8; 16], code: &str) -> bool {
        let Some(challenge) = &self.challenge else { return false };
        let typed: String = code.chars().filter(char::is_ascii_digit).collect();
        let right = extension_code(shared, device, challenge, EXTENSION_DAYS);
        let same = typed.len() == right.len()
            && typed.bytes().zip(right.bytes()).fold(0, |acc, (a, b)| acc | (a ^ b)) == 0;
        if same {
            self.until_ms = self.elapsed_ms() + i64::from(EXTENSION_DAYS) * DAY_MS;
            self.challenge = None;
            self.tries = 0;
        } else {
            self.tries += 1;
            if self.tries >= TRIES {
                self.challenge = None;
                self.tries = 0;
            }
        }
        same
    }
}

impl Vault {
    fn lease(&self) -> Result<Lease, VaultError> {
        let bytes = self.open.store().read(|view| view.meta(LEASE))?;
        let bytes = bytes.ok_or(VaultError::Damaged("lease"))?;
        decode(&bytes).map_err(|_| VaultError::Damaged("lease"))
    }

    fn change_lease<T>(&self, change: impl FnOnce(&mut Lease) -> T) -> Result<T, VaultError> {
        let _turn = self.lock_turn();
        let mut lease = self.lease()?;
        let before = lease.clone();
        let out = change(&mut lease);
        if lease != before {
            self.put(LEASE, &lease)?;
        }
        Ok(out)
    }

    /// How the lease stands now; nothing is written.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn lease_standing(&self) -> Result<LeaseStanding, VaultError> {
        let mut lease = self.lease()?;
        lease.pass(self.open.now_ms(), 0);
        Ok(lease.standing())
    }

    /// Time goes on; `awake_ms` of it since the last call by a clock that nobody sets.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn pass_time(&self, awake_ms: i64) -> Result<LeaseStanding, VaultError> {
        let now = self.open.now_ms();
        self.pass_rescues(now, awake_ms)?;
        self.change_lease(|lease| {
            lease.pass(now, awake_ms);
            lease.standing()
        })
    }

    /// The county has confirmed the box just now.
    pub(crate) fn contact(&self) -> Result<(), VaultError> {
        let seen = self.open.store().read(|view| view.peers())?;
        match seen.iter().map(|peer| peer.seen_ms).max() {
            Some(at_ms) => self.contact_at(at_ms),
            None => Ok(()),
        }
    }

    /// The county confirmed the box at this time of the box's clock. A contact that was counted
    /// already changes nothing.
    pub(crate) fn contact_at(&self, at_ms: i64) -> Result<(), VaultError> {
        self.change_lease(|lease| {
            if lease.contact_ms != at_ms {
                *lease = Lease { challenge: lease.challenge.clone(), ..Lease::begin(at_ms) };
            }
        })
    }

    /// The number to read to the county.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn lease_challenge(&self) -> Result<String, VaultError> {
        let mut drawn = [0; 8];
        self.open.draw(&mut drawn);
        self.change_lease(|lease| lease.challenge(u64::from_be_bytes(drawn)))
    }

    /// Extends the lease by the code that the county reads back.
    ///
    /// # Errors
    /// [`LeaseError`].
    pub fn extend_lease(&self, code: &str) -> Result<(), LeaseError> {
        let shared = self.enrolled.lease.map(Key::of).ok_or(LeaseError::NoSecret)?;
        let device = self.enrolled.device.0;
        let extended = self.change_lease(|lease| lease.extend(&shared, &device, code))?;
        if extended { Ok(()) } else { Err(LeaseError::Wrong) }
    }
}

impl From<StoreError> for LeaseError {
    fn from(e: StoreError) -> Self {
        Self::Vault(e.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const T0: i64 = 1_795_000_000_000;

    fn after(days: i64) -> Lease {
        let mut lease = Lease::begin(T0);
        lease.pass(T0 + days * DAY_MS, 0);
        lease
    }

    #[test]
    fn it_warns_from_day_45_urgently_from_day_55_and_ends_at_day_60() {
        assert_eq!(after(44).standing(), LeaseStanding::Fine);
        assert_eq!(after(45).standing(), LeaseStanding::Warn { days_left: 15, urgent: false });
        assert_eq!(after(54).standing(), LeaseStanding::Warn { days_left: 6, urgent: false });
        assert_eq!(after(55).standing(), LeaseStanding::Warn { days_left: 5, urgent: true });
        assert_eq!(after(59).standing(), LeaseStanding::Warn { days_left: 1, urgent: true });
        assert_eq!(after(60).standing(), LeaseStanding::Over);
    }

    #[test]
    fn turning_the_clock_back_or_holding_it_still_does_not_help() {
        let mut lease = after(60);
        lease.pass(T0 - 400 * DAY_MS, 1000);
        assert_eq!(lease.standing(), LeaseStanding::Over);
        let mut lease = Lease::begin(T0);
        for _ in 0..60 {
            lease.pass(T0, DAY_MS);
        }
        assert_eq!(lease.standing(), LeaseStanding::Over);
    }

    #[test]
    fn a_code_works_once_for_its_challenge_and_gives_14_days() {
        let (shared, device) = (Key::of([1; 32]), [2; 16]);
        let mut lease = after(61);
        let challenge = lease.challenge(12_345_678_901);
        assert_eq!(challenge.len(), 8);
        assert_eq!(lease.challenge(5), challenge, "the number stays until it is used");
        let code = extension_code(&shared, &device, &challenge, EXTENSION_DAYS);
        assert!(!lease.extend(&shared, &device, "0000000000"));
        let spoken = format!("{} {} {}", &code[..3], &code[3..6], &code[6..]);
        assert!(lease.extend(&shared, &device, &spoken));
        assert_eq!(lease.standing(), LeaseStanding::Warn { days_left: 14, urgent: false });
        assert!(!lease.extend(&shared, &device, &code), "a second time");
        lease.pass(T0 + 75 * DAY_MS, 0);
        assert_eq!(lease.standing(), LeaseStanding::Over);
        let next = lease.challenge(99);
        assert_ne!(next, challenge);
        assert!(!lease.extend(&shared, &device, &code), "for another number");
    }

    #[test]
    fn after_five_wrong_codes_the_number_is_void() {
        let (shared, device) = (Key::of([1; 32]), [2; 16]);
        let mut lease = after(61);
        let challenge = lease.challenge(7);
        for _ in 0..5 {
            assert!(!lease.extend(&shared, &device, "1111111111"));
        }
        let code = extension_code(&shared, &device, &challenge, EXTENSION_DAYS);
        assert!(!lease.extend(&shared, &device, &code));
    }

    proptest! {
        #[test]
        fn whatever_the_clock_does_time_never_runs_backwards(
            steps in proptest::collection::vec((-4000i64..4000, 0i64..3), 1..60)
        ) {
            let mut lease = Lease::begin(T0);
            let mut last = 0;
            for (days, awake) in steps {
                lease.pass(T0 + days * DAY_MS, awake * DAY_MS);
                prop_assert!(lease.days() >= last);
                last = lease.days();
            }
        }
    }
}
