//! A box without any network: its cases travel on sticks, both ways.

use anyhow::{Context, Result, ensure};
use cunkou_tests::agent::{Agent, Dice, Papers, plain};
use cunkou_tests::bare::{Bare, Ran, Serving, run};
use cunkou_tests::county::{County, free_ports, programs, until};
use serde_json::Value;
use std::path::{Path, PathBuf};

const BOX: &str = "village1";

/// A county whose first village box reaches nobody any more.
struct Cut {
    county: County,
    sticks: tempfile::TempDir,
    _box: Serving,
}

impl Cut {
    fn new() -> Result<Self> {
        let county = County::start()?;
        // It had everything once.
        let resident = "仇志强";
        let li = sign_in(&county, "li")?;
        until("the residents", 60, || (!li.search(resident).ok()?.is_empty()).then_some(()))?;
        until("all is sent", 60, || {
            (county.status(BOX).ok()?["unsent"]["entries"] == 0).then_some(())
        })?;
        county.stop(BOX)?;
        let node = county.node(BOX);
        let mut arguments: Vec<&str> = node.argv[1..].iter().map(String::as_str).collect();
        arguments.extend(["--relay", "127.0.0.1:9"]);
        let http = node.url.trim_start_matches("https://").to_owned();
        let port = http.split_once(':').context("a port")?.1;
        let sticks = tempfile::tempdir()?;
        let log = sticks.path().join("box.log");
        let program = programs()?.join("cunkou-node");
        let running = Serving::start(&program, &arguments, &format!("127.0.0.1:{port}"), &log)?;
        Ok(Self { county, sticks, _box: running })
    }

