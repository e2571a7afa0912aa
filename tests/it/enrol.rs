//! Enrolment: six words, one-time tokens, QR codes, files without a network, spare boxes.

use cunkou_tests::bare::{Bare, Ran, root, run};
use cunkou_tests::county::{free_ports, programs, until};
use serde_json::Value;

fn found(name: &str) -> (Bare, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let bin = programs().expect("built programs");
    let port = free_ports().expect("ports");
    (Bare::found(&bin, folder.path(), port, name).expect("a county"), folder)
}

fn relay(county: &Bare, arguments: &[&str]) -> Ran {
    county.relay(arguments, "").expect("it runs")
}

fn node(county: &Bare, name: &str, arguments: &[&str]) -> Ran {
    county.node(name, arguments).expect("it runs")
}

fn status(county: &Bare) -> Value {
    relay(county, &["status"]).json().expect("a running relay")
}

/// Why tokens were refused, the latest first.
fn refusals(county: &Bare) -> Vec<(String, u64)> {
    let status = status(county);
    let rows = status["refused_enrolments"].as_array().expect("a list");
    let row = |r: &Value| {
        (r["why"].as_str().unwrap_or_default().to_owned(), r["times"].as_u64().unwrap_or(0))
    };
    rows.iter().map(row).collect()
}

fn offer(county: &Bare, name: &str, more: &[&str]) -> Value {
    let (file, quic) = (county.path(&format!("{name}.enrol")), county.quic());
    let usual = ["enrol", "--kind", "village", "--name", name, "--relay", &quic, "--out", &file];
    relay(county, &[&usual, more].concat()).json().expect("an offer")
}

#[test]
fn both_sides_show_the_same_six_words_until_county_it_has_compared_them() {
    let (county, _folder) = found("甲县");
    let _relay = county.serve_relay().expect("a relay");
    let file = county.offer("yunling", "village", "101", &county.quic()).expect("a file");
    let enrolled = node(&county, "yunling", &["enrol", &file]).json().expect("enrolled");
    let words = enrolled["words"].as_str().expect("words").to_owned();
    assert_eq!(words.split(' ').count(), 6, "{words}");
    let open = status(&county)["to_compare"].clone();
    assert_eq!((&open[0]["words"], &open[0]["name"]), (&words.clone().into(), &"yunling".into()));
    let _node = county.serve_node("yunling", 1, &county.quic()).expect("a box");
    until("a box that tells its words", 30, || {
        let told = county.node("yunling", &["status"]).ok()?.json().ok()?;
        (told["words"].as_str() == Some(&words)).then_some(())
    })
    .expect("its words");
    let device = open[0]["device"].as_str().expect("an id").to_owned();
    relay(&county, &["confirm", &device[..8]]).json().expect("confirmed");
    assert_eq!(status(&county)["to_compare"], serde_json::json!([]));
    assert_eq!(relay(&county, &["confirm", &device]).code, 5, "once");
}

/// Security row 18: used twice, from a second box, after its end, and at another county.
#[test]
fn enrolment_token_theft() {
    let (county, _folder) = found("甲县");
    let (other, _other_folder) = found("乙县");
    let _relay = county.serve_relay().expect("a relay");
    let _other_relay = other.serve_relay().expect("a relay");
    let quic = county.quic();
    let file = county.offer("yunling", "village", "101", &quic).expect("a file");
    let thief = node(&county, "thief", &["enrol", &file]).json().expect("the thief is first");

    // From a second box: refused in words, shown, and the words of the first give it away.
    let second = node(&county, "yunling", &["enrol", &file]);
    assert_eq!(second.code, 5, "{}", second.out);
    assert!(
        second.err.contains("another box") && second.err.contains("已被另一台"),
        "{}",
        second.err
    );
    assert_eq!(refusals(&county), [("other_box".to_owned(), 1)]);
    assert_eq!(status(&county)["to_compare"][0]["words"], thief["words"]);
    node(&county, "yunling", &["enrol", &file]);
    assert_eq!(refusals(&county), [("other_box".to_owned(), 2)], "the same again is counted");

    // The same box again, by a file that was copied: the request is the same, byte for byte.
    let twice = county.offer("twice", "village", "101", &quic).expect("a file");
    let (request, answer) = (county.path("twice.request"), county.path("twice.answer"));
    node(&county, "twice", &["enrol-request", &twice, "--out", &request])
        .json()
        .expect("a request");
    relay(&county, &["enrol-answer", &request, "--out", &answer]).json().expect("an answer");
    let again = relay(&county, &["enrol-answer", &request, "--out", &county.path("again")]);
    assert_eq!(again.code, 5, "{}", again.out);
    assert!(!std::path::Path::new(&county.path("again")).exists());
    assert_eq!(refusals(&county)[0], ("used_twice".to_owned(), 1));

    // After its end.
    offer(&county, "late", &["--places", "101", "--hours", "0"]);
    let late = node(&county, "late", &["enrol", &county.path("late.enrol")]);
    assert_eq!(late.code, 5, "{}", late.out);
    assert_eq!(refusals(&county)[0], ("late".to_owned(), 1));

    // From another county: its relay is not believed, and knows no such token.
    let text = |file: &str| -> Value {
        serde_json::from_slice(&std::fs::read(file).expect("a file")).expect("JSON")
    };
    let theirs = other.offer("fremd", "village", "101", &other.quic()).expect("a file");
    let mut mixed = text(&theirs);
    mixed["relays"] = serde_json::json!([quic]);
    let wrong = county.path("wrong.enrol");
    std::fs::write(&wrong, mixed.to_string()).expect("a file");
    let ran = node(&county, "wrong", &["enrol", &wrong]);
    assert_eq!(ran.code, 5, "its root does not vouch for this relay: {}", ran.err);
    assert_eq!(refusals(&county).len(), 3, "the token was never said");
    mixed["root"] = text(&file)["root"].clone();
    std::fs::write(&wrong, mixed.to_string()).expect("a file");
    let ran = node(&county, "wrong", &["enrol", &wrong]);
    assert_eq!(ran.code, 5, "{}", ran.out);
    assert_eq!(refusals(&county)[0], ("unknown".to_owned(), 1));
    assert_eq!(refusals(&county).len(), 4);
    // And at home it is good.
    node(&other, "fremd", &["enrol", &theirs]).json().expect("enrolled");
}

