//! A county in memory: its certificates, relays that serve, and a box's papers.
#![allow(
    dead_code,
    clippy::missing_panics_doc,
    unreachable_pub,
    missing_docs,
    reason = "each test uses a part of it"
)]

use cunkou_engine::{
    Admitted, Hello, Limits, Loaded, PROTOCOL, PeerInfo, Port, PortError, RefusalCode, Refused,
    ScopeState,
};
use cunkou_link::{
    Bounds, Clock, Credentials, DeviceCertificate, Dialer, EnrolRequest, Enroller, Facts,
    IssuingAuthority, LinkError, LinkState, OfferedEnrolment, Purpose, RelayCredentials,
    RenewRequest, Renewed, RootAuthority, Server, SignedRenewal, WebDoor, WebKey, device_spki,
};
use ed25519_dalek::SigningKey;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

pub const DAY: i64 = 24 * 3_600_000;
/// 1 June 2026.
pub const BEGIN: i64 = 1_780_272_000_000;
pub const RELAY: [u8; 32] = [1; 32];
pub const BOX: [u8; 32] = [2; 32];

/// What a clock may show after a power cut.
pub fn of_2099() -> i64 {
    4_070_908_800_000
}

pub fn public(seed: &[u8; 32]) -> [u8; 32] {
    SigningKey::from_bytes(seed).verifying_key().to_bytes()
}

/// A store with nothing in it, that knows two devices.
pub struct Empty {
    pub revoked: AtomicBool,
    pub greeted: watch::Sender<u32>,
    /// Bytes sent and received, and to whom.
    pub carried: Mutex<Vec<([u8; 16], u64, u64)>>,
    /// How often what a peer understands was forgotten.
    pub forgot: watch::Sender<u32>,
    /// The devices that said hello.
    pub met: Mutex<Vec<[u8; 16]>>,
    /// How often two machines of one device were alive.
    pub doubles: watch::Sender<u32>,
    pub told: Mutex<Vec<Box<dyn Fn() + Send + Sync>>>,
}

impl Empty {
    pub fn new() -> Arc<Self> {
        let (revoked, greeted) = (AtomicBool::new(false), watch::channel(0).0);
        Arc::new(Self {
            revoked,
            greeted,
            carried: Mutex::default(),
            forgot: watch::channel(0).0,
            met: Mutex::default(),
            doubles: watch::channel(0).0,
            told: Mutex::default(),
        })
    }
}

impl Port for Empty {
    fn admit_peer(&self, key: &[u8; 32]) -> Result<PeerInfo, Refused> {
        if self.revoked.load(Ordering::SeqCst) {
            let words = "this box was revoked by the county".into();
            return Err(Refused { code: RefusalCode::Revoked, words });
        }
        Ok(PeerInfo {
            device: key[..16].try_into().expect("as the test made it"),
            name: "peer".into(),
            scopes: vec![],
            handed_in: vec![],
        })
    }
    fn hello(&self, _: &PeerInfo) -> Result<Hello, PortError> {
        let scopes: Vec<ScopeState> = Vec::new();
        let software = String::new();
        let (store, epoch, incarnation) = ([0; 16], [0; 16], [0; 16]);
        let features = None;
        Ok(Hello {
            protocol: PROTOCOL,
            store,
            epoch,
            incarnation,
            software,
            time_ms: 0,
            scopes,
            features,
        })
    }
    fn greeted(&self, peer: &PeerInfo, _: &Hello) -> Result<(), PortError> {
        self.met.lock().expect("as the test made it").push(peer.device);
        self.greeted.send_modify(|n| *n += 1);
        Ok(())
    }
    fn forget(&self, _: &PeerInfo) -> Result<(), PortError> {
        self.forgot.send_modify(|n| *n += 1);
        Ok(())
    }
    fn load(&self, _: &PeerInfo, _: &str, _: u64, _: usize) -> Result<Loaded, PortError> {
        Ok(Loaded { upto: 0, head: 0, entries: Vec::new() })
    }
    fn store(&self, _: &PeerInfo, _: &str, _: u64, _: &[Vec<u8>]) -> Result<Admitted, PortError> {
        Ok(Admitted::default())
    }
    fn acked(&self, _: &PeerInfo, _: &str, _: u64) -> Result<(), PortError> {
        Ok(())
    }
    fn completed(&self, _: &PeerInfo) -> Result<(), PortError> {
        Ok(())
    }
    fn heard(&self, _: &PeerInfo, _: &[u8]) -> Result<bool, PortError> {
        Ok(false)
    }
    fn heads(&self, _: &PeerInfo) -> Result<Vec<(String, u64)>, PortError> {
        Ok(Vec::new())
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
    fn double(&self, _: &PeerInfo, _: std::net::IpAddr) -> Result<(), PortError> {
        self.doubles.send_modify(|n| *n += 1);
        Ok(())
    }
    fn carried(&self, peer: &PeerInfo, sent: u64, received: u64) -> Result<(), PortError> {
        let row = (peer.device, sent, received);
        self.carried.lock().expect("as the test made it").push(row);
        Ok(())
    }
    fn on_change(&self, notify: Box<dyn Fn() + Send + Sync>) {
        self.told.lock().expect("as the test made it").push(notify);
    }
}

/// A county's certificates and the relay that shows them.
pub struct Relay {
    pub seed: [u8; 32],
    pub bounds: Bounds,
    pub now: AtomicI64,
    pub inner: Mutex<(IssuingAuthority, Vec<Vec<u8>>, Vec<u8>)>,
    pub changes: watch::Sender<u64>,
}

impl Relay {
    pub fn new() -> (Arc<Self>, RootAuthority) {
        let bounds = Bounds::of("130999");
        let root = RootAuthority::found("云溪县", &bounds, BEGIN).expect("as the test made it");
        (Self::of(&root, RELAY), root)
    }

