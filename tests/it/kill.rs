//! Power cuts of processes: whatever was shown to somebody is still there, and whole.

use cunkou_tests::agent::{Agent, Dice, Filed, Papers};
use cunkou_tests::at_rest;
use cunkou_tests::county::{County, Node, until};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

const ITEM: &str = "S1-gaoling";

pub(crate) fn number_from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The process that runs with exactly this command line.
fn pid_of(node: &Node) -> Option<Pid> {
    let wanted: Vec<u8> = node.argv.iter().flat_map(|a| [a.as_bytes(), b"\0"].concat()).collect();
    std::fs::read_dir("/proc").ok()?.flatten().find_map(|process| {
        let pid: i32 = process.file_name().to_str()?.parse().ok()?;
        let line = std::fs::read(process.path().join("cmdline")).ok()?;
        (line == wanted).then(|| Pid::from_raw(pid)).flatten()
    })
}

/// What SQLite says of a copy of the database as the killed process left it.
fn integrity(county: &County, node: &str) -> String {
    let folder = &county.data(node);
    let copy = tempfile::tempdir().expect("a folder");
    for name in ["work.db", "work.db-wal", "open.db", "open.db-wal", "machine.key", "county.sealed"]
    {
        let from = folder.join(name);
        if from.exists() {
            std::fs::copy(from, copy.path().join(name)).expect("a copy");
        }
    }
    let db = at_rest::database(&county.data("relay"), copy.path()).expect("a database");
    db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("an answer")
}

fn agent(county: &County, login: &str) -> anyhow::Result<Agent> {
    let person = county.person(login);
    Agent::sign_in(county.url(&person.node), login, &person.pin)
}

/// Everything that was promised of a shown case.
fn look_at(agent: &Agent, filed: &Filed) -> anyhow::Result<()> {
    let number = agent.number(&filed.case)?;
    anyhow::ensure!(number == filed.number, "{number} instead of {}", filed.number);
    anyhow::ensure!(agent.receipt(&filed.case)?, "{number}: no receipt");
    let photos = agent.whole_photos(&filed.case)?;
    anyhow::ensure!(photos == filed.photos, "{number}: {photos} of {} photos", filed.photos);
    Ok(())
}

