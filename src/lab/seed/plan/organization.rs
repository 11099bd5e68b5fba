//! The organization of a seed: it comes before the accounts that join it, its units and policies after them, and what is
//! attached comes last, so that it does not stand in the way of what the seed makes in the accounts.

use std::collections::{BTreeMap, BTreeSet};

use toml::Spanned;

use super::{Planner, same_json};
use crate::{
    crypto::random::{Random, SystemRandom},
    kms::CallError,
    lab::seed::{
        SeedError,
        organization::{Attached, OrganizationSeed, UnitSeed},
    },
    model::{AccountId, ControlPolicyId, ControlPolicyType, ParentId, RootId, TargetId, UnitId},
    policy::Policy,
    services::organizations::{
        AttachPolicy, CreateOrganization, CreateOrganizationalUnit, CreatePolicy, DetachPolicy,
        EnablePolicyType, MoveAccount, Name, RemoveAccountFromOrganization, UpdatePolicy,
    },
    world::{ControlPolicy, World},
};

/// The organization under way: the ids that it has, or will have.
pub(super) struct Draft<'a> {
    seed: &'a OrganizationSeed,
    root: RootId,
    units: Vec<(UnitId, String, &'a UnitSeed)>,
    policies: BTreeMap<(ControlPolicyType, String), ControlPolicyId>,
    in_force: BTreeSet<ControlPolicyType>,
}

use ControlPolicyType::{ResourceControlPolicy as Rcp, ServiceControlPolicy as Scp};

