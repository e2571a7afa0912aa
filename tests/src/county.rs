//! A running county, made with the same public commands as `cargo demo`.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// One node of a county.
#[derive(Clone, Debug, Deserialize)]
pub struct Node {
    /// relay, township, village1 or village2.
    pub name: String,
    /// Address of its pages, by the name in its certificate.
    #[serde(rename = "named")]
    pub url: String,
    /// Address of what is served without TLS.
    pub open: String,
    /// Its process.
    pub pid: Option<i32>,
    /// Its command line.
    pub argv: Vec<String>,
}

/// One person of a county.
#[derive(Clone, Debug, Deserialize)]
pub struct Person {
    /// Role.
    pub role: String,
    /// Login.
    pub login: String,
    /// PIN.
    pub pin: String,
    /// Name.
    pub name: String,
    /// Where they sign in.
    pub node: String,
}

/// What the demo says of itself in one line of JSON.
#[derive(Clone, Debug, Deserialize)]
pub struct Told {
    /// Milliseconds from the build's end to readiness.
    pub ready_ms: u64,
    /// The folder.
    pub data: PathBuf,
    /// The county's roots, PEM.
    pub ca: PathBuf,
    /// The nodes.
    pub nodes: Vec<Node>,
    /// The people.
    pub people: Vec<Person>,
}

/// A running county. Dropping it ends every process.
#[derive(Debug)]
pub struct County {
    demo: Child,
    /// What it said.
    pub told: Told,
    bin: PathBuf,
    _folder: Option<tempfile::TempDir>,
}

/// The folder with the built programs: beside this test's own program.
///
/// # Errors
/// When they are not built.
pub fn programs() -> Result<PathBuf> {
    let me = std::env::current_exe()?;
    let folder = me
        .ancestors()
        .find(|f| f.join("cunkou-node").exists() && f.join("cunkou-relay").exists())
        .context("cunkou-node and cunkou-relay are not built; run ./tests/run")?;
    Ok(folder.to_owned())
}

/// A first port such that it, the three after it, the one ten higher and the four from twenty higher
/// on are free now.
///
/// # Errors
/// When no such port is found.
pub fn free_ports() -> Result<u16> {
    for _ in 0..200 {
        let probe = TcpListener::bind("127.0.0.1:0")?;
        let first = probe.local_addr()?.port();
        drop(probe);
        if first > 65_000 {
            continue;
        }
        let free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if (first..first + 4).chain(first + 20..first + 24).all(free)
            && std::net::UdpSocket::bind(("127.0.0.1", first + 10)).is_ok()
        {
            return Ok(first);
        }
    }
    bail!("no free ports")
}

impl County {
    /// Founds and starts a fresh county in a temporary folder.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("county");
        Self::start_in(&data, Some(folder))
    }

    /// Starts, or continues, the county in `data`.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start_in(data: &Path, folder: Option<tempfile::TempDir>) -> Result<Self> {
        Self::start_with(programs()?, data, folder)
    }

    /// The same with the programs in `bin`.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start_with(
        bin: PathBuf,
        data: &Path,
        folder: Option<tempfile::TempDir>,
    ) -> Result<Self> {
        let port = free_ports()?;
        let mut demo = Command::new(bin.join("cunkou-demo"))
            .args(["--json", "--bin"])
            .arg(&bin)
            .arg("--data")
            .arg(data)
            .args(["--port-base", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .context("cunkou-demo is not built; run ./tests/run")?;
        let out = demo.stdout.take().context("no output")?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        let told = serde_json::from_str::<Told>(&line);
        match told {
            Ok(told) => Ok({
                crate::trust::trust(&told.ca);
                Self { demo, told, bin, _folder: folder }
            }),
            Err(error) => {
                let _ = demo.kill();
                bail!("the county did not come up: {error}: {line}")
            }
        }
    }

    /// The address of a node's pages.
    ///
    /// # Panics
    /// When there is no such node.
    #[must_use]
    pub fn url(&self, node: &str) -> &str {
        &self.node(node).url
    }

    /// A node.
    ///
    /// # Panics
    /// When there is no such node.
    #[must_use]
    pub fn node(&self, node: &str) -> &Node {
        self.told.nodes.iter().find(|n| n.name == node).expect("a node of the demo")
    }

    /// A person by login.
    ///
    /// # Panics
    /// When there is no such person.
    #[must_use]
    pub fn person(&self, login: &str) -> &Person {
        self.told.people.iter().find(|p| p.login == login).expect("a person of the demo")
    }

    fn tell(&self, what: &str, node: &str) -> Result<()> {
        let status = Command::new(self.bin.join("cunkou-demo"))
            .arg("--data")
            .arg(&self.told.data)
            .args([what, node])
            .stdout(Stdio::null())
            .status()?;
        if status.success() { Ok(()) } else { bail!("demo {what} {node} failed") }
    }

    /// Stops a node.
    ///
    /// # Errors
    /// When it does not stop.
    pub fn stop(&self, node: &str) -> Result<()> {
        self.tell("stop", node)
    }

    /// Starts a stopped node.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_node(&self, node: &str) -> Result<()> {
        self.tell("start", node)
    }

    fn config_file(&self, node: &str) -> Result<PathBuf> {
        let argv = &self.node(node).argv;
        let at = argv.iter().position(|a| a == "--config").context("a configuration")?;
        Ok(argv.get(at + 1).context("a configuration")?.into())
    }

    /// A node's configuration, TOML.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn config(&self, node: &str) -> Result<String> {
        Ok(std::fs::read_to_string(self.config_file(node)?)?)
    }

    /// Changes a node's configuration; it counts from its next start.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn edit(&self, node: &str, change: impl FnOnce(&mut toml::Table)) -> Result<()> {
        let mut config = self.config(node)?.parse()?;
        change(&mut config);
        std::fs::write(self.config_file(node)?, toml::to_string(&config)?)?;
        Ok(())
    }

    /// Stops a node and starts it with another configuration.
    ///
    /// # Errors
    /// When it does not stop or start.
    pub fn restart_with(&self, node: &str, change: impl FnOnce(&mut toml::Table)) -> Result<()> {
        self.stop(node)?;
        self.edit(node, change)?;
        self.start_node(node)
    }

    /// The folder of a node's data.
    #[must_use]
    pub fn data(&self, node: &str) -> PathBuf {
        self.told.data.join(node)
    }

    /// `status --json` of a box.
    ///
    /// # Errors
    /// When it is not running.
    pub fn status(&self, node: &str) -> Result<serde_json::Value> {
        let program = if node == "relay" { "cunkou-relay" } else { "cunkou-node" };
        let output = Command::new(self.bin.join(program))
            .args(["--json", "--data"])
            .arg(self.data(node))
            .arg("status")
            .output()?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

/// Tries until `done` gives something, for at most `seconds`.
///
/// # Errors
/// When it does not in time; `what` says what was waited for.
pub fn until<T>(what: &str, seconds: u64, mut done: impl FnMut() -> Option<T>) -> Result<T> {
    let end = Instant::now() + Duration::from_secs(seconds);
    loop {
        if let Some(value) = done() {
            return Ok(value);
        }
        if Instant::now() > end {
            bail!("waited {seconds} s for: {what}");
        }
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

impl Drop for County {
    fn drop(&mut self) {
        if let Some(pid) =
            i32::try_from(self.demo.id()).ok().and_then(rustix::process::Pid::from_raw)
        {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        }
        let end = Instant::now() + Duration::from_secs(20);
        while Instant::now() < end {
            if matches!(self.demo.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        let _ = self.demo.kill();
    }
}
