//! The county's folder: keys, certificates, and the replica.

use crate::administrators;
use crate::certificates::{self, Certificates, Founding};
use cunkou_casework::county::{
    ADMINISTRATORS_MAX, Administrator, Anchor, Constitution, Device, DeviceKind, Grant, GrantId,
    Power, Statement,
};
use cunkou_casework::hex;
use cunkou_casework::ids::{DeviceId, SubjectId};
use cunkou_casework::suite::{PublicKey, SecretKey};
use cunkou_edge::cli::{Exit, Failure};
use cunkou_keys::{BoxSecret, Key, machine_secret, seal_under, unseal_under};
use cunkou_link::Bounds;
use cunkou_replica::{Authority, Guard, Membership, Replica, SystemWorld, World};
use cunkou_store::Lock;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::fs::{self, File};
use std::net::IpAddr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::{Zeroize, Zeroizing};

/// Sealed under the machine key.
const FILE: &str = "county.sealed";
const SEALED: &[u8] = b"cunkou county file v1\0";
/// Taken away from the relay after founding: see docs/at-rest.md.
const RECOVERY: &str = "recovery.key";

/// What the folder keeps beside the store.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    schema: u32,
    name: String,
    code: String,
    county: SubjectId,
    device: DeviceId,
    device_seed: String,
    /// The only administrator's key, in a county with a single one: for demonstrations.
    #[serde(default)]
    authority_seed: Option<String>,
    index_secret: String,
    /// The county's recovery key, public part (X25519).
    recovery: String,
    /// From it each box's lease secret is derived.
    lease_seed: String,
}

impl Drop for Kept {
    fn drop(&mut self) {
        for secret in [&mut self.device_seed, &mut self.index_secret, &mut self.lease_seed] {
            secret.zeroize();
        }
        self.authority_seed.zeroize();
    }
}

/// An opened county.
#[derive(Debug)]
pub(crate) struct Home {
    pub(crate) data: PathBuf,
    pub(crate) replica: Arc<Replica>,
    pub(crate) authority: Authority,
    pub(crate) certificates: Certificates,
    /// Six digits.
    pub(crate) code: String,
    pub(crate) recovery: [u8; 32],
    lease: Key,
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
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    let part = path.with_extension("part");
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    file.write_all(bytes)?;
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

/// Who guards a county that is founded.
#[derive(Debug)]
pub(crate) enum Guards<'a> {
    /// One key, kept by the relay itself: for demonstrations.
    Single,
    /// Several people, each with a key of their own on a stick of their own.
    Several {
        /// Their names.
        names: &'a [String],
        /// So many must sign.
        threshold: u8,
        /// Where their key files are written, to be carried away.
        offline: PathBuf,
        /// The relay's first grant ends after so many days.
        grant_days: u32,
        /// It covers so many statements.
        grant_count: u32,
    },
}

