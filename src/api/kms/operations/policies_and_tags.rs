//! Key policies and tags.

use serde::Serialize;
use serde_json::json;

use super::Begun;
use crate::{
    api::{
        error::WireError,
        json::written,
        kms::{
            Pending,
            pages::Limits,
            parameters::{Parameters, tags},
        },
    },
    kms::{
        GetKeyPolicy, KEY_POLICY_NAME, ListKeyPolicies, ListResourceTags, PutKeyPolicy, TagResource,
        UntagResource,
    },
    model::ErrorCode,
};

pub(super) fn get_key_policy(request: &Begun<'_>) -> Result<Pending, WireError> {
    check_policy_name(&request.parameters)?;
    request.call(&GetKeyPolicy { key_id: request.parameters.key("KeyId")? }, |policy| {
        written(&json!({"Policy": policy, "PolicyName": KEY_POLICY_NAME}))
    })
}

pub(super) fn put_key_policy(request: &Begun<'_>) -> Result<Pending, WireError> {
    let parameters = &request.parameters;
    check_policy_name(parameters)?;
    request.call_for_nothing(&PutKeyPolicy {
        key_id: parameters.key("KeyId")?,
        policy: parameters.text("Policy").unwrap_or_default().to_owned(),
        bypass_policy_lockout_safety_check: parameters.flag("BypassPolicyLockoutSafetyCheck"),
    })
}

fn check_policy_name(parameters: &Parameters<'_>) -> Result<(), WireError> {
    match parameters.text("PolicyName") {
        None | Some(KEY_POLICY_NAME) => Ok(()),
        Some(_) => Err(WireError::new(ErrorCode::NotFound.as_str(), "No such policy exists")),
    }
}

pub(super) fn list_key_policies(request: &Begun<'_>) -> Result<Pending, WireError> {
    let wanted = request.wanted(Limits::LONG)?;
    request.call(&ListKeyPolicies { key_id: request.parameters.key("KeyId")? }, move |names| {
        written(&wanted.page("ListKeyPolicies", "PolicyNames", names, ToString::to_string))
    })
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    tag_key: String,
    tag_value: String,
}

pub(super) fn list_resource_tags(request: &Begun<'_>) -> Result<Pending, WireError> {
    let wanted = request.wanted(Limits::TAGS)?;
    request.call(&ListResourceTags { key_id: request.parameters.key("KeyId")? }, move |tags| {
        let tag = |(key, value): (&str, &str)| Tag { tag_key: key.into(), tag_value: value.into() };
        let tags = tags.iter().map(tag).collect();
        written(&wanted.page("ListResourceTags", "Tags", tags, |tag: &Tag| tag.tag_key.clone()))
    })
}

pub(super) fn tag_resource(request: &Begun<'_>) -> Result<Pending, WireError> {
    let parameters = &request.parameters;
    let operation = TagResource { key_id: parameters.key("KeyId")?, tags: tags(parameters.tag_pairs())? };
    request.call_for_nothing(&operation)
}

pub(super) fn untag_resource(request: &Begun<'_>) -> Result<Pending, WireError> {
    let parameters = &request.parameters;
    let tag_keys = parameters.list("TagKeys").filter_map(|key| key.as_str().map(str::to_owned)).collect();
    request.call_for_nothing(&UntagResource { key_id: parameters.key("KeyId")?, tag_keys })
}
