//! The signature of a message (AWS Encryption SDK specification, "Message footer"), made or checked as its bytes pass.
//!
//! An ephemeral key signs header and body; its public half stands in the encryption context, which the header's tag and
//! the encrypted data keys authenticate. It tells apart who could only open a message from who sealed it.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};

use super::{OpenMessageError, SuiteId};
use crate::{crypto::ecdsa::StreamVerifier, model::EncryptionContext};

/// The beginning of context keys that the format keeps for itself.
pub(super) const RESERVED_CONTEXT_PREFIX: &str = "aws-crypto-";

/// The context's key of the public key.
pub(super) const PUBLIC_KEY: &str = "aws-crypto-public-key";
/// The longest signature: DER of two numbers of 48 bytes has 104.
pub(super) const SIGNATURE_BYTES_MAX: usize = 512;

/// The verifier of a message's signature; none for a suite without one.
///
/// # Errors
///
/// When the public key and the suite do not fit: a signed message without it, or another with it, which may be what is
/// left of a signed one.
pub(crate) fn verifier(
    suite: SuiteId,
    context: &EncryptionContext,
) -> Result<Option<StreamVerifier>, OpenMessageError> {
    match (suite.curve(), context.get(PUBLIC_KEY)) {
        (None, None) => Ok(None),
        (Some(curve), Some(key)) => {
            let point = BASE64.decode(key).map_err(|_| OpenMessageError::PublicKey)?;
            StreamVerifier::new(curve, &point).map(Some).map_err(|_| OpenMessageError::PublicKey)
        }
        _ => Err(OpenMessageError::PublicKey),
    }
}

/// The pairs of a message's context that whoever sealed it gave: all but those that the format adds itself.
#[must_use]
pub fn given_context(context: &EncryptionContext) -> EncryptionContext {
    let given = context.iter().filter(|(key, _)| !key.starts_with(RESERVED_CONTEXT_PREFIX));
    // Part of a context is a context.
    EncryptionContext::from_pairs(given.map(|(key, value)| (key.to_owned(), value.to_owned())))
        .unwrap_or_default()
}

/// The public key as the context holds it.
pub(super) fn encode(public_key: &[u8]) -> String {
    BASE64.encode(public_key)
}
