//! What goes wrong with a message, and the class by which a program chooses its exit code.
//!
//! The errors name frames, recipients and lengths, never plaintext or key bytes. Text that comes out of a message that
//! is not authenticated yet (key names) has its control characters escaped before it is printed.

use std::io;

use thiserror::Error;

use super::{CommitmentPolicy, SuiteId};
use crate::{
    crypto::random::RandomError,
    model::{ErrorCode, KeyArn, KeyRef},
};

/// What sort of failure it is. A command line maps each to an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorClass {
    /// Reading, writing or something else failed.
    Failed,
    /// What was asked makes no sense.
    Usage,
    /// The message is damaged, forged, cut short, or sealed with another key or encryption context.
    Integrity,
    /// No key fits, or the key cannot be used in its state.
    KeyUnusable,
    /// The KMS knows the key and says no.
    AccessDenied,
}

impl ErrorClass {
    /// The class of what a KMS answered.
    #[must_use]
    pub fn of_code(code: ErrorCode) -> Self {
        match code {
            ErrorCode::AccessDenied | ErrorCode::InvalidClientTokenId => Self::AccessDenied,
            ErrorCode::Disabled
            | ErrorCode::KmsInvalidState
            | ErrorCode::NotFound
            | ErrorCode::InvalidKeyUsage => Self::KeyUnusable,
            ErrorCode::InvalidCiphertext | ErrorCode::IncorrectKey => Self::Integrity,
            ErrorCode::Validation | ErrorCode::InvalidArn | ErrorCode::InvalidAliasName => Self::Usage,
            _ => Self::Failed,
        }
    }
}

/// What a KMS answered instead of a data key: its error code and its own words.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{code}: {message}")]
pub struct DataKeyError {
    code: ErrorCode,
    message: Box<str>,
    beside: Option<Box<Beside>>,
}

/// What is for the owner of the machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Beside {
    explanation: Option<String>,
    decision: Option<String>,
}

impl DataKeyError {
    /// The error with this code and the KMS's own words.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into().into(), beside: None }
    }

    /// The same, with what only the owner of the machine may read beside it.
    #[must_use]
    pub fn explained(mut self, explanation: Option<String>) -> Self {
        if explanation.is_some() {
            self.beside.get_or_insert_default().explanation = explanation;
        }
        self
    }

    /// The same, with the id under which the KMS remembers how it decided.
    #[must_use]
    pub fn remembered_as(mut self, decision: Option<&str>) -> Self {
        if let Some(decision) = decision {
            self.beside.get_or_insert_default().decision = Some(decision.into());
        }
        self
    }

    /// The id under which the KMS remembers how it decided; a KMS elsewhere never says.
    #[must_use]
    pub fn decision(&self) -> Option<&str> {
        self.beside.as_ref()?.decision.as_deref()
    }

    /// Why, for the owner of the machine; a KMS elsewhere never says.
    #[must_use]
    pub fn explanation(&self) -> Option<&str> {
        self.beside.as_ref()?.explanation.as_deref()
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// The KMS's own words.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// Why a keyring could not make, wrap or unwrap a data key.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// No encrypted data key of the message is for a key of this keyring.
    #[error("none of the given keys is a recipient of the message, which is sealed for {}", recipients.join(", "))]
    NotARecipient {
        /// Whom the message is sealed for. Not authenticated.
        recipients: Vec<String>,
    },
    /// The KMS refused or failed.
    #[error("the KMS refused key `{key}`: {source}")]
    Kms {
        /// The key that was asked for.
        key: KeyRef,
        /// What the KMS answered.
        source: DataKeyError,
    },
    /// The KMS used another key than the one it was asked to use.
    #[error("the KMS was asked to use key `{asked}` and used `{answered}`")]
    WrongKeyUsed {
        /// The key that was asked for.
        asked: Box<KeyRef>,
        /// The key that it answered.
        answered: Box<KeyArn>,
    },
    /// The message names this raw key, and its data key does not open with it.
    #[error(
        "the data key does not open with the raw key `{name}`: other key bytes, another encryption context, or damage"
    )]
    RawKeyDoesNotOpen {
        /// The key's name.
        name: String,
    },
    /// The message names this raw key, of which only the public half is here.
    #[error("the raw key `{name}` is a public key: it seals and cannot open")]
    RawKeyIsPublic {
        /// The key's name.
        name: String,
    },
    /// The raw key is too small for a data key.
    #[error("the raw key `{name}` is too small to seal a data key with its padding")]
    RawKeyDoesNotSeal {
        /// The key's name.
        name: String,
    },
    /// The keyring opens messages only.
    #[error("no key was named to seal with")]
    NoSealingKey,
    /// There is no randomness.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// Several keys were tried, and each failed in its own way.
    #[error("no key opens the message: {}", one_line(.0))]
    Several(Vec<KeyringError>),
}

