//! The lane of attachments over real QUIC: cuts, lies, old programs, and entries that come first.

use cunkou_engine::ranges::{GROUP, Outline, Outliner, span};
use cunkou_engine::{
    Admitted, Given, Hello, Kept, Loaded, PROTOCOL, PeerInfo, Port, PortError, Refused, ScopeState,
    features,
};
use cunkou_link::{
    Bounds, Clock, Credentials, DeviceCertificate, Dialer, EnrolRequest, Enroller, Facts,
    LinkError, OfferedEnrolment, Purpose, RelayCredentials, RenewRequest, RootAuthority, Server,
    SignedRenewal, device_spki,
};
use ed25519_dalek::SigningKey;
use std::collections::{BTreeMap, BTreeSet};
use std::net::UdpSocket;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

const NOW: i64 = 1_780_272_000_000;
const SCOPE: &str = "place:1";
/// What may be repeated after a cut. Bytes.
const REPEATED_MAX: usize = 64 * 1024;

fn content(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i % 251) as u8).collect()
}

fn id_of(bytes: &[u8]) -> [u8; 32] {
    *blake3::hash(bytes).as_bytes()
}

fn outlined(bytes: &[u8]) -> Outline {
    let mut outliner = Outliner::default();
    outliner.read(bytes);
    outliner.finish().expect("as long as allowed")
}

type Id = [u8; 32];

#[derive(Default)]
struct Inner {
    attachments: BTreeMap<Id, Vec<u8>>,
    /// What is on its way: it outlives conversations, as a disk does.
    parts: BTreeMap<Id, (Outline, Vec<u8>)>,
    wanted: BTreeSet<Id>,
    entries: Vec<Vec<u8>>,
    received: Vec<Vec<u8>>,
    read: u64,
    acked: u64,
    /// What was asked and kept, in order.
    told: Vec<&'static str>,
    /// Bytes of groups and of whole attachments that were given.
    given: usize,
    /// From so many given bytes on whoever gives waits until the gate is opened.
    gate_at: Option<usize>,
    /// Whoever commits entries waits until the gate is opened.
    gate_commit: bool,
    gate_open: bool,
    /// A byte of this group is given wrong.
    flip: Option<u16>,
    /// Another length is said with groups than with the outline.
    lie: bool,
    waits: Option<Duration>,
    faults: Vec<String>,
}

/// A store in memory whose steps the test sees and holds.
struct Shelf {
    features: Option<u64>,
    inner: Mutex<Inner>,
    gate: Condvar,
    told: Mutex<Vec<Box<dyn Fn() + Send + Sync>>>,
    events: watch::Sender<u64>,
}

impl Shelf {
    fn new(features: Option<u64>) -> Arc<Self> {
        let (inner, gate, told) = Default::default();
        Arc::new(Self { features, inner, gate, told, events: watch::channel(0).0 })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("as the test made it")
    }

    fn tell(&self, what: &'static str) {
        self.inner().told.push(what);
        self.events.send_modify(|n| *n += 1);
        self.gate.notify_all();
    }

    fn news(&self) {
        for notify in self.told.lock().expect("as the test made it").iter() {
            notify();
        }
    }

    fn open_gate(&self) {
        self.inner().gate_open = true;
        self.gate.notify_all();
    }

    fn wait_at_gate(&self, inner: MutexGuard<'_, Inner>) {
        // A test that failed meanwhile does not keep its threads for ever.
        let most = Duration::from_secs(60);
        let opened = self.gate.wait_timeout_while(inner, most, |inner| !inner.gate_open);
        drop(opened.expect("as the test made it"));
    }

    /// Waits until something holds of this store.
    async fn until(&self, holds: impl Fn(&Inner) -> bool) {
        let mut events = self.events.subscribe();
        while !holds(&self.inner()) {
            let event = tokio::time::timeout(Duration::from_secs(60), events.changed()).await;
            event.expect("it does not come about").expect("as the test made it");
        }
    }

