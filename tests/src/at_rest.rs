//! Opening the data of a running or killed node the way the county does: with its recovery key and
//! the machine's secret.

use anyhow::{Context, Result};
use cunkou_keys::{BoxSecret, FileSecret, HardwareSecret, Key};
use cunkou_store::{Lock, Store};
use rusqlite::Connection;
use std::path::Path;

/// The key of the readable database in a node's folder; `relay` is the relay's folder, where the
/// recovery key lies as founding left it.
///
/// # Errors
/// When it does not open.
pub fn work_key(relay: &Path, node: &Path) -> Result<Key> {
    let machine = FileSecret::in_folder(node).load()?.context("no machine key")?;
    if node.join("county.sealed").exists() {
        return Ok(machine.derive("relay work.db"));
    }
    let text = std::fs::read_to_string(relay.join("offline").join("recovery.key"))?;
    let mut secret = [0; 32];
    for (i, byte) in secret.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.trim().get(2 * i..2 * i + 2).context("short")?, 16)?;
    }
    Ok(cunkou_vault::recover(node, &machine, &BoxSecret::of(Key::of(secret)))?.1)
}

/// The database of that name of a stopped node that its machine's secret alone opens.
///
/// # Errors
/// When it does not open.
pub fn open_store(node: &Path, name: &str) -> Result<Store> {
    let machine = FileSecret::in_folder(node).load()?.context("no machine key")?;
    Ok(Store::open_as(node, name, &Lock::Key(machine.derive(name)))?)
}

/// The readable database of a node, at `folder` (its own folder or a copy of it).
///
/// # Errors
/// When it does not open.
pub fn database(relay: &Path, folder: &Path) -> Result<Connection> {
    let key = work_key(relay, folder)?;
    let digits: String = key.bytes().iter().map(|b| format!("{b:02x}")).collect();
    let db = Connection::open(folder.join("work.db"))?;
    db.pragma_update(None, "key", format!("x'{digits}'"))?;
    db.busy_timeout(std::time::Duration::from_secs(10))?;
    Ok(db)
}
