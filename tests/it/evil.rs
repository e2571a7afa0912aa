//! The program that anyone can point at a relay of their own, pointed at one.

use anyhow::{Context, Result, ensure};
use cunkou_tests::bare::{Bare, run};
use cunkou_tests::county::{free_ports, programs, until};
use cunkou_tests::wild::{Says, WildBox};
use std::path::Path;
use std::time::Instant;

const NAMES: [&str; 13] = [
    "forge-approval",
    "replay",
    "out-of-scope-write",
    "out-of-scope-read",
    "same-number-twice",
    "garbage-frames",
    "oversized-frame",
    "hostile-change",
    "mutated-changes",
    "token-twice",
    "unknown-county-statement",
    "fake-witness",
    "flood",
];

/// A relay that was attacked with all of it has had less memory than this.
const PEAK_KB_MAX: u64 = 400_000;

/// The most memory that a process had since it began.
fn peak_kb(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).context("no VmHWM")?;
    Ok(line.split_whitespace().nth(1).context("a number")?.parse()?)
}

#[test]
fn evil_box_is_held_on_every_count_and_a_live_box_that_is_revoked_is_cut_off() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let county = Bare::found(&programs()?, folder.path(), free_ports()?, "云溪县")?;
    // Somebody whose name is worth forging.
    let mut add = vec!["staff", "add", "--login", "zhao", "--name", "赵敏", "--role", "reviewer"];
    add.extend(["--places", "1", "--department", "县民政局"]);
    county.relay(&add, "445566")?.json()?;
    let relay = county.serve_relay()?;
    let evil = Path::new(env!("CARGO_BIN_EXE_evil-box"));
    let (quic, data) = (county.quic(), county.path("relay"));

    county.offer("honest", "village", "103", &quic)?;
    let honest = WildBox::start(&county.data.join("honest.enrol"), 103, &quic, Says::OneByOne, 1)?;
    honest.round_trip()?;
    let file = county.offer("evil", "village", "104", &quic)?;
    let arguments = ["--enrol", &file, "--relay", &quic, "--data", &data, "all"];
    let ran = run(evil, &arguments, "")?;
    ensure!(ran.code == 0, "exit {}:\n{}\n{}", ran.code, ran.out, ran.err);
    ensure!(!ran.out.contains("NOT held"), "{}", ran.out);
    for name in NAMES {
        ensure!(ran.out.contains(&format!("\n{name}\n")), "{name} was not tried:\n{}", ran.out);
    }
    println!("{}", ran.out);

    // It is the same process, and has never been large.
    let most = peak_kb(relay.pid())?;
    println!("the relay never had more than {most} kB");
    ensure!(most < PEAK_KB_MAX, "the relay took {most} kB");
    // What it keeps is whole, and every document comes out of its entries again.
    for (what, holds) in [("scrub", "\"clean\":true"), ("rebuild", "\"dropped\":0")] {
        let done = county.relay(&[what], "")?;
        let last = done.out.lines().last().unwrap_or_default().replace(' ', "");
        ensure!(done.code == 0 && last.contains(holds), "{what}: {}\n{}", done.out, done.err);
    }

    // An honest one is none the worse for it, until it is revoked in the middle of its work.
    honest.round_trip()?;
    let status = county.relay(&["status"], "")?.json()?;
    let boxes = status["boxes"].as_array().cloned().unwrap_or_default();
    let row = boxes.into_iter().find(|row| row["name"] == "honest").unwrap_or_default();
    let device = row["device"].as_str().context("its id")?.to_owned();
    let before = std::fs::read_to_string(&relay.log)?.len();
    let begun = Instant::now();
    county.relay(&["revoke", &device[..8], "--reason", "试验"], "")?.json()?;
    until("the open conversation to be cut", 60, || {
        let log = std::fs::read_to_string(&relay.log).unwrap_or_default();
        let since = log.get(before..).unwrap_or_default();
        since.contains("the villages of this box changed").then_some(())
    })?;
    println!(
        "a live revoked box was cut {} ms after the command began",
        begun.elapsed().as_millis()
    );
    Ok(())
}

#[test]
fn evil_box_says_how_it_is_used_and_leaves_other_machines_alone() -> Result<()> {
    let evil = Path::new(env!("CARGO_BIN_EXE_evil-box"));
    let help = run(evil, &["--help"], "")?;
    ensure!(help.code == 0 && help.out.contains("Examples:"), "{}", help.out);
    for name in NAMES {
        ensure!(help.out.contains(name), "{name}");
    }
    let file = "any.enrol";
    for elsewhere in ["192.0.2.1:4443", "[2001:db8::1]:4443", "0.0.0.0:4443"] {
        let ran = run(evil, &["--enrol", file, "--relay", elsewhere, "all"], "")?;
        ensure!(ran.code == 2 && ran.err.contains("loopback alone"), "{elsewhere}: {}", ran.err);
    }
    let unknown = run(evil, &["--enrol", file, "--relay", "127.0.0.1:1", "nothing"], "")?;
    ensure!(unknown.code == 2 && unknown.err.contains("no attack"), "{}", unknown.err);
    Ok(())
}

#[test]
fn a_box_is_enrolled_after_another_has_forged_a_statement_of_the_county() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let county = Bare::found(&programs()?, folder.path(), free_ports()?, "云溪县")?;
    let _relay = county.serve_relay()?;
    let evil = Path::new(env!("CARGO_BIN_EXE_evil-box"));
    let quic = county.quic();
    let file = county.offer("evil", "village", "104", &quic)?;
    let arguments = ["--enrol", &file, "--relay", &quic, "unknown-county-statement"];
    let ran = run(evil, &arguments, "")?;
    ensure!(ran.code == 0, "{}\n{}", ran.out, ran.err);
    let file = county.offer("honest", "village", "103", &quic)?;
    county.node("honest", &["enrol", &file])?.json()?;
    Ok(())
}
