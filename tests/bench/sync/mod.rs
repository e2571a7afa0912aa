//! The budgets of the sync, and the peers beside it: one command, the same cases, and a page of
//! what came out.

mod cases;
mod county;
mod crowd;
mod fill;
mod land;
mod ours;
mod page;
mod peers;
mod plot;
mod sizes;
mod station;
mod talk;

use crate::proxy::Went;
use crate::report::Report;
use crate::say;
use anyhow::{Context, Result, bail, ensure};
use cunkou_casework::entry::LogPosition;
use cunkou_tests::bare::root;
use cunkou_tests::weather::Weather;
use land::Land;
use page::{Budget, Page};
use peers::Peer;
use sizes::Sizes;
use station::Used;
use std::path::PathBuf;
use std::time::{Duration, Instant};

pub(crate) use station::be as station;

/// What a cold start and the contacts after it came to.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) who: &'static str,
    pub(crate) cases: usize,
    /// A case and its resident are two.
    pub(crate) documents: usize,
    /// Until all of them are there and on disk.
    pub(crate) seconds: f64,
    /// Until each can be shown, though its signatures may still have to be checked.
    pub(crate) shown: f64,
    pub(crate) cold: Went,
    pub(crate) client: Used,
    pub(crate) server: Used,
    /// A contact with nothing new.
    pub(crate) quiet: Went,
    /// A contact with one document changed.
    pub(crate) one: Went,
}

impl Measured {
    pub(crate) fn rate(&self) -> f64 {
        self.documents as f64 / self.seconds
    }

    pub(crate) fn bytes_each(&self) -> f64 {
        self.cold.both() as f64 / self.documents as f64
    }

    /// Milliseconds of the client's processor for each document.
    pub(crate) fn client_ms(&self) -> f64 {
        1000.0 * self.client.cpu / self.documents as f64
    }

    pub(crate) fn server_ms(&self) -> f64 {
        1000.0 * self.server.cpu / self.documents as f64
    }

    fn report(&self, report: &Report) -> Result<()> {
        let lines = [
            ("cold", self.rate(), "documents/s"),
            ("cold.bytes", self.bytes_each(), "B/document"),
            ("cold.cpu.client", self.client_ms(), "ms/document"),
            ("cold.cpu.server", self.server_ms(), "ms/document"),
            ("cold.rss.client", self.client.rss, "MiB"),
            ("cold.rss.server", self.server.rss, "MiB"),
            ("nothing_changed", self.quiet.both() as f64, "B"),
            ("one_changed", self.one.both() as f64, "B"),
        ];
        for (what, value, unit) in lines {
            let name = format!("sync.{}.{what}.{}", self.who, self.cases);
            report.value(&name, value, unit, self.documents, None)?;
        }
        Ok(())
    }
}

/// A contact with nothing new and the costs of finding ten differences, by the number of cases.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) cases: usize,
    /// In the engine alone.
    pub(crate) said: talk::Said,
    /// Over the link.
    pub(crate) went: Went,
    /// Ten entries differ.
    pub(crate) repair: talk::Said,
}

/// What is to be measured.
#[derive(Clone, Debug)]
struct Plan {
    /// Cold starts of so many cases.
    cold: Vec<usize>,
    /// Contacts of boxes that hold so many.
    held: Vec<usize>,
    /// Each peer with so many.
    peers: Vec<(Peer, Vec<usize>)>,
    /// So many boxes are connected at once.
    crowd: u16,
    /// Where the page is to be written.
    page: Option<PathBuf>,
}

const USE: &str =
    "use: bench --sync [--page] [--largest CASES] [--cold CASES] [--only WHAT] [--quick]
  --page       writes docs/performance.md and its picture
  --largest N  contacts of a box that holds up to N cases (default 100000; 300000 takes long)
  --cold N     cold starts of up to N cases (default 10000)
  --only WHAT  `ours`, `peers`, or one of them: PouchDB, automerge-repo, samod
  --quick      few cases: to see that everything works";