impl<'a> Planner<'a> {
    /// The organization itself.
    pub(super) fn organization(
        &mut self,
        seed: &'a Spanned<OrganizationSeed>,
    ) -> Result<Draft<'a>, SeedError> {
        self.at(seed.span());
        let seed = seed.get_ref();
        let (root, mut in_force) = match self.world.organization() {
            Some(there) => {
                let other_id = seed.id.as_ref().is_some_and(|id| *id != there.id);
                if other_id || seed.root.as_ref().is_some_and(|root| *root != there.root) {
                    self.kept(format!("organization: its ids, which are {} and {}", there.id, there.root));
                } else {
                    self.push(super::StepKind::Unchanged, "organization".into(), None);
                }
                (there.root.clone(), there.policy_types.clone())
            }
            None => {
                let root = match &seed.root {
                    Some(root) => root.clone(),
                    None => RootId::from_random(random()?),
                };
                let call = CreateOrganization {
                    feature_set: None,
                    organization_id: seed.id.clone(),
                    root_id: Some(root.clone()),
                };
                self.create("organization".into(), call);
                (root, BTreeSet::from([Scp]))
            }
        };
        let wanted = [
            (Scp, !seed.service_control_policies.is_empty()),
            (Rcp, !seed.resource_control_policies.is_empty()),
        ];
        for (policy_type, wanted) in wanted {
            if wanted && in_force.insert(policy_type) {
                let call = EnablePolicyType { root_id: root.clone(), policy_type };
                self.update(format!("organization: enable {policy_type}"), call);
            }
        }
        Ok(Draft { seed, root, units: Vec::new(), policies: BTreeMap::new(), in_force })
    }

    /// Units, who stands in them, and policies.
    pub(super) fn within_organization(&mut self, draft: &mut Draft<'a>) -> Result<(), SeedError> {
        let seed = draft.seed;
        for account in &seed.outside {
            self.at(account.span());
            let account = account.get_ref();
            // One that the seed makes joins the organization when it is made.
            if self.world.membership(account).is_some() || self.world.account(account).is_none() {
                let call = RemoveAccountFromOrganization { account_id: account.clone() };
                self.update(format!("account {account}: out of the organization"), call);
            }
        }
        let root = ParentId::Root(draft.root.clone());
        for (name, unit) in &seed.units {
            self.at(name.span());
            self.unit(draft, &root, String::new(), name.get_ref(), unit)?;
        }
        for (name, text) in &seed.service_control_policies {
            self.at(name.span());
            self.control_policy(draft, Scp, name.get_ref(), text.resolve(self.filling()))?;
        }
        for (name, text) in &seed.resource_control_policies {
            self.at(name.span());
            self.control_policy(draft, Rcp, name.get_ref(), text.resolve(self.filling()))?;
        }
        Ok(())
    }

    fn unit(
        &mut self,
        draft: &mut Draft<'a>,
        parent: &ParentId,
        above: String,
        name: &Name,
        seed: &'a UnitSeed,
    ) -> Result<(), SeedError> {
        let path = if above.is_empty() { name.to_string() } else { format!("{above}/{name}") };
        let (what, before) = (format!("unit {path}"), self.steps.len());
        let mut units = self.world.units();
        let there = units.find(|unit| unit.parent == *parent && unit.name == name.as_str());
        let id = match (there, &seed.id) {
            (Some(there), Some(id)) if there.id != *id => {
                self.kept(format!("{what}: its id, which is {}", there.id));
                there.id.clone()
            }
            (Some(there), _) => there.id.clone(),
            (None, given) => {
                let id = match given {
                    Some(id) => id.clone(),
                    None => UnitId::from_random(&draft.root, random()?),
                };
                let (parent_id, name) = (parent.clone(), name.clone());
                self.create(what.clone(), CreateOrganizationalUnit { parent_id, name, id: Some(id.clone()) });
                id
            }
        };
        let here = ParentId::Unit(id.clone());
        for account in &seed.accounts {
            self.at(account.span());
            self.stand(draft, account.get_ref(), &here, &path)?;
        }
        self.unchanged_since(before, what);
        draft.units.push((id, path.clone(), seed));
        for (name, unit) in &seed.units {
            self.at(name.span());
            self.unit(draft, &here, path.clone(), name.get_ref(), unit)?;
        }
        Ok(())
    }

    /// Where an account shall stand.
    fn stand(
        &mut self,
        draft: &Draft<'_>,
        account: &AccountId,
        wanted: &ParentId,
        path: &str,
    ) -> Result<(), SeedError> {
        let root = ParentId::Root(draft.root.clone());
        let is_new = self.seed.accounts.keys().any(|id| id.get_ref() == account);
        let source = match self.world.membership(account) {
            Some(membership) => membership.parent.clone(),
            None if *account == self.world.settings().account => root,
            None if self.world.account(account).is_some() => {
                self.kept(format!("account {account}: it stands alone, and joins nothing afterwards"));
                return Ok(());
            }
            None if is_new => root,
            None => {
                return Err(SeedError::Unknown {
                    place: self.place,
                    what: format!("account {account}"),
                    hint: format!("make it with `[accounts.{account}]`"),
                });
            }
        };
        if source != *wanted {
            let call = MoveAccount {
                account_id: account.clone(),
                source_parent_id: source,
                destination_parent_id: wanted.clone(),
            };
            self.update(format!("account {account}: into the unit {path}"), call);
        }
        Ok(())
    }

    fn control_policy(
        &mut self,
        draft: &mut Draft<'_>,
        policy_type: ControlPolicyType,
        name: &Name,
        content: String,
    ) -> Result<(), SeedError> {
        if let Err(error) = Policy::parse_control(&content, ControlPolicy::kind(policy_type)) {
            return Err(SeedError::Text { place: self.place, message: format!("{name}: {error}") });
        }
        let what = match policy_type {
            Scp => format!("service control policy {name}"),
            Rcp => format!("resource control policy {name}"),
        };
        let id = match named(self.world, policy_type, name.as_str()) {
            None => {
                let id = ControlPolicyId::from_random(random()?);
                let call = CreatePolicy {
                    content: content.into(),
                    description: None,
                    name: name.clone(),
                    policy_type,
                    policy_id: Some(id.clone()),
                };
                self.create(what, call);
                id
            }
            Some(there) => {
                if same_json(there.document.text(), &content) {
                    self.push(super::StepKind::Unchanged, what, None);
                } else {
                    let call = UpdatePolicy {
                        policy_id: there.id.clone(),
                        name: None,
                        description: None,
                        content: Some(content.into()),
                    };
                    self.update(what, call);
                }
                there.id.clone()
            }
        };
        draft.policies.insert((policy_type, name.to_string()), id);
        Ok(())
    }

    /// What hangs where.
    pub(super) fn attachments(&mut self, draft: &Draft<'a>) -> Result<(), SeedError> {
        let root = TargetId::Root(draft.root.clone());
        if let Some(attached) = &draft.seed.attached {
            let there = self.world.organization().map(|there| there.attached.clone());
            self.attached(draft, &root, "organization root", attached, there)?;
        }
        for (id, path, unit) in &draft.units {
            if let Some(attached) = &unit.attached {
                let there = self.world.unit(id).map(|unit| unit.attached.clone());
                self.attached(draft, &TargetId::Unit(id.clone()), &format!("unit {path}"), attached, there)?;
            }
        }
        for (account, member) in &draft.seed.accounts {
            let account = account.get_ref();
            let there = self.world.membership(account).map(|membership| membership.attached.clone());
            let target = TargetId::Account(account.clone());
            self.attached(draft, &target, &format!("account {account}"), &member.attached, there)?;
        }
        Ok(())
    }

    fn attached(
        &mut self,
        draft: &Draft<'_>,
        target: &TargetId,
        what: &str,
        seed: &Attached,
        there: Option<BTreeSet<ControlPolicyId>>,
    ) -> Result<(), SeedError> {
        let before = self.steps.len();
        let full = |policy_type| ControlPolicy::full_access(policy_type).id.clone();
        let is_new = there.is_none();
        let mut there = there.unwrap_or_default();
        // A type that comes in force brings what lets everything pass, and so does each new thing.
        let was_in_force =
            self.world.organization().map(|there| there.policy_types.clone()).unwrap_or_default();
        for policy_type in &draft.in_force {
            if is_new || !was_in_force.contains(policy_type) {
                there.insert(full(*policy_type));
            }
        }
        let mut wanted: BTreeMap<ControlPolicyId, String> = BTreeMap::new();
        let mut bounds = false;
        for name in &seed.0 {
            self.at(name.span());
            let name = name.get_ref().as_str();
            let (policy_type, id) = draft.find(self.world, name).ok_or_else(|| SeedError::Unknown {
                place: self.place,
                what: format!("control policy `{name}`"),
                hint: "declare it under `[organization.service_control_policies]`, or write `FullAWSAccess`"
                    .into(),
            })?;
            bounds |= policy_type == Scp;
            wanted.insert(id, name.to_owned());
        }
        if !bounds {
            let message =
                format!("{what} needs a service control policy: add `FullAWSAccess` to what is attached");
            return Err(SeedError::Text { place: self.place, message });
        }
        let surplus: Vec<ControlPolicyId> =
            there.iter().filter(|id| !wanted.contains_key(*id) && **id != full(Rcp)).cloned().collect();
        for (id, name) in wanted.iter().filter(|(id, _)| !there.contains(*id)) {
            let call = AttachPolicy { policy_id: id.clone(), target_id: target.clone() };
            self.update(format!("{what}: attach {name}"), call);
        }
        for id in surplus {
            let name = self.world.control_policy(&id).map_or_else(|| id.to_string(), |one| one.name.clone());
            let call = DetachPolicy { policy_id: id, target_id: target.clone() };
            self.update(format!("{what}: detach {name}"), call);
        }
        self.unchanged_since(before, format!("{what}: what is attached"));
        Ok(())
    }
}

impl Draft<'_> {
    /// The policy of this name: of the seed, of AWS, or of the keystore.
    fn find(&self, world: &World, name: &str) -> Option<(ControlPolicyType, ControlPolicyId)> {
        [Scp, Rcp].into_iter().find_map(|policy_type| {
            let of_seed = self.policies.get(&(policy_type, name.to_owned())).cloned();
            let id = of_seed.or_else(|| named(world, policy_type, name).map(|policy| policy.id.clone()));
            Some((policy_type, id?))
        })
    }
}

fn named<'w>(world: &'w World, policy_type: ControlPolicyType, name: &str) -> Option<&'w ControlPolicy> {
    let mut policies = world.control_policies();
    policies.find(|policy| policy.policy_type == policy_type && policy.name == name).map(|policy| &**policy)
}

fn random<const N: usize>() -> Result<[u8; N], SeedError> {
    let random: &mut dyn Random = &mut SystemRandom;
    Ok(random.array().map_err(CallError::from)?)
}
