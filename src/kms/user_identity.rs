//! Who called, as the audit record says it (CloudTrail's `userIdentity` element).

use super::{Caller, Principal, authentication::Authenticated};
use crate::{
    audit::{Attributes, IdentityType, SessionContext, SessionIssuer, UserIdentity},
    iam::Identity,
    model::{PrincipalArn, PrincipalKind, Timestamp},
    world::World,
};

/// Who acts without a call, as a record says it, by what the world knows of them.
pub(crate) fn identity_in(world: &World, caller: &Caller, now: Timestamp) -> UserIdentity {
    user_identity(caller, Authenticated::look_up(world, caller, now).ok().as_ref())
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
        Principal::WebIdentity(account) => {
            return UserIdentity {
                identity_type: Some(IdentityType::WebIdentityUser),
                account_id: Some(account.clone()),
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
        access_key_id: caller.access_key().map(ToString::to_string),
        user_name: (arn.kind() == PrincipalKind::User).then(|| arn.name().to_owned()),
        identity_provider: None,
        session_context: found.and_then(session_context),
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

fn session_context(found: &Authenticated) -> Option<SessionContext> {
    let temporary = found.temporary()?;
    let session = temporary.session.as_deref();
    let of_role = found.facts().arn().is_some_and(|arn| arn.kind() != PrincipalKind::User);
    Some(SessionContext {
        session_issuer: found.identity().filter(|_| of_role).map(issuer),
        attributes: Some(Attributes {
            creation_date: temporary.issued,
            mfa_authenticated: session.is_some_and(|session| session.mfa).to_string(),
        }),
        source_identity: session.and_then(|session| Some(session.source_identity.as_ref()?.to_string())),
        ..SessionContext::default()
    })
}

fn issuer(identity: &Identity) -> SessionIssuer {
    let issuer_type = match identity {
        Identity::User(_) => "IAMUser",
        Identity::Role(_) => "Role",
    };
    SessionIssuer {
        issuer_type: issuer_type.into(),
        principal_id: identity.id().to_string(),
        arn: identity.arn(),
        account_id: identity.account().clone(),
        user_name: identity.name().to_string(),
    }
}
