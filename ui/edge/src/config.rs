//! Configuration: a TOML file, then environment variables of the same names, then options.

use crate::bounded;
use crate::cli::{Exit, Failure};
use serde::de::DeserializeOwned;
use std::path::Path;

/// Reads the configuration. Unknown keys are named with their line.
///
/// `prefix` and the key in capitals make the variable: `http` of a node is `CUNKOU_NODE_HTTP`.
/// Lists are written with commas.
///
/// # Errors
/// [`Failure`] with file, line and what is wrong.
pub fn read<T: DeserializeOwned>(
    file: Option<&Path>,
    prefix: &str,
    keys: &[&str],
    lists: &[&str],
) -> Result<T, Failure> {
    let usage = |words: String| Failure::new(Exit::Usage, words);
    let text = match file {
        Some(path) => bounded::text(path, bounded::SMALL_BYTES_MAX)
            .map_err(|e| usage(format!("{}: {e}", path.display())))?,
        None => String::new(),
    };
    let shown = file.map(|p| p.display().to_string()).unwrap_or_default();
    let mut table: toml::Table =
        toml::from_str(&text).map_err(|e| usage(format!("{shown}: {e}")))?;
    for key in keys {
        let name = format!("{prefix}_{}", key.to_uppercase().replace('.', "_"));
        if let Ok(value) = std::env::var(&name) {
            let value = if lists.contains(key) {
                let parts = value.split(',').map(|p| toml::Value::String(p.trim().to_owned()));
                toml::Value::Array(parts.collect())
            } else {
                toml::Value::String(value)
            };
            table.insert((*key).to_owned(), value);
        }
    }
    for key in table.keys() {
        if !keys.contains(&key.as_str()) {
            let line = text.lines().position(|line| {
                let name = line.split('=').next().unwrap_or_default();
                name.trim().trim_matches(['"', '\'']) == key.as_str()
            });
            let known = keys.join(", ");
            return Err(usage(format!(
                "{shown}, line {}: unknown key {key}. Known keys: {known}",
                line.map_or(0, |i| i + 1)
            )));
        }
    }
    toml::Value::Table(table)
        .try_into()
        .map_err(|e: toml::de::Error| usage(format!("{shown}: {e}")))
}
