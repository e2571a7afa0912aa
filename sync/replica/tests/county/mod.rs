//! A small county of real replicas, each in a folder of its own, and conversations between them.
#![allow(dead_code)]

#[path = "talk.rs"]
pub(crate) mod talk;

use cunkou_casework::case::{CaseState, Ladder, Standing};
use cunkou_casework::county::{Device, DeviceKind, Person, Place, Post, Role, Statement};
use cunkou_casework::document::{Projection, Section, Write};
use cunkou_casework::entry::{ClockSource, Entry, Header, Kind, LogPosition, Signers};
use cunkou_casework::event::{Event, Filer, Level, Route, Step, encode};
use cunkou_casework::ids::{DeviceId, EntryId, Incarnation, PersonId, PlaceId, Scope, SubjectId};
use cunkou_casework::suite::SecretKey;
use cunkou_engine::{Admitted, PeerInfo, Port};
use cunkou_keys::Key;
use cunkou_replica::{
    ActError, Authority, Disk, Guard, Membership, OpenError, Replica, Who, World,
};
use cunkou_store::Lock;
use cunkou_store::{CaseRow, EntryState};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

pub(crate) const COUNTY: PlaceId = PlaceId(1);
pub(crate) const TOWNSHIP: PlaceId = PlaceId(2);
pub(crate) const YUNLING: PlaceId = PlaceId(11);
pub(crate) const LONGTAN: PlaceId = PlaceId(12);
pub(crate) const DEPARTMENT: &str = "县民政局";

pub(crate) const RELAY: u8 = 1;
pub(crate) const CENTRE: u8 = 2;
pub(crate) const BOX_YUNLING: u8 = 3;
pub(crate) const BOX_LONGTAN: u8 = 4;

pub(crate) const AGENT_YUNLING: u8 = 21;
pub(crate) const AGENT_LONGTAN: u8 = 22;
pub(crate) const CLERK: u8 = 23;
pub(crate) const REVIEWER: u8 = 25;

/// Judge in a real child process: for a test program that can be its own worker.
pub(crate) static CHILDREN: AtomicBool = AtomicBool::new(false);

fn guard() -> Guard {
    let children = CHILDREN.load(Ordering::SeqCst);
    if children { Guard::child() } else { Guard::in_this_process() }
}

/// Time and randomness that are the same in every run.
pub(crate) struct Still {
    seed: u8,
    now_ms: AtomicI64,
    drawn: AtomicU64,
    disk: Mutex<Option<Disk>>,
}

impl World for Still {
    fn disk(&self, _: &std::path::Path) -> Option<Disk> {
        *self.disk.lock().expect("no panic")
    }

    fn now_ms(&self) -> i64 {
        self.now_ms.fetch_add(1, Ordering::SeqCst)
    }

    fn random(&self, out: &mut [u8]) {
        let n = self.drawn.fetch_add(1, Ordering::SeqCst);
        let from = [&[self.seed][..], &n.to_be_bytes()].concat();
        blake3::Hasher::new().update(&from).finalize_xof().fill(out);
    }
}

pub(crate) fn secret(n: u8) -> SecretKey {
    SecretKey::from_seed(&[n; 32])
}

pub(crate) fn authority() -> Authority {
    Authority(secret(99))
}

pub(crate) fn person_id(n: u8) -> PersonId {
    PersonId([n; 16])
}

pub(crate) fn device_id(n: u8) -> DeviceId {
    DeviceId([n; 16])
}

/// The scope of what a box tells the county alone.
pub(crate) fn upward(n: u8) -> String {
    Scope::Upward(device_id(n)).to_string()
}

pub(crate) fn membership(n: u8) -> Membership {
    Membership {
        device: device_id(n),
        key: secret(n),
        county: SubjectId([0xc0; 16]),
        anchor: secret(99).public().into(),
        index_secret: [0x5e; 32],
    }
}

pub(crate) fn device(n: u8, kind: DeviceKind, places: &[PlaceId]) -> Statement {
    Statement::Device(Device {
        id: device_id(n),
        key: secret(n).public(),
        kind,
        name: format!("device {n}"),
        places: places.to_vec(),
        phone: String::new(),
    })
}

