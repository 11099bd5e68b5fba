//! The explanation: every layer, every statement, every condition, and how each came out.
//!
//! Source: "Explaining" follows the check types and effects of AWS's authorisation details and the statement
//! positions of SimulatePrincipalPolicy (IAM API reference). Nothing is cut short: layers that did not matter are
//! walked too. The verdict is combined from what stands in the trace, by the same rules as the decision.

use serde::{Deserialize, Serialize};

use super::{
    CheckType, ConstraintResult, DecisionEffect, Decisive, GrantOperation, GranteeMatch, NamedPolicy, Policy,
    Request, Span, StatementRef,
    combine::{Findings, Grade, Layer, ResourceLayer, combine},
    condition::Condition,
    context::Viewer,
    decide::{rcp_applies, scp_applies},
    document::{Effect, Element, Resources, Seen, Statement, Written},
    fix::{self, SmallestFix},
    grant, notes,
    principal::PrincipalMatch,
    request::ResourceKind,
};

/// How a decision came about. An operation that needs several pairs joins their traces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trace {
    /// What was decided: allowed only if every pair is.
    pub effect: DecisionEffect,
    /// The check that decided.
    pub deciding: CheckType,
    /// The (action, resource) pairs.
    pub pairs: Vec<PairTrace>,
    /// Allow statements that failed on exactly one element.
    pub near_misses: Vec<NearMiss>,
    /// What would turn a denial into an allow; none when nothing was found, or nothing is denied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smallest_fix: Option<SmallestFix>,
    /// What is often misunderstood in such a case, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Trace {
    /// This trace and another pair's: the first denial decides.
    #[must_use]
    pub fn join(mut self, other: Self) -> Self {
        self.smallest_fix = fix::join(&self, &other);
        self.notes.extend(
            other.notes.iter().filter(|note| !self.notes.contains(note)).cloned().collect::<Vec<_>>(),
        );
        if self.effect == DecisionEffect::Allowed {
            (self.effect, self.deciding) = (other.effect, other.deciding);
        }
        self.pairs.extend(other.pairs);
        self.near_misses.extend(other.near_misses);
        self
    }
}

/// How the decision on one pair came about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PairTrace {
    /// Who asked.
    pub principal: String,
    /// The action.
    pub action: String,
    /// The resource's ARN, or `*`.
    pub resource: String,
    /// Whether caller and resource are of different accounts.
    pub cross_account: bool,
    /// The VPC endpoint that the request comes through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vpc_endpoint: Option<String>,
    /// What was decided.
    pub effect: DecisionEffect,
    /// The check that decided.
    pub deciding: CheckType,
    /// The statement or grant that decided.
    pub decisive: Decisive,
    /// The layers.
    pub checks: Vec<CheckTrace>,
    /// The grants.
    pub grants: Vec<GrantTrace>,
}

impl PairTrace {
    /// One layer's trace.
    #[must_use]
    pub fn check(&self, check: CheckType) -> Option<&CheckTrace> {
        self.checks.iter().find(|trace| trace.check == check)
    }

    /// The statement that nearly allowed.
    #[must_use]
    pub fn statement(&self, miss: &NearMiss) -> Option<&StatementTrace> {
        let wanted = |one: &&StatementTrace| one.place == miss.place && one.policy == miss.policy;
        self.check(miss.check)?.statements.iter().find(wanted)
    }
}

/// What a layer says by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CheckEffect {
    /// It allows.
    Allow,
    /// There is no such layer here, or it does not apply.
    NoImpact,
    /// It is there and allows nothing of this.
    ImplicitDeny,
    /// A Deny of it applies.
    ExplicitDeny,
}

/// One layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckTrace {
    /// Which.
    #[serde(rename = "type")]
    pub check: CheckType,
    /// What it says by itself.
    pub effect: CheckEffect,
    /// Its statements.
    pub statements: Vec<StatementTrace>,
}

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatementTrace {
    /// The name of its policy.
    pub policy: String,
    /// Its `Sid`.
    pub sid: Option<String>,
    /// Its place in its policy, from 0.
    pub index: usize,
    /// Where it stands in its layer.
    pub place: StatementRef,
    /// Where it stands in the policy's text.
    pub span: Span,
    /// What it does when it matches.
    pub effect: Effect,
    /// Whether every element matches.
    pub applies: bool,
    /// How its principals fit the caller.
    pub principal_match: PrincipalMatch,
    /// For an Allow of a resource's policy that applies: how much it is worth.
    pub grade: Option<String>,
    /// Its principals; absent in policies that belong to a principal.
    pub principals: Option<Listed>,
    /// Its actions.
    pub actions: Option<Listed>,
    /// Its resources.
    pub resources: Option<Listed>,
    /// Whether its actions match.
    pub action_match: bool,
    /// Whether its resources match.
    pub resource_match: bool,
    /// Its conditions.
    pub conditions: Vec<ConditionTrace>,
}