    fn give(&self, bytes: usize, what: &'static str) {
        self.tell(what);
        let mut inner = self.inner();
        inner.given += bytes;
        if inner.gate_at.is_some_and(|at| inner.given >= at) {
            inner.gate_at = None;
            inner.told.push("at the gate");
            self.events.send_modify(|n| *n += 1);
            self.wait_at_gate(inner);
        }
    }
}

impl Port for Shelf {
    fn admit_peer(&self, key: &[u8; 32]) -> Result<PeerInfo, Refused> {
        let device = key[..16].try_into().expect("16 bytes");
        Ok(PeerInfo { device, name: "peer".into(), scopes: vec![SCOPE.into()], handed_in: vec![] })
    }
    fn hello(&self, _: &PeerInfo) -> Result<Hello, PortError> {
        let inner = self.inner();
        let state = ScopeState {
            scope: SCOPE.into(),
            head: inner.entries.len() as u64,
            read: inner.read,
            epoch: [1; 16],
            acked: Some(inner.acked),
            sum: None,
            whole: None,
        };
        Ok(Hello {
            protocol: PROTOCOL,
            store: [1; 16],
            epoch: [1; 16],
            incarnation: [1; 16],
            software: String::new(),
            time_ms: 0,
            scopes: vec![state],
            features: self.features,
        })
    }
    fn greeted(&self, _: &PeerInfo, _: &Hello) -> Result<(), PortError> {
        let inner = self.inner();
        if inner.gate_commit {
            // The disk is slow to remember the peer: the lane has begun meanwhile.
            let most = Duration::from_secs(10);
            let begun = |inner: &mut Inner| !inner.told.contains(&"wanted");
            drop(self.gate.wait_timeout_while(inner, most, begun).expect("as the test made it"));
        } else {
            drop(inner);
        }
        self.tell("greeted");
        Ok(())
    }
    fn load(&self, _: &PeerInfo, _: &str, after: u64, _: usize) -> Result<Loaded, PortError> {
        let inner = self.inner();
        let head = inner.entries.len() as u64;
        let entries = inner.entries.iter().skip(after as usize).cloned().collect();
        Ok(Loaded { upto: head, head, entries })
    }
    fn store(
        &self,
        _: &PeerInfo,
        _: &str,
        upto: u64,
        entries: &[Vec<u8>],
    ) -> Result<Admitted, PortError> {
        let inner = self.inner();
        if inner.gate_commit {
            self.wait_at_gate(inner);
        } else {
            drop(inner);
        }
        let mut inner = self.inner();
        inner.received.extend_from_slice(entries);
        inner.read = upto;
        drop(inner);
        self.tell("committed");
        Ok(Admitted::default())
    }
    fn acked(&self, _: &PeerInfo, _: &str, upto: u64) -> Result<(), PortError> {
        self.inner().acked = upto;
        self.tell("acked");
        Ok(())
    }
    fn completed(&self, _: &PeerInfo) -> Result<(), PortError> {
        Ok(())
    }
    fn heard(&self, _: &PeerInfo, _: &[u8]) -> Result<bool, PortError> {
        Ok(false)
    }
    fn heads(&self, _: &PeerInfo) -> Result<Vec<(String, u64)>, PortError> {
        Ok(vec![(SCOPE.into(), self.inner().entries.len() as u64)])
    }
    fn wanted(&self, _: &PeerInfo, limit: usize) -> Result<Vec<Id>, PortError> {
        self.tell("wanted");
        Ok(self.inner().wanted.iter().take(limit).copied().collect())
    }
    fn attachment(&self, _: &PeerInfo, id: &Id) -> Result<Option<Vec<u8>>, PortError> {
        let found = self.inner().attachments.get(id).cloned();
        self.give(found.as_ref().map_or(0, Vec::len), "gave whole");
        Ok(found)
    }
    fn keep_attachment(&self, id: &Id, bytes: &[u8]) -> Result<(), PortError> {
        let mut inner = self.inner();
        inner.wanted.remove(id);
        inner.attachments.insert(*id, bytes.to_vec());
        drop(inner);
        self.tell("kept whole");
        Ok(())
    }
    fn outline(&self, _: &PeerInfo, id: &Id) -> Result<Given<Outline>, PortError> {
        let found = self.inner().attachments.get(id).map(|bytes| outlined(bytes));
        self.give(0, "gave an outline");
        Ok(found.map_or(Given::Lacking, Given::Here))
    }
    fn groups(
        &self,
        _: &PeerInfo,
        id: &Id,
        first: u16,
        count: u8,
    ) -> Result<Given<(u64, Vec<u8>)>, PortError> {
        let inner = self.inner();
        let Some(bytes) = inner.attachments.get(id) else { return Ok(Given::Lacking) };
        let mut length = bytes.len() as u64;
        let (from, all) = span(length, first, count);
        let from = (from as usize).min(bytes.len());
        let mut part = bytes[from..from + all].to_vec();
        let bad = inner.flip.and_then(|group| group.checked_sub(first));
        if let Some(byte) = bad.and_then(|group| part.get_mut(usize::from(group) * GROUP)) {
            *byte ^= 1;
        }
        length += u64::from(inner.lie);
        drop(inner);
        self.give(part.len(), "gave groups");
        Ok(Given::Here((length, part)))
    }
    fn part(&self, id: &Id) -> Result<Option<(Outline, u16)>, PortError> {
        let inner = self.inner();
        Ok(inner.parts.get(id).map(|(of, bytes)| (of.clone(), (bytes.len() / GROUP) as u16)))
    }
    fn drop_part(&self, id: &Id) -> Result<(), PortError> {
        self.inner().parts.remove(id);
        Ok(())
    }
    fn keep_groups(&self, of: &Outline, first: u16, bytes: &[u8]) -> Result<Kept, PortError> {
        let mut inner = self.inner();
        if !inner.wanted.contains(of.id()) {
            inner.parts.remove(of.id());
            return Ok(Kept::Unwanted);
        }
        let (_, part) = inner.parts.entry(*of.id()).or_insert((of.clone(), Vec::new()));
        assert_eq!(part.len(), usize::from(first) * GROUP, "nothing is left out or repeated");
        part.extend_from_slice(bytes);
        let whole = part.len() as u64 == of.length();
        if whole {
            let (_, bytes) = inner.parts.remove(of.id()).expect("it was there");
            assert_eq!(id_of(&bytes), *of.id());
            inner.wanted.remove(of.id());
            inner.attachments.insert(*of.id(), bytes);
        }
        drop(inner);
        self.tell(if whole { "whole" } else { "part" });
        Ok(if whole { Kept::Whole } else { Kept::Part })
    }
    fn lane_waits(&self, _: &Id) -> Result<Option<Duration>, PortError> {
        let waits = self.inner().waits;
        if waits.is_some() {
            self.tell("put off");
        }
        Ok(waits)
    }
    fn lane_fault(&self, _: &PeerInfo, words: &str) -> Result<(), PortError> {
        self.inner().faults.push(words.to_owned());
        self.tell("fault");
        Ok(())
    }
    fn on_change(&self, notify: Box<dyn Fn() + Send + Sync>) {
        self.told.lock().expect("as the test made it").push(notify);
    }
}

