//! Pruning: giving up the oldest segments, and only with a record that says so.
//!
//! The record is one of the log's own, so the next checkpoint signs it: it names the first record that stays and the root
//! over all before it. A log that begins later than it should is believed when such a record covers exactly that, and
//! never otherwise. The segment that is still open stays whatever happens.

use serde_json::{Value, json};

use super::{Hash, Record, directory::LogDirectory, fault::LogFault, segment};
use crate::model::Timestamp;

/// What the record of a pruning is known by. No other operation of this source has the name.
pub const EVENT_SOURCE: &str = "keystead.local";
/// The operation's name.
pub const EVENT_NAME: &str = "PruneAuditLog";
const FIRST_KEPT: &str = "firstKept";
const ROOT: &str = "root";

/// What is pruned: everything before a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prune {
    /// The first record that stays; a segment begins with it.
    pub first_kept: u64,
    /// The root over all records before it.
    pub root: Hash,
}

impl Prune {
    /// What can be pruned of a log so that every record from `time` on stays. None when that is nothing.
    ///
    /// # Errors
    ///
    /// [`LogFault`] when the log cannot be read. Whether it is to be believed is for the caller to verify before.
    pub fn before(directory: &dyn LogDirectory, time: Timestamp) -> Result<Option<Self>, LogFault> {
        let names = segment::names(directory)?;
        let mut prune = None;
        for (name, next) in names.iter().zip(names.iter().skip(1)) {
            let mut reader = segment::SegmentReader::open(directory, name, false)?;
            while let Some(batch) = reader.next_batch()? {
                for bytes in batch.records() {
                    let unreadable = |_| damaged(name, "a record is none");
                    if Record::from_bytes(bytes).map_err(unreadable)?.event_time >= time {
                        return Ok(prune);
                    }
                }
            }
            let newest = Some(next) == names.last();
            let (header, _) = segment::SegmentReader::open(directory, next, newest)?.into_header();
            prune = Some(Self { first_kept: header.before.size(), root: header.before.root() });
        }
        Ok(prune)
    }

    /// Removes what the record of this pruning covers, the oldest first. It may be done again after a crash.
    ///
    /// # Errors
    ///
    /// The operating system's; what is left then is covered by the record as well.
    pub fn carry_out(self, directory: &dyn LogDirectory) -> Result<usize, LogFault> {
        let names = segment::names(directory)?;
        let covered = |name: &&String| segment::first_of(name).is_some_and(|first| first < self.first_kept);
        let begins = names.iter().any(|name| segment::first_of(name) == Some(self.first_kept));
        if !begins {
            return Ok(0);
        }
        let mut removed = 0;
        for name in names.iter().filter(covered) {
            directory.remove(name)?;
            removed += 1;
        }
        Ok(removed)
    }

    /// What the record of this pruning says.
    #[must_use]
    pub fn to_elements(self) -> Value {
        json!({FIRST_KEPT: self.first_kept, ROOT: hex::encode(self.root)})
    }

    /// What was pruned, when these canonical bytes are the record of a pruning that was allowed.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        // Nearly every record is another one, and parsing them all would take longer than hashing them.
        if !bytes.windows(EVENT_NAME.len()).any(|part| part == EVENT_NAME.as_bytes()) {
            return None;
        }
        let record = Record::from_bytes(bytes).ok()?;
        let known_by = (&*record.event_source, &*record.event_name);
        if known_by != (EVENT_SOURCE, EVENT_NAME) || !record.succeeded() {
            return None;
        }
        let first_kept = record.response_elements.get(FIRST_KEPT)?.as_u64()?;
        let root = hex::decode(record.response_elements.get(ROOT)?.as_str()?).ok()?.try_into().ok()?;
        Some(Self { first_kept, root })
    }
}

/// The first record that the log still holds.
///
/// # Errors
///
/// [`LogFault`] when the directory cannot be listed or holds no log.
pub fn first_kept(directory: &dyn LogDirectory) -> Result<u64, LogFault> {
    let names = segment::names(directory)?;
    Ok(names.first().and_then(|name| segment::first_of(name)).unwrap_or_default())
}

fn damaged(name: &str, what: &'static str) -> LogFault {
    LogFault::Damaged { segment: name.into(), offset: 0, record: None, what }
}
