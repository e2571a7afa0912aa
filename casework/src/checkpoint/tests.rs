use super::*;
use crate::merkle::{Nodes, append, consistency, inclusion, leaf, root};
use std::collections::BTreeMap;

/// A relay's log in memory.
#[derive(Default)]
pub(crate) struct Log {
    nodes: BTreeMap<(u8, u64), Hash>,
    size: u64,
}

impl Nodes for Log {
    type Error = ();
    fn node(&self, level: u8, index: u64) -> Result<Hash, ()> {
        self.nodes.get(&(level, index)).copied().ok_or(())
    }
}

fn entry(n: u8) -> EntryId {
    EntryId([n; 32])
}

pub(crate) fn relay() -> SecretKey {
    SecretKey::from_seed(&[1; 32])
}

impl Log {
    pub(crate) fn of(entries: &[u8]) -> Self {
        let mut log = Self::default();
        for n in entries {
            let made = append(&log, log.size, leaf(entry(*n))).expect("kept");
            log.nodes.extend(made.into_iter().map(|(l, i, hash)| ((l, i), hash)));
            log.size += 1;
        }
        log
    }

    pub(crate) fn says(&self) -> Checkpoint {
        Checkpoint {
            log: [7; 32],
            size: self.size,
            root: root(self, self.size).expect("kept"),
            time_ms: 0,
            relay: DeviceId([1; 16]),
        }
    }

    pub(crate) fn since(&self, old: u64) -> Vec<Hash> {
        consistency(self, old, self.size).unwrap_or_default()
    }

    pub(crate) fn place(&self, index: u64) -> Inclusion {
        Inclusion { index, proof: told(inclusion(self, index, self.size).expect("kept")) }
    }

    fn answer(&self, held: u64, prove: &[Option<u64>], by: &SecretKey) -> Answer {
        let checkpoint = self.says();
        let shown = prove.iter().map(|index| Some(self.place((*index)?)));
        Answer {
            checkpoint: SignedCheckpoint::new(&checkpoint, by),
            consistency: told(self.since(held)),
            inclusion: shown.collect(),
            files: None,
        }
    }
}

#[test]
fn an_honest_relay_is_believed() {
    let held = Log::of(&[1, 2, 3]).answer(0, &[], &relay());
    let held = check(&held, &relay().public(), None, &[]).expect("the first");
    let now = Log::of(&[1, 2, 3, 4, 5, 6]).answer(3, &[Some(1), None], &relay());
    let asked = [(entry(2), 2), (entry(9), 7)];
    let new = check(&now, &relay().public(), Some(&held), &asked).expect("it continues");
    assert_eq!(new.size, 6);
}

#[test]
fn a_relay_that_drops_reorders_rewrites_or_forgets_is_found_out() {
    let held = Log::of(&[1, 2, 3]).answer(0, &[], &relay());
    let held = check(&held, &relay().public(), None, &[]).expect("the first");
    let holds = |log: &Log, prove: &[Option<u64>], asked: &[(EntryId, u64)]| {
        let answer = log.answer(3, prove, &relay());
        check(&answer, &relay().public(), Some(&held), asked)
    };
    let shorter = holds(&Log::of(&[1, 2]), &[], &[]);
    assert_eq!(shorter, Err(Inconsistent::Shorter { held: 3, size: 2 }));
    for (what, rewritten) in [
        ("one dropped", &[1, 3, 4, 5][..]),
        ("two in another order", &[2, 1, 3, 4]),
        ("one replaced", &[1, 2, 9, 4]),
        ("the same length with another end", &[1, 2, 9]),
    ] {
        assert_eq!(holds(&Log::of(rewritten), &[], &[]), Err(Inconsistent::Rewritten), "{what}");
    }
    let grown = Log::of(&[1, 2, 3, 4]);
    let forgotten = holds(&grown, &[None], &[(entry(8), 4)]);
    assert_eq!(forgotten, Err(Inconsistent::Missing(entry(8))), "it had said it had it");
    let wrong = holds(&grown, &[Some(0)], &[(entry(8), 4)]);
    assert_eq!(wrong, Err(Inconsistent::Missing(entry(8))), "another entry's proof");
    let stranger = grown.answer(3, &[], &SecretKey::from_seed(&[2; 32]));
    let by_stranger = check(&stranger, &relay().public(), Some(&held), &[]);
    assert_eq!(by_stranger, Err(Inconsistent::Signature));
}

#[test]
fn whoever_has_seen_that_it_continues_may_sign_it_too() {
    let mut signed = Log::of(&[1]).answer(0, &[], &relay()).checkpoint;
    let auditor = SecretKey::from_seed(&[3; 32]);
    assert!(!signed.signed_by(&auditor.public()));
    signed.cosign(&auditor);
    signed.cosign(&auditor);
    assert!(signed.signed_by(&auditor.public()) && signed.signed_by(&relay().public()));
    assert_eq!(signed.signatures.len(), 2);
}

#[test]
fn an_earlier_checkpoint_that_an_auditor_signed_counts_when_the_latest_continues_it() {
    let (then, now) = (Log::of(&[1, 2, 3]), Log::of(&[1, 2, 3, 4, 5]));
    let auditor = SecretKey::from_seed(&[3; 32]);
    let signed = |log: &Log, keys: &[&SecretKey]| {
        let mut checkpoint = SignedCheckpoint::new(&log.says(), keys[0]);
        keys[1..].iter().for_each(|key| checkpoint.cosign(key));
        Cosigned { checkpoint, consistency: told(now.since(log.size)) }
    };
    let read = |cosigned: &Cosigned| {
        cosigned.read(&relay().public(), &auditor.public(), &now.says()).map(|c| c.size)
    };
    assert_eq!(read(&signed(&then, &[&relay(), &auditor])), Some(3));
    assert_eq!(read(&signed(&now, &[&relay(), &auditor])), Some(5), "the latest itself");
    assert_eq!(read(&signed(&then, &[&relay()])), None, "not signed");
    assert_eq!(read(&signed(&then, &[&auditor])), None, "not the relay's");
    let other = Log::of(&[1, 9, 3]);
    assert_eq!(read(&signed(&other, &[&relay(), &auditor])), None, "another past");
    let mut cut = signed(&then, &[&relay(), &auditor]);
    cut.consistency.pop();
    assert_eq!(read(&cut), None);
}
