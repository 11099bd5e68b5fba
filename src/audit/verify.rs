//! Verifying a log from nothing but its files, its public key and, best, a position known from before.
//!
//! Nothing that the files claim is believed: every leaf is hashed, every root computed, every signature verified,
//! every file digest compared. The segments are read side by side, since each says what it continues; then it is
//! checked that each continues the one before it. A verifier that trusts what it is shown is none (CVE-2022-36111).

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use super::{
    Frontier, Hash, LogPosition,
    directory::LogDirectory,
    fault::LogFault,
    prune::Prune,
    replay::{Replayed, Request, replay},
    segment,
};
use crate::crypto::signature::PUBLIC_KEY_BYTES;

/// A log that is what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Whose log it is: the name of its key.
    pub origin: String,
    /// The first record that it still holds: 0 unless it was pruned.
    pub first_kept: u64,
    /// How many records it holds, with those that were pruned.
    pub records: u64,
    /// How many files they stand in.
    pub segments: usize,
    /// The root of the tree over them.
    pub root: Hash,
    /// How many signed checkpoints were verified.
    pub checkpoints: u64,
    /// How many bytes of an interrupted write, never acknowledged, stand at the end.
    pub unacknowledged_bytes: u64,
}

impl Verified {
    /// Size and root.
    #[must_use]
    pub fn position(&self) -> LogPosition {
        LogPosition { size: self.records, root: self.root }
    }
}

/// Verifies the whole log in `directory`. `expected` are positions that the log is known to have had.
///
/// A log that was pruned begins later; it is believed when a record of its own says that it was pruned so.
///
/// # Errors
///
/// The first [`LogFault`], in the log's order.
pub fn verify(
    directory: &dyn LogDirectory,
    public_key: &[u8; PUBLIC_KEY_BYTES],
    expected: impl IntoIterator<Item = LogPosition>,
) -> Result<Verified, LogFault> {
    let names = segment::names(directory)?;
    let expected: Vec<LogPosition> = expected.into_iter().collect();
    let sizes: Vec<u64> = expected.iter().map(|position| position.size).collect();
    let first_kept = names.first().and_then(|name| segment::first_of(name)).unwrap_or_default();
    let request =
        Request { public_key, every_signature: true, watched_sizes: &sizes, prunes: first_kept > 0 };
    let mut verified: Option<Verified> = None;
    let mut previous: Option<(Frontier, Hash)> = None;
    let (mut watched_roots, mut begins, mut prunes) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    for replayed in replay_all(directory, &names, &request) {
        let segment = replayed?;
        check_chain(previous.as_ref(), verified.as_ref(), &segment)?;
        let so_far = verified.get_or_insert_with(|| Verified {
            origin: segment.verifier.name().to_owned(),
            first_kept,
            records: 0,
            segments: 0,
            root: Frontier::new().root(),
            checkpoints: 0,
            unacknowledged_bytes: 0,
        });
        so_far.records = segment.after.size();
        so_far.root = segment.after.root();
        so_far.segments += 1;
        so_far.checkpoints += segment.checkpoints;
        so_far.unacknowledged_bytes += segment.torn.map_or(0, |torn| torn.bytes);
        begins.insert(segment.before.size(), segment.before.root());
        watched_roots.extend(segment.watched_roots);
        prunes.extend(segment.prunes);
        previous = Some((segment.after, segment.file_hash.finish()));
    }
    let verified = verified.ok_or(LogFault::Missing)?;
    check_pruned(first_kept, &prunes, &begins)?;
    for expected in expected {
        if expected.size < first_kept {
            return Err(LogFault::Pruned { first: first_kept, needed: expected.size });
        }
        check_expected(&expected, verified.records, watched_roots.get(&expected.size).copied())?;
    }
    Ok(verified)
}

/// Whether a record of a pruning covers all that is missing before `first_kept`. It may cover more: a crash between the
/// record and the removal, or within it, leaves that.
fn check_pruned(first_kept: u64, prunes: &[Prune], begins: &BTreeMap<u64, Hash>) -> Result<(), LogFault> {
    let covers =
        |prune: &Prune| prune.first_kept >= first_kept && begins.get(&prune.first_kept) == Some(&prune.root);
    if first_kept == 0 || prunes.iter().any(covers) {
        return Ok(());
    }
    Err(LogFault::Gap { segment: segment::name_of(first_kept), expected: 0, found: first_kept })
}

/// Whether a log of this size, with this root at the expected size, holds what it is known to have held.
pub(super) fn check_expected(
    expected: &LogPosition,
    size: u64,
    root_there: Option<Hash>,
) -> Result<(), LogFault> {
    if expected.size > size {
        Err(LogFault::Truncated { expected: expected.size, found: size })
    } else if root_there != Some(expected.root) {
        Err(LogFault::Fork { size: expected.size })
    } else {
        Ok(())
    }
}

/// Whether `segment` continues what came before it.
fn check_chain(
    previous: Option<&(Frontier, Hash)>,
    verified: Option<&Verified>,
    segment: &Replayed,
) -> Result<(), LogFault> {
    let empty = Frontier::new();
    // Whether the log may begin here is asked when all its records are known.
    let begins = previous.is_none() && segment.before.size() > 0;
    let (before, file_hash) = match previous {
        None if begins => (&segment.before, segment.previous_file),
        None => (&empty, None),
        Some((tree, hash)) => (tree, Some(*hash)),
    };
    let name = segment.name.clone();
    if segment.before.size() != before.size() {
        return Err(LogFault::Gap { segment: name, expected: before.size(), found: segment.before.size() });
    }
    let same_log = verified.is_none_or(|verified| verified.origin == segment.verifier.name());
    if !same_log || segment.before != *before || segment.previous_file != file_hash {
        return Err(LogFault::Unchained { segment: name });
    }
    Ok(())
}

/// Replays all segments on as many threads as the machine has; answers in the log's order.
fn replay_all(
    directory: &dyn LogDirectory,
    names: &[String],
    request: &Request<'_>,
) -> Vec<Result<Replayed, LogFault>> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(name) = names.get(index) else { return done };
            done.push((index, replay(directory, name, index + 1 == names.len(), request)));
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from).min(names.len());
    let mut replayed = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut replayed = work();
        for other in others {
            match other.join() {
                Ok(done) => replayed.extend(done),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        replayed
    });
    replayed.sort_unstable_by_key(|(index, _)| *index);
    replayed.into_iter().map(|(_, result)| result).collect()
}
