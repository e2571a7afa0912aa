//! A real replica over SQLite in a temporary folder, as a disk of the world.

use crate::county::*;
use cunkou_casework::entry::Entry;
use cunkou_casework::ids::{PlaceId, Scope, SubjectId};
use cunkou_engine::{Part, Port, PortError};
use cunkou_replica::Replica;
use cunkou_store::{EntryState, StoreError};
use cunkou_world::{Disk, Held, Id, Made, Rng, sum};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

/// A machine of the county.
pub(crate) struct Real {
    station: Station,
    scopes: Vec<String>,
    /// So far its own work was told to the world.
    told: BTreeMap<String, u64>,
}

fn copy(from: &Path, to: &Path) {
    for file in std::fs::read_dir(from).expect("a folder") {
        let file = file.expect("a file");
        let into = to.join(file.file_name());
        if file.path().is_dir() {
            std::fs::create_dir(&into).expect("a folder");
            copy(&file.path(), &into);
        } else {
            std::fs::copy(file.path(), into).expect("copied");
        }
    }
}

/// The relay, the township and two villages, enrolled.
pub(crate) fn county() -> [Real; 4] {
    let County { relay, centre, yunling, longtan } = County::founded();
    [relay, centre, yunling, longtan].map(Real::new)
}

/// What machines say of every case must be the same wherever it is held. Returns how many cases.
pub(crate) fn agree<'a>(disks: impl Iterator<Item = &'a Real>, seed: u64) -> usize {
    let mut said_of: BTreeMap<[u8; 16], (u8, Said)> = BTreeMap::new();
    for disk in disks {
        for case in disk.cases(&disk.scopes) {
            let here = said(&disk.station, case).expect("a case that is held");
            match said_of.get(&case.0) {
                None => drop(said_of.insert(case.0, (disk.station.n, here))),
                Some((other, there)) => {
                    assert_eq!(*there, here, "SEED={seed}: {other} and {}", disk.station.n);
                }
            }
        }
    }
    said_of.len()
}

impl Real {
    fn new(station: Station) -> Self {
        let places: Vec<PlaceId> = match station.n {
            RELAY | CENTRE => vec![YUNLING, LONGTAN],
            BOX_YUNLING => vec![YUNLING],
            _ => vec![LONGTAN],
        };
        let upward_of = match station.n {
            RELAY => vec![CENTRE, BOX_YUNLING, BOX_LONGTAN],
            n => vec![n],
        };
        let mut scopes = vec![Scope::System.to_string()];
        scopes.extend(upward_of.into_iter().map(upward));
        scopes.extend(places.iter().map(|p| Scope::Place(*p).to_string()));
        Self { station, scopes, told: BTreeMap::new() }
    }

    fn log(&self, scope: &str, after: u64) -> Vec<Entry> {
        let head = self.station.head(scope);
        let read = self.station.store().read(|view| -> Result<_, StoreError> {
            view.log_part(&Part::behind(scope, after, usize::MAX), i64::MIN, head)
        });
        let (_, entries) = read.expect("the store works");
        entries.iter().map(|bytes| Entry::decode(bytes).expect("an entry")).collect()
    }

    fn cases(&self, scopes: &[String]) -> Vec<SubjectId> {
        let places = scopes.iter().filter(|scope| scope.starts_with("place"));
        let subjects: BTreeSet<[u8; 16]> =
            places.flat_map(|s| self.log(s, 0)).map(|e| e.subject().0).collect();
        let subjects = subjects.into_iter().map(SubjectId);
        subjects.filter(|case| self.station.row(*case).is_some()).collect()
    }
}

impl Disk for Real {
    type Image = Arc<TempDir>;

    fn port(&self) -> &dyn Port {
        let replica: &Replica = &self.station;
        replica
    }

    fn key(&self) -> [u8; 32] {
        secret(self.station.n).public().0
    }

    fn id_of(bytes: &[u8]) -> Option<Id> {
        Entry::decode(bytes).ok().map(|entry| entry.id().0)
    }

    fn work(&mut self, scope: &str, rng: &mut Rng) -> Result<(), PortError> {
        let cases = self.cases(&[scope.to_owned()]);
        let (who, place) = match self.station.n {
            CENTRE => (CLERK, YUNLING),
            BOX_YUNLING => (AGENT_YUNLING, YUNLING),
            _ => (AGENT_LONGTAN, LONGTAN),
        };
        let value = format!("139{:08}", rng.below(100_000_000));
        if !cases.is_empty() && rng.percent(60) {
            let case = cases[rng.index(cases.len())];
            self.station.save(who, case, &phone(&value));
        } else if who != CLERK {
            let case = self.station.open_case(who, place);
            self.station.save(who, case, &phone(&value));
        }
        Ok(())
    }

    fn news(&mut self) -> Vec<Made> {
        let mut made = Vec::new();
        for scope in self.scopes.clone() {
            let told = self.told.insert(scope.clone(), self.station.head(&scope)).unwrap_or(0);
            let own = device_id(self.station.n);
            for entry in self.log(&scope, told).iter().filter(|e| e.header().device == own) {
                let bytes = entry.encode();
                let (id, scope) = (entry.id().0, scope.clone());
                made.push(Made { id, scope, sum: sum(&bytes), bytes: bytes.len() as u64 });
            }
        }
        made
    }

    fn held(&self) -> BTreeMap<Id, Held> {
        let mut held = BTreeMap::new();
        for scope in &self.scopes {
            for entry in self.log(scope, 0) {
                let state = self.station.state_of(entry.id()).expect("it is in the log").0;
                let counts = state == EntryState::Good;
                let sum = sum(&entry.encode());
                held.insert(entry.id().0, Held { scope: scope.clone(), counts, sum });
            }
        }
        held
    }

    fn cut(&mut self, _: &mut Rng) {
        self.station.off();
    }

    fn start(&mut self, _: &mut Rng) {
        self.station.restart();
        self.told = self.scopes.iter().map(|s| (s.clone(), self.station.head(s))).collect();
    }

    fn image(&self) -> Arc<TempDir> {
        let folder = TempDir::new().expect("a folder");
        copy(self.station.folder.path(), folder.path());
        Arc::new(folder)
    }

    fn restore(&mut self, image: &Arc<TempDir>, new_epoch: bool, rng: &mut Rng) {
        self.station.off();
        let folder = self.station.folder.path();
        for file in std::fs::read_dir(folder).expect("a folder") {
            let file = file.expect("a file").path();
            let gone = if file.is_dir() {
                std::fs::remove_dir_all(file)
            } else {
                std::fs::remove_file(file)
            };
            gone.expect("removed");
        }
        copy(image.path(), folder);
        self.station.on();
        if new_epoch {
            let epoch = rng.id();
            let set = self.station.store().write(|tx| tx.set_meta("epoch", &epoch));
            set.map_err(|e: StoreError| e).expect("the store works");
        }
    }

    fn copied(&self, rng: &mut Rng) -> Self {
        let station = Station::new(self.station.n);
        // Another machine draws other numbers.
        for _ in 0..rng.within(10_000, 20_000) {
            station.draw(&mut [0; 1]);
        }
        let mut copy = Self::new(station);
        copy.restore(&self.image(), false, rng);
        copy
    }

    fn jump(&mut self, ms: i64) {
        self.station.wait_days(ms / 86_400_000);
    }
}
