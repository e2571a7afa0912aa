//! Which test proves what: `tests/attacks/threats.toml`, and the table in `docs/security.md` that
//! is made from it.

use crate::bare::root;
use anyhow::{Context, Result};
use serde::Deserialize;
use std::fmt::Write;
use std::path::PathBuf;

const BEGIN: &str = "<!-- made by `cargo run -p cunkou-tests --bin security-table`: begin -->";
const END: &str = "<!-- made by `cargo run -p cunkou-tests --bin security-table`: end -->";

/// One way to do harm.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Threat {
    /// Its number.
    pub number: u32,
    /// Its name.
    pub name: String,
    /// Who would.
    pub who: String,
    /// What stands against it, in a sentence.
    pub defence: String,
    /// Tests, each `path/to/file.rs::name`.
    pub proof: Vec<String>,
    /// What is not covered, and why; may be empty.
    #[serde(default)]
    pub limits: String,
}

#[derive(Deserialize)]
struct File {
    threat: Vec<Threat>,
}

/// All threats, in their order.
///
/// # Errors
/// When the file cannot be read.
pub fn threats() -> Result<Vec<Threat>> {
    let text = std::fs::read_to_string(root().join("tests/attacks/threats.toml"))?;
    Ok(toml::from_str::<File>(&text)?.threat)
}

/// The named tests that are not there, or are set aside because of a hole.
#[must_use]
pub fn missing(threats: &[Threat]) -> Vec<String> {
    let is_there = |proof: &str| -> Option<()> {
        let (file, name) = proof.split_once("::")?;
        let text = std::fs::read_to_string(root().join(file)).ok()?;
        let before = text.split_once(&format!("fn {name}("))?.0;
        let above: Vec<&str> = before.lines().rev().take(4).collect();
        (!above.iter().any(|line| line.contains("#[ignore = \"hole"))).then_some(())
    };
    let all = threats.iter().flat_map(|threat| &threat.proof);
    all.filter(|proof| is_there(proof).is_none()).cloned().collect()
}

/// The table, as it stands in the document.
#[must_use]
pub fn table(threats: &[Threat]) -> String {
    let mut out = String::from(
        "| # | Attack | Who | What stands against it | Proof | Not covered |\n|---|---|---|---|---|---|\n",
    );
    for threat in threats {
        let proofs = threat.proof.iter().map(|proof| {
            let (file, name) = proof.split_once("::").unwrap_or((proof, ""));
            format!("[{}](../{file})", name.replace('_', " "))
        });
        let mut proofs = proofs.collect::<Vec<_>>().join("<br>");
        if proofs.is_empty() {
            proofs = "**none**".to_owned();
        }
        let Threat { number, name, who, defence, limits, .. } = threat;
        // Writing to a string cannot fail.
        let _ = writeln!(out, "| {number} | {name} | {who} | {defence} | {proofs} | {limits} |");
    }
    out
}

/// Where the document is.
#[must_use]
pub fn document() -> PathBuf {
    root().join("docs/security.md")
}

/// The document with the table in its place.
///
/// # Errors
/// When it has no place for it.
pub fn with_table(text: &str, table: &str) -> Result<String> {
    let (before, rest) = text.split_once(BEGIN).context("no beginning of the table")?;
    let (_, after) = rest.split_once(END).context("no end of the table")?;
    Ok(format!("{before}{BEGIN}\n\n{table}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_test_that_the_table_names_is_there() {
        let threats = threats().expect("the file is read");
        assert!(threats.len() >= 28);
        let numbers: Vec<u32> = threats.iter().map(|threat| threat.number).collect();
        let counted: Vec<u32> = (1..).take(numbers.len()).collect();
        assert_eq!(numbers, counted);
        assert_eq!(missing(&threats), Vec::<String>::new());
    }

    #[test]
    fn a_threat_without_a_proof_says_why() {
        let bare = threats().expect("the file is read");
        let bare = bare.iter().filter(|t| t.proof.is_empty() && t.limits.is_empty());
        assert_eq!(bare.map(|t| t.number).collect::<Vec<_>>(), Vec::<u32>::new());
    }

    #[test]
    fn the_table_in_the_document_is_the_one_that_the_tests_give() {
        let text = std::fs::read_to_string(document()).expect("docs/security.md");
        let made = with_table(&text, &table(&threats().expect("the file is read")));
        let same = made.expect("a place for the table") == text;
        assert!(same, "run: cargo run -p cunkou-tests --bin security-table");
    }

    #[test]
    fn every_attack_on_whole_replicas_stands_in_the_table() {
        let file = "sync/replica/tests/attacks.rs";
        let text = std::fs::read_to_string(root().join(file)).expect("the attacks");
        let named: Vec<String> = threats()
            .expect("the file is read")
            .into_iter()
            .flat_map(|threat| threat.proof)
            .collect();
        let lines: Vec<&str> = text.lines().collect();
        let counts = lines.windows(2).filter(|two| !two[0].contains("#[ignore = \"hole"));
        let tests = counts.filter_map(|two| two[1].strip_prefix("fn threat_"));
        for name in tests.filter_map(|line| line.split('(').next()) {
            let proof = format!("{file}::threat_{name}");
            assert!(named.contains(&proof), "{proof}");
        }
    }
}
