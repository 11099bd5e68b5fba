//! CreateGrant, ListGrants, ListRetirableGrants, RetireGrant, RevokeGrant.
//!
//! Source: "Grants in AWS KMS" (KMS developer guide) and the five operations in the KMS API reference. What a grant allows
//! is the policy room's to say; how one among many is found, the world's.

mod create;
mod end;
mod list;
#[cfg(test)]
mod tests;

use serde::Serialize;
use serde_json::{Map, Value};

pub use self::{
    create::{
        CONSTRAINT_PAIRS_MAX, CONSTRAINT_VALUE_CHARS_MAX, CreateGrant, CreatedGrant, GRANTS_PER_KEY_MAX,
    },
    end::{RetireGrant, RevokeGrant, WhichGrant},
    list::{GrantListEntry, GrantPage, LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX, ListGrants, ListRetirableGrants},
};
use super::{Call, CallError};
use crate::{
    model::{ErrorCode, GrantId, KeyArn, PrincipalArn, PrincipalKind},
    policy::GrantConstraint,
    world::{GrantPrincipal, World},
};

/// A constraint as requests, answers and records write it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GrantConstraints(#[serde(serialize_with = "as_member")] GrantConstraint);

fn as_member<S: serde::Serializer>(constraint: &GrantConstraint, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map([(constraint.name(), constraint.pairs())])
}

impl From<GrantConstraint> for GrantConstraints {
    fn from(constraint: GrantConstraint) -> Self {
        Self(constraint)
    }
}

/// A constraint as audit records write it: the member's name begins in lower case.
fn recorded(constraint: &GrantConstraint) -> Value {
    let name = match constraint {
        GrantConstraint::EncryptionContextEquals(_) => "encryptionContextEquals",
        GrantConstraint::EncryptionContextSubset(_) => "encryptionContextSubset",
    };
    let pairs = constraint.pairs().iter().map(|(key, value)| (key.to_owned(), value.into()));
    Value::Object(Map::from_iter([(name.to_owned(), Value::Object(pairs.collect()))]))
}

/// The principal that an ARN names, if it exists in this keystore.
///
/// A federated user has no entry of its own; it is taken when its account exists.
fn living_principal(world: &World, arn: &PrincipalArn) -> Option<GrantPrincipal> {
    let unique_id = match arn.kind() {
        PrincipalKind::Root | PrincipalKind::FederatedUser => {
            world.has_account(arn.account()).then_some(None)?
        }
        _ => Some(world.identity(arn)?.id().to_string()),
    };
    Some(GrantPrincipal { arn: arn.clone(), unique_id })
}

/// The same, or AWS's answer when there is none.
fn principal(call: &Call<'_>, arn: &PrincipalArn) -> Result<GrantPrincipal, CallError> {
    living_principal(call.world(), arn).ok_or_else(|| {
        CallError::new(ErrorCode::InvalidArn, format!("ARN does not refer to a valid principal: {arn}"))
            .explained(format!("there is no principal `{arn}` in this keystore"))
    })
}

fn no_such_grant(id: &GrantId, key: &KeyArn) -> CallError {
    CallError::not_found(format!("Grant ID {id} not found")).explained(format!("{key} has no such grant"))
}
