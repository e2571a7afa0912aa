//! The machine's secret in a TPM 2, with the emulator swtpm as the chip. Run by `./tests/run tpm`,
//! which installs swtpm and tpm2-tools.
#![allow(missing_docs)]

use cunkou_keys::{HardwareSecret, Tpm2};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

struct Chip {
    process: Child,
    tcti: String,
    _folder: tempfile::TempDir,
}

impl Chip {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name).display().to_string();
        let process = Command::new("swtpm")
            .args(["socket", "--tpm2", "--tpmstate", &format!("dir={}", folder.path().display())])
            .args(["--server", &format!("type=unixio,path={}", path("chip"))])
            .args(["--ctrl", &format!("type=unixio,path={}", path("chip.ctrl"))])
            .args(["--flags", "not-need-init,startup-clear"])
            .stdout(Stdio::null())
            .spawn()
            .expect("swtpm starts");
        let end = Instant::now() + Duration::from_secs(10);
        while !Path::new(&path("chip")).exists() {
            assert!(Instant::now() < end, "swtpm made no socket");
            std::thread::park_timeout(Duration::from_millis(20));
        }
        // tpm2-tools look for the control socket under this name.
        Self { process, tcti: format!("swtpm:path={}", path("chip")), _folder: folder }
    }
}

impl Drop for Chip {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
#[ignore = "needs swtpm and tpm2-tools: ./tests/run tpm"]
fn the_secret_comes_back_from_its_own_chip_and_from_no_other_and_lies_on_no_disk() {
    let (chip, other) = (Chip::start(), Chip::start());
    let folder = tempfile::tempdir().expect("a folder");
    let secret = Tpm2::in_folder(folder.path()).reached_by(&chip.tcti);
    assert_eq!(secret.load().expect("readable"), None);
    let key = secret.create().expect("sealed");
    for _ in 0..5 {
        assert_eq!(secret.load().expect("unsealed"), Some(key.clone()));
    }
    for file in std::fs::read_dir(folder.path()).expect("a folder").flatten() {
        let bytes = std::fs::read(file.path()).expect("readable");
        assert!(!bytes.windows(32).any(|w| w == key.bytes()), "{:?}", file.path());
    }
    let stolen = Tpm2::in_folder(folder.path()).reached_by(&other.tcti);
    assert!(stolen.load().is_err(), "the disk in another machine");
    secret.destroy().expect("destroyed");
    assert_eq!(secret.load().expect("readable"), None);
}
