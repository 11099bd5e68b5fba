//! Why a keystore cannot be made or opened.

use std::{io, path::PathBuf};

use thiserror::Error;

use crate::{
    audit::{self, LogFault},
    crypto::{password::PasswordCostError, random::RandomError},
    kms::CallError,
    model::{AccountId, ParseError},
    storage::StorageError,
    world::RowError,
};

/// Why a keystore cannot be made, opened or sealed anew. Nothing was written, except where the message says so.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KeystoreError {
    /// The account is the services' own.
    #[error("the account {0} belongs to the simulated services")]
    ReservedAccount(AccountId),
    /// There is a keystore in that directory already.
    #[error("there is a keystore in `{}` already", .0.display())]
    Exists(PathBuf),
    /// The directory holds other files.
    #[error("the directory `{}` is not empty and holds no keystore", .0.display())]
    NotEmpty(PathBuf),
    /// Making the keystore was cut short, before anything could be kept in it.
    #[error("making the keystore in `{}` was cut short; nothing is in it", .0.display())]
    Unfinished(PathBuf),
    /// There is no keystore in that directory.
    #[error("there is no keystore in `{}`", .0.display())]
    Missing(PathBuf),
    /// Somebody else can read or write what must be private, or it belongs to somebody else.
    #[error("`{}` is not private: {reason}", .path.display())]
    NotPrivate {
        /// The directory or file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Another process has the keystore open.
    #[error("the keystore in `{}` is in use by {holder}", .path.display())]
    Locked {
        /// The keystore.
        path: PathBuf,
        /// The process that holds the lock, as it described itself.
        holder: String,
    },
    /// The key file would lie in the keystore's directory, where a copy of the directory would take it along.
    #[error("the key file `{}` lies inside the keystore's directory; a copy of the keystore would hold its own key", .0.display())]
    KeyFileInside(PathBuf),
    /// The key file cannot be read, or is none.
    #[error("the key file `{}` cannot be used: {reason}", .path.display())]
    KeyFile {
        /// The key file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A key file stands there already and must not be overwritten.
    #[error("the key file `{}` exists already", .0.display())]
    KeyFileExists(PathBuf),
    /// Key file, passphrase or keyring entry do not open this keystore.
    #[error("the {0} does not open this keystore's root key")]
    WrongSeal(&'static str),
    /// No passphrase could be had.
    #[error("no passphrase: {0}")]
    NoPassphrase(String),
    /// The operating system's keyring cannot be used.
    #[error("the operating system's keyring cannot be used: {0}")]
    Keyring(String),
    /// State and audit log do not belong together.
    #[error("the keystore's state and its audit log do not belong together: {0}")]
    Torn(String),
    /// What the keystore says of itself is damaged.
    #[error("the keystore is damaged: {0}")]
    Damaged(String),
    /// No record of the audit log has this id.
    #[error("no event and no decision in the audit log has the id `{0}`")]
    NoSuchDecision(String),
    /// How the call was decided is not remembered any more.
    #[error("how `{0}` was decided is not remembered any more")]
    DecisionForgotten(String),
    /// What is remembered of a decision is not what the audit log says it was.
    #[error(
        "what is kept of the decision `{0}` is not what its record in the audit log commits to: it was changed"
    )]
    DecisionChanged(String),
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The audit log.
    #[error("the audit log: {0}")]
    Audit(#[from] audit::LogError),
    /// A checkpoint is not this log's.
    #[error("the checkpoint is not signed by this keystore's log, or is none")]
    ForeignCheckpoint,
    /// No witness of these names has signed a checkpoint.
    #[error("{}", not_cosigned(.0))]
    NotCosigned(Vec<String>),
    /// A witness has signed a newer checkpoint than this one.
    #[error(
        "this checkpoint is of {size} records, and `{witness}` has signed a newer one, of {last} records"
    )]
    CosignedBefore {
        /// The witness's name.
        witness: String,
        /// How many records the checkpoint covers.
        size: u64,
        /// How many the one covers that the witness has signed last.
        last: u64,
    },
    /// A checkpoint was made before the record that is to be proved.
    #[error(
        "this checkpoint covers the {size} records before number {size}, and the event is number {record}"
    )]
    NotCovered {
        /// The record's number.
        record: u64,
        /// How many records the checkpoint covers.
        size: u64,
    },
    /// The log's index.
    #[error(transparent)]
    Index(#[from] audit::index::IndexError),
    /// A file or directory.
    #[error("`{}`: {source}", .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// No randomness.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// A call that is part of making the keystore failed.
    #[error(transparent)]
    Call(#[from] CallError),
}

fn not_cosigned(witnesses: &[String]) -> String {
    match witnesses {
        [] => "this log has no witness yet".into(),
        [one] => format!("the checkpoint does not bear the signature of `{one}`, this log's witness"),
        more => {
            format!("the checkpoint bears the signature of none of this log's witnesses: {}", more.join(", "))
        }
    }
}

impl KeystoreError {
    /// An I/O error at this path.
    pub(super) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }

    /// What the user can do about it, one line each.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        let hint: String = match self {
            Self::Exists(_) => {
                "choose another place with `--keystore DIR`, or use the one that is there".into()
            }
            Self::Unfinished(path) => {
                format!("make it again with `keystead init --keystore {}`", path.display())
            }
            Self::NotEmpty(_) => "choose an empty or a new directory with `--keystore DIR`".into(),
            Self::Missing(path) => format!("make one with `keystead init --keystore {}`", path.display()),
            Self::NotPrivate { path, reason } if reason.contains("mode") => {
                format!("if it is yours: `chmod -R go= {}`", path.display())
            }
            Self::NotPrivate { .. } => {
                "put the real file there, owned by you, or restore the keystore from a backup".into()
            }
            Self::Storage(StorageError::Full) | Self::Audit(audit::LogError::Full) => {
                "nothing was lost; make room and try again".into()
            }
            Self::Locked { holder, .. } if holder.contains("keystead serve") => {
                "it is being served: call it by its endpoint (AWS_ENDPOINT_URL), or stop the server first"
                    .into()
            }
            Self::Locked { .. } => "wait until that process has ended, or stop it".into(),
            Self::KeyFileInside(_) => "choose a place outside with `--key-file FILE`".into(),
            Self::KeyFile { .. } => {
                "say where the key file is with `--key-file FILE`; restore it from your copy".into()
            }
            Self::KeyFileExists(_) => "choose another place with `--key-file FILE`".into(),
            Self::WrongSeal("key file") => {
                "say where this keystore's own key file is with `--key-file FILE`".into()
            }
            Self::WrongSeal("passphrase") => "try again; there is no way in without it".into(),
            Self::Keyring(_) => {
                "unlock the keyring, or make the keystore with `--seal keyfile` or `--seal passphrase`".into()
            }
            Self::NoSuchDecision(_) => "see the events with `keystead audit tail --json`".into(),
            Self::DecisionForgotten(_) => {
                "the newest denials alone are; ask what would be decided now with `keystead explain ACTION --key KEY`".into()
            }
            Self::DecisionChanged(_) => "the record itself still says who was denied what".into(),
            Self::NoPassphrase(_) => "use a terminal, `--passphrase-file FILE` or `--passphrase-fd N`".into(),
            Self::Storage(StorageError::NewerFormat { .. }) => "use a newer keystead".into(),
            Self::Storage(StorageError::OlderFormat { .. }) => {
                "nothing was changed; open it with the keystead that made it, decrypt what is sealed under its keys, and \
                 make a new keystore with `keystead init --from FILE.toml`"
                    .into()
            }
            Self::Torn(_) => {
                return vec![
                    "nothing was changed; put the newer database back, or restore the whole directory from one backup".into(),
                    "to give up what was done since, and have keys back that were deleted since: `keystead keystore recover \
                     --accept-rollback`, which leaves a record of it"
                        .into(),
                ];
            }
            Self::Audit(audit::LogError::Fault(LogFault::Unwitnessed { .. })) => {
                return vec![
                    "the log itself may be whole: have the witness sign what `keystead audit prove-growth` prints".into(),
                    "then take its signature in with `keystead audit witness import FILE`".into(),
                ];
            }
            Self::NotCosigned(witnesses) if witnesses.is_empty() => {
                "name one with `keystead audit witness add KEY`".into()
            }
            Self::NotCosigned(_) => {
                "put the line that the witness answered at the checkpoint's end, as it is: `cat checkpoint signature`".into()
            }
            Self::NotCovered { .. } => "take a newer checkpoint, and have it signed, before you prove the event".into(),
            Self::ForeignCheckpoint => {
                "the file must be what `keystead audit checkpoint` printed, with signatures added below at most".into()
            }
            Self::Storage(_) | Self::Damaged(_) | Self::Audit(_) => {
                "nothing was changed; restore the whole directory from a backup".into()
            }
            Self::Io { source, .. } if source.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                "every call is recorded before it is answered, reads too: the directory must be writable".into()
            }
            _ => return Vec::new(),
        };
        vec![hint]
    }
}

impl From<RowError> for KeystoreError {
    fn from(error: RowError) -> Self {
        Self::Damaged(error.to_string())
    }
}

impl From<LogFault> for KeystoreError {
    fn from(fault: LogFault) -> Self {
        Self::Audit(fault.into())
    }
}

impl From<ParseError> for KeystoreError {
    fn from(error: ParseError) -> Self {
        Self::Damaged(error.to_string())
    }
}

impl From<PasswordCostError> for KeystoreError {
    fn from(error: PasswordCostError) -> Self {
        Self::Damaged(error.to_string())
    }
}
