//! Grants: what one says, and whether it fits a request.
//!
//! Source: "Grants in AWS KMS" and "CreateGrant" (KMS developer guide, KMS API reference). A grant can neither deny nor
//! beat a Deny; it stands in for the key policy's side and for the identity policies' side.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::{AccountId, EncryptionContext, ParseError, PrincipalArn, PrincipalKind};

use super::request::{PrincipalFacts, Request};

macro_rules! grant_operations {
    ($($name:ident,)+) => {
        /// An operation that a grant can carry (KMS API, `GrantOperation`).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum GrantOperation { $(#[doc = concat!("`kms:", stringify!($name), "`")] $name,)+ }

        impl GrantOperation {
            /// All of them, in the order of the KMS API reference.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The name on the wire.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }

            /// The operation of this name, as the wire spells it.
            #[must_use]
            pub fn from_wire(text: &str) -> Option<Self> {
                match text { $(stringify!($name) => Some(Self::$name),)+ _ => None }
            }
        }
    };
}

grant_operations! {
    Decrypt, Encrypt, GenerateDataKey, GenerateDataKeyWithoutPlaintext, ReEncryptFrom, ReEncryptTo, Sign, Verify,
    GetPublicKey, CreateGrant, RetireGrant, DescribeKey, GenerateDataKeyPair, GenerateDataKeyPairWithoutPlaintext,
    GenerateMac, VerifyMac, DeriveSharedSecret, Encapsulate, Decapsulate,
}

impl GrantOperation {
    /// The operation that a policy's action (in any case) stands for.
    #[must_use]
    pub fn from_action(action: &str) -> Option<Self> {
        let (service, name) = action.split_once(':')?;
        let of_kms = service.eq_ignore_ascii_case("kms");
        Self::ALL.iter().copied().find(|operation| of_kms && operation.as_str().eq_ignore_ascii_case(name))
    }

    /// Whether encryption context constraints count: symmetric cryptographic operations only.
    #[must_use]
    pub fn takes_encryption_context(self) -> bool {
        matches!(
            self,
            Self::Decrypt
                | Self::Encrypt
                | Self::GenerateDataKey
                | Self::GenerateDataKeyWithoutPlaintext
                | Self::GenerateDataKeyPair
                | Self::GenerateDataKeyPairWithoutPlaintext
                | Self::ReEncryptFrom
                | Self::ReEncryptTo
        )
    }
}

impl fmt::Display for GrantOperation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// A set of operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(from = "Vec<GrantOperation>", into = "Vec<GrantOperation>")]
pub struct GrantOperations(u32);

impl GrantOperations {
    /// Whether `operation` is in the set.
    #[must_use]
    pub fn contains(self, operation: GrantOperation) -> bool {
        self.0 & Self::bit(operation) != 0
    }

    /// Whether every operation of this set is in `other`.
    #[must_use]
    pub fn is_subset_of(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The operations, in the order of [`GrantOperation::ALL`].
    pub fn iter(self) -> impl Iterator<Item = GrantOperation> {
        GrantOperation::ALL.iter().copied().filter(move |operation| self.contains(*operation))
    }

    /// With `operation`.
    #[must_use]
    pub fn with(self, operation: GrantOperation) -> Self {
        Self(self.0 | Self::bit(operation))
    }

    fn bit(operation: GrantOperation) -> u32 {
        1 << (operation as u32)
    }
}

impl FromIterator<GrantOperation> for GrantOperations {
    fn from_iter<I: IntoIterator<Item = GrantOperation>>(operations: I) -> Self {
        Self(operations.into_iter().fold(0, |set, operation| set | Self::bit(operation)))
    }
}

impl From<Vec<GrantOperation>> for GrantOperations {
    fn from(operations: Vec<GrantOperation>) -> Self {
        operations.into_iter().collect()
    }
}

impl From<GrantOperations> for Vec<GrantOperation> {
    fn from(operations: GrantOperations) -> Self {
        operations.iter().collect()
    }
}

/// What a grant asks of the encryption context. Keys compare without case, values with case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum GrantConstraint {
    /// Exactly these pairs.
    EncryptionContextEquals(EncryptionContext),
    /// At least these pairs.
    EncryptionContextSubset(EncryptionContext),
}

impl GrantConstraint {
    /// Whether an encryption context satisfies the constraint.
    #[must_use]
    pub fn admits(&self, context: &EncryptionContext) -> bool {
        match self {
            Self::EncryptionContextEquals(pairs) => {
                context.len() == pairs.len() && holds_all(context, pairs) && holds_all(pairs, context)
            }
            Self::EncryptionContextSubset(pairs) => holds_all(context, pairs),
        }
    }

