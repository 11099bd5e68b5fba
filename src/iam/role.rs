//! A role: permissions that others take on for a while, whom its trust policy names.

use serde::{Deserialize, Serialize};

use super::{IamPath, Permissions, PolicyArn, RoleName, UniqueId};
use crate::{
    model::{AccountId, ParseError, PrincipalArn, Tags, Timestamp},
    policy::{BoundPolicy, Policy, PolicyKind, StoredBoundPolicy},
};

/// A role.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Role {
    /// The account it belongs to.
    pub account: AccountId,
    /// Its path.
    pub path: IamPath,
    /// Its name, unique among the roles of the account.
    pub name: RoleName,
    /// Its unique id.
    pub id: UniqueId,
    /// When it was made.
    pub created: Timestamp,
    /// Who may assume it.
    pub trust: TrustPolicy,
    /// How long a session may last at most.
    pub max_session_duration: MaxSessionDuration,
    /// What its owner says it is for.
    pub description: String,
    /// Its tags.
    pub tags: Tags,
    /// Its policies.
    pub permissions: Permissions,
    /// The policy that bounds what its identity policies can allow.
    pub boundary: Option<PolicyArn>,
}

impl Role {
    /// A new role without any permission.
    #[must_use]
    pub fn new(
        (account, path, name): (AccountId, IamPath, RoleName),
        id: UniqueId,
        created: Timestamp,
        trust: TrustPolicy,
    ) -> Self {
        Self {
            account,
            path,
            name,
            id,
            created,
            trust,
            max_session_duration: MaxSessionDuration::default(),
            description: String::new(),
            tags: Tags::new(),
            permissions: Permissions::default(),
            boundary: None,
        }
    }

    /// Its ARN.
    #[must_use]
    pub fn arn(&self) -> PrincipalArn {
        PrincipalArn::role(&self.account, &self.path.with(&self.name))
    }
}

/// How long a role's sessions may last at most, in seconds: 3,600 to 43,200 (IAM API, `roleMaxSessionDurationType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct MaxSessionDuration(u32);

impl MaxSessionDuration {
    /// In seconds.
    #[must_use]
    pub fn seconds(self) -> u32 {
        self.0
    }
}

impl Default for MaxSessionDuration {
    fn default() -> Self {
        Self(3_600)
    }
}

impl TryFrom<u32> for MaxSessionDuration {
    type Error = ParseError;

    fn try_from(seconds: u32) -> Result<Self, ParseError> {
        if (3_600..=43_200).contains(&seconds) {
            Ok(Self(seconds))
        } else {
            Err(ParseError::new(format!(
                "`{seconds}` is not the longest duration of a session: 3600 to 43200 seconds"
            )))
        }
    }
}

impl From<MaxSessionDuration> for u32 {
    fn from(duration: MaxSessionDuration) -> Self {
        duration.0
    }
}

/// A role's trust policy, bound to the unique ids of the principals that it names.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "StoredBoundPolicy", into = "StoredBoundPolicy")]
pub struct TrustPolicy(BoundPolicy);

impl TrustPolicy {
    /// Takes a trust policy.
    #[must_use]
    pub fn new(policy: BoundPolicy) -> Self {
        Self(policy)
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        self.0.policy()
    }

    /// The policy with the ids that it is bound to.
    #[must_use]
    pub fn bound(&self) -> &BoundPolicy {
        &self.0
    }
}

impl TryFrom<StoredBoundPolicy> for TrustPolicy {
    type Error = ParseError;

    fn try_from(stored: StoredBoundPolicy) -> Result<Self, ParseError> {
        stored.read(PolicyKind::Trust).map(Self)
    }
}

impl From<TrustPolicy> for StoredBoundPolicy {
    fn from(policy: TrustPolicy) -> Self {
        policy.0.into()
    }
}
