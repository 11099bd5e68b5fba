//! Amazon Resource Names, and what a `KeyId` parameter may hold.
//!
//! Source: "Reference AWS resources with ARNs" (AWS General Reference) and the KMS API's `KeyId` parameter: key
//! id, key ARN, alias name or alias ARN.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize, Serializer};

use super::{AccountId, KeyId, ParseError, Region, id::text_identifier};

/// An ARN of any service: `arn:partition:service:region:account:resource`.
///
/// The first five segments hold no colon; the resource may.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Arn(Arc<str>);

text_identifier!(Arn);

/// The longest ARN in bytes (IAM's limit for an ARN in a policy's principal).
const ARN_BYTES_MAX: usize = 2048;

impl Arn {
    /// An ARN that this program composed of parsed parts.
    pub(super) fn from_trusted(text: String) -> Self {
        Self(text.into())
    }

    fn segment(&self, index: usize) -> &str {
        self.0.splitn(6, ':').nth(index).unwrap_or_default()
    }

    /// The partition, such as `aws`.
    #[must_use]
    pub fn partition(&self) -> &str {
        self.segment(1)
    }

    /// The service, such as `kms`.
    #[must_use]
    pub fn service(&self) -> &str {
        self.segment(2)
    }

    /// The Region, or the empty string for global resources.
    #[must_use]
    pub fn region(&self) -> &str {
        self.segment(3)
    }

    /// The account's 12 digits, or the empty string (S3 buckets have none).
    #[must_use]
    pub fn account(&self) -> &str {
        self.segment(4)
    }

    /// What follows the fifth colon, such as `key/1234…`.
    #[must_use]
    pub fn resource(&self) -> &str {
        self.segment(5)
    }
}

impl FromStr for Arn {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let segments: Vec<&str> = text.splitn(6, ':').collect();
        match segments.as_slice() {
            ["arn", partition, service, _, _, resource]
                if !partition.is_empty()
                    && !service.is_empty()
                    && !resource.is_empty()
                    && text.len() <= ARN_BYTES_MAX
                    && !text.contains(char::is_control)
                    // What a service names as it likes, such as an object in a bucket, may hold spaces.
                    && !text.strip_suffix(resource).unwrap_or(text).contains(char::is_whitespace) =>
            {
                Ok(Self(text.into()))
            }
            _ => Err(ParseError::new(format!(
                "`{text}` is not an ARN: `arn:partition:service:region:account:resource`"
            ))),
        }
    }
}

/// The ARN of a KMS key: `arn:aws:kms:REGION:ACCOUNT:key/KEY-ID`. A clone shares the text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct KeyArn(Arc<KeyArnParts>);

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct KeyArnParts {
    region: Region,
    account: AccountId,
    key: KeyId,
    text: String,
}

impl KeyArn {
    /// The ARN of this key.
    #[must_use]
    pub fn new(region: Region, account: AccountId, key: KeyId) -> Self {
        let text = format!("arn:aws:kms:{region}:{account}:key/{key}");
        Self(Arc::new(KeyArnParts { region, account, key, text }))
    }

    /// The Region of the key.
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.0.region
    }

    /// The account that owns the key.
    #[must_use]
    pub fn account(&self) -> &AccountId {
        &self.0.account
    }

    /// The key's id.
    #[must_use]
    pub fn key_id(&self) -> &KeyId {
        &self.0.key
    }

    /// The ARN.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0.text
    }
}

impl fmt::Display for KeyArn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for KeyArn {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text.parse()? {
            KeyRef::Arn(arn) => Ok(arn),
            _ => Err(ParseError::new(format!(
                "`{text}` is not a key ARN: `arn:aws:kms:REGION:ACCOUNT:key/KEY-ID`"
            ))),
        }
    }
}

impl TryFrom<String> for KeyArn {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl Serialize for KeyArn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// An alias's name: `alias/` and 1–250 letters, digits, `/`, `_` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct AliasName(String);

text_identifier!(AliasName);

/// The longest alias name in characters, `alias/` included (KMS API, CreateAlias).
const ALIAS_NAME_CHARS_MAX: usize = 256;

impl AliasName {
    /// Whether the name is one of those that only AWS makes: `alias/aws/…`.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        self.0.starts_with("alias/aws/")
    }
}

