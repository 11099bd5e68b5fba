//! What goes wrong with an artifact.

use std::{
    io,
    path::{Path, PathBuf},
};

use thiserror::Error;

use super::ModelError;
use crate::envelope::{DataKeyError, ErrorClass, HeaderError, OpenMessageError, SealError, write_failed};

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
    /// The source changed while it was read; what was sealed may be neither its old content nor its new one.
    #[error("`{}` changed while it was being read", path.display())]
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
    /// There is no anonymous file in memory.
    #[error("the system has no file in memory for the plaintext: {source}")]
    NoMemoryFile {
        /// Why.
        source: io::Error,
    },
    /// The plaintext is not the model that was expected.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Sealing failed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// Opening failed.
    #[error(transparent)]
    Open(#[from] OpenMessageError),
}

impl ArtifactError {
    /// The same error by the name of the file that could not be read or written, when there is one.
    pub(super) fn naming(self, input: Option<&Path>, output: Option<&Path>) -> Self {
        match (self, input, output) {
            (Self::Seal(SealError::Read(source)), Some(path), _)
            | (Self::Open(OpenMessageError::Read(source)), Some(path), _)
            | (Self::Open(OpenMessageError::Header(HeaderError::Read(source))), Some(path), _) => {
                Self::Unreadable { path: path.into(), source }
            }
            (Self::Seal(SealError::Write(source)), _, Some(path))
            | (Self::Open(OpenMessageError::Write(source)), _, Some(path)) => {
                Self::Unwritable { path: path.into(), source }
            }
            (error, _, _) => error,
        }
    }

    /// Why what was opened or sealed could not be written, when that is the failure.
    pub(crate) fn write_error(&self) -> Option<&io::Error> {
        match self {
            Self::Unwritable { source, .. }
            | Self::Seal(SealError::Write(source))
            | Self::Open(OpenMessageError::Write(source)) => Some(source),
            _ => None,
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
            | Self::Unwritable { .. }
            | Self::NoMemoryFile { .. } => ErrorClass::Failed,
            Self::Model(error) => error.class(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_with_the_files_name_and_a_stream_has_none() {
        let full = || SealError::Write(io::ErrorKind::StorageFull.into()).into();
        let named = ArtifactError::naming(full(), Some(Path::new("in")), Some(Path::new("out")));
        assert_eq!(named.to_string(), "the disk is full: writing `out` failed");
        let stream = ArtifactError::naming(full(), Some(Path::new("in")), None);
        assert_eq!(stream.to_string(), "the disk is full: writing the message failed");
        let broken = || HeaderError::Read(io::Error::other("the cable came off"));
        let named = ArtifactError::naming(
            OpenMessageError::Header(broken()).into(),
            Some(Path::new("in")),
            Some(Path::new("out")),
        );
        assert_eq!(named.to_string(), "`in` cannot be read: the cable came off");
    }
}
