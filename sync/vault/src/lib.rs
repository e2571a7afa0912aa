//! A box at rest.
//!
//! `open.db` (machine key) is what a box knows while it is locked: who it is, the county log, the
//! wrapped keys of the people who work there, how far it has read the county, wrong PINs, its
//! lease, the slots of its work key, and an inbox of what arrived, sealed to the box.
//! `work.db` (work key) is everything readable. The first sign-in opens it and drains the inbox.
//!
//! **Invariant:** while locked nothing received can be read: the inbox's secret lies in `work.db`.
//! The one exception is a box that nobody has signed in to yet; see docs/at-rest.md.
//! **Invariant:** what is acknowledged is on disk, locked or not; what is drained twice changes
//! nothing.
//! **Invariant:** what `open.db` says of the county is never ahead of `work.db` in cursors and never
//! behind its own cursors in statements.

mod backup;
mod destroy;
mod inbox;
mod lease;
mod mirror;
mod rescue;
mod unlock;

pub use backup::{BackedUp, BackupError, Restored, is_restoring, restore};
pub use destroy::Destroyed;
pub use lease::{EXTENSION_DAYS, LEASE_DAYS, Lease, LeaseError, LeaseStanding, WARN_DAYS};
pub use rescue::{
    CODES_PER_NUMBER, NUMBER_MS, NUMBER_WAIT_MS, NUMBERS_PER_DAY, RESCUES, RescueError, Rescues,
};
pub use unlock::{UnlockError, recover, recover_in_place};

use cunkou_casework::event::{decode, encode};
use cunkou_casework::ids::{DeviceId, EntryId, SubjectId};
use cunkou_casework::suite::SecretKey;
use cunkou_keys::{BoxSecret, Key, KeyError};
use cunkou_replica::{Guard, Membership, OpenError, Replica, World};
use cunkou_store::{Lock, Store, StoreError};
use minicbor::{Decode, Encode};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// The file of the open database in a box's folder.
pub const OPEN_DB: &str = "open.db";

/// Why a vault could not do it.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// Nothing was enrolled here.
    #[error("there is no enrolled box in this folder")]
    Empty,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The county log, or an entry of it.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Something in the vault cannot be read.
    #[error("the {0} in open.db is damaged")]
    Damaged(&'static str),
    /// The disk.
    #[error("the disk failed: {0}")]
    Disk(#[from] std::io::Error),
}

/// Who the box is and what it got at enrolment. Lies in `open.db`.
#[derive(Clone, Encode, Decode)]
pub struct Enrolled {
    /// Its id.
    #[n(0)]
    pub device: DeviceId,
    /// Seed of its key.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub seed: [u8; 32],
    /// The county.
    #[n(2)]
    pub county: SubjectId,
    /// The name of the county's founding statement.
    #[n(3)]
    pub founding: EntryId,
    /// The county's secret for the index of ID numbers.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub index_secret: [u8; 32],
    /// The county's recovery key.
    #[cbor(n(5), with = "minicbor::bytes")]
    pub recovery: Option<[u8; 32]>,
    /// The secret shared with the relay for extending the lease.
    #[cbor(n(6), with = "minicbor::bytes")]
    pub lease: Option<[u8; 32]>,
}

impl std::fmt::Debug for Enrolled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Enrolled({})", self.device)
    }
}

/// A box's `open.db`, opened with the machine key.
#[derive(Debug)]
pub struct Vault {
    /// The open database seen as a replica that holds the county log and credentials.
    open: Arc<Replica>,
    enrolled: Enrolled,
    machine: Key,
    folder: PathBuf,
    world: Arc<dyn SharedWorld>,
    guard: MakeGuard,
    /// What is done to the inbox and to the slots is done by one at a time.
    turn: Mutex<()>,
    /// False while `work.db` is open: what arrives then goes there and not into the inbox.
    receiving: AtomicBool,
}

/// Makes what contains strangers' changes, anew for each database that is opened.
pub type MakeGuard = fn() -> Guard;

/// A world that many hold.
pub trait SharedWorld: World + std::fmt::Debug {}
impl<W: World + std::fmt::Debug> SharedWorld for W {}

struct Passed(Arc<dyn SharedWorld>);

impl World for Passed {
    fn now_ms(&self) -> i64 {
        self.0.now_ms()
    }
    fn random(&self, out: &mut [u8]) {
        self.0.random(out);
    }
}

const ENROLLED: &str = "enrolled";

