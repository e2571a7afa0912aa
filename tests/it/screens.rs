//! Every screen: a picture of it in two sizes, and nothing in it that keeps somebody out.

use crate::duty::colleague;
use crate::story::{at, id_number};
use anyhow::{Context, Result, ensure};
use cunkou_tests::agent::{Agent, Dice, Papers};
use cunkou_tests::bare::run;
use cunkou_tests::browser::{Browser, Looks, installed};
use cunkou_tests::county::{County, programs, until};
use cunkou_tests::pictures::jpeg;
use serde_json::Value;
use std::collections::BTreeSet;

const STORY: &str = "screens";
const AXE: &str = include_str!("vendor/axe.min.js");

/// Faults of a page's source: one heading, a language, ids once, no inline style or script.
fn faults_of_source(html: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let headings = html.matches("<h1").count();
    if headings != 1 {
        faults.push(format!("{headings} h1"));
    }
    if !html.contains("<html lang=\"") {
        faults.push("no lang".into());
    }
    let mut ids = BTreeSet::new();
    for tag in html.split('<').skip(1) {
        let tag = tag.split('>').next().unwrap_or_default();
        if tag == "script" || tag == "style" {
            faults.push(format!("inline {tag}"));
        }
        // Names of attributes: what stands before =" outside of values.
        for (i, part) in tag.split('"').enumerate() {
            let Some(name) = part.strip_suffix('=').filter(|_| i % 2 == 0) else { continue };
            let name = name.rsplit(' ').next().unwrap_or_default();
            if name == "style" || name.starts_with("on") || name.starts_with("hx-on") {
                faults.push(format!("attribute {name}"));
            }
            let value = tag.split('"').nth(i + 1).unwrap_or_default();
            if name == "id" && !ids.insert(value.to_owned()) {
                faults.push(format!("id {value} twice"));
            }
        }
    }
    faults
}

