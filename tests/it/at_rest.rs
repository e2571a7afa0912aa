//! A thief with the disk, a box that booted by itself, a box that the county revoked.

use cunkou_tests::agent::{Agent, Dice, Papers};
use cunkou_tests::at_rest::work_key;
use cunkou_tests::bare::{Bare, Serving};
use cunkou_tests::county::{free_ports, programs, until};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

const PEOPLE: [(&str, &str, &str); 3] = [
    ("金丝雀甲", "13099919410203071X", "13900001111"),
    ("金丝雀乙", "130999194203040829", "13900002222"),
    ("金丝雀丙", "130999194304050938", "13900003333"),
];

/// Every form in which a canary could lie somewhere.
fn needles() -> BTreeMap<usize, HashSet<Vec<u8>>> {
    let mut out: BTreeMap<usize, HashSet<Vec<u8>>> = BTreeMap::new();
    for word in PEOPLE.iter().flat_map(|(name, id, phone)| [name, id, phone]) {
        let utf8 = word.as_bytes().to_vec();
        let wide = |order: fn(u16) -> [u8; 2]| word.encode_utf16().flat_map(order).collect();
        let hex = |upper: bool| {
            let digit = |b: &u8| if upper { format!("{b:02X}") } else { format!("{b:02x}") };
            word.as_bytes().iter().map(digit).collect::<String>().into_bytes()
        };
        let forms: [Vec<u8>; 5] =
            [utf8, wide(u16::to_le_bytes), wide(u16::to_be_bytes), hex(false), hex(true)];
        for form in forms {
            out.entry(form.len()).or_default().insert(form);
        }
    }
    out
}

/// Files under a folder in which a canary stands, and how many files were read.
fn search(folder: &Path) -> (Vec<PathBuf>, usize) {
    let needles = needles();
    let (mut hits, mut read, mut left) = (Vec::new(), 0, vec![folder.to_owned()]);
    while let Some(folder) = left.pop() {
        for found in fs::read_dir(&folder).expect("a folder").flatten() {
            let path = found.path();
            let kind = found.file_type().expect("a kind");
            if kind.is_dir() {
                left.push(path);
            } else if kind.is_file() {
                read += 1;
                let bytes = fs::read(&path).expect("readable");
                let name = path.display().to_string();
                let hit = needles.iter().any(|(length, all)| {
                    bytes.windows(*length).any(|w| all.contains(w))
                        || name.as_bytes().windows(*length).any(|w| all.contains(w))
                });
                if hit {
                    hits.push(path);
                }
            }
        }
    }
    (hits, read)
}

fn kill(serving: &Serving) {
    let pid = i32::try_from(serving.pid()).ok().and_then(Pid::from_raw).expect("a process");
    kill_process(pid, Signal::KILL).expect("it was killed");
}

fn csv(people: &[(&str, &str, &str)]) -> String {
    let mut out = "姓名,身份证号,村,村民小组,户主姓名,与户主关系,联系电话,小名,住址,民族,银行卡号,残疾人证号,低保,退役军人\n".to_owned();
    for (name, id, phone) in people {
        out += &format!(
            "{name},{id},云岭村,1,{name},户主,{phone},,云溪县清河镇云岭村1组,汉族,,,否,否\n"
        );
    }
    out
}

struct Place {
    county: Bare,
    outside: tempfile::TempDir,
    _folder: tempfile::TempDir,
}

