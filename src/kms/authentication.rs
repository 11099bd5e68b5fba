//! The door's first question: does the caller exist, and what is attached to it?

use std::sync::Arc;

use super::{CallError, Caller, Principal};
use crate::{
    iam::{AccessKeyId, AccessKeyStatus, Identity, Permissions, PolicyArn, Session, SessionPolicies},
    model::{ErrorCode, PrincipalArn, PrincipalKind, Timestamp, VpcEndpointId},
    policy::{NamedPolicy, Policy, PrincipalFacts},
    world::{VpcEndpoint, World},
};

/// A caller that exists.
pub(crate) struct Authenticated {
    facts: PrincipalFacts,
    identity: Option<Identity>,
    policies: Vec<AppliedPolicy>,
    boundary: Option<AppliedPolicy>,
    vpc_endpoint: Option<Arc<VpcEndpoint>>,
    temporary: Option<Temporary>,
}

/// What temporary credentials add to whoever holds them.
pub(super) struct Temporary {
    /// When they were issued.
    pub(super) issued: Timestamp,
    /// The session; none when a role was chosen directly, without AssumeRole.
    pub(super) session: Option<Arc<Session>>,
    /// The policies handed in for the session: none when nothing was, and then the layer is not there.
    policies: Vec<AppliedPolicy>,
}

/// A policy that applies to the caller.
pub(super) struct AppliedPolicy {
    /// The name of an inline policy, or the ARN of a managed one.
    name: String,
    policy: Arc<Policy>,
}

impl AppliedPolicy {
    pub(super) fn new(name: String, policy: Arc<Policy>) -> Self {
        Self { name, policy }
    }
}

impl<'a> From<&'a AppliedPolicy> for NamedPolicy<'a> {
    fn from(applied: &'a AppliedPolicy) -> Self {
        NamedPolicy { name: &applied.name, policy: &applied.policy }
    }
}

impl Authenticated {
    /// Looks the caller up, and the way by which it comes.
    pub(super) fn look_up(world: &World, caller: &Caller, now: Timestamp) -> Result<Self, CallError> {
        let vpc_endpoint = caller.vpc_endpoint().map(|id| endpoint(world, id)).transpose()?;
        Ok(Self { vpc_endpoint, ..Self::look_up_principal(world, caller, now)? })
    }

    fn look_up_principal(world: &World, caller: &Caller, now: Timestamp) -> Result<Self, CallError> {
        let arn = match caller.principal() {
            Principal::Service(service) => {
                return Ok(Self::without_policies(PrincipalFacts::service(service.principal())));
            }
            // Who that is stands in the token, which AssumeRoleWithWebIdentity looks at; it can call nothing else.
            Principal::WebIdentity(_) => {
                return Ok(Self::without_policies(PrincipalFacts::federated("an identity provider")));
            }
            Principal::Arn(arn) => arn,
        };
        match caller.access_key() {
            Some(id) if id.is_temporary() => Self::in_session(world, live_session(world, id, arn, now)?),
            Some(id) => {
                check_access_key(world, id, arn)?;
                Self::by_name(world, arn, now)
            }
            None => Self::by_name(world, arn, now),
        }
    }

    /// A root user, a user, or a role that is chosen directly.
    fn by_name(world: &World, arn: &PrincipalArn, now: Timestamp) -> Result<Self, CallError> {
        if arn.kind() == PrincipalKind::Root && world.has_account(arn.account()) {
            return Ok(Self::without_policies(PrincipalFacts::new(arn.clone())));
        }
        let unknown = || nobody(format!("there is no principal {arn} in this keystore"));
        let identity = world.identity(arn).ok_or_else(unknown)?;
        let directly = Temporary { issued: now, session: None, policies: Vec::new() };
        let temporary = (arn.kind() == PrincipalKind::AssumedRole).then_some(directly);
        Self::of_identity(world, arn, identity, temporary)
    }

    /// The holder of a session's credentials.
    fn in_session(world: &World, session: Arc<Session>) -> Result<Self, CallError> {
        let arn = session.principal.clone();
        let policies = session_policies(world, session.policies.as_ref())?;
        let temporary = Temporary { issued: session.issued, session: Some(Arc::clone(&session)), policies };
        let Some(issuer) = &session.issuer else {
            let facts = match arn.kind() {
                PrincipalKind::FederatedUser => {
                    PrincipalFacts::session(arn.clone(), PrincipalArn::root(arn.account()))
                }
                _ => PrincipalFacts::new(arn),
            };
            return Ok(Self { temporary: Some(temporary), ..Self::without_policies(facts) });
        };
        let identity = world
            .identity(&issuer.arn)
            .filter(|identity| *identity.id() == issuer.id)
            .ok_or_else(|| nobody(format!("{} is gone, and its sessions with it", issuer.arn)))?;
        Self::of_identity(world, &arn, identity, Some(temporary))
    }

    fn of_identity(
        world: &World,
        arn: &PrincipalArn,
        identity: Identity,
        temporary: Option<Temporary>,
    ) -> Result<Self, CallError> {
        let facts = match arn.kind() {
            PrincipalKind::AssumedRole | PrincipalKind::FederatedUser => {
                PrincipalFacts::session(arn.clone(), identity.arn())
            }
            _ => PrincipalFacts::new(arn.clone()),
        };
        let facts = facts.with_unique_id(identity.id().as_str());
        let boundary = identity.boundary().map(|arn| managed(world, arn)).transpose()?;
        let policies = policies_of(world, &identity)?;
        Ok(Self { facts, policies, boundary, identity: Some(identity), vpc_endpoint: None, temporary })
    }

