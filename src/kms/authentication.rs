//! The door's first question: does the caller exist, and what is attached to it?

use std::sync::Arc;

use super::{CallError, Caller, Principal};
use crate::{
    audit::{IdentityType, SessionContext, SessionIssuer, UserIdentity},
    iam::{Identity, Permissions, PolicyArn},
    model::{ErrorCode, PrincipalArn, PrincipalKind},
    policy::{NamedPolicy, Policy, PrincipalFacts},
    world::World,
};

/// A caller that exists.
pub(crate) struct Authenticated {
    facts: PrincipalFacts,
    identity: Option<Identity>,
    policies: Vec<AppliedPolicy>,
    boundary: Option<AppliedPolicy>,
}

/// A policy that applies to the caller.
pub(super) struct AppliedPolicy {
    /// The name of an inline policy, or the ARN of a managed one.
    name: String,
    policy: Arc<Policy>,
}

impl<'a> From<&'a AppliedPolicy> for NamedPolicy<'a> {
    fn from(applied: &'a AppliedPolicy) -> Self {
        NamedPolicy { name: &applied.name, policy: &applied.policy }
    }
}

impl Authenticated {
    /// Looks the caller up.
    pub(super) fn look_up(world: &World, caller: &Caller) -> Result<Self, CallError> {
        let arn = match caller.principal() {
            Principal::Service(service) => {
                return Ok(Self::without_policies(PrincipalFacts::service(service.principal())));
            }
            Principal::Arn(arn) => arn,
        };
        if arn.kind() == PrincipalKind::Root && world.has_account(arn.account()) {
            return Ok(Self::without_policies(PrincipalFacts::new(arn.clone())));
        }
        let identity = world.identity(arn).ok_or_else(|| {
            CallError::new(
                ErrorCode::InvalidClientTokenId,
                "The security token included in the request is invalid.",
            )
            .explained(format!("there is no principal {arn} in this keystore"))
        })?;
        let facts = match arn.kind() {
            PrincipalKind::AssumedRole => PrincipalFacts::session(arn.clone(), identity.arn()),
            _ => PrincipalFacts::new(arn.clone()),
        };
        let facts = facts.with_unique_id(identity.id().as_str());
        let boundary = identity.boundary().map(|arn| managed(world, arn)).transpose()?;
        Ok(Self { facts, policies: policies_of(world, &identity)?, boundary, identity: Some(identity) })
    }

    /// A root user or a service: it has no policies and needs none.
    fn without_policies(facts: PrincipalFacts) -> Self {
        Self { facts, identity: None, policies: Vec::new(), boundary: None }
    }

    pub(super) fn facts(&self) -> &PrincipalFacts {
        &self.facts
    }

    pub(super) fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// The caller's identity policies: inline, attached and by group.
    pub(super) fn policies(&self) -> &[AppliedPolicy] {
        &self.policies
    }

    /// The caller's permissions boundary.
    pub(super) fn boundary(&self) -> Option<&AppliedPolicy> {
        self.boundary.as_ref()
    }
}

/// The policies of a user or role and of the user's groups.
fn policies_of(world: &World, identity: &Identity) -> Result<Vec<AppliedPolicy>, CallError> {
    let mut policies = Vec::new();
    add(world, identity.permissions(), None, &mut policies)?;
    if let Identity::User(user) = identity {
        for name in &user.groups {
            let group = world.identities().group(&user.account, name).ok_or_else(|| {
                CallError::internal(format!("{} belongs to the group {name}, which is not there", user.arn()))
            })?;
            add(world, &group.permissions, Some(name.as_str()), &mut policies)?;
        }
    }
    Ok(policies)
}

fn add(
    world: &World,
    permissions: &Permissions,
    group: Option<&str>,
    policies: &mut Vec<AppliedPolicy>,
) -> Result<(), CallError> {
    for (name, inline) in &permissions.inline {
        let name = group.map_or_else(|| name.to_string(), |group| format!("{name} of the group {group}"));
        policies.push(AppliedPolicy { name, policy: Arc::clone(inline.policy()) });
    }
    for arn in &permissions.attached {
        policies.push(managed(world, arn)?);
    }
    Ok(())
}

/// A managed policy that hangs on somebody. It cannot be deleted meanwhile; were it not there, a Deny in it would be
/// lost, so nothing is decided without it.
fn managed(world: &World, arn: &PolicyArn) -> Result<AppliedPolicy, CallError> {
    let policy = world
        .identities()
        .policy(arn)
        .ok_or_else(|| CallError::internal(format!("the policy {arn} is attached and not there")))?;
    let document = &policy.default_version().document;
    Ok(AppliedPolicy { name: arn.to_string(), policy: Arc::clone(document.policy()) })
}

/// Who called, as the record says it; with what the look-up found, when it found somebody.
pub(super) fn user_identity(caller: &Caller, found: Option<&Authenticated>) -> UserIdentity {
    let arn = match caller.principal() {
        Principal::Service(service) => {
            return UserIdentity {
                identity_type: Some(IdentityType::AwsService),
                invoked_by: Some(service.principal().into()),
                ..UserIdentity::default()
            };
        }
        Principal::Arn(arn) => arn,
    };
    let identity = found.and_then(Authenticated::identity);
    UserIdentity {
        identity_type: Some(if found.is_some() { identity_type(arn) } else { IdentityType::Unknown }),
        principal_id: principal_id(arn, identity),
        arn: Some(arn.clone()),
        account_id: Some(arn.account().clone()),
        access_key_id: caller.access_key_id().map(str::to_owned),
        user_name: (arn.kind() == PrincipalKind::User).then(|| arn.name().to_owned()),
        session_context: identity
            .filter(|_| arn.kind() == PrincipalKind::AssumedRole)
            .and_then(session_context),
        invoked_by: caller.via().map(|service| service.principal().into()),
    }
}

fn identity_type(arn: &PrincipalArn) -> IdentityType {
    match arn.kind() {
        PrincipalKind::Root => IdentityType::Root,
        PrincipalKind::User => IdentityType::IamUser,
        PrincipalKind::AssumedRole | PrincipalKind::Role => IdentityType::AssumedRole,
        PrincipalKind::FederatedUser => IdentityType::FederatedUser,
    }
}

fn principal_id(arn: &PrincipalArn, identity: Option<&Identity>) -> Option<String> {
    match (arn.kind(), identity) {
        (PrincipalKind::Root, _) => Some(arn.account().to_string()),
        (PrincipalKind::AssumedRole, Some(role)) => Some(format!("{}:{}", role.id(), arn.name())),
        (_, identity) => identity.map(|identity| identity.id().to_string()),
    }
}

fn session_context(role: &Identity) -> Option<SessionContext> {
    let issuer = SessionIssuer {
        issuer_type: "Role".into(),
        principal_id: role.id().to_string(),
        arn: role.arn(),
        account_id: role.account().clone(),
        user_name: role.name().to_string(),
    };
    Some(SessionContext { session_issuer: Some(issuer), ..SessionContext::default() })
}
