//! The program itself: exit codes, and a worker that dies.
#![allow(missing_docs)]

use rustix::process::{Pid, Signal, kill_process};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cunkou-verify");

/// The frozen export as a file.
fn export(folder: &Path) -> PathBuf {
    let vector = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/vectors/export.json");
    let text = std::fs::read_to_string(vector).expect("the vector is in the repository");
    let vector: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let bytes = cunkou_casework::hex::decode(vector["bytes"].as_str().expect("hex"));
    let path = folder.join("case.cunkou");
    std::fs::write(&path, bytes.expect("hex")).expect("a file");
    path
}

fn run(arguments: &[&str]) -> (i32, String) {
    let done = Command::new(PROGRAM).args(arguments).output().expect("it runs");
    let text = String::from_utf8(done.stdout).expect("UTF-8");
    (done.status.code().expect("it ends by itself"), text)
}

#[test]
fn the_exit_code_says_whether_it_holds_does_not_hold_or_cannot_be_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = export(folder.path()).display().to_string();
    let (code, text) = run(&[&file]);
    assert_eq!((code, text.contains("县指纹没有核对")), (0, true), "{text}");
    let other = "0000-0000-0000-0000-0000-0000-0000-0000";
    let (code, text) = run(&[&file, "--county", other, "--lang", "en"]);
    assert_eq!((code, text.contains("NOT the one you gave")), (1, true), "{text}");
    let (code, text) = run(&["--json", "--", &file]);
    let report: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((code, &report["holds"], &report["schema"]), (0, &true.into(), &1.into()));
    let (code, text) = run(&[PROGRAM]);
    assert_eq!((code, text.contains("不是能核对的办件文件")), (2, true), "{text}");
    assert_eq!(run(&["/nowhere"]).0, 2);
}

#[test]
fn a_worker_that_dies_over_a_file_leaves_a_verdict_that_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = export(folder.path());
    let pipe = folder.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs");
    assert!(made.success());
    let mut parent =
        Command::new(PROGRAM).arg(&pipe).stdout(Stdio::piped()).spawn().expect("it runs");
    // The worker waits at the pipe; whatever ends it there could have been the file.
    let children = format!("/proc/{0}/task/{0}/children", parent.id());
    let worker: i32 = loop {
        let text = std::fs::read_to_string(&children).unwrap_or_default();
        if let Some(pid) = text.split_whitespace().next().and_then(|pid| pid.parse().ok()) {
            break pid;
        }
        assert!(parent.try_wait().expect("asked").is_none(), "it ended without a worker");
        std::thread::yield_now();
    };
    let worker = Pid::from_raw(worker).expect("a process");
    kill_process(worker, Signal::ABORT).expect("it was there");
    // Only when it is gone does the parent open the pipe: what a dying worker reads is lost.
    while std::fs::read_to_string(&children).is_ok_and(|text| !text.trim().is_empty()) {
        std::thread::yield_now();
    }
    std::fs::copy(&file, &pipe).expect("the parent reads it itself");
    let mut text = String::new();
    parent.stdout.take().expect("a pipe").read_to_string(&mut text).expect("UTF-8");
    assert_eq!(parent.wait().expect("it ends").code(), Some(1));
    assert!(text.contains("内容没能核对") && text.contains("赵敏"), "{text}");
}
