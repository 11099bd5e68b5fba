//! What the layers come to together.
//!
//! Source: "Policy evaluation logic" (IAM user guide), "Determining access to AWS KMS keys" and "Allowing users in other
//! accounts to use a KMS key" (KMS developer guide). Pure rules over what each layer found: the fast path and the
//! trace both end here, so that an explanation cannot differ from the decision it explains.

use super::{
    CheckType, DecisionEffect, Decisive, GranteeMatch, Request, StatementRef, actions, decision::Verdict,
    document::Statement, principal::PrincipalMatch, request::ResourceKind,
};

/// How much an Allow of a resource's policy is worth within the resource's own account.
///
/// Source: "Resource-based policies" under "How AWS enforcement code logic evaluates requests". AWS says nothing of
/// `*` without a condition on `aws:PrincipalArn`; the stricter reading is that it is limited like a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Grade {
    /// It delegates to the account: identity policies, boundary and session policies decide.
    Delegated,
    /// Boundary and session policies must allow too: a role, the user behind a federated session, `*`.
    Limited,
    /// Session policies must allow too: a user.
    LimitedBySession,
    /// It is enough: a session, a service, `*` with a condition on `aws:PrincipalArn`.
    Unlimited,
}

impl Grade {
    /// The name in traces.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Delegated => "delegated",
            Self::Limited => "limited",
            Self::LimitedBySession => "limitedBySession",
            Self::Unlimited => "direct",
        }
    }

    /// The grade of this name.
    pub(super) fn from_text(text: &str) -> Option<Self> {
        [Self::Delegated, Self::Limited, Self::LimitedBySession, Self::Unlimited]
            .into_iter()
            .find(|grade| grade.as_str() == text)
    }

    /// The grade of an Allow that fits the caller in this way; none when it does not.
    pub(super) fn of(found: PrincipalMatch, statement: &Statement, request: &Request<'_>) -> Option<Self> {
        use crate::model::PrincipalKind;
        Some(match found {
            PrincipalMatch::None => return None,
            PrincipalMatch::Account => Self::Delegated,
            PrincipalMatch::RoleOfSession => Self::Limited,
            PrincipalMatch::Any if statement.pins_principal_arn() => Self::Unlimited,
            PrincipalMatch::Any => Self::Limited,
            PrincipalMatch::Direct => match request.principal.arn().map(|arn| arn.kind()) {
                Some(PrincipalKind::User) => Self::LimitedBySession,
                _ => Self::Unlimited,
            },
        })
    }
}

/// What a layer found.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Layer {
    /// The first Deny that applies.
    pub(super) deny: Option<StatementRef>,
    /// Whether the layer lets the request pass; an absent one does.
    pub(super) allows: bool,
    /// The Allow that made it so.
    pub(super) allow: Option<StatementRef>,
}

/// What the resource's policy found.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ResourceLayer {
    pub(super) deny: Option<StatementRef>,
    /// The best Allow.
    pub(super) allow: Option<(Grade, StatementRef)>,
}

/// What the layers found.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Findings {
    pub(super) scp: Layer,
    pub(super) rcp: Layer,
    pub(super) vpc_endpoint: Layer,
    pub(super) resource: ResourceLayer,
    pub(super) identity: Layer,
    pub(super) boundary: Layer,
    pub(super) session: Layer,
    /// The best grant and its place in the request.
    pub(super) grant: Option<(usize, GranteeMatch)>,
}

/// Which rule binds the resource's policy and the identity's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Nothing goes without the resource's policy: keys, and assuming roles.
    ResourceFirst,
    /// As `ResourceFirst`, from another account: both sides.
    Both,
    /// Other services within one account: either side.
    Either,
    /// No resource with a policy of its own.
    IdentityAlone,
    /// It cannot be allowed at all: a key action without a key, or one that does not work across accounts.
    Never,
}

/// The verdict on what was found.
pub(super) fn combine(request: &Request<'_>, action: &str, found: &Findings) -> Verdict {
    explicit_deny(found)
        .or_else(|| guard_rail(found))
        .unwrap_or_else(|| permission(request, action, found).unwrap_or_else(implicit_deny))
}

/// A Deny anywhere, in the order in which AWS names layers.
fn explicit_deny(found: &Findings) -> Option<Verdict> {
    let layers = [
        (CheckType::ServiceControlPolicy, found.scp.deny),
        (CheckType::ResourceControlPolicy, found.rcp.deny),
        (CheckType::VpcEndpoint, found.vpc_endpoint.deny),
        (CheckType::Resource, found.resource.deny),
        (CheckType::Principal, found.identity.deny),
        (CheckType::PermissionsBoundary, found.boundary.deny),
        (CheckType::Session, found.session.deny),
    ];
    layers.into_iter().find_map(|(check, deny)| {
        let decisive = Decisive::Statement(deny?);
        Some(Verdict { effect: DecisionEffect::ExplicitDeny, check, decisive })
    })
}

