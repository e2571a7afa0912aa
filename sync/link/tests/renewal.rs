//! Certificates over their whole life, with clocks that the test sets: nothing here waits for time.

use cunkou_engine::{
    Admitted, Hello, Loaded, PROTOCOL, PeerInfo, Port, PortError, RefusalCode, Refused, ScopeState,
};
use cunkou_link::{
    Bounds, Clock, Credentials, DeviceCertificate, Dialer, EnrolRequest, Enroller, Facts,
    IssuingAuthority, LinkError, LinkState, OfferedEnrolment, Purpose, RelayCredentials,
    RenewRequest, Renewed, RootAuthority, Server, SignedRenewal, WebKey, device_spki, renew,
};
use ed25519_dalek::SigningKey;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

const DAY: i64 = 24 * 3_600_000;
/// 1 June 2026.
const BEGIN: i64 = 1_780_272_000_000;
const RELAY: [u8; 32] = [1; 32];
const BOX: [u8; 32] = [2; 32];

/// What a clock may show after a power cut.
fn of_2099() -> i64 {
    4_070_908_800_000
}

fn public(seed: &[u8; 32]) -> [u8; 32] {
    SigningKey::from_bytes(seed).verifying_key().to_bytes()
}

/// A store with nothing in it, that knows two devices.
struct Empty {
    revoked: AtomicBool,
    greeted: watch::Sender<u32>,
    told: Mutex<Vec<Box<dyn Fn() + Send + Sync>>>,
}

