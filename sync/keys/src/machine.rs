//! The machine's secret: in a file, or sealed by a TPM 2.

use crate::{Key, KeyError};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// 32 bytes that belong to this machine. Implement it for other chips.
pub trait HardwareSecret: std::fmt::Debug + Send + Sync {
    /// What it is, for status and logs.
    fn name(&self) -> &'static str;
    /// The secret, if it was made before.
    ///
    /// # Errors
    /// [`KeyError`].
    fn load(&self) -> Result<Option<Key>, KeyError>;
    /// Makes it.
    ///
    /// # Errors
    /// [`KeyError`].
    fn create(&self) -> Result<Key, KeyError>;
    /// Destroys it; what it locked never opens again on this machine.
    ///
    /// # Errors
    /// [`KeyError`].
    fn destroy(&self) -> Result<(), KeyError>;
}

/// The secret of the machine that holds this folder: the TPM when one sealed it or when one is
/// there and nothing was made yet and `prefer_chip`, else the file.
#[must_use]
pub fn machine_secret(folder: &Path, prefer_chip: bool) -> Box<dyn HardwareSecret> {
    let chip = Tpm2::in_folder(folder);
    let file = FileSecret::in_folder(folder);
    if chip.exists() || (prefer_chip && !file.path.exists() && chip.is_there()) {
        Box::new(chip)
    } else {
        Box::new(file)
    }
}

/// Writes a file that only its owner reads, whole or not at all.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let part = path.with_extension("part");
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&part, path)?;
    File::open(path.parent().unwrap_or(path))?.sync_all()
}

/// Overwrites a file and removes it. On flash the old cells may live on: see docs/at-rest.md.
fn wipe(path: &Path) -> std::io::Result<()> {
    let mut file = match fs::OpenOptions::new().write(true).open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
    };
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(0);
    file.write_all(&vec![0; length])?;
    file.sync_all()?;
    drop(file);
    fs::remove_file(path)?;
    File::open(path.parent().unwrap_or(path))?.sync_all()
}

/// A file beside the data, readable by its owner alone. Who takes the disk takes it along.
#[derive(Clone, Debug)]
pub struct FileSecret {
    path: PathBuf,
}

impl FileSecret {
    /// `machine.key` in this folder.
    #[must_use]
    pub fn in_folder(folder: &Path) -> Self {
        Self { path: folder.join("machine.key") }
    }

    fn failed(&self, source: std::io::Error) -> KeyError {
        KeyError::Machine { path: self.path.clone(), source }
    }
}

impl HardwareSecret for FileSecret {
    fn name(&self) -> &'static str {
        "file"
    }

    fn load(&self) -> Result<Option<Key>, KeyError> {
        let mut bytes = Vec::new();
        match File::open(&self.path) {
            Ok(file) => file.take(64).read_to_end(&mut bytes).map_err(|e| self.failed(e))?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(self.failed(e)),
        };
        let key: [u8; 32] = bytes.try_into().map_err(|_| KeyError::Wrong)?;
        Ok(Some(Key::of(key)))
    }

    fn create(&self) -> Result<Key, KeyError> {
        let key = Key::random()?;
        write_private(&self.path, key.bytes()).map_err(|e| self.failed(e))?;
        Ok(key)
    }

    fn destroy(&self) -> Result<(), KeyError> {
        wipe(&self.path).map_err(|e| self.failed(e))
    }
}

/// A TPM 2, by the programs of Debian's tpm2-tools: the secret is sealed under the chip's owner
/// hierarchy, the two files beside the data are useless without this very chip.
#[derive(Clone, Debug)]
pub struct Tpm2 {
    folder: PathBuf,
    /// How tpm2-tools reach the chip, when not by their own default.
    tcti: Option<String>,
}

