//! Inclusion and consistency proofs (RFC 6962, sections 2.1.1 and 2.1.2; verified as RFC 9162, sections 2.1.3.2 and
//! 2.1.4.2 write it down).
//!
//! A proof is a list of subtree roots. Which subtrees they are follows from the sizes alone, so making a proof is
//! hashing the ranges of leaves that [`inclusion_ranges`] and [`consistency_ranges`] name.

use std::ops::Range;

use thiserror::Error;

use super::{Frontier, Hash, LogPosition, merkle::node_hash};

/// A proof that does not prove what it claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the proof does not prove it")]
pub struct ProofError;

/// Of which leaves an inclusion proof gives the subtree roots: the leaf's sibling first, the root's child last.
///
/// `index` must be below `size`; there is no proof otherwise.
#[must_use]
pub fn inclusion_ranges(index: u64, size: u64) -> Vec<Range<u64>> {
    let mut ranges = Vec::new();
    if index >= size {
        return ranges;
    }
    let (mut low, mut high) = (0, size);
    while high - low > 1 {
        let middle = low + split(high - low);
        if index < middle {
            ranges.push(middle..high);
            high = middle;
        } else {
            ranges.push(low..middle);
            low = middle;
        }
    }
    ranges.reverse();
    ranges
}

/// Of which leaves a consistency proof from `old` to `new` leaves gives the subtree roots, in the proof's order.
///
/// Nothing needs to be proved from 0 leaves, or when both sizes are the same. `old` must not be above `new`.
#[must_use]
pub fn consistency_ranges(old: u64, new: u64) -> Vec<Range<u64>> {
    let mut ranges = Vec::new();
    if old == 0 || old >= new {
        return ranges;
    }
    let (mut low, mut high) = (0, new);
    while old != high {
        let middle = low + split(high - low);
        if old <= middle {
            ranges.push(middle..high);
            high = middle;
        } else {
            ranges.push(low..middle);
            low = middle;
        }
    }
    // A subtree that begins where the old tree does is the old tree itself: whoever verifies knows its root.
    if low != 0 {
        ranges.push(low..high);
    }
    ranges.reverse();
    ranges
}

/// The largest power of two below `size`, which is above 1.
fn split(size: u64) -> u64 {
    1 << (63 - (size - 1).leading_zeros())
}

