//! The question: who wants to do what, to which resource, under which circumstances and policies.
//!
//! Source: "How AWS enforcement code logic evaluates requests to allow or deny access" (IAM user guide) for the layers,
//! and "Grants in AWS KMS" (KMS developer guide) for what a grant says. Everything here is handed in by the caller:
//! the decision reads no clock, no store and no environment.

use std::{fmt, ops::Deref};

use crate::model::{AccountId, Arn, EncryptionContext, KeyArn, PrincipalArn, PrincipalKind};

use super::{ConditionContext, GrantFacts, Policy, grant::ChildGrant};

/// One (action, resource) pair to decide, with everything that the decision depends on.
///
/// An operation that needs several pairs (ReEncrypt, UpdateAlias …) is several requests, and all must be allowed.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Who calls.
    pub principal: &'a PrincipalFacts,
    /// What is asked for, such as `kms:Decrypt`; its case does not matter.
    pub action: &'a str,
    /// On what.
    pub resource: &'a Resource,
    /// The condition keys of this request.
    pub context: RequestContext<'a>,
    /// The encryption context, which grant constraints compare; `None` is the empty one.
    pub encryption_context: Option<&'a EncryptionContext>,
    /// For `kms:CreateGrant`, the grant to be made: one made by way of a grant is no wider than that grant.
    pub child_grant: Option<ChildGrant<'a>>,
    /// The policies that apply.
    pub layers: Layers<'a>,
    /// The live grants on the key. For `kms:RetireGrant`, the one grant to be retired.
    ///
    /// Among many thousands, hand in those whose grantee can match: [`PrincipalFacts::grantee_names`].
    pub grants: &'a [GrantFacts<'a>],
}

impl<'a> Request<'a> {
    /// A request with no policies and no grants, to be filled in.
    #[must_use]
    pub fn new(
        principal: &'a PrincipalFacts,
        action: &'a str,
        resource: &'a Resource,
        context: impl Into<RequestContext<'a>>,
    ) -> Self {
        Self {
            principal,
            action,
            resource,
            context: context.into(),
            encryption_context: None,
            child_grant: None,
            layers: Layers::default(),
            grants: &[],
        }
    }
}

/// The condition keys of a request: at hand, or put together when a policy first looks at one. Most policies never do.
#[derive(Clone, Copy)]
pub struct RequestContext<'a>(Keys<'a>);

#[derive(Clone, Copy)]
enum Keys<'a> {
    AtHand(&'a ConditionContext),
    WhenAsked(&'a dyn Deref<Target = ConditionContext>),
}

impl<'a> RequestContext<'a> {
    /// Condition keys that are put together when a policy first looks at one, and are the same ever after.
    pub(crate) fn when_asked(keys: &'a dyn Deref<Target = ConditionContext>) -> Self {
        Self(Keys::WhenAsked(keys))
    }

    /// The condition keys.
    #[must_use]
    pub fn keys(self) -> &'a ConditionContext {
        match self.0 {
            Keys::AtHand(keys) => keys,
            Keys::WhenAsked(keys) => keys,
        }
    }
}

impl<'a> From<&'a ConditionContext> for RequestContext<'a> {
    fn from(keys: &'a ConditionContext) -> Self {
        Self(Keys::AtHand(keys))
    }
}

impl fmt::Debug for RequestContext<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.keys().fmt(formatter)
    }
}

/// A policy and the name that explanations call it by.
#[derive(Debug, Clone, Copy)]
pub struct NamedPolicy<'a> {
    /// The name of an inline policy or the ARN of a managed one.
    pub name: &'a str,
    /// The policy.
    pub policy: &'a Policy,
}

