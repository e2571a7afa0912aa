//! A box that is enrolled and says what it likes: to flood a relay, and to time what an honest
//! box notices of it. It speaks the real protocol over the real link; its store is made up.

use crate::enrolled::Enrolled;
use anyhow::{Context, Result};
use cunkou_casework::county::CountyLog;
use cunkou_casework::document::{Document, Schema, Section, Write, actor};
use cunkou_casework::entry::{ClockSource, Entry, Header, Kind, Signers};
use cunkou_casework::ids::{DeviceId, Incarnation, SubjectId};
use cunkou_casework::suite::SecretKey;
use cunkou_engine::{
    Admitted, Hello, Loaded, PROTOCOL, PeerInfo, Port, PortError, Refused, ScopeState,
};
use cunkou_link::{
    Clock, Credentials, DeviceCertificate, Dialer, LinkError, LinkHandle, RenewRequest,
    SignedRenewal,
};
use cunkou_replica::{SystemWorld, World};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A flood never ends.
const ENDLESS: u64 = 1 << 40;

/// What a wild box has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// One honest save after another, each when it is told to.
    OneByOne,
    /// Honest saves of cases that nobody knows, without end.
    Flood,
    /// Saves by somebody else, without end: each is set aside.
    Rubbish,
}

struct Inner {
    says: Says,
    scope: String,
    device: DeviceId,
    key: SecretKey,
    run: [u8; 16],
    county: Mutex<CountyLog>,
    head: AtomicU64,
    acked: Mutex<u64>,
    news: Condvar,
    listeners: Mutex<Vec<Box<dyn Fn() + Send + Sync>>>,
}

/// An enrolled box without a program.
pub struct WildBox {
    inner: Arc<Inner>,
    links: Vec<LinkHandle>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl std::fmt::Debug for WildBox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WildBox({:?})", self.inner.says)
    }
}

/// The certificates of a wild box; it never renews them.
struct Papers(Enrolled);

impl Credentials for Papers {
    fn certificate(&self) -> Result<DeviceCertificate, LinkError> {
        self.0.certificate().map_err(|e| LinkError::Setup(e.to_string()))
    }
    fn clock(&self) -> Clock {
        Clock { now_ms: SystemWorld.now_ms(), floor_ms: 0 }
    }
    fn due(&self) -> bool {
        false
    }
    fn request(&self) -> RenewRequest {
        RenewRequest::new(&self.0.seed, Vec::new(), Vec::new())
    }
    fn renewed(&self, _: &SignedRenewal) -> Result<(), String> {
        Ok(())
    }
}

impl WildBox {
    /// Redeems an enrolment file of its own and talks over so many connections at once.
    ///
    /// # Errors
    /// When the relay does not enrol it.
    pub fn start(
        file: &Path,
        place: u32,
        relay: &str,
        says: Says,
        connections: usize,
    ) -> Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let enrolled = runtime.block_on(Enrolled::redeem(file, relay))?;
        let log = enrolled.county()?;
        let (device, seed) = (enrolled.device(), enrolled.seed);
        let papers = Arc::new(Papers(enrolled));
        let mut run = [0; 16];
        run[..4].copy_from_slice(&std::process::id().to_be_bytes());
        run[4] = says as u8;
        let inner = Arc::new(Inner {
            says,
            scope: format!("place:{place}"),
            device,
            key: SecretKey::from_seed(&seed),
            run,
            county: Mutex::new(log),
            head: AtomicU64::new(if says == Says::OneByOne { 0 } else { ENDLESS }),
            acked: Mutex::new(0),
            news: Condvar::new(),
            listeners: Mutex::default(),
        });
        let mut links = Vec::new();
        for _ in 0..connections {
            let port: Arc<dyn Port> = Arc::new(Wild(Arc::clone(&inner)));
            let dialer = Dialer::new(vec![relay.to_owned()], papers.clone(), port);
            links.push(dialer.handle());
            runtime.spawn(dialer.run(|| 0));
        }
        Ok(Self { inner, links, runtime: Some(runtime) })
    }

    /// How many of its links talk now.
    #[must_use]
    pub fn online(&self) -> usize {
        let talks = |link: &&LinkHandle| matches!(link.state(), cunkou_link::LinkState::Online(_));
        self.links.iter().filter(talks).count()
    }

    /// Where its first link stands.
    ///
    /// # Panics
    /// Never: there is always a first.
    #[must_use]
    pub fn link(&self) -> cunkou_link::LinkState {
        self.links[0].state()
    }

    /// How many of its entries the relay has committed.
    #[must_use]
    pub fn acked(&self) -> u64 {
        *self.inner.acked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says one thing and waits until the relay has committed it: a round trip.
    ///
    /// # Errors
    /// After a minute.
    pub fn round_trip(&self) -> Result<Duration> {
        let begun = Instant::now();
        let head = self.inner.head.fetch_add(1, Ordering::SeqCst) + 1;
        for notify in self.inner.listeners.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            notify();
        }
        let mut acked = self.inner.acked.lock().unwrap_or_else(PoisonError::into_inner);
        while *acked < head {
            let left = Duration::from_secs(60).checked_sub(begun.elapsed());
            let left = left.context("no acknowledgement within a minute")?;
            let waited = self.inner.news.wait_timeout(acked, left);
            acked = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(begun.elapsed())
    }
}