    /// Whether this constraint admits nothing that `parent` refuses.
    #[must_use]
    pub fn is_as_strict_as(&self, parent: &Self) -> bool {
        match (self, parent) {
            (Self::EncryptionContextEquals(pairs), _) => parent.admits(pairs),
            (Self::EncryptionContextSubset(pairs), Self::EncryptionContextSubset(least)) => {
                holds_all(pairs, least)
            }
            (Self::EncryptionContextSubset(_), Self::EncryptionContextEquals(_)) => false,
        }
    }
}

fn holds_all(context: &EncryptionContext, pairs: &EncryptionContext) -> bool {
    pairs.iter().all(|(key, value)| {
        context.iter().any(|(k, v)| v == value && (k == key || k.to_lowercase() == key.to_lowercase()))
    })
}

impl GrantConstraint {
    /// The pairs it asks for.
    #[must_use]
    pub fn pairs(&self) -> &EncryptionContext {
        match self {
            Self::EncryptionContextEquals(pairs) | Self::EncryptionContextSubset(pairs) => pairs,
        }
    }

    /// Its name: the value of `kms:GrantConstraintType`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::EncryptionContextEquals(_) => "EncryptionContextEquals",
            Self::EncryptionContextSubset(_) => "EncryptionContextSubset",
        }
    }
}

/// One live grant on the key in question.
#[derive(Debug, Clone, Copy)]
pub struct GrantFacts<'a> {
    /// The grant's id.
    pub id: &'a str,
    /// The name that it was given.
    pub name: Option<&'a str>,
    /// Who may use it: an account (its root ARN), user, role, federated user or session.
    pub grantee: &'a PrincipalArn,
    /// The unique id of the grantee when the grant was made; none when it has none.
    pub grantee_id: Option<&'a str>,
    /// Who may retire it besides.
    pub retiring: Option<&'a PrincipalArn>,
    /// The unique id of the retiring principal when the grant was made; none when it has none.
    pub retiring_id: Option<&'a str>,
    /// The account in which it was made.
    pub issuing_account: Option<&'a AccountId>,
    /// What it allows.
    pub operations: GrantOperations,
    /// What it asks of the encryption context.
    pub constraint: Option<&'a GrantConstraint>,
}

/// A grant that a `kms:CreateGrant` request would make.
#[derive(Debug, Clone, Copy)]
pub struct ChildGrant<'a> {
    /// What it would allow.
    pub operations: GrantOperations,
    /// What it would ask of the encryption context.
    pub constraint: Option<&'a GrantConstraint>,
}

/// How a grant's grantee (or retiring principal) fits the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum GranteeMatch {
    /// The caller itself, or its role.
    Direct,
    /// The caller's account.
    Account,
    /// Somebody else.
    None,
}

/// Whether a grant's constraint holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ConstraintResult {
    /// There is none.
    None,
    /// There is one, and it does not count for this operation.
    NotApplicable,
    /// The encryption context satisfies it.
    Satisfied,
    /// It does not.
    Violated,
    /// The grant to be made would be wider than this one.
    Wider,
}

/// How one grant fits a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GrantFit {
    pub(super) grantee: GranteeMatch,
    pub(super) operation: bool,
    pub(super) constraint: ConstraintResult,
}

impl GrantFit {
    /// How the grant allows: directly, by way of the account, or not at all.
    pub(super) fn allows(self) -> GranteeMatch {
        let satisfied = !matches!(self.constraint, ConstraintResult::Violated | ConstraintResult::Wider);
        if self.operation && satisfied { self.grantee } else { GranteeMatch::None }
    }
}

/// How `grant` fits `request`, which asks for `operation`.
pub(super) fn fit(
    grant: &GrantFacts<'_>,
    request: &Request<'_>,
    operation: Option<GrantOperation>,
) -> GrantFit {
    let mut grantee = principal_match(grant.grantee, grant.grantee_id, request.principal);
    let mut carries = operation.is_some_and(|operation| grant.operations.contains(operation));
    if operation == Some(GrantOperation::RetireGrant) {
        // Retiring is the right of the retiring principal and of the creating account, whatever the operations.
        let retiring = grant
            .retiring
            .map_or(GranteeMatch::None, |one| principal_match(one, grant.retiring_id, request.principal));
        let creator = grant.issuing_account.is_some() && grant.issuing_account == request.principal.account();
        if !carries || grantee != GranteeMatch::Direct {
            let by_account = creator || (carries && grantee == GranteeMatch::Account);
            grantee = match retiring {
                GranteeMatch::None if by_account => GranteeMatch::Account,
                other => other,
            };
        }
        carries = carries || grantee != GranteeMatch::None;
    }
    GrantFit { grantee, operation: carries, constraint: constraint_result(grant, request, operation) }
}

