//! The smallest change that would allow a denied request.
//!
//! A change is tried on a copy before it is told: it stands in a trace only when [`decide`](super::decide) says of the
//! changed copy that it is allowed, and when no part of it could be left out. It never gives more than was asked for: a
//! statement that is there is extended only when nothing but this action on this resource is gained by that. Where a
//! Deny says no on purpose nothing is suggested.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::model::{AccountId, EncryptionContext, PrincipalKind};

use super::{
    Actual, CheckEffect, CheckType, ConditionContext, ConditionTrace, Decision, DecisionEffect,
    FailedElement, GrantOperation, Layers, NamedPolicy, NearMiss, PairTrace, Policy, PolicyKind,
    PrincipalFacts, Request, Span, StatementRef, StatementTrace, Trace,
    actions::{is_assuming, is_cross_account},
    decide,
    document::{Effect, Resources},
    request::{Caller, ResourceKind},
};

/// More changes than these are no small fix: there are eight layers.
const ROUNDS_MAX: usize = 8;

/// What would turn a denial into an allow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SmallestFix {
    /// These changes together; each was tried.
    Changes(Vec<FixChange>),
    /// Nothing is suggested, and why.
    Withheld(String),
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum FixChange {
    /// The request is made otherwise: it has this condition key with this value.
    Request {
        /// The condition key, as the policy writes it.
        key: String,
        /// Its value.
        value: String,
    },
    /// A statement that is there lists one pattern more.
    Extend {
        /// The layer.
        #[serde(rename = "type")]
        check: CheckType,
        /// The name of the policy.
        policy: String,
        /// The statement's `Sid`.
        sid: Option<String>,
        /// Where the statement stands in its layer.
        place: StatementRef,
        /// Where the list stands in the policy's text.
        span: Span,
        /// `Action` or `Resource`.
        element: String,
        /// What to add to it.
        pattern: String,
    },
    /// A statement is added.
    Add {
        /// The layer.
        #[serde(rename = "type")]
        check: CheckType,
        /// The organisation's level, 0 in layers without levels.
        level: usize,
        /// The statement.
        statement: Value,
    },
}

/// The smallest fix of a denied pair; none when it is allowed, or when no change was found.
pub(super) fn smallest(request: &Request<'_>, pair: &PairTrace, misses: &[NearMiss]) -> Option<SmallestFix> {
    match pair.effect {
        DecisionEffect::Allowed => return None,
        DecisionEffect::ExplicitDeny => return Some(SmallestFix::Withheld(denied_on_purpose(pair))),
        DecisionEffect::ImplicitDeny => {}
    }
    let action = request.action.to_ascii_lowercase();
    if pair.cross_account && request.resource.kind() == ResourceKind::Key && !is_cross_account(&action) {
        return Some(SmallestFix::Withheld(format!(
            "{} does not work across accounts: no policy can allow it",
            request.action
        )));
    }
    let mut trial = Trial::of(request);
    let mut changes = Vec::new();
    for _ in 0..ROUNDS_MAX {
        let before = trial.decide();
        let can_be_made =
            |step: &Vec<FixChange>| step.iter().all(|change| out_of_reach(request, change).is_none());
        let step = candidates(request, pair, misses, before.deciding()).into_iter().find_map(|step| {
            if !can_be_made(&step) {
                return None;
            }
            let changed = trial.with(&step)?;
            let after = changed.decide();
            let helps = after.is_allowed()
                || (after.effect() == DecisionEffect::ImplicitDeny && after.deciding() != before.deciding());
            helps.then_some((step, changed, after.is_allowed()))
        });
        let Some((step, changed, allowed)) = step else {
            let why = additions(request, pair, before.deciding())
                .first()
                .and_then(|one| out_of_reach(request, one));
            return why.map(|why| SmallestFix::Withheld(why.into()));
        };
        changes.extend(step);
        trial = changed;
        if allowed {
            return Some(SmallestFix::Changes(without_needless(request, changes)));
        }
    }
    None
}

fn denied_on_purpose(pair: &PairTrace) -> String {
    let denying = pair.checks.iter().find_map(|check| {
        let deny = |trace: &&StatementTrace| trace.applies && trace.effect == Effect::Deny;
        check.statements.iter().find(deny).filter(|_| check.effect == CheckEffect::ExplicitDeny)
    });
    let name = denying.map_or_else(|| "a Deny".into(), StatementTrace::name);
    format!("{name} denies this on purpose, and nothing that allows can outweigh it")
}

