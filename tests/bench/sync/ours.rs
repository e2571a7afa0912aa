//! Cunkou's own sync: cold starts, contacts without and with something new, repair.

use super::Measured;
use super::county::{BOX, RELAY, database};
use super::fill::{Load, differ, introduce, of_the_villages};
use super::land::Land;
use super::station::{Program, held};
use super::talk::{Said, Talk};
use crate::proxy::{Went, Wire};
use crate::report::median;
use anyhow::{Context, Result, ensure};
use cunkou_casework::hex;
use cunkou_engine::{PeerInfo, Port};
use cunkou_replica::{Guard, Replica};
use cunkou_tests::weather;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

const LOOK: Duration = Duration::from_millis(50);
/// A cold start that has not ended by then never will.
const PATIENCE: Duration = Duration::from_secs(3600);
/// So often is measured what is small.
const TIMES: usize = 5;

/// A case that is there with its document, at the end of its way.
fn some_case(land: &Land, n: u8, folder: &str) -> Result<String> {
    let db = database(n, &land.path(folder))?;
    let sql =
        "SELECT subject FROM document JOIN subject s ON s.id = subject WHERE s.schema = 1 LIMIT 1";
    let id: Vec<u8> = db.query_row(sql, [], |row| row.get(0))?;
    Ok(hex::encode(&id))
}

/// How long it took the box.
#[derive(Clone, Copy, Debug)]
struct Took {
    /// Until there was a row for every case and every resident.
    shown: Duration,
    /// Until it held everything, all was derived, and all attachments were there.
    whole: Duration,
}

/// Waits until the box holds everything.
fn whole(land: &Land, begun: Instant) -> Result<Took> {
    let (all, _) = held(&land.path("relay"), RELAY)?;
    let db = database(BOX, &land.path("box"))?;
    let rows = "SELECT (SELECT count(*) FROM case_row) + (SELECT count(*) FROM resident_row)";
    let mut shown = None;
    loop {
        if shown.is_none() {
            let rows: usize = db.query_row(rows, [], |row| row.get(0))?;
            shown = (rows >= 2 * land.cases).then(|| begun.elapsed());
        }
        if held(&land.path("box"), BOX)? == (all, false) {
            let whole = begun.elapsed();
            return Ok(Took { shown: shown.unwrap_or(whole), whole });
        }
        ensure!(begun.elapsed() < PATIENCE, "the cold start does not end");
        std::thread::park_timeout(LOOK);
    }
}

fn middle(all: &[Went]) -> Went {
    let of =
        |each: fn(&Went) -> u64| median(&all.iter().map(|w| each(w) as f64).collect::<Vec<_>>());
    Went { up: of(|w| w.up) as u64, down: of(|w| w.down) as u64, packets: of(|w| w.packets) as u64 }
}

/// The box comes, says what it has to say, is quiet for two seconds, and goes.
fn visit(land: &Land, wire: &Wire) -> Result<Went> {
    let at_box = land.start_box(&wire.address)?;
    let went = wire.take();
    drop(at_box);
    let end = wire.went();
    wire.forget();
    Ok(Went {
        up: went.up + end.up,
        down: went.down + end.down,
        packets: went.packets + end.packets,
    })
}

/// A box that knows nothing yet gets everything; then it comes again with nothing new, and with one
/// case changed at the relay.
pub(crate) fn cold(land: &Land) -> Result<Measured> {
    let (mut relay, address) = land.start_relay()?;
    let wire = Wire::open(&address)?;
    let before = relay.used()?;
    let at_box = land.start_box(&wire.address)?;
    let took = whole(land, Instant::now())?;
    let (client, mut server) = (at_box.used()?, relay.used()?);
    server.cpu -= before.cpu;
    let went = wire.take();
    drop(at_box);
    let again = |times| -> Result<Went> {
        let mut all = Vec::new();
        for _ in 0..times {
            wire.forget();
            all.push(visit(land, &wire)?);
        }
        Ok(middle(&all))
    };
    let quiet = again(3)?;
    relay.order(&some_case(land, RELAY, "relay")?)?;
    let one = again(1)?;
    Ok(Measured {
        who: "Cunkou",
        cases: land.cases,
        documents: 2 * land.cases,
        seconds: took.whole.as_secs_f64(),
        shown: took.shown.as_secs_f64(),
        cold: went,
        client,
        server,
        quiet,
        one,
    })
}

