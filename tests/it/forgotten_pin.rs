//! A PIN is forgotten: a number read over the phone, a code read back, a new PIN, nothing lost.

use crate::screens::Looker;
use anyhow::{Context, Result, ensure};
use cunkou_tests::agent::{Agent, Answer, Dice, Papers, links};
use cunkou_tests::at_rest::open_store;
use cunkou_tests::bare::{Bare, Serving};
use cunkou_tests::browser::{Browser, Looks, installed};
use cunkou_tests::county::{free_ports, programs, until};
use cunkou_vault::{NUMBER_MS, NUMBER_WAIT_MS, RESCUES, Rescues};
use std::fs;

const OLD: &str = "246810";
const NEW: &str = "975310";

/// Two village boxes at which li works, a township box, and one resident.
struct Place {
    county: Bare,
    _folder: tempfile::TempDir,
}

impl Place {
    /// With the relay running, which enrolled them.
    fn new() -> Result<(Self, Serving)> {
        let folder = tempfile::tempdir()?;
        let county = Bare::found(&programs()?, folder.path(), free_ports()?, "云溪县")?;
        for (login, name, role, places, pin) in [
            ("li", "李建国", "agent", "101,102", OLD),
            ("he", "何平", "it", "1", "135791"),
            ("wang", "王芳", "township", "10", "864208"),
        ] {
            let add = ["staff", "add", "--login", login, "--name", name, "--role", role];
            county.relay(&[&add[..], &["--places", places]].concat(), pin)?.json()?;
        }
        let people = folder.path().join("people.csv");
        fs::write(
            &people,
            "姓名,身份证号,村,村民小组,户主姓名,与户主关系,联系电话,小名,住址,民族,银行卡号,残疾人证号,低保,退役军人\n\
             张桂兰,130999194203040829,云岭村,1,张桂兰,户主,13900002222,,云岭村1组,汉族,,,否,否\n",
        )?;
        let shown = people.display().to_string();
        county.relay(&["import", "residents", &shown, "--as", "he"], "")?.json()?;
        let relay = county.serve_relay()?;
        for (name, kind, places) in [
            ("one", "village", "101"),
            ("two", "village", "102"),
            ("three", "township", "10,101,102"),
        ] {
            let file = county.offer(name, kind, places, &county.quic())?;
            county.node(name, &["enrol", &file])?.json()?;
        }
        Ok((Self { county, _folder: folder }, relay))
    }

    fn serve(&self, name: &str, i: u16) -> Result<Serving> {
        self.county.serve_node(name, i, &self.county.quic())
    }

    fn sign_in(&self, name: &str, i: u16, login: &str, pin: &str) -> Result<Agent> {
        let url = self.county.url(name, i)?;
        until(&format!("{login} at {name}"), 60, || Agent::sign_in(&url, login, pin).ok())
    }

    /// Everything that a box has said is at the county, and the box knows it.
    fn sent(&self, name: &str) -> Result<()> {
        until(&format!("everything of {name} at the county"), 60, || {
            let status = self.county.node(name, &["status"]).ok()?.json().ok()?;
            (status["unsent"]["entries"] == 0).then_some(())
        })
    }

    /// A stopped box has been awake for so long.
    fn awake(&self, name: &str, ms: i64) -> Result<()> {
        let store = open_store(&self.county.data.join(name), "open.db")?;
        let kept = store.read(|view| view.meta(RESCUES))?.context("ways back")?;
        let mut all: Vec<Rescues> = cunkou_casework::event::decode(&kept)?;
        for rescues in &mut all {
            rescues.pass(0, ms);
        }
        let kept = cunkou_casework::event::encode(&all);
        store.write(|tx| tx.set_meta(RESCUES, &kept))?;
        Ok(())
    }

    fn device(&self, name: &str) -> Result<String> {
        let told = self.county.relay(&["status"], "")?.json()?;
        let boxes = told["boxes"].as_array().context("boxes")?;
        let row = boxes.iter().find(|row| row["name"] == name).context("the box")?;
        Ok(row["device"].as_str().context("an id")?.to_owned())
    }

    /// The code that county IT reads out.
    fn code(&self, device: &str, number: &str) -> Result<String> {
        let ask = ["pin-code", "--box", &device[..8], "--person", "li", "--number", number];
        let told = self.county.relay(&ask, "")?.json()?;
        Ok(told["code"].as_str().context("a code")?.to_owned())
    }
}

fn number_on(page: &str) -> Result<String> {
    let (_, rest) = page.split_once("class=\"aloud\">").context("a number")?;
    let digits = rest.split('<').next().unwrap_or_default();
    Ok(digits.chars().filter(char::is_ascii_digit).collect())
}

/// The number that a box shows for li.
fn number(stranger: &Agent) -> Result<String> {
    number_on(&stranger.post("/forgotten", &[("login", "li")])?.page()?)
}

