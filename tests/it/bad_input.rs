//! What people type and send wrongly: a clear sentence, what was typed stays, nothing is lost.

use crate::story::{at, id_number};
use anyhow::{Context, Result, ensure};
use cunkou_tests::agent::{Agent, Answer, Dice, Papers, fields, links, plain};
use cunkou_tests::browser::{Looks, installed};
use cunkou_tests::county::County;
use cunkou_tests::pictures::{claims, heavy, jpeg};

const NONE: [(&str, &str); 0] = [];

/// A number of someone born on this day whose check character is X.
fn id_with_x(day: &str) -> Result<String> {
    let all = (0..1000).map(|n| id_number(&format!("130999{day}{n:03}")));
    all.into_iter().find(|id| id.ends_with('X')).context("one in eleven ends in X")
}

fn agent(county: &County, login: &str) -> Result<Agent> {
    let person = county.person(login);
    Agent::sign_in(county.url(&person.node), &person.login, &person.pin)
}

fn resident(agent: &Agent, name: &str) -> Result<String> {
    Ok(agent.search(name)?.first().with_context(|| format!("no {name}"))?.clone())
}

fn says(answer: &Answer, status: u16, words: &str) -> Result<()> {
    let page = plain(&answer.text());
    ensure!(answer.status == status, "status {}, not {status}: {page}", answer.status);
    ensure!(page.contains(words), "the page does not say {words}: {page}");
    ensure!(answer.text().contains("<h1>"), "not a page: {page}");
    Ok(())
}

#[test]
fn a_wrong_id_number_is_named_and_kept_and_a_known_one_opens_its_person() -> Result<()> {
    let county = County::start()?;
    let li = agent(&county, "li")?;
    let add = |number: &str| li.post("/residents/new", &[("id_number", number)]);
    for (number, words) in [
        ("", "填写身份证号"),
        ("130999194305060248", "身份证号最后一位对不上"),
        ("13099919430506024", "身份证号少 1 位"),
        ("1309991943050602499", "身份证号多 1 位"),
        ("13099919430506O249", "第 15 位不是数字"),
        ("1.30999E+17", "科学计数"),
        ("130999194305060000", "000"),
        ("130999194313060249", "不是一个日期"),
        (&id_number("13099920270315001"), "出生日期要早于今天"),
        (&id_number("99099919430506024"), "不是任何省份"),
    ] {
        let answer = add(number)?;
        says(&answer, 422, words)?;
        ensure!(answer.text().contains(&format!("value=\"{number}\"")), "{number} is kept");
    }
    // A small x is a large X; the same number opens the person who has it.
    for number in ["130999194305060249", "13099919780220055x", " 130999 19780220 055X "] {
        let to = add(number)?.done()?;
        ensure!(to.contains("done=known"), "{number} leads to {to}");
        says(&li.get(&to)?, 200, "已打开原来的记录")?;
    }
    // Somebody new: the second page asks the rest and keeps what is typed when something is wrong.
    let new = id_with_x("19620101")?;
    says(&add(&new.to_lowercase())?, 200, "登记新居民")?;
    let village = li.get("/residents/new")?.page()?;
    ensure!(village.contains("身份证号"));
    let second = |name: &str, phone: &str| {
        let number = new.to_lowercase();
        let typed = [("id_number", &*number), ("place", "101"), ("name", name), ("phone", phone)];
        li.post("/residents/new", &typed)
    };
    let faulty = second("", "1380000O211")?;
    says(&faulty, 422, "填写姓名")?;
    says(&faulty, 422, "联系电话应为 11 位手机号")?;
    ensure!(faulty.text().contains("value=\"1380000O211\""), "the phone is kept");
    let to = second("阿依古丽·买买提", "13800000211")?.done()?;
    says(&li.get(&to)?, 200, "已登记")?;
    let path = to.split('?').next().unwrap_or_default();
    says(&li.get(&format!("{path}?full=1"))?, 200, &new)?;
    // Twice: the person who was just added.
    ensure!(add(&new)?.done()?.contains("done=known"));
    Ok(())
}