/// What the relay may state by itself under its first grant: the roll-out, and cutting off.
const ROLL_OUT: [Power; 6] = [
    Power::VillageBoxes,
    Power::TownshipBoxes,
    Power::Agents,
    Power::TownshipStaff,
    Power::Numbers,
    Power::Revoke,
];

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
    guards: &Guards<'_>,
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
    let keys = ceremony(name, guards)?;
    let device_seed = seed();
    let authority_seed = matches!(guards, Guards::Single).then(seed);
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
    let recovery = BoxSecret::random().map_err(failed)?;
    let kept = Kept {
        schema: 2,
        name: name.to_owned(),
        code: code.to_owned(),
        county,
        device,
        device_seed: hex::encode(&device_seed),
        authority_seed: authority_seed.map(|seed| hex::encode(&seed)),
        index_secret: hex::encode(&seed()),
        recovery: hex::encode(&recovery.public().map_err(failed)?),
        lease_seed: hex::encode(&seed()),
    };
    let machine = machine_secret(data, true);
    let machine = match machine.load().map_err(failed)? {
        Some(key) => key,
        None => machine.create().map_err(failed)?,
    };
    fs::create_dir_all(&offline).map_err(failed)?;
    fs::set_permissions(&offline, fs::Permissions::from_mode(0o700)).map_err(failed)?;
    let digits = hex::encode(recovery.key().bytes());
    write_private(&offline.join(RECOVERY), digits.as_bytes()).map_err(failed)?;
    keep(data, &machine, &kept)?;
    let home = open(data)?.ok_or_else(|| failed("the folder is in use"))?;
    let relay = Device {
        id: device,
        key,
        kind: DeviceKind::Relay,
        name: format!("{name}平台"),
        places: Vec::new(),
        phone: String::new(),
    };
    let roots = home.certificates.trusted_roots().into_iter().map(Into::into).collect();
    let roots = Statement::Roots { roots };
    match guards {
        Guards::Single => {
            let authority = home.authority.0.public();
            let founded = Statement::Founded { name: name.to_owned(), authority };
            let statements = vec![founded, Statement::Device(relay), roots];
            home.replica.state(&home.authority, statements).map_err(failed)?;
        }
        Guards::Several { threshold, grant_days, grant_count, .. } => {
            let until_ms = world.now_ms() + i64::from(*grant_days) * 24 * 3_600_000;
            let grant = Grant {
                id: GrantId(id()),
                holder: key,
                powers: ROLL_OUT.to_vec(),
                places: Vec::new(),
                count: *grant_count,
                until_ms,
                depth: 1,
                parent: None,
            };
            let administrators = keys.iter().map(|(who, _)| who.clone()).collect();
            let constitution = Constitution {
                administrators,
                threshold: *threshold,
                recovery: Some(PublicKey(home.recovery)),
            };
            let constituted = Statement::Constituted { name: name.to_owned(), constitution, relay };
            let statements = vec![constituted, Statement::Grant(grant), roots];
            let mut act =
                administrators::propose(&home.replica.county(), world.now_ms(), statements);
            keys.iter().for_each(|(_, secret)| act.sign(secret));
            home.replica.enact(act).map_err(failed)?;
        }
    }
    let fingerprint = home.replica.county().founding().map(|id| id.to_string());
    let key_files: Vec<PathBuf> = match guards {
        Guards::Single => Vec::new(),
        Guards::Several { names, offline, .. } => {
            (1..=names.len()).map(|n| key_file(offline, n)).collect()
        }
    };
    Ok(json!({
        "schema": 1, "county": county.to_string(), "name": name, "code": code,
        "fingerprint": fingerprint, "ca": data.join("ca.pem"), "administrators": key_files,
        "root_key": offline,
        "recovery_key": offline.join(RECOVERY),
        "root_key_words": "复制到两个 U 盘分开锁好,然后从本机删除 / copy it to two sticks, lock them away in two places, then delete it here",
        "next": match guards {
            Guards::Single => "publish a catalogue, add staff, enrol boxes, then serve",
            Guards::Several { .. } => "carry each administrator's key file away on a stick of its \
                own and delete it here; then publish a catalogue, add staff, enrol boxes, serve",
        },
    }))
}

fn key_file(offline: &Path, n: usize) -> PathBuf {
    offline.join(format!("administrator-{n}.key"))
}

/// Makes the administrators' keys, each under a passphrase of its own.
fn ceremony(name: &str, guards: &Guards<'_>) -> Result<Vec<(Administrator, SecretKey)>, Failure> {
    let Guards::Several { names, threshold, offline, .. } = guards else { return Ok(Vec::new()) };
    if names.is_empty()
        || names.len() > ADMINISTRATORS_MAX
        || !(1..=names.len()).contains(&usize::from(*threshold))
    {
        let words = format!(
            "name 1 to {ADMINISTRATORS_MAX} administrators and a threshold not above their number"
        );
        return Err(Failure::new(Exit::Usage, words));
    }
    let words =
        names.iter().map(|who| administrators::passphrase(who)).collect::<Result<Vec<_>, _>>()?;
    fs::create_dir_all(offline).map_err(|e| failed(format!("{}: {e}", offline.display())))?;
    let each = names.iter().zip(words).enumerate();
    each.map(|(i, (who, words))| {
        administrators::new_key(name, who, &key_file(offline, i + 1), &words)
    })
    .collect()
}

