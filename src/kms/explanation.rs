//! Why a call was denied, in one line for the owner of the machine: which statement denied it, or what the statement that
//! came closest to allowing it lacked.

use crate::policy::{
    Actual, CheckType, ConditionTrace, Decision, DecisionEffect, Effect, FailedElement, NearMiss, Request,
    StatementTrace, Trace, explain,
};

/// The line.
pub(super) fn why_denied(decision: &Decision, request: &Request<'_>) -> String {
    let trace = explain(request);
    let told = match decision.effect() {
        DecisionEffect::ExplicitDeny => denying_statement(&trace),
        _ => missed_condition(&trace),
    };
    told.unwrap_or_else(|| in_general(decision))
}

fn denying_statement(trace: &Trace) -> Option<String> {
    let (check, statement) =
        statements(trace).find(|(_, statement)| statement.effect == Effect::Deny && statement.applies)?;
    Some(format!(
        "{} of {} denies it, and no Allow outweighs that",
        name_of(statement.sid.as_deref(), statement.index),
        policy_of(check, &statement.policy, decision_is_about_a_key(trace)),
    ))
}

/// The Allow that failed on nothing but a condition.
fn missed_condition(trace: &Trace) -> Option<String> {
    trace.near_misses.iter().find_map(|miss| {
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
    let ConditionTrace { key, operator, expected, actual, .. } = condition;
    let wanted = expected.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(" or ");
    match actual {
        Actual::Missing => format!("the request has no `{key}` and {operator} wants {wanted}"),
        Actual::Values(values) => {
            let values = values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", ");
            format!("`{key}` is {values} and {operator} wants {wanted}")
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
        check => format!("`{name}` ({check})"),
    }
}

fn decision_is_about_a_key(trace: &Trace) -> bool {
    trace.pairs.iter().all(|pair| is_key(&pair.resource))
}

fn is_key(resource: &str) -> bool {
    resource.starts_with("arn:aws:kms:") && resource.contains(":key/")
}

fn in_general(decision: &Decision) -> String {
    match (decision.effect(), decision.deciding()) {
        (DecisionEffect::ExplicitDeny, check) => {
            format!("a Deny matches ({check}), and no Allow outweighs it")
        }
        (_, CheckType::Resource) if is_key(decision.resource()) => {
            "the key policy neither allows the caller nor leaves it to the account's identity policies".into()
        }
        (_, CheckType::Resource) => {
            "it belongs to another account, and nothing there lets the caller in".into()
        }
        (_, CheckType::Principal) => "no identity policy of the caller allows it on this resource".into(),
        (_, check) => format!("the check that does not allow it is {check}"),
    }
}
