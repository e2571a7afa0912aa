//! Programs run one by one, for what the demo does not do.

use crate::county::until;
use anyhow::{Context, Result, ensure};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How a command ended.
#[derive(Clone, Debug)]
pub struct Ran {
    /// Exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Ran {
    /// The JSON object that it printed.
    ///
    /// # Errors
    /// When it failed or printed something else.
    pub fn json(&self) -> Result<serde_json::Value> {
        ensure!(self.code == 0, "exit {}: {}", self.code, self.err.trim());
        Ok(serde_json::from_str(&self.out)?)
    }
}

/// The top of the sources.
#[must_use]
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Runs a program to its end.
///
/// # Errors
/// When it cannot be started.
pub fn run(program: &Path, arguments: &[&str], input: &str) -> Result<Ran> {
    let mut child = Command::new(program)
        .args(arguments)
        .env("RUST_LOG", "warn")
        .env_remove("CUNKOU_NODE_DATA")
        .env_remove("CUNKOU_RELAY_DATA")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("{} could not be started", program.display()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not read its input has closed it.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().unwrap_or(-1);
    Ok(Ran { code, out: text(&output.stdout), err: text(&output.stderr) })
}

/// A program that serves until it is dropped.
#[derive(Debug)]
pub struct Serving {
    child: Child,
    /// Its log.
    pub log: PathBuf,
}

impl Serving {
    /// Starts it, its log appended to a file, and waits until it listens on `http`.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start(program: &Path, arguments: &[&str], http: &str, log: &Path) -> Result<Self> {
        let file: File = OpenOptions::new().create(true).append(true).open(log)?;
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("{} could not be started", program.display()))?;
        let mut serving = Self { child, log: log.to_owned() };
        let end = Instant::now() + Duration::from_secs(120);
        // Looked at often: the benchmark takes the time.
        while TcpStream::connect(http).is_err() {
            let ended = matches!(serving.child.try_wait(), Ok(Some(_)));
            ensure!(!ended, "it ended: {}", std::fs::read_to_string(log)?);
            ensure!(Instant::now() < end, "{} does not listen on {http}", program.display());
            std::thread::park_timeout(Duration::from_millis(1));
        }
        Ok(serving)
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let ended = until("its end", 10, || self.child.try_wait().ok().flatten());
        if ended.is_err() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// A county founded by hand: a relay's folder with catalogue and places, nothing running.
#[derive(Debug)]
pub struct Bare {
    /// The folder with the programs.
    pub bin: PathBuf,
    /// The folder for everything of this county.
    pub data: PathBuf,
    /// First of its ports.
    pub port: u16,
}

impl Bare {
    /// Founds a county.
    ///
    /// # Errors
    /// When a command fails.
    pub fn found(bin: &Path, data: &Path, port: u16, name: &str) -> Result<Self> {
        std::fs::create_dir_all(data)?;
        let bare = Self { bin: bin.to_owned(), data: data.to_owned(), port };
        bare.relay(&["init", "--name", name, "--code", "130999", "--single-key"], "")?.json()?;
        let catalogue = root().join("county-relay/catalogue").display().to_string();
        let places = root().join("tests/demo/county/places.json").display().to_string();
        bare.relay(&["catalogue", "publish", &catalogue, "--places", &places], "")?.json()?;
        Ok(bare)
    }

    /// A folder or file of this county.
    #[must_use]
    pub fn path(&self, name: &str) -> String {
        self.data.join(name).display().to_string()
    }

    /// Address of the pages of the relay (0) or of a box.
    #[must_use]
    pub fn http(&self, i: u16) -> String {
        format!("127.0.0.1:{}", self.port + i)
    }

    /// Address of the pages of a running box, by the name in its certificate; trusts the county.
    ///
    /// # Errors
    /// When it is not running.
    pub fn url(&self, name: &str, i: u16) -> Result<String> {
        crate::trust::trust(&self.data.join("relay/ca.pem"));
        let host = if name == "relay" {
            "relay.c130999.home.arpa".to_owned()
        } else {
            let status = self.node(name, &["status"])?.json()?;
            status["host"].as_str().context("a name")?.to_owned()
        };
        Ok(format!("https://{host}:{}", self.port + i))
    }

    /// Address of the relay for boxes.
    #[must_use]
    pub fn quic(&self) -> String {
        format!("127.0.0.1:{}", self.port + 10)
    }

    /// Runs a command of the relay.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn relay(&self, arguments: &[&str], input: &str) -> Result<Ran> {
        let data = self.path("relay");
        let all = [&["--json", "--data", &data], arguments].concat();
        run(&self.bin.join("cunkou-relay"), &all, input)
    }

    /// Runs a command of a box.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn node(&self, name: &str, arguments: &[&str]) -> Result<Ran> {
        let data = self.path(name);
        let all = [&["--json", "--data", &data], arguments].concat();
        run(&self.bin.join("cunkou-node"), &all, "")
    }

    /// Makes an enrolment file whose relay is at `quic`; gives its path.
    ///
    /// # Errors
    /// When the command fails.
    pub fn offer(&self, name: &str, kind: &str, places: &str, quic: &str) -> Result<String> {
        let file = self.path(&format!("{name}.enrol"));
        let arguments = ["enrol", "--kind", kind, "--name", name, "--places", places];
        self.relay(&[&arguments[..], &["--relay", quic, "--out", &file]].concat(), "")?.json()?;
        Ok(file)
    }

    /// Starts the relay.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn serve_relay(&self) -> Result<Serving> {
        let (data, http, quic) = (self.path("relay"), self.http(0), self.quic());
        let arguments = ["--data", &data, "serve", "--https", &http, "--quic", &quic];
        let log = self.data.join("relay.log");
        let relay = Serving::start(&self.bin.join("cunkou-relay"), &arguments, &http, &log)?;
        // Its socket for commands opens a moment after its pages do.
        until("a relay that takes commands", 20, || {
            self.relay(&["status"], "").is_ok_and(|ran| ran.code == 0).then_some(())
        })?;
        Ok(relay)
    }

    /// Starts a box that calls the relay at `quic`.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn serve_node(&self, name: &str, i: u16, quic: &str) -> Result<Serving> {
        let (data, http) = (self.path(name), self.http(i));
        let arguments = ["--data", &data, "serve", "--https", &http, "--relay", quic];
        let log = self.data.join(format!("{name}.log"));
        Serving::start(&self.bin.join("cunkou-node"), &arguments, &http, &log)
    }
}
