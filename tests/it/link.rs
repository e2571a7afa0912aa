//! Links as they are: a proxy that ends TLS, a network that lets only HTTPS out, bad radio.

use anyhow::{Context, Result, ensure};
use cunkou_tests::agent::{Agent, Dice, Filed, Papers};
use cunkou_tests::county::{County, until};
use cunkou_tests::net::{Namespace, Nginx};
use cunkou_tests::weather::{Weather, Wire};
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

fn sign_in(county: &County, login: &str) -> Result<Agent> {
    let person = county.person(login);
    Agent::sign_in(county.url(&person.node), login, &person.pin)
}

fn over(county: &County, node: &str) -> Option<String> {
    county.status(node).ok()?["link"]["over"].as_str().map(str::to_owned)
}

fn file(li: &Agent, width: u32) -> Result<Filed> {
    let resident = li.search("张桂兰")?.first().context("a resident")?.clone();
    li.file(&resident, "S1-gaoling", &mut Papers::New(Dice::new(5), width, width * 3 / 4))
}

/// The township has the case, and what was sent is acknowledged.
fn arrives(county: &County, filed: &Filed, seconds: u64) -> Result<()> {
    let wang = sign_in(county, "wang")?;
    until("the township has it", seconds, || {
        wang.get(&format!("/cases/{}", filed.case)).ok().filter(|a| a.status == 200)
    })?;
    until("it is acknowledged", seconds, || {
        (county.status("village1").ok()?["unsent"]["entries"] == 0).then_some(())
    })
}

/// Where the relay's pages and its boxes come in.
fn relay(county: &County) -> Result<(String, String)> {
    let config: toml::Table = county.config("relay")?.parse()?;
    let text = |key: &str| config[key].as_str().map(str::to_owned).context("an address");
    Ok((text("https")?, text("quic")?))
}

/// An address at which nobody answers over UDP.
fn dead() -> Result<SocketAddr> {
    Ok(std::net::UdpSocket::bind("127.0.0.1:0")?.local_addr()?)
}

