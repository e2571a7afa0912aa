//! The command line's contract: what scripts and county IT rely on.

use cunkou_tests::agent::{Agent, Dice, Papers};
use cunkou_tests::bare::{Bare, Ran, Serving, root, run};
use cunkou_tests::county::{County, free_ports, programs, until};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn program(name: &str) -> std::path::PathBuf {
    programs().expect("built programs").join(name)
}

fn cli(name: &str, arguments: &[&str]) -> Ran {
    run(&program(name), arguments, "").expect("it runs")
}

/// A county in a folder of its own.
fn found(name: &str) -> (Bare, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let bin = programs().expect("built programs");
    let port = free_ports().expect("ports");
    (Bare::found(&bin, folder.path(), port, name).expect("a county"), folder)
}

/// A village box of a county, enrolled, not running.
fn enrolled(county: &Bare, name: &str) {
    let file = county.offer(name, "village", "101", &county.quic()).expect("a file");
    county.node(name, &["enrol", &file]).expect("it runs").json().expect("enrolled");
}

fn log_of(serving: &Serving) -> String {
    let text = fs::read_to_string(&serving.log).expect("a log");
    // Without colours.
    let mut out = String::new();
    let mut parts = text.split('\u{1b}');
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        out.push_str(part.split_once('m').map_or(part, |(_, rest)| rest));
    }
    out
}

