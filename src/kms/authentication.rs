//! The door's first question: does the caller exist, and what is attached to it?

use std::sync::Arc;

use super::{CallError, Caller, Principal};
use crate::{
    audit::{IdentityType, SessionContext, SessionIssuer, UserIdentity},
    iam::{AttachedPolicy, Identity},
    model::{ErrorCode, PrincipalArn, PrincipalKind},
    policy::PrincipalFacts,
    world::World,
};

/// A caller that exists.
pub(crate) struct Authenticated {
    facts: PrincipalFacts,
    identity: Option<Arc<Identity>>,
}

impl Authenticated {
    /// Looks the caller up.
    pub(super) fn look_up(world: &World, caller: &Caller) -> Result<Self, CallError> {
        let arn = match caller.principal() {
            Principal::Service(service) => {
                return Ok(Self { facts: PrincipalFacts::service(service.principal()), identity: None });
            }
            Principal::Arn(arn) => arn,
        };
        if arn.kind() == PrincipalKind::Root && world.has_account(arn.account()) {
            return Ok(Self { facts: PrincipalFacts::new(arn.clone()), identity: None });
        }
        let identity = world.identity(arn).ok_or_else(|| {
            CallError::new(
                ErrorCode::InvalidClientTokenId,
                "The security token included in the request is invalid.",
            )
            .explained(format!("there is no principal {arn} in this keystore"))
        })?;
        let facts = match arn.kind() {
            PrincipalKind::AssumedRole => PrincipalFacts::session(arn.clone(), identity.arn().clone()),
            _ => PrincipalFacts::new(arn.clone()),
        };
        let facts = facts.with_unique_id(identity.id.as_str());
        Ok(Self { facts, identity: Some(Arc::clone(identity)) })
    }

    pub(super) fn facts(&self) -> &PrincipalFacts {
        &self.facts
    }

    pub(super) fn identity(&self) -> Option<&Identity> {
        self.identity.as_deref()
    }

    /// The policies attached to the caller; the root user has none and needs none.
    pub(super) fn policies(&self) -> &[AttachedPolicy] {
        self.identity.as_ref().map_or(&[], |identity| identity.policies())
    }
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
        (PrincipalKind::AssumedRole, Some(role)) => Some(format!("{}:{}", role.id, arn.name())),
        (_, identity) => identity.map(|identity| identity.id.to_string()),
    }
}

fn session_context(role: &Identity) -> Option<SessionContext> {
    let issuer = SessionIssuer {
        issuer_type: "Role".into(),
        principal_id: role.id.to_string(),
        arn: role.arn().clone(),
        account_id: role.account().clone(),
        user_name: role.name().to_string(),
    };
    Some(SessionContext { session_issuer: Some(issuer), ..SessionContext::default() })
}
