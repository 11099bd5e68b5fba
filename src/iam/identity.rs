//! A user or a role, with the policies attached to it.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{IdentityName, PolicyName};
use crate::{
    model::{AccountId, ParseError, PrincipalArn, PrincipalKind, Tags, Timestamp},
    policy::{Policy, PolicyKind},
};

/// Whether an identity is a user or a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IdentityKind {
    /// An IAM user.
    User,
    /// An IAM role.
    Role,
}

impl IdentityKind {
    /// `user` or `role`, as in ARNs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Role => "role",
        }
    }
}

impl IdentityKind {
    /// The kind of an identity's inline policies, which decides how long they may be.
    #[must_use]
    pub fn inline_policy(self) -> PolicyKind {
        match self {
            Self::User => PolicyKind::INLINE_USER,
            Self::Role => PolicyKind::INLINE_ROLE,
        }
    }
}

/// The unique id of a user (`AIDA…`) or a role (`AROA…`). A principal that is deleted and made again gets another one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PrincipalId(String);

impl PrincipalId {
    /// A new id made of these random bytes: the kind's prefix and 17 characters of AWS's alphabet.
    #[must_use]
    pub fn from_random(kind: IdentityKind, bytes: [u8; 17]) -> Self {
        const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let prefix = match kind {
            IdentityKind::User => "AIDA",
            IdentityKind::Role => "AROA",
        };
        let letters = bytes.iter().filter_map(|byte| ALPHABET.get(usize::from(byte % 32)));
        Self(prefix.chars().chain(letters.map(|letter| char::from(*letter))).collect())
    }

    /// The id's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PrincipalId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// An inline policy of an identity.
#[derive(Debug, Clone)]
pub struct AttachedPolicy {
    /// Its name.
    pub name: PolicyName,
    /// What it says.
    pub policy: Arc<Policy>,
}

/// A user or a role.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "StoredIdentity", into = "StoredIdentity")]
pub struct Identity {
    kind: IdentityKind,
    account: AccountId,
    name: IdentityName,
    arn: PrincipalArn,
    /// The unique id.
    pub id: PrincipalId,
    /// When it was made.
    pub created: Timestamp,
    /// Its tags.
    pub tags: Tags,
    policies: Vec<AttachedPolicy>,
}

impl Identity {
    /// A new identity without any permission.
    ///
    /// # Errors
    ///
    /// When account and name do not make an ARN; parsed names always do.
    pub fn new(
        kind: IdentityKind,
        account: AccountId,
        name: IdentityName,
        id: PrincipalId,
        created: Timestamp,
    ) -> Result<Self, ParseError> {
        let arn = format!("arn:aws:iam::{account}:{}/{name}", kind.as_str()).parse()?;
        Ok(Self { kind, account, name, arn, id, created, tags: Tags::new(), policies: Vec::new() })
    }

    /// Whether it is a user or a role.
    #[must_use]
    pub fn kind(&self) -> IdentityKind {
        self.kind
    }

    /// The account it belongs to.
    #[must_use]
    pub fn account(&self) -> &AccountId {
        &self.account
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &IdentityName {
        &self.name
    }

    /// Its ARN.
    #[must_use]
    pub fn arn(&self) -> &PrincipalArn {
        &self.arn
    }

    /// Its inline policies, in the order of their names.
    #[must_use]
    pub fn policies(&self) -> &[AttachedPolicy] {
        &self.policies
    }

    /// Adds an inline policy, in place of one with the same name.
    pub fn put_policy(&mut self, name: PolicyName, policy: Arc<Policy>) {
        self.policies.retain(|attached| attached.name != name);
        self.policies.push(AttachedPolicy { name, policy });
        self.policies.sort_by(|one, other| one.name.cmp(&other.name));
    }

    /// Whether `arn` is this identity, or a session of this role.
    #[must_use]
    pub fn answers_to(&self, arn: &PrincipalArn) -> bool {
        *arn == self.arn
            || (arn.kind() == PrincipalKind::AssumedRole
                && self.kind == IdentityKind::Role
                && *arn.account() == self.account
                && arn.role_name() == Some(self.name.as_str()))
    }
}

/// An identity as it stands in storage: policies by their text.
#[derive(Serialize, Deserialize)]
struct StoredIdentity {
    kind: IdentityKind,
    account: AccountId,
    name: IdentityName,
    id: PrincipalId,
    created: Timestamp,
    #[serde(default)]
    tags: Tags,
    policies: BTreeMap<PolicyName, String>,
}

impl TryFrom<StoredIdentity> for Identity {
    type Error = ParseError;

    fn try_from(stored: StoredIdentity) -> Result<Self, ParseError> {
        let mut identity = Self::new(stored.kind, stored.account, stored.name, stored.id, stored.created)?;
        identity.tags = stored.tags;
        for (name, text) in stored.policies {
            let policy = Policy::parse(&text, stored.kind.inline_policy());
            let policy = policy.map_err(|error| ParseError::new(error.to_string()))?;
            identity.put_policy(name, Arc::new(policy));
        }
        Ok(identity)
    }
}

impl From<Identity> for StoredIdentity {
    fn from(identity: Identity) -> Self {
        let texts = identity.policies.iter().map(|p| (p.name.clone(), p.policy.text().to_owned()));
        Self {
            policies: texts.collect(),
            kind: identity.kind,
            account: identity.account,
            name: identity.name,
            id: identity.id,
            created: identity.created,
            tags: identity.tags,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role() -> Identity {
        let id = PrincipalId::from_random(IdentityKind::Role, [3; 17]);
        let account = "111122223333".parse().unwrap();
        Identity::new(IdentityKind::Role, account, "ops".parse().unwrap(), id, Timestamp::default()).unwrap()
    }

    #[test]
    fn ids_look_like_those_of_aws() {
        let id = PrincipalId::from_random(IdentityKind::User, [255; 17]);
        assert_eq!(id.as_str(), "AIDA77777777777777777");
    }

    #[test]
    fn a_role_answers_to_its_sessions_and_to_no_other_roles() {
        let role = role();
        let session = |text: &str| text.parse::<PrincipalArn>().unwrap();
        assert!(role.answers_to(&session("arn:aws:sts::111122223333:assumed-role/ops/me")));
        assert!(role.answers_to(&session("arn:aws:iam::111122223333:role/ops")));
        assert!(!role.answers_to(&session("arn:aws:sts::111122223333:assumed-role/other/me")));
        assert!(!role.answers_to(&session("arn:aws:sts::444455556666:assumed-role/ops/me")));
        assert!(!role.answers_to(&session("arn:aws:iam::111122223333:user/ops")));
    }

    #[test]
    fn an_identity_survives_storage_with_its_policies() {
        let mut role = role();
        let text =
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"*"}]}"#;
        role.put_policy(
            "p".parse().unwrap(),
            Arc::new(Policy::parse(text, PolicyKind::INLINE_ROLE).unwrap()),
        );
        let stored = serde_json::to_string(&role).unwrap();
        let back: Identity = serde_json::from_str(&stored).unwrap();
        assert_eq!(back.arn(), role.arn());
        assert_eq!(back.policies()[0].policy.text(), text);
    }
}
