//! A sketch of the names in a scope's log: a few hundred bytes from which two sides that differ
//! little can name every difference at once.
//!
//! An invertible Bloom lookup table (Goodrich and Mitzenmacher, 2011): each name falls into one
//! cell of each of three parts; a cell holds how many names fell into it, the sum (exclusive or) of
//! their first 8 bytes, and of a checksum of these. Two sketches taken from each other leave the
//! differences, which are peeled off cell by cell. It is a help and no proof: what was named is
//! fetched and judged like everything, the sums are compared again, and ranges are there for
//! whatever it did not find.

use std::collections::BTreeSet;

const PARTS: usize = 3;
/// Cells of one part of a whole sketch.
const PART: usize = 128;
/// The same of one folded for a few differences.
const SMALL_PART: usize = 16;
/// One cell: count modulo 256, keys, checksums.
const CELL: usize = 1 + 8 + 4;

/// A whole sketch has so many bytes.
pub const SKETCH_BYTES: usize = PARTS * PART * CELL;
/// A folded one has so many bytes.
pub const SMALL_SKETCH_BYTES: usize = PARTS * SMALL_PART * CELL;
/// So many differences a folded sketch can be expected to name.
pub(crate) const SMALL_SKETCH_FOR: u64 = 12;
/// So many a whole one.
pub(crate) const SKETCH_FOR: u64 = 200;

/// What two sides differ in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Names that only the first has, ascending.
    pub ours: Vec<[u8; 8]>,
    /// Names that only the second has, ascending.
    pub theirs: Vec<[u8; 8]>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cell {
    count: u8,
    keys: u64,
    checks: u32,
}

impl Cell {
    fn add(&mut self, count: u8, key: u64) {
        self.count = self.count.wrapping_add(count);
        self.keys ^= key;
        self.checks ^= check(key);
    }

    /// The one name left in it, and whose.
    fn lone(&self) -> Option<(u8, u64)> {
        let one = self.count == 1 || self.count == u8::MAX;
        (one && self.checks == check(self.keys)).then_some((self.count, self.keys))
    }
}

/// SplitMix64's finaliser.
fn mixed(key: u64, turn: u64) -> u64 {
    let mut z = key ^ turn.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn check(key: u64) -> u32 {
    (mixed(key, PARTS as u64) >> 32) as u32
}

/// A sketch, whole or folded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sketch {
    /// Cells of one part.
    part: usize,
    cells: Vec<Cell>,
}

impl Default for Sketch {
    fn default() -> Self {
        Self::empty(PART)
    }
}

impl Sketch {
    fn empty(part: usize) -> Self {
        Self { part, cells: vec![Cell::default(); PARTS * part] }
    }

    /// Takes one more name in.
    pub fn add(&mut self, name: &[u8; 32]) {
        let mut key = [0; 8];
        key.copy_from_slice(&name[..8]);
        self.change(1, u64::from_le_bytes(key));
    }

    fn change(&mut self, count: u8, key: u64) {
        let part = self.part;
        for turn in 0..PARTS {
            let at = turn * part + mixed(key, turn as u64) as usize % part;
            self.cells[at].add(count, key);
        }
    }

    /// The same names in fewer cells, for a few differences.
    #[must_use]
    pub fn folded(&self) -> Self {
        let mut out = Self::empty(SMALL_PART);
        for (n, cell) in self.cells.iter().enumerate() {
            let into = &mut out.cells[n / self.part * SMALL_PART + n % self.part % SMALL_PART];
            into.count = into.count.wrapping_add(cell.count);
            into.keys ^= cell.keys;
            into.checks ^= cell.checks;
        }
        out
    }

    /// The same names in as many cells as `other` has.
    #[must_use]
    pub fn like(&self, other: &Self) -> Self {
        if self.part == other.part { self.clone() } else { self.folded() }
    }