    /// A root user or a service: it has no policies and needs none.
    fn without_policies(facts: PrincipalFacts) -> Self {
        let policies = Vec::new();
        Self { facts, identity: None, policies, boundary: None, vpc_endpoint: None, temporary: None }
    }

    /// Fails when temporary credentials of the caller's kind cannot call the operation at all, whatever policies say:
    /// those of GetFederationToken and GetSessionToken reach little of STS, and IAM not at all or with MFA alone ("Compare
    /// AWS STS credentials", IAM user guide).
    pub(super) fn check_reach(&self, event_source: &str, operation: &str) -> Result<(), CallError> {
        let Some(session) = self.session() else { return Ok(()) };
        let (maker, of_sts, all_of_iam) = match session.principal.kind() {
            PrincipalKind::FederatedUser => ("GetFederationToken", &["GetCallerIdentity"][..], false),
            PrincipalKind::User | PrincipalKind::Root => {
                ("GetSessionToken", &["GetCallerIdentity", "AssumeRole"][..], session.mfa)
            }
            _ => return Ok(()),
        };
        match event_source {
            "iam.amazonaws.com" if !all_of_iam => {
                let unless =
                    if maker == "GetSessionToken" { " that were made without an MFA code" } else { "" };
                Err(nobody(format!("credentials of {maker}{unless} cannot call IAM")))
            }
            "sts.amazonaws.com" if !of_sts.contains(&operation) => {
                let message = format!("Cannot call {operation} with session credentials");
                let why = format!("of STS, credentials of {maker} can call {} alone", of_sts.join(" and "));
                Err(CallError::new(ErrorCode::AccessDenied, message).explained(why))
            }
            _ => Ok(()),
        }
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

    /// The VPC endpoint that the caller came through.
    pub(super) fn vpc_endpoint(&self) -> Option<&VpcEndpoint> {
        self.vpc_endpoint.as_deref()
    }

    /// What the caller's temporary credentials say, if it came with such.
    pub(super) fn temporary(&self) -> Option<&Temporary> {
        self.temporary.as_ref()
    }

    /// The session whose credentials the caller came with.
    pub(super) fn session(&self) -> Option<&Session> {
        self.temporary.as_ref()?.session.as_deref()
    }

    /// The policies handed in for the caller's session.
    pub(super) fn session_policies(&self) -> &[AppliedPolicy] {
        self.temporary.as_ref().map_or(&[], |temporary| &temporary.policies)
    }

    /// The caller's tags: those of the user or role, and over them the session's.
    pub(super) fn tags(&self) -> impl Iterator<Item = (&str, &str)> {
        let of_session = || self.session().into_iter().flat_map(|session| session.tags.iter());
        let of_identity = self.identity().into_iter().flat_map(|identity| identity.tags().iter());
        let is_covered = move |key: &str| of_session().any(|(newer, _)| newer.eq_ignore_ascii_case(key));
        of_identity.filter(move |(key, _)| !is_covered(key)).chain(of_session())
    }
}

/// The session with this access key, if it is its holder who calls and it has not ended.
fn live_session(
    world: &World,
    id: &AccessKeyId,
    arn: &PrincipalArn,
    now: Timestamp,
) -> Result<Arc<Session>, CallError> {
    let session = world
        .identities()
        .session(id)
        .filter(|session| session.principal == *arn)
        .ok_or_else(|| nobody(format!("there is no session {id} in this keystore")))?;
    if session.has_expired(now) {
        let message = "The security token included in the request is expired";
        let why = format!("the session {id} ended at {}: make a new one", session.expires.to_rfc3339());
        return Err(CallError::new(ErrorCode::ExpiredToken, message).explained(why));
    }
    Ok(Arc::clone(session))
}

/// Fails unless the access key is an active one of this user or root user.
fn check_access_key(world: &World, id: &AccessKeyId, arn: &PrincipalArn) -> Result<(), CallError> {
    let key = world
        .identities()
        .access_key(id)
        .ok_or_else(|| nobody(format!("there is no access key {id} in this keystore")))?;
    let of_caller = key.account == *arn.account()
        && match &key.user {
            Some(user) => arn.kind() == PrincipalKind::User && arn.name() == user.as_str(),
            None => arn.kind() == PrincipalKind::Root,
        };
    match key.status {
        _ if !of_caller => Err(nobody(format!("the access key {id} is not of {arn}"))),
        AccessKeyStatus::Inactive => Err(nobody(format!("the access key {id} is inactive"))),
        AccessKeyStatus::Active => Ok(()),
    }
}

/// Nobody comes through an endpoint that is not there.
fn endpoint(world: &World, id: &VpcEndpointId) -> Result<Arc<VpcEndpoint>, CallError> {
    world.vpc_endpoint(id).cloned().ok_or_else(|| {
        let message = format!("The Vpc Endpoint Id '{id}' does not exist");
        CallError::new(ErrorCode::VpcEndpointNotFound, message)
            .explained("`keystead ec2 describe-vpc-endpoints` lists those that are there")
    })
}

fn nobody(why: String) -> CallError {
    CallError::new(ErrorCode::InvalidClientTokenId, "The security token included in the request is invalid.")
        .explained(why)
}

/// The session policies as a layer.
fn session_policies(
    world: &World,
    policies: Option<&SessionPolicies>,
) -> Result<Vec<AppliedPolicy>, CallError> {
    let Some(SessionPolicies { inline, managed: arns }) = policies else { return Ok(Vec::new()) };
    let inline = inline.iter().map(|inline| {
        Ok(AppliedPolicy { name: "session policy".into(), policy: Arc::clone(inline.policy()) })
    });
    inline.chain(arns.iter().map(|arn| managed(world, arn))).collect()
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
