//! Organizational units, and what stands where.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    access::{Arns, check_parent, constraint, invalid, permit},
    answer::{Child, Parent, UnitDetail},
    value::{ChildType, Name},
};
use crate::{
    kms::{Call, CallError, Outcome},
    model::{ChildId, ErrorCode, ParentId, UnitId},
    services::query::operations,
    world::{Change, ControlPolicy, OrganizationChange, OrganizationalUnit, World},
};

/// The most organizational units in an organization (Organizations quotas).
pub const UNITS_MAX: usize = 2_000;
/// How many levels of units there can be below the root (Organizations quotas).
pub const UNIT_LEVELS_MAX: usize = 5;

operations! { in "organizations";
    /// Makes an organizational unit.
    CreateOrganizationalUnit writes -> UnitDetail as "OrganizationalUnit" {
        /// The root or the unit that holds it.
        parent_id "ParentId": ParentId,
        /// Its name.
        name "Name": Name,
        /// An id of one's own; random when left out. AWS chooses it.
        id "OrganizationalUnitId": Option<UnitId>,
    }

    /// Describes an organizational unit.
    DescribeOrganizationalUnit reads -> UnitDetail as "OrganizationalUnit" {
        /// The unit.
        organizational_unit_id "OrganizationalUnitId": UnitId,
    }

    /// Gives an organizational unit another name.
    UpdateOrganizationalUnit writes -> UnitDetail as "OrganizationalUnit" {
        /// The unit.
        organizational_unit_id "OrganizationalUnitId": UnitId,
        /// Its new name.
        name "Name": Option<Name>,
    }

    /// Deletes an organizational unit that holds nothing.
    DeleteOrganizationalUnit writes -> () as "" {
        /// The unit.
        organizational_unit_id "OrganizationalUnitId": UnitId,
    }

    /// Lists the organizational units in the root or in a unit.
    ListOrganizationalUnitsForParent reads -> Vec<UnitDetail> as "OrganizationalUnits" {
        /// The root or the unit.
        parent_id "ParentId": ParentId,
    }

    /// Lists what the root or a unit holds.
    ListChildren reads -> Vec<Child> as "Children" {
        /// The root or the unit.
        parent_id "ParentId": ParentId,
        /// What to list: `ACCOUNT` or `ORGANIZATIONAL_UNIT`.
        child_type "ChildType": ChildType,
    }

    /// Tells what holds an account or a unit.
    ListParents reads -> Vec<Parent> as "Parents" {
        /// The account or the unit.
        child_id "ChildId": ChildId,
    }
}

impl CreateOrganizationalUnit {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, organization) = permit(call, |arns, _| vec![arns.parent(&self.parent_id)])?;
        check_parent(call.world(), &organization, &self.parent_id, ErrorCode::ParentNotFound)?;
        check_name_is_free(call.world(), &self.parent_id, &self.name)?;
        if call.world().units().count() >= UNITS_MAX {
            let why = format!("an organization has at most {UNITS_MAX} units");
            return Err(constraint("OU_NUMBER_LIMIT_EXCEEDED", why));
        }
        if call.world().units_above(&self.parent_id).len() >= UNIT_LEVELS_MAX {
            let why = format!("units stand at most {UNIT_LEVELS_MAX} deep");
            return Err(constraint("OU_DEPTH_LIMIT_EXCEEDED", why));
        }
        let id = match &self.id {
            Some(id) if !id.is_below(&organization.root) => {
                let message = format!("{id} does not belong to the root {}", organization.root);
                return Err(invalid(message));
            }
            Some(id) if call.world().unit(id).is_some() => {
                let message = format!("There is an organizational unit {id} already.");
                return Err(CallError::new(ErrorCode::DuplicateOrganizationalUnit, message));
            }
            Some(id) => id.clone(),
            None => UnitId::from_random(&organization.root, call.random().array()?),
        };
        let in_force = organization.policy_types.iter();
        let attached: BTreeSet<_> =
            in_force.map(|policy_type| ControlPolicy::full_access(*policy_type).id.clone()).collect();
        let unit = OrganizationalUnit {
            id,
            name: self.name.to_string(),
            parent: self.parent_id.clone(),
            created: call.now(),
            attached,
        };
        let answer = UnitDetail::of(Arns::of(call.world(), &organization), &unit);
        let elements =
            json!({"organizationalUnit": {"id": answer.id, "arn": answer.arn, "name": answer.name}});
        Ok(Outcome::answer(permitted, answer).changing(vec![put(unit)], elements))
    }
}

