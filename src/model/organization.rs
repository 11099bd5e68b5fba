//! What an organization's parts are called: the ids of organizations, roots, organizational units and control policies.
//!
//! Source: AWS Organizations API reference, the patterns of `OrganizationId`, `RootId`, `OrganizationalUnitId`, `ParentId`,
//! `PolicyId`, `PolicyTargetId` and `PolicyType`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{AccountId, ParseError, text_identifier};

/// How many random characters an organization's id has after `o-`.
const ORGANIZATION_ID_CHARS: usize = 10;
/// How many random characters a root's id has after `r-`.
const ROOT_ID_CHARS: usize = 4;
/// How many random characters a unit's or a policy's id ends in.
const ID_CHARS: usize = 8;

/// An organization's id: `o-` and 10–32 lower-case letters and digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct OrganizationId(String);

text_identifier!(OrganizationId);

impl OrganizationId {
    /// A new id made of these bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; ORGANIZATION_ID_CHARS]) -> Self {
        Self(format!("o-{}", letters_and_digits(&bytes)))
    }
}

impl FromStr for OrganizationId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let rest = text.strip_prefix("o-");
        if rest.is_some_and(|rest| is_id(rest, 10..=32)) {
            Ok(Self(text.into()))
        } else {
            Err(not_one(text, "an organization", "`o-` and 10 to 32 lower-case letters and digits"))
        }
    }
}

/// The id of an organization's root: `r-` and 4–32 lower-case letters and digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct RootId(String);

text_identifier!(RootId);

impl RootId {
    /// A new id made of these bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; ROOT_ID_CHARS]) -> Self {
        Self(format!("r-{}", letters_and_digits(&bytes)))
    }
}

impl FromStr for RootId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.strip_prefix("r-").is_some_and(|rest| is_id(rest, 4..=32)) {
            Ok(Self(text.into()))
        } else {
            Err(not_one(text, "a root", "`r-` and 4 to 32 lower-case letters and digits"))
        }
    }
}

/// The id of an organizational unit: `ou-`, what its root's id has after `r-`, `-`, and 8–32 lower-case letters and
/// digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct UnitId(String);

text_identifier!(UnitId);

impl UnitId {
    /// A new id of a unit below this root, made of these bytes.
    #[must_use]
    pub fn from_random(root: &RootId, bytes: [u8; ID_CHARS]) -> Self {
        Self(format!("ou-{}-{}", suffix(root), letters_and_digits(&bytes)))
    }

    /// Whether a unit of this id can stand below this root.
    #[must_use]
    pub fn is_below(&self, root: &RootId) -> bool {
        let root_of = self.0.strip_prefix("ou-").and_then(|rest| rest.split_once('-'));
        root_of.is_some_and(|(root_of, _)| root_of == suffix(root))
    }
}

fn suffix(root: &RootId) -> &str {
    root.0.strip_prefix("r-").unwrap_or_default()
}

impl FromStr for UnitId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let parts = text.strip_prefix("ou-").and_then(|rest| rest.split_once('-'));
        if parts.is_some_and(|(root, own)| is_id(root, 4..=32) && is_id(own, 8..=32)) {
            Ok(Self(text.into()))
        } else {
            Err(not_one(text, "an organizational unit", "such as `ou-ab12-11111111`"))
        }
    }
}

/// The id of a control policy: `p-` and 8–128 letters, digits and `_`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct ControlPolicyId(String);

text_identifier!(ControlPolicyId);

impl ControlPolicyId {
    /// A new id made of these bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; ID_CHARS]) -> Self {
        Self(format!("p-{}", letters_and_digits(&bytes)))
    }
}

impl FromStr for ControlPolicyId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let well_formed = text.strip_prefix("p-").is_some_and(|rest| {
            (8..=128).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        });
        if well_formed {
            Ok(Self(text.into()))
        } else {
            Err(not_one(text, "a policy", "`p-` and 8 to 128 letters, digits and `_`"))
        }
    }
}

/// The kinds of policies of an organization that bear on authorisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ControlPolicyType {
    /// What principals of the accounts can be allowed at most.
    ServiceControlPolicy,
    /// What anybody can be allowed at most on the accounts' resources.
    ResourceControlPolicy,
}