impl Plan {
    fn read(given: &[String]) -> Result<Self> {
        let (mut largest, mut cold, mut page, mut only) = (100_000, 10_000, None, String::new());
        let mut quick = false;
        let mut words = given.iter().map(String::as_str);
        while let Some(word) = words.next() {
            let number = |next: Option<&str>| -> Result<usize> {
                Ok(next.with_context(|| format!("{word} of how many?"))?.parse()?)
            };
            match word {
                "--largest" => largest = number(words.next())?,
                "--cold" => cold = number(words.next())?,
                "--page" => page = Some(root().join("docs")),
                "--only" => only = words.next().unwrap_or_default().to_owned(),
                "--quick" => quick = true,
                _ => bail!("{USE}"),
            }
        }
        if quick {
            (largest, cold) = (1000, 300);
        }
        let up_to = |most: usize, all: &[usize]| -> Vec<usize> {
            let below = all.iter().copied().filter(|n| *n < most);
            below.chain([most]).collect()
        };
        let some = |peer, most: usize| (peer, up_to(cold.min(most), &[300, 1000, 3000]));
        let mut plan = Self {
            cold: up_to(cold, &[300, 1000, 3000, 10_000, 30_000, 100_000]),
            held: up_to(largest, &[1000, 10_000, 100_000]),
            peers: vec![
                some(Peer::PouchDb, cold),
                some(Peer::AutomergeRepo, 1000),
                some(Peer::Samod, 1000),
            ],
            crowd: if quick { 50 } else { 500 },
            page,
        };
        match only.as_str() {
            "ours" => plan.peers.clear(),
            "peers" => (plan.cold, plan.held) = (Vec::new(), Vec::new()),
            "" => {}
            one => {
                (plan.cold, plan.held) = (Vec::new(), Vec::new());
                plan.peers.retain(|(peer, _)| peer.name() == one);
                ensure!(!plan.peers.is_empty(), "{USE}");
            }
        }
        Ok(plan)
    }
}

fn own() -> Result<Report> {
    let program = std::env::current_exe()?;
    let folder = program.parent().context("a program in no folder")?;
    let profile = folder.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(Report::new(folder.join("bench.jsonl"), profile))
}

/// The whole command.
pub(crate) fn run(given: &[String]) -> Result<()> {
    let plan = Plan::read(given)?;
    let (report, begun) = (own()?, Instant::now());
    let mut page = Page::default();
    if !plan.cold.is_empty() {
        cold(&plan, &report, &mut page)?;
        held(&plan, &report, &mut page)?;
        say("a relay takes in");
        let (rate, n) = ours::ingest(1000)?;
        page.budget(Budget::least(
            "relay ingest, SQLite (admitted, durable, derived)",
            5000.0,
            rate,
            "entries/s",
            format!("{n} entries from three boxes at once"),
        ));
        let what = "relay ingest, PostgreSQL";
        let why = "the store on PostgreSQL is not built";
        page.budget(Budget::unknown(what, "≥ 5000 entries/s", why));
        report.value("sync.ingest", rate, "entries/s", n, None)?;
        crowded(&plan, &report, &mut page)?;
    }
    if !plan.peers.is_empty() {
        beside(&plan, &report, &mut page)?;
    }
    page.compare();
    page.took = begun.elapsed();
    for line in page.budgets.iter().map(Budget::line).chain(page.broken.iter().cloned()) {
        say(&line);
    }
    if let Some(docs) = &plan.page {
        page.write(docs, &report)?;
    }
    Ok(())
}