/// Violations that keep somebody out, as axe sees them.
fn faults_of_access(browser: &Browser) -> Result<Vec<String>> {
    browser.script(AXE)?;
    let found = browser.script_async(
        "const done = arguments[arguments.length - 1];
         axe.run(document).then(r => done(r.passes.length < 8 ? ['axe saw nothing'] : r.violations
           .filter(v => v.impact === 'serious' || v.impact === 'critical')
           .map(v => v.id + ': ' + v.help + ' — ' + v.nodes.slice(0, 3)
             .map(n => n.html.slice(0, 160) + ' ' + (n.any[0]?.message ?? n.all[0]?.message ?? ''))
             .join(' | '))), e => done(['axe failed: ' + e]));",
    )?;
    let all = found.as_array().context("no answer of axe")?;
    Ok(all.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

/// Something is wider than the page.
fn faults_of_width(browser: &Browser) -> Result<Vec<String>> {
    let wide = browser.script(
        "const w = document.documentElement;
         return w.scrollWidth > w.clientWidth ? [w.scrollWidth + ' wide in ' + w.clientWidth] : []",
    )?;
    let all = wide.as_array().cloned().unwrap_or_default();
    Ok(all.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

/// A browser that looks at screens and remembers what is wrong with them.
pub(crate) struct Looker {
    pub(crate) browser: Browser,
    pub(crate) faults: Vec<String>,
}

impl Looker {
    fn at(county: &County, login: &str) -> Result<Self> {
        let browser = at(county, STORY, login, Looks::default())?;
        Ok(Self { browser, faults: Vec::new() })
    }

    /// Looks at the page that is shown, in both sizes.
    pub(crate) fn look(&mut self, name: &str) -> Result<()> {
        let mut faults = Vec::new();
        for (width, height, suffix) in [(800, 1280, "-tall"), (1280, 800, "")] {
            self.browser.resize(width, height)?;
            faults.extend(faults_of_width(&self.browser)?);
            self.browser.screenshot(&format!("{name}{suffix}"))?;
        }
        faults.extend(faults_of_access(&self.browser)?);
        // What a script of ours sets on its canvas is no attribute of the page.
        let shown = faults_of_source(&self.browser.source()?).into_iter();
        faults.extend(shown.filter(|fault| fault != "attribute style"));
        self.faults.extend(faults.into_iter().map(|fault| format!("{name}: {fault}")));
        Ok(())
    }

    /// Searches there and looks.
    fn find(&mut self, page: &str, text: &str, name: &str) -> Result<()> {
        let (label, button) = if page == "/cases" {
            ("编号或姓名", "查找")
        } else {
            ("姓名、首字母", "找人")
        };
        let address = self.browser.search(page, label, button, text)?;
        self.visit(&address, name)
    }

    /// Goes there and looks, at what the browser shows and at what was sent.
    fn visit(&mut self, path: &str, name: &str) -> Result<()> {
        self.browser.go(path)?;
        if self.browser.path()?.starts_with("/why/") {
            self.look(&format!("{name}-what-for"))?;
            self.browser.choose("用途", "居民询问")?;
            self.browser.press("查看")?;
        }
        let sent = faults_of_source(&self.browser.sent(path)?);
        self.faults.extend(sent.into_iter().map(|fault| format!("{name} as sent: {fault}")));
        self.look(name)
    }
}

fn agent(county: &County, login: &str) -> Result<Agent> {
    let person = county.person(login);
    Agent::sign_in(county.url(&person.node), &person.login, &person.pin)
}

/// A screen whose session has ended shows the sign-in page without being touched.
fn locks_by_itself(county: &County, browser: &Browser) -> Result<()> {
    let he = county.person("he");
    browser.sign_in(&he.name, &he.pin)?;
    browser.go("/boxes")?;
    browser.see("石桥村代办服务点")?;
    // An hour later, with the session gone.
    browser.script(
        "const later = Date.now() + 3600000; Date.now = () => later;
         fetch('/logout', { method: 'POST' })
           .then(() => document.dispatchEvent(new Event('visibilitychange')));",
    )?;
    browser.see("PIN 码")
}

/// Cases in every state: their ids.
struct Cases {
    draft: String,
    unlikely: String,
    received: String,
    forwarded: String,
    supplement: String,
    accepted: String,
    decided: String,
    archived: String,
}

fn cases(county: &County) -> Result<Cases> {
    let (li, wang, zhao) = (agent(county, "li")?, agent(county, "wang")?, agent(county, "zhao")?);
    let mut papers = Papers::New(Dice::new(11), 900, 600);
    let find = |name: &str| -> Result<String> {
        Ok(li.search(name)?.first().with_context(|| format!("no {name}"))?.clone())
    };
    let item = "S1-gaoling";
    let mut file =
        |name: &str| -> Result<String> { Ok(li.file(&find(name)?, item, &mut papers)?.case) };
    let received = file("单秀英")?;
    let (forwarded, supplement) = (file("解永红")?, file("仇志强")?);
    let (accepted, decided) = (file("李䶮")?, file("曾小妹")?);
    let archived = file("买买提")?;
    let draft = li.begin(&find("张桂兰")?, item)?;
    li.in_person(&draft)?;
    li.upload(&format!("/cases/{draft}/materials/id-card/photo/0"), &[], &jpeg(900, 600, 2))?;
    let unlikely = li.begin(&find("李䶮")?, "S5-dusheng")?;
    let waits = |agent: &Agent, case: &str, phase: &str| -> Result<()> {
        until(&format!("{case}: {phase}"), 30, || (agent.phase(case).ok()? == phase).then_some(()))
    };
    let on: [&String; 5] = [&forwarded, &supplement, &accepted, &decided, &archived];
    for case in on {
        waits(&wang, case, "已收件")?;
        wang.act(case, "take", &[])?;
        wang.act(case, "forward", &[("opinion", "材料齐全,拟同意上报。")])?;
    }
    for case in on {
        waits(&zhao, case, "已上报县级")?;
    }
    zhao.act(
        &supplement,
        "ask",
        &[
            ("reason-hukou-book", "本人页看不清,四个角没有拍全,请在光线好的地方重拍一张"),
            ("reason-photo", "照片不是近期的"),
        ],
    )?;
    for case in [&accepted, &decided, &archived] {
        zhao.act(case, "accept", &[])?;
    }
    for case in [&decided, &archived] {
        zhao.act(case, "approve", &[("opinion", "经审核,符合条件,同意。")])?;
    }
    waits(&li, &supplement, "补正中")?;
    waits(&li, &archived, "已办结")?;
    waits(&li, &decided, "已办结")?;
    let signed = jpeg(500, 300, 8);
    let handed = [("base", ""), ("how", "paper"), ("to", "applicant"), ("receiver", "")];
    li.upload(&format!("/cases/{archived}/deliver"), &handed, &signed)?.done()?;
    li.act(&archived, "rate", &[("stars", "4"), ("words", "办得快,不用跑县里")])?;
    li.act(&archived, "archive", &[])?;
    Ok(Cases { draft, unlikely, received, forwarded, supplement, accepted, decided, archived })
}

fn village_screens(village: &mut Looker, c: &Cases, resident: &str) -> Result<()> {
    let case = |id: &str, page: &str| format!("/cases/{id}{page}");
    village.visit("/", "home-full")?;
    village.visit("/cases", "ledger")?;
    village.find("/cases", "没有这个人", "ledger-nothing")?;
    village.visit("/sync", "sync")?;
    village.visit("/sync/carry", "carry")?;
    village.browser.click("做一个包")?;
    village.browser.see("做好了")?;
    village.look("carry-made")?;
    village.visit("/sync/carry", "carry-list")?;
    village.visit("/residents", "residents-long-list")?;
    village.find("/residents", "张", "residents-found")?;
    village.find("/residents", "买买提", "residents-long-name")?;
    village.find("/residents", "没有这个人", "residents-nothing")?;
    village.visit(resident, "resident")?;
    village.visit(&format!("{resident}/edit"), "resident-edit")?;
    village.visit(&format!("{resident}/file"), "items")?;
    village.visit(&format!("{resident}/file/S2-junren"), "guide-to-file")?;
    village.visit("/residents/new", "add")?;
    village.browser.fill("身份证号", "13099919430506024")?;
    village.browser.click("继续")?;
    village.browser.see("少 1 位")?;
    village.look("add-fault")?;
    village.browser.fill("身份证号", &id_number("13099919620101001"))?;
    village.browser.click("继续")?;
    village.browser.see("户主姓名")?;
    village.browser.fill("联系电话", "138")?;
    village.browser.click("保存")?;
    village.browser.see("处要改")?;
    village.look("add-faults")?;
    village.visit(&case(&c.draft, ""), "draft")?;
    village.visit(&case(&c.draft, "/who"), "who")?;
    village.visit(&case(&c.draft, "/check"), "check-unsure")?;
    village.browser.choose("本人现在已经在本县", "否")?;
    village.browser.click("保存")?;
    village.browser.see("可能符合")?;
    village.look("check-likely")?;
    village.visit(&case(&c.unlikely, "/check"), "check-many-questions")?;
    village.browser.choose("本人和配偶都是农村居民", "否")?;
    village.browser.click("保存")?;
    village.browser.see("不符合")?;
    village.look("check-unlikely")?;
    village.visit(&case(&c.draft, "/materials"), "materials")?;
    village.visit(&case(&c.draft, "/materials/id-card"), "material")?;
    village.visit(&case(&c.draft, "/materials/bank-card"), "material-may-follow")?;
    village.visit(&case(&c.unlikely, "/who"), "who-long")?;
    village.browser.choose("谁来办", "本人")?;
    village.browser.click("保存,继续")?;
    village.browser.see("符不符合")?;
    village.visit(&case(&c.unlikely, "/materials/marriage-cert"), "material-asked")?;
    village.visit(&case(&c.draft, "/form"), "form")?;
    village.browser.fill("联系电话", "12")?;
    village.browser.fill("银行卡号", "62299")?;
    village.browser.click("保存,继续")?;
    village.browser.see("处要改")?;
    village.look("form-faults")?;
    village.visit(&case(&c.draft, "/answers"), "answers-missing")?;
    for (id, name) in [
        (&c.received, "case-received"),
        (&c.supplement, "case-supplement"),
        (&c.accepted, "case-accepted"),
        (&c.decided, "case-decided"),
        (&c.archived, "case-archived"),
    ] {
        village.visit(&case(id, ""), name)?;
    }
    village.visit(&case(&c.supplement, "/supplement/hukou-book"), "supplement")?;
    village.visit(&case(&c.decided, "/deliver"), "deliver")?;
    village.visit(&format!("{resident}/looks"), "who-looked")?;
    village.visit("/help", "help")?;
    village.visit("/guides", "guides")?;
    village.visit("/guides/S4-nongji", "guide")?;
    village.visit("/nothing", "error-404")
}

/// A hand-over from its beginning to where it waits to be taken.
fn duty_screens(village: &mut Looker, county: &County) -> Result<()> {
    colleague(county)?;
    village.visit("/duty", "duty-none")?;
    village.visit("/duty/new", "duty-give")?;
    village.browser.fill("您自己的 PIN 码", "000000")?;
    village.browser.press("签名,交出")?;
    village.browser.see("选择交给谁")?;
    village.look("duty-give-fault")?;
    village.browser.choose("交给谁", "孙梅")?;
    village.browser.fill("原件 1", "王奶奶的户口簿")?;
    village.browser.fill("答应的事 1", "给王奶奶送体检报告")?;
    village.browser.fill("您自己的 PIN 码", &county.person("li").pin)?;
    village.browser.press("签名,交出")?;
    village.browser.see("坐到平板前")?;
    village.look("duty-take")?;
    village.visit("/duty", "duty-list")?;
    village.visit("/", "home-duty-waits")?;
    village.browser.click("打开")?;
    village.browser.see("撤回交接")?;
    village.look("duty-record")
}

#[test]
fn every_screen_can_be_seen_read_and_used_in_two_sizes_and_two_languages() -> Result<()> {
    if !installed() {
        return Ok(());
    }
    let county = County::start()?;
    let mut village = Looker::at(&county, "li")?;
    village.look("home-empty")?;
    let c = cases(&county)?;
    let li = agent(&county, "li")?;
    let resident = li.search("张桂兰")?.first().context("a resident")?.clone();
    village_screens(&mut village, &c, &resident)?;
    duty_screens(&mut village, &county)?;

    // The signing page, with everything before it done.
    let who = li.search("王福生")?.first().context("a resident")?.clone();
    let mut papers = Papers::New(Dice::new(12), 900, 600);
    let (ready, _) = li.prepare(&who, "S1-gaoling", &mut papers)?;
    village.visit(&format!("/cases/{ready}/answers"), "answers")?;
    village.visit(&format!("/cases/{ready}/sign"), "sign")?;

    // Large letters and English.
    for (set, name, pages) in [
        (
            "/set/big/on?back=/",
            "big",
            ["/", "/residents", "/cases/{draft}/form", "/cases/{supplement}"],
        ),
        (
            "/set/lang/en?back=/",
            "big-english",
            ["/", "/sync", "/guides/S1-gaoling", "/cases/{archived}"],
        ),
        (
            "/set/big/off?back=/",
            "english",
            ["/cases", "/cases/{draft}/materials", "/cases/{draft}/check", "/cases/{decided}"],
        ),
    ] {
        village.browser.go(set)?;
        for (i, page) in pages.into_iter().enumerate() {
            let page = page.replace("{draft}", &c.draft).replace("{supplement}", &c.supplement);
            let page = page.replace("{archived}", &c.archived).replace("{decided}", &c.decided);
            village.visit(&page, &format!("{name}-{}", i + 1))?;
        }
    }
    village.browser.go("/set/lang/zh?back=/")?;

    // The practice room.
    village.browser.click("进入练习")?;
    village.browser.see("退出练习")?;
    village.look("practice")?;
    village.browser.fill("找人", "练习甲")?;
    village.browser.click("找人")?;
    village.browser.click("练习甲")?;
    village.browser.click("给TA办事")?;
    village.browser.click("高龄津贴")?;
    village.browser.click("给练习甲办理")?;
    village.browser.see("谁来办")?;
    village.look("practice-who")?;
    village.browser.click("退出练习")?;
    village.browser.gone("退出练习")?;

    let mut township = Looker::at(&county, "wang")?;
    township.visit("/", "home")?;
    township.visit("/cases", "queue")?;
    township.visit(&format!("/cases/{}", c.received), "case-to-take")?;
    township.browser.click("收件")?;
    township.browser.see("乡镇已收件")?;
    township.look("case-to-forward")?;
    township.visit(&format!("/cases/{}", c.archived), "case-archived")?;

    let mut reviewer = Looker::at(&county, "zhao")?;
    reviewer.visit("/cases", "queue")?;
    reviewer.visit(&format!("/cases/{}", c.forwarded), "case-to-accept")?;
    reviewer.browser.click("要求补正(一次性告知)")?;
    reviewer.look("case-ask")?;
    reviewer.browser.press("要求补正(一次性告知)")?;
    reviewer.browser.see("至少选一项")?;
    reviewer.look("case-ask-fault")?;
    reviewer.visit(&format!("/cases/{}", c.accepted), "case-to-decide")?;
    reviewer.visit("/keys", "my-keys")?;
    reviewer.visit("/boxes", "not-for-you")?;
    let mut it = Looker::at(&county, "he")?;
    it.visit("/boxes", "boxes")?;
    it.browser.click("带走 / 带回(U 盘)")?;
    it.browser.click("云岭村代办服务点")?;
    it.browser.see("带走")?;
    it.look("carry-to-box")?;
    it.visit("/staff", "staff")?;
    it.browser.click("退出")?;
    it.browser.see("PIN 码")?;
    it.look("login")?;
    it.browser.choose("谁在用", "何平")?;
    it.browser.fill("PIN 码", "000000")?;
    it.browser.click("登录")?;
    it.browser.see("PIN 码不对")?;
    it.look("login-fault")?;
    locks_by_itself(&county, &it.browser)?;

    county.stop("relay")?;
    village.browser.go("/sync")?;
    village.browser.see_after_reloads(30, "没连上")?;
    village.look("sync-offline")?;

    let all = [village.faults, township.faults, reviewer.faults, it.faults].concat();
    ensure!(all.is_empty(), "{} faults:\n{}", all.len(), all.join("\n"));
    Ok(())
}

#[test]
fn the_pages_of_the_countys_audit_keep_nobody_out() -> Result<()> {
    if !installed() {
        return Ok(());
    }
    let county = County::start()?;
    let data = county.data("relay").display().to_string();
    let mut add = vec!["--json", "--data", &data, "staff", "add", "--login", "shen"];
    add.extend(["--name", "沈静", "--role", "audit", "--places", "1"]);
    run(&programs()?.join("cunkou-relay"), &add, "314159")?.json()?;
    let li = agent(&county, "li")?;
    let resident = li.search("zgl")?.first().context("张桂兰")?.clone();
    let mut papers = Papers::New(Dice::new(5), 320, 240);
    let number = li.file(&resident, "S1-gaoling", &mut papers)?.number;
    let zhao = agent(&county, "zhao")?;
    zhao.get("/cases")?.page()?;
    // A contact brings what was looked at until then.
    li.get(&format!("{resident}?full=1"))?.page()?;
    county.stop("relay")?;
    county.start_node("relay")?;
    let browser = Browser::open(STORY, "audit-", county.url("relay"), Looks::default())?;
    browser.sign_in("沈静", "314159")?;
    browser.go("/looks")?;
    browser.see_after_reloads(30, "云岭村代办服务点")?;
    let mut audit = Looker { browser, faults: Vec::new() };
    audit.visit("/looks", "looks")?;
    audit.browser.fill("居民来问:办件编号", "000000000000")?;
    audit.browser.press("查找")?;
    audit.browser.see("没有这个编号的办件")?;
    audit.look("looks-fault")?;
    audit.browser.fill("居民来问:办件编号", &number)?;
    audit.browser.press("查找")?;
    audit.browser.see(&number)?;
    audit.look("looks-of-a-resident")?;
    audit.browser.click("English")?;
    audit.look("looks-of-a-resident-en")?;
    let mut village = Looker::at(&county, "li")?;
    village.visit(&format!("{resident}/looks"), "who-looked-here")?;
    let all = [audit.faults, village.faults].concat();
    ensure!(all.is_empty(), "{} faults:\n{}", all.len(), all.join("\n"));
    Ok(())
}