impl FromStr for AliasName {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let well_formed = text.len() <= ALIAS_NAME_CHARS_MAX
            && text.strip_prefix("alias/").is_some_and(|name| {
                !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_-".contains(&b))
            });
        if well_formed {
            Ok(Self(text.into()))
        } else {
            Err(ParseError::new(format!(
                "`{text}` is not an alias name: it begins with `alias/`, then letters, digits, `/`, `_`, `-`"
            )))
        }
    }
}

/// What a `KeyId` parameter may hold.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum KeyRef {
    /// A key id of the caller's account.
    Id(KeyId),
    /// A key ARN.
    Arn(KeyArn),
    /// An alias name of the caller's account.
    Alias(AliasName),
    /// An alias ARN.
    AliasArn {
        /// The Region of the alias.
        region: Region,
        /// The account of the alias.
        account: AccountId,
        /// The alias.
        name: AliasName,
    },
}

impl FromStr for KeyRef {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.starts_with("alias/") {
            return text.parse().map(Self::Alias);
        }
        if !text.starts_with("arn:") {
            return text.parse().map(Self::Id).map_err(|_| {
                ParseError::new(format!(
                    "`{text}` names no key: give a key id, key ARN, alias name or alias ARN"
                ))
            });
        }
        let arn: Arn = text.parse()?;
        if arn.partition() != "aws" || arn.service() != "kms" {
            return Err(ParseError::new(format!("`{text}` is not the ARN of a KMS key or alias")));
        }
        let (region, account) = (arn.region().parse()?, arn.account().parse()?);
        if let Some(id) = arn.resource().strip_prefix("key/") {
            Ok(Self::Arn(KeyArn::new(region, account, id.parse()?)))
        } else {
            Ok(Self::AliasArn { region, account, name: arn.resource().parse()? })
        }
    }
}

impl fmt::Display for KeyRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(formatter),
            Self::Arn(arn) => arn.fmt(formatter),
            Self::Alias(name) => name.fmt(formatter),
            Self::AliasArn { region, account, name } => {
                write!(formatter, "arn:aws:kms:{region}:{account}:{name}")
            }
        }
    }
}

impl From<KeyArn> for KeyRef {
    fn from(arn: KeyArn) -> Self {
        Self::Arn(arn)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_arn_has_six_segments_and_its_resource_keeps_its_colons() {
        let arn: Arn = "arn:aws:iam::111122223333:role/a:b".parse().unwrap();
        assert_eq!((arn.service(), arn.region(), arn.account()), ("iam", "", "111122223333"));
        assert_eq!(arn.resource(), "role/a:b");
    }

    #[test]
    fn text_that_is_no_arn_is_refused() {
        for bad in [
            "",
            "arn",
            "arn:aws:iam::1",
            "urn:aws:iam::1:x",
            "arn::iam::1:x",
            "arn:aws:iam::1:",
            "arn:aws:i am::1:ab",
            "arn:aws:iam::1:a\nb",
        ] {
            assert!(bad.parse::<Arn>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_four_ways_to_name_a_key_parse_and_print_alike() {
        for text in [
            "1234abcd-12ab-34cd-56ef-1234567890ab",
            "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
            "alias/models",
            "arn:aws:kms:us-east-1:111122223333:alias/team/models",
        ] {
            assert_eq!(text.parse::<KeyRef>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_names_no_key_is_refused() {
        for bad in [
            "",
            "alias/",
            "alias/a b",
            "arn:aws:s3:::bucket/key",
            "arn:aws:kms:us-east-1:1:key/a",
            "arn:aws:kms:us-east-1:111122223333:key/",
            "arn:aws:kms:us-east-1:111122223333:grant/x",
        ] {
            assert!(bad.parse::<KeyRef>().is_err(), "{bad}");
        }
    }

    #[test]
    fn aliases_of_aws_are_reserved() {
        assert!("alias/aws/s3".parse::<AliasName>().unwrap().is_reserved());
        assert!(!"alias/awsome".parse::<AliasName>().unwrap().is_reserved());
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_what_parses_prints_as_it_was(text in "\\PC{0,80}") {
            if let Ok(parsed) = text.parse::<KeyRef>() { prop_assert_eq!(parsed.to_string(), text.clone()); }
            if let Ok(parsed) = text.parse::<Arn>() { prop_assert_eq!(parsed.to_string(), text); }
        }
    }
}
