//! Parameters of the token service that are more than a name.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::super::query::{ParameterValue, Shape};
use crate::{
    crypto::jwt::TOKEN_BYTES_MAX,
    iam::{
        ExternalId, FederatedUserName, PolicyArn, RoleSessionName, SESSION_POLICY_ARNS_MAX, SourceIdentity,
    },
    model::{ParseError, PrincipalArn},
};

impl ParameterValue for ExternalId {}
impl ParameterValue for FederatedUserName {}
impl ParameterValue for PrincipalArn {}
impl ParameterValue for RoleSessionName {}
impl ParameterValue for SourceIdentity {}

/// How long a session is to last, in seconds: at least 900. How long at most depends on what it is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct DurationSeconds(u32);

/// The shortest session in seconds (STS API, `durationSecondsType`).
const DURATION_SECONDS_MIN: u32 = 900;
/// The longest one of a user in seconds: 36 hours.
const DURATION_SECONDS_MAX: u32 = 129_600;

impl DurationSeconds {
    /// The number of seconds.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for DurationSeconds {
    type Error = ParseError;

    fn try_from(seconds: u32) -> Result<Self, ParseError> {
        if (DURATION_SECONDS_MIN..=DURATION_SECONDS_MAX).contains(&seconds) {
            Ok(Self(seconds))
        } else {
            Err(ParseError::new(format!(
                "`{seconds}` is not a session's duration: {DURATION_SECONDS_MIN} to {DURATION_SECONDS_MAX} seconds"
            )))
        }
    }
}

impl From<DurationSeconds> for u32 {
    fn from(duration: DurationSeconds) -> Self {
        duration.0
    }
}

impl ParameterValue for DurationSeconds {
    const SHAPE: Shape = Shape::Number;
}

/// The managed policies that are to limit a session: at most ten.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Descriptor>", into = "Vec<Descriptor>")]
pub struct PolicyArnList(Vec<PolicyArn>);

/// A policy as STS writes it (`PolicyDescriptorType`).
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Descriptor {
    arn: PolicyArn,
}

impl PolicyArnList {
    /// The policies.
    #[must_use]
    pub fn arns(&self) -> &[PolicyArn] {
        &self.0
    }
}

impl TryFrom<Vec<Descriptor>> for PolicyArnList {
    type Error = ParseError;

    fn try_from(list: Vec<Descriptor>) -> Result<Self, ParseError> {
        if list.len() > SESSION_POLICY_ARNS_MAX {
            return Err(ParseError::new(format!(
                "a session has at most {SESSION_POLICY_ARNS_MAX} managed policies"
            )));
        }
        Ok(Self(list.into_iter().map(|one| one.arn).collect()))
    }
}

impl From<PolicyArnList> for Vec<Descriptor> {
    fn from(list: PolicyArnList) -> Self {
        list.0.into_iter().map(|arn| Descriptor { arn }).collect()
    }
}

impl ParameterValue for PolicyArnList {
    const SHAPE: Shape = Shape::Arns;
}

/// The token of an identity provider. Whoever has it can be whom it names, so records and messages do not show it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct WebIdentityToken(String);

impl WebIdentityToken {
    /// The token's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for WebIdentityToken {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if (4..=TOKEN_BYTES_MAX).contains(&text.len()) {
            Ok(Self(text.into()))
        } else {
            Err(ParseError::new(format!("a web identity token has 4 to {TOKEN_BYTES_MAX} characters")))
        }
    }
}

impl TryFrom<String> for WebIdentityToken {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl Serialize for WebIdentityToken {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // CloudTrail's word for what it hides.
        serializer.serialize_str("HIDDEN_DUE_TO_SECURITY_REASONS")
    }
}

impl fmt::Debug for WebIdentityToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("WebIdentityToken(…)")
    }
}

impl ParameterValue for WebIdentityToken {
    const SHAPE: Shape = Shape::Token;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_lists_have_their_limits() {
        assert_eq!(DurationSeconds::try_from(900).unwrap().get(), 900);
        assert!(DurationSeconds::try_from(899).is_err() && DurationSeconds::try_from(129_601).is_err());
        let list = |count: usize| {
            let one = r#"{"arn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}"#;
            serde_json::from_str::<PolicyArnList>(&format!("[{}]", vec![one; count].join(",")))
        };
        assert_eq!(list(10).unwrap().arns().len(), 10);
        assert!(list(11).is_err());
    }

    #[test]
    fn a_token_is_never_shown() {
        let token: WebIdentityToken = "eyJ.secret.token".parse().unwrap();
        assert!(!format!("{token:?}{}", serde_json::to_string(&token).unwrap()).contains("secret"));
        assert!("abc".parse::<WebIdentityToken>().is_err());
    }
}
