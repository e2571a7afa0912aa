//! The box's folder: its vault and the machine's secret. Certificates are the wallet's.

use cunkou_casework::ids::{DeviceId, EntryId, SubjectId};
use cunkou_edge::cli::{Exit, Failure};
use cunkou_keys::{HardwareSecret, machine_secret};
use cunkou_link::OfferedEnrolment;
use cunkou_replica::{Guard, SystemWorld};
use cunkou_vault::{Destroyed, Enrolled, Vault, VaultError};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

/// Under this name the vault keeps [`Kept`].
const BOX: &str = "box";

/// How the box reaches its relay; lies in the vault.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    schema: u32,
    pub(crate) relays: Vec<String>,
    /// The six words that county IT compares; empty at a box of an earlier version.
    #[serde(default)]
    pub(crate) words: String,
}

/// An opened box, locked.
#[derive(Debug)]
pub(crate) struct Home {
    pub(crate) vault: Arc<Vault>,
    pub(crate) kept: Kept,
    pub(crate) machine: Box<dyn HardwareSecret>,
    _lock: File,
}

pub(crate) fn failed(e: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Failed, e.to_string())
}

/// Keeps what enrolment gave, whole or not at all.
pub(crate) fn keep(
    data: &Path,
    relays: &[String],
    words: &str,
    seed: &[u8; 32],
    offer: &OfferedEnrolment,
) -> Result<(), Failure> {
    let kept = Kept { schema: 2, relays: relays.to_vec(), words: words.to_owned() };
    let kept = serde_json::to_vec(&kept).map_err(failed)?;
    let enrolled = Enrolled {
        device: DeviceId(offer.device),
        seed: *seed,
        county: SubjectId(offer.county),
        founding: EntryId(offer.founding),
        index_secret: offer.index_secret,
        recovery: offer.recovery,
        lease: offer.lease,
    };
    let machine = machine_secret(data, true);
    let key = match machine.load().map_err(failed)? {
        Some(key) => key,
        None => machine.create().map_err(failed)?,
    };
    let log: Vec<Vec<u8>> = offer.county_log.iter().map(|b| b.to_vec()).collect();
    let world = Arc::new(SystemWorld);
    Vault::create(data, &key, &enrolled, &log, &[(BOX, &kept)], world, Guard::child)
        .map_err(failed)?;
    Ok(())
}

fn open_vault(data: &Path, machine: &dyn HardwareSecret) -> Result<Option<Vault>, Failure> {
    let Some(key) = machine.load().map_err(failed)? else { return Ok(None) };
    match Vault::open(data, &key, Arc::new(SystemWorld), Guard::child) {
        Ok(vault) => Ok(Some(vault)),
        Err(VaultError::Empty) => Ok(None),
        Err(e) => Err(failed(e)),
    }
}

/// Whether the folder holds a box, destroyed or not.
pub(crate) fn is_enrolled(data: &Path) -> bool {
    data.join(cunkou_vault::OPEN_DB).exists() || Destroyed::in_folder(data).is_some()
}

/// Fails when the box of this folder has destroyed its keys.
pub(crate) fn not_destroyed(data: &Path) -> Result<(), Failure> {
    match Destroyed::in_folder(data) {
        None => Ok(()),
        Some(destroyed) => {
            let when = cunkou_edge::lists::when(destroyed.at_ms);
            let words = format!(
                "这台盒子已被县里撤销,钥匙已于 {when} 销毁,数据不能再打开,请联系县信息员 \
                 / the county revoked this box and it destroyed its keys ({when}); \
                 its data never opens again. To use the machine anew, enrol it in an empty folder"
            );
            Err(Failure::new(Exit::Refused, words))
        }
    }
}

/// Opens the box; fails when a daemon holds it.
pub(crate) fn open(data: &Path) -> Result<Home, Failure> {
    not_destroyed(data)?;
    let not_enrolled = || {
        let words = format!(
            "this box is not enrolled; ask county IT for an enrolment file and run: \
             cunkou-node --data {} enrol FILE",
            data.display()
        );
        Failure::new(Exit::NotEnrolled, words)
    };
    if !is_enrolled(data) {
        return Err(not_enrolled());
    }
    let lock = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(data.join("lock"))
        .map_err(failed)?;
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive)
        .map_err(|_| failed(format!("a box is running on {} already", data.display())))?;
    let machine = machine_secret(data, false);
    let vault = open_vault(data, &*machine)?.ok_or_else(not_enrolled)?;
    let kept = vault.beside(BOX).map_err(failed)?.unwrap_or_default();
    let kept: Kept = serde_json::from_slice(&kept)
        .map_err(|_| failed("the box's vault is damaged; enrol the box again"))?;
    Ok(Home { vault: Arc::new(vault), kept, machine, _lock: lock })
}
