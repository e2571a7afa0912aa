//! Checkpoints of this relay's log on their way to an auditor, who signs that it only grows.

use crate::home::Home;
use cunkou_casework::calendar::china_time;
use cunkou_casework::checkpoint::Checkpoint;
use cunkou_casework::cosign::{LETTER_BYTES_MAX, Letter};
use cunkou_casework::hex;
use cunkou_edge::bounded;
use cunkou_edge::cli::{Exit, Failure};
use cunkou_edge::lists;
use cunkou_replica::{Cosigner, LetterError};
use serde_json::{Value, json};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

fn failed(e: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Failed, e.to_string())
}

fn refused(words: impl Into<String>) -> Failure {
    Failure::new(Exit::Refused, words)
}

/// Years lie between checkpoints.
fn when(ms: i64) -> String {
    format!("{:04}-{}", china_time(ms).year(), lists::when(ms))
}

fn told(e: LetterError) -> Failure {
    match e {
        LetterError::Store(e) => failed(e),
        LetterError::Nothing => refused("the log is empty: there is nothing to sign yet"),
        LetterError::Beyond(size) => {
            refused(format!("--from: the log holds {size} entries; it never held more"))
        }
        LetterError::NotOurs => refused(
            "the checkpoint in this file is not one of this relay's log: another county's, or of \
             the time before the relay was restored; nothing was taken",
        ),
        LetterError::Unsigned => refused(
            "nobody but this relay has signed the checkpoint; the auditor signs it with: \
             cunkou-verify cosign FILE --key KEYFILE",
        ),
        e @ LetterError::Letter(_) => refused(e.to_string()),
    }
}

fn shown(checkpoint: &Checkpoint) -> Value {
    json!({
        "entries": checkpoint.size, "root": hex::encode(&checkpoint.root),
        "log": hex::encode(&checkpoint.log), "time": when(checkpoint.time_ms),
    })
}

impl Home {
    /// Writes the latest checkpoint as a letter to a new file.
    pub(crate) fn export_checkpoint(&self, out: &Path, from: &[u64]) -> Result<Value, Failure> {
        let letter = self.replica.letter(from).map_err(told)?;
        let (says, _) = letter.read().map_err(failed)?;
        std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(out)
            .and_then(|mut file| file.write_all(&letter.encode()).and_then(|()| file.sync_all()))
            .map_err(|e| failed(format!("{}: {e}", out.display())))?;
        Ok(json!({
            "schema": 1, "file": out, "entries": says.size, "time": when(says.time_ms),
            "fingerprint": letter.fingerprint(),
            "next": "carry it to the auditor, who runs: cunkou-verify cosign FILE --key KEYFILE; \
                     then take it back with: cunkou-relay checkpoint cosigned FILE",
        }))
    }

    /// Takes a signed letter back.
    pub(crate) fn take_checkpoint(&self, file: &Path, name: &str) -> Result<Value, Failure> {
        let shown = file.display();
        let bytes = bounded::read(file, LETTER_BYTES_MAX as u64)
            .map_err(|e| failed(format!("{shown}: {e}")))?;
        let letter = Letter::decode(&bytes)
            .map_err(|e| refused(format!("{shown} is no checkpoint file ({e})")))?;
        let keys = self.replica.take_letter(&letter, name).map_err(told)?;
        let keys: Vec<String> = keys.iter().map(|key| hex::encode(&key.0)).collect();
        Ok(json!({
            "schema": 1, "signed_by": keys,
            "next": "cases exported from now on carry the signature: cunkou-verify CASEFILE --auditor KEY",
        }))
    }

    /// The latest checkpoint, and who has signed which.
    pub(crate) fn list_checkpoints(&self) -> Result<Value, Failure> {
        let latest = self.replica.latest_checkpoint().map_err(failed)?;
        let size = latest.as_ref().map_or(0, |latest| latest.size);
        let row = |c: &Cosigner| {
            json!({
                "name": c.name, "key": hex::encode(&c.key.0), "entries": c.checkpoint.size,
                "time": when(c.checkpoint.time_ms), "received": when(c.received_ms),
                "entries_since": size.saturating_sub(c.checkpoint.size),
            })
        };
        let cosigners = self.replica.cosigners().map_err(failed)?;
        Ok(json!({
            "schema": 1, "latest": latest.as_ref().map(shown),
            "cosigned": cosigners.iter().map(row).collect::<Vec<_>>(),
        }))
    }
}