pub(crate) fn person(n: u8, role: Role, place: PlaceId) -> Statement {
    let reviewer = role == Role::Reviewer;
    let department = reviewer.then(|| DEPARTMENT.to_owned());
    Statement::Person(Person {
        id: person_id(n),
        login: format!("p{n}"),
        name: format!("person {n}"),
        key: (!reviewer).then(|| secret(n).public()),
        posts: vec![Post { role, place, department }],
        phone: String::new(),
        kin: None,
        keys: None,
    })
}

fn founding() -> Vec<Statement> {
    let place = |id, level, code: &str, name: &str, parent| Place {
        id,
        level,
        code: code.into(),
        name: name.into(),
        name_en: String::new(),
        parent,
    };
    let places = vec![
        place(COUNTY, Level::County, "130999", "清河县", None),
        place(TOWNSHIP, Level::Township, "130999101", "云岭镇", Some(COUNTY)),
        place(YUNLING, Level::Village, "130999101201", "云岭村", Some(TOWNSHIP)),
        place(LONGTAN, Level::Village, "130999101202", "龙潭村", Some(TOWNSHIP)),
    ];
    let numbers =
        |n, blocks: &[u32]| Statement::Numbers { device: device_id(n), blocks: blocks.to_vec() };
    vec![
        Statement::Founded { name: "清河县".into(), authority: secret(99).public() },
        Statement::Places { places },
        device(RELAY, DeviceKind::Relay, &[]),
        device(CENTRE, DeviceKind::Township, &[YUNLING, LONGTAN]),
        device(BOX_YUNLING, DeviceKind::Village, &[YUNLING]),
        device(BOX_LONGTAN, DeviceKind::Village, &[LONGTAN]),
        numbers(CENTRE, &[1]),
        numbers(BOX_YUNLING, &[2, 12]),
        numbers(BOX_LONGTAN, &[3]),
        person(AGENT_YUNLING, Role::Agent, YUNLING),
        person(AGENT_LONGTAN, Role::Agent, LONGTAN),
        person(CLERK, Role::Township, TOWNSHIP),
        person(REVIEWER, Role::Reviewer, COUNTY),
    ]
}

/// A device of the county with its store.
pub(crate) struct Station {
    pub(crate) n: u8,
    pub(crate) folder: TempDir,
    world: Arc<Still>,
    replica: Option<Replica>,
}

impl std::ops::Deref for Station {
    type Target = Replica;
    fn deref(&self) -> &Replica {
        self.replica.as_ref().expect("the station is on")
    }
}

impl Station {
    pub(crate) fn new(n: u8) -> Self {
        let folder = TempDir::new().expect("a folder");
        let now_ms = AtomicI64::new(1_795_000_000_000 + i64::from(n) * 1_000_000);
        let world =
            Arc::new(Still { seed: n, now_ms, drawn: AtomicU64::new(0), disk: Mutex::default() });
        let mut station = Self { n, folder, world, replica: None };
        station.on();
        station
    }

    pub(crate) fn on(&mut self) {
        self.replica = Some(self.try_on().expect("the replica opens"));
    }

    /// A replica on the station's disk, if it opens.
    pub(crate) fn try_on(&self) -> Result<Replica, OpenError> {
        Replica::open(
            self.folder.path(),
            &Lock::Key(Key::of([self.n; 32])),
            membership(self.n),
            self.world.clone(),
            guard(),
        )
    }

    /// Ends the replica. What is not on disk is lost.
    pub(crate) fn off(&mut self) {
        self.replica = None;
    }

    /// So much is free on this station's disk from now on. Bytes.
    pub(crate) fn has_free(&self, free: u64, total: u64, read_only: bool) {
        *self.world.disk.lock().expect("no panic") = Some(Disk { free, total, read_only });
    }

    /// So many days go by on this station's clock.
    pub(crate) fn wait_days(&self, days: i64) {
        self.world.now_ms.fetch_add(days * 24 * 3600 * 1000, Ordering::SeqCst);
    }

    pub(crate) fn restart(&mut self) {
        self.off();
        self.on();
    }

