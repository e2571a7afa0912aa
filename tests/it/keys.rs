//! Deciding on a security key in a real browser, and checking the exported case offline.

use anyhow::{Context, Result, ensure};
use cunkou_tests::agent::{Agent, Dice, Papers, plain};
use cunkou_tests::bare::{Ran, run};
use cunkou_tests::browser::{Browser, Looks, installed};
use cunkou_tests::county::{County, programs, until};
use serde_json::Value;
use std::path::Path;
use std::time::SystemTime;

const STORY: &str = "keys";

fn agent(county: &County, login: &str) -> Result<Agent> {
    let person = county.person(login);
    Agent::sign_in(county.url(&person.node), &person.login, &person.pin)
}

/// A case that the township has forwarded, at the relay.
fn forwarded(county: &County, resident: &str, seed: u64) -> Result<(String, String)> {
    let (li, wang, zhao) = (agent(county, "li")?, agent(county, "wang")?, agent(county, "zhao")?);
    let resident = li.search(resident)?.first().context("a resident")?.clone();
    let mut papers = Papers::New(Dice::new(seed), 400, 300);
    let filed = li.file(&resident, "S1-gaoling", &mut papers)?;
    let case = filed.case;
    until("the case at the township", 30, || wang.act(&case, "take", &[]).ok())?;
    wang.act(&case, "forward", &[("opinion", "材料齐全")])?;
    until("the case at the county", 30, || {
        zhao.phase(&case).is_ok_and(|p| p == "已上报县级").then_some(())
    })?;
    Ok((case, filed.number))
}

/// 赵敏 at the console, by the name that her key is bound to.
fn console(county: &County) -> Result<Browser> {
    let base = county.url("relay").replace("127.0.0.1", "localhost");
    let browser = Browser::open(STORY, "relay-", &base, Looks::default())?;
    browser.security_key()?;
    let zhao = county.person("zhao");
    browser.sign_in(&zhao.name, &zhao.pin)?;
    Ok(browser)
}

fn relay(county: &County, arguments: &[&str]) -> Result<Ran> {
    let data = county.data("relay").display().to_string();
    run(&programs()?.join("cunkou-relay"), &[&["--json", "--data", &data], arguments].concat(), "")
}

fn code(county: &County) -> Result<String> {
    let made = relay(county, &["staff", "key-code", "zhao"])?.json()?;
    Ok(made["code"].as_str().context("a code")?.to_owned())
}

fn registers(county: &County, browser: &Browser, name: &str) -> Result<()> {
    browser.go("/keys")?;
    browser.see("我的安全密钥")?;
    browser.fill("给这把钥匙起个名字", name)?;
    browser.fill("一次性口令", "ABCD-EFGH-JK")?;
    browser.press("下一步:碰一下钥匙")?;
    browser.see("口令不对、用过了或过期了")?;
    browser.screenshot("wrong-code")?;
    browser.fill("一次性口令", &code(county)?.to_lowercase())?;
    browser.press("下一步:碰一下钥匙")?;
    browser.see("登记安全密钥")?;
    browser.screenshot("register")?;
    browser.press("碰钥匙登记")?;
    browser.see("安全密钥已登记")?;
    browser.see(name)?;
    browser.see("停用这把钥匙")?;
    browser.screenshot("registered")
}

fn verify(file: &Path, more: &[&str]) -> Result<Ran> {
    let file = file.display().to_string();
    run(&programs()?.join("cunkou-verify"), &[&[file.as_str()], more].concat(), "")
}

#[test]
fn a_decision_on_a_security_key_is_shown_as_such_and_verified_offline() -> Result<()> {
    if !installed() {
        return Ok(());
    }
    let county = County::start()?;
    let (case, number) = forwarded(&county, "张桂兰", 7)?;
    let browser = console(&county)?;
    browser.go(&format!("/cases/{case}"))?;
    registers(&county, &browser, "蓝色钥匙扣")?;
    browser.go(&format!("/cases/{case}"))?;
    browser.press("受理")?;
    browser.see("用您的安全密钥签名")?;
    browser.see(&number)?;
    browser.screenshot("sign")?;
    browser.press("碰钥匙签名")?;
    browser.see("已受理")?;
    browser.click("准予并办结")?;
    browser.fill("审批意见", "经审核,年满八十周岁,同意发放。")?;
    browser.press("准予并办结")?;
    browser.see("同意发放")?;
    browser.press("碰钥匙签名")?;
    browser.see("已准予并办结")?;
    browser.see("本人安全密钥签名")?;
    ensure!(!browser.words()?.contains("未经本人密钥签名"), "it is personally signed");
    browser.screenshot("decided")?;

    // The box judges the same.
    let li = agent(&county, "li")?;
    until("the decision at the village", 30, || {
        let page = li.get(&format!("/cases/{case}")).ok()?.text();
        (plain(&page).contains("本人安全密钥签名") && page.contains("已办结")).then_some(())
    })?;
    for node in ["relay", "village1"] {
        let status = county.status(node)?;
        ensure!(status["quarantine"] == 0, "{node}: {status}");
    }
    exported(&county, &browser, &case, &number)
}