/// Organisation and network each must allow, whatever else does.
fn guard_rail(found: &Findings) -> Option<Verdict> {
    let layers = [
        (CheckType::ServiceControlPolicy, found.scp.allows),
        (CheckType::ResourceControlPolicy, found.rcp.allows),
        (CheckType::VpcEndpoint, found.vpc_endpoint.allows),
    ];
    layers.into_iter().find(|(_, allows)| !allows).map(|(check, _)| implicit_deny(check))
}

/// The Allow that suffices, or the check that misses one.
fn permission(request: &Request<'_>, action: &str, found: &Findings) -> Result<Verdict, CheckType> {
    let allow_of_resource = if is_inert_retire(request, action) { None } else { found.resource.allow };
    let identity = identity_side(request, found);
    let by_identity = || identity.map(|by| allowed(CheckType::Principal, by));
    let missing_resource = if request.resource.kind() == ResourceKind::Nothing {
        CheckType::Principal
    } else {
        CheckType::Resource
    };
    let rule = rule(request, action);
    if rule == Rule::Never {
        return Err(missing_resource);
    }
    if let Some((index, grantee)) = found.grant {
        // A grant stands in for both sides. One for an account delegates, like a key policy that names the account.
        if grantee == GranteeMatch::Direct || identity.is_ok() {
            return Ok(allowed(CheckType::Grant, Decisive::Grant(index)));
        }
    }
    match rule {
        Rule::IdentityAlone => by_identity(),
        Rule::Both => match allow_of_resource {
            Some(_) => by_identity(),
            None => Err(missing_resource),
        },
        Rule::ResourceFirst => match allow_of_resource {
            None if found.grant.is_some() => by_identity(),
            None => Err(missing_resource),
            // The account principal includes the root user, who needs no identity policy beside it.
            Some((Grade::Delegated, statement)) if request.principal.is_root() => {
                identity.map(|_| allowed(CheckType::Resource, Decisive::Statement(statement)))
            }
            Some((Grade::Delegated, _)) => by_identity(),
            Some((grade, statement)) => direct(grade, statement, found),
        },
        Rule::Either => match allow_of_resource {
            None | Some((Grade::Delegated, _)) => by_identity(),
            Some((grade, statement)) => {
                direct(grade, statement, found).or_else(|check| by_identity().map_err(|_| check))
            }
        },
        Rule::Never => Err(missing_resource),
    }
}

fn rule(request: &Request<'_>, action: &str) -> Rule {
    let (resource, caller) = (request.resource, request.principal);
    // Services and identity providers' subjects have no account: the resource's policy is all there is for them.
    // A resource whose owner nobody knows is the caller's own, as in IAM's policy simulator.
    let same_account = match (caller.account(), resource.owner()) {
        (Some(caller), Some(owner)) => caller == owner,
        (None, _) | (_, None) => true,
    };
    let of_kms = action.starts_with("kms:");
    match resource.kind() {
        ResourceKind::Nothing if of_kms && !actions::is_without_key(action) => Rule::Never,
        ResourceKind::Nothing | ResourceKind::Unruled => Rule::IdentityAlone,
        ResourceKind::Other if of_kms => {
            let fits = actions::is_on_alias(action) || actions::is_without_key(action);
            if fits && same_account { Rule::IdentityAlone } else { Rule::Never }
        }
        ResourceKind::Key if !same_account && !actions::is_cross_account(action) => Rule::Never,
        ResourceKind::Key if same_account => Rule::ResourceFirst,
        ResourceKind::Role if same_account && actions::is_assuming(action) => Rule::ResourceFirst,
        ResourceKind::Role | ResourceKind::Other if same_account => Rule::Either,
        ResourceKind::Key | ResourceKind::Role | ResourceKind::Other => Rule::Both,
    }
}

fn is_inert_retire(request: &Request<'_>, action: &str) -> bool {
    request.resource.kind() == ResourceKind::Key && actions::is_retiring(action)
}

/// Within one account: the resource's policy names the caller.
fn direct(grade: Grade, statement: StatementRef, found: &Findings) -> Result<Verdict, CheckType> {
    if grade == Grade::Limited && !found.boundary.allows {
        return Err(CheckType::PermissionsBoundary);
    }
    if grade <= Grade::LimitedBySession && !found.session.allows {
        return Err(CheckType::Session);
    }
    Ok(allowed(CheckType::Resource, Decisive::Statement(statement)))
}

/// Identity policies, cut down by boundary and session policies. A root user needs no identity policy.
fn identity_side(request: &Request<'_>, found: &Findings) -> Result<Decisive, CheckType> {
    let decisive = match found.identity.allow {
        Some(statement) => Decisive::Statement(statement),
        None if request.principal.is_root() => Decisive::Nothing,
        None => return Err(CheckType::Principal),
    };
    if !found.boundary.allows {
        return Err(CheckType::PermissionsBoundary);
    }
    if !found.session.allows {
        return Err(CheckType::Session);
    }
    Ok(decisive)
}

fn allowed(check: CheckType, decisive: Decisive) -> Verdict {
    Verdict { effect: DecisionEffect::Allowed, check, decisive }
}

fn implicit_deny(check: CheckType) -> Verdict {
    Verdict { effect: DecisionEffect::ImplicitDeny, check, decisive: Decisive::Nothing }
}
