//! Names of entries and changes, left out where the reader can tell them: most of what a case's
//! entries hold beside signatures are 32-byte names of each other.

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use std::collections::HashMap;

/// How a name of 32 bytes begins in CBOR.
const MARK: [u8; 2] = [0x58, 0x20];
const NAME: usize = 32;

/// Bytes with names left out.
#[derive(Debug, Encode, Decode)]
pub(super) struct Holed {
    /// The bytes without the names.
    #[n(0)]
    rest: ByteVec,
    /// For each name from the first: how many of the remaining bytes stand between it and the one
    /// before, and how many names back it was met, two bytes each.
    #[n(1)]
    holes: ByteVec,
}

/// Names met so far, in order.
#[derive(Debug, Default)]
pub(super) struct Names {
    list: Vec<[u8; NAME]>,
    places: HashMap<[u8; NAME], usize>,
}

impl Names {
    /// Remembers a name that both sides know from here on.
    pub(super) fn meet(&mut self, name: [u8; NAME]) {
        self.places.insert(name, self.list.len());
        self.list.push(name);
    }

    /// Leaves out the names that were met.
    pub(super) fn leave_out(&self, bytes: &[u8]) -> Holed {
        let (mut rest, mut holes) = (Vec::with_capacity(bytes.len()), Vec::new());
        let (mut at, mut last) = (0, 0);
        while at < bytes.len() {
            if let Some(back) = self.back_at(bytes, at)
                && let Ok(between) = u16::try_from(rest.len() - last)
            {
                holes.extend(between.to_le_bytes());
                holes.extend(back.to_le_bytes());
                last = rest.len();
                at += MARK.len() + NAME;
            } else {
                rest.push(bytes[at]);
                at += 1;
            }
        }
        Holed { rest: rest.into(), holes: holes.into() }
    }

    /// How many names back the one at a place was met.
    fn back_at(&self, bytes: &[u8], at: usize) -> Option<u16> {
        let name = bytes.get(at..)?.strip_prefix(&MARK)?.first_chunk::<NAME>()?;
        let place = self.places.get(name)?;
        u16::try_from(self.list.len() - place).ok()
    }

    /// Puts the names back; nothing when the bytes do not fit or would be longer than `most`.
    pub(super) fn put_back(&self, holed: &Holed, most: usize) -> Option<Vec<u8>> {
        let (mut out, mut rest) = (Vec::new(), holed.rest.as_slice());
        let (holes, odd) = holed.holes.as_chunks::<4>();
        if !odd.is_empty() || rest.len() + holes.len() * (MARK.len() + NAME) > most {
            return None;
        }
        for [b0, b1, n0, n1] in holes {
            let (before, after) = rest.split_at_checked(u16::from_le_bytes([*b0, *b1]).into())?;
            let place = self.list.len().checked_sub(u16::from_le_bytes([*n0, *n1]).into())?;
            out.extend(before);
            out.extend(MARK);
            out.extend(self.list.get(place)?);
            rest = after;
        }
        out.extend(rest);
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn names_that_were_left_out_come_back(
            names in proptest::collection::vec(any::<[u8; 32]>(), 0..6),
            parts in proptest::collection::vec((0usize..9, proptest::collection::vec(any::<u8>(), 0..9)), 0..9),
        ) {
            let mut known = Names::default();
            names.iter().for_each(|name| known.meet(*name));
            let mut bytes = Vec::new();
            for (n, more) in parts {
                if let Some(name) = names.get(n) {
                    bytes.extend(MARK);
                    bytes.extend(name);
                }
                bytes.extend(more);
            }
            let holed = known.leave_out(&bytes);
            prop_assert_eq!(known.put_back(&holed, bytes.len()), Some(bytes.clone()));
            if let Some(shorter) = bytes.len().checked_sub(1) {
                prop_assert_eq!(known.put_back(&holed, shorter), None);
            }
        }

        #[test]
        fn bytes_of_a_stranger_never_panic(
            rest in proptest::collection::vec(any::<u8>(), 0..40),
            holes in proptest::collection::vec(any::<u8>(), 0..24),
        ) {
            let mut known = Names::default();
            (0..5).for_each(|n| known.meet([n; 32]));
            let holed = Holed { rest: rest.into(), holes: holes.into() };
            if let Some(bytes) = known.put_back(&holed, 1000) {
                prop_assert!(bytes.len() <= 1000);
            }
        }
    }
}