impl KeyringError {
    /// The class of the failure; of several, the one that says most: an access denied outweighs all others.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NotARecipient { .. } | Self::RawKeyIsPublic { .. } | Self::RawKeyDoesNotSeal { .. } => {
                ErrorClass::KeyUnusable
            }
            Self::Kms { source, .. } => ErrorClass::of_code(source.code),
            Self::WrongKeyUsed { .. } | Self::RawKeyDoesNotOpen { .. } => ErrorClass::Integrity,
            Self::NoSealingKey => ErrorClass::Usage,
            Self::Random(_) => ErrorClass::Failed,
            Self::Several(errors) => errors.iter().map(Self::class).max().unwrap_or(ErrorClass::Failed),
        }
    }

    /// What the KMS said, when that decides the class: a command line prints the KMS's own words.
    #[must_use]
    pub fn kms_answer(&self) -> Option<&DataKeyError> {
        match self {
            Self::Kms { source, .. } => Some(source),
            Self::Several(errors) => {
                let class = self.class();
                errors.iter().filter(|error| error.class() == class).find_map(Self::kms_answer)
            }
            _ => None,
        }
    }

    /// One error of those of all keys that were tried; that a key is no recipient says nothing beside an error of one
    /// that is.
    pub(super) fn of_all_tried(tried: Vec<Self>, recipients: impl FnOnce() -> Vec<String>) -> Self {
        let mut telling: Vec<Self> = Vec::new();
        for error in tried {
            match error {
                Self::NotARecipient { .. } => {}
                Self::Several(errors) => telling.extend(errors),
                error => telling.push(error),
            }
        }
        match telling.pop() {
            None => Self::NotARecipient { recipients: recipients() },
            Some(only) if telling.is_empty() => only,
            Some(last) => {
                telling.push(last);
                Self::Several(telling)
            }
        }
    }
}

fn one_line(errors: &[KeyringError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Why a message could not be sealed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SealError {
    /// The plaintext could not be read.
    #[error("reading the plaintext failed: {0}")]
    Read(#[source] io::Error),
    /// The message could not be written.
    #[error("{}", write_failed("the message", .0))]
    Write(#[source] io::Error),
    /// No data key.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The encryption context has a key that the format keeps for itself.
    #[error(
        "the encryption context's key `{key}` begins with `aws-crypto-`, which the message format keeps for itself"
    )]
    ReservedContextKey {
        /// The key.
        key: String,
    },
    /// The encryption context has no room for the public key of the signature.
    #[error("the encryption context is too long: a signed message adds 92 bytes to it")]
    ContextTooLong,
    /// The commitment policy forbids the suite.
    #[error("the commitment policy {policy} forbids sealing with {suite}")]
    SuiteForbidden {
        /// The suite.
        suite: SuiteId,
        /// The policy.
        policy: CommitmentPolicy,
    },
    /// The suite is opened only.
    #[error(
        "messages are sealed with {} or {} alone, not with {suite}",
        SuiteId::COMMIT_KEY,
        SuiteId::COMMIT_KEY_SIGNED
    )]
    SuiteNotSealed {
        /// The suite.
        suite: SuiteId,
    },
    /// The keyring answered no encrypted data key, or too many of them.
    #[error("a message has 1 to {max} recipients, and there are {count}")]
    RecipientCount {
        /// How many there are.
        count: usize,
        /// The most there can be.
        max: usize,
    },
    /// An encrypted data key is longer than the header has room for.
    #[error("an encrypted data key is longer than 65,535 bytes")]
    FieldTooLong,
    /// Context and encrypted data keys are longer than a header may be.
    #[error("the header would have {bytes} bytes, and at most {max} are opened again")]
    HeaderTooLong {
        /// Its length.
        bytes: usize,
        /// The most.
        max: usize,
    },
    /// There is more plaintext than 2³² − 1 frames hold.
    #[error("the plaintext is longer than 4,294,967,295 frames of {frame_length} bytes: use longer frames")]
    TooLong {
        /// The frame length in bytes.
        frame_length: u32,
    },
    /// There is no randomness.
    #[error(transparent)]
    Random(#[from] RandomError),
}

impl SealError {
    /// The class of the failure.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Keyring(error) => error.class(),
            Self::ReservedContextKey { .. }
            | Self::ContextTooLong
            | Self::SuiteForbidden { .. }
            | Self::SuiteNotSealed { .. }
            | Self::RecipientCount { .. }
            | Self::FieldTooLong
            | Self::HeaderTooLong { .. }
            | Self::TooLong { .. } => ErrorClass::Usage,
            Self::Read(_) | Self::Write(_) | Self::Random(_) => ErrorClass::Failed,
        }
    }

    /// What the KMS said, when that is why.
    #[must_use]
    pub fn kms_answer(&self) -> Option<&DataKeyError> {
        if let Self::Keyring(error) = self { error.kms_answer() } else { None }
    }
}

