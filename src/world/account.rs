//! An account beside the keystore's own: somebody else's, for what happens across accounts.

use serde::{Deserialize, Serialize};

use crate::model::{AccountId, Timestamp};

/// An account of the organization that the keystore's own account manages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// What its owner calls it.
    pub name: String,
    /// When it was made.
    pub created: Timestamp,
}
