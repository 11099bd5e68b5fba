//! The answer: allowed, denied by a statement, or denied because nothing allows it; and which check decided.
//!
//! Source: "Troubleshoot access denied error messages" (IAM user guide) for the words, and the check types of AWS's
//! authorisation details for the names. A decision is made by [`decide`](super::decide) alone and remembers
//! what it was about, so that no permission can be carried over to another action or another key.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::authorized::{Action, Authorized};

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DecisionEffect {
    /// Something allows it and nothing denies it.
    Allowed,
    /// A Deny statement matches.
    ExplicitDeny,
    /// Nothing (or not everything that must) allows it.
    ImplicitDeny,
}

/// The layers that a request is checked against, in the order in which they are named in denials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CheckType {
    /// Service control policies.
    ServiceControlPolicy,
    /// Resource control policies.
    ResourceControlPolicy,
    /// The VPC endpoint's policy.
    VpcEndpoint,
    /// The key policy, bucket policy or trust policy.
    Resource,
    /// The caller's identity policies.
    Principal,
    /// The caller's permissions boundary.
    PermissionsBoundary,
    /// The session's policies.
    Session,
    /// The grants on the key.
    Grant,
}

impl CheckType {
    /// The name as it stands in traces: `RESOURCE`, `SERVICE_CONTROL_POLICY` …
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ServiceControlPolicy => "SERVICE_CONTROL_POLICY",
            Self::ResourceControlPolicy => "RESOURCE_CONTROL_POLICY",
            Self::VpcEndpoint => "VPC_ENDPOINT",
            Self::Resource => "RESOURCE",
            Self::Principal => "PRINCIPAL",
            Self::PermissionsBoundary => "PERMISSIONS_BOUNDARY",
            Self::Session => "SESSION",
            Self::Grant => "GRANT",
        }
    }

    /// The layer's name in AWS's denials.
    #[must_use]
    pub fn in_words(self) -> &'static str {
        match self {
            Self::ServiceControlPolicy => "service control policy",
            Self::ResourceControlPolicy => "resource control policy",
            Self::VpcEndpoint => "VPC endpoint policy",
            Self::Resource | Self::Grant => "resource-based policy",
            Self::Principal => "identity-based policy",
            Self::PermissionsBoundary => "permissions boundary",
            Self::Session => "session policy",
        }
    }
}

impl fmt::Display for CheckType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// Where in its layer a statement stands; all count from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StatementRef {
    /// The organisation's level, 0 in layers without levels.
    pub level: usize,
    /// The policy within the layer.
    pub policy: usize,
    /// The statement within the policy.
    pub statement: usize,
}

/// What within the deciding check was decisive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Decisive {
    /// This statement.
    Statement(StatementRef),
    /// The grant at this place of the request's slice.
    Grant(usize),
    /// Nothing that could be pointed at: an allow is missing, or the root user needs none.
    Nothing,
}

/// A decision on one (action, resource) pair.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Decision {
    effect: DecisionEffect,
    check: CheckType,
    decisive: Decisive,
    principal: String,
    action: String,
    resource: String,
}

impl Decision {
    /// INVARIANT: only `decide` calls this; an [`Authorized`] is worth what this call is worth.
    pub(super) fn new(verdict: Verdict, principal: &str, action: &str, resource: &str) -> Self {
        let Verdict { effect, check, decisive } = verdict;
        let (principal, action, resource) = (principal.into(), action.into(), resource.into());
        Self { effect, check, decisive, principal, action, resource }
    }

    /// What was decided.
    #[must_use]
    pub fn effect(&self) -> DecisionEffect {
        self.effect
    }

    /// Whether the call may go on.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.effect == DecisionEffect::Allowed
    }

    /// The check that decided: the one that denied, or the one whose Allow was enough.
    #[must_use]
    pub fn deciding(&self) -> CheckType {
        self.check
    }

    /// The statement or the grant that decided.
    #[must_use]
    pub fn decisive(&self) -> Decisive {
        self.decisive
    }

    /// Who asked.
    #[must_use]
    pub fn principal(&self) -> &str {
        &self.principal
    }

    /// What was asked for.
    #[must_use]
    pub fn action(&self) -> &str {
        &self.action
    }

    /// On what: an ARN, or `*`.
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// The proof that `A` was allowed on this decision's resource.
    ///
    /// # Errors
    ///
    /// When the decision is a denial, or was about another action than `A`.
    pub fn authorize<A: Action>(&self) -> Result<Authorized<A>, Denied> {
        if self.is_allowed() && self.action.eq_ignore_ascii_case(A::NAME) {
            Ok(Authorized::new(self.resource.clone()))
        } else {
            Err(Denied { message: self.message_for(A::NAME), effect: self.effect, check: self.check })
        }
    }

    /// The denial in AWS's words; none when the call is allowed.
    #[must_use]
    pub fn denial_message(&self) -> Option<String> {
        (!self.is_allowed()).then(|| self.message_for(&self.action))
    }

    fn message_for(&self, action: &str) -> String {
        let (principal, resource, layer) = (&self.principal, &self.resource, self.check.in_words());
        let reason = match self.effect {
            DecisionEffect::ExplicitDeny => {
                let article = if layer.starts_with('i') { "an" } else { "a" };
                format!("with an explicit deny in {article} {layer}")
            }
            // `Allowed` gets here only when a proof of another action is asked for, which nothing allowed.
            DecisionEffect::ImplicitDeny | DecisionEffect::Allowed => {
                format!("because no {layer} allows the {action} action")
            }
        };
        format!("User: {principal} is not authorized to perform: {action} on resource: {resource} {reason}")
    }
}

/// What the layers come to, before it is bound to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) effect: DecisionEffect,
    pub(super) check: CheckType,
    pub(super) decisive: Decisive,
}

/// A denial, in AWS's words.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct Denied {
    message: String,
    effect: DecisionEffect,
    check: CheckType,
}

impl Denied {
    /// What was decided.
    #[must_use]
    pub fn effect(&self) -> DecisionEffect {
        self.effect
    }

    /// The check that denied.
    #[must_use]
    pub fn check(&self) -> CheckType {
        self.check
    }
}
