//! The Merkle tree over a relay's log (RFC 6962, section 2, with BLAKE3): a short proof shows that
//! an entry is in the log, and that a later log only continues an earlier one.

use crate::ids::EntryId;

/// A node of the tree.
pub type Hash = [u8; 32];

/// A proof never has more nodes: two for each level of a tree of 2^63 leaves.
pub const PROOF_NODES_MAX: usize = 128;

/// The leaf of an entry.
#[must_use]
pub fn leaf(entry: EntryId) -> Hash {
    hash(0, &[&entry.0])
}

fn join(left: &Hash, right: &Hash) -> Hash {
    hash(1, &[left, right])
}

fn hash(kind: u8, parts: &[&[u8]]) -> Hash {
    let mut hasher = blake3::Hasher::new_derive_key("cunkou merkle v1");
    hasher.update(&[kind]);
    for part in parts {
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}

/// The root of an empty tree.
#[must_use]
pub fn empty() -> Hash {
    hash(2, &[])
}

/// Where the complete subtrees of a log are kept: level 0 are the leaves, a node of level `l` at
/// `index` joins those at `2 * index` and `2 * index + 1` below it.
pub trait Nodes {
    /// What can go wrong while reading.
    type Error;

    /// A complete node.
    ///
    /// # Errors
    /// When it cannot be read, or is not there.
    fn node(&self, level: u8, index: u64) -> Result<Hash, Self::Error>;
}

/// The nodes that become complete when `leaf` is appended to a log of `size` leaves: the leaf
/// itself and each subtree that it fills.
///
/// # Errors
/// When an earlier node cannot be read.
pub fn append<N: Nodes>(
    nodes: &N,
    size: u64,
    leaf: Hash,
) -> Result<Vec<(u8, u64, Hash)>, N::Error> {
    let mut made = vec![(0, size, leaf)];
    let (mut level, mut index, mut node) = (0_u8, size, leaf);
    while index & 1 == 1 {
        node = join(&nodes.node(level, index - 1)?, &node);
        level += 1;
        index >>= 1;
        made.push((level, index, node));
    }
    Ok(made)
}

/// The root of the first `size` leaves.
///
/// # Errors
/// When a node cannot be read.
pub fn root<N: Nodes>(nodes: &N, size: u64) -> Result<Hash, N::Error> {
    if size == 0 { Ok(empty()) } else { range(nodes, 0, size) }
}

/// The hash over the leaves from `start` on, `n` of them, where `start` is a multiple of the
/// largest power of two that is not above `n`.
fn range<N: Nodes>(nodes: &N, start: u64, n: u64) -> Result<Hash, N::Error> {
    if n.is_power_of_two() {
        let level = n.trailing_zeros();
        return nodes.node(level as u8, start >> level);
    }
    let k = split(n);
    Ok(join(&range(nodes, start, k)?, &range(nodes, start + k, n - k)?))
}

/// The largest power of two below `n`.
fn split(n: u64) -> u64 {
    1 << (63 - (n - 1).leading_zeros())
}

/// The proof that leaf `index` is among the first `size` (RFC 6962, section 2.1.1).
///
/// # Errors
/// When a node cannot be read.
pub fn inclusion<N: Nodes>(nodes: &N, index: u64, size: u64) -> Result<Vec<Hash>, N::Error> {
    let mut proof = Vec::new();
    let (mut start, mut n) = (0, size);
    while n > 1 {
        let k = split(n);
        if index - start < k {
            proof.push(range(nodes, start + k, n - k)?);
            n = k;
        } else {
            proof.push(range(nodes, start, k)?);
            start += k;
            n -= k;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// True when `proof` shows that `leaf` is leaf `index` of a log with this size and root.
#[must_use]
pub fn includes(leaf: Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    if index >= size || proof.len() > PROOF_NODES_MAX {
        return false;
    }
    let (mut fnode, mut snode, mut node) = (index, size - 1, leaf);
    for other in proof {
        if snode == 0 {
            return false;
        }
        if fnode & 1 == 1 || fnode == snode {
            node = join(other, &node);
            while fnode & 1 == 0 && fnode != 0 {
                fnode >>= 1;
                snode >>= 1;
            }
        } else {
            node = join(&node, other);
        }
        fnode >>= 1;
        snode >>= 1;
    }
    snode == 0 && node == *root
}

/// The proof that a log of `new` leaves continues that of its first `old` (RFC 6962, section
/// 2.1.2); empty when either holds nothing or both are the same.
///
/// # Errors
/// When a node cannot be read.
pub fn consistency<N: Nodes>(nodes: &N, old: u64, new: u64) -> Result<Vec<Hash>, N::Error> {
    let mut proof = Vec::new();
    if old == 0 || old >= new {
        return Ok(proof);
    }
    let (mut start, mut n, mut old) = (0, new, old);
    let mut whole = true;
    while old != n {
        let k = split(n);
        if old <= k {
            proof.push(range(nodes, start + k, n - k)?);
            n = k;
        } else {
            proof.push(range(nodes, start, k)?);
            start += k;
            n -= k;
            old -= k;
            whole = false;
        }
    }
    if !whole {
        proof.push(range(nodes, start, n)?);
    }
    proof.reverse();
    Ok(proof)
}

/// True when `proof` shows that the log with `new_root` continues the log with `old_root`.
#[must_use]
pub fn continues(
    (old, old_root): (u64, &Hash),
    (new, new_root): (u64, &Hash),
    proof: &[Hash],
) -> bool {
    if old > new || proof.len() > PROOF_NODES_MAX {
        return false;
    }
    if old == new {
        return proof.is_empty() && old_root == new_root;
    }
    if old == 0 {
        return proof.is_empty() && *old_root == empty();
    }
    let mut rest = proof.iter();
    let (mut fnode, mut snode) = (old - 1, new - 1);
    while fnode & 1 == 1 {
        fnode >>= 1;
        snode >>= 1;
    }
    // A power of two is a node of both: its root need not be told.
    let first = if old.is_power_of_two() { Some(old_root) } else { rest.next() };
    let Some(first) = first else { return false };
    let (mut of_old, mut of_new) = (*first, *first);
    for other in rest {
        if snode == 0 {
            return false;
        }
        if fnode & 1 == 1 || fnode == snode {
            of_old = join(other, &of_old);
            of_new = join(other, &of_new);
            while fnode & 1 == 0 && fnode != 0 {
                fnode >>= 1;
                snode >>= 1;
            }
        } else {
            of_new = join(&of_new, other);
        }
        fnode >>= 1;
        snode >>= 1;
    }
    snode == 0 && of_old == *old_root && of_new == *new_root
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Default)]
    struct Tree {
        nodes: BTreeMap<(u8, u64), Hash>,
        leaves: Vec<Hash>,
    }

    impl Nodes for Tree {
        type Error = (u8, u64);

        fn node(&self, level: u8, index: u64) -> Result<Hash, Self::Error> {
            self.nodes.get(&(level, index)).copied().ok_or((level, index))
        }
    }

    impl Tree {
        fn of(n: u64) -> Self {
            let mut tree = Self::default();
            for i in 0..n {
                let mut id = [0; 32];
                id[..8].copy_from_slice(&i.to_be_bytes());
                let leaf = leaf(EntryId(id));
                let made = append(&tree, i, leaf).expect("earlier nodes are kept");
                tree.nodes.extend(made.into_iter().map(|(l, i, hash)| ((l, i), hash)));
                tree.leaves.push(leaf);
            }
            tree
        }

        fn root(&self, size: u64) -> Hash {
            root(self, size).expect("nodes are kept")
        }
    }

    /// The definition of RFC 6962, word for word.
    fn defined(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => empty(),
            [one] => *one,
            many => {
                let k = (1..).map(|i| 1 << i).take_while(|k| *k < many.len()).last().unwrap_or(1);
                join(&defined(&many[..k]), &defined(&many[k..]))
            }
        }
    }

    #[test]
    fn the_root_is_the_one_that_rfc_6962_defines() {
        let tree = Tree::of(70);
        for size in 0..=70 {
            assert_eq!(tree.root(size), defined(&tree.leaves[..size as usize]), "{size} leaves");
        }
    }

    #[test]
    fn every_leaf_is_shown_to_be_in_and_no_other() {
        let tree = Tree::of(40);
        for size in 1..=40_u64 {
            let root = tree.root(size);
            for index in 0..size {
                let proof = inclusion(&tree, index, size).expect("nodes are kept");
                let leaf = tree.leaves[index as usize];
                assert!(includes(leaf, index, size, &proof, &root), "{index} of {size}");
                let stranger = tree.leaves[((index + 1) % 40) as usize];
                assert!(!includes(stranger, index, size, &proof, &root));
                assert!(!includes(leaf, index + 1, size, &proof, &root));
                assert!(size == 1 || !includes(leaf, index, size, &proof[1..], &root));
            }
        }
    }

    #[test]
    fn a_log_is_shown_to_continue_each_of_its_beginnings() {
        let tree = Tree::of(40);
        for new in 0..=40_u64 {
            for old in 0..=new {
                let proof = consistency(&tree, old, new).expect("nodes are kept");
                let (then, now) = (tree.root(old), tree.root(new));
                assert!(continues((old, &then), (new, &now), &proof), "{old} to {new}");
                if old != new && old > 0 {
                    assert!(!continues((old, &now), (new, &now), &proof), "another past");
                    assert!(!continues((old, &then), (new, &then), &proof), "another present");
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn no_made_up_proof_is_believed(
            old in 1..60_u64, more in 1..60_u64,
            proof in proptest::collection::vec(any::<[u8; 32]>(), 0..10),
        ) {
            let tree = Tree::of(old + more);
            let (then, now) = (tree.root(old), tree.root(old + more));
            prop_assert!(!continues((old, &then), (old + more, &now), &proof));
            prop_assert!(!includes(tree.leaves[0], 0, old + more, &proof, &now));
        }
    }
}
