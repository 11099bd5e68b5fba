//! Managed policies: CreatePolicy, GetPolicy, DeletePolicy, ListPolicies, their versions, and who they hang on.

use serde_json::{Value, json};

use super::{
    access::{self, Asked, Target},
    answer::{EntitiesOfPolicy, NamedEntity, PolicyDetail, PolicyVersionDetail, some_tags, time_text},
    inline::identity_policy,
    tags::TagPolicy,
    value::{Description, PathPrefix, PolicyScope, PolicyText, TagList},
};
use crate::{
    iam::{
        AwsManagedPolicies, IamPath, IdentityPolicy, ManagedPolicy, POLICY_VERSIONS_MAX, PolicyArn,
        PolicyName, UniqueIdKind, VersionId,
    },
    kms::{Call, CallError, Outcome},
    model::ErrorCode,
    policy::{Action, Authorized, PolicyKind},
    services::query::operations,
    world::{Change, Identities, IdentityChange},
};

operations! {
    /// Makes a managed policy.
    CreatePolicy writes -> PolicyDetail as "Policy" {
        /// The policy's name.
        policy_name "PolicyName": PolicyName,
        /// The policy.
        policy_document "PolicyDocument": PolicyText,
        /// Its path; `/` when left out.
        path "Path": Option<IamPath>,
        /// What it is for.
        description "Description": Option<Description>,
        /// Its tags.
        tags "Tags": Option<TagList>,
    }

    /// Describes a managed policy; GetPolicyVersion shows what it says.
    GetPolicy reads -> PolicyDetail as "Policy" {
        /// The policy's ARN.
        policy_arn "PolicyArn": PolicyArn,
    }

    /// Deletes a managed policy that hangs on nobody and has no other version than the default one.
    DeletePolicy writes -> () as "" {
        /// The policy's ARN.
        policy_arn "PolicyArn": PolicyArn,
    }

    /// Lists managed policies.
    ListPolicies reads -> Vec<PolicyDetail> as "Policies" {
        /// Whose: `Local`, `AWS` or `All`.
        scope "Scope": Option<PolicyScope>,
        /// Only those that hang on somebody.
        only_attached "OnlyAttached": Option<bool>,
        /// Only those whose path begins so.
        path_prefix "PathPrefix": Option<PathPrefix>,
    }

    /// Adds a version to a managed policy; there are at most five.
    CreatePolicyVersion writes -> PolicyVersionDetail as "PolicyVersion" {
        /// The policy's ARN.
        policy_arn "PolicyArn": PolicyArn,
        /// What the version says.
        policy_document "PolicyDocument": PolicyText,
        /// Whether to put it in force.
        set_as_default "SetAsDefault": Option<bool>,
    }

    /// Shows what a version of a managed policy says.
    GetPolicyVersion reads -> PolicyVersionDetail as "PolicyVersion" {
        /// The policy's ARN.
        policy_arn "PolicyArn": PolicyArn,
        /// The version, such as `v1`.
        version_id "VersionId": VersionId,
    }

    /// Deletes a version of a managed policy that is not in force.
    DeletePolicyVersion writes -> () as "" {
        /// The policy's ARN.
        policy_arn "PolicyArn": PolicyArn,
        /// The version, such as `v1`.
        version_id "VersionId": VersionId,
    }

    /// Lists the versions of a managed policy.
    ListPolicyVersions reads -> Vec<PolicyVersionDetail> as "Versions" {
        /// The policy's ARN.
        policy_arn "PolicyArn": PolicyArn,
    }

    /// Puts a version of a managed policy in force.
    SetDefaultPolicyVersion writes -> () as "" {
        /// The policy's ARN.
        policy_arn "PolicyArn": PolicyArn,
        /// The version, such as `v1`.
        version_id "VersionId": VersionId,
    }

    /// Lists the users, groups and roles that a managed policy hangs on.
    ListEntitiesForPolicy reads -> EntitiesOfPolicy as "" {
        /// The policy's ARN.
        policy_arn "PolicyArn": PolicyArn,
    }
}

