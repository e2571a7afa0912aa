//! A closed case is destroyed: one asks, another agrees, and the console shows who has confirmed.

use anyhow::{Context, Result, ensure};
use cunkou_tests::agent::{Agent, Answer, Dice, Papers, plain};
use cunkou_tests::browser::{Browser, Looks, installed};
use cunkou_tests::county::{County, until};

const STORY: &str = "erasure";
const NONE: &[(&str, &str)] = &[];

fn sign_in(county: &County, login: &str) -> Result<Agent> {
    let person = county.person(login);
    Agent::sign_in(county.url(&person.node), login, &person.pin)
}

/// A withdrawn case that the county has, with its number.
fn withdrawn(county: &County, li: &Agent, zhao: &Agent) -> Result<(String, String)> {
    let resident = li.search("张桂兰")?.first().context("a resident")?.clone();
    let mut papers = Papers::New(Dice::new(11), 400, 300);
    let filed = li.file(&resident, "S1-gaoling", &mut papers)?;
    li.act(&filed.case, "withdraw", &[("reason", "不办了")])?;
    until("the withdrawal at the county", 60, || {
        zhao.phase(&filed.case).is_ok_and(|phase| phase == "已撤回").then_some(())
    })?;
    let sent = || county.status("village1").ok()?["unsent"]["entries"].as_u64();
    until("everything at the county", 30, || (sent() == Some(0)).then_some(()))?;
    Ok((filed.case, filed.number))
}

fn words(answer: Answer) -> Result<String> {
    Ok(plain(&answer.page()?))
}

/// The other pages of the register, as pictures.
fn looked_at(county: &County, number: &str) -> Result<()> {
    let person = county.person("lu");
    let browser = Browser::open(STORY, "relay-", county.url("relay"), Looks::default())?;
    browser.sign_in(&person.name, &person.pin)?;
    browser.see("销毁")?;
    browser.screenshot("register")?;
    browser.go("/retention")?;
    browser.see("没有期限已满的办件")?;
    browser.screenshot("retention")?;
    browser.go("/erasures")?;
    browser.fill("办件号或身份证号", number)?;
    browser.press("查找")?;
    browser.see("保管期限未满")?;
    browser.screenshot("found")?;
    browser.press("提出销毁")?;
    browser.see("选择销毁依据")?;
    browser.see("保管期限未满")?;
    browser.screenshot("faults")
}

#[test]
fn what_one_asks_and_another_agrees_to_is_gone_and_the_console_names_who_has_not_confirmed()
-> Result<()> {
    let county = County::start()?;
    let (li, zhao) = (sign_in(&county, "li")?, sign_in(&county, "zhao")?);
    let (lu, qian) = (sign_in(&county, "lu")?, sign_in(&county, "qian")?);
    let (case, number) = withdrawn(&county, &li, &zhao)?;
    ensure!(lu.get(&format!("/cases/{case}"))?.status == 403, "she destroys and reads nothing");
    if installed() {
        looked_at(&county, &number)?;
    }

    let found = words(lu.post("/erasures/find", &[("number", number.as_str())])?)?;
    ensure!(found.contains("张**") && !found.contains("张桂兰"), "masked: {found}");
    let ticked = format!("s-{case}");
    let ask = |reason: &str| {
        let fields = [(ticked.as_str(), "1"), ("basis", "request"), ("reason", reason)];
        lu.post("/erasures", &fields)
    };
    ensure!(ask("130999194305121234 申请")?.status == 422, "the register names nobody");
    ask("本人申请,2026 年 7 号")?.done()?;
    ensure!(ask("再一次")?.status == 409, "asked once");
    let agree = format!("/erasures/{case}/agree");
    ensure!(qian.post(&agree, NONE)?.status == 403, "another department's");
    ensure!(lu.post(&agree, NONE)?.status == 409, "nobody agrees with herself");
    ensure!(li.get(&format!("/cases/{case}"))?.status == 200, "nothing has happened yet");
    let waits = words(zhao.get("/erasures")?)?;
    ensure!(waits.contains("卢静") && waits.contains("个人撤回同意或要求删除"), "{waits}");

    if installed() {
        let person = county.person("zhao");
        let browser = Browser::open(STORY, "second-", county.url("relay"), Looks::default())?;
        browser.sign_in(&person.name, &person.pin)?;
        browser.go("/erasures")?;
        browser.click("同意销毁")?;
        browser.screenshot("waits")?;
    }
    county.stop("village1")?;
    zhao.post(&agree, NONE)?.done()?;
    ensure!(zhao.get(&format!("/cases/{case}"))?.status == 410, "gone at the county");
    until("the township's confirmation", 60, || {
        words(lu.get("/erasures").ok()?).ok()?.contains("2 / 3").then_some(())
    })?;
    let named = words(lu.get("/erasures")?)?;
    ensure!(named.contains("还没有:云岭村代办服务点"), "{named}");
    ensure!(county.status("relay")?["erasures_unconfirmed"] == 1);

    county.start_node("village1")?;
    let li = until("the box to be opened", 60, || sign_in(&county, "li").ok())?;
    until("the village's confirmation", 60, || {
        words(lu.get("/erasures").ok()?).ok()?.contains("3 / 3").then_some(())
    })?;
    let told = li.get(&format!("/cases/{case}"))?;
    ensure!(told.status == 410 && told.text().contains("已依法销毁"), "{}", told.status);
    ensure!(county.status("relay")?["erasures_unconfirmed"] == 0);
    let table = lu.get("/erasures.csv")?;
    ensure!(table.text().contains(&number), "{}", table.text());
    ensure!(!table.text().contains("张"), "and names nobody");
    if installed() {
        let browser = Browser::open(STORY, "relay-", county.url("relay"), Looks::default())?;
        let person = county.person("lu");
        browser.sign_in(&person.name, &person.pin)?;
        browser.see("3 / 3")?;
        browser.screenshot("confirmed")?;
    }
    Ok(())
}
