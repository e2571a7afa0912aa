//! The county's folder: keys, certificates, and the replica.

use crate::certificates::{self, Certificates, Founding};
use cunkou_casework::county::{Device, DeviceKind, Statement};
use cunkou_casework::hex;
use cunkou_casework::ids::{DeviceId, SubjectId};
use cunkou_casework::suite::{PublicKey, SecretKey};
use cunkou_edge::cli::{Exit, Failure};
use cunkou_link::Bounds;
use cunkou_replica::{Authority, Membership, Replica, SystemWorld, World};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::fs::{self, File};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const FILE: &str = "county.json";

/// What the folder keeps beside the store; readable by its owner alone.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    schema: u32,
    name: String,
    code: String,
    county: SubjectId,
    device: DeviceId,
    device_seed: String,
    authority_seed: String,
    index_secret: String,
}

/// An opened county.
#[derive(Debug)]
pub(crate) struct Home {
    pub(crate) data: PathBuf,
    pub(crate) replica: Arc<Replica>,
    pub(crate) authority: Authority,
    pub(crate) certificates: Certificates,
    /// One enrolment at a time: each takes the next number blocks.
    pub(crate) enrolling: std::sync::Mutex<()>,
    _lock: File,
}

fn failed(e: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Failed, e.to_string())
}

fn seed_of(digits: &str) -> Option<[u8; 32]> {
    hex::decode(digits)?.try_into().ok()
}

/// Writes a file that only its owner reads, whole or not at all.
pub(crate) fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    let part = path.with_extension("part");
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&part, path)
}

fn lock(data: &Path) -> Result<Option<File>, Failure> {
    let file = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(data.join("lock"))
        .map_err(|e| failed(format!("{}: {e}", data.display())))?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(e) => Err(failed(e)),
    }
}

/// Under which names and addresses a county is reached, and where its root's key goes.
#[derive(Debug)]
pub(crate) struct Naming<'a> {
    pub(crate) hosts: &'a [String],
    pub(crate) subnets: &'a [String],
    pub(crate) addresses: &'a [IpAddr],
    pub(crate) offline: Option<&'a Path>,
}

/// Founds a county in an empty folder.
pub(crate) fn found(
    data: &Path,
    name: &str,
    code: &str,
    naming: &Naming<'_>,
) -> Result<serde_json::Value, Failure> {
    if code.len() != 6 || !code.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Failure::new(Exit::Usage, "the county's code has 6 digits, e.g. 130999"));
    }
    fs::create_dir_all(data).map_err(|e| failed(format!("{}: {e}", data.display())))?;
    if data.join(FILE).exists() {
        let words = format!("{} holds a county already; choose another folder", data.display());
        return Err(Failure::new(Exit::Refused, words));
    }
    let world = SystemWorld;
    let seed = || {
        let mut out = [0; 32];
        world.random(&mut out);
        out
    };
    let (device_seed, authority_seed) = (seed(), seed());
    let id = || {
        let mut out = [0; 16];
        world.random(&mut out);
        out
    };
    let (county, device) = (SubjectId(id()), DeviceId(id()));
    let key = SecretKey::from_seed(&device_seed).public();
    let bounds = Bounds {
        hosts: naming.hosts.to_vec(),
        subnets: naming.subnets.to_vec(),
        ..Bounds::of(code)
    };
    let founding = Founding {
        county: name,
        bounds,
        addresses: naming.addresses,
        offline: naming.offline,
        relay: key.0,
        now_ms: world.now_ms(),
    };
    let offline = certificates::found(data, &founding)?;
    let kept = Kept {
        schema: 1,
        name: name.to_owned(),
        code: code.to_owned(),
        county,
        device,
        device_seed: hex::encode(&device_seed),
        authority_seed: hex::encode(&authority_seed),
        index_secret: hex::encode(&seed()),
    };
    let text = serde_json::to_string_pretty(&kept).map_err(failed)?;
    write_private(&data.join(FILE), &text).map_err(failed)?;
    let home = open(data)?.ok_or_else(|| failed("the folder is in use"))?;
    let relay = Device {
        id: device,
        key,
        kind: DeviceKind::Relay,
        name: format!("{name}平台"),
        places: Vec::new(),
        phone: String::new(),
    };
    let authority: PublicKey = home.authority.0.public();
    let statements =
        vec![Statement::Founded { name: name.to_owned(), authority }, Statement::Device(relay)];
    home.replica.state(&home.authority, statements).map_err(failed)?;
    Ok(json!({
        "schema": 1, "county": county.to_string(), "name": name, "code": code,
        "ca": data.join("ca.pem"), "root_key": offline,
        "root_key_words": "复制到两个 U 盘分开锁好,然后从本机删除 / copy it to two sticks, lock them away in two places, then delete it here",
        "next": "publish a catalogue, add staff, enrol boxes, then serve",
    }))
}

/// Opens the county; nothing when a daemon holds it.
pub(crate) fn open(data: &Path) -> Result<Option<Home>, Failure> {
    let path = data.join(FILE);
    let text = fs::read_to_string(&path).map_err(|_| {
        let words = format!(
            "there is no county in {}; found one with: cunkou-relay --data {} init --name … --code …",
            data.display(),
            data.display()
        );
        Failure::new(Exit::NotEnrolled, words)
    })?;
    let kept: Kept =
        serde_json::from_str(&text).map_err(|e| failed(format!("{}: {e}", path.display())))?;
    let Some(lock) = lock(data)? else { return Ok(None) };
    let damaged = || failed(format!("{} is damaged; restore it from a backup", path.display()));
    let device_seed = seed_of(&kept.device_seed).ok_or_else(damaged)?;
    let authority_seed = seed_of(&kept.authority_seed).ok_or_else(damaged)?;
    let authority = Authority(SecretKey::from_seed(&authority_seed));
    let me = Membership {
        device: kept.device,
        key: SecretKey::from_seed(&device_seed),
        county: kept.county,
        authority: authority.0.public(),
        index_secret: seed_of(&kept.index_secret).ok_or_else(damaged)?,
    };
    let replica = Replica::open(data, me, Arc::new(SystemWorld)).map_err(failed)?;
    let relay = replica.me().key.public();
    let certificates = Certificates::open(data, relay.0)?;
    Ok(Some(Home {
        data: data.to_owned(),
        replica: Arc::new(replica),
        authority,
        certificates,
        enrolling: std::sync::Mutex::default(),
        _lock: lock,
    }))
}
