//! What an auditor keeps on a stick: a key under a passphrase, and beside it what they signed last.

use cunkou_casework::calendar::china_time;
use cunkou_casework::checkpoint::{Checkpoint, SignedCheckpoint};
use cunkou_casework::cosign::Held;
use cunkou_casework::event::{decode, encode};
use cunkou_casework::hex;
use cunkou_casework::suite::{PublicKey, SecretKey};
use cunkou_keys::Key;
use cunkou_keys::passphrase::Sealed;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{Error, ErrorKind, Result, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A file on the stick is never longer. Bytes.
const FILE_BYTES_MAX: usize = 1024 * 1024;

/// An auditor's key file.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct KeyFile {
    cunkou_auditor: u32,
    /// Whose it is.
    pub(crate) name: String,
    /// To verify with.
    pub(crate) key: PublicKey,
    secret: Sealed,
}

/// What was signed last, of each log.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SignedFile {
    cunkou_auditor_signed: u32,
    key: PublicKey,
    /// Fingerprint of the county; nothing before the first signature.
    pub(crate) county: Option<String>,
    logs: Vec<LogRow>,
}

/// One log: the signed checkpoint, and the same for people.
#[derive(Debug, Serialize, Deserialize)]
struct LogRow {
    entries: u64,
    root: String,
    time: String,
    checkpoint: String,
}

/// Where the record of what a key has signed lies.
pub(crate) fn beside(key: &Path) -> PathBuf {
    key.with_extension("signed")
}

fn damaged() -> Error {
    Error::new(ErrorKind::InvalidData, "not such a file, or damaged")
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = crate::read(path, FILE_BYTES_MAX)?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(damaged());
    }
    serde_json::from_slice(&bytes).map_err(|_| damaged())
}

fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Puts a file in the place of another, on disk when this returns.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let _ = fs::remove_file(&part);
    write_new(&part, bytes)?;
    fs::rename(&part, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn pretty<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    let mut text = serde_json::to_string_pretty(value).map_err(Error::other)?;
    text.push('\n');
    Ok(text.into_bytes())
}

impl KeyFile {
    /// Makes a key, and an empty record beside it.
    pub(crate) fn make(path: &Path, name: &str, words: &str) -> Result<Self> {
        let key = SecretKey::from_seed(Key::random().map_err(Error::other)?.bytes());
        let secret = Sealed::new(&key.seed(), words).map_err(Error::other)?;
        let file = Self { cunkou_auditor: 1, name: name.to_owned(), key: key.public(), secret };
        let signed =
            SignedFile { cunkou_auditor_signed: 1, key: file.key, county: None, logs: Vec::new() };
        // The record first: a key without one is refused.
        write_new(&beside(path), &pretty(&signed)?)?;
        write_new(path, &pretty(&file)?)?;
        Ok(file)
    }

    /// Reads a key file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let file: Self = read(path)?;
        if file.cunkou_auditor == 1 { Ok(file) } else { Err(damaged()) }
    }

    /// The key; nothing when the passphrase is wrong.
    pub(crate) fn open(&self, words: &str) -> Option<SecretKey> {
        let key = SecretKey::from_seed(&*self.secret.open(words)?);
        (key.public() == self.key).then_some(key)
    }
}

impl SignedFile {
    /// Reads the record beside a key.
    pub(crate) fn read(path: &Path, key: PublicKey) -> Result<Self> {
        let file: Self = read(path)?;
        let good = file.cunkou_auditor_signed == 1 && file.key == key;
        if good && file.logs.is_empty() != file.county.is_some() {
            Ok(file)
        } else {
            Err(damaged())
        }
    }

    /// What was signed last, of each log.
    pub(crate) fn held(&self) -> Result<Vec<Held>> {
        let fingerprint = self.county.clone().unwrap_or_default();
        let row = |row: &LogRow| {
            let bytes = hex::decode(&row.checkpoint).ok_or_else(damaged)?;
            let checkpoint: SignedCheckpoint = decode(&bytes).map_err(|_| damaged())?;
            let says: Checkpoint = decode(&checkpoint.body).map_err(|_| damaged())?;
            // What stands there for people is what counts.
            if says.size != row.entries || hex::encode(&says.root) != row.root {
                return Err(damaged());
            }
            Ok(Held { fingerprint: fingerprint.clone(), checkpoint })
        };
        self.logs.iter().map(row).collect()
    }

    /// Notes what is signed now; it is on disk when this returns, before the signature leaves.
    pub(crate) fn note(
        &self,
        path: &Path,
        county: String,
        says: &Checkpoint,
        signed: &SignedCheckpoint,
    ) -> Result<()> {
        let row = |says: &Checkpoint, signed: &SignedCheckpoint| LogRow {
            entries: says.size,
            root: hex::encode(&says.root),
            time: when(says.time_ms),
            checkpoint: hex::encode(&encode(signed)),
        };
        let mut logs = Vec::new();
        for held in self.held()? {
            let then: Checkpoint = decode(&held.checkpoint.body).map_err(|_| damaged())?;
            if then.log != says.log {
                logs.push(row(&then, &held.checkpoint));
            }
        }
        logs.push(row(says, signed));
        let next = Self { cunkou_auditor_signed: 1, key: self.key, county: Some(county), logs };
        replace(path, &pretty(&next)?)
    }
}

/// A moment in the county's time, to the minute.
pub(crate) fn when(ms: i64) -> String {
    let t = china_time(ms);
    let (hour, minute) = (t.hour(), t.minute());
    format!("{:04}-{:02}-{:02} {hour:02}:{minute:02}", t.year(), t.month(), t.day())
}
