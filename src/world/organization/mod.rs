//! The organization as a part of the world: its root, its units, who stands where, and which control policies hang on what.
//!
//! Source: "AWS Organizations terminology and concepts", "SCP evaluation" and "RCP evaluation" (Organizations user guide).
//! There is one organization at most, and the keystore's own account is its management account, whose principals and
//! resources no control policy touches.

mod policy;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, sync::Arc};

use imbl::OrdMap;
use serde::{Deserialize, Serialize};

pub use policy::ControlPolicy;

use super::{
    World,
    change::{RowError, delete, put, read, table},
    row::Row,
};
use crate::{
    model::{
        AccountId, ControlPolicyId, ControlPolicyType, OrganizationId, ParentId, RootId, TargetId, Timestamp,
        UnitId,
    },
    world::RowChange,
};

/// An organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Organization {
    /// Its id.
    pub id: OrganizationId,
    /// When it was made.
    pub created: Timestamp,
    /// The id of its root, below which everything stands.
    pub root: RootId,
    /// The control policies in force.
    pub policy_types: BTreeSet<ControlPolicyType>,
    /// The control policies on the root.
    pub attached: BTreeSet<ControlPolicyId>,
    /// Where the management account stands.
    pub management: Membership,
}

/// Where an account stands in the organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The root or the unit that holds it.
    pub parent: ParentId,
    /// When it joined.
    pub joined: Timestamp,
    /// The control policies on the account itself.
    pub attached: BTreeSet<ControlPolicyId>,
}

/// An organizational unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrganizationalUnit {
    /// Its id.
    pub id: UnitId,
    /// Its name, unique in its parent.
    pub name: String,
    /// The root or the unit that holds it.
    pub parent: ParentId,
    /// When it was made.
    pub created: Timestamp,
    /// The control policies on it.
    pub attached: BTreeSet<ControlPolicyId>,
}

/// A change to the organization. Where member accounts stand is in their own rows.
#[derive(Debug, Clone)]
pub enum OrganizationChange {
    /// The organization is made, or what hangs on its root or management account changes.
    Put(Box<Organization>),
    /// The organization is gone.
    Delete(OrganizationId),
    /// A unit is made or changed.
    PutUnit(Box<OrganizationalUnit>),
    /// A unit is gone.
    DeleteUnit(UnitId),
    /// A control policy is made or changed.
    PutPolicy(Box<ControlPolicy>),
    /// A control policy is gone.
    DeletePolicy(ControlPolicyId),
}

/// The organization, its units and its policies.
#[derive(Debug, Clone, Default)]
pub(super) struct Organizations {
    organization: Option<Arc<Organization>>,
    units: OrdMap<UnitId, Arc<OrganizationalUnit>>,
    policies: OrdMap<ControlPolicyId, Arc<ControlPolicy>>,
}

/// One level of an organization: the policies on the root, on a unit or on an account.
#[derive(Debug, Clone)]
pub struct ControlLevel {
    /// What they hang on.
    pub target: TargetId,
    /// The policies; none means that the level lets nothing pass.
    pub policies: Vec<Arc<ControlPolicy>>,
}

/// More units on the way to the root than there can be: the rows go round in a circle.
const DEPTH_MAX: usize = 16;

impl World {
    /// The organization that the keystore's own account manages, if there is one.
    #[must_use]
    pub fn organization(&self) -> Option<&Arc<Organization>> {
        self.organizations.organization.as_ref()
    }

    /// The organizational unit with this id.
    #[must_use]
    pub fn unit(&self, id: &UnitId) -> Option<&Arc<OrganizationalUnit>> {
        self.organizations.units.get(id)
    }

    /// All organizational units, by id.
    pub fn units(&self) -> impl Iterator<Item = &Arc<OrganizationalUnit>> {
        self.organizations.units.values()
    }

    /// The control policy with this id, a customer's or one of AWS.
    #[must_use]
    pub fn control_policy(&self, id: &ControlPolicyId) -> Option<&Arc<ControlPolicy>> {
        let of_aws = ControlPolicyType::ALL.map(ControlPolicy::full_access);
        of_aws.into_iter().find(|policy| policy.id == *id).or_else(|| self.organizations.policies.get(id))
    }

    /// All control policies: AWS's, then the customer's by id.
    pub fn control_policies(&self) -> impl Iterator<Item = &Arc<ControlPolicy>> {
        let of_aws = ControlPolicyType::ALL.map(ControlPolicy::full_access);
        of_aws.into_iter().chain(self.organizations.policies.values())
    }

    /// Where an account stands in the organization; none when it belongs to none.
    #[must_use]
    pub fn membership(&self, account: &AccountId) -> Option<&Membership> {
        let organization = self.organization()?;
        if *account == self.settings.account {
            return Some(&organization.management);
        }
        self.account(account)?.membership.as_ref()
    }

    /// The accounts of the organization and where they stand: the management account, then the others by id.
    pub fn members(&self) -> impl Iterator<Item = (&AccountId, &Membership)> {
        let management = self.organization().map(|one| (&self.settings.account, &one.management));
        let others = self.accounts().filter_map(|account| Some((&account.id, account.membership.as_ref()?)));
        management.into_iter().chain(others.filter(|_| self.organization().is_some()))
    }

