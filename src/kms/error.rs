//! What a caller is told when a call fails: AWS's code and words, and beside them what only the owner of this machine
//! may see.

use thiserror::Error;

use crate::{
    crypto::random::RandomError,
    model::{ErrorCode, ParseError},
};

/// A call that did not succeed.
#[derive(Debug, Clone, Error)]
#[error("{code}: {message}")]
pub struct CallError {
    code: ErrorCode,
    message: String,
    explanation: Option<String>,
    decision: Option<Box<str>>,
}

impl CallError {
    /// An error with this code and AWS's words.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), explanation: None, decision: None }
    }

    /// The same, with what the machine's owner may read beside it and the caller at AWS may not.
    #[must_use]
    pub fn explained(mut self, explanation: impl Into<String>) -> Self {
        self.explanation = Some(explanation.into());
        self
    }

    /// The error's code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// AWS's words.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Why, for the owner of this machine.
    #[must_use]
    pub fn explanation(&self) -> Option<&str> {
        self.explanation.as_deref()
    }

    /// The id under which the keystore remembers how a denial was decided.
    #[must_use]
    pub fn decision(&self) -> Option<&str> {
        self.decision.as_deref()
    }

    /// The same, remembered under this id, or not.
    pub(crate) fn remembered_as(mut self, decision: Option<&str>) -> Self {
        self.decision = decision.map(Into::into);
        self
    }

    /// The same with this explanation, or none.
    pub(super) fn with_explanation(mut self, explanation: Option<String>) -> Self {
        self.explanation = explanation;
        self
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::NotFound, message)
    }

    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Validation, message)
    }

    pub(crate) fn internal(operator_words: impl Into<String>) -> Self {
        Self::new(ErrorCode::KmsInternal, "The request was rejected because an internal exception occurred.")
            .explained(operator_words)
    }
}

impl From<RandomError> for CallError {
    fn from(error: RandomError) -> Self {
        Self::internal(error.to_string())
    }
}

impl From<ParseError> for CallError {
    fn from(error: ParseError) -> Self {
        Self::validation(error.to_string())
    }
}
