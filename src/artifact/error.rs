//! What goes wrong with an artifact.

use std::{io, path::PathBuf};

use thiserror::Error;

use crate::envelope::{DataKeyError, ErrorClass, OpenMessageError, SealError, write_failed};

/// Why an artifact could not be sealed or opened. No partial file is left behind.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ArtifactError {
    /// The source's name does not end in `.sealed`, so it does not say what to call the target.
    #[error("`{}` does not end in `.sealed`: name the output", path.display())]
    NotASealedName {
        /// The source.
        path: PathBuf,
    },
    /// The source is a stream, or a path that ends in no name, so it does not say what to call the target.
    #[error("the input has no file name: name the output")]
    NoName,
    /// The source is a directory, a device or something else that is not a file.
    #[error("`{}` is {kind}, not a file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What it is, with its article.
        kind: &'static str,
    },
    /// Source and target are the same file.
    #[error("`{}` is both input and output", path.display())]
    SameFile {
        /// The path.
        path: PathBuf,
    },
    /// The target exists, and replacing it was not asked for.
    #[error("`{}` exists already", path.display())]
    Exists {
        /// The target.
        path: PathBuf,
    },
    /// The source cannot be opened.
    #[error("`{}` cannot be read: {source}", path.display())]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The source changed while it was sealed; what was sealed may be neither its old content nor its new one.
    #[error("`{}` changed while it was being sealed", path.display())]
    Changed {
        /// The source.
        path: PathBuf,
    },
    /// The target cannot be written.
    #[error("{}", write_failed(&format!("`{}`", path.display()), source))]
    Unwritable {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Sealing failed.
    #[error("{0}")]
    Seal(#[from] SealError),
    /// Opening failed.
    #[error("{0}")]
    Open(#[from] OpenMessageError),
}

impl ArtifactError {
    pub(super) fn no_name(path: &std::path::Path) -> Self {
        match path.is_dir() {
            true => Self::NotAFile { path: path.into(), kind: "a directory" },
            false => Self::NoName,
        }
    }

    /// The class of the failure.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NotASealedName { .. } | Self::NoName | Self::NotAFile { .. } | Self::SameFile { .. } => {
                ErrorClass::Usage
            }
            Self::Exists { .. }
            | Self::Unreadable { .. }
            | Self::Changed { .. }
            | Self::Unwritable { .. } => ErrorClass::Failed,
            Self::Seal(error) => error.class(),
            Self::Open(error) => error.class(),
        }
    }

    /// What the KMS said, when that is why.
    #[must_use]
    pub fn kms_answer(&self) -> Option<&DataKeyError> {
        match self {
            Self::Seal(error) => error.kms_answer(),
            Self::Open(error) => error.kms_answer(),
            _ => None,
        }
    }
}
