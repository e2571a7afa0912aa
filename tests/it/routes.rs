//! The route crawler: every route that a program declares is tried as a stranger, from a foreign
//! page, under a foreign name and as the wrong person. A route exists only if it is declared, and
//! it is declared with who may use it and what it shows.

use anyhow::{Context, Result, ensure};
use cunkou_tests::agent::{Agent, Dice, Papers, fields, links};
use cunkou_tests::bare::{root, run};
use cunkou_tests::county::{County, programs, until};
use cunkou_tests::trust;
use reqwest::Method;
use reqwest::blocking::{Client, RequestBuilder, Response};
use reqwest::redirect::Policy;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Routes that show full numbers when they are asked for: each time is a look of its own.
const UNCOVERED: [(&str, &str); 2] =
    [("GET /cases/{case}", "?full=1"), ("GET /residents/{id}", "?full=1")];

#[derive(Debug, Deserialize)]
struct Row {
    method: String,
    path: String,
    who: String,
    changes: bool,
    personal: bool,
}

impl Row {
    fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    fn method(&self) -> Method {
        if self.method == "GET" { Method::GET } else { Method::POST }
    }
}

#[derive(Debug, Deserialize)]
struct Table {
    routes: Vec<Row>,
    open: Vec<String>,
}

fn table(program: &str) -> Result<Table> {
    let ran = run(&programs()?.join(program), &["routes"], "")?;
    Ok(serde_json::from_value(ran.json()?)?)
}

/// A path with its parts filled in.
fn filled(path: &str, parts: &BTreeMap<&str, String>) -> String {
    let mut out = path.to_owned();
    for (name, value) in parts {
        out = out.replace(&format!("{{{name}}}"), value);
    }
    out
}

struct Crawler<'a> {
    client: Client,
    url: &'a str,
    parts: BTreeMap<&'static str, String>,
}