/// Why the header of a message could not be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The message could not be read.
    #[error("reading the message failed: {0}")]
    Read(#[source] io::Error),
    /// It begins with something else.
    #[error("this is not an AWS Encryption SDK message")]
    NotAMessage,
    /// It looks like the base64 text of a message.
    #[error("this looks like the base64 text of an AWS Encryption SDK message: decode it first")]
    Base64,
    /// No published suite has this number.
    #[error(
        "the header names the algorithm suite 0x{number:04X}, which is not published for message version {version}"
    )]
    UnknownSuite {
        /// The number.
        number: u16,
        /// The message's version.
        version: u8,
    },
    /// The message ends within its header.
    #[error("the message ends within its header")]
    Truncated,
    /// A field of the header is not as the format requires.
    #[error("the header is damaged: {what}")]
    Malformed {
        /// What is wrong.
        what: String,
    },
    /// The header claims more than this program reads.
    #[error("the header has {found} {of}, and at most {max} are read")]
    TooMuch {
        /// What there is too much of.
        of: &'static str,
        /// How much it claims.
        found: usize,
        /// The limit.
        max: usize,
    },
}

impl HeaderError {
    pub(super) fn malformed(what: impl Into<String>) -> Self {
        Self::Malformed { what: what.into() }
    }

    /// The class of the failure.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Read(_) => ErrorClass::Failed,
            _ => ErrorClass::Integrity,
        }
    }
}