fn constraint_result(
    grant: &GrantFacts<'_>,
    request: &Request<'_>,
    operation: Option<GrantOperation>,
) -> ConstraintResult {
    if operation == Some(GrantOperation::CreateGrant) {
        // A request that does not say which grant it would make cannot be shown to be narrow enough.
        let narrow = request.child_grant.is_some_and(|child| {
            child.operations.is_subset_of(grant.operations)
                && grant.constraint.is_none_or(|parent| {
                    child.constraint.is_some_and(|constraint| constraint.is_as_strict_as(parent))
                })
        });
        return if narrow { ConstraintResult::Satisfied } else { ConstraintResult::Wider };
    }
    let Some(constraint) = grant.constraint else { return ConstraintResult::None };
    if !operation.is_some_and(GrantOperation::takes_encryption_context) {
        return ConstraintResult::NotApplicable;
    }
    let empty = EncryptionContext::default();
    if constraint.admits(request.encryption_context.unwrap_or(&empty)) {
        ConstraintResult::Satisfied
    } else {
        ConstraintResult::Violated
    }
}

/// Whether a grant's principal is the caller. An account as grantee delegates, as in a key policy: AWS is silent
/// on it, and the stricter reading is that it hands out nothing by itself (its root user apart).
fn principal_match(named: &PrincipalArn, id: Option<&str>, caller: &PrincipalFacts) -> GranteeMatch {
    let same = [caller.arn(), caller.issuer()].into_iter().flatten().any(|arn| arn == named);
    if named.kind() == PrincipalKind::Root {
        let of_account = caller.account() == Some(named.account());
        return if of_account && caller.is_root() {
            GranteeMatch::Direct
        } else if of_account {
            GranteeMatch::Account
        } else {
            GranteeMatch::None
        };
    }
    let same_id = id.is_none_or(|id| caller.unique_id() == Some(id));
    if same && same_id { GranteeMatch::Direct } else { GranteeMatch::None }
}

impl fmt::Display for GrantOperations {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.iter().map(GrantOperation::as_str).collect();
        formatter.write_str(&names.join(", "))
    }
}

/// Operations by their names on the wire.
///
/// # Errors
///
/// When a name is not one of [`GrantOperation`].
pub fn parse_operations<'n>(names: impl IntoIterator<Item = &'n str>) -> Result<GrantOperations, ParseError> {
    names
        .into_iter()
        .map(|name| {
            GrantOperation::from_wire(name).ok_or_else(|| {
                ParseError::new(format!("`{name}` is not an operation that a grant can carry"))
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &[(&str, &str)]) -> EncryptionContext {
        EncryptionContext::from_pairs(list.iter().copied()).unwrap()
    }

    #[test]
    fn constraints_compare_keys_without_case_and_values_with_case() {
        let equals = GrantConstraint::EncryptionContextEquals(pairs(&[("App", "x")]));
        assert!(equals.admits(&pairs(&[("app", "x")])));
        assert!(!equals.admits(&pairs(&[("app", "X")])));
        assert!(!equals.admits(&pairs(&[("app", "x"), ("more", "y")])));
        let subset = GrantConstraint::EncryptionContextSubset(pairs(&[("app", "x")]));
        assert!(subset.admits(&pairs(&[("app", "x"), ("more", "y")])));
        assert!(!subset.admits(&pairs(&[("more", "y")])));
    }

    #[test]
    fn a_child_is_no_wider_than_its_parent() {
        let equals = |list: &[(&str, &str)]| GrantConstraint::EncryptionContextEquals(pairs(list));
        let subset = |list: &[(&str, &str)]| GrantConstraint::EncryptionContextSubset(pairs(list));
        assert!(subset(&[("a", "1"), ("b", "2")]).is_as_strict_as(&subset(&[("a", "1")])));
        assert!(!subset(&[("a", "1")]).is_as_strict_as(&subset(&[("a", "1"), ("b", "2")])));
        assert!(equals(&[("a", "1"), ("b", "2")]).is_as_strict_as(&subset(&[("a", "1")])));
        assert!(!subset(&[("a", "1")]).is_as_strict_as(&equals(&[("a", "1")])));
    }

    #[test]
    fn actions_name_operations_in_any_case() {
        assert_eq!(GrantOperation::from_action("KMS:decrypt"), Some(GrantOperation::Decrypt));
        assert_eq!(GrantOperation::from_action("kms:PutKeyPolicy"), None);
        assert_eq!(GrantOperation::from_action("s3:Decrypt"), None);
    }
}
