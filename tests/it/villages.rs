//! A box loses its villages while it has no network, hands in what was written, lets go, and gets
//! them back.

use anyhow::{Context, Result, ensure};
use cunkou_tests::agent::{Agent, Dice, Papers, plain};
use cunkou_tests::bare::run;
use cunkou_tests::county::{County, programs, until};
use serde_json::Value;

fn relay(county: &County, words: &[&str]) -> Result<Value> {
    let data = county.data("relay");
    let data = data.to_str().context("a path")?;
    let all = [&["--json", "--data", data][..], words].concat();
    let ran = run(&programs()?.join("cunkou-relay"), &all, "")?;
    ensure!(ran.code == 0, "{}", ran.err);
    Ok(serde_json::from_str(&ran.out)?)
}

fn lost(county: &County) -> Option<Vec<Value>> {
    county.status("village1").ok()?["lost_villages"].as_array().cloned()
}

#[test]
fn a_box_that_loses_its_villages_hands_in_what_is_unsent_lets_go_and_gets_them_back() -> Result<()>
{
    let county = County::start()?;
    let person = county.person("li");
    let li = Agent::sign_in(county.url("village1"), &person.login, &person.pin)?;
    let resident = li.residents(0)?.first().context("a resident")?.clone();
    let listed = relay(&county, &["villages", "list"])?;
    let villages = listed["villages"].as_array().context("villages")?;
    let name = county.status("village1")?["name"].clone();
    let mut device = String::new();
    let mut served = Vec::new();
    for village in villages {
        for serving in village["boxes"].as_array().into_iter().flatten() {
            if serving["name"] == name {
                serving["id"].as_str().context("an id")?.clone_into(&mut device);
                served.push(village["place"].to_string());
            }
        }
    }
    ensure!(!served.is_empty(), "{listed}");

    // Without a network: a case with its photos, and the county gives the villages to nobody.
    county.stop("relay")?;
    let filed = li.file(&resident, "S1-gaoling", &mut Papers::New(Dice::new(7), 640, 480))?;
    let said = relay(&county, &["villages", "serve", &device])?;
    ensure!(said["lost"].as_array().map(Vec::len) == Some(served.len()), "{said}");
    county.start_node("relay")?;
    let gone = until("the villages to leave", 300, || {
        let lost = lost(&county)?;
        (!lost.is_empty() && lost.iter().all(|v| v["left"] == true)).then_some(lost)
    })?;
    ensure!(gone.len() == served.len(), "{gone:?}");
    let address = format!("/cases/{}", filed.case);
    ensure!(li.get(&address)?.status >= 400, "the case has left the box");
    ensure!(li.get(&resident)?.status >= 400, "so has the resident");
    let home = plain(&li.get("/")?.page()?);
    ensure!(home.contains("不再保留该村的内容"), "{home}");
    // Nothing was lost: the township has the case with every photo.
    let wang = county.person("wang");
    let wang = Agent::sign_in(county.url("township"), &wang.login, &wang.pin)?;
    until("the case at the township", 90, || {
        wang.whole_photos(&filed.case).is_ok_and(|shown| shown == filed.photos).then_some(())
    })?;

    let places = served.join(",");
    relay(&county, &["villages", "serve", &device, "--places", &places])?;
    until("the villages to come back", 120, || {
        let back = li.get(&address).is_ok_and(|page| page.status == 200);
        (back && lost(&county)?.is_empty()).then_some(())
    })?;
    ensure!(li.get(&resident)?.status == 200, "the resident is here again");
    Ok(())
}
