//! The organization by way of the door, in AWS's words: accounts, organizational units, control policies.
//!
//! Source: AWS Organizations API reference. The keystore's own account is the management account, and its principals alone
//! get anywhere here. What is attached bears on every call: see [`World::control_levels`](crate::world::World::control_levels).

mod access;
mod accounts;
mod answer;
mod assume_root;
mod attachments;
mod organization;
mod policies;
mod table;
#[cfg(test)]
mod tests;
mod units;
mod value;

pub use accounts::*;
pub use answer::*;
pub use assume_root::AssumeRoot;
pub use attachments::*;
pub use organization::*;
pub use policies::*;
pub use table::OPERATIONS;
pub use units::*;
pub use value::{
    ACCOUNT_NAME_CHARS_MAX, AccountName, ChildType, DESCRIPTION_CHARS_MAX, Email, FeatureSet, NAME_CHARS_MAX,
    Name, PolicyDescription,
};

use crate::{
    kms::{CallError, Caller, Door, Operation},
    model::{AccountId, ParseError},
};

/// The organization of a keystore.
#[derive(Clone, Copy)]
#[must_use]
pub struct Organizations<'k> {
    door: &'k Door,
}

impl<'k> Organizations<'k> {
    pub(crate) fn new(door: &'k Door) -> Self {
        Self { door }
    }

    /// Makes any call.
    ///
    /// ```
    /// use keystead::{services::organizations::{CreateOrganization, ListRoots}, testing::Lab};
    ///
    /// let lab = Lab::new()?;
    /// let (organizations, admin) = (lab.keystore().organizations(), lab.admin());
    /// organizations.call(&admin, &CreateOrganization::default())?;
    /// assert_eq!(organizations.call(&admin, &ListRoots {})?.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The error that AWS names for the operation, or `KMSInternalException` when the keystore cannot write.
    pub fn call<O: Operation>(&self, caller: &Caller, operation: &O) -> Result<O::Answer, CallError> {
        self.door.call(caller, operation)
    }

    /// Makes an account beside the keystore's own. Its root user can call from then on.
    ///
    /// # Errors
    ///
    /// When the caller may not or belongs to another account than the keystore's own, or there is such an account.
    pub fn create_account(
        &self,
        caller: &Caller,
        account_id: AccountId,
        account_name: &str,
    ) -> Result<(), CallError> {
        let name = account_name.parse().map_err(|error: ParseError| access::invalid(error.to_string()))?;
        self.call(caller, &CreateAccount::new(account_id, name)).map(drop)
    }

    /// Becomes the root user of another account.
    ///
    /// # Errors
    ///
    /// When the caller may not or belongs to another account than the keystore's own, or there is no such account.
    pub fn assume_root(&self, caller: &Caller, account: AccountId) -> Result<Caller, CallError> {
        self.call(caller, &AssumeRoot { account })
    }
}
