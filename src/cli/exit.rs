//! Exit codes: what a script can tell apart.

use std::process::ExitCode;

use crate::{audit::Finding, envelope::ErrorClass};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// Something failed that none of the others names.
    Failed,
    /// The command line makes no sense.
    Usage,
    /// Access denied.
    AccessDenied,
    /// Authentication or integrity failed: a wrong key, a forged or damaged message, keystore or log.
    Integrity,
    /// The key is missing, or unusable in its state.
    KeyUnusable,
    /// Nothing is wrong, and something is unusual.
    Unusual,
    /// Records of the audit log are missing.
    LogGap,
    /// Something in the audit log was changed.
    LogEdited,
    /// The audit log's end is missing.
    LogTruncated,
    /// Something in the audit log, or a proof, is not signed by the log's key.
    BadSignature,
    /// The audit log is another one than was seen before.
    LogForked,
    /// A witness that must have signed has not.
    Unwitnessed,
    /// What would have to be compared was pruned from the audit log.
    LogPruned,
    /// What a command that was run ended with.
    OfCommand(u8),
}

impl From<ErrorClass> for Exit {
    fn from(class: ErrorClass) -> Self {
        match class {
            ErrorClass::Failed => Self::Failed,
            ErrorClass::Usage => Self::Usage,
            ErrorClass::Integrity => Self::Integrity,
            ErrorClass::KeyUnusable => Self::KeyUnusable,
            ErrorClass::AccessDenied => Self::AccessDenied,
        }
    }
}

impl From<Finding> for Exit {
    fn from(finding: Finding) -> Self {
        match finding {
            Finding::Gap => Self::LogGap,
            Finding::Edit => Self::LogEdited,
            Finding::Truncation => Self::LogTruncated,
            Finding::BadSignature => Self::BadSignature,
            Finding::Fork => Self::LogForked,
            Finding::Unwitnessed => Self::Unwitnessed,
            Finding::Pruned => Self::LogPruned,
            Finding::Unreadable => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::AccessDenied => 3,
            Exit::Integrity => 4,
            Exit::KeyUnusable => 5,
            Exit::Unusual => 6,
            Exit::LogGap => 10,
            Exit::LogEdited => 11,
            Exit::LogTruncated => 12,
            Exit::BadSignature => 13,
            Exit::LogForked => 14,
            Exit::Unwitnessed => 15,
            Exit::LogPruned => 16,
            Exit::OfCommand(code) => code,
        })
    }
}