/// Opens the county; nothing when a daemon holds it.
pub(crate) fn open(data: &Path) -> Result<Option<Home>, Failure> {
    let path = data.join(FILE);
    let (text, machine) = read_kept(data)?;
    let kept: Kept =
        serde_json::from_slice(&text).map_err(|e| failed(format!("{}: {e}", path.display())))?;
    let Some(lock) = lock(data)? else { return Ok(None) };
    let damaged = || failed(format!("{} is damaged; restore it from a backup", path.display()));
    let device_seed = seed_of(&kept.device_seed).ok_or_else(damaged)?;
    // With several administrators the relay states what it holds a grant for, with its own key.
    let (authority, anchor) = match &kept.authority_seed {
        Some(seed) => {
            let key = SecretKey::from_seed(&seed_of(seed).ok_or_else(damaged)?);
            let anchor = Anchor::Key(key.public());
            (Authority(key), anchor)
        }
        None => (Authority(SecretKey::from_seed(&device_seed)), Anchor::Own),
    };
    let me = Membership {
        device: kept.device,
        key: SecretKey::from_seed(&device_seed),
        county: kept.county,
        anchor,
        index_secret: seed_of(&kept.index_secret).ok_or_else(damaged)?,
    };
    let replica =
        Replica::open(data, &work_lock(&machine), me, Arc::new(SystemWorld), Guard::child())
            .map_err(failed)?;
    let relay = replica.me().key.public();
    let certificates = Certificates::open(data, relay.0)?;
    Ok(Some(Home {
        data: data.to_owned(),
        replica: Arc::new(replica),
        authority,
        certificates,
        code: kept.code.clone(),
        recovery: seed_of(&kept.recovery).ok_or_else(damaged)?,
        lease: Key::of(seed_of(&kept.lease_seed).ok_or_else(damaged)?),
        enrolling: std::sync::Mutex::default(),
        _lock: lock,
    }))
}

/// The key of a relay's database and attachments.
pub(crate) fn work_key(machine: &Key) -> Key {
    machine.derive("relay work.db")
}

/// The lock made of it.
pub(crate) fn work_lock(machine: &Key) -> Lock {
    Lock::Key(work_key(machine))
}

fn keep(data: &Path, machine: &Key, kept: &Kept) -> Result<(), Failure> {
    write_kept(data, machine, &Zeroizing::new(serde_json::to_vec(kept).map_err(failed)?))
}

/// Seals the county's file under a machine's secret.
pub(crate) fn write_kept(data: &Path, machine: &Key, text: &[u8]) -> Result<(), Failure> {
    let sealed = seal_under(&machine.derive("county file"), SEALED, text).map_err(failed)?;
    write_private(&data.join(FILE), &sealed).map_err(failed)
}

/// The county's file, opened, and the machine's secret.
pub(crate) fn read_kept(data: &Path) -> Result<(Zeroizing<Vec<u8>>, Key), Failure> {
    let path = data.join(FILE);
    let sealed = fs::read(&path).map_err(|_| {
        let words = format!(
            "there is no county in {}; found one with: cunkou-relay --data {} init --name … --code …",
            data.display(),
            data.display()
        );
        Failure::new(Exit::NotEnrolled, words)
    })?;
    let machine = machine_secret(data, false).load().map_err(failed)?.ok_or_else(|| {
        let words = "the machine's secret is not here; restore the county from a backup";
        Failure::new(Exit::Failed, words)
    })?;
    let text = unseal_under(&machine.derive("county file"), SEALED, &sealed)
        .map_err(|e| failed(format!("{}: {e}", path.display())))?;
    Ok((text, machine))
}

impl Home {
    /// The lease secret that a box shares with this county.
    pub(crate) fn lease_secret(&self, device: DeviceId) -> Key {
        self.lease.derive(&format!("lease of {device}"))
    }
}
