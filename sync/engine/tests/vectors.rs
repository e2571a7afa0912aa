//! The bytes of the lane of attachments, as `docs/vectors/ranges.json` has them.

use cunkou_engine::ranges::{Answer, Ask, GROUP, IN_PIECES, Outline, Outliner};
use std::fmt::Write;
use std::time::Duration;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// Bytes 0, 1, … 250, 0, 1, …
fn content(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i % 251) as u8).collect()
}

fn outlined(n: usize) -> Outline {
    let mut outliner = Outliner::default();
    outliner.read(&content(n));
    outliner.finish().expect("as long as allowed")
}

/// Name, bytes.
fn made() -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for n in [1, GROUP, GROUP + 1, 3 * GROUP, 5 * GROUP + 1000] {
        let outline = outlined(n);
        let groups = Ask::Groups { first: 1, count: 2 };
        let opening = [&outline.id()[..], &[IN_PIECES], &Ask::Outline.encode(), &groups.encode()];
        let here = Answer::Here(n as u64).encode();
        all.push((format!("{n} bytes: request"), opening.concat()));
        let said = [&here[..], &outline.names()].concat();
        all.push((format!("{n} bytes: answer to its outline"), said));
        let (from, bytes) = outline.span(1, 2);
        let rest = content(n).split_off(n.min(from as usize));
        let given = *blake3::hash(&[&here[..], &rest[..bytes]].concat()).as_bytes();
        all.push((
            format!("{n} bytes: BLAKE3 of the answer to its groups 1 and 2"),
            given.to_vec(),
        ));
    }
    all.push(("not here, or not for you".into(), Answer::Lacking.encode().to_vec()));
    let later = Answer::Later(Duration::from_secs(3600)).encode();
    all.push(("not before an hour".into(), later.to_vec()));
    all
}

#[test]
fn the_bytes_are_those_of_the_documents() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/vectors/ranges.json");
    let lines: Vec<String> =
        made().iter().map(|(name, bytes)| format!("  \"{name}\": \"{}\"", hex(bytes))).collect();
    let text = format!("{{\n{}\n}}\n", lines.join(",\n"));
    if std::env::var_os("CUNKOU_WRITE_VECTORS").is_some() {
        std::fs::write(path, &text).expect("as the test made it");
    }
    assert_eq!(std::fs::read_to_string(path).expect("as the test made it"), text);
}