/// Cold starts by the number of cases; with the most, also over bad links.
fn cold(plan: &Plan, report: &Report, page: &mut Page) -> Result<()> {
    let mut land = Land::found()?;
    for (i, n) in plan.cold.iter().enumerate() {
        say(&format!("a cold start of {n} cases"));
        land.file(*n)?;
        if i > 0 {
            land.new_box()?;
        }
        let measured = ours::cold(&land)?;
        measured.report(report)?;
        page.runs.push(measured);
    }
    let Some(most) = page.runs.last().cloned() else { return Ok(()) };
    let sizes = sizes_of(report, most.cases)?;
    let least = sizes.least.packed()? as f64;
    let (down, each) = (most.cold.down as f64, format!("{} cases", most.cases));
    let what = "cold start: bytes ÷ zstd-3 of (undeflated documents + events)";
    let how = format!(
        "{each}; against one stream. Each document packed by itself: {:.2}",
        down / sizes.least_one_by_one as f64
    );
    page.budget(Budget::most(what, 1.15, down / least, "×", how));
    let rss = most.client.rss;
    let what = "cold start: RSS of the box";
    page.budget(Budget::most(what, 64.0, rss, "MiB", each).of(most.cases, 10_000));
    page.sizes = Some(sizes);
    say("bad links");
    bad_links(report, page)
}

/// What a bad link leaves of what it could carry, and what a cut costs.
fn bad_links(report: &Report, page: &mut Page) -> Result<()> {
    const BITS: u64 = 8_000_000;
    const CASES: usize = 1500;
    const SLIPS: (usize, usize) = (32, 256 * 1024);
    const CUTS: usize = 3;
    let full = BITS as f64 / 8.0;
    let ms = Duration::from_millis;
    let clean = Weather {
        seed: 35,
        delay: ms(75),
        jitter: Duration::ZERO,
        loss: 0,
        bits: BITS,
        queue: ms(500),
    };
    let bad = Weather { loss: 100, ..clean };
    let mut share = |land: &Land, name: &str, what: &str| -> Result<(Duration, u64)> {
        let (took, bytes) = ours::over(land, clean)?;
        land.new_box()?;
        let (slow, _) = ours::over(land, bad)?;
        let of = |took: Duration| 100.0 * bytes as f64 / took.as_secs_f64() / full;
        let how = format!(
            "{what}: {:.1} MB in {:.1} s, counted from the start of the box; without loss {:.0} %",
            bytes as f64 / 1e6,
            slow.as_secs_f64(),
            of(took)
        );
        let line = format!("10 % loss, 150 ms, 8 Mbit/s: share of the link, {name}");
        page.budget(Budget::least(&line, 70.0, of(slow), "%", how));
        report.value(&format!("sync.link.{name}"), of(slow), "%", 1, Some(of(took)))?;
        Ok((took, bytes))
    };
    let mut land = Land::found()?;
    land.maker.with_slips(SLIPS.0, SLIPS.1);
    land.file(40)?;
    let words = format!("{} of {} KiB", SLIPS.0, SLIPS.1 / 1024);
    share(&land, "attachments", &words)?;
    let mut land = Land::found()?;
    land.file(CASES)?;
    let (took, bytes) = share(&land, "entries", &format!("cold start of {CASES} cases"))?;
    land.new_box()?;
    let again = ours::cut(&land, clean, CUTS, took / 5)?;
    let lost = again.saturating_sub(bytes) as f64 / CUTS as f64;
    let how = format!("{CUTS} cuts of a cold start at 8 Mbit/s; handshakes included");
    let what = "interrupted transfer: sent again for each cut";
    let budget = Budget::most(what, 1.0, lost / full, "s", how);
    page.budget(budget.or(lost <= 64_000.0, format!("{:.0} kB", lost / 1000.0)));
    report.value("sync.cut.again", lost, "B", CUTS, None)
}

