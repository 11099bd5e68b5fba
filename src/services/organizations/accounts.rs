//! Accounts beside the keystore's own, and where they stand in the organization.
//!
//! At AWS the service chooses an account's id, and the work takes minutes; here the caller may choose it, and it is done at
//! once. Without an organization AWS makes no accounts; here one that stands alone is made then, for what happens across
//! accounts. Source: AWS Organizations API reference, CreateAccount and its neighbours.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    access::{Arns, check_parent, constraint, invalid, permit},
    answer::{AccountDetail, CreateAccountStatus},
    value::{AccountName, Email},
};
use crate::{
    audit::ResourceEntry,
    kms::{Call, CallError, Outcome},
    model::{AccountId, ErrorCode, ParentId},
    services::query::operations,
    world::{Account, Change, ControlPolicy, Membership, Organization, OrganizationChange, World},
};

/// The most accounts of an organization: as far as AWS raises that quota.
pub const ACCOUNTS_MAX: usize = 10_000;

operations! { in "organizations";
    /// Makes an account: a member of the organization, or one that stands alone when there is none.
    CreateAccount writes -> CreateAccountStatus as "CreateAccountStatus" {
        /// What its owner calls it.
        account_name "AccountName": AccountName,
        /// The e-mail address of its owner.
        email "Email": Option<Email>,
        /// An id of one's own; random when left out. AWS chooses it.
        account_id "AccountId": Option<AccountId>,
    }

    /// Describes an account of the organization.
    DescribeAccount reads -> AccountDetail as "Account" {
        /// The account.
        account_id "AccountId": AccountId,
    }

    /// Lists the accounts of the organization.
    ListAccounts reads -> Vec<AccountDetail> as "Accounts" {}

    /// Lists the accounts in the root or in a unit.
    ListAccountsForParent reads -> Vec<AccountDetail> as "Accounts" {
        /// The root or the unit.
        parent_id "ParentId": ParentId,
    }

    /// Moves an account to another place in the organization.
    MoveAccount writes -> () as "" {
        /// The account.
        account_id "AccountId": AccountId,
        /// The root or the unit that holds it.
        source_parent_id "SourceParentId": ParentId,
        /// The root or the unit that shall hold it.
        destination_parent_id "DestinationParentId": ParentId,
    }

    /// Takes an account out of the organization; it stands alone from then on.
    RemoveAccountFromOrganization writes -> () as "" {
        /// The account.
        account_id "AccountId": AccountId,
    }
}

impl CreateAccount {
    /// An account of this id and name.
    #[must_use]
    pub fn new(account_id: AccountId, account_name: AccountName) -> Self {
        Self { account_name, email: None, account_id: Some(account_id) }
    }

    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let permitted = call.authorize_any::<Self>()?;
        call.require_management_account()?;
        let id = match &self.account_id {
            Some(id) => id.clone(),
            None => unused_id(call)?,
        };
        if id.is_of_the_services() {
            return Err(invalid("this account is the services' own"));
        }
        if call.world().has_account(&id) {
            let message = format!("The account {id} exists already.");
            return Err(CallError::new(ErrorCode::EntityAlreadyExists, message));
        }
        if call.world().accounts().count() >= ACCOUNTS_MAX {
            let why = format!("there are at most {ACCOUNTS_MAX} accounts");
            return Err(constraint("ACCOUNT_NUMBER_LIMIT_EXCEEDED", why));
        }
        let (management, now) = (call.world().settings().account.clone(), call.now());
        let organization = call.world().organization().cloned();
        call.note(ResourceEntry {
            account_id: management.clone(),
            resource_type: "AWS::Organizations::Account".into(),
            arn: match &organization {
                Some(organization) => Arns::of(call.world(), organization).account(&id),
                None => format!("arn:aws:organizations::{management}:account/{id}"),
            },
        });
        let random: [u8; 8] = call.random().array()?;
        let account = Account {
            email: self.email.as_ref().map(ToString::to_string),
            membership: organization.map(|organization| membership(&organization, now)),
            ..Account::standing_alone(id.clone(), self.account_name.to_string(), now)
        };
        let answer = CreateAccountStatus {
            id: format!("car-{}", hex::encode(random)),
            account_name: account.name.clone(),
            state: "SUCCEEDED",
            requested_timestamp: now,
            completed_timestamp: now,
            account_id: id,
        };
        let elements = json!({"createAccountStatus": {"accountId": account.id, "state": "SUCCEEDED"}});
        Ok(Outcome::answer(permitted, answer).changing(vec![Change::PutAccount(account)], elements))
    }
}