#[test]
fn a_token_survives_what_the_relay_may_not_state() {
    let folder = tempfile::tempdir().expect("a folder");
    let (bin, port) = (programs().expect("built programs"), free_ports().expect("ports"));
    let county = Bare { bin, data: folder.path().to_owned(), port };
    let words = "槐花开了满院香气飘";
    let stick = county.path("stick");
    let found = ["init", "--name", "甲县", "--code", "130999", "--administrators", "张敏"];
    let more = ["--threshold", "1", "--grant-count", "1", "--offline", &stick];
    county.relay(&[&found[..], &more].concat(), words).expect("it runs").json().expect("founded");
    let sign = |arguments: &[&str]| {
        let made = relay(&county, arguments).json().expect("a proposal");
        let file = made["file"].as_str().expect("a file").to_owned();
        let key = county.path("stick/administrator-1.key");
        let signing = ["--json", "sign", &file, "--key", &key];
        run(&county.bin.join("cunkou-relay"), &signing, words)
            .expect("runs")
            .json()
            .expect("signed");
        relay(&county, &["submit", &file]).json().expect("taken");
    };
    let catalogue = root().join("county-relay/catalogue").display().to_string();
    let places = root().join("tests/demo/county/places.json").display().to_string();
    sign(&["catalogue", "publish", &catalogue, "--places", &places]);
    let _relay = county.serve_relay().expect("a relay");

    // One statement is left, an enrolment needs two.
    let file = county.offer("yunling", "village", "101", &county.quic()).expect("a file");
    let ran = node(&county, "yunling", &["enrol", &file]);
    assert_eq!(ran.code, 5, "{}", ran.out);
    assert!(ran.err.contains("grant") && ran.err.contains("授权"), "{}", ran.err);
    assert_eq!(refusals(&county), [("not_allowed".to_owned(), 1)]);
    let powers = "village-boxes,numbers";
    sign(&["grant", "add", "--to", "relay", "--powers", powers, "--count", "10", "--days", "9"]);
    node(&county, "yunling", &["enrol", &file]).json().expect("the same file is still good");
}

#[test]
fn a_qr_code_enrols_a_box_that_checks_the_root_by_its_hash() {
    let (county, _folder) = found("甲县");
    let svg = county.path("yunling.svg");
    let made = offer(&county, "yunling", &["--places", "101", "--qr", "--qr-out", &svg]);
    let code = made["code"].as_str().expect("a code").to_owned();
    assert!(made["qr"].as_array().is_some_and(|lines| lines.len() > 20), "{made}");
    assert!(std::fs::read_to_string(&svg).expect("a picture").starts_with("<svg"));
    let _relay = county.serve_relay().expect("a relay");
    let mut parts: Vec<&str> = code.split('/').collect();
    let zeros = "0".repeat(64);
    parts[2] = &zeros;
    let wrong = node(&county, "wrong", &["enrol", "--code", &parts.join("/")]);
    assert_eq!(wrong.code, 5, "another root than the code's: {}", wrong.out);
    assert!(refusals(&county).is_empty(), "the token was never said");
    let enrolled = node(&county, "yunling", &["enrol", "--code", &code]).json().expect("enrolled");
    assert_eq!(status(&county)["to_compare"][0]["words"], enrolled["words"]);
}

