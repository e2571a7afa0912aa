//! What an auditor signs, and what a case shows of it: with made logs, and with the program itself.
#![allow(missing_docs)]

#[allow(missing_debug_implementations, unreachable_pub, dead_code)]
mod county;

use county::*;
use cunkou_casework::checkpoint::{
    Checkpoint, Cosigned, Inclusion, Proofs, Shown, SignedCheckpoint, told,
};
use cunkou_casework::cosign::Letter;
use cunkou_casework::entry::{Entry, Kind};
use cunkou_casework::export::Export;
use cunkou_casework::ids::{DeviceId, EntryId};
use cunkou_casework::merkle::{self, Hash, Nodes};
use cunkou_casework::suite::{PublicKey, SecretKey};
use cunkou_ui::Lang;
use cunkou_verify::report::Report;
use cunkou_verify::{Options, check, sentences};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const WORDS: &str = "村口的老槐树下有人等";

/// A relay's log.
#[derive(Default)]
struct Log {
    nodes: BTreeMap<(u8, u64), Hash>,
    ids: Vec<EntryId>,
}

impl Nodes for Log {
    type Error = ();
    fn node(&self, level: u8, index: u64) -> Result<Hash, ()> {
        self.nodes.get(&(level, index)).copied().ok_or(())
    }
}

impl Log {
    fn of(ids: impl IntoIterator<Item = EntryId>) -> Self {
        let mut log = Self::default();
        for id in ids {
            let made = merkle::append(&log, log.ids.len() as u64, merkle::leaf(id)).expect("kept");
            log.nodes.extend(made.into_iter().map(|(l, i, hash)| ((l, i), hash)));
            log.ids.push(id);
        }
        log
    }

    fn signed(&self, size: u64, time_ms: i64) -> SignedCheckpoint {
        let root = merkle::root(self, size).expect("kept");
        let relay = DeviceId([RELAY; 16]);
        let says = Checkpoint { log: [7; 32], size, root, time_ms, relay };
        SignedCheckpoint::new(&says, &secret(RELAY))
    }

    fn all(&self, time_ms: i64) -> SignedCheckpoint {
        self.signed(self.ids.len() as u64, time_ms)
    }

    fn since(&self, old: u64) -> Vec<Hash> {
        merkle::consistency(self, old, self.ids.len() as u64).expect("kept")
    }

    /// Where the entries of a case stand, and what an auditor signed when the log held `size`.
    fn proofs(&self, w: &World, signed: Option<(u64, &SecretKey)>) -> Proofs {
        let mut shown: Vec<Shown> = Vec::new();
        for entry in &w.entries {
            let at = self.ids.iter().position(|id| *id == entry.id()).expect("in the log") as u64;
            let proof = merkle::inclusion(self, at, self.ids.len() as u64).expect("kept");
            let inclusion = Inclusion { index: at, proof: told(proof) };
            shown.push(Shown { entry: entry.id(), inclusion });
        }
        shown.sort_by_key(|s| s.entry);
        let cosigned = signed.map(|(size, auditor)| {
            let mut checkpoint = self.signed(size, START_MS);
            checkpoint.cosign(auditor);
            vec![Cosigned { checkpoint, consistency: told(self.since(size)) }]
        });
        Proofs { checkpoint: self.all(START_MS + MINUTE_MS), shown, cosigned }
    }
}

fn auditor() -> SecretKey {
    secret(0xad)
}

fn other(n: u8) -> EntryId {
    EntryId([n; 32])
}

/// A log that holds a case in the order in which it came, between other things.
fn log_with(w: &World) -> Log {
    let case = w.entries.iter().map(Entry::id);
    Log::of((1..4).map(other).chain(case).chain((4..9).map(other)))
}

fn file(w: &World, proofs: &Proofs) -> Vec<u8> {
    let attachments = w.attachments.clone();
    let export =
        Export::new(CASE, &w.statements, &w.entries, &w.resident, attachments, Some(proofs));
    export.expect("an export").encode()
}

fn checked(w: &World, proofs: &Proofs, auditor: Option<PublicKey>) -> Report {
    let options = Options { county: None, content: true, auditor };
    check(&file(w, proofs), options).expect("an export")
}

fn codes(report: &Report) -> (Vec<&'static str>, Vec<&'static str>) {
    (report.faults.iter().map(|f| f.code).collect(), report.hints.iter().map(|f| f.code).collect())
}

#[test]
fn what_an_auditor_signed_after_the_case_covers_all_of_it() {
    let w = approved();
    let log = log_with(&w);
    let proofs = log.proofs(&w, Some((w.entries.len() as u64 + 4, &auditor())));
    let report = checked(&w, &proofs, Some(auditor().public()));
    assert_eq!(codes(&report), (vec![], vec![]));
    let [audited] = &report.audited[..] else { panic!("{:?}", report.audited) };
    let signed = audited.signed.expect("signed");
    assert!(audited.asked && signed.covers() && signed.of_witnesses > 0, "{signed:?}");
    let witnesses = w.entries.iter().filter(|e| e.kind() == Kind::Witness).count() as u64;
    assert_eq!((signed.of_witnesses, signed.entries), (witnesses, signed.of_entries));
    let text = sentences(&report, Lang::Zh);
    assert!(text.contains("以后改不了、也补不进去") && text.contains("审计签名"), "{text}");
    let text = sentences(&report, Lang::En);
    assert!(text.contains("before the auditor signed"), "{text}");
}

