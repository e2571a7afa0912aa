//! The ferry: sealed bundles through watched folders, where a gate (网闸) moves files one way per
//! folder, between two relays or a relay and a box.
//!
//! `out/` is what the gate takes away, `in/` where it puts what came; what was read goes to
//! `done/`, what will never be taken to `refused/` with a sentence beside it. A round does what is
//! due and can be cut anywhere: the next one goes on.

use super::files::{read, write};
use super::{Beginning, Fault, SIZE_USUAL, Wanted};
use crate::cli::{Exit, Failure};
use cunkou_casework::county::Device;
use cunkou_casework::ids::DeviceId;
use cunkou_engine::{BATCH_BYTES, Port};
use cunkou_replica::Replica;
use cunkou_store::{BundleOut, How};
use cunkou_ui::Lang;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::signal::unix::{SignalKind, signal};

/// A file that does not grow for so long is not on its way any more: it is refused. Milliseconds.
const PATIENCE_MS: i64 = 3_600_000;
/// So many files that were read are kept.
const KEPT: usize = 50;
/// Under what the store keeps how the ferry stands.
const META: &str = "ferry";

/// What one round is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Round {
    /// The folder with `out`, `in`, `done` and `refused`.
    pub folder: PathBuf,
    /// Who is on the other side.
    pub to: DeviceId,
    /// What was not acknowledged for so many seconds is sent again.
    pub resend_s: u32,
}

/// What a round did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Bundles taken in.
    pub taken: u64,
    /// Files that are not whole yet, or wait for one before them.
    pub waiting: u64,
    /// Files refused.
    pub refused: u64,
    /// The number of the bundle that was made.
    pub made: Option<u64>,
    /// A bundle is on its way and not acknowledged.
    pub in_flight: bool,
    /// Files that were not whole when they were read, with their length then.
    cut: BTreeMap<String, u64>,
}

impl Done {
    /// For programs.
    #[must_use]
    pub fn value(&self) -> Value {
        json!({
            "schema": 1, "taken": self.taken, "waiting": self.waiting, "refused": self.refused,
            "made": self.made, "in_flight": self.in_flight,
        })
    }
}

fn disk(path: &Path) -> impl Fn(std::io::Error) -> Fault {
    let shown = path.display().to_string();
    move |e| Fault::Disk(format!("{shown}: {e}"))
}

/// Does one round: takes in what came, removes what was acknowledged, makes what is due.
///
/// # Errors
/// [`Fault`] of our own disk or store; a fault of a file that came refuses that file alone.
pub fn round(replica: &Arc<Replica>, round: &Round) -> Result<Done, Fault> {
    for name in ["in", "out", "done", "refused"] {
        let folder = round.folder.join(name);
        fs::create_dir_all(&folder).map_err(disk(&folder))?;
    }
    let device = replica.county().device(round.to).ok_or(Fault::Unknown)?.clone();
    let mut done = Done::default();
    take_in(replica, round, &mut done)?;
    forget(&round.folder.join("done"))?;
    tidy(replica, round)?;
    send(replica, round, &device, &mut done)?;
    note(replica, round, &device, &done)?;
    Ok(done)
}

fn bundles(folder: &Path) -> Result<Vec<PathBuf>, Fault> {
    let mut out = Vec::new();
    for entry in fs::read_dir(folder).map_err(disk(folder))? {
        let path = entry.map_err(disk(folder))?.path();
        let hidden = path.file_name().is_none_or(|n| n.to_string_lossy().starts_with('.'));
        if !hidden && path.is_file() && path.extension().is_some_and(|e| e == "bundle") {
            out.push(path);
        }
    }
    out.sort();
    Ok(out)
}

fn take_in(replica: &Arc<Replica>, round: &Round, done: &mut Done) -> Result<(), Fault> {
    let folder = round.folder.join("in");
    let before = standing(replica)?
        .and_then(|said| serde_json::from_value::<BTreeMap<String, u64>>(said["cut"].clone()).ok());
    let before = before.unwrap_or_default();
    // What waits for one before it may follow once that one was read.
    loop {
        let (mut read_one, mut waiting) = (false, 0);
        for path in bundles(&folder)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let length = fs::metadata(&path).map_or(0, |m| m.len());
            let known = before.get(&name).or_else(|| done.cut.get(&name));
            if known == Some(&length) && still_arriving(&path, replica.now_ms()) {
                done.cut.insert(name, length);
                waiting += 1;
                continue;
            }
            match read(replica, &path, How::Ferry, &|_, _| {}) {
                Ok(_) => {
                    put_away(&path, &round.folder.join("done"))?;
                    read_one = true;
                    done.taken += 1;
                }
                Err(Fault::Cut) if still_arriving(&path, replica.now_ms()) => {
                    done.cut.insert(name, length);
                    waiting += 1;
                }
                Err(Fault::Gap { .. }) => waiting += 1,
                Err(fault @ (Fault::Disk(_) | Fault::Ours(_))) => return Err(fault),
                Err(fault) => {
                    refuse(&path, &round.folder.join("refused"), &fault)?;
                    done.refused += 1;
                }
            }
        }
        done.waiting = waiting;
        if !read_one || waiting == 0 {
            return Ok(());
        }
    }
}