fn answer(stranger: &Agent, number: &str, code: &str, new: [&str; 2]) -> Result<Answer> {
    let fields =
        [("login", "li"), ("number", number), ("code", code), ("new", new[0]), ("again", new[1])];
    stranger.post("/forgotten/code", &fields)
}

fn refused(answer: &Answer, words: &str) -> Result<()> {
    ensure!(answer.status == 422, "{}: {}", answer.status, answer.complaint());
    ensure!(answer.text().contains(words), "{words}: {}", answer.complaint());
    Ok(())
}

#[test]
fn a_forgotten_pin_is_replaced_over_the_phone_without_a_network_and_nothing_is_lost() -> Result<()>
{
    let (place, relay) = Place::new()?;
    let (one, two) = (place.serve("one", 1)?, place.serve("two", 2)?);
    let li = place.sign_in("one", 1, "li", OLD)?;
    place.sign_in("two", 2, "li", OLD)?;
    let resident = until("the resident", 60, || li.residents(0).ok()?.first().cloned())?;
    let filed = li.file(&resident, "S1-gaoling", &mut Papers::New(Dice::new(5), 640, 480))?;
    place.sent("one")?;
    place.sent("two")?;
    let (device_one, device_two) = (place.device("one")?, place.device("two")?);
    // From here on there is no network. The box is locked, and the PIN typed wrong too often.
    drop((relay, one));
    let one = place.serve("one", 1)?;
    let url = place.county.url("one", 1)?;
    let guess = |pin: &str| Agent::sign_in(&url, "li", pin).err().map(|e| e.to_string());
    for _ in 0..5 {
        guess("000000").context("a wrong PIN")?;
    }
    ensure!(guess(OLD).context("it waits")?.contains("错得太多"));
    let stranger = Agent::stranger(&url);
    ensure!(stranger.get("/login")?.page()?.contains("/forgotten"));
    ensure!(stranger.get("/forgotten")?.page()?.contains("李建国"));
    refused(&stranger.post("/forgotten", &[("login", "nobody")])?, "选择是谁")?;
    let shown = number(&stranger)?;
    ensure!(shown.len() == 8 && number(&stranger)? == shown, "the same for an hour");

    let at_two = Agent::stranger(&place.county.url("two", 2)?);
    let of_two = place.code(&device_two, &number(&at_two)?)?;
    refused(&answer(&stranger, &shown, &of_two, [NEW, NEW])?, "号码不对")?;
    let code = place.code(&device_one, &shown)?;
    refused(&answer(&at_two, &shown, &code, [NEW, NEW])?, "")?;
    let differ = answer(&stranger, &shown, &code, [NEW, OLD])?;
    refused(&differ, "两遍不一样")?;
    ensure!(differ.text().contains(&code), "the code need not be typed again");
    refused(&answer(&stranger, &shown, "12", [NEW, NEW])?, "12 位数字")?;
    ensure!(place.county.node("one", &["status"])?.json()?["locked"] == true);
    let opened = answer(&stranger, &shown, &code, [NEW, NEW])?.done()?;
    ensure!(opened == "/?done=pin", "{opened}");
    ensure!(place.county.node("one", &["status"])?.json()?["locked"] == false);

    // Nothing is lost, the old PIN is worth nothing, the code neither.
    let li = Agent::sign_in(&url, "li", NEW)?;
    ensure!(li.residents(0)?.len() == 1);
    ensure!(li.phase(&filed.case)? == "已收件" && li.receipt(&filed.case)?);
    ensure!(guess(OLD).context("the old PIN")?.contains("PIN"));
    refused(&answer(&stranger, &shown, &code, ["111111", "111111"])?, "失效")?;
    drop(one);
    let one = place.serve("one", 1)?;
    let li = Agent::sign_in(&url, "li", NEW)?;
    ensure!(li.receipt(&filed.case)?, "after a restart, still without a network");

    // The other box learns it once there is a network; the county log says who was helped.
    let relay = place.county.serve_relay()?;
    until("the new PIN at the other box", 90, || {
        Agent::sign_in(&place.county.url("two", 2).ok()?, "li", NEW).ok()
    })?;
    let he = place.sign_in("relay", 0, "he", "135791")?;
    let boxes = he.get("/boxes")?.page()?;
    ensure!(boxes.contains("李建国 · one") && boxes.contains("县平台命令"), "it is on record");
    // And a way back is there again.
    place.sent("one")?;
    let next = number(&stranger)?;
    until("the next code", 60, || place.code(&device_one, &next).ok())?;
    drop((relay, one, two));
    Ok(())
}