    /// The same station on a copy of its disk, which then has other randomness.
    pub(crate) fn copied(&self) -> Self {
        assert!(self.replica.is_none(), "a disk is copied while it lies still");
        let folder = TempDir::new().expect("a folder");
        copy_folder(self.folder.path(), folder.path());
        let now_ms = AtomicI64::new(self.world.now_ms.load(Ordering::SeqCst));
        let drawn = AtomicU64::new(self.world.drawn.load(Ordering::SeqCst) + 1_000_000);
        let world = Arc::new(Still { seed: self.n, now_ms, drawn, disk: Mutex::default() });
        let mut station = Self { n: self.n, folder, world, replica: None };
        station.on();
        station
    }

    /// How this station knows `other`.
    pub(crate) fn peer(&self, other: &Self) -> PeerInfo {
        self.admit_peer(&secret(other.n).public().0).expect("both are enrolled")
    }

    pub(crate) fn head(&self, scope: &str) -> u64 {
        self.store().read(|view| view.head(scope)).expect("the store works")
    }

    pub(crate) fn row(&self, case: SubjectId) -> Option<CaseRow> {
        self.store().read(|view| view.case_row(&case.0)).expect("the store works")
    }

    pub(crate) fn state_of(&self, entry: EntryId) -> Option<(EntryState, Option<String>)> {
        let row = self.store().read(|view| view.entry(&entry.0)).expect("the store works");
        row.map(|row| (row.state, row.reason))
    }

    pub(crate) fn entry_count(&self) -> u64 {
        self.store().read(|view| view.entry_count()).expect("the store works")
    }

    pub(crate) fn unsent(&self) -> u64 {
        self.status().expect("the store works").unsent.entries
    }

    /// A batch arrives from a peer.
    pub(crate) fn take_in(
        &self,
        from: &PeerInfo,
        scope: &str,
        upto: u64,
        batch: &[Vec<u8>],
    ) -> Admitted {
        let replica: &Replica = self;
        Port::store(replica, from, scope, upto, batch).expect("the store works")
    }

    /// Somebody with a key opens a case of a resident of the village.
    pub(crate) fn open_case(&self, who: u8, place: PlaceId) -> SubjectId {
        let key = secret(who);
        self.act(|desk| -> Result<_, ActError> {
            let who = Who { person: person_id(who), key: Some(&key) };
            desk.open_case(who, |number| opened(number, place))
        })
        .expect("a case is opened")
    }

    pub(crate) fn step(&self, who: u8, case: SubjectId, step: Step) -> Result<EntryId, ActError> {
        let key = secret(who);
        let key = (who != REVIEWER).then_some(&key);
        self.act(|desk| desk.event(case, Who { person: person_id(who), key }, step))
    }

    pub(crate) fn save(&self, who: u8, case: SubjectId, writes: &[Write]) -> bool {
        let key = secret(who);
        self.act(|desk| -> Result<_, ActError> {
            desk.edit(case, Who { person: person_id(who), key: Some(&key) }, writes)
        })
        .expect("saved")
    }
}

pub(crate) fn copy_folder(from: &std::path::Path, to: &std::path::Path) {
    for file in std::fs::read_dir(from).expect("a folder") {
        let file = file.expect("a file");
        let into = to.join(file.file_name());
        if file.path().is_dir() {
            std::fs::create_dir(&into).expect("a folder");
            copy_folder(&file.path(), &into);
        } else {
            std::fs::copy(file.path(), into).expect("copied");
        }
    }
}

pub(crate) fn opened(number: String, place: PlaceId) -> Step {
    Step::Opened {
        number,
        place,
        resident: SubjectId([0x11; 16]),
        item: "senior-allowance".into(),
        catalogue: "2026-11".into(),
        route: Route {
            take: Level::Township,
            accept: Level::County,
            decide: Level::County,
            department: DEPARTMENT.into(),
        },
    }
}

pub(crate) fn submitted() -> Step {
    Step::Submitted { filer: Filer::Applicant, attachments: vec![], deferred: vec![] }
}

pub(crate) fn accepted(term: u32) -> Step {
    Step::Accepted { term, due: "2026-12-20".into(), calendar: "2026".into(), uncertain: false }
}

pub(crate) fn phone(value: &str) -> Vec<Write> {
    vec![Write::set(Section::Form, "phone", value)]
}

