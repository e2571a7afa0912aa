//! The box's certificates: for the relay, for browsers, and which roots it trusts. They are no
//! secrets, but for the key of the pages, which must be there before anybody has signed in.

use crate::home::failed;
use cunkou_casework::county::DeviceKind;
use cunkou_casework::hex;
use cunkou_edge::cli::Failure;
use cunkou_edge::hosts::{self, Hosts};
use cunkou_keys::{keep_sealed, read_sealed};
use cunkou_link::{
    BACKDATED_MS, Clock, Credentials, DEVICE_DAYS, DeviceCertificate, Facts, LinkError,
    OfferedEnrolment, RenewRequest, SignedRenewal, WebKey, WebSettings, address_bytes,
};
use cunkou_replica::Replica;
use minicbor::bytes::ByteVec;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

pub(crate) const FILE: &str = "certificates.sealed";
const DAY_MS: i64 = 24 * 3_600_000;

/// What the file keeps, under the machine's secret. DER in hexadecimal digits.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Kept {
    schema: u32,
    relay_name: String,
    certificate: String,
    issuing: String,
    roots: Vec<String>,
    web_key: String,
    web_certificate: String,
    addresses: Vec<IpAddr>,
}

fn bytes(digits: &str) -> Result<Vec<u8>, Failure> {
    hex::decode(digits).ok_or_else(|| failed(format!("{FILE} is damaged; enrol the box again")))
}

impl Kept {
    fn facts(&self) -> Result<Facts, Failure> {
        Facts::read(&bytes(&self.certificate)?).map_err(failed)
    }

    fn web(&self) -> Result<WebSettings, Failure> {
        let chain = vec![bytes(&self.web_certificate)?, bytes(&self.issuing)?];
        WebSettings::new(chain, bytes(&self.web_key)?).map_err(failed)
    }

    fn hosts(&self) -> Result<Vec<String>, Failure> {
        Ok(hosts::of(&Facts::read(&bytes(&self.web_certificate)?).map_err(failed)?))
    }

    fn write(&self, data: &Path) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(self).map_err(failed)?;
        keep_sealed(data, FILE, text.as_bytes()).map_err(failed)
    }
}

/// A new key for the pages.
pub(crate) fn web_key() -> Result<WebKey, Failure> {
    WebKey::generate().map_err(failed)
}

/// Addresses as a request carries them.
pub(crate) fn wire(addresses: &[IpAddr]) -> Vec<ByteVec> {
    addresses.iter().map(|a| address_bytes(*a).into()).collect()
}

/// Keeps what enrolment gave.
pub(crate) fn keep(
    data: &Path,
    relay_name: &str,
    roots: &[Vec<u8>],
    web_key: &WebKey,
    addresses: &[IpAddr],
    offer: &OfferedEnrolment,
) -> Result<(), Failure> {
    let old = || failed("the relay is of an older version; update it first");
    let roots: Vec<Vec<u8>> = match &offer.roots {
        Some(roots) => roots.iter().map(|root| root.to_vec()).collect(),
        None => roots.to_vec(),
    };
    let kept = Kept {
        schema: 1,
        relay_name: relay_name.to_owned(),
        certificate: hex::encode(&offer.certificate),
        issuing: hex::encode(offer.issuing.as_ref().ok_or_else(old)?),
        roots: roots.iter().map(|root| hex::encode(root)).collect(),
        web_key: hex::encode(&web_key.pkcs8()),
        web_certificate: hex::encode(offer.web_certificate.as_ref().ok_or_else(old)?),
        addresses: addresses.to_vec(),
    };
    kept.web()?;
    kept.write(data)
}

/// The certificates of a box that is open.
pub(crate) struct Wallet {
    data: PathBuf,
    replica: Arc<Replica>,
    kept: Mutex<Kept>,
    /// What the newest relay had told of its clock when this process began.
    before: Option<(i64, i64)>,
    web: watch::Sender<WebSettings>,
    hosts: Arc<Hosts>,
}

impl std::fmt::Debug for Wallet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wallet")
    }
}

fn told(replica: &Replica) -> Option<(i64, i64)> {
    let peers = replica.store().read(|view| view.peers()).ok()?;
    peers.first().map(|peer| (peer.seen_ms, peer.clock_error_ms))
}

