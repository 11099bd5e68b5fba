//! What a simulation answers.
//!
//! The door hands out what was asked and which policies apply; the evaluator goes through it when the answer is written,
//! so that a simulation of many requests holds nobody up.

use std::collections::BTreeSet;

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::{
    SIMULATIONS_MAX, SimulatedCaller, invalid,
    parameters::{ContextEntries, Inputs, ItemsMax, PageMarker},
    policies::{Layer, Layers, Source},
};
use crate::{
    kms::CallError,
    model::{AccountId, Arn, PrincipalArn},
    policy::{
        Actual, CheckEffect, CheckType, ConditionContext, DecisionEffect, Effect, NamedPolicy, PairTrace,
        PolicyKind, Request, Resource, StatementTrace, explain,
    },
    services::query::Answer,
};

/// A simulation that is ready to be gone through.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    caller: SimulatedCaller,
    layers: Layers,
    actions: Vec<String>,
    resources: Vec<Resource>,
    /// Whether the request names resources.
    named: bool,
    context: ContextEntries,
    next: Option<PageMarker>,
}

/// The answer of both operations; it is decided when it is written.
#[derive(Debug, Clone)]
pub struct Simulated(Box<Prepared>);

impl From<Prepared> for Simulated {
    fn from(prepared: Prepared) -> Self {
        Self(Box::new(prepared))
    }
}

impl Serialize for Simulated {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let results: Vec<Value> = self.0.actions.iter().map(|action| self.0.result(action)).collect();
        let mut answer = json!({"EvaluationResults": results, "IsTruncated": self.0.next.is_some()});
        if let (Some(next), Some(members)) = (self.0.next, answer.as_object_mut()) {
            members.insert("Marker".into(), String::from(next).into());
        }
        answer.serialize(serializer)
    }
}

impl Answer for Simulated {}

impl Prepared {
    pub(super) fn new(
        inputs: &Inputs<'_>,
        caller: SimulatedCaller,
        mut layers: Layers,
    ) -> Result<Self, CallError> {
        for action in inputs.action_names {
            check_action(action)?;
        }
        let context = inputs.context_entries.cloned().unwrap_or_default();
        context.check()?;
        let owner = inputs.resource_owner.map(owner).transpose()?.or_else(|| caller.account().cloned());
        let arns = inputs.resource_arns.unwrap_or_default();
        if inputs.action_names.len().saturating_mul(arns.len().max(1)) > SIMULATIONS_MAX {
            return Err(invalid(format!("At most {SIMULATIONS_MAX} actions times resources are simulated.")));
        }
        let with_policy = inputs.resource_policy.is_some();
        let resource = |arn: &str| resource(arn, owner.as_ref(), with_policy);
        let mut resources = arns.iter().map(|arn| resource(arn)).collect::<Result<Vec<_>, _>>()?;
        let named = resources.iter().any(|resource| resource.as_str() != "*");
        if resources.is_empty() {
            resources.push(resource("*")?);
        }
        if let Some(text) = inputs.resource_policy {
            let kind = resource_policy_kind(&resources);
            let id = "ResourcePolicy".to_owned();
            layers.resource = Some(Layer::parse(id, Source::Resource, text.as_str(), kind)?);
        }
        let (items, start) = (ItemsMax::or_default(inputs.page.0), inputs.page.1.map_or(0, |page| page.0));
        let actions: Vec<String> = inputs.action_names.iter().skip(start).take(items).cloned().collect();
        let end = start.saturating_add(actions.len());
        let next = (end < inputs.action_names.len()).then_some(PageMarker(end));
        Ok(Self { caller, layers, actions, resources, named, context, next })
    }

