//! Two boxes on one local network while the county is away: real programs, real multicast.

use anyhow::{Context, Result, ensure};
use cunkou_tests::agent::{Agent, Dice, Papers};
use cunkou_tests::county::{County, until};
use cunkou_tests::net::Namespace;
use std::io::Write;
use std::process::{Child, Command, Stdio};

/// Ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn sign_in(county: &County, login: &str) -> Result<Agent> {
    let person = county.person(login);
    Agent::sign_in(county.url(&person.node), login, &person.pin)
}

fn looks_around(config: &mut toml::Table) {
    config.insert("neighbours".into(), true.into());
    config.insert("neighbours_after".into(), 1.into());
}

#[test]
#[ignore = "needs root: ./tests/run beside"]
fn a_case_goes_to_the_township_on_the_same_network_and_from_there_to_the_county() -> Result<()> {
    let county = County::start()?;
    county.stop("relay")?;
    let li = sign_in(&county, "li")?;
    let resident = li.search("张桂兰")?.first().context("a resident")?.clone();
    let filed = li.file(&resident, "S1-gaoling", &mut Papers::New(Dice::new(33), 400, 300))?;

    let namespace = Namespace::new()?;
    namespace.local_network()?;
    county.stop("village1")?;
    county.edit("village1", looks_around)?;
    let log = county.told.data.join("logs/village1-inside.log");
    let _box = Running(namespace.spawn(&county.node("village1").argv, &log)?);
    until("the village's box runs", 60, || county.status("village1").ok())?;
    // A locked box meets nobody.
    ensure!(county.status("village1")?["link"]["neighbours"].is_null(), "it is locked");
    let person = county.person("li");
    let mut opening = Command::new(&county.node("village1").argv[0])
        .arg("--data")
        .arg(county.data("village1"))
        .args(["unlock", "--login", &person.login])
        .stdin(Stdio::piped())
        .spawn()?;
    opening.stdin.take().context("input")?.write_all(person.pin.as_bytes())?;
    ensure!(opening.wait()?.success(), "the box does not open");

    county.restart_with("township", looks_around)?;
    let wang = sign_in(&county, "wang")?;
    let page = until("the township has it", 90, || {
        wang.get(&format!("/cases/{}", filed.case)).ok().filter(|answer| answer.status == 200)
    })?;
    ensure!(page.text().contains("由邻近盒子送达"), "{}", page.text());
    let met = |node: &str| -> Option<usize> {
        let status = county.status(node).ok()?;
        status["link"]["neighbours"].as_array().map(Vec::len).filter(|n| *n > 0)
    };
    until("each says whom it met", 30, || met("village1").and(met("township")))?;
    ensure!(county.status("village1")?["unsent"]["entries"] != 0, "the county does not have it");
    until("the photos are there", 60, || {
        wang.whole_photos(&filed.case).ok().filter(|photos| *photos == filed.photos)
    })?;

    // The township reaches the county again, which the village cannot, and takes the case along.
    county.start_node("relay")?;
    let zhao = until("the console opens", 60, || sign_in(&county, "zhao").ok())?;
    until("the county has it", 90, || {
        zhao.get(&format!("/cases/{}", filed.case)).ok().filter(|answer| answer.status == 200)
    })?;
    Ok(())
}