impl Wallet {
    /// Reads them.
    pub(crate) fn open(data: &Path, replica: Arc<Replica>) -> Result<Self, Failure> {
        let path = data.join(FILE);
        let damaged =
            || failed(format!("{} is missing or damaged; enrol the box again", path.display()));
        let text = read_sealed(data, FILE).ok().flatten().ok_or_else(damaged)?;
        let kept: Kept = serde_json::from_slice(&text).map_err(|_| damaged())?;
        let web = watch::channel(kept.web()?).0;
        let hosts = Arc::new(Hosts::new(kept.hosts()?));
        let before = told(&replica);
        Ok(Self { data: data.to_owned(), replica, kept: Mutex::new(kept), before, web, hosts })
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What browsers are shown, now and later.
    pub(crate) fn web(&self) -> watch::Receiver<WebSettings> {
        self.web.subscribe()
    }

    /// The names of this box.
    pub(crate) fn hosts(&self) -> Arc<Hosts> {
        Arc::clone(&self.hosts)
    }

    /// The roots that this box and its tablets trust: those that the county log names; before it
    /// has come, those of the enrolment.
    pub(crate) fn trusted_roots(&self) -> Vec<Vec<u8>> {
        let county = self.replica.county();
        if !county.roots().is_empty() {
            return county.roots().to_vec();
        }
        self.lock().roots.iter().filter_map(|root| hex::decode(root)).collect()
    }

    /// From now on the pages are reached under these addresses: certificates that carry them are
    /// asked for at the next chance.
    pub(crate) fn reached_at(&self, addresses: Vec<IpAddr>) -> Result<(), Failure> {
        let mut kept = self.lock();
        if kept.addresses != addresses {
            let next = Kept { addresses, ..kept.clone() };
            next.write(&self.data)?;
            *kept = next;
        }
        Ok(())
    }

    /// How long the certificate holds, by the best guess of the time. Days, negative when it is
    /// over.
    pub(crate) fn days_left(&self) -> i64 {
        let until = self.lock().facts().map_or(0, |facts| facts.until_ms);
        (until - self.clock().best_ms()).div_euclid(DAY_MS)
    }

    /// Takes an answer that was carried here: who carries may carry an old one.
    pub(crate) fn take_file(&self, answer: &SignedRenewal) -> Result<(), Failure> {
        self.take(answer, true)
    }

    fn take(&self, answer: &SignedRenewal, only_newer: bool) -> Result<(), Failure> {
        let county = self.replica.county();
        let renewed = county
            .devices()
            .filter(|d| d.kind == DeviceKind::Relay && county.device_counts(d.id))
            .find_map(|relay| answer.open(&relay.key.0))
            .ok_or_else(|| {
                failed("the answer does not carry the signature of this county's relay")
            })?;
        let mut kept = self.lock();
        let next = Kept {
            certificate: hex::encode(&renewed.certificate),
            issuing: hex::encode(&renewed.issuing),
            roots: renewed.roots.iter().map(|root| hex::encode(root)).collect(),
            web_certificate: hex::encode(&renewed.web_certificate),
            ..kept.clone()
        };
        let facts = next.facts()?;
        if facts.key != cunkou_link::device_spki(&self.replica.me().key.public().0) {
            return Err(failed("the answer is for another box"));
        }
        if only_newer && facts.until_ms < kept.facts()?.until_ms {
            return Err(failed("the answer is older than what this box has"));
        }
        if next.roots.is_empty() {
            return Err(failed("the answer names no root"));
        }
        let web = next.web()?;
        next.write(&self.data)?;
        self.hosts.set(next.hosts()?);
        *kept = next;
        drop(kept);
        self.web.send_replace(web);
        tracing::info!("the certificates were renewed");
        Ok(())
    }
}

impl Credentials for Wallet {
    fn certificate(&self) -> Result<DeviceCertificate, LinkError> {
        let setup = |e: Failure| LinkError::Setup(e.words);
        let kept = self.lock();
        let chain =
            vec![bytes(&kept.certificate).map_err(setup)?, bytes(&kept.issuing).map_err(setup)?];
        let relay_name = kept.relay_name.clone();
        drop(kept);
        let seed = self.replica.me().key.seed();
        Ok(DeviceCertificate::new(chain, &seed, self.trusted_roots(), relay_name))
    }

    fn clock(&self) -> Clock {
        let now_ms = self.replica.now_ms();
        // The relay made our certificate: that is a time it told us, too.
        let issued = self.lock().facts().map_or(0, |facts| facts.from_ms + BACKDATED_MS);
        let told = told(&self.replica);
        let confirmed = told.map_or(0, |(seen, error)| seen.saturating_add(error));
        // A relay renews its own certificate when a third of the life is left. So if what it told
        // counts no further than a third of a life after it made ours, no moment in which its clock
        // was wrong can shut us out for good.
        let believed = confirmed.min(issued + DEVICE_DAYS * DAY_MS / 3);
        // Only since this process began: what was right before a power cut may be wrong after it.
        let error = told.filter(|_| told != self.before).map_or(0, |(_, error)| error);
        Clock { now_ms: now_ms.saturating_add(error), floor_ms: issued.max(believed) }
    }

