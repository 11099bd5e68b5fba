//! Aliases.

use super::Begun;
use crate::{
    api::{
        error::WireError,
        json::written,
        kms::{Pending, pages::Limits, parameters::Parameters},
    },
    kms::{AliasListEntry, CreateAlias, DeleteAlias, ListAliases, UpdateAlias},
    model::{AliasName, ErrorCode, KeyRef},
};

/// What AWS says of the name of an alias that is to be made without its prefix, and of one that there may be.
const NEW_WITHOUT_PREFIX: &str = "Alias must start with the prefix \"alias/\". Please see \
                                  https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html";
const WITHOUT_PREFIX: &str = "Invalid identifier";

/// An alias's name, or AWS's refusal of what the model lets through; in these words when its prefix is missing.
fn alias_name(parameters: &Parameters<'_>, without_prefix: &str) -> Result<AliasName, WireError> {
    let text = parameters.text("AliasName").unwrap_or_default();
    let invalid = |message: &str| WireError::new(ErrorCode::InvalidAliasName.as_str(), message);
    if !text.starts_with("alias/") {
        return Err(WireError::validation(without_prefix));
    }
    text.parse().map_err(|_| invalid(&format!("{text} contains invalid characters for an alias")))
}

/// The key an alias shall point to; the operation says why it cannot be an alias.
fn target_key(parameters: &Parameters<'_>) -> Result<KeyRef, WireError> {
    parameters.key_or_alias("TargetKeyId")
}

pub(super) fn create_alias(request: &Begun<'_>) -> Result<Pending, WireError> {
    let parameters = &request.parameters;
    request.call_for_nothing(&CreateAlias {
        alias_name: alias_name(parameters, NEW_WITHOUT_PREFIX)?,
        target_key_id: target_key(parameters)?,
    })
}

pub(super) fn update_alias(request: &Begun<'_>) -> Result<Pending, WireError> {
    let parameters = &request.parameters;
    request.call_for_nothing(&UpdateAlias {
        alias_name: alias_name(parameters, WITHOUT_PREFIX)?,
        target_key_id: target_key(parameters)?,
    })
}

pub(super) fn delete_alias(request: &Begun<'_>) -> Result<Pending, WireError> {
    request.call_for_nothing(&DeleteAlias { alias_name: alias_name(&request.parameters, WITHOUT_PREFIX)? })
}

pub(super) fn list_aliases(request: &Begun<'_>) -> Result<Pending, WireError> {
    let wanted = request.wanted(Limits::SHORT)?;
    let key_id = if request.parameters.has("KeyId") { Some(request.parameters.key("KeyId")?) } else { None };
    request.call(&ListAliases { key_id }, move |aliases| {
        let place = |alias: &AliasListEntry| alias.alias_name.to_string();
        written(&wanted.page("ListAliases", "Aliases", aliases, place))
    })
}
