//! One command that measures the whole system: `cargo run -p cunkou-tests --bin bench -- --quick`.
//!
//! See `README.md` beside this file for what each line means.

mod flood;
mod parts;
mod people;
mod proxy;
mod report;
mod sync;
mod trust;
mod world;

use anyhow::{Context, Result, bail};
use cunkou_tests::bare::root;
use report::Report;
use std::path::PathBuf;
use world::World;

/// Release programs when they are built, else those beside this program.
fn programs() -> Result<PathBuf> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let release = target.join("release");
    if release.join("cunkou-node").exists() && release.join("cunkou-relay").exists() {
        return Ok(release);
    }
    cunkou_tests::county::programs()
}

#[expect(clippy::print_stderr, reason = "progress goes to the terminal")]
pub(crate) fn say(words: &str) {
    eprintln!("{words}");
}

fn main() -> Result<()> {
    if cunkou_guard::worker::is_asked_for() {
        return Ok(cunkou_guard::worker::run()?);
    }
    let given: Vec<String> = std::env::args().skip(1).collect();
    match given.split_first() {
        Some((first, rest)) if first == "--sync" => return sync::run(rest),
        Some((first, rest)) if first == "--station" => return sync::station(rest),
        _ => {}
    }
    let (mut quick, mut flood_alone, mut trust_alone) = (false, false, false);
    for argument in given {
        match argument.as_str() {
            "--quick" => quick = true,
            "--flood" => flood_alone = true,
            "--trust" => trust_alone = true,
            "--plain-peer" => return trust::be_plain_peer(),
            other => bail!(
                "unknown argument {other}; use: bench [--quick | --flood | --trust | --sync …]"
            ),
        }
    }
    let bin = programs()?;
    let profile = bin.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let target = bin.parent().context("programs in no folder")?;
    let report = Report::new(target.join("bench.jsonl"), profile);
    let cases: usize = match std::env::var("CUNKOU_BENCH_CASES") {
        Ok(text) => text.parse().context("CUNKOU_BENCH_CASES is no number")?,
        Err(_) => 1000,
    };
    say("a county with few residents");
    let world = World::found(&bin, cases.max(1000))?;
    trust::signatures(&report)?;
    trust::handshakes(&report, &world)?;
    trust::idle(&report, &world)?;
    if trust_alone {
        return Ok(());
    }
    flood::latency(&report, &world)?;
    if flood_alone {
        return Ok(());
    }
    parts::cold_start(&report, &world, "1k")?;
    parts::start_up(&report, &world)?;
    parts::wire(&report, &world)?;
    let boxes = parts::Boxes::start(&world)?;
    boxes.memory(&report, &world, 0)?;
    parts::submit(&report, &world)?;
    parts::pages(&report, &world, "1k")?;
    parts::search(&report, &world, "1k")?;
    say(&format!("filing {cases} cases"));
    parts::file(&report, &world, cases)?;
    boxes.memory(&report, &world, cases)?;
    drop((boxes, world));
    if quick {
        return Ok(());
    }
    say("a county with 50,000 residents");
    let world = World::found(&bin, 50_000)?;
    report.value("import.50k", world.imported, "residents/s", 50_000, None)?;
    let _village = parts::cold_start(&report, &world, "50k")?;
    parts::pages(&report, &world, "50k")?;
    parts::search(&report, &world, "50k")
}
