//! The county of the sync benchmarks: its devices and people, their keys from seeds, and the
//! stores of its relay and of the box that is measured.

use anyhow::Result;
use cunkou_casework::county::{Device, DeviceKind, Person, Place, Post, Role, Statement};
use cunkou_casework::event::Level;
use cunkou_casework::ids::{DeviceId, Incarnation, PersonId, PlaceId, SubjectId};
use cunkou_casework::suite::SecretKey;
use cunkou_engine::{PeerInfo, Port};
use cunkou_keys::Key;
use cunkou_replica::{Authority, Guard, Membership, Replica, SystemWorld};
use cunkou_store::Lock;
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;

/// The villages. With the county log and what a box tells the county alone, the box that is
/// measured holds five scopes.
pub(crate) const VILLAGES: [PlaceId; 3] = [PlaceId(11), PlaceId(12), PlaceId(13)];
pub(crate) const TOWNSHIP: PlaceId = PlaceId(2);
/// A village where nothing happens.
const QUIET: PlaceId = PlaceId(19);
const COUNTY: PlaceId = PlaceId(1);
pub(crate) const DEPARTMENT: &str = "县民政局";

pub(crate) const RELAY: u8 = 1;
/// The township's own box: takes cases in. It never runs.
pub(crate) const CENTRE: u8 = 2;
/// The township box that is measured.
pub(crate) const BOX: u8 = 3;
/// The first of the villages' boxes. They never run.
pub(crate) const FILING: u8 = 4;
/// The first of the villages' agents.
pub(crate) const AGENT: u8 = 21;
pub(crate) const CLERK: u8 = 31;
pub(crate) const REVIEWER: u8 = 32;

pub(crate) fn secret(n: u8) -> SecretKey {
    SecretKey::from_seed(&[n; 32])
}

pub(crate) fn person(n: u8) -> PersonId {
    PersonId([n; 16])
}

pub(crate) fn device(n: u8) -> DeviceId {
    DeviceId([n; 16])
}

/// The run of a device that wrote the cases.
pub(crate) fn incarnation(n: u8) -> Incarnation {
    Incarnation([n | 0x80; 16])
}

fn lock(n: u8) -> Lock {
    Lock::Key(Key::of([n; 32]))
}

/// The replica of a device in a folder. `guard` judges what others changed.
pub(crate) fn replica(n: u8, folder: &Path, guard: Guard) -> Result<Replica> {
    std::fs::create_dir_all(folder)?;
    let me = Membership {
        device: device(n),
        key: secret(n),
        county: SubjectId([0xc0; 16]),
        anchor: secret(99).public().into(),
        index_secret: [0x5e; 32],
    };
    Ok(Replica::open(folder, &lock(n), me, Arc::new(SystemWorld), guard)?)
}

/// The database of a device's replica, to look into while it runs.
pub(crate) fn database(n: u8, folder: &Path) -> Result<Connection> {
    let digits: String = [n; 32].iter().map(|b| format!("{b:02x}")).collect();
    let db = Connection::open(folder.join("work.db"))?;
    db.pragma_update(None, "key", format!("x'{digits}'"))?;
    db.busy_timeout(std::time::Duration::from_secs(10))?;
    Ok(db)
}

/// The seed of a box of the crowd: one that serves nothing.
pub(crate) fn seed_of_crowd(n: u16) -> [u8; 32] {
    blake3::derive_key("cunkou benchmark crowd", &n.to_be_bytes())
}

/// The boxes of the crowd: of a village of theirs, where nothing happens.
fn crowd(count: u16) -> impl Iterator<Item = Statement> {
    (0..count).map(|n| {
        let mut id = [0xcc; 16];
        id[..2].copy_from_slice(&n.to_be_bytes());
        Statement::Device(Device {
            id: DeviceId(id),
            key: SecretKey::from_seed(&seed_of_crowd(n)).public(),
            kind: DeviceKind::Village,
            name: format!("crowd {n}"),
            places: vec![QUIET],
            phone: String::new(),
        })
    })
}

fn statements() -> Vec<Statement> {
    let place = |id, level, code: &str, name: String, parent| Place {
        id,
        level,
        code: code.into(),
        name,
        name_en: String::new(),
        parent,
    };
    let mut places = vec![
        place(COUNTY, Level::County, "130999", "清河县".into(), None),
        place(TOWNSHIP, Level::Township, "130999101", "云岭镇".into(), Some(COUNTY)),
    ];
    for (n, village) in (1..).zip(VILLAGES.into_iter().chain([QUIET])) {
        let code = format!("13099910120{n}");
        places.push(place(village, Level::Village, &code, format!("云岭{n}村"), Some(TOWNSHIP)));
    }
    let device = |n: u8, kind, places: &[PlaceId]| {
        Statement::Device(Device {
            id: device(n),
            key: secret(n).public(),
            kind,
            name: format!("device {n}"),
            places: places.to_vec(),
            phone: String::new(),
        })
    };
    let person = |n: u8, role, place| {
        let reviewer = role == Role::Reviewer;
        Statement::Person(Person {
            id: person(n),
            login: format!("p{n}"),
            name: format!("person {n}"),
            key: (!reviewer).then(|| secret(n).public()),
            posts: vec![Post { role, place, department: reviewer.then(|| DEPARTMENT.to_owned()) }],
            phone: String::new(),
            kin: None,
            keys: None,
        })
    };
    let mut all = vec![
        Statement::Founded { name: "清河县".into(), authority: secret(99).public() },
        Statement::Places { places },
        device(RELAY, DeviceKind::Relay, &[]),
        device(CENTRE, DeviceKind::Township, &VILLAGES),
        device(BOX, DeviceKind::Township, &VILLAGES),
        Statement::Numbers { device: self::device(BOX), blocks: vec![1] },
        person(CLERK, Role::Township, TOWNSHIP),
        person(REVIEWER, Role::Reviewer, COUNTY),
    ];
    for (n, village) in (0..).zip(VILLAGES) {
        all.push(device(FILING + n, DeviceKind::Village, &[village]));
        all.push(person(AGENT + n, Role::Agent, village));
    }
    all
}

/// Founds the county in the relay's folder, with so many boxes of the crowd.
pub(crate) fn found(folder: &Path, more: u16) -> Result<Replica> {
    let relay = replica(RELAY, folder, Guard::in_this_process())?;
    relay.state(&Authority(secret(99)), statements().into_iter().chain(crowd(more)).collect())?;
    Ok(relay)
}

/// How the relay is known before its log has come.
fn relay_as_peer() -> PeerInfo {
    PeerInfo {
        device: device(RELAY).0,
        name: "relay".into(),
        scopes: vec!["system".into()],
        handed_in: vec![],
    }
}

/// How a device knows another.
pub(crate) fn peer(of: &Replica, n: u8) -> Result<PeerInfo> {
    Ok(of.admit_peer(&secret(n).public().0)?)
}

/// The box gets the county log, as an enrolment brings it; both have then said hello.
pub(crate) fn enrol(relay: &Replica, at: &Replica, n: u8) -> Result<()> {
    let (of_relay, of_box) = (relay_as_peer(), peer(relay, n)?);
    relay.greeted(&of_box, &at.hello(&of_relay)?)?;
    at.greeted(&of_relay, &relay.hello(&of_box)?)?;
    let log = relay.load(&of_box, "system", 0, usize::MAX)?;
    Port::store(at, &of_relay, "system", log.upto, &log.entries)?;
    Ok(())
}
