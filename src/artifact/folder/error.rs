//! What goes wrong with a folder, and how a sealed folder can differ from its manifest.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use serde::Serialize;
use thiserror::Error;

use super::{FolderPath, manifest::ManifestError};
use crate::{
    artifact::ArtifactError,
    crypto::random::RandomError,
    envelope::{DataKeyError, ErrorClass, MessageId},
};

/// How many differences one error names.
const NAMED_MAX: usize = 5;

/// Why a folder could not be sealed, opened or checked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FolderError {
    /// It is no directory, or a symbolic link where none is followed.
    #[error("`{}` is not a directory", path.display())]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// The target is there already.
    #[error("`{}` exists already", path.display())]
    Exists {
        /// The target.
        path: PathBuf,
    },
    /// The target's path ends in no name.
    #[error("`{}` ends in no name", path.display())]
    NoName {
        /// The target.
        path: PathBuf,
    },
    /// The target lies within the source.
    #[error("`{}` lies within `{}`, which is to be read", target.display(), source_path.display())]
    Within {
        /// The target.
        target: PathBuf,
        /// The source.
        source_path: PathBuf,
    },
    /// Another process is at work on the same target.
    #[error("another process is at work on `{}`", path.display())]
    Busy {
        /// The unfinished folder.
        path: PathBuf,
    },
    /// The unfinished folder is another user's.
    #[error("`{}` belongs to another user", path.display())]
    Foreign {
        /// The unfinished folder.
        path: PathBuf,
    },
    /// Something lies in an unfinished folder that the work to be gone on with does not put there.
    #[error("`{}` is no part of what is to be made there", path.display())]
    Strange {
        /// What lies there.
        path: PathBuf,
    },
    /// A glob of what is to be taken matches no file.
    #[error("no file matches `{glob}`")]
    NothingMatches {
        /// The glob.
        glob: String,
    },
    /// A name that is not taken into a sealed folder.
    #[error("{why}")]
    Name {
        /// Why, with the name.
        why: String,
    },
    /// Neither a file nor a directory.
    #[error("`{}` is {kind}, which is not sealed", path.display())]
    Special {
        /// Its path.
        path: PathBuf,
        /// What it is, with its article.
        kind: &'static str,
    },
    /// There are too many entries.
    #[error("`{}` holds more than {max} files and directories", path.display())]
    TooMany {
        /// The folder.
        path: PathBuf,
        /// The most.
        max: usize,
    },
    /// The folder changed while it was read.
    #[error("`{}` {what} while the folder was being read", path.display())]
    Changed {
        /// What changed.
        path: PathBuf,
        /// `changed`, `appeared` or `disappeared`.
        what: &'static str,
    },
    /// Something changed while a folder took the place of another, so that neither was removed.
    #[error("`{}` is kept: it or `{}` was changed meanwhile", path.display(), target.display())]
    Kept {
        /// The other folder, or what somebody put in its place.
        path: PathBuf,
        /// What has the name.
        target: PathBuf,
    },
    /// A directory or file cannot be read.
    #[error("`{}` cannot be read: {source}", path.display())]
    Unreadable {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A directory or file cannot be written.
    #[error("{}", crate::envelope::write_failed(&format!("`{}`", path.display()), source))]
    Unwritable {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file could not be sealed or opened.
    #[error("`{path}`: {source}")]
    File {
        /// Its path in the folder.
        path: String,
        /// Why.
        source: Box<ArtifactError>,
    },
    /// There is no manifest.
    #[error("`{}` is not a sealed folder: it has no manifest", path.display())]
    NoManifest {
        /// The folder.
        path: PathBuf,
    },
    /// What lies in the manifest's place is a message, and no manifest.
    #[error("`{}` is not the manifest of a sealed folder", path.display())]
    NotAManifest {
        /// Its path.
        path: PathBuf,
    },
    /// The manifest says what cannot be.
    #[error("the manifest cannot be used: {0}")]
    Manifest(#[from] ManifestError),
    /// It is another manifest than the one that was expected.
    #[error(
        "the folder's manifest has the message id {found}, and {expected} is expected: it is not that folder, or not as it was then"
    )]
    ManifestId {
        /// What was expected.
        expected: MessageId,
        /// What it is.
        found: MessageId,
    },
    /// The folder is not what its manifest says.
    #[error("{}", told(.0))]
    Differs(Vec<Difference>),
    /// An encryption context with a key that marks manifests.
    #[error(
        "the encryption context's key `{key}` begins with `keystead-`, which marks the manifests of folders"
    )]
    ReservedContextKey {
        /// The key.
        key: String,
    },
    /// It was told to stop.
    #[error("stopped; what is whole already stays in `{}`", unfinished.display())]
    Stopped {
        /// The unfinished folder.
        unfinished: PathBuf,
    },
    /// It was told to stop before anything was made.
    #[error("stopped")]
    StoppedEarly,
    /// There is no randomness.
    #[error(transparent)]
    Random(#[from] RandomError),
}