#[test]
fn photos_that_are_none_and_cards_that_have_expired_are_refused_in_a_sentence() -> Result<()> {
    let county = County::start()?;
    let li = agent(&county, "li")?;
    let case = li.begin(&resident(&li, "张桂兰")?, "S1-gaoling")?;
    li.in_person(&case)?;
    li.fill_form(&case, &[("live_with", "独居"), ("contact_name", "王小军")])?;
    let card = format!("/cases/{case}/materials/id-card");
    let camera = format!("{card}/photo/0");
    let no_photo: Vec<u8> = Vec::new();
    for (bytes, words) in [
        (heavy(40_000_000), "照片有 40 MB,最多 32 MB"),
        ("这是一段文字,不是照片。".repeat(50).into_bytes(), "这个文件不是照片"),
        (claims(20_000, 10_000), "照片有 200 百万像素,最多 40 百万"),
        (no_photo, "没有选照片"),
    ] {
        let answer = li.upload(&camera, &[], &bytes)?;
        says(&answer, 422, words)?;
        ensure!(links(&answer.text(), "href", &card) == [card.clone()], "the way back is shown");
    }
    let page = li.get(&card)?.page()?;
    ensure!(page.contains(&camera) && !page.contains("<img"), "nothing half-written");
    let form = li.get(&format!("/cases/{case}/form"))?.page()?;
    ensure!(form.contains("王小军"), "what was typed before is there");

    ensure!(li.upload(&camera, &[], &jpeg(600, 400, 3))?.status == 303);
    ensure!(li.upload(&format!("{card}/photo/1"), &[], &jpeg(600, 400, 4))?.status == 303);
    let until = |day: &str| li.post(&format!("{card}/until"), &[("until", day)]);
    for (day, words) in [("2020-01-01", "这张证已经过期"), ("明年", "有效期不是一个日期")]
    {
        let answer = until(day)?;
        says(&answer, 422, words)?;
        ensure!(answer.text().contains(&format!("value=\"{day}\"")), "{day} is kept");
    }
    ensure!(until("2035年1月2日")?.status == 303, "a day in words is a day");
    Ok(())
}

#[test]
fn pressing_twice_and_going_back_makes_one_case() -> Result<()> {
    let county = County::start()?;
    let li = agent(&county, "li")?;
    let who = resident(&li, "张桂兰")?;
    let mut papers = Papers::New(Dice::new(3), 500, 400);
    let (case, _) = li.prepare(&who, "S1-gaoling", &mut papers)?;
    ensure!(li.begin(&who, "S1-gaoling")? == case, "a second beginning opens the first");
    let (path, signature) = (format!("/cases/{case}/sign"), jpeg(500, 300, 8));
    let base = fields(&li.get(&path)?.page()?, &path);
    let base = base.iter().find(|(n, _)| n == "base").map(|(_, v)| v.clone()).unwrap_or_default();
    let pressed = std::thread::scope(|scope| {
        let press = || li.upload(&path, &[("base", &*base), ("how", "paper")], &signature);
        let presses: Vec<_> = (0..3).map(|_| scope.spawn(press)).collect();
        presses.into_iter().map(|p| p.join().expect("a request")).collect::<Result<Vec<_>>>()
    })?;
    for answer in pressed {
        ensure!(answer.done()?.contains("done=submitted"), "each press leads to the case");
    }
    let page = li.get(&format!("/cases/{case}"))?.page()?;
    ensure!(page.matches("<strong>收件</strong>").count() == 1, "received once");
    let all = li.get("/cases?show=all")?.page()?;
    ensure!(links(&all, "href", "/cases/").len() == 1 + usize::from(all.contains("/cases/?")));
    // Pages of the draft, from the history of the browser, lead to the case.
    for page in ["sign", "form", "materials", "who", "check", "answers", "materials/id-card"] {
        let to = li.get(&format!("/cases/{case}/{page}"))?;
        ensure!(to.status == 303, "{page}: {}", to.status);
    }
    let late = li.post(&format!("/cases/{case}/form"), &[("address", "别处")])?;
    ensure!(late.status == 303, "a form sent late changes nothing");
    ensure!(!li.get(&format!("/cases/{case}"))?.page()?.contains("别处"));
    Ok(())
}

