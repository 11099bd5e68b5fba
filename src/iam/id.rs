//! Ids that name one thing for ever: a principal that is deleted and made again gets another one.
//!
//! Source: "Unique identifiers" under "IAM identifiers" (IAM user guide).

use std::str::FromStr;

use serde::Deserialize;

use crate::model::{ParseError, text_identifier};

/// The letters of an id after its prefix.
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// The longest id in characters (IAM API, `idType` and `accessKeyIdType`).
const ID_CHARS_MAX: usize = 128;
/// The shortest.
const ID_CHARS_MIN: usize = 16;

/// What a unique id is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UniqueIdKind {
    /// A user: `AIDA…`.
    User,
    /// A role: `AROA…`.
    Role,
    /// A group: `AGPA…`.
    Group,
    /// A managed policy: `ANPA…`.
    ManagedPolicy,
}

impl UniqueIdKind {
    fn prefix(self) -> &'static str {
        match self {
            Self::User => "AIDA",
            Self::Role => "AROA",
            Self::Group => "AGPA",
            Self::ManagedPolicy => "ANPA",
        }
    }
}

/// The unique id of a user, role, group or managed policy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct UniqueId(String);

text_identifier!(UniqueId);

impl UniqueId {
    /// A new id made of these random bytes: the kind's prefix and 17 characters of AWS's alphabet.
    #[must_use]
    pub fn from_random(kind: UniqueIdKind, bytes: [u8; 17]) -> Self {
        Self(compose(kind.prefix(), &bytes))
    }
}

impl FromStr for UniqueId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse(text, &["AIDA", "AROA", "AGPA", "ANPA"], "a unique id, such as `AIDA…` or `AROA…`").map(Self)
    }
}

/// The id of an access key: `AKIA…` for one that lasts, `ASIA…` for one of a session.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct AccessKeyId(String);

text_identifier!(AccessKeyId);

impl AccessKeyId {
    /// A new id of an access key that lasts, made of these random bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(compose("AKIA", &bytes))
    }

    /// A new id of a session's access key, made of these random bytes.
    #[must_use]
    pub fn temporary_from_random(bytes: [u8; 16]) -> Self {
        Self(compose("ASIA", &bytes))
    }

    /// Whether it is a session's.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        self.0.starts_with("ASIA")
    }
}

impl FromStr for AccessKeyId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse(text, &["AKIA", "ASIA"], "an access key id: `AKIA…` or `ASIA…`").map(Self)
    }
}

fn compose(prefix: &str, bytes: &[u8]) -> String {
    let letters = bytes.iter().filter_map(|byte| ALPHABET.get(usize::from(byte % 32)));
    prefix.chars().chain(letters.map(|letter| char::from(*letter))).collect()
}

fn parse(text: &str, prefixes: &[&str], what: &str) -> Result<String, ParseError> {
    let well_formed = (ID_CHARS_MIN..=ID_CHARS_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        && prefixes.iter().any(|prefix| text.starts_with(prefix));
    if well_formed { Ok(text.into()) } else { Err(ParseError::new(format!("`{text}` is not {what}"))) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_look_like_those_of_aws() {
        let id = UniqueId::from_random(UniqueIdKind::User, [255; 17]);
        assert_eq!(id.as_str(), "AIDA77777777777777777");
        assert_eq!(AccessKeyId::from_random([0; 16]).as_str(), "AKIAAAAAAAAAAAAAAAAA");
        assert!(AccessKeyId::temporary_from_random([1; 16]).is_temporary());
        for bad in ["", "AIDA", "aida77777777777777777", "AKIA77777777777777777", "AIDA7777777777777/777"] {
            assert!(bad.parse::<UniqueId>().is_err(), "{bad}");
        }
        for bad in ["", "AKIA", "AIDA77777777777777777", "AKIA777777777777777 "] {
            assert!(bad.parse::<AccessKeyId>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn made_ids_parse(bytes in any::<[u8; 17]>(), text in "\\PC{0,30}") {
            for kind in [UniqueIdKind::User, UniqueIdKind::Role, UniqueIdKind::Group, UniqueIdKind::ManagedPolicy] {
                let id = UniqueId::from_random(kind, bytes);
                prop_assert_eq!(id.as_str().parse::<UniqueId>().unwrap(), id);
            }
            let _no_panic = (text.parse::<UniqueId>(), text.parse::<AccessKeyId>());
        }
    }
}
