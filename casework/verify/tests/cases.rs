//! Honest cases hold; each kind of forgery is named; no changed byte passes unnoticed.
#![allow(missing_docs)]

#[allow(missing_debug_implementations, unreachable_pub)]
mod county;

use county::*;
use cunkou_casework::case::Attestation;
use cunkou_casework::county::Statement;
use cunkou_casework::document::{Section, Write};
use cunkou_casework::entry::{Entry, Kind, LogPosition};
use cunkou_casework::event::{Step, Witness, encode};
use cunkou_casework::export::{BadExport, Export};
use cunkou_casework::ids::{DeviceId, EntryId, Incarnation, PersonId, SubjectId};
use cunkou_ui::Lang;
use cunkou_verify::report::{Basis, Content, Counts, Report};
use cunkou_verify::{Options, check, sentences};
use proptest::prelude::*;

const PLAIN: Options<'static> = Options { county: None, content: true, auditor: None };

fn report(world: &World) -> Report {
    check(&world.export(), PLAIN).expect("an export")
}

fn codes(report: &Report) -> Vec<&'static str> {
    report.faults.iter().map(|f| f.code).collect()
}

fn hints(report: &Report) -> Vec<&'static str> {
    report.hints.iter().map(|f| f.code).collect()
}

#[test]
fn an_honest_case_holds_and_says_who_when_and_on_which_key() {
    let w = approved();
    let fingerprint = w.fingerprint();
    let options = Options { county: Some(&fingerprint.to_uppercase()), ..PLAIN };
    let r = check(&w.export(), options).expect("an export");
    assert_eq!((r.holds, r.content, codes(&r), hints(&r)), (true, Content::Holds, vec![], vec![]));
    assert_eq!(r.county.compared, Some(true));
    assert_eq!((r.case.applicant.as_str(), r.case.number.as_str()), ("张桂兰", "0004-7000-0015"));
    assert_eq!((r.photos.named, r.photos.here), (1, 1));
    let words: Vec<_> = r.steps.iter().map(|s| (s.what.zh.as_str(), s.attestation)).collect();
    let (own, key) = (Some(Attestation::Person), Some(Attestation::SecurityKey));
    assert_eq!(
        words,
        [
            ("开始填写", own),
            ("收件", own),
            ("乡镇收件", own),
            ("上报县级", own),
            ("受理", key),
            ("准予", key),
            ("办结", Some(Attestation::Relay)),
        ]
    );
    let approval = &r.steps[5];
    assert_eq!(approval.person.as_deref(), Some("赵敏"));
    assert_eq!(approval.key.as_ref().map(|k| k.1.as_str()), Some("钥匙扣"));
    let text = sentences(&r, Lang::Zh);
    for words in ["赵敏 (县民政局 县级审核)", "本人安全密钥签名", "同意发放", "结论:成立"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(sentences(&r, Lang::En).contains("Verdict: Holds"));
}

#[test]
fn the_same_entries_in_any_order_give_the_same_file() {
    let w = approved();
    let mut other = w.clone();
    other.entries.reverse();
    assert_eq!(w.export(), other.export());
}

#[test]
fn a_step_lies_between_what_its_author_had_read_and_what_the_relay_had() {
    let r = report(&approved());
    for step in &r.steps {
        let (from, to) = (step.earliest.expect("a bound"), step.latest.expect("a bound"));
        assert!(from.ms <= step.claimed_ms && step.claimed_ms <= to.ms, "{}", step.what.en);
    }
    assert_eq!(r.steps[1].earliest.map(|b| b.basis), Some(Basis::CountyLog(8)));
    assert_eq!(r.steps[1].latest.map(|b| b.basis), Some(Basis::Witness));
    // The relay builds on what it had: not before it said so.
    assert!(matches!(
        r.steps[4].earliest.map(|b| b.basis),
        Some(Basis::CountyLog(9) | Basis::Witness)
    ));
    assert_eq!(r.steps[5].earliest.map(|b| b.basis), Some(Basis::RelayClock));
}

#[test]
fn a_decision_that_only_the_relay_vouches_for_is_never_shown_as_personally_signed() {
    let mut w = accepted();
    let person = w.person(REVIEWER, None);
    w.say(Statement::Person(person));
    w.step(REVIEWER, RELAY, approve());
    let r = report(&w);
    assert!(r.holds, "{:?}", codes(&r));
    assert_eq!(hints(&r), ["not_personal"]);
    assert!(
        r.verdict.zh.contains("县平台证明") && !r.verdict.zh.contains("本人"),
        "{}",
        r.verdict.zh
    );
}

/// One forged case: what is done to an honest one, and what must be said of it.
type Forgery = (&'static str, fn() -> World, &'static [&'static str]);

const FORGERIES: &[Forgery] = &[
    ("approved without the key that the person has", without_key, &["no_own_key"]),
    ("approved by the village", by_village, &["no_post"]),
    ("a step whose signature was taken from another", swapped, &["bad_signature"]),
    ("content changed after it was signed", changed_content, &["content_differs"]),
    ("a save left out", missing_save, &["missing_content"]),
    ("an earlier step left out", missing_step, &["missing_past"]),
    ("two decisions apart", two_decisions, &["rivals", "rivals"]),
    ("a witness by a box", false_witness, &["bad_witness"]),
    ("an entry of another case", stray, &["other_subject"]),
    ("a photo swapped", other_photo, &["photo_differs"]),
    ("a photo not listed", no_photo, &["photos_listed"]),
    ("no resident", no_resident, &["no_resident"]),
    ("a device that the county does not know", unknown_device, &["unknown_device"]),
    ("a save that is no plain text", bomb, &["bad_save"]),
    ("a statement left out of the county log", hole, &["county_log", "log_behind"]),
];

#[test]
fn each_kind_of_forgery_is_named() {
    for (what, forge, expected) in FORGERIES {
        let r = report(&forge());
        let found = codes(&r);
        assert!(!r.holds, "{what}");
        for code in *expected {
            assert!(found.contains(code), "{what}: {code} is not among {found:?}");
        }
        let text = sentences(&r, Lang::Zh) + &sentences(&r, Lang::En);
        assert!(text.contains("不成立的") && text.contains("does not hold"), "{what}");
    }
}

fn without_key() -> World {
    let mut w = accepted();
    w.step(REVIEWER, RELAY, approve());
    w
}

fn by_village() -> World {
    let mut w = accepted();
    w.step(AGENT, BOX, approve());
    w
}

fn swapped() -> World {
    let mut w = accepted();
    let event = w.event(Step::Withdrawn { reason: "不办了".into() });
    let mut header = w.header(AGENT, BOX);
    header.person = Some(PersonId([CLERK; 16]));
    let (device, agent) = (secret(BOX), secret(AGENT));
    let signers =
        cunkou_casework::entry::Signers { device: &device, person: Some(&agent), authority: None };
    let entry = Entry::sign(CASE, Kind::Event, header, encode(&event), signers);
    w.entries.push(entry.expect("small"));
    w
}

fn changed_content() -> World {
    let mut w = accepted();
    let mut event = w.event(approve());
    let mut other = w.document.clone();
    let writes = [Write::set(Section::Form, "bank_card", "9999")];
    other.write([1; 16], START_MS, &writes).expect("written");
    event.digest = Some(other.projection().digest());
    w.push_on_key(&event);
    w
}

fn missing_save() -> World {
    let mut w = approved();
    w.entries.retain(|e| e.kind() != Kind::Edit);
    w
}

fn missing_step() -> World {
    let mut w = approved();
    let taken = w
        .entries
        .iter()
        .position(|e| e.kind() == Kind::Event && e.header().person == Some(PersonId([CLERK; 16])));
    w.entries.remove(taken.expect("the clerk's first step"));
    w
}

fn two_decisions() -> World {
    let mut w = accepted();
    let denied = Step::Denied { term: 2, reason: "不符".into(), remedy: "复议".into() };
    let mut apart = w.clone();
    apart.n += 100;
    w.step_on_key(approve());
    apart.step_on_key(denied);
    w.entries.push(apart.entries.last().expect("the denial").clone());
    w
}

fn false_witness() -> World {
    let mut w = approved();
    let header = cunkou_casework::entry::Header { person: None, ..w.header(AGENT, BOX) };
    let witness =
        Witness { entries: vec![EntryId([1; 32])], log: [1; 16], position: 1, time_ms: START_MS };
    let entry = w.sign(CASE, Kind::Witness, header, encode(&witness));
    w.entries.push(entry);
    w
}

fn stray() -> World {
    let mut w = approved();
    let header = w.header(AGENT, BOX);
    let event = w.event(Step::Archived);
    let entry = w.sign(SubjectId([0xcb; 16]), Kind::Event, header, encode(&event));
    w.entries.push(entry);
    w
}

fn other_photo() -> World {
    let mut w = approved();
    w.attachments[0].bytes = Some(b"another".to_vec().into());
    w
}

fn no_photo() -> World {
    let mut w = approved();
    w.attachments.clear();
    w
}

fn no_resident() -> World {
    let mut w = approved();
    w.resident.clear();
    w
}

fn unknown_device() -> World {
    let mut w = approved();
    let mut header = w.header(AGENT, BOX);
    header.device = DeviceId([9; 16]);
    let event = w.event(Step::Archived);
    let entry = w.sign(CASE, Kind::Event, header, encode(&event));
    w.entries.push(entry);
    w
}

fn bomb() -> World {
    let mut w = approved();
    // A plain change with a true checksum, and nonsense in it.
    let body = vec![0xff; 60];
    let hashed = [&[1, 60][..], &body].concat();
    let hash: [u8; 32] = {
        use sha2::Digest;
        sha2::Sha256::digest(&hashed).into()
    };
    let chunk = [&[0x85, 0x6f, 0x4a, 0x83][..], &hash[..4], &hashed].concat();
    let header = w.header(AGENT, BOX);
    let entry = w.sign(CASE, Kind::Edit, header, chunk);
    w.entries.push(entry);
    w
}

fn hole() -> World {
    let mut w = approved();
    w.statements.remove(4);
    w
}

#[test]
fn times_and_positions_that_do_not_fit_are_pointed_out_without_a_verdict() {
    let mut early = accepted();
    let event = early.event(Step::Withdrawn { reason: "不办了".into() });
    let mut header = early.header(AGENT, BOX);
    header.claimed_ms = START_MS - 86_400_000;
    let entry = early.sign(CASE, Kind::Event, header, encode(&event));
    early.entries.push(entry);
    let r = report(&early);
    assert_eq!((r.holds, hints(&r)), (true, vec!["claimed_early"]));

    let mut old = accepted();
    let event = old.event(Step::Withdrawn { reason: "不办了".into() });
    let mut header = old.header(AGENT, BOX);
    let head = old.log.head_at(8).expect("a statement");
    header.log = LogPosition { position: 8, head };
    let entry = old.sign(CASE, Kind::Event, header, encode(&event));
    old.entries.push(entry);
    assert!(hints(&report(&old)).contains(&"old_position"));

    let mut revoked = accepted();
    revoked.witness();
    let before = revoked.log.head();
    let person = PersonId([AGENT; 16]);
    revoked.say(Statement::PersonRevoked { person, reason: "离岗".into() });
    let event = revoked.event(Step::Withdrawn { reason: "不办了".into() });
    let mut header = revoked.header(AGENT, BOX);
    header.log = before;
    let entry = revoked.sign(CASE, Kind::Event, header, encode(&event));
    revoked.entries.push(entry);
    revoked.witness();
    let r = report(&revoked);
    assert!(!r.holds && codes(&r).contains(&"person_revoked"), "{:?}", codes(&r));

    let mut cloned = approved();
    let event = cloned.event(Step::Archived);
    let mut header = cloned.header(AGENT, BOX);
    (header.seq, header.incarnation) = (cloned.resident.len() as u64 + 10, Incarnation([BOX; 16]));
    let entry = cloned.sign(CASE, Kind::Event, header.clone(), encode(&event));
    header.salt = [9; 16];
    let twin = cloned.sign(CASE, Kind::Event, header, encode(&event));
    cloned.entries.extend([entry, twin]);
    assert!(hints(&report(&cloned)).contains(&"same_number"));
}

#[test]
fn who_saves_after_the_submission_changes_nothing_that_was_signed() {
    let mut w = approved();
    w.save(&[Write::set(Section::Form, "bank_card", "9999")]);
    let r = report(&w);
    assert_eq!((r.holds, r.content, hints(&r)), (true, Content::Holds, vec!["late_save"]));
}

#[test]
fn the_file_of_another_county_is_told_by_its_fingerprint() {
    let options = Options { county: Some("0000 0000 0000 0000 0000 0000 0000 0000"), ..PLAIN };
    let r = check(&approved().export(), options).expect("an export");
    assert_eq!((r.holds, codes(&r)), (false, vec!["other_county"]));
}

#[test]
fn a_step_that_was_set_aside_is_shown_with_its_reason_and_leaves_the_decision_standing() {
    let mut w = approved();
    w.step(AGENT, BOX, Step::Taken);
    let r = report(&w);
    assert!(!r.holds);
    let last = r.steps.last().expect("the bad step");
    assert_eq!(last.counts, Counts::SetAside);
    assert!(r.verdict.zh.contains("决定“准予”:赵敏"), "{}", r.verdict.zh);
}

#[test]
fn without_its_content_a_case_does_not_hold_and_says_so() {
    let options = Options { content: false, ..PLAIN };
    let r = check(&approved().export(), options).expect("an export");
    assert_eq!((r.content, codes(&r)), (Content::NotChecked, vec!["content_not_checked"]));
    assert!(sentences(&r, Lang::Zh).contains("没能核对"));
}

#[test]
fn words_out_of_a_file_cannot_write_on_the_terminal() {
    let mut w = accepted();
    w.step_on_key(Step::Approved { term: 2, opinion: "\u{1b}[2J同意\r\u{8}".into() });
    let text = sentences(&report(&w), Lang::Zh);
    assert!(text.contains("[2J同意") && text.chars().all(|c| c == '\n' || !c.is_control()));
}

#[test]
fn what_is_no_export_is_refused_in_words() {
    let good = approved().export();
    assert_eq!(check(b"hello", PLAIN), Err(BadExport::Other));
    assert_eq!(check(&[], PLAIN), Err(BadExport::Other));
    for cut in [30, 200, good.len() / 2, good.len() - 1] {
        assert!(check(&good[..cut], PLAIN).is_err(), "cut at {cut}");
    }
    assert!(check(&[&good[..], b"x"].concat(), PLAIN).is_err(), "something after it");
    let mut export = Export::decode(&good).expect("an export");
    export.version = 2;
    assert_eq!(check(&export.encode(), PLAIN), Err(BadExport::Version(2)));
    let mut export = Export::decode(&good).expect("an export");
    export.entries.reverse();
    assert!(check(&export.encode(), PLAIN).is_err(), "another order is another file");
}

/// What a report says of substance: everything but what merely names entries.
fn substance(r: &Report) -> String {
    format!("{:?} {:?} {:?} {:?} {:?}", r.county, r.case, r.steps, r.content, r.photos)
}

#[test]
fn no_changed_byte_leaves_a_verdict_of_holds_with_other_words() {
    let good = approved().export();
    let before = substance(&check(&good, PLAIN).expect("an export"));
    // Every seventh byte, another bit each time: all fields of all entries are met.
    for at in (0..good.len()).step_by(7) {
        let mut wrong = good.clone();
        wrong[at] ^= 1 << (at % 8);
        if let Ok(r) = check(&wrong, PLAIN) {
            assert!(!r.holds || substance(&r) == before, "byte {at} passes with other words");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn several_changed_bytes_neither_pass_nor_panic(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)
    ) {
        let good = approved().export();
        let before = substance(&check(&good, PLAIN).expect("an export"));
        let mut wrong = good;
        for (at, byte) in changes {
            let at = at.index(wrong.len());
            wrong[at] = byte;
        }
        if let Ok(r) = check(&wrong, PLAIN) {
            prop_assert!(!r.holds || substance(&r) == before);
        }
    }

    #[test]
    fn bytes_of_a_stranger_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = check(&bytes, PLAIN);
    }
}

#[test]
fn the_export_of_a_fixed_case_is_frozen() {
    let w = approved();
    let made = serde_json::json!({
        "version": 1,
        "fingerprint": w.fingerprint(),
        "bytes": cunkou_casework::hex::encode(&w.export()),
        "says": sentences(&report(&w), Lang::En).lines().collect::<Vec<_>>(),
    });
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/vectors/export.json");
    if std::env::var_os("CUNKOU_WRITE_VECTORS").is_some() {
        let text = serde_json::to_string_pretty(&made).expect("plain values");
        std::fs::write(&path, text + "\n").expect("the vector is written");
    }
    let frozen = std::fs::read_to_string(&path).expect("the vector is in the repository");
    let frozen: serde_json::Value = serde_json::from_str(&frozen).expect("JSON");
    for part in ["version", "fingerprint", "bytes"] {
        assert_eq!(made[part], frozen[part], "{part} is frozen");
    }
    let bytes = cunkou_casework::hex::decode(frozen["bytes"].as_str().expect("hex"));
    let read = check(&bytes.expect("hex"), PLAIN).expect("it stays readable");
    assert!(read.holds, "{:?}", codes(&read));
}