impl StatementTrace {
    /// What to call it: its `Sid`, else its number from 1; and its policy.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.sid {
            Some(sid) => format!("the statement `{sid}` of `{}`", self.policy),
            None => format!("statement {} of `{}`", self.index + 1, self.policy),
        }
    }

    /// The elements that do not match, in the order in which a statement is read, and where they stand.
    #[must_use]
    pub fn failed(&self) -> Vec<(FailedElement, Span)> {
        let span = |listed: &Option<Listed>| listed.as_ref().map_or(self.span, |listed| listed.span);
        let mut failed = Vec::new();
        if self.principal_match == PrincipalMatch::None {
            failed.push((FailedElement::Principal, span(&self.principals)));
        }
        if !self.action_match {
            failed.push((FailedElement::Action, span(&self.actions)));
        }
        if !self.resource_match {
            failed.push((FailedElement::Resource, span(&self.resources)));
        }
        let conditions = self.conditions.iter().enumerate().filter(|(_, condition)| !condition.result);
        failed.extend(conditions.map(|(index, one)| (FailedElement::Condition(index), one.span)));
        failed
    }
}

/// The patterns of an element.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Whether it is the `Not…` form.
    pub not: bool,
    /// The patterns as written.
    pub patterns: Vec<String>,
    /// Where they stand in the policy's text.
    pub span: Span,
}

impl Listed {
    fn of<T: Written>(element: &Element<T>) -> Self {
        let patterns = element.list.iter().map(|pattern| pattern.text().to_owned()).collect();
        Self { not: element.negated, patterns, span: element.span }
    }
}

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConditionTrace {
    /// The operator as written.
    pub operator: String,
    /// The key as written.
    pub key: String,
    /// The values as written.
    pub expected: Vec<String>,
    /// The values with their variables filled in (null: the variable stands for nothing); absent without variables.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolved: Option<Vec<Option<String>>>,
    /// The request's values.
    pub actual: Actual,
    /// Whether it holds.
    pub result: bool,
    /// Why.
    pub reason: ConditionReason,
    /// What could not be understood.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_understood: Option<String>,
    /// Where its key stands in the policy's text.
    pub span: Span,
}

/// What the request holds under a condition's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Actual {
    /// Nothing, or nothing that this policy sees.
    Missing,
    /// These values.
    #[serde(untagged)]
    Values(Vec<String>),
}

/// Why a condition came out as it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ConditionReason {
    /// The values were compared.
    Compared,
    /// The key is not there, which the operator settles by itself.
    KeyMissing,
    /// `Null` asks whether the key is there.
    Presence,
    /// A value of the request is not of the operator's type, which counts against access.
    ValueMalformed,
    /// Operator, key or expected value is unknown; it never holds.
    NotUnderstood,
}

/// One grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GrantTrace {
    /// The grant's id.
    pub id: String,
    /// The name that it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How its grantee fits the caller.
    pub grantee_match: GranteeMatch,
    /// Whether it carries the operation.
    pub operation_match: bool,
    /// Whether its constraint holds.
    pub constraint: ConstraintResult,
    /// Whether it allows.
    pub applies: bool,
}

/// An Allow statement that failed on exactly one element.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NearMiss {
    /// The layer.
    #[serde(rename = "type")]
    pub check: CheckType,
    /// The name of its policy.
    pub policy: String,
    /// Its `Sid`.
    pub sid: Option<String>,
    /// The statement's place in its policy, from 0.
    pub index: usize,
    /// Where the statement stands in its layer.
    pub place: StatementRef,
    /// Where the failing element (or else the statement) stands in the policy's text.
    pub span: Span,
    /// What failed.
    pub element: FailedElement,
}

/// The element on which a statement failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FailedElement {
    /// Principal or NotPrincipal.
    Principal,
    /// Action or NotAction.
    Action,
    /// Resource or NotResource.
    Resource,
    /// The condition at this place of the statement.
    Condition(usize),
}