/// A contact in which nothing is new, in the engine alone: what is said, without transport.
pub(crate) fn nothing_new(land: &Land) -> Result<Said> {
    let (relay, at_box) = (land.relay()?, land.at_box()?);
    // The first one after a start of the relay is a whole hello.
    for _ in 0..2 {
        Talk::begin((BOX, &at_box), (RELAY, &relay))?;
    }
    Ok(Talk::begin((BOX, &at_box), (RELAY, &relay))?.said())
}

/// A contact over the real link, in which nothing is new: until the box goes.
pub(crate) fn contact(land: &Land) -> Result<(Went, f64, f64)> {
    let (relay, address) = land.start_relay()?;
    let wire = Wire::open(&address)?;
    let (mut all, mut cpu) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        wire.forget();
        let before = relay.used()?;
        all.push(visit(land, &wire)?);
        cpu.push(relay.used()?.cpu - before.cpu);
    }
    Ok((middle(&all), median(&cpu), relay.used()?.rss))
}

/// One changed case while both talk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Live {
    /// The entry as it is signed. Bytes.
    pub(crate) entry: f64,
    /// Over the wire.
    pub(crate) went: Went,
    /// From the save until the relay has it on disk, with half a round trip of 200 ms each way.
    pub(crate) far_ms: f64,
    /// The same without any delay.
    pub(crate) near_ms: f64,
}

const FAR: Duration = Duration::from_millis(100);

/// Saves a case at the box while both talk.
pub(crate) fn live(land: &Land) -> Result<Live> {
    let (_relay, address) = land.start_relay()?;
    let case = some_case(land, BOX, "box")?;
    let wire = Wire::open(&address)?;
    let mut at_box = land.start_box(&wire.address)?;
    wire.take();
    let number = |answer: &serde_json::Value, key: &str| answer[key].as_f64().context("no number");
    let (mut went, mut near, mut bytes) = (Vec::new(), Vec::new(), 0.0);
    for _ in 0..TIMES {
        let answer = at_box.order(&case)?;
        went.push(wire.take());
        near.push(number(&answer, "ms")?);
        bytes = number(&answer, "bytes")?;
    }
    drop((at_box, wire));
    let far = weather::Weather {
        seed: 1,
        delay: FAR,
        jitter: Duration::ZERO,
        loss: 0,
        bits: 1_000_000_000,
        queue: Duration::from_secs(1),
    };
    let wire = weather::Wire::open(&address, far)?;
    let mut at_box = land.start_box(&wire.address)?;
    let mut all = Vec::new();
    // The first save waits for the connection, too.
    at_box.order(&case)?;
    for _ in 0..TIMES {
        all.push(number(&at_box.order(&case)?, "ms")?);
    }
    let (went, far_ms, near_ms) = (middle(&went), median(&all), median(&near));
    Ok(Live { entry: bytes, went, far_ms, near_ms })
}

/// One changed case in the engine alone: what is said until it is acknowledged, and then of its
/// witness.
pub(crate) fn live_said(land: &Land) -> Result<[Said; 2]> {
    let (relay, at_box) = (land.relay()?, land.at_box()?);
    let mut talk = Talk::begin((BOX, &at_box), (RELAY, &relay))?;
    talk.said();
    let case = hex::decode(&some_case(land, BOX, "box")?).and_then(|id| id.try_into().ok());
    super::station::note(&at_box, case.context("no case")?)?;
    talk.committed(0)?;
    let until_kept = talk.said();
    talk.committed(1)?;
    Ok([until_kept, talk.said()])
}