#[test]
fn what_came_after_the_auditor_signed_is_said_not_to_be_covered() {
    let w = approved();
    let log = log_with(&w);
    let proofs = log.proofs(&w, Some((5, &auditor())));
    let report = checked(&w, &proofs, Some(auditor().public()));
    assert_eq!(codes(&report), (vec![], vec!["audited_in_part"]));
    let signed = report.audited[0].signed.expect("signed");
    assert!(!signed.covers() && signed.entries + signed.witnesses == 2, "{signed:?}");
    assert!(sentences(&report, Lang::Zh).contains("等审计下次签名后再导出"));
}

#[test]
fn a_key_that_signed_nothing_and_one_that_nobody_compared_are_told_apart() {
    let w = approved();
    let log = log_with(&w);
    let none = checked(&w, &log.proofs(&w, None), Some(auditor().public()));
    assert_eq!(codes(&none), (vec![], vec!["not_audited"]));
    assert!(sentences(&none, Lang::Zh).contains("文件里没有它的签名"));
    let signed = log.proofs(&w, Some((log.ids.len() as u64, &auditor())));
    let unasked = checked(&w, &signed, None);
    assert_eq!(codes(&unasked), (vec![], vec![]));
    assert!(sentences(&unasked, Lang::Zh).contains("没有核对是谁的密钥"));
    let another = checked(&w, &signed, Some(secret(0xae).public()));
    assert_eq!(codes(&another), (vec![], vec!["not_audited"]));
    assert_eq!(another.audited.len(), 2, "the one asked for, and the one that is there");
    let by_box = check(
        &w.export(),
        Options { county: None, content: true, auditor: Some(auditor().public()) },
    );
    assert_eq!(codes(&by_box.expect("an export")), (vec![], vec!["not_audited"]));
}

#[test]
fn a_log_that_does_not_continue_what_the_auditor_signed_is_a_fault() {
    let w = approved();
    let log = log_with(&w);
    let mut proofs = log.proofs(&w, Some((5, &auditor())));
    // The relay's key in other hands: a witness is slipped into the past.
    let earlier = Log::of([1, 2, 3, 4, 50].map(other));
    let mut signed = earlier.all(START_MS);
    signed.cosign(&auditor());
    proofs.cosigned.as_mut().expect("made")[0].checkpoint = signed;
    let report = checked(&w, &proofs, Some(auditor().public()));
    assert_eq!(codes(&report), (vec!["bad_cosignature"], vec!["not_audited"]));
    assert!(!report.holds);
}

fn run(arguments: &[&str], input: &str) -> (i32, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_cunkou-verify"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it runs");
    // Who refuses does not read the passphrase.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    let done = child.wait_with_output().expect("it ends");
    (done.status.code().expect("by itself"), String::from_utf8(done.stdout).expect("UTF-8"))
}

/// A stick with an auditor's key, and letters of a relay's log.
struct Stick {
    folder: tempfile::TempDir,
    key: String,
    public: PublicKey,
    fingerprint: String,
    w: World,
}

impl Stick {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let key = folder.path().join("auditor.key").display().to_string();
        let (code, text) = run(&["--json"], "");
        assert_eq!((code, text.as_str()), (2, ""), "neither a file nor a command");
        let (code, text) = run(&["new-key", "--name", "市审计局", "--out", &key, "--json"], WORDS);
        assert_eq!(code, 0, "{text}");
        let made: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let public: PublicKey = serde_json::from_value(made["key"].clone()).expect("a key");
        let w = approved();
        Self { folder, key, public, fingerprint: w.fingerprint(), w }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn letter(&self, name: &str, log: &Log, since: &[u64]) -> String {
        let since = since.iter().map(|old| (*old, log.since(*old)));
        let time_ms = START_MS + log.ids.len() as i64;
        let letter = Letter::new(&self.w.statements, log.all(time_ms), since).expect("a letter");
        let path = self.path(name);
        std::fs::write(&path, letter.encode()).expect("a file");
        path.display().to_string()
    }

    fn cosign(&self, letter: &str, more: &[&str]) -> (i32, String) {
        run(&[&["cosign", letter, "--key", &self.key], more].concat(), WORDS)
    }

    fn signed(&self, letter: &str) -> bool {
        let bytes = std::fs::read(letter).expect("a file");
        Letter::decode(&bytes).expect("a letter").checkpoint.signed_by(&self.public)
    }
}

fn numbers(upto: u8) -> Log {
    Log::of((1..=upto).map(other))
}

