//! A relay, a box at rest, and another box of the same village that files.
#![allow(dead_code)]

use cunkou_casework::county::{Device, DeviceKind, Person, Place, Post, Role, Statement};
use cunkou_casework::document::{Section, Write};
use cunkou_casework::erasure::Basis;
use cunkou_casework::event::{Filer, Level, Route, Step};
use cunkou_casework::ids::{DeviceId, PersonId, PlaceId, Scope, SubjectId};
use cunkou_casework::suite::{SecretKey, attachment_id};
use cunkou_engine::{Call, Input, Output, PeerInfo, Port, PortError, Session, perform};
use cunkou_keys::{BoxSecret, FileSecret, HardwareSecret, Key, RescueFor, behind};
use cunkou_replica::{ActError, Authority, Guard, LastWord, Membership, Replica, SystemWorld, Who};
use cunkou_store::{Lock, StoreError};
use cunkou_vault::{BackupError, Destroyed, Enrolled, MakeGuard, Vault, restore};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

pub(crate) const AGENT: u8 = 21;
pub(crate) const LATER: u8 = 22;
pub(crate) const VILLAGE: PlaceId = PlaceId(11);
const RELAY: u8 = 1;
const BOX: u8 = 2;
const OTHER: u8 = 3;

fn secret(n: u8) -> SecretKey {
    SecretKey::from_seed(&[n; 32])
}

/// The key that the person's PIN opens.
pub(crate) fn pin_key(n: u8) -> SecretKey {
    secret(n)
}

pub(crate) fn agent(n: u8) -> Person {
    Person {
        id: PersonId([n; 16]),
        login: format!("p{n}"),
        name: format!("person {n}"),
        key: Some(secret(n).public()),
        posts: vec![Post { role: Role::Agent, place: VILLAGE, department: None }],
        phone: String::new(),
        keys: None,
        kin: None,
    }
}

const GUARD: MakeGuard = Guard::in_this_process;

fn membership(n: u8) -> Membership {
    Membership {
        device: DeviceId([n; 16]),
        key: secret(n),
        county: SubjectId([0xc0; 16]),
        anchor: secret(99).public().into(),
        index_secret: [0x5e; 32],
    }
}

fn device(n: u8, kind: DeviceKind, places: &[PlaceId]) -> Statement {
    Statement::Device(Device {
        id: DeviceId([n; 16]),
        key: secret(n).public(),
        kind,
        name: format!("device {n}"),
        places: places.to_vec(),
        phone: String::new(),
    })
}

pub(crate) struct Relay {
    replica: Replica,
    other: Replica,
    pub(crate) recovery: BoxSecret,
    _folders: [TempDir; 2],
}

fn opened(folder: &TempDir, n: u8) -> Replica {
    let lock = Lock::Key(Key::of([n; 32]));
    Replica::open(folder.path(), &lock, membership(n), Arc::new(SystemWorld), GUARD())
        .expect("opens")
}

impl Relay {
    pub(crate) fn founded() -> Self {
        let folders = [(); 2].map(|()| TempDir::new().expect("a folder"));
        let (replica, other) = (opened(&folders[0], RELAY), opened(&folders[1], OTHER));
        let place = |id, level, name: &str, parent| Place {
            id,
            level,
            code: String::new(),
            name: name.into(),
            name_en: String::new(),
            parent,
        };
        let numbers =
            |n, block| Statement::Numbers { device: DeviceId([n; 16]), blocks: vec![block] };
        let statements = vec![
            Statement::Founded { name: "清河县".into(), authority: secret(99).public() },
            Statement::Places {
                places: vec![
                    place(PlaceId(1), Level::County, "清河县", None),
                    place(PlaceId(2), Level::Township, "云岭镇", Some(PlaceId(1))),
                    place(VILLAGE, Level::Village, "云岭村", Some(PlaceId(2))),
                ],
            },
            device(RELAY, DeviceKind::Relay, &[]),
            device(BOX, DeviceKind::Village, &[VILLAGE]),
            device(OTHER, DeviceKind::Village, &[VILLAGE]),
            numbers(BOX, 1),
            numbers(OTHER, 2),
            Statement::Person(agent(AGENT)),
        ];
        replica.state(&Authority(secret(99)), statements).expect("founded");
        let relay = Self {
            replica,
            other,
            recovery: BoxSecret::random().expect("random"),
            _folders: folders,
        };
        relay.other.bootstrap(&relay.county_log()).expect("enrolled");
        relay
    }

