//! Parameters of AWS Organizations: names, descriptions, ids.
//!
//! Source: AWS Organizations API reference, the patterns of `OrganizationalUnitName`, `PolicyName`, `PolicyDescription`,
//! `CreateAccountName` and `Email`.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{
    model::{
        AccountId, ChildId, ControlPolicyId, ControlPolicyType, OrganizationId, ParentId, ParseError, RootId,
        TargetId, UnitId, text_identifier,
    },
    services::query::ParameterValue,
};

/// The longest name of an account in characters.
pub const ACCOUNT_NAME_CHARS_MAX: usize = 50;
/// The longest name of an organizational unit or a control policy in characters.
pub const NAME_CHARS_MAX: usize = 128;
/// The longest description of a control policy in characters.
pub const DESCRIPTION_CHARS_MAX: usize = 512;
/// The shortest and the longest e-mail address.
const EMAIL_CHARS: std::ops::RangeInclusive<usize> = 6..=64;

/// The name of an account: 1 to [`ACCOUNT_NAME_CHARS_MAX`] printable ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct AccountName(String);

text_identifier!(AccountName);

impl FromStr for AccountName {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if (1..=ACCOUNT_NAME_CHARS_MAX).contains(&text.len()) && printable {
            Ok(Self(text.into()))
        } else {
            let message =
                format!("an account's name has 1 to {ACCOUNT_NAME_CHARS_MAX} printable ASCII characters");
            Err(ParseError::new(message))
        }
    }
}

/// The name of an organizational unit or a control policy: 1 to [`NAME_CHARS_MAX`] characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Name(String);

text_identifier!(Name);

impl FromStr for Name {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if (1..=NAME_CHARS_MAX).contains(&text.chars().count()) && !text.contains(char::is_control) {
            Ok(Self(text.into()))
        } else {
            let message = format!(
                "a unit's or a policy's name has 1 to {NAME_CHARS_MAX} characters, none of them for control"
            );
            Err(ParseError::new(message))
        }
    }
}

/// What a control policy is for: at most [`DESCRIPTION_CHARS_MAX`] characters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PolicyDescription(String);

text_identifier!(PolicyDescription);

impl FromStr for PolicyDescription {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.chars().count() <= DESCRIPTION_CHARS_MAX {
            Ok(Self(text.into()))
        } else {
            let message = format!("a policy's description has at most {DESCRIPTION_CHARS_MAX} characters");
            Err(ParseError::new(message))
        }
    }
}

/// An e-mail address.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Email(String);

text_identifier!(Email);

impl FromStr for Email {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let plain = |part: &str| !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || c == '@');
        let domain = |text: &str| text.rsplit_once('.').is_some_and(|(name, end)| plain(name) && plain(end));
        let well_formed = text.split_once('@').is_some_and(|(name, rest)| plain(name) && domain(rest));
        if EMAIL_CHARS.contains(&text.chars().count()) && well_formed {
            Ok(Self(text.into()))
        } else {
            Err(ParseError::new(format!("`{text}` is not an e-mail address")))
        }
    }
}

/// What an organization is for: all features, the one set that is built here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FeatureSet {
    /// Policies beside the one bill.
    #[serde(rename = "ALL")]
    All,
}

/// What stands in a root or a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ChildType {
    /// Accounts.
    Account,
    /// Organizational units.
    OrganizationalUnit,
}

/// Types that are read from one text.
macro_rules! texts {
    ($($type:ty),+ $(,)?) => { $(impl ParameterValue for $type {})+ };
}

texts!(
    AccountId,
    AccountName,
    ChildId,
    ChildType,
    ControlPolicyId,
    ControlPolicyType,
    Email,
    FeatureSet,
    Name,
    OrganizationId,
    ParentId,
    PolicyDescription,
    RootId,
    TargetId,
    UnitId,
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_what_aws_takes() {
        assert!("a@b.example".parse::<Email>().is_ok());
        for bad in ["", "a@b", "@b.ex", "a b@c.example", "a@b@c.example", "a@.example"] {
            assert!(bad.parse::<Email>().is_err(), "{bad}");
        }
        assert!("Forschung – Modelle".parse::<Name>().is_ok() && "".parse::<Name>().is_err());
        assert!("ä".parse::<AccountName>().is_err() && "x".repeat(51).parse::<AccountName>().is_err());
        assert!("x".repeat(513).parse::<PolicyDescription>().is_err());
    }
}
