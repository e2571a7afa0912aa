//! A box whose disk is lost, and the machine that takes its place.

use cunkou_tests::agent::{Agent, Dice, Papers};
use cunkou_tests::at_rest::database;
use cunkou_tests::bare::{Bare, Serving};
use cunkou_tests::county::{free_ports, programs, until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

const PEOPLE: &str = "姓名,身份证号,村,村民小组,户主姓名,与户主关系,联系电话,小名,住址,民族,银行卡号,残疾人证号,低保,退役军人
金丝雀甲,13099919410203071X,云岭村,1,金丝雀甲,户主,13900001111,,云溪县清河镇云岭村1组,汉族,,,否,否
金丝雀乙,130999194203040829,云岭村,1,金丝雀乙,户主,13900002222,,云溪县清河镇云岭村1组,汉族,,,否,否
金丝雀丙,130999194304050938,云岭村,1,金丝雀丙,户主,13900003333,,云溪县清河镇云岭村1组,汉族,,,否,否
";

struct Village {
    county: Bare,
    outside: TempDir,
    _folder: TempDir,
}

fn village() -> Village {
    let (folder, outside) = (TempDir::new().expect("a folder"), TempDir::new().expect("a folder"));
    let bin = programs().expect("built programs");
    let county = Bare::found(&bin, folder.path(), free_ports().expect("ports"), "甲县");
    let county = county.expect("a county");
    for (login, name, role, place, pin) in
        [("li", "李建国", "agent", "101", "246810"), ("he", "何为", "it", "1", "135791")]
    {
        let add =
            ["staff", "add", "--login", login, "--name", name, "--role", role, "--places", place];
        county.relay(&add, pin).expect("it runs").json().expect("added");
    }
    let people = outside.path().join("people.csv");
    fs::write(&people, PEOPLE).expect("a file");
    let import = ["import", "residents", &people.display().to_string(), "--as", "he"];
    county.relay(&import, "").expect("it runs").json().expect("imported");
    Village { county, outside, _folder: folder }
}

impl Village {
    fn serve(&self) -> (Serving, Agent) {
        let node = self.county.serve_node("one", 1, &self.county.quic()).expect("a box");
        let url = self.county.url("one", 1).expect("running");
        let li = until("li signs in", 60, || Agent::sign_in(&url, "li", "246810").ok());
        (node, li.expect("signed in"))
    }

    fn status(&self) -> Value {
        self.county
            .node("one", &["status"])
            .ok()
            .and_then(|ran| ran.json().ok())
            .unwrap_or_default()
    }

    fn sent(&self) {
        let sent = || (self.status()["unsent"]["entries"] == 0).then_some(());
        until("everything at the county", 60, sent).expect("sent");
    }

    /// The last line of a command that went well.
    fn done(&self, arguments: &[&str]) -> Value {
        let ran = self.county.node("one", arguments).expect("it runs");
        assert_eq!(ran.code, 0, "{} {}", ran.out, ran.err);
        serde_json::from_str(ran.out.lines().last().unwrap_or_default()).expect("an answer")
    }

    /// Cases in the database of a stopped or running machine.
    fn cases(&self, of: &str) -> Option<i64> {
        let folder = |name: &str| self.county.data.join(name);
        let db = database(&folder("relay"), &folder(of)).ok()?;
        let sql = "SELECT count(*) FROM case_row WHERE submitted_ms > 0";
        db.query_row(sql, [], |row| row.get(0)).ok()
    }
}

fn has_words(file: &Path, words: &[&str]) -> bool {
    let bytes = fs::read(file).expect("readable");
    words.iter().any(|word| bytes.windows(word.len()).any(|found| found == word.as_bytes()))
}

#[test]
fn a_box_whose_disk_is_lost_comes_back_from_a_stick_and_the_county_without_an_alarm() {
    let village = village();
    let relay = village.county.serve_relay().expect("a relay");
    let file = village.county.offer("one", "village", "101", &village.county.quic());
    let enrolled = village.county.node("one", &["enrol", &file.expect("a file")]);
    enrolled.expect("it runs").json().expect("enrolled");
    let (node, li) = village.serve();
    let people = until("residents", 60, || li.residents(0).ok().filter(|p| p.len() == 3));
    let people = people.expect("residents");
    let mut papers = Papers::New(Dice::new(5), 640, 480);
    let first = li.file(&people[0], "S1-gaoling", &mut papers).expect("filed");
    village.sent();
    let stick = village.outside.path().join("stick");
    fs::create_dir_all(&stick).expect("a folder");
    let asked = stick.display().to_string();
    let inside = village.county.path("one");
    let refused = village.county.node("one", &["backup", &inside]).expect("it runs");
    assert_eq!(refused.code, 5, "into its own folder: {}", refused.err);
    let done = village.done(&["backup", &asked]);
    let file = done["file"].as_str().expect("a file").to_owned();
    assert!(done["attachments"].as_u64().is_some_and(|n| n > 1), "{done}");
    assert!(!has_words(
        Path::new(&file),
        &["金丝雀", "13099919410203071X", "13900001111", "S1-gaoling"]
    ));
    let twice = village.county.node("one", &["backup", &file]).expect("it runs");
    assert_eq!(twice.code, 1, "an earlier backup is not written over");
    village.done(&["lock"]);
    let locked = village.county.node("one", &["backup", &asked]).expect("it runs");
    assert_eq!(locked.code, 5, "{}", locked.err);

    // After the backup one more case goes to the county; then the disk is lost while at work.
    let url = village.county.url("one", 1).expect("running");
    let li = Agent::sign_in(&url, "li", "246810").expect("signed in");
    let later = li.file(&people[1], "S1-gaoling", &mut papers).expect("filed");
    village.sent();
    let pid = i32::try_from(node.pid()).ok().and_then(Pid::from_raw).expect("a process");
    kill_process(pid, Signal::KILL).expect("killed");
    drop(node);
    fs::rename(village.county.data.join("one"), village.outside.path().join("lost")).expect("gone");

    let key = village.county.path("relay") + "/offline/recovery.key";
    let wrong = village.outside.path().join("wrong.key");
    fs::write(&wrong, "11".repeat(32)).expect("a file");
    let wrong = wrong.display().to_string();
    let refused = village.county.node("one", &["restore", &file, "--key", &wrong]);
    assert_eq!(refused.expect("it runs").code, 1);
    let restored = village.done(&["restore", &file, "--key", &key]);
    assert_eq!((&restored["entries"], &restored["people"]), (&done["entries"], &1.into()));
    let again = village.county.node("one", &["restore", &file, "--key", &key]).expect("it runs");
    assert_eq!(again.code, 5, "a folder that is not empty");

    let (node, li) = village.serve();
    let third = li.file(&people[2], "S1-gaoling", &mut papers).expect("filed");
    until("all cases at the box", 120, || village.cases("one").filter(|n| *n == 3)).expect("back");
    until("all cases at the county", 60, || village.cases("relay").filter(|n| *n == 3))
        .expect("sent");
    village.sent();
    for filed in [&first, &later, &third] {
        assert!(li.receipt(&filed.case).expect("an answer"));
        li.get(&format!("/cases/{}", filed.case)).expect("a page").page().expect("a page");
    }
    // Nobody takes it for a copy, and nobody has to look at anything.
    let told = village.county.relay(&["status"], "").expect("it runs").json().expect("a status");
    assert_eq!(told["forks"], serde_json::json!([]), "{told}");
    let status = village.status();
    assert_eq!(status["alarms"], serde_json::json!([]), "{status}");
    assert_eq!(status["quarantine"], 0, "{status}");
    drop((node, relay));
}
