//! What a village box and its relay do while their disks are watched.

use crate::county::{
    AGENT_YUNLING, CLERK, County, LONGTAN, REVIEWER, Station, Talk, YUNLING, accepted, phone,
    submitted,
};
use crate::files;
use cunkou_casework::document::{Section, Write};
use cunkou_casework::event::Step;
use cunkou_casework::ids::{Scope, SubjectId};
use cunkou_engine::{Part, Port};
use cunkou_powercut::{Chance, Op, Recording, Syncs, watch};
use cunkou_store::StoreError;
use std::collections::BTreeMap;

/// What one machine had told somebody at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    /// All its entries up to this position.
    pub(crate) entries: u64,
    /// By peer and scope: how far it has read, and how far it was read.
    pub(crate) reached: BTreeMap<([u8; 16], String), (u64, u64)>,
    /// Cases that have rows.
    pub(crate) cases: usize,
}

/// The work and its record. Two machines: the relay, the village box.
pub(crate) struct Worked {
    pub(crate) before: [BTreeMap<String, Vec<u8>>; 2],
    pub(crate) ops: [Vec<Op>; 2],
    pub(crate) told: Vec<[Told; 2]>,
    /// Names of all entries, by position.
    pub(crate) entries: [BTreeMap<u64, [u8; 32]>; 2],
    /// Logs of everybody: by device and scope, names in order.
    pub(crate) logs: BTreeMap<([u8; 16], String), Vec<[u8; 32]>>,
    pub(crate) cases: Vec<SubjectId>,
}

struct Shift {
    county: County,
    recordings: [Recording; 2],
    told: Vec<[Told; 2]>,
    cases: Vec<SubjectId>,
}

fn scopes() -> Vec<String> {
    let mut scopes = vec![Scope::System.to_string()];
    scopes.extend([YUNLING, LONGTAN].map(|place| Scope::Place(place).to_string()));
    scopes
}

fn told(station: &Station, cases: usize) -> Told {
    let read = station.store().read(|view| -> Result<Told, StoreError> {
        let mut told = Told { entries: view.entry_count()?, cases, ..Told::default() };
        for peer in view.peers()? {
            for scope in scopes() {
                let reached = (view.cursor(peer.id, &scope)?, view.acked(peer.id, &scope)?);
                told.reached.insert((peer.device, scope), reached);
            }
        }
        Ok(told)
    });
    read.expect("the store works")
}

impl Shift {
    fn mark(&mut self) {
        let machines = [&self.county.relay, &self.county.yunling];
        let cases = [
            self.cases.iter().filter(|case| self.county.relay.row(**case).is_some()).count(),
            self.cases.len(),
        ];
        self.told.push([told(machines[0], cases[0]), told(machines[1], cases[1])]);
        self.recordings.iter().for_each(|recording| recording.mark(self.told.len() - 1));
    }

    /// One conversation of the relay, part by part; some are cut before the acknowledgement.
    fn talk(&mut self, village: bool, chance: &mut Chance) {
        let breaks = chance.percent(30);
        let scopes = {
            let other = if village { &self.county.yunling } else { &self.county.centre };
            Talk::begin(&self.county.relay, other).scopes()
        };
        self.mark();
        for scope in scopes {
            for way in 0..2 {
                loop {
                    let other = if village { &self.county.yunling } else { &self.county.centre };
                    let talk = Talk::begin(&self.county.relay, other);
                    let stop = breaks && chance.percent(20);
                    let more = talk.part(way, &scope, 4096, if stop { 2 } else { 0 });
                    self.mark();
                    if !more || stop {
                        break;
                    }
                }
            }
        }
        let other = if village { &self.county.yunling } else { &self.county.centre };
        self.county.relay.completed(&self.county.relay.peer(other)).expect("completed");
    }