/// Explains how [`decide`](super::decide) comes to its decision on `request`.
#[must_use]
pub fn explain(request: &Request<'_>) -> Trace {
    let action = request.action.to_ascii_lowercase();
    let mut near_misses = Vec::new();
    let mut checks = Vec::new();
    let mut walk = |check: CheckType, levels: &[Vec<NamedPolicy<'_>>], applies: bool| {
        let viewer = if check == CheckType::Resource { Viewer::ResourcePolicy } else { Viewer::Other };
        let seen = Seen { request, action: &action, viewer };
        let statements = trace_levels(check, levels, seen, &mut near_misses);
        let found = found_in(&statements, levels.len(), applies);
        let effect = match (&found, applies) {
            (_, false) => CheckEffect::NoImpact,
            (Layer { deny: Some(_), .. }, _) => CheckEffect::ExplicitDeny,
            (Layer { allows: true, .. }, _) => CheckEffect::Allow,
            _ => CheckEffect::ImplicitDeny,
        };
        checks.push(CheckTrace { check, effect, statements });
        found
    };
    let layers = request.layers;
    let endpoint = request.context.keys().get("aws:SourceVpce").and_then(|id| id.values().first()).cloned();
    let scp = walk(CheckType::ServiceControlPolicy, &levels(layers.scp), scp_applies(request));
    let rcp = walk(CheckType::ResourceControlPolicy, &levels(layers.rcp), rcp_applies(request));
    let vpc_endpoint = walk(
        CheckType::VpcEndpoint,
        &[one(endpoint.as_deref().unwrap_or("VPC endpoint policy"), layers.vpc_endpoint)],
        layers.vpc_endpoint.is_some(),
    );
    let resource_name =
        if request.resource.kind() == ResourceKind::Key { "default" } else { "resource policy" };
    let resource =
        walk(CheckType::Resource, &[one(resource_name, layers.resource)], layers.resource.is_some());
    let identity = walk(CheckType::Principal, &[layers.identity.to_vec()], true);
    let boundary = walk(
        CheckType::PermissionsBoundary,
        &[layers.boundary.into_iter().collect()],
        layers.boundary.is_some(),
    );
    let session = walk(CheckType::Session, &[layers.session.to_vec()], !layers.session.is_empty());
    let resource = ResourceLayer { deny: resource.deny, allow: best_of_resource(&checks) };
    let grants = trace_grants(request, &action);
    let grant = best_grant(&grants);
    let findings = Findings { scp, rcp, vpc_endpoint, resource, identity, boundary, session, grant };
    let verdict = combine(request, &action, &findings);
    let pair = PairTrace {
        principal: request.principal.name().into(),
        action: request.action.into(),
        resource: request.resource.as_str().into(),
        cross_account: matches!(
            (request.principal.account(), request.resource.owner()), (Some(one), Some(other)) if one != other
        ),
        vpc_endpoint: endpoint,
        effect: verdict.effect,
        deciding: verdict.check,
        decisive: verdict.decisive,
        checks,
        grants,
    };
    Trace {
        effect: verdict.effect,
        deciding: verdict.check,
        smallest_fix: fix::smallest(request, &pair, &near_misses),
        notes: notes::on(request, &pair),
        pairs: vec![pair],
        near_misses,
    }
}

fn one<'a>(name: &'a str, policy: Option<&'a Policy>) -> Vec<NamedPolicy<'a>> {
    policy.map(|policy| NamedPolicy { name, policy }).into_iter().collect()
}

fn levels<'a>(levels: &[&[NamedPolicy<'a>]]) -> Vec<Vec<NamedPolicy<'a>>> {
    levels.iter().map(|level| level.to_vec()).collect()
}