fn waits_for_log(serving: &Serving, words: &str) {
    until(words, 60, || log_of(serving).contains(words).then_some(()))
        .unwrap_or_else(|e| panic!("{e}\n{}", log_of(serving)));
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[test]
fn every_level_of_help_shows_an_example() {
    let levels: [(&str, &[&[&str]]); 4] = [
        (
            "cunkou-node",
            &[
                &[],
                &["enrol"],
                &["enrol-request"],
                &["enrol-finish"],
                &["bind"],
                &["serve"],
                &["unlock"],
                &["lock"],
                &["rebuild"],
                &["scrub"],
                &["export"],
                &["bundle"],
                &["bundle", "export"],
                &["bundle", "import"],
                &["ferry"],
                &["send-photos"],
                &["compact"],
                &["backup"],
                &["restore"],
                &["status"],
            ],
        ),
        ("cunkou-verify", &[&[], &["new-key"], &["cosign"]]),
        ("cunkou-ukey", &[&[]]),
        (
            "cunkou-relay",
            &[
                &[],
                &["init"],
                &["serve"],
                &["enrol"],
                &["enrol-answer"],
                &["confirm"],
                &["bind-code"],
                &["staff"],
                &["staff", "add"],
                &["staff", "list"],
                &["staff", "kin"],
                &["staff", "remove"],
                &["staff", "key-code"],
                &["catalogue"],
                &["catalogue", "publish"],
                &["import"],
                &["import", "residents"],
                &["villages"],
                &["villages", "list"],
                &["villages", "serve"],
                &["villages", "merge"],
                &["revoke"],
                &["export"],
                &["export", "case"],
                &["checkpoint"],
                &["checkpoint", "export"],
                &["checkpoint", "cosigned"],
                &["checkpoint", "list"],
                &["lease"],
                &["lease", "extend"],
                &["bundle"],
                &["bundle", "export"],
                &["bundle", "import"],
                &["ferry"],
                &["backup"],
                &["compact"],
                &["rebuild"],
                &["scrub"],
                &["restore"],
                &["recover"],
                &["status"],
            ],
        ),
    ];
    let mut lacking = Vec::new();
    for (name, levels) in levels {
        for level in levels {
            let ran = cli(name, &[level, &["--help"][..]].concat());
            assert_eq!(ran.code, 0, "{name} {level:?}");
            if !ran.out.contains("Example") {
                lacking.push(format!("{name} {} --help", level.join(" ")));
            }
        }
    }
    assert!(lacking.is_empty(), "no example: {lacking:#?}");
}

#[test]
fn wrong_use_exits_with_two_and_says_what_is_right() {
    let wrong: [(&str, &[&str]); 6] = [
        ("cunkou-node", &[]),
        ("cunkou-node", &["dance"]),
        ("cunkou-node", &["serve", "--https"]),
        ("cunkou-relay", &["enrol", "--kind", "castle"]),
        ("cunkou-relay", &["init", "--name", "云溪县"]),
        ("cunkou-relay", &["revoke", "6f1c"]),
    ];
    for (name, arguments) in wrong {
        let ran = cli(name, arguments);
        assert_eq!(ran.code, 2, "{name} {arguments:?}: {}", ran.err);
        assert!(!ran.err.trim().is_empty(), "{name} {arguments:?} says nothing");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().display().to_string();
    let ran = cli(
        "cunkou-relay",
        &["--data", &data, "init", "--name", "甲县", "--code", "13", "--single-key"],
    );
    assert_eq!((ran.code, ran.err.contains("6 digits")), (2, true), "{}", ran.err);
    let ran = cli("cunkou-node", &["--data", &data, "serve", "--http", "everywhere"]);
    assert_eq!((ran.code, ran.err.contains("everywhere")), (2, true), "{}", ran.err);
}

#[test]
fn a_folder_without_box_or_county_exits_with_four_and_says_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("none").display().to_string();
    for arguments in [&["status"][..], &["serve"]] {
        let ran = cli("cunkou-node", &[&["--data", &data], arguments].concat());
        assert_eq!(ran.code, 4, "{arguments:?}: {}", ran.err);
        assert!(ran.err.contains("enrol") && ran.err.contains(&data), "{}", ran.err);
    }
    for arguments in [&["status"][..], &["serve"], &["staff", "list"]] {
        let ran = cli("cunkou-relay", &[&["--data", &data], arguments].concat());
        assert_eq!(ran.code, 4, "{arguments:?}: {}", ran.err);
        assert!(ran.err.contains("init"), "{}", ran.err);
    }
}

#[test]
fn an_unknown_configuration_key_is_named_with_its_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("none").display().to_string();
    let file = folder.path().join("box.toml");
    let shown = file.display().to_string();
    // The second and third have an unknown key that a known key, or a comment, begins with.
    let cases = [
        ("http = \"127.0.0.1:1\"\n\nhtpp = \"x\"\n", "htpp", "line 3"),
        ("http = \"127.0.0.1:1\"\nht = \"x\"\n", "ht", "line 2"),
        ("# quick\nhttp = \"127.0.0.1:1\"\n\"quick\" = 1\n", "quick", "line 3"),
    ];
    for name in ["cunkou-node", "cunkou-relay"] {
        for (text, key, line) in cases {
            fs::write(&file, text).expect("a file");
            let ran = cli(name, &["--data", &data, "serve", "--config", &shown]);
            assert_eq!(ran.code, 2, "{name}: {}", ran.err);
            let all = [&shown, key, line, "Known keys"];
            assert!(all.iter().all(|w| ran.err.contains(w)), "{name}, {text:?}: {}", ran.err);
        }
        fs::write(&file, "http = \n").expect("a file");
        let ran = cli(name, &["--data", &data, "serve", "--config", &shown]);
        assert_eq!((ran.code, ran.err.contains("line 1")), (2, true), "{name}: {}", ran.err);
    }
}