    fn due(&self) -> bool {
        let kept = self.lock();
        let Ok(facts) = kept.facts() else { return true };
        let carried = bytes(&kept.web_certificate).ok().and_then(|web| Facts::read(&web).ok());
        let moved = carried.is_some_and(|web| web.addresses != kept.addresses);
        drop(kept);
        moved || facts.renew_ms() <= self.clock().best_ms()
    }

    fn request(&self) -> RenewRequest {
        let kept = self.lock();
        let web = bytes(&kept.web_key).ok().and_then(|key| WebKey::read(&key).ok());
        let web = web.map(|key| key.public()).unwrap_or_default();
        RenewRequest::new(&self.replica.me().key.seed(), web, wire(&kept.addresses))
    }

    fn renewed(&self, answer: &SignedRenewal) -> Result<(), String> {
        // The relay itself has just said so: also if it corrects a time that was wrong.
        self.take(answer, false).map_err(|e| e.words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cunkou_casework::county::{Device, Statement};
    use cunkou_casework::ids::{DeviceId, SubjectId};
    use cunkou_casework::suite::SecretKey;
    use cunkou_engine::{Hello, PROTOCOL, PeerInfo, Port};
    use cunkou_keys::Key;
    use cunkou_link::{Bounds, Purpose, Renewed, RootAuthority, device_spki};
    use cunkou_replica::{Authority, Guard, Membership, World};
    use cunkou_store::Lock;
    use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};

    /// 1 June 2026.
    const BEGIN: i64 = 1_780_272_000_000;
    const BOX: [u8; 32] = [2; 32];
    const RELAY: [u8; 32] = [3; 32];

    /// A clock that the test sets.
    #[derive(Debug)]
    struct Hands(Arc<AtomicI64>, AtomicU8);

    impl World for Hands {
        fn now_ms(&self) -> i64 {
            self.0.load(Ordering::SeqCst)
        }
        fn random(&self, out: &mut [u8]) {
            out.fill(self.1.fetch_add(1, Ordering::SeqCst));
        }
    }

    fn device(id: u8, seed: &[u8; 32], kind: DeviceKind) -> Statement {
        Statement::Device(Device {
            id: DeviceId([id; 16]),
            key: SecretKey::from_seed(seed).public(),
            kind,
            name: format!("设备{id}"),
            places: Vec::new(),
            phone: String::new(),
        })
    }

    struct Scene {
        folder: tempfile::TempDir,
        clock: Arc<AtomicI64>,
        replica: Arc<Replica>,
        root: RootAuthority,
    }

    fn answer(
        scene_root: &RootAuthority,
        web_key: &[u8],
        now_ms: i64,
        seed: &[u8; 32],
    ) -> SignedRenewal {
        let bounds = Bounds::of("130999");
        let issuing = scene_root.issuing(BEGIN).expect("as the test made it");
        let names = [bounds.box_name("0202020202020202")];
        let key = device_spki(&SecretKey::from_seed(&BOX).public().0);
        let own =
            issuing.issue(&key, &names, &[], Purpose::Box, now_ms).expect("as the test made it");
        let web =
            issuing.issue(web_key, &names, &[], Purpose::Web, now_ms).expect("as the test made it");
        let renewed = Renewed {
            certificate: own.into(),
            issuing: issuing.certificate().to_vec().into(),
            roots: vec![scene_root.certificate().to_vec().into()],
            web_certificate: web.into(),
        };
        SignedRenewal::new(&renewed, seed)
    }

    /// A box that was enrolled on the first day.
    fn scene() -> Scene {
        let folder = tempfile::tempdir().expect("as the test made it");
        let clock = Arc::new(AtomicI64::new(BEGIN));
        let authority = Authority(SecretKey::from_seed(&[9; 32]));
        let me = Membership {
            device: DeviceId([2; 16]),
            key: SecretKey::from_seed(&BOX),
            county: SubjectId([1; 16]),
            anchor: authority.0.public().into(),
            index_secret: [0; 32],
        };
        let world = Arc::new(Hands(clock.clone(), AtomicU8::new(1)));
        let replica = Arc::new(
            Replica::open(
                folder.path(),
                &Lock::Key(Key::of([7; 32])),
                me,
                world,
                Guard::in_this_process(),
            )
            .expect("as the test made it"),
        );
        let founded = Statement::Founded { name: "甲县".into(), authority: authority.0.public() };
        let devices = [device(3, &RELAY, DeviceKind::Relay), device(2, &BOX, DeviceKind::Village)];
        replica
            .state(&authority, [vec![founded], devices.to_vec()].concat())
            .expect("as the test made it");
        let root = RootAuthority::found("甲县", &Bounds::of("130999"), BEGIN)
            .expect("as the test made it");
        let web_key = web_key().expect("as the test made it");
        let first = answer(&root, &web_key.public(), BEGIN, &RELAY);
        let first =
            first.open(&SecretKey::from_seed(&RELAY).public().0).expect("as the test made it");
        let offer = OfferedEnrolment {
            device: [2; 16],
            certificate: first.certificate,
            county: [1; 16],
            founding: [0; 32],
            recovery: None,
            lease: None,
            index_secret: [0; 32],
            county_log: Vec::new(),
            issuing: Some(first.issuing),
            roots: Some(first.roots),
            web_certificate: Some(first.web_certificate),
        };
        keep(folder.path(), "relay.c130999.home.arpa", &[], &web_key, &[], &offer)
            .expect("as the test made it");
        Scene { folder, clock, replica, root }
    }

    impl Scene {
        fn wallet(&self) -> Wallet {
            Wallet::open(self.folder.path(), self.replica.clone()).expect("as the test made it")
        }

        /// The relay says hello and with it what time it is.
        fn hello(&self, time_ms: i64) {
            let peer = PeerInfo {
                device: [3; 16],
                name: "平台".into(),
                scopes: Vec::new(),
                handed_in: Vec::new(),
            };
            let (store, epoch, incarnation) = ([4; 16], [5; 16], [6; 16]);
            let software = String::new();
            let scopes = Vec::new();
            let protocol = PROTOCOL;
            let features = None;
            let hello =
                Hello { protocol, store, epoch, incarnation, software, time_ms, scopes, features };
            self.replica.greeted(&peer, &hello).expect("as the test made it");
        }
    }

    #[test]
    fn what_the_relay_told_is_the_time_in_this_process_and_a_floor_in_the_next() {
        let scene = scene();
        let wallet = scene.wallet();
        // A power cut has set the clock back to 1970.
        scene.clock.store(1000, Ordering::SeqCst);
        let lost = wallet.clock();
        assert_eq!((lost.floor_ms, lost.best_ms()), (BEGIN, BEGIN));
        let truth = BEGIN + 20 * DAY_MS;
        scene.hello(truth);
        let told = wallet.clock();
        assert_eq!((told.floor_ms, told.now_ms), (truth, truth));
        // Another power cut: what the relay said is a floor, and no more than that.
        scene.clock.store(5000, Ordering::SeqCst);
        let again = scene.wallet().clock();
        assert_eq!((again.floor_ms, again.now_ms, again.best_ms()), (truth, 5000, truth));
    }

    #[test]
    fn a_relay_whose_clock_was_wrong_for_a_moment_shuts_no_box_out() {
        let scene = scene();
        scene.hello(BEGIN + 70 * 365 * DAY_MS);
        // The relay never shows a certificate that ends before this.
        assert!(scene.wallet().clock().floor_ms <= BEGIN + DEVICE_DAYS * DAY_MS / 3);
    }

    #[test]
    fn certificates_are_due_from_two_thirds_of_their_life_or_when_the_box_moves() {
        let scene = scene();
        let wallet = scene.wallet();
        for (day, due) in [(0, false), (59, false), (61, true), (200, true)] {
            scene.clock.store(BEGIN + day * DAY_MS, Ordering::SeqCst);
            assert_eq!(wallet.due(), due, "day {day}");
        }
        scene.clock.store(BEGIN, Ordering::SeqCst);
        assert_eq!(wallet.days_left(), 90);
        wallet.reached_at(vec![IpAddr::from([192, 168, 1, 9])]).expect("as the test made it");
        assert!(wallet.due());
    }

    #[test]
    fn only_a_newer_answer_of_this_countys_relay_for_this_box_is_taken() {
        let scene = scene();
        let wallet = scene.wallet();
        let key = wallet.request().web_key;
        let later = BEGIN + 61 * DAY_MS;
        let words = |answer| wallet.take_file(&answer).unwrap_err().words;
        assert!(words(answer(&scene.root, &key, later, &BOX)).contains("signature"));
        assert!(words(answer(&scene.root, &key, BEGIN - DAY_MS, &RELAY)).contains("older"));
        let foreign = WebKey::generate().expect("as the test made it").public();
        assert!(wallet.renewed(&answer(&scene.root, &foreign, later, &RELAY)).is_err());
        let mut shown = wallet.web();
        wallet.renewed(&answer(&scene.root, &key, later, &RELAY)).expect("as the test made it");
        assert!(shown.has_changed().expect("as the test made it"), "browsers see it at once");
        scene.clock.store(later, Ordering::SeqCst);
        shown.mark_unchanged();
        assert_eq!((wallet.days_left(), scene.wallet().days_left()), (90, 90));
    }
}