fn exported(county: &County, browser: &Browser, case: &str, number: &str) -> Result<()> {
    let zhao = agent(county, "zhao")?;
    until("every photo at the relay", 60, || {
        let page = zhao.get(&format!("/cases/{case}/progress")).ok()?.text();
        (!page.contains("照片到了")).then_some(())
    })?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("case.cunkou");
    let made = relay(county, &["export", "case", number, "--out", &file.display().to_string()])?;
    let fingerprint = made.json()?["fingerprint"].as_str().context("a fingerprint")?.to_owned();
    let status = county.status("relay")?;
    ensure!(status["fingerprint"] == fingerprint.as_str(), "{status}");

    let told = verify(&file, &["--county", &fingerprint])?;
    std::fs::write(cunkou_tests::browser::screens(STORY).join("verify.txt"), &told.out)?;
    ensure!(told.code == 0, "{}\n{}", told.out, told.err);
    for words in [
        "与您给的相同",
        "赵敏",
        "蓝色钥匙扣",
        "本人安全密钥签名",
        "李建国",
        "本人密钥签名",
        "结论:成立",
    ] {
        ensure!(told.out.contains(words), "{words} is missing:\n{}", told.out);
    }
    let english = verify(&file, &["--lang", "en"])?;
    std::fs::write(cunkou_tests::browser::screens(STORY).join("verify-en.txt"), &english.out)?;
    ensure!(
        english.code == 0 && english.out.contains("signed with their security key"),
        "{}",
        english.out
    );
    let json: Value = serde_json::from_str(&verify(&file, &["--json"])?.out)?;
    ensure!(json["holds"] == true && json["content"] == "holds", "{json}");
    ensure!(json["photos"]["named"] == json["photos"]["here"], "{}", json["photos"]);

    let other = verify(&file, &["--county", "0000-0000-0000-0000-0000-0000-0000-0000"])?;
    ensure!(other.code == 1 && other.out.contains("指纹不同"), "{}", other.out);
    let bytes = std::fs::read(&file)?;
    let half = folder.path().join("half.cunkou");
    std::fs::write(&half, &bytes[..bytes.len() / 2])?;
    ensure!(verify(&half, &[])?.code == 2, "half a file is no file");

    // From the page and from the box the same bytes come, but for what each of them holds.
    let page = browser.fetch("办件导出(可核验)")?;
    ensure!(page == bytes, "the page gives the same file");
    let node = programs()?.join("cunkou-node");
    let (data, out) =
        (county.data("village1").display().to_string(), folder.path().join("box.cunkou"));
    let out_text = out.display().to_string();
    let arguments = ["--json", "--data", &data, "export", number, "--out", &out_text];
    run(&node, &arguments, "")?.json()?;
    let by_box = verify(&out, &["--county", &fingerprint])?;
    ensure!(by_box.code == 0, "{case}: {}", by_box.out);
    Ok(())
}

