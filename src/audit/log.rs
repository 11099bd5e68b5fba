//! The log that records are appended to.

use std::io;

use thiserror::Error;

use super::{LogPosition, directory::LogDirectory};
use crate::crypto::signature::SigningKey;

/// The size at which a segment is closed and the next one begun: 64 MiB.
pub const SEGMENT_BYTES_MAX: u64 = 64 << 20;

/// How a log is kept.
pub struct LogOptions {
    /// Signs the checkpoints: a key of the keystore's own.
    pub signing_key: SigningKey,
    /// Names the log in its checkpoints: `keystead/<keystore id>`.
    pub origin: String,
    /// The size at which a segment is closed; [`SEGMENT_BYTES_MAX`] outside tests.
    pub segment_bytes_max: u64,
}

/// Why the log would not do it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LogError {
    /// An earlier failure stands.
    #[error("the audit log failed earlier and takes no more records until it is opened again")]
    Latched,
    /// The operating system failed.
    #[error("the audit log cannot be read or written")]
    Io(#[from] io::Error),
}

/// A log open for appending.
pub struct AuditLog {
    position: LogPosition,
}

impl AuditLog {
    /// Begins a log in an empty directory.
    ///
    /// # Errors
    ///
    /// [`LogError`].
    pub fn create(directory: Box<dyn LogDirectory>, options: LogOptions) -> Result<Self, LogError> {
        let _ = (directory, options);
        Err(LogError::Latched)
    }

    /// Opens a log.
    ///
    /// # Errors
    ///
    /// [`LogError`].
    pub fn open(
        directory: Box<dyn LogDirectory>,
        options: LogOptions,
        expected: Option<LogPosition>,
    ) -> Result<Self, LogError> {
        let _ = (directory, options, expected);
        Err(LogError::Latched)
    }

    /// Appends records; durable when it answers.
    ///
    /// # Errors
    ///
    /// [`LogError`].
    pub fn append_batch<R: AsRef<[u8]>>(&mut self, records: &[R]) -> Result<LogPosition, LogError> {
        let _ = records.len();
        Err(LogError::Latched)
    }

    /// Where the log stands.
    #[must_use]
    pub fn position(&self) -> LogPosition {
        self.position
    }
}
