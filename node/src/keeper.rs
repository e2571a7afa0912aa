//! The box locked and unlocked: which pages are served, what the link feeds, when it locks, when
//! it ends.

use crate::home::{Home, failed};
use crate::links::Reach;
use crate::wallet::Wallet;
use crate::web;
use axum::Router;
use axum::extract::Request;
use cunkou_casework::county::{DeviceKind, Person};
use cunkou_casework::suite::SecretKey;
use cunkou_edge::cli::{Exit, Failure};
use cunkou_edge::{App, Door, DoorError, Lease, Office, RescueFault};
use cunkou_edge::{history, pin};
use cunkou_engine::Port;
use cunkou_link::{Dialer, LinkHandle, LinkState, Neighbours};
use cunkou_replica::{Beside, Budget, Replica, Unlocked};
use cunkou_vault::{LeaseStanding, RescueError, UnlockError, Vault};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tower::ServiceExt;
use tracing::{info, warn};

/// How often the lease and the idle time are looked at.
const TICK: Duration = Duration::from_secs(30);
/// How often the time without the county is written down.
const COUNT_EVERY: Duration = Duration::from_secs(600);
/// How often closed cases are looked through for what may leave.
const EVICT_EVERY: Duration = Duration::from_secs(3600);
/// What the work database learned is copied into the open one this much later: a batch of news is
/// one write.
const MIRROR_AFTER: Duration = Duration::from_secs(2);

/// The boxes nearby that are talked to, by device and name.
type Met = watch::Receiver<BTreeMap<[u8; 16], String>>;

/// What is running now.
struct Now {
    app: Arc<App>,
    router: Router,
    work: Option<Unlocked>,
    link: JoinHandle<()>,
    beside: Option<(JoinHandle<()>, Met)>,
    mirror: Option<JoinHandle<()>>,
}

/// Keeps the box.
pub(crate) struct Keeper {
    home: Home,
    wallet: Arc<Wallet>,
    data: PathBuf,
    relays: Vec<String>,
    reach: Reach,
    lock_after: Option<Duration>,
    /// What the lane of attachments may move.
    budget: Budget,
    now: RwLock<Option<Now>>,
    /// Unlocking, locking and ending happen one at a time.
    turn: Mutex<()>,
    runtime: Handle,
    me: Weak<Self>,
    revoked: Arc<Notify>,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keeper({})", self.data.display())
    }
}

impl Keeper {
    /// Begins locked.
    pub(crate) fn begin(
        home: Home,
        wallet: Arc<Wallet>,
        data: PathBuf,
        relays: Vec<String>,
        reach: Reach,
        lock_after: Option<Duration>,
        budget: Budget,
    ) -> Result<Arc<Self>, Failure> {
        let keeper = Arc::new_cyclic(|me| Self {
            home,
            wallet,
            data,
            relays,
            reach,
            lock_after,
            budget,
            now: RwLock::default(),
            turn: Mutex::default(),
            runtime: Handle::current(),
            me: me.clone(),
            revoked: Arc::default(),
        });
        keeper.watch_revocation(keeper.home.vault.open_replica());
        let locked = keeper.locked()?;
        keeper.replace(locked);
        Ok(keeper)
    }

    fn door(&self) -> Result<Arc<dyn Door>, Failure> {
        let me: Arc<dyn Door> = self.me.upgrade().ok_or_else(|| failed("the box is stopping"))?;
        Ok(me)
    }