impl Drop for WildBox {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(2));
        }
    }
}

struct Wild(Arc<Inner>);

impl Inner {
    fn entry(&self, n: u64) -> Result<Vec<u8>> {
        let mut subject = self.run;
        subject[8..].copy_from_slice(&n.to_be_bytes());
        let by = if self.says == Says::Rubbish { DeviceId([0; 16]) } else { self.device };
        let mut document = Document::new(Schema::Case1)?;
        let writes = [Write::set(Section::Notes, "n", "v")];
        let change = document.write(actor(by, Incarnation(self.run)), 0, &writes)?;
        let log = self.county.lock().unwrap_or_else(PoisonError::into_inner).head();
        let mut salt = [0; 16];
        salt[..8].copy_from_slice(&n.to_be_bytes());
        let header = Header {
            salt,
            person: None,
            device: by,
            incarnation: Incarnation(self.run),
            seq: n,
            previous: None,
            log,
            claimed_ms: 0,
            clock: ClockSource::Unknown,
        };
        let signers = Signers { device: &self.key, person: None, authority: None };
        // What somebody else signed stands in the place of what this device may not say.
        let (kind, payload) = match self.says {
            Says::Rubbish => (Kind::County, b"rubbish".to_vec()),
            Says::Flood | Says::OneByOne => (Kind::Edit, change.unwrap_or_default()),
        };
        Ok(Entry::sign(SubjectId(subject), kind, header, payload, signers)?.encode())
    }
}

impl Port for Wild {
    fn admit_peer(&self, _: &[u8; 32]) -> Result<PeerInfo, Refused> {
        let scopes = vec!["system".to_owned(), self.0.scope.clone()];
        Ok(PeerInfo { device: [0; 16], name: "relay".into(), scopes, handed_in: Vec::new() })
    }

    fn hello(&self, _: &PeerInfo) -> Result<Hello, PortError> {
        let acked = *self.0.acked.lock().unwrap_or_else(PoisonError::into_inner);
        let state = |scope: &str, head| ScopeState {
            scope: scope.to_owned(),
            head,
            read: 0,
            epoch: [0; 16],
            acked: Some(acked.min(head)),
            sum: None,
            whole: None,
        };
        let head = self.0.head.load(Ordering::SeqCst);
        Ok(Hello {
            protocol: PROTOCOL,
            store: self.0.run,
            epoch: self.0.run,
            incarnation: self.0.run,
            software: "wild".into(),
            time_ms: 0,
            scopes: vec![state("system", 0), state(&self.0.scope, head)],
            features: None,
        })
    }

    fn greeted(&self, _: &PeerInfo, _: &Hello) -> Result<(), PortError> {
        Ok(())
    }

    fn load(
        &self,
        _: &PeerInfo,
        scope: &str,
        after: u64,
        bytes_max: usize,
    ) -> Result<Loaded, PortError> {
        let head = self.0.head.load(Ordering::SeqCst);
        let (mut upto, mut bytes, mut entries) = (after, 0, Vec::new());
        while scope == self.0.scope && upto < head && bytes < bytes_max {
            let entry = self.0.entry(upto + 1).map_err(|e| PortError(e.to_string()))?;
            bytes += entry.len();
            entries.push(entry);
            upto += 1;
        }
        Ok(Loaded { upto, head: if scope == self.0.scope { head } else { 0 }, entries })
    }

    fn store(
        &self,
        _: &PeerInfo,
        scope: &str,
        _: u64,
        entries: &[Vec<u8>],
    ) -> Result<Admitted, PortError> {
        if scope == "system" {
            let mut county = self.0.county.lock().unwrap_or_else(PoisonError::into_inner);
            for entry in entries.iter().filter_map(|bytes| Entry::decode(bytes).ok()) {
                let _ = county.take(&entry);
            }
        }
        Ok(Admitted::default())
    }

    fn acked(&self, _: &PeerInfo, scope: &str, upto: u64) -> Result<(), PortError> {
        if scope == self.0.scope {
            let mut acked = self.0.acked.lock().unwrap_or_else(PoisonError::into_inner);
            *acked = (*acked).max(upto);
            self.0.news.notify_all();
        }
        Ok(())
    }

    fn completed(&self, _: &PeerInfo) -> Result<(), PortError> {
        Ok(())
    }

    fn heard(&self, _: &PeerInfo, _: &[u8]) -> Result<bool, PortError> {
        Ok(false)
    }

    fn heads(&self, peer: &PeerInfo) -> Result<Vec<(String, u64)>, PortError> {
        let head = self.0.head.load(Ordering::SeqCst);
        let of = |scope: &String| if *scope == self.0.scope { head } else { 0 };
        Ok(peer.scopes.iter().map(|scope| (scope.clone(), of(scope))).collect())
    }

    fn wanted(&self, _: &PeerInfo, _: usize) -> Result<Vec<[u8; 32]>, PortError> {
        Ok(Vec::new())
    }

    fn attachment(&self, _: &PeerInfo, _: &[u8; 32]) -> Result<Option<Vec<u8>>, PortError> {
        Ok(None)
    }

    fn keep_attachment(&self, _: &[u8; 32], _: &[u8]) -> Result<(), PortError> {
        Ok(())
    }

    fn on_change(&self, notify: Box<dyn Fn() + Send + Sync>) {
        self.0.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(notify);
    }
}
