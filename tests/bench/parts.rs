//! The measurements, part by part.

use crate::proxy::Wire;
use crate::report::{Report, median, ms, times};
use crate::world::{TOWNSHIP, World, number, patiently};
use anyhow::{Context, Result, ensure};
use cunkou_tests::agent::{Agent, Dice, Papers, photo};
use cunkou_tests::bare::Serving;
use rusqlite::Connection;
use std::path::Path;
use std::time::Instant;

const ITEM: &str = "S1-gaoling";
/// Positions have no gaps; this one is cheap.
const ENTRIES: &str = "SELECT coalesce(max(pos), 0) FROM entry";
const UNFINISHED: &str = "SELECT EXISTS(SELECT 1 FROM dirty)";
const ENTRY_BYTES: &str = "SELECT coalesce(sum(length(bytes)), 0) FROM entry";

/// The simplest durable peer: a table in SQLite with the same promises.
fn bare_sqlite(folder: &Path) -> Result<Connection> {
    let db = Connection::open(folder.join("bare.db"))?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.execute("CREATE TABLE IF NOT EXISTS kept(id INTEGER PRIMARY KEY, bytes BLOB NOT NULL)", [])?;
    Ok(db)
}

fn resident_after(agent: &Agent, from: usize) -> Result<String> {
    agent.residents(from)?.into_iter().next().context("no residents")
}

/// A box that knows nothing yet gets everything. Gives the running box.
pub(crate) fn cold_start(report: &Report, world: &World, size: &str) -> Result<Serving> {
    let residents = number(&world.database("relay")?, "SELECT count(*) FROM resident_row")?;
    let begun = Instant::now();
    let village = world.village(&world.county.quic())?;
    let db = patiently("a database", || world.database("village").ok())?;
    let before = number(&db, ENTRIES)?;
    let (mut last, mut received) = (before, begun.elapsed());
    patiently("all residents", || {
        let now = number(&db, ENTRIES).ok()?;
        if now != last {
            (last, received) = (now, begun.elapsed());
        }
        if number(&db, UNFINISHED).ok()? > 0 {
            return None;
        }
        let here = number(&db, "SELECT count(*) FROM resident_row").ok()?;
        (here == residents).then_some(())
    })?;
    let ready = begun.elapsed();
    let entries = last - before;
    // The same entries into the peer, a hundred in a transaction.
    let mut query = db.prepare("SELECT bytes FROM entry")?;
    let rows: Vec<Vec<u8>> = query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let folder = tempfile::tempdir()?;
    let mut peer = bare_sqlite(folder.path())?;
    let peer_begun = Instant::now();
    for batch in rows.chunks(100) {
        let tx = peer.transaction()?;
        for row in batch {
            tx.prepare_cached("INSERT INTO kept(bytes) VALUES(?1)")?.execute([row])?;
        }
        tx.commit()?;
    }
    let baseline = rows.len() as f64 / peer_begun.elapsed().as_secs_f64();
    let n = usize::try_from(entries)?;
    let rate = |time: std::time::Duration| entries as f64 / time.as_secs_f64();
    report.value(
        &format!("sync.cold.received.{size}"),
        rate(received),
        "entries/s",
        n,
        Some(baseline),
    )?;
    report.value(
        &format!("sync.cold.ready.{size}"),
        rate(ready),
        "entries/s",
        n,
        Some(baseline),
    )?;
    Ok(village)
}

/// From starting a program to the first answer.
pub(crate) fn start_up(report: &Report, world: &World) -> Result<()> {
    let (quic, n) = (world.county.quic(), 7);
    let healthy = |name: &str, i: u16| -> Result<()> {
        let url = world.county.url(name, i)?;
        Agent::stranger(&url).get("/healthz")?.page().map(drop)
    };
    // The township's first start is its cold start, which is not measured here.
    drop(world.county.serve_node("township", TOWNSHIP, &quic)?);
    for (name, i) in [("township", TOWNSHIP), ("village", crate::world::VILLAGE)] {
        let mut all = Vec::new();
        for _ in 0..n {
            let begun = Instant::now();
            let running = world.county.serve_node(name, i, &quic)?;
            healthy(name, i)?;
            all.push(ms(begun.elapsed()));
            drop(running);
        }
        report.times(&format!("start.{name}"), &all, None)?;
    }
    // The relay's own start is measured on its folder with another address.
    let mut all = Vec::new();
    for _ in 0..n {
        let copy = tempfile::tempdir()?;
        let from = world.county.data.join("relay");
        for name in
            ["county.sealed", "machine.key", "certificates.sealed", "work.db", "work.db-wal"]
        {
            std::fs::copy(from.join(name), copy.path().join(name)).ok();
        }
        let data = copy.path().display().to_string();
        let (http, quic) = (world.county.http(3), "127.0.0.1:0");
        let arguments = ["--data", &data, "serve", "--https", &http, "--quic", quic];
        let log = copy.path().join("log");
        let begun = Instant::now();
        let running =
            Serving::start(&world.county.bin.join("cunkou-relay"), &arguments, &http, &log)?;
        healthy("relay", 3)?;
        all.push(ms(begun.elapsed()));
        drop(running);
    }
    report.times("start.relay", &all, None)
}

