//! The code on a printed receipt, read from the paper: genuine at another service point without a
//! network, and no longer when anything is changed.

use anyhow::{Context, Result, ensure};
use cunkou_tests::agent::{Agent, Dice, Papers, plain};
use cunkou_tests::browser::{Browser, Looks};
use cunkou_tests::county::{County, until};
use std::path::Path;
use std::process::Command;

const STORY: &str = "receipt";

fn sign_in(county: &County, login: &str) -> Result<Agent> {
    let person = county.person(login);
    Agent::sign_in(county.url(&person.node), login, &person.pin)
}

/// The QR code of the first page of a PDF, as a scanner reads it off the paper.
fn scanned(pdf: &[u8], folder: &Path) -> Result<String> {
    let (paper, picture) = (folder.join("receipt.pdf"), folder.join("receipt"));
    std::fs::write(&paper, pdf)?;
    let how = ["-png", "-r", "150", "-singlefile"];
    let drawn = Command::new("pdftoppm").args(how).arg(&paper).arg(&picture).status()?;
    ensure!(drawn.success(), "pdftoppm failed");
    let png = picture.with_extension("png");
    let read = Command::new("zbarimg").args(["--quiet", "--raw"]).arg(&png).output()?;
    ensure!(read.status.success(), "the code cannot be scanned");
    Ok(String::from_utf8(read.stdout)?.trim().to_owned())
}

#[test]
fn a_printed_receipt_is_genuine_elsewhere_without_a_network_and_a_changed_one_is_not() -> Result<()>
{
    let county = County::start()?;
    let (li, sun, wang) =
        (sign_in(&county, "li")?, sign_in(&county, "sun")?, sign_in(&county, "wang")?);
    let resident = li.search("张桂兰")?.first().context("a resident")?.clone();
    let filed = li.file(&resident, "S1-gaoling", &mut Papers::New(Dice::new(5), 400, 300))?;
    let folder = tempfile::tempdir()?;
    let pdf = li.get(&format!("/cases/{}/receipt.pdf", filed.case))?;
    let code = scanned(&pdf.body, folder.path())?;
    ensure!(code.starts_with("CUNKOU:R1:"), "{code}");

    // The neighbouring village never had the case, and the county is out of reach.
    county.stop("relay")?;
    let check = |agent: &Agent, code: &str| -> Result<(u16, String)> {
        let answer = agent.post("/receipts", &[("code", code)])?;
        Ok((answer.status, plain(&answer.text())))
    };
    let (status, page) = check(&sun, &code)?;
    ensure!(status == 200 && page.contains("签名对"), "{status} {page}");
    ensure!(page.contains("云岭村代办服务点") && page.contains("高龄津贴"), "{page}");
    ensure!(page.contains("本机没有这一件") && !page.contains("张桂兰"), "{page}");
    let (status, page) = check(&li, &code.to_lowercase())?;
    ensure!(status == 200 && page.contains("和本机的办件一致"), "{status} {page}");
    let flip = |at: usize| {
        let mut bytes = code.clone().into_bytes();
        bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let begins = "CUNKOU:R1:".len();
    for at in [begins + 9, begins + 40, code.len() - 1] {
        let (status, page) = check(&sun, &flip(at))?;
        ensure!(status == 422 && !page.contains("签名对,这张"), "changed at {at}: {page}");
    }
    let (status, page) = check(&sun, "4711-0002-6318")?;
    ensure!(status == 422 && page.contains("不是收件回执"), "{page}");

    county.start_node("relay")?;
    until("the township has it", 60, || {
        wang.get(&format!("/cases/{}", filed.case)).ok().filter(|a| a.status == 200)
    })?;
    // A scanner that types into the search of cases finds the case.
    let found = wang.post("/cases", &[("q", code.as_str())])?.done()?;
    ensure!(found.ends_with(&filed.case), "{found}");
    let browser = Browser::open(STORY, "sun-", county.url("village2"), Looks::default())?;
    let person = county.person("sun");
    browser.sign_in(&person.name, &person.pin)?;
    browser.go("/receipts")?;
    browser.fill("回执上二维码的内容", &code)?;
    browser.press("核对")?;
    browser.see("签名对")?;
    browser.screenshot("genuine")?;
    browser.fill("回执上二维码的内容", &flip(begins + 40))?;
    browser.press("核对")?;
    browser.see("别采信")?;
    browser.screenshot("changed")
}
