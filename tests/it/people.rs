//! What people see of sync: a case is filed without a network, the page says what is on this box
//! only, the relay comes, it shows how far it is, and then that all of it is there; status says the
//! same, and the history of contacts tells of it.

use crate::story::at;
use anyhow::{Context, Result, ensure};
use cunkou_tests::agent::{Agent, Dice, Papers, plain};
use cunkou_tests::browser::{Browser, Looks, installed};
use cunkou_tests::county::{County, until};
use cunkou_tests::weather::{Weather, Wire};
use serde_json::Value;
use std::time::Duration;

const STORY: &str = "people";
const BOX: &str = "village1";

fn sign_in(county: &County, login: &str) -> Result<Agent> {
    let person = county.person(login);
    Agent::sign_in(county.url(&person.node), login, &person.pin)
}

fn number(of: &Value) -> Result<u64> {
    of.as_u64().with_context(|| format!("{of} is no number"))
}

/// The words of the page without any script, and what status says at the same moment: asked until
/// nothing has changed between.
fn both(county: &County, li: &Agent) -> Result<(String, Value)> {
    until("page and status of one moment", 30, || {
        let before = county.status(BOX).ok()?;
        let page = plain(&li.get_silent("/sync").ok()?.page().ok()?);
        let after = county.status(BOX).ok()?;
        let same = |status: &Value| {
            let sync = &status["sync"];
            (sync["only_here"].clone(), sync["needs"].clone(), sync["state"].clone())
        };
        (same(&before) == same(&after)).then_some((page, after))
    })
}

/// What status tells stands on the page.
fn agree(page: &str, status: &Value) -> Result<()> {
    let (sync, page) = (&status["sync"], page.replace(char::is_whitespace, ""));
    let here = &sync["only_here"];
    let (cases, entries) = (number(&here["cases"])?, number(&here["entries"])?);
    let photos = number(&here["photos"])?;
    let mut wanted = Vec::new();
    if cases > 0 {
        wanted.push(format!("{cases}件"));
    }
    if entries > 0 {
        wanted.push(format!("共{entries}条记录"));
    }
    if photos > 0 {
        wanted.push(format!("照片{photos}张"));
    }
    if cases + entries + photos == 0 {
        wanted.push("没有,都已送到县里".to_owned());
    }
    for case in here["list"].as_array().context("a list")? {
        let digits = case["number"].as_str().context("a number")?;
        let grouped: Vec<&str> = [&digits[..4], &digits[4..8], &digits[8..]].into();
        wanted.push(grouped.join("-"));
    }
    for need in sync["needs"].as_array().context("needs")? {
        let words = need["zh"].as_str().context("words")?;
        wanted.push(words.replace(char::is_whitespace, ""));
    }
    for words in wanted {
        ensure!(page.contains(&words), "status says {words}, the page does not:\n{page}");
    }
    ensure!(number(&status["unsent"]["entries"])? == entries, "{status}");
    Ok(())
}

/// Files a case while the relay is away, and looks at what the box says of it.
fn files_alone(county: &County, li: &Agent, browser: &Browser) -> Result<(String, u64)> {
    let resident = li.search("张桂兰")?.first().context("a resident")?.clone();
    let filed = li.file(&resident, "S1-gaoling", &mut Papers::New(Dice::new(5), 900, 675))?;
    let number = li.number(&filed.case)?;
    until("nobody answers", 60, || {
        let status = county.status(BOX).ok()?;
        (status["sync"]["failure"]["why"] == "unreachable").then_some(())
    })?;
    let (page, status) = both(county, li)?;
    agree(&page, &status)?;
    let here = &status["sync"]["only_here"];
    ensure!(here["cases"] == 1 && here["photos"].as_u64() > Some(3), "{here}");
    let photos = here["photos"].as_u64().context("photos")?;
    ensure!(here["photo_bytes"].as_u64() > Some(20_000), "{here}");
    ensure!(here["oldest_ms"].is_i64(), "{here}");
    ensure!(status["sync"]["left"]["remaining_s"].is_null(), "nothing moves: nothing is promised");
    // Why it does not go, whose matter that is and since when.
    for words in ["县平台没有应答", "不用管,会自动再试", "上次试", "只在这台盒子上的", "等了"]
    {
        ensure!(page.contains(words), "{words} is missing:\n{page}");
    }
    ensure!(status["sync"]["failure"]["why"] == "unreachable", "{status}");
    browser.go("/sync")?;
    browser.see("已存本机,连上后自动传")?;
    browser.screenshot("offline")?;
    // It leads to the case, which stands on the first rung.
    browser.click(&number)?;
    browser.see("已存本机")?;
    let rungs = browser.script(
        "return [...document.querySelectorAll('.ladder li')].map(li => li.className === 'reached')",
    )?;
    ensure!(rungs == serde_json::json!([true, false, false, false]), "{rungs}");
    browser.screenshot("first-rung")?;
    Ok((filed.case, photos))
}

