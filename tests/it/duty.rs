//! 交接: one agent hands the duty of a village over to another at one tablet, with no network; both
//! sign with their own PIN, what was missing stays written, and the county has it in the end.

use crate::story::{at, read_pdf};
use anyhow::{Context, Result, ensure};
use cunkou_tests::agent::{Agent, Dice, Papers, fields, links, plain};
use cunkou_tests::bare::run;
use cunkou_tests::browser::{Browser, Looks, installed};
use cunkou_tests::county::{County, programs, until};

const STORY: &str = "duty";
const PIN: &str = "864202";

/// 孙梅 is to work in the same village as 李建国.
pub(crate) fn colleague(county: &County) -> Result<()> {
    let data = county.data("relay").display().to_string();
    let add = ["staff", "add", "--login", "mei", "--name", "孙梅", "--role", "agent"];
    let add = [&["--json", "--data", &data][..], &add, &["--places", "101"]].concat();
    run(&programs()?.join("cunkou-relay"), &add, PIN)?.json()?;
    let stranger = Agent::stranger(county.url("village1"));
    until("her name at the box", 60, || {
        stranger.get("/login").ok()?.page().ok()?.contains("孙梅").then_some(())
    })
}

/// The giver's part: what is listed, what is typed, and the signature with one's own PIN.
fn hands_over(box_: &Browser, number: &str) -> Result<()> {
    box_.go("/")?;
    box_.see("孙梅、李建国(云岭村)")?;
    box_.screenshot("home-before")?;
    box_.click("交班、交接记录")?;
    box_.see("还没有交接过")?;
    box_.click("开始交班")?;
    box_.see("把工作交给同事")?;
    for words in [number, "在办的件 (1)", "张*兰", "容缺待补", "补交", "孙梅"] {
        box_.see(words)?;
    }
    ensure!(!box_.shows("张桂兰")?, "the list lies open on a table: names are covered");
    box_.screenshot("give")?;
    box_.choose("交给谁", "孙梅")?;
    box_.fill("留在抽屉里的原件", "户口簿原件")?;
    box_.fill("原件 1", "村委会借出的残疾证一本")?;
    box_.fill("答应的事 1", "给王奶奶送体检报告")?;
    box_.fill("哪天之前 1", "明天")?;
    box_.fill("说明", "抽屉钥匙在桌上")?;
    box_.fill("您自己的 PIN 码", "000000")?;
    box_.press("签名,交出")?;
    box_.see("日期像")?;
    box_.screenshot("give-fault")?;
    box_.fill("哪天之前 1", "2026年12月1日")?;
    box_.fill("您自己的 PIN 码", "000000")?;
    box_.press("签名,交出")?;
    box_.see("PIN 码不对")?;
    ensure!(box_.value("原件 1")? == "村委会借出的残疾证一本", "what was typed stays");
    box_.fill("您自己的 PIN 码", "246810")?;
    box_.press("签名,交出")?;
    box_.see("坐到平板前")?;
    box_.screenshot("take")?;
    box_.go("/")?;
    box_.see("签收之前仍由您负责")?;
    box_.see("值班:李建国(云岭村、柳沟村、下庄村)")?;
    box_.screenshot("home-waits")
}

/// The receiver's part at the same tablet: one original is there, one is not.
fn takes_over(box_: &Browser) -> Result<()> {
    box_.click("打开")?;
    box_.see("现在由谁负责")?;
    box_.click("签收")?;
    box_.see("签收交接")?;
    let original = "村委会借出的残疾证一本";
    box_.tick(original)?;
    box_.fill("孙梅的 PIN 码", PIN)?;
    box_.press("点过了,签收")?;
    box_.see("有 1 件原件没有勾")?;
    box_.screenshot("take-fault")?;
    box_.fill("备注", "户口簿原件没找到,李建国说王老汉已经取走,明天上门核对")?;
    // Another's PIN is not the receiver's signature.
    box_.fill("孙梅的 PIN 码", "246810")?;
    box_.press("点过了,签收")?;
    box_.see("PIN 码不对")?;
    box_.fill("孙梅的 PIN 码", PIN)?;
    box_.press("点过了,签收")?;
    box_.see("已签收,双方都签了名")?;
    box_.see("签收时缺")?;
    for words in ["移交人签名", "接收人签名", "明天上门核对", "抽屉钥匙在桌上", "2026-12-01 前"]
    {
        box_.see(words)?;
    }
    box_.screenshot("record")?;
    box_.go("/")?;
    box_.see("孙梅")?;
    box_.see("孙梅(云岭村)")?;
    box_.screenshot("home-after")?;
    box_.go("/duty")?;
    box_.see("已签收,缺原件 1 件")?;
    box_.screenshot("list")?;
    box_.click("English")?;
    box_.see("Taken; originals missing: 1")?;
    box_.click("李建国 → 孙梅")?;
    box_.see("Signed by the receiver")?;
    box_.screenshot("record-english")?;
    box_.go("/duty/new")?;
    box_.see("Who takes over")?;
    box_.screenshot("give-english")
}

