//! How an operation comes by what it is about: permission first, then the organization, then the thing itself.
//!
//! Source: "Actions, resources, and condition keys for AWS Organizations" (Service Authorization Reference) for the ARNs.
//! Only principals of the management account get anywhere, and who may not ask does not learn whether it is there.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    audit::ResourceEntry,
    kms::{Call, CallError},
    model::{
        AccountId, ControlPolicyId, ControlPolicyType, ErrorCode, OrganizationId, ParentId, RootId, TargetId,
        UnitId,
    },
    policy::{Action, Authorized},
    world::{Account, Change, ControlPolicy, Organization, OrganizationChange, OrganizationalUnit, World},
};

/// The ARNs of an organization's parts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arns<'a> {
    management: &'a AccountId,
    organization: &'a OrganizationId,
}

impl<'a> Arns<'a> {
    pub(super) fn of(world: &'a World, organization: &'a Organization) -> Self {
        Self { management: &world.settings().account, organization: &organization.id }
    }

    fn arn(self, kind: &str) -> String {
        format!("arn:aws:organizations::{}:{kind}/{}", self.management, self.organization)
    }

    pub(super) fn organization(self) -> String {
        self.arn("organization")
    }

    pub(super) fn account(self, id: &AccountId) -> String {
        format!("{}/{id}", self.arn("account"))
    }

    pub(super) fn unit(self, id: &UnitId) -> String {
        format!("{}/{id}", self.arn("ou"))
    }

    pub(super) fn root(self, id: &RootId) -> String {
        format!("{}/{id}", self.arn("root"))
    }

    pub(super) fn parent(self, id: &ParentId) -> String {
        match id {
            ParentId::Root(id) => self.root(id),
            ParentId::Unit(id) => self.unit(id),
        }
    }

    pub(super) fn target(self, id: &TargetId) -> String {
        match id {
            TargetId::Root(id) => self.root(id),
            TargetId::Unit(id) => self.unit(id),
            TargetId::Account(id) => self.account(id),
        }
    }

    pub(super) fn policy(self, id: &ControlPolicyId, policy_type: ControlPolicyType) -> String {
        let kind = policy_type.as_str().to_ascii_lowercase();
        if ControlPolicy::full_access(policy_type).id == *id {
            return format!("arn:aws:organizations::aws:policy/{kind}/{id}");
        }
        format!("{}/{kind}/{id}", self.arn("policy"))
    }
}

/// Asks whether the caller may do `A` to these parts of the organization (to nothing in particular, when there are none),
/// and answers the organization.
pub(super) fn permit<A: Action>(
    call: &mut Call<'_>,
    parts: impl FnOnce(Arns<'_>, &World) -> Vec<String>,
) -> Result<(Authorized<A>, Arc<Organization>), CallError> {
    let Some(organization) = call.world().organization().cloned() else {
        let _permitted = call.authorize_any::<A>()?;
        call.require_management_account()?;
        return Err(not_in_use());
    };
    let management = call.world().settings().account.clone();
    let parts = parts(Arns::of(call.world(), &organization), call.world());
    let mut permitted = None;
    for arn in &parts {
        permitted = Some(call.authorize_on::<A>(arn, management.clone())?);
    }
    let permitted = match permitted {
        Some(permitted) => permitted,
        None => call.authorize_any::<A>()?,
    };
    call.require_management_account()?;
    for arn in parts {
        let resource_type = resource_type(&arn).into();
        call.note(ResourceEntry { account_id: management.clone(), resource_type, arn });
    }
    Ok((permitted, organization))
}

fn resource_type(arn: &str) -> &'static str {
    let kind = arn.splitn(6, ':').nth(5).and_then(|resource| resource.split('/').next());
    match kind {
        Some("account") => "AWS::Organizations::Account",
        Some("ou") => "AWS::Organizations::OrganizationalUnit",
        Some("policy") => "AWS::Organizations::Policy",
        Some("root") => "AWS::Organizations::Root",
        _ => "AWS::Organizations::Organization",
    }
}

/// AWS's words when there is no organization.
pub(super) fn not_in_use() -> CallError {
    CallError::new(ErrorCode::OrganizationsNotInUse, "Your account is not a member of an organization.")
        .explained("make one with `keystead organizations create-organization`")
}

/// AWS's words for a parameter that is not what it should be.
pub(super) fn invalid(message: impl Into<String>) -> CallError {
    CallError::new(ErrorCode::OrganizationsInvalidInput, message)
}

/// AWS's words for a limit, with its reason.
pub(super) fn constraint(reason: &str, why: impl Into<String>) -> CallError {
    let message = format!("You have violated a limit of your organization: {reason}.");
    CallError::new(ErrorCode::ConstraintViolation, message).explained(why)
}