/// Whether a file that is not whole has changed not long ago.
fn still_arriving(path: &Path, now_ms: i64) -> bool {
    let changed = fs::metadata(path).and_then(|m| m.modified()).ok();
    let since = changed.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
    let changed_ms = since.and_then(|since| i64::try_from(since.as_millis()).ok());
    changed_ms.is_none_or(|at| now_ms.saturating_sub(at) < PATIENCE_MS)
}

fn put_away(path: &Path, folder: &Path) -> Result<(), Fault> {
    let name = path.file_name().unwrap_or_default();
    fs::rename(path, folder.join(name)).map_err(disk(path))
}

fn refuse(path: &Path, folder: &Path, fault: &Fault) -> Result<(), Fault> {
    put_away(path, folder)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let words = folder.join(format!("{name}.txt"));
    let text = format!("{}\n{}\n", fault.words(Lang::Zh), fault.words(Lang::En));
    tracing::warn!(file = name, "the ferry refused a file");
    fs::write(&words, text).map_err(disk(&words))
}

/// Only the last files that were read are kept.
fn forget(folder: &Path) -> Result<(), Fault> {
    let mut files: Vec<(SystemTime, PathBuf)> = bundles(folder)?
        .into_iter()
        .map(|path| {
            let at = fs::metadata(&path).and_then(|m| m.modified());
            (at.unwrap_or(SystemTime::UNIX_EPOCH), path)
        })
        .collect();
    files.sort();
    let over = files.len().saturating_sub(KEPT);
    for (_, path) in &files[..over] {
        fs::remove_file(path).map_err(disk(path))?;
    }
    Ok(())
}

fn made_for(replica: &Replica, device: DeviceId) -> Result<Vec<BundleOut>, Fault> {
    replica.store().read(|view| view.bundles_out(&device.0, 500).map_err(Fault::from))
}

/// Up to which number the other side has everything: a series that was acknowledged to its end
/// began at what was acknowledged before.
fn covered(made: &[BundleOut]) -> u64 {
    made.iter().find(|b| b.acked_ms.is_some() && !b.more).map_or(0, |b| b.number)
}

/// Removes from `out/` what the other side has, or what a later acknowledged bundle held as well.
fn tidy(replica: &Replica, round: &Round) -> Result<(), Fault> {
    let made = made_for(replica, round.to)?;
    let covered = covered(&made);
    let latest = made.first().map_or(0, |b| b.number);
    for path in bundles(&round.folder.join("out"))? {
        let number = path
            .file_stem()
            .and_then(|stem| stem.to_string_lossy().rsplit('-').next()?.parse::<u64>().ok());
        let of = number.and_then(|n| made.iter().find(|b| b.number == n));
        let over = of.is_some_and(|b| {
            // What holds nothing is never acknowledged: the next one says the same and more.
            let empty = b.held() == 0 && b.number < latest;
            b.acked_ms.is_some() || b.number < covered || empty
        });
        if over {
            fs::remove_file(&path).map_err(disk(&path))?;
        }
    }
    Ok(())
}

fn send(
    replica: &Arc<Replica>,
    round: &Round,
    device: &Device,
    done: &mut Done,
) -> Result<(), Fault> {
    let made = made_for(replica, device.id)?;
    let now_ms = replica.now_ms();
    let (acked_ms, came_ms) = replica.store().read(|view| -> Result<_, Fault> {
        let came = view.bundles_in(&device.id.0, 500)?;
        let held = came.iter().filter(|b| b.held > 0).map(|b| b.came_ms).max();
        Ok((made.first().map(|b| b.made_ms), held))
    })?;
    // Whoever sent something is to hear that it came; a mere acknowledgement is not acknowledged.
    let owes = came_ms.is_some_and(|came| acked_ms.is_none_or(|at| came >= at));
    let full = made.first().is_some_and(|b| b.more);
    let wait_ms = i64::from(round.resend_s) * 1000;
    let covered = covered(&made);
    let mut open =
        made.iter().filter(|b| b.acked_ms.is_none() && b.held() > 0 && b.number > covered);
    let newest = open.next();
    let flying = newest.is_some_and(|b| now_ms.saturating_sub(b.made_ms) < wait_ms);
    // What was not acknowledged in time goes again, whatever else there is.
    let has = newest.is_some() || has_news(replica, device)?;
    done.in_flight = flying;
    if !(owes || full || (has && !flying)) {
        return Ok(());
    }
    let wanted = Wanted { to: device.id, size: SIZE_USUAL, from: Beginning::Next, how: How::Ferry };
    let (made, _) = write(replica, &wanted, &round.folder.join("out"), &|_| {})?;
    done.made = Some(made.bundle.number);
    done.in_flight |= made.bundle.held() > 0;
    Ok(())
}