    fn act(&mut self, chance: &mut Chance) {
        let some = |cases: &[SubjectId], chance: &mut Chance| {
            (!cases.is_empty()).then(|| cases[chance.below(cases.len())])
        };
        let case = some(&self.cases, chance);
        match (chance.below(100), case) {
            (0..20, _) => {
                let case = self.county.yunling.open_case(AGENT_YUNLING, YUNLING);
                self.cases.push(case);
            }
            (20..45, Some(case)) => {
                let number = chance.below(100_000_000);
                let mut writes = phone(&format!("139{number:08}"));
                let words = "低保申请理由。".repeat(1 + chance.below(60));
                writes.push(Write::set(Section::Form, "reason", words));
                self.county.yunling.save(AGENT_YUNLING, case, &writes);
            }
            // Most of these are refused, as the case stands: then nothing may be written.
            (45..55, Some(case)) => {
                drop(self.county.yunling.step(AGENT_YUNLING, case, submitted()))
            }
            (55..60, Some(case)) => drop(self.county.centre.step(CLERK, case, Step::Taken)),
            (60..65, Some(case)) => {
                let forward = Step::Forwarded { opinion: "属实".into(), term: 2 };
                drop(self.county.centre.step(CLERK, case, forward));
            }
            (65..68, Some(case)) => drop(self.county.relay.step(REVIEWER, case, accepted(2))),
            (68..70, Some(case)) => {
                let withdrawn = Step::Withdrawn { reason: "不办了".into() };
                drop(self.county.yunling.step(AGENT_YUNLING, case, withdrawn));
            }
            (70..84, _) => self.talk(true, chance),
            (84..92, _) => self.talk(false, chance),
            (92..95, _) => {
                self.county.yunling.store().checkpoint().expect("checkpointed");
                self.county.relay.store().checkpoint().expect("checkpointed");
            }
            (95..97, _) => self.county.yunling.restart(),
            (97..98, _) => self.county.relay.restart(),
            (98..99, _) => {
                // However young: the clock does not go on here.
                self.county.yunling.compact(-1, |_| ()).expect("packed");
                self.county.relay.compact(-1, |_| ()).expect("packed");
            }
            (99..100, _) => {
                self.county.yunling.rebuild(|_, _| ()).expect("rebuilt");
                self.county.relay.rebuild(|_, _| ()).expect("rebuilt");
            }
            _ => {}
        }
        self.mark();
    }
}

/// So many things done from a seed.
pub(crate) fn done(seed: u64, acts: usize, syncs: Syncs) -> Worked {
    let mut county = County::founded();
    county.relay.off();
    county.yunling.off();
    let folders = [county.relay.folder.path().to_owned(), county.yunling.folder.path().to_owned()];
    let before = folders.each_ref().map(|folder| files(folder));
    let recordings = folders.each_ref().map(|folder| watch(folder, syncs));
    county.relay.on();
    county.yunling.on();
    let mut shift = Shift { county, recordings, told: vec![<[Told; 2]>::default()], cases: vec![] };
    let mut chance = Chance::of(seed, "work");
    shift.mark();
    for _ in 0..acts {
        shift.act(&mut chance);
    }
    shift.talk(true, &mut chance);
    let Shift { county, recordings, told, cases } = shift;
    let mut logs = BTreeMap::new();
    for station in county.all() {
        for scope in scopes() {
            let device = station.me().device.0;
            logs.insert((device, scope.clone()), log(station, &scope));
        }
    }
    let entries = [&county.relay, &county.yunling].map(|station| {
        let read = station.store().read(|view| -> Result<_, StoreError> {
            let mut entries = BTreeMap::new();
            for id in
                scopes().iter().flat_map(|scope| &logs[&(station.me().device.0, scope.clone())])
            {
                let row = view.entry(id)?.expect("what is in a log is here");
                entries.insert(row.pos, *id);
            }
            Ok(entries)
        });
        read.expect("the store works")
    });
    drop(county);
    let ops = recordings.map(Recording::end);
    Worked { before, ops, told, entries, logs, cases }
}

/// The names in a station's log of a scope.
fn log(station: &Station, scope: &str) -> Vec<[u8; 32]> {
    let read = station.store().read(|view| -> Result<_, StoreError> {
        let head = view.head(scope)?;
        view.log_part(&Part::behind(scope, 0, usize::MAX), -99, head)
    });
    let (_, entries) = read.expect("the store works");
    let id =
        |bytes: Vec<u8>| cunkou_casework::entry::Entry::decode(&bytes).expect("an entry").id().0;
    entries.into_iter().map(id).collect()
}