    fn stick(&self, name: &str) -> Result<PathBuf> {
        let folder = self.sticks.path().join(name);
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    fn node(&self, arguments: &[&str]) -> Result<Ran> {
        self.command("cunkou-node", BOX, arguments)
    }

    fn relay(&self, arguments: &[&str]) -> Result<Ran> {
        self.command("cunkou-relay", "relay", arguments)
    }

    fn command(&self, program: &str, node: &str, arguments: &[&str]) -> Result<Ran> {
        let data = self.county.data(node).display().to_string();
        run(&programs()?.join(program), &[&["--json", "--data", &data], arguments].concat(), "")
    }

    fn export(&self, to: &Path, more: &[&str]) -> Result<Value> {
        let to = to.display().to_string();
        self.node(&[&["bundle", "export", &to], more].concat())?.json()
    }

    /// From the relay to a box.
    fn export_to(&self, device: &str, to: &Path) -> Result<Value> {
        let to = to.display().to_string();
        self.relay(&["bundle", "export", "--box", device, &to])?.json()
    }

    fn device(&self, name: &str) -> Result<String> {
        let status = self.county.status("relay")?;
        let boxes = status["boxes"].as_array().context("boxes")?.clone();
        let found = boxes.iter().find(|b| b["name"] == name).context("the box")?.clone();
        Ok(found["device"].as_str().context("an id")?.to_owned())
    }

    fn unsent(&self) -> Result<u64> {
        self.county.status(BOX)?["unsent"]["entries"].as_u64().context("a number")
    }
}

fn sign_in(county: &County, login: &str) -> Result<Agent> {
    let person = county.person(login);
    Agent::sign_in(county.url(&person.node), &person.login, &person.pin)
}

fn file_of(made: &Value) -> Result<String> {
    Ok(made["file"].as_str().context("a file")?.to_owned())
}

/// Waits until the work that a page shows has ended; what it says.
fn ended(agent: &Agent, page: &str) -> Result<String> {
    until("the work on the page", 60, || {
        let part = agent.get(&format!("{page}/progress")).ok()?.page().ok()?;
        (part.contains("carrying") && !part.contains("hx-get")).then(|| plain(&part))
    })
}

/// What a page's link downloads.
fn downloaded(agent: &Agent, page: &str, number: u64) -> Result<Vec<u8>> {
    let answer = agent.get(&format!("{page}/file/{number}"))?;
    ensure!(answer.status == 200, "status {}", answer.status);
    Ok(answer.body)
}

fn refused(ran: &Ran, words: &[&str]) -> Result<()> {
    ensure!(ran.code == 5, "exit {}: {}{}", ran.code, ran.out, ran.err);
    for word in words {
        ensure!(ran.err.contains(word), "{word}: {}", ran.err);
    }
    Ok(())
}

#[test]
fn a_case_goes_to_the_county_and_its_result_comes_back_on_sticks_alone() -> Result<()> {
    let cut = Cut::new()?;
    let county = &cut.county;
    let locked = cut.node(&["bundle", "export", &cut.stick("early")?.display().to_string()])?;
    refused(&locked, &["locked"])?;

    // A case is filed, and taken along.
    let li = sign_in(county, "li")?;
    let resident = li.search("仇志强")?.first().context("a resident")?.clone();
    let mut papers = Papers::New(Dice::new(27), 640, 480);
    let filed = li.file(&resident, "S1-gaoling", &mut papers)?;
    ensure!(cut.unsent()? > 0, "it waits on the box");
    let page = plain(&li.get(&format!("/cases/{}", filed.case))?.page()?);
    ensure!(!page.contains("U 盘"), "nothing has left yet");
    let out = cut.stick("out")?;
    let lost = cut.export(&cut.stick("lost")?, &[])?;
    let made = cut.export(&out, &[])?;
    ensure!(made["number"] == 2 && made["more"] == false, "{made}");
    ensure!(made["attachments"].as_u64() >= Some(filed.photos as u64), "{made}");
    let page = plain(&li.get(&format!("/cases/{}", filed.case))?.page()?);
    ensure!(page.contains("已由 U 盘带走") && page.contains("等县里确认"), "{page}");
    ensure!(cut.unsent()? > 0, "carried away is not yet arrived");
    let bytes = std::fs::read(file_of(&made)?)?;
    let readable = |what: &str| bytes.windows(what.len()).any(|part| part == what.as_bytes());
    ensure!(!readable("place:") && !readable("仇志强"), "nothing can be read on the stick");

    // Cut, swapped, for somebody else: sentences, and nothing is harmed.
    let bad = cut.stick("bad")?;
    let bad_file = |name: &str, bytes: &[u8]| -> Result<String> {
        let path = bad.join(name);
        std::fs::write(&path, bytes)?;
        Ok(path.display().to_string())
    };
    let import = |file: &str| cut.relay(&["bundle", "import", file]);
    let half = bad_file("half.bundle", &bytes[..bytes.len() / 2])?;
    refused(&import(&half)?, &["not whole"])?;
    refused(&import(&bad_file("table.bundle", b"name,number\n")?)?, &["no bundle"])?;
    let mut changed = bytes.clone();
    let middle = changed.len() / 3;
    changed[middle] ^= 1;
    refused(&import(&bad_file("changed.bundle", &changed)?)?, &["damaged"])?;
    let here = cut.node(&["bundle", "import", &file_of(&made)?])?;
    refused(&here, &["is for"])?;

    // The second stick arrives; the first one was lost, and nothing is missing. Twice is harmless.
    let came = import(&out.display().to_string())?.json()?;
    ensure!(came["new"].as_u64() > Some(0) || came["attachments"].as_u64() > Some(0), "{came}");
    let again = import(&file_of(&made)?)?.json()?;
    ensure!(again["bundles"][0]["known"] == true && again["new"] == 0, "{again}");
    let late = import(&file_of(&lost)?)?.json()?;
    ensure!(late["new"] == 0, "the lost one turns up: {late}");

    // The county works on it.
    let (wang, zhao) = (sign_in(county, "wang")?, sign_in(county, "zhao")?);
    until("the case at the township", 60, || wang.act(&filed.case, "take", &[]).ok())?;
    wang.act(&filed.case, "forward", &[("opinion", "材料齐全")])?;
    until("the county has it", 60, || zhao.act(&filed.case, "accept", &[]).ok())?;
    zhao.act(&filed.case, "approve", &[("opinion", "同意")])?;
    let page = plain(&zhao.get(&format!("/cases/{}", filed.case))?.page()?);
    ensure!(page.contains("由 U 盘送达"), "{page}");
    ensure!(zhao.whole_photos(&filed.case)? >= filed.photos - 1, "with its photos");

    // And back.
    let back = cut.stick("back")?;
    let device = cut.device("云岭村代办服务点")?;
    let made = cut.export_to(&device[..8], &back)?;
    ensure!(made["attachments"] == 0, "photos of the box do not come back: {made}");
    let came = cut.node(&["bundle", "import", &back.display().to_string()])?.json()?;
    ensure!(came["new"].as_u64() > Some(0) && came["acknowledged"] == 2, "{came}");
    ensure!(cut.unsent()? == 0, "what was acknowledged waits no more");
    ensure!(li.phase(&filed.case)? == "已办结", "{}", li.phase(&filed.case)?);
    let page = plain(&li.get(&format!("/cases/{}", filed.case))?.page()?);
    ensure!(page.contains("由 U 盘送达") && !page.contains("已由 U 盘带走"), "{page}");
    ensure!(page.contains("县平台") && !page.contains("县平台还没有收到"), "{page}");
    let sync = plain(&li.get("/sync")?.page()?);
    ensure!(sync.contains("U 盘"), "the history of contacts: {sync}");
    Ok(())
}

#[test]
fn sticks_of_a_series_go_on_from_each_other_and_a_missing_one_is_named() -> Result<()> {
    let cut = Cut::new()?;
    let li = sign_in(&cut.county, "li")?;
    // Photos that do not fit on one stick of 16 MB.
    let mut papers = Papers::New(Dice::new(28), 2200, 2200);
    let mut photos = 0;
    for name in ["仇志强", "张桂兰"] {
        let resident = li.search(name)?.first().context("a resident")?.clone();
        photos += li.file(&resident, "S1-gaoling", &mut papers)?.photos;
    }
    ensure!(photos > 0, "photos were taken");
    let (mut made, folder) = (Vec::new(), cut.stick("series")?);
    for _ in 0..9 {
        let one = cut.export(&folder, &["--size", "16M"])?;
        let more = one["more"] == true;
        made.push(one);
        if !more {
            break;
        }
    }
    let parts: Vec<_> = made.iter().filter_map(|m| m["part"].as_u64()).collect();
    ensure!(parts.len() > 1 && parts.iter().copied().eq(1..=parts.len() as u64), "{parts:?}");
    let (first, last) = (file_of(&made[0])?, file_of(&made[made.len() - 1])?);
    refused(&cut.relay(&["bundle", "import", &last])?, &["Bundle 1", "missing"])?;
    let came = cut.relay(&["bundle", "import", &folder.display().to_string()])?.json()?;
    ensure!(came["new"].as_u64() > Some(0), "{came}");
    ensure!(came["attachments"].as_u64() >= Some(photos as u64), "{came}");
    let again = cut.relay(&["bundle", "import", &first])?.json()?;
    ensure!(again["bundles"][0]["known"] == true, "{again}");
    // The same by the pages: the county's answer is downloaded there and uploaded here.
    let he = sign_in(&cut.county, "he")?;
    let at_county = format!("/boxes/{}/carry", cut.device("云岭村代办服务点")?);
    he.post(&format!("{at_county}/take"), &[("size", ""), ("from", "next")])?.done()?;
    let said = ended(&he, &at_county)?;
    ensure!(said.contains("做好了"), "{said}");
    let answer = downloaded(&he, &at_county, 1)?;
    li.send_file("/sync/carry/bring", "bundle", "county.bundle", &answer)?.done()?;
    let said = ended(&li, "/sync/carry")?;
    ensure!(said.contains("已导入") && said.contains("对方确认收到我们的"), "{said}");
    ensure!(cut.unsent()? == 0, "{said}");
    li.send_file("/sync/carry/bring", "bundle", "photo.jpg", b"no bundle at all")?.done()?;
    let said = ended(&li, "/sync/carry")?;
    ensure!(said.contains("不是同步包"), "{said}");
    // Revoked: what it still carries is not taken, and the county says so.
    let late = cut.export(&cut.stick("late")?, &["--again"])?;
    ensure!(late["part"] == 1, "{late}");
    let device = cut.device("云岭村代办服务点")?;
    cut.relay(&["revoke", &device, "--reason", "丢失"])?.json()?;
    refused(&cut.relay(&["bundle", "import", &file_of(&late)?])?, &["revoked"])?;
    Ok(())
}

/// The gate: takes from one side's `out` and puts into the other's `in`.
fn gate(from: &Path, to: &Path) -> Result<usize> {
    let mut moved = 0;
    for file in std::fs::read_dir(from.join("out"))?.flatten() {
        let name = file.file_name().to_string_lossy().into_owned();
        if name.ends_with(".bundle") {
            let hidden = to.join("in").join(format!(".{name}"));
            std::fs::copy(file.path(), &hidden)?;
            std::fs::rename(&hidden, to.join("in").join(&name))?;
            std::fs::remove_file(file.path())?;
            moved += 1;
        }
    }
    Ok(moved)
}

#[test]
fn bundles_go_through_a_gate_by_watched_folders_until_both_sides_are_silent() -> Result<()> {
    let cut = Cut::new()?;
    let county = &cut.county;
    let li = sign_in(county, "li")?;
    let resident = li.search("仇志强")?.first().context("a resident")?.clone();
    let filed = li.file(&resident, "S1-gaoling", &mut Papers::New(Dice::new(29), 320, 240))?;
    let (near, far) = (cut.stick("near")?, cut.stick("far")?);
    let device = cut.device("云岭村代办服务点")?;
    let (near_words, far_words) = (near.display().to_string(), far.display().to_string());
    let of_box = |more: &[&str]| -> Result<Value> {
        cut.node(&[&["ferry", &near_words, "--once"], more].concat())?.json()
    };
    let of_relay = || -> Result<Value> {
        cut.relay(&["ferry", &far_words, "--to", &device[..8], "--once"])?.json()
    };
    of_relay()?;

    // The first bundle is lost in the gate; while it may be on its way nothing is sent again.
    let made = of_box(&[])?;
    ensure!(made["made"].is_u64() && made["in_flight"] == true, "{made}");
    for file in std::fs::read_dir(near.join("out"))?.flatten() {
        std::fs::remove_file(file.path())?;
    }
    let quiet = of_box(&[])?;
    ensure!(quiet["made"].is_null() && quiet["in_flight"] == true, "{quiet}");
    let again = of_box(&["--resend", "0"])?;
    ensure!(again["made"].is_u64(), "{again}");

    // It comes in pieces: the first is waited with. What is no bundle is refused in words.
    let file = std::fs::read_dir(near.join("out"))?.flatten().next().context("a file")?;
    let (name, bytes) = (file.file_name(), std::fs::read(file.path())?);
    std::fs::write(far.join("in").join(&name), &bytes[..bytes.len() / 2])?;
    std::fs::write(far.join("in/other.bundle"), b"no bundle")?;
    let half = of_relay()?;
    ensure!(half["waiting"] == 1 && half["taken"] == 0 && half["refused"] == 1, "{half}");
    let words = std::fs::read_to_string(far.join("refused/other.bundle.txt"))?;
    ensure!(words.contains("不是同步包"), "{words}");
    let still = of_relay()?;
    ensure!(still["waiting"] == 1 && still["taken"] == 0, "{still}");
    gate(&near, &far)?;
    let whole = of_relay()?;
    ensure!(whole["taken"] == 1 && whole["waiting"] == 0 && whole["made"].is_u64(), "{whole}");
    ensure!(far.join("done").join(&name).exists(), "what was read is put away");

    // Back and forth until nobody has anything to say; it is not for ever.
    let mut silent = 0;
    for _ in 0..12 {
        let moved = gate(&far, &near)? + gate(&near, &far)?;
        let (here, there) = (of_box(&[])?, of_relay()?);
        let still = moved == 0 && here["made"].is_null() && there["made"].is_null();
        silent = if still { silent + 1 } else { 0 };
        if silent == 2 {
            break;
        }
    }
    ensure!(silent == 2, "they fall silent");
    ensure!(cut.unsent()? == 0, "all is acknowledged");

    // The county works; the result comes through the gate by rounds alone.
    let (wang, zhao) = (sign_in(county, "wang")?, sign_in(county, "zhao")?);
    until("the case at the township", 60, || wang.act(&filed.case, "take", &[]).ok())?;
    wang.act(&filed.case, "forward", &[("opinion", "材料齐全")])?;
    until("the county has it", 60, || zhao.act(&filed.case, "accept", &[]).ok())?;
    zhao.act(&filed.case, "approve", &[("opinion", "同意")])?;
    let made = of_relay()?;
    ensure!(made["made"].is_u64(), "{made}");
    gate(&far, &near)?;
    let came = of_box(&[])?;
    ensure!(came["taken"] == 1, "{came}");
    ensure!(li.phase(&filed.case)? == "已办结", "{}", li.phase(&filed.case)?);
    let page = plain(&li.get(&format!("/cases/{}", filed.case))?.page()?);
    ensure!(page.contains("由网闸摆渡送达"), "{page}");
    let said = county.status(BOX)?["ferry"].clone();
    ensure!(said["folder"] == near_words.as_str() && said["taken_ms"].is_i64(), "{said}");
    let said = county.status("relay")?["ferry"].clone();
    ensure!(said["refused"] == 1 && said["made"].is_u64(), "{said}");
    Ok(())
}

#[test]
fn a_box_that_never_had_a_network_is_opened_for_the_first_time_by_a_stick() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let county = Bare::found(&programs()?, folder.path(), free_ports()?, "甲县")?;
    let li = ["staff", "add", "--login", "li", "--name", "李建国", "--role", "agent"];
    county.relay(&[&li[..], &["--places", "101"]].concat(), "246810")?.json()?;
    let _relay = county.serve_relay()?;
    // Enrolled by files.
    let file = county.offer("yunling", "village", "101", &county.quic())?;
    let (request, answer) = (county.path("yunling.request"), county.path("yunling.answer"));
    county.node("yunling", &["enrol-request", &file, "--out", &request])?.json()?;
    county.relay(&["enrol-answer", &request, "--out", &answer], "")?.json()?;
    county.node("yunling", &["enrol-finish", &answer])?.json()?;
    let waiting = county.relay(&["status"], "")?.json()?["to_compare"][0].clone();
    let device = waiting["device"].as_str().context("an id")?.to_owned();
    let stick = county.path("stick");
    std::fs::create_dir_all(&stick)?;
    county.relay(&["bundle", "export", "--box", &device[..8], &stick], "")?.json()?;

