//! One segment, read again from its beginning: its tree, its root at each checkpoint, its signatures.

use std::collections::BTreeMap;

use super::{
    Frontier, Hash,
    checkpoint::Checkpoint,
    directory::LogDirectory,
    fault::LogFault,
    leaf_hash,
    note::VerifierKey,
    prune::Prune,
    segment::{Batch, SegmentReader},
};
use crate::crypto::{
    digest::{Sha256Digest, Sha256Stream},
    signature::PUBLIC_KEY_BYTES,
};

/// What is asked of a replay.
pub(super) struct Request<'a> {
    /// The log's key.
    pub(super) public_key: &'a [u8; PUBLIC_KEY_BYTES],
    /// Whether every checkpoint's signature is verified, or the last one's alone. The last vouches for all records,
    /// and signatures are what a replay would spend most of its time on.
    pub(super) every_signature: bool,
    /// The sizes at which the tree's root is wanted.
    pub(super) watched_sizes: &'a [u64],
    /// Whether records of a pruning are looked for.
    pub(super) prunes: bool,
}

/// What a segment was found to hold.
pub(super) struct Replayed {
    pub(super) name: String,
    pub(super) verifier: VerifierKey,
    /// The tree that the segment continues.
    pub(super) before: Frontier,
    pub(super) previous_file: Option<Sha256Digest>,
    /// The tree at the last complete batch.
    pub(super) after: Frontier,
    pub(super) checkpoints: u64,
    /// The number of the first record of the last complete batch; the log's size when the segment has none yet.
    pub(super) last_batch: u64,
    /// The end of the last complete batch, and the digest of the file up to there.
    pub(super) complete_bytes: u64,
    pub(super) file_hash: Sha256Stream,
    /// The roots at those watched sizes that the segment reaches.
    pub(super) watched_roots: BTreeMap<u64, Hash>,
    /// The prunings that records of the segment tell of.
    pub(super) prunes: Vec<Prune>,
    pub(super) torn: Option<Torn>,
}

/// A write that a crash interrupted.
pub(super) struct Torn {
    pub(super) bytes: u64,
    /// The beginning of a frame, when that is where the file ends.
    pub(super) unfinished_frame: Option<Vec<u8>>,
    /// The tree as it would be with the write's records.
    pub(super) after: Frontier,
}

/// Reads a segment and checks all that can be checked of it alone.
pub(super) fn replay(
    directory: &dyn LogDirectory,
    name: &str,
    newest: bool,
    request: &Request<'_>,
) -> Result<Replayed, LogFault> {
    let mut reader = SegmentReader::open(directory, name, newest)?;
    let (header, payload) = reader.header();
    if header.verify(payload, request.public_key).is_err() {
        return Err(LogFault::BadSignature { segment: name.to_owned(), offset: 0 });
    }
    let header = header.clone();
    let mut state = State {
        segment: name,
        verifier: &header.verifier,
        tree: header.before.clone(),
        watched_sizes: request.watched_sizes,
        watched_roots: BTreeMap::new(),
        prunes: request.prunes.then(Vec::new),
        checkpoints: 0,
        last_batch: header.before.size(),
    };
    state.watch();
    let mut unverified = None;
    while let Some(batch) = reader.next_batch()? {
        if request.every_signature {
            state.verify(&batch.checkpoint, batch.checkpoint_offset)?;
        } else {
            unverified = Some((batch.checkpoint.clone(), batch.checkpoint_offset));
        }
        state.take(batch)?;
    }
    if let Some((checkpoint, offset)) = unverified {
        state.verify(&checkpoint, offset)?;
    }
    let State { tree, watched_roots, prunes, checkpoints, last_batch, .. } = state;
    let torn = reader.tail().map(|tail| Torn {
        bytes: tail.bytes,
        unfinished_frame: tail.unfinished_frame.clone(),
        after: with_leaves(tree.clone(), reader.unacknowledged()),
    });
    let (complete_bytes, file_hash) = reader.complete();
    Ok(Replayed {
        name: name.to_owned(),
        verifier: header.verifier,
        before: header.before,
        previous_file: header.previous_file,
        after: tree,
        checkpoints,
        last_batch,
        complete_bytes,
        file_hash: file_hash.clone(),
        watched_roots,
        prunes: prunes.unwrap_or_default(),
        torn,
    })
}

fn with_leaves(mut tree: Frontier, batch: &Batch) -> Frontier {
    batch.records().for_each(|record| tree.push(leaf_hash(record)));
    tree
}

struct State<'a> {
    segment: &'a str,
    verifier: &'a VerifierKey,
    tree: Frontier,
    watched_sizes: &'a [u64],
    watched_roots: BTreeMap<u64, Hash>,
    prunes: Option<Vec<Prune>>,
    checkpoints: u64,
    last_batch: u64,
}

impl State<'_> {
    fn watch(&mut self) {
        if self.watched_sizes.contains(&self.tree.size()) {
            self.watched_roots.insert(self.tree.size(), self.tree.root());
        }
    }

    fn verify(&self, checkpoint: &str, offset: u64) -> Result<(), LogFault> {
        Checkpoint::open(checkpoint, self.verifier)
            .map(|_| ())
            .map_err(|_| LogFault::BadSignature { segment: self.segment.to_owned(), offset })
    }

    /// Grows the tree and compares its root with the checkpoint's.
    fn take(&mut self, batch: &Batch) -> Result<(), LogFault> {
        for record in batch.records() {
            self.tree.push(leaf_hash(record));
            self.watch();
            if let Some(prunes) = &mut self.prunes {
                prunes.extend(Prune::of(record));
            }
        }
        if batch.position != Some(self.tree.position()) {
            let (first, last) = (batch.first(), batch.end().saturating_sub(1));
            return Err(LogFault::Edited { segment: self.segment.to_owned(), first, last });
        }
        self.checkpoints += 1;
        self.last_batch = batch.first();
        Ok(())
    }
}
