//! Users: CreateUser, GetUser, UpdateUser, DeleteUser, ListUsers.

use serde_json::json;

use super::{
    access::{self, Asked, Target},
    answer::{UserDetail, time_text},
    holder::Holder,
    tags::TagUser,
    value::{PathPrefix, TagList},
};
use crate::{
    iam::{AccessKey, IamPath, MfaDevice, PolicyArn, UniqueIdKind, User, UserName},
    kms::{Call, CallError, Outcome},
    model::{ErrorCode, PrincipalArn},
    services::query::operations,
    world::{Change, IdentityChange},
};

operations! {
    /// Makes a user without any permission.
    CreateUser writes -> UserDetail as "User" {
        /// The user's name.
        user_name "UserName": UserName,
        /// Its path; `/` when left out.
        path "Path": Option<IamPath>,
        /// The managed policy that bounds what its identity policies can allow.
        permissions_boundary "PermissionsBoundary": Option<PolicyArn>,
        /// Its tags.
        tags "Tags": Option<TagList>,
    }

    /// Describes a user; without a name, the caller.
    GetUser reads -> UserDetail as "User" {
        /// The user's name.
        user_name "UserName": Option<UserName>,
    }

    /// Gives a user another name or path. The unique id stays, and so does what policies say of it.
    UpdateUser writes -> () as "" {
        /// The user's name.
        user_name "UserName": UserName,
        /// The new path.
        new_path "NewPath": Option<IamPath>,
        /// The new name.
        new_user_name "NewUserName": Option<UserName>,
    }

    /// Deletes a user that has no policies, groups, access keys and MFA devices any more.
    DeleteUser writes -> () as "" {
        /// The user's name.
        user_name "UserName": UserName,
    }

    /// Lists the users of the account.
    ListUsers reads -> Vec<UserDetail> as "Users" {
        /// Only those whose path begins like this.
        path_prefix "PathPrefix": Option<PathPrefix>,
    }
}

impl CreateUser {
    /// A user of this name and nothing more.
    #[must_use]
    pub fn new(user_name: UserName) -> Self {
        Self { user_name, path: None, permissions_boundary: None, tags: None }
    }

    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (account, path) = (call.account(), self.path.clone().unwrap_or_default());
        let mut user = User::new(
            account,
            path,
            self.user_name.clone(),
            access::new_id(call, UniqueIdKind::User)?,
            call.now(),
        );
        user.tags = self.tags.clone().unwrap_or_default().into();
        let target = Target { arn: user.arn().to_string(), kind: "AWS::IAM::User", tags: None };
        let boundary = self.permissions_boundary.as_ref();
        let asked = Asked { request_tags: Some(&user.tags), boundary, ..Asked::default() };
        let permitted = access::permit(call, &target, asked)?;
        if !user.tags.is_empty() {
            // Tags decide who may do what, so to give them is a permission of its own.
            let _permitted = access::permit::<TagUser>(call, &target, asked)?;
        }
        refuse_taken(call, &self.user_name, None)?;
        user.boundary = access::boundary(call, boundary)?;
        let answer = UserDetail::of(&user);
        let elements = json!({"user": {"arn": answer.arn, "userId": answer.user_id, "userName": answer.user_name,
            "path": answer.path, "createDate": time_text(answer.create_date)}});
        let change = IdentityChange::PutUser(Box::new(user));
        Ok(Outcome::answer(permitted, answer).changing(vec![Change::Identity(change)], elements))
    }
}

impl GetUser {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        match access::named_or_caller(call, self.user_name.as_ref())? {
            Some(name) => {
                let (permitted, user) = access::user(call, &name, Asked::default())?;
                Ok(Outcome::answer(permitted, UserDetail::of(&user)))
            }
            // AWS describes the root user without a name, which is no user's shape.
            None => {
                let root = PrincipalArn::root(&call.account());
                Err(CallError::new(ErrorCode::IamValidation, format!("{root} is not a user: name one")))
            }
        }
    }
}

impl UpdateUser {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, old) = access::user::<Self>(call, &self.user_name, Asked::default())?;
        let mut user = User::clone(&old);
        user.path = self.new_path.clone().unwrap_or(user.path);
        user.name = self.new_user_name.clone().unwrap_or(user.name);
        // The new name needs the permission too.
        let target = Target { arn: user.arn().to_string(), kind: "AWS::IAM::User", tags: Some(&old.tags) };
        let _permitted = access::permit::<Self>(call, &target, Asked::default())?;
        if user.name != old.name {
            refuse_taken(call, &user.name, Some(&old.name))?;
        }
        let mut changes = renamed_credentials(call, &old, &user.name);
        if user.name != old.name {
            changes.push(IdentityChange::DeleteUser(old.account.clone(), old.name.clone()));
        }
        changes.push(IdentityChange::PutUser(Box::new(user)));
        let changes = changes.into_iter().map(Change::Identity).collect();
        Ok(Outcome::answer(permitted, ()).changing(changes, serde_json::Value::Null))
    }
}

/// Access keys and MFA devices follow their user.
fn renamed_credentials(call: &Call<'_>, old: &User, name: &UserName) -> Vec<IdentityChange> {
    let identities = call.world().identities();
    let keys = identities.access_keys_of(&old.account, Some(&old.name)).map(|key| {
        let key = AccessKey { user: Some(name.clone()), ..AccessKey::clone(key) };
        IdentityChange::PutAccessKey(Box::new(key))
    });
    let devices = identities.mfa_devices_of(&old.account, Some(&old.name)).map(|device| {
        let assigned = device.assigned.as_ref().map(|one| one.of_renamed(name.clone()));
        IdentityChange::PutMfaDevice(Box::new(MfaDevice { assigned, ..MfaDevice::clone(device) }))
    });
    if *name == old.name { Vec::new() } else { keys.chain(devices).collect() }
}

impl DeleteUser {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, user) = access::user(call, &self.user_name, Asked::default())?;
        let identities = call.world().identities();
        if identities.access_keys_of(&user.account, Some(&user.name)).next().is_some() {
            return Err(access::conflict("delete access keys"));
        }
        if identities.mfa_devices_of(&user.account, Some(&user.name)).next().is_some() {
            return Err(access::conflict("delete MFA device"));
        }
        if !user.groups.is_empty() {
            return Err(access::conflict("remove user from all groups"));
        }
        Holder::User(user.clone()).refuse_unless_bare()?;
        let change = IdentityChange::DeleteUser(user.account.clone(), user.name.clone());
        Ok(Outcome::answer(permitted, ()).changing(vec![Change::Identity(change)], serde_json::Value::Null))
    }
}

impl ListUsers {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let prefix = self.path_prefix.as_ref();
        let permitted = access::list(call, "user", prefix)?;
        let users = call.world().identities().users();
        let listed = users.filter(|user| access::is_listed(call, &user.account, user.path.as_str(), prefix));
        let listed = listed.map(|user| UserDetail::listed(user)).collect();
        Ok(Outcome::answer(permitted, listed))
    }
}

fn refuse_taken(call: &Call<'_>, name: &UserName, but: Option<&UserName>) -> Result<(), CallError> {
    let account = call.account();
    let mut users = call.world().identities().users();
    let taken =
        users.any(|user| user.account == account && Some(&user.name) != but && user.name.is_taken_by(name));
    if taken { Err(access::exists_already("User", name)) } else { Ok(()) }
}
