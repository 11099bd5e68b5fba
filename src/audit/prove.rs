//! Making proofs out of a log's segments: one pass over the records, which hashes what the proof needs.
//!
//! The tree is not stored: its leaves are the records, and a million of them are hashed in about a second.

use std::ops::Range;

use super::{
    Frontier, Hash, LogPosition,
    directory::LogDirectory,
    fault::LogFault,
    leaf_hash,
    proof::{RangeHasher, consistency_ranges, inclusion_ranges},
    segment::{self, SegmentReader},
};

/// The path that proves that record number `index` is in the log as it was at `position`.
///
/// # Errors
///
/// [`LogFault`] when the log cannot be read, is not the one that had this position, or does not hold the record.
pub fn prove_inclusion(
    directory: &dyn LogDirectory,
    index: u64,
    position: &LogPosition,
) -> Result<Vec<Hash>, LogFault> {
    if index >= position.size {
        return Err(LogFault::Truncated { expected: index.saturating_add(1), found: position.size });
    }
    hash_ranges(directory, inclusion_ranges(index, position.size), index, position)
}

/// The path that proves that the log as it was at `position` holds all that it held when it had `old` records.
///
/// # Errors
///
/// [`LogFault`] when the log cannot be read, is not the one that had this position, or never had so few records.
pub fn prove_consistency(
    directory: &dyn LogDirectory,
    old: u64,
    position: &LogPosition,
) -> Result<Vec<Hash>, LogFault> {
    if old > position.size {
        return Err(LogFault::Truncated { expected: old, found: position.size });
    }
    hash_ranges(directory, consistency_ranges(old, position.size), old, position)
}

/// The root over each range of records. `needed` is the record that a pruned log would be asked to bring back.
fn hash_ranges(
    directory: &dyn LogDirectory,
    ranges: Vec<Range<u64>>,
    needed: u64,
    position: &LogPosition,
) -> Result<Vec<Hash>, LogFault> {
    let names = segment::names(directory)?;
    let mut state: Option<(RangeHasher, Frontier)> = None;
    let mut wanted = Some(ranges);
    for (number, name) in names.iter().enumerate() {
        let mut reader = SegmentReader::open(directory, name, number + 1 == names.len())?;
        if let Some(ranges) = wanted.take() {
            let before = reader.header().0.before.clone();
            let pruned = LogFault::Pruned { first: before.size(), needed };
            let hasher = RangeHasher::new(ranges, &before).ok_or(pruned)?;
            state = Some((hasher, before));
        }
        let Some((hasher, tree)) = &mut state else { continue };
        while let Some(batch) = reader.next_batch()? {
            for record in batch.records() {
                if tree.size() < position.size {
                    let leaf = leaf_hash(record);
                    hasher.push(leaf);
                    tree.push(leaf);
                }
            }
        }
    }
    let (hasher, tree) = state.ok_or(LogFault::Missing)?;
    if tree.size() < position.size {
        return Err(LogFault::Truncated { expected: position.size, found: tree.size() });
    }
    if tree.position() != *position {
        return Err(LogFault::Fork { size: position.size });
    }
    Ok(hasher.finish())
}