#[test]
fn duty_goes_from_one_agent_to_another_with_both_signatures_and_what_is_missing_written()
-> Result<()> {
    if !installed() {
        return Ok(());
    }
    let county = County::start()?;
    colleague(&county)?;
    let person = county.person("li");
    let li = Agent::sign_in(county.url("village1"), &person.login, &person.pin)?;
    let mut dice = Dice::new(7);
    let mut papers = Papers::Least(cunkou_tests::agent::photo(&mut dice, 640, 480));
    // A resident of the village itself: the box serves two others beside it.
    let all = li.search("张桂兰")?;
    let resident = all.first().context("a resident")?.clone();
    let filed = li.file(&resident, "S1-gaoling", &mut papers)?;

    // What the village sent has arrived, so what the county had for it before has, too: her key.
    let wang = county.person("wang");
    let wang = Agent::sign_in(county.url(&wang.node), &wang.login, &wang.pin)?;
    until("the case at the township", 60, || wang.phase(&filed.case).ok())?;
    let mei = || Agent::sign_in(county.url("village1"), "mei", PIN);
    until("her key at the box", 90, || mei().ok())?;

    county.stop("relay")?;
    let tablet = at(&county, STORY, "li", Looks::default())?;
    hands_over(&tablet, &filed.number)?;
    takes_over(&tablet)?;

    // The paper: both names and times, the same bytes each time.
    let mei = mei()?;
    let list = mei.get("/duty")?.page()?;
    let duty = links(&list, "href", "/duty/").into_iter().find(|to| to != "/duty/new");
    let duty = duty.context("a hand-over")?;
    let paper = || mei.get(&format!("{duty}/paper.pdf"));
    let pdf = paper()?.body;
    ensure!(pdf == paper()?.body, "the paper is the same each time");
    let words = read_pdf(STORY, "handover", &pdf)?;
    for part in [
        "代办服务点交接单",
        "李建国",
        "孙梅",
        "Signed by the receiver",
        "Originals not found",
        "张*兰",
    ] {
        ensure!(words.contains(part), "the paper lacks {part}: {words}");
    }
    ensure!(!words.contains("张桂兰") && !words.contains("尚未签收"), "{words}");

    // What is settled stays: nobody signs it again, and nobody takes it back.
    let again = li.post(&format!("{duty}/take"), &[("pin", PIN)])?;
    ensure!(again.location.as_deref() == Some(duty.as_str()), "{:?}", again.location);
    let back = li.post(&format!("{duty}/withdraw"), &[("x", "1")])?;
    ensure!(back.location.as_deref() == Some(duty.as_str()), "{:?}", back.location);

    // The next hand-over begins with what the last one left: what was there, and what is to be found.
    let page = mei.get("/duty/new")?.page()?;
    ensure!(
        page.contains("村委会借出的残疾证一本")
            && page.contains("找回原件:0000-4000-0015 张*兰 户口簿原件")
    );
    let mut form = fields(&page, "/duty/new");
    form.retain(|(name, _)| name != "more");
    for (name, value) in &mut form {
        match name.as_str() {
            "to" => "li".clone_into(value),
            "pin" => PIN.clone_into(value),
            _ => {}
        }
    }
    let to = mei.post("/duty/new", &form)?.done()?;
    let next = to.split("/take").next().unwrap_or_default().to_owned();
    let asked = li.get("/")?.page()?;
    ensure!(plain(&asked).contains("孙梅把云岭村的工作交给您"), "{}", plain(&asked));
    let theirs = li.post(&format!("{next}/withdraw"), &[("x", "1")])?;
    ensure!(theirs.status == 403, "only the giver takes it back: {}", theirs.status);
    mei.post(&format!("{next}/withdraw"), &[("x", "1")])?.done()?;
    ensure!(!plain(&li.get("/")?.page()?).contains("交给您"), "it was taken back");

    // All of it travels once the county can be reached; another village sees nothing of it.
    county.start_node("relay")?;
    let there = until("both hand-overs at the township", 90, || {
        let list = plain(&wang.get("/duty").ok()?.page().ok()?);
        (list.contains("已签收,缺原件 1 件") && list.contains("已撤回")).then_some(list)
    })?;
    ensure!(there.contains("李建国 → 孙梅") && there.contains("孙梅 → 李建国"), "{there}");
    ensure!(wang.get(&format!("{duty}/paper.pdf"))?.body == pdf, "the same paper there");
    let sun = county.person("sun");
    let sun = Agent::sign_in(county.url(&sun.node), &sun.login, &sun.pin)?;
    ensure!(sun.get(&duty)?.status == 404, "another village does not see it");
    Ok(())
}