/// The relay, the township's box and two village boxes, enrolled.
pub(crate) struct County {
    pub(crate) relay: Station,
    pub(crate) centre: Station,
    pub(crate) yunling: Station,
    pub(crate) longtan: Station,
}

impl County {
    pub(crate) fn founded() -> Self {
        let relay = Station::new(RELAY);
        relay.state(&authority(), founding()).expect("the county is founded");
        let enrolled = |n| {
            let station = Station::new(n);
            enrol(&relay, &station);
            station
        };
        let (centre, yunling) = (enrolled(CENTRE), enrolled(BOX_YUNLING));
        let longtan = enrolled(BOX_LONGTAN);
        Self { relay, centre, yunling, longtan }
    }

    pub(crate) fn boxes(&self) -> [&Station; 3] {
        [&self.centre, &self.yunling, &self.longtan]
    }

    pub(crate) fn all(&self) -> [&Station; 4] {
        [&self.relay, &self.centre, &self.yunling, &self.longtan]
    }

    /// Everybody talks to the relay until nobody has anything new.
    pub(crate) fn settle(&self) {
        for _ in 0..8 {
            let before: Vec<u64> = self.all().iter().map(|s| s.entry_count()).collect();
            for station in self.boxes() {
                Talk::begin(&self.relay, station).finish();
            }
            if before == self.all().map(Station::entry_count) {
                return;
            }
        }
        unreachable!("the county has not come to rest");
    }

    /// The stations that hold a village.
    pub(crate) fn holding(&self, place: PlaceId) -> [&Station; 3] {
        let village = if place == YUNLING { &self.yunling } else { &self.longtan };
        [&self.relay, &self.centre, village]
    }
}

/// A new box gets the county log, as an enrolment brings it.
pub(crate) fn enrol(relay: &Station, station: &Station) {
    let of_relay = PeerInfo {
        device: device_id(RELAY).0,
        name: "relay".into(),
        scopes: vec!["system".into()],
        handed_in: vec![],
    };
    let of_box = relay.peer(station);
    relay.greeted(&of_box, &station.hello(&of_relay).expect("a hello")).expect("greeted");
    station.greeted(&of_relay, &relay.hello(&of_box).expect("a hello")).expect("greeted");
    let log = relay.load(&of_box, "system", 0, usize::MAX).expect("the county log");
    station.take_in(&of_relay, "system", 0, &log.entries);
}

/// A conversation between two stations, one part of a log at a time.
pub(crate) struct Talk<'a> {
    /// Who sends, who receives, as each knows the other.
    ways: [Way<'a>; 2],
}

struct Way<'a> {
    from: &'a Station,
    to: &'a Station,
    to_peer: PeerInfo,
    from_peer: PeerInfo,
}

impl<'a> Talk<'a> {
    pub(crate) fn begin(a: &'a Station, b: &'a Station) -> Self {
        let (peer_b, peer_a) = (a.peer(b), b.peer(a));
        let from_a = a.hello(&peer_b).expect("a hello");
        let from_b = b.hello(&peer_a).expect("a hello");
        a.greeted(&peer_b, &from_b).expect("greeted");
        b.greeted(&peer_a, &from_a).expect("greeted");
        let there = Way { from: a, to: b, to_peer: peer_b.clone(), from_peer: peer_a.clone() };
        let back = Way { from: b, to: a, to_peer: peer_a, from_peer: peer_b };
        Self { ways: [there, back] }
    }

    pub(crate) fn scopes(&self) -> Vec<String> {
        let [there, back] = &self.ways;
        let both = there.to_peer.scopes.iter().filter(|s| back.to_peer.scopes.contains(s));
        both.cloned().collect()
    }

    /// Sends one part in one direction. `cut` ends it: 1 before it is committed, 2 before the
    /// acknowledgement. Returns whether there was anything to send.
    pub(crate) fn part(&self, way: usize, scope: &str, bytes_max: usize, cut: u8) -> bool {
        let Way { from, to, to_peer, from_peer } = &self.ways[way];
        let read = to.store_cursor(from_peer, scope).expect("the receiver has said hello");
        // As a session does: beyond what was acknowledged here, a cursor is not believed.
        let read = read.min(from.acknowledged(to_peer, scope));
        let part = from.load(to_peer, scope, read, bytes_max).expect("loaded");
        if part.upto == read || cut == 1 {
            return part.upto != read;
        }
        to.take_in(from_peer, scope, part.upto, &part.entries);
        if cut != 2 {
            from.acked(to_peer, scope, part.upto).expect("acknowledged");
        }
        true
    }