/// The policies that apply to a request, by layer. An absent layer allows, except the identity policies, and the
/// resource policy of resources that cannot do without.
#[derive(Debug, Clone, Copy, Default)]
pub struct Layers<'a> {
    /// The key policy, bucket policy or trust policy.
    pub resource: Option<&'a Policy>,
    /// The caller's identity policies: inline, attached, and by group.
    pub identity: &'a [NamedPolicy<'a>],
    /// The caller's permissions boundary.
    pub boundary: Option<NamedPolicy<'a>>,
    /// The policies given when the session was made. Together they are one layer; none means no such layer.
    pub session: &'a [NamedPolicy<'a>],
    /// Service control policies of the caller's organisation, by level. Each level must allow.
    pub scp: &'a [&'a [NamedPolicy<'a>]],
    /// Resource control policies of the resource's organisation, by level. Each level must allow.
    pub rcp: &'a [&'a [NamedPolicy<'a>]],
    /// The policy of the VPC endpoint through which the request came.
    pub vpc_endpoint: Option<&'a Policy>,
}

/// Who calls, as far as policies can see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrincipalFacts {
    caller: Caller,
    unique_id: Option<String>,
}

/// The three sorts of callers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Caller {
    /// A root user, user, role or session; for a session also the role or user that it comes from.
    Iam { arn: PrincipalArn, issuer: Option<PrincipalArn> },
    /// An AWS service acting for itself, such as `s3.amazonaws.com`.
    Service(String),
    /// Somebody whom an identity provider vouches for and who has no AWS identity yet.
    Federated(String),
}

impl PrincipalFacts {
    /// A root user, a user, or a role as such.
    ///
    /// A role session is better made by [`session`](Self::session): made here, its role is taken to have no path.
    #[must_use]
    pub fn new(arn: PrincipalArn) -> Self {
        let issuer = match (arn.kind(), arn.role_name()) {
            (PrincipalKind::AssumedRole, Some(role)) => {
                format!("arn:aws:iam::{}:role/{role}", arn.account()).parse().ok()
            }
            _ => None,
        };
        Self { caller: Caller::Iam { arn, issuer }, unique_id: None }
    }

    /// A session of `issuer`: of a role, or (for a federated user) of the user who asked for it.
    #[must_use]
    pub fn session(arn: PrincipalArn, issuer: PrincipalArn) -> Self {
        Self { caller: Caller::Iam { arn, issuer: Some(issuer) }, unique_id: None }
    }

    /// A service that calls for itself, such as `s3.amazonaws.com`.
    #[must_use]
    pub fn service(name: impl Into<String>) -> Self {
        Self { caller: Caller::Service(name.into()), unique_id: None }
    }

    /// Somebody known to an identity provider alone, as trust policies meet them: the provider's ARN or host name.
    #[must_use]
    pub fn federated(provider: impl Into<String>) -> Self {
        Self { caller: Caller::Federated(provider.into()), unique_id: None }
    }

    /// With the unique id (`AIDA…`, `AROA…`) of the user, or of the role when this is a role or a role's session.
    #[must_use]
    pub fn with_unique_id(mut self, id: impl Into<String>) -> Self {
        self.unique_id = Some(id.into());
        self
    }

    /// The ARN; none for a service or a federated caller.
    #[must_use]
    pub fn arn(&self) -> Option<&PrincipalArn> {
        match &self.caller {
            Caller::Iam { arn, .. } => Some(arn),
            Caller::Service(_) | Caller::Federated(_) => None,
        }
    }

    /// For a session, the role (or user) that it comes from.
    #[must_use]
    pub fn issuer(&self) -> Option<&PrincipalArn> {
        match &self.caller {
            Caller::Iam { issuer, .. } => issuer.as_ref(),
            Caller::Service(_) | Caller::Federated(_) => None,
        }
    }

    /// The unique id of the user or role.
    #[must_use]
    pub fn unique_id(&self) -> Option<&str> {
        self.unique_id.as_deref()
    }

    /// The caller's account; none for a service or a federated caller.
    #[must_use]
    pub fn account(&self) -> Option<&AccountId> {
        self.arn().map(PrincipalArn::account)
    }

