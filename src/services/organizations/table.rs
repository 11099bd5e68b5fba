//! The table of all operations of AWS Organizations.

use super::*;
use crate::services::query::OperationEntry;

/// All operations, by family.
pub const OPERATIONS: &[OperationEntry] = &[
    OperationEntry::of::<CreateOrganization>(),
    OperationEntry::of::<DescribeOrganization>(),
    OperationEntry::of::<DeleteOrganization>(),
    OperationEntry::of::<ListRoots>(),
    OperationEntry::of::<CreateOrganizationalUnit>(),
    OperationEntry::of::<DescribeOrganizationalUnit>(),
    OperationEntry::of::<UpdateOrganizationalUnit>(),
    OperationEntry::of::<DeleteOrganizationalUnit>(),
    OperationEntry::of::<ListOrganizationalUnitsForParent>(),
    OperationEntry::of::<ListChildren>(),
    OperationEntry::of::<ListParents>(),
    OperationEntry::of::<CreateAccount>(),
    OperationEntry::of::<DescribeAccount>(),
    OperationEntry::of::<ListAccounts>(),
    OperationEntry::of::<ListAccountsForParent>(),
    OperationEntry::of::<MoveAccount>(),
    OperationEntry::of::<RemoveAccountFromOrganization>(),
    OperationEntry::of::<EnablePolicyType>(),
    OperationEntry::of::<DisablePolicyType>(),
    OperationEntry::of::<CreatePolicy>(),
    OperationEntry::of::<UpdatePolicy>(),
    OperationEntry::of::<DescribePolicy>(),
    OperationEntry::of::<DeletePolicy>(),
    OperationEntry::of::<ListPolicies>(),
    OperationEntry::of::<AttachPolicy>(),
    OperationEntry::of::<DetachPolicy>(),
    OperationEntry::of::<ListPoliciesForTarget>(),
    OperationEntry::of::<ListTargetsForPolicy>(),
];
