//! What is on a disk, what is on its way there, and what a cut leaves of it.

use crate::{Chance, Op};
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

/// What a disk writes as a whole or not at all. Bytes.
const SECTOR: u64 = 512;

/// One file, under whatever name.
#[derive(Debug, Default)]
struct Content {
    /// What no cut takes.
    durable: Vec<u8>,
    /// What was done since, each with the number of its operation.
    pending: VecDeque<(usize, Change)>,
}

#[derive(Debug)]
enum Change {
    Write(u64, Vec<u8>),
    Truncate(u64),
}

#[derive(Debug)]
enum Naming {
    Made(String, usize),
    Removed(String),
}

/// A folder on a disk.
#[derive(Debug, Default)]
pub struct Disk {
    files: Vec<Content>,
    /// The names as SQLite sees them.
    names: BTreeMap<String, usize>,
    /// The names that no cut takes.
    durable: BTreeMap<String, usize>,
    pending: VecDeque<(usize, Naming)>,
    played: usize,
    /// After so many operations the system has written something by itself.
    written_back: Option<usize>,
}

impl Disk {
    /// A disk with these files on it.
    #[must_use]
    pub fn with(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        let mut disk = Self::default();
        for (name, durable) in files {
            disk.names.insert(name.clone(), disk.files.len());
            disk.durable.insert(name, disk.files.len());
            disk.files.push(Content { durable, ..Content::default() });
        }
        disk
    }

    /// The same disk in a system that writes things down by itself after so many operations:
    /// without it, what was never synced would never be there.
    #[must_use]
    pub fn written_back_after(mut self, operations: usize) -> Self {
        self.written_back = Some(operations);
        self
    }

    /// One more operation.
    pub fn play(&mut self, op: &Op) {
        self.played += 1;
        let now = self.played;
        match op {
            Op::Create(name) => {
                let file = self.files.len();
                self.files.push(Content::default());
                self.names.insert(name.clone(), file);
                self.pending.push_back((now, Naming::Made(name.clone(), file)));
            }
            Op::Write(name, at, bytes) => {
                let change = Change::Write(*at, bytes.clone());
                self.file(name).pending.push_back((now, change));
            }
            Op::Truncate(name, to) => {
                self.file(name).pending.push_back((now, Change::Truncate(*to)));
            }
            Op::Sync(name) => {
                self.file(name).settle(usize::MAX);
                // A journalling file system brings earlier names to the disk with any file.
                self.name(usize::MAX);
            }
            Op::Delete(name, synced) => {
                self.names.remove(name);
                self.pending.push_back((now, Naming::Removed(name.clone())));
                if *synced {
                    self.name(usize::MAX);
                }
            }
            Op::Mark(_) => {}
        }
        if let Some(operations) = self.written_back {
            let old = now.saturating_sub(operations);
            for file in &mut self.files {
                file.settle(old);
            }
            self.name(old);
        }
    }

    fn file(&mut self, name: &str) -> &mut Content {
        let file = *self.names.entry(name.to_owned()).or_insert_with(|| {
            self.files.push(Content::default());
            self.files.len() - 1
        });
        &mut self.files[file]
    }

    /// Names up to an operation are on the disk.
    fn name(&mut self, upto: usize) {
        while self.pending.front().is_some_and(|(at, _)| *at <= upto) {
            if let Some((_, naming)) = self.pending.pop_front() {
                apply(&mut self.durable, &naming);
            }
        }
    }

    /// Puts what a cut now may leave into a folder.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn cut(&self, chance: &mut Chance, folder: &Path) -> std::io::Result<()> {
        // Names reach a journalling file system in their order.
        let mut names = self.durable.clone();
        let kept = chance.below(self.pending.len() + 1);
        for (_, naming) in self.pending.iter().take(kept) {
            apply(&mut names, naming);
        }
        // Some cuts take nearly everything, some nearly nothing, most tear.
        let percent = [0, 10, 50, 50, 90, 100][chance.below(6)];
        for (name, file) in &names {
            let bytes = self.files[*file].torn(chance, percent);
            std::fs::write(folder.join(name), bytes)?;
        }
        Ok(())
    }
}

fn apply(names: &mut BTreeMap<String, usize>, naming: &Naming) {
    match naming {
        Naming::Made(name, file) => {
            names.insert(name.clone(), *file);
        }
        Naming::Removed(name) => {
            names.remove(name);
        }
    }
}