#[test]
fn an_auditor_signs_each_month_what_continues_the_month_before() {
    let stick = Stick::new();
    let first = stick.letter("1", &numbers(3), &[]);
    let (code, text) = stick.cosign(&first, &[]);
    assert!(code == 1 && text.contains("--county") && text.contains(&stick.fingerprint), "{text}");
    let other_county = "0000-0000-0000-0000-0000-0000-0000-0000";
    let (code, text) = stick.cosign(&first, &["--county", other_county]);
    assert!(code == 1 && text.contains("另一个县"), "{text}");
    assert!(!stick.signed(&first));
    let (code, text) = stick.cosign(&first, &["--county", &stick.fingerprint]);
    assert!(code == 0 && text.contains("第一次签") && stick.signed(&first), "{text}");
    let next = stick.letter("2", &numbers(5), &[3]);
    let (code, text) = stick.cosign(&next, &["--lang", "en"]);
    assert!(code == 0 && text.contains("continues the 3 entries"), "{text}");
    assert!(stick.signed(&next));
    let (code, text) = stick.cosign(&next, &["--json"]);
    let said: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((code, &said["signed"], &said["entries"]), (0, &true.into(), &5.into()));
}

#[test]
fn an_auditor_does_not_sign_a_log_that_was_rewritten_and_the_program_says_so() {
    let stick = Stick::new();
    let first = stick.letter("1", &numbers(3), &[]);
    assert_eq!(stick.cosign(&first, &["--county", &stick.fingerprint]).0, 0);
    let record = std::fs::read(stick.path("auditor.signed")).expect("a record");
    let rewritten = Log::of([1, 9, 3, 4].map(other));
    let shorter = {
        let path = stick.letter("shorter", &numbers(2), &[]);
        let time_ms = START_MS + 1000;
        let letter = Letter::new(&stick.w.statements, numbers(2).all(time_ms), []).expect("small");
        std::fs::write(&path, letter.encode()).expect("a file");
        path
    };
    for (letter, words) in [
        (stick.letter("rewritten", &rewritten, &[3]), "被改写过"),
        (stick.letter("same", &Log::of([1, 2, 9].map(other)), &[]), "被改写过"),
        (shorter, "变短了"),
        (stick.letter("older", &numbers(2), &[]), "还旧"),
        (stick.letter("silent", &numbers(5), &[2]), "--from 3"),
    ] {
        let (code, text) = stick.cosign(&letter, &[]);
        assert!(code == 1 && text.contains("没有签") && text.contains(words), "{letter}: {text}");
        assert!(!stick.signed(&letter));
        let evidence = words == "被改写过" || words == "变短了";
        assert_eq!(text.contains("它们是证据"), evidence, "{text}");
    }
    assert_eq!(std::fs::read(stick.path("auditor.signed")).expect("a record"), record);
}

#[test]
fn without_the_record_or_the_passphrase_nothing_is_signed() {
    let stick = Stick::new();
    let first = stick.letter("1", &numbers(3), &[]);
    let county = ["--county", &stick.fingerprint];
    let (code, text) =
        run(&[&["cosign", &first, "--key", &stick.key], &county[..]].concat(), "别的口令不对的");
    assert!(code == 1 && text.contains("口令不对"), "{text}");
    assert_eq!(stick.cosign(&first, &county).0, 0);
    let record = stick.path("auditor.signed");
    let text = std::fs::read_to_string(&record).expect("a record");
    let altered = text.replace("\"entries\": 3", "\"entries\": 2");
    assert_ne!(altered, text);
    std::fs::write(&record, altered).expect("written");
    let next = stick.letter("2", &numbers(5), &[2, 3]);
    assert_eq!(stick.cosign(&next, &[]).0, 1, "the record was changed");
    std::fs::remove_file(&record).expect("there");
    let (code, text) = stick.cosign(&next, &county);
    assert!(code == 1 && text.contains("记录") && !stick.signed(&next), "{text}");
    let again = run(&["new-key", "--name", "x", "--out", &stick.key], WORDS);
    assert!(again.0 != 0, "a key is never written over");
    let short = run(&["new-key", "--name", "x", "--out", "/nowhere/a.key"], "短");
    assert!(short.0 == 2 && short.1.contains("12"), "{}", short.1);
}

#[test]
fn what_is_no_checkpoint_is_refused_in_words() {
    let stick = Stick::new();
    let path = stick.path("case.cunkou");
    std::fs::write(&path, stick.w.export()).expect("a file");
    let (code, text) = stick.cosign(&path.display().to_string(), &[]);
    assert!(code == 2 && text.contains("不是能签的检查点文件"), "{text}");
    assert_eq!(stick.cosign("/nowhere", &[]).0, 2);
    let letter = stick.letter("1", &numbers(3), &[]);
    let no_key = run(&["cosign", &letter, "--key", &letter], WORDS);
    assert_eq!(no_key.0, 2, "{}", no_key.1);
    assert!(Path::new(&letter).exists());
}