impl CreatePolicy {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let account = call.account();
        let path = self.path.clone().unwrap_or_default();
        let arn = PolicyArn::new(Some(account.clone()), path, self.policy_name.clone());
        let tags = self.tags.clone().unwrap_or_default().into();
        let target = target(&arn, None);
        let asked = Asked { request_tags: Some(&tags), ..Asked::default() };
        let permitted = access::permit(call, &target, asked)?;
        if !tags.is_empty() {
            let _permitted = access::permit::<TagPolicy>(call, &target, asked)?;
        }
        let taken = |policy: &ManagedPolicy| {
            policy.arn.owner() == Some(&account) && policy.arn.name().is_taken_by(&self.policy_name)
        };
        if call.world().identities().customer_policies().any(|policy| taken(policy)) {
            let message = format!(
                "A policy called {} already exists. Duplicate names are not allowed.",
                self.policy_name
            );
            return Err(CallError::new(ErrorCode::EntityAlreadyExists, message));
        }
        let document = managed_policy(&self.policy_document)?;
        let id = access::new_id(call, UniqueIdKind::ManagedPolicy)?;
        let mut policy = ManagedPolicy::new(arn, id, call.now(), document);
        policy.description = self.description.clone().map(String::from).unwrap_or_default();
        policy.tags = tags;
        let answer =
            PolicyDetail { tags: some_tags(&policy.tags), ..detail(call.world().identities(), &policy) };
        let elements = json!({"policy": {"arn": policy.arn, "policyId": policy.id, "policyName": self.policy_name,
            "createDate": time_text(policy.created)}});
        let change = Change::Identity(IdentityChange::PutManagedPolicy(Box::new(policy)));
        Ok(Outcome::answer(permitted, answer).changing(vec![change], elements))
    }
}

impl GetPolicy {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, policy) = find(call, &self.policy_arn, Asked::default())?;
        let answer = PolicyDetail {
            description: policy.description.clone(),
            // That it has none is said too.
            tags: Some(policy.tags.clone().into()),
            ..detail(call.world().identities(), &policy)
        };
        Ok(Outcome::answer(permitted, answer))
    }
}

impl DeletePolicy {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, policy) = find_own(call, &self.policy_arn, Asked::default())?;
        let identities = call.world().identities();
        if attachments(identities, &policy.arn) + boundaries(identities, &policy.arn) > 0 {
            let message = "Cannot delete a policy attached to entities.";
            return Err(CallError::new(ErrorCode::DeleteConflict, message));
        }
        if policy.versions().len() > 1 {
            let message = "This policy has more than one version. Before you delete a policy, you must delete the \
                           policy's versions. The default version is deleted with the policy.";
            return Err(CallError::new(ErrorCode::DeleteConflict, message));
        }
        let change = Change::Identity(IdentityChange::DeleteManagedPolicy(policy.arn));
        Ok(Outcome::answer(permitted, ()).changing(vec![change], Value::Null))
    }
}

impl ListPolicies {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let permitted = call.authorize_any::<Self>()?;
        let (account, identities) = (call.account(), call.world().identities());
        let scope = self.scope.unwrap_or_default();
        let own = identities.customer_policies().filter(|policy| policy.arn.owner() == Some(&account));
        let mut policies: Vec<&ManagedPolicy> = AwsManagedPolicies::all().map(|policy| &**policy).collect();
        policies.extend(own.map(|policy| &**policy));
        let attached_alone = self.only_attached.unwrap_or_default();
        let listed = policies
            .into_iter()
            .filter(|policy| scope.admits(policy.arn.owner()))
            .filter(|policy| {
                self.path_prefix
                    .as_ref()
                    .is_none_or(|prefix| policy.arn.path().as_str().starts_with(prefix.as_str()))
            })
            .map(|policy| detail(identities, policy))
            .filter(|policy| !attached_alone || policy.attachment_count > 0)
            .collect();
        Ok(Outcome::answer(permitted, listed))
    }
}

