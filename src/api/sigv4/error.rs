//! Why a signature is not taken.

use thiserror::Error;

/// Why a request's signature is not taken. The words are AWS's where AWS publishes them.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The request is not signed.
    #[error("Request is missing Authentication Token")]
    Missing,
    /// What should say how it is signed is not whole or not well formed.
    #[error("{0}")]
    Incomplete(String),
    /// The access key is not known, or not in use.
    #[error("The security token included in the request is invalid.")]
    UnknownKey,
    /// The session is over.
    #[error("The security token included in the request is expired")]
    ExpiredToken,
    /// A request signed in its query came after the time that it was good for.
    #[error("Request has expired.")]
    RequestExpired,
    /// The date is too far from the clock, or the scope is not this service's.
    #[error("{0}")]
    OutOfScope(String),
    /// The signature is another one than this request's.
    #[error(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key \
         and signing method. Consult the service documentation for details."
    )]
    Mismatch,
}

impl SignatureError {
    pub(super) fn incomplete(message: impl Into<String>) -> Self {
        Self::Incomplete(message.into())
    }

    /// The error's name in the query protocol.
    #[must_use]
    pub fn query_code(&self) -> &'static str {
        match self {
            Self::Missing => "MissingAuthenticationToken",
            Self::Incomplete(_) => "IncompleteSignature",
            Self::UnknownKey => "InvalidClientTokenId",
            Self::ExpiredToken => "ExpiredToken",
            Self::RequestExpired => "RequestExpired",
            Self::OutOfScope(_) | Self::Mismatch => "SignatureDoesNotMatch",
        }
    }

    /// The error's name in the JSON protocol.
    #[must_use]
    pub fn json_code(&self) -> &'static str {
        match self {
            Self::Missing => "MissingAuthenticationTokenException",
            Self::Incomplete(_) => "IncompleteSignatureException",
            Self::UnknownKey => "UnrecognizedClientException",
            Self::ExpiredToken => "ExpiredTokenException",
            Self::RequestExpired => "RequestExpired",
            Self::OutOfScope(_) | Self::Mismatch => "InvalidSignatureException",
        }
    }
}
