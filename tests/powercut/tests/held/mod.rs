//! What is left on a disk after a cut, held against what was said before it.

use crate::county::{BOX_YUNLING, RELAY, membership};
use crate::work::{Told, Worked};
use cunkou_casework::entry::Entry;
use cunkou_engine::Part;
use cunkou_keys::Key;
use cunkou_replica::{Guard, Replica, SystemWorld};
use cunkou_store::{Lock, Store, StoreError, View};
use std::path::Path;
use std::sync::Arc;

/// What a cut took.
#[derive(Debug)]
pub(crate) enum Loss {
    /// The store cannot be opened, or is not whole.
    Corrupt(String),
    /// Somebody was told of it, and it is not there.
    Lost(String),
}

/// A machine whose disk is cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine {
    pub(crate) name: &'static str,
    /// Its place in what was recorded.
    pub(crate) index: usize,
    device: u8,
}

fn corrupt(e: impl std::fmt::Display) -> Loss {
    Loss::Corrupt(e.to_string())
}

impl From<StoreError> for Loss {
    fn from(e: StoreError) -> Self {
        corrupt(e)
    }
}

fn lost(words: String) -> Result<(), Loss> {
    Err(Loss::Lost(words))
}

impl Machine {
    pub(crate) const RELAY: Self = Self { name: "relay", index: 0, device: RELAY };
    pub(crate) const VILLAGE: Self = Self { name: "village", index: 1, device: BOX_YUNLING };

    /// Looks at a disk as a program does that starts on it. `deep` folds every case.
    pub(crate) fn look(
        &self,
        folder: &Path,
        told: &[Told; 2],
        worked: &Worked,
        deep: bool,
    ) -> Result<(), Loss> {
        let told = &told[self.index];
        let store = Store::open(folder, &Lock::Key(Key::of([self.device; 32])))?;
        if let Some(fault) = store.faults()?.first() {
            return Err(corrupt(fault));
        }
        store.read(|view| {
            self.entries(view, told, worked)?;
            self.reached(view, told, worked)
        })?;
        let world = Arc::new(SystemWorld);
        let replica = Replica::on(store, membership(self.device), world, Guard::in_this_process());
        let replica = replica.map_err(corrupt)?;
        for case in &worked.cases[..told.cases] {
            let row = replica.store().read(|view| view.case_row(&case.0))?;
            let Some(row) = row else {
                return lost(format!("case {case:?} has no row"));
            };
            if !deep {
                continue;
            }
            let Some(file) = replica.case(*case)? else {
                return lost(format!("case {case:?} cannot be shown"));
            };
            if file.state.phase.key() != row.phase {
                return lost(format!("the row of case {case:?} is not what its steps make"));
            }
        }
        Ok(())
    }

    fn entries(&self, view: &View<'_>, told: &Told, worked: &Worked) -> Result<(), Loss> {
        let known = &worked.entries[self.index];
        let here = view.entry_count()?;
        if here < told.entries {
            return lost(format!("{} entries were acknowledged, {here} are here", told.entries));
        }
        for (pos, id) in known.range(1..=here) {
            let Some(row) = view.entry(id)? else {
                return lost(format!("entry {pos} is not here"));
            };
            let bytes = Entry::decode(&row.bytes).map_err(corrupt)?;
            if bytes.id().0 != *id || row.pos != *pos {
                return Err(corrupt(format!("entry {pos} is another")));
            }
        }
        Ok(())
    }

    fn reached(&self, view: &View<'_>, told: &Told, worked: &Worked) -> Result<(), Loss> {
        for peer in view.peers()? {
            for ((device, scope), log) in worked.logs.iter().filter(|((d, _), _)| *d == peer.device)
            {
                let cursor = view.cursor(peer.id, scope)?;
                let acked = view.acked(peer.id, scope)?;
                for (seq, id) in log.iter().enumerate().take(cursor as usize) {
                    if view.entry(id)?.is_none() {
                        let seq = seq + 1;
                        return lost(format!("{scope} was read up to {cursor}, {seq} is not here"));
                    }
                }
                let head = view.head(scope)?;
                if acked > head {
                    return Err(corrupt(format!(
                        "{scope} ends at {head}, {acked} were acknowledged"
                    )));
                }
                if view.log_part(&Part::behind(scope, 0, usize::MAX), -99, head)?.1.len() as u64
                    != head
                {
                    return Err(corrupt(format!("the log of {scope} has gaps")));
                }
                let reached = told.reached.get(&(*device, scope.clone())).copied();
                let (read, given) = reached.unwrap_or_default();
                if cursor < read || acked < given {
                    return lost(format!("cursors of {scope} went back"));
                }
            }
        }
        Ok(())
    }
}