    fn county_log(&self) -> Vec<Vec<u8>> {
        let system = Scope::System.to_string();
        let rows = self.replica.store().read(|view| view.entries_in(&system, 4));
        rows.expect("the log").into_iter().map(|row| row.bytes).collect()
    }

    pub(crate) fn state(&self, statements: Vec<Statement>) {
        self.replica.state(&Authority(secret(99)), statements).expect("stated");
    }

    pub(crate) fn revoke(&self) {
        let device = DeviceId([BOX; 16]);
        self.state(vec![Statement::DeviceRevoked { device, reason: "stolen".into() }]);
    }

    /// The other box files a case of this item; the relay has it when this returns.
    pub(crate) fn open_case(&self, item: &str) -> SubjectId {
        let key = secret(AGENT);
        let who = Who { person: PersonId([AGENT; 16]), key: Some(&key) };
        let case = self.other.act(|desk| -> Result<_, ActError> {
            desk.open_case(who, |number| opening(number, item))
        });
        talk(&self.replica, OTHER, &self.other);
        case.expect("a case is opened")
    }

    /// The agent opens a case of this item at the box.
    pub(crate) fn file_at_box(&self, work: &Replica, item: &str) -> SubjectId {
        let (key, who) = (secret(AGENT), PersonId([AGENT; 16]));
        let who = Who { person: who, key: Some(&key) };
        work.act(|desk| -> Result<_, ActError> {
            let case = desk.open_case(who, |number| opening(number, item))?;
            desk.edit(case, who, &[Write::set(Section::Particulars, "name", "金丝雀甲")])?;
            Ok(case)
        })
        .expect("a case is opened")
    }

    /// The agent photographs something for a case and submits it.
    pub(crate) fn photo_at_box(&self, work: &Replica, case: SubjectId, bytes: &[u8]) -> [u8; 32] {
        let (id, key) = (attachment_id(bytes), secret(AGENT));
        let who = Who { person: PersonId([AGENT; 16]), key: Some(&key) };
        work.store().write_attachment(&id.0, bytes).expect("written");
        let filer = Filer::Applicant;
        work.act(|desk| -> Result<_, ActError> {
            let step = Step::Submitted { filer, attachments: vec![id], deferred: vec![] };
            desk.event(case, who, step)
        })
        .expect("submitted");
        work.store().write(|tx| tx.attachment_here(&id.0, bytes.len() as u64)).expect("written");
        id.0
    }

    /// Two data officers destroy a case.
    pub(crate) fn erase(&self, case: SubjectId) {
        let officer = |n| Person {
            key: None,
            posts: vec![Post { role: Role::DataOfficer, place: PlaceId(1), department: None }],
            ..agent(n)
        };
        self.state([41, 42].map(|n| Statement::Person(officer(n))).into());
        let who = |n| Who { person: PersonId([n; 16]), key: None };
        let ask =
            self.replica.act(|desk| desk.ask_erasure(case, who(41), Basis::Request, "书面申请"));
        ask.expect("asked");
        self.replica.act(|desk| desk.agree_erasure(case, who(42))).expect("agreed");
        self.replica.finish_erasures().expect("the disk works");
    }

    pub(crate) fn number_of(&self, case: SubjectId) -> Option<String> {
        let row = self.replica.store().read(|view| view.case_row(&case.0));
        row.expect("the store works").map(|row| row.number)
    }

    pub(crate) fn forks(&self) -> usize {
        self.replica.forks().expect("the store works").len()
    }

    pub(crate) fn quarantined(&self) -> u64 {
        self.replica.store().read(|view| view.quarantined()).expect("the store works")
    }

    /// Another relay: from now on it may help, too.
    pub(crate) fn second_relay(&self) {
        self.state(vec![device(4, DeviceKind::Relay, &[])]);
    }

    /// The code that the relay reads out for the number of a box.
    pub(crate) fn code(&self, of: DeviceId, who: &Person, number: &str) -> Option<String> {
        self.replica.help(&secret(RELAY), of, who.id, number, None).ok()
    }

    /// Whom the relay helped.
    pub(crate) fn helped(&self) -> usize {
        self.replica.helped().expect("the store works").len()
    }

