//! The organization as a whole: making it, its root, and which control policies are in force.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    access::{Target, not_in_use, permit},
    answer::{OrganizationDetail, RootDetail},
    value::FeatureSet,
};
use crate::{
    kms::{Call, CallError, Outcome},
    model::{ControlPolicyId, ControlPolicyType, ErrorCode, OrganizationId, ParentId, RootId},
    services::query::operations,
    world::{Change, ControlPolicy, Membership, Organization, OrganizationChange, World},
};

operations! { in "organizations";
    /// Makes an organization that the keystore's own account manages, with service control policies in force.
    CreateOrganization writes -> OrganizationDetail as "Organization" {
        /// What it is for: `ALL`, which is the default.
        feature_set "FeatureSet": Option<FeatureSet>,
        /// An id of one's own; random when left out. AWS chooses it.
        organization_id "OrganizationId": Option<OrganizationId>,
        /// An id of one's own for the root; random when left out. AWS chooses it.
        root_id "RootId": Option<RootId>,
    }

    /// Describes the organization that the caller's account belongs to.
    DescribeOrganization reads -> OrganizationDetail as "Organization" {}

    /// Deletes an organization that has no other accounts, units or policies.
    DeleteOrganization writes -> () as "" {}

    /// Lists the root, below which everything stands.
    ListRoots reads -> Vec<RootDetail> as "Roots" {}

    /// Puts a type of control policies in force; what lets everything pass is attached to everything.
    EnablePolicyType writes -> RootDetail as "Root" {
        /// The root.
        root_id "RootId": RootId,
        /// The type: `SERVICE_CONTROL_POLICY` or `RESOURCE_CONTROL_POLICY`.
        policy_type "PolicyType": ControlPolicyType,
    }

    /// Puts a type of control policies out of force; its policies are detached from everything.
    DisablePolicyType writes -> RootDetail as "Root" {
        /// The root.
        root_id "RootId": RootId,
        /// The type: `SERVICE_CONTROL_POLICY` or `RESOURCE_CONTROL_POLICY`.
        policy_type "PolicyType": ControlPolicyType,
    }
}

#[expect(clippy::derivable_impls, reason = "the macro that declares it derives what all operations share")]
impl Default for CreateOrganization {
    fn default() -> Self {
        Self { feature_set: None, organization_id: None, root_id: None }
    }
}

impl CreateOrganization {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let permitted = call.authorize_any::<Self>()?;
        call.require_management_account()?;
        if call.world().organization().is_some() {
            let message = "The AWS account is already a member of an organization.";
            return Err(CallError::new(ErrorCode::AlreadyInOrganization, message));
        }
        let (id, root) = (call.random().array()?, call.random().array()?);
        let id = self.organization_id.clone().unwrap_or_else(|| OrganizationId::from_random(id));
        let root = self.root_id.clone().unwrap_or_else(|| RootId::from_random(root));
        let full = ControlPolicy::full_access(ControlPolicyType::ServiceControlPolicy);
        let attached = BTreeSet::from([full.id.clone()]);
        let organization = Organization {
            id,
            created: call.now(),
            policy_types: BTreeSet::from([ControlPolicyType::ServiceControlPolicy]),
            attached: attached.clone(),
            management: Membership { parent: ParentId::Root(root.clone()), joined: call.now(), attached },
            root,
        };
        let answer = OrganizationDetail::of(call.world(), &organization);
        let elements = json!({"organization": {"id": answer.id, "arn": answer.arn, "featureSet": "ALL"}});
        Ok(Outcome::answer(permitted, answer).changing(vec![put(organization)], elements))
    }
}

impl DescribeOrganization {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        // Every account of the organization may ask this.
        let permitted = call.authorize_any::<Self>()?;
        let world = call.world();
        let member = world.membership(&call.account()).and(world.organization());
        let organization = member.ok_or_else(not_in_use)?;
        Ok(Outcome::answer(permitted, OrganizationDetail::of(world, organization)))
    }
}

impl DeleteOrganization {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, organization) = permit(call, |arns, _| vec![arns.organization()])?;
        let world = call.world();
        let own_policies = world.control_policies().any(|policy| !policy.is_aws_managed());
        if world.members().count() > 1 || world.units().next().is_some() || own_policies {
            let message = "The organization isn't empty. To delete an organization, you must first remove all accounts \
                           except the management account, delete all OUs, and delete all policies.";
            return Err(CallError::new(ErrorCode::OrganizationNotEmpty, message));
        }
        let change = Change::Organization(OrganizationChange::Delete(organization.id.clone()));
        Ok(Outcome::answer(permitted, ()).changing(vec![change], Value::Null))
    }
}

impl ListRoots {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, organization) = permit(call, |_, _| Vec::new())?;
        let answer = vec![RootDetail::of(call.world(), &organization)];
        Ok(Outcome::answer(permitted, answer))
    }
}

impl EnablePolicyType {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, organization) = permit(call, |arns, _| vec![arns.root(&self.root_id)])?;
        let mut organization = Organization::clone(&organization);
        check_root(&organization, &self.root_id)?;
        if !organization.policy_types.insert(self.policy_type) {
            let message = format!("{} is enabled in {} already.", self.policy_type, self.root_id);
            return Err(CallError::new(ErrorCode::PolicyTypeAlreadyEnabled, message));
        }
        let full = &ControlPolicy::full_access(self.policy_type).id;
        let answer = RootDetail::of(call.world(), &organization);
        let changes = reattach(call.world(), organization, |attached| {
            attached.insert(full.clone());
        });
        Ok(Outcome::answer(permitted, answer).changing(changes, Value::Null))
    }
}

impl DisablePolicyType {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, organization) = permit(call, |arns, _| vec![arns.root(&self.root_id)])?;
        let mut organization = Organization::clone(&organization);
        check_root(&organization, &self.root_id)?;
        if !organization.policy_types.remove(&self.policy_type) {
            let message = format!("{} is not enabled in {}.", self.policy_type, self.root_id);
            return Err(CallError::new(ErrorCode::PolicyTypeNotEnabled, message));
        }
        let answer = RootDetail::of(call.world(), &organization);
        let world = call.world();
        let is_of_type = |id: &ControlPolicyId| {
            world.control_policy(id).is_some_and(|policy| policy.policy_type == self.policy_type)
        };
        let changes = reattach(world, organization, |attached| attached.retain(|id| !is_of_type(id)));
        Ok(Outcome::answer(permitted, answer).changing(changes, Value::Null))
    }
}

/// The changes that change what is attached to everything in the same way.
fn reattach(
    world: &World,
    mut organization: Organization,
    mut change: impl FnMut(&mut BTreeSet<ControlPolicyId>),
) -> Vec<Change> {
    change(&mut organization.attached);
    change(&mut organization.management.attached);
    let others = Target::all(world, &organization);
    let others = others.into_iter().filter(|target| matches!(target, Target::Unit(_) | Target::Account(_)));
    let mut changes: Vec<Change> = others
        .map(|target| {
            let mut attached = target.attached();
            change(&mut attached);
            target.with(attached)
        })
        .collect();
    changes.push(put(organization));
    changes
}

fn check_root(organization: &Organization, root: &RootId) -> Result<(), CallError> {
    if organization.root == *root {
        return Ok(());
    }
    Err(CallError::new(ErrorCode::RootNotFound, format!("There is no root {root} in your organization.")))
}

fn put(organization: Organization) -> Change {
    Change::Organization(OrganizationChange::Put(Box::new(organization)))
}
