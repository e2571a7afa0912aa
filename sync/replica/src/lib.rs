//! One replica of a county: the store, the domain and the guard joined.
//!
//! Every entry, our own or a stranger's, comes in here and is judged here; every derived row is
//! made here. Node and relay differ in who they are, not in how they keep cases.

mod act;
mod admit;
mod audit;
mod beside;
mod carried;
mod compact;
mod cosigned;
mod county;
mod duty;
mod erase;
mod error;
mod evict;
mod export;
mod farewell;
mod file;
mod guarded;
mod here;
mod kinds;
mod lane;
mod materialise;
mod moved;
mod peer;
mod prepare;
mod rebuild;
mod receipt;
mod rescue;
mod restored;
mod room;
mod scrub;
mod search;
mod upward;
mod villages;
mod whole;
mod world;

pub use act::{Desk, Who};
pub use audit::InLog;
pub use beside::Beside;
pub use carried::ByHand;
pub use compact::{COMPACT_DAYS, Compacted};
pub use cosigned::{Cosigner, LetterError};
pub use county::{Authority, GivenCredential, Status};
pub use cunkou_guard::Guard;
pub use duty::DutyFile;
pub use error::{ActError, OpenError};
pub use evict::{EVICT_DAYS, Evicted};
pub use export::ExportError;
pub use farewell::LastWord;
pub use file::{CaseFile, EditNote, Gathered, ResidentFile, StepNote};
pub use here::{CaseHere, OnlyHere};
pub use lane::{Budget, LaneStatus};
pub use prepare::{Prepared, Proof};
pub use rebuild::Rebuilt;
pub use rescue::{HelpError, Helpable, Helped};
pub use restored::{NUMBERS_SKIPPED, begin_again, new_epoch};
pub use room::{Disk, Room};
pub use scrub::{ScrubStatus, Scrubbed};
pub use villages::LostVillage;
pub use world::{SystemWorld, World};

use cunkou_casework::catalogue::Release;
use cunkou_casework::county::{Anchor, CountyLog, Device, Person};
use cunkou_casework::ids::{DeviceId, Incarnation, SubjectId};
use cunkou_casework::suite::SecretKey;
use cunkou_store::{Lock, Store, StoreError};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// Who a replica is, and of which county: known from founding or enrolment.
#[derive(Clone, Debug)]
pub struct Membership {
    /// This device.
    pub device: DeviceId,
    /// Its key.
    pub key: SecretKey,
    /// The county as a subject.
    pub county: SubjectId,
    /// By what the beginning of the county log is known.
    pub anchor: Anchor,
    /// The county's secret for the index of ID numbers.
    pub index_secret: [u8; 32],
}

/// A box's replica that somebody has unlocked, with the key it was unlocked by.
#[derive(Clone, Debug)]
pub struct Unlocked {
    /// Everything readable.
    pub replica: Arc<Replica>,
    /// The work key: needed to give slots to people who come later.
    pub work: cunkou_keys::Key,
}

/// One replica.
pub struct Replica {
    store: Store,
    guard: Guard,
    /// Edits set aside since this replica was opened: when it moves, quotas are looked at.
    set_aside: AtomicU64,
    me: Membership,
    incarnation: Incarnation,
    world: Arc<dyn World>,
    county: RwLock<Arc<CountyLog>>,
    release: RwLock<Option<Arc<Release>>>,
    listeners: Mutex<Vec<Box<dyn Fn() + Send + Sync>>>,
    /// Held while statements are made, so that each follows the one before.
    stating: Mutex<()>,
    lane: lane::Lane,
    /// Documents that came whole, until their subjects are derived.
    came_whole: whole::CameWhole,
    /// Only the county log and wrapped keys are kept here.
    log_only: AtomicBool,
}

impl std::fmt::Debug for Replica {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Replica({:?})", self.me.device)
    }
}

impl Replica {
    /// Opens the replica in `folder`, finishes what a cut left half derived, and begins a new
    /// incarnation. `guard` judges what others changed: [`Guard::child`] in programs.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(
        folder: &Path,
        lock: &Lock,
        me: Membership,
        world: Arc<dyn World>,
        guard: Guard,
    ) -> Result<Self, OpenError> {
        Self::on(Store::open(folder, lock)?, me, world, guard)
    }

    /// The same on a store that is open already.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn on(
        store: Store,
        me: Membership,
        world: Arc<dyn World>,
        guard: Guard,
    ) -> Result<Self, OpenError> {
        let mut incarnation = [0; 16];
        world.random(&mut incarnation);
        let county = CountyLog::new(me.county, me.anchor);
        let replica = Self {
            store,
            guard,
            set_aside: AtomicU64::new(0),
            me,
            incarnation: Incarnation(incarnation),
            world,
            county: RwLock::new(Arc::new(county)),
            release: RwLock::default(),
            listeners: Mutex::default(),
            stating: Mutex::default(),
            lane: lane::Lane::default(),
            came_whole: whole::CameWhole::default(),
            log_only: AtomicBool::new(false),
        };
        replica.ensure_identity()?;
        replica.reload_county()?;
        replica.store.write(|tx| tx.mark_reason_dirty(guarded::UNJUDGED))?;
        replica.materialise_dirty()?;
        replica.sweep_lane()?;
        Ok(replica)
    }

    fn ensure_identity(&self) -> Result<(), StoreError> {
        self.store.write(|tx| {
            for key in ["store", "epoch"] {
                if tx.meta(key)?.is_none() {
                    tx.set_meta(key, &self.random::<16>())?;
                }
            }
            Ok(())
        })
    }

    pub(crate) fn random<const N: usize>(&self) -> [u8; N] {
        let mut out = [0; N];
        self.world.random(&mut out);
        out
    }

    /// The present time, milliseconds since 1970 UTC.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.world.now_ms()
    }

    /// Random bytes from outside.
    pub fn draw(&self, out: &mut [u8]) {
        self.world.random(out);
    }

    /// The store, for what is local to it.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Who this replica is.
    #[must_use]
    pub fn me(&self) -> &Membership {
        &self.me
    }

    /// This run.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// The county log as far as it is here.
    #[must_use]
    pub fn county(&self) -> Arc<CountyLog> {
        self.county.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The published catalogue, when its bytes are here.
    #[must_use]
    pub fn release(&self) -> Option<Arc<Release>> {
        self.release.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// This device as the county log knows it.
    #[must_use]
    pub fn device(&self) -> Option<Device> {
        self.county().device(self.me.device).cloned()
    }

    /// The people who work at this box: each has a slot for its work key, and may sign in. Where it
    /// has lost its last village, those of the villages that it served.
    #[must_use]
    pub fn workers(&self) -> Vec<Person> {
        let county = self.county();
        let Some(mut me) = self.device() else { return Vec::new() };
        if me.places.is_empty() {
            // Somebody must be able to open it, so that what is unsent can go.
            me.places = county.served_before(me.id).into_iter().collect();
        }
        county.people().filter(|person| county.works_at(person, &me)).cloned().collect()
    }

    fn changed(&self) {
        let listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        for notify in listeners.iter() {
            notify();
        }
    }
}
