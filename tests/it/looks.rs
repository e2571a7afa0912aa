//! Who looked at somebody on a village box, told to the county's audit.

use anyhow::{Context, Result, ensure};
use cunkou_tests::agent::{Agent, Dice, Papers, plain};
use cunkou_tests::at_rest::database;
use cunkou_tests::bare::run;
use cunkou_tests::county::{County, programs, until};

const BOX: &str = "云岭村代办服务点";

fn auditor(county: &County) -> Result<Agent> {
    let data = county.data("relay").display().to_string();
    let mut add = vec!["--json", "--data", &data, "staff", "add", "--login", "shen"];
    add.extend(["--name", "沈静", "--role", "audit", "--places", "1"]);
    run(&programs()?.join("cunkou-relay"), &add, "314159")?.json()?;
    Agent::sign_in(county.url("relay"), "shen", "314159")
}

/// How many looks at full numbers a machine has: its own, or those of others.
fn full_looks(county: &County, node: &str, own: bool) -> Result<u64> {
    let db = database(&county.data("relay"), &county.data(node))?;
    let sql = "SELECT count(*) FROM look WHERE (device = zeroblob(16)) = ?1 AND uncovered = 1";
    Ok(db.query_row(sql, [own], |row| row.get(0))?)
}

#[test]
fn an_agent_looks_at_a_resident_offline_and_the_countys_auditor_sees_who_where_and_what_for()
-> Result<()> {
    let county = County::start()?;
    let shen = auditor(&county)?;
    let li = county.person("li");
    let li = Agent::sign_in(county.url(&li.node), &li.login, &li.pin)?;
    let found = li.search("zgl")?;
    let resident = found.first().context("张桂兰 is found")?;
    let mut papers = Papers::New(Dice::new(17), 640, 480);
    let number = li.file(resident, "S1-gaoling", &mut papers)?.number;
    let find = [("number", number.as_str())];
    until("the case at the county", 60, || {
        (shen.post("/looks", &find).ok()?.status == 303).then_some(())
    })?;

    county.stop("relay")?;
    li.get(&format!("{resident}?full=1"))?.page()?;
    county.start_node("relay")?;
    let shen = Agent::sign_in(county.url("relay"), "shen", "314159")?;
    let page = until("what was looked at on the box", 60, || {
        let page = plain(&shen.get("/looks").ok()?.page().ok()?);
        page.contains("完整").then_some(page)
    })?;
    for words in ["李建国", "代办员", BOX, "居民资料", "经办"] {
        ensure!(page.contains(words), "{words}: {page}");
    }
    ensure!(
        !page.contains("张桂兰") && !page.contains("1309991943"),
        "and nothing of what was seen"
    );

    // A resident asks at the county, with the number of a case.
    let to = shen.post("/looks", &find)?.done()?;
    ensure!(to.starts_with("/looks?case=") && !to.contains(&number.replace('-', "")), "{to}");
    let told = plain(&shen.get(&to)?.page()?);
    ensure!(told.contains(BOX) && told.contains("完整") && told.contains(&number), "{told}");
    let none = shen.post("/looks", &[("number", "000000000000")])?;
    ensure!(none.status == 422 && none.text().contains("没有这个编号的办件"), "{}", none.status);
    let table = shen.get("/looks.csv")?;
    ensure!(table.text().contains(BOX), "{}", table.text());

    // The box says what it knows and who has the rest; no other box has it.
    let own = plain(&li.get(&format!("{resident}/looks"))?.page()?);
    ensure!(own.contains("本机") && own.contains("向县审计管理员查询"), "{own}");
    for node in ["village1", "village2", "township"] {
        ensure!(full_looks(&county, node, false)? == 0, "{node} has looks of others");
    }
    // Another contact brings what is new, and nothing twice.
    county.stop("relay")?;
    county.start_node("relay")?;
    li.get(&format!("{resident}?full=1"))?.page()?;
    county.stop("relay")?;
    county.start_node("relay")?;
    let own = full_looks(&county, "village1", true)?;
    ensure!(own >= 2, "{own} looks at full numbers");
    until("the second look", 60, || {
        (full_looks(&county, "relay", false).ok()? == own).then_some(())
    })?;
    Ok(())
}