/// The root or unit with this id, or the error that is not finding one.
pub(super) fn check_parent(
    world: &World,
    organization: &Organization,
    parent: &ParentId,
    missing: ErrorCode,
) -> Result<(), CallError> {
    let there = match parent {
        ParentId::Root(root) => *root == organization.root,
        ParentId::Unit(unit) => world.unit(unit).is_some(),
    };
    if there {
        return Ok(());
    }
    Err(CallError::new(missing, format!("There is no root or organizational unit {parent}.")))
}

/// The control policy with this id.
pub(super) fn find_policy(world: &World, id: &ControlPolicyId) -> Result<Arc<ControlPolicy>, CallError> {
    world.control_policy(id).cloned().ok_or_else(|| {
        CallError::new(ErrorCode::PolicyNotFound, format!("There is no policy {id} in your organization."))
    })
}

/// The ARN of a control policy, of one that is not there too.
pub(super) fn policy_arn(arns: Arns<'_>, world: &World, id: &ControlPolicyId) -> String {
    let policy_type = world.control_policy(id).map(|policy| policy.policy_type);
    arns.policy(id, policy_type.unwrap_or(ControlPolicyType::ServiceControlPolicy))
}

/// Something that control policies hang on.
#[derive(Debug, Clone)]
pub(super) enum Target {
    Root(Box<Organization>),
    Unit(Box<OrganizationalUnit>),
    /// The account that manages the organization.
    Management(AccountId, Box<Organization>),
    Account(Box<Account>),
}

impl Target {
    /// All of them, from the root down.
    pub(super) fn all(world: &World, organization: &Organization) -> Vec<Self> {
        let root = Self::Root(Box::new(organization.clone()));
        let units = world.units().map(|unit| Self::Unit(Box::new((**unit).clone())));
        let management = Self::Management(world.settings().account.clone(), Box::new(organization.clone()));
        let members = world.accounts().filter(|account| account.membership.is_some());
        let members = members.map(|account| Self::Account(Box::new((**account).clone())));
        std::iter::once(root).chain(units).chain(std::iter::once(management)).chain(members).collect()
    }

    pub(super) fn find(world: &World, organization: &Organization, id: &TargetId) -> Result<Self, CallError> {
        let found = Self::all(world, organization).into_iter().find(|target| target.id() == *id);
        found.ok_or_else(|| {
            let message =
                format!("There is no root, organizational unit or account {id} in your organization.");
            CallError::new(ErrorCode::TargetNotFound, message)
        })
    }

    pub(super) fn id(&self) -> TargetId {
        match self {
            Self::Root(organization) => TargetId::Root(organization.root.clone()),
            Self::Unit(unit) => TargetId::Unit(unit.id.clone()),
            Self::Management(account, _) => TargetId::Account(account.clone()),
            Self::Account(account) => TargetId::Account(account.id.clone()),
        }
    }

    pub(super) fn name(&self) -> &str {
        match self {
            Self::Root(_) => ROOT_NAME,
            Self::Unit(unit) => &unit.name,
            Self::Management(..) => MANAGEMENT_NAME,
            Self::Account(account) => &account.name,
        }
    }

    /// The policies on it.
    pub(super) fn attached(&self) -> BTreeSet<ControlPolicyId> {
        match self {
            Self::Root(organization) => organization.attached.clone(),
            Self::Unit(unit) => unit.attached.clone(),
            Self::Management(_, organization) => organization.management.attached.clone(),
            Self::Account(account) => {
                account.membership.as_ref().map(|one| one.attached.clone()).unwrap_or_default()
            }
        }
    }

    /// The change that puts these policies on it in place of the others.
    pub(super) fn with(self, attached: BTreeSet<ControlPolicyId>) -> Change {
        match self {
            Self::Root(mut organization) => {
                organization.attached = attached;
                Change::Organization(OrganizationChange::Put(organization))
            }
            Self::Unit(mut unit) => {
                unit.attached = attached;
                Change::Organization(OrganizationChange::PutUnit(unit))
            }
            Self::Management(_, mut organization) => {
                organization.management.attached = attached;
                Change::Organization(OrganizationChange::Put(organization))
            }
            Self::Account(mut account) => {
                if let Some(membership) = &mut account.membership {
                    membership.attached = attached;
                }
                Change::PutAccount(*account)
            }
        }
    }
}

/// What the root is called.
pub(super) const ROOT_NAME: &str = "Root";
/// What the management account is called here: it is made with the keystore and nobody names it.
pub(super) const MANAGEMENT_NAME: &str = "management";
