//! A county that three administrators guard: founding, handing on, losing a key.

use cunkou_tests::bare::{Bare, Ran, root, run};
use cunkou_tests::county::free_ports;
use serde_json::Value;
use std::path::PathBuf;

const WORDS: [&str; 3] = ["槐花开了满院香气飘", "石桥下流水一年四季清", "北山的雪落在南山的松"];

struct Ceremony {
    bare: Bare,
    _folder: tempfile::TempDir,
}

impl Ceremony {
    fn held() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let bin = cunkou_tests::county::programs().expect("built programs");
        let data = folder.path().to_owned();
        let bare = Bare { bin, data, port: free_ports().expect("ports") };
        let passphrases = WORDS.join("\n");
        let stick = bare.path("sticks");
        let founded = [
            "init",
            "--name",
            "云溪县",
            "--code",
            "130999",
            "--administrators",
            "张敏,李强,王芳",
            "--offline",
            &stick,
        ];
        let made = bare.relay(&founded, &passphrases).expect("it runs").json().expect("founded");
        assert!(made["fingerprint"].as_str().is_some_and(|f| f.len() == 64), "{made}");
        Self { bare, _folder: folder }
    }

    fn relay(&self, arguments: &[&str], input: &str) -> Ran {
        self.bare.relay(arguments, input).expect("it runs")
    }

    fn done(&self, arguments: &[&str], input: &str) -> Value {
        self.relay(arguments, input).json().expect("done")
    }

    /// A command that the relay may not do by itself: the file with what is to be signed.
    fn proposed(&self, arguments: &[&str], input: &str) -> String {
        let made = self.done(arguments, input);
        assert_eq!(made["done"], false, "{made}");
        made["file"].as_str().expect("a file").to_owned()
    }

    /// An administrator signs at a machine that knows nothing but the two files.
    fn sign(&self, file: &str, n: usize) -> Ran {
        let key = self.bare.path(&format!("sticks/administrator-{n}.key"));
        let arguments = ["--json", "sign", file, "--key", &key];
        run(&self.bare.bin.join("cunkou-relay"), &arguments, WORDS[n - 1]).expect("it runs")
    }

    fn signed(&self, file: &str, by: &[usize]) -> Ran {
        for n in by {
            self.sign(file, *n).json().expect("signed");
        }
        self.relay(&["submit", file], "")
    }
}

fn catalogue() -> [String; 2] {
    let folder: PathBuf = root().join("county-relay/catalogue");
    let places = root().join("tests/demo/county/places.json");
    [folder.display().to_string(), places.display().to_string()]
}

#[test]
fn two_of_three_found_publish_and_name_who_decides_and_one_revokes() {
    let county = Ceremony::held();
    let [folder, places] = catalogue();
    let publish = county.proposed(&["catalogue", "publish", &folder, "--places", &places], "");
    let alone = county.signed(&publish, &[1]);
    assert_eq!(alone.code, 5, "{}", alone.err);
    assert!(alone.err.contains("1 of the 2"), "{}", alone.err);
    county.signed(&publish, &[3]).json().expect("two of three");

    // Under its first grant the relay names agents and enrols boxes by itself.
    let agent =
        ["staff", "add", "--login", "li", "--name", "李建国", "--role", "agent", "--places", "101"];
    let added = county.done(&agent, "246810");
    assert_eq!(added["done"], Value::Null, "{added}");
    county.bare.offer("yunling", "village", "101", "127.0.0.1:9").expect("offered");

    // Who decides is named by two of three.
    let reviewer = [
        "staff",
        "add",
        "--login",
        "zhao",
        "--name",
        "赵敏",
        "--role",
        "reviewer",
        "--places",
        "1",
        "--department",
        "县民政局",
    ];
    let file = county.proposed(&reviewer, "445566");
    let first = county.sign(&file, 2).json().expect("signed");
    let says = first["says"][0].as_str().unwrap_or_default();
    assert!(says.contains("赵敏") && says.contains("REVIEWER"), "who signs reads what: {first}");
    county.signed(&file, &[1]).json().expect("two of three");
    let people = county.done(&["staff", "list"], "");
    assert!(people.to_string().contains("zhao"), "{people}");
    let again = county.relay(&["submit", &file], "");
    assert_eq!(again.code, 5, "an act is taken once: {}", again.out);

    // Who is not in the register cannot be registered as a relative, and no number is repeated.
    let kin = county.relay(&["staff", "kin", "--login", "zhao"], "130999194305060249\n");
    assert_eq!(kin.code, 5, "{}", kin.out);
    assert!(kin.err.contains("line 1") && !kin.err.contains("130999194305060249"), "{}", kin.err);

    // A wrong passphrase signs nothing.
    let file = county.proposed(&[&reviewer[..3], &["qian"], &reviewer[4..]].concat(), "556677");
    let key = county.bare.path("sticks/administrator-1.key");
    let arguments = ["--json", "sign", &file, "--key", &key];
    let wrong = run(&county.bare.bin.join("cunkou-relay"), &arguments, WORDS[1]).expect("it runs");
    assert_eq!(wrong.code, 5, "{}", wrong.out);
    assert!(wrong.err.contains("passphrase"), "{}", wrong.err);
}

#[test]
fn a_lost_key_is_replaced_by_the_other_two_and_says_nothing_any_more() {
    let county = Ceremony::held();
    let listed = county.done(&["administrators", "list"], "");
    let who = |i: usize| {
        let row = &listed["administrators"][i];
        format!("{}={}", row["name"].as_str().unwrap_or(""), row["key"].as_str().unwrap_or(""))
    };
    // The third stick is lost; 赵雷 makes a key of her own.
    let out = county.bare.path("sticks/administrator-4.key");
    let made = run(
        &county.bare.bin.join("cunkou-relay"),
        &["--json", "new-key", "--county", "云溪县", "--name", "赵雷", "--out", &out],
        WORDS[2],
    );
    let made = made.expect("it runs").json().expect("a key");
    let new = format!("赵雷={}", made["key"].as_str().expect("a key"));
    let (first, second) = (who(0), who(1));
    let replace = ["administrators", "replace", "--who", &first, "--who", &second, "--who", &new];
    let file = county.proposed(&replace, "");
    county.signed(&file, &[1, 2]).json().expect("two agree");
    let [folder, places] = catalogue();
    let publish = county.proposed(&["catalogue", "publish", &folder, "--places", &places], "");
    let refused = county.signed(&publish, &[1, 3]);
    assert_eq!(refused.code, 5, "the lost key counts no more: {}", refused.out);
    county.signed(&publish, &[2]).json().expect("the two that are left");
    let status = county.done(&["grant", "list"], "");
    assert_eq!(status["grants"][0]["usable"], true, "{status}");
}
