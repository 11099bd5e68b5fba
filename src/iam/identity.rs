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
        let name = arn.path_and_name().strip_prefix(path.in_arn());
        arn.kind() == kind && arn.account() == self.account() && name == Some(self.name())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iam::UniqueId;

    #[test]
    fn an_identity_has_the_arn_of_its_own_path_alone() {
        let user = |path: &str| {
            let (account, name) = ("111122223333".parse().unwrap(), "alice".parse().unwrap());
            let id: UniqueId = "AIDAEXAMPLEEXAMPLEXY".parse().unwrap();
            Identity::User(Arc::new(User::new(
                account,
                path.parse().unwrap(),
                name,
                id,
                Timestamp::default(),
            )))
        };
        let has = |path: &str, arn: &str| user(path).has_arn(&format!("arn:aws:iam::{arn}").parse().unwrap());
        for path in ["/", "/team/", "/team/research/"] {
            assert!(user(path).has_arn(&user(path).arn()), "{path}");
        }
        assert!(has("/team/", "111122223333:user/team/alice"));
        for other in [
            "111122223333:user/alice",
            "111122223333:user/teams/alice",
            "111122223333:user/team/bob",
            "111122223333:user/team/x/alice",
            "111122223333:role/team/alice",
            "444455556666:user/team/alice",
        ] {
            assert!(!has("/team/", other), "{other}");
        }
    }
}
