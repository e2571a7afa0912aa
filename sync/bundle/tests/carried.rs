//! Two stores that meet by bundles alone: sticks lost, doubled, cut, swapped, out of order.
#![allow(missing_docs)]

use cunkou_bundle::{
    Carried, ImportError, Imported, Plan, ReadError, Reader, SIZE_MIN, export, gaps, import,
};
use cunkou_engine::{
    Admitted, Hello, Loaded, PROTOCOL, PeerInfo, Port, PortError, Refused, ScopeState,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};

type Bytes = Vec<u8>;

#[derive(Default)]
struct Inner {
    /// Entries of each scope in log order, with whether they came from the other.
    log: BTreeMap<String, Vec<(Bytes, bool)>>,
    cursor: BTreeMap<String, u64>,
    files: BTreeMap<[u8; 32], Bytes>,
    wanted: BTreeSet<[u8; 32]>,
    peer_epoch: [u8; 16],
    writes: u32,
}

struct Toy {
    seed: [u8; 32],
    epoch: [u8; 16],
    inner: Mutex<Inner>,
}

impl Toy {
    fn new(n: u8) -> Self {
        Self { seed: [n; 32], epoch: [n; 16], inner: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("not poisoned")
    }

    fn key(&self) -> [u8; 32] {
        ed25519_dalek::SigningKey::from_bytes(&self.seed).verifying_key().to_bytes()
    }

    fn add(&self, scope: &str, entry: impl Into<Bytes>) {
        self.lock().log.entry(scope.to_owned()).or_default().push((entry.into(), false));
    }

    fn has(&self, scope: &str) -> BTreeSet<Bytes> {
        let inner = self.lock();
        inner.log.get(scope).into_iter().flatten().map(|(entry, _)| entry.clone()).collect()
    }

    fn photo(&self, bytes: Bytes) -> [u8; 32] {
        let id = *blake3::hash(&bytes).as_bytes();
        self.lock().files.insert(id, bytes);
        id
    }
}

fn info() -> PeerInfo {
    let scopes = vec!["place:1".to_owned(), "system".to_owned()];
    PeerInfo { device: [9; 16], name: "the other".to_owned(), scopes, handed_in: Vec::new() }
}

impl Port for Toy {
    fn admit_peer(&self, _: &[u8; 32]) -> Result<PeerInfo, Refused> {
        Ok(info())
    }

    fn hello(&self, peer: &PeerInfo) -> Result<Hello, PortError> {
        let inner = self.lock();
        let scopes = peer.scopes.iter().map(|scope| ScopeState {
            scope: scope.clone(),
            head: inner.log.get(scope).map_or(0, |log| log.len() as u64),
            read: inner.cursor.get(scope).copied().unwrap_or(0),
            epoch: inner.peer_epoch,
            acked: None,
            sum: None,
            whole: None,
        });
        Ok(Hello {
            protocol: PROTOCOL,
            store: self.epoch,
            epoch: self.epoch,
            incarnation: [1; 16],
            software: "1".to_owned(),
            time_ms: 5,
            scopes: scopes.collect(),
            features: None,
        })
    }

    fn greeted(&self, _: &PeerInfo, hello: &Hello) -> Result<(), PortError> {
        let mut inner = self.lock();
        if inner.peer_epoch != hello.epoch {
            inner.cursor.clear();
            inner.peer_epoch = hello.epoch;
        }
        inner.writes += 1;
        Ok(())
    }

    fn load(&self, _: &PeerInfo, scope: &str, after: u64, max: usize) -> Result<Loaded, PortError> {
        let inner = self.lock();
        let log = inner.log.get(scope).cloned().unwrap_or_default();
        let (mut upto, mut bytes, mut entries) = (after, 0, Vec::new());
        for (entry, theirs) in log.iter().skip(after as usize) {
            if !theirs {
                if bytes > 0 && bytes + entry.len() > max {
                    break;
                }
                bytes += entry.len();
                entries.push(entry.clone());
            }
            upto += 1;
        }
        Ok(Loaded { upto, head: log.len() as u64, entries })
    }

    fn store(
        &self,
        _: &PeerInfo,
        scope: &str,
        upto: u64,
        entries: &[Bytes],
    ) -> Result<Admitted, PortError> {
        let mut inner = self.lock();
        inner.writes += 1;
        let log = inner.log.entry(scope.to_owned()).or_default();
        let mut new = 0;
        for entry in entries {
            if !log.iter().any(|(known, _)| known == entry) {
                log.push((entry.clone(), true));
                new += 1;
            }
        }
        inner.cursor.insert(scope.to_owned(), upto);
        Ok(Admitted { new, ..Admitted::default() })
    }