/// What goes over the wire for nothing, for a case whose photos the county has, and for a case
/// with its photos.
pub(crate) fn wire(report: &Report, world: &World) -> Result<()> {
    const NOWHERE: &str = "127.0.0.1:9";
    let wire = Wire::open(&world.county.quic())?;
    let mut reconnects = Vec::new();
    for _ in 0..3 {
        let village = world.village(&wire.address)?;
        reconnects.push(wire.drain() as f64);
        drop(village);
        wire.forget();
    }
    let idle = median(&reconnects);
    report.value("wire.reconnect", idle, "B", reconnects.len(), None)?;
    let mut dice = Dice::new(9);
    let photos: Vec<_> = (0..10).map(|_| photo(&mut dice, 1600, 1200)).collect();
    for (name, person) in [("wire.case.with_photos", 10), ("wire.case.entries_alone", 20)] {
        let offline = world.village(NOWHERE)?;
        let agent = world.agent()?;
        let db = world.database("village")?;
        let files = "SELECT coalesce(sum(bytes), 0) FROM attachment";
        let before = (number(&db, ENTRIES)?, number(&db, ENTRY_BYTES)?, number(&db, files)?);
        let resident = resident_after(&agent, person)?;
        let filed = agent.file(&resident, ITEM, &mut Papers::Given(photos.clone()))?;
        let after = (number(&db, ENTRIES)?, number(&db, ENTRY_BYTES)?, number(&db, files)?);
        drop(offline);
        let online = world.village(&wire.address)?;
        let bytes = wire.drain() as f64 - idle;
        let relay = world.database("relay")?;
        let wanted = number(&relay, "SELECT count(*) FROM attachment WHERE state = 0")?;
        ensure!(wanted == 0, "{wanted} photos have not arrived");
        drop(online);
        wire.forget();
        let raw = (after.1 - before.1) + (after.2 - before.2);
        report.value(name, bytes, "B", filed.photos, Some(raw as f64))?;
        report.value(&format!("{name}.count"), (after.0 - before.0) as f64, "entries", 1, None)?;
    }
    Ok(())
}

/// The boxes of the small county, running.
pub(crate) struct Boxes {
    village: Serving,
    township: Serving,
}

impl Boxes {
    pub(crate) fn start(world: &World) -> Result<Self> {
        let quic = world.county.quic();
        let village = world.village(&quic)?;
        let township = world.county.serve_node("township", TOWNSHIP, &quic)?;
        settled(world)?;
        Ok(Self { village, township })
    }

    /// Resident memory of every process.
    pub(crate) fn memory(&self, report: &Report, world: &World, cases: usize) -> Result<()> {
        settled(world)?;
        let all =
            [("relay", &world.relay), ("township", &self.township), ("village", &self.village)];
        for (name, serving) in all {
            let kib = resident_kib(serving.pid())?;
            report.value(&format!("rss.{name}"), kib / 1024.0, "MiB", cases, None)?;
        }
        Ok(())
    }
}

/// Resident memory of a process, KiB.
pub(crate) fn resident_kib(pid: u32) -> Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|l| l.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// Waits until the village box has sent everything, the township has it, and all is materialised.
fn settled(world: &World) -> Result<()> {
    let cases = "SELECT count(*) FROM case_row WHERE submitted_ms > 0";
    patiently("quiet", || {
        let status = world.county.node("village", &["status"]).ok()?.json().ok()?;
        let township = world.database("township").ok()?;
        let village = world.database("village").ok()?;
        let same = |sql| number(&township, sql).ok() == number(&village, sql).ok();
        let still = ["relay", "village", "township"].iter().all(|name| {
            let db = world.database(name);
            db.and_then(|db| number(&db, UNFINISHED)).is_ok_and(|n| n == 0)
        });
        let done = status["unsent"]["entries"] == 0 && same(cases) && still;
        (done && same("SELECT count(*) FROM resident_row")).then_some(())
    })
}