impl FolderError {
    pub(super) fn unreadable(path: &Path, source: io::Error) -> Self {
        Self::Unreadable { path: path.into(), source }
    }

    pub(super) fn unwritable(path: &Path, source: io::Error) -> Self {
        Self::Unwritable { path: path.into(), source }
    }

    pub(super) fn file(path: &str, source: impl Into<ArtifactError>) -> Self {
        Self::File { path: path.into(), source: Box::new(source.into()) }
    }

    /// Whether there is no room left on the disk.
    pub(super) fn is_full_disk(&self) -> bool {
        let full = |error: &io::Error| {
            matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        };
        match self {
            Self::Unwritable { source, .. } => full(source),
            Self::File { source, .. } => source.write_error().is_some_and(full),
            _ => false,
        }
    }

    /// The class of the failure.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NotADirectory { .. }
            | Self::NoName { .. }
            | Self::Within { .. }
            | Self::Name { .. }
            | Self::NothingMatches { .. }
            | Self::Special { .. }
            | Self::ReservedContextKey { .. } => ErrorClass::Usage,
            Self::NoManifest { .. }
            | Self::NotAManifest { .. }
            | Self::Manifest(_)
            | Self::ManifestId { .. }
            | Self::Differs(_) => ErrorClass::Integrity,
            Self::File { source, .. } => source.class(),
            _ => ErrorClass::Failed,
        }
    }

    /// What the KMS said, when that is why.
    #[must_use]
    pub fn kms_answer(&self) -> Option<&DataKeyError> {
        if let Self::File { source, .. } = self { source.kms_answer() } else { None }
    }
}

fn told(differences: &[Difference]) -> String {
    let named: Vec<String> = differences.iter().take(NAMED_MAX).map(ToString::to_string).collect();
    let more = differences.len().saturating_sub(NAMED_MAX);
    let rest = if more == 0 { String::new() } else { format!("; and {more} more") };
    format!("the folder is not what was sealed: {}{rest}", named.join("; "))
}

/// One way in which a sealed folder differs from its manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The path of the file in the sealed folder.
    #[serde(rename = "Path")]
    pub path: String,
    /// How it differs.
    #[serde(flatten)]
    pub kind: DifferenceKind,
}

/// How a file of a sealed folder differs from the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "Problem")]
#[non_exhaustive]
pub enum DifferenceKind {
    /// It is in the manifest and not in the folder.
    Missing,
    /// It is in the folder and not in the manifest.
    Added,
    /// It is neither a file nor a directory.
    Special {
        /// What it is, with its article.
        #[serde(rename = "Kind")]
        kind: &'static str,
    },
    /// It is the message of another file of the folder.
    Swapped {
        /// That file.
        #[serde(rename = "With")]
        with: FolderPath,
    },
    /// It is another message: an older or newer one, or that of another folder.
    Replaced,
    /// It is the right message, and was damaged.
    Damaged {
        /// In what way.
        #[serde(rename = "Why")]
        why: String,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        match &self.kind {
            DifferenceKind::Missing => write!(formatter, "`{path}` is missing"),
            DifferenceKind::Added => write!(formatter, "`{path}` was added"),
            DifferenceKind::Special { kind } => write!(formatter, "`{path}` is {kind}"),
            DifferenceKind::Swapped { with } => write!(formatter, "`{path}` holds the message of `{with}`"),
            DifferenceKind::Replaced => {
                write!(
                    formatter,
                    "`{path}` is another message than the one that was sealed: rolled back or replaced"
                )
            }
            DifferenceKind::Damaged { why } => write!(formatter, "`{path}` is damaged: {why}"),
        }
    }
}
