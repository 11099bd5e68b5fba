//! A user: somebody with credentials that last.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{GroupName, IamPath, Permissions, PolicyArn, UniqueId, UserName};
use crate::model::{AccountId, PrincipalArn, Tags, Timestamp};

/// A user.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct User {
    /// The account it belongs to.
    pub account: AccountId,
    /// Its path.
    pub path: IamPath,
    /// Its name, unique among the users of the account.
    pub name: UserName,
    /// Its unique id.
    pub id: UniqueId,
    /// When it was made.
    pub created: Timestamp,
    /// Its tags.
    pub tags: Tags,
    /// Its policies.
    pub permissions: Permissions,
    /// The policy that bounds what its identity policies can allow.
    pub boundary: Option<PolicyArn>,
    /// The groups it belongs to.
    pub groups: BTreeSet<GroupName>,
}

impl User {
    /// A new user without any permission.
    #[must_use]
    pub fn new(account: AccountId, path: IamPath, name: UserName, id: UniqueId, created: Timestamp) -> Self {
        Self {
            account,
            path,
            name,
            id,
            created,
            tags: Tags::new(),
            permissions: Permissions::default(),
            boundary: None,
            groups: BTreeSet::new(),
        }
    }

    /// Its ARN.
    #[must_use]
    pub fn arn(&self) -> PrincipalArn {
        PrincipalArn::user(&self.account, &self.path.with(&self.name))
    }
}