#[test]
fn a_signature_of_one_case_is_no_signature_of_another_and_nothing_goes_without_the_key()
-> Result<()> {
    if !installed() {
        return Ok(());
    }
    let county = County::start()?;
    let (one, _) = forwarded(&county, "张桂兰", 7)?;
    let (other, _) = forwarded(&county, "仇志强", 8)?;
    let browser = console(&county)?;
    registers(&county, &browser, "红色钥匙扣")?;
    browser.go(&format!("/cases/{one}"))?;
    browser.press("受理")?;
    browser.see("用您的安全密钥签名")?;
    // The key signs for the first case; the answer is kept back and given for the second.
    let taken = browser.script_async(
        "const done = arguments[arguments.length - 1];
         const form = document.querySelector('form[data-key]');
         form.submit = () => done(Object.fromEntries(new FormData(form)));
         form.querySelector('button').click();",
    )?;
    browser.go(&format!("/cases/{other}"))?;
    browser.press("受理")?;
    browser.see("用您的安全密钥签名")?;
    browser.script(&format!(
        "const form = document.querySelector('form[data-key]');
         for (const [name, value] of Object.entries({taken})) form.elements[name].value = value;
         form.submit();"
    ))?;
    browser.see("签名不成立")?;
    browser.screenshot("replayed")?;
    let zhao = agent(&county, "zhao")?;
    ensure!(zhao.phase(&other)? == "已上报县级", "nothing was done");

    // Who knows the PIN alone gets the same page, and no further; nor can they take the key away.
    let tried = zhao.post(&format!("/cases/{other}/do/accept"), &[] as &[(&str, &str)])?;
    ensure!(tried.status == 200 && tried.text().contains("data-key"), "asked for the key");
    ensure!(zhao.phase(&other)? == "已上报县级", "nothing was done");
    let page = zhao.get("/keys")?.page()?;
    let removal = cunkou_tests::agent::links(&page, "action", "/keys/remove/");
    let removal = removal.first().context("a key on the page")?;
    ensure!(zhao.post(removal, &[("code", "AAAA-AAAA-AA")])?.status == 422, "no code, no removal");

    browser.press("碰钥匙签名")?;
    browser.see("已受理")?;
    ensure!(zhao.phase(&other)? == "已受理", "the true touch counts");

    // With the code the key goes, and a county that demands one then takes no step.
    let config = county.told.data.join("relay.toml");
    let text = std::fs::read_to_string(&config)?;
    std::fs::write(&config, format!("{text}require_security_key = true\n"))?;
    zhao.post(removal, &[("code", code(&county)?.as_str())])?.done()?;
    county.stop("relay")?;
    county.start_node("relay")?;
    let zhao = until("the console", 30, || agent(&county, "zhao").ok())?;
    let refused = zhao.post(&format!("/cases/{one}/do/accept"), &[] as &[(&str, &str)])?;
    ensure!(
        refused.status == 409 && refused.text().contains("要先登记安全密钥"),
        "{}",
        refused.text()
    );
    ensure!(zhao.phase(&one)? == "已上报县级", "nothing was done");
    Ok(())
}

/// What an authenticator with this secret shows now, or so many steps later.
fn password(secret: &str, later: u64) -> Result<String> {
    let secret = totp_rs::Secret::try_from_base32(secret).ok().context("a secret")?;
    let totp = totp_rs::Builder::new().with_secret(secret).build().ok().context("RFC 6238")?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
    Ok(totp.generate(now + later * 30).to_string())
}

#[test]
fn a_one_time_password_confirms_one_step_once_and_is_shown_as_the_relays_word() -> Result<()> {
    let county = County::start()?;
    let (case, number) = forwarded(&county, "张桂兰", 7)?;
    let zhao = agent(&county, "zhao")?;
    let shown = zhao.post("/keys/otp", &[("code", code(&county)?.as_str())])?.page()?;
    let secret = shown.split_once("secret=").and_then(|(_, rest)| rest.split('&').next());
    let secret = secret.context("a secret on the page")?.to_owned();
    let address = cunkou_tests::agent::links(&shown, "action", "/keys/otp/");
    let address = address.first().context("a form")?;
    zhao.post(address, &[("password", password(&secret, 0)?.as_str())])?.done()?;

    let step = |action: &str, fields: &[(&str, &str)]| -> Result<String> {
        let page = zhao.post(&format!("/cases/{case}/do/{action}"), fields)?.page()?;
        let to = cunkou_tests::agent::links(&page, "action", &format!("/cases/{case}/sign/"));
        ensure!(!page.contains("data-key"), "no key is asked for where there is none");
        Ok(to.first().context("a form for the password")?.clone())
    };
    let to = step("accept", &[])?;
    let (used, next) = (password(&secret, 0)?, password(&secret, 1)?);
    let wrong = zhao.post(&to, &[("password", used.as_str())])?;
    ensure!(wrong.status == 422 && wrong.text().contains("不对或用过了"), "{}", wrong.complaint());
    zhao.post(&to, &[("password", next.as_str())])?.done()?;
    ensure!(zhao.phase(&case)? == "已受理", "confirmed");
    let to = step("approve", &[("opinion", "同意")])?;
    ensure!(zhao.post(&to, &[("password", next.as_str())])?.status == 422, "once only");
    let page = plain(&zhao.get(&format!("/cases/{case}"))?.page()?);
    ensure!(page.contains("县平台证明动态口令,未经本人密钥签名"), "the grade is shown");

    let folder = tempfile::tempdir()?;
    let file = folder.path().join("case.cunkou");
    relay(
        &county,
        &["export", "case", &number, "--no-photos", "--out", &file.display().to_string()],
    )?
    .json()?;
    let told = verify(&file, &[])?;
    ensure!(told.code == 0 && told.out.contains("县平台证明动态口令"), "{}", told.out);
    Ok(())
}