    let _box = county.serve_node("yunling", 1, "127.0.0.1:9")?;
    until("a box that takes commands", 20, || {
        county.node("yunling", &["status"]).is_ok_and(|ran| ran.code == 0).then_some(())
    })?;
    let data = county.path("yunling");
    let open = || {
        let arguments = ["--json", "--data", &data, "unlock", "--login", "li"];
        run(&county.bin.join("cunkou-node"), &arguments, "246810")
    };
    ensure!(open()?.code == 5, "nobody can open it yet");
    let came = county.node("yunling", &["bundle", "import", &stick])?.json()?;
    ensure!(came["bundles"][0]["locked"] == true && came["new"].as_u64() > Some(0), "{came}");
    let status = county.node("yunling", &["status"])?.json()?;
    ensure!(status["locked"] == true && status["clock"]["source"] == "unknown", "{status}");
    open()?.json()?;
    let came = county.node("yunling", &["bundle", "import", &stick])?.json()?;
    let first = &came["bundles"][0];
    ensure!(first["locked"] == false && first["known"] == false, "{came}");
    let status = county.node("yunling", &["status"])?.json()?;
    ensure!(status["locked"] == false && status["catalogue"].is_string(), "{status}");

    // And the county hears that it came.
    let back = county.path("back");
    std::fs::create_dir_all(&back)?;
    county.node("yunling", &["bundle", "export", &back])?.json()?;
    let heard = county.relay(&["bundle", "import", &back], "")?.json()?;
    ensure!(heard["acknowledged"] == 1, "{heard}");
    Ok(())
}
