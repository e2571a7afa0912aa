//! The page of what came out: docs/performance.md between its markers, and its picture.

use super::county::VILLAGES;
use super::ours::Live;
use super::plot;
use super::sizes::Sizes;
use super::talk::Said;
use super::{Held, Measured};
use crate::report::Report;
use anyhow::{Context, Result};
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

const BEGIN: &str = "<!-- made by the command: begin -->";
const END: &str = "<!-- made by the command: end -->";

/// A line of the budgets and what was measured.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    what: String,
    target: String,
    measured: String,
    /// Nothing when it was not measured.
    met: Option<bool>,
    how: String,
}

fn short(value: f64) -> String {
    match value.abs() {
        x if x >= 100.0 => format!("{value:.0}"),
        x if x >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

impl Budget {
    fn new(what: &str, target: String, measured: String, met: bool, how: String) -> Self {
        Self { what: what.to_owned(), target, measured, met: Some(met), how }
    }

    /// One that cannot be measured, and why.
    pub(crate) fn unknown(what: &str, target: &str, why: &str) -> Self {
        let (what, target, how) = (what.to_owned(), target.to_owned(), why.to_owned());
        Self { what, target, measured: "–".into(), met: None, how }
    }

    pub(crate) fn most(what: &str, most: f64, value: f64, unit: &str, how: String) -> Self {
        let (target, measured) = (with("≤", plain(most), unit), with("", short(value), unit));
        Self::new(what, target, measured, value <= most, how)
    }

    pub(crate) fn least(what: &str, least: f64, value: f64, unit: &str, how: String) -> Self {
        let (target, measured) = (with("≥", plain(least), unit), with("", short(value), unit));
        Self::new(what, target, measured, value >= least, how)
    }

    /// A budget that speaks of more cases than there were is not met by fewer.
    pub(crate) fn of(mut self, cases: usize, spoken_of: usize) -> Self {
        if cases < spoken_of && self.met == Some(true) {
            self.met = None;
            self.how = format!("not at {spoken_of} cases: {}", self.how);
        }
        self
    }

    /// Met also in another way.
    pub(crate) fn or(mut self, met: bool, measured: String) -> Self {
        self.met = Some(met || self.met == Some(true));
        self.target.push_str(" or ≤ 64 kB");
        self.measured = format!("{} ({measured})", self.measured);
        self
    }

    fn verdict(&self) -> &'static str {
        match self.met {
            Some(true) => "met",
            Some(false) => "**missed**",
            None => "not measured",
        }
    }

    pub(crate) fn line(&self) -> String {
        let verdict = self.verdict();
        format!(
            "{verdict}: {}: {} (budget {}); {}",
            self.what, self.measured, self.target, self.how
        )
    }
}

/// A sign, a number and its unit, as far as there are such.
fn with(sign: &str, number: String, unit: &str) -> String {
    [sign, &number, unit].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// A number as people write it in a budget.
fn plain(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value}") }
}

/// Everything that the page shows.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) budgets: Vec<Budget>,
    pub(crate) runs: Vec<Measured>,
    pub(crate) held: Vec<Held>,
    pub(crate) sizes: Option<Sizes>,
    pub(crate) live: Option<()>,
    /// What could not be measured, and why.
    pub(crate) broken: Vec<String>,
    pub(crate) took: Duration,
}

impl Page {
    pub(crate) fn budget(&mut self, budget: Budget) {
        self.budgets.push(budget);
    }

    /// One changed case on a connection that stands.
    pub(crate) fn live(&mut self, live: &Live, [kept, witness]: [Said; 2]) {
        self.live = Some(());
        let up = live.went.up as f64;
        let how = format!(
            "an entry of {:.0} B: {up:.0} B up; down {} B, the relay's witness among them; in frames \
             alone {} B for it and its acknowledgement, {} B for the witness and its own",
            live.entry, live.went.down, kept.bytes, witness.bytes
        );
        let what = "one changed case, live: bytes up ÷ the entry";
        self.budget(Budget::most(what, 1.35, up / live.entry, "×", how));
        let how = format!(
            "{} turns of frames; by the clock {:.0} ms at 200 ms a round trip, {:.0} ms at none",
            kept.turns, live.far_ms, live.near_ms
        );
        let what = "one changed case, live: round trips to durable acknowledgement";
        self.budget(Budget::most(what, 1.0, kept.round_trips(), "", how));
    }

    /// Contacts with nothing new, and repair, by the number of cases.
    pub(crate) fn contacts(&mut self) {
        let Some(most) = self.held.last().copied() else { return };
        let n = most.cases;
        let all: Vec<String> =
            self.held.iter().map(|h| format!("{} B at {}", h.said.bytes, h.cases)).collect();
        let what = "reconnect with nothing to say: payload at 5 scopes";
        let how = all.join(", ");
        self.budget(Budget::most(what, 120.0, most.said.bytes as f64, "B", how));
        let what = "reconnect with nothing to say: round trips";
        let how = format!("{} turns of frames after the transport is up", most.said.turns);
        self.budget(Budget::most(what, 1.0, most.said.round_trips(), "", how));
        let what = "reconnect with nothing to say: whole session with mTLS";
        let session = most.went.with_headers() as f64 / 1000.0;
        let how = format!(
            "{n} cases; {} packets, IP and UDP headers counted; {} B without",
            most.went.packets,
            most.went.both()
        );
        self.budget(Budget::most(what, 5.5, session, "kB", how));
        let what = "reconcile 10 differences: bytes to name them";
        let how = format!(
            "{n} cases, 10 residents in {} villages; the hello counts; {} B more for the entries",
            VILLAGES.len(),
            most.repair.bytes - most.repair.naming
        );
        let naming = most.repair.naming as f64;
        self.budget(Budget::most(what, 1000.0, naming, "B", how).of(n, 100_000));
        let what = "reconcile 10 differences: round trips to name them";
        let how = format!(
            "{n} cases; hello counted; {:.0} until all is repaired",
            most.repair.round_trips()
        );
        let trips = most.repair.round_trips_to_name();
        self.budget(Budget::most(what, 1.0, trips, "", how).of(n, 100_000));
    }