    /// The other box makes a way back for the same person and gives a code for a number that looks
    /// like this one.
    pub(crate) fn code_of_other_box(&self, who: &Person, number: &str) -> Option<String> {
        let (mut id, of) = (0, DeviceId([OTHER; 16]));
        id += number.bytes().last().map_or(0, |b| u64::from(b - b'0'));
        let rescue = RescueFor { device: of.0, person: who.id.0, id };
        let (_, spoken) = behind(&[AGENT; 32], &Key::of([9; 32]), &rescue).expect("made");
        let helpers = [secret(RELAY).public()];
        let said = self.other.act(|desk| desk.give_rescue(who, id, &helpers, &spoken));
        said.expect("said").expect("it serves the village");
        talk(&self.replica, OTHER, &self.other);
        self.code(of, who, number)
    }

    /// A whole conversation with the box; gives how many entries the box acknowledged.
    pub(crate) fn talk(&self, port: &dyn Port) -> u64 {
        talk(&self.replica, BOX, port)
    }

    pub(crate) fn peer_of_box(&self) -> Option<PeerInfo> {
        self.replica.admit_peer(&secret(BOX).public().0).ok()
    }

    pub(crate) fn heard(&self, peer: &PeerInfo, words: &[u8]) -> Result<bool, PortError> {
        self.replica.heard(peer, words)
    }

    pub(crate) fn last_word(&self) -> Option<LastWord> {
        self.replica.last_word_of(DeviceId([BOX; 16])).expect("the store works")
    }

    pub(crate) fn head(&self, place: PlaceId) -> u64 {
        let scope = Scope::Place(place).to_string();
        self.replica.store().read(|view| view.head(&scope)).expect("the store works")
    }

    pub(crate) fn cursor_of(&self, work: &Replica) -> u64 {
        let scope = Scope::Place(VILLAGE).to_string();
        let read = work.store().read(|view| -> Result<_, StoreError> {
            let peer = view.peer(&[RELAY; 16])?.ok_or(StoreError::Damaged { what: "peer" })?;
            view.cursor(peer.id, &scope)
        });
        read.expect("the store works")
    }
}

fn opening(number: String, item: &str) -> Step {
    Step::Opened {
        number,
        place: VILLAGE,
        resident: SubjectId([0x11; 16]),
        item: item.into(),
        catalogue: "2026-11".into(),
        route: Route {
            take: Level::Township,
            accept: Level::County,
            decide: Level::County,
            department: "县民政局".into(),
        },
    }
}

/// Two sessions of the engine over two ports until neither has anything to say.
fn talk(relay: &dyn Port, of: u8, station: &dyn Port) -> u64 {
    let Ok(seen_by_relay) = relay.admit_peer(&secret(of).public().0) else { return 0 };
    let seen_by_box = station.admit_peer(&secret(RELAY).public().0).expect("the relay");
    let sides: [(&dyn Port, PeerInfo); 2] = [(relay, seen_by_relay), (station, seen_by_box)];
    let now = Duration::ZERO;
    let knows = station.knows(&sides[1].1).expect("what the relay understands");
    let calls = [Call::In, Call::Out { knows }];
    let mut sessions = [0, 1].map(|i| {
        let (port, peer) = &sides[i];
        Session::new(now, port.hello(peer).expect("a hello"), calls[i])
    });
    let mut acknowledged = 0;
    loop {
        let mut quiet = true;
        for i in 0..2 {
            while let Some(output) = sessions[i].poll_output() {
                quiet = false;
                let (port, peer) = &sides[i];
                match output {
                    Output::Send(frame) => sessions[1 - i].handle(now, Input::Received(frame)),
                    Output::Greeted(hello) => port.greeted(peer, &hello).expect("greeted"),
                    Output::GreetedAgain { incarnation, time_ms, features } => {
                        let again = port.greeted_again(peer, &incarnation, time_ms, features);
                        again.expect("greeted again");
                    }
                    Output::Store { scope, upto, entries } => {
                        port.store(peer, &scope, upto, &entries).expect("stored");
                        acknowledged += if i == 1 { entries.len() as u64 } else { 0 };
                        sessions[i].handle(now, Input::Stored { scope, upto });
                    }
                    Output::Completed => port.completed(peer).expect("completed"),
                    Output::LastWord(words) => {
                        port.heard(peer, &words).expect("heard");
                    }
                    Output::Question(_) | Output::Answer(_) => {}
                    Output::Close(violation) => panic!("{violation}"),
                    output => {
                        for input in perform(*port, peer, output).expect("the store works") {
                            sessions[i].handle(now, input);
                        }
                    }
                }
            }
        }
        if quiet {
            return acknowledged;
        }
    }
}

