//! A user or a role: whoever an ARN can name as a principal and policies can hang on.

use std::sync::Arc;

use super::{Permissions, PolicyArn, Role, UniqueId, User};
use crate::model::{AccountId, PrincipalArn, PrincipalKind, Tags, Timestamp};

/// A user or a role.
#[derive(Debug, Clone)]
pub enum Identity {
    /// An IAM user.
    User(Arc<User>),
    /// An IAM role.
    Role(Arc<Role>),
}

/// The same field of either.
macro_rules! either {
    ($self:ident.$field:ident) => {
        match $self {
            Self::User(user) => &user.$field,
            Self::Role(role) => &role.$field,
        }
    };
}

impl Identity {
    /// The account it belongs to.
    #[must_use]
    pub fn account(&self) -> &AccountId {
        either!(self.account)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::User(user) => user.name.as_str(),
            Self::Role(role) => role.name.as_str(),
        }
    }

    /// Its ARN.
    #[must_use]
    pub fn arn(&self) -> PrincipalArn {
        match self {
            Self::User(user) => user.arn(),
            Self::Role(role) => role.arn(),
        }
    }

    /// Whether this is its ARN.
    #[must_use]
    pub fn has_arn(&self, arn: &PrincipalArn) -> bool {
        let (kind, path) = match self {
            Self::User(user) => (PrincipalKind::User, &user.path),
            Self::Role(role) => (PrincipalKind::Role, &role.path),
        };
        let path = path.as_str();
        let path_and_name = arn.path_and_name().strip_prefix(path.strip_prefix('/').unwrap_or(path));
        arn.kind() == kind && arn.account() == self.account() && path_and_name == Some(self.name())
    }

    /// Its unique id.
    #[must_use]
    pub fn id(&self) -> &UniqueId {
        either!(self.id)
    }

    /// When it was made.
    #[must_use]
    pub fn created(&self) -> Timestamp {
        *either!(self.created)
    }

    /// Its tags.
    #[must_use]
    pub fn tags(&self) -> &Tags {
        either!(self.tags)
    }

    /// Its own policies: not those of its groups.
    #[must_use]
    pub fn permissions(&self) -> &Permissions {
        either!(self.permissions)
    }

    /// The policy that bounds what its identity policies can allow.
    #[must_use]
    pub fn boundary(&self) -> Option<&PolicyArn> {
        either!(self.boundary).as_ref()
    }
}