#[test]
fn status_has_exactly_the_promised_keys_and_exits_with_three_when_nothing_runs() {
    let (county, _folder) = found("甲县");
    let relay = county.serve_relay().expect("a relay");
    enrolled(&county, "one");
    let stopped = county.node("one", &["status"]).expect("it runs");
    assert_eq!(stopped.code, 3, "{}", stopped.err);
    let node = county.serve_node("one", 1, &county.quic()).expect("a box");
    let common = [
        "schema",
        "enrolled",
        "locked",
        "version",
        "unsent",
        "last_completed_sync",
        "clock",
        "quarantine",
        "disk_free",
        "storage",
        "ferry",
        "attachments",
        "contacts",
    ];
    let of_box = [
        "name",
        "catalogue",
        "residents",
        "host",
        "certificate_days",
        "inbox",
        "lease",
        "machine_secret",
        "words",
        "spare",
        "alarms",
        "link",
        "traffic",
        "sync",
        "lost_villages",
    ];
    let of_relay = [
        "county",
        "fingerprint",
        "entries",
        "boxes",
        "certificates",
        "revoked",
        "to_compare",
        "refused_enrolments",
        "forks",
        "erasures_unconfirmed",
        "doubles",
    ];
    let status = until("a completed sync", 60, || {
        let status = county.node("one", &["status"]).ok()?.json().ok()?;
        status["last_completed_sync"].is_i64().then_some(status)
    })
    .expect("a status");
    assert_eq!(keys(&status), common.into_iter().chain(of_box).collect());
    let told = county.relay(&["status"], "").expect("it runs").json().expect("a status");
    assert_eq!(keys(&told), common.into_iter().chain(of_relay).collect());
    // Nobody has signed in to the box: it received everything locked.
    for (status, locked) in [(&status, true), (&told, false)] {
        assert_eq!(status["schema"], 1);
        assert_eq!((&status["enrolled"], &status["locked"]), (&true.into(), &locked.into()));
        assert_eq!(keys(&status["unsent"]), ["entries", "bytes", "oldest_s"].into());
        assert_eq!(keys(&status["clock"]), ["source", "error_s"].into());
        assert!(status["clock"]["error_s"].is_i64(), "{status}");
        let lane = [
            "wanted",
            "wanted_bytes",
            "budget_bytes",
            "moved_bytes",
            "put_off",
            "waits_s",
            "faults",
        ];
        assert_eq!(keys(&status["attachments"]), lane.into());
        assert!(status["quarantine"].is_u64() && status["disk_free"].is_u64(), "{status}");
    }
    drop((node, relay));
    assert_eq!(county.node("one", &["status"]).expect("it runs").code, 3);
    assert_eq!(county.relay(&["status"], "").expect("it runs").code, 3);
}

#[test]
fn an_enrolment_file_works_once() {
    let (county, folder) = found("甲县");
    let relay = county.serve_relay().expect("a relay");
    let file = county.offer("one", "village", "101", &county.quic()).expect("a file");
    let first = county.node("one", &["enrol", &file]).expect("it runs").json().expect("enrolled");
    assert_eq!((&first["enrolled"], &first["county"]), (&true.into(), &"甲县".into()));
    let again = county.node("two", &["enrol", &file]).expect("it runs");
    assert_eq!(again.code, 5, "{}", again.err);
    assert!(again.err.contains("used already") && again.err.contains("county IT"), "{}", again.err);
    waits_for_log(&relay, "refused an enrolment");
    // The folder of a refused box is no box, and an enrolled one is not enrolled over.
    assert_eq!(county.node("two", &["status"]).expect("it runs").code, 4);
    let over = county.node("one", &["enrol", &file]).expect("it runs");
    assert_eq!((over.code, over.err.contains("already")), (5, true), "{}", over.err);
    let text = folder.path().join("words.txt");
    fs::write(&text, "hello").expect("a file");
    let other = county.node("three", &["enrol", &text.display().to_string()]).expect("it runs");
    assert_eq!(
        (other.code, other.err.contains("not an enrolment file")),
        (1, true),
        "{}",
        other.err
    );
}

