//! Writes the table of threats and proofs into `docs/security.md`.

use anyhow::{Result, ensure};
use cunkou_tests::security::{document, missing, table, threats, with_table};

fn main() -> Result<()> {
    let threats = threats()?;
    let missing = missing(&threats);
    ensure!(missing.is_empty(), "these tests are not there: {missing:#?}");
    let text = std::fs::read_to_string(document())?;
    std::fs::write(document(), with_table(&text, &table(&threats))?)?;
    Ok(())
}