/// Why a message could not be opened. Whatever had been written before is authentic, and is not the whole.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenMessageError {
    /// The header could not be read.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The commitment policy forbids the suite.
    #[error("the commitment policy {policy} forbids opening {suite}, which does not commit to its key")]
    SuiteForbidden {
        /// The suite.
        suite: SuiteId,
        /// The policy.
        policy: CommitmentPolicy,
    },
    /// A pair that the caller requires is not in the message's encryption context.
    #[error("the message's encryption context does not have the required pair `{key}={value}`")]
    ContextDiffers {
        /// The required key.
        key: String,
        /// The required value.
        value: String,
    },
    /// No data key.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The data key has not the length that the suite needs.
    #[error("the data key has {found} bytes, and {suite} needs {}", suite.data_key_bytes())]
    DataKeyLength {
        /// Its length.
        found: usize,
        /// The suite.
        suite: SuiteId,
    },
    /// The public key that should verify the signature is missing, no key, or there without a signature.
    #[error("the header is damaged: its encryption context's `aws-crypto-public-key` does not fit the suite")]
    PublicKey,
    /// The signature is not of this message. All frames were authentic, by somebody who holds the data key.
    #[error("the signature is not of this message: who could open it may have changed it")]
    Signature,
    /// The message's size is not one that its frames add up to, or its last frame is not where it ends.
    #[error("the final frame is not where the message ends: it was cut short or something was added")]
    NoFinalFrame,
    /// A part of a signed message, or of one in one piece, was asked for.
    #[error("{} cannot be read in part: {why}", suite)]
    NotInPart {
        /// The suite.
        suite: SuiteId,
        /// Why.
        why: &'static str,
    },
    /// The data key is not the one that the message commits to.
    #[error("the message was not sealed with this data key: its key commitment differs")]
    Commitment,
    /// The header is not what was sealed.
    #[error("the header is not authentic: it was changed after sealing")]
    HeaderTag,
    /// A frame is not what was sealed.
    #[error("frame {sequence} is not authentic: it was changed after sealing")]
    Frame {
        /// Its sequence number, from 1.
        sequence: u32,
    },
    /// A frame stands where another should.
    #[error(
        "frame {expected} should follow, and frame {found} does: frames are missing, repeated or swapped"
    )]
    Sequence {
        /// The frame that should follow.
        expected: u32,
        /// The frame that does.
        found: u32,
    },
    /// A length in the body is more than can be.
    #[error("the {part} claims {claimed} bytes, and has at most {max}")]
    PartTooLong {
        /// Which part.
        part: &'static str,
        /// The length that it claims.
        claimed: u64,
        /// The most it can have.
        max: u64,
    },
    /// The final frame never came.
    #[error("the message ends early: its final frame never came")]
    Truncated,
    /// Bytes follow the end of the message.
    #[error("bytes follow the end of the message")]
    TrailingBytes,
    /// The message could not be read.
    #[error("reading the message failed: {0}")]
    Read(#[source] io::Error),
    /// The plaintext could not be written.
    #[error("{}", write_failed("the plaintext", .0))]
    Write(#[source] io::Error),
}

impl OpenMessageError {
    /// The class of the failure.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Header(error) => error.class(),
            Self::Keyring(error) => error.class(),
            Self::SuiteForbidden { .. } | Self::NotInPart { .. } | Self::Read(_) | Self::Write(_) => {
                ErrorClass::Failed
            }
            _ => ErrorClass::Integrity,
        }
    }

    /// What the KMS said, when that is why.
    #[must_use]
    pub fn kms_answer(&self) -> Option<&DataKeyError> {
        if let Self::Keyring(error) = self { error.kms_answer() } else { None }
    }
}

/// Names a full disk: `No space left on device (os error 28)` leaves people guessing which one.
pub(crate) fn write_failed(what: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::StorageFull => format!("the disk is full: writing {what} failed"),
        io::ErrorKind::QuotaExceeded => format!("the disk quota is used up: writing {what} failed"),
        _ => format!("writing {what} failed: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: ErrorCode) -> KeyringError {
        KeyringError::Kms {
            key: "alias/a".parse().unwrap(),
            source: DataKeyError::new(code, "its own words"),
        }
    }

    #[test]
    fn an_access_denied_outweighs_every_other_error_and_keeps_its_words() {
        let all = KeyringError::of_all_tried(
            vec![
                KeyringError::RawKeyDoesNotOpen { name: "k".into() },
                refused(ErrorCode::AccessDenied),
                refused(ErrorCode::Disabled),
                KeyringError::NotARecipient { recipients: vec![] },
            ],
            Vec::new,
        );
        assert_eq!(all.class(), ErrorClass::AccessDenied);
        assert_eq!(all.kms_answer().map(DataKeyError::code), Some(ErrorCode::AccessDenied));
        assert!(!all.to_string().contains("recipient"), "{all}");
    }

    #[test]
    fn without_one_the_class_is_another() {
        let all = KeyringError::of_all_tried(vec![refused(ErrorCode::Disabled)], Vec::new);
        assert_eq!(all.class(), ErrorClass::KeyUnusable);
        assert_eq!(all.to_string(), "the KMS refused key `alias/a`: DisabledException: its own words");
        let none = KeyringError::of_all_tried(vec![], || vec!["`x`".into()]);
        assert_eq!(none.class(), ErrorClass::KeyUnusable);
    }

    #[test]
    fn a_full_disk_is_named() {
        let error = SealError::Write(io::ErrorKind::StorageFull.into());
        assert_eq!(error.to_string(), "the disk is full: writing the message failed");
        assert_eq!(error.class(), ErrorClass::Failed);
    }
}