/// Contacts of a box that holds so many cases.
fn held(plan: &Plan, report: &Report, page: &mut Page) -> Result<()> {
    let mut land = Land::found()?;
    for n in &plan.held {
        say(&format!("a box that holds {n} cases"));
        land.hold(*n)?;
        if page.live.is_none() {
            let (live, said) = (ours::live(&land)?, ours::live_said(&land)?);
            page.live(&live, said);
            report.value("sync.live.wire", live.went.both() as f64, "B", 1, Some(live.entry))?;
            report.value("sync.live.far", live.far_ms, "ms", 1, Some(200.0))?;
        }
        let said = ours::nothing_new(&land)?;
        let (went, cpu, rss) = ours::contact(&land)?;
        let repair = ours::reconcile(&mut land)?;
        let held = Held { cases: *n, said, went, repair };
        let lines = [
            ("said", said.bytes as f64, "B"),
            ("wire", went.both() as f64, "B"),
            ("relay_cpu", 1000.0 * cpu, "ms"),
            ("relay_rss", rss, "MiB"),
            ("repair.naming", repair.naming as f64, "B"),
            ("repair.naming.turns", repair.naming_turns as f64, "turns"),
            ("repair.turns", repair.turns as f64, "turns"),
        ];
        for (what, value, unit) in lines {
            report.value(&format!("sync.held.{what}.{n}"), value, unit, *n, None)?;
        }
        page.held.push(held);
        // The largest number that is at hand; the budget speaks of 50,000.
        if plan.held.last() == Some(n) {
            let rss = ours::memory(&mut land, 1000)?;
            let what = "box memory, 50,000 cases, syncing";
            let how = format!("{n} cases held, 1,000 more coming; without pages");
            page.budget(Budget::most(what, 120.0, rss, "MiB", how).of(*n, 50_000));
            report.value(&format!("sync.held.rss.{n}"), rss, "MiB", *n, None)?;
        }
    }
    page.contacts();
    Ok(())
}

/// The memory of a relay with many boxes connected that have nothing to say.
fn crowded(plan: &Plan, report: &Report, page: &mut Page) -> Result<()> {
    const BOXES: f64 = 5000.0;
    say(&format!("{} boxes are connected", plan.crowd));
    let (before, with) = ours::crowded(plan.crowd)?;
    let each = (with - before) / f64::from(plan.crowd);
    let how = format!(
        "extrapolated: {before:.0} MiB alone, {with:.0} MiB with {} connected, {:.0} KiB each",
        plan.crowd,
        1024.0 * each
    );
    let what = "5,000 connected boxes: RSS of the relay";
    page.budget(Budget::most(what, 300.0, before + BOXES * each, "MiB", how));
    report.value("sync.crowd.each", 1024.0 * each, "KiB", usize::from(plan.crowd), None)
}

/// The peers, on the same cases.
fn beside(plan: &Plan, report: &Report, page: &mut Page) -> Result<()> {
    let folder = tempfile::tempdir()?;
    for (peer, sizes) in &plan.peers {
        peer.prepare()?;
        for n in sizes {
            let file = folder.path().join(format!("{n}.jsonl"));
            if !file.exists() {
                let maker = cases::Maker::new(LogPosition::START, [1; 16], 0);
                peers::export(&file, maker, *n)?;
            }
            say(&format!("{} with {n} cases", peer.name()));
            match peers::measure(*peer, &file, *n) {
                Ok(measured) => {
                    measured.report(report)?;
                    page.runs.push(measured);
                }
                Err(why) => page.broken.push(format!("{} with {n} cases: {why:#}", peer.name())),
            }
        }
    }
    Ok(())
}

/// How long cases are, by what their bytes are for.
fn sizes_of(report: &Report, n: usize) -> Result<Sizes> {
    let mut maker = cases::Maker::new(LogPosition::START, [1; 16], 0);
    let mut sizes = Sizes::default();
    for _ in 0..n {
        sizes.add(&maker.next()?)?;
    }
    for (name, heap) in sizes.heaps() {
        let (raw, packed) = (heap.len() as f64 / n as f64, heap.packed()? as f64 / n as f64);
        report.value(&format!("case.{name}"), packed, "B zstd", heap.items(), Some(raw))?;
    }
    Ok(sizes)
}