impl Crawler<'_> {
    fn ask(&self, row: &Row, agent: Option<&Agent>) -> RequestBuilder {
        let path = filled(&row.path, &self.parts);
        let mut request = self.client.request(row.method(), format!("{}{path}", self.url));
        if let Some(agent) = agent {
            request = request.header("cookie", agent.cookies());
        }
        if row.changes {
            let form = "application/x-www-form-urlencoded";
            request = request.header("content-type", form).body("x=1");
        }
        request
    }

    fn sent(&self, row: &Row, request: RequestBuilder) -> Result<Response> {
        let answer = request.send().with_context(|| row.name())?;
        let header = |name: &str| {
            answer.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned()
        };
        let csp = header("content-security-policy");
        ensure!(csp.starts_with("default-src 'none'"), "{}: {csp}", row.name());
        ensure!(!csp.contains("unsafe-") && csp.contains("frame-ancestors 'none'"), "{csp}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            ensure!(header(name) == value, "{}: {name}: {}", row.name(), header(name));
        }
        ensure!(header("permissions-policy").contains("geolocation=()"), "{}", row.name());
        let kept = header("cache-control");
        let asset = row.path.starts_with("/assets/") && answer.status() == 200;
        ensure!(asset || kept == "no-store", "{}: cache-control: {kept}", row.name());
        for cookie in answer.headers().get_all("set-cookie") {
            let cookie = cookie.to_str()?;
            ensure!(cookie.starts_with("__Host-"), "{}: {cookie}", row.name());
            for mark in ["Secure", "HttpOnly", "SameSite=Strict", "Path=/"] {
                ensure!(cookie.contains(mark), "{}: {cookie}", row.name());
            }
        }
        Ok(answer)
    }

    fn stranger(&self, row: &Row) -> Result<()> {
        let request = self.ask(row, None).header("origin", self.url);
        let answer = self.sent(row, request)?;
        if row.who == "anyone" {
            ensure!(answer.status() != 401 && answer.status() != 403, "{}", row.name());
            return Ok(());
        }
        let status = answer.status();
        let to = answer.headers().get("location").and_then(|l| l.to_str().ok());
        let to_login = status == 303 && to.is_some_and(|to| to.starts_with("/login"));
        // What was typed is carried through the sign-in: the answer is the page that asks for it.
        let carried = row.changes && status == 200 && answer.text()?.contains("name=\"pin\"");
        ensure!(to_login || carried, "{}: a stranger gets {status}", row.name());
        let part = self.ask(row, None).header("origin", self.url).header("hx-request", "true");
        let part = self.sent(row, part)?;
        ensure!(part.headers().contains_key("hx-redirect"), "{}: by a script", row.name());
        Ok(())
    }

    fn foreign_page(&self, row: &Row, signed: &Agent) -> Result<()> {
        if !row.changes {
            return Ok(());
        }
        let foreign: [&[(&str, &str)]; 5] = [
            &[],
            &[("origin", "https://evil.example")],
            &[("origin", "null"), ("sec-fetch-site", "same-origin")],
            &[("origin", self.url), ("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
        ];
        for marks in foreign {
            let mut request = self.ask(row, Some(signed));
            for (name, value) in marks {
                request = request.header(*name, *value);
            }
            let answer = self.sent(row, request)?;
            ensure!(answer.status() == 403, "{} {marks:?}: {}", row.name(), answer.status());
        }
        Ok(())
    }

    fn foreign_name(&self, row: &Row, signed: &Agent) -> Result<()> {
        for host in ["evil.example", "box-ffffffff.c130999.home.arpa", "10.1.2.3"] {
            let request = self.ask(row, Some(signed)).header("host", host);
            let request = request.header("origin", format!("https://{host}"));
            let answer = self.sent(row, request)?;
            ensure!(answer.status() == 421, "{} as {host}: {}", row.name(), answer.status());
        }
        Ok(())
    }

    /// Who is shown anybody leaves a row; what shows nobody may leave none.
    fn leaves_a_row(&self, row: &Row, looker: &Agent, county: &County, node: &str) -> Result<()> {
        let answer = self.sent(row, self.ask(row, Some(looker)).header("origin", self.url))?;
        let status = answer.status().as_u16();
        let shown = match status {
            200 => true,
            409 | 422 => !answer.text()?.contains(">回首页<"),
            _ => false,
        };
        let left = counted(county, node, &row.name())? > 0;
        ensure!(left || !shown, "{}: {status} without a row", row.name());
        Ok(())
    }

    fn wrong_person(&self, row: &Row, other: &Agent) -> Result<()> {
        if ["it", "machines", "audit", "data"].contains(&row.who.as_str()) {
            let answer = self.sent(row, self.ask(row, Some(other)).header("origin", self.url))?;
            ensure!(answer.status() == 403, "{}: {}", row.name(), answer.status());
        }
        Ok(())
    }
}

fn counted(county: &County, node: &str, what: &str) -> Result<u64> {
    let db = cunkou_tests::at_rest::database(&county.data("relay"), &county.data(node))?;
    let sql = "SELECT count(*) FROM look WHERE what LIKE ?1";
    Ok(db.query_row(sql, [what], |row| row.get(0))?)
}

fn sign_in(county: &County, login: &str) -> Result<Agent> {
    let person = county.person(login);
    Agent::sign_in(county.url(&person.node), login, &person.pin)
}

/// What for is asked of who opens a case that waits for somebody else, once a session; whoever has
/// it in hand is asked nothing.
fn asked_what_for(county: &County, case: &str) -> Result<()> {
    let path = format!("/cases/{case}");
    ensure!(sign_in(county, "zhao")?.get_silent(&path)?.status == 200, "it waits for her");
    let wang = sign_in(county, "wang")?;
    let asked = wang.get_silent(&path)?;
    let to = asked.location.unwrap_or_default();
    ensure!(asked.status == 303 && to.starts_with("/why/"), "{} {to}", asked.status);
    let page = wang.get_silent(&to)?.page()?;
    ensure!(page.matches("name=\"purpose\"").count() == 5 && !page.contains("张桂兰"));
    let why = format!("/why/{case}");
    ensure!(wang.post(&why, &[("next", path.as_str())])?.status == 422, "none was chosen");
    let none = wang.get_silent(&path)?;
    ensure!(none.status == 303, "and nothing is shown");
    wang.post(&why, &[("purpose", "3"), ("next", path.as_str())])?.done()?;
    ensure!(wang.get_silent(&path)?.status == 200);
    let data = county.data(&county.person("wang").node);
    let db = cunkou_tests::at_rest::database(&county.data("relay"), &data)?;
    let sql = "SELECT purpose FROM look WHERE what = 'GET /cases/{case}' ORDER BY id DESC LIMIT 1";
    ensure!(db.query_row(sql, [], |row| row.get::<_, u8>(0))? == 3, "kept with the look");
    Ok(())
}

/// Who looked, when and what for, and a copy of the case for whom it is about.
fn a_resident_is_told(li: &Agent, resident: &str, case: &str) -> Result<()> {
    let copy = li.get_silent(&format!("/cases/{case}/copy.pdf"))?;
    ensure!(copy.status == 200 && copy.body.starts_with(b"%PDF"), "a copy: {}", copy.status);
    let page = li.get_silent(&format!("{resident}/looks"))?.page()?;
    for words in ["李建国", "代办员", "给本人的副本", "完整", "遮盖", "经办"] {
        ensure!(page.contains(words), "{words} is not told");
    }
    ensure!(!page.contains("1309991943"), "and nothing of what was seen");
    Ok(())
}

/// A look that cannot be written down does not happen.
fn nothing_is_shown_without_a_row(county: &County, li: &Agent, resident: &str) -> Result<()> {
    ensure!(li.get_silent(resident)?.text().contains("张桂兰"));
    let data = county.data(&county.person("li").node);
    let db = cunkou_tests::at_rest::database(&county.data("relay"), &data)?;
    db.execute_batch("ALTER TABLE look RENAME TO look_gone")?;
    let answer = li.get_silent(&format!("{resident}?full=1"));
    db.execute_batch("ALTER TABLE look_gone RENAME TO look")?;
    let answer = answer?;
    ensure!(answer.status == 500, "without a row: {}", answer.status);
    ensure!(!answer.text().contains("张桂兰") && !answer.text().contains("1309991943"));
    ensure!(li.get_silent(&format!("{resident}?full=1"))?.status == 200, "and again with one");
    Ok(())
}

/// A hand-over that waits for somebody at the township.
fn offered_duty(li: &Agent, county: &County) -> Result<String> {
    let mut form = fields(&li.get("/duty/new")?.page()?, "/duty/new");
    form.retain(|(name, _)| !["more", "to", "pin"].contains(&name.as_str()));
    form.push(("to".into(), "wang".into()));
    form.push(("pin".into(), county.person("li").pin.clone()));
    let to = li.post("/duty/new", &form)?.done()?;
    let duty = to.strip_prefix("/duty/").and_then(|to| to.split(['/', '?']).next());
    Ok(duty.context("a hand-over")?.to_owned())
}

#[test]
fn every_route_keeps_strangers_foreign_pages_and_foreign_names_out() -> Result<()> {
    let county = County::start()?;
    let (li, wang) = (sign_in(&county, "li")?, sign_in(&county, "wang")?);
    let (zhao, he) = (sign_in(&county, "zhao")?, sign_in(&county, "he")?);
    let resident = li.search("张桂兰")?.first().context("a resident")?.clone();
    let filed = li.file(&resident, "S1-gaoling", &mut Papers::New(Dice::new(3), 320, 240))?;
    until("the township has it", 60, || wang.act(&filed.case, "take", &[]).ok())?;
    wang.act(&filed.case, "forward", &[("opinion", "同意")])?;
    until("the county has it", 60, || {
        (zhao.get(&format!("/cases/{}", filed.case)).ok()?.status == 200).then_some(())
    })?;
    let page = zhao.get(&format!("/cases/{}", filed.case))?.page()?;
    let photo = links(&page, "src", &format!("/cases/{}/photo/", filed.case));
    let photo = photo.first().and_then(|p| p.rsplit('/').next()).context("a photo")?;
    asked_what_for(&county, &filed.case)?;
    a_resident_is_told(&li, &resident, &filed.case)?;
    nothing_is_shown_without_a_row(&county, &li, &resident)?;
    let duty = offered_duty(&li, &county)?;
    for (program, node, signed, other) in
        [("cunkou-node", "village1", &li, &li), ("cunkou-relay", "relay", &he, &zhao)]
    {
        let table = table(program)?;
        let client = trust::builder()?.redirect(Policy::none()).build()?;
        let mut parts = BTreeMap::from([
            ("duty", duty.clone()),
            ("case", filed.case.clone()),
            ("item", "S1-gaoling".to_owned()),
            ("key", "S1-gaoling".to_owned()),
            ("m", "id_card".to_owned()),
            ("slot", "0".to_owned()),
            ("name", "app.css".to_owned()),
            ("what", "lang".to_owned()),
            ("value", "zh".to_owned()),
            ("action", "take".to_owned()),
            ("number", "1".to_owned()),
            ("id", photo.to_owned()),
        ]);
        for row in &table.routes {
            if row.path.starts_with("/residents/") {
                parts.insert("id", resident["/residents/".len()..].to_owned());
            } else {
                parts.insert("id", photo.to_owned());
            }
            let crawler =
                Crawler { client: client.clone(), url: county.url(node), parts: parts.clone() };
            // Signing out would end what the others need.
            if row.path != "/logout" {
                crawler.stranger(row)?;
            }
            crawler.foreign_page(row, signed)?;
            crawler.foreign_name(row, signed)?;
            crawler.wrong_person(row, other)?;
            if row.personal {
                let looker = if node == "relay" { &zhao } else { &li };
                crawler.leaves_a_row(row, looker, &county, node)?;
            }
        }
        // Whoever may look at full numbers leaves a row.
        let looker = if node == "relay" { &zhao } else { &li };
        for (name, query) in UNCOVERED {
            let Some(row) = table.routes.iter().find(|row| row.name() == name) else { continue };
            parts.insert("id", resident["/residents/".len()..].to_owned());
            let before = counted(&county, node, "%")?;
            let path = format!("{}{query}", filled(&row.path, &parts));
            ensure!(looker.get(&path)?.status == 200, "{path}");
            ensure!(
                counted(&county, node, "%")? == before + 1,
                "{node}: {name}{query} left no row"
            );
        }
        open_pages(&county, node, &table.open)?;
    }
    Ok(())
}

/// Without TLS there is nothing to type into, nothing that is kept, nothing about anybody.
fn open_pages(county: &County, node: &str, paths: &[String]) -> Result<()> {
    let client = Client::builder().no_proxy().redirect(Policy::none()).build()?;
    let open = &county.node(node).open;
    let parts = BTreeMap::from([
        ("key", "S1-gaoling".to_owned()),
        ("file", "county-1.crt".to_owned()),
        ("name", "x".to_owned()),
    ]);
    for path in paths.iter().filter(|path| !path.starts_with("/assets/")) {
        let address = format!("{open}{}", filled(path, &parts));
        // A captive tablet may come by any name: nothing here depends on it.
        let answer = client.get(&address).header("host", "anything.example").send()?;
        ensure!(answer.status() == 200, "{address}: {}", answer.status());
        ensure!(answer.headers().get("set-cookie").is_none(), "{address}");
        let text = String::from_utf8_lossy(&answer.bytes()?).to_lowercase();
        for word in ["<form", "<input", "<script", "<textarea", "张桂兰", "李建国"] {
            ensure!(!text.contains(word), "{address}: {word}");
        }
        for method in [Method::POST, Method::PUT, Method::DELETE] {
            let answer = client.request(method.clone(), &address).body("x=1").send()?;
            ensure!(answer.status() == 405, "{method} {address}: {}", answer.status());
        }
    }
    for path in ["/login", "/cases", "/residents", "/healthz", "/sync"] {
        let answer = client.get(format!("{open}{path}")).send()?;
        ensure!(answer.status() == 404, "{path}: {}", answer.status());
    }
    let page = client.get(format!("{open}/")).header("host", "anything.example").send()?.text()?;
    ensure!(page.contains(county.url(node)), "the way to the real pages, by name");
    let same = client.get(format!("{open}/")).send()?.text()?;
    ensure!(same.contains("https://127.0.0.1:"), "by the address that was used");
    ensure!(page.contains("高龄津贴") && page.contains("8:30"), "guides and hours");
    let root = client.get(format!("{open}/ca/county-1.crt")).send()?;
    ensure!(root.headers()["content-type"] == "application/x-x509-ca-cert");
    let pem = std::fs::read(&county.told.ca)?;
    let trusted = reqwest::Certificate::from_pem_bundle(&pem)?.len();
    ensure!(trusted == 1 && root.bytes()?.starts_with(&[0x30, 0x82]), "the county's root");
    Ok(())
}

fn sources(folder: &Path, out: &mut Vec<std::path::PathBuf>) -> Result<()> {
    for file in std::fs::read_dir(folder)?.flatten() {
        let path = file.path();
        if path.is_dir() {
            sources(&path, out)?;
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
    Ok(())
}

#[test]
fn no_route_is_made_beside_the_table() -> Result<()> {
    let mut files = Vec::new();
    for folder in ["node/src", "county-relay/src", "ui/edge/src"] {
        sources(&root().join(folder), &mut files)?;
    }
    ensure!(files.len() > 20, "the sources are here");
    for file in files {
        let name = file.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let text = std::fs::read_to_string(&file)?;
        let makes = ["Router::new(", ".route(\"", ".nest(\"", "_service(\"", "axum::routing"];
        let made = makes.iter().any(|word| text.contains(word));
        // link.rs: the way in for boxes, no page; what it refuses stands in sync/link/tests/web.rs.
        ensure!(
            !made || ["routes.rs", "open.rs", "keeper.rs", "link.rs"].contains(&name),
            "{} makes routes",
            file.display()
        );
    }
    Ok(())
}

#[test]
fn a_session_lives_on_one_tablet_is_new_at_every_sign_in_and_leaves_nothing_behind() -> Result<()> {
    let county = County::start()?;
    let li = sign_in(&county, "li")?;
    let url = county.url("village1");
    let client = trust::builder()?.redirect(Policy::none()).build()?;
    let home = |cookies: &str| -> Result<u16> {
        Ok(client.get(format!("{url}/")).header("cookie", cookies).send()?.status().as_u16())
    };
    ensure!(home(li.cookies())? == 200);
    // Signing in again on this tablet: another token, and the old one is worth nothing.
    let person = county.person("li");
    let form = format!("login=li&pin={}&next=", person.pin);
    let post = |path: &str, cookies: &str, body: &str| {
        let request = client.post(format!("{url}{path}")).header("origin", url);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        request.header("cookie", cookies).body(body.to_owned()).send()
    };
    let again = post("/login", li.cookies(), &form)?;
    let set: Vec<&str> =
        again.headers().get_all("set-cookie").iter().filter_map(|c| c.to_str().ok()).collect();
    let [session] = set[..] else { anyhow::bail!("one new cookie: {set:?}") };
    let session = session.split(';').next().unwrap_or_default().to_owned();
    let tablet =
        li.cookies().split("; ").find(|c| c.starts_with("__Host-tablet=")).context("tablet")?;
    ensure!(!li.cookies().contains(&session) && home(li.cookies())? == 303, "the old token");
    let cookies = format!("{session}; {tablet}");
    ensure!(home(&cookies)? == 200);
    // The words of a search stand in no address, whatever was typed.
    let found = post("/residents", &cookies, "q=130999194305060249")?;
    let to = found.headers()["location"].to_str()?.to_owned();
    ensure!(to.starts_with("/residents?s=") && !to.contains("1309"), "{to}");
    let page = client.get(format!("{url}{to}")).header("cookie", &cookies).send()?.text()?;
    ensure!(page.contains("张桂兰"), "by her number");
    // Signing out takes what the browser kept.
    let out = post("/logout", &cookies, "")?;
    ensure!(out.headers()["clear-site-data"] == r#""cache", "storage""#);
    ensure!(home(&cookies)? == 303, "and the session with it");
    // A token that turns up on another tablet ends at once, on both.
    let stolen = sign_in(&county, "li")?;
    let token = stolen.cookies().split("; ").next().context("a token")?;
    ensure!(home(&format!("{token}; __Host-tablet={}", "0".repeat(64)))? == 303);
    ensure!(home(stolen.cookies())? == 303, "the session was ended");
    Ok(())
}