    /// One more relay of the same county, with a key of its own.
    pub fn of(root: &RootAuthority, seed: [u8; 32]) -> Arc<Self> {
        let bounds = Bounds::of("130999");
        let issuing = root.issuing(BEGIN).expect("as the test made it");
        let own = own_of(&issuing, &bounds, &seed, BEGIN);
        let inner = Mutex::new((issuing, vec![root.certificate().to_vec()], own));
        let changes = watch::channel(0).0;
        Arc::new(Self { seed, bounds, now: AtomicI64::new(BEGIN), inner, changes })
    }

    /// The relay's time goes on, and it renews its own certificate as it does every hour.
    pub fn at(&self, now: i64) {
        self.now.store(now, Ordering::SeqCst);
        let mut inner = self.inner.lock().expect("as the test made it");
        if Facts::read(&inner.2).expect("as the test made it").renew_ms() <= now {
            inner.2 = own_of(&inner.0, &self.bounds, &self.seed, now);
            drop(inner);
            self.changes.send_modify(|n| *n += 1);
        }
    }

    pub fn issue(&self, now: i64) -> Vec<u8> {
        self.issue_for(&BOX, now)
    }

    pub fn issue_for(&self, seed: &[u8; 32], now: i64) -> Vec<u8> {
        let names = [self.bounds.box_name(&format!("{:02x}", seed[0]).repeat(8))];
        let key = device_spki(&public(seed));
        self.inner
            .lock()
            .expect("as the test made it")
            .0
            .issue(&key, &names, &[], Purpose::Box, now)
            .expect("as the test made it")
    }

    pub fn issuing(&self) -> Vec<u8> {
        self.inner.lock().expect("as the test made it").0.certificate().to_vec()
    }

    pub fn roots(&self) -> Vec<Vec<u8>> {
        self.inner.lock().expect("as the test made it").1.clone()
    }
}

pub fn own_of(issuing: &IssuingAuthority, bounds: &Bounds, seed: &[u8; 32], now: i64) -> Vec<u8> {
    let key = device_spki(&public(seed));
    issuing
        .issue(&key, &[bounds.relay_name()], &[], Purpose::Relay, now)
        .expect("as the test made it")
}

impl Enroller for Relay {
    fn enrol(&self, _: &EnrolRequest, _: &str) -> Result<OfferedEnrolment, Refused> {
        Err(Refused { code: RefusalCode::Token, words: "no".into() })
    }
}

impl RelayCredentials for Relay {
    fn certificate(&self) -> Result<DeviceCertificate, LinkError> {
        let inner = self.inner.lock().expect("as the test made it");
        let chain = vec![inner.2.clone(), inner.0.certificate().to_vec()];
        Ok(DeviceCertificate::new(chain, &self.seed, inner.1.clone(), self.bounds.relay_name()))
    }
    fn now_ms(&self) -> i64 {
        self.now.load(Ordering::SeqCst)
    }
    fn renew(&self, request: &RenewRequest) -> Result<SignedRenewal, Refused> {
        assert!(request.holds());
        let renewed = Renewed {
            certificate: self.issue(self.now_ms()).into(),
            issuing: self.issuing().into(),
            roots: self.roots().into_iter().map(Into::into).collect(),
            web_certificate: Vec::new().into(),
        };
        Ok(SignedRenewal::new(&renewed, &self.seed))
    }
    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

/// Certificates, DER.
pub type Ders = Vec<Vec<u8>>;

/// What the box keeps, and its clock.
pub struct Kept {
    pub seed: [u8; 32],
    pub clock: Mutex<Clock>,
    pub chain: Mutex<(Ders, Ders)>,
    pub relay_name: String,
}

impl Kept {
    pub fn new(relay: &Relay) -> Arc<Self> {
        Self::of(relay, BOX)
    }

