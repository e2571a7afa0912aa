//! Leases over the phone, backups, and opening a box for the county.

use crate::certificates;
use crate::home::{self, Home};
use cunkou_casework::hex;
use cunkou_edge::cli::{Exit, Failure};
use cunkou_edge::storage::recovery_secret;
use cunkou_keys::{
    ArchiveKind, ArchiveReader, ArchiveWriter, EXTENSION_DIGITS, Key, extension_code,
    machine_secret,
};
use cunkou_replica::{Guard, SystemWorld, begin_again, new_epoch};
use cunkou_store::{Lock, Store, StoreError};
use cunkou_vault::{EXTENSION_DAYS, Vault};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

/// A relay's backups.
const KIND: ArchiveKind = ArchiveKind { magic: b"CKB1", info: b"cunkou backup v1\0" };

fn failed(e: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Failed, e.to_string())
}

fn damaged() -> Failure {
    failed("the backup is damaged, or the recovery key is another county's")
}

impl Home {
    /// The code that extends a box's lease.
    pub(crate) fn extend_lease(&self, device: &str, challenge: &str) -> Result<Value, Failure> {
        let device = self.find_box(device)?;
        if !self.replica.county().device_counts(device) {
            return Err(Failure::new(
                Exit::Refused,
                "this box is revoked; its lease is not extended",
            ));
        }
        let digits: String = challenge.chars().filter(char::is_ascii_digit).collect();
        if digits.len() != cunkou_keys::CHALLENGE_DIGITS as usize {
            return Err(Failure::new(Exit::Usage, "the number on the box has 8 digits"));
        }
        let code = extension_code(&self.lease_secret(device), &device.0, &digits, EXTENSION_DAYS);
        debug_assert_eq!(code.len(), EXTENSION_DIGITS as usize);
        tracing::info!(%device, days = EXTENSION_DAYS, "a lease extension was read out");
        Ok(json!({
            "schema": 1, "device": device.to_string(), "days": EXTENSION_DAYS, "code": code,
            "next": "read the code over the phone; it works once, for this number",
        }))
    }

    /// Writes a backup: a snapshot of the database, every attachment, and what the folder keeps.
    pub(crate) fn back_up(&self, out: &Path, progress: &dyn Fn(String)) -> Result<Value, Failure> {
        let snapshot = self.data.join("backup.part");
        let _ = fs::remove_file(&snapshot);
        let store = self.replica.store();
        store.snapshot(&snapshot).map_err(failed)?;
        let written = self.write_backup(out, &snapshot, progress);
        let _ = fs::remove_file(&snapshot);
        if written.is_err() {
            let _ = fs::remove_file(out);
        }
        let attachments = written?;
        Ok(json!({ "schema": 1, "file": out, "attachments": attachments }))
    }

    fn write_backup(
        &self,
        out: &Path,
        snapshot: &Path,
        progress: &dyn Fn(String),
    ) -> Result<u64, Failure> {
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(out);
        let file = file.map_err(|e| failed(format!("{}: {e}", out.display())))?;
        let mut to =
            ArchiveWriter::begin(BufWriter::new(file), KIND, &self.recovery).map_err(failed)?;
        let (kept, key) = home::read_kept(&self.data)?;
        to.member("county", &kept).map_err(failed)?;
        to.member("certificates", &certificates::content(&self.data)?).map_err(failed)?;
        to.member("key", home::work_key(&key).bytes()).map_err(failed)?;
        let database = File::open(snapshot).map_err(failed)?;
        to.file("work.db", database, |_| ()).map_err(failed)?;
        let store = self.replica.store();
        let here = store.read(|view| view.attachments_here()).map_err(|e: StoreError| failed(e))?;
        let mut count = 0;
        for id in here {
            if let Some(bytes) = store.read_attachment(&id).map_err(failed)? {
                let name = format!("attachment {}", hex::encode(&id));
                to.member(&name, &bytes).map_err(failed)?;
                count += 1;
                if count % 500 == 0 {
                    progress(format!("{count} attachments"));
                }
            }
        }
        let file = to.finish().map_err(failed)?;
        let file = file.into_inner().map_err(|e| failed(e.to_string()))?;
        file.sync_all().map_err(failed)?;
        Ok(count)
    }
}

