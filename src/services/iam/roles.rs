//! Roles: CreateRole, GetRole, UpdateRole, DeleteRole, ListRoles, UpdateAssumeRolePolicy.

use serde_json::{Value, json};

use super::{
    access::{self, Asked, Target},
    answer::{RoleDetail, time_text},
    holder::Holder,
    tags::TagRole,
    value::{Description, PathPrefix, PolicyText, TagList},
};
use crate::{
    iam::{IamPath, MaxSessionDuration, PolicyArn, Role, RoleName, TrustPolicy, UniqueIdKind},
    kms::{Call, CallError, Outcome, bind},
    model::{ErrorCode, PrincipalArn},
    policy::{Policy, PolicyKind},
    services::query::operations,
    world::{Change, IdentityChange},
};

operations! {
    /// Makes a role without any permission.
    CreateRole writes -> RoleDetail as "Role" {
        /// The role's name.
        role_name "RoleName": RoleName,
        /// Its trust policy: who may assume the role, and when.
        assume_role_policy_document "AssumeRolePolicyDocument": PolicyText,
        /// Its path; `/` when left out.
        path "Path": Option<IamPath>,
        /// What it is for.
        description "Description": Option<Description>,
        /// How long a session may last at most, in seconds: 3600 to 43200.
        max_session_duration "MaxSessionDuration": Option<MaxSessionDuration>,
        /// The managed policy that bounds what its identity policies can allow.
        permissions_boundary "PermissionsBoundary": Option<PolicyArn>,
        /// Its tags.
        tags "Tags": Option<TagList>,
    }

    /// Describes a role, with its trust policy.
    GetRole reads -> RoleDetail as "Role" {
        /// The role's name.
        role_name "RoleName": RoleName,
    }

    /// Changes a role's description and the longest duration of its sessions.
    UpdateRole writes -> () as "" {
        /// The role's name.
        role_name "RoleName": RoleName,
        /// What it is for.
        description "Description": Option<Description>,
        /// How long a session may last at most, in seconds: 3600 to 43200.
        max_session_duration "MaxSessionDuration": Option<MaxSessionDuration>,
    }

    /// Replaces a role's trust policy.
    UpdateAssumeRolePolicy writes -> () as "" {
        /// The role's name.
        role_name "RoleName": RoleName,
        /// The new trust policy.
        policy_document "PolicyDocument": PolicyText,
    }

    /// Deletes a role that has no policies any more.
    DeleteRole writes -> () as "" {
        /// The role's name.
        role_name "RoleName": RoleName,
    }

    /// Lists the roles of the account.
    ListRoles reads -> Vec<RoleDetail> as "Roles" {
        /// Only those whose path begins like this.
        path_prefix "PathPrefix": Option<PathPrefix>,
    }
}

impl CreateRole {
    /// A role of this name with this trust policy and nothing more.
    #[must_use]
    pub fn new(role_name: RoleName, trust: PolicyText) -> Self {
        Self {
            role_name,
            assume_role_policy_document: trust,
            path: None,
            description: None,
            max_session_duration: None,
            permissions_boundary: None,
            tags: None,
        }
    }

    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (account, path) = (call.account(), self.path.clone().unwrap_or_default());
        let arn = PrincipalArn::role(&account, &path.with(&self.role_name)).to_string();
        let target = Target { arn, kind: "AWS::IAM::Role", tags: None };
        let tags = self.tags.clone().unwrap_or_default().into();
        let boundary = self.permissions_boundary.as_ref();
        let asked = Asked { request_tags: Some(&tags), boundary, ..Asked::default() };
        let permitted = access::permit(call, &target, asked)?;
        if !tags.is_empty() {
            let _permitted = access::permit::<TagRole>(call, &target, asked)?;
        }
        let taken = |role: &Role| role.account == account && role.name.is_taken_by(&self.role_name);
        if call.world().identities().roles().any(|role| taken(role)) {
            return Err(access::exists_already("Role", &self.role_name));
        }
        let trust = trust_policy(call, &self.assume_role_policy_document)?;
        let id = access::new_id(call, UniqueIdKind::Role)?;
        let mut role = Role::new((account.clone(), path, self.role_name.clone()), id, call.now(), trust);
        role.tags = tags;
        role.description = self.description.clone().map(String::from).unwrap_or_default();
        role.max_session_duration = self.max_session_duration.unwrap_or_default();
        role.boundary = access::boundary(call, boundary)?;
        let answer = RoleDetail::of(call.world(), &role);
        let elements = json!({"role": {"arn": answer.arn, "roleId": answer.role_id, "roleName": answer.role_name,
            "path": answer.path, "createDate": time_text(answer.create_date)}});
        let change = IdentityChange::PutRole(Box::new(role));
        Ok(Outcome::answer(permitted, answer).changing(vec![Change::Identity(change)], elements))
    }
}

impl GetRole {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, role) = access::role(call, &self.role_name, Asked::default())?;
        let answer = RoleDetail::of(call.world(), &role);
        Ok(Outcome::answer(permitted, answer))
    }
}

impl UpdateRole {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, role) = access::role(call, &self.role_name, Asked::default())?;
        let mut role = Role::clone(&role);
        // As at AWS: a duration that is left out falls back to an hour, a description that is left out stays.
        role.max_session_duration = self.max_session_duration.unwrap_or_default();
        role.description = self.description.clone().map_or(role.description, String::from);
        let change = IdentityChange::PutRole(Box::new(role));
        Ok(Outcome::answer(permitted, ()).changing(vec![Change::Identity(change)], Value::Null))
    }
}

impl UpdateAssumeRolePolicy {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, role) = access::role(call, &self.role_name, Asked::default())?;
        let mut role = Role::clone(&role);
        role.trust = trust_policy(call, &self.policy_document)?;
        let change = IdentityChange::PutRole(Box::new(role));
        Ok(Outcome::answer(permitted, ()).changing(vec![Change::Identity(change)], Value::Null))
    }
}

impl DeleteRole {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, role) = access::role(call, &self.role_name, Asked::default())?;
        Holder::Role(role.clone()).refuse_unless_bare()?;
        let change = IdentityChange::DeleteRole(role.account.clone(), role.name.clone());
        Ok(Outcome::answer(permitted, ()).changing(vec![Change::Identity(change)], Value::Null))
    }
}

impl ListRoles {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let prefix = self.path_prefix.as_ref();
        let permitted = access::list(call, "role", prefix)?;
        let roles = call.world().identities().roles();
        let listed = roles.filter(|role| access::is_listed(call, &role.account, role.path.as_str(), prefix));
        let listed = listed.map(|role| RoleDetail::listed(call.world(), role)).collect();
        Ok(Outcome::answer(permitted, listed))
    }
}

/// Parses a trust policy that is about to be put: well formed, and its principals exist.
fn trust_policy(call: &Call<'_>, text: &PolicyText) -> Result<TrustPolicy, CallError> {
    let malformed = |message: String| CallError::new(ErrorCode::IamMalformedPolicyDocument, message);
    let policy =
        Policy::parse(text.as_str(), PolicyKind::Trust).map_err(|error| malformed(error.to_string()))?;
    let bound = bind(call.world(), policy).map_err(|missing| {
        malformed(format!("Invalid principal in policy: \"AWS\":\"{missing}\""))
            .explained(format!("there is no principal `{missing}` in this keystore"))
    })?;
    Ok(TrustPolicy::new(bound))
}