    /// Of a box with this key.
    pub fn of(relay: &Relay, seed: [u8; 32]) -> Arc<Self> {
        let chain = vec![relay.issue_for(&seed, BEGIN), relay.issuing()];
        Arc::new(Self {
            seed,
            clock: Mutex::new(Clock { now_ms: BEGIN, floor_ms: BEGIN }),
            chain: Mutex::new((chain, relay.roots())),
            relay_name: relay.bounds.relay_name(),
        })
    }

    pub fn clock_at(&self, now_ms: i64, floor_ms: i64) {
        *self.clock.lock().expect("as the test made it") = Clock { now_ms, floor_ms };
    }

    pub fn until(&self) -> i64 {
        Facts::read(&self.chain.lock().expect("as the test made it").0[0])
            .expect("as the test made it")
            .until_ms
    }
}

impl Credentials for Kept {
    fn certificate(&self) -> Result<DeviceCertificate, LinkError> {
        let (chain, roots) = self.chain.lock().expect("as the test made it").clone();
        Ok(DeviceCertificate::new(chain, &self.seed, roots, self.relay_name.clone()))
    }
    fn clock(&self) -> Clock {
        *self.clock.lock().expect("as the test made it")
    }
    fn due(&self) -> bool {
        let facts = Facts::read(&self.chain.lock().expect("as the test made it").0[0])
            .expect("as the test made it");
        facts.renew_ms() <= self.clock().best_ms()
    }
    fn request(&self) -> RenewRequest {
        RenewRequest::new(
            &self.seed,
            WebKey::generate().expect("as the test made it").public(),
            Vec::new(),
        )
    }
    fn renewed(&self, answer: &SignedRenewal) -> Result<(), String> {
        let renewed = answer.open(&public(&RELAY)).ok_or("not the relay's")?;
        let chain = vec![renewed.certificate.to_vec(), renewed.issuing.to_vec()];
        let roots = renewed.roots.iter().map(|r| r.to_vec()).collect();
        *self.chain.lock().expect("as the test made it") = (chain, roots);
        Ok(())
    }
}

pub struct Running {
    pub address: String,
    pub port: Arc<Empty>,
    pub web: WebDoor,
    pub stop: Option<tokio::sync::oneshot::Sender<()>>,
}

pub fn serve(relay: &Arc<Relay>) -> Running {
    serve_with(relay, Limits::START)
}

pub fn serve_at(address: std::net::SocketAddr, relay: &Arc<Relay>) -> Running {
    serve_limited(address, relay, Limits::START)
}

pub fn serve_with(relay: &Arc<Relay>, limits: Limits) -> Running {
    let probe = UdpSocket::bind("127.0.0.1:0").expect("as the test made it");
    let address = probe.local_addr().expect("as the test made it");
    drop(probe);
    serve_limited(address, relay, limits)
}

fn serve_limited(address: std::net::SocketAddr, relay: &Arc<Relay>, limits: Limits) -> Running {
    let port = Empty::new();
    let server = Server::bind(address, port.clone(), relay.clone()).expect("as the test made it");
    let server = server.with_limits(limits);
    let web = server.web_door();
    let (stop, stopped) = tokio::sync::oneshot::channel();
    tokio::spawn(server.run(async {
        let _ = stopped.await;
    }));
    Running { address: address.to_string(), port, web, stop: Some(stop) }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
    }
}

/// What a box that calls comes to: talking, or why not.
pub async fn call(relay: &Running, me: &Arc<Kept>) -> LinkState {
    let port = Empty::new();
    let mut greeted = port.greeted.subscribe();
    let dialer = Dialer::new(vec![relay.address.clone()], me.clone(), port);
    let handle = dialer.handle();
    let talking = tokio::spawn(dialer.run(|| 0));
    let state = tokio::select! {
        _ = greeted.changed() => LinkState::Connecting,
        state = async {
            loop {
                // A connection that stands may still be sent away before the relay's hello.
                match handle.state() {
                    offline @ LinkState::Offline { .. } => break offline,
                    _ => tokio::task::yield_now().await,
                }
            }
        } => state,
    };
    talking.abort();
    state
}

pub fn talks(state: &LinkState) -> bool {
    !matches!(state, LinkState::Offline { .. })
}