impl CreatePolicyVersion {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, mut policy) = find_own(call, &self.policy_arn, Asked::default())?;
        let document = managed_policy(&self.policy_document)?;
        let as_default = self.set_as_default.unwrap_or_default();
        let Some(version_id) = policy.add_version(document, call.now(), as_default) else {
            let message = format!(
                "A managed policy can have up to {POLICY_VERSIONS_MAX} versions. Before you create a new version, you \
                 must delete an existing version."
            );
            return Err(CallError::new(ErrorCode::IamLimitExceeded, message));
        };
        let mut answer = version(&policy, version_id)?;
        answer.document = None;
        let elements = json!({"policyVersion": {"versionId": version_id, "isDefaultVersion": as_default}});
        let change = Change::Identity(IdentityChange::PutManagedPolicy(Box::new(policy)));
        Ok(Outcome::answer(permitted, answer).changing(vec![change], elements))
    }
}

impl GetPolicyVersion {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, policy) = find(call, &self.policy_arn, Asked::default())?;
        Ok(Outcome::answer(permitted, version(&policy, self.version_id)?))
    }
}

impl DeletePolicyVersion {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, mut policy) = find_own(call, &self.policy_arn, Asked::default())?;
        if policy.default_version().id == self.version_id {
            let message = "Cannot delete the default version of a policy.";
            return Err(CallError::new(ErrorCode::DeleteConflict, message));
        }
        if !policy.remove_version(self.version_id) {
            return Err(no_version(&policy.arn, self.version_id));
        }
        let change = Change::Identity(IdentityChange::PutManagedPolicy(Box::new(policy)));
        Ok(Outcome::answer(permitted, ()).changing(vec![change], Value::Null))
    }
}

impl ListPolicyVersions {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, policy) = find(call, &self.policy_arn, Asked::default())?;
        let ids = policy.versions().into_iter().map(|one| one.id);
        let listed = ids.map(|id| Ok(PolicyVersionDetail { document: None, ..version(&policy, id)? }));
        let listed = listed.collect::<Result<Vec<_>, CallError>>()?;
        Ok(Outcome::answer(permitted, listed))
    }
}

impl SetDefaultPolicyVersion {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, mut policy) = find_own(call, &self.policy_arn, Asked::default())?;
        if !policy.set_default(self.version_id) {
            return Err(no_version(&policy.arn, self.version_id));
        }
        policy.updated = call.now();
        let change = Change::Identity(IdentityChange::PutManagedPolicy(Box::new(policy)));
        Ok(Outcome::answer(permitted, ()).changing(vec![change], Value::Null))
    }
}

impl ListEntitiesForPolicy {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, policy) = find(call, &self.policy_arn, Asked::default())?;
        let (account, identities) = (call.account(), call.world().identities());
        let hangs_on = |permissions: &crate::iam::Permissions| permissions.attached.contains(&policy.arn);
        let groups = identities.groups().filter(|one| one.account == account && hangs_on(&one.permissions));
        let users = identities.users().filter(|one| one.account == account && hangs_on(&one.permissions));
        let roles = identities.roles().filter(|one| one.account == account && hangs_on(&one.permissions));
        let answer = EntitiesOfPolicy {
            policy_groups: groups.map(|one| NamedEntity::group(one)).collect(),
            policy_users: users.map(|one| NamedEntity::user(one)).collect(),
            policy_roles: roles.map(|one| NamedEntity::role(one)).collect(),
            is_truncated: false,
        };
        Ok(Outcome::answer(permitted, answer))
    }
}

/// A policy that can be managed: such ones came with the second version of the language, and must say that they are of it.
fn managed_policy(text: &PolicyText) -> Result<IdentityPolicy, CallError> {
    let document = identity_policy(text, PolicyKind::MANAGED)?;
    let said: Option<Value> = serde_json::from_str(text.as_str()).ok();
    if said.is_none_or(|said| said.get("Version") != Some(&json!("2012-10-17"))) {
        let message = "Policy document must be version 2012-10-17 or greater.";
        return Err(CallError::new(ErrorCode::IamMalformedPolicyDocument, message));
    }
    Ok(document)
}

