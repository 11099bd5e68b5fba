//! The table of all operations of the token service.

use super::{
    super::query::OperationEntry, AssumeRole, AssumeRoleWithWebIdentity, GetAccessKeyInfo, GetCallerIdentity,
    GetFederationToken, GetSessionToken,
};

/// All operations.
pub const OPERATIONS: &[OperationEntry] = &[
    OperationEntry::of::<AssumeRole>(),
    OperationEntry::of::<AssumeRoleWithWebIdentity>(),
    OperationEntry::of::<GetCallerIdentity>(),
    OperationEntry::of::<GetSessionToken>(),
    OperationEntry::of::<GetFederationToken>(),
    OperationEntry::of::<GetAccessKeyInfo>(),
];
