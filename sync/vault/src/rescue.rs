//! The way back of somebody who has forgotten their PIN, without a network and while the box is
//! locked.
//!
//! For each person the box keeps their key behind a code that it does not know itself (see
//! `cunkou_keys::Spoken`), and beside a new one the last that a peer has acknowledged: only what
//! the county has can be helped with. A number that the box shows is good for an hour and a few
//! codes, and each day has few numbers. Time is counted as for the lease: neither turning the clock
//! back nor holding it still helps.

mod numbers;

use self::numbers::Numbers;
pub use self::numbers::{CODES_PER_NUMBER, NUMBER_MS, NUMBER_WAIT_MS, NUMBERS_PER_DAY};
use crate::{Vault, VaultError};
use cunkou_casework::county::Person;
use cunkou_casework::event::decode;
use cunkou_casework::ids::PersonId;
use cunkou_casework::suite::SecretKey;
use cunkou_keys::{Behind, RescueFor, behind};
use cunkou_replica::{ActError, Replica};
use cunkou_store::StoreError;
use minicbor::bytes::ByteArray;
use minicbor::{Decode, Encode};
use tracing::{info, warn};

/// Where ways back lie in `open.db`: a list of [`Rescues`].
pub const RESCUES: &str = "rescues";
const DAY_MS: i64 = 24 * 3600 * 1000;
/// A way back is made anew when it is older.
const RENEWED_MS: i64 = 30 * DAY_MS;

/// Why there is no number, or a code opened nothing.
#[derive(Debug, thiserror::Error)]
pub enum RescueError {
    /// This person has no way back on this box: they have not signed in since it could make one.
    #[error("this person has no way back on this box")]
    None,
    /// The day's numbers are used up.
    #[error("too many numbers today")]
    TooMany,
    /// A number was just made void: the next comes after a minute.
    #[error("the next number comes in a minute")]
    Soon,
    /// No number is open: too old, too many wrong codes, or none was asked for.
    #[error("this number is not good any more")]
    Over,
    /// Not the code for this number.
    #[error("not the code for this number")]
    Wrong,
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl From<StoreError> for RescueError {
    fn from(e: StoreError) -> Self {
        Self::Vault(e.into())
    }
}

/// One way back.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Ready {
    #[n(0)]
    id: u64,
    /// The public part of the key behind it.
    #[n(1)]
    key: ByteArray<32>,
    #[n(2)]
    behind: Behind,
    /// Who can help, sorted.
    #[n(3)]
    helpers: Vec<ByteArray<32>>,
    #[n(4)]
    made_ms: i64,
    /// Where its entry stands: scope, place in the scope's log.
    #[n(5)]
    scope: String,
    #[n(6)]
    seq: u64,
    #[n(7)]
    acknowledged: bool,
}

/// A person's ways back: at most the newest and an older one that was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Rescues {
    #[n(0)]
    person: PersonId,
    #[n(1)]
    ready: Vec<Ready>,
    #[n(2)]
    numbers: Numbers,
}

impl Rescues {
    /// Time goes on for the person's numbers.
    pub fn pass(&mut self, now_ms: i64, awake_ms: i64) {
        self.numbers.pass(now_ms, awake_ms);
    }

    /// The way back that is offered: one that somebody can help with before one that nobody may
    /// have heard of.
    fn offered(&self) -> Option<&Ready> {
        self.ready.iter().find(|r| r.acknowledged).or(self.ready.first())
    }

    /// Puts a new one in front, and keeps behind it the newest that was acknowledged.
    fn add(&mut self, new: Ready) {
        let kept = self.ready.iter().find(|r| r.acknowledged && r.key == new.key).cloned();
        self.ready = [new].into_iter().chain(kept).collect();
    }
}

impl Vault {
    fn rescues(&self) -> Result<Vec<Rescues>, VaultError> {
        match self.open.store().read(|view| view.meta(RESCUES))? {
            Some(bytes) => decode(&bytes).map_err(|_| VaultError::Damaged("ways back")),
            None => Ok(Vec::new()),
        }
    }

    fn change_rescues<T, E: From<VaultError> + From<StoreError>>(
        &self,
        change: impl FnOnce(&mut Vec<Rescues>) -> Result<T, E>,
    ) -> Result<T, E> {
        let _turn = self.lock_turn();
        let mut all = self.rescues()?;
        let before = all.clone();
        let out = change(&mut all);
        // Whatever came of it: a try that failed is counted.
        if all != before {
            self.put(RESCUES, &all)?;
        }
        out
    }

    fn rescue_for(&self, person: PersonId, id: u64) -> RescueFor {
        RescueFor { device: self.enrolled.device.0, person: person.0, id }
    }