fn put(into: &mut Vec<u8>, at: u64, bytes: &[u8]) {
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    let end = at.saturating_add(bytes.len());
    if into.len() < end {
        into.resize(end, 0);
    }
    into[at..end].copy_from_slice(bytes);
}

impl Content {
    /// Changes up to an operation are on the disk.
    fn settle(&mut self, upto: usize) {
        while self.pending.front().is_some_and(|(at, _)| *at <= upto) {
            match self.pending.pop_front() {
                Some((_, Change::Write(at, bytes))) => put(&mut self.durable, at, &bytes),
                Some((_, Change::Truncate(to))) => self.durable.truncate(length(to)),
                None => return,
            }
        }
    }

    /// What is left when each sector that was not synced is kept so many times in a hundred.
    fn torn(&self, chance: &mut Chance, percent: usize) -> Vec<u8> {
        let mut out = self.durable.clone();
        for (_, change) in &self.pending {
            match change {
                Change::Truncate(to) => {
                    if chance.percent(percent) {
                        out.truncate(length(*to));
                    }
                }
                Change::Write(at, bytes) => {
                    let (mut at, mut rest) = (*at, bytes.as_slice());
                    while !rest.is_empty() {
                        let room = length(SECTOR - at % SECTOR);
                        let (part, next) = rest.split_at(room.min(rest.len()));
                        if chance.percent(percent) {
                            put(&mut out, at, part);
                        }
                        at += part.len() as u64;
                        rest = next;
                    }
                }
            }
        }
        out
    }
}

fn length(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(disk: &Disk, seed: u64) -> BTreeMap<String, Vec<u8>> {
        let folder = tempfile::TempDir::new().expect("a folder");
        disk.cut(&mut Chance::of(seed, "cut"), folder.path()).expect("written");
        let files = std::fs::read_dir(folder.path()).expect("readable").map(|file| {
            let file = file.expect("a file");
            let bytes = std::fs::read(file.path()).expect("readable");
            (file.file_name().to_string_lossy().into_owned(), bytes)
        });
        files.collect()
    }

    #[test]
    fn what_was_synced_is_there_after_every_cut_and_what_was_not_is_torn_by_sectors() {
        let mut disk = Disk::with([("db".to_owned(), vec![1; 2048])]);
        disk.play(&Op::Write("db".into(), 0, vec![2; 1024]));
        disk.play(&Op::Sync("db".into()));
        disk.play(&Op::Write("db".into(), 256, vec![3; 1024]));
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..300 {
            let bytes = left(&disk, seed).remove("db").expect("here");
            assert_eq!(bytes[..256], [2; 256]);
            assert_eq!(bytes[1280..], [1; 768]);
            // Unaligned: three pieces, each as a whole.
            let pieces = [256..512, 512..1024, 1024..1280].map(|piece| {
                let first = bytes[piece.start];
                assert!(bytes[piece].iter().all(|byte| *byte == first));
                first == 3
            });
            seen.insert(pieces);
        }
        assert_eq!(seen.len(), 8, "every mixture comes up");
    }

    #[test]
    fn names_are_as_before_or_as_now_until_something_is_synced() {
        let mut disk = Disk::with([("wal".to_owned(), vec![7])]);
        disk.play(&Op::Delete("wal".into(), false));
        disk.play(&Op::Create("journal".into()));
        let names = |disk: &Disk| -> std::collections::BTreeSet<Vec<String>> {
            (0..60).map(|seed| left(disk, seed).into_keys().collect()).collect()
        };
        let may_be: [Vec<String>; 3] = [vec![], vec!["journal".into()], vec!["wal".into()]];
        assert_eq!(names(&disk), may_be.into());
        disk.play(&Op::Sync("journal".into()));
        assert_eq!(names(&disk), [vec!["journal".to_owned()]].into());
    }

    #[test]
    fn what_nobody_synced_is_written_back_after_a_while_and_not_before() {
        let mut disk = Disk::with([("db".to_owned(), vec![1])]).written_back_after(2);
        disk.play(&Op::Write("db".into(), 0, vec![2]));
        let may_be = |disk: &Disk| -> std::collections::BTreeSet<Vec<u8>> {
            (0..60).map(|seed| left(disk, seed).remove("db").expect("here")).collect()
        };
        assert_eq!(may_be(&disk), [vec![1], vec![2]].into());
        disk.play(&Op::Mark(0));
        disk.play(&Op::Mark(1));
        assert_eq!(may_be(&disk), [vec![2]].into());
    }
}