#[test]
fn a_box_of_another_county_is_refused_in_plain_words_on_both_sides() {
    let (here, _one) = found("甲县");
    let (there, _two) = found("乙县");
    let (relay_here, relay_there) =
        (here.serve_relay().expect("a relay"), there.serve_relay().expect("a relay"));
    // A file of one county brought to the relay of the other.
    let file = here.offer("lost", "village", "101", &there.quic()).expect("a file");
    let lost = here.node("lost", &["enrol", &file]).expect("it runs");
    assert_eq!(lost.code, 5, "{}", lost.err);
    assert!(lost.err.contains("do not belong to the same county"), "{}", lost.err);
    waits_for_log(&relay_there, "refused a connection");
    assert_eq!(here.node("lost", &["status"]).expect("it runs").code, 4);
    // A box of one county that calls the relay of the other.
    here.relay(
        &[
            "staff",
            "add",
            "--login",
            "li",
            "--name",
            "李建国",
            "--role",
            "agent",
            "--places",
            "101",
        ],
        "246810",
    )
    .expect("it runs")
    .json()
    .expect("added");
    enrolled(&here, "one");
    let box_here = here.serve_node("one", 1, &here.quic()).expect("a box");
    until("the agent's key", 60, || Agent::sign_in(&here.url("one", 1).ok()?, "li", "246810").ok())
        .expect("li signs in");
    drop(box_here);
    let before = log_of(&relay_there).matches("refused a connection").count();
    let stray = here.serve_node("one", 1, &there.quic()).expect("a box");
    // Not the words of any refusal: the box that stopped has left some in the same log.
    waits_for_log(&stray, "do not belong to the same county");
    assert!(log_of(&stray).contains("do not belong to the same county"), "{}", log_of(&stray));
    until("the relay's line", 60, || {
        (log_of(&relay_there).matches("refused a connection").count() > before).then_some(())
    })
    .expect("the relay says so, too");
    let li =
        Agent::sign_in(&here.url("one", 1).expect("running"), "li", "246810").expect("signs in");
    // The sign-in opened the box: it calls the relay anew.
    until("words on the page", 60, || {
        let page = li.get("/sync").ok()?.page().ok()?;
        page.contains("县平台不接收这个盒子").then_some(())
    })
    .expect("the box says so");
    drop(relay_here);
}

