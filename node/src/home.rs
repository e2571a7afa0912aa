//! The box's folder: who it is, its key and certificate.

use cunkou_casework::hex;
use cunkou_casework::ids::{DeviceId, EntryId, SubjectId};
use cunkou_casework::suite::SecretKey;
use cunkou_edge::bounded;
use cunkou_edge::cli::{Exit, Failure};
use cunkou_link::OfferedEnrolment;
use cunkou_replica::{Guard, Membership, Replica, SystemWorld};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

const FILE: &str = "box.json";

/// The one-time file that county IT makes.
#[derive(Debug, Deserialize)]
pub(crate) struct EnrolmentFile {
    pub(crate) cunkou_enrolment: u32,
    pub(crate) county: String,
    pub(crate) name: String,
    pub(crate) relays: Vec<String>,
    pub(crate) relay_name: String,
    pub(crate) root: String,
    pub(crate) token: String,
}

/// What the folder keeps beside the store; readable by its owner alone.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    schema: u32,
    device: DeviceId,
    county: SubjectId,
    founding: EntryId,
    index_secret: String,
    seed: String,
    pub(crate) relays: Vec<String>,
}

/// An opened box.
#[derive(Debug)]
pub(crate) struct Home {
    pub(crate) replica: Arc<Replica>,
    pub(crate) kept: Kept,
    _lock: File,
}

pub(crate) fn failed(e: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Failed, e.to_string())
}

fn key(text: &str) -> Option<[u8; 32]> {
    hex::decode(text)?.try_into().ok()
}

/// Keeps what enrolment gave, whole or not at all.
pub(crate) fn keep(
    data: &Path,
    file: &EnrolmentFile,
    seed: &[u8; 32],
    offer: &OfferedEnrolment,
) -> Result<(), Failure> {
    let kept = Kept {
        schema: 1,
        device: DeviceId(offer.device),
        county: SubjectId(offer.county),
        founding: EntryId(offer.founding),
        index_secret: hex::encode(&offer.index_secret),
        seed: hex::encode(seed),
        relays: file.relays.clone(),
    };
    let text = serde_json::to_string_pretty(&kept).map_err(failed)?;
    let (path, part) = (data.join(FILE), data.join("box.part"));
    let write = || -> std::io::Result<()> {
        let mut to = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&part)?;
        to.write_all(text.as_bytes())?;
        to.sync_all()?;
        fs::rename(&part, &path)?;
        File::open(data)?.sync_all()
    };
    write().map_err(|e| failed(format!("{}: {e}", path.display())))
}

/// Whether the folder holds a box.
pub(crate) fn is_enrolled(data: &Path) -> bool {
    data.join(FILE).exists()
}

/// Opens the box; fails when a daemon holds it.
pub(crate) fn open(data: &Path) -> Result<Home, Failure> {
    let path = data.join(FILE);
    let text = bounded::text(&path, bounded::SMALL_BYTES_MAX).map_err(|_| {
        let words = format!(
            "this box is not enrolled; ask county IT for an enrolment file and run: \
             cunkou-node --data {} enrol FILE",
            data.display()
        );
        Failure::new(Exit::NotEnrolled, words)
    })?;
    let damaged = || failed(format!("{} is damaged; enrol the box again", path.display()));
    let kept: Kept = serde_json::from_str(&text).map_err(|_| damaged())?;
    let lock = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(data.join("lock"))
        .map_err(failed)?;
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive)
        .map_err(|_| failed(format!("a box is running on {} already", data.display())))?;
    let me = Membership {
        device: kept.device,
        key: SecretKey::from_seed(&key(&kept.seed).ok_or_else(damaged)?),
        county: kept.county,
        anchor: kept.founding.into(),
        index_secret: key(&kept.index_secret).ok_or_else(damaged)?,
    };
    let replica = Replica::open(data, me, Arc::new(SystemWorld), Guard::child()).map_err(failed)?;
    Ok(Home { replica: Arc::new(replica), kept, _lock: lock })
}
