//! The county's folder: keys, certificates, and the replica.

use cunkou_casework::county::{Device, DeviceKind, Statement};
use cunkou_casework::hex;
use cunkou_casework::ids::{DeviceId, SubjectId};
use cunkou_casework::suite::{PublicKey, SecretKey};
use cunkou_edge::cli::{Exit, Failure};
use cunkou_keys::{BoxSecret, Key, machine_secret, seal_under, unseal_under};
use cunkou_link::{CertificateAuthority, DeviceCertificate, pem_to_der};
use cunkou_replica::{Authority, Membership, Replica, SystemWorld, World};
use cunkou_store::Lock;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::fs::{self, File};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::{Zeroize, Zeroizing};

/// Sealed under the machine key.
const FILE: &str = "county.sealed";
const SEALED: &[u8] = b"cunkou county file v1\0";
/// Taken away from the relay after founding: see docs/at-rest.md.
const OFFLINE: &str = "offline";
const RECOVERY: &str = "recovery.key";

/// What the folder keeps beside the store.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    schema: u32,
    name: String,
    code: String,
    host: String,
    county: SubjectId,
    device: DeviceId,
    device_seed: String,
    authority_seed: String,
    index_secret: String,
    ca_certificate: String,
    ca_key: String,
    certificate: String,
    /// The county's recovery key, public part (X25519).
    recovery: String,
    /// From it each box's lease secret is derived.
    lease_seed: String,
}

impl Drop for Kept {
    fn drop(&mut self) {
        for secret in [
            &mut self.device_seed,
            &mut self.authority_seed,
            &mut self.index_secret,
            &mut self.ca_key,
            &mut self.lease_seed,
        ] {
            secret.zeroize();
        }
    }
}

/// An opened county.
#[derive(Debug)]
pub(crate) struct Home {
    pub(crate) data: PathBuf,
    pub(crate) code: String,
    pub(crate) host: String,
    pub(crate) replica: Arc<Replica>,
    pub(crate) authority: Authority,
    pub(crate) ca: CertificateAuthority,
    certificate: Vec<u8>,
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

/// The present year, for certificates.
pub(crate) fn year(now_ms: i64) -> i32 {
    i32::from(cunkou_casework::calendar::china_day(now_ms).year())
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

/// Founds a county in an empty folder.
pub(crate) fn found(
    data: &Path,
    name: &str,
    code: &str,
    host: &str,
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
    let from_year = year(world.now_ms());
    let ca = CertificateAuthority::found(name, from_year).map_err(failed)?;
    let key = SecretKey::from_seed(&device_seed).public();
    let certificate = ca.issue(&key.0, host, true, from_year).map_err(failed)?;
    let (ca_certificate, ca_key) = ca.pem();
    let recovery = BoxSecret::random().map_err(failed)?;
    let kept = Kept {
        schema: 2,
        name: name.to_owned(),
        code: code.to_owned(),
        host: host.to_owned(),
        county,
        device,
        device_seed: hex::encode(&device_seed),
        authority_seed: hex::encode(&authority_seed),
        index_secret: hex::encode(&seed()),
        ca_certificate: ca_certificate.clone(),
        ca_key,
        certificate: hex::encode(&certificate),
        recovery: hex::encode(&recovery.public().map_err(failed)?),
        lease_seed: hex::encode(&seed()),
    };
    let machine = machine_secret(data, true);
    let machine = match machine.load().map_err(failed)? {
        Some(key) => key,
        None => machine.create().map_err(failed)?,
    };
    let offline = data.join(OFFLINE);
    fs::create_dir_all(&offline).map_err(failed)?;
    fs::set_permissions(&offline, fs::Permissions::from_mode(0o700)).map_err(failed)?;
    let digits = hex::encode(recovery.key().bytes());
    write_private(&offline.join(RECOVERY), digits.as_bytes()).map_err(failed)?;
    keep(data, &machine, &kept)?;
    fs::write(data.join("ca.pem"), ca_certificate).map_err(failed)?;
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
        "ca": data.join("ca.pem"), "recovery_key": offline.join(RECOVERY),
        "next": "carry the folder offline/ to a safe and delete it here; publish a catalogue, add staff, enrol boxes, then serve",
    }))
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
    let authority_seed = seed_of(&kept.authority_seed).ok_or_else(damaged)?;
    let authority = Authority(SecretKey::from_seed(&authority_seed));
    let me = Membership {
        device: kept.device,
        key: SecretKey::from_seed(&device_seed),
        county: kept.county,
        authority: authority.0.public(),
        index_secret: seed_of(&kept.index_secret).ok_or_else(damaged)?,
    };
    let replica =
        Replica::open(data, &work_lock(&machine), me, Arc::new(SystemWorld)).map_err(failed)?;
    let ca = CertificateAuthority::read(&kept.ca_certificate, &kept.ca_key).map_err(failed)?;
    let certificate = hex::decode(&kept.certificate);
    Ok(Some(Home {
        data: data.to_owned(),
        code: kept.code.clone(),
        host: kept.host.clone(),
        replica: Arc::new(replica),
        authority,
        ca,
        certificate: certificate.ok_or_else(damaged)?,
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

/// Reads the county's recovery secret from the file that was carried away at founding.
pub(crate) fn recovery_secret(file: &Path) -> Result<BoxSecret, Failure> {
    let text = fs::read_to_string(file).map_err(|e| failed(format!("{}: {e}", file.display())))?;
    seed_of(text.trim())
        .map(|bytes| BoxSecret::of(Key::of(bytes)))
        .ok_or_else(|| failed(format!("{} is no recovery key", file.display())))
}

impl Home {
    /// The lease secret that a box shares with this county.
    pub(crate) fn lease_secret(&self, device: DeviceId) -> Key {
        self.lease.derive(&format!("lease of {device}"))
    }

    /// The relay's certificate, to listen with.
    pub(crate) fn certificate(&self) -> Result<DeviceCertificate, Failure> {
        let root = pem_to_der(&self.ca.pem().0).map_err(failed)?;
        let seed = self.replica.me().key.seed();
        Ok(DeviceCertificate::new(self.certificate.clone(), &seed, root, self.host.clone()))
    }
}
