//! How a call was decided, kept for whoever owns the machine: the whole trace of every (action, resource) pair.
//!
//! A denial is always explained. What was allowed is noted in a word — which layer, which policy, which statement — and
//! explained in full only when somebody watches.

use std::cell::RefCell;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    model::Timestamp,
    policy::{
        Actual, CheckType, ConditionTrace, Decision, DecisionEffect, Decisive, Effect, FailedElement,
        NamedPolicy, NearMiss, Request, StatementTrace, Trace, explain, quoted,
    },
};

/// How a call was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The id under which the keystore remembers it, of a call that was denied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision_id: Option<String>,
    /// When it was decided, by the keystore's clock, in milliseconds since 1970.
    pub time: Timestamp,
    /// The operation, such as `Decrypt`; none of a question about an action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_name: Option<String>,
    /// Every pair that was decided, in order.
    pub trace: Trace,
}

impl Explanation {
    /// The bytes that are kept, and that the record commits to.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        match serde_json::to_vec(self) {
            Ok(bytes) => bytes,
            Err(_) => unreachable!("an explanation has text keys only, and writing to memory does not fail"),
        }
    }
}

/// Sees every decision of one call.
#[derive(Debug, Default)]
pub(super) struct Witness {
    /// Whether what is allowed is to be explained too.
    whole: bool,
    seen: RefCell<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    traces: Vec<Trace>,
    allowed_by: Vec<Value>,
}

impl Witness {
    /// A witness that explains what is allowed too, or denials alone.
    pub(super) fn new(whole: bool) -> Self {
        Self { whole, ..Self::default() }
    }

    /// Sees a decision; says why when it is a denial.
    pub(super) fn see(&self, decision: &Decision, request: &Request<'_>) -> Option<String> {
        let mut seen = self.seen.borrow_mut();
        if decision.is_allowed() {
            seen.allowed_by.push(allowed_by(decision, request));
            if self.whole {
                seen.traces.push(explain(request));
            }
            return None;
        }
        let trace = explain(request);
        let why = why_denied(decision, &trace);
        seen.traces.push(trace);
        Some(why)
    }

    /// The trace of all that was seen; none when nothing was explained.
    pub(super) fn trace(&self) -> Option<Trace> {
        std::mem::take(&mut self.seen.borrow_mut().traces).into_iter().reduce(Trace::join)
    }

    /// What allowed each pair, for the record.
    pub(super) fn allowed_by(&self) -> Vec<Value> {
        std::mem::take(&mut self.seen.borrow_mut().allowed_by)
    }
}

/// What allowed a pair, in a word: the layer, and the policy and statement or the grant.
fn allowed_by(decision: &Decision, request: &Request<'_>) -> Value {
    let mut note = Map::new();
    note.insert("action".into(), json!(decision.action()));
    note.insert("check".into(), json!(decision.deciding().as_str()));
    match decision.decisive() {
        Decisive::Statement(place) => {
            let identity: Option<&NamedPolicy<'_>> = match decision.deciding() {
                CheckType::Principal => request.layers.identity.get(place.policy),
                _ => None,
            };
            let policy = identity.map(|named| named.policy).or(request.layers.resource);
            if let Some(named) = identity {
                note.insert("policy".into(), json!(named.name));
            }
            note.insert("statement".into(), json!(place.statement + 1));
            if let Some((Some(sid), _)) = policy.and_then(|policy| policy.statement(place.statement)) {
                note.insert("sid".into(), json!(sid));
            }
        }
        Decisive::Grant(index) => {
            let grant = request.grants.get(index);
            note.insert("grantId".into(), json!(grant.map(|grant| grant.id)));
            if let Some(name) = grant.and_then(|grant| grant.name) {
                note.insert("grantName".into(), json!(name));
            }
        }
        Decisive::Nothing => {}
    }
    Value::Object(note)
}

/// Why a call was denied, in one line: which statement denied it, or what the statement that came closest to allowing it
/// lacked.
fn why_denied(decision: &Decision, trace: &Trace) -> String {
    let told = match decision.effect() {
        DecisionEffect::ExplicitDeny => denying_statement(trace),
        _ => missed_condition(trace),
    };
    told.unwrap_or_else(|| in_general(decision, trace))
}

