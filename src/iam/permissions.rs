//! The policies of one user, group or role: inline ones, and the managed ones that are attached.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{PolicyArn, PolicyName};
use crate::{
    model::ParseError,
    policy::{Policy, PolicyKind},
};

/// The most managed policies attached to one identity (IAM quotas, default).
pub const ATTACHED_POLICIES_MAX: usize = 10;

/// An identity policy, parsed once and stored by its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IdentityPolicy(Arc<Policy>);

impl IdentityPolicy {
    /// Takes a parsed identity policy.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self(Arc::new(policy))
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &Arc<Policy> {
        &self.0
    }

    /// Its text, as it was put.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0.text()
    }

    /// Its length as quotas count it: characters that are no white space.
    #[must_use]
    pub fn chars(&self) -> usize {
        self.text().chars().filter(|character| !character.is_whitespace()).count()
    }
}

impl TryFrom<String> for IdentityPolicy {
    type Error = ParseError;

    /// How long it may be depends on where it hangs and was checked when it was put; here the widest limit holds.
    fn try_from(text: String) -> Result<Self, ParseError> {
        Policy::parse(&text, PolicyKind::INLINE_ROLE)
            .map(Self::new)
            .map_err(|error| ParseError::new(error.to_string()))
    }
}

impl From<IdentityPolicy> for String {
    fn from(policy: IdentityPolicy) -> Self {
        policy.text().into()
    }
}

/// The policies of one user, group or role.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Permissions {
    /// The inline policies by name.
    pub inline: BTreeMap<PolicyName, IdentityPolicy>,
    /// The managed policies.
    pub attached: BTreeSet<PolicyArn>,
}

impl Permissions {
    /// Whether there is no policy at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inline.is_empty() && self.attached.is_empty()
    }

    /// The length of all inline policies together but for the one of this name, as quotas count it.
    #[must_use]
    pub fn inline_chars_without(&self, name: &PolicyName) -> usize {
        self.inline.iter().filter(|(other, _)| *other != name).map(|(_, policy)| policy.chars()).sum()
    }
}