    /// The same part of the log once more, from any position before the cursor.
    pub(crate) fn again(&self, way: usize, scope: &str, after: u64) -> Admitted {
        let Way { from, to, to_peer, from_peer } = &self.ways[way];
        let read = to.store_cursor(from_peer, scope).expect("a cursor");
        let part = from.load(to_peer, scope, after.min(read), usize::MAX).expect("loaded");
        to.take_in(from_peer, scope, part.upto.max(read), &part.entries)
    }

    /// Everything both ways, acknowledged.
    pub(crate) fn finish(&self) {
        for scope in self.scopes() {
            for way in 0..2 {
                while self.part(way, &scope, 4096, 0) {}
                let Way { from, to, to_peer, from_peer } = &self.ways[way];
                let read = to.store_cursor(from_peer, &scope).expect("a cursor");
                from.acked(to_peer, &scope, read).expect("acknowledged");
            }
        }
        for Way { from, to_peer, .. } in &self.ways {
            from.completed(to_peer).expect("completed");
        }
    }
}

impl Station {
    fn acknowledged(&self, peer: &PeerInfo, scope: &str) -> u64 {
        let acked = self.store().read(|view| -> Result<_, cunkou_store::StoreError> {
            view.peer(&peer.device)?.map_or(Ok(0), |row| view.acked(row.id, scope))
        });
        acked.expect("the store works")
    }

    fn store_cursor(&self, peer: &PeerInfo, scope: &str) -> Option<u64> {
        let read = self.store().read(|view| -> Result<_, cunkou_store::StoreError> {
            match view.peer(&peer.device)? {
                Some(row) => view.cursor(row.id, scope).map(Some),
                None => Ok(None),
            }
        });
        read.expect("the store works")
    }
}

/// What a replica says of a case, all of it that must not differ.
#[derive(Debug, PartialEq)]
pub(crate) struct Said {
    pub(crate) state: CaseState,
    pub(crate) content: Projection,
    pub(crate) current: Projection,
    pub(crate) ladder: Ladder,
    pub(crate) standings: Vec<(EntryId, Standing)>,
    pub(crate) witnessed: Vec<bool>,
    pub(crate) frontier: Vec<EntryId>,
    pub(crate) saves: usize,
    pub(crate) row: CaseRow,
}

pub(crate) fn said(station: &Station, case: SubjectId) -> Option<Said> {
    let file = station.case(case).expect("the store works")?;
    Some(Said {
        standings: file.steps.iter().map(|s| (s.record.id, s.standing)).collect(),
        witnessed: file.steps.iter().map(|s| s.witnessed.is_some()).collect(),
        saves: file.edits.len(),
        state: file.state,
        content: file.content,
        current: file.current,
        ladder: file.ladder,
        frontier: file.frontier,
        row: station.row(case).expect("a case has a row"),
    })
}

/// An entry that never went through a desk. `by` and `keys` are a person and a device: whose name
/// is on it, and whose keys signed it.
pub(crate) fn forge(
    case: SubjectId,
    kind: Kind,
    by: (Option<u8>, u8),
    keys: (Option<u8>, u8),
    salt: u8,
    payload: Vec<u8>,
    log: LogPosition,
) -> Entry {
    let header = Header {
        salt: [salt; 16],
        person: by.0.map(person_id),
        device: device_id(by.1),
        incarnation: Incarnation([salt; 16]),
        seq: 1,
        previous: None,
        log,
        claimed_ms: 1_795_500_000_000,
        clock: ClockSource::Unknown,
    };
    let (person, device) = (keys.0.map(secret), secret(keys.1));
    let signers = Signers { device: &device, person: person.as_ref(), authority: None };
    Entry::sign(case, kind, header, payload, signers).expect("a small entry")
}

pub(crate) fn event(after: &[EntryId], step: Step) -> Vec<u8> {
    encode(&Event { after: after.to_vec(), heads: vec![], digest: None, step })
}