/// Certificates of one county, for both ends.
struct County {
    chain: Vec<Vec<u8>>,
    key: [u8; 32],
    roots: Vec<Vec<u8>>,
    relay_name: String,
}

fn county() -> (Arc<County>, Arc<County>) {
    let bounds = Bounds::of("130999");
    let root = RootAuthority::found("云溪县", &bounds, NOW).expect("as the test made it");
    let issuing = root.issuing(NOW).expect("as the test made it");
    let of = |seed: u8, name: String, purpose| {
        let key = [seed; 32];
        let spki = device_spki(&SigningKey::from_bytes(&key).verifying_key().to_bytes());
        let own = issuing.issue(&spki, &[name], &[], purpose, NOW).expect("as the test made it");
        Arc::new(County {
            chain: vec![own, issuing.certificate().to_vec()],
            key,
            roots: vec![root.certificate().to_vec()],
            relay_name: bounds.relay_name(),
        })
    };
    let relay = of(1, bounds.relay_name(), Purpose::Relay);
    (relay, of(2, bounds.box_name("0202020202020202"), Purpose::Box))
}

impl County {
    fn shown(&self) -> DeviceCertificate {
        let (chain, roots) = (self.chain.clone(), self.roots.clone());
        DeviceCertificate::new(chain, &self.key, roots, self.relay_name.clone())
    }
}

