//! What each KMS operation needs, in one table: its (action, resource) pairs, the condition keys it fills, the key states
//! that admit it, and whether it takes grant tokens and `DryRun`.
//!
//! Source: "AWS KMS permissions", "Key states of AWS KMS keys" and "AWS KMS condition keys" (KMS developer guide), and the
//! service model for `GrantTokens` and `DryRun`. Operations do not repeat what stands here: they ask, and the door holds
//! them to it. One that asks for a pair that is not in its row fails, and one that succeeds without having asked for each
//! of its pairs does too.

use crate::policy::works_across_accounts;

/// The service whose operations the table holds.
pub(super) const EVENT_SOURCE: &str = "kms.amazonaws.com";

/// One operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OperationRow {
    /// Its name.
    pub name: &'static str,
    /// What must be allowed, all of it.
    pub pairs: &'static [Pair],
    /// The condition keys that it fills, beside those of every request about a key.
    pub fills: &'static [Fill],
    /// The states of its key that admit it.
    pub states: States,
    /// Whether it takes grant tokens.
    pub grant_tokens: bool,
    /// Whether it takes `DryRun`.
    pub dry_run: bool,
}

/// One (action, resource) pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// The action, such as `kms:Decrypt`.
    pub action: &'static str,
    /// What it is needed on.
    pub on: On,
}

/// What a pair is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    /// The one key.
    Key,
    /// The key that a ciphertext is under.
    SourceKey,
    /// The key that it shall be under.
    DestinationKey,
    /// The key that an alias points to.
    OldKey,
    /// The key that it shall point to.
    NewKey,
    /// The alias, by identity policy.
    Alias,
    /// No resource, `*`, by identity policy.
    Nothing,
    /// The same, when the request gives tags.
    NothingWhenTagged,
    /// The retiring principal, by identity policy.
    RetiringPrincipal,
}

/// The sorts of resources, as the policy decision tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// A key: its policy has the first say.
    Key,
    /// Something with an ARN and no policy of its own.
    Other,
    /// `*`.
    Nothing,
}

impl On {
    /// The sort of resource.
    #[must_use]
    pub const fn subject(self) -> Subject {
        match self {
            Self::Key | Self::SourceKey | Self::DestinationKey | Self::OldKey | Self::NewKey => Subject::Key,
            Self::Alias | Self::RetiringPrincipal => Subject::Other,
            Self::Nothing | Self::NothingWhenTagged => Subject::Nothing,
        }
    }
}

/// Condition keys that only some operations fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fill {
    /// `kms:EncryptionContext:…` and `kms:EncryptionContextKeys`; absent when the context is empty.
    EncryptionContext,
    /// `kms:EncryptionAlgorithm`.
    EncryptionAlgorithm,
    /// `kms:RequestAlias`, when the key was named by an alias.
    RequestAlias,
    /// `kms:ReEncryptOnSameKey`.
    ReEncryptOnSameKey,
    /// `kms:RotationPeriodInDays`, when the request gives one.
    RotationPeriodInDays,
    /// `kms:ScheduleKeyDeletionPendingWindowInDays`.
    PendingWindowInDays,
    /// `kms:BypassPolicyLockoutSafetyCheck`.
    BypassPolicyLockoutSafetyCheck,
    /// `aws:RequestTag/…` and `aws:TagKeys`, when the request gives tags.
    RequestTags,
    /// `aws:TagKeys`.
    TagKeys,
    /// `kms:GranteePrincipal`, `kms:GrantOperations`; where the request gives them `kms:RetiringPrincipal` and
    /// `kms:GrantConstraintType`.
    Grant,
    /// `kms:GrantIsForAWSResource`.
    GrantIsForAwsResource,
}

/// The states of a key that admit an operation; in others it fails with the code that AWS's table gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum States {
    /// Every state, or there is no key.
    Any,
    /// Enabled and disabled.
    NotPendingDeletion,
    /// Enabled alone.
    Enabled,
    /// In its deletion window alone.
    PendingDeletion,
}