impl Tpm2 {
    /// `machine.tpm-pub` and `machine.tpm-priv` in this folder.
    #[must_use]
    pub fn in_folder(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), tcti: None }
    }

    /// The same, by another way to the chip, e.g. `swtpm:path=…`.
    #[must_use]
    pub fn reached_by(self, tcti: &str) -> Self {
        Self { tcti: Some(tcti.to_owned()), ..self }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn exists(&self) -> bool {
        self.path("machine.tpm-priv").exists()
    }

    /// Whether a chip and its programs are here.
    #[must_use]
    pub fn is_there(&self) -> bool {
        let chip =
            Path::new("/dev/tpmrm0").exists() || std::env::var_os("TPM2TOOLS_TCTI").is_some();
        chip && self.run("tpm2_getcap", &["properties-fixed"], None).is_ok()
    }

    fn run(&self, program: &str, args: &[&str], input: Option<&[u8]>) -> Result<Vec<u8>, KeyError> {
        let chip = |e: String| KeyError::Chip(format!("{program}: {e}"));
        let mut command = Command::new(program);
        if let Some(tcti) = &self.tcti {
            command.env("TPM2TOOLS_TCTI", tcti);
        }
        let mut child = command
            .args(args)
            .current_dir(&self.folder)
            .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| chip(e.to_string()))?;
        if let (Some(input), Some(mut pipe)) = (input, child.stdin.take()) {
            pipe.write_all(input).map_err(|e| chip(e.to_string()))?;
        }
        let done = child.wait_with_output().map_err(|e| chip(e.to_string()))?;
        if done.status.success() {
            Ok(done.stdout)
        } else {
            Err(chip(String::from_utf8_lossy(&done.stderr).trim().to_owned()))
        }
    }

    /// The primary key is derived by the chip from its own seed: the same each time.
    fn primary(&self) -> Result<(), KeyError> {
        let args = ["-Q", "-C", "o", "-g", "sha256", "-G", "ecc", "-c", "machine.tpm-ctx"];
        self.run("tpm2_createprimary", &args, None).map(|_| self.flush())
    }

    /// A chip has room for three objects; without a resource manager they stay until told to go.
    /// What is needed again is in a context file.
    fn flush(&self) {
        let _ = self.run("tpm2_flushcontext", &["-t"], None);
    }

    fn clear_context(&self) {
        for name in ["machine.tpm-ctx", "machine.tpm-obj"] {
            let _ = fs::remove_file(self.path(name));
        }
        self.flush();
    }
}

impl HardwareSecret for Tpm2 {
    fn name(&self) -> &'static str {
        "tpm2"
    }

    fn load(&self) -> Result<Option<Key>, KeyError> {
        if !self.exists() {
            return Ok(None);
        }
        self.primary()?;
        let load = [
            "-Q",
            "-C",
            "machine.tpm-ctx",
            "-u",
            "machine.tpm-pub",
            "-r",
            "machine.tpm-priv",
            "-c",
            "machine.tpm-obj",
        ];
        let bytes = self
            .run("tpm2_load", &load, None)
            .map(|_| self.flush())
            .and_then(|()| self.run("tpm2_unseal", &["-c", "machine.tpm-obj"], None));
        self.clear_context();
        let key: [u8; 32] = bytes?.try_into().map_err(|_| KeyError::Wrong)?;
        Ok(Some(Key::of(key)))
    }

    fn create(&self) -> Result<Key, KeyError> {
        let key = Key::random()?;
        self.primary()?;
        let create = [
            "-Q",
            "-C",
            "machine.tpm-ctx",
            "-i",
            "-",
            "-u",
            "machine.tpm-pub",
            "-r",
            "machine.tpm-priv",
            "-a",
            "fixedtpm|fixedparent|userwithauth|noda",
        ];
        let made = self.run("tpm2_create", &create, Some(key.bytes()));
        self.clear_context();
        made?;
        Ok(key)
    }

    fn destroy(&self) -> Result<(), KeyError> {
        for name in ["machine.tpm-priv", "machine.tpm-pub"] {
            let path = self.path(name);
            wipe(&path).map_err(|source| KeyError::Machine { path, source })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_file_is_its_owners_alone_stays_the_same_and_can_be_destroyed() {
        let folder = tempfile::tempdir().expect("a folder");
        let secret = FileSecret::in_folder(folder.path());
        assert_eq!(secret.load().expect("readable"), None);
        let key = secret.create().expect("made");
        assert_eq!(secret.load().expect("readable"), Some(key));
        let path = folder.path().join("machine.key");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        secret.destroy().expect("destroyed");
        assert!(!path.exists());
        secret.destroy().expect("destroying twice is no fault");
    }

    #[test]
    fn a_damaged_file_is_an_error_and_not_another_key() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("machine.key"), b"short").expect("written");
        assert!(FileSecret::in_folder(folder.path()).load().is_err());
    }
}