fn never() -> Refused {
    Refused { code: cunkou_engine::RefusalCode::Token, words: "no".into() }
}

impl Enroller for County {
    fn enrol(&self, _: &EnrolRequest, _: &str) -> Result<OfferedEnrolment, Refused> {
        Err(never())
    }
}

impl RelayCredentials for County {
    fn certificate(&self) -> Result<DeviceCertificate, LinkError> {
        Ok(self.shown())
    }
    fn now_ms(&self) -> i64 {
        NOW
    }
    fn renew(&self, _: &RenewRequest) -> Result<SignedRenewal, Refused> {
        Err(never())
    }
    fn changes(&self) -> watch::Receiver<u64> {
        watch::channel(0).1
    }
}

impl Credentials for County {
    fn certificate(&self) -> Result<DeviceCertificate, LinkError> {
        assert!(Facts::read(&self.chain[0]).is_ok());
        Ok(self.shown())
    }
    fn clock(&self) -> Clock {
        Clock { now_ms: NOW, floor_ms: NOW }
    }
    fn due(&self) -> bool {
        false
    }
    fn request(&self) -> RenewRequest {
        RenewRequest::new(&self.key, Vec::new(), Vec::new())
    }
    fn renewed(&self, _: &SignedRenewal) -> Result<(), String> {
        Ok(())
    }
}

/// A relay and a box that can be connected and cut.
struct Link {
    address: String,
    me: Arc<County>,
    node: Arc<Shelf>,
    talking: Option<JoinHandle<()>>,
    _stop: tokio::sync::oneshot::Sender<()>,
}

impl Link {
    fn between(relay: &Arc<Shelf>, node: &Arc<Shelf>) -> Self {
        let (of_relay, me) = county();
        let probe = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let address = probe.local_addr().expect("a port");
        drop(probe);
        let server = Server::bind(address, relay.clone(), of_relay).expect("as the test made it");
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        let (node, talking) = (node.clone(), None);
        Self { address: address.to_string(), me, node, talking, _stop: stop }
    }

    fn connect(&mut self) {
        let (node, me) = (self.node.clone(), self.me.clone());
        let dialer = Dialer::new(vec![self.address.clone()], me, node);
        self.talking = Some(tokio::spawn(dialer.run(|| 0)));
    }