impl OperationRow {
    /// The row of an operation of this service and name.
    #[must_use]
    pub const fn find(event_source: &str, name: &str) -> Option<&'static Self> {
        if !same(event_source, EVENT_SOURCE) {
            return None;
        }
        let mut rest: &'static [Self] = OPERATIONS;
        while let [row, others @ ..] = rest {
            if same(row.name, name) {
                return Some(row);
            }
            rest = others;
        }
        None
    }

    /// The row of an operation that asks for this action (in any case) on this sort of resource.
    pub(super) fn asking(action: &str, subject: Subject) -> Option<&'static Self> {
        let asks = |pair: &Pair| pair.on.subject() == subject && pair.action.eq_ignore_ascii_case(action);
        OPERATIONS.iter().find(|row| row.pairs.iter().any(asks))
    }

    /// Whether a principal of another account can be allowed it.
    #[must_use]
    pub fn across_accounts(&self) -> bool {
        self.pairs.iter().any(|pair| pair.on.subject() == Subject::Key && works_across_accounts(pair.action))
    }

    /// Whether identity policies decide alone: no key policy has a say.
    #[must_use]
    pub fn identity_policies_alone(&self) -> bool {
        self.pairs.iter().all(|pair| pair.on.subject() != Subject::Key)
    }

    /// Whether it fills these keys.
    #[must_use]
    pub fn fills(&self, keys: Fill) -> bool {
        self.fills.contains(&keys)
    }

    /// Whether this pair is one of its own.
    pub(super) fn may_ask(&self, action: &str, subject: Subject) -> bool {
        self.pairs.iter().any(|pair| pair.action == action && pair.on.subject() == subject)
    }

    /// A pair of its own that `asked` lacks, if one does.
    pub(super) fn unasked(&self, asked: &[(&'static str, Subject)]) -> Option<&'static Pair> {
        let count = |action: &str, subject: Subject| {
            asked.iter().filter(|(one, of)| *one == action && *of == subject).count()
        };
        let needed = self.pairs.iter().filter(|pair| pair.on != On::NothingWhenTagged);
        let mut needed_so_far: Vec<(&str, Subject)> = Vec::new();
        for pair in needed {
            let wanted = (pair.action, pair.on.subject());
            needed_so_far.push(wanted);
            let needed = needed_so_far.iter().filter(|one| **one == wanted).count();
            if count(pair.action, pair.on.subject()) < needed {
                return Some(pair);
            }
        }
        None
    }

    const fn new(name: &'static str, pairs: &'static [Pair], states: States) -> Self {
        Self { name, pairs, fills: &[], states, grant_tokens: false, dry_run: false }
    }

    const fn filling(self, fills: &'static [Fill]) -> Self {
        Self { fills, ..self }
    }

    const fn with_grant_tokens(self) -> Self {
        Self { grant_tokens: true, ..self }
    }

    const fn with_dry_run(self) -> Self {
        Self { dry_run: true, ..self }
    }

    /// An operation that uses a symmetric key's material.
    const fn cryptographic(name: &'static str, pairs: &'static [Pair]) -> Self {
        const FILLS: &[Fill] = &[Fill::EncryptionContext, Fill::EncryptionAlgorithm, Fill::RequestAlias];
        Self::new(name, pairs, States::Enabled).filling(FILLS).with_grant_tokens().with_dry_run()
    }
}

const fn same(one: &str, other: &str) -> bool {
    let (mut one, mut other) = (one.as_bytes(), other.as_bytes());
    while let ([a, one_rest @ ..], [b, other_rest @ ..]) = (one, other) {
        if *a != *b {
            return false;
        }
        (one, other) = (one_rest, other_rest);
    }
    one.is_empty() && other.is_empty()
}

/// Declares pairs: `pairs!["kms:CreateAlias" on Alias, "kms:CreateAlias" on Key]`.
macro_rules! pairs {
    ($($action:literal on $on:ident),+) => { &[$(Pair { action: $action, on: On::$on }),+] };
}

/// Every KMS operation of this keystore, by name.
pub const OPERATIONS: &[OperationRow] = &[
    OperationRow::new("CancelKeyDeletion", pairs!["kms:CancelKeyDeletion" on Key], States::PendingDeletion),
    OperationRow::new(
        "CreateAlias",
        pairs!["kms:CreateAlias" on Alias, "kms:CreateAlias" on Key],
        States::NotPendingDeletion,
    ),
    OperationRow::new("CreateGrant", pairs!["kms:CreateGrant" on Key], States::Enabled)
        .filling(&[Fill::Grant, Fill::GrantIsForAwsResource, Fill::EncryptionContext])
        .with_grant_tokens()
        .with_dry_run(),
    OperationRow::new(
        "CreateKey",
        pairs!["kms:CreateKey" on Nothing, "kms:TagResource" on NothingWhenTagged],
        States::Any,
    )
    .filling(&[Fill::BypassPolicyLockoutSafetyCheck, Fill::RequestTags]),
    OperationRow::cryptographic("Decrypt", pairs!["kms:Decrypt" on Key]),
    OperationRow::new(
        "DeleteAlias",
        pairs!["kms:DeleteAlias" on Alias, "kms:DeleteAlias" on Key],
        States::Any,
    ),
    OperationRow::new("DescribeKey", pairs!["kms:DescribeKey" on Key], States::Any)
        .filling(&[Fill::RequestAlias])
        .with_grant_tokens(),
    OperationRow::new("DisableKey", pairs!["kms:DisableKey" on Key], States::NotPendingDeletion),
    OperationRow::new("DisableKeyRotation", pairs!["kms:DisableKeyRotation" on Key], States::Enabled),
    OperationRow::new("EnableKey", pairs!["kms:EnableKey" on Key], States::NotPendingDeletion),
    OperationRow::new("EnableKeyRotation", pairs!["kms:EnableKeyRotation" on Key], States::Enabled)
        .filling(&[Fill::RotationPeriodInDays]),
    OperationRow::cryptographic("Encrypt", pairs!["kms:Encrypt" on Key]),
    OperationRow::cryptographic("GenerateDataKey", pairs!["kms:GenerateDataKey" on Key]),
    OperationRow::cryptographic(
        "GenerateDataKeyWithoutPlaintext",
        pairs!["kms:GenerateDataKeyWithoutPlaintext" on Key],
    ),
    OperationRow::new("GenerateRandom", pairs!["kms:GenerateRandom" on Nothing], States::Any),
    OperationRow::new("GetKeyLastUsage", pairs!["kms:GetKeyLastUsage" on Key], States::Any),
    OperationRow::new("GetKeyPolicy", pairs!["kms:GetKeyPolicy" on Key], States::Any),
    OperationRow::new("GetKeyRotationStatus", pairs!["kms:GetKeyRotationStatus" on Key], States::Any),
    OperationRow::new("ListAliases", pairs!["kms:ListAliases" on Nothing], States::Any),
    OperationRow::new("ListGrants", pairs!["kms:ListGrants" on Key], States::Any)
        .filling(&[Fill::GrantIsForAwsResource]),
    OperationRow::new("ListKeyPolicies", pairs!["kms:ListKeyPolicies" on Key], States::Any),
    OperationRow::new("ListKeyRotations", pairs!["kms:ListKeyRotations" on Key], States::Any),
    OperationRow::new("ListKeys", pairs!["kms:ListKeys" on Nothing], States::Any),
    OperationRow::new("ListResourceTags", pairs!["kms:ListResourceTags" on Key], States::Any),
    OperationRow::new(
        "ListRetirableGrants",
        pairs!["kms:ListRetirableGrants" on RetiringPrincipal],
        States::Any,
    ),
    OperationRow::new("PutKeyPolicy", pairs!["kms:PutKeyPolicy" on Key], States::Any)
        .filling(&[Fill::BypassPolicyLockoutSafetyCheck]),
    OperationRow::cryptographic(
        "ReEncrypt",
        pairs!["kms:ReEncryptFrom" on SourceKey, "kms:ReEncryptTo" on DestinationKey],
    )
    .filling(&[
        Fill::EncryptionContext,
        Fill::EncryptionAlgorithm,
        Fill::RequestAlias,
        Fill::ReEncryptOnSameKey,
    ]),
    OperationRow::new("RetireGrant", pairs!["kms:RetireGrant" on Key], States::Any).with_dry_run(),
    OperationRow::new("RevokeGrant", pairs!["kms:RevokeGrant" on Key], States::Any)
        .filling(&[Fill::GrantIsForAwsResource])
        .with_dry_run(),
    OperationRow::new("RotateKeyOnDemand", pairs!["kms:RotateKeyOnDemand" on Key], States::Enabled),
    OperationRow::new(
        "ScheduleKeyDeletion",
        pairs!["kms:ScheduleKeyDeletion" on Key],
        States::NotPendingDeletion,
    )
    .filling(&[Fill::PendingWindowInDays]),
    OperationRow::new("TagResource", pairs!["kms:TagResource" on Key], States::NotPendingDeletion)
        .filling(&[Fill::RequestTags]),
    OperationRow::new("UntagResource", pairs!["kms:UntagResource" on Key], States::NotPendingDeletion)
        .filling(&[Fill::TagKeys]),
    OperationRow::new(
        "UpdateAlias",
        pairs!["kms:UpdateAlias" on Alias, "kms:UpdateAlias" on OldKey, "kms:UpdateAlias" on NewKey],
        States::NotPendingDeletion,
    ),
    OperationRow::new(
        "UpdateKeyDescription",
        pairs!["kms:UpdateKeyDescription" on Key],
        States::NotPendingDeletion,
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_by_service_and_name() {
        for row in OPERATIONS {
            assert_eq!(OperationRow::find(EVENT_SOURCE, row.name), Some(row));
            assert_eq!(OperationRow::find("s3.amazonaws.com", row.name), None);
        }
        assert_eq!(OperationRow::find(EVENT_SOURCE, "Encryp"), None);
        assert!(OPERATIONS.is_sorted_by_key(|row| row.name));
    }

    #[test]
    fn what_works_across_accounts_is_what_aws_lists() {
        let across: Vec<_> =
            OPERATIONS.iter().filter(|row| row.across_accounts()).map(|row| row.name).collect();
        let listed = [
            "CreateGrant",
            "Decrypt",
            "DescribeKey",
            "Encrypt",
            "GenerateDataKey",
            "GenerateDataKeyWithoutPlaintext",
            "GetKeyRotationStatus",
            "ListGrants",
            "ReEncrypt",
            "RetireGrant",
            "RevokeGrant",
        ];
        assert_eq!(across, listed);
        let alone: Vec<_> =
            OPERATIONS.iter().filter(|row| row.identity_policies_alone()).map(|row| row.name).collect();
        assert_eq!(alone, ["CreateKey", "GenerateRandom", "ListAliases", "ListKeys", "ListRetirableGrants"]);
    }

    #[test]
    fn a_pair_that_was_not_asked_for_is_found() {
        let update = OperationRow::find(EVENT_SOURCE, "UpdateAlias").unwrap();
        let (alias, key) = (("kms:UpdateAlias", Subject::Other), ("kms:UpdateAlias", Subject::Key));
        assert_eq!(update.unasked(&[alias, key, key]), None);
        assert_eq!(update.unasked(&[alias, key]).map(|pair| pair.on), Some(On::NewKey));
        assert_eq!(update.unasked(&[key, key]).map(|pair| pair.on), Some(On::Alias));
        let create = OperationRow::find(EVENT_SOURCE, "CreateKey").unwrap();
        assert_eq!(create.unasked(&[("kms:CreateKey", Subject::Nothing)]), None);
        assert!(create.may_ask("kms:TagResource", Subject::Nothing));
        assert!(!create.may_ask("kms:TagResource", Subject::Key));
    }
}