pub(crate) struct Box_ {
    folder: TempDir,
    pub(crate) machine: FileSecret,
}

impl Box_ {
    pub(crate) fn enrolled(relay: &Relay) -> Self {
        let folder = TempDir::new().expect("a folder");
        let machine = FileSecret::in_folder(folder.path());
        let key = machine.create().expect("a machine key");
        let enrolled = Enrolled {
            device: DeviceId([BOX; 16]),
            seed: [BOX; 32],
            county: SubjectId([0xc0; 16]),
            founding: relay.other.county().founding().expect("founded"),
            index_secret: [0x5e; 32],
            recovery: Some(relay.recovery.public().expect("a key")),
            lease: Some([7; 32]),
        };
        let log = relay.county_log();
        let world = Arc::new(SystemWorld);
        Vault::create(folder.path(), &key, &enrolled, &log, &[], world, GUARD).expect("a vault");
        Self { folder, machine }
    }

    /// Another machine, on which a backup was restored with the county's key.
    pub(crate) fn restored(relay: &Relay, from: &Path) -> Result<Self, BackupError> {
        let folder = TempDir::new().expect("a folder");
        let machine = FileSecret::in_folder(folder.path());
        let made = Self { folder, machine };
        made.restore_again(relay, from).map(|()| made)
    }

    pub(crate) fn restore_again(&self, relay: &Relay, from: &Path) -> Result<(), BackupError> {
        let (folder, world) = (self.folder.path(), Arc::new(SystemWorld));
        let done = restore(folder, &self.machine, &relay.recovery, from, world, GUARD);
        assert_eq!(done.is_ok(), folder.join("open.db").exists());
        done.map(|_| ())
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn machine_key(&self) -> Key {
        self.machine.load().expect("readable").expect("there")
    }

    pub(crate) fn vault(&self) -> Vault {
        let key = self.machine.load().expect("readable").expect("there");
        Vault::open(self.folder.path(), &key, Arc::new(SystemWorld), GUARD)
            .expect("the vault opens")
    }

    pub(crate) fn count(&self, work: &Replica) -> u64 {
        work.store().read(|view| view.entry_count()).expect("the store works")
    }

    fn open_db(&self) -> [PathBuf; 2] {
        ["open.db", "open.db-wal"].map(|name| self.folder.path().join(name))
    }

    pub(crate) fn copy_open_db(&self) -> [Option<Vec<u8>>; 2] {
        self.open_db().map(|path| std::fs::read(path).ok())
    }

    pub(crate) fn put_open_db(&self, files: &[Option<Vec<u8>>; 2]) {
        for (path, bytes) in self.open_db().iter().zip(files) {
            match bytes {
                Some(bytes) => std::fs::write(path, bytes).expect("written"),
                None => drop(std::fs::remove_file(path)),
            }
        }
        let _ = std::fs::remove_file(self.folder.path().join("open.db-shm"));
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.folder.path().join(name).exists()
    }

    pub(crate) fn is_destroyed(&self) -> bool {
        Destroyed::in_folder(self.folder.path()).is_some()
    }
}

/// What a thief with the machine key sees in open.db.
pub(crate) fn sees(vault: &Vault, words: &str) -> bool {
    let store = vault.open_replica().store();
    let row = store.read(|view| view.inbox_first()).expect("the store works").expect("a batch");
    row.sealed.windows(words.len()).any(|w| w == words.as_bytes())
}

/// Whether the inbox's secret lies in open.db.
pub(crate) fn has_open_inbox_secret(vault: &Vault) -> bool {
    vault.beside("inbox secret").expect("the store works").is_some()
}

/// The first batch of the inbox is damaged.
pub(crate) fn rot_the_inbox(vault: &Vault) {
    let store = vault.open_replica().store();
    let row = store.read(|view| view.inbox_first()).expect("the store works").expect("a batch");
    store
        .write(|tx| -> Result<(), StoreError> {
            tx.clear_inbox()?;
            tx.put_inbox(&row.device, &row.scope, row.upto, b"rotten")
        })
        .expect("the store works");
}