#[test]
fn a_number_is_good_for_an_hour_of_the_box_being_awake_and_for_five_codes() -> Result<()> {
    let (place, relay) = Place::new()?;
    let one = place.serve("one", 1)?;
    place.sign_in("one", 1, "li", OLD)?;
    place.sent("one")?;
    let device = place.device("one")?;
    place.county.node("one", &["lock"])?.json()?;
    let stranger = Agent::stranger(&place.county.url("one", 1)?);
    let shown = number(&stranger)?;
    let code = place.code(&device, &shown)?;
    drop(one);
    // An hour of being awake, whatever the clock says.
    place.awake("one", NUMBER_MS)?;
    let one = place.serve("one", 1)?;
    let late = answer(&stranger, &shown, &code, [NEW, NEW])?;
    refused(&late, "失效")?;
    let next = number_on(&late.text())?;
    ensure!(next != shown);
    for _ in 0..4 {
        refused(&answer(&stranger, &next, "000000000000", [NEW, NEW])?, "再念一遍")?;
    }
    refused(&answer(&stranger, &next, "000000000000", [NEW, NEW])?, "一分钟后")?;
    let right = place.code(&device, &next)?;
    refused(&answer(&stranger, &next, &right, [NEW, NEW])?, "一分钟后")?;
    drop(one);
    place.awake("one", NUMBER_WAIT_MS)?;
    let one = place.serve("one", 1)?;
    refused(&answer(&stranger, &next, &right, [NEW, NEW])?, "新编号")?;
    let last = number(&stranger)?;
    let code = place.code(&device, &last)?;
    answer(&stranger, &last, &code, [NEW, NEW])?.done()?;
    drop((relay, one));
    Ok(())
}

#[test]
fn a_colleague_of_the_township_reads_the_code_by_grant_and_everybody_changes_their_own_pin()
-> Result<()> {
    let (place, relay) = Place::new()?;
    let (one, three) = (place.serve("one", 1)?, place.serve("three", 2)?);
    let wang = place.sign_in("three", 2, "wang", "864208")?;
    place.sign_in("one", 1, "li", OLD)?;
    place.sent("one")?;
    let page = wang.get("/helping")?.page()?;
    ensure!(!page.contains("李建国"), "without a grant");
    let grant = ["grant", "add", "--to", "wang", "--powers", "agents", "--places", "10"];
    let grant = [&grant[..], &["--count", "10", "--days", "30"]].concat();
    let made = place.county.relay(&grant, "")?.json()?;
    ensure!(made["done"].is_null(), "one key founds this county: {made}");
    // The next sign-in at the village box seals to whoever may help now.
    let url = place.county.url("one", 1)?;
    let may = until("wang may help", 60, || {
        Agent::sign_in(&url, "li", OLD).ok()?;
        let page = wang.get("/helping").ok()?.page().ok()?;
        links(&page, "value", "").into_iter().find(|value| value.contains('.'))
    })?;
    place.county.node("one", &["lock"])?.json()?;
    let stranger = Agent::stranger(&url);
    let shown = number(&stranger)?;
    let asked = |number: &str| wang.post("/helping", &[("who", may.as_str()), ("number", number)]);
    refused(&asked("1")?, "8 位")?;
    let page = asked(&shown)?.page()?;
    ensure!(page.contains("李建国 · one"), "on record");
    let code = number_on(&page)?;
    answer(&stranger, &shown, &code, [NEW, NEW])?.done()?;
    let li = Agent::sign_in(&url, "li", NEW)?;

    // An own PIN is changed by whoever knows it.
    let change = |who: &Agent, old: &str, new: [&str; 2]| {
        who.post("/pin", &[("old", old), ("new", new[0]), ("again", new[1])])
    };
    ensure!(li.get("/pin")?.page()?.contains("修改 PIN 码"));
    refused(&change(&li, OLD, ["5678", "5678"])?, "现在的 PIN 码不对")?;
    refused(&change(&li, NEW, ["56", "56"])?, "4 至 12 位")?;
    refused(&change(&li, NEW, ["5678", "5679"])?, "两遍不一样")?;
    let elsewhere = Agent::sign_in(&url, "li", NEW)?;
    ensure!(change(&li, NEW, ["5678", "5678"])?.done()? == "/pin?done=pin");
    ensure!(li.get("/")?.status == 200, "this session goes on");
    ensure!(elsewhere.get("/")?.status == 303, "the other ended");
    ensure!(Agent::sign_in(&url, "li", NEW).is_err());
    place.county.node("one", &["lock"])?.json()?;
    Agent::sign_in(&url, "li", "5678")?;
    let he = place.sign_in("relay", 0, "he", "135791")?;
    ensure!(change(&he, "135791", ["24680", "24680"])?.done()? == "/pin?done=pin");
    let console = place.county.url("relay", 0)?;
    ensure!(Agent::sign_in(&console, "he", "135791").is_err());
    Agent::sign_in(&console, "he", "24680")?;

    // A grant that has ended helps no more, whatever was sealed to its holder.
    let id = made["grant"].as_str().context("its id")?;
    place.county.relay(&["grant", "end", id, "--reason", "离岗"], "")?.json()?;
    until("the grant's end at the township", 60, || {
        (!wang.get("/helping").ok()?.page().ok()?.contains("name=\"who\"")).then_some(())
    })?;
    refused(&asked(&shown)?, "选择是谁")?;
    drop((relay, one, three));
    Ok(())
}

