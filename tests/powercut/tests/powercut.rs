//! A box and a relay at work, and the power cut at any moment: nothing that somebody was told is
//! lost, and no disk is left that the store cannot open.
//!
//! `CUNKOU_POWERCUT_SEED` chooses the work and the cuts, `CUNKOU_POWERCUT_CUTS` how many cuts of
//! each store, `CUNKOU_POWERCUT_AT` one cut alone, as a failure prints it.
#![allow(missing_docs)]

#[path = "../../../sync/replica/tests/county/mod.rs"]
mod county;
#[path = "held/mod.rs"]
mod held;
#[path = "work/mod.rs"]
mod work;

use cunkou_powercut::{Chance, Disk, Op, Syncs, watch};
use held::{Loss, Machine};
use std::collections::BTreeMap;
use std::path::Path;
use tempfile::TempDir;
use work::Worked;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn seed() -> u64 {
    number("CUNKOU_POWERCUT_SEED", 20_261_122)
}

/// Images lie in memory where there is such a place: thousands are made.
fn image_folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
    made.expect("a folder")
}

/// Where to cut: anywhere, and often beside what orders things on a disk.
fn places(ops: &[Op], chance: &mut Chance, count: usize) -> Vec<usize> {
    let turns: Vec<usize> = ops
        .iter()
        .enumerate()
        .filter(|(_, op)| !matches!(op, Op::Write(..)))
        .map(|(at, _)| at)
        .collect();
    let mut places: Vec<usize> = (0..count)
        .map(|_| {
            if chance.percent(60) {
                chance.below(ops.len() + 1)
            } else {
                (turns[chance.below(turns.len())] + chance.below(5)).saturating_sub(2)
            }
        })
        .map(|at| at.min(ops.len()))
        .collect();
    places.sort_unstable();
    places
}

#[derive(Debug, Default)]
struct Tally {
    cuts: usize,
    corrupt: usize,
    lost: usize,
    /// How to see the first of them again.
    first: Option<String>,
}

impl Tally {
    fn add(&mut self, place: &str, loss: Option<Loss>) {
        self.cuts += 1;
        let Some(loss) = loss else { return };
        let words = match loss {
            Loss::Corrupt(words) => {
                self.corrupt += 1;
                words
            }
            Loss::Lost(words) => {
                self.lost += 1;
                words
            }
        };
        self.first.get_or_insert_with(|| {
            format!("CUNKOU_POWERCUT_SEED={} CUNKOU_POWERCUT_AT={place}: {words}", seed())
        });
    }
}

/// Cuts one machine's disk at many places and looks at what is left.
fn cut(machine: &Machine, worked: &Worked, count: usize, written_back: Option<usize>) -> Tally {
    let ops = &worked.ops[machine.index];
    let only = std::env::var("CUNKOU_POWERCUT_AT").ok();
    let number = |text: &str| text.parse().expect("a number");
    // Each with how many cuts were made at the same place before it.
    let places: Vec<(usize, usize)> =
        match only.as_deref().map(|o| o.split(':').collect::<Vec<_>>()) {
            Some(parts) if parts[0] == machine.name => vec![(number(parts[1]), number(parts[2]))],
            Some(_) => vec![],
            None => {
                let all = places(ops, &mut Chance::of(seed(), machine.name), count);
                let before =
                    |n: usize| all[..n].iter().rev().take_while(|at| **at == all[n]).count();
                (0..all.len()).map(|n| (all[n], before(n))).collect()
            }
        };
    let start = || {
        let disk = Disk::with(worked.before[machine.index].clone());
        match written_back {
            Some(operations) => disk.written_back_after(operations),
            None => disk,
        }
    };
    let mut tally = Tally::default();
    let (mut disk, mut played, mut told) = (start(), 0, 0);
    for (at, before) in places {
        for op in &ops[played..at] {
            if let Op::Mark(number) = op {
                told = *number;
            }
            disk.play(op);
        }
        played = at;
        let place = format!("{}:{at}:{before}", machine.name);
        let mut chance = Chance::of(seed(), &place);
        let folder = image_folder();
        disk.cut(&mut chance, folder.path()).expect("written");
        let again = written_back.is_none() && chance.percent(5);
        let image = again.then(|| files(folder.path()));
        let recovery = again.then(|| watch(folder.path(), Syncs::Kept));
        let loss = machine.look(folder.path(), &worked.told[told], worked, chance.percent(10));
        tally.add(&place, loss.err());
        // The power fails again while the machine comes back.
        if let (Some(image), Some(recovery)) = (image, recovery) {
            let ops = recovery.end();
            let mut disk = Disk::with(image);
            ops[..chance.below(ops.len() + 1)].iter().for_each(|op| disk.play(op));
            let folder = image_folder();
            disk.cut(&mut chance, folder.path()).expect("written");
            let loss = machine.look(folder.path(), &worked.told[told], worked, false);
            tally.add(&place, loss.err());
        }
    }
    tally
}

pub(crate) fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = std::fs::read_dir(folder).expect("readable").map(|file| file.expect("a file"));
    files
        .filter(|file| file.path().is_file() && !file.path().ends_with("work.db-shm"))
        .map(|file| {
            let bytes = std::fs::read(file.path()).expect("readable");
            (file.file_name().to_string_lossy().into_owned(), bytes)
        })
        .collect()
}

fn all(worked: &Worked, count: usize, written_back: Option<usize>) -> [Tally; 2] {
    std::thread::scope(|scope| {
        let machines = [Machine::RELAY, Machine::VILLAGE];
        let cuts =
            machines.map(|machine| scope.spawn(move || cut(&machine, worked, count, written_back)));
        cuts.map(|cut| cut.join().expect("no panic"))
    })
}

#[test]
fn a_cut_at_any_moment_leaves_a_store_that_opens_with_everything_that_was_acknowledged() {
    let worked = work::done(seed(), 250, Syncs::Kept);
    let count = number("CUNKOU_POWERCUT_CUTS", 1000) as usize;
    let tallies = all(&worked, count, None);
    println!(
        "seed {}: {} and {} operations; {tallies:?}",
        seed(),
        worked.ops[0].len(),
        worked.ops[1].len()
    );
    for tally in &tallies {
        assert_eq!(tally.first, None, "{tally:?}");
        assert_eq!((tally.corrupt, tally.lost), (0, 0));
    }
    let alone = std::env::var("CUNKOU_POWERCUT_AT").is_ok();
    assert!(alone || tallies.iter().map(|tally| tally.cuts).sum::<usize>() >= 2 * count);
}

/// The file system answers every wish to sync with yes and forgets it: what SQLite asks of the
/// disk is then what it asks under `synchronous=OFF`, and the store itself stays as it is.
#[test]
fn a_store_that_does_not_sync_is_caught_corrupt_and_with_losses() {
    let worked = work::done(seed(), 120, Syncs::Dropped);
    let synced = |ops: &[Op]| ops.iter().any(|op| matches!(op, Op::Sync(_) | Op::Delete(_, true)));
    assert!(!worked.ops.iter().any(|ops| synced(ops)));
    let tallies = all(&worked, 200, Some(400));
    println!("seed {}, without syncs: {tallies:?}", seed());
    let sum = |of: fn(&Tally) -> usize| tallies.iter().map(of).sum::<usize>();
    assert!(sum(|tally| tally.lost) > 0, "acknowledged entries are missed");
    assert!(sum(|tally| tally.corrupt) > 0, "damaged databases are found");
    assert!(sum(|tally| tally.lost + tally.corrupt) * 2 > sum(|tally| tally.cuts));
}