impl ControlPolicyType {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::ServiceControlPolicy, Self::ResourceControlPolicy];

    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ServiceControlPolicy => "SERVICE_CONTROL_POLICY",
            Self::ResourceControlPolicy => "RESOURCE_CONTROL_POLICY",
        }
    }
}

impl fmt::Display for ControlPolicyType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// What accounts and units stand in: the root or a unit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ParentId {
    /// The root.
    Root(RootId),
    /// An organizational unit.
    Unit(UnitId),
}

/// What a control policy can hang on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum TargetId {
    /// The root.
    Root(RootId),
    /// An organizational unit.
    Unit(UnitId),
    /// An account.
    Account(AccountId),
}

/// What stands in the root or in a unit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ChildId {
    /// An organizational unit.
    Unit(UnitId),
    /// An account.
    Account(AccountId),
}

/// Text in and out for an id that is one of several.
macro_rules! one_of {
    ($name:ident, $what:literal, $($variant:ident),+) => {
        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self { $(Self::$variant(id) => formatter.write_str(id.as_str()),)+ }
            }
        }

        impl FromStr for $name {
            type Err = ParseError;

            fn from_str(text: &str) -> Result<Self, ParseError> {
                $(if let Ok(id) = text.parse() {
                    return Ok(Self::$variant(id));
                })+
                Err(ParseError::new(format!("`{text}` is not {}", $what)))
            }
        }

        impl TryFrom<String> for $name {
            type Error = ParseError;

            fn try_from(text: String) -> Result<Self, ParseError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    };
}

one_of!(ParentId, "a root (`r-…`) or an organizational unit (`ou-…`)", Root, Unit);
one_of!(
    TargetId,
    "a root (`r-…`), an organizational unit (`ou-…`) or an account (12 digits)",
    Root,
    Unit,
    Account
);
one_of!(ChildId, "an organizational unit (`ou-…`) or an account (12 digits)", Unit, Account);

impl From<ParentId> for TargetId {
    fn from(parent: ParentId) -> Self {
        match parent {
            ParentId::Root(id) => Self::Root(id),
            ParentId::Unit(id) => Self::Unit(id),
        }
    }
}

fn is_id(text: &str, chars: std::ops::RangeInclusive<usize>) -> bool {
    chars.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

fn not_one(text: &str, what: &str, looks: &str) -> ParseError {
    ParseError::new(format!("`{text}` is not the id of {what}: {looks}"))
}

/// A name of lower-case letters and digits for random bytes. That some come a little oftener harms nobody: ids are no
/// secrets.
fn letters_and_digits(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let digit = |byte: &u8| DIGITS.get(usize::from(*byte) % DIGITS.len()).copied().unwrap_or(b'0');
    bytes.iter().map(|byte| char::from(digit(byte))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_parses() {
        let root = RootId::from_random([1, 2, 3, 255]);
        let unit = UnitId::from_random(&root, [7; 8]);
        assert_eq!(root.as_str().parse::<RootId>().unwrap(), root);
        assert_eq!(unit.as_str().parse::<UnitId>().unwrap(), unit);
        assert!(unit.is_below(&root) && !unit.is_below(&RootId::from_random([9; 4])));
        let organization = OrganizationId::from_random([200; 10]);
        assert_eq!(organization.as_str().parse::<OrganizationId>().unwrap(), organization);
        let policy = ControlPolicyId::from_random([0; 8]);
        assert_eq!(policy.as_str().parse::<ControlPolicyId>().unwrap(), policy);
        assert!("p-FullAWSAccess".parse::<ControlPolicyId>().is_ok());
    }

    #[test]
    fn ids_tell_what_they_are_of() {
        assert!(matches!("r-ab12".parse(), Ok(TargetId::Root(_))));
        assert!(matches!("ou-ab12-11111111".parse(), Ok(TargetId::Unit(_))));
        assert!(matches!("111122223333".parse(), Ok(TargetId::Account(_))));
        assert!("111122223333".parse::<ParentId>().is_err());
        assert!("r-ab12".parse::<ChildId>().is_err());
        for bad in ["", "r-abc", "r-AB12", "ou-ab12", "ou-ab12-1111111", "o-short", "p-short"] {
            assert!(bad.parse::<TargetId>().is_err(), "{bad}");
            assert!(bad.parse::<OrganizationId>().is_err(), "{bad}");
            assert!(bad.parse::<ControlPolicyId>().is_err(), "{bad}");
        }
    }
}