    /// What `aws:PrincipalArn` holds: the ARN, and for a session that of its role.
    #[must_use]
    pub fn principal_arn(&self) -> Option<&PrincipalArn> {
        match &self.caller {
            Caller::Iam { arn, issuer } if arn.kind() == PrincipalKind::AssumedRole => {
                Some(issuer.as_ref().unwrap_or(arn))
            }
            _ => self.arn(),
        }
    }

    /// The ARNs that a grant may name to reach this caller: its own, its role's, its account's.
    pub fn grantee_names(&self) -> impl Iterator<Item = String> {
        let names = [self.arn(), self.issuer()].into_iter().flatten().map(ToString::to_string);
        let account = self.account().map(|account| PrincipalArn::root(account).to_string());
        names.chain(account)
    }

    /// How messages call the caller.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.caller {
            Caller::Iam { arn, .. } => arn.as_str(),
            Caller::Service(name) | Caller::Federated(name) => name,
        }
    }

    /// Whether this is an account's root user.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.arn().is_some_and(|arn| arn.kind() == PrincipalKind::Root)
    }

    /// Whether this is a service-linked role, which organisation policies do not touch.
    pub(super) fn is_service_linked(&self) -> bool {
        [self.arn(), self.issuer()].into_iter().flatten().any(|arn| {
            arn.kind() == PrincipalKind::Role && arn.path_and_name().starts_with("aws-service-role/")
        })
    }

    pub(super) fn caller(&self) -> &Caller {
        &self.caller
    }
}

/// What the request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    text: String,
    owner: Option<AccountId>,
    kind: ResourceKind,
    aws_managed: bool,
}

/// What a resource's own policy means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ResourceKind {
    /// A KMS key: nothing goes without its policy or a grant.
    Key,
    /// A role: nobody assumes it against its trust policy.
    Role,
    /// An alias, a bucket, an object …
    Other,
    /// No resource: `*`.
    Nothing,
    /// Whatever it is, what its own policy says is left out of account.
    Unruled,
}

impl Resource {
    /// A KMS key.
    #[must_use]
    pub fn key(arn: &KeyArn) -> Self {
        Self {
            text: arn.as_str().into(),
            owner: Some(arn.account().clone()),
            kind: ResourceKind::Key,
            aws_managed: false,
        }
    }

    /// Anything that has an ARN. `owner` is who owns what has no account in its ARN, such as a bucket.
    #[must_use]
    pub fn of_arn(arn: &Arn, owner: Option<AccountId>) -> Self {
        let kind = match (arn.service(), arn.resource().split_once('/')) {
            ("kms", Some(("key", _))) => ResourceKind::Key,
            ("iam", Some(("role", _))) => ResourceKind::Role,
            _ => ResourceKind::Other,
        };
        let owner = arn.account().parse().ok().or(owner);
        Self { text: arn.as_str().into(), owner, kind, aws_managed: false }
    }

    /// No resource, `*`: for operations such as CreateKey and ListKeys.
    #[must_use]
    pub fn none() -> Self {
        Self { text: "*".into(), owner: None, kind: ResourceKind::Nothing, aws_managed: false }
    }

    /// Says that this key is an AWS managed one; resource control policies do not apply to those.
    #[must_use]
    pub fn aws_managed(mut self) -> Self {
        self.aws_managed = true;
        self
    }

    /// Says that this resource's own policy is not looked at, as a simulation without one has it: what the others say is
    /// all.
    #[must_use]
    pub fn without_own_policy(mut self) -> Self {
        self.kind = ResourceKind::Unruled;
        self
    }

    /// The ARN, or `*`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The account that owns the resource, when it is known.
    #[must_use]
    pub fn owner(&self) -> Option<&AccountId> {
        self.owner.as_ref()
    }

    /// Whether this is an AWS managed key.
    #[must_use]
    pub fn is_aws_managed(&self) -> bool {
        self.aws_managed
    }

    pub(super) fn kind(&self) -> ResourceKind {
        self.kind
    }
}