/// Files cases until told to stop; what was shown is noted when its receipt has arrived.
fn file_cases(
    county: &County,
    stop: &AtomicBool,
    shown: &Mutex<Vec<Filed>>,
    seed: u64,
    width: u32,
) {
    let mut papers = Papers::New(Dice::new(seed), width, width * 3 / 4);
    let (mut people, mut signed_in, mut from) = (Vec::new(), None, 0);
    while !stop.load(Ordering::Relaxed) {
        let mut step = || -> anyhow::Result<()> {
            if signed_in.is_none() {
                signed_in = Some(agent(county, "li")?);
            }
            let Some(agent) = &signed_in else { return Ok(()) };
            if people.is_empty() {
                people = agent.residents(from)?;
                from += people.len();
            }
            let Some(resident) = people.pop() else { return Ok(()) };
            let filed = agent.file(&resident, ITEM, &mut papers)?;
            if agent.receipt(&filed.case)? {
                shown.lock().expect("no panic").push(filed);
            }
            Ok(())
        };
        if step().is_err() {
            // The box is down, or the session went with it.
            signed_in = None;
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }
}

/// By scope, the entries that count on a node, with their bytes.
type Held = BTreeMap<String, BTreeSet<(Vec<u8>, Vec<u8>)>>;

fn held(county: &County, node: &str) -> anyhow::Result<Held> {
    let db = at_rest::database(&county.data("relay"), &county.data(node))?;
    let sql = "SELECT log.scope, entry.id, entry.bytes FROM log JOIN entry USING(pos)
        WHERE entry.state = 0";
    let mut rows = db.prepare(sql)?;
    let rows = rows.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?;
    let mut held = Held::new();
    for row in rows {
        let (scope, entry) = row?;
        held.entry(scope).or_default().insert(entry);
    }
    Ok(held)
}

/// Every machine holds of its scopes what the relay holds, to the byte.
pub(crate) fn all_hold_the_same(county: &County) -> anyhow::Result<()> {
    let relay = held(county, "relay")?;
    for node in ["township", "village1", "village2"] {
        for (scope, entries) in held(county, node)? {
            let of_relay = relay.get(&scope).cloned().unwrap_or_default();
            let (here, there) = (entries.len(), of_relay.len());
            anyhow::ensure!(
                entries == of_relay,
                "{scope}: {node} has {here}, the relay {there}, and they are not the same"
            );
        }
    }
    Ok(())
}

/// A county at work, and `kill -9` of a box or the relay at random moments; then everybody must have
/// everything. `seconds` is how long everything may take to arrive.
pub(crate) fn cut_at_random(county: &County, rounds: u64, seed: u64, width: u32, seconds: u64) {
    let mut dice = Dice::new(seed);
    let (stop, shown) = (AtomicBool::new(false), Mutex::new(Vec::<Filed>::new()));
    let count = || shown.lock().expect("no panic").len();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| file_cases(county, &stop, &shown, seed, width));
        // A failed check ends the filing, too: else the scope would wait for ever.
        struct Stop<'a>(&'a AtomicBool);
        impl Drop for Stop<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let _stop = Stop(&stop);
        let mut checked = 0;
        for round in 1..=rounds {
            let victim = *dice.one_of(&["village1", "village1", "relay"]);
            let wait = Duration::from_millis(dice.below(1500));
            let before = count();
            until("a case that is shown", 120, || (count() > before).then_some(()))
                .expect("filing");
            let strike = Instant::now() + wait;
            until("the moment", 3, || (Instant::now() >= strike).then_some(())).expect("a clock");
            let pid = pid_of(county.node(victim)).expect("a running node");
            kill_process(pid, Signal::KILL).expect("it was killed");
            until("its end", 10, || pid_of(county.node(victim)).is_none().then_some(()))
                .expect("it ended");
            let promised = shown.lock().expect("no panic").clone();
            assert_eq!(integrity(county, victim), "ok", "round {round}: {victim}");
            county.start_node(victim).expect("it starts again");
            let agent = agent(county, "li").expect("li signs in");
            for filed in &promised[checked..] {
                look_at(&agent, filed).unwrap_or_else(|e| panic!("round {round}: {e:#}"));
            }
            println!(
                "round {round}: {victim} after {} ms, {} receipts shown so far",
                wait.as_millis(),
                promised.len()
            );
            // The last ones are looked at again after the next cut.
            checked = promised.len().saturating_sub(3);
        }
    });
    let shown = shown.into_inner().expect("no panic");
    println!("{} receipts shown in {:.0} s", shown.len(), begun.elapsed().as_secs_f32());
    let numbers: BTreeSet<&str> = shown.iter().map(|f| f.number.as_str()).collect();
    assert_eq!(numbers.len(), shown.len(), "numbers are unique");
    for name in ["village1", "village2", "township"] {
        until("nothing unsent", seconds, || {
            let status = county.status(name).ok()?;
            (status["unsent"]["entries"] == 0).then_some(())
        })
        .unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    for login in ["li", "wang", "zhao"] {
        let agent = agent(county, login).expect("they sign in");
        for filed in &shown {
            let mut why = None;
            until("the case with its photos", seconds, || match look_at(&agent, filed) {
                Ok(()) => Some(()),
                Err(error) => {
                    why = Some(error);
                    None
                }
            })
            .unwrap_or_else(|e| panic!("{login}: {}: {e}: {why:?}", filed.number));
        }
    }
    until("all stores hold the same", seconds, || all_hold_the_same(county).is_ok().then_some(()))
        .unwrap_or_else(|e| panic!("{e}: {:?}", all_hold_the_same(county)));
    for name in ["relay", "township", "village1", "village2"] {
        assert_eq!(county.status(name).expect("a status")["quarantine"], 0, "{name}");
        county.stop(name).expect("it stops");
        assert_eq!(integrity(county, name), "ok", "{name}");
        let db = at_rest::database(&county.data("relay"), &county.data(name)).expect("a database");
        let twice = "SELECT count(*) FROM
            (SELECT number FROM case_row GROUP BY number HAVING count(*) > 1)";
        let twice: u64 = db.query_row(twice, [], |row| row.get(0)).expect("an answer");
        assert_eq!(twice, 0, "numbers given twice, drafts among them, as {name} knows them");
        let wanted = "SELECT count(*) FROM attachment WHERE state = 0";
        let wanted: u64 = db.query_row(wanted, [], |row| row.get(0)).expect("an answer");
        println!("{name}: {wanted} attachments still wanted");
    }
}

#[test]
fn after_kill_nine_of_box_or_relay_at_random_moments_every_shown_receipt_exists_and_every_photo_is_whole()
 {
    let rounds = number_from_env("CUNKOU_KILL_ROUNDS").unwrap_or(6);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    let seed = number_from_env("CUNKOU_KILL_SEED").unwrap_or(now.as_secs());
    println!("CUNKOU_KILL_SEED={seed} CUNKOU_KILL_ROUNDS={rounds}");
    let county = County::start().expect("a county");
    cut_at_random(&county, rounds, seed, 640, 120);
}
