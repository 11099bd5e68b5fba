//! An account beside the keystore's own: somebody else's, for what happens across accounts.

use serde::{Deserialize, Serialize};

use super::Membership;
use crate::model::{AccountId, Timestamp};

/// An account beside the keystore's own: a member of the organization that that one manages, or one that stands alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// What its owner calls it.
    pub name: String,
    /// When it was made.
    pub created: Timestamp,
    /// The e-mail address of its owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Where it stands in the organization, if it belongs to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub membership: Option<Membership>,
}

impl Account {
    /// An account that belongs to no organization.
    #[must_use]
    pub fn standing_alone(id: AccountId, name: String, created: Timestamp) -> Self {
        Self { id, name, created, email: None, membership: None }
    }
}