#[test]
fn a_broken_catalogue_is_named_with_file_line_and_reason_and_the_old_one_stays() {
    let (county, folder) = found("甲县");
    let relay = county.serve_relay().expect("a relay");
    enrolled(&county, "one");
    let node = county.serve_node("one", 1, &county.quic()).expect("a box");
    let version = || {
        let status = county.node("one", &["status"]).ok()?.json().ok()?;
        status["catalogue"].as_str().map(str::to_owned)
    };
    let first = until("a catalogue", 60, version).expect("a catalogue");
    let good = root().join("county-relay/catalogue");
    let places = root().join("tests/demo/county/places.json").display().to_string();
    let items = fs::read_to_string(good.join("items.json")).expect("the catalogue");
    let publish = |items: &str| {
        let copy = folder.path().join("catalogue");
        fs::create_dir_all(&copy).expect("a folder");
        fs::copy(good.join("holidays.json"), copy.join("holidays.json")).expect("a copy");
        fs::write(copy.join("items.json"), items).expect("a file");
        let copy = copy.display().to_string();
        county.relay(&["catalogue", "publish", &copy, "--places", &places], "").expect("it runs")
    };
    let line_of = |text: &str, words: &str| {
        text.lines().position(|l| l.contains(words)).expect("these words") + 1
    };
    let later = items.replace(&format!("\"version\": \"{first}\""), "\"version\": \"2099.1.1\"");
    assert_ne!(later, items);
    let twice = later.replacen("\"S2-junren\"", "\"S1-gaoling\"", 1);
    let broken = [
        // A comma is missing at the end of a line.
        (
            later.replacen("\"fee\": \"不收费\",", "\"fee\": \"不收费\"", 1),
            line_of(&later, "\"fee\"") + 1,
        ),
        // A word that is no kind of question.
        (later.replacen("\"yes_no\"", "\"maybe\"", 1), line_of(&later, "\"yes_no\"")),
        // A key that nobody knows.
        (later.replacen("\"fee\":", "\"feee\":", 1), line_of(&later, "\"fee\"")),
        // Two items of one key: the line of either.
        (twice.clone(), line_of(&twice, "\"S1-gaoling\"")),
    ];
    let mut wrong = Vec::new();
    for (text, line) in &broken {
        let ran = publish(text);
        assert_eq!(ran.code, 5, "{}", ran.err);
        assert!(ran.err.contains("the old catalogue stays"), "{}", ran.err);
        let near = [line - 1, *line, line + 1].iter().any(|n| {
            [format!(":{n}"), format!("line {n}"), format!("line {n}:")]
                .iter()
                .any(|w| ran.err.contains(w))
        });
        if !ran.err.contains("items.json") || !near {
            wrong.push(format!("line {line}: {}", ran.err.trim()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(version(), Some(first), "the old one stays");
    // And the same catalogue without faults is taken.
    publish(&later).json().expect("published");
    until("the new catalogue", 60, || (version().as_deref() == Some("2099.1.1")).then_some(()))
        .expect("it arrives");
    drop((node, relay));
}

/// Row and column of every fault of the broken files.
const FAULTS: [(u32, &str); 9] = [
    (4, "身份证号"),
    (6, "身份证号"),
    (8, "身份证号"),
    (10, "身份证号"),
    (14, "身份证号"),
    (16, "姓名"),
    (18, "村"),
    (20, "联系电话"),
    (22, "身份证号"),
];

#[test]
fn of_a_broken_spreadsheet_the_good_rows_are_imported_and_each_bad_one_is_named() {
    for kind in ["xlsx", "csv"] {
        let (county, _folder) = found("甲县");
        county
            .relay(
                &[
                    "staff", "add", "--login", "he", "--name", "何平", "--role", "it", "--places",
                    "1",
                ],
                "778899",
            )
            .expect("it runs")
            .json()
            .expect("added");
        let file = root().join(format!("tests/demo/county/residents-broken.{kind}"));
        let file = file.display().to_string();
        let ran = county.relay(&["import", "residents", &file, "--as", "he"], "").expect("it runs");
        let told = ran.json().expect("imported");
        assert_eq!((&told["imported"], &told["faulty"]), (&13.into(), &9.into()), "{kind}: {told}");
        let faults = told["faults"].as_array().expect("a list");
        assert_eq!(faults.len(), 9, "{kind}: {told}");
        for (fault, (row, column)) in faults.iter().zip(FAULTS) {
            let begin = format!("第 {row} 行,{column}:");
            let reason = fault.as_str().and_then(|f| f.strip_prefix(&begin));
            assert!(reason.is_some_and(|r| !r.is_empty()), "{kind}: {fault} instead of {begin}…");
        }
        // The same file again: the good ones are known, and nobody is there twice.
        let ran = county.relay(&["import", "residents", &file, "--as", "he"], "").expect("it runs");
        let told = ran.json().expect("imported again");
        let counts = (&told["imported"], &told["already_known"], &told["faulty"]);
        assert_eq!(counts, (&0.into(), &13.into(), &9.into()), "{kind}: {told}");
        let nobody =
            county.relay(&["import", "residents", &file, "--as", "li"], "").expect("it runs");
        assert_eq!(nobody.code, 5, "{}", nobody.err);
    }
}

/// Files that hold one of these words.
fn holding(folder: &Path, words: &[&str]) -> Vec<String> {
    let mut out = Vec::new();
    for file in fs::read_dir(folder).expect("a folder").flatten() {
        let text = String::from_utf8_lossy(&fs::read(file.path()).expect("a log")).into_owned();
        for word in words.iter().filter(|w| text.contains(**w)) {
            let line = text.lines().find(|l| l.contains(word)).unwrap_or_default();
            out.push(format!("{}: {word}: {line}", file.path().display()));
        }
    }
    out
}

#[test]
fn no_name_id_number_or_phone_number_is_in_any_log() {
    let (name, id, phone) = ("张桂兰", "130999194305060249", "13900000101");
    let county = County::start().expect("a county");
    let agent = |login: &str| {
        let person = county.person(login);
        Agent::sign_in(county.url(&person.node), login, &person.pin).expect("they sign in")
    };
    let li = agent("li");
    for text in [name, "zgl", id, "0249", phone] {
        assert!(!li.search(text).expect("a search").is_empty(), "{text}");
    }
    let resident = li.search(id).expect("a search").remove(0);
    li.get(&format!("{resident}?full=1")).expect("a page").page().expect("her page");
    // Faults, too: what was typed is on the page, never in a log.
    let case = li.begin(&resident, "S1-gaoling").expect("a draft");
    li.post(
        &format!("/cases/{case}/form"),
        &[("phone", &format!("{phone}9")[..]), ("address", name)],
    )
    .expect("an answer");
    li.post("/residents/new", &[("id_number", id)]).expect("an answer");
    let mut papers = Papers::New(Dice::new(7), 320, 240);
    let filed = li.file(&resident, "S1-gaoling", &mut papers).expect("filed");
    let (wang, zhao) = (agent("wang"), agent("zhao"));
    until("the township has it", 60, || wang.act(&filed.case, "take", &[]).ok()).expect("taken");
    wang.act(&filed.case, "forward", &[("opinion", name)]).expect("forwarded");
    until("the county has it", 60, || zhao.act(&filed.case, "accept", &[]).ok()).expect("accepted");
    zhao.act(&filed.case, "approve", &[("opinion", id)]).expect("approved");
    until("the notice is here", 60, || (li.phase(&filed.case).ok()? == "已办结").then_some(()))
        .unwrap_or_else(|e| panic!("{e}: {:?}", li.phase(&filed.case)));
    for node in ["village1", "relay"] {
        county.stop(node).expect("it stops");
        county.start_node(node).expect("it starts");
    }
    let found = holding(&county.told.data.join("logs"), &[name, id, phone, "李建国", "246810"]);
    assert!(found.is_empty(), "{found:#?}");
}

const AUDITORS_WORDS: &str = "村口的老槐树下有人等";

/// An auditor's key in a folder; gives its file and the published key.
fn auditor(folder: &Path) -> (String, String) {
    let key = folder.join("auditor.key").display().to_string();
    let arguments = ["new-key", "--name", "市审计局", "--out", &key, "--json"];
    let made = run(&program("cunkou-verify"), &arguments, AUDITORS_WORDS).expect("it runs");
    let public = made.json().expect("a key")["key"].as_str().expect("a key").to_owned();
    (key, public)
}

fn cosign(file: &str, key: &str, more: &[&str]) -> Ran {
    let arguments = [&["cosign", file, "--key", key], more].concat();
    run(&program("cunkou-verify"), &arguments, AUDITORS_WORDS).expect("it runs")
}

#[test]
fn an_auditor_signs_the_countys_log_and_a_case_says_what_the_signature_covers() {
    let county = County::start().expect("a county");
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let data = county.data("relay").display().to_string();
    let relay = |arguments: &[&str]| {
        let all = [&["--json", "--data", &data], arguments].concat();
        run(&program("cunkou-relay"), &all, "").expect("it runs")
    };
    let person = county.person("li");
    let li = Agent::sign_in(county.url(&person.node), "li", &person.pin).expect("signed in");
    let resident = li.search("zgl").expect("a search").remove(0);
    let mut papers = Papers::New(Dice::new(11), 320, 240);
    let number = li.file(&resident, "S1-gaoling", &mut papers).expect("filed").number;
    let case = path("case.cunkou");
    until("the case at the county", 60, || {
        (relay(&["export", "case", &number, "--out", &case, "--no-photos"]).code == 0).then_some(())
    })
    .expect("exported");

    let (key, public) = auditor(folder.path());
    let verify = |file: &str| cli("cunkou-verify", &[file, "--auditor", &public]);
    let before = verify(&case);
    assert!(before.code == 0 && before.out.contains("文件里没有它的签名"), "{}", before.out);
    let nobody = relay(&["checkpoint", "list"]).json().expect("a list");
    assert_eq!(nobody["cosigned"], serde_json::json!([]));

    let letter = path("1.checkpoint");
    let made = relay(&["checkpoint", "export", &letter]).json().expect("a letter");
    let fingerprint = made["fingerprint"].as_str().expect("a fingerprint");
    assert_eq!(county.status("relay").expect("status")["fingerprint"], fingerprint);
    let unsigned = relay(&["checkpoint", "cosigned", &letter]);
    assert!(
        unsigned.code == 5 && unsigned.err.contains("nobody but this relay"),
        "{}",
        unsigned.err
    );
    let signed = cosign(&letter, &key, &["--county", fingerprint]);
    assert!(signed.code == 0 && signed.out.contains("已签"), "{}", signed.out);
    let back = relay(&["checkpoint", "cosigned", &letter, "--name", "市审计局"]);
    assert_eq!(back.json().expect("taken")["signed_by"][0], public.as_str());
    let list = relay(&["checkpoint", "list"]).json().expect("a list");
    assert_eq!(list["cosigned"][0]["name"], "市审计局");
    assert_eq!(list["cosigned"][0]["entries"], made["entries"]);

    // The log goes on; the next letter needs no --from, and a case shows what was signed.
    let more = li.search("0249").expect("a search").remove(0);
    li.get(&format!("{more}?full=1")).expect("a page").page().expect("a page");
    let next = path("2.checkpoint");
    relay(&["checkpoint", "export", &next]).json().expect("a letter");
    let signed = cosign(&next, &key, &["--lang", "en"]);
    assert!(signed.code == 0 && signed.out.contains("It continues the"), "{}", signed.out);
    let after = path("after.cunkou");
    relay(&["export", "case", &number, "--out", &after, "--no-photos"]).json().expect("a case");
    let told = verify(&after);
    assert!(told.code == 0 && told.out.contains("审计签名"), "{}", told.out);
    assert!(told.out.contains("以后改不了、也补不进去"), "{}", told.out);
    let json =
        cli("cunkou-verify", &[&after, "--auditor", &public, "--json"]).json().expect("JSON");
    let log = &json["audited"][0]["signed"];
    assert!(
        log["witnesses"].as_u64() > Some(0) && log["witnesses"] == log["of_witnesses"],
        "{json}"
    );
    let unknown = cli("cunkou-verify", &[&after, "--auditor", "9f3c"]);
    assert_eq!(unknown.code, 2, "{}", unknown.err);
}

#[test]
fn a_relay_whose_past_was_exchanged_gets_no_signature_of_the_auditor() {
    let (county, folder) = found("云溪县");
    let (key, _) = auditor(folder.path());
    let adds = |login: &str| {
        let arguments =
            ["staff", "add", "--login", login, "--name", "赵敏", "--role", "it", "--places", "1"];
        county.relay(&arguments, "445566").expect("it runs").json().expect("added");
    };
    let export = |name: &str, more: &[&str]| {
        let file = county.path(name);
        let arguments = [&["checkpoint", "export", &file], more].concat();
        let made = county.relay(&arguments, "").expect("it runs").json().expect("a letter");
        (file, made)
    };
    adds("one");
    let (kept, data) = (county.path("kept"), county.path("relay"));
    let copy = |from: &str, to: &str| {
        let done = std::process::Command::new("cp").args(["-a", from, to]).status();
        assert!(done.expect("cp runs").success());
    };
    copy(&data, &kept);
    adds("two");
    let (first, made) = export("first.checkpoint", &[]);
    let fingerprint = made["fingerprint"].as_str().expect("a fingerprint").to_owned();
    let signed = cosign(&first, &key, &["--county", &fingerprint]);
    assert_eq!(signed.code, 0, "{}", signed.out);
    fs::remove_dir_all(&data).expect("gone");
    copy(&kept, &data);
    for login in ["three", "four", "five"] {
        adds(login);
    }
    let entries = made["entries"].to_string();
    let (second, _) = export("second.checkpoint", &["--from", &entries]);
    let refused = cosign(&second, &key, &[]);
    assert!(
        refused.code == 1 && refused.out.contains("没有签:县平台的日志被改写过"),
        "{}",
        refused.out
    );
    let taken = county.relay(&["checkpoint", "cosigned", &first], "").expect("it runs");
    assert!(taken.code == 5 && taken.err.contains("not one of this relay's log"), "{}", taken.err);
}
