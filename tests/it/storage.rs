//! Rebuild and scrub by hand on a county at work, and what status says of them.

use cunkou_tests::bare::{Ran, run};
use cunkou_tests::county::{County, programs};
use serde_json::Value;

fn asked(county: &County, node: &str, what: &str) -> Ran {
    let program = if node == "relay" { "cunkou-relay" } else { "cunkou-node" };
    let program = programs().expect("programs").join(program);
    let data = county.data(node).display().to_string();
    run(&program, &["--json", "--data", &data, what], "").expect("it runs")
}

/// The lines of progress, and the answer.
fn answered(ran: &Ran) -> (Vec<Value>, Value) {
    assert_eq!(ran.code, 0, "{}", ran.err);
    let read = |line: &str| serde_json::from_str(line).expect("a line of JSON");
    let mut lines: Vec<Value> = ran.out.lines().map(read).collect();
    let answer = lines.pop().expect("an answer");
    (lines, answer)
}

#[test]
fn a_county_at_work_is_looked_through_and_made_again_by_hand() {
    let county = County::start().expect("a county");
    let residents = |node| county.status(node).expect("it runs")["residents"].clone();
    for node in ["relay", "village1"] {
        let before = residents(node);
        let (progress, found) = answered(&asked(&county, node, "scrub"));
        assert_eq!((&found["schema"], &found["clean"]), (&1.into(), &true.into()), "{found}");
        assert!(found["entries"].as_u64().is_some_and(|n| n > 1500), "{found}");
        assert_eq!(found["removed"], 0);
        let done: Vec<u64> = progress.iter().filter_map(|line| line["done"].as_u64()).collect();
        assert!(done.len() > 10 && done.is_sorted(), "{progress:?}");
        let storage = county.status(node).expect("it runs")["storage"].clone();
        assert!(storage["scrub"]["ended_ms"].is_i64(), "{storage}");
        assert_eq!(storage["scrub"]["to_heal"], 0);
        let (progress, rebuilt) = answered(&asked(&county, node, "rebuild"));
        assert!(rebuilt["subjects"].as_u64().is_some_and(|n| n > 1500), "{rebuilt}");
        assert_eq!(rebuilt["dropped"], 0);
        let last = progress.last().expect("progress");
        assert_eq!(last["done"], last["of"]);
        assert_eq!(residents(node), before);
        assert_eq!(county.status(node).expect("it runs")["storage"]["rebuilding"], false);
    }
    // Without a daemon the relay does it itself; a box cannot: nobody has opened it.
    county.stop("relay").expect("stopped");
    let (_, found) = answered(&asked(&county, "relay", "scrub"));
    assert_eq!(found["clean"], true, "{found}");
    let locked = asked(&county, "village1", "lock");
    assert_eq!(locked.code, 0, "{}", locked.err);
    for what in ["scrub", "rebuild"] {
        let ran = asked(&county, "village1", what);
        assert!(ran.code == 5 && ran.err.contains("locked"), "{}: {}", ran.code, ran.err);
    }
    county.stop("village1").expect("stopped");
    assert_eq!(asked(&county, "village1", "scrub").code, 3);
}
