//! Exit codes: what a script can tell apart.

use std::process::ExitCode;

use crate::envelope::ErrorClass;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Something failed that none of the others names.
    Failed = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// Access denied.
    AccessDenied = 3,
    /// Authentication or integrity failed: a wrong key, a forged or damaged message, keystore or log.
    Integrity = 4,
    /// The key is missing, or unusable in its state.
    KeyUnusable = 5,
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

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