fn target<'a>(arn: &PolicyArn, tags: Option<&'a crate::model::Tags>) -> Target<'a> {
    Target { arn: arn.to_string(), kind: "AWS::IAM::ManagedPolicy", tags }
}

/// Finds a managed policy that the caller's account can see, and asks whether the caller may do `A` to it.
pub(super) fn find<A: Action>(
    call: &mut Call<'_>,
    arn: &PolicyArn,
    asked: Asked<'_>,
) -> Result<(Authorized<A>, ManagedPolicy), CallError> {
    let in_reach = arn.owner().is_none_or(|owner| *owner == call.account());
    let found = call.world().identities().policy(arn).filter(|_| in_reach).cloned();
    let tags = found.as_ref().map(|policy| &policy.tags);
    let permitted = access::permit(call, &target(arn, tags), asked)?;
    match found {
        Some(policy) => Ok((permitted, ManagedPolicy::clone(&policy))),
        None => {
            let message = format!("Policy {arn} does not exist or is not attachable.");
            Err(CallError::new(ErrorCode::NoSuchEntity, message))
        }
    }
}

/// The same of a policy that is to be changed: those of AWS are not the customer's to change.
pub(super) fn find_own<A: Action>(
    call: &mut Call<'_>,
    arn: &PolicyArn,
    asked: Asked<'_>,
) -> Result<(Authorized<A>, ManagedPolicy), CallError> {
    let (permitted, policy) = find(call, arn, asked)?;
    if policy.arn.owner().is_none() {
        let message = format!("Policy {arn} is an AWS managed policy and cannot be changed.");
        return Err(CallError::new(ErrorCode::AccessDenied, message));
    }
    Ok((permitted, policy))
}

fn version(policy: &ManagedPolicy, id: VersionId) -> Result<PolicyVersionDetail, CallError> {
    let found = policy.versions().into_iter().find(|version| version.id == id);
    let found = found.ok_or_else(|| no_version(&policy.arn, id))?;
    Ok(PolicyVersionDetail {
        document: Some(found.document.text().to_owned()),
        version_id: id,
        is_default_version: policy.default_version().id == id,
        create_date: found.created,
    })
}

fn no_version(arn: &PolicyArn, id: VersionId) -> CallError {
    let message = format!("Policy {arn} version {id} does not exist or is not attachable.");
    CallError::new(ErrorCode::NoSuchEntity, message)
}

fn attachments(identities: &Identities, arn: &PolicyArn) -> usize {
    let users = identities.users().map(|user| &user.permissions);
    let groups = identities.groups().map(|group| &group.permissions);
    let roles = identities.roles().map(|role| &role.permissions);
    users.chain(groups).chain(roles).filter(|permissions| permissions.attached.contains(arn)).count()
}

fn boundaries(identities: &Identities, arn: &PolicyArn) -> usize {
    let users = identities.users().map(|user| &user.boundary);
    let roles = identities.roles().map(|role| &role.boundary);
    users.chain(roles).filter(|boundary| boundary.as_ref() == Some(arn)).count()
}

/// What every answer tells of a policy. Some tell its tags too, and GetPolicy alone what it is said to be for.
fn detail(identities: &Identities, policy: &ManagedPolicy) -> PolicyDetail {
    PolicyDetail {
        policy_name: policy.arn.name().clone(),
        policy_id: policy.id.clone(),
        arn: policy.arn.clone(),
        path: policy.arn.path().clone(),
        default_version_id: policy.default_version().id,
        attachment_count: attachments(identities, &policy.arn),
        permissions_boundary_usage_count: boundaries(identities, &policy.arn),
        is_attachable: true,
        description: String::new(),
        create_date: policy.created,
        update_date: policy.updated,
        tags: None,
    }
}
