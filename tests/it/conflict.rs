//! Two offices change the same field of the same draft while nothing connects them.

use crate::story::at;
use anyhow::{Context, Result, ensure};
use cunkou_tests::agent::{Agent, Dice, Papers};
use cunkou_tests::browser::{Looks, installed};
use cunkou_tests::county::{County, until};

#[test]
fn what_two_offices_wrote_apart_is_shown_to_both_and_a_person_chooses() -> Result<()> {
    if !installed() {
        return Ok(());
    }
    let county = County::start()?;
    let agent = |login: &str| -> Result<Agent> {
        let person = county.person(login);
        Agent::sign_in(county.url(&person.node), &person.login, &person.pin)
    };
    let (li, wang) = (agent("li")?, agent("wang")?);
    let resident = li.search("张桂兰")?.first().context("a resident")?.clone();
    let mut papers = Papers::New(Dice::new(7), 400, 300);
    let (case, _) = li.prepare(&resident, "S1-gaoling", &mut papers)?;
    let page = format!("/cases/{case}");
    let form = format!("/cases/{case}/form");
    let shows = |agent: &Agent, path: &str, words: &str| {
        agent.get(path).ok().is_some_and(|a| a.text().contains(words))
    };
    until("the draft at the township", 30, || shows(&wang, &form, "与谁同住").then_some(()))?;

    county.stop("relay")?;
    li.fill_form(&case, &[("address", "云岭村3组16号"), ("contact_name", "王小军")])?;
    wang.fill_form(&case, &[("address", "清河镇养老院2号楼")])?;
    county.start_node("relay")?;

    let words = "有两个人改了同一处";
    until("both versions at both offices", 60, || {
        (shows(&li, &page, words) && shows(&wang, &page, words)).then_some(())
    })?;
    for agent in [&li, &wang] {
        let choice = agent.get(&format!("{page}/choose"))?.page()?;
        for value in ["云岭村3组16号", "清河镇养老院2号楼", "李建国", "王芳"] {
            ensure!(choice.contains(value), "{value} is not offered");
        }
        ensure!(!choice.contains("王小军"), "what one alone wrote needs no choice");
    }
    // Nothing is submitted before somebody has chosen.
    let sign = li.get(&format!("{page}/sign"))?;
    ensure!(sign.location.is_some_and(|to| to.ends_with("/answers")), "not to be signed yet");

    let village = at(&county, "conflict", "li", Looks::default())?;
    village.go(&page)?;
    village.see(words)?;
    village.screenshot("draft")?;
    village.click("去选")?;
    village.screenshot("choice")?;
    village.choose("现住址", "清河镇养老院2号楼")?;
    village.click("选好了,保存")?;
    village.see("已经选好了")?;
    village.screenshot("chosen")?;
    village.go(&form)?;
    ensure!(village.value("现住址")? == "清河镇养老院2号楼");
    until("the choice at the township", 30, || {
        let settled = !shows(&wang, &page, words);
        (settled && shows(&wang, &form, "清河镇养老院2号楼")).then_some(())
    })?;

    let signature = cunkou_tests::pictures::jpeg(400, 200, 9);
    li.sign(&case, &signature)?;
    until("the case at the township", 30, || shows(&wang, &page, "经过").then_some(()))?;
    for agent in [&li, &wang] {
        let history = agent.get(&page)?.page()?;
        let history = history.split("经过").nth(1).context("a history")?;
        for value in ["云岭村3组16号", "清河镇养老院2号楼"] {
            ensure!(history.contains(value), "{value} is not in the history");
        }
    }
    Ok(())
}
