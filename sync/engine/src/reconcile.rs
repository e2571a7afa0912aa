//! Range-based reconciliation of two sets of names: which does each side lack?
//!
//! The negentropy protocol, version 1 (<https://github.com/hoytech/negentropy>), with every
//! timestamp 0, so that ranges go by name. Neither side keeps anything between two messages but
//! its own set.

use crate::wire::Violation;
use negentropy::{Id, Negentropy, NegentropyStorageVector};

/// A message is never longer. Bytes.
pub const RANGE_BYTES_MAX: usize = 64 * 1024;

/// What the side that asks has learnt from a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Learnt {
    /// The next message; none when all is known.
    pub(crate) next: Option<Vec<u8>>,
    /// Names that only this side has, ascending.
    pub(crate) have: Vec<[u8; 32]>,
    /// Names that only the other side has, ascending.
    pub(crate) lack: Vec<[u8; 32]>,
}

fn set(names: Vec<[u8; 32]>) -> Result<Negentropy<'static, NegentropyStorageVector>, Violation> {
    let bad = |_| Violation::Range;
    let mut storage = NegentropyStorageVector::with_capacity(names.len());
    for name in names {
        storage.insert(0, Id::from_byte_array(name)).map_err(bad)?;
    }
    storage.seal().map_err(bad)?;
    Negentropy::owned(storage, RANGE_BYTES_MAX as u64).map_err(bad)
}

/// The first message of the side that asks.
pub(crate) fn begin(names: Vec<[u8; 32]>) -> Result<Vec<u8>, Violation> {
    set(names)?.initiate().map_err(|_| Violation::Range)
}

/// The answer of the other side.
pub(crate) fn answer(names: Vec<[u8; 32]>, message: &[u8]) -> Result<Vec<u8>, Violation> {
    set(names)?.reconcile(message).map_err(|_| Violation::Range)
}

/// What the side that asks learns from an answer.
pub(crate) fn learn(names: Vec<[u8; 32]>, message: &[u8]) -> Result<Learnt, Violation> {
    let mut ours = set(names)?;
    ours.set_initiator();
    let (mut have, mut lack) = (Vec::new(), Vec::new());
    let next =
        ours.reconcile_with_ids(message, &mut have, &mut lack).map_err(|_| Violation::Range)?;
    let plain = |ids: Vec<Id>| {
        let mut names: Vec<[u8; 32]> = ids.into_iter().map(Id::to_bytes).collect();
        // The library gives some of them in the order of a hash.
        names.sort_unstable();
        names
    };
    Ok(Learnt { next, have: plain(have), lack: plain(lack) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn name(n: u32) -> [u8; 32] {
        *blake3::hash(&n.to_le_bytes()).as_bytes()
    }

    fn differences(ours: &[[u8; 32]], theirs: &[[u8; 32]]) -> (Learnt, usize) {
        let mut all = Learnt::default();
        let (mut message, mut rounds) = (begin(ours.to_vec()).expect("first"), 0);
        loop {
            rounds += 1;
            let back = answer(theirs.to_vec(), &message).expect("answer");
            assert!(message.len() <= RANGE_BYTES_MAX && back.len() <= RANGE_BYTES_MAX);
            let learnt = learn(ours.to_vec(), &back).expect("learnt");
            all.have.extend(learnt.have);
            all.lack.extend(learnt.lack);
            match learnt.next {
                Some(next) => message = next,
                None => return (all, rounds),
            }
        }
    }

    #[test]
    fn ten_differences_among_many_are_found_in_few_rounds() {
        let ours: Vec<_> = (0..20_000).map(name).collect();
        let theirs: Vec<_> = (5..20_005).map(name).collect();
        let (learnt, rounds) = differences(&ours, &theirs);
        assert_eq!((learnt.have.len(), learnt.lack.len()), (5, 5));
        assert!(rounds <= 3, "{rounds}");
    }

    #[test]
    fn what_does_not_fit_into_one_message_is_found_all_the_same() {
        let theirs: Vec<_> = (0..9_000).map(name).collect();
        let (learnt, rounds) = differences(&[], &theirs);
        assert_eq!(learnt.lack.iter().collect::<BTreeSet<_>>().len(), 9_000);
        assert!(rounds > 1);
    }

    proptest! {
        #[test]
        fn exactly_the_differences_are_found(
            a in proptest::collection::btree_set(0u32..400, 0..200),
            b in proptest::collection::btree_set(0u32..400, 0..200),
        ) {
            let names = |set: &BTreeSet<u32>| set.iter().copied().map(name).collect::<Vec<_>>();
            let (mut learnt, _) = differences(&names(&a), &names(&b));
            learnt.have.sort_unstable();
            learnt.lack.sort_unstable();
            let sorted = |names: Vec<[u8; 32]>| names.into_iter().collect::<BTreeSet<_>>();
            let only = |x: &BTreeSet<u32>, y| sorted(names(&(x - y)));
            prop_assert_eq!(learnt.have.into_iter().collect::<BTreeSet<_>>(), only(&a, &b));
            prop_assert_eq!(learnt.lack.into_iter().collect::<BTreeSet<_>>(), only(&b, &a));
        }

        #[test]
        fn bytes_of_a_stranger_never_panic(
            message in proptest::collection::vec(any::<u8>(), 0..200), n in 0u32..100,
        ) {
            let names: Vec<_> = (0..n).map(name).collect();
            for message in [message.clone(), [&[0x61], &message[..]].concat()] {
                let _ = answer(names.clone(), &message);
                let _ = learn(names.clone(), &message);
            }
        }
    }
}