/// Makes a county's folder from a backup: under this machine's own secret, with a new epoch, so
/// that every box reads and gives anew what the backup does not know.
pub(crate) fn restore(data: &Path, from: &Path, key: &Path) -> Result<Value, Failure> {
    let secret = recovery_secret(key)?;
    if fs::read_dir(data).is_ok_and(|mut found| found.next().is_some()) {
        let words = format!("{} is not empty; choose another folder", data.display());
        return Err(Failure::new(Exit::Refused, words));
    }
    let file = File::open(from).map_err(|e| failed(format!("{}: {e}", from.display())))?;
    let mut backup = ArchiveReader::begin(BufReader::new(file), KIND, &secret).map_err(failed)?;
    fs::create_dir_all(data).map_err(failed)?;
    let restored = restore_into(data, &mut backup);
    if restored.is_err() {
        // Half a county is none.
        let _ = fs::remove_dir_all(data);
    }
    restored
}

fn restore_into<R: Read>(data: &Path, backup: &mut ArchiveReader<R>) -> Result<Value, Failure> {
    let machine = machine_secret(data, true).create().map_err(failed)?;
    let part = data.join("restore.part");
    let (mut kept, mut old) = (None, None);
    let mut database = File::create(&part).map_err(failed)?;
    let mut attachment = None;
    while let Some((name, content)) = backup.member().map_err(failed)? {
        match name.as_str() {
            "county" => kept = Some(content),
            "certificates" => certificates::restore(data, &content)?,
            "key" => old = <[u8; 32]>::try_from(&content[..]).ok().map(Key::of),
            "work.db" => database.write_all(&content).map_err(failed)?,
            _ => {
                attachment = Some((name, content));
                break;
            }
        }
    }
    database.sync_all().map_err(failed)?;
    let (Some(kept), Some(old)) = (kept, old) else { return Err(damaged()) };
    let lock = home::work_lock(&machine);
    Store::rewrap(&part, &Lock::Key(old), &data.join("work.db"), &lock).map_err(failed)?;
    fs::remove_file(&part).map_err(failed)?;
    let store = Store::open(data, &lock).map_err(failed)?;
    let mut attachments = 0;
    while let Some((name, content)) = attachment {
        let id = name.strip_prefix("attachment ").and_then(hex::decode);
        let id: [u8; 32] = id.and_then(|id| id.try_into().ok()).ok_or_else(damaged)?;
        store.write_attachment(&id, &content).map_err(failed)?;
        attachments += 1;
        attachment = backup.member().map_err(failed)?;
    }
    // A restored log may have gone back: boxes must not trust the cursors they had in it.
    begin_again(&store, &new_epoch(&SystemWorld)).map_err(failed)?;
    let faults = store.faults().map_err(failed)?;
    drop(store);
    home::write_kept(data, &machine, &kept)?;
    // Opening it derives rows anew and applies what the county log says, erasures among it.
    let home = home::open(data)?.ok_or_else(|| failed("the folder is in use"))?;
    Ok(json!({
        "schema": 1, "county": home.replica.county().name(), "attachments": attachments,
        "faults": faults,
        "next": "start it where boxes look for the relay; they bring what the backup lacks",
    }))
}

/// Opens a stopped box for the county.
pub(crate) fn recover(folder: &Path, key: &Path, give_slots: bool) -> Result<Value, Failure> {
    let secret = recovery_secret(key)?;
    let machine = machine_secret(folder, false).load().map_err(failed)?;
    let machine = machine.ok_or_else(|| failed("the machine's secret is not in this folder"))?;
    let (enrolled, work) = cunkou_vault::recover(folder, &machine, &secret)
        .map_err(|e| failed(format!("{}: {e}", folder.display())))?;
    let store = Store::open(folder, &Lock::Key(work)).map_err(failed)?;
    let (entries, unsent) = store
        .read(|view| Ok((view.entry_count()?, view.unsent()?)))
        .map_err(|e: StoreError| failed(e))?;
    let faults = store.faults().map_err(failed)?;
    drop(store);
    let slots = if give_slots {
        let vault = Vault::open(folder, &machine, Arc::new(SystemWorld), Guard::in_this_process)
            .map_err(failed)?;
        Some(cunkou_vault::recover_in_place(&vault, &secret).map_err(failed)?)
    } else {
        None
    };
    Ok(json!({
        "schema": 1, "device": enrolled.device.to_string(), "entries": entries,
        "unsent": unsent.entries, "faults": faults, "slots": slots,
    }))
}
