//! What can be wrong with a log.

use std::io;

use thiserror::Error;

/// The sort of thing that is wrong, for exit codes and monitoring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// Records are missing in the middle.
    Gap,
    /// Bytes are not those that were written.
    Edit,
    /// The end is missing.
    Truncation,
    /// Something is not signed by the log's key.
    BadSignature,
    /// The log is consistent in itself and is not the one that was seen before.
    Fork,
    /// What would have to be compared was pruned.
    Pruned,
    /// A witness that must vouch for the log does not.
    Unwitnessed,
    /// The log could not be read.
    Unreadable,
}

/// Why a log is not to be believed, or not to be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LogFault {
    /// The directory holds no segment.
    #[error("there is no audit log: its directory is gone or holds no segment")]
    Missing,
    /// Sequence numbers do not follow one another, or fewer records stand before a checkpoint than it covers.
    #[error("gap in segment `{segment}`: record {expected} should come next, and {found} does")]
    Gap {
        /// The segment's name.
        segment: String,
        /// The sequence number that should come.
        expected: u64,
        /// The one that does.
        found: u64,
    },
    /// A frame's checksum does not fit, or a frame is none.
    #[error("segment `{segment}` is damaged at byte {offset}{}: {what}", in_words(*.record))]
    Damaged {
        /// The segment's name.
        segment: String,
        /// Where in the file.
        offset: u64,
        /// The record that should stand there, as far as it is known; a checkpoint before it may be what is damaged.
        record: Option<u64>,
        /// What was found.
        what: &'static str,
    },
    /// The records below a signed checkpoint are not those that it was made for.
    #[error("a record from {first} to {last} in segment `{segment}` was changed: the signed root is another")]
    Edited {
        /// The segment's name.
        segment: String,
        /// The first record that the checkpoint before does not vouch for.
        first: u64,
        /// The last record that the checkpoint covers.
        last: u64,
    },
    /// A checkpoint or a segment's header is not signed by the log's key.
    #[error("segment `{segment}` holds a bad signature at byte {offset}")]
    BadSignature {
        /// The segment's name.
        segment: String,
        /// Where in the file.
        offset: u64,
    },
    /// A segment does not continue the one before it.
    #[error("segment `{segment}` does not continue the one before it: one of the two was replaced")]
    Unchained {
        /// The segment's name.
        segment: String,
    },
    /// A segment that others follow does not end with a checkpoint.
    #[error("segment `{segment}` is cut off at byte {offset}, and others follow it")]
    CutOff {
        /// The segment's name.
        segment: String,
        /// Where in the file.
        offset: u64,
    },
    /// A segment holds nothing, not even its header.
    #[error("segment `{segment}` is empty: all that it held was cut off")]
    Emptied {
        /// The segment's name.
        segment: String,
    },
    /// The log is shorter than it is known to have been.
    #[error("the log holds {found} records and is known to have held {expected}: its end was cut off")]
    Truncated {
        /// How many records it held.
        expected: u64,
        /// How many it holds.
        found: u64,
    },
    /// The log is not the one that was seen before.
    #[error("the log's first {size} records are not the ones known before: the log was rewritten")]
    Fork {
        /// How many records are compared.
        size: u64,
    },
    /// What is asked about was pruned.
    #[error("the log begins with record {first} since it was pruned, and record {needed} would be needed")]
    Pruned {
        /// The first record that is there.
        first: u64,
        /// The one that would be needed.
        needed: u64,
    },
    /// A witness that the keystore requires has not vouched for the log.
    #[error("the witness `{name}` is required and has not signed a checkpoint of this log")]
    Unwitnessed {
        /// The witness's name.
        name: String,
    },
    /// A segment was written by a later version of this program.
    #[error("segment `{segment}` has a format that this version does not know: `{found}`")]
    NewerFormat {
        /// The segment's name.
        segment: String,
        /// What the header says.
        found: String,
    },
    /// The operating system failed.
    #[error("the audit log cannot be read")]
    Io(#[from] io::Error),
}

fn in_words(record: Option<u64>) -> String {
    record.map_or_else(String::new, |number| format!(", in record {number} or the checkpoint before it"))
}

impl LogFault {
    /// What sort of thing is wrong.
    #[must_use]
    pub fn finding(&self) -> Finding {
        match self {
            Self::Gap { .. } => Finding::Gap,
            Self::Damaged { .. } | Self::Edited { .. } | Self::Unchained { .. } => Finding::Edit,
            Self::Missing | Self::CutOff { .. } | Self::Emptied { .. } | Self::Truncated { .. } => {
                Finding::Truncation
            }
            Self::BadSignature { .. } => Finding::BadSignature,
            Self::Fork { .. } => Finding::Fork,
            Self::Pruned { .. } => Finding::Pruned,
            Self::Unwitnessed { .. } => Finding::Unwitnessed,
            Self::Io(error) if error.kind() == io::ErrorKind::InvalidData => Finding::Edit,
            Self::NewerFormat { .. } | Self::Io(_) => Finding::Unreadable,
        }
    }
}