    /// The units that hold something that stands in `parent`, from the root's down.
    #[must_use]
    pub fn units_above(&self, parent: &ParentId) -> Vec<&Arc<OrganizationalUnit>> {
        let mut units = Vec::new();
        let mut parent = parent;
        while let ParentId::Unit(id) = parent {
            let Some(unit) = self.unit(id).filter(|_| units.len() < DEPTH_MAX) else { break };
            units.push(unit);
            parent = &unit.parent;
        }
        units.reverse();
        units
    }

    /// The organization that an account belongs to, and the way from it to the account, as `aws:PrincipalOrgPaths` holds it:
    /// `o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/`.
    #[must_use]
    pub fn organization_path(&self, account: &AccountId) -> Option<(&OrganizationId, String)> {
        let membership = self.membership(account)?;
        let organization = self.organization()?;
        let mut path = format!("{}/{}/", organization.id, organization.root);
        for unit in self.units_above(&membership.parent) {
            path.push_str(unit.id.as_str());
            path.push('/');
        }
        Some((&organization.id, path))
    }

    /// The control policies of a type that bear on an account, by level from the root down to the account; none when none
    /// do: the account belongs to no organization or manages it, or this type is not in force.
    ///
    /// A policy that hangs somewhere and is not there could have been a Deny, so a level that lacks one lets nothing pass;
    /// nor does a way that does not lead to the root.
    #[must_use]
    pub fn control_levels(&self, account: &AccountId, policy_type: ControlPolicyType) -> Vec<ControlLevel> {
        let Some(organization) = self.organization() else { return Vec::new() };
        let in_force = organization.policy_types.contains(&policy_type);
        let membership = self.account(account).and_then(|account| account.membership.as_ref());
        let Some(membership) = membership.filter(|_| in_force && *account != self.settings.account) else {
            return Vec::new();
        };
        let units = self.units_above(&membership.parent);
        let top = units.first().map_or(&membership.parent, |unit| &unit.parent);
        let none = BTreeSet::new();
        let on_root =
            if *top == ParentId::Root(organization.root.clone()) { &organization.attached } else { &none };
        let root = (TargetId::Root(organization.root.clone()), on_root);
        let units = units.into_iter().map(|unit| (TargetId::Unit(unit.id.clone()), &unit.attached));
        let own = (TargetId::Account(account.clone()), &membership.attached);
        let all = std::iter::once(root).chain(units).chain(std::iter::once(own));
        all.map(|(target, attached)| ControlLevel { target, policies: self.level(attached, policy_type) })
            .collect()
    }

    fn level(
        &self,
        attached: &BTreeSet<ControlPolicyId>,
        policy_type: ControlPolicyType,
    ) -> Vec<Arc<ControlPolicy>> {
        let found: Option<Vec<_>> = attached.iter().map(|id| self.control_policy(id).cloned()).collect();
        let found = found.into_iter().flatten();
        found.filter(|policy| policy.policy_type == policy_type).collect()
    }
}

impl Organizations {
    pub(super) fn changes(&self) -> impl Iterator<Item = OrganizationChange> {
        let organization =
            self.organization.iter().map(|one| OrganizationChange::Put(Box::new((**one).clone())));
        let units = self.units.values().map(|unit| OrganizationChange::PutUnit(Box::new((**unit).clone())));
        let policies =
            self.policies.values().map(|policy| OrganizationChange::PutPolicy(Box::new((**policy).clone())));
        organization.chain(units).chain(policies)
    }

    pub(super) fn apply(&mut self, change: &OrganizationChange) {
        match change {
            OrganizationChange::Put(organization) => {
                self.organization = Some(Arc::new(Organization::clone(organization)));
            }
            OrganizationChange::Delete(_) => self.organization = None,
            OrganizationChange::PutUnit(unit) => {
                self.units.insert(unit.id.clone(), Arc::new(OrganizationalUnit::clone(unit)));
            }
            OrganizationChange::DeleteUnit(id) => drop(self.units.remove(id)),
            OrganizationChange::PutPolicy(policy) => {
                self.policies.insert(policy.id.clone(), Arc::new(ControlPolicy::clone(policy)));
            }
            OrganizationChange::DeletePolicy(id) => drop(self.policies.remove(id)),
        }
    }
}

impl OrganizationChange {
    pub(super) fn to_row(&self) -> RowChange {
        match self {
            Self::Put(one) => put(table::ORGANIZATION, one.id.to_string(), one),
            Self::Delete(id) => delete(table::ORGANIZATION, id.to_string()),
            Self::PutUnit(unit) => put(table::ORGANIZATIONAL_UNIT, unit.id.to_string(), unit),
            Self::DeleteUnit(id) => delete(table::ORGANIZATIONAL_UNIT, id.to_string()),
            Self::PutPolicy(policy) => put(table::CONTROL_POLICY, policy.id.to_string(), policy),
            Self::DeletePolicy(id) => delete(table::CONTROL_POLICY, id.to_string()),
        }
    }

    /// The change that makes what a row says, when it is one of an organization.
    pub(super) fn from_row(row: &Row) -> Result<Option<Self>, RowError> {
        Ok(Some(match row.id.table {
            table::ORGANIZATION => Self::Put(read(row)?),
            table::ORGANIZATIONAL_UNIT => Self::PutUnit(read(row)?),
            table::CONTROL_POLICY => Self::PutPolicy(read(row)?),
            _ => return Ok(None),
        }))
    }
}
