//! Identity management by way of the door, in AWS's words: users, groups, roles, policies and credentials.
//!
//! Source: IAM API reference. What identities are is told in [`crate::iam`]. An operation is a value of its own type whose
//! fields are AWS's parameters; [`Iam::call`] makes it, and [`OPERATIONS`] is the table of all, from which the command line
//! takes its flags and its help.

mod access;
mod access_keys;
mod answer;
mod attachments;
mod given;
mod groups;
mod holder;
mod inline;
mod managed_policies;
mod mfa;
mod mfa_code;
mod providers;
mod roles;
mod simulation;
mod table;
mod tags;
#[cfg(test)]
mod tests;
mod users;
mod value;

pub use access_keys::*;
pub(in crate::services) use answer::time;
pub use answer::*;
pub use attachments::*;
pub use given::{GiveAccessKey, GiveMfaDevice};
pub use groups::*;
pub use inline::*;
pub use managed_policies::*;
pub use mfa::*;
pub use mfa_code::{MfaCodes, ShowMfaCode};
pub use providers::*;
pub use roles::*;
pub use simulation::*;
pub use table::OPERATIONS;
pub use tags::*;
pub use users::*;
pub use value::{
    AssignmentStatus, AuthenticationCode, Description, PathPrefix, PolicyScope, PolicyText, TagList,
};

use crate::{
    iam::{PolicyName, RoleName, UserName},
    kms::{CallError, Caller, Door, Operation},
    model::{PrincipalArn, Tags},
};

/// The identity management of a keystore.
#[derive(Clone, Copy)]
#[must_use]
pub struct Iam<'k> {
    door: &'k Door,
}

impl<'k> Iam<'k> {
    pub(crate) fn new(door: &'k Door) -> Self {
        Self { door }
    }

    /// Makes any call.
    ///
    /// ```
    /// use keystead::{services::iam::{CreateUser, GetUser}, testing::Lab};
    ///
    /// let lab = Lab::new()?;
    /// let (iam, admin) = (lab.keystore().iam(), lab.admin());
    /// iam.call(&admin, &CreateUser::new("alice".parse()?))?;
    /// let alice = iam.call(&admin, &GetUser { user_name: Some("alice".parse()?) })?;
    /// assert_eq!(alice.arn.as_str(), "arn:aws:iam::111122223333:user/alice");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The error that AWS names for the operation, or `KMSInternalException` when the keystore cannot write.
    pub fn call<O: Operation>(&self, caller: &Caller, operation: &O) -> Result<O::Answer, CallError> {
        self.door.call(caller, operation)
    }

    /// Makes a user without any permission.
    ///
    /// # Errors
    ///
    /// When there is one of that name, or the caller may not.
    pub fn create_user(
        &self,
        caller: &Caller,
        name: UserName,
        tags: Tags,
    ) -> Result<PrincipalArn, CallError> {
        let create = CreateUser { tags: Some(tags.into()), ..CreateUser::new(name) };
        self.call(caller, &create).map(|user| user.arn)
    }

    /// Makes a role without any permission, which every principal of the caller's account may be allowed to assume.
    ///
    /// # Errors
    ///
    /// When there is one of that name, or the caller may not.
    pub fn create_role(
        &self,
        caller: &Caller,
        name: RoleName,
        tags: Tags,
    ) -> Result<PrincipalArn, CallError> {
        let trust = PolicyText::trusting_account(&caller.account());
        let create = CreateRole { tags: Some(tags.into()), ..CreateRole::new(name, trust) };
        self.call(caller, &create).map(|role| role.arn)
    }

    /// Puts an inline policy on a user, in place of one with the same name.
    ///
    /// # Errors
    ///
    /// When there is no such user, the policy is not well formed, or the caller may not.
    pub fn put_user_policy(
        &self,
        caller: &Caller,
        user_name: UserName,
        policy_name: PolicyName,
        policy: &str,
    ) -> Result<(), CallError> {
        self.call(caller, &PutUserPolicy { user_name, policy_name, policy_document: policy.into() })
    }

    /// Puts an inline policy on a role, in place of one with the same name.
    ///
    /// # Errors
    ///
    /// When there is no such role, the policy is not well formed, or the caller may not.
    pub fn put_role_policy(
        &self,
        caller: &Caller,
        role_name: RoleName,
        policy_name: PolicyName,
        policy: &str,
    ) -> Result<(), CallError> {
        self.call(caller, &PutRolePolicy { role_name, policy_name, policy_document: policy.into() })
    }
}