#[test]
fn the_back_button_brings_back_what_was_typed_and_never_a_second_case() -> Result<()> {
    if !installed() {
        return Ok(());
    }
    let county = County::start()?;
    let li = agent(&county, "li")?;
    let mut papers = Papers::New(Dice::new(4), 500, 400);
    let (case, _) = li.prepare(&resident(&li, "张桂兰")?, "S1-gaoling", &mut papers)?;
    let village = at(&county, "bad_input", "li", Looks::default())?;
    village.go(&format!("/cases/{case}/form"))?;
    village.fill("现住址", "云岭村3组16号")?;
    village.click("保存,继续")?;
    village.see("核对")?;
    village.back()?;
    village.see("填写申请表")?;
    ensure!(village.value("现住址")? == "云岭村3组16号");
    // The page from the history does not know of the save: both values are shown.
    village.fill("现住址", "云岭村3组18号")?;
    village.click("保存,继续")?;
    village.see("您在别的页上改过")?;
    village.see("云岭村3组16号")?;
    village.screenshot("stale-form")?;
    village.click("保存,继续")?;
    village.see("核对")?;
    village.see("云岭村3组18号")?;
    village.click("都对,请申请人签名")?;
    village.sign()?;
    village.click("我同意,提交")?;
    village.see("已收件,回执可以打印")?;
    village.back()?;
    if village.path()?.ends_with("/sign") && village.shows("在屏幕上签名")? {
        village.sign()?;
        village.click("我同意,提交")?;
    }
    village.see("已收件")?;
    let page = li.get(&format!("/cases/{case}"))?.page()?;
    ensure!(page.matches("<strong>收件</strong>").count() == 1, "received once");
    Ok(())
}

#[test]
fn a_form_that_somebody_else_overtook_is_shown_again_with_both_values() -> Result<()> {
    let county = County::start()?;
    let (one, other) = (agent(&county, "li")?, agent(&county, "li")?);
    let who = resident(&one, "张桂兰")?;
    let case = one.begin(&who, "S1-gaoling")?;
    let form = format!("/cases/{case}/form");
    let typed = |page: &str, address: &str| -> Vec<(String, String)> {
        let mut all = fields(page, &form);
        for (name, value) in &mut all {
            if name == "address" {
                address.clone_into(value);
            }
        }
        all
    };
    // Two tabs are opened, both are saved.
    let page = one.get(&form)?.page()?;
    ensure!(other.post(&form, &typed(&page, "先到的地址"))?.status == 303);
    let stale = one.post(&form, &typed(&page, "后到的地址"))?;
    says(&stale, 409, "别人改过这些地方")?;
    says(&stale, 409, "先到的地址")?;
    ensure!(stale.text().contains("value=\"后到的地址\""), "what was typed stays");
    ensure!(one.get(&form)?.page()?.contains("先到的地址"), "nothing is overwritten unseen");
    // Once seen, saving again counts.
    ensure!(one.post(&form, &typed(&stale.text(), "后到的地址"))?.status == 303);
    ensure!(one.get(&form)?.page()?.contains("后到的地址"));

    let edit = format!("{who}/edit");
    let page = one.get(&edit)?.page()?;
    let with = |page: &str, phone: &str| -> Vec<(String, String)> {
        let mut all = fields(page, &edit);
        all.retain(|(name, _)| name != "phone");
        all.push(("phone".into(), phone.into()));
        all
    };
    ensure!(other.post(&edit, &with(&page, "13800000001"))?.status == 303);
    let stale = one.post(&edit, &with(&page, "13800000002"))?;
    says(&stale, 409, "别人改过这些地方")?;
    ensure!(stale.text().contains("value=\"13800000002\""), "what was typed stays");
    ensure!(one.post(&edit, &with(&stale.text(), "13800000002"))?.status == 303);
    Ok(())
}

#[test]
fn a_supplement_without_a_reason_is_named_and_the_other_reasons_stay() -> Result<()> {
    let county = County::start()?;
    let wang = agent(&county, "wang")?;
    let mut papers = Papers::New(Dice::new(5), 500, 400);
    let case = wang.file(&resident(&wang, "张桂兰")?, "S1-gaoling", &mut papers)?.case;
    wang.act(&case, "take", &[])?;
    let answer = wang.post(
        &format!("/cases/{case}/do/ask"),
        &[("defect-id-card", "yes"), ("reason-hukou-book", "本人页看不清")],
    )?;
    says(&answer, 422, "写明居民身份证哪里要改")?;
    ensure!(answer.text().contains("value=\"本人页看不清\""), "the other reason stays");
    let ticked = answer.text().contains("name=\"defect-id-card\" value=\"yes\" checked");
    ensure!(ticked, "the tick stays");
    let empty = wang.post(&format!("/cases/{case}/do/forward"), &[("opinion", " ")])?;
    says(&empty, 422, "写明理由或意见")?;
    ensure!(wang.phase(&case)? == "乡镇已收件", "nothing half-done");
    Ok(())
}