#[test]
fn a_box_is_enrolled_by_two_files_without_any_network() {
    let (county, _folder) = found("甲县");
    // Nothing serves at all.
    let file = county.offer("yunling", "village", "101", "127.0.0.1:9").expect("a file");
    let (request, answer) = (county.path("yunling.request"), county.path("yunling.answer"));
    let asked = ["enrol-request", &file, "--out", &request];
    node(&county, "yunling", &asked).json().expect("a request");
    let first = std::fs::read(&request).expect("a request");
    node(&county, "yunling", &asked).json().expect("a request");
    assert_eq!(first, std::fs::read(&request).expect("a request"), "the same keys");
    let online = node(&county, "yunling", &["enrol", &file]);
    assert_eq!(online.code, 5, "one way at a time: {}", online.out);
    relay(&county, &["enrol-answer", &request, "--out", &answer]).json().expect("an answer");
    // Sealed to that box: no other opens it, and no bent one is taken.
    node(&county, "thief", &["enrol-request", &file, "--out", &county.path("t.request")])
        .json()
        .expect("a request");
    let stolen = node(&county, "thief", &["enrol-finish", &answer]);
    assert_eq!(stolen.code, 5, "{}", stolen.out);
    let text = std::fs::read_to_string(&answer).expect("an answer");
    let middle = text.len() / 2;
    let digit = if &text[middle..=middle] == "0" { "1" } else { "0" };
    let bent = format!("{}{digit}{}", &text[..middle], &text[middle + 1..]);
    let bent_file = county.path("bent.answer");
    std::fs::write(&bent_file, bent).expect("a file");
    assert_eq!(node(&county, "yunling", &["enrol-finish", &bent_file]).code, 5);
    assert_eq!(node(&county, "nobody", &["enrol-finish", &answer]).code, 5, "nothing was asked");
    let done = node(&county, "yunling", &["enrol-finish", &answer]).json().expect("enrolled");
    assert!(!std::path::Path::new(&county.path("yunling/enrolling.sealed")).exists());
    let _relay = county.serve_relay().expect("a relay");
    assert_eq!(status(&county)["to_compare"][0]["words"], done["words"]);
    let _node = county.serve_node("yunling", 1, &county.quic()).expect("a box");
    synced(&county, "yunling");
}

fn synced(county: &Bare, name: &str) {
    until("a box in touch with its county", 60, || {
        let told = county.node(name, &["status"]).ok()?.json().ok()?;
        told["last_completed_sync"].as_i64()
    })
    .expect("in touch");
}

#[test]
fn a_spare_box_gets_its_places_with_a_code_that_works_once() {
    let (county, _folder) = found("甲县");
    let _relay = county.serve_relay().expect("a relay");
    for name in ["spare1", "spare2"] {
        offer(&county, name, &["--spare"]);
        let file = county.path(&format!("{name}.enrol"));
        node(&county, name, &["enrol", &file]).json().expect("enrolled");
    }
    let yunling = county.offer("yunling", "village", "103", &county.quic()).expect("a file");
    node(&county, "yunling", &["enrol", &yunling]).json().expect("enrolled");
    let code = |places: &str, hours: &str| {
        let made = relay(&county, &["bind-code", "--places", places, "--hours", hours]);
        made.json().expect("a code")["code"].as_str().expect("a code").to_owned()
    };
    let good = code("101,102", "72");
    let _spare = county.serve_node("spare1", 1, &county.quic()).expect("a box");
    synced(&county, "spare1");
    let login = format!("{}/login", county.url("spare1", 1).expect("an address"));
    let page = cunkou_tests::trust::builder()
        .expect("a browser")
        .build()
        .expect("a browser")
        .get(login)
        .send()
        .expect("a page")
        .text()
        .expect("a page");
    assert!(page.contains("备用机,等待绑定"), "{page}");

    let bind = |name: &str, code: &str| node(&county, name, &["bind", "--code", code]);
    assert_eq!(bind("spare1", "AAAA-AAAA-AA").code, 5);
    assert_eq!(refusals(&county)[0].0, "unknown");
    assert_eq!(bind("spare1", &code("101", "0")).code, 5);
    assert_eq!(refusals(&county)[0].0, "late");
    assert_eq!(bind("yunling", &good).code, 5, "it has places");
    // Running, with small letters.
    let bound = bind("spare1", &good.to_lowercase()).json().expect("bound");
    assert_eq!(bound["places"].as_array().map(Vec::len), Some(2), "{bound}");
    until("a box that knows its places", 60, || {
        let told = county.node("spare1", &["status"]).ok()?.json().ok()?;
        (told["spare"] == false).then_some(())
    })
    .expect("places");
    // A second box with the same code; stopped.
    let second = bind("spare2", &good);
    assert_eq!(second.code, 5, "{}", second.out);
    assert!(second.err.contains("already"), "{}", second.err);
    assert_eq!(refusals(&county)[0].0, "other_box");
    bind("spare2", &code("103", "1")).json().expect("bound while stopped");
}