    /// Sees to it that the person has a good way back, while their key is plain: makes one where
    /// there is none, it is old, or other people could help now. Returns whether one was made.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn prepare_rescue(
        &self,
        work: &Replica,
        person: &Person,
        key: &SecretKey,
    ) -> Result<bool, VaultError> {
        self.note_acknowledged(work)?;
        let county = work.county();
        let helpers = county.helpers_of(person);
        let named: Vec<ByteArray<32>> = helpers.iter().map(|k| k.0.into()).collect();
        let public = key.public();
        let now = self.open.now_ms();
        if person.key != Some(public) || helpers.is_empty() {
            return Ok(false);
        }
        let all = self.rescues()?;
        let mine = all.iter().find(|r| r.person == person.id);
        let good = mine.and_then(|r| r.ready.first()).is_some_and(|ready| {
            *ready.key == public.0
                && ready.helpers == named
                && (0..RENEWED_MS).contains(&now.saturating_sub(ready.made_ms))
        });
        if good {
            return Ok(false);
        }
        // The last digit tells two ways back apart.
        let taken = mine.and_then(|r| r.offered()).map(|r| r.id % 10);
        let id = self.rescue_id(taken);
        let of = self.rescue_for(person.id, id);
        let (behind, spoken) = behind(&key.seed(), &self.machine, &of)?;
        let said = work
            .act(|desk| desk.give_rescue(person, id, &helpers, &spoken))
            .map_err(|e: ActError| act_failed(e))?;
        let Some((scope, seq)) = said else { return Ok(false) };
        let new = Ready {
            id,
            key: public.0.into(),
            behind,
            helpers: named,
            made_ms: now,
            scope,
            seq,
            acknowledged: false,
        };
        self.change_rescues(|all| -> Result<(), VaultError> {
            match all.iter_mut().find(|r| r.person == person.id) {
                Some(mine) => mine.add(new),
                None => all.push(Rescues {
                    person: person.id,
                    ready: vec![new],
                    numbers: Numbers::default(),
                }),
            }
            Ok(())
        })?;
        info!("a person has a new way back for a forgotten PIN");
        Ok(true)
    }

    fn rescue_id(&self, taken: Option<u64>) -> u64 {
        let mut drawn = [0; 8];
        self.open.draw(&mut drawn);
        let id = u64::from_be_bytes(drawn) / 10 * 10;
        let digit = u64::from(drawn[7]) % 10;
        // Another than the one that is taken; the last ten below the end are never reached.
        let digit = if taken == Some(digit) { (digit + 1) % 10 } else { digit };
        id.saturating_sub(10).saturating_add(digit)
    }

    /// Remembers what the county has heard of.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn note_acknowledged(&self, work: &Replica) -> Result<(), VaultError> {
        let all = self.rescues()?;
        let open = all.iter().flat_map(|r| &r.ready).filter(|r| !r.acknowledged);
        let mut heard = Vec::new();
        for ready in open {
            if work.is_acknowledged(&ready.scope, ready.seq)? {
                heard.push(ready.id);
            }
        }
        if heard.is_empty() {
            return Ok(());
        }
        self.change_rescues(|all| -> Result<(), VaultError> {
            for mine in all {
                for ready in mine.ready.iter_mut().filter(|r| heard.contains(&r.id)) {
                    ready.acknowledged = true;
                }
                // The newest was heard of: the older one has served.
                if mine.ready.first().is_some_and(|r| r.acknowledged) {
                    mine.ready.truncate(1);
                }
            }
            Ok(())
        })
    }

    /// The number to read over the phone. It stays the same until it is used, void or an hour old.
    ///
    /// # Errors
    /// [`RescueError`].
    pub fn rescue_number(&self, person: &Person) -> Result<String, RescueError> {
        let mut drawn = [0; 8];
        self.open.draw(&mut drawn);
        let now = self.open.now_ms();
        self.change_rescues(|all| {
            let mine = all.iter_mut().find(|r| r.person == person.id);
            let mine = mine.ok_or(RescueError::None)?;
            let fits = |r: &&Ready| person.key.is_some_and(|key| key.0 == *r.key);
            let id = mine.offered().filter(fits).map(|r| r.id).ok_or(RescueError::None)?;
            let of = self.rescue_for(person.id, id);
            mine.numbers.number(&of, now, u64::from_be_bytes(drawn))
        })
    }

    /// Opens the person's key with the code that was read back. The try is counted on disk before
    /// it is made. The way back stays until [`Vault::rescued`]: nothing is lost when what follows
    /// fails.
    ///
    /// # Errors
    /// [`RescueError`].
    pub fn rescue(&self, person: &Person, code: &str) -> Result<SecretKey, RescueError> {
        let now = self.open.now_ms();
        let (number, ready) = self.change_rescues(|all| {
            let mine = all.iter_mut().find(|r| r.person == person.id);
            let mine = mine.ok_or(RescueError::None)?;
            let (number, id) = mine.numbers.try_code(now)?;
            let ready = mine.ready.iter().find(|r| r.id == id).cloned();
            Ok::<_, RescueError>((number, ready.ok_or(RescueError::Over)?))
        })?;
        let of = self.rescue_for(person.id, ready.id);
        let seed = ready.behind.open(&self.machine, &of, &number, code);
        let key = SecretKey::from_seed(&*seed.map_err(|_| RescueError::Wrong)?);
        if person.key != Some(key.public()) {
            return Err(RescueError::Wrong);
        }
        Ok(key)
    }

    /// The person has set a new PIN: their ways back up to now, and the number, are burnt.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn rescued(&self, person: PersonId) -> Result<(), VaultError> {
        self.change_rescues(|all| -> Result<(), VaultError> {
            for mine in all.iter_mut().filter(|r| r.person == person) {
                mine.ready.clear();
                mine.numbers.close();
            }
            Ok(())
        })
    }

    /// Time goes on for the open numbers; people who left keep no way back.
    pub(crate) fn pass_rescues(&self, now_ms: i64, awake_ms: i64) -> Result<(), VaultError> {
        let workers: Vec<PersonId> = self.open.workers().into_iter().map(|p| p.id).collect();
        self.change_rescues(|all| -> Result<(), VaultError> {
            for mine in all.iter_mut() {
                if !workers.contains(&mine.person) {
                    mine.ready.clear();
                }
                mine.pass(now_ms, awake_ms);
            }
            all.retain(|r| !r.ready.is_empty() || r.numbers.counts());
            Ok(())
        })
    }
}

fn act_failed(error: ActError) -> VaultError {
    match error {
        ActError::Store(e) => e.into(),
        other => {
            warn!(error = %other, "a way back could not be said");
            VaultError::Damaged("entry log")
        }
    }
}
