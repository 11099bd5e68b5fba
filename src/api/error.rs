//! What goes back over the wire when a call fails, before a protocol gives it its shape.

use crate::{
    api::sigv4::SignatureError,
    kms::CallError,
    model::{ErrorCode, ParseError},
};

/// An error on its way to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireError {
    /// The HTTP status.
    pub status: u16,
    /// The error's name in the protocol that answers.
    pub code: String,
    /// AWS's words; none when AWS has none.
    pub message: Option<String>,
}

/// Which protocol an error is answered in; they name some errors differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// JSON 1.1: KMS, CloudTrail.
    Json,
    /// Forms in, XML out: IAM, STS.
    Query,
}

impl WireError {
    /// An error that is the caller's doing.
    #[must_use]
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            status: 400,
            code: code.into(),
            message: Some(message.into()).filter(|text: &String| !text.is_empty()),
        }
    }

    /// The same with another status than 400.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// A parameter that AWS refuses.
    #[must_use]
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationException", message)
    }

    /// A body that is not what the protocol says.
    #[must_use]
    pub fn serialization(message: impl Into<String>) -> Self {
        Self::new("SerializationException", message)
    }

    /// What the operation would be at AWS is not built here.
    #[must_use]
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::UnsupportedOperation.as_str(), message)
    }

    /// The error of a call, as a protocol names it.
    #[must_use]
    pub fn of_call(error: &CallError, protocol: Protocol) -> Self {
        let (status, code) = match protocol {
            Protocol::Json => json_code(error.code()),
            Protocol::Query => query_code(error.code()),
        };
        Self::new(code, error.message()).with_status(status)
    }

    /// The error of a signature, as a protocol names it.
    #[must_use]
    pub fn of_signature(error: &SignatureError, protocol: Protocol) -> Self {
        match protocol {
            Protocol::Json => Self::new(error.json_code(), error.to_string()),
            Protocol::Query => Self::new(error.query_code(), error.to_string()).with_status(403),
        }
    }
}

impl From<ParseError> for WireError {
    fn from(error: ParseError) -> Self {
        Self::validation(error.to_string())
    }
}

fn json_code(code: ErrorCode) -> (u16, &'static str) {
    match code {
        ErrorCode::KmsInternal => (500, code.as_str()),
        ErrorCode::InvalidClientTokenId => (400, "UnrecognizedClientException"),
        code => (400, code.as_str()),
    }
}

/// The names and statuses of the IAM and STS service models.
fn query_code(code: ErrorCode) -> (u16, &'static str) {
    match code {
        ErrorCode::AccessDenied => (403, "AccessDenied"),
        ErrorCode::InvalidClientTokenId => (403, "InvalidClientTokenId"),
        ErrorCode::NoSuchEntity => (404, "NoSuchEntity"),
        ErrorCode::EntityAlreadyExists => (409, "EntityAlreadyExists"),
        ErrorCode::LimitExceeded => (409, "LimitExceeded"),
        ErrorCode::MalformedPolicyDocument => (400, "MalformedPolicyDocument"),
        ErrorCode::Validation => (400, "ValidationError"),
        ErrorCode::KmsInternal => (500, "ServiceFailure"),
        code => (400, code.as_str()),
    }
}
