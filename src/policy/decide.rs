//! The decision.

use super::{CheckType, Decision, DecisionEffect, Decisive, Request, decision::Verdict};

/// Decides one (action, resource) pair.
pub fn decide(request: &Request<'_>) -> Decision {
    let verdict = Verdict {
        effect: DecisionEffect::ImplicitDeny,
        check: CheckType::Resource,
        decisive: Decisive::Nothing,
    };
    Decision::new(verdict, request.principal.name(), request.action, request.resource.as_str())
}