/// The root of the tree of `size` leaves in which the leaf with number `index` has this hash.
///
/// # Errors
///
/// [`ProofError`] when the path is not as long as those numbers want it.
pub fn root_of_inclusion(leaf: Hash, index: u64, size: u64, path: &[Hash]) -> Result<Hash, ProofError> {
    if index >= size {
        return Err(ProofError);
    }
    let (mut node, mut last, mut root) = (index, size - 1, leaf);
    for sibling in path {
        if last == 0 {
            return Err(ProofError);
        }
        if node % 2 == 1 || node == last {
            root = node_hash(sibling, &root);
            let levels = node.trailing_zeros().min(63);
            if node % 2 == 0 {
                (node, last) = (node >> levels, last >> levels);
            }
        } else {
            root = node_hash(&root, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    if last == 0 { Ok(root) } else { Err(ProofError) }
}

/// Whether the tree at `new` holds the tree at `old` as its beginning.
///
/// # Errors
///
/// [`ProofError`] when that is not proved.
pub fn check_consistency(old: &LogPosition, new: &LogPosition, path: &[Hash]) -> Result<(), ProofError> {
    let holds = |holds: bool| if holds { Ok(()) } else { Err(ProofError) };
    if old.size == new.size || old.size == 0 {
        let known = if old.size == 0 { LogPosition::empty() } else { *new };
        return holds(path.is_empty() && *old == known);
    }
    if old.size > new.size {
        return Err(ProofError);
    }
    let known = old.size.is_power_of_two().then_some(&old.root);
    let mut nodes = known.into_iter().chain(path);
    let first = nodes.next().ok_or(ProofError)?;
    let (mut old_root, mut new_root) = (*first, *first);
    let levels = (old.size - 1).trailing_ones();
    let (mut node, mut last) = ((old.size - 1) >> levels, (new.size - 1) >> levels);
    for subtree in nodes {
        if last == 0 {
            return Err(ProofError);
        }
        if node % 2 == 1 || node == last {
            old_root = node_hash(subtree, &old_root);
            new_root = node_hash(subtree, &new_root);
            let levels = node.trailing_zeros().min(63);
            if node % 2 == 0 {
                (node, last) = (node >> levels, last >> levels);
            }
        } else {
            new_root = node_hash(&new_root, subtree);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    holds(last == 0 && old_root == old.root && new_root == new.root)
}

/// Hashes ranges of leaves that come by one after the other.
pub(super) struct RangeHasher {
    ranges: Vec<(Range<u64>, Frontier)>,
    next: u64,
}

impl RangeHasher {
    /// For these ranges, of leaves that begin after the ones in `before`. `None` when a range needs leaves of before that
    /// the subtrees there do not tell.
    pub(super) fn new(ranges: Vec<Range<u64>>, before: &Frontier) -> Option<Self> {
        let seeded = |range: Range<u64>| Some((range.clone(), part_of(before, &range)?));
        let ranges = ranges.into_iter().map(seeded).collect::<Option<Vec<_>>>()?;
        Some(Self { ranges, next: before.size() })
    }

    /// Takes the next leaf.
    pub(super) fn push(&mut self, leaf: Hash) {
        for (range, tree) in &mut self.ranges {
            if range.contains(&self.next) {
                tree.push(leaf);
            }
        }
        self.next += 1;
    }

    /// The root over each range, in the order in which they were asked for.
    pub(super) fn finish(self) -> Vec<Hash> {
        self.ranges.into_iter().map(|(_, tree)| tree.root()).collect()
    }
}

/// What `tree` holds of the leaves in `range`, as a tree of its own.
fn part_of(tree: &Frontier, range: &Range<u64>) -> Option<Frontier> {
    if range.start >= tree.size() {
        return Some(Frontier::new());
    }
    let end = range.end.min(tree.size());
    let (mut start, mut parts, mut size) = (0, Vec::new(), 0);
    let mut rest = tree.size();
    for subtree in tree.subtrees() {
        let leaves = 1 << (63 - rest.leading_zeros());
        if start >= range.start && start + leaves <= end {
            parts.push(*subtree);
            size += leaves;
        }
        (start, rest) = (start + leaves, rest - leaves);
    }
    (size == end - range.start).then(|| Frontier::from_parts(size, parts))?
}

#[cfg(test)]
mod tests {
    use ct_merkle::{ConsistencyProof, InclusionProof, RootHash, mem_backed_tree::MemoryBackedTree};
    use proptest::prelude::*;
    use sha2::Sha256;

    use super::*;
    use crate::audit::leaf_hash;

    fn leaf(number: u64) -> Vec<u8> {
        number.to_be_bytes().to_vec()
    }

    fn tree(size: u64) -> Frontier {
        let mut tree = Frontier::new();
        (0..size).for_each(|number| tree.push(leaf_hash(&leaf(number))));
        tree
    }

    fn hashes(ranges: Vec<Range<u64>>, size: u64, pruned: u64) -> Option<Vec<Hash>> {
        let mut hasher = RangeHasher::new(ranges, &tree(pruned))?;
        (pruned..size).for_each(|number| hasher.push(leaf_hash(&leaf(number))));
        Some(hasher.finish())
    }

    fn inclusion(index: u64, size: u64) -> Vec<Hash> {
        hashes(inclusion_ranges(index, size), size, 0).unwrap()
    }

    fn consistency(old: u64, new: u64) -> Vec<Hash> {
        hashes(consistency_ranges(old, new), new, 0).unwrap()
    }

    /// The tree of `ct-merkle`, an implementation that is not ours.
    fn other_tree(size: u64) -> MemoryBackedTree<Sha256, Vec<u8>> {
        let mut tree = MemoryBackedTree::new();
        (0..size).for_each(|number| tree.push(leaf(number)));
        tree
    }

    #[test]
    fn every_small_inclusion_is_proved_as_ct_merkle_proves_it() {
        for size in 1..40 {
            let other = other_tree(size);
            let root = tree(size).root();
            assert_eq!(root, <[u8; 32]>::from(*other.root().as_bytes()));
            for index in 0..size {
                let path = inclusion(index, size);
                let theirs = other.prove_inclusion(usize::try_from(index).unwrap());
                assert_eq!(path.concat(), theirs.as_bytes(), "{index} of {size}");
                let ours = InclusionProof::<Sha256>::try_from_bytes(path.concat()).unwrap();
                assert!(other.root().verify_inclusion(&leaf(index), index, &ours).is_ok());
                assert_eq!(root_of_inclusion(leaf_hash(&leaf(index)), index, size, &path), Ok(root));
            }
        }
    }

    #[test]
    fn every_small_consistency_is_proved_as_ct_merkle_proves_it() {
        for new in 1..40 {
            let other = other_tree(new);
            for old in 1..new {
                let path = consistency(old, new);
                let theirs = other.prove_consistency(usize::try_from(new - old).unwrap());
                assert_eq!(path.concat(), theirs.as_bytes(), "{old} to {new}");
                let ours = ConsistencyProof::<Sha256>::try_from_bytes(path.concat()).unwrap();
                let root = RootHash::<Sha256>::new(tree(old).root().into(), old);
                assert!(other.root().verify_consistency(&root, &ours).is_ok());
                assert!(check_consistency(&tree(old).position(), &tree(new).position(), &path).is_ok());
            }
        }
    }

    #[test]
    fn nothing_is_proved_of_trees_that_are_not_related() {
        let (old, new) = (tree(5).position(), tree(9).position());
        let path = consistency(5, 9);
        let other = |position: LogPosition| LogPosition { root: [3; 32], ..position };
        assert!(check_consistency(&other(old), &new, &path).is_err());
        assert!(check_consistency(&old, &other(new), &path).is_err());
        assert!(check_consistency(&new, &old, &path).is_err(), "the newer is not the older's beginning");
        assert!(check_consistency(&other(old), &old, &[]).is_err());
        assert!(check_consistency(&old, &old, &[]).is_ok());
        assert!(check_consistency(&LogPosition::empty(), &new, &[]).is_ok());
        assert!(check_consistency(&other(LogPosition::empty()), &new, &[]).is_err());
        assert!(
            check_consistency(&LogPosition::empty(), &new, &path).is_err(),
            "what is not asked is no proof"
        );
    }

    /// The hashes that `tlog_tiles` stores, for its own provers.
    struct Stored(Vec<tlog_tiles::tlog::Hash>);

    impl tlog_tiles::tlog::HashReader for Stored {
        fn read_hashes(
            &self,
            indexes: &[u64],
        ) -> Result<Vec<tlog_tiles::tlog::Hash>, tlog_tiles::tlog::Error> {
            Ok(indexes.iter().map(|index| self.0[usize::try_from(*index).unwrap()]).collect())
        }
    }

    fn stored(size: u64) -> Stored {
        let mut stored = Stored(Vec::new());
        for number in 0..size {
            let more = tlog_tiles::tlog::stored_hashes(number, &leaf(number), &stored).unwrap();
            stored.0.extend(more);
        }
        stored
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn proofs_are_those_of_tlog_tiles_at_any_size(size in 2u64..1500, at in any::<prop::sample::Index>()) {
            let index = at.index(usize::try_from(size).unwrap()) as u64;
            let stored = stored(size);
            let theirs = tlog_tiles::tlog::prove_record(size, index, &stored).unwrap();
            let theirs: Vec<Hash> = theirs.iter().map(|hash| hash.0).collect();
            prop_assert_eq!(&inclusion(index, size), &theirs);
            let old = index.max(1);
            let theirs = tlog_tiles::tlog::prove_tree(size, old, &stored).unwrap();
            let theirs: Vec<Hash> = theirs.iter().map(|hash| hash.0).collect();
            // Theirs repeats the old root when the old tree is one perfect subtree; RFC 6962 leaves it out.
            prop_assert!(theirs.ends_with(&consistency(old, size)));
            prop_assert_eq!(tlog_tiles::tlog::tree_hash(size, &stored).unwrap().0, tree(size).root());
        }

        #[test]
        fn a_changed_proof_proves_nothing(
            size in 2u64..200, at in any::<prop::sample::Index>(), which in any::<prop::sample::Index>(), bit in 0usize..256,
        ) {
            let index = at.index(usize::try_from(size).unwrap()) as u64;
            let (leaf, root) = (leaf_hash(&leaf(index)), tree(size).root());
            let mut path = inclusion(index, size);
            let other = (index + 1) % size;
            prop_assert_ne!(root_of_inclusion(leaf, other, size, &path), Ok(root));
            prop_assert!(root_of_inclusion(leaf, index, size, &path[1..]).is_err() || size == 1);
            let changed = which.index(path.len());
            path[changed][bit / 8] ^= 1 << (bit % 8);
            prop_assert_ne!(root_of_inclusion(leaf, index, size, &path), Ok(root));
            let (old, new) = (tree(index.max(1)).position(), tree(size).position());
            let mut path = consistency(old.size, size);
            let changed = which.index(path.len());
            path[changed][bit / 8] ^= 1 << (bit % 8);
            prop_assert!(check_consistency(&old, &new, &path).is_err());
        }

        #[test]
        fn what_was_pruned_is_proved_from_its_subtrees(size in 2u64..300, a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>()) {
            let pruned = a.index(usize::try_from(size).unwrap()) as u64;
            let index = pruned + b.index(usize::try_from(size - pruned).unwrap()) as u64;
            // A record that is still there can always be proved.
            prop_assert_eq!(hashes(inclusion_ranges(index, size), size, pruned), Some(inclusion(index, size)));
            // And the growth from any size at or after the pruning.
            let old = index.max(1);
            prop_assert_eq!(hashes(consistency_ranges(old, size), size, pruned.min(old)), Some(consistency(old, size)));
        }

        #[test]
        fn arbitrary_proofs_never_panic(
            index: u64, size: u64, old: u64, path in proptest::collection::vec(any::<[u8; 32]>(), 0..70),
        ) {
            let position = |size| LogPosition { size, root: [0; 32] };
            let _ = root_of_inclusion([1; 32], index, size, &path);
            prop_assert!(check_consistency(&position(old), &position(size), &path).is_err() || old == size);
            let _ = (inclusion_ranges(index, size), consistency_ranges(old, size));
        }
    }
}