/// Round after round until the program is stopped: `ask` does one, `told` hears of each that did
/// something, `failed` of our own faults, which are tried again.
///
/// # Errors
/// What is refused by a rule, or told to be used otherwise.
pub async fn keep<F>(
    every: Duration,
    ask: impl Fn() -> F,
    told: impl Fn(&Value),
    failed: impl Fn(&str),
) -> Result<(), Failure>
where
    F: Future<Output = Result<Value, Failure>>,
{
    let broken = |e: std::io::Error| Failure::new(Exit::Failed, e.to_string());
    let mut terminate = signal(SignalKind::terminate()).map_err(broken)?;
    loop {
        match ask().await {
            Ok(done) => {
                let idle = done["taken"] == 0 && done["refused"] == 0 && done["made"].is_null();
                if !idle {
                    told(&done);
                }
            }
            // A machine that is starting, stopping or locked is asked again.
            Err(failure) if !matches!(failure.exit, Exit::Usage | Exit::NotEnrolled) => {
                failed(&failure.words);
            }
            Err(failure) => return Err(failure),
        }
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            _ = terminate.recv() => return Ok(()),
            stopped = tokio::signal::ctrl_c() => return stopped.map_err(broken),
        }
    }
}

/// How a ferry is run, as said at the command line.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct FerryLimits {
    /// One round, then end.
    #[arg(long)]
    pub once: bool,
    /// Look into the folders every so many seconds.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub every: u32,
    /// Send again what was not acknowledged for so many seconds.
    #[arg(long, default_value_t = 1800)]
    pub resend: u32,
}

/// Whether the other side has not acknowledged something that is ours to give.
fn has_news(replica: &Arc<Replica>, device: &Device) -> Result<bool, Fault> {
    let peer = replica.admit_peer(&device.key.0).map_err(|e| Fault::NotOurs(e.words))?;
    let asked = replica.store().read(|view| view.asked_for(&device.id.0).map_err(Fault::from))?;
    if !asked.is_empty() {
        return Ok(true);
    }
    for scope in &peer.scopes {
        let (mut after, head) = replica.store().read(|view| -> Result<_, Fault> {
            let known = view.peer(&peer.device)?;
            let acked = known.map_or(Ok(0), |k| view.acked(k.id, scope))?;
            Ok((acked, view.head(scope)?))
        })?;
        while after < head {
            let part = replica.load(&peer, scope, after, BATCH_BYTES);
            let part = part.map_err(|e| Fault::Ours(e.to_string()))?;
            if !part.entries.is_empty() {
                return Ok(true);
            }
            if part.upto <= after {
                break;
            }
            after = part.upto;
        }
    }
    Ok(false)
}

fn note(replica: &Replica, round: &Round, device: &Device, done: &Done) -> Result<(), Fault> {
    let mut said = standing(replica)?.unwrap_or_else(|| json!({}));
    said["folder"] = json!(round.folder);
    said["to"] = json!(device.name);
    said["round_ms"] = json!(replica.now_ms());
    for key in ["waiting", "in_flight"] {
        said[key] = done.value()[key].clone();
    }
    said["cut"] = json!(done.cut);
    if done.taken > 0 {
        said["taken_ms"] = json!(replica.now_ms());
    }
    if let Some(number) = done.made {
        said["made_ms"] = json!(replica.now_ms());
        said["made"] = json!(number);
    }
    let refused = bundles(&round.folder.join("refused"))?.len();
    said["refused"] = json!(refused);
    let text = said.to_string();
    replica.store().write(|tx| tx.set_meta(META, text.as_bytes()).map_err(Fault::from))
}

/// How the ferry stands, for `status`; nothing where none has run.
///
/// # Errors
/// When the store fails.
pub fn standing(replica: &Replica) -> Result<Option<Value>, Fault> {
    let text = replica.store().read(|view| view.meta(META).map_err(Fault::from))?;
    Ok(text.and_then(|text| serde_json::from_slice(&text).ok()))
}