/// A UKey in software, with an EC key on P-256; its library.
struct Token {
    folder: tempfile::TempDir,
}

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";

impl Token {
    fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let token = Self { folder };
        std::fs::create_dir(token.folder.path().join("tokens"))?;
        let tokens = token.folder.path().join("tokens").display().to_string();
        std::fs::write(token.config(), format!("directories.tokendir = {tokens}\n"))?;
        token.run(
            "softhsm2-util",
            &["--init-token", "--free", "--label", "zhao", "--pin", "135790", "--so-pin", "24680"],
            "",
        )?;
        let login = ["--module", MODULE, "--token-label", "zhao", "--login", "--pin", "135790"];
        let make = ["--keypairgen", "--key-type", "EC:prime256v1", "--id", "01", "--label", "sign"];
        token.run("pkcs11-tool", &[login.as_slice(), make.as_slice()].concat(), "")?;
        Ok(token)
    }

    fn config(&self) -> std::path::PathBuf {
        self.folder.path().join("softhsm2.conf")
    }

    fn run(&self, program: &str, arguments: &[&str], input: &str) -> Result<String> {
        use std::io::Write;
        let mut child = std::process::Command::new(program)
            .args(arguments)
            .env("SOFTHSM2_CONF", self.config())
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .with_context(|| format!("{program} is not installed"))?;
        child.stdin.take().context("no input")?.write_all(input.as_bytes())?;
        let done = child.wait_with_output()?;
        ensure!(done.status.success(), "{program}: {}", String::from_utf8_lossy(&done.stderr));
        Ok(String::from_utf8(done.stdout)?)
    }

    /// What `cunkou-ukey` prints for a line of the console.
    fn sign(&self, message: &str) -> Result<String> {
        let program = programs()?.join("cunkou-ukey").display().to_string();
        self.run(&program, &["--module", MODULE, "--token", "zhao", message], "135790\n")
    }
}

/// The line on a page that a UKey is to sign.
fn line_of(page: &str) -> Result<String> {
    let line = page.split_once("<code>").and_then(|(_, rest)| rest.split_once("</code>"));
    let line = line.and_then(|(line, _)| line.split_whitespace().last());
    Ok(line.context("a line to sign")?.to_owned())
}

#[test]
fn a_step_signed_on_a_ukey_counts_as_its_persons_and_is_shown_with_its_grade() -> Result<()> {
    if !Path::new(MODULE).exists() {
        eprintln!("SKIPPED: {MODULE} not installed; apt-get install softhsm2 opensc");
        return Ok(());
    }
    let token = Token::new()?;
    let county = County::start()?;
    let (case, number) = forwarded(&county, "张桂兰", 7)?;
    let zhao = agent(&county, "zhao")?;
    let fields = [("name", "政务UKey"), ("code", &*code(&county)?)];
    let page = zhao.post("/keys/ukey", &fields)?.page()?;
    let to = cunkou_tests::agent::links(&page, "action", "/keys/ukey/");
    let answer = token.sign(&line_of(&page)?)?;
    zhao.post(to.first().context("a form")?, &[("answer", answer.as_str())])?.done()?;

    let page = zhao.post(&format!("/cases/{case}/do/accept"), &[] as &[(&str, &str)])?.page()?;
    let to = cunkou_tests::agent::links(&page, "action", &format!("/cases/{case}/sign/"));
    let to = to.first().context("a form for the UKey")?;
    let old = zhao.post(to, &[("answer", answer.as_str())])?;
    ensure!(old.status == 422, "what it signed before is no signature of this step");
    let message = line_of(&page)?;
    zhao.post(to, &[("answer", token.sign(&message)?.as_str())])?.done()?;
    ensure!(zhao.phase(&case)? == "已受理", "it counts");
    let page = plain(&zhao.get(&format!("/cases/{case}"))?.page()?);
    ensure!(page.contains("本人UKey签名"), "the grade is shown");
    let forged = token.sign("aGVsbG8");
    ensure!(forged.is_err(), "the helper signs nothing else");

    let folder = tempfile::tempdir()?;
    let file = folder.path().join("case.cunkou");
    let out = file.display().to_string();
    relay(&county, &["export", "case", &number, "--no-photos", "--out", &out])?.json()?;
    let told = verify(&file, &[])?;
    ensure!(told.code == 0 && told.out.contains("本人UKey签名"), "{}", told.out);
    Ok(())
}
