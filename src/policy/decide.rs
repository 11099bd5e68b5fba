//! The decision, quickly: each layer is scanned for what matters and nothing is written down.
//!
//! Source: "How AWS enforcement code logic evaluates requests to allow or deny access" (IAM user guide). What the layers
//! come to is in `combine`; [`explain`](super::explain) walks the same layers and writes everything down.

use crate::model::KeyArn;

use super::{
    ConditionContext, Decision, GrantOperation, GranteeMatch, Layers, NamedPolicy, Policy, PrincipalFacts,
    Request, Resource, StatementRef, actions,
    combine::{Findings, Grade, Layer, ResourceLayer, combine},
    context::Viewer,
    document::{Effect, Seen},
    grant,
    principal::PrincipalMatch,
    request::ResourceKind,
};

/// Decides one (action, resource) pair.
///
/// ```
/// use keystead::policy::*;
///
/// let key_policy = Policy::parse(
///     r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "kms:*", "Resource": "*",
///         "Principal": {"AWS": "arn:aws:iam::111122223333:root"}}}"#,
///     PolicyKind::Key,
/// )?;
/// let alice = PrincipalFacts::new("arn:aws:iam::111122223333:user/alice".parse()?);
/// let key = Resource::key(&"arn:aws:kms:us-east-1:111122223333:key/k".parse()?);
/// let mut context = ConditionContext::new();
/// context.principal(&alice).resource(&key, &alice);
/// let mut request = Request::new(&alice, "kms:Decrypt", &key, &context);
/// request.layers.resource = Some(&key_policy);
///
/// // The key policy delegates to the account, and no identity policy allows anything.
/// let decision = decide(&request);
/// assert_eq!(decision.effect(), DecisionEffect::ImplicitDeny);
/// assert_eq!(decision.deciding(), CheckType::Principal);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn decide(request: &Request<'_>) -> Decision {
    let action = request.action.to_ascii_lowercase();
    let findings = gather(request, &action);
    let verdict = combine(request, &action, &findings);
    Decision::new(verdict, request.principal.name(), request.action, request.resource.as_str())
}

/// Whether a new key policy lets `principal` call PutKeyPolicy again: a direct or delegated Allow and no Deny.
///
/// This is the lockout check of CreateKey and PutKeyPolicy. Only the new policy is looked at (AWS does not say more).
#[must_use]
pub fn keeps_control(
    policy: &Policy,
    principal: &PrincipalFacts,
    key: &KeyArn,
    context: &ConditionContext,
) -> bool {
    let resource = Resource::key(key);
    let request = Request::new(principal, "kms:PutKeyPolicy", &resource, context);
    let seen = Seen { request: &request, action: "kms:putkeypolicy", viewer: Viewer::ResourcePolicy };
    let found = scan_resource(Some(policy), seen);
    let same_account = principal.account() == Some(key.account());
    same_account && found.deny.is_none() && found.allow.is_some()
}

/// Whether organisation policies touch this request: not when a service calls for itself or by a service-linked role.
pub(super) fn scp_applies(request: &Request<'_>) -> bool {
    !request.layers.scp.is_empty()
        && request.principal.arn().is_some()
        && !request.principal.is_service_linked()
}

/// Whether resource control policies touch this request: not on AWS managed keys, nor for service-linked roles, and never
/// the retiring of a grant, which the grant alone decides ("Resource control policies in AWS KMS").
pub(super) fn rcp_applies(request: &Request<'_>) -> bool {
    !request.layers.rcp.is_empty()
        && !actions::is_retiring(&request.action.to_ascii_lowercase())
        && !request.resource.is_aws_managed()
        && !request.principal.is_service_linked()
}

fn gather(request: &Request<'_>, action: &str) -> Findings {
    let seen = Seen { request, action, viewer: Viewer::Other };
    let Layers { resource, identity, boundary, session, scp, rcp, vpc_endpoint } = request.layers;
    let absent = Layer { deny: None, allows: true, allow: None };
    Findings {
        scp: if scp_applies(request) { scan_levels(scp, seen) } else { absent },
        rcp: if rcp_applies(request) { scan_levels(rcp, seen) } else { absent },
        vpc_endpoint: vpc_endpoint.map_or(absent, |policy| scan([policy], 0, seen)),
        resource: scan_resource(resource, Seen { viewer: Viewer::ResourcePolicy, ..seen }),
        identity: scan(policies(identity), 0, seen),
        boundary: boundary.map_or(absent, |named| scan([named.policy], 0, seen)),
        session: if session.is_empty() { absent } else { scan(policies(session), 0, seen) },
        grant: best_grant(request, action),
    }
}

fn policies<'a>(named: &'a [NamedPolicy<'a>]) -> impl Iterator<Item = &'a Policy> {
    named.iter().map(|named| named.policy)
}

/// One layer, or one level of it: the first Deny and the first Allow that apply.
fn scan<'a>(policies: impl IntoIterator<Item = &'a Policy>, level: usize, seen: Seen<'_>) -> Layer {
    let mut layer = Layer::default();
    for (policy, document) in policies.into_iter().enumerate() {
        for (index, statement) in document.statements.iter().enumerate() {
            let wanted = match statement.effect {
                Effect::Allow => &mut layer.allow,
                Effect::Deny => &mut layer.deny,
            };
            if wanted.is_none() && statement.applies(seen) != PrincipalMatch::None {
                *wanted = Some(StatementRef { level, policy, statement: index });
            }
        }
    }
    layer.allows = layer.allow.is_some();
    layer
}

/// Each level of an organisation must allow.
fn scan_levels(levels: &[&[NamedPolicy<'_>]], seen: Seen<'_>) -> Layer {
    let mut whole = Layer { deny: None, allows: true, allow: None };
    for (level, named) in levels.iter().enumerate() {
        let found = scan(policies(named), level, seen);
        whole.deny = whole.deny.or(found.deny);
        whole.allow = whole.allow.or(found.allow);
        whole.allows &= found.allows;
    }
    whole
}

/// The resource's policy: the first Deny, and the Allow that is worth most.
fn scan_resource(policy: Option<&Policy>, seen: Seen<'_>) -> ResourceLayer {
    let mut found = ResourceLayer::default();
    for (index, statement) in policy.iter().flat_map(|policy| policy.statements.iter().enumerate()) {
        let place = StatementRef { level: 0, policy: 0, statement: index };
        match statement.effect {
            Effect::Deny if found.deny.is_some() => {}
            Effect::Deny => {
                found.deny = (statement.applies(seen) != PrincipalMatch::None).then_some(place);
            }
            Effect::Allow => {
                let grade = Grade::of(statement.applies(seen), statement, seen.request);
                if let Some(grade) = grade.filter(|grade| found.allow.is_none_or(|(best, _)| *grade > best)) {
                    found.allow = Some((grade, place));
                }
            }
        }
    }
    found
}

/// The first grant that reaches the caller directly, or else the first that does so by way of the account.
fn best_grant(request: &Request<'_>, action: &str) -> Option<(usize, GranteeMatch)> {
    if request.resource.kind() != ResourceKind::Key || request.grants.is_empty() {
        return None;
    }
    let operation = GrantOperation::from_action(action);
    let mut by_account = None;
    for (index, facts) in request.grants.iter().enumerate() {
        match grant::fit(facts, request, operation).allows() {
            GranteeMatch::Direct => return Some((index, GranteeMatch::Direct)),
            GranteeMatch::Account => by_account = by_account.or(Some((index, GranteeMatch::Account))),
            GranteeMatch::None => {}
        }
    }
    by_account
}
