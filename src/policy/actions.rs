//! What the decision must know about single KMS actions.
//!
//! Source: "Key policies – allowing users in other accounts to use a KMS key" and "AWS KMS permissions" (KMS developer
//! guide). All names in lower case.

/// Actions that another account can be allowed; any other permission given to one has no effect.
const CROSS_ACCOUNT: &[&str] = &[
    "kms:creategrant",
    "kms:decapsulate",
    "kms:decrypt",
    "kms:derivesharedsecret",
    "kms:describekey",
    "kms:encapsulate",
    "kms:encrypt",
    "kms:generatedatakey",
    "kms:generatedatakeypair",
    "kms:generatedatakeypairwithoutplaintext",
    "kms:generatedatakeywithoutplaintext",
    "kms:generatemac",
    "kms:getkeyrotationstatus",
    "kms:getpublickey",
    "kms:listgrants",
    "kms:reencryptfrom",
    "kms:reencryptto",
    "kms:retiregrant",
    "kms:revokegrant",
    "kms:sign",
    "kms:verify",
    "kms:verifymac",
];

/// Actions on no key, or on one that is only being made: identity policies decide alone.
const WITHOUT_KEY: &[&str] = &[
    "kms:connectcustomkeystore",
    "kms:createcustomkeystore",
    "kms:createkey",
    "kms:deletecustomkeystore",
    "kms:describecustomkeystores",
    "kms:disconnectcustomkeystore",
    "kms:generaterandom",
    "kms:listaliases",
    "kms:listkeys",
    "kms:listretirablegrants",
    "kms:tagresource",
    "kms:updatecustomkeystore",
];

/// Actions on an alias, for which identity policies decide alone. (Each needs its key too: another pair.)
const ON_ALIAS: &[&str] = &["kms:createalias", "kms:deletealias", "kms:updatealias"];

/// Whether the action works on another account's key.
pub(super) fn is_cross_account(action: &str) -> bool {
    CROSS_ACCOUNT.contains(&action)
}

/// Whether a KMS action (in any case) is one on a key, or on an alias of one.
#[must_use]
pub fn needs_key(action: &str) -> bool {
    !is_without_key(&action.to_ascii_lowercase())
}

/// Whether the action needs no key.
pub(super) fn is_without_key(action: &str) -> bool {
    WITHOUT_KEY.contains(&action)
}

/// Whether the action is one on aliases.
pub(super) fn is_on_alias(action: &str) -> bool {
    ON_ALIAS.contains(&action)
}

/// Whether the action assumes a role, so that the role's trust policy has the say.
pub(super) fn is_assuming(action: &str) -> bool {
    action.starts_with("sts:")
}

/// Retiring is a right that the grant gives; an Allow in a key policy has no effect.
pub(super) fn is_retiring(action: &str) -> bool {
    action == "kms:retiregrant"
}
