//! Names of users, roles and inline policies.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::model::{ParseError, text_identifier};

/// The longest name of a user or a role in characters (IAM quotas: both 64).
const IDENTITY_NAME_CHARS_MAX: usize = 64;
/// The longest name of a policy in characters.
const POLICY_NAME_CHARS_MAX: usize = 128;

/// The name of a user or a role: 1–64 letters, digits and `+=,.@_-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IdentityName(String);

text_identifier!(IdentityName);

impl FromStr for IdentityName {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse(text, IDENTITY_NAME_CHARS_MAX, "a user or role").map(Self)
    }
}

/// The name of an inline policy: 1–128 letters, digits and `+=,.@_-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PolicyName(String);

text_identifier!(PolicyName);

impl FromStr for PolicyName {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse(text, POLICY_NAME_CHARS_MAX, "a policy").map(Self)
    }
}

fn parse(text: &str, chars_max: usize, what: &str) -> Result<String, ParseError> {
    let well_formed = (1..=chars_max).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b));
    if well_formed {
        Ok(text.into())
    } else {
        Err(ParseError::new(format!(
            "`{text}` is not the name of {what}: 1 to {chars_max} letters, digits and `+=,.@_-`"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_iam_names() {
        assert!("alice@example.com".parse::<IdentityName>().is_ok());
        for bad in ["", "a b", "a/b", "ä", &"x".repeat(65)] {
            assert!(bad.parse::<IdentityName>().is_err(), "{bad}");
        }
        assert!("x".repeat(128).parse::<PolicyName>().is_ok());
        assert!("x".repeat(129).parse::<PolicyName>().is_err());
    }
}
