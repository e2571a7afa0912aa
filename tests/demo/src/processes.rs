//! The programs: built, started, watched, ended.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};

/// Builds the two programs as Cargo does, showing its progress.
pub(crate) fn build(root: &Path) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = std::process::Command::new(cargo)
        .current_dir(root)
        .args([
            "build",
            "--package",
            "cunkou-node",
            "--package",
            "cunkou-relay",
            "--package",
            "cunkou-verify",
        ])
        .status()
        .context("cargo could not be run")?;
    if !status.success() {
        bail!("the build failed");
    }
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join("debug"))
}

/// One node of the county.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) name: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) place: String,
    pub(crate) argv: Vec<String>,
    pub(crate) config: PathBuf,
    pub(crate) url: String,
    /// The same by the name in its certificate.
    pub(crate) named: String,
    /// Address of what is served without TLS.
    pub(crate) open: String,
    pub(crate) quic: Option<String>,
    pub(crate) log: PathBuf,
    pub(crate) child: Option<Child>,
}

impl Node {
    /// Starts it, its log appended to a file.
    pub(crate) fn start(&mut self) -> Result<()> {
        if self.child.is_some() {
            bail!("{} is running", self.name);
        }
        let log = std::fs::OpenOptions::new().create(true).append(true).open(&self.log)?;
        let (program, arguments) = self.argv.split_first().context("no program")?;
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C in the terminal reaches the demo alone, which then ends the nodes in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{program} could not be started"))?;
        self.child = Some(child);
        Ok(())
    }

    /// Its process, while it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// Asks it to stop, and insists after five seconds.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        let Some(mut child) = self.child.take() else { bail!("{} is not running", self.name) };
        if let Some(pid) =
            child.id().and_then(|p| i32::try_from(p).ok()).and_then(rustix::process::Pid::from_raw)
        {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        if tokio::time::timeout(Duration::from_secs(5), child.wait()).await.is_err() {
            child.kill().await?;
        }
        Ok(())
    }

    /// Notices that it has ended by itself.
    pub(crate) fn reap(&mut self) -> Option<String> {
        let status = self.child.as_mut()?.try_wait().ok()??;
        self.child = None;
        Some(status.to_string())
    }
}
