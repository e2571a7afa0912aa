//! The county that is measured.

use crate::people::{self, Known};
use anyhow::{Context, Result};
use cunkou_tests::agent::Agent;
use cunkou_tests::bare::{Bare, Serving};
use cunkou_tests::county::free_ports;
use rusqlite::Connection;
use std::path::Path;
use std::time::{Duration, Instant};

/// A running county of one size.
pub(crate) struct World {
    pub(crate) county: Bare,
    pub(crate) relay: Serving,
    pub(crate) known: Vec<Known>,
    /// Residents a second that were imported.
    pub(crate) imported: f64,
    _folder: tempfile::TempDir,
}

/// The numbers of a village box in the ports, and of the township's.
pub(crate) const VILLAGE: u16 = 2;
pub(crate) const TOWNSHIP: u16 = 1;

impl World {
    /// Founds a county with so many residents in one village, and starts its relay.
    pub(crate) fn found(bin: &Path, residents: usize) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let county = Bare::found(bin, folder.path(), free_ports()?, "云溪县")?;
        let staff = [
            ("he", "何平", "it", "1", "778899"),
            ("li", "李建国", "agent", "101", "246810"),
            ("wang", "王芳", "township", "10", "112233"),
        ];
        for (login, name, role, places, pin) in staff {
            let add = ["staff", "add", "--login", login, "--name", name, "--role", role];
            county.relay(&[&add[..], &["--places", places]].concat(), pin)?.json()?;
        }
        let csv = folder.path().join("residents.csv");
        let known = people::write(&csv, residents)?;
        let begun = Instant::now();
        let csv = csv.display().to_string();
        county.relay(&["import", "residents", &csv, "--as", "he"], "")?.json()?;
        let imported = residents as f64 / begun.elapsed().as_secs_f64();
        let relay = county.serve_relay()?;
        for (name, kind, places) in
            [("village", "village", "101"), ("township", "township", "10,101")]
        {
            let file = county.offer(name, kind, places, &county.quic())?;
            county.node(name, &["enrol", &file])?.json()?;
        }
        Ok(Self { county, relay, known, imported, _folder: folder })
    }

    /// The village box, on this wire.
    pub(crate) fn village(&self, relay: &str) -> Result<Serving> {
        self.county.serve_node("village", VILLAGE, relay)
    }

    /// The agent at the village box; waits for their key.
    pub(crate) fn agent(&self) -> Result<Agent> {
        patiently("the agent's key", || {
            Agent::sign_in(&self.county.url("village", VILLAGE).ok()?, "li", "246810").ok()
        })
    }

    /// The database of a node, to read.
    pub(crate) fn database(&self, node: &str) -> Result<Connection> {
        let data = &self.county.data;
        cunkou_tests::at_rest::database(&data.join("relay"), &data.join(node))
    }
}

/// The answer of a query that gives one number.
pub(crate) fn number(db: &Connection, sql: &str) -> Result<u64> {
    Ok(db.query_row(sql, [], |row| row.get(0))?)
}

/// Tries for half an hour.
pub(crate) fn patiently<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> Result<T> {
    let end = Instant::now() + Duration::from_secs(1800);
    while Instant::now() < end {
        if let Some(value) = done() {
            return Ok(value);
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    None.with_context(|| format!("waited half an hour for {what}"))
}
