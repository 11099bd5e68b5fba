//! Grants.
//!
//! What a grant can say of service principals and of `SourceArn` is for services of AWS's own, and is not built.

use bytes::Bytes;
use serde_json::Value;

use super::Begun;
use crate::{
    api::{
        error::WireError,
        json::written,
        kms::{
            Pending,
            parameters::{Parameters, grant_token},
        },
    },
    kms::{CreateGrant, GrantPage, ListGrants, ListRetirableGrants, RetireGrant, RevokeGrant, WhichGrant},
    model::{EncryptionContext, ErrorCode, GrantId, PrincipalArn},
    policy::{GrantConstraint, GrantOperation},
};

pub(super) fn create_grant(request: &Begun<'_>) -> Result<Pending, WireError> {
    let parameters = &request.parameters;
    parameters.without(&["GranteeServicePrincipal", "RetiringServicePrincipal"])?;
    parameters.require("GranteePrincipal")?;
    let operations = parameters.list("Operations").filter_map(Value::as_str);
    let operation = CreateGrant {
        key_id: parameters.key("KeyId")?,
        grantee_principal: principal(parameters.text("GranteePrincipal").unwrap_or_default())?,
        retiring_principal: parameters.text("RetiringPrincipal").map(principal).transpose()?,
        operations: operations.filter_map(GrantOperation::from_wire).collect(),
        constraint: constraint(parameters)?,
        name: parameters.text("Name").map(str::parse).transpose()?,
        custom_grant_id: None,
    };
    request.call(&operation, |made| written(&made))
}

/// The constraint that a grant shall have.
fn constraint(parameters: &Parameters<'_>) -> Result<Option<GrantConstraint>, WireError> {
    let Some(members) = parameters.structure("Constraints") else { return Ok(None) };
    members.without(&["SourceArn"])?;
    let context = |name: &str| -> Result<Option<EncryptionContext>, WireError> {
        if members.has(name) { members.context(name).map(Some) } else { Ok(None) }
    };
    match (context("EncryptionContextEquals")?, context("EncryptionContextSubset")?) {
        (None, None) => Ok(None),
        (Some(pairs), None) => Ok(Some(GrantConstraint::EncryptionContextEquals(pairs))),
        (None, Some(pairs)) => Ok(Some(GrantConstraint::EncryptionContextSubset(pairs))),
        (Some(_), Some(_)) => Err(WireError::validation(
            "A grant can have EncryptionContextEquals or EncryptionContextSubset, but not both.",
        )),
    }
}

pub(super) fn list_grants(request: &Begun<'_>) -> Result<Pending, WireError> {
    let parameters = &request.parameters;
    parameters.without(&["GranteeServicePrincipal"])?;
    let operation = ListGrants {
        key_id: parameters.key("KeyId")?,
        grant_id: parameters.text("GrantId").map(grant_id).transpose()?,
        grantee_principal: parameters.text("GranteePrincipal").map(principal).transpose()?,
        limit: parameters.number("Limit"),
        marker: parameters.text("Marker").map(str::to_owned),
    };
    request.call(&operation, page)
}

pub(super) fn list_retirable_grants(request: &Begun<'_>) -> Result<Pending, WireError> {
    let parameters = &request.parameters;
    parameters.without(&["RetiringServicePrincipal"])?;
    parameters.require("RetiringPrincipal")?;
    let operation = ListRetirableGrants {
        retiring_principal: principal(parameters.text("RetiringPrincipal").unwrap_or_default())?,
        limit: parameters.number("Limit"),
        marker: parameters.text("Marker").map(str::to_owned),
    };
    request.call(&operation, page)
}

fn page(page: GrantPage) -> Result<Bytes, WireError> {
    written(&page)
}

pub(super) fn retire_grant(request: &Begun<'_>) -> Result<Pending, WireError> {
    let parameters = &request.parameters;
    let by_id = parameters.has("KeyId") && parameters.has("GrantId");
    let grant = match parameters.text("GrantToken") {
        Some(token) if !parameters.has("KeyId") && !parameters.has("GrantId") => {
            WhichGrant::Token(grant_token(token)?)
        }
        None if by_id => WhichGrant::Id {
            key_id: parameters.key("KeyId")?,
            grant_id: grant_id(parameters.text("GrantId").unwrap_or_default())?,
        },
        _ => {
            return Err(WireError::validation(
                "Please specify either a grant token or both a key ID and a grant ID.",
            ));
        }
    };
    request.call_for_nothing(&RetireGrant { grant })
}

pub(super) fn revoke_grant(request: &Begun<'_>) -> Result<Pending, WireError> {
    let parameters = &request.parameters;
    request.call_for_nothing(&RevokeGrant {
        key_id: parameters.key("KeyId")?,
        grant_id: grant_id(parameters.text("GrantId").unwrap_or_default())?,
    })
}

fn principal(text: &str) -> Result<PrincipalArn, WireError> {
    text.parse().map_err(|_| {
        let message = format!("ARN does not refer to a valid principal: {text}");
        WireError::new(ErrorCode::InvalidArn.as_str(), message)
    })
}

fn grant_id(text: &str) -> Result<GrantId, WireError> {
    text.parse().map_err(|_| WireError::new("InvalidGrantIdException", format!("Invalid grant ID {text}")))
}
