//! Who stands where, and what bears on whom.

use std::collections::BTreeSet;

use super::*;
use crate::{
    policy::Policy,
    world::{Account, Change, Settings},
};

const START: Timestamp = Timestamp::from_millis(0);

fn account(text: &str) -> AccountId {
    text.parse().unwrap()
}

fn full(policy_type: ControlPolicyType) -> ControlPolicyId {
    ControlPolicy::full_access(policy_type).id.clone()
}

fn policy(id: &str) -> ControlPolicy {
    let text =
        r#"{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "kms:*", "Resource": "*"}}"#;
    ControlPolicy {
        id: id.parse().unwrap(),
        name: id.into(),
        description: String::new(),
        policy_type: ControlPolicyType::ServiceControlPolicy,
        document: Arc::new(Policy::parse(text, crate::policy::PolicyKind::Scp).unwrap()),
    }
}

fn unit(id: &str, parent: &str) -> OrganizationalUnit {
    OrganizationalUnit {
        id: id.parse().unwrap(),
        name: id.into(),
        parent: parent.parse().unwrap(),
        created: START,
        attached: BTreeSet::from([full(ControlPolicyType::ServiceControlPolicy)]),
    }
}

fn member(id: &str, parent: &str) -> Account {
    let attached = BTreeSet::from([full(ControlPolicyType::ServiceControlPolicy)]);
    let membership = Membership { parent: parent.parse().unwrap(), joined: START, attached };
    Account { membership: Some(membership), ..Account::standing_alone(account(id), id.into(), START) }
}

/// A root, a unit in it, a unit in that one, and a member in each.
fn world() -> World {
    let settings = Settings {
        account: account("111122223333"),
        region: "us-east-1".parse().unwrap(),
        clock_offset_millis: 0,
        witnesses: Vec::new(),
        digest_key: None,
    };
    let mut world = World::new(settings);
    let root: ParentId = "r-ab12".parse().unwrap();
    let organization = Organization {
        id: "o-exampleorgid".parse().unwrap(),
        created: START,
        root: "r-ab12".parse().unwrap(),
        policy_types: BTreeSet::from([ControlPolicyType::ServiceControlPolicy]),
        attached: BTreeSet::from([full(ControlPolicyType::ServiceControlPolicy)]),
        management: Membership { parent: root, joined: START, attached: BTreeSet::new() },
    };
    let outer = unit("ou-ab12-11111111", "r-ab12");
    let mut inner = unit("ou-ab12-22222222", "ou-ab12-11111111");
    inner.attached.insert("p-12345678".parse().unwrap());
    for change in [
        OrganizationChange::Put(Box::new(organization)),
        OrganizationChange::PutUnit(Box::new(outer)),
        OrganizationChange::PutUnit(Box::new(inner)),
        OrganizationChange::PutPolicy(Box::new(policy("p-12345678"))),
    ] {
        world.apply(&Change::Organization(change));
    }
    for account in [
        member("222222222222", "r-ab12"),
        member("333333333333", "ou-ab12-22222222"),
        Account::standing_alone(account("444455556666"), "outside".into(), START),
    ] {
        world.apply(&Change::PutAccount(account));
    }
    world
}

fn levels(world: &World, id: &str) -> Vec<(String, usize)> {
    let levels = world.control_levels(&account(id), ControlPolicyType::ServiceControlPolicy);
    levels.into_iter().map(|level| (level.target.to_string(), level.policies.len())).collect()
}

#[test]
fn it_survives_its_rows_and_can_be_taken_away() {
    let mut world = world();
    let rows = world.to_rows();
    assert_eq!(World::from_rows(&rows).unwrap().to_rows(), rows);
    for change in [
        OrganizationChange::Delete("o-exampleorgid".parse().unwrap()),
        OrganizationChange::DeleteUnit("ou-ab12-11111111".parse().unwrap()),
        OrganizationChange::DeleteUnit("ou-ab12-22222222".parse().unwrap()),
        OrganizationChange::DeletePolicy("p-12345678".parse().unwrap()),
    ] {
        world.apply(&Change::Organization(change));
    }
    assert_eq!(world.to_rows().len(), 4, "three accounts and the settings");
    assert_eq!(world.members().count(), 0);
}

#[test]
fn paths_lead_from_the_organization_to_the_account() {
    let world = world();
    let path = |id: &str| world.organization_path(&account(id)).map(|(_, path)| path);
    assert_eq!(path("111122223333").unwrap(), "o-exampleorgid/r-ab12/");
    assert_eq!(path("222222222222").unwrap(), "o-exampleorgid/r-ab12/");
    assert_eq!(path("333333333333").unwrap(), "o-exampleorgid/r-ab12/ou-ab12-11111111/ou-ab12-22222222/");
    assert_eq!(path("444455556666"), None);
    assert_eq!(path("999999999999"), None);
}

#[test]
fn each_level_down_to_the_account_bears_on_it_and_none_on_who_manages_or_stands_alone() {
    let world = world();
    let at = |target: &str, policies: usize| (target.to_owned(), policies);
    assert_eq!(levels(&world, "222222222222"), [at("r-ab12", 1), at("222222222222", 1)]);
    assert_eq!(
        levels(&world, "333333333333"),
        [at("r-ab12", 1), at("ou-ab12-11111111", 1), at("ou-ab12-22222222", 2), at("333333333333", 1)]
    );
    assert!(levels(&world, "111122223333").is_empty() && levels(&world, "444455556666").is_empty());
    let not_in_force =
        world.control_levels(&account("333333333333"), ControlPolicyType::ResourceControlPolicy);
    assert!(not_in_force.is_empty());
}

#[test]
fn a_level_that_lacks_a_policy_lets_nothing_pass_nor_does_a_way_that_leads_nowhere() {
    let mut damaged = world();
    let gone = OrganizationChange::DeletePolicy("p-12345678".parse().unwrap());
    damaged.apply(&Change::Organization(gone));
    assert_eq!(levels(&damaged, "333333333333")[2], ("ou-ab12-22222222".to_owned(), 0));
    let mut damaged = world();
    let gone = OrganizationChange::DeleteUnit("ou-ab12-11111111".parse().unwrap());
    damaged.apply(&Change::Organization(gone));
    assert_eq!(levels(&damaged, "333333333333")[0], ("r-ab12".to_owned(), 0));
    // Two units that hold each other.
    let circle = unit("ou-ab12-11111111", "ou-ab12-22222222");
    damaged.apply(&Change::Organization(OrganizationChange::PutUnit(Box::new(circle))));
    assert_eq!(levels(&damaged, "333333333333")[0], ("r-ab12".to_owned(), 0));
}
