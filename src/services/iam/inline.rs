//! Inline policies: Put, Get, Delete and List, of users, groups and roles.

use serde_json::Value;

use super::{
    access,
    answer::InlinePolicyDetail,
    holder::{Holder, HolderName},
    value::PolicyText,
};
use crate::{
    iam::{GroupName, IdentityPolicy, PolicyName, RoleName, UserName},
    kms::{Call, CallError, Operation, Outcome},
    model::ErrorCode,
    policy::{Policy, PolicyKind},
    services::query::operations,
};

/// Declares the four operations of one kind of holder.
macro_rules! inline_policies {
    ($what:literal, $name_type:ty, $field:ident $wire:literal, $put:ident $get:ident $delete:ident $list:ident) => {
        operations! {
            #[doc = concat!("Puts an inline policy on a ", $what, ", in place of one with the same name.")]
            $put writes -> () as "" {
                #[doc = concat!("The ", $what, "'s name.")]
                $field $wire: $name_type,
                /// The policy's name.
                policy_name "PolicyName": PolicyName,
                /// The policy.
                policy_document "PolicyDocument": PolicyText,
            }

            #[doc = concat!("Shows an inline policy of a ", $what, ".")]
            $get reads -> InlinePolicyDetail as "" {
                #[doc = concat!("The ", $what, "'s name.")]
                $field $wire: $name_type,
                /// The policy's name.
                policy_name "PolicyName": PolicyName,
            }

            #[doc = concat!("Deletes an inline policy of a ", $what, ".")]
            $delete writes -> () as "" {
                #[doc = concat!("The ", $what, "'s name.")]
                $field $wire: $name_type,
                /// The policy's name.
                policy_name "PolicyName": PolicyName,
            }

            #[doc = concat!("Lists the names of a ", $what, "'s inline policies.")]
            $list reads -> Vec<PolicyName> as "PolicyNames" {
                #[doc = concat!("The ", $what, "'s name.")]
                $field $wire: $name_type,
            }
        }

        impl $put {
            fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
                put(call, (&self.$field).into(), &self.policy_name, &self.policy_document)
            }
        }

        impl $get {
            fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
                get(call, (&self.$field).into(), &self.policy_name)
            }
        }

        impl $delete {
            fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
                delete(call, (&self.$field).into(), &self.policy_name)
            }
        }

        impl $list {
            fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
                let (permitted, holder) = HolderName::from(&self.$field).find(call, None)?;
                Ok(Outcome::answer(permitted, holder.permissions().inline.keys().cloned().collect()))
            }
        }
    };
}

inline_policies!("user", UserName, user_name "UserName",
    PutUserPolicy GetUserPolicy DeleteUserPolicy ListUserPolicies);
inline_policies!("group", GroupName, group_name "GroupName",
    PutGroupPolicy GetGroupPolicy DeleteGroupPolicy ListGroupPolicies);
inline_policies!("role", RoleName, role_name "RoleName",
    PutRolePolicy GetRolePolicy DeleteRolePolicy ListRolePolicies);

/// Parses an identity policy that is about to be put.
pub(super) fn identity_policy(text: &PolicyText, kind: PolicyKind) -> Result<IdentityPolicy, CallError> {
    Policy::parse(text.as_str(), kind)
        .map(IdentityPolicy::new)
        .map_err(|error| CallError::new(ErrorCode::IamMalformedPolicyDocument, error.to_string()))
}

fn put<O: Operation<Answer = (), Permission = O> + crate::policy::Action>(
    call: &mut Call<'_>,
    holder: HolderName<'_>,
    name: &PolicyName,
    text: &PolicyText,
) -> Result<Outcome<O>, CallError> {
    let (permitted, holder) = holder.find(call, None)?;
    let PolicyKind::Identity { chars_max } = holder.inline_kind() else {
        return Err(CallError::internal("an inline policy is an identity policy"));
    };
    // The quota is that of all inline policies together, so it is counted here and not by the parser.
    let policy = identity_policy(text, PolicyKind::INLINE_ROLE)?;
    let mut permissions = holder.permissions().clone();
    if permissions.inline_chars_without(name) + policy.chars() > chars_max {
        return Err(CallError::new(
            ErrorCode::IamLimitExceeded,
            format!(
                "Maximum policy size of {chars_max} bytes exceeded for {} {}",
                holder.kind(),
                holder.name()
            ),
        ));
    }
    permissions.inline.insert(name.clone(), policy);
    Ok(Outcome::answer(permitted, ()).changing(vec![holder.with_permissions(permissions)], Value::Null))
}

fn get<O: Operation<Answer = InlinePolicyDetail, Permission = O> + crate::policy::Action>(
    call: &mut Call<'_>,
    holder: HolderName<'_>,
    name: &PolicyName,
) -> Result<Outcome<O>, CallError> {
    let (permitted, holder) = holder.find(call, None)?;
    let policy = holder.permissions().inline.get(name).ok_or_else(|| not_there(&holder, name))?;
    let answer = InlinePolicyDetail::of(&holder, name, policy);
    Ok(Outcome::answer(permitted, answer))
}

fn delete<O: Operation<Answer = (), Permission = O> + crate::policy::Action>(
    call: &mut Call<'_>,
    holder: HolderName<'_>,
    name: &PolicyName,
) -> Result<Outcome<O>, CallError> {
    let (permitted, holder) = holder.find(call, None)?;
    let mut permissions = holder.permissions().clone();
    if permissions.inline.remove(name).is_none() {
        return Err(not_there(&holder, name));
    }
    Ok(Outcome::answer(permitted, ()).changing(vec![holder.with_permissions(permissions)], Value::Null))
}

fn not_there(holder: &Holder, name: &PolicyName) -> CallError {
    access::no_such(&format!("{} policy", holder.kind()), name)
}
