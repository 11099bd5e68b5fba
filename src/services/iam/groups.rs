//! Groups: CreateGroup, GetGroup, UpdateGroup, DeleteGroup, ListGroups, AddUserToGroup, RemoveUserFromGroup,
//! ListGroupsForUser.

use serde_json::{Value, json};

use super::{
    access::{self, Asked, Target},
    answer::{GroupDetail, GroupWithUsers, UserDetail, time_text},
    holder::Holder,
    value::PathPrefix,
};
use crate::{
    iam::{GROUPS_OF_A_USER_MAX, Group, GroupName, IamPath, UniqueIdKind, User, UserName},
    kms::{Call, CallError, Outcome},
    services::query::operations,
    world::{Change, IdentityChange},
};

operations! {
    /// Makes a group without any permission.
    CreateGroup writes -> GroupDetail as "Group" {
        /// The group's name.
        group_name "GroupName": GroupName,
        /// Its path; `/` when left out.
        path "Path": Option<IamPath>,
    }

    /// Describes a group and lists its users.
    GetGroup reads -> GroupWithUsers as "" {
        /// The group's name.
        group_name "GroupName": GroupName,
    }

    /// Gives a group another name or path.
    UpdateGroup writes -> () as "" {
        /// The group's name.
        group_name "GroupName": GroupName,
        /// The new path.
        new_path "NewPath": Option<IamPath>,
        /// The new name.
        new_group_name "NewGroupName": Option<GroupName>,
    }

    /// Deletes a group that has no users and no policies any more.
    DeleteGroup writes -> () as "" {
        /// The group's name.
        group_name "GroupName": GroupName,
    }

    /// Lists the groups of the account.
    ListGroups reads -> Vec<GroupDetail> as "Groups" {
        /// Only those whose path begins like this.
        path_prefix "PathPrefix": Option<PathPrefix>,
    }

    /// Makes a user a member of a group.
    AddUserToGroup writes -> () as "" {
        /// The group's name.
        group_name "GroupName": GroupName,
        /// The user's name.
        user_name "UserName": UserName,
    }

    /// Ends a user's membership of a group.
    RemoveUserFromGroup writes -> () as "" {
        /// The group's name.
        group_name "GroupName": GroupName,
        /// The user's name.
        user_name "UserName": UserName,
    }

    /// Lists the groups that a user is a member of.
    ListGroupsForUser reads -> Vec<GroupDetail> as "Groups" {
        /// The user's name.
        user_name "UserName": UserName,
    }
}

impl CreateGroup {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (account, path) = (call.account(), self.path.clone().unwrap_or_default());
        let id = access::new_id(call, UniqueIdKind::Group)?;
        let group = Group::new(account, path, self.group_name.clone(), id, call.now());
        let target = Target { arn: group.arn(), kind: "AWS::IAM::Group", tags: None };
        let permitted = access::permit(call, &target, Asked::default())?;
        refuse_taken(call, &self.group_name, None)?;
        let answer = GroupDetail::of(&group);
        let elements = json!({"group": {"arn": answer.arn, "groupId": answer.group_id,
            "groupName": answer.group_name, "path": answer.path, "createDate": time_text(answer.create_date)}});
        let change = IdentityChange::PutGroup(Box::new(group));
        Ok(Outcome::answer(permitted, answer).changing(vec![Change::Identity(change)], elements))
    }
}

impl GetGroup {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, group) = access::group(call, &self.group_name, Asked::default())?;
        let users = members(call, &group).map(UserDetail::listed).collect();
        Ok(Outcome::answer(permitted, GroupWithUsers::of(&group, users)))
    }
}

