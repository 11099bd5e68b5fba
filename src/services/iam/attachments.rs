//! Managed policies on users, groups and roles: Attach, Detach and ListAttached; and permissions boundaries.

use serde_json::Value;

use super::{
    access,
    answer::AttachedPolicyDetail,
    holder::{Holder, HolderName},
};
use crate::{
    iam::{ATTACHED_POLICIES_MAX, GroupName, PolicyArn, Role, RoleName, User, UserName},
    kms::{Call, CallError, Operation, Outcome},
    model::ErrorCode,
    policy::Action,
    services::query::operations,
    world::{Change, IdentityChange},
};

/// Declares the three operations of one kind of holder.
macro_rules! attachments {
    ($what:literal, $name_type:ty, $field:ident $wire:literal, $attach:ident $detach:ident $list:ident) => {
        operations! {
            #[doc = concat!("Hangs a managed policy on a ", $what, ".")]
            $attach writes -> () as "" {
                #[doc = concat!("The ", $what, "'s name.")]
                $field $wire: $name_type,
                /// The policy's ARN.
                policy_arn "PolicyArn": PolicyArn,
            }

            #[doc = concat!("Takes a managed policy off a ", $what, ".")]
            $detach writes -> () as "" {
                #[doc = concat!("The ", $what, "'s name.")]
                $field $wire: $name_type,
                /// The policy's ARN.
                policy_arn "PolicyArn": PolicyArn,
            }

            #[doc = concat!("Lists the managed policies that hang on a ", $what, ".")]
            $list reads -> Vec<AttachedPolicyDetail> as "AttachedPolicies" {
                #[doc = concat!("The ", $what, "'s name.")]
                $field $wire: $name_type,
            }
        }

        impl $attach {
            fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
                attach(call, (&self.$field).into(), &self.policy_arn)
            }
        }

        impl $detach {
            fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
                detach(call, (&self.$field).into(), &self.policy_arn)
            }
        }

        impl $list {
            fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
                let (permitted, holder) = HolderName::from(&self.$field).find(call, None)?;
                let listed = holder.permissions().attached.iter().map(AttachedPolicyDetail::of).collect();
                Ok(Outcome::answer(permitted, listed))
            }
        }
    };
}

attachments!("user", UserName, user_name "UserName",
    AttachUserPolicy DetachUserPolicy ListAttachedUserPolicies);
attachments!("group", GroupName, group_name "GroupName",
    AttachGroupPolicy DetachGroupPolicy ListAttachedGroupPolicies);
attachments!("role", RoleName, role_name "RoleName",
    AttachRolePolicy DetachRolePolicy ListAttachedRolePolicies);

fn attach<O: Operation<Answer = (), Permission = O> + Action>(
    call: &mut Call<'_>,
    holder: HolderName<'_>,
    arn: &PolicyArn,
) -> Result<Outcome<O>, CallError> {
    let (permitted, holder) = holder.find(call, Some(arn))?;
    let in_reach = arn.owner().is_none_or(|owner| *owner == call.account());
    if !in_reach || call.world().identities().policy(arn).is_none() {
        let message = format!("Policy {arn} does not exist or is not attachable.");
        return Err(CallError::new(ErrorCode::NoSuchEntity, message));
    }
    let mut permissions = holder.permissions().clone();
    permissions.attached.insert(arn.clone());
    if permissions.attached.len() > ATTACHED_POLICIES_MAX {
        let quota = match holder {
            Holder::User(_) => "PoliciesPerUser",
            Holder::Group(_) => "PoliciesPerGroup",
            Holder::Role(_) => "PoliciesPerRole",
        };
        return Err(access::over_quota(quota, ATTACHED_POLICIES_MAX));
    }
    Ok(Outcome::answer(permitted, ()).changing(vec![holder.with_permissions(permissions)], Value::Null))
}

fn detach<O: Operation<Answer = (), Permission = O> + Action>(
    call: &mut Call<'_>,
    holder: HolderName<'_>,
    arn: &PolicyArn,
) -> Result<Outcome<O>, CallError> {
    let (permitted, holder) = holder.find(call, Some(arn))?;
    let mut permissions = holder.permissions().clone();
    if !permissions.attached.remove(arn) {
        return Err(CallError::new(ErrorCode::NoSuchEntity, format!("Policy {arn} was not found.")));
    }
    Ok(Outcome::answer(permitted, ()).changing(vec![holder.with_permissions(permissions)], Value::Null))
}

/// Declares the two operations on the boundary of one kind of holder. `$find` finds one, and `$put` is the change that
/// writes it.
macro_rules! boundaries {
    (
        $what:literal, $name_type:ty, $field:ident $wire:literal, $set:ident $delete:ident,
        $find:path, $noun:ident, $put:path
    ) => {
        operations! {
            #[doc = concat!("Bounds what a ", $what, "'s identity policies can allow by a managed policy.")]
            $set writes -> () as "" {
                #[doc = concat!("The ", $what, "'s name.")]
                $field $wire: $name_type,
                /// The managed policy's ARN.
                permissions_boundary "PermissionsBoundary": PolicyArn,
            }

            #[doc = concat!("Takes a ", $what, "'s permissions boundary away.")]
            $delete writes -> () as "" {
                #[doc = concat!("The ", $what, "'s name.")]
                $field $wire: $name_type,
            }
        }

        impl $set {
            fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
                let arn = Some(&self.permissions_boundary);
                let asked = access::Asked { boundary: arn, ..access::Asked::default() };
                let (permitted, found) = $find(call, &self.$field, asked)?;
                let boundary = access::boundary(call, arn)?;
                let change = $put(Box::new($noun { boundary, ..$noun::clone(&found) }));
                Ok(Outcome::answer(permitted, ()).changing(vec![Change::Identity(change)], Value::Null))
            }
        }

        impl $delete {
            fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
                let (permitted, holder) = HolderName::from(&self.$field).find(call, None)?;
                let changes = holder.without_boundary().into_iter().collect();
                Ok(Outcome::answer(permitted, ()).changing(changes, Value::Null))
            }
        }
    };
}

boundaries!("user", UserName, user_name "UserName",
    PutUserPermissionsBoundary DeleteUserPermissionsBoundary, access::user, User, IdentityChange::PutUser);
boundaries!("role", RoleName, role_name "RoleName",
    PutRolePermissionsBoundary DeleteRolePermissionsBoundary, access::role, Role, IdentityChange::PutRole);
