//! The condition keys of a request: each filled exactly when AWS fills it.
//!
//! Source: "AWS KMS condition keys" (KMS developer guide) and "AWS global condition context keys" (IAM user guide).

use super::{Call, CreateGrant, Fill, PENDING_WINDOW_MAX, ROTATION_PERIOD_DEFAULT, named_key::NamedKey};
use crate::{
    model::{AccountId, Days, EncryptionContext, KeyOrigin, KeySpec, KeyUsage, Tags, Tier},
    policy::{ConditionContext, Resource},
    world::Grant,
};

/// What an operation hands in for the condition keys of a request about a key, and for its grants. Which keys it fills, the
/// table of operations says.
#[derive(Debug, Default)]
pub(crate) struct KeyConditions<'a> {
    /// The encryption context, of the operations that take one; empty counts as none.
    pub(crate) encryption_context: Option<&'a EncryptionContext>,
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
    /// The grant that CreateGrant is to make.
    pub(crate) new_grant: Option<&'a CreateGrant>,
    /// The one grant that RetireGrant is about.
    pub(crate) retired: Option<&'a Grant>,
}

impl<'a> KeyConditions<'a> {
    /// Of Encrypt, Decrypt and the GenerateDataKey family.
    pub(crate) fn cryptographic(context: &'a EncryptionContext) -> Self {
        Self { encryption_context: Some(context), ..Self::default() }
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
    let account = call.authenticated.facts().account();
    if let Some((id, path)) = account.and_then(|account| call.world.organization_path(account)) {
        context.principal_organization(id, &path);
    }
    context.secure_transport(call.caller.is_secure_transport()).user_agent(call.caller.user_agent());
    match call.caller.via() {
        None => {
            context.called_via(&[]);
            of_network(&mut context, call);
        }
        Some(service) => {
            context.called_via(&[service.principal()]);
        }
    }
    of_session(&mut context, call);
    context
}

/// Where a direct call comes from: an address, or a VPC endpoint and an address behind it.
fn of_network(context: &mut ConditionContext, call: &Call<'_>) {
    let address = call.caller.source_ip();
    match call.authenticated.vpc_endpoint() {
        None => context.source_ip(address),
        Some(endpoint) => context.vpc_endpoint(&endpoint.id, &endpoint.vpc, address),
    };
}

/// What follows from the caller's tags, and from temporary credentials.
fn of_session(context: &mut ConditionContext, call: &Call<'_>) {
    context.principal_tags(call.authenticated.tags());
    let Some(temporary) = call.authenticated.temporary() else { return };
    let session = temporary.session.as_deref();
    let mfa = session.is_some_and(|session| session.mfa);
    context.temporary_credentials(temporary.issued, mfa);
    if mfa {
        let age = call.now.as_millis().saturating_sub(temporary.issued.as_millis()) / 1000;
        context.mfa_age(u64::try_from(age).unwrap_or_default());
    }
    if let Some(source) = session.and_then(|session| session.source_identity.as_ref()) {
        context.set("aws:SourceIdentity", source.as_str());
    }
    if let Some(provider) = session.and_then(|session| session.provider.as_ref()) {
        context.set("aws:FederatedProvider", provider.to_string());
    }
}

/// `aws:ResourceAccount`, and what follows from its organization.
pub(super) fn of_owner(context: &mut ConditionContext, call: &Call<'_>, owner: &AccountId) {
    context.set("aws:ResourceAccount", owner.as_str());
    of_owners_organization(context, call, owner);
}

/// `aws:ResourceOrgID` and `aws:ResourceOrgPaths`, of resources whose account belongs to the organization.
pub(super) fn of_owners_organization(context: &mut ConditionContext, call: &Call<'_>, owner: &AccountId) {
    if let Some((id, path)) = call.world.organization_path(owner) {
        context.resource_organization(id, &path);
    }
}

/// What CreateKey, and the check of the policy of a key to be, know of a symmetric key.
pub(super) fn of_symmetric_key(context: &mut ConditionContext) {
    of_spec(context, KeySpec::SymmetricDefault, KeyUsage::EncryptDecrypt);
    context.set("kms:KeyOrigin", KeyOrigin::AwsKms.as_str()).set_bool("kms:MultiRegion", false);
}

/// What a key is, also by the two deprecated names under which policies may still ask for it ("AWS KMS condition keys").
fn of_spec(context: &mut ConditionContext, spec: KeySpec, usage: KeyUsage) {
    context.set("kms:KeySpec", spec.as_str()).set("kms:CustomerMasterKeySpec", spec.as_str());
    context.set("kms:KeyUsage", usage.as_str()).set("kms:CustomerMasterKeyUsage", usage.as_str());
}

/// All keys of a request about a KMS key.
pub(super) fn of_key(call: &Call<'_>, named: &NamedKey, more: &KeyConditions<'_>) -> ConditionContext {
    let (key, mut context) = (&named.key, global(call));
    let resource = Resource::key(&key.arn);
    context.resource(&resource, call.authenticated.facts());
    of_owners_organization(&mut context, call, key.arn.account());
    of_spec(&mut context, key.spec, key.usage);
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
    of_operation(&mut context, call, named, more);
    context
}

/// The keys that the table of operations has for this operation, as far as the request gives them.
fn of_operation(context: &mut ConditionContext, call: &Call<'_>, named: &NamedKey, more: &KeyConditions<'_>) {
    for fill in call.row.map_or(&[][..], |row| row.fills) {
        match fill {
            Fill::EncryptionContext => {
                more.encryption_context.map(|pairs| context.encryption_context(pairs));
            }
            Fill::EncryptionAlgorithm => {
                context.set("kms:EncryptionAlgorithm", "SYMMETRIC_DEFAULT");
            }
            Fill::RequestAlias => {
                named.alias.as_ref().map(|alias| context.set("kms:RequestAlias", alias.as_str()));
            }
            Fill::ReEncryptOnSameKey => {
                more.re_encrypt_on_same_key.map(|same| context.set_bool("kms:ReEncryptOnSameKey", same));
            }
            Fill::RotationPeriodInDays => {
                let period = more.rotation_period.map(|days| days.get().to_string());
                period.map(|days| context.set("kms:RotationPeriodInDays", days));
            }
            Fill::PendingWindowInDays => {
                let window = more.pending_window.map(|days| days.get().to_string());
                window.map(|days| context.set("kms:ScheduleKeyDeletionPendingWindowInDays", days));
            }
            Fill::BypassPolicyLockoutSafetyCheck => {
                let key = "kms:BypassPolicyLockoutSafetyCheck";
                more.bypass_lockout_check.map(|bypass| context.set_bool(key, bypass));
            }
            Fill::RequestTags => {
                more.request_tags.map(|tags| context.request_tags(tags.iter()));
            }
            Fill::TagKeys => {
                more.tag_keys.map(|keys| context.set_many("aws:TagKeys", keys.iter().cloned()));
            }
            Fill::Grant => {
                if let Some(grant) = more.new_grant {
                    of_new_grant(context, grant);
                }
            }
            Fill::GrantIsForAwsResource => {
                // A service that asks on somebody's behalf asks for what it keeps for them.
                context.set_bool("kms:GrantIsForAWSResource", call.caller.via().is_some());
            }
        }
    }
}

fn of_new_grant(context: &mut ConditionContext, grant: &CreateGrant) {
    context.set("kms:GranteePrincipal", grant.grantee_principal.as_str());
    context.set_many("kms:GrantOperations", grant.operations.iter().map(|one| one.as_str()));
    if let Some(retiring) = &grant.retiring_principal {
        context.set("kms:RetiringPrincipal", retiring.as_str());
    }
    if let Some(constraint) = &grant.constraint {
        context.set("kms:GrantConstraintType", constraint.name());
    }
}