    /// What this side and the other differ in; nothing when there are too many differences to be
    /// named, or the two are of different sizes.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Option<Difference> {
        if self.part != other.part {
            return None;
        }
        let mut left = self.clone();
        for (cell, theirs) in left.cells.iter_mut().zip(&other.cells) {
            cell.count = cell.count.wrapping_sub(theirs.count);
            cell.keys ^= theirs.keys;
            cell.checks ^= theirs.checks;
        }
        let (mut ours, mut theirs) = (BTreeSet::new(), BTreeSet::new());
        // Each turn takes at least one name out; more than there are cells cannot be in it.
        for _ in 0..=left.cells.len() {
            let lone: Vec<(u8, u64)> = left.cells.iter().filter_map(Cell::lone).collect();
            if lone.is_empty() {
                break;
            }
            for (count, key) in lone {
                let into = if count == 1 { &mut ours } else { &mut theirs };
                // Met twice only where somebody made the sketch in bad faith, or in this turn.
                if into.insert(key.to_le_bytes()) {
                    left.change(count.wrapping_neg(), key);
                }
            }
        }
        let empty = left.cells.iter().all(|cell| *cell == Cell::default());
        empty.then(|| Difference {
            ours: ours.into_iter().collect(),
            theirs: theirs.into_iter().collect(),
        })
    }

    /// As stored and said: 13 bytes a cell, integers least significant byte first.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let bytes = self.cells.iter().flat_map(|cell| {
            [&[cell.count][..], &cell.keys.to_le_bytes(), &cell.checks.to_le_bytes()].concat()
        });
        bytes.collect()
    }

    /// What [`Sketch::to_bytes`] gave; nothing for any other number of bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let part = match bytes.len() {
            SKETCH_BYTES => PART,
            SMALL_SKETCH_BYTES => SMALL_PART,
            _ => return None,
        };
        let cell = |bytes: &[u8]| {
            let (count, rest) = bytes.split_first()?;
            let (keys, checks) = (rest.first_chunk()?, rest.last_chunk()?);
            let (keys, checks) = (u64::from_le_bytes(*keys), u32::from_le_bytes(*checks));
            Some(Cell { count: *count, keys, checks })
        };
        let cells = bytes.chunks_exact(CELL).map(cell).collect::<Option<_>>()?;
        Some(Self { part, cells })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(n: u32) -> [u8; 32] {
        *blake3::hash(&n.to_le_bytes()).as_bytes()
    }

    fn of(names: impl IntoIterator<Item = u32>) -> Sketch {
        let mut sketch = Sketch::default();
        names.into_iter().for_each(|n| sketch.add(&name(n)));
        sketch
    }

    fn keys(names: impl IntoIterator<Item = u32>) -> Vec<[u8; 8]> {
        let mut out: Vec<[u8; 8]> =
            names.into_iter().map(|n| name(n)[..8].try_into().expect("8 of 32 bytes")).collect();
        out.sort_unstable();
        out
    }

    #[test]
    fn ten_differences_among_many_are_named_from_624_bytes() {
        let (ours, theirs) = (of(0..100_000).folded(), of(5..100_005).folded());
        assert_eq!(theirs.to_bytes().len(), 624);
        let named = ours.difference(&theirs);
        assert_eq!(named, Some(Difference { ours: keys(0..5), theirs: keys(100_000..100_005) }));
    }

    #[test]
    fn most_of_what_is_promised_is_named() {
        let named = |n: u32, differ: u64, fold: bool| {
            let (from, to) = (n * 10_000, n * 10_000 + 3_000);
            let (mut a, mut b) = (of(from..to), of(from + differ as u32..to));
            if fold {
                (a, b) = (a.folded(), b.folded());
            }
            a.difference(&b).is_some()
        };
        let of_100 = |differ, fold| (0..100).filter(|n| named(*n, differ, fold)).count();
        assert!(of_100(SMALL_SKETCH_FOR, true) >= 95);
        assert!(of_100(SKETCH_FOR, false) >= 95);
        assert_eq!(of_100(1000, false), 0, "too many are not named wrongly");
    }

    #[test]
    fn sketches_of_different_sizes_are_made_alike_or_not_compared() {
        let (whole, small) = (of(0..50), of(0..50).folded());
        assert_eq!(whole.difference(&small), None);
        assert_eq!(whole.like(&small), small);
        assert_eq!(whole.like(&small).difference(&small), Some(Difference::default()));
    }

    proptest! {
        #[test]
        fn what_is_named_is_exactly_the_difference(
            a in proptest::collection::btree_set(0u32..400, 0..40),
            b in proptest::collection::btree_set(0u32..400, 0..40),
        ) {
            let (x, y) = (of(a.iter().copied()), of(b.iter().copied()));
            let back = Sketch::from_bytes(&x.to_bytes());
            prop_assert_eq!(back.as_ref(), Some(&x));
            let truth = Difference {
                ours: keys((&a - &b).into_iter()),
                theirs: keys((&b - &a).into_iter()),
            };
            prop_assert_eq!(x.difference(&y), Some(truth.clone()));
            if let Some(named) = x.folded().difference(&y.folded()) {
                prop_assert_eq!(named, truth);
            }
        }

        #[test]
        fn bytes_of_a_stranger_never_panic_and_end(
            cells in proptest::collection::vec(any::<[u8; 13]>(), 48..49), n in 0u32..90,
        ) {
            let theirs = Sketch::from_bytes(&cells.concat());
            prop_assert!(theirs.is_some());
            let _ = theirs.map(|theirs| of(0..n).folded().difference(&theirs));
        }
    }
}
