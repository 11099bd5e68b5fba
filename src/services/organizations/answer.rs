//! What AWS Organizations answers, in the shapes of AWS.

use serde::Serialize;

use super::{
    access::{Arns, MANAGEMENT_NAME, ROOT_NAME, Target},
    value::FeatureSet,
};
use crate::{
    model::{
        AccountId, ChildId, ControlPolicyId, ControlPolicyType, OrganizationId, ParentId, RootId, TargetId,
        Timestamp, UnitId,
    },
    services::{iam::time, query::Answer},
    world::{ControlPolicy, Membership, Organization, OrganizationalUnit, World},
};

/// The organization.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct OrganizationDetail {
    /// Its id.
    pub id: OrganizationId,
    /// Its ARN.
    pub arn: String,
    /// What it is for.
    pub feature_set: FeatureSet,
    /// The ARN of the account that manages it.
    pub master_account_arn: String,
    /// That account.
    pub master_account_id: AccountId,
    /// The control policies that it can have.
    pub available_policy_types: Vec<PolicyTypeSummary>,
}

impl OrganizationDetail {
    pub(super) fn of(world: &World, organization: &Organization) -> Self {
        let (arns, master) = (Arns::of(world, organization), &world.settings().account);
        Self {
            id: organization.id.clone(),
            arn: arns.organization(),
            feature_set: FeatureSet::All,
            master_account_arn: arns.account(master),
            master_account_id: master.clone(),
            available_policy_types: ControlPolicyType::ALL.map(PolicyTypeSummary::of).into(),
        }
    }
}

impl Answer for OrganizationDetail {}

/// A type of control policies that is in force.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PolicyTypeSummary {
    /// The type.
    #[serde(rename = "Type")]
    pub policy_type: ControlPolicyType,
    /// `ENABLED`.
    pub status: &'static str,
}

impl PolicyTypeSummary {
    fn of(policy_type: ControlPolicyType) -> Self {
        Self { policy_type, status: "ENABLED" }
    }
}

/// The root.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RootDetail {
    /// Its id.
    pub id: RootId,
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: &'static str,
    /// The control policies in force.
    pub policy_types: Vec<PolicyTypeSummary>,
}

impl RootDetail {
    pub(super) fn of(world: &World, organization: &Organization) -> Self {
        Self {
            id: organization.root.clone(),
            arn: Arns::of(world, organization).root(&organization.root),
            name: ROOT_NAME,
            policy_types: organization.policy_types.iter().copied().map(PolicyTypeSummary::of).collect(),
        }
    }
}

impl Answer for RootDetail {}

/// An organizational unit.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct UnitDetail {
    /// Its id.
    pub id: UnitId,
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
}

impl UnitDetail {
    pub(super) fn of(arns: Arns<'_>, unit: &OrganizationalUnit) -> Self {
        Self { id: unit.id.clone(), arn: arns.unit(&unit.id), name: unit.name.clone() }
    }
}

impl Answer for UnitDetail {}

/// An account of the organization.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AccountDetail {
    /// Its id.
    pub id: AccountId,
    /// Its ARN.
    pub arn: String,
    /// Its owner's e-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Its name.
    pub name: String,
    /// `ACTIVE`: no account is ever closed here.
    pub status: &'static str,
    /// How it joined: the management account counts as invited.
    pub joined_method: &'static str,
    /// When it joined.
    #[serde(serialize_with = "time")]
    pub joined_timestamp: Timestamp,
}

impl AccountDetail {
    pub(super) fn of(world: &World, arns: Arns<'_>, id: &AccountId, membership: &Membership) -> Self {
        let account = world.account(id);
        Self {
            id: id.clone(),
            arn: arns.account(id),
            email: account.and_then(|account| account.email.clone()),
            name: account.map_or_else(|| MANAGEMENT_NAME.into(), |account| account.name.clone()),
            status: "ACTIVE",
            joined_method: if account.is_some() { "CREATED" } else { "INVITED" },
            joined_timestamp: membership.joined,
        }
    }
}

impl Answer for AccountDetail {}

/// How the making of an account went.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateAccountStatus {
    /// The request's id.
    pub id: String,
    /// The account's name.
    pub account_name: String,
    /// `SUCCEEDED`: it is done at once.
    pub state: &'static str,
    /// When it was asked for.
    #[serde(serialize_with = "time")]
    pub requested_timestamp: Timestamp,
    /// When it was done.
    #[serde(serialize_with = "time")]
    pub completed_timestamp: Timestamp,
    /// The account.
    pub account_id: AccountId,
}

impl Answer for CreateAccountStatus {}

/// What holds an account or a unit.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Parent {
    /// Its id.
    pub id: ParentId,
    /// What it is.
    #[serde(rename = "Type")]
    pub parent_type: &'static str,
}

impl From<ParentId> for Parent {
    fn from(id: ParentId) -> Self {
        let parent_type = match id {
            ParentId::Root(_) => "ROOT",
            ParentId::Unit(_) => "ORGANIZATIONAL_UNIT",
        };
        Self { id, parent_type }
    }
}

impl Answer for Parent {}

/// What a root or a unit holds.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Child {
    /// Its id.
    pub id: ChildId,
    /// What it is.
    #[serde(rename = "Type")]
    pub child_type: &'static str,
}

impl From<ChildId> for Child {
    fn from(id: ChildId) -> Self {
        let child_type = match id {
            ChildId::Account(_) => "ACCOUNT",
            ChildId::Unit(_) => "ORGANIZATIONAL_UNIT",
        };
        Self { id, child_type }
    }
}

impl Answer for Child {}

/// A control policy without its text.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PolicySummary {
    /// Its id.
    pub id: ControlPolicyId,
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// What sort it is.
    #[serde(rename = "Type")]
    pub policy_type: ControlPolicyType,
    /// Whether AWS made it.
    pub aws_managed: bool,
}

impl PolicySummary {
    pub(super) fn of(arns: Arns<'_>, policy: &ControlPolicy) -> Self {
        Self {
            id: policy.id.clone(),
            arn: arns.policy(&policy.id, policy.policy_type),
            name: policy.name.clone(),
            description: policy.description.clone(),
            policy_type: policy.policy_type,
            aws_managed: policy.is_aws_managed(),
        }
    }
}

impl Answer for PolicySummary {}

/// A control policy.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PolicyDetail {
    /// All but its text.
    pub policy_summary: PolicySummary,
    /// Its text.
    pub content: String,
}

impl PolicyDetail {
    pub(super) fn of(arns: Arns<'_>, policy: &ControlPolicy) -> Self {
        Self { policy_summary: PolicySummary::of(arns, policy), content: policy.document.text().to_owned() }
    }
}

impl Answer for PolicyDetail {}

/// What a control policy hangs on.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PolicyTarget {
    /// Its id.
    pub target_id: TargetId,
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// What it is.
    #[serde(rename = "Type")]
    pub target_type: &'static str,
}

impl PolicyTarget {
    pub(super) fn of(arns: Arns<'_>, target: &Target) -> Self {
        let target_id = target.id();
        let target_type = match target_id {
            TargetId::Root(_) => "ROOT",
            TargetId::Unit(_) => "ORGANIZATIONAL_UNIT",
            TargetId::Account(_) => "ACCOUNT",
        };
        Self { arn: arns.target(&target_id), name: target.name().to_owned(), target_type, target_id }
    }
}

impl Answer for PolicyTarget {}