/// Where a new member stands: in the root, under what lets everything pass.
fn membership(organization: &Organization, now: crate::model::Timestamp) -> Membership {
    let in_force = organization.policy_types.iter();
    let attached: BTreeSet<_> =
        in_force.map(|policy_type| ControlPolicy::full_access(*policy_type).id.clone()).collect();
    Membership { parent: ParentId::Root(organization.root.clone()), joined: now, attached }
}

/// A random account id that nobody has.
fn unused_id(call: &mut Call<'_>) -> Result<AccountId, CallError> {
    loop {
        let bytes: [u8; 8] = call.random().array()?;
        let number = 100_000_000_000 + u64::from_le_bytes(bytes) % 900_000_000_000;
        let id: AccountId = number.to_string().parse()?;
        if !call.world().has_account(&id) {
            return Ok(id);
        }
    }
}

impl DescribeAccount {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, organization) = permit(call, |arns, _| vec![arns.account(&self.account_id)])?;
        let world = call.world();
        let membership = find(world, &self.account_id)?;
        let answer = AccountDetail::of(world, Arns::of(world, &organization), &self.account_id, membership);
        Ok(Outcome::answer(permitted, answer))
    }
}

impl ListAccounts {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, organization) = permit(call, |_, _| Vec::new())?;
        let answer = list(call.world(), &organization, |_| true);
        Ok(Outcome::answer(permitted, answer))
    }
}

impl ListAccountsForParent {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, organization) = permit(call, |arns, _| vec![arns.parent(&self.parent_id)])?;
        check_parent(call.world(), &organization, &self.parent_id, ErrorCode::ParentNotFound)?;
        let answer = list(call.world(), &organization, |membership| membership.parent == self.parent_id);
        Ok(Outcome::answer(permitted, answer))
    }
}

fn list(
    world: &World,
    organization: &Organization,
    wanted: impl Fn(&Membership) -> bool,
) -> Vec<AccountDetail> {
    let arns = Arns::of(world, organization);
    let members = world.members().filter(|(_, membership)| wanted(membership));
    members.map(|(id, membership)| AccountDetail::of(world, arns, id, membership)).collect()
}

impl MoveAccount {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, organization) = permit(call, |arns, _| {
            vec![
                arns.account(&self.account_id),
                arns.parent(&self.source_parent_id),
                arns.parent(&self.destination_parent_id),
            ]
        })?;
        let world = call.world();
        let membership = find(world, &self.account_id)?;
        let (source, destination) = (&self.source_parent_id, &self.destination_parent_id);
        check_parent(world, &organization, source, ErrorCode::SourceParentNotFound)?;
        check_parent(world, &organization, destination, ErrorCode::DestinationParentNotFound)?;
        if membership.parent != *source {
            let message = format!("The account {} does not stand in {source}.", self.account_id);
            return Err(CallError::new(ErrorCode::SourceParentNotFound, message));
        }
        if source == destination {
            let message = format!("The account {} stands in {destination} already.", self.account_id);
            return Err(CallError::new(ErrorCode::DuplicateAccount, message));
        }
        let moved = Membership { parent: destination.clone(), ..membership.clone() };
        let change = match world.account(&self.account_id) {
            Some(account) => Change::PutAccount(Account { membership: Some(moved), ..(**account).clone() }),
            None => {
                let organization = Organization { management: moved, ..(*organization).clone() };
                Change::Organization(OrganizationChange::Put(Box::new(organization)))
            }
        };
        Ok(Outcome::answer(permitted, ()).changing(vec![change], Value::Null))
    }
}

impl RemoveAccountFromOrganization {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, _) = permit(call, |arns, _| vec![arns.account(&self.account_id)])?;
        let world = call.world();
        find(world, &self.account_id)?;
        let Some(account) = world.account(&self.account_id) else {
            let message = "The management account cannot leave the organization that it manages.";
            return Err(CallError::new(ErrorCode::MasterCannotLeaveOrganization, message));
        };
        let change = Change::PutAccount(Account { membership: None, ..(**account).clone() });
        Ok(Outcome::answer(permitted, ()).changing(vec![change], Value::Null))
    }
}

fn find<'w>(world: &'w World, id: &AccountId) -> Result<&'w Membership, CallError> {
    world.membership(id).ok_or_else(|| {
        let message = format!("There is no account {id} in your organization.");
        CallError::new(ErrorCode::AccountNotFound, message)
    })
}