impl UpdateGroup {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, old) = access::group::<Self>(call, &self.group_name, Asked::default())?;
        let mut group = Group::clone(&old);
        group.path = self.new_path.clone().unwrap_or(group.path);
        group.name = self.new_group_name.clone().unwrap_or(group.name);
        let target = Target { arn: group.arn(), kind: "AWS::IAM::Group", tags: None };
        let _permitted = access::permit::<Self>(call, &target, Asked::default())?;
        let mut changes = Vec::new();
        if group.name != old.name {
            refuse_taken(call, &group.name, Some(&old.name))?;
            changes.extend(members(call, &old).map(|user| {
                let mut user = User::clone(user);
                user.groups.remove(&old.name);
                user.groups.insert(group.name.clone());
                IdentityChange::PutUser(Box::new(user))
            }));
            changes.push(IdentityChange::DeleteGroup(old.account.clone(), old.name.clone()));
        }
        changes.push(IdentityChange::PutGroup(Box::new(group)));
        let changes = changes.into_iter().map(Change::Identity).collect();
        Ok(Outcome::answer(permitted, ()).changing(changes, Value::Null))
    }
}

impl DeleteGroup {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, group) = access::group(call, &self.group_name, Asked::default())?;
        if members(call, &group).next().is_some() {
            return Err(access::conflict("remove users from group"));
        }
        Holder::Group(group.clone()).refuse_unless_bare()?;
        let change = IdentityChange::DeleteGroup(group.account.clone(), group.name.clone());
        Ok(Outcome::answer(permitted, ()).changing(vec![Change::Identity(change)], Value::Null))
    }
}

impl ListGroups {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let prefix = self.path_prefix.as_ref();
        let permitted = access::list(call, "group", prefix)?;
        let groups = call.world().identities().groups();
        let listed =
            groups.filter(|group| access::is_listed(call, &group.account, group.path.as_str(), prefix));
        let listed = listed.map(|group| GroupDetail::of(group)).collect();
        Ok(Outcome::answer(permitted, listed))
    }
}

impl AddUserToGroup {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, group) = access::group(call, &self.group_name, Asked::default())?;
        let mut user = user_of(call, &self.user_name)?;
        user.groups.insert(group.name.clone());
        if user.groups.len() > GROUPS_OF_A_USER_MAX {
            return Err(access::over_quota("GroupsPerUser", GROUPS_OF_A_USER_MAX));
        }
        let change = IdentityChange::PutUser(Box::new(user));
        Ok(Outcome::answer(permitted, ()).changing(vec![Change::Identity(change)], Value::Null))
    }
}

impl RemoveUserFromGroup {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, group) = access::group(call, &self.group_name, Asked::default())?;
        let mut user = user_of(call, &self.user_name)?;
        user.groups.remove(&group.name);
        let change = IdentityChange::PutUser(Box::new(user));
        Ok(Outcome::answer(permitted, ()).changing(vec![Change::Identity(change)], Value::Null))
    }
}

impl ListGroupsForUser {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, user) = access::user(call, &self.user_name, Asked::default())?;
        let identities = call.world().identities();
        let groups = user.groups.iter().filter_map(|name| identities.group(&user.account, name));
        let listed = groups.map(|group| GroupDetail::of(group)).collect();
        Ok(Outcome::answer(permitted, listed))
    }
}

fn members<'a>(call: &'a Call<'_>, group: &'a Group) -> impl Iterator<Item = &'a User> {
    let users = call.world().identities().users().map(|user| &**user);
    users.filter(|user| user.account == group.account && user.groups.contains(&group.name))
}

fn user_of(call: &Call<'_>, name: &UserName) -> Result<User, CallError> {
    let found = call.world().identities().user(&call.account(), name);
    found.map(|user| User::clone(user)).ok_or_else(|| access::no_such("user", name))
}

fn refuse_taken(call: &Call<'_>, name: &GroupName, but: Option<&GroupName>) -> Result<(), CallError> {
    let account = call.account();
    let mut groups = call.world().identities().groups();
    let taken = groups
        .any(|group| group.account == account && Some(&group.name) != but && group.name.is_taken_by(name));
    if taken { Err(access::exists_already("Group", name)) } else { Ok(()) }
}