    async fn cut(&mut self) {
        if let Some(talking) = self.talking.take() {
            talking.abort();
            let _ = talking.await;
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(talking) = self.talking.take() {
            talking.abort();
        }
    }
}

const NEW: Option<u64> = Some(features::RANGES);

/// A relay and a box, who gives and who wants, and what.
fn pair(
    gives: bool,
    giver: Option<u64>,
    taker: Option<u64>,
    bytes: &[u8],
) -> (Link, [Arc<Shelf>; 2]) {
    let (giver, taker) = (Shelf::new(giver), Shelf::new(taker));
    giver.inner().attachments.insert(id_of(bytes), bytes.to_vec());
    taker.inner().wanted.insert(id_of(bytes));
    let (relay, node) = if gives { (&giver, &taker) } else { (&taker, &giver) };
    (Link::between(relay, node), [giver, taker])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_cut_at_seventy_percent_no_more_than_64_kib_is_sent_twice() {
    let photo = content(2_000_123);
    for relay_gives in [true, false] {
        let (mut link, [giver, taker]) = pair(relay_gives, NEW, NEW, &photo);
        giver.inner().gate_at = Some(photo.len() * 7 / 10);
        link.connect();
        // What has been given at this moment never arrives: the worst moment for a cut.
        giver.until(|inner| inner.told.contains(&"at the gate")).await;
        link.cut().await;
        giver.open_gate();
        let before = taker.inner().parts.get(&id_of(&photo)).map_or(0, |(_, part)| part.len());
        assert!(before > photo.len() / 2, "{before} bytes are on the taker's disk");
        link.connect();
        taker.until(|inner| inner.attachments.contains_key(&id_of(&photo))).await;
        let given = giver.inner().given;
        assert!(given - photo.len() <= REPEATED_MAX, "{} bytes repeated", given - photo.len());
        assert!(given > photo.len(), "the cut cost something, or it was none");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_cuts_still_bring_it_over_and_each_costs_at_most_64_kib() {
    let photo = content(700_000);
    let (mut link, [giver, taker]) = pair(true, NEW, NEW, &photo);
    let cuts = 6;
    for n in 1..=cuts {
        // Each time a tenth of it comes.
        giver.inner().gate_at = Some(photo.len() * n / 10);
        giver.inner().gate_open = false;
        giver.inner().told.clear();
        link.connect();
        giver.until(|inner| inner.told.contains(&"at the gate")).await;
        link.cut().await;
        giver.open_gate();
    }
    link.connect();
    taker.until(|inner| inner.attachments.contains_key(&id_of(&photo))).await;
    assert!(giver.inner().given <= photo.len() + cuts * REPEATED_MAX);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_wrong_byte_costs_one_group_names_the_peer_and_leaves_the_entries_alone() {
    let photo = content(900_000);
    for relay_gives in [true, false] {
        let (mut link, [giver, taker]) = pair(relay_gives, NEW, NEW, &photo);
        giver.inner().flip = Some(9);
        link.connect();
        taker.until(|inner| !inner.faults.is_empty()).await;
        let faults = taker.inner().faults.clone();
        assert_eq!(faults, ["group 9 of an attachment is not what its name says"]);
        let kept = taker.inner().parts.get(&id_of(&photo)).map_or(0, |(_, part)| part.len());
        assert!(kept <= 9 * GROUP && kept + 4 * GROUP > 9 * GROUP, "{kept} bytes kept");
        assert!(!taker.inner().attachments.contains_key(&id_of(&photo)));
        // The conversation goes on: an entry still comes over, on the same connection.
        giver.inner().entries.push(b"an entry".to_vec());
        giver.news();
        taker.until(|inner| inner.received.len() == 1).await;
        let greeted = taker.inner().told.iter().filter(|what| **what == "greeted").count();
        assert_eq!((greeted, taker.inner().faults.len()), (1, 1), "asked no more, not cut off");
        // A peer that is right later, or another, goes on where the lie began.
        giver.inner().flip = None;
        let before = giver.inner().given;
        link.cut().await;
        if !relay_gives {
            // The relay notices by itself that the box is gone.
            giver.inner().told.clear();
        }
        link.connect();
        taker.until(|inner| inner.attachments.contains_key(&id_of(&photo))).await;
        assert_eq!(giver.inner().given - before, photo.len() - kept);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_contradicts_itself_about_the_length_is_named() {
    let photo = content(300_000);
    let (mut link, [giver, taker]) = pair(true, NEW, NEW, &photo);
    giver.inner().lie = true;
    link.connect();
    taker.until(|inner| !inner.faults.is_empty()).await;
    assert_eq!(taker.inner().faults, ["an attachment of 300001 bytes"]);
    assert!(taker.inner().parts.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_here_under_a_false_length_is_dropped_and_nobody_else_is_blamed() {
    let photo = content(4 * GROUP);
    let (mut link, [giver, taker]) = pair(true, NEW, NEW, &photo);
    // A liar gave this earlier: the same names, one byte less. Only the last group could show it.
    let names = outlined(&photo).names();
    let false_one = Outline::check(id_of(&photo), photo.len() as u64 - 1, &names);
    let part = (false_one.expect("the names are right"), photo[..2 * GROUP].to_vec());
    taker.inner().parts.insert(id_of(&photo), part);
    link.connect();
    taker.until(|inner| inner.attachments.contains_key(&id_of(&photo))).await;
    assert!(taker.inner().faults.is_empty() && giver.inner().given >= photo.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_program_of_the_first_version_attachments_go_whole_both_ways() {
    let photo = content(300_000);
    for relay_gives in [true, false] {
        for (giver, taker) in [(None, NEW), (NEW, None), (Some(0), NEW), (NEW, Some(0))] {
            let (mut link, [giver, taker]) = pair(relay_gives, giver, taker, &photo);
            link.connect();
            taker.until(|inner| inner.attachments.contains_key(&id_of(&photo))).await;
            assert!(taker.inner().told.contains(&"kept whole"));
            assert!(!giver.inner().told.contains(&"gave groups"), "nothing new is asked of it");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_entries_are_on_their_way_over_a_slow_link_nothing_is_asked_beside_them() {
    let photo = content(300_000);
    for relay_gives in [true, false] {
        let (mut link, [giver, taker]) = pair(relay_gives, NEW, NEW, &photo);
        giver.inner().entries.push(vec![7; 100_000]);
        taker.inner().gate_commit = true;
        link.connect();
        // The lane knows what it wants, and no link has shown yet that it is quick.
        taker.until(|inner| inner.told.contains(&"wanted")).await;
        let asked = giver.until(|inner| inner.told.iter().any(|what| what.starts_with("gave")));
        let asked = tokio::time::timeout(Duration::from_millis(300), asked).await;
        assert!(asked.is_err(), "something was asked before the entry was committed");
        taker.open_gate();
        taker.until(|inner| inner.attachments.contains_key(&id_of(&photo))).await;
        let told = taker.inner().told.clone();
        let at = |what: &str| told.iter().position(|told| *told == what);
        assert!(at("committed") < at("part"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_erased_on_one_side_while_half_of_it_is_here_ends_quietly() {
    let photo = content(900_000);
    let other = content(5_000);
    // The giver erases it: what came stays until it is asked for in vain; others still come.
    let (mut link, [giver, taker]) = pair(true, NEW, NEW, &photo);
    giver.inner().gate_at = Some(photo.len() / 2);
    link.connect();
    giver.until(|inner| inner.told.contains(&"at the gate")).await;
    giver.inner().attachments.clear();
    giver.inner().attachments.insert(id_of(&other), other.clone());
    taker.inner().wanted.insert(id_of(&other));
    giver.open_gate();
    taker.until(|inner| inner.attachments.contains_key(&id_of(&other))).await;
    assert!(taker.inner().faults.is_empty());
    assert!(taker.inner().parts.contains_key(&id_of(&photo)));
    // The taker erases it: what comes after goes nowhere.
    let (mut link, [giver, taker]) = pair(true, NEW, NEW, &photo);
    giver.inner().attachments.insert(id_of(&other), other.clone());
    giver.inner().gate_at = Some(photo.len() / 2);
    link.connect();
    giver.until(|inner| inner.told.contains(&"at the gate")).await;
    taker.inner().wanted.remove(&id_of(&photo));
    taker.inner().wanted.insert(id_of(&other));
    giver.open_gate();
    taker.until(|inner| inner.attachments.contains_key(&id_of(&other))).await;
    assert!(taker.inner().parts.is_empty() && taker.inner().faults.is_empty());
    let greeted = taker.inner().told.iter().filter(|what| **what == "greeted").count();
    assert_eq!(greeted, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_todays_bytes_are_used_up_it_waits_until_there_is_news() {
    let photo = content(300_000);
    let (mut link, [giver, taker]) = pair(true, NEW, NEW, &photo);
    taker.inner().waits = Some(Duration::from_secs(3600));
    link.connect();
    taker.until(|inner| inner.told.contains(&"put off")).await;
    assert_eq!(giver.inner().given, 0);
    taker.inner().waits = None;
    taker.news();
    taker.until(|inner| inner.attachments.contains_key(&id_of(&photo))).await;
}