#[test]
fn guessing_a_pin_waits_longer_and_longer_and_a_restart_gives_no_tries_back() -> Result<()> {
    let county = County::start()?;
    let li = county.person("li");
    let stranger = Agent::stranger(county.url("village1"));
    let sign_in =
        |pin: &str| stranger.post("/login", &[("login", "li"), ("pin", pin), ("next", "")]);
    says(&sign_in("12ab")?, 422, "PIN 码是 4 至 12 位数字")?;
    for _ in 0..5 {
        says(&sign_in("000000")?, 422, "PIN 码不对")?;
    }
    for _ in 0..2 {
        says(&sign_in(&li.pin)?, 422, "PIN 码错得太多")?;
    }
    county.stop("village1")?;
    county.start_node("village1")?;
    let still = sign_in(&li.pin)?;
    says(&still, 422, "PIN 码错得太多")?;
    says(&still, 422, "后再试")?;
    ensure!(!still.text().contains(&li.pin), "a PIN is never shown");
    Ok(())
}

#[test]
fn what_was_typed_when_the_session_had_ended_goes_on_after_signing_in() -> Result<()> {
    let county = County::start()?;
    let li = agent(&county, "li")?;
    let path = format!("{}/edit", resident(&li, "张桂兰")?);
    let mut typed = fields(&li.get(&path)?.page()?, &path);
    for (name, value) in &mut typed {
        if name == "phone" {
            *value = "13900000777".into();
        }
    }
    county.stop("village1")?;
    county.start_node("village1")?;
    let kept = li.post(&path, &typed)?;
    says(&kept, 200, "您刚才填的内容没有丢")?;
    let mut carried = fields(&kept.text(), "/login");
    carried.retain(|(name, _)| name != "login" && name != "pin");
    carried
        .extend([("login".into(), "li".into()), ("pin".into(), county.person("li").pin.clone())]);
    let resumed = li.post("/login", &carried)?;
    says(&resumed, 200, "继续提交")?;
    let again = agent(&county, "li")?;
    again.post(&path, &fields(&resumed.text(), &path))?.done()?;
    let shown = again.get(&path)?.page()?;
    ensure!(shown.contains("13900000777"), "what was typed is saved");
    Ok(())
}

#[test]
fn an_unknown_address_and_a_form_of_a_strange_page_get_a_page_that_says_so() -> Result<()> {
    let county = County::start()?;
    for (node, login) in [("village1", "li"), ("township", "wang"), ("relay", "zhao")] {
        let signed = agent(&county, login)?;
        let stranger = Agent::stranger(county.url(node));
        for path in
            ["/nothing", "/cases/123", "/cases/00000000000000000000000000000000", "/assets/x.js"]
        {
            let answer = signed.get(path)?;
            says(&answer, 404, "没有这一页")?;
            ensure!(links(&answer.text(), "href", "/").contains(&"/".to_owned()), "the way home");
            ensure!(answer.text().contains("/logout"), "it is still their own desk");
        }
        says(&stranger.get("/nothing")?, 404, "没有这一页")?;
        let inside = stranger.get("/cases")?;
        ensure!(
            inside.status == 303 && inside.location.is_some_and(|l| l.starts_with("/login?next="))
        );
        // A wrong method, a form too long, a form of no kind: our own page, never bare words.
        ensure!(signed.get("/logout")?.text().contains("<h1>"));
        let long = "长".repeat(200_000);
        let answer = signed.post("/login", &[("login", long.as_str())])?;
        ensure!(answer.status == 413 && answer.text().contains("<h1>"), "{}", answer.status);
        for origin in [Some("https://evil.example"), Some("null"), None] {
            let mut request = cunkou_tests::trust::builder()?
                .build()?
                .post(format!("{}/login", county.url(node)))
                .header("content-type", "application/x-www-form-urlencoded")
                .body(format!("login={login}&pin={}&next=", county.person(login).pin));
            if let Some(origin) = origin {
                request = request.header("origin", origin);
            }
            let answer = request.send()?;
            ensure!(answer.status() == 403, "{origin:?}: {}", answer.status());
            ensure!(answer.headers().get("set-cookie").is_none(), "nobody is signed in");
            ensure!(
                answer.text()?.contains("这个请求不是从本页面发出的"),
                "{origin:?}: no sentence"
            );
        }
    }
    let li = agent(&county, "li")?;
    ensure!(li.post("/cases/123/form", &NONE)?.status == 404);
    Ok(())
}
