//! The Merkle tree's arithmetic (RFC 6962, section 2.1).
//!
//! A tree that only grows is known by its frontier: the roots of the perfect subtrees that its size's binary form
//! names, largest first. That is at most 64 hashes, from which the root follows and to which a leaf is added in
//! amortised constant time.

use crate::crypto::digest::{Sha256Digest, sha256};

/// A node of the tree.
pub type Hash = Sha256Digest;

/// The prefix of what is hashed to a leaf; keeps leaves and nodes apart (RFC 6962, section 2.1).
const LEAF_PREFIX: &[u8] = &[0];
/// The prefix of what is hashed to a node.
const NODE_PREFIX: &[u8] = &[1];

/// How far a log reaches: how many records it holds and the root of the tree over them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogPosition {
    /// How many records there are; also the next record's sequence number.
    pub size: u64,
    /// The root of the tree over them.
    pub root: Hash,
}

impl LogPosition {
    /// Where a log without any record stands.
    #[must_use]
    pub fn empty() -> Self {
        Frontier::new().position()
    }
}

/// The hash of a leaf: of one record's canonical bytes.
#[must_use]
pub fn leaf_hash(record: &[u8]) -> Hash {
    sha256(&[LEAF_PREFIX, record])
}

pub(super) fn node_hash(left: &Hash, right: &Hash) -> Hash {
    sha256(&[NODE_PREFIX, left, right])
}

/// A growing tree.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    /// INVARIANT: as many as `size` has one bits, the largest subtree first.
    subtrees: Vec<Hash>,
}

impl Frontier {
    /// The tree without leaves.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The tree of this size with these perfect subtrees, or `None` when their number does not fit the size.
    #[must_use]
    pub fn from_parts(size: u64, subtrees: Vec<Hash>) -> Option<Self> {
        (usize::try_from(size.count_ones()) == Ok(subtrees.len())).then_some(Self { size, subtrees })
    }

    /// How many leaves there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the perfect subtrees, the largest first.
    #[must_use]
    pub fn subtrees(&self) -> &[Hash] {
        &self.subtrees
    }

    /// Adds a leaf by its hash.
    pub fn push(&mut self, leaf: Hash) {
        let mut node = leaf;
        // Each trailing one bit of the size is a perfect subtree as large as the one just completed.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.subtrees.pop() {
                node = node_hash(&left, &node);
            }
        }
        self.subtrees.push(node);
        self.size += 1;
    }

    /// The tree's root; SHA-256 of nothing for the empty tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut smallest_first = self.subtrees.iter().rev();
        match smallest_first.next() {
            None => sha256(&[]),
            Some(last) => smallest_first.fold(*last, |right, left| node_hash(left, &right)),
        }
    }

    /// Size and root.
    #[must_use]
    pub fn position(&self) -> LogPosition {
        LogPosition { size: self.size, root: self.root() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 6962, section 2.1, word for word: the definition that the frontier is a shortcut for.
    fn root_by_definition(leaves: &[Vec<u8>]) -> Hash {
        match leaves {
            [] => sha256(&[]),
            [leaf] => leaf_hash(leaf),
            _ => {
                let split = leaves.len().next_power_of_two() / 2;
                node_hash(&root_by_definition(&leaves[..split]), &root_by_definition(&leaves[split..]))
            }
        }
    }

    /// The vectors of the Certificate Transparency reference implementation (`merkle_tree_test.cc`).
    #[test]
    fn the_certificate_transparency_vectors_hold() {
        let leaves = [
            "",
            "00",
            "10",
            "2021",
            "3031",
            "40414243",
            "5051525354555657",
            "606162636465666768696a6b6c6d6e6f",
        ];
        let roots = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut tree = Frontier::new();
        assert_eq!(
            hex::encode(tree.root()),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        for (leaf, root) in leaves.iter().zip(roots) {
            tree.push(leaf_hash(&hex::decode(leaf).unwrap()));
            assert_eq!(hex::encode(tree.root()), root, "at {} leaves", tree.size());
        }
    }

    #[test]
    fn a_frontier_that_does_not_fit_its_size_is_refused() {
        assert!(Frontier::from_parts(3, vec![[0; 32]; 2]).is_some());
        assert!(Frontier::from_parts(3, vec![[0; 32]; 3]).is_none());
        assert!(Frontier::from_parts(0, vec![[0; 32]]).is_none());
    }

    proptest! {
        #[test]
        fn the_frontier_agrees_with_the_definition_at_every_size(
            leaves in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..4), 0..70),
        ) {
            let mut tree = Frontier::new();
            for (count, leaf) in leaves.iter().enumerate() {
                prop_assert_eq!(tree.root(), root_by_definition(&leaves[..count]));
                tree.push(leaf_hash(leaf));
                let again = Frontier::from_parts(tree.size(), tree.subtrees().to_vec());
                prop_assert_eq!(again.as_ref(), Some(&tree));
            }
            prop_assert_eq!(tree.root(), root_by_definition(&leaves));
        }
    }
}