fn trace_levels(
    check: CheckType,
    levels: &[Vec<NamedPolicy<'_>>],
    seen: Seen<'_>,
    near_misses: &mut Vec<NearMiss>,
) -> Vec<StatementTrace> {
    let mut traces = Vec::new();
    for (level, policies) in levels.iter().enumerate() {
        for (policy, named) in policies.iter().enumerate() {
            for (index, statement) in named.policy.statements.iter().enumerate() {
                let place = StatementRef { level, policy, statement: index };
                let trace = trace_statement(check, named.name, place, statement, seen);
                near_misses.extend(near_miss(check, &trace));
                traces.push(trace);
            }
        }
    }
    traces
}

fn trace_statement(
    check: CheckType,
    policy: &str,
    place: StatementRef,
    statement: &Statement,
    seen: Seen<'_>,
) -> StatementTrace {
    let principal_match = statement.principal_match(seen);
    let (action_match, resource_match) = (statement.action_matches(seen), statement.resource_matches(seen));
    let conditions: Vec<ConditionTrace> = statement
        .conditions
        .iter()
        .map(|condition| trace_condition(condition, statement.effect, seen))
        .collect();
    let applies = principal_match != PrincipalMatch::None
        && action_match
        && resource_match
        && conditions.iter().all(|condition| condition.result);
    let graded = applies && check == CheckType::Resource && statement.effect == Effect::Allow;
    let grade = graded.then(|| Grade::of(principal_match, statement, seen.request)).flatten();
    StatementTrace {
        policy: policy.into(),
        sid: statement.sid.clone(),
        index: place.statement,
        place,
        span: statement.span,
        effect: statement.effect,
        applies,
        principal_match,
        grade: grade.map(|grade| grade.as_str().into()),
        principals: statement.principals.as_ref().map(Listed::of),
        actions: statement.actions.as_ref().map(Listed::of),
        resources: match &statement.resources {
            Resources::Listed(element) => Some(Listed::of(element)),
            Resources::Implied | Resources::Missing => None,
        },
        action_match,
        resource_match,
        conditions,
    }
}

fn trace_condition(condition: &Condition, effect: Effect, seen: Seen<'_>) -> ConditionTrace {
    let (result, reason) = condition.evaluate(effect, seen.view());
    ConditionTrace {
        operator: condition.operator_text.clone(),
        key: condition.key.clone(),
        expected: condition.expected_text.clone(),
        resolved: condition.resolved(seen.view()),
        actual: condition
            .actual(seen.view())
            .map_or(Actual::Missing, |values| Actual::Values(values.to_vec())),
        result,
        reason,
        not_understood: condition.unusable().map(ToOwned::to_owned),
        span: condition.span,
    }
}

/// The layer's findings, read off its statements.
fn found_in(statements: &[StatementTrace], levels: usize, applies: bool) -> Layer {
    if !applies {
        return Layer { deny: None, allows: true, allow: None };
    }
    let first = |effect: Effect| {
        statements.iter().find(|trace| trace.applies && trace.effect == effect).map(|trace| trace.place)
    };
    let level_allows = |level: usize| {
        statements
            .iter()
            .any(|trace| trace.applies && trace.effect == Effect::Allow && trace.place.level == level)
    };
    Layer { deny: first(Effect::Deny), allows: (0..levels).all(level_allows), allow: first(Effect::Allow) }
}

fn best_of_resource(checks: &[CheckTrace]) -> Option<(Grade, StatementRef)> {
    let mut best: Option<(Grade, StatementRef)> = None;
    let statements =
        checks.iter().filter(|check| check.check == CheckType::Resource).flat_map(|check| &check.statements);
    for trace in statements {
        let grade = trace.grade.as_deref().and_then(Grade::from_text);
        if let Some(grade) = grade.filter(|grade| best.is_none_or(|(so_far, _)| *grade > so_far)) {
            best = Some((grade, trace.place));
        }
    }
    best
}

fn trace_grants(request: &Request<'_>, action: &str) -> Vec<GrantTrace> {
    let operation = GrantOperation::from_action(action);
    let of_key = request.resource.kind() == ResourceKind::Key;
    let trace = |facts| {
        let fit = grant::fit(facts, request, operation);
        GrantTrace {
            id: facts.id.into(),
            name: facts.name.map(Into::into),
            grantee_match: fit.grantee,
            operation_match: fit.operation,
            constraint: fit.constraint,
            applies: of_key && fit.allows() != GranteeMatch::None,
        }
    };
    request.grants.iter().map(trace).collect()
}

fn best_grant(grants: &[GrantTrace]) -> Option<(usize, GranteeMatch)> {
    let first = |wanted: GranteeMatch| {
        grants
            .iter()
            .position(|trace| trace.applies && trace.grantee_match == wanted)
            .map(|index| (index, wanted))
    };
    first(GranteeMatch::Direct).or_else(|| first(GranteeMatch::Account))
}

/// What kept an Allow from applying, when it was one thing alone.
fn near_miss(check: CheckType, trace: &StatementTrace) -> Option<NearMiss> {
    if trace.effect != Effect::Allow || trace.applies {
        return None;
    }
    let failed = trace.failed();
    let [(element, span)] = failed.as_slice() else { return None };
    Some(NearMiss {
        check,
        policy: trace.policy.clone(),
        sid: trace.sid.clone(),
        index: trace.index,
        place: trace.place,
        span: *span,
        element: *element,
    })
}
