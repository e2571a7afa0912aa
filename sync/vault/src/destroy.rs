//! The end of a revoked box: its keys are destroyed, then it says so, then it forgets who it was.

use crate::{OPEN_DB, Vault, VaultError, inbox, rescue, unlock};
use cunkou_casework::event::encode;
use cunkou_keys::HardwareSecret;
use cunkou_replica::LastWord;
use cunkou_store::StoreError;
use std::fs;
use std::io::Write;
use std::path::Path;

const LAST_WORD: &str = "last word";
const MARKER: &str = "destroyed.txt";

/// What a folder says whose box has destroyed its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destroyed {
    /// When, milliseconds; 0 when the marker cannot be read.
    pub at_ms: i64,
}

impl Destroyed {
    /// Whether the box of this folder has destroyed its keys.
    #[must_use]
    pub fn in_folder(folder: &Path) -> Option<Self> {
        let text = fs::read_to_string(folder.join(MARKER)).ok()?;
        let at_ms = text.lines().next().and_then(|line| line.trim().parse().ok()).unwrap_or(0);
        Some(Self { at_ms })
    }
}

impl Vault {
    /// Whether the county log, as far as it is here, has revoked this box.
    #[must_use]
    pub fn is_revoked(&self) -> bool {
        self.open.county().device_revoked_at(self.enrolled.device).is_some()
    }

    pub(crate) fn stored_last_word(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.open.store().read(|view| view.meta(LAST_WORD))
    }

    /// Destroys everything that opens what is readable: slots, wrapped keys, inbox and its secret,
    /// in one transaction with the signed last word; then the databases' files. The device's own
    /// key stays until the county has heard. Doing it again is no fault.
    ///
    /// # Errors
    /// [`VaultError`]; it is then to be tried again.
    pub fn destroy(&self) -> Result<(), VaultError> {
        let _turn = self.lock_turn();
        let device = self.enrolled.device;
        let Some(position) = self.open.county().device_revoked_at(device) else {
            return Ok(());
        };
        let key = &self.open.me().key;
        let word = LastWord::sign(self.enrolled.county, device, position, self.open.now_ms(), key);
        self.open.store().write(|tx| -> Result<(), StoreError> {
            if tx.meta(LAST_WORD)?.is_none() {
                tx.set_meta(LAST_WORD, &encode(&word))?;
            }
            // An empty list, not none: a box without slots never opens, a fresh one would.
            tx.set_meta(unlock::SLOTS, &encode(&Vec::<cunkou_keys::Slot>::new()))?;
            tx.forget_meta(inbox::SECRET)?;
            tx.forget_meta(rescue::RESCUES)?;
            tx.clear_inbox()?;
            tx.forget_credentials()
        })?;
        // secure_delete has overwritten them; now the write-ahead log goes, too.
        self.open.store().checkpoint()?;
        for name in ["work.db", "work.db-wal", "work.db-shm"] {
            remove(&self.folder.join(name))?;
        }
        for name in ["attachments", "practice"] {
            match fs::remove_dir_all(self.folder.join(name)) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e.into()),
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether [`Vault::destroy`] has been done and the county has yet to hear of it.
    ///
    /// # Errors
    /// When the store fails.
    pub fn has_destroyed(&self) -> Result<bool, StoreError> {
        Ok(self.stored_last_word()?.is_some())
    }

    /// The county has heard: the device's own key and the machine's secret go as well. Only a
    /// marker stays that says what happened.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn forget_everything(&self, machine: &dyn HardwareSecret) -> Result<(), VaultError> {
        let folder = &self.folder;
        let at_ms = self.open.now_ms();
        let mut marker = fs::File::create(folder.join(MARKER))?;
        let words = "这台盒子已被县里撤销,钥匙已销毁,数据不能再打开。请联系县信息员。\n\
                     The county revoked this box. It has destroyed its keys; its data never opens again.";
        writeln!(marker, "{at_ms}\n{words}")?;
        marker.sync_all()?;
        machine.destroy()?;
        for name in [OPEN_DB, "open.db-wal", "open.db-shm"] {
            remove(&folder.join(name))?;
        }
        Ok(())
    }
}

fn remove(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}
