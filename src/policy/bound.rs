//! A resource's policy, bound to the principals that it names.
//!
//! When a policy is written, AWS puts the unique id of each user and role in place of its ARN ("AWS JSON policy elements:
//! Principal", IAM user guide): one who is deleted and made again under the same name is somebody else, and what named
//! the old one does not revive. So the ids are kept beside the text, and they are what counts.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Policy, PolicyKind};
use crate::model::{ParseError, PrincipalArn};

/// A policy with the unique id of each user, role and session that it names.
#[derive(Debug, Clone)]
pub struct BoundPolicy {
    policy: Arc<Policy>,
    principals: BTreeMap<PrincipalArn, String>,
}

impl BoundPolicy {
    /// Binds a parsed policy: `principals` holds the unique id of each principal that it names.
    #[must_use]
    pub fn new(mut policy: Policy, principals: BTreeMap<PrincipalArn, String>) -> Self {
        policy.resolve_principals(|arn| principals.get(arn).cloned());
        Self { policy: Arc::new(policy), principals }
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Its text, as it was put.
    #[must_use]
    pub fn text(&self) -> &str {
        self.policy.text()
    }

    /// Its text as AWS shows it now. `now` answers what stands in place of a principal's ARN — its new ARN, or the unique
    /// id of one that is gone — and `None` when the ARN still names the one with that id.
    #[must_use]
    pub fn shown(&self, mut now: impl FnMut(&PrincipalArn, &str) -> Option<String>) -> String {
        let gone: BTreeMap<&str, String> =
            self.principals.iter().filter_map(|(arn, id)| Some((arn.as_str(), now(arn, id)?))).collect();
        if gone.is_empty() {
            return self.text().into();
        }
        let Ok(mut document) = serde_json::from_str::<Value>(self.text()) else { return self.text().into() };
        match document.get_mut("Statement") {
            Some(Value::Array(statements)) => statements.iter_mut().for_each(|one| replace(one, &gone)),
            Some(statement) => replace(statement, &gone),
            None => {}
        }
        serde_json::to_string_pretty(&document).unwrap_or_else(|_| self.text().into())
    }
}

fn replace(statement: &mut Value, gone: &BTreeMap<&str, String>) {
    for element in ["Principal", "NotPrincipal"] {
        let Some(Value::Object(kinds)) = statement.get_mut(element) else { continue };
        let named = kinds.values_mut().flat_map(|named| match named {
            Value::Array(list) => list.iter_mut().collect::<Vec<_>>(),
            one => vec![one],
        });
        for principal in named {
            if let Some(id) = principal.as_str().and_then(|arn| gone.get(arn)) {
                *principal = Value::from(id.as_str());
            }
        }
    }
}

/// A bound policy as it stands in storage.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StoredBoundPolicy {
    text: String,
    principals: BTreeMap<PrincipalArn, String>,
}

impl StoredBoundPolicy {
    /// Parses what was stored, as a policy of this kind.
    ///
    /// # Errors
    ///
    /// When the text is not a policy of this kind.
    pub fn read(self, kind: PolicyKind) -> Result<BoundPolicy, ParseError> {
        let policy = Policy::parse(&self.text, kind).map_err(|error| ParseError::new(error.to_string()))?;
        Ok(BoundPolicy::new(policy, self.principals))
    }
}

impl From<BoundPolicy> for StoredBoundPolicy {
    fn from(bound: BoundPolicy) -> Self {
        Self { text: bound.text().to_owned(), principals: bound.principals }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_that_is_gone_is_shown_by_its_id() {
        let text = r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal":
            {"AWS": ["arn:aws:iam::111122223333:user/alice", "arn:aws:iam::111122223333:user/bob"]}}}"#;
        let (alice, bob): (PrincipalArn, PrincipalArn) = (
            "arn:aws:iam::111122223333:user/alice".parse().unwrap(),
            "arn:aws:iam::111122223333:user/bob".parse().unwrap(),
        );
        let ids = BTreeMap::from([(alice.clone(), "AIDAALICE".into()), (bob, "AIDABOB".into())]);
        let bound = BoundPolicy::new(Policy::parse(text, PolicyKind::Trust).unwrap(), ids);
        assert_eq!(bound.shown(|_, _| None), text);
        let shown = bound.shown(|arn, id| (*arn == alice).then(|| id.to_owned()));
        assert!(shown.contains("\"AIDAALICE\"") && shown.contains("user/bob"), "{shown}");
        assert!(!shown.contains("user/alice"), "{shown}");
        let again = StoredBoundPolicy::from(bound).read(PolicyKind::Trust).unwrap();
        assert_eq!(again.text(), text);
        assert!(again.shown(|_, id| Some(id.to_owned())).contains("AIDABOB"));
    }
}