/// A county with an agent and an importer, and a box of the village that is enrolled.
fn place() -> Place {
    let (folder, outside) =
        (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
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
    Place { county, outside, _folder: folder }
}

impl Place {
    fn import(&self, people: &[(&str, &str, &str)]) {
        let file = self.outside.path().join("people.csv");
        fs::write(&file, csv(people)).expect("a file");
        let shown = file.display().to_string();
        let done = self.county.relay(&["import", "residents", &shown, "--as", "he"], "");
        let done = done.expect("it runs").json().expect("imported");
        assert_eq!(done["imported"], people.len(), "{done}");
    }

    fn enrol(&self) {
        let county = &self.county;
        let file = county.offer("one", "village", "101", &county.quic()).expect("a file");
        county.node("one", &["enrol", &file]).expect("it runs").json().expect("enrolled");
    }

    fn serve(&self) -> Serving {
        self.county.serve_node("one", 1, &self.county.quic()).expect("a box")
    }

    fn agent(&self) -> Agent {
        let url = self.county.url("one", 1).expect("running");
        until("li signs in", 60, || Agent::sign_in(&url, "li", "246810").ok()).expect("signed in")
    }

    fn status(&self) -> serde_json::Value {
        let ran = self.county.node("one", &["status"]).expect("it runs");
        ran.json().unwrap_or_default()
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.county.data.join(name)
    }
}

#[test]
fn a_stolen_disk_of_box_or_relay_shows_no_name_and_no_number_of_anybody() {
    let place = place();
    let relay = place.county.serve_relay().expect("a relay");
    place.import(&PEOPLE);
    place.enrol();
    let node = place.serve();
    let li = place.agent();
    let mut papers = Papers::New(Dice::new(7), 640, 480);
    let people = until("the residents", 60, || li.residents(0).ok().filter(|p| p.len() >= 3));
    let people = people.expect("residents");
    let mut pages = String::new();
    for resident in &people {
        let filed = li.file(resident, "S1-gaoling", &mut papers).expect("filed");
        assert!(li.receipt(&filed.case).expect("an answer"));
        pages +=
            &li.get(&format!("/cases/{}", filed.case)).expect("a page").page().expect("a page");
    }
    assert!(PEOPLE.iter().any(|(name, ..)| pages.contains(name)), "the control: it is shown");
    until("everything at the county", 60, || {
        (place.status()["unsent"]["entries"] == 0).then_some(())
    })
    .expect("sent");
    // As a thief finds it: nobody closed anything.
    kill(&node);
    kill(&relay);
    drop((node, relay));
    // The enrolment's file is spent; everything else is as it lies.
    let (hits, files) = search(&place.county.data);
    assert!(files > 20, "{files} files");
    assert_eq!(hits, Vec::<PathBuf>::new());
    let wal = place.folder("one").join("work.db-wal");
    assert!(fs::metadata(&wal).expect("a write-ahead log").len() > 0);

    // The control: the same search over the same database without its lock.
    let control = place.outside.path().join("control");
    fs::create_dir_all(&control).expect("a folder");
    let key = work_key(&place.folder("relay"), &place.folder("one")).expect("the county opens it");
    let copy = place.outside.path().join("locked");
    fs::create_dir_all(&copy).expect("a folder");
    for name in ["work.db", "work.db-wal"] {
        fs::copy(place.folder("one").join(name), copy.join(name)).expect("a copy");
    }
    cunkou_store::Store::rewrap(
        &copy.join("work.db"),
        &cunkou_store::Lock::Key(key),
        &control.join("work.db"),
        &cunkou_store::Lock::Plain,
    )
    .expect("a plain copy");
    let (hits, _) = search(&control);
    assert_eq!(hits.len(), 1, "the search finds what is not encrypted");
}

#[test]
fn a_box_that_booted_by_itself_receives_locked_and_shows_it_to_the_first_who_signs_in() {
    let place = place();
    let relay = place.county.serve_relay().expect("a relay");
    place.import(&PEOPLE[..1]);
    place.enrol();
    let node = place.serve();
    let li = place.agent();
    until("one resident", 60, || li.residents(0).ok().filter(|p| p.len() == 1)).expect("one");
    kill(&node);
    drop(node);
    place.import(&PEOPLE[1..]);
    let node = place.serve();
    assert_eq!(place.status()["locked"], true);
    // The relay has the box's word for the end of the village's log.
    let box_has_all = || {
        let db = cunkou_tests::at_rest::database(&place.folder("relay"), &place.folder("relay"));
        let sql = "SELECT max(a.seq) = (SELECT seq FROM head WHERE scope = 'place:101')
                   FROM acked a WHERE a.scope = 'place:101'";
        db.ok()?.query_row(sql, [], |row| row.get::<_, Option<bool>>(0)).ok()?
    };
    until("the acknowledgement", 60, || box_has_all().filter(|all| *all)).expect("acknowledged");
    let status = place.status();
    assert_eq!(status["locked"], true);
    assert!(status["inbox"]["batches"].as_u64().is_some_and(|n| n > 0), "{status}");
    // Locked: the sign-in page and nothing else, and the guides, which are public.
    let stranger = Agent::stranger(&place.county.url("one", 1).expect("running"));
    let home = stranger.get("/").expect("an answer");
    assert!(home.location.as_deref().is_some_and(|to| to.starts_with("/login")), "{home:?}");
    let login = stranger.get("/login").expect("a page").page().expect("a page");
    assert!(login.contains("盒子锁着") && login.contains("李建国"), "{login}");
    let url = place.county.url("one", 1).expect("running");
    assert!(Agent::sign_in(&url, "li", "000000").is_err(), "a wrong PIN");
    assert_eq!(place.status()["locked"], true);
    let (hits, _) = search(&place.folder("one"));
    assert_eq!(hits, Vec::<PathBuf>::new());

    let li = place.agent();
    assert_eq!(place.status()["locked"], false);
    assert_eq!(place.status()["inbox"]["batches"], 0);
    assert_eq!(li.residents(0).expect("a list").len(), 3);
    // Locked again from the page: the session is over, the next sign-in opens it.
    let locked = li.post("/lock", &[] as &[(&str, &str)]).expect("an answer");
    assert_eq!(locked.status, 303);
    assert_eq!(place.status()["locked"], true);
    assert!(li.get("/").expect("an answer").location.is_some_and(|to| to.starts_with("/login")));
    assert_eq!(place.agent().residents(0).expect("a list").len(), 3);
    drop((node, relay));
}

#[test]
fn a_box_locks_by_itself_when_nobody_is_signed_in() {
    let place = place();
    let relay = place.county.serve_relay().expect("a relay");
    place.enrol();
    let (data, https) = (place.county.path("one"), place.county.http(1));
    let arguments = ["--data", &data, "serve", "--https", &https, "--lock-after", "0"];
    let program = place.county.bin.join("cunkou-node");
    let log = place.county.data.join("one.log");
    let node = Serving::start(&program, &arguments, &https, &log).expect("a box");
    let li = place.agent();
    li.get("/").expect("an answer").page().expect("a page");
    assert_eq!(place.status()["locked"], false);
    li.post("/logout", &[] as &[(&str, &str)]).expect("an answer").done().expect("signed out");
    until("it locks by itself", 90, || (place.status()["locked"] == true).then_some(()))
        .expect("locked");
    place.agent();
    assert_eq!(place.status()["locked"], false, "and opens again");
    drop((node, relay));
}

#[test]
fn a_revoked_box_destroys_its_keys_within_seconds_and_the_county_shows_that_it_did() {
    for open in [true, false] {
        let place = place();
        let relay = place.county.serve_relay().expect("a relay");
        place.import(&PEOPLE[..1]);
        place.enrol();
        let node = place.serve();
        let li = place.agent();
        until("a resident", 60, || li.residents(0).ok().filter(|p| p.len() == 1)).expect("one");
        if !open {
            place.county.node("one", &["lock"]).expect("it runs").json().expect("locked");
        }
        let told = place.county.relay(&["status"], "").expect("it runs").json().expect("a status");
        let device = told["boxes"][0]["device"].as_str().expect("a box").to_owned();
        let revoke = ["revoke", &device, "--reason", "stolen"];
        place.county.relay(&revoke, "").expect("it runs").json().expect("revoked");
        let destroyed = until("the county knows it", 30, || {
            let told = place.county.relay(&["status"], "").ok()?.json().ok()?;
            told["revoked"][0]["keys_destroyed_ms"].as_i64()
        });
        assert!(destroyed.expect("destroyed") > 0, "open: {open}");
        let folder = place.folder("one");
        until("the marker", 30, || {
            (folder.join("destroyed.txt").exists() && !folder.join("open.db").exists())
                .then_some(())
        })
        .expect("forgotten");
        for gone in ["machine.key", "open.db", "work.db", "work.db-wal", "attachments"] {
            assert!(!folder.join(gone).exists(), "{gone} is still there (open: {open})");
        }
        drop(node);
        let again =
            place.county.node("one", &["serve", "--https", "127.0.0.1:0"]).expect("it runs");
        assert_eq!(again.code, 5, "{}", again.err);
        assert!(again.err.contains("已被县里撤销"), "{}", again.err);
        drop(relay);
    }
}

/// Sets a stopped box's lease as if the county had last been reached so long ago.
fn days_without_the_county(place: &Place, days: i64) {
    use cunkou_keys::HardwareSecret;
    let folder = place.folder("one");
    let machine = cunkou_keys::FileSecret::in_folder(&folder).load().expect("readable");
    let key = machine.expect("a machine key").derive("open.db");
    let store = cunkou_store::Store::open_as(&folder, "open.db", &cunkou_store::Lock::Key(key))
        .expect("opens");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock");
    let now = i64::try_from(now.as_millis()).expect("a time");
    let lease = cunkou_vault::Lease::begin(now - days * 24 * 3600 * 1000);
    let bytes = cunkou_casework::event::encode(&lease);
    store
        .write(|tx| -> Result<(), cunkou_store::StoreError> { tx.set_meta("lease", &bytes) })
        .expect("written");
}

#[test]
fn a_box_long_without_the_county_warns_then_stops_opening_until_a_code_is_read_over_the_phone() {
    let place = place();
    let relay = place.county.serve_relay().expect("a relay");
    place.import(&PEOPLE[..1]);
    place.enrol();
    let node = place.serve();
    let li = place.agent();
    until("a resident", 60, || li.residents(0).ok().filter(|p| p.len() == 1)).expect("one");
    let told = place.county.relay(&["status"], "").expect("it runs").json().expect("a status");
    let device = told["boxes"][0]["device"].as_str().expect("a box").to_owned();
    drop((node, relay));

    days_without_the_county(&place, 47);
    let node = place.serve();
    let home = place.agent().get("/").expect("an answer").page().expect("a page");
    assert!(home.contains("很久没有联系上县里了") && home.contains("13"), "{home}");
    drop(node);

    days_without_the_county(&place, 61);
    let node = place.serve();
    let url = place.county.url("one", 1).expect("running");
    let refused = Agent::sign_in(&url, "li", "246810").expect_err("the lease is over");
    assert!(!refused.to_string().contains("PIN"), "{refused}");
    let stranger = Agent::stranger(&url);
    let page = stranger.get("/login").expect("an answer").page().expect("a page");
    assert!(page.contains("60 天没有联系上县里"), "{page}");
    let from = page.find("<strong>").expect("the number") + "<strong>".len();
    let challenge: String = page[from..from + 9].chars().filter(char::is_ascii_digit).collect();
    let wrong = stranger.post("/lease", &[("code", "0000000000")]).expect("an answer");
    assert_eq!(wrong.status, 422);
    let extend = ["lease", "extend", &device, "--challenge", &challenge];
    let told = place.county.relay(&extend, "").expect("it runs").json().expect("a code");
    let code = told["code"].as_str().expect("a code");
    stranger.post("/lease", &[("code", code)]).expect("an answer").done().expect("extended");
    assert_eq!(place.agent().residents(0).expect("a list").len(), 1);
    assert_eq!(place.status()["lease"]["days_left"], 14);
    drop(node);
}

#[test]
fn wrong_pins_are_counted_while_locked_and_a_power_cut_gives_no_try_back() {
    let place = place();
    let relay = place.county.serve_relay().expect("a relay");
    place.enrol();
    let node = place.serve();
    place.agent();
    drop((node, relay));
    let node = place.serve();
    let url = place.county.url("one", 1).expect("running");
    for _ in 0..5 {
        assert!(Agent::sign_in(&url, "li", "000000").is_err());
    }
    kill(&node);
    drop(node);
    let node = place.serve();
    let refused = Agent::sign_in(&url, "li", "246810").expect_err("even the right one waits");
    assert!(refused.to_string().contains("错得太多"), "{refused}");
    assert_eq!(place.status()["locked"], true);
    drop(node);
}

#[test]
fn a_backup_opens_for_the_county_alone_and_a_restored_county_gets_from_its_boxes_what_it_lacks() {
    let place = place();
    let relay = place.county.serve_relay().expect("a relay");
    place.import(&PEOPLE[..2]);
    place.enrol();
    let node = place.serve();
    let li = place.agent();
    let people = until("residents", 60, || li.residents(0).ok().filter(|p| p.len() == 2));
    let people = people.expect("residents");
    let mut papers = Papers::New(Dice::new(3), 640, 480);
    let sent = || (place.status()["unsent"]["entries"] == 0).then_some(());
    li.file(&people[0], "S1-gaoling", &mut papers).expect("filed");
    until("sent", 60, sent).expect("sent");
    let backup = place.outside.path().join("county.ckb").display().to_string();
    let done = place.county.relay(&["backup", "--out", &backup], "").expect("it runs");
    assert!(done.json().expect("backed up")["attachments"].as_u64().is_some_and(|n| n > 1));
    let alone = place.outside.path().join("alone");
    fs::create_dir_all(&alone).expect("a folder");
    fs::copy(&backup, alone.join("county.ckb")).expect("a copy");
    assert_eq!(search(&alone).0, Vec::<PathBuf>::new());
    // After the backup the village files once more, and somebody is added; then the county's
    // machine burns.
    let add = |login: &str, name: &str| {
        let add = [
            "staff", "add", "--login", login, "--name", name, "--role", "agent", "--places", "101",
        ];
        place.county.relay(&add, "864202").expect("it runs").json().expect("added");
    };
    let knows = |name: &str| {
        let stranger = Agent::stranger(&place.county.url("one", 1).expect("running"));
        until("the name at the box", 60, || {
            stranger.get("/login").ok()?.page().ok()?.contains(name).then_some(())
        })
        .expect("known");
    };
    add("sun", "孙丽");
    knows("孙丽");
    let later = li.file(&people[1], "S1-gaoling", &mut papers).expect("filed");
    until("sent", 60, sent).expect("sent");
    let key = place.outside.path().join("recovery.key");
    fs::copy(place.folder("relay").join("offline/recovery.key"), &key).expect("a copy");
    let key = key.display().to_string();
    kill(&relay);
    drop(relay);
    fs::rename(place.folder("relay"), place.folder("burnt")).expect("gone");
    let wrong = place.outside.path().join("wrong.key");
    fs::write(&wrong, "11".repeat(32)).expect("a file");
    let wrong = wrong.display().to_string();
    let refused = place.county.relay(&["restore", "--from", &backup, "--key", &wrong], "");
    assert_eq!(refused.expect("it runs").code, 1);
    let restored = place.county.relay(&["restore", "--from", &backup, "--key", &key], "");
    let restored = restored.expect("it runs").json().expect("restored");
    assert_eq!(restored["faults"], serde_json::json!([]));
    let relay = place.county.serve_relay().expect("the relay of the backup");
    let has = || {
        let db = cunkou_tests::at_rest::database(&place.folder("relay"), &place.folder("relay"));
        let sql = "SELECT count(*) FROM case_row WHERE uploaded = 1";
        db.ok()?.query_row(sql, [], |row| row.get::<_, i64>(0)).ok().filter(|n| *n == 2)
    };
    until("the later case", 120, has).expect("the box brought it");
    assert!(li.receipt(&later.case).expect("an answer"));
    // The county log comes back from the boxes as well, and goes on from there.
    until("the county log", 60, || {
        let told = place.county.relay(&["staff", "list"], "").ok()?.json().ok()?;
        told["people"].as_array()?.iter().any(|p| p["login"] == "sun").then_some(())
    })
    .expect("the box brought it");
    add("zhou", "周洁");
    knows("周洁");
    let again = place.county.relay(&["restore", "--from", &backup, "--key", &key], "");
    assert_eq!(again.expect("it runs").code, 5, "a folder that is not empty");
    drop((node, relay));
}