    /// The result of one action on all resources: the strictest is the whole's.
    fn result(&self, action: &str) -> Value {
        let each: Vec<(&Resource, PairTrace)> =
            self.resources.iter().map(|resource| (resource, self.trace(action, resource))).collect();
        let strictness = |effect: DecisionEffect| match effect {
            DecisionEffect::Allowed => 0,
            DecisionEffect::ImplicitDeny => 1,
            DecisionEffect::ExplicitDeny => 2,
        };
        let strictest = each.iter().map(|(_, trace)| trace.effect).max_by_key(|effect| strictness(*effect));
        let effect = strictest.unwrap_or(DecisionEffect::ImplicitDeny);
        let mut matched: Vec<Value> = Vec::new();
        let mut missing = BTreeSet::new();
        for (_, trace) in each.iter().filter(|(_, trace)| trace.effect == effect) {
            for statement in self.matched(trace) {
                if !matched.contains(&statement) {
                    matched.push(statement);
                }
            }
        }
        missing.extend(each.iter().flat_map(|(_, trace)| missing_keys(trace)));
        let template = match self.resources.as_slice() {
            [first, ..] if self.named => template(first.as_str()),
            _ => "*",
        };
        let mut result = json!({
            "EvalActionName": action,
            "EvalResourceName": template,
            "EvalDecision": decision(effect),
            "MatchedStatements": matched,
            "MissingContextValues": missing,
        });
        let Some(members) = result.as_object_mut() else { return result };
        let allowed = each.iter().all(|(_, trace)| lets(trace, CheckType::ServiceControlPolicy));
        if self.named && allowed && self.is_within_one_account() {
            // There and empty. What AWS writes into it across accounts it does not document.
            members.insert("EvalDecisionDetails".into(), json!({}));
        }
        if !self.layers.scp.is_empty() {
            members.insert("OrganizationsDecisionDetail".into(), json!({"AllowedByOrganizations": allowed}));
        }
        if self.layers.boundary.is_some() {
            let allowed = each.iter().all(|(_, trace)| lets(trace, CheckType::PermissionsBoundary));
            members.insert("PermissionsBoundaryDecisionDetail".into(), boundary_detail(allowed));
        }
        if self.named {
            let specific = each.iter().map(|(resource, trace)| self.specific(resource, trace)).collect();
            members.insert("ResourceSpecificResults".into(), Value::Array(specific));
        }
        result
    }

    /// Whether caller and resources belong to the same account, as is taken for granted of a caller who is not named.
    fn is_within_one_account(&self) -> bool {
        let account = self.caller.account();
        account.is_none() || self.resources.iter().all(|resource| resource.owner() == account)
    }

    fn specific(&self, resource: &Resource, trace: &PairTrace) -> Value {
        let missing: BTreeSet<String> = missing_keys(trace).collect();
        let mut result = json!({
            "EvalResourceName": resource.as_str(),
            "EvalResourceDecision": decision(trace.effect),
            "MatchedStatements": self.matched(trace),
            "MissingContextValues": missing,
        });
        if let (Some(members), true) = (result.as_object_mut(), self.layers.boundary.is_some()) {
            let allowed = lets(trace, CheckType::PermissionsBoundary);
            members.insert("PermissionsBoundaryDecisionDetail".into(), boundary_detail(allowed));
        }
        result
    }

    fn trace(&self, action: &str, resource: &Resource) -> PairTrace {
        let mut context = ConditionContext::new();
        if self.caller.named {
            context.principal(&self.caller.facts);
            context
                .principal_tags(self.caller.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        }
        context.resource(resource, &self.caller.facts);
        self.context.fill(&mut context);
        let identity = named(&self.layers.identity);
        let scp: Vec<Vec<NamedPolicy<'_>>> = self.layers.scp.iter().map(|level| named(level)).collect();
        let scp: Vec<&[NamedPolicy<'_>]> = scp.iter().map(Vec::as_slice).collect();
        let mut request = Request::new(&self.caller.facts, action, resource, &context);
        request.layers.identity = &identity;
        request.layers.boundary = self.layers.boundary.as_ref().map(Layer::named);
        request.layers.resource = self.layers.resource.as_ref().map(|layer| &*layer.policy);
        request.layers.scp = &scp;
        let pair = explain(&request).pairs.into_iter().next();
        pair.unwrap_or_else(|| unreachable!("a trace has the pair that was asked about"))
    }

    /// The statements to which a decision is due.
    fn matched(&self, trace: &PairTrace) -> Vec<Value> {
        let wanted = match trace.effect {
            DecisionEffect::Allowed => Effect::Allow,
            DecisionEffect::ExplicitDeny => Effect::Deny,
            DecisionEffect::ImplicitDeny => return Vec::new(),
        };
        let looked_at = |check: &&crate::policy::CheckTrace| {
            wanted == Effect::Deny || matches!(check.check, CheckType::Principal | CheckType::Resource)
        };
        let checks = trace.checks.iter().filter(looked_at);
        let statements = checks.flat_map(|check| {
            check
                .statements
                .iter()
                .filter(|one| one.applies && one.effect == wanted)
                .map(|one| (check.check, one))
        });
        statements.filter_map(|(check, one)| self.matched_statement(check, one)).collect()
    }

    fn matched_statement(&self, check: CheckType, statement: &StatementTrace) -> Option<Value> {
        let place = statement.place;
        let layer = match check {
            CheckType::Principal => self.layers.identity.get(place.policy),
            CheckType::PermissionsBoundary => self.layers.boundary.as_ref(),
            CheckType::Resource => self.layers.resource.as_ref(),
            CheckType::ServiceControlPolicy => self.layers.scp.get(place.level)?.get(place.policy),
            _ => None,
        }?;
        let (start, end) = (statement.span.start, statement.span.end);
        Some(json!({
            "SourcePolicyId": layer.id,
            "SourcePolicyType": layer.source.as_str(),
            "StartPosition": {"Line": start.line, "Column": start.column},
            "EndPosition": {"Line": end.line, "Column": end.column},
        }))
    }
}

impl Layer {
    fn named(&self) -> NamedPolicy<'_> {
        NamedPolicy { name: &self.id, policy: &self.policy }
    }
}

fn named(layers: &[Layer]) -> Vec<NamedPolicy<'_>> {
    layers.iter().map(Layer::named).collect()
}

