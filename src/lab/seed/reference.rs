//! What a seed names elsewhere: managed policies and principals, in short or by an ARN with `{account}` in it.

use serde::{Deserialize, Deserializer, de};

use super::policy::Filling;
use crate::{
    iam::PolicyArn,
    model::{ParseError, PrincipalArn},
};

/// A managed policy: the name of one of the account's own, or an ARN.
#[derive(Debug, Clone)]
pub(super) struct PolicyRef(String);

/// A principal: `user/NAME`, `role/NAME` or `root` of the account, or an ARN.
#[derive(Debug, Clone)]
pub(super) struct PrincipalRef(String);

impl PolicyRef {
    /// The policy's ARN.
    pub(super) fn resolve(&self, filling: Filling<'_>) -> Result<PolicyArn, ParseError> {
        let text = filling.fill(&self.0);
        let arn = if text.starts_with("arn:") {
            text.clone()
        } else {
            format!("arn:aws:iam::{}:policy/{text}", filling.account)
        };
        arn.parse().map_err(|_| {
            ParseError::new(format!(
                "`{text}` is no managed policy: write the name of one of the account's own, or an ARN such as \
                 `arn:aws:iam::aws:policy/ReadOnlyAccess`"
            ))
        })
    }
}

impl PrincipalRef {
    /// The principal's ARN.
    pub(super) fn resolve(&self, filling: Filling<'_>) -> Result<PrincipalArn, ParseError> {
        PrincipalArn::named(&filling.fill(&self.0), &filling.account.parse()?)
    }
}

impl<'de> Deserialize<'de> for PolicyRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let named = Self(String::deserialize(deserializer)?);
        named.resolve(Filling::SAMPLE).map_err(de::Error::custom)?;
        Ok(named)
    }
}

impl<'de> Deserialize<'de> for PrincipalRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let named = Self(String::deserialize(deserializer)?);
        named.resolve(Filling::SAMPLE).map_err(de::Error::custom)?;
        Ok(named)
    }
}