impl Empty {
    fn new() -> Arc<Self> {
        let (revoked, greeted) = (AtomicBool::new(false), watch::channel(0).0);
        Arc::new(Self { revoked, greeted, told: Mutex::default() })
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
    fn greeted(&self, _: &PeerInfo, _: &Hello) -> Result<(), PortError> {
        self.greeted.send_modify(|n| *n += 1);
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
    fn on_change(&self, notify: Box<dyn Fn() + Send + Sync>) {
        self.told.lock().expect("as the test made it").push(notify);
    }
}

/// A county's certificates and the relay that shows them.
struct Relay {
    bounds: Bounds,
    now: AtomicI64,
    inner: Mutex<(IssuingAuthority, Vec<Vec<u8>>, Vec<u8>)>,
    changes: watch::Sender<u64>,
}

impl Relay {
    fn new() -> (Arc<Self>, RootAuthority) {
        let bounds = Bounds::of("130999");
        let root = RootAuthority::found("云溪县", &bounds, BEGIN).expect("as the test made it");
        let issuing = root.issuing(BEGIN).expect("as the test made it");
        let own = own_of(&issuing, &bounds, BEGIN);
        let inner = Mutex::new((issuing, vec![root.certificate().to_vec()], own));
        let changes = watch::channel(0).0;
        (Arc::new(Self { bounds, now: AtomicI64::new(BEGIN), inner, changes }), root)
    }

    /// The relay's time goes on, and it renews its own certificate as it does every hour.
    fn at(&self, now: i64) {
        self.now.store(now, Ordering::SeqCst);
        let mut inner = self.inner.lock().expect("as the test made it");
        if Facts::read(&inner.2).expect("as the test made it").renew_ms() <= now {
            inner.2 = own_of(&inner.0, &self.bounds, now);
            drop(inner);
            self.changes.send_modify(|n| *n += 1);
        }
    }

    fn issue(&self, now: i64) -> Vec<u8> {
        let names = [self.bounds.box_name("0202020202020202")];
        let key = device_spki(&public(&BOX));
        self.inner
            .lock()
            .expect("as the test made it")
            .0
            .issue(&key, &names, &[], Purpose::Box, now)
            .expect("as the test made it")
    }

    fn issuing(&self) -> Vec<u8> {
        self.inner.lock().expect("as the test made it").0.certificate().to_vec()
    }

    fn roots(&self) -> Vec<Vec<u8>> {
        self.inner.lock().expect("as the test made it").1.clone()
    }
}

fn own_of(issuing: &IssuingAuthority, bounds: &Bounds, now: i64) -> Vec<u8> {
    let key = device_spki(&public(&RELAY));
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
        Ok(DeviceCertificate::new(chain, &RELAY, inner.1.clone(), self.bounds.relay_name()))
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
        Ok(SignedRenewal::new(&renewed, &RELAY))
    }
    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

/// Certificates, DER.
type Ders = Vec<Vec<u8>>;

/// What the box keeps, and its clock.
struct Kept {
    clock: Mutex<Clock>,
    chain: Mutex<(Ders, Ders)>,
    relay_name: String,
}

impl Kept {
    fn new(relay: &Relay) -> Arc<Self> {
        let chain = vec![relay.issue(BEGIN), relay.issuing()];
        Arc::new(Self {
            clock: Mutex::new(Clock { now_ms: BEGIN, floor_ms: BEGIN }),
            chain: Mutex::new((chain, relay.roots())),
            relay_name: relay.bounds.relay_name(),
        })
    }

    fn clock_at(&self, now_ms: i64, floor_ms: i64) {
        *self.clock.lock().expect("as the test made it") = Clock { now_ms, floor_ms };
    }

    fn until(&self) -> i64 {
        Facts::read(&self.chain.lock().expect("as the test made it").0[0])
            .expect("as the test made it")
            .until_ms
    }
}

impl Credentials for Kept {
    fn certificate(&self) -> Result<DeviceCertificate, LinkError> {
        let (chain, roots) = self.chain.lock().expect("as the test made it").clone();
        Ok(DeviceCertificate::new(chain, &BOX, roots, self.relay_name.clone()))
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
            &BOX,
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

struct Running {
    address: String,
    port: Arc<Empty>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
}

fn serve(relay: &Arc<Relay>) -> Running {
    let probe = UdpSocket::bind("127.0.0.1:0").expect("as the test made it");
    let address = probe.local_addr().expect("as the test made it");
    drop(probe);
    let port = Empty::new();
    let server = Server::bind(address, port.clone(), relay.clone()).expect("as the test made it");
    let (stop, stopped) = tokio::sync::oneshot::channel();
    tokio::spawn(server.run(async {
        let _ = stopped.await;
    }));
    Running { address: address.to_string(), port, stop: Some(stop) }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
    }
}

/// What a box that calls comes to: talking, or why not.
async fn call(relay: &Running, me: &Arc<Kept>) -> LinkState {
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

fn talks(state: &LinkState) -> bool {
    !matches!(state, LinkState::Offline { .. })
}

#[tokio::test]
async fn a_box_talks_and_renews_from_two_thirds_of_its_life_on() {
    let (relay, _root) = Relay::new();
    let (running, me) = (serve(&relay), Kept::new(&relay));
    assert!(talks(&call(&running, &me).await));
    let first = me.until();
    assert_eq!((first - BEGIN) / DAY, 90);
    for (day, renewed) in [(59, false), (61, true)] {
        let now = BEGIN + day * DAY;
        relay.at(now);
        me.clock_at(now, now);
        assert!(talks(&call(&running, &me).await), "day {day}");
        assert_eq!(me.until() > first, renewed, "day {day}");
    }
}

#[tokio::test]
async fn a_box_that_was_off_for_a_season_renews_and_talks() {
    let (relay, _root) = Relay::new();
    let (running, me) = (serve(&relay), Kept::new(&relay));
    let now = BEGIN + 200 * DAY;
    relay.at(now);
    me.clock_at(now, BEGIN);
    assert!(talks(&call(&running, &me).await));
    assert!(me.until() > now);
}

#[tokio::test]
async fn a_certificate_that_has_run_out_opens_renewal_and_nothing_else() {
    let (relay, _root) = Relay::new();
    let (running, me) = (serve(&relay), Kept::new(&relay));
    let now = BEGIN + 200 * DAY;
    relay.at(now);
    running.port.revoked.store(true, Ordering::SeqCst);
    me.clock_at(now, BEGIN);
    let refused = renew(&running.address, me.clone()).await;
    assert!(matches!(&refused, Err(LinkError::Refused(words)) if words.contains("revoked")));
    assert!(me.until() < now);
    assert_eq!(*running.port.greeted.borrow(), 0);
}

#[tokio::test]
async fn a_certificate_made_while_the_relays_clock_was_ahead_is_renewed() {
    let (relay, _root) = Relay::new();
    let (running, me) = (serve(&relay), Kept::new(&relay));
    me.chain.lock().expect("as the test made it").0[0] = relay.issue(BEGIN + 300 * DAY);
    let ahead = me.until();
    assert!(talks(&call(&running, &me).await));
    assert!(me.until() < ahead, "a certificate that holds now instead");
}

#[tokio::test]
async fn a_box_whose_clock_is_behind_is_told_and_renews() {
    let (relay, _root) = Relay::new();
    let (running, me) = (serve(&relay), Kept::new(&relay));
    let now = BEGIN + 200 * DAY;
    relay.at(now);
    // It believes that nothing is due.
    me.clock_at(BEGIN + DAY, BEGIN);
    assert!(!me.due());
    assert!(talks(&call(&running, &me).await));
    assert!(me.until() > now);
}

#[tokio::test]
async fn no_clock_keeps_a_box_from_its_relay() {
    let (relay, _root) = Relay::new();
    let (running, me) = (serve(&relay), Kept::new(&relay));
    let now = BEGIN + 70 * DAY;
    relay.at(now);
    for clock in [0, of_2099(), now] {
        me.clock_at(clock, BEGIN);
        let state = call(&running, &me).await;
        assert!(talks(&state), "with its clock at {clock}: {state:?}");
    }
}

#[tokio::test]
async fn a_relay_whose_certificate_was_over_at_the_last_known_time_is_refused() {
    let (relay, _root) = Relay::new();
    let (running, me) = (serve(&relay), Kept::new(&relay));
    let later = BEGIN + 100 * DAY;
    // Somebody shows the relay's certificate of the first day.
    for (now, floor) in [(0, later), (later, later), (of_2099(), later)] {
        me.clock_at(now, floor);
        let state = call(&running, &me).await;
        assert!(
            matches!(&state, LinkState::Offline { refused: true, .. }),
            "at {now}, certainly after {floor}: {state:?}"
        );
    }
}

#[tokio::test]
async fn a_new_root_is_learnt_at_a_renewal_and_then_used() {
    let (relay, _old) = Relay::new();
    let (running, me) = (serve(&relay), Kept::new(&relay));
    let root = RootAuthority::found("云溪县", &relay.bounds, BEGIN).expect("as the test made it");
    relay.inner.lock().expect("as the test made it").1.push(root.certificate().to_vec());
    relay.changes.send_modify(|n| *n += 1);
    renew(&running.address, me.clone()).await.expect("as the test made it");
    assert_eq!(me.chain.lock().expect("as the test made it").1.len(), 2);
    let issuing = root.issuing(BEGIN).expect("as the test made it");
    let own = own_of(&issuing, &relay.bounds, BEGIN);
    {
        let mut inner = relay.inner.lock().expect("as the test made it");
        inner.0 = issuing;
        inner.2 = own;
    }
    // Another process of the relay, so that the new certificate is certainly shown.
    let again = serve(&relay);
    assert!(talks(&call(&again, &me).await));
    let stranger = Kept::new(&relay);
    stranger.chain.lock().expect("as the test made it").1.truncate(1);
    assert!(!talks(&call(&again, &stranger).await), "only the old root is trusted");
}

#[test]
fn an_answer_counts_only_with_the_relays_signature() {
    let renewed = Renewed {
        certificate: vec![1].into(),
        issuing: vec![2].into(),
        roots: vec![],
        web_certificate: vec![3].into(),
    };
    let answer = SignedRenewal::new(&renewed, &RELAY);
    assert_eq!(answer.open(&public(&RELAY)), Some(renewed));
    assert_eq!(answer.open(&public(&BOX)), None);
    let mut other = answer;
    let mut body = other.body.to_vec();
    body[3] ^= 1;
    other.body = body.into();
    assert_eq!(other.open(&public(&RELAY)), None);
}

#[test]
fn a_request_counts_only_as_it_was_signed() {
    let request = RenewRequest::new(&BOX, vec![1, 2, 3], vec![vec![10, 0, 0, 1].into()]);
    assert!(request.holds());
    let tampered = [
        RenewRequest { key: public(&RELAY), ..request.clone() },
        RenewRequest { web_key: vec![1, 2, 4].into(), ..request.clone() },
        RenewRequest { addresses: vec![], ..request },
    ];
    for other in tampered {
        assert!(!other.holds());
    }
}