fn denying_statement(trace: &Trace) -> Option<String> {
    let (check, statement) =
        statements(trace).find(|(_, statement)| statement.effect == Effect::Deny && statement.applies)?;
    let met: Vec<String> = statement.conditions.iter().map(ConditionTrace::met).collect();
    let since = if met.is_empty() { String::new() } else { format!(": {}", met.join("; ")) };
    Some(format!(
        "{} of {} denies it, and no Allow outweighs that{since}",
        name_of(statement.sid.as_deref(), statement.index),
        policy_of(check, &statement.policy, decision_is_about_a_key(trace)),
    ))
}

/// The Allow that failed on nothing but a condition.
fn missed_condition(trace: &Trace) -> Option<String> {
    // A statement of another layer would change nothing alone, but a key policy's where identity policies have no Allow.
    let would_do = |miss: &&NearMiss| {
        miss.check == trace.deciding
            || miss.check == CheckType::Resource && trace.deciding == CheckType::Principal
    };
    trace.near_misses.iter().filter(would_do).find_map(|miss| {
        let condition = condition_of(trace, miss)?;
        Some(format!(
            "{} of {} would allow it, but {}",
            name_of(miss.sid.as_deref(), miss.index),
            policy_of(miss.check, &miss.policy, decision_is_about_a_key(trace)),
            comparison(condition)
        ))
    })
}

fn condition_of<'t>(trace: &'t Trace, miss: &NearMiss) -> Option<&'t ConditionTrace> {
    let FailedElement::Condition(number) = miss.element else { return None };
    let (_, statement) = statements(trace).find(|(check, statement)| {
        *check == miss.check && statement.policy == miss.policy && statement.index == miss.index
    })?;
    statement.conditions.get(number)
}

fn statements(trace: &Trace) -> impl Iterator<Item = (CheckType, &StatementTrace)> {
    let checks = trace.pairs.iter().flat_map(|pair| &pair.checks);
    checks.flat_map(|check| check.statements.iter().map(|statement| (check.check, statement)))
}

fn comparison(condition: &ConditionTrace) -> String {
    let ConditionTrace { key, operator, actual, .. } = condition;
    let wanted = condition.wanted();
    match actual {
        Actual::Missing => format!("the request has no `{key}` and {operator} wants it {wanted}"),
        Actual::Values(values) => {
            format!("`{key}` is {} and {operator} wants it {wanted}", quoted(values.iter()))
        }
    }
}

fn name_of(sid: Option<&str>, index: usize) -> String {
    sid.map_or_else(|| format!("statement {}", index + 1), |sid| format!("the statement `{sid}`"))
}

fn policy_of(check: CheckType, name: &str, key: bool) -> String {
    match check {
        CheckType::Resource if key => "the key policy".into(),
        CheckType::Resource => "the resource's policy".into(),
        CheckType::Principal => format!("the identity policy `{name}`"),
        CheckType::VpcEndpoint => format!("the policy of the VPC endpoint `{name}`"),
        check => format!("the {} `{name}`", check.in_words()),
    }
}

fn decision_is_about_a_key(trace: &Trace) -> bool {
    trace.pairs.iter().all(|pair| is_key(&pair.resource))
}

fn is_key(resource: &str) -> bool {
    resource.starts_with("arn:aws:kms:") && resource.contains(":key/")
}

fn in_general(decision: &Decision, trace: &Trace) -> String {
    match (decision.effect(), decision.deciding()) {
        (DecisionEffect::ExplicitDeny, check) => {
            format!("a Deny of a {} matches, and no Allow outweighs it", check.in_words())
        }
        (_, CheckType::Resource) if is_key(decision.resource()) => {
            "the key policy neither allows the caller nor leaves it to the account's identity policies".into()
        }
        (_, CheckType::Resource) => {
            "it belongs to another account, and nothing there lets the caller in".into()
        }
        (_, CheckType::Principal) => "no identity policy of the caller allows it on this resource".into(),
        (_, CheckType::VpcEndpoint) => {
            match trace.pairs.first().and_then(|pair| pair.vpc_endpoint.as_ref()) {
                Some(id) => format!("the policy of the VPC endpoint `{id}` does not allow it"),
                None => "the VPC endpoint's policy does not allow it".into(),
            }
        }
        (_, check) => format!("no {} allows it", check.in_words()),
    }
}
