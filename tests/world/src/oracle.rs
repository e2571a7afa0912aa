//! The oracle: plain sets of what was accepted, promised and given.

use crate::disk::{Disk, Held, Id, Made};
use crate::plan::short;
use std::collections::{BTreeMap, BTreeSet};

/// What is known of an entry that an honest machine made.
#[derive(Clone, Debug)]
struct Known {
    scope: String,
    sum: u64,
    bytes: u64,
}

/// A machine when nothing happens any more.
pub(crate) struct AtRest<'a> {
    pub(crate) machine: usize,
    pub(crate) scopes: &'a BTreeSet<String>,
    pub(crate) held: BTreeMap<Id, Held>,
}

/// Plain sets.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    /// All that honest machines ever made, also when the power went before anybody was told.
    known: BTreeMap<Id, Known>,
    /// Somebody was told that it is saved.
    accepted: BTreeSet<Id>,
    /// For each machine what it told others, or people, that it has.
    promised: Vec<BTreeSet<Id>>,
    pub(crate) excused: u64,
}

impl Oracle {
    pub(crate) fn seat(&mut self) {
        self.promised.push(BTreeSet::new());
    }

    /// A machine has made something; `told` when somebody was told so.
    pub(crate) fn made(&mut self, machine: usize, made: Made, told: bool) {
        if told {
            self.accepted.insert(made.id);
            self.promised[machine].insert(made.id);
        }
        let known = Known { scope: made.scope, sum: made.sum, bytes: made.bytes };
        self.known.insert(made.id, known);
    }

    /// A machine is about to acknowledge this entry.
    pub(crate) fn promise(&mut self, machine: usize, id: Id, sum: u64) {
        if self.known.get(&id).is_some_and(|known| known.sum == sum) {
            self.promised[machine].insert(id);
        }
    }

    /// A machine gives an entry to a peer with these scopes.
    pub(crate) fn gives(&self, id: Id, sum: u64, scopes: &BTreeSet<String>) -> Result<(), String> {
        let Some(known) = self.known.get(&id) else {
            return Err(format!("sends {}, which nobody made", short(&id)));
        };
        if known.sum != sum {
            return Err(format!("sends {} with other bytes than it was made of", short(&id)));
        }
        if !scopes.contains(&known.scope) {
            return Err(format!("sends {} of {} beyond the receiver's", short(&id), known.scope));
        }
        Ok(())
    }

    /// After a start: all that was promised must be there.
    pub(crate) fn survived(&self, machine: usize, held: &BTreeMap<Id, Held>) -> Result<(), String> {
        match self.promised[machine].iter().find(|id| !held.contains_key(*id)) {
            Some(lost) => Err(format!("machine {machine} lost {}, which it promised", short(lost))),
            None => Ok(()),
        }
    }

    /// The content of entries left a machine: a relay has promised each of them.
    pub(crate) fn left(
        &mut self,
        machine: usize,
        gone: &[Id],
        relays: &BTreeSet<usize>,
    ) -> Result<(), String> {
        for id in gone {
            let kept = relays.iter().any(|relay| self.promised[*relay].contains(id));
            if self.promised[machine].remove(id) && !kept {
                return Err(format!(
                    "machine {machine} let go of {}, which no relay has acknowledged",
                    short(id)
                ));
            }
        }
        Ok(())
    }

    /// A disk was changed for an older one, or healed. What is nowhere else is gone for good, and
    /// that is nobody's fault here.
    pub(crate) fn changed_disk(&mut self, machine: usize, held: &BTreeMap<Id, Held>) {
        let before = std::mem::take(&mut self.promised[machine]);
        let (kept, lost): (BTreeSet<_>, BTreeSet<_>) =
            before.into_iter().partition(|id| held.contains_key(id));
        self.promised[machine] = kept;
        for id in lost {
            if !self.promised.iter().any(|p| p.contains(&id)) && self.accepted.remove(&id) {
                self.excused += 1;
            }
        }
    }

    /// A second machine has the disk of another.
    pub(crate) fn copied(&mut self, held: &BTreeMap<Id, Held>) {
        let held = held.keys().filter(|id| self.known.contains_key(*id)).copied().collect();
        self.promised.push(held);
    }

    /// The bytes of all entries of these scopes.
    pub(crate) fn bytes_in(&self, scopes: &BTreeSet<String>) -> u64 {
        self.known.values().filter(|k| scopes.contains(&k.scope)).map(|k| k.bytes).sum()
    }

    pub(crate) fn entries(&self) -> u64 {
        self.accepted.len() as u64
    }

    /// The world has come to rest: everybody has exactly what it may have.
    pub(crate) fn settled(&self, machines: &[AtRest<'_>]) -> Result<(), String> {
        let mut union: BTreeMap<Id, &str> = BTreeMap::new();
        for AtRest { machine, scopes, held, .. } in machines {
            for (id, held) in held {
                let Some(known) = self.known.get(id) else {
                    return Err(format!(
                        "machine {machine} holds {}, which nobody made",
                        short(id)
                    ));
                };
                if known.sum != held.sum {
                    return Err(format!("machine {machine} holds {} changed", short(id)));
                }
                if !scopes.contains(&known.scope) {
                    let scope = &known.scope;
                    return Err(format!("machine {machine} holds {} of {scope}", short(id)));
                }
                if held.counts && known.scope != held.scope {
                    return Err(format!("machine {machine} counts {} elsewhere", short(id)));
                }
                if held.counts {
                    union.insert(*id, &known.scope);
                }
            }
        }
        if let Some(lost) = self.accepted.iter().find(|id| !union.contains_key(*id)) {
            return Err(format!("{} was accepted and is nowhere", short(lost)));
        }
        for AtRest { machine, scopes, held } in machines {
            let lacks = union.iter().find(|(id, scope)| {
                scopes.contains(**scope) && !held.get(*id).is_some_and(|h| h.counts)
            });
            if let Some((id, scope)) = lacks {
                return Err(format!("machine {machine} lacks {} of {scope}", short(id)));
            }
        }
        Ok(())
    }
}

/// The name and the sum of an entry's bytes.
pub(crate) fn name<D: Disk>(bytes: &[u8]) -> Option<(Id, u64)> {
    D::id_of(bytes).map(|id| (id, crate::disk::sum(bytes)))
}
