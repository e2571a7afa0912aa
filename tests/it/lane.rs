//! Photos over a link that costs money: small pictures first, so many bytes a day, and one case that
//! somebody wants now.

use cunkou_tests::agent::{Agent, Dice, Papers};
use cunkou_tests::bare::run;
use cunkou_tests::county::{County, programs, until};
use std::process::{Child, Command, Stdio};

/// Less than the photos of one case, more than their previews.
const BYTES: u64 = 200_000;

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn agent(county: &County, login: &str) -> Agent {
    let person = county.person(login);
    until("a sign-in", 60, || Agent::sign_in(county.url(&person.node), login, &person.pin).ok())
        .expect("signed in")
}

#[test]
fn small_pictures_come_first_the_rest_waits_for_tomorrow_and_one_case_goes_now() {
    let county = County::start().expect("a county");
    county.stop("village1").expect("it stops");
    let argv = county.node("village1").argv.clone();
    let thrifty = Command::new(&argv[0])
        .args(&argv[1..])
        .args(["--photo-bytes", &BYTES.to_string()])
        .env("RUST_LOG", "warn")
        .stdin(Stdio::null())
        .spawn();
    let _thrifty = Running(thrifty.expect("the box starts"));
    let li = agent(&county, "li");
    let resident = li.residents(0).expect("a list").pop().expect("somebody");
    let mut papers = Papers::New(Dice::new(7), 1600, 1200);
    let filed = li.file(&resident, "S1-gaoling", &mut papers).expect("filed");
    assert!(filed.photos > 1, "{filed:?}");
    // The box's bytes for today end; what was asked for after that waits, and status says so.
    let lane = until("photos that wait", 60, || {
        let lane = county.status("village1").ok()?["attachments"].clone();
        (lane["put_off"].as_u64()? > 0).then_some(lane)
    })
    .expect("the box keeps to its bytes");
    let moved = lane["moved_bytes"].as_u64().expect("counted");
    assert!((BYTES..BYTES + 64 * 1024 + 16 * 1024).contains(&moved), "{lane}");
    assert!(lane["waits_s"].as_u64().is_some_and(|wait| wait <= 24 * 3600), "{lane}");
    assert_eq!(lane["budget_bytes"], BYTES);
    // The township sees small pictures, and is told that they are.
    let wang = agent(&county, "wang");
    let address = format!("/cases/{}", filed.case);
    let small = until("previews", 60, || {
        let page = wang.get(&address).ok()?.page().ok()?;
        let small = page.matches("这是小图,清晰的照片还在路上。").count();
        (small > 0).then_some(small)
    });
    assert!(small.expect("previews at the township") < filed.photos + 1);
    let shown = wang.whole_photos(&filed.case).expect("every picture can be looked at");
    assert!(shown < filed.photos, "the photos themselves wait");
    // Somebody needs to see it today. The relay asks again when it is started anew.
    let data = county.data("village1");
    let data = data.to_str().expect("a path");
    let program = programs().expect("built").join("cunkou-node");
    let sent = run(&program, &["--json", "--data", data, "send-photos", &filed.number], "");
    let sent = sent.expect("it runs");
    assert_eq!(sent.code, 0, "{}", sent.err);
    county.stop("relay").expect("it stops");
    county.start_node("relay").expect("it starts");
    until("all photos", 90, || {
        wang.whole_photos(&filed.case).is_ok_and(|shown| shown == filed.photos).then_some(())
    })
    .expect("they come over the day's bytes");
    let unknown = run(&program, &["--data", data, "send-photos", "0000-0000-0000"], "");
    assert_eq!(unknown.expect("it runs").code, 5);
}
