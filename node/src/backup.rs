//! The box's backup, and a box made of one.

use crate::command::{not_running, show};
use crate::home::{self, failed};
use crate::keeper::Keeper;
use crate::options::Options;
use crate::wallet;
use cunkou_casework::calendar::china_day;
use cunkou_edge::cli::{Exit, Failure};
use cunkou_edge::{control, storage};
use cunkou_keys::machine_secret;
use cunkou_replica::{Guard, SystemWorld, World};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Has a running box write its backup.
pub(crate) async fn back_up(options: &Options, to: &Path) -> Result<(), Failure> {
    let to = std::path::absolute(to).map_err(failed)?;
    let progress = |words: String| storage::show_progress(options.json, &words);
    let asked = json!({ "do": "backup", "to": to });
    let Some(value) = control::ask(&options.data, &asked, &progress).await? else {
        return Err(not_running(options));
    };
    let words = format!(
        "{}: {} entries, {} photos and papers, {} bytes, read back\nonly the county's recovery key opens it",
        value["file"].as_str().unwrap_or_default(),
        value["entries"],
        value["attachments"],
        value["bytes"],
    );
    show(options.json, &value, &words);
    Ok(())
}

/// The same in the box that runs.
pub(crate) fn of_box(
    keeper: &Keeper,
    data: &Path,
    command: &Value,
    progress: &dyn Fn(String),
) -> Result<Value, Failure> {
    let open = keeper.unlocked().ok_or_else(|| failed("the box was locked meanwhile"))?;
    let to = PathBuf::from(command["to"].as_str().unwrap_or_default());
    let to = if to.is_dir() { to.join(name(keeper)) } else { to };
    if to.starts_with(data) {
        let words = "a backup in the box's own folder is lost with it; choose another disk";
        return Err(Failure::new(Exit::Refused, words));
    }
    let done = keeper
        .vault()
        .back_up(&open, &[wallet::FILE], &to, storage::hundredths(progress))
        .map_err(|e| failed(format!("{}: {e}", to.display())))?;
    Ok(json!({
        "schema": 1, "file": to, "entries": done.entries, "attachments": done.attachments,
        "bytes": done.bytes,
    }))
}

/// The name of a file in a folder.
fn name(keeper: &Keeper) -> String {
    let device = keeper.vault().enrolled().device.to_string();
    let short: String = device.chars().take(8).collect();
    format!("box-{short}-{}.ckn", china_day(keeper.open().now_ms()))
}

/// Makes a box of a backup.
pub(crate) async fn restore(options: &Options, from: &Path, key: &Path) -> Result<(), Failure> {
    let (data, from, key) = (options.data.clone(), from.to_owned(), key.to_owned());
    let work = move || restored(&data, &from, &key);
    let value = tokio::task::spawn_blocking(work).await.map_err(failed)??;
    let words = format!(
        "{} of {}: {} entries, {} photos and papers; {} people can open it\n{}",
        value["device"].as_str().unwrap_or_default(),
        value["made"].as_str().unwrap_or_default(),
        value["entries"],
        value["attachments"],
        value["people"],
        value["next"].as_str().unwrap_or_default(),
    );
    show(options.json, &value, &words);
    Ok(())
}

fn restored(data: &Path, from: &Path, key: &Path) -> Result<Value, Failure> {
    home::not_destroyed(data)?;
    let secret = storage::recovery_secret(key)?;
    let empty = fs::read_dir(data).map_or(true, |mut found| found.next().is_none());
    if !empty && !cunkou_vault::is_restoring(data) {
        let words = format!("{} is not empty; choose another folder", data.display());
        return Err(Failure::new(Exit::Refused, words));
    }
    fs::create_dir_all(data).map_err(|e| failed(format!("{}: {e}", data.display())))?;
    let machine = machine_secret(data, true);
    let world = Arc::new(SystemWorld);
    let done = cunkou_vault::restore(data, &*machine, &secret, from, world, Guard::child);
    let done = done.map_err(|e| {
        if empty {
            // What was made before the failure opens nothing and is in the way of the next try.
            let _ = machine.destroy();
            let _ = fs::remove_file(data.join(wallet::FILE));
        }
        failed(format!("{}: {e}", from.display()))
    })?;
    let age = (SystemWorld.now_ms() - done.made_ms).max(0) / (24 * 3_600_000);
    Ok(json!({
        "schema": 1, "device": done.device.to_string(), "made_ms": done.made_ms,
        "made": cunkou_edge::lists::when(done.made_ms), "age_days": age,
        "entries": done.entries, "attachments": done.attachments, "people": done.people,
        "next": "the old machine and its disk must never run again; start this one where it reaches \
                 the county before somebody works with it",
    }))
}
