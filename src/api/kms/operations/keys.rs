//! Keys: making, listing and describing them, their states, their last use.

use bytes::Bytes;
use serde_json::json;

use super::Begun;
use crate::{
    api::{
        error::{Protocol, WireError},
        json::{blob, written},
        kms::{
            Pending,
            pages::Limits,
            parameters::{Parameters, SYMMETRIC_DEFAULT, tags},
        },
    },
    kms::{
        CancelKeyDeletion, CreateKey, DescribeKey, DisableKey, EnableKey, GetKeyLastUsage, KeyListEntry,
        KeyMetadata, ListKeys, ScheduleKeyDeletion, UpdateKeyDescription,
    },
    model::KeyArn,
    secret::SecretKey,
};

/// The tags that give a new key an id and a material of one's own, as users of emulators know them.
const CUSTOM_ID_TAG: &str = "_custom_id_";
const CUSTOM_MATERIAL_TAG: &str = "_custom_key_material_";

pub(super) fn key_id_alone(key_id: KeyArn) -> Result<Bytes, WireError> {
    written(&json!({"KeyId": key_id}))
}

fn key_metadata(metadata: KeyMetadata) -> Result<Bytes, WireError> {
    written(&json!({"KeyMetadata": metadata}))
}

pub(super) fn cancel_key_deletion(request: &Begun<'_>) -> Result<Pending, WireError> {
    request.call(&CancelKeyDeletion { key_id: request.parameters.key("KeyId")? }, key_id_alone)
}

pub(super) fn create_key(request: &Begun<'_>) -> Result<Pending, WireError> {
    let parameters = &request.parameters;
    check_kind(parameters)?;
    let pairs = || parameters.tag_pairs();
    let custom = |tag: &str| pairs().find(|(key, _)| *key == tag).map(|(_, value)| value);
    let custom_key_id = match custom(CUSTOM_ID_TAG) {
        None => None,
        Some(id) => Some(id.parse().map_err(|_| {
            WireError::validation(format!(
                "The tag {CUSTOM_ID_TAG} is no key id: letters, digits, '-' and '_'."
            ))
        })?),
    };
    let custom_key_material = match custom(CUSTOM_MATERIAL_TAG) {
        None => None,
        Some(text) => {
            let secret = blob(text).and_then(|bytes| SecretKey::from_slice(&bytes));
            Some(secret.ok_or_else(|| {
                WireError::validation(format!("The tag {CUSTOM_MATERIAL_TAG} must be 32 bytes in base64."))
            })?)
        }
    };
    let operation = CreateKey {
        description: parameters.text("Description").unwrap_or_default().to_owned(),
        policy: parameters.text("Policy").map(str::to_owned),
        // Key material is no tag: a tag is listed and logged.
        tags: tags(pairs().filter(|(key, _)| *key != CUSTOM_MATERIAL_TAG))?,
        bypass_policy_lockout_safety_check: parameters.flag("BypassPolicyLockoutSafetyCheck"),
        custom_key_id,
        custom_key_material,
    };
    request.call(&operation, key_metadata)
}

/// Refuses the kinds of keys that are not built.
fn check_kind(parameters: &Parameters<'_>) -> Result<(), WireError> {
    parameters.without(&["CustomKeyStoreId", "XksKeyId"])?;
    if parameters.has("KeySpec") && parameters.has("CustomerMasterKeySpec") {
        return Err(WireError::validation(
            "You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is deprecated.",
        ));
    }
    let spec = parameters.text("KeySpec").or_else(|| parameters.text("CustomerMasterKeySpec"));
    let spec = spec.unwrap_or(SYMMETRIC_DEFAULT);
    let usage = parameters.text("KeyUsage").unwrap_or("ENCRYPT_DECRYPT");
    if spec != SYMMETRIC_DEFAULT {
        return Err(WireError::unsupported(format!("KeySpec {spec} is not supported.")));
    }
    if usage != "ENCRYPT_DECRYPT" {
        return Err(WireError::validation(format!("KeyUsage {usage} is not compatible with KeySpec {spec}")));
    }
    match parameters.text("Origin") {
        None | Some("AWS_KMS") => {}
        Some(origin) => return Err(WireError::unsupported(format!("Origin {origin} is not supported."))),
    }
    if parameters.flag("MultiRegion") {
        return Err(WireError::unsupported("MultiRegion is not supported."));
    }
    Ok(())
}

pub(super) fn describe_key(request: &Begun<'_>) -> Result<Pending, WireError> {
    request.call(&DescribeKey { key_id: request.parameters.key_or_alias("KeyId")? }, key_metadata)
}

pub(super) fn enable_key(request: &Begun<'_>) -> Result<Pending, WireError> {
    request.call_for_nothing(&EnableKey { key_id: request.parameters.key("KeyId")? })
}

pub(super) fn disable_key(request: &Begun<'_>) -> Result<Pending, WireError> {
    request.call_for_nothing(&DisableKey { key_id: request.parameters.key("KeyId")? })
}

pub(super) fn schedule_key_deletion(request: &Begun<'_>) -> Result<Pending, WireError> {
    let parameters = &request.parameters;
    let operation = ScheduleKeyDeletion {
        key_id: parameters.key("KeyId")?,
        pending_window: parameters.days("PendingWindowInDays"),
    };
    request.call(&operation, |scheduled| written(&scheduled))
}

pub(super) fn list_keys(request: &Begun<'_>) -> Result<Pending, WireError> {
    let wanted = request.wanted(Limits::LONG)?;
    let owners: Vec<_> =
        request.parameters.list("ResourceOwners").filter_map(serde_json::Value::as_str).collect();
    // No account shares its keys by RAM here, so that the others' are none.
    let others_alone = !owners.is_empty() && !owners.contains(&"SELF");
    request.call(&ListKeys::default(), move |mut keys| {
        if others_alone {
            keys.clear();
        }
        written(&wanted.page("ListKeys", "Keys", keys, |key: &KeyListEntry| key.key_arn.to_string()))
    })
}

pub(super) fn update_key_description(request: &Begun<'_>) -> Result<Pending, WireError> {
    let parameters = &request.parameters;
    request.call_for_nothing(&UpdateKeyDescription {
        key_id: parameters.key("KeyId")?,
        description: parameters.text("Description").unwrap_or_default().to_owned(),
    })
}

/// The log answers this one, and is read on a thread that may wait.
pub(super) fn get_key_last_usage(request: &Begun<'_>) -> Result<Pending, WireError> {
    let operation = GetKeyLastUsage { key_id: request.parameters.key("KeyId")? };
    let (keystore, caller) = (request.keystore.clone(), request.caller.clone());
    Ok(Box::pin(async move {
        let read = move || keystore.cloudtrail().key_last_usage(&caller, &operation);
        match tokio::task::spawn_blocking(read).await {
            Ok(Ok(usage)) => written(&usage),
            Ok(Err(error)) => Err(WireError::of_call(&error, Protocol::Json)),
            Err(_) => Err(WireError::new("KMSInternalException", "").with_status(500)),
        }
    }))
}