    fn start(
        &self,
        replica: Arc<Replica>,
        port: Arc<dyn Port>,
        work: Option<Unlocked>,
    ) -> Result<Now, Failure> {
        let _runtime = self.runtime.enter();
        let kind = replica.device().map_or(DeviceKind::Village, |d| d.kind);
        let office = if kind == DeviceKind::Township { Office::Township } else { Office::Village };
        let dialer = Dialer::new(self.relays.clone(), self.wallet.clone(), port)
            .with_links(self.reach.links.clone())
            .with_diary(Arc::new(history::Keeper::new(Arc::clone(&replica))));
        let (link, hosts, door) = (Some(dialer.handle()), self.wallet.hosts(), self.door()?);
        let app = Arc::new(App::new(office, Arc::clone(&replica), link, hosts, door));
        let jitter = Arc::clone(&replica);
        let link = self.runtime.spawn(dialer.run(move || {
            let mut random = [0; 4];
            jitter.draw(&mut random);
            u32::from_be_bytes(random)
        }));
        let beside = work.as_ref().zip(app.link.clone()).and_then(|(work, link)| {
            let neighbours = self.neighbours(work, link)?;
            let (met, jitter) = (neighbours.met(), Arc::clone(&replica));
            let running = self.runtime.spawn(neighbours.run(move || {
                let mut random = [0; 4];
                jitter.draw(&mut random);
                u32::from_be_bytes(random)
            }));
            Some((running, met))
        });
        let router = web::router(Arc::clone(&app), self.data.join("practice"));
        let mirror = work.as_ref().map(|work| self.keep_mirrored(work));
        Ok(Now { app, router, work, link, beside, mirror })
    }

    fn locked(&self) -> Result<Now, Failure> {
        let vault = &self.home.vault;
        vault.locked();
        let port: Arc<dyn Port> = vault.clone();
        self.start(Arc::clone(vault.open_replica()), port, None)
    }

    /// Puts another state in place and ends what belonged to the one before.
    fn replace(&self, next: Now) {
        let before = self.now.write().unwrap_or_else(PoisonError::into_inner).replace(next);
        if let Some(before) = before {
            before.link.abort();
            if let Some((beside, _)) = before.beside {
                beside.abort();
            }
            if let Some(mirror) = before.mirror {
                mirror.abort();
            }
            // Whoever still answers a request holds the app; the keys of people go now.
            before.app.sessions.end_all();
        }
    }

    fn with<T>(&self, look: impl FnOnce(&Now) -> T) -> Option<T> {
        self.now.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(look)
    }

    fn take_turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pages of the moment: the sign-in while locked, everything else afterwards.
    pub(crate) fn pages(self: &Arc<Self>) -> Router {
        let keeper = Arc::clone(self);
        Router::new().fallback(move |request: Request| {
            let router = keeper.with(|now| now.router.clone()).unwrap_or_default();
            async move { router.oneshot(request).await }
        })
    }

    /// What the pages of the moment share.
    pub(crate) fn app(&self) -> Option<Arc<App>> {
        self.with(|now| Arc::clone(&now.app))
    }

    /// Who is met beside an open box, unless that is switched off.
    fn neighbours(&self, work: &Unlocked, link: LinkHandle) -> Option<Neighbours> {
        let after = self.reach.neighbours?;
        let port: Arc<dyn Port> = Arc::new(Beside(Arc::clone(&work.replica)));
        Some(Neighbours::new(self.wallet.clone(), port, link, after))
    }

    /// The boxes nearby that are talked to now; nothing when none are looked for.
    pub(crate) fn met(&self) -> Option<Vec<String>> {
        let met = self.with(|now| now.beside.as_ref().map(|(_, met)| met.clone())).flatten()?;
        let names = met.borrow().values().cloned().collect();
        Some(names)
    }

    /// After how long a relay that is busy is asked again, when the box waits for that.
    pub(crate) fn busy(&self) -> Option<Duration> {
        match self.app()?.link_state()? {
            LinkState::Busy { again } => Some(again),
            _ => None,
        }
    }

    /// The box's certificates.
    pub(crate) fn wallet(&self) -> &Wallet {
        &self.wallet
    }

    /// Addresses of relays.
    pub(crate) fn relays(&self) -> &[String] {
        &self.relays
    }

    /// What kind of link is configured.
    pub(crate) fn reach(&self) -> &Reach {
        &self.reach
    }

    /// The six words that county IT compares.
    pub(crate) fn words(&self) -> &str {
        &self.home.kept.words
    }

    /// The readable replica, while the box is unlocked.
    pub(crate) fn work(&self) -> Option<Arc<Replica>> {
        self.with(|now| now.work.as_ref().map(|w| Arc::clone(&w.replica))).flatten()
    }

    /// The readable replica with its key, while the box is unlocked.
    pub(crate) fn unlocked(&self) -> Option<Unlocked> {
        self.with(|now| now.work.clone()).flatten()
    }

