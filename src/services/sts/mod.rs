//! Temporary credentials by way of the door, in AWS's words: AssumeRole and its kin.
//!
//! Source: STS API reference. What a session is is told in [`crate::iam`]. A session is kept with the keystore's other
//! state, so it is asked for by the id of its access key: [`Caller::in_session`](crate::kms::Caller::in_session).

mod assume_role;
mod caller_identity;
mod federation_token;
mod issue;
mod mfa;
mod session_policies;
mod session_token;
mod table;
#[cfg(test)]
mod tests;
mod value;
mod web_identity;

pub use assume_role::{AssumeRole, AssumedRole, AssumedRoleUser};
pub use caller_identity::{AccessKeyInfo, CallerIdentity, GetAccessKeyInfo, GetCallerIdentity};
pub use federation_token::{FederatedUser, FederationToken, GetFederationToken};
pub use issue::Credentials;
pub use session_token::{GetSessionToken, SessionToken};
pub use table::OPERATIONS;
pub use value::{DurationSeconds, PolicyArnList, WebIdentityToken};
pub use web_identity::{AssumeRoleWithWebIdentity, AssumedRoleWithWebIdentity};

use serde_json::{Map, Value};

use super::query::Reply;
use crate::{
    iam::AccessKeyId,
    kms::{CallError, Caller, Door, Kms, Operation},
    model::ErrorCode,
};

/// The token service of a keystore.
#[derive(Clone, Copy)]
#[must_use]
pub struct Sts<'k> {
    door: &'k Door,
}

impl<'k> Sts<'k> {
    pub(crate) fn new(door: &'k Door) -> Self {
        Self { door }
    }

    /// Makes any call.
    ///
    /// ```
    /// use keystead::{kms::Caller, services::sts::{AssumeRole, GetCallerIdentity}, testing::Lab};
    ///
    /// let lab = Lab::new()?;
    /// let (sts, iam) = (lab.keystore().sts(), lab.keystore().iam());
    /// let alice = lab.user("alice", &["sts:*"])?;
    /// let role = iam.create_role(&lab.admin(), "trainer".parse()?, Default::default())?;
    ///
    /// let assumed = sts.call(&alice, &AssumeRole::new(role, "alice".parse()?))?;
    /// let session = sts.caller(&assumed.credentials.access_key_id)?;
    /// let who = sts.call(&session, &GetCallerIdentity {})?;
    /// assert_eq!(who.arn.as_str(), "arn:aws:sts::111122223333:assumed-role/trainer/alice");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The error that AWS names for the operation, or `KMSInternalException` when the keystore cannot write.
    pub fn call<O: Operation>(&self, caller: &Caller, operation: &O) -> Result<O::Answer, CallError> {
        self.door.call(caller, operation)
    }

    /// Makes the call of this name with these parameters, by their names on the wire.
    ///
    /// # Errors
    ///
    /// `ValidationError` when a parameter is missing, unknown or not what it should be; else what the operation answers.
    pub fn call_by_name(
        &self,
        name: &str,
        caller: &Caller,
        parameters: Map<String, Value>,
    ) -> Result<Reply, CallError> {
        let entry = OPERATIONS.iter().find(|entry| entry.name == name).ok_or_else(|| {
            CallError::new(ErrorCode::UnsupportedOperation, format!("there is no operation `{name}`"))
        })?;
        entry.call(Kms::new(self.door), caller, parameters)
    }

    /// The holder of an access key: of a session's (`ASIA…`) or of one that lasts (`AKIA…`).
    ///
    /// # Errors
    ///
    /// `InvalidClientTokenId` when there is none such. Whether it is still good is seen when it calls.
    pub fn caller(&self, access_key: &AccessKeyId) -> Result<Caller, CallError> {
        let world = self.door.world()?;
        Caller::of_access_key(&world, access_key).ok_or_else(|| {
            let message = "The security token included in the request is invalid.";
            CallError::new(ErrorCode::InvalidClientTokenId, message)
                .explained(format!("there is no access key {access_key} in this keystore"))
        })
    }
}
