//! Whoever policies can hang on: a user, a group or a role.

use std::sync::Arc;

use super::access::{self, Asked};
use crate::{
    iam::{Group, GroupName, Permissions, PolicyArn, Role, RoleName, User, UserName},
    kms::{Call, CallError},
    policy::{Action, Authorized, PolicyKind},
    world::{Change, IdentityChange},
};

/// A user, a group or a role.
#[derive(Debug, Clone)]
pub(super) enum Holder {
    User(Arc<User>),
    Group(Arc<Group>),
    Role(Arc<Role>),
}

/// The name of one.
#[derive(Debug, Clone, Copy)]
pub(super) enum HolderName<'a> {
    User(&'a UserName),
    Group(&'a GroupName),
    Role(&'a RoleName),
}

impl HolderName<'_> {
    /// Finds it in the caller's account and asks whether the caller may do `A` to it. Its own boundary is what
    /// `iam:PermissionsBoundary` holds.
    pub(super) fn find<A: Action>(
        self,
        call: &mut Call<'_>,
        policy: Option<&PolicyArn>,
    ) -> Result<(Authorized<A>, Holder), CallError> {
        let account = call.account();
        let identities = call.world().identities();
        let boundary = match self {
            Self::User(name) => identities.user(&account, name).and_then(|user| user.boundary.clone()),
            Self::Role(name) => identities.role(&account, name).and_then(|role| role.boundary.clone()),
            Self::Group(_) => None,
        };
        let asked = Asked { policy, boundary: boundary.as_ref(), ..Asked::default() };
        Ok(match self {
            Self::User(name) => {
                let (permitted, user) = access::user(call, name, asked)?;
                (permitted, Holder::User(user))
            }
            Self::Group(name) => {
                let (permitted, group) = access::group(call, name, asked)?;
                (permitted, Holder::Group(group))
            }
            Self::Role(name) => {
                let (permitted, role) = access::role(call, name, asked)?;
                (permitted, Holder::Role(role))
            }
        })
    }
}

impl<'a> From<&'a UserName> for HolderName<'a> {
    fn from(name: &'a UserName) -> Self {
        Self::User(name)
    }
}

impl<'a> From<&'a GroupName> for HolderName<'a> {
    fn from(name: &'a GroupName) -> Self {
        Self::Group(name)
    }
}

impl<'a> From<&'a RoleName> for HolderName<'a> {
    fn from(name: &'a RoleName) -> Self {
        Self::Role(name)
    }
}

impl Holder {
    /// `user`, `group` or `role`.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Group(_) => "group",
            Self::Role(_) => "role",
        }
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::User(user) => user.name.as_str(),
            Self::Group(group) => group.name.as_str(),
            Self::Role(role) => role.name.as_str(),
        }
    }

    /// The kind of its inline policies, which says how long they may be together.
    pub(super) fn inline_kind(&self) -> PolicyKind {
        match self {
            Self::User(_) => PolicyKind::INLINE_USER,
            Self::Group(_) => PolicyKind::INLINE_GROUP,
            Self::Role(_) => PolicyKind::INLINE_ROLE,
        }
    }

    /// Its policies.
    pub(super) fn permissions(&self) -> &Permissions {
        match self {
            Self::User(user) => &user.permissions,
            Self::Group(group) => &group.permissions,
            Self::Role(role) => &role.permissions,
        }
    }

    /// The change that gives it these policies.
    pub(super) fn with_permissions(&self, permissions: Permissions) -> Change {
        Change::Identity(match self {
            Self::User(user) => IdentityChange::PutUser(Box::new(User { permissions, ..User::clone(user) })),
            Self::Group(group) => {
                IdentityChange::PutGroup(Box::new(Group { permissions, ..Group::clone(group) }))
            }
            Self::Role(role) => IdentityChange::PutRole(Box::new(Role { permissions, ..Role::clone(role) })),
        })
    }

    /// The change that takes its boundary away.
    pub(super) fn without_boundary(&self) -> Option<Change> {
        let boundary = None;
        Some(Change::Identity(match self {
            Self::User(user) => IdentityChange::PutUser(Box::new(User { boundary, ..User::clone(user) })),
            Self::Role(role) => IdentityChange::PutRole(Box::new(Role { boundary, ..Role::clone(role) })),
            Self::Group(_) => return None,
        }))
    }

    /// Refuses to delete what policies still hang on.
    pub(super) fn refuse_unless_bare(&self) -> Result<(), CallError> {
        let permissions = self.permissions();
        if !permissions.attached.is_empty() {
            return Err(access::conflict("detach all policies"));
        }
        if !permissions.inline.is_empty() {
            return Err(access::conflict("delete policies"));
        }
        Ok(())
    }
}
