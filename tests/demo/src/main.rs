//! `cargo demo`: a whole county on one machine, over the public commands alone.

mod control;
mod county;
mod processes;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use std::path::{Path, PathBuf};

/// A whole made-up county on this machine: one relay, one township box, two village boxes.
#[derive(Debug, Parser)]
#[command(
    name = "cargo demo",
    after_help = "Examples:
  cargo demo                        a fresh county; Ctrl-C ends all of it
  cargo demo --data ~/county        continues that county, or begins it
  cargo demo stop relay             while it runs, from another terminal
  cargo demo start relay
  cargo demo --json --port-base 9000"
)]
struct Options {
    /// Keep the county in this folder, and continue it if it is there.
    #[arg(long, global = true)]
    data: Option<PathBuf>,
    /// First port: HTTPS of relay, township, two villages; QUIC ten higher, open pages twenty.
    #[arg(long, default_value_t = 8800)]
    port_base: u16,
    /// Print one JSON line when every box holds its residents.
    #[arg(long)]
    json: bool,
    /// Use programs that are built already, in this folder.
    #[arg(long)]
    bin: Option<PathBuf>,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Stop one node: relay, township, village1 or village2.
    Stop {
        /// Its name.
        name: String,
    },
    /// Start it again.
    Start {
        /// Its name.
        name: String,
    },
}

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// Remembers which county runs, for `stop` and `start` without `--data`.
fn pointer() -> PathBuf {
    root().join("target").join("demo-running")
}

fn folder(options: &Options) -> Result<(PathBuf, bool)> {
    match &options.data {
        Some(data) => Ok((std::path::absolute(data)?, true)),
        None => Ok((root().join("target").join(format!("demo-{}", options.port_base)), false)),
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    match &options.action {
        Some(Action::Stop { name }) => tell(&options, "stop", name).await,
        Some(Action::Start { name }) => tell(&options, "start", name).await,
        None => run(&options).await,
    }
}

async fn tell(options: &Options, what: &str, name: &str) -> Result<()> {
    let data = match &options.data {
        Some(data) => std::path::absolute(data)?,
        None => std::fs::read_to_string(pointer())
            .context("no demo is running; start one with: cargo demo")?
            .trim()
            .into(),
    };
    control::tell(&data, what, name).await
}

async fn run(options: &Options) -> Result<()> {
    let (data, keep) = folder(options)?;
    if !keep && data.exists() {
        if !data.join("demo.json").exists() && data.read_dir()?.next().is_some() {
            bail!("{} is not a demo's folder; move it away", data.display());
        }
        std::fs::remove_dir_all(&data)?;
    }
    std::fs::create_dir_all(&data)?;
    let bin = match &options.bin {
        Some(bin) => bin.clone(),
        None => processes::build(&root())?,
    };
    if let Some(parent) = pointer().parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(pointer(), data.display().to_string())?;
    let county = county::County::new(root(), bin, data, options.port_base, options.json);
    let result = county.run().await;
    let _ = std::fs::remove_file(pointer());
    result
}