fn decision(effect: DecisionEffect) -> &'static str {
    match effect {
        DecisionEffect::Allowed => "allowed",
        DecisionEffect::ExplicitDeny => "explicitDeny",
        DecisionEffect::ImplicitDeny => "implicitDeny",
    }
}

/// Whether a layer that is there lets the request through.
fn lets(trace: &PairTrace, check: CheckType) -> bool {
    trace.check(check).is_none_or(|check| matches!(check.effect, CheckEffect::Allow | CheckEffect::NoImpact))
}

fn boundary_detail(allowed: bool) -> Value {
    json!({"AllowedByPermissionsBoundary": allowed})
}

/// The condition keys that statements about this action ask for and the request does not have.
fn missing_keys(trace: &PairTrace) -> impl Iterator<Item = String> {
    let statements = trace.checks.iter().flat_map(|check| &check.statements);
    let about_it = statements.filter(|statement| statement.action_match && statement.resource_match);
    let conditions = about_it.flat_map(|statement| &statement.conditions);
    conditions.filter(|condition| condition.actual == Actual::Missing).map(|condition| condition.key.clone())
}

/// An action, without wildcards.
fn check_action(action: &str) -> Result<(), CallError> {
    let word = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    match action.split_once(':') {
        Some((service, name)) if word(service) && word(name) => Ok(()),
        _ => Err(invalid(format!("Invalid Input ActionNames: {action} is not the name of an action."))),
    }
}

fn resource(arn: &str, owner: Option<&AccountId>, with_policy: bool) -> Result<Resource, CallError> {
    let resource = if arn == "*" {
        Resource::none()
    } else {
        let wrong = |_| invalid(format!("Invalid Input ResourceArns: {arn} is not an ARN."));
        Resource::of_arn(&arn.parse::<Arn>().map_err(wrong)?, owner.cloned())
    };
    // Without its own policy a key would admit nobody; as at AWS the identity policies are simulated alone then.
    Ok(if with_policy { resource } else { resource.without_own_policy() })
}

/// An account by its number, or by the ARN of its root user.
fn owner(text: &str) -> Result<AccountId, CallError> {
    let by_arn = || text.parse::<PrincipalArn>().ok().map(|arn| arn.account().clone());
    let wrong = || invalid(format!("Invalid Input ResourceOwner: {text} is no account."));
    text.parse().ok().or_else(by_arn).ok_or_else(wrong)
}

fn resource_policy_kind(resources: &[Resource]) -> PolicyKind {
    let all = |service: &str, kind: &str| {
        resources.iter().all(|one| {
            one.as_str().starts_with("arn:")
                && template(one.as_str()).contains(service)
                && template(one.as_str()).contains(kind)
        })
    };
    if all(":kms:", ":key/") {
        PolicyKind::Key
    } else if all(":iam:", ":role/") {
        PolicyKind::Trust
    } else {
        PolicyKind::Resource
    }
}

/// The form of the ARNs of a type of resource (Service Authorization Reference).
fn template(arn: &str) -> &'static str {
    let mut parts = arn.splitn(6, ':').skip(2);
    let (service, resource) = (parts.next().unwrap_or_default(), parts.nth(2).unwrap_or_default());
    let kind = resource.split('/').next().unwrap_or_default();
    match (service, kind) {
        ("kms", "key") => "arn:${Partition}:kms:${Region}:${Account}:key/${KeyId}",
        ("kms", "alias") => "arn:${Partition}:kms:${Region}:${Account}:alias/${Alias}",
        ("iam", "user") => "arn:${Partition}:iam::${Account}:user/${UserNameWithPath}",
        ("iam", "role") => "arn:${Partition}:iam::${Account}:role/${RoleNameWithPath}",
        ("iam", "group") => "arn:${Partition}:iam::${Account}:group/${GroupNameWithPath}",
        ("iam", "policy") => "arn:${Partition}:iam::${Account}:policy/${PolicyNameWithPath}",
        ("s3", _) if resource.contains('/') => "arn:${Partition}:s3:::${BucketName}/${ObjectName}",
        ("s3", _) => "arn:${Partition}:s3:::${BucketName}",
        _ => "*",
    }
}