    fn acked(&self, _: &PeerInfo, _: &str, _: u64) -> Result<(), PortError> {
        Ok(())
    }

    fn completed(&self, _: &PeerInfo) -> Result<(), PortError> {
        Ok(())
    }

    fn heads(&self, _: &PeerInfo) -> Result<Vec<(String, u64)>, PortError> {
        Ok(Vec::new())
    }

    fn heard(&self, _: &PeerInfo, _: &[u8]) -> Result<bool, PortError> {
        Ok(false)
    }

    fn wanted(&self, _: &PeerInfo, limit: usize) -> Result<Vec<[u8; 32]>, PortError> {
        Ok(self.lock().wanted.iter().take(limit).copied().collect())
    }

    fn attachment(&self, _: &PeerInfo, id: &[u8; 32]) -> Result<Option<Bytes>, PortError> {
        Ok(self.lock().files.get(id).cloned())
    }

    fn keep_attachment(&self, id: &[u8; 32], bytes: &[u8]) -> Result<(), PortError> {
        self.lock().files.insert(*id, bytes.to_vec());
        Ok(())
    }

    fn on_change(&self, _: Box<dyn Fn() + Send + Sync>) {}
}

struct Stick {
    file: Bytes,
    carried: Vec<Carried>,
    more: bool,
}

fn pack(from: &Toy, to: &Toy, starts: &[(&str, u64)], photos: &[[u8; 32]]) -> Stick {
    let plan = Plan {
        id: [3; 16],
        number: 1,
        part: 1,
        made_ms: 7,
        starts: starts.iter().map(|(scope, at)| ((*scope).to_owned(), *at)).collect(),
        acks: vec![[8; 16]],
        limit: SIZE_MIN,
    };
    let (done, file) = export(
        from,
        (&info(), &to.key()),
        (&plan, &from.seed),
        Vec::new(),
        |_| Ok(photos.to_vec()),
        &|_| {},
    )
    .expect("exported");
    assert!(file.len() as u64 <= plan.limit, "{}", file.len());
    assert!(file.len() as u64 <= done.bytes, "it says no less than it is");
    Stick { file, carried: done.carried, more: done.more }
}

fn bring(to: &Toy, file: &[u8]) -> Result<Imported, ImportError> {
    let mut reader = Reader::begin(&to.seed, file)?;
    import(to, &info(), &mut reader, &|_, _| {})
}

fn filled(n: u8, entries: usize, bytes: usize) -> Toy {
    let toy = Toy::new(n);
    for i in 0..entries {
        let mut entry = vec![n; bytes];
        entry.extend_from_slice(&i.to_be_bytes());
        toy.add("place:1", entry);
    }
    toy.add("system", [n, 200]);
    toy
}

#[test]
fn a_bundle_brings_entries_and_photos_and_twice_changes_nothing() {
    let (a, b) = (filled(1, 20, 100), Toy::new(2));
    let photo = a.photo(vec![7; 700_000]);
    let stick = pack(&a, &b, &[], &[photo]);
    let first = bring(&b, &stick.file).expect("imported");
    assert_eq!((first.new, first.whole, first.more), (21, true, false));
    assert_eq!(first.attachments, [photo]);
    assert_eq!(b.has("place:1"), a.has("place:1"));
    let again = bring(&b, &stick.file).expect("imported");
    assert_eq!((again.new, again.whole), (0, true));
    assert_eq!(b.has("place:1"), a.has("place:1"));
}

#[test]
fn nothing_of_it_can_be_read_on_the_stick() {
    let (a, b) = (Toy::new(1), Toy::new(2));
    a.add("place:1", "a name that nobody may read");
    let stick = pack(&a, &b, &[], &[]);
    let found = |what: &[u8]| stick.file.windows(what.len()).any(|part| part == what);
    assert!(!found(b"nobody may read") && !found(b"place:1") && !found(&a.key()));
}

#[test]
fn a_long_log_goes_over_several_sticks_and_each_needs_the_one_before() {
    let (a, b) = (filled(1, 700, 60_000), Toy::new(2));
    let mut sticks: Vec<Stick> = Vec::new();
    loop {
        let starts: Vec<(String, u64)> = sticks.last().map_or_else(Vec::new, |s| {
            s.carried.iter().map(|c| (c.scope.clone(), c.upto)).collect()
        });
        let starts: Vec<(&str, u64)> = starts.iter().map(|(s, at)| (s.as_str(), *at)).collect();
        sticks.push(pack(&a, &b, &starts, &[]));
        if !sticks.last().is_some_and(|s| s.more) {
            break;
        }
    }
    assert!(sticks.len() > 2, "{}", sticks.len());
    let Err(ImportError::Gap(steps)) = bring(&b, &sticks[1].file) else { panic!("a gap") };
    assert!(steps.iter().any(|s| s.scope == "place:1" && s.here == 0 && s.after > 0), "{steps:?}");
    assert_eq!(b.lock().writes, 0, "nothing was changed");
    for stick in &sticks {
        bring(&b, &stick.file).expect("in order");
    }
    assert_eq!(b.has("place:1"), a.has("place:1"));
    assert_eq!(bring(&b, &sticks[0].file).expect("an old one").new, 0);
}

#[test]
fn a_cut_bundle_keeps_what_came_and_goes_on_when_it_comes_whole() {
    let (a, b) = (filled(1, 100, 10_000), Toy::new(2));
    let stick = pack(&a, &b, &[], &[]);
    let cut = bring(&b, &stick.file[..stick.file.len() * 2 / 3]);
    assert!(matches!(cut, Err(ImportError::Read(ReadError::Cut))), "{cut:?}");
    let kept = b.has("place:1").len();
    assert!(kept > 0 && kept < 100, "{kept}");
    let whole = bring(&b, &stick.file).expect("whole");
    assert!(whole.whole && whole.new as usize == 100 - kept, "{whole:?}");
}

#[test]
fn a_changed_byte_anywhere_is_never_taken_for_whole() {
    let (a, b) = (filled(1, 30, 5_000), Toy::new(2));
    let stick = pack(&a, &b, &[], &[]);
    for at in (0..stick.file.len()).step_by(997).chain(0..120) {
        let mut bad = stick.file.clone();
        bad[at] ^= 0x20;
        let to = Toy::new(2);
        assert!(bring(&to, &bad).is_err(), "byte {at}");
        assert!(to.has("place:1").is_subset(&a.has("place:1")));
    }
}

#[test]
fn it_is_for_its_receiver_alone_and_not_even_they_can_sign_it() {
    let (a, b, c) = (filled(1, 3, 10), Toy::new(2), Toy::new(3));
    let stick = pack(&a, &b, &[], &[]);
    let other = Reader::begin(&c.seed, &stick.file[..]);
    assert!(
        matches!(other, Err(ReadError::ForOther(code)) if code == cunkou_bundle::code_of(&b.key()))
    );
    assert!(matches!(Reader::begin(&c.seed, &b"CSV,1,2"[..]), Err(ReadError::NoBundle)));
    let reader = Reader::begin(&b.seed, &stick.file[..]).expect("opens");
    assert_eq!((*reader.sender(), reader.head().number), (a.key(), 1));
    assert_eq!(reader.head().acks, vec![[8; 16].into()]);
}

#[test]
fn another_epoch_begins_anew_and_says_so_by_its_start() {
    let (a, b) = (filled(1, 5, 10), Toy::new(2));
    bring(&b, &pack(&a, &b, &[], &[]).file).expect("imported");
    let restored = Toy { epoch: [77; 16], ..filled(1, 6, 10) };
    let later = pack(&restored, &b, &[("place:1", 5)], &[]);
    let reader = Reader::begin(&b.seed, &later.file[..]).expect("opens");
    assert_eq!(gaps(&b, &info(), reader.head()).expect("read").len(), 1);
    let whole = pack(&restored, &b, &[], &[]);
    bring(&b, &whole.file).expect("from the beginning");
    assert_eq!(b.has("place:1"), restored.has("place:1"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    /// Sticks in any order, doubled and lost: what is there is always a beginning of the sender's
    /// log, and the last whole series makes it all.
    #[test]
    fn any_order_of_sticks_does_no_harm(order in prop::collection::vec(0usize..4, 0..12)) {
        let (a, b) = (filled(1, 40, 200), Toy::new(2));
        let starts = [0, 10, 20, 30];
        let sticks: Vec<Stick> =
            starts.iter().map(|at| pack(&a, &b, &[("place:1", *at)], &[])).collect();
        for i in order {
            match bring(&b, &sticks[i].file) {
                Ok(done) => prop_assert!(done.whole),
                Err(ImportError::Gap(_)) => prop_assert!(i > 0),
                Err(e) => panic!("{e}"),
            }
        }
        for stick in &sticks {
            bring(&b, &stick.file).expect("follows");
        }
        prop_assert_eq!(b.has("place:1"), a.has("place:1"));
    }
}
