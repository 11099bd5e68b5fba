//! What must hold of the principals that a resource's policy names when it is written.
//!
//! Source: "AWS JSON policy elements: Principal" (IAM user guide): each must exist, and what is kept is its unique id.

use std::collections::BTreeMap;

use crate::{
    model::{PrincipalArn, PrincipalKind},
    policy::{BoundPolicy, Policy},
    world::World,
};

/// Binds a policy to the principals that it names; fails with the name of one that does not exist.
pub(crate) fn bind(world: &World, policy: Policy) -> Result<BoundPolicy, String> {
    let mut principals = BTreeMap::new();
    for arn in policy.principals() {
        // A federated user is whoever GetFederationToken calls so: nobody who exists, and the name is all there is.
        if arn.kind() == PrincipalKind::FederatedUser && world.has_account(arn.account()) {
            continue;
        }
        let id = unique_id(world, arn).ok_or_else(|| arn.to_string())?;
        principals.insert(arn.clone(), id);
    }
    if let Some(gone) = policy.principal_ids().find(|id| world.identities().arn_of(id).is_none()) {
        return Err(gone.to_owned());
    }
    Ok(BoundPolicy::new(policy, principals))
}

/// The unique id of a user or role; of a session, its role's.
pub(crate) fn unique_id(world: &World, arn: &PrincipalArn) -> Option<String> {
    world.identity(arn).map(|identity| identity.id().to_string())
}

/// The text of a policy as AWS shows it now: who was renamed stands in it by the new ARN, who is gone by the unique id.
pub(crate) fn shown(world: &World, policy: &BoundPolicy) -> String {
    policy.shown(|arn, id| match unique_id(world, arn) {
        Some(now) if now == id => None,
        _ => Some(world.identities().arn_of(id).map_or_else(|| id.to_owned(), |arn| arn.to_string())),
    })
}
