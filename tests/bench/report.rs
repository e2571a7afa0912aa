//! One line of JSON per measurement.

use anyhow::Result;
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// One measurement.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Line {
    name: String,
    value: f64,
    unit: &'static str,
    n: usize,
    p50: Option<f64>,
    p95: Option<f64>,
    baseline: Option<f64>,
    ratio: Option<f64>,
    commit: String,
    cores: usize,
    load1: f64,
    profile: String,
}

/// Prints lines and keeps them.
#[derive(Debug)]
pub(crate) struct Report {
    file: PathBuf,
    commit: String,
    profile: String,
}

fn rounded(x: f64) -> f64 {
    if x.abs() >= 100.0 { x.round() } else { (x * 1000.0).round() / 1000.0 }
}

/// The value below which a share of the values lies. Zero of nothing.
fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share).round() as usize).copied().unwrap_or_default()
}

/// The middle of the values.
pub(crate) fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// A duration in milliseconds.
pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Times `n` runs, in milliseconds.
pub(crate) fn times(n: usize, mut run: impl FnMut(usize) -> Result<()>) -> Result<Vec<f64>> {
    let time = |i| {
        let begun = Instant::now();
        run(i)?;
        Ok(ms(begun.elapsed()))
    };
    (0..n).map(time).collect()
}

impl Report {
    pub(crate) fn new(file: PathBuf, profile: String) -> Self {
        let git = Command::new("git").args(["describe", "--always", "--dirty"]).output();
        let commit = git.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned());
        Self { file, commit: commit.unwrap_or_default(), profile }
    }

    /// When, of which commit, on which machine, how busy, in how long.
    pub(crate) fn circumstances(&self, took: Duration) -> String {
        let said = |program: &str, arguments: &[&str]| {
            let ran = Command::new(program).args(arguments).output();
            ran.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned()).unwrap_or_default()
        };
        let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model =
            cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let loads = load.split(' ').take(3).collect::<Vec<_>>().join(", ");
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        format!(
            "{} UTC, commit `{}`, {} build, {} {} ({cores} cores), {}; load at the end {loads}; \
             took {} minutes.",
            said("date", &["-u", "+%Y-%m-%d %H:%M"]),
            self.commit,
            self.profile,
            said("uname", &["-sm"]),
            model.trim_start_matches(['\t', ' ', ':']),
            said("rustc", &["--version"]),
            took.as_secs().div_ceil(60),
        )
    }

    #[expect(clippy::print_stdout, reason = "the measurements are the program's answer")]
    fn say(&self, line: Line) -> Result<()> {
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load1 = load.split(' ').next().and_then(|l| l.parse().ok()).unwrap_or_default();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let ratio = line.baseline.filter(|b| *b > 0.0).map(|b| rounded(line.value / b));
        let line = Line {
            value: rounded(line.value),
            p50: line.p50.map(rounded),
            p95: line.p95.map(rounded),
            baseline: line.baseline.map(rounded),
            ratio,
            commit: self.commit.clone(),
            cores,
            load1,
            profile: self.profile.clone(),
            ..line
        };
        let text = serde_json::to_string(&line)?;
        println!("{text}");
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&self.file)?;
        writeln!(file, "{text}")?;
        Ok(())
    }

    /// Times, in milliseconds; the value is the middle one.
    pub(crate) fn times(&self, name: &str, all: &[f64], baseline: Option<f64>) -> Result<()> {
        let (p50, p95) = (quantile(all, 0.5), quantile(all, 0.95));
        self.say(Line {
            name: name.to_owned(),
            value: p50,
            unit: "ms",
            n: all.len(),
            p50: Some(p50),
            p95: Some(p95),
            baseline,
            ..Line::default()
        })
    }

    /// One value.
    pub(crate) fn value(
        &self,
        name: &str,
        value: f64,
        unit: &'static str,
        n: usize,
        baseline: Option<f64>,
    ) -> Result<()> {
        self.say(Line { name: name.to_owned(), value, unit, n, baseline, ..Line::default() })
    }
}