/// Ten entries differ and nobody knows which.
pub(crate) fn reconcile(land: &mut Land) -> Result<Said> {
    let (relay, at_box) = (land.relay()?, land.at_box()?);
    differ(&mut land.maker, 5, &relay, &at_box)?;
    let mut talk = Talk::begin((BOX, &at_box), (RELAY, &relay))?;
    let said = talk.said();
    // The relay witnesses what it lacked.
    talk.committed(1)?;
    let (a, b) = (held(&land.path("relay"), RELAY)?.0, held(&land.path("box"), BOX)?.0);
    ensure!(a == b, "the repair left {a} and {b} entries");
    Ok(said)
}

/// A cold start over a bad link: the time it takes, and the bytes that went down.
pub(crate) fn over(land: &Land, weather: weather::Weather) -> Result<(Duration, u64)> {
    let (_relay, address) = land.start_relay()?;
    let wire = weather::Wire::open(&address, weather)?;
    let begun = Instant::now();
    let _at_box = land.start_box(&wire.address)?;
    let took = whole(land, begun)?.whole;
    Ok((took, wire.down.bytes.load(Ordering::Relaxed)))
}

/// A cold start that is cut `cuts` times after so long each; the bytes that went down in all.
pub(crate) fn cut(
    land: &Land,
    weather: weather::Weather,
    cuts: usize,
    after: Duration,
) -> Result<u64> {
    let (_relay, address) = land.start_relay()?;
    let wire = weather::Wire::open(&address, weather)?;
    for _ in 0..cuts {
        let at_box = land.start_box(&wire.address)?;
        std::thread::park_timeout(after);
        at_box.cut()?;
    }
    let begun = Instant::now();
    let _at_box = land.start_box(&wire.address)?;
    whole(land, begun)?;
    Ok(wire.down.bytes.load(Ordering::Relaxed))
}

/// Entries a second that a relay admits from three boxes at once, on disk and derived.
pub(crate) fn ingest(cases: usize) -> Result<(f64, usize)> {
    let mut land = Land::found()?;
    let relay = super::county::replica(RELAY, &land.path("relay"), Guard::child())?;
    let all = of_the_villages(&mut land.maker, cases)?;
    let count: usize = all.iter().map(|load| load.entries.len()).sum();
    for load in &all {
        introduce(&relay, load.device)?;
    }
    let begun = Instant::now();
    std::thread::scope(|scope| -> Result<()> {
        let each = all.iter().map(|load| {
            let relay = &relay;
            scope.spawn(move || give(relay, load))
        });
        for thread in each.collect::<Vec<_>>() {
            thread.join().map_err(|_| anyhow::anyhow!("a box broke off"))??;
        }
        Ok(())
    })?;
    Ok((count as f64 / begun.elapsed().as_secs_f64(), count))
}

/// So many entries in a batch, as a box sends them when it has much.
const BATCH: usize = 200;

fn give(relay: &Replica, load: &Load) -> Result<()> {
    let peer: PeerInfo = super::county::peer(relay, load.device)?;
    let mut upto = 0;
    for batch in load.entries.chunks(BATCH) {
        upto += batch.len() as u64;
        let admitted = Port::store(relay, &peer, &load.scope, upto, batch)?;
        ensure!(admitted.refused + admitted.quarantined == 0, "{admitted:?}");
    }
    Ok(())
}

/// The memory of a relay alone, and with so many boxes connected. MiB.
pub(crate) fn crowded(count: u16) -> Result<(f64, f64)> {
    let land = Land::found_with(count)?;
    let (relay, address) = land.start_relay()?;
    // One box has been there: what is made once is made.
    drop(land.start_crowd(1, &address)?);
    let before = relay.resident()?;
    let crowd = land.start_crowd(count, &address)?;
    let with = relay.resident()?;
    drop(crowd);
    Ok((before, with))
}

/// The most memory a box needs that holds so many cases, while it gets `new` more.
pub(crate) fn memory(land: &mut Land, new: usize) -> Result<f64> {
    land.add_at_relay(new)?;
    let (_relay, address) = land.start_relay()?;
    let at_box: Program = land.start_box(&address)?;
    whole(land, Instant::now())?;
    Ok(at_box.used()?.rss)
}
