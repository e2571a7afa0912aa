//! Real programs over lines as bad as they come: lost, doubled and overtaken packets, processes that
//! are killed, translators that forget, addresses that change.

use crate::kill::{all_hold_the_same, cut_at_random, number_from_env};
use anyhow::{Context, Result, ensure};
use cunkou_tests::agent::{Agent, Dice, Papers};
use cunkou_tests::county::{County, until};
use cunkou_tests::net::Namespace;
use cunkou_tests::weather::{Weather, Wire};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

fn bad(seed: u64) -> Weather {
    Weather {
        seed,
        delay: Duration::from_millis(120),
        // Packets overtake each other.
        jitter: Duration::from_millis(60),
        loss: 50,
        bits: 1_000_000,
        queue: Duration::from_secs(2),
    }
}

/// Come twice of a thousand.
const TWICE: u64 = 30;

fn seed() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let drawn = now.map_or(0, |since| since.as_secs());
    let seed = number_from_env("CUNKOU_WEATHER_SEED").unwrap_or(drawn);
    println!("CUNKOU_WEATHER_SEED={seed}");
    seed
}

/// A port of the relay over UDP.
fn quic(county: &County) -> Result<String> {
    let config: toml::Table = county.config("relay")?.parse()?;
    config["quic"].as_str().map(str::to_owned).context("an address")
}

/// From now on a box has the wire and nothing else.
fn over(county: &County, node: &str, wire: &Wire) -> Result<()> {
    let by_wire = format!("{}+", wire.address);
    county.restart_with(node, |config| {
        config.insert("relays".into(), vec![by_wire].into());
    })
}

fn talks(county: &County, node: &str) -> Option<()> {
    county.status(node).ok()?["link"]["over"].as_str().map(drop)
}

/// How often a box has begun to talk since it was set up, as its log says it.
fn conversations(county: &County, log: &str) -> usize {
    let path = county.told.data.join("logs").join(log);
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().filter(|line| line.contains("talking")).count()
}

/// A case filed now arrives at the township and is acknowledged.
pub(crate) fn arrives(county: &County, person: u32) -> Result<()> {
    let li = county.person("li");
    let li = Agent::sign_in(county.url(&li.node), "li", &li.pin)?;
    let residents = li.residents(0)?;
    let resident = residents.into_iter().nth(person as usize).context("a resident")?;
    let mut papers = Papers::New(Dice::new(person.into()), 160, 120);
    let filed = li.file(&resident, "S1-gaoling", &mut papers)?;
    let wang = county.person("wang");
    let wang = Agent::sign_in(county.url(&wang.node), "wang", &wang.pin)?;
    until("the township has it", 120, || {
        wang.get(&format!("/cases/{}", filed.case)).ok().filter(|answer| answer.status == 200)
    })?;
    until("it is acknowledged", 120, || {
        (county.status("village1").ok()?["unsent"]["entries"] == 0).then_some(())
    })
}

#[test]
fn over_a_line_that_loses_doubles_and_turns_packets_round_kill_nine_costs_nothing_that_was_shown()
-> Result<()> {
    let seed = seed();
    let rounds = number_from_env("CUNKOU_KILL_ROUNDS").unwrap_or(2).min(20);
    let county = County::start()?;
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let wires = [0, 100].map(|n| Wire::open_at(at, &quic(&county)?, bad(seed + n), TWICE));
    let wires = wires.into_iter().collect::<Result<Vec<_>>>()?;
    over(&county, "village1", &wires[0])?;
    over(&county, "township", &wires[1])?;
    until("they talk", 120, || talks(&county, "village1").and(talks(&county, "township")))?;
    cut_at_random(&county, rounds, seed, 160, 300);
    for wire in &wires {
        println!("{wire:?}");
        let lost = wire.up.lost.load(Ordering::Relaxed) + wire.down.lost.load(Ordering::Relaxed);
        ensure!(lost > 0, "the weather was fine: nothing is shown");
    }
    Ok(())
}

#[test]
fn a_translator_that_forgets_does_not_end_the_conversation() -> Result<()> {
    let county = County::start()?;
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let wire = Wire::open_at(at, &quic(&county)?, Weather { loss: 0, ..bad(1) }, 0)?;
    over(&county, "village1", &wire)?;
    until("it talks", 60, || talks(&county, "village1"))?;
    arrives(&county, 0)?;
    let before = conversations(&county, "village1.log");
    ensure!(before > 0, "the log says nothing of conversations");
    for person in 1..4 {
        wire.translate_anew();
        arrives(&county, person)?;
    }
    let after = conversations(&county, "village1.log");
    ensure!(after == before, "{} conversations were begun", after - before);
    until("all stores hold the same", 60, || all_hold_the_same(&county).is_ok().then_some(()))?;
    Ok(())
}

/// Ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "needs root: ./tests/run link-443"]
fn a_box_with_ipv6_alone_goes_on_over_a_bad_line_when_its_address_changes() -> Result<()> {
    let county = County::start()?;
    let namespace = Namespace::new()?;
    let here = namespace.only_six()?;
    let front: SocketAddr = format!("[{here}]:0").parse()?;
    let wire = Wire::open_at(front, &quic(&county)?, bad(seed()), TWICE)?;
    county.stop("village1")?;
    county.edit("village1", |config| {
        config.insert("relays".into(), vec![format!("{}+", wire.address)].into());
    })?;
    let log = county.told.data.join("logs/village1-inside.log");
    let _box = Running(namespace.spawn(&county.node("village1").argv, &log)?);
    let talked = || conversations(&county, "village1-inside.log");
    until("it talks", 120, || (talked() > 0).then_some(()))?;
    unlock(&county)?;
    // An open box calls anew.
    until("it talks again", 120, || (talked() > 1).then_some(()))?;
    until("it has sent all", 120, || {
        (county.status("village1").ok()?["unsent"]["entries"] == 0).then_some(())
    })?;
    let begun = talked();
    namespace.moves()?;
    let said = || std::fs::read_to_string(&log).unwrap_or_default();
    until("it notices", 60, || {
        said().contains("the address of this box has changed").then_some(())
    })?;
    // Something new comes down to it on the conversation that moved along.
    hire(&county)?;
    until("all stores hold the same", 120, || all_hold_the_same(&county).is_ok().then_some(()))?;
    let after = talked();
    ensure!(after == begun, "{} conversations were begun: {}", after - begun, said());
    Ok(())
}

/// Gives a PIN to a program that asks for one.
fn with_pin(program: &mut Command, pin: &str) -> Result<()> {
    use std::io::Write;
    let mut running = program.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    running.stdin.take().context("input")?.write_all(pin.as_bytes())?;
    ensure!(running.wait()?.success(), "{program:?}");
    Ok(())
}

/// A statement of the county: somebody new.
fn hire(county: &County) -> Result<()> {
    let mut relay = Command::new(&county.node("relay").argv[0]);
    relay.arg("--data").arg(county.data("relay"));
    relay.args(["staff", "add", "--login", "qian", "--name", "钱二", "--role", "reviewer"]);
    relay.args(["--places", "1", "--department", "县民政局"]);
    with_pin(&mut relay, "445566")
}

/// Opens the box without a browser: its pages are inside.
fn unlock(county: &County) -> Result<()> {
    let li = county.person("li");
    let mut node = Command::new(&county.node("village1").argv[0]);
    node.arg("--data").arg(county.data("village1")).args(["unlock", "--login", &li.login]);
    with_pin(&mut node, &li.pin)
}