#[test]
fn a_case_with_photos_goes_through_a_web_server_that_ends_tls() -> Result<()> {
    let county = County::start()?;
    let (pages, _) = relay(&county)?;
    let gate = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let nginx = Nginx::start(gate, &pages)?;
    let only = format!("{}+https://{gate}/link", dead()?);
    county.restart_with("village1", |config| {
        config.insert("relays".into(), vec![only].into());
    })?;
    until("it talks", 60, || over(&county, "village1").filter(|over| over == "https"))?;
    let li = sign_in(&county, "li")?;
    let filed = file(&li, 1200)?;
    arrives(&county, &filed, 60)?;
    let wang = sign_in(&county, "wang")?;
    until("the photos are there", 60, || {
        wang.whole_photos(&filed.case).ok().filter(|photos| *photos == filed.photos)
    })?;
    // What it cost is told when the conversation has ended, and survives the process.
    county.stop("village1")?;
    county.start_node("village1")?;
    let status = until("it runs again", 20, || county.status("village1").ok())?;
    let used = status["traffic"][0]["sent"].as_u64().context("traffic")?;
    ensure!(used > 20_000, "{status}");
    // It went through the web server: what it carried is in its log when the line ends.
    until("the line is in its log", 20, || nginx.log().contains("GET /link").then_some(()))?;
    ensure!(nginx.log().contains(" 101 "), "{}", nginx.log());
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
fn a_box_that_loses_udp_goes_on_over_443_and_what_it_held_reaches_the_county() -> Result<()> {
    let county = County::start()?;
    let namespace = Namespace::new()?;
    let here = namespace.here;
    let (pages, quic) = relay(&county)?;
    let port = quic.rsplit_once(':').context("a port")?.1.to_owned();
    let everywhere = format!("0.0.0.0:{port}");
    county.stop("relay")?;
    let filed = file(&sign_in(&county, "li")?, 400)?;
    county.edit("relay", |config| {
        config.insert("quic".into(), everywhere.into());
    })?;
    county.start_node("relay")?;
    let _nginx = Nginx::start(format!("{here}:443").parse()?, &pages)?;
    county.stop("village1")?;
    county.edit("village1", |config| {
        // Nothing is said of HTTPS: where it is follows from the host.
        config.insert("relays".into(), vec![format!("{here}:{port}")].into());
    })?;
    let log = county.told.data.join("logs/village1-inside.log");
    let _box = Running(namespace.spawn(&county.node("village1").argv, &log)?);
    until("it talks over QUIC", 60, || over(&county, "village1").filter(|over| over == "quic"))?;

    namespace.only_443()?;
    until("it talks over HTTPS", 120, || over(&county, "village1").filter(|over| over == "https"))?;
    // Opened without a browser: its pages are inside.
    let li = county.person("li");
    let program = &county.node("village1").argv[0];
    let mut opening = Command::new(program)
        .arg("--data")
        .arg(county.data("village1"))
        .args(["unlock", "--login", &li.login])
        .stdin(Stdio::piped())
        .spawn()?;
    opening.stdin.take().context("input")?.write_all(li.pin.as_bytes())?;
    ensure!(opening.wait()?.success(), "the box does not open");
    arrives(&county, &filed, 60)?;
    ensure!(over(&county, "village1").as_deref() == Some("https"), "it went another way");
    Ok(())
}

#[test]
fn a_measured_link_is_told_for_what_it_is_in_words_and_json_and_only_to_boxes_of_the_county()
-> Result<()> {
    let county = County::start()?;
    let weather = Weather {
        seed: 26,
        delay: Duration::from_millis(75),
        jitter: Duration::from_millis(10),
        loss: 20,
        bits: 8_000_000,
        queue: Duration::from_millis(500),
    };
    let wire = Wire::open(&relay(&county)?.1, weather)?;
    let by_wire = format!("{}+", wire.address);
    county.restart_with("village1", |config| {
        config.insert("relays".into(), vec![by_wire].into());
    })?;
    until("it talks", 60, || over(&county, "village1"))?;
    let before = wire.up.bytes.load(Ordering::Relaxed) + wire.down.bytes.load(Ordering::Relaxed);
    let test = |data: &std::path::Path, json: bool| {
        let mut command = Command::new(&county.node("village1").argv[0]);
        command.arg("--data").arg(data).args(["link-test", "--kilobytes", "512"]);
        if json {
            command.arg("--json");
        }
        command.output()
    };
    let done = test(&county.data("village1"), true)?;
    let said = String::from_utf8(done.stderr)?;
    ensure!(done.status.success(), "{said}");
    ensure!(said.contains("最多用") && said.contains("uses at most"), "{said}");
    let told: serde_json::Value = serde_json::from_slice(&done.stdout)?;
    println!("{told:#}");
    ensure!(told["schema"] == 1 && told["advice"]["link"] == "4g", "{told}");
    let words = told["words"].as_str().context("words")?;
    ensure!(words.contains("link = \"4g\"") && words.contains("建议"), "{words}");
    for sample in told["samples"].as_array().context("samples")? {
        ensure!(sample["rtt_ms"]["median"].as_u64() >= Some(130), "{sample}");
        ensure!(sample["up_loss_permille"].as_u64() > Some(0), "{sample}");
    }
    let used = wire.up.bytes.load(Ordering::Relaxed) + wire.down.bytes.load(Ordering::Relaxed);
    let most: u64 = said
        .split_whitespace()
        .find_map(|word| word.parse().ok())
        .context("a number of kilobytes")?;
    ensure!(used - before <= most * 1000, "{} of {most} kB", used - before);
    // A folder without a box measures nothing.
    let empty = tempfile::tempdir()?;
    ensure!(test(empty.path(), false)?.status.code() == Some(4), "not enrolled");
    Ok(())
}

#[test]
fn a_case_reaches_the_county_over_bad_radio_and_is_acknowledged() -> Result<()> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
    let seed = std::env::var("CUNKOU_WEATHER_SEED").ok().and_then(|s| s.parse().ok());
    let weather = Weather {
        seed: seed.unwrap_or(now),
        delay: Duration::from_millis(300),
        jitter: Duration::from_millis(80),
        loss: 50,
        bits: 64_000,
        queue: Duration::from_secs(3),
    };
    println!("CUNKOU_WEATHER_SEED={}", weather.seed);
    let county = County::start()?;
    let wire = Wire::open(&relay(&county)?.1, weather)?;
    let by_wire = format!("{}+", wire.address);
    county.restart_with("village1", |config| {
        config.insert("relays".into(), vec![by_wire].into());
        config.insert("link".into(), "2g".into());
    })?;
    let li = sign_in(&county, "li")?;
    until("it talks", 120, || over(&county, "village1"))?;
    let filed = file(&li, 160)?;
    arrives(&county, &filed, 240)?;
    let lost = wire.up.lost.load(Ordering::Relaxed) + wire.down.lost.load(Ordering::Relaxed);
    println!("{wire:?}");
    ensure!(lost > 0, "the weather was fine: nothing is shown");
    Ok(())
}
