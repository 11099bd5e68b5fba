//! The policies of organization and network that bear on a call: whatever others allow, each must let it pass.
//!
//! Source: "SCP evaluation" and "RCP evaluation" (Organizations user guide). Service control policies are those of the
//! caller's account, resource control policies those of the resource's. Neither touches what the management account does
//! or owns, nor accounts that stand alone.

use std::sync::{Arc, LazyLock};

use super::authentication::AppliedPolicy;
use crate::{
    model::{AccountId, ControlPolicyType},
    policy::{NamedPolicy, Policy, PolicyKind},
    world::{VpcEndpoint, World},
};

/// The control policies of one type that bear on an account, by level from the root down.
pub(super) struct GuardRails(Vec<Vec<AppliedPolicy>>);

impl GuardRails {
    /// Those that bear on this account; none for a service, which has none.
    pub(super) fn of(world: &World, account: Option<&AccountId>, policy_type: ControlPolicyType) -> Self {
        let levels = account.map(|account| world.control_levels(account, policy_type)).unwrap_or_default();
        let levels = levels.into_iter().map(|level| {
            let named = level.policies.iter().map(|policy| {
                AppliedPolicy::new(
                    format!("{} on {}", policy.name, level.target),
                    Arc::clone(&policy.document),
                )
            });
            named.collect()
        });
        Self(levels.collect())
    }

    /// By level, with the names that explanations call them by.
    pub(super) fn named(&self) -> Vec<Vec<NamedPolicy<'_>>> {
        self.0.iter().map(|level| level.iter().map(Into::into).collect()).collect()
    }
}

/// What may pass through an endpoint: nothing that is for another service than the one it leads to.
pub(super) fn way_through(endpoint: &VpcEndpoint, action: &str) -> Arc<Policy> {
    Arc::clone(if endpoint.leads_to(action) { &endpoint.policy } else { &NO_WAY })
}

/// A policy that allows nothing.
static NO_WAY: LazyLock<Arc<Policy>> =
    LazyLock::new(|| match Policy::parse(r#"{"Statement": []}"#, PolicyKind::VpcEndpoint) {
        Ok(policy) => Arc::new(policy),
        Err(_) => unreachable!("this text is a constant, and a test reads it"),
    });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_allows_nothing_is_a_policy() {
        assert_eq!(NO_WAY.statement_count(), 0);
    }
}
