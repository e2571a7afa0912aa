//! Looking after the store: rebuild and scrub by hand, and what status says of it.

use crate::cli::{Exit, Failure};
use cunkou_casework::hex;
use cunkou_keys::{BoxSecret, Key};
use cunkou_replica::{Replica, Scrubbed};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

fn failed(e: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Failed, e.to_string())
}

/// Reads a county's recovery secret from the file that was carried away at founding.
///
/// # Errors
/// When the file cannot be read or is none.
pub fn recovery_secret(file: &Path) -> Result<BoxSecret, Failure> {
    let text = fs::read_to_string(file).map_err(|e| failed(format!("{}: {e}", file.display())))?;
    let bytes = hex::decode(text.trim()).and_then(|bytes| bytes.try_into().ok());
    let none = || failed(format!("{} is no recovery key", file.display()));
    bytes.map(|bytes| BoxSecret::of(Key::of(bytes))).ok_or_else(none)
}

/// Tells each time that another hundredth is done.
pub fn hundredths(progress: &dyn Fn(String)) -> impl FnMut(u64, u64) {
    let mut told = None;
    move |done, of| {
        let percent = done * 100 / of.max(1);
        if told.replace(percent) != Some(percent) {
            progress(json!({ "schema": 1, "done": done, "of": of }).to_string());
        }
    }
}

/// Makes every derived row again.
///
/// # Errors
/// When the store fails; the next call goes on.
pub fn rebuild(replica: &Replica, progress: &dyn Fn(String)) -> Result<Value, Failure> {
    let rebuilt = replica.rebuild(hundredths(progress)).map_err(failed)?;
    Ok(json!({ "schema": 1, "subjects": rebuilt.subjects, "dropped": rebuilt.dropped }))
}

/// Reads the whole store and holds it against itself; `beside` as [`Replica::scrub`] says.
///
/// # Errors
/// When the store fails otherwise than by having rotted.
pub fn scrub(
    replica: &Replica,
    beside: &[&Replica],
    progress: &dyn Fn(String),
) -> Result<Value, Failure> {
    let found = replica.scrub(beside, hundredths(progress)).map_err(failed)?;
    let mut report = json!({ "schema": 1, "clean": found.clean() });
    put(&mut report, &found);
    report["next"] = next(&found).into();
    Ok(report)
}

/// Packs closed cases to which nothing has come for so many days.
///
/// # Errors
/// When the store fails; the next call goes on.
pub fn compact(replica: &Replica, days: u32, progress: &dyn Fn(String)) -> Result<Value, Failure> {
    let told = |cases: u64| progress(json!({ "schema": 1, "done": cases }).to_string());
    let done = replica.compact(i64::from(days), told).map_err(failed)?;
    let (cases, plain, bytes) = replica.store().read(|view| view.packed()).map_err(failed)?;
    Ok(json!({
        "schema": 1, "cases": done.cases, "before": done.before, "after": done.after,
        "packed": { "cases": cases, "before": plain, "after": bytes },
        "next": "the file does not become shorter; new entries use the room",
    }))
}

fn put(report: &mut Value, found: &Scrubbed) {
    report["entries"] = found.entries.into();
    report["rotten"] = found.rotten.into();
    report["unreadable"] = found.unreadable.into();
    report["documents"] = found.documents.into();
    report["mended"] = found.mended.into();
    report["attachments"] = found.attachments.into();
    report["wanted_again"] = found.wanted_again.into();
    report["removed"] = found.removed.into();
    report["faults"] = found.faults.clone().into();
}

fn next(found: &Scrubbed) -> &'static str {
    if found.unreadable > 0 || !found.faults.is_empty() {
        "the disk does not give back what was written: let everything be uploaded, replace the \
         disk, then restore the relay's backup or enrol the box anew"
    } else if found.clean() {
        "nothing to do"
    } else {
        "what is missing comes back with the next contact; look at the disk's health"
    }
}

/// So many of the latest repairs are told.
const REPAIRS_TOLD: u32 = 5;

/// What status says of the store.
///
/// # Errors
/// When the store fails.
pub fn status(replica: &Replica) -> Result<Value, Failure> {
    let scrub = replica.scrub_status().map_err(failed)?;
    let mut told = json!({
        "percent": scrub.percent, "ended_ms": scrub.ended_ms, "to_heal": scrub.to_heal,
    });
    put(&mut told, &scrub.found);
    let rebuilding = replica.rebuilding().map_err(failed)?;
    let disk = replica.disk();
    let repairs = replica.store().read(|view| view.repairs(REPAIRS_TOLD)).map_err(failed)?;
    let repairs: Vec<Value> = repairs
        .into_iter()
        .map(|r| {
            json!({
                "at_ms": r.at_ms, "peer": r.peer, "scope": r.scope,
                "received": r.received, "given": r.given, "equal": r.equal,
            })
        })
        .collect();
    Ok(json!({
        "rebuilding": rebuilding, "scrub": told, "repairs": repairs,
        "disk": {
            "room": replica.room().key(),
            "free": disk.map(|disk| disk.free), "total": disk.map(|disk| disk.total),
            "ballast": replica.store().ballast(),
        },
    }))
}

/// Prints how far a long work is: for people to standard error, as a line of JSON to standard
/// output.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "progress goes to the terminal")]
pub fn show_progress(as_json: bool, words: &str) {
    match serde_json::from_str::<Value>(words) {
        Ok(line) if as_json && line.is_object() => println!("{line}"),
        Ok(line) if line["of"].is_u64() => eprintln!("  {} / {}", line["done"], line["of"]),
        Ok(line) if line.is_object() => eprintln!("  {}", line["done"]),
        _ => eprintln!("  {words}"),
    }
}
