//! An access key: an id that everybody may see, and a secret that signs requests.
//!
//! Source: "Manage access keys for IAM users" (IAM user guide). The secret is shown once, when it is made; here it lies
//! under wrap.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{AccessKeyId, UserName};
use crate::model::{AccountId, ParseError, Region, Timestamp};

/// The most access keys of one user, and of a root user (IAM quotas).
pub const ACCESS_KEYS_MAX: usize = 2;

/// Whether an access key is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum AccessKeyStatus {
    /// It is.
    Active,
    /// It is not, until it is made active again.
    Inactive,
}

impl AccessKeyStatus {
    /// `Active` or `Inactive`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::Inactive => "Inactive",
        }
    }
}

impl fmt::Display for AccessKeyStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl FromStr for AccessKeyStatus {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text {
            "Active" => Ok(Self::Active),
            "Inactive" => Ok(Self::Inactive),
            _ => Err(ParseError::new(format!("`{text}` is not a status: `Active` or `Inactive`"))),
        }
    }
}

impl TryFrom<String> for AccessKeyStatus {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl From<AccessKeyStatus> for String {
    fn from(status: AccessKeyStatus) -> Self {
        status.as_str().into()
    }
}

/// When, where and for what an access key was last used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastUsed {
    /// When.
    pub at: Timestamp,
    /// The service that was called, such as `kms`.
    pub service: String,
    /// The Region it was called in.
    pub region: Region,
}

/// An access key that lasts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AccessKey {
    /// Its id.
    pub id: AccessKeyId,
    /// The account it belongs to.
    pub account: AccountId,
    /// The user it belongs to; none for the account's root user.
    pub user: Option<UserName>,
    /// Whether it is good.
    pub status: AccessKeyStatus,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last used, if it was.
    pub last_used: Option<LastUsed>,
    /// Its secret, wrapped under a key that derives from the root key.
    #[serde(with = "hex::serde")]
    pub wrapped: Vec<u8>,
}
