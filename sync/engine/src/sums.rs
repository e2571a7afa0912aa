//! What a scope holds, in a few bytes that are kept up to date with every entry.

/// The sum of the names in one scope's log, modulo 2^256: the same for the same set, whatever the
/// order. Names are hashes; somebody inside the county can make two sets of their own entries with
/// one sum, and then only their own entries are not repaired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NameSum([u64; 4]);

impl NameSum {
    /// Takes one more name in.
    pub fn add(&mut self, name: &[u8; 32]) {
        let mut carry = false;
        for (limb, other) in self.0.iter_mut().zip(Self::from_bytes(name).0) {
            let (sum, first) = limb.overflowing_add(other);
            let (sum, second) = sum.overflowing_add(u64::from(carry));
            (*limb, carry) = (sum, first || second);
        }
    }

    /// Takes a name out again that was taken in.
    pub fn take_out(&mut self, name: &[u8; 32]) {
        let mut borrow = false;
        for (limb, other) in self.0.iter_mut().zip(Self::from_bytes(name).0) {
            let (rest, first) = limb.overflowing_sub(other);
            let (rest, second) = rest.overflowing_sub(u64::from(borrow));
            (*limb, borrow) = (rest, first || second);
        }
    }

    /// As stored: 32 bytes, the least significant first.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 32] {
        let mut out = [0; 32];
        for (part, limb) in out.chunks_exact_mut(8).zip(self.0) {
            part.copy_from_slice(&limb.to_le_bytes());
        }
        out
    }

    /// What [`NameSum::to_bytes`] gave.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        let mut limbs = [0; 4];
        for (limb, part) in limbs.iter_mut().zip(bytes.chunks_exact(8)) {
            *limb = part.iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte));
        }
        Self(limbs)
    }

    /// As said to a peer, with how many names there are.
    #[must_use]
    pub fn digest(self, count: u64) -> [u8; 16] {
        let mut hash = blake3::Hasher::new_derive_key("cunkou scope sum v1");
        hash.update(&self.to_bytes()).update(&count.to_le_bytes());
        first16(&hash)
    }
}

/// The first 16 bytes of a hash.
pub(crate) fn first16(hash: &blake3::Hasher) -> [u8; 16] {
    let mut out = [0; 16];
    hash.finalize_xof().fill(&mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_carry_goes_through_all_limbs_and_out_at_the_end() {
        let mut sum = NameSum::from_bytes(&[0xff; 32]);
        let mut one = [0; 32];
        one[0] = 1;
        sum.add(&one);
        assert_eq!(sum, NameSum::default());
    }

    proptest! {
        #[test]
        fn the_order_does_not_matter_and_the_bytes_come_back(
            mut names in proptest::collection::vec(any::<[u8; 32]>(), 0..20)
        ) {
            let sum = |names: &[[u8; 32]]| {
                let mut sum = NameSum::default();
                names.iter().for_each(|name| sum.add(name));
                sum
            };
            let before = sum(&names);
            names.reverse();
            prop_assert_eq!(sum(&names), before);
            prop_assert_eq!(NameSum::from_bytes(&before.to_bytes()), before);
            names.push([1; 32]);
            let mut more = sum(&names);
            prop_assert_ne!(more, before);
            more.take_out(&[1; 32]);
            prop_assert_eq!(more, before);
        }
    }
}
