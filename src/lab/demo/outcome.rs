//! What a step of the demo should come to, and what it came to.

use std::{fmt, io};

use crate::{
    artifact::ArtifactError,
    envelope::ErrorClass,
    keystore::KeystoreError,
    kms::CallError,
    model::{ErrorCode, ParseError},
    services::s3::ObjectError,
};

/// What a step should come to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Expected {
    Done,
    Refused(Why),
}

/// What a step came to.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It was done, with this to say of it.
    Done(String),
    Refused(Refusal),
}

/// A refusal: why, and in whose words.
#[derive(Debug)]
pub(super) struct Refusal {
    why: Why,
    words: String,
}

/// Why something was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// By the KMS or S3, with this code.
    Answer(ErrorCode),
    /// What was read is not authentic.
    NotAuthentic,
    /// The key file is not there.
    NoKeyFile,
    /// The key file is another keystore's.
    WrongKeyFile,
    /// Anything that no step expects.
    Failed,
}

impl Expected {
    pub(super) fn is_met_by(&self, outcome: &Outcome) -> bool {
        match (self, outcome) {
            (Self::Done, Outcome::Done(_)) => true,
            (Self::Refused(why), Outcome::Refused(refusal)) => refusal.why == *why && *why != Why::Failed,
            _ => false,
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => formatter.write_str("done"),
            Self::Refused(why) => write!(formatter, "{why}"),
        }
    }
}

impl Outcome {
    pub(super) fn done(words: impl Into<String>) -> Result<Self, Refusal> {
        Ok(Self::Done(words.into()))
    }

    pub(super) fn in_short(&self) -> String {
        match self {
            Self::Done(_) => "done".into(),
            Self::Refused(refusal) => refusal.why.to_string(),
        }
    }
}

impl Refusal {
    pub(super) fn failed(words: impl Into<String>) -> Self {
        Self { why: Why::Failed, words: words.into() }
    }

    pub(super) fn words(&self) -> &str {
        &self.words
    }
}

impl fmt::Display for Why {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Answer(code) => code.as_str(),
            Self::NotAuthentic => "not genuine",
            Self::NoKeyFile => "no key file",
            Self::WrongKeyFile => "wrong key",
            Self::Failed => "failed",
        })
    }
}

impl From<CallError> for Refusal {
    fn from(error: CallError) -> Self {
        Self { why: Why::Answer(error.code()), words: error.to_string() }
    }
}

impl From<ParseError> for Refusal {
    fn from(error: ParseError) -> Self {
        Self::failed(error.to_string())
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::failed(error.to_string())
    }
}

impl From<ArtifactError> for Refusal {
    fn from(error: ArtifactError) -> Self {
        match (error.kms_answer(), error.class()) {
            (Some(answer), _) => Self {
                why: Why::Answer(answer.code()),
                words: format!("{}: {}", answer.code(), answer.message()),
            },
            (None, ErrorClass::Integrity) => Self { why: Why::NotAuthentic, words: error.to_string() },
            (None, _) => Self::failed(error.to_string()),
        }
    }
}

impl From<ObjectError> for Refusal {
    fn from(error: ObjectError) -> Self {
        match error {
            ObjectError::Call(error) => error.into(),
            ObjectError::Artifact(error) => (*error).into(),
        }
    }
}

impl From<KeystoreError> for Refusal {
    fn from(error: KeystoreError) -> Self {
        let why = match &error {
            KeystoreError::KeyFile { .. } => Why::NoKeyFile,
            KeystoreError::WrongSeal(_) => Why::WrongKeyFile,
            _ => Why::Failed,
        };
        Self { why, words: error.to_string() }
    }
}