/// The click that submits a case, against one durable commit of the same bytes.
pub(crate) fn submit(report: &Report, world: &World) -> Result<()> {
    let agent = world.agent()?;
    let mut dice = Dice::new(3);
    let mut papers = Papers::New(dice.clone(), 64, 48);
    let db = world.database("village")?;
    let (n, mut bytes) = (30, 0);
    let mut all = Vec::new();
    for i in 0..n {
        let resident = resident_after(&agent, 30 + i)?;
        let (case, _) = agent.prepare(&resident, ITEM, &mut papers)?;
        let signature = photo(&mut dice, 320, 240);
        let before = number(&db, ENTRY_BYTES)?;
        let begun = Instant::now();
        agent.sign(&case, &signature)?;
        all.push(ms(begun.elapsed()));
        bytes = number(&db, ENTRY_BYTES)? - before + signature.len() as u64;
    }
    let peer = bare_sqlite(&world.county.data)?;
    let same = vec![7_u8; usize::try_from(bytes)?];
    let baseline = times(n, |_| {
        peer.execute("INSERT INTO kept(bytes) VALUES(?1)", [&same])?;
        Ok(())
    })?;
    report.times("submit", &all, Some(median(&baseline)))
}

/// Pages, against the smallest answer of the same server.
pub(crate) fn pages(report: &Report, world: &World, size: &str) -> Result<()> {
    let agent = world.agent()?;
    let mut papers = Papers::New(Dice::new(5), 64, 48);
    let resident = resident_after(&agent, 70)?;
    let filed = agent.file(&resident, ITEM, &mut papers)?;
    let open = |path: &str, n| times(n, |_| agent.get(path)?.page().map(drop));
    open("/", 20)?;
    let least = median(&open("/healthz", 200)?);
    let case = format!("/cases/{}", filed.case);
    let all = [
        ("home", "/"),
        ("case", case.as_str()),
        ("resident", resident.as_str()),
        ("residents", "/residents"),
    ];
    for (name, path) in all {
        report.times(&format!("page.{name}.{size}"), &open(path, 200)?, Some(least))?;
    }
    Ok(())
}

/// Searches, against a scan of the same table by a bare SQLite.
pub(crate) fn search(report: &Report, world: &World, size: &str) -> Result<()> {
    let agent = world.agent()?;
    let db = world.database("village")?;
    let known = &world.known;
    let scan = |sql: &str, word: &dyn Fn(usize) -> String| -> Result<f64> {
        let all = times(50, |i| {
            let mut query = db.prepare_cached(sql)?;
            let mut rows = query.query([word(i)])?;
            while rows.next()?.is_some() {}
            Ok(())
        })?;
        Ok(median(&all))
    };
    let by_name = scan("SELECT * FROM resident_row WHERE name LIKE ?1", &|i| {
        format!("%{}%", known[i % known.len()].name)
    })?;
    let by_tail = scan("SELECT * FROM resident_row WHERE masked_id LIKE ?1", &|i| {
        format!("%{}", known[i % known.len()].tail)
    })?;
    type Word = fn(&crate::people::Known) -> &str;
    let kinds: [(&str, Word, Option<f64>); 3] = [
        ("name", |k| &k.name, Some(by_name)),
        ("initials", |k| &k.initials, None),
        ("tail", |k| &k.tail, Some(by_tail)),
    ];
    for (name, word, baseline) in kinds {
        let all = times(300, |i| {
            let text = word(&known[i % known.len()]);
            ensure!(!agent.search_live(text)?.is_empty(), "{text} is not found");
            Ok(())
        })?;
        report.times(&format!("search.{name}.{size}"), &all, baseline)?;
    }
    Ok(())
}

/// Files so many cases, one resident each, with the fewest photos.
pub(crate) fn file(report: &Report, world: &World, cases: usize) -> Result<()> {
    let agent = world.agent()?;
    let mut papers = Papers::Least(photo(&mut Dice::new(4), 48, 48));
    let (mut done, mut from, mut all) = (0, 0, Vec::new());
    while done < cases {
        let people = agent.residents(from)?;
        ensure!(!people.is_empty(), "too few residents for {cases} cases");
        from += people.len();
        for resident in people.iter().take(cases - done) {
            let begun = Instant::now();
            // Who has a case already is not counted: the draft leads to it.
            if agent.file(resident, ITEM, &mut papers).is_ok() {
                all.push(ms(begun.elapsed()));
            }
            done += 1;
        }
    }
    report.times("file.whole_case", &all, None)
}