/// The relay comes back at the end of a narrow wire: the page that was left open says so by itself.
fn watches_it_go(county: &County, li: &Agent, browser: &Browser, photos: u64) -> Result<()> {
    browser.go("/sync")?;
    county.start_node("relay")?;
    browser.see_in(90, "正在传")?;
    browser.see_in(60, "每秒")?;
    browser.screenshot("under-way")?;
    let moving = until("a speed in status", 60, || {
        let status = county.status(BOX).ok()?;
        (status["sync"]["speed"]["out_bytes_s"].as_u64() > Some(1000)).then_some(status)
    })?;
    ensure!(moving["sync"]["state"] == "online", "{moving}");
    ensure!(moving["sync"]["failure"].is_null(), "it goes: {moving}");
    let (page, status) = both(county, li)?;
    agree(&page, &status)?;
    browser.see_in(180, "都齐了")?;
    browser.screenshot("complete")?;
    let (page, status) = both(county, li)?;
    agree(&page, &status)?;
    ensure!(page.contains("没有,都已送到县里"), "{page}");
    ensure!(status["sync"]["left"]["photos_out"] == 0, "{photos} photos are given: {status}");
    ensure!(status["sync"]["last_completed_ms"].is_i64(), "{status}");
    Ok(())
}

/// Attempts, a conversation, what it carried and how it ended, on the page, as a table, in status.
fn remembers(county: &County) -> Result<()> {
    let status = county.status(BOX)?;
    let contacts = status["contacts"].as_array().context("contacts")?.clone();
    let lasting = contacts.iter().find(|c| c["ended"] == "lasts").context("one lasts")?;
    ensure!(lasting["over"] == "quic" && lasting["completed_ms"].is_i64(), "{lasting}");
    ensure!(contacts.iter().any(|c| c["reached"] == false), "attempts are told: {contacts:?}");
    // It is over when the box stops, and what it carried outlives that.
    county.stop(BOX)?;
    county.start_node(BOX)?;
    let status = until("it runs again", 20, || county.status(BOX).ok())?;
    ensure!(status["locked"] == true);
    let li = until("the box opens", 60, || sign_in(county, "li").ok())?;
    let status = county.status(BOX)?;
    let contacts = status["contacts"].as_array().context("contacts")?.clone();
    let over = contacts
        .iter()
        .find(|c| c["from_ms"] == lasting["from_ms"])
        .context("the conversation is remembered")?;
    ensure!(over["ended"] == "ended-here" && over["to_ms"].is_i64(), "{over}");
    ensure!(over["bytes_out"].as_u64() > Some(50_000), "{over}");
    ensure!(over["entries_out"].as_u64() > Some(3), "{over}");
    let answer = li.get("/sync/contacts.csv")?;
    let table = answer.text();
    ensure!(table.starts_with('\u{feff}') && table.contains("\"QUIC\""), "{table}");
    ensure!(table.contains("没连上:没有应答") && table.contains("本机结束"), "{table}");
    let page = plain(&li.get("/sync")?.page()?);
    for words in ["联系记录", "QUIC", "没连上:没有应答", "本机结束", "导出表格"]
    {
        ensure!(page.contains(words), "{words} is missing:\n{page}");
    }
    Ok(())
}

#[test]
fn from_filing_alone_to_everything_at_the_county_the_page_says_what_is_so() -> Result<()> {
    if !installed() {
        return Ok(());
    }
    let county = County::start()?;
    let weather = Weather {
        seed: 10,
        delay: Duration::from_millis(40),
        jitter: Duration::from_millis(5),
        loss: 0,
        bits: 320_000,
        queue: Duration::from_secs(3),
    };
    let config: toml::Table = county.config("relay")?.parse()?;
    let wire = Wire::open(config["quic"].as_str().context("an address")?, weather)?;
    let by_wire = format!("{}+", wire.address);
    county.restart_with(BOX, |config| {
        config.insert("relays".into(), vec![by_wire].into());
    })?;
    let li = until("li signs in", 60, || sign_in(&county, "li").ok())?;
    until("it was all exchanged once", 120, || {
        let status = county.status(BOX).ok()?;
        (status["sync"]["state"] == "online" && status["unsent"]["entries"] == 0).then_some(())
    })?;
    let browser = at(&county, STORY, "li", Looks::default())?;
    county.stop("relay")?;
    let (case, photos) = files_alone(&county, &li, &browser)?;
    watches_it_go(&county, &li, &browser, photos)?;
    // The second rung, on the case's page and in the ledger.
    browser.go(&format!("/cases/{case}"))?;
    browser.see("已上传县平台")?;
    browser.go("/cases?show=all")?;
    browser.see("●●○○ 已上传县平台")?;
    browser.screenshot("ledger")?;
    drop(browser);
    remembers(&county)
}
