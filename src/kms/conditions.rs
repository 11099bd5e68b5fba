//! The condition keys of a request: each filled exactly when AWS fills it.
//!
//! Source: "AWS KMS condition keys" (KMS developer guide) and "AWS global condition context keys" (IAM user guide).

use super::{Call, PENDING_WINDOW_MAX, ROTATION_PERIOD_DEFAULT, call::NamedKey};
use crate::{
    model::{AccountId, Days, EncryptionContext, KeyOrigin, KeySpec, KeyUsage, Tags, Tier},
    policy::{ConditionContext, Resource},
};

/// What an operation adds to the condition keys of a request about a key.
#[derive(Debug, Default)]
pub(crate) struct KeyConditions<'a> {
    /// The encryption context, of the operations that take one; empty counts as none.
    pub(crate) encryption_context: Option<&'a EncryptionContext>,
    /// Whether the operation fills `kms:EncryptionAlgorithm`.
    pub(crate) algorithm: bool,
    /// Whether the operation fills `kms:RequestAlias` when the key was named by an alias.
    pub(crate) request_alias: bool,
    /// Whether source and destination are one key, of ReEncrypt.
    pub(crate) re_encrypt_on_same_key: Option<bool>,
    /// Of EnableKeyRotation.
    pub(crate) rotation_period: Option<Days>,
    /// Of ScheduleKeyDeletion.
    pub(crate) pending_window: Option<Days>,
    /// Of PutKeyPolicy.
    pub(crate) bypass_lockout_check: Option<bool>,
    /// Tags that the request hands in.
    pub(crate) request_tags: Option<&'a Tags>,
    /// Tag keys that the request hands in.
    pub(crate) tag_keys: Option<&'a [String]>,
}

impl<'a> KeyConditions<'a> {
    /// Of Encrypt, Decrypt and the GenerateDataKey family.
    pub(crate) fn cryptographic(context: &'a EncryptionContext) -> Self {
        Self { encryption_context: Some(context), algorithm: true, request_alias: true, ..Self::default() }
    }

    /// Of the operation that asks for an action, as far as the action alone tells: what a request hands in it has as it
    /// is when nothing is said.
    pub(super) fn of_action(action: &str, context: &'a EncryptionContext) -> Self {
        match action.to_ascii_lowercase().as_str() {
            "kms:encrypt" | "kms:decrypt" | "kms:generatedatakey" | "kms:generatedatakeywithoutplaintext" => {
                Self::cryptographic(context)
            }
            "kms:reencryptfrom" | "kms:reencryptto" => {
                Self { re_encrypt_on_same_key: Some(false), ..Self::cryptographic(context) }
            }
            "kms:describekey" => Self { request_alias: true, ..Self::default() },
            "kms:putkeypolicy" => Self { bypass_lockout_check: Some(false), ..Self::default() },
            "kms:enablekeyrotation" => {
                Self { rotation_period: Some(ROTATION_PERIOD_DEFAULT), ..Self::default() }
            }
            "kms:schedulekeydeletion" => Self { pending_window: Some(PENDING_WINDOW_MAX), ..Self::default() },
            _ => Self::default(),
        }
    }
}

/// The global keys of this call.
pub(super) fn global(call: &Call<'_>) -> ConditionContext {
    let mut context = ConditionContext::new();
    let region = &call.world.settings().region;
    context.principal(call.authenticated.facts()).time(call.now).region(region);
    context.secure_transport(call.caller.is_secure_transport()).user_agent(call.caller.user_agent());
    match call.caller.via() {
        None => {
            context.called_via(&[]).source_ip(call.caller.source_ip());
        }
        Some(service) => {
            context.called_via(&[service.principal()]);
        }
    }
    if let Some(identity) = call.authenticated.identity() {
        context.principal_tags(identity.tags.iter());
    }
    context
}

/// `aws:ResourceAccount`.
pub(super) fn of_owner(context: &mut ConditionContext, owner: &AccountId) {
    context.set("aws:ResourceAccount", owner.as_str());
}

/// What CreateKey, and the check of the policy of a key to be, know of a symmetric key.
pub(super) fn of_symmetric_key(context: &mut ConditionContext) {
    context.set("kms:KeySpec", KeySpec::SymmetricDefault.as_str());
    context.set("kms:KeyUsage", KeyUsage::EncryptDecrypt.as_str());
    context.set("kms:KeyOrigin", KeyOrigin::AwsKms.as_str()).set_bool("kms:MultiRegion", false);
}

/// The keys of a request about a KMS key.
pub(super) fn of_key(
    context: &mut ConditionContext,
    call: &Call<'_>,
    named: &NamedKey,
    more: &KeyConditions<'_>,
) {
    let key = &named.key;
    let resource = Resource::key(&key.arn);
    context.resource(&resource, call.authenticated.facts());
    context.set("kms:KeySpec", key.spec.as_str()).set("kms:KeyUsage", key.usage.as_str());
    context.set("kms:KeyOrigin", key.origin.as_str()).set_bool("kms:MultiRegion", false);
    context.resource_tags(&resource, key.tags.iter());
    context.resource_aliases(call.world.aliases_of(&key.arn).map(|alias| alias.name.to_string()));
    if let Some(service) = call.caller.via() {
        let region = &call.world.settings().region;
        context.set("kms:ViaService", format!("{}.{region}.amazonaws.com", service.name()));
    }
    if key.tier == Tier::AwsOwned {
        context.set("kms:CallerAccount", call.caller.account().as_str());
    }
    if let (true, Some(alias)) = (more.request_alias, &named.alias) {
        context.set("kms:RequestAlias", alias.as_str());
    }
    if let Some(encryption_context) = more.encryption_context {
        context.encryption_context(encryption_context);
    }
    if more.algorithm {
        context.set("kms:EncryptionAlgorithm", "SYMMETRIC_DEFAULT");
    }
    if let Some(same) = more.re_encrypt_on_same_key {
        context.set_bool("kms:ReEncryptOnSameKey", same);
    }
    if let Some(days) = more.rotation_period {
        context.set("kms:RotationPeriodInDays", days.get().to_string());
    }
    if let Some(days) = more.pending_window {
        context.set("kms:ScheduleKeyDeletionPendingWindowInDays", days.get().to_string());
    }
    if let Some(bypass) = more.bypass_lockout_check {
        context.set_bool("kms:BypassPolicyLockoutSafetyCheck", bypass);
    }
    if let Some(tags) = more.request_tags {
        context.request_tags(tags.iter());
    }
    if let Some(keys) = more.tag_keys {
        context.set_many("aws:TagKeys", keys.iter().cloned());
    }
}
