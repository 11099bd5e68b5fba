//! Which actions there are, and which one a misspelt name means.
//!
//! Source: "Actions, resources, and condition keys for AWS Key Management Service" (service authorization reference). An
//! action that does not exist matches `kms:*` as any other does, so whoever asks about one by mistake would hear that it is
//! allowed. AWS's simulators answer that, and policies may name what does not exist; a question of one's own may not.

use strsim::osa_distance;
use thiserror::Error;

/// Every action of KMS, sorted.
pub const KMS_ACTIONS: &[&str] = &[
    "CancelKeyDeletion",
    "ConnectCustomKeyStore",
    "CreateAlias",
    "CreateCustomKeyStore",
    "CreateGrant",
    "CreateKey",
    "Decapsulate",
    "Decrypt",
    "DeleteAlias",
    "DeleteCustomKeyStore",
    "DeleteImportedKeyMaterial",
    "DeriveSharedSecret",
    "DescribeCustomKeyStores",
    "DescribeKey",
    "DisableKey",
    "DisableKeyRotation",
    "DisconnectCustomKeyStore",
    "EnableKey",
    "EnableKeyRotation",
    "Encapsulate",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyPair",
    "GenerateDataKeyPairWithoutPlaintext",
    "GenerateDataKeyWithoutPlaintext",
    "GenerateMac",
    "GenerateRandom",
    "GetKeyLastUsage",
    "GetKeyPolicy",
    "GetKeyRotationStatus",
    "GetParametersForImport",
    "GetPublicKey",
    "ImportKeyMaterial",
    "ListAliases",
    "ListGrants",
    "ListKeyPolicies",
    "ListKeyRotations",
    "ListKeys",
    "ListResourceTags",
    "ListRetirableGrants",
    "PutKeyPolicy",
    "ReEncryptFrom",
    "ReEncryptTo",
    "ReplicateKey",
    "RetireGrant",
    "RevokeGrant",
    "RotateKeyOnDemand",
    "ScheduleKeyDeletion",
    "Sign",
    "SynchronizeMultiRegionKey",
    "TagResource",
    "UntagResource",
    "UpdateAlias",
    "UpdateCustomKeyStore",
    "UpdateKeyDescription",
    "UpdatePrimaryRegion",
    "Verify",
    "VerifyMac",
];

/// An action that its service does not have.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("there is no action `{action}`")]
pub struct UnknownAction {
    action: String,
    meant: Option<String>,
}

impl UnknownAction {
    /// The action that was probably meant.
    #[must_use]
    pub fn meant(&self) -> Option<&str> {
        self.meant.as_deref()
    }
}

/// Looks whether KMS has this action (in any case). Actions of other services are not looked at.
///
/// # Errors
///
/// When KMS has no such action.
pub fn check_kms_action(action: &str) -> Result<(), UnknownAction> {
    match action.split_once(':') {
        Some((service, _)) if service.eq_ignore_ascii_case("kms") => check_action(action, KMS_ACTIONS),
        _ => Ok(()),
    }
}

/// Looks whether an action (in any case) is one of its service's, whose names these are.
///
/// # Errors
///
/// When it is not.
pub fn check_action(action: &str, names: &[&str]) -> Result<(), UnknownAction> {
    let (service, name) = action.split_once(':').unwrap_or_default();
    if names.iter().any(|one| one.eq_ignore_ascii_case(name)) {
        return Ok(());
    }
    let meant = nearest(name, names).map(|meant| format!("{}:{meant}", service.to_ascii_lowercase()));
    Err(UnknownAction { action: action.into(), meant })
}

/// Whether one action's name is a misspelling of the other, or the beginning of it; both with their service.
pub(super) fn are_alike(one: &str, other: &str) -> bool {
    let (one, other) = (one.to_ascii_lowercase(), other.to_ascii_lowercase());
    let (short, long) = if one.len() < other.len() { (&one, &other) } else { (&other, &one) };
    let name = short.split_once(':').map_or("", |(_, name)| name);
    (!name.is_empty() && long.starts_with(short.as_str())) || osa_distance(&one, &other) <= 1
}

/// More slips than these are another word. (`Encrypt` and `Decrypt` are two apart: not enough to be taken for each other.)
const SLIPS_MAX: usize = 2;

/// The name that is spelt most like this one; none when all are other words. One that goes on after it comes first.
fn nearest<'n>(name: &str, names: &[&'n str]) -> Option<&'n str> {
    let name = name.to_ascii_lowercase();
    let slips_max = SLIPS_MAX.min(name.len() / 3);
    let rank = |one: &str| {
        let one = one.to_ascii_lowercase();
        let slips = osa_distance(&name, &one);
        (slips <= slips_max).then_some((!one.starts_with(&name), slips))
    };
    let ranked = names.iter().filter_map(|one| Some((rank(one)?, *one)));
    ranked.min_by_key(|(rank, _)| *rank).map(|(_, one)| one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_exists_or_the_one_that_was_meant_is_told() {
        for known in ["kms:Encrypt", "KMS:encrypt", "kms:Sign", "kms:ReEncryptTo", "s3:Anything", "kms"] {
            assert_eq!(check_kms_action(known), Ok(()), "{known}");
        }
        for (unknown, meant) in [
            ("kms:Encrpyt", Some("kms:Encrypt")),
            ("KMS:dekrypt", Some("kms:Decrypt")),
            ("kms:GenerateDataKeys", Some("kms:GenerateDataKey")),
            ("kms:ReEncrypt", Some("kms:ReEncryptTo")),
            ("kms:Foo", None),
            ("kms:", None),
        ] {
            let error = check_kms_action(unknown).unwrap_err();
            assert_eq!(error.meant(), meant, "{unknown}");
            assert_eq!(error.to_string(), format!("there is no action `{unknown}`"));
        }
        assert!(KMS_ACTIONS.is_sorted());
    }

    #[test]
    fn alike_is_what_a_slip_of_the_pen_or_an_ending_makes() {
        for (one, other, alike) in [
            ("kms:Decrypt", "kms:Decrpyt", true),
            ("kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", true),
            ("kms:Decrypt", "kms:DescribeKey", false),
            ("kms:Encrypt", "kms:Decrypt", false),
            ("kms:", "kms:Decrypt", false),
            ("s3:GetObject", "kms:Decrypt", false),
        ] {
            assert_eq!(are_alike(one, other), alike, "{one} {other}");
            assert_eq!(are_alike(other, one), alike, "{one} {other}");
        }
    }
}