    fn largest(&self, who: &str) -> Option<&Measured> {
        self.runs.iter().rfind(|run| run.who == who)
    }

    /// The run of ours with as many cases as another's largest.
    fn pair(&self, who: &str) -> Option<(Measured, Measured)> {
        let other = self.largest(who)?;
        let ours = self.runs.iter().find(|r| r.who == "Cunkou" && r.cases == other.cases)?;
        Some((ours.clone(), other.clone()))
    }

    /// The budgets that speak of the peers.
    pub(crate) fn compare(&mut self) {
        if let Some((ours, pouch)) = self.pair("PouchDB") {
            let how = format!(
                "{} cases: {:.0} and {:.0} documents/s",
                ours.cases,
                ours.rate(),
                pouch.rate()
            );
            let what = "cold start: documents/s, fully verified ÷ PouchDB's";
            self.budget(Budget::least(what, 1.0, ours.rate() / pouch.rate(), "×", how));
            let what = "cold start: documents/s until all can be shown ÷ PouchDB's";
            let how = format!("{} cases; signatures of closed ones may be owed then", ours.cases);
            self.budget(Budget::least(what, 3.0, pouch.seconds / ours.shown, "×", how));
        }
        if let Some((ours, samod)) = self.pair("samod") {
            let how = format!(
                "{} cases: {:.2} and {:.2} ms/document",
                ours.cases,
                ours.client_ms(),
                samod.client_ms()
            );
            let what = "cold start: client CPU ÷ samod's";
            let share = ours.client_ms() / samod.client_ms();
            self.budget(Budget::most(what, 0.33, share, "×", how));
        }
    }

    fn text(&self, report: &Report) -> String {
        let mut out = String::new();
        let mut add = |line: &str| {
            out.push_str(line);
            out.push('\n');
        };
        add(&report.circumstances(self.took));
        add("\n### The budgets\n");
        add("| what | budget | measured | | how |\n|---|---|---|---|---|");
        for b in &self.budgets {
            let verdict = b.verdict();
            add(&format!("| {} | {} | {} | {verdict} | {} |", b.what, b.target, b.measured, b.how));
        }
        add("\n### Beside the peers\n");
        add(
            "| | cases | documents/s | B/document down + up | CPU client + server, ms/document | RSS client / server, MiB | nothing changed | one changed |",
        );
        add("|---|---|---|---|---|---|---|---|");
        let mut runs: Vec<&Measured> = self.runs.iter().collect();
        runs.sort_by_key(|run| run.cases);
        for run in runs {
            let each = |bytes: u64| bytes as f64 / run.documents as f64;
            add(&format!(
                "| {} | {} | {:.0} | {:.0} + {:.0} | {:.2} + {:.2} | {:.0} / {:.0} | {} B | {} B |",
                run.who,
                run.cases,
                run.rate(),
                each(run.cold.down),
                each(run.cold.up),
                run.client_ms(),
                run.server_ms(),
                run.client.rss,
                run.server.rss,
                run.quiet.both(),
                run.one.both(),
            ));
        }
        for line in &self.broken {
            add(&format!("\nNot measured: {line}."));
        }
        add("\n![cost against the number of cases](performance.svg)");
        if let Some(sizes) = &self.sizes {
            add("\n### What a case's bytes are\n");
            add(
                "| of a case with its resident | as signed, B | zstd-3 in one stream, B |\n|---|---|---|",
            );
            let each = |bytes: usize| bytes as f64 / sizes.cases as f64;
            for (name, heap) in sizes.heaps() {
                let packed = heap.packed().unwrap_or_default();
                let words = name.replace(['.', '_'], " ");
                add(&format!("| {words} | {:.0} | {:.0} |", each(heap.len()), each(packed)));
            }
        }
        out
    }

    /// Writes the page's part between its markers, and the picture.
    pub(crate) fn write(&self, docs: &Path, report: &Report) -> Result<()> {
        let file = docs.join("performance.md");
        let page = std::fs::read_to_string(&file)?;
        let (before, rest) = page.split_once(BEGIN).context("the page has lost its markers")?;
        let (_, after) = rest.split_once(END).context("the page has lost its markers")?;
        let mut text = String::new();
        write!(text, "{before}{BEGIN}\n{}{END}{after}", self.text(report))?;
        std::fs::write(&file, text)?;
        let picture = plot::picture(&self.runs, &self.held);
        Ok(std::fs::write(docs.join("performance.svg"), picture)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_met_or_missed_and_never_met_by_fewer_cases_than_it_speaks_of() {
        let of = |value, cases| {
            Budget::most("memory", 120.0, value, "MiB", String::new()).of(cases, 50_000).verdict()
        };
        assert_eq!(of(120.0, 50_000), "met");
        assert_eq!(of(120.1, 50_000), "**missed**");
        assert_eq!(of(50.0, 10_000), "not measured");
        assert_eq!(of(150.0, 10_000), "**missed**");
        let rate = Budget::least("rate", 1.0, 0.5, "×", String::new());
        assert_eq!(rate.line(), "**missed**: rate: 0.50 × (budget ≥ 1 ×); ");
        assert_eq!(Budget::most("turns", 1.0, 1.0, "", String::new()).target, "≤ 1");
    }
}
