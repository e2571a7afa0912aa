//! Boxes with two histories: a disk that was restored or copied, or a box that says two things.
//! Nothing is dropped for it; a person looks and says what it was.

use crate::home::Home;
use cunkou_casework::county::Statement;
use cunkou_casework::ids::{DeviceId, EntryId, Incarnation};
use cunkou_edge::cli::{Exit, Failure};
use cunkou_edge::lists::when;
use cunkou_edge::{AppError, Signed};
use cunkou_replica::Replica;
use cunkou_store::{DoubleRow, ForkKind, ForkRow, StoreError};
use cunkou_ui::Lang;
use cunkou_ui::page::boxes::Table;
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn failed(e: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Failed, e.to_string())
}

fn kind(kind: ForkKind, l: Lang) -> &'static str {
    match kind {
        ForkKind::SameNumber => {
            l.t("同一编号说了两样话", "it said two different things under one number")
        }
        ForkKind::SameParent => l.t("硬盘被恢复或复制过", "its disk was restored or copied"),
    }
}

/// What is said of two machines that were alive at the same time.
fn alive(double: &DoubleRow, l: Lang) -> String {
    let (times, from) = (double.times, &double.address);
    match l {
        Lang::Zh => format!("两台机器同时用它的身份;第二台已拒绝 {times} 次,来自 {from}"),
        Lang::En => format!(
            "two machines talked with its identity; the second was refused {times} times, from {from}"
        ),
    }
}

/// The table of the boxes page; nothing when every box has one history.
pub(crate) fn table(signed: &Signed) -> Result<Option<Table>, AppError> {
    let (l, replica) = (signed.lang, signed.replica());
    let (forks, doubles) = (replica.forks()?, replica.doubles()?);
    if forks.is_empty() && doubles.is_empty() {
        return Ok(None);
    }
    let county = replica.county();
    let row = |device: [u8; 16], found: String, at_ms: i64| {
        let id = DeviceId(device);
        let name = county.device(id).map_or_else(|| id.to_string(), |d| d.name.clone());
        let short = id.to_string()[..8].to_owned();
        (vec![name, found, when(at_ms), short], "red")
    };
    let alive = doubles.iter().map(|double| row(double.device, alive(double, l), double.last_ms));
    let rows = alive.chain(
        forks.iter().map(|fork| row(fork.device, kind(fork.kind, l).to_owned(), fork.found_ms)),
    );
    let heads = [
        l.t("盒子", "Box"),
        l.t("发现了什么", "What was found"),
        l.t("发现时间", "Found"),
        l.t("编号", "Id"),
    ];
    Ok(Some(Table {
        title: l.t("同一台盒子有两份历史", "Boxes with two histories").to_owned(),
        heads: heads.into_iter().map(str::to_owned).collect(),
        rows: rows.collect(),
        empty: String::new(),
        hint: l
            .t(
                "记录都还在。换过盘或恢复过:cunkou-relay forks clear 编号 --reason …;不明原因:先撤销,cunkou-relay revoke 编号",
                "All entries are kept. Restored on purpose: cunkou-relay forks clear ID --reason …; unexplained: cunkou-relay revoke ID",
            )
            .to_owned(),
    }))
}

/// The same for programs.
pub(crate) fn list(replica: &Replica) -> Result<Vec<Value>, Failure> {
    let county = replica.county();
    let row = |fork: &ForkRow| {
        let id = DeviceId(fork.device);
        json!({
            "device": id.to_string(), "name": county.device(id).map(|d| d.name.clone()),
            "found": kind(fork.kind, Lang::En), "found_ms": fork.found_ms,
            "entries": fork.entries.map(|e| EntryId(e).to_string()),
        })
    };
    Ok(replica.forks().map_err(failed)?.iter().map(row).collect())
}

/// The machines that were refused because another of their device was alive, for programs.
pub(crate) fn doubles(replica: &Replica) -> Result<Vec<Value>, Failure> {
    let county = replica.county();
    let row = |double: &DoubleRow| {
        let id = DeviceId(double.device);
        json!({
            "device": id.to_string(), "name": county.device(id).map(|d| d.name.clone()),
            "first_ms": double.first_ms, "last_ms": double.last_ms,
            "refused": double.times, "address": double.address,
        })
    };
    Ok(replica.doubles().map_err(failed)?.iter().map(row).collect())
}

impl Home {
    /// Says that all histories of a box that are known stay beside each other.
    pub(crate) fn clear_forks(&self, device: &str, reason: String) -> Result<Value, Failure> {
        let device = self.find_box(device)?;
        let forks = self.replica.forks().map_err(failed)?;
        let of_it = forks.iter().filter(|fork| fork.device == device.0);
        let runs: BTreeSet<Incarnation> =
            of_it.flat_map(|fork| fork.runs).map(Incarnation).collect();
        let forget = |tx: &cunkou_store::Txn<'_>| tx.forget_double(&device.0);
        let looked = self.replica.store().write(forget).map_err(|e: StoreError| failed(e))?;
        if runs.is_empty() && looked {
            return Ok(json!({ "schema": 1, "cleared": device.to_string() }));
        }
        if runs.is_empty() {
            let words = "this box has one history; there is nothing to clear";
            return Err(Failure::new(Exit::Refused, words));
        }
        let runs = runs.into_iter().collect();
        let cleared = Statement::ForkCleared { device, runs, reason };
        self.say(vec![cleared], json!({ "schema": 1, "cleared": device.to_string() }))
    }
}
