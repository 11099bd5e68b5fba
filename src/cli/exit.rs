//! Exit codes: what a script can tell apart.

use std::process::ExitCode;

use crate::envelope::ErrorClass;

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
            Exit::OfCommand(code) => code,
        })
    }
}
