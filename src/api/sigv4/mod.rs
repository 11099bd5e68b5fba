//! Verification of Signature Version 4, in its header and its query form.
//!
//! Source: "Signature Version 4 signing process" and "Create a signed AWS API request" (AWS IAM user guide). The file
//! tree follows the process: `presented` reads what a request says of its signature, `canonical` makes the canonical
//! request, `keys` derives and keeps signing keys. All of it is pure: request, clock and secret are handed in.
//!
//! Held to be true: the host and every `x-amz-*` header are signed; the scope's date is the request's; a request is taken
//! within [`SKEW_MILLIS_MAX`] of its date alone; the body that was hashed is the body that came; signatures are compared
//! in constant time.

mod canonical;
mod error;
mod keys;
mod presented;
#[cfg(test)]
mod tests;

pub use error::SignatureError;
pub use keys::{SigningKey, SigningKeys};
pub use presented::{Presented, Scope};

use crate::{crypto::digest::Sha256Digest, model::Timestamp};

/// The name of the one algorithm.
pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// How far a request's date may be from the clock.
pub const SKEW_MILLIS_MAX: i64 = 15 * 60 * 1000;
/// The longest that a request signed in its query may be good for: seven days, in seconds.
pub const EXPIRES_SECONDS_MAX: u32 = 604_800;

/// A request as it came over the wire, as far as its signature covers it.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// `GET`, `POST` …
    pub method: &'a str,
    /// What stands before the question mark, as it was sent.
    pub path: &'a str,
    /// What stands after it, as it was sent.
    pub query: &'a str,
    /// Names and values in the order in which they came; a name may come more than once.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// The digest of the body that came.
    pub body_sha256: Sha256Digest,
}

impl<'a> Request<'a> {
    /// The values of a header, in the order in which they came.
    fn header(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let named = self.headers.iter().filter(move |(given, _)| given.eq_ignore_ascii_case(name));
        named.map(|(_, value)| *value)
    }

    /// The header's one value, as text; `None` when it is not there.
    fn single_header(&self, name: &str) -> Result<Option<&'a str>, SignatureError> {
        let mut values = self.header(name);
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(SignatureError::incomplete(format!(
                "The header '{name}' stands there more than once."
            )));
        }
        match str::from_utf8(value) {
            Ok(text) => Ok(Some(text.trim())),
            Err(_) => Err(SignatureError::incomplete(format!("The header '{name}' is not text."))),
        }
    }
}

/// In what a service departs from the rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Whether the path's dots and double slashes are resolved before it is signed. Everywhere but in S3.
    pub normalize_path: bool,
    /// Whether a session token is signed with the rest. Everywhere but in IoT.
    pub sign_session_token: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { normalize_path: true, sign_session_token: true }
    }
}

/// Checks a signature whose signing key was found.
///
/// # Errors
///
/// [`SignatureError::Mismatch`] when the signature is another one.
pub fn verify(
    presented: &Presented<'_>,
    request: &Request<'_>,
    settings: Settings,
    key: &SigningKey,
) -> Result<(), SignatureError> {
    let canonical = canonical::request(presented, request, settings);
    let to_sign = canonical::string_to_sign(presented, &canonical);
    if key.verifies(to_sign.as_bytes(), presented.signature()) {
        Ok(())
    } else {
        Err(SignatureError::Mismatch)
    }
}

/// A date as the process writes it: `20150830T123600Z`.
pub(crate) fn basic_format(time: Timestamp) -> String {
    time.to_rfc3339().chars().filter(|character| !matches!(character, '-' | ':')).collect()
}