/// Why nobody can make this change, of one that the program or AWS refuses.
fn out_of_reach(request: &Request<'_>, change: &FixChange) -> Option<&'static str> {
    let (FixChange::Extend { check, .. } | FixChange::Add { check, .. }) = change else { return None };
    let resource = request.resource;
    let of_aws = resource.is_aws_managed() || resource.owner().is_some_and(AccountId::is_of_the_services);
    match check {
        CheckType::Resource if of_aws => {
            Some("this key is AWS's, who alone sets its policy: take a customer managed key for this")
        }
        CheckType::ResourceControlPolicy => Some(
            "a resource control policy can only deny: what lets a request pass is AWS's own `RCPFullAWSAccess`, which \
             belongs on every level of the organization",
        ),
        _ => None,
    }
}

/// Leaves out what turns out not to be needed.
fn without_needless(request: &Request<'_>, mut changes: Vec<FixChange>) -> Vec<FixChange> {
    let mut index = 0;
    while index < changes.len() {
        let mut fewer = changes.clone();
        fewer.remove(index);
        let enough = Trial::of(request).with(&fewer).is_some_and(|trial| trial.decide().is_allowed());
        if enough {
            changes = fewer;
        } else {
            index += 1;
        }
    }
    changes
}

/// What might help against the check that denies, the smallest first.
fn candidates(
    request: &Request<'_>,
    pair: &PairTrace,
    misses: &[NearMiss],
    deciding: CheckType,
) -> Vec<Vec<FixChange>> {
    let mut found: Vec<Vec<FixChange>> = Vec::new();
    for miss in misses {
        let Some(statement) = pair.statement(miss) else { continue };
        if let FailedElement::Condition(number) = miss.element {
            let other = statement.conditions.get(number).and_then(|one| request_change(request, one));
            found.extend(other.map(|change| vec![change]));
        }
    }
    for miss in misses.iter().filter(|miss| miss.check == deciding) {
        let extended = pair.statement(miss).and_then(|statement| extension(request, miss, statement));
        found.extend(extended.map(|change| vec![change]));
    }
    found.push(additions(request, pair, deciding));
    found
}

/// The request made otherwise, where that lies with who makes it.
fn request_change(request: &Request<'_>, condition: &ConditionTrace) -> Option<FixChange> {
    let lower = condition.key.to_lowercase();
    let takes_context = GrantOperation::from_action(request.action)
        .is_some_and(|one| one.takes_encryption_context() || one == GrantOperation::CreateGrant);
    let of_key = request.resource.kind() == ResourceKind::Key;
    let free = match lower.as_str() {
        "aws:multifactorauthpresent" | "aws:securetransport" | "sts:externalid" => true,
        // Where it is missing, a service or an endpoint keeps it away.
        "aws:sourceip" => condition.actual != Actual::Missing,
        // No caller sets that: a service does, when it calls on the caller's behalf, which it does with data alone.
        "kms:viaservice" => {
            of_key
                && GrantOperation::from_action(request.action)
                    .is_some_and(|one| one.takes_encryption_context())
        }
        key => key.starts_with(CONTEXT_PREFIX) && takes_context,
    };
    let resolved = condition.resolved.as_ref().map(|values| values.iter().flatten().cloned().collect());
    let values: Vec<String> = resolved.unwrap_or_else(|| condition.expected.clone());
    // An address range stands for its first address.
    let plain = |value: &String| !value.contains(['*', '?', '$']);
    let value = values.into_iter().find(plain).filter(|_| free)?;
    let value = if lower == "aws:sourceip" { value.split('/').next()?.to_owned() } else { value };
    Some(FixChange::Request { key: condition.key.clone(), value })
}

/// One pattern more in the statement that missed, when that gives nothing beside what was asked for.
fn extension(request: &Request<'_>, miss: &NearMiss, statement: &StatementTrace) -> Option<FixChange> {
    let only = |listed: Option<&super::Listed>, wanted: &str| {
        listed.is_some_and(|listed| match listed.patterns.as_slice() {
            [one] => !listed.not && one.eq_ignore_ascii_case(wanted),
            _ => false,
        })
    };
    let of_key_policy = miss.check == CheckType::Resource && request.resource.kind() == ResourceKind::Key;
    let one_principal = statement.principals.as_ref().is_none_or(|listed| {
        !listed.not && listed.patterns.len() == 1 && listed.patterns.first().is_some_and(|one| one != "*")
    });
    let change = |element: &str, span: Span, pattern: &str| FixChange::Extend {
        check: miss.check,
        policy: miss.policy.clone(),
        sid: miss.sid.clone(),
        place: miss.place,
        span,
        element: element.into(),
        pattern: pattern.into(),
    };
    match miss.element {
        FailedElement::Action => {
            let actions = statement.actions.as_ref().filter(|listed| !listed.not)?;
            let exact = only(statement.resources.as_ref(), request.resource.as_str()) || of_key_policy;
            (exact && one_principal).then(|| change("Action", actions.span, request.action))
        }
        FailedElement::Resource => {
            let resources = statement.resources.as_ref().filter(|listed| !listed.not)?;
            let exact = only(statement.actions.as_ref(), request.action) && one_principal;
            exact.then(|| change("Resource", resources.span, request.resource.as_str()))
        }
        FailedElement::Principal | FailedElement::Condition(_) => None,
    }
}

/// A statement of its own in the layer that denies; in an organisation one at each level that does not allow.
fn additions(request: &Request<'_>, pair: &PairTrace, check: CheckType) -> Vec<FixChange> {
    let statement = statement_for(request, check);
    let add = |level| FixChange::Add { check, level, statement: statement.clone() };
    let levels = match check {
        CheckType::ServiceControlPolicy => request.layers.scp.len(),
        CheckType::ResourceControlPolicy => request.layers.rcp.len(),
        _ => return vec![add(0)],
    };
    let allows = |level: usize| {
        let of_layer = pair.checks.iter().filter(|trace| trace.check == check);
        of_layer
            .flat_map(|trace| &trace.statements)
            .any(|trace| trace.applies && trace.effect == Effect::Allow && trace.place.level == level)
    };
    (0..levels).filter(|level| !allows(*level)).map(add).collect()
}

fn statement_for(request: &Request<'_>, check: CheckType) -> Value {
    let mut statement = serde_json::Map::new();
    statement.insert("Effect".into(), json!("Allow"));
    match check {
        CheckType::Resource => {
            statement.insert("Principal".into(), principal_for(request.principal));
        }
        CheckType::ResourceControlPolicy | CheckType::VpcEndpoint => {
            statement.insert("Principal".into(), json!("*"));
        }
        _ => {}
    }
    statement.insert("Action".into(), json!(request.action));
    match (check, request.resource.kind()) {
        // In a key policy `*` is this key.
        (CheckType::Resource, ResourceKind::Key) => statement.insert("Resource".into(), json!("*")),
        (CheckType::Resource, ResourceKind::Role) => None,
        _ => statement.insert("Resource".into(), json!(request.resource.as_str())),
    };
    Value::Object(statement)
}

/// How a key policy names the caller: a session by its role, which stays when the session is over.
fn principal_for(principal: &PrincipalFacts) -> Value {
    match principal.caller() {
        Caller::Service(name) => json!({ "Service": name }),
        Caller::Federated(name) => json!({ "Federated": name }),
        Caller::Iam { arn, issuer } => match (arn.kind(), issuer) {
            (PrincipalKind::AssumedRole, Some(role)) => json!({ "AWS": role.as_str() }),
            _ => json!({ "AWS": arn.as_str() }),
        },
    }
}

const CONTEXT_PREFIX: &str = "kms:encryptioncontext:";

/// A copy of a request's policies and context, to be changed.
#[derive(Clone)]
struct Trial<'a> {
    request: &'a Request<'a>,
    context: ConditionContext,
    encryption_context: EncryptionContext,
    resource: Option<Policy>,
    identity: Vec<(&'a str, Policy)>,
    boundary: Option<(&'a str, Policy)>,
    session: Vec<(&'a str, Policy)>,
    scp: Vec<Vec<(&'a str, Policy)>>,
    rcp: Vec<Vec<(&'a str, Policy)>>,
    vpc_endpoint: Option<Policy>,
}

impl<'a> Trial<'a> {
    fn of(request: &'a Request<'a>) -> Self {
        let Layers { resource, identity, boundary, session, scp, rcp, vpc_endpoint } = request.layers;
        let copy = |named: &NamedPolicy<'a>| (named.name, named.policy.clone());
        let copies = |named: &[NamedPolicy<'a>]| named.iter().map(copy).collect::<Vec<_>>();
        Self {
            request,
            context: request.context.keys().clone(),
            encryption_context: request.encryption_context.cloned().unwrap_or_default(),
            resource: resource.cloned(),
            identity: copies(identity),
            boundary: boundary.as_ref().map(copy),
            session: copies(session),
            scp: scp.iter().map(|level| copies(level)).collect(),
            rcp: rcp.iter().map(|level| copies(level)).collect(),
            vpc_endpoint: vpc_endpoint.cloned(),
        }
    }

    fn decide(&self) -> Decision {
        fn named<'p>(policies: &'p [(&'p str, Policy)]) -> Vec<NamedPolicy<'p>> {
            policies.iter().map(|(name, policy)| NamedPolicy { name, policy }).collect()
        }
        let (identity, session) = (named(&self.identity), named(&self.session));
        let scp: Vec<_> = self.scp.iter().map(|level| named(level)).collect();
        let rcp: Vec<_> = self.rcp.iter().map(|level| named(level)).collect();
        let (scp, rcp): (Vec<_>, Vec<_>) =
            (scp.iter().map(Vec::as_slice).collect(), rcp.iter().map(Vec::as_slice).collect());
        let layers = Layers {
            resource: self.resource.as_ref(),
            identity: &identity,
            boundary: self.boundary.as_ref().map(|(name, policy)| NamedPolicy { name, policy }),
            session: &session,
            scp: &scp,
            rcp: &rcp,
            vpc_endpoint: self.vpc_endpoint.as_ref(),
        };
        let encryption_context = Some(&self.encryption_context);
        decide(&Request { context: (&self.context).into(), encryption_context, layers, ..*self.request })
    }

    /// A copy with these changes; none when one of them cannot be made.
    fn with(&self, changes: &[FixChange]) -> Option<Self> {
        let mut changed = self.clone();
        for change in changes {
            match change {
                FixChange::Request { key, value } => changed.present(key, value)?,
                FixChange::Extend { check, place, element, pattern, .. } => {
                    changed.extend(*check, *place, element, pattern)?;
                }
                FixChange::Add { check, level, statement } => changed.add(*check, *level, statement)?,
            }
        }
        Some(changed)
    }

    fn present(&mut self, key: &str, value: &str) -> Option<()> {
        self.context.set(key, value);
        let lower = key.to_lowercase();
        if lower.starts_with(CONTEXT_PREFIX) {
            let name = key.get(CONTEXT_PREFIX.len()..)?;
            let others =
                self.encryption_context.iter().filter(|(other, _)| !other.eq_ignore_ascii_case(name));
            self.encryption_context = EncryptionContext::from_pairs(others.chain([(name, value)])).ok()?;
            let names = self.context.get("kms:EncryptionContextKeys").map(|found| found.values().to_vec());
            let mut names = names.unwrap_or_default();
            if !names.iter().any(|one| one.eq_ignore_ascii_case(name)) {
                names.push(name.into());
            }
            self.context.set_many("kms:EncryptionContextKeys", names);
        }
        if lower == "kms:viaservice" {
            self.come_from(value);
        }
        Some(())
    }

    /// The call as a service makes it: the caller's address and network are not there.
    fn come_from(&mut self, via_service: &str) {
        let principal = format!("{}.amazonaws.com", via_service.split('.').next().unwrap_or_default());
        self.context.called_via(&[&principal]);
        for key in ["aws:SourceIp", "aws:SourceVpce", "aws:SourceVpc", "aws:VpcSourceIp"] {
            self.context.set_many(key, [""; 0]);
        }
        self.vpc_endpoint = None;
    }

    fn extend(&mut self, check: CheckType, place: StatementRef, element: &str, pattern: &str) -> Option<()> {
        let (action, resource) = match element {
            "Action" => (pattern, "*"),
            _ => ("*", pattern),
        };
        let model = json!({"Effect": "Allow", "Action": action, "Resource": resource});
        let mut model = parsed(&model, PolicyKind::INLINE_ROLE)?.statements.pop()?;
        let statement = self.policy(check, place.level, place.policy)?.statements.get_mut(place.statement)?;
        match (element, &mut statement.resources, model.resources) {
            ("Action", _, _) => {
                statement.actions.as_mut()?.list.append(&mut model.actions.as_mut()?.list);
            }
            (_, Resources::Listed(listed), Resources::Listed(mut more)) => listed.list.append(&mut more.list),
            _ => return None,
        }
        Some(())
    }

    fn add(&mut self, check: CheckType, level: usize, statement: &Value) -> Option<()> {
        let new = "the new policy";
        let policy = parsed(statement, self.kind(check))?;
        let into_one = |slot: &mut Option<Policy>, mut policy: Policy| match slot {
            Some(there) => there.statements.append(&mut policy.statements),
            None => *slot = Some(policy),
        };
        match check {
            CheckType::Resource => into_one(&mut self.resource, policy),
            CheckType::VpcEndpoint => into_one(&mut self.vpc_endpoint, policy),
            CheckType::Principal => self.identity.push((new, policy)),
            CheckType::Session => self.session.push((new, policy)),
            CheckType::ServiceControlPolicy => self.scp.get_mut(level)?.push((new, policy)),
            CheckType::ResourceControlPolicy => self.rcp.get_mut(level)?.push((new, policy)),
            CheckType::PermissionsBoundary => {
                let mut statements = policy.statements;
                self.boundary.as_mut()?.1.statements.append(&mut statements);
            }
            CheckType::Grant => return None,
        }
        Some(())
    }

    fn policy(&mut self, check: CheckType, level: usize, index: usize) -> Option<&mut Policy> {
        match check {
            CheckType::Resource => self.resource.as_mut(),
            CheckType::VpcEndpoint => self.vpc_endpoint.as_mut(),
            CheckType::Principal => self.identity.get_mut(index).map(|named| &mut named.1),
            CheckType::PermissionsBoundary => self.boundary.as_mut().map(|named| &mut named.1),
            CheckType::Session => self.session.get_mut(index).map(|named| &mut named.1),
            CheckType::ServiceControlPolicy => {
                self.scp.get_mut(level)?.get_mut(index).map(|named| &mut named.1)
            }
            CheckType::ResourceControlPolicy => {
                self.rcp.get_mut(level)?.get_mut(index).map(|named| &mut named.1)
            }
            CheckType::Grant => None,
        }
    }

    fn kind(&self, check: CheckType) -> PolicyKind {
        match (check, self.request.resource.kind()) {
            (CheckType::Resource, ResourceKind::Key) => PolicyKind::Key,
            (CheckType::Resource, ResourceKind::Role)
                if is_assuming(&self.request.action.to_ascii_lowercase()) =>
            {
                PolicyKind::Trust
            }
            (CheckType::Resource, _) => PolicyKind::Resource,
            (CheckType::ResourceControlPolicy, _) => PolicyKind::Rcp,
            (CheckType::ServiceControlPolicy, _) => PolicyKind::Scp,
            (CheckType::VpcEndpoint, _) => PolicyKind::VpcEndpoint,
            (CheckType::PermissionsBoundary, _) => PolicyKind::Boundary,
            (CheckType::Session, _) => PolicyKind::Session,
            (CheckType::Principal | CheckType::Grant, _) => PolicyKind::INLINE_ROLE,
        }
    }
}

fn parsed(statement: &Value, kind: PolicyKind) -> Option<Policy> {
    let text = json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
    Policy::parse(&text, kind).ok()
}

/// The fixes of several pairs as one: all of their changes, unless one is withheld.
pub(super) fn join(one: &Trace, other: &Trace) -> Option<SmallestFix> {
    let denied = |trace: &Trace| trace.effect != DecisionEffect::Allowed;
    match (&one.smallest_fix, &other.smallest_fix) {
        (Some(SmallestFix::Withheld(why)), _) | (_, Some(SmallestFix::Withheld(why))) => {
            Some(SmallestFix::Withheld(why.clone()))
        }
        (Some(SmallestFix::Changes(first)), Some(SmallestFix::Changes(second))) => {
            let mut changes = first.clone();
            changes.extend(second.iter().filter(|change| !first.contains(change)).cloned());
            Some(SmallestFix::Changes(changes))
        }
        (Some(fix), None) if !denied(other) => Some(fix.clone()),
        (None, Some(fix)) if !denied(one) => Some(fix.clone()),
        _ => None,
    }
}
