//! A group: policies that several users share. Groups do not nest, and no policy can name one as a principal.

use serde::{Deserialize, Serialize};

use super::{GroupName, IamPath, Permissions, UniqueId};
use crate::model::{AccountId, Timestamp};

/// The most groups that a user belongs to (IAM quotas).
pub const GROUPS_OF_A_USER_MAX: usize = 10;

/// A group. Its users know that they belong to it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Group {
    /// The account it belongs to.
    pub account: AccountId,
    /// Its path.
    pub path: IamPath,
    /// Its name, unique among the groups of the account.
    pub name: GroupName,
    /// Its unique id.
    pub id: UniqueId,
    /// When it was made.
    pub created: Timestamp,
    /// Its policies.
    pub permissions: Permissions,
}

impl Group {
    /// A new group without any permission.
    #[must_use]
    pub fn new(account: AccountId, path: IamPath, name: GroupName, id: UniqueId, created: Timestamp) -> Self {
        Self { account, path, name, id, created, permissions: Permissions::default() }
    }

    /// Its ARN.
    #[must_use]
    pub fn arn(&self) -> String {
        format!("arn:aws:iam::{}:group/{}", self.account, self.path.with(&self.name))
    }
}
