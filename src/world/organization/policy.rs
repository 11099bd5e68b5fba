//! A control policy as the world holds it, and the two that AWS makes.
//!
//! Source: "Service control policies", "Resource control policies" (Organizations user guide).

use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};

use crate::{
    model::{ControlPolicyId, ControlPolicyType, ParseError},
    policy::{Policy, PolicyKind},
};

/// A service or resource control policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct ControlPolicy {
    /// Its id.
    pub id: ControlPolicyId,
    /// Its name, unique among those of its type.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// What sort it is.
    pub policy_type: ControlPolicyType,
    /// What it says, parsed.
    pub document: Arc<Policy>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    id: ControlPolicyId,
    name: String,
    description: String,
    policy_type: ControlPolicyType,
    content: String,
}

impl ControlPolicy {
    /// The policy of AWS that is attached to everything when a type comes in force: it lets everything pass.
    #[must_use]
    pub fn full_access(policy_type: ControlPolicyType) -> &'static Arc<Self> {
        match policy_type {
            ControlPolicyType::ServiceControlPolicy => &FULL_AWS_ACCESS,
            ControlPolicyType::ResourceControlPolicy => &RCP_FULL_AWS_ACCESS,
        }
    }

    /// Whether AWS made it: nobody can change it.
    #[must_use]
    pub fn is_aws_managed(&self) -> bool {
        self.id == Self::full_access(self.policy_type).id
    }

    /// The policy language's word for its sort.
    #[must_use]
    pub fn kind(policy_type: ControlPolicyType) -> PolicyKind {
        match policy_type {
            ControlPolicyType::ServiceControlPolicy => PolicyKind::Scp,
            ControlPolicyType::ResourceControlPolicy => PolicyKind::Rcp,
        }
    }
}

static FULL_AWS_ACCESS: LazyLock<Arc<ControlPolicy>> = LazyLock::new(|| {
    aws_managed(
        "p-FullAWSAccess",
        "FullAWSAccess",
        "Allows access to every operation",
        ControlPolicyType::ServiceControlPolicy,
        r#"{
  "Version": "2012-10-17",
  "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]
}"#,
    )
});

static RCP_FULL_AWS_ACCESS: LazyLock<Arc<ControlPolicy>> = LazyLock::new(|| {
    aws_managed(
        "p-RCPFullAWSAccess",
        "RCPFullAWSAccess",
        "Allows access to every resource",
        ControlPolicyType::ResourceControlPolicy,
        r#"{
  "Version": "2012-10-17",
  "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}]
}"#,
    )
});

fn aws_managed(
    id: &str,
    name: &str,
    description: &str,
    policy_type: ControlPolicyType,
    content: &str,
) -> Arc<ControlPolicy> {
    let (Ok(id), Ok(document)) = (id.parse(), Policy::parse(content, ControlPolicy::kind(policy_type)))
    else {
        unreachable!("these texts are constants, and a test reads them")
    };
    let document = Arc::new(document);
    Arc::new(ControlPolicy { id, name: name.into(), description: description.into(), policy_type, document })
}

impl TryFrom<Stored> for ControlPolicy {
    type Error = ParseError;

    fn try_from(stored: Stored) -> Result<Self, ParseError> {
        let Stored { id, name, description, policy_type, content } = stored;
        let document = Policy::parse(&content, Self::kind(policy_type))
            .map_err(|error| ParseError::new(error.to_string()))?;
        Ok(Self { id, name, description, policy_type, document: Arc::new(document) })
    }
}

impl From<ControlPolicy> for Stored {
    fn from(policy: ControlPolicy) -> Self {
        let ControlPolicy { id, name, description, policy_type, document } = policy;
        Self { id, name, description, policy_type, content: document.text().to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_aws_makes_is_read_and_stands_for_itself() {
        for policy_type in ControlPolicyType::ALL {
            let full = ControlPolicy::full_access(policy_type);
            assert!(full.is_aws_managed() && full.policy_type == policy_type);
            let text = serde_json::to_string(&**full).unwrap();
            assert_eq!(serde_json::from_str::<ControlPolicy>(&text).unwrap(), **full);
        }
    }
}