fn open_lock(machine: &Key) -> Lock {
    Lock::Key(machine.derive("open.db"))
}

impl Vault {
    /// Makes the vault of a box that was just enrolled, whole or not at all.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn create(
        folder: &Path,
        machine: &Key,
        enrolled: &Enrolled,
        county_log: &[Vec<u8>],
        beside: &[(&str, &[u8])],
        world: Arc<dyn SharedWorld>,
        guard: MakeGuard,
    ) -> Result<Self, VaultError> {
        let store = Store::open_as(folder, OPEN_DB, &open_lock(machine))?;
        // Until the first sign-in there is no work.db to keep the inbox's secret in.
        let secret = BoxSecret::random()?;
        let public = secret.public()?;
        let (mut id, mut epoch) = ([0; 16], [0; 16]);
        world.random(&mut id);
        world.random(&mut epoch);
        store.write(|tx| -> Result<(), StoreError> {
            tx.set_meta("store", &id)?;
            tx.set_meta("epoch", &epoch)?;
            tx.set_meta(inbox::PUBLIC, &public)?;
            tx.set_meta(inbox::SECRET, secret.key().bytes())?;
            tx.set_meta(lease::LEASE, &encode(&Lease::begin(world.now_ms())))
        })?;
        let me = membership(enrolled);
        let replica = Replica::on(store, me, Arc::new(Passed(Arc::clone(&world))), guard())?;
        replica.bootstrap(county_log)?;
        // With this the box is enrolled.
        replica.store().write(|tx| -> Result<(), StoreError> {
            for (key, value) in beside {
                tx.set_meta(key, value)?;
            }
            tx.set_meta(ENROLLED, &encode(enrolled))
        })?;
        drop(replica);
        Self::open(folder, machine, world, guard)
    }

    /// Opens it.
    ///
    /// # Errors
    /// [`VaultError::Empty`] when nothing was enrolled here.
    pub fn open(
        folder: &Path,
        machine: &Key,
        world: Arc<dyn SharedWorld>,
        guard: MakeGuard,
    ) -> Result<Self, VaultError> {
        if !folder.join(OPEN_DB).exists() {
            return Err(VaultError::Empty);
        }
        let store = Store::open_as(folder, OPEN_DB, &open_lock(machine))?;
        let bytes = store.read(|view| view.meta(ENROLLED))?.ok_or(VaultError::Empty)?;
        let enrolled: Enrolled = decode(&bytes).map_err(|_| VaultError::Damaged("enrolment"))?;
        let me = membership(&enrolled);
        let open = Arc::new(Replica::on(store, me, Arc::new(Passed(Arc::clone(&world))), guard())?);
        open.keep_log_only();
        Ok(Self {
            open,
            enrolled,
            machine: machine.clone(),
            folder: folder.to_owned(),
            world,
            guard,
            turn: Mutex::default(),
            receiving: AtomicBool::new(true),
        })
    }

    /// The open database as a replica: county log, people, credentials, throttle. It holds no case
    /// and no resident.
    #[must_use]
    pub fn open_replica(&self) -> &Arc<Replica> {
        &self.open
    }

    /// What the box got at enrolment.
    #[must_use]
    pub fn enrolled(&self) -> &Enrolled {
        &self.enrolled
    }

    /// Something kept beside, by the name it was given in [`Vault::create`].
    ///
    /// # Errors
    /// When the store fails.
    pub fn beside(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.open.store().read(|view| view.meta(key))
    }

    /// Whether anybody has signed in to this box yet.
    ///
    /// # Errors
    /// When the store fails.
    pub fn is_fresh(&self) -> Result<bool, StoreError> {
        Ok(self.open.store().read(|view| view.meta(unlock::SLOTS))?.is_none())
    }

    /// The work database was closed: what arrives goes into the inbox again.
    pub fn locked(&self) {
        let _turn = self.lock_turn();
        self.receiving.store(true, Ordering::SeqCst);
    }

    /// How many batches wait in the inbox, and their bytes.
    ///
    /// # Errors
    /// When the store fails.
    pub fn inbox(&self) -> Result<(u64, u64), StoreError> {
        self.open.store().read(|view| view.inbox_size())
    }

    fn lock_turn(&self) -> std::sync::MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn membership(enrolled: &Enrolled) -> Membership {
    Membership {
        device: enrolled.device,
        key: SecretKey::from_seed(&enrolled.seed),
        county: enrolled.county,
        anchor: enrolled.founding.into(),
        index_secret: enrolled.index_secret,
    }
}