impl DescribeOrganizationalUnit {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, organization) =
            permit(call, |arns, _| vec![arns.unit(&self.organizational_unit_id)])?;
        let unit = find(call.world(), &self.organizational_unit_id)?;
        let answer = UnitDetail::of(Arns::of(call.world(), &organization), &unit);
        Ok(Outcome::answer(permitted, answer))
    }
}

impl UpdateOrganizationalUnit {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, organization) =
            permit(call, |arns, _| vec![arns.unit(&self.organizational_unit_id)])?;
        let mut unit = find(call.world(), &self.organizational_unit_id)?;
        if let Some(name) = self.name.as_ref().filter(|name| name.as_str() != unit.name) {
            check_name_is_free(call.world(), &unit.parent, name)?;
            unit.name = name.to_string();
        }
        let answer = UnitDetail::of(Arns::of(call.world(), &organization), &unit);
        Ok(Outcome::answer(permitted, answer).changing(vec![put(unit)], Value::Null))
    }
}

impl DeleteOrganizationalUnit {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, _) = permit(call, |arns, _| vec![arns.unit(&self.organizational_unit_id)])?;
        let unit = find(call.world(), &self.organizational_unit_id)?;
        let parent = ParentId::Unit(unit.id.clone());
        let holds_accounts = call.world().members().any(|(_, membership)| membership.parent == parent);
        if holds_accounts || call.world().units().any(|one| one.parent == parent) {
            let message = format!("The organizational unit {} is not empty.", unit.id);
            return Err(CallError::new(ErrorCode::OrganizationalUnitNotEmpty, message)
                .explained("move its accounts elsewhere and delete its units first"));
        }
        let change = Change::Organization(OrganizationChange::DeleteUnit(unit.id));
        Ok(Outcome::answer(permitted, ()).changing(vec![change], Value::Null))
    }
}

impl ListOrganizationalUnitsForParent {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, organization) = permit(call, |arns, _| vec![arns.parent(&self.parent_id)])?;
        let world = call.world();
        check_parent(world, &organization, &self.parent_id, ErrorCode::ParentNotFound)?;
        let arns = Arns::of(world, &organization);
        let units = world.units().filter(|unit| unit.parent == self.parent_id);
        let units = units.map(|unit| UnitDetail::of(arns, unit)).collect();
        Ok(Outcome::answer(permitted, units))
    }
}

impl ListChildren {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, organization) = permit(call, |arns, _| vec![arns.parent(&self.parent_id)])?;
        let world = call.world();
        check_parent(world, &organization, &self.parent_id, ErrorCode::ParentNotFound)?;
        let children: Vec<Child> = match self.child_type {
            ChildType::Account => {
                let members = world.members().filter(|(_, membership)| membership.parent == self.parent_id);
                members.map(|(id, _)| ChildId::Account(id.clone()).into()).collect()
            }
            ChildType::OrganizationalUnit => {
                let units = world.units().filter(|unit| unit.parent == self.parent_id);
                units.map(|unit| ChildId::Unit(unit.id.clone()).into()).collect()
            }
        };
        Ok(Outcome::answer(permitted, children))
    }
}

impl ListParents {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, _) = permit(call, |arns, _| match &self.child_id {
            ChildId::Unit(id) => vec![arns.unit(id)],
            ChildId::Account(id) => vec![arns.account(id)],
        })?;
        let world = call.world();
        let parent = match &self.child_id {
            ChildId::Unit(id) => world.unit(id).map(|unit| unit.parent.clone()),
            ChildId::Account(id) => world.membership(id).map(|membership| membership.parent.clone()),
        };
        let parent = parent.ok_or_else(|| {
            let message = format!("There is no account or organizational unit {}.", self.child_id);
            CallError::new(ErrorCode::ChildNotFound, message)
        })?;
        Ok(Outcome::answer(permitted, vec![parent.into()]))
    }
}

fn find(world: &World, id: &UnitId) -> Result<OrganizationalUnit, CallError> {
    world.unit(id).map(|unit| (**unit).clone()).ok_or_else(|| {
        let message = format!("There is no organizational unit {id}.");
        CallError::new(ErrorCode::OrganizationalUnitNotFound, message)
    })
}

fn check_name_is_free(world: &World, parent: &ParentId, name: &Name) -> Result<(), CallError> {
    if !world.units().any(|unit| unit.parent == *parent && unit.name == name.as_str()) {
        return Ok(());
    }
    let message = format!("An organizational unit named {name} exists already.");
    Err(CallError::new(ErrorCode::DuplicateOrganizationalUnit, message))
}

fn put(unit: OrganizationalUnit) -> Change {
    Change::Organization(OrganizationChange::PutUnit(Box::new(unit)))
}