fn fill(browser: &Browser, code: &str, again: &str) -> Result<()> {
    browser.fill("对方念的号码", code)?;
    browser.fill("新 PIN 码", NEW)?;
    browser.fill("新 PIN 码再输一遍", again)?;
    browser.click("设好并登录")
}

/// The pages as people see them, by their visible words.
#[test]
fn every_page_of_a_forgotten_pin_can_be_seen_read_and_used() -> Result<()> {
    if !installed() {
        return Ok(());
    }
    let (place, relay) = Place::new()?;
    let grant = ["grant", "add", "--to", "wang", "--powers", "agents", "--places", "10"];
    let grant = [&grant[..], &["--count", "10", "--days", "30"]].concat();
    let (one, three) = (place.serve("one", 1)?, place.serve("three", 2)?);
    place.sign_in("three", 2, "wang", "864208")?;
    place.sign_in("one", 1, "li", OLD)?;
    let at = |name: &str, i: u16| -> Result<Looker> {
        let url = place.county.url(name, i)?;
        let browser = Browser::open("forgotten-pin", &format!("{name}-"), &url, Looks::default())?;
        Ok(Looker { browser, faults: Vec::new() })
    };
    let (mut village, mut township) = (at("one", 1)?, at("three", 2)?);
    township.browser.sign_in("王芳", "864208")?;
    township.browser.go("/helping")?;
    township.look("helping-nobody")?;
    place.county.relay(&grant, "")?.json()?;
    until("wang may help", 60, || {
        Agent::sign_in(&place.county.url("one", 1).ok()?, "li", OLD).ok()?;
        township.browser.go("/helping").ok()?;
        township.browser.shows("李建国").ok()?.then_some(())
    })?;
    place.county.node("one", &["lock"])?.json()?;

    village.browser.go("/login")?;
    village.look("login-locked")?;
    village.browser.click("忘记 PIN 码?")?;
    village.browser.see("谁忘了 PIN 码")?;
    village.look("who")?;
    village.browser.choose("谁忘了 PIN 码", "李建国")?;
    village.browser.click("下一步")?;
    village.browser.see("念这个编号")?;
    village.look("number")?;
    let shown = number_on(&village.browser.source()?)?;

    township.browser.click("同事忘了 PIN")?;
    township.look("helping")?;
    township.browser.choose("谁,在哪台盒子", "李建国")?;
    township.browser.fill("盒子上的编号", "123")?;
    township.browser.click("算出号码")?;
    township.browser.see("编号是 8 位数字")?;
    township.look("helping-fault")?;
    township.browser.choose("谁,在哪台盒子", "李建国")?;
    township.browser.fill("盒子上的编号", &shown)?;
    township.browser.click("算出号码")?;
    township.browser.see("念这个号码")?;
    township.look("helping-code")?;
    let code = number_on(&township.browser.source()?)?;
    township.browser.click("好了")?;
    township.browser.see("在这里念过的号码")?;
    township.look("helping-after")?;

    fill(&village.browser, "1234", "1")?;
    village.browser.see("处要改")?;
    village.look("number-faults")?;
    fill(&village.browser, "0000 0000 0000", NEW)?;
    village.browser.see("请对方再念一遍")?;
    village.look("number-wrong")?;
    fill(&village.browser, &code, NEW)?;
    village.browser.see("新 PIN 码已设好")?;
    village.look("home-after")?;
    village.browser.click("改 PIN 码")?;
    village.browser.see("现在的 PIN 码")?;
    village.look("own")?;
    village.browser.press("修改")?;
    village.browser.see("处要改")?;
    village.look("own-fault")?;
    village.browser.fill("现在的 PIN 码", NEW)?;
    village.browser.fill("新 PIN 码", "5678")?;
    village.browser.fill("新 PIN 码再输一遍", "5678")?;
    village.browser.press("修改")?;
    village.browser.see("新 PIN 码已设好")?;
    for (set, name) in [("/set/lang/en?back=/", "english"), ("/set/big/on?back=/", "big")] {
        village.browser.go(set)?;
        village.browser.go("/pin")?;
        village.look(&format!("own-{name}"))?;
        village.browser.go("/forgotten")?;
        village.look(&format!("who-{name}"))?;
    }
    let all = [village.faults, township.faults].concat();
    ensure!(all.is_empty(), "{} faults:\n{}", all.len(), all.join("\n"));
    drop((relay, one, three));
    Ok(())
}
