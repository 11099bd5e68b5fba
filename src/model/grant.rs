//! How grants are named: by id, by token, and by the name that makes CreateGrant safe to repeat.
//!
//! Source: KMS API reference, `GrantIdType`, `GrantTokenType` and `GrantNameType`.

use std::{fmt, str::FromStr};

use serde::Deserialize;

use super::{ParseError, text_identifier};

/// The longest grant id in characters.
const GRANT_ID_CHARS_MAX: usize = 128;
/// The longest name of a grant in characters.
const GRANT_NAME_CHARS_MAX: usize = 256;
/// The longest grant token in bytes.
const GRANT_TOKEN_BYTES_MAX: usize = 8192;

/// A grant's id: 64 hexadecimal digits as AWS makes them, or 1–128 letters, digits, `-` and `_` for grants that are
/// seeded with an id of their own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct GrantId(String);

text_identifier!(GrantId);

impl GrantId {
    /// A new random id made of these 32 bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; 32]) -> Self {
        Self(hex::encode(bytes))
    }
}

impl FromStr for GrantId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let well_formed = (1..=GRANT_ID_CHARS_MAX).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if well_formed {
            Ok(Self(text.into()))
        } else {
            Err(ParseError::new(format!("`{text}` is not a grant id")))
        }
    }
}

/// A name that somebody gives a grant: 1–256 letters, digits, `:`, `/`, `_` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct GrantName(String);

text_identifier!(GrantName);

impl FromStr for GrantName {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let well_formed = (1..=GRANT_NAME_CHARS_MAX).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b":/_-".contains(&b));
        if well_formed {
            return Ok(Self(text.into()));
        }
        Err(ParseError::new(format!(
            "`{text}` is not a name for a grant: 1 to {GRANT_NAME_CHARS_MAX} letters, digits, `:`, `/`, `_` and `-`"
        )))
    }
}

/// What CreateGrant answers beside the id, for use before a grant is known everywhere. It names its grant and gives no
/// permission by itself, so it is no secret.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct GrantToken(String);

text_identifier!(GrantToken);

impl GrantToken {
    /// A new random token made of these 48 bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; 48]) -> Self {
        Self(hex::encode(bytes))
    }
}

impl fmt::Debug for GrantToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("GrantToken")
    }
}

impl FromStr for GrantToken {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if (1..=GRANT_TOKEN_BYTES_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Self(text.into()))
        } else {
            Err(ParseError::new(format!(
                "a grant token is 1 to {GRANT_TOKEN_BYTES_MAX} characters without spaces"
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_parses() {
        let id = GrantId::from_random([7; 32]);
        assert_eq!(id.as_str().len(), 64);
        assert_eq!(id.as_str().parse::<GrantId>().unwrap(), id);
        let token = GrantToken::from_random([7; 48]);
        assert_eq!(token.as_str().parse::<GrantToken>().unwrap(), token);
    }

    #[test]
    fn what_aws_refuses_is_refused() {
        assert!("team:ml/train_1-a".parse::<GrantName>().is_ok());
        for bad in ["", "a b", "ä", &"x".repeat(257)] {
            assert!(bad.parse::<GrantName>().is_err(), "{bad}");
        }
        for bad in ["", "a/b", "a b", &"x".repeat(129)] {
            assert!(bad.parse::<GrantId>().is_err(), "{bad}");
        }
        for bad in ["", "a b", "a\n", &"x".repeat(8193)] {
            assert!(bad.parse::<GrantToken>().is_err(), "{bad}");
        }
    }
}