    /// The box at rest.
    pub(crate) fn vault(&self) -> &Vault {
        &self.home.vault
    }

    /// What a locked box takes in by.
    pub(crate) fn inbox_port(&self) -> Arc<dyn Port> {
        self.home.vault.clone()
    }

    /// The vault's own replica.
    pub(crate) fn open(&self) -> &Arc<Replica> {
        self.home.vault.open_replica()
    }

    /// What waits in the inbox: batches and bytes.
    pub(crate) fn inbox(&self) -> (u64, u64) {
        self.home.vault.inbox().unwrap_or_default()
    }

    /// What keeps the machine's secret.
    pub(crate) fn machine(&self) -> &'static str {
        self.home.machine.name()
    }

    /// Days since the county confirmed the box, for status.
    pub(crate) fn standing(&self) -> Option<LeaseStanding> {
        self.home.vault.lease_standing().ok()
    }

    fn watch_revocation(&self, replica: &Arc<Replica>) {
        let (revoked, seen) = (Arc::clone(&self.revoked), Arc::downgrade(replica));
        replica.on_change(Box::new(move || {
            let Some(replica) = seen.upgrade() else { return };
            if replica.county().device_revoked_at(replica.me().device).is_some() {
                revoked.notify_one();
            }
        }));
    }

    fn keep_mirrored(&self, work: &Unlocked) -> JoinHandle<()> {
        self.watch_revocation(&work.replica);
        let news = Arc::new(Notify::new());
        let told = Arc::clone(&news);
        work.replica.on_change(Box::new(move || told.notify_one()));
        let (vault, work) = (Arc::clone(&self.home.vault), work.clone());
        self.runtime.spawn(async move {
            loop {
                news.notified().await;
                tokio::time::sleep(MIRROR_AFTER).await;
                let (vault, work) = (Arc::clone(&vault), work.clone());
                let done = tokio::task::spawn_blocking(move || {
                    vault.mirror(&work.replica)?;
                    vault.refresh_slots(&work.work)
                });
                if let Ok(Err(error)) = done.await {
                    warn!(%error, "the open database is behind");
                }
            }
        })
    }

    /// Opens the box as this person, without a session.
    pub(crate) fn unlock(&self, login: &str, pin: &str) -> Result<(), Failure> {
        let refused = |words: String| Failure::new(Exit::Refused, words);
        let app = self.with(|now| Arc::clone(&now.app));
        let app = app.ok_or_else(|| failed("the box is starting"))?;
        if let Lease::Over(challenge) = self.lease() {
            let words = format!("the lease is over; the number to read to the county: {challenge}");
            return Err(refused(words));
        }
        let person = app.people().into_iter().find(|p| p.login == login);
        let person = person.ok_or_else(|| refused(format!("nobody here has the login {login}")))?;
        let key = pin::sign_in(&app, &person, pin).map_err(|e| refused(e.to_string()))?;
        self.let_in(&person, key.as_ref()).map_err(|e| refused(e.to_string()))?;
        Ok(())
    }

    /// While a person's key is plain: a way back for the day on which its PIN is forgotten. Without
    /// one they work all the same.
    fn prepare_rescue(&self, work: &Replica, person: &Person, key: Option<&SecretKey>) {
        let Some(key) = key else { return };
        if let Err(error) = self.home.vault.prepare_rescue(work, person, key) {
            warn!(%error, "no way back could be made for a forgotten PIN");
        }
    }

    fn lock_now(&self) -> Result<bool, Failure> {
        let _turn = self.take_turn();
        let Some(work) = self.with(|now| now.work.clone()).flatten() else { return Ok(false) };
        self.home.vault.mirror(&work.replica).map_err(failed)?;
        self.replace(self.locked()?);
        info!("the box is locked");
        Ok(true)
    }

    /// Looks after lease, idle time and revocation; ends when the box has destroyed its keys and
    /// the county has heard of it.
    pub(crate) async fn watch(self: Arc<Self>) -> Failure {
        // What is not written yet is lost in a power cut; each writing wears the disk.
        let mut counted = None;
        let mut busy = Instant::now();
        let mut tick = tokio::time::interval(TICK);
        let mut evicted: Option<Instant> = None;
        if self.home.vault.is_revoked() {
            self.revoked.notify_one();
        }
        loop {
            tokio::select! {
                () = self.revoked.notified() => match self.end().await {
                    Ok(failure) | Err(failure) => return failure,
                },
                _ = tick.tick() => {}
            }
            let awake = counted.map_or(Some(Duration::ZERO), |at: Instant| {
                Some(at.elapsed()).filter(|elapsed| *elapsed >= COUNT_EVERY)
            });
            if awake.is_some() {
                counted = Some(Instant::now());
            }
            let keeper = Arc::clone(&self);
            let somebody = tokio::task::spawn_blocking(move || {
                let awake = awake.map(|d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX));
                if let Some(Err(error)) = awake.map(|ms| keeper.home.vault.pass_time(ms)) {
                    warn!(%error, "the lease cannot be counted");
                }
                let now = keeper.open().now_ms();
                if let Err(error) = keeper.open().look_after_room() {
                    warn!(%error, "the disk cannot be looked after");
                }
                if let Some(Err(error)) =
                    keeper.work().map(|work| keeper.home.vault.note_acknowledged(&work))
                {
                    warn!(%error, "it cannot be noted what the county has heard of");
                }
                keeper.with(|at| at.work.is_none() || at.app.sessions.anybody(now))
            });
            let somebody = somebody.await.ok().flatten().unwrap_or(true);
            if somebody {
                busy = Instant::now();
            }
            if evicted.is_none_or(|at| at.elapsed() >= EVICT_EVERY)
                && let Some(work) = self.work()
            {
                evicted = Some(Instant::now());
                let tidied = tokio::task::spawn_blocking(move || {
                    if let Err(error) = work.evict() {
                        warn!(%error, "closed cases cannot leave");
                    }
                    if let Err(error) = work.finish_erasures() {
                        warn!(%error, "what is erased is not yet off the disk");
                    }
                    if let Err(error) = work.compact_when_due() {
                        warn!(%error, "closed cases cannot be packed");
                    }
                    if let Err(error) = work.forget_looks() {
                        warn!(%error, "old looks cannot go");
                    }
                });
                if let Err(error) = tidied.await {
                    warn!(%error, "tidying ended early");
                }
            }
            if let Some(work) = self.work() {
                let done = tokio::task::spawn_blocking(move || work.gather_looks(false));
                if let Ok(Err(error)) = done.await {
                    warn!(%error, "looks cannot be told to the county");
                }
            }
            if let Some(work) = self.work() {
                let done = tokio::task::spawn_blocking(move || work.settle_villages());
                if let Ok(Err(error)) = done.await {
                    warn!(%error, "a village that is served no more cannot leave");
                }
            }
            if let Some(work) = self.work() {
                let open = Arc::clone(self.open());
                let done = tokio::task::spawn_blocking(move || work.scrub_on(&[&*open]));
                if let Ok(Err(error)) = done.await {
                    warn!(%error, "the store cannot be looked through");
                }
            }
            if !somebody && self.lock_after.is_some_and(|after| busy.elapsed() >= after) {
                let keeper = Arc::clone(&self);
                let _ = tokio::task::spawn_blocking(move || keeper.lock_now()).await;
            }
        }
    }

    /// The county revoked this box.
    async fn end(self: &Arc<Self>) -> Result<Failure, Failure> {
        warn!("the county revoked this box; it destroys its keys");
        let keeper = Arc::clone(self);
        let word = tokio::task::spawn_blocking(move || -> Result<_, Failure> {
            let _turn = keeper.take_turn();
            if let Some(work) = keeper.with(|now| now.work.clone()).flatten() {
                keeper.home.vault.mirror(&work.replica).map_err(failed)?;
            }
            keeper.home.vault.destroy().map_err(failed)?;
            // Another conversation, in which it says so.
            keeper.replace(keeper.locked()?);
            Ok(())
        });
        word.await.map_err(failed)??;
        info!("the keys are destroyed; telling the county");
        loop {
            let said = self.with(|now| now.link.is_finished()).unwrap_or(true);
            if said {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let keeper = Arc::clone(self);
        let gone = tokio::task::spawn_blocking(move || {
            keeper.home.vault.forget_everything(&*keeper.home.machine)
        });
        gone.await.map_err(failed)?.map_err(failed)?;
        let words = "the county revoked this box; its keys are destroyed and the county knows it";
        Ok(Failure::new(Exit::Refused, words))
    }
}

fn rescue_fault(error: RescueError) -> RescueFault {
    match error {
        RescueError::None => RescueFault::None,
        RescueError::TooMany => RescueFault::TooMany,
        RescueError::Soon => RescueFault::Soon,
        RescueError::Over => RescueFault::Over,
        RescueError::Wrong => RescueFault::Wrong,
        RescueError::Vault(e) => RescueFault::Ours(e.to_string()),
    }
}

impl Door for Keeper {
    fn replica(&self) -> &Replica {
        self.home.vault.open_replica()
    }

    fn let_in(
        &self,
        person: &Person,
        key: Option<&SecretKey>,
    ) -> Result<Option<Arc<App>>, DoorError> {
        let ours = |e: &dyn std::fmt::Display| DoorError::Ours(e.to_string());
        let _turn = self.take_turn();
        let open = self.with(|now| Some((Arc::clone(&now.app), now.work.clone()?))).flatten();
        if let Some((app, work)) = open {
            self.prepare_rescue(&work.replica, person, key);
            return Ok(Some(app));
        }
        let key = key.ok_or(DoorError::NoSlot)?;
        let vault = &self.home.vault;
        let work = vault.unlock(person, key).map_err(|e| match e {
            UnlockError::NoSlot => DoorError::NoSlot,
            UnlockError::Vault(e) => ours(&e),
        })?;
        self.prepare_rescue(&work.replica, person, Some(key));
        work.replica.set_budget(self.budget);
        let port: Arc<dyn Port> = work.replica.clone();
        let open = self.start(Arc::clone(&work.replica), port, Some(work)).map_err(|e| ours(&e))?;
        let app = Arc::clone(&open.app);
        self.replace(open);
        info!("the box is unlocked");
        Ok(Some(app))
    }

    fn lease(&self) -> Lease {
        match self.home.vault.lease_standing() {
            Ok(LeaseStanding::Warn { days_left, urgent }) => Lease::Ends(days_left, urgent),
            Ok(LeaseStanding::Over) => {
                Lease::Over(self.home.vault.lease_challenge().unwrap_or_default())
            }
            Ok(LeaseStanding::Fine) => Lease::Fine,
            Err(error) => {
                warn!(%error, "the lease cannot be read");
                Lease::Fine
            }
        }
    }

    fn certificate_days(&self) -> Option<i64> {
        Some(self.wallet.days_left())
    }

    fn extend(&self, code: &str) -> bool {
        match self.home.vault.extend_lease(code) {
            Ok(()) => true,
            Err(error) => {
                info!(%error, "the lease was not extended");
                false
            }
        }
    }

    fn rescue_number(&self, person: &Person) -> Result<String, RescueFault> {
        self.home.vault.rescue_number(person).map_err(rescue_fault)
    }

    fn rescue(&self, person: &Person, code: &str) -> Result<SecretKey, RescueFault> {
        self.home.vault.rescue(person, code).map_err(rescue_fault)
    }

    fn pin_given(
        &self,
        person: &Person,
        key: &SecretKey,
        after_code: bool,
    ) -> Result<(), DoorError> {
        let ours = |e: &dyn std::fmt::Display| DoorError::Ours(e.to_string());
        let work = self.work().ok_or_else(|| DoorError::Ours("the box was locked".to_owned()))?;
        let vault = &self.home.vault;
        // On disk in the open database before the way back is burnt: a cut loses neither.
        vault.mirror(&work).map_err(|e| ours(&e))?;
        if after_code {
            vault.rescued(person.id).map_err(|e| ours(&e))?;
            info!(person = %person.id, "a PIN was set anew with a code");
        }
        self.prepare_rescue(&work, person, Some(key));
        Ok(())
    }

    fn lock(&self) -> bool {
        self.lock_now().unwrap_or_else(|error| {
            warn!(%error, "the box cannot be locked");
            false
        })
    }

    fn is_locked(&self) -> bool {
        self.with(|now| now.work.is_none()).unwrap_or(true)
    }
}
