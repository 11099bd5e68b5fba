//! Parameters that are more than a name: tags, documents, codes.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    iam::{
        AccessKeyId, AccessKeyStatus, ClientId, GroupName, IamPath, Jwks, MaxSessionDuration, MfaDeviceName,
        MfaSerial, OidcProviderArn, OidcUrl, PolicyArn, PolicyName, RoleName, UserName, VersionId,
    },
    model::{AccountId, ParseError, Tags, text_identifier},
    services::query::{ParameterValue, Shape},
};

/// Types that are read from one text.
macro_rules! texts {
    ($($type:ty),+ $(,)?) => { $(impl ParameterValue for $type {})+ };
}

texts!(
    AccessKeyId,
    AccessKeyStatus,
    ClientId,
    Description,
    GroupName,
    IamPath,
    MfaDeviceName,
    MfaSerial,
    OidcProviderArn,
    OidcUrl,
    PathPrefix,
    PolicyArn,
    PolicyName,
    RoleName,
    UserName,
    VersionId,
);

impl ParameterValue for Jwks {
    const SHAPE: Shape = Shape::Document;
}

impl ParameterValue for PolicyText {
    const SHAPE: Shape = Shape::Document;
}

impl ParameterValue for MaxSessionDuration {
    const SHAPE: Shape = Shape::Number;
}

impl ParameterValue for bool {
    const SHAPE: Shape = Shape::Flag;
}

impl ParameterValue for TagList {
    const SHAPE: Shape = Shape::Tags;
}

impl ParameterValue for Vec<String> {
    const SHAPE: Shape = Shape::List;
}

impl ParameterValue for Vec<ClientId> {
    const SHAPE: Shape = Shape::List;
}

impl<T: ParameterValue> ParameterValue for Option<T> {
    const SHAPE: Shape = T::SHAPE;
    const OPTIONAL: bool = true;
}

/// The text of a policy, not looked at yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PolicyText(String);

impl PolicyText {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A trust policy that leaves it to the identity policies of this account who may assume the role.
    #[must_use]
    pub fn trusting_account(account: &AccountId) -> Self {
        let statement = json!({
            "Effect": "Allow",
            "Principal": {"AWS": format!("arn:aws:iam::{account}:root")},
            "Action": "sts:AssumeRole",
        });
        Self(json!({"Version": "2012-10-17", "Statement": [statement]}).to_string())
    }
}

impl<T: Into<String>> From<T> for PolicyText {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

/// What something is for: at most 1,000 characters, no control characters but tab and line feed (IAM API,
/// `roleDescriptionType`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Description(String);

/// The longest description in characters.
const DESCRIPTION_CHARS_MAX: usize = 1_000;

impl std::str::FromStr for Description {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let allowed = |character: char| !character.is_control() || "\t\n\r".contains(character);
        if text.chars().count() <= DESCRIPTION_CHARS_MAX && text.chars().all(allowed) {
            Ok(Self(text.into()))
        } else {
            let message = format!(
                "a description has at most {DESCRIPTION_CHARS_MAX} characters, none of them for control"
            );
            Err(ParseError::new(message))
        }
    }
}

impl TryFrom<String> for Description {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl From<Description> for String {
    fn from(description: Description) -> Self {
        description.0
    }
}

/// How a path begins: a slash and printable characters (IAM API, `pathPrefixType`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PathPrefix(String);

text_identifier!(PathPrefix);

/// The longest beginning of a path in characters.
const PATH_PREFIX_CHARS_MAX: usize = 512;

impl std::str::FromStr for PathPrefix {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
        if text.starts_with('/') && text.len() <= PATH_PREFIX_CHARS_MAX && printable {
            Ok(Self(text.into()))
        } else {
            Err(ParseError::new(format!("`{text}` begins no path: a path begins with a slash")))
        }
    }
}

/// Tags as IAM writes them: a list of `Key` and `Value`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Tag>", into = "Vec<Tag>")]
pub struct TagList(Tags);

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Tag {
    key: String,
    value: String,
}

impl TagList {
    /// The tags.
    #[must_use]
    pub fn tags(&self) -> &Tags {
        &self.0
    }
}

impl From<TagList> for Tags {
    fn from(list: TagList) -> Self {
        list.0
    }
}

impl From<Tags> for TagList {
    fn from(tags: Tags) -> Self {
        Self(tags)
    }
}

impl TryFrom<Vec<Tag>> for TagList {
    type Error = ParseError;

    fn try_from(list: Vec<Tag>) -> Result<Self, ParseError> {
        let mut tags = Tags::new();
        for Tag { key, value } in list {
            if tags.get(&key).is_some() {
                return Err(ParseError::new(format!("the tag `{key}` is given twice")));
            }
            tags.set(key, value)?;
        }
        Ok(Self(tags))
    }
}

impl From<TagList> for Vec<Tag> {
    fn from(list: TagList) -> Self {
        list.0.iter().map(|(key, value)| Tag { key: key.into(), value: value.into() }).collect()
    }
}

/// An MFA device's code: six digits. Records show that there was one and not which.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct AuthenticationCode(String);

impl AuthenticationCode {
    /// The six digits.
    #[must_use]
    pub fn digits(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for AuthenticationCode {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(Self(text.into()))
        } else {
            Err(ParseError::new("an MFA code has six digits"))
        }
    }
}

impl TryFrom<String> for AuthenticationCode {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl Serialize for AuthenticationCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // CloudTrail's word for what it hides.
        serializer.serialize_str("HIDDEN_DUE_TO_SECURITY_REASONS")
    }
}

impl fmt::Debug for AuthenticationCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("AuthenticationCode(…)")
    }
}

impl ParameterValue for AuthenticationCode {}

/// Which virtual MFA devices are meant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AssignmentStatus {
    /// Those that are somebody's.
    Assigned,
    /// Those that are nobody's.
    Unassigned,
    /// All.
    #[default]
    Any,
}

impl AssignmentStatus {
    pub(super) fn admits(self, assigned: bool) -> bool {
        match self {
            Self::Assigned => assigned,
            Self::Unassigned => !assigned,
            Self::Any => true,
        }
    }
}

impl ParameterValue for AssignmentStatus {}

/// Whose managed policies are meant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PolicyScope {
    /// Those of AWS and the account's own.
    #[default]
    All,
    /// Those of AWS.
    #[serde(rename = "AWS")]
    Aws,
    /// The account's own.
    Local,
}

impl PolicyScope {
    pub(super) fn admits(self, owner: Option<&AccountId>) -> bool {
        match self {
            Self::All => true,
            Self::Aws => owner.is_none(),
            Self::Local => owner.is_some(),
        }
    }
}

impl ParameterValue for PolicyScope {}

#[cfg(test)]
impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for TagList {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut tags = Tags::new();
        for (key, value) in pairs {
            tags.set(key, value).unwrap();
        }
        Self(tags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_six_digits_and_never_shown() {
        let code: AuthenticationCode = "123456".parse().unwrap();
        assert!(!format!("{code:?}{}", serde_json::to_string(&code).unwrap()).contains("123456"));
        for bad in ["", "12345", "1234567", "12345x", "１23456"] {
            assert!(bad.parse::<AuthenticationCode>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_tag_given_twice_is_refused() {
        let parse = serde_json::from_str::<TagList>;
        assert!(parse(r#"[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]"#).is_ok());
        assert!(parse(r#"[{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]"#).is_err());
        assert!(parse(r#"[{"Key": "aws:a", "Value": "1"}]"#).is_err());
    }
}
