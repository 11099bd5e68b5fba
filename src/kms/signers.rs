//! Who holds an access key, for whoever verifies signatures.
//!
//! Nothing is decided here: a signature tells who calls, and the door asks whether that caller exists and what it may do.

use super::{CallError, Caller, Door, secrets::SecretOf};
use crate::{
    crypto::digest::{equal, sha256},
    iam::{AccessKeyId, AccessKeyStatus},
    model::PrincipalArn,
    secret::SecretBytes,
};

impl Door {
    /// The user or root user that an active access key belongs to; with a session token, whose session it is. That a
    /// session has ended is for the door to say.
    pub(crate) fn signer(
        &self,
        id: &AccessKeyId,
        token: Option<&str>,
    ) -> Result<Option<PrincipalArn>, CallError> {
        let world = self.world()?;
        let identities = world.identities();
        let is_presented_well = match (identities.session(id), token) {
            (Some(session), Some(token)) => equal(&sha256(&[token.as_bytes()]), &session.token_digest),
            (None, None) => {
                identities.access_key(id).is_some_and(|key| key.status == AccessKeyStatus::Active)
            }
            // A session's key goes with its token, and one that lasts has none.
            (Some(_), None) | (None, Some(_)) => false,
        };
        let caller = Caller::of_access_key(&world, id).filter(|_| is_presented_well);
        Ok(caller.and_then(|caller| caller.arn().cloned()))
    }

    /// The secret of an access key, to derive a signing key of it and drop it.
    pub(crate) fn secret_access_key(&self, id: &AccessKeyId) -> Result<SecretBytes, CallError> {
        let world = self.world()?;
        let identities = world.identities();
        let wrapped = match identities.session(id) {
            Some(session) => Some(&session.wrapped),
            None => identities.access_key(id).map(|key| &key.wrapped),
        };
        let wrapped = wrapped.ok_or_else(|| CallError::internal(format!("the access key {id} is gone")))?;
        self.credentials()
            .unwrap(SecretOf::AccessKey(id), wrapped)
            .map_err(|_| CallError::internal(format!("the secret of the access key {id} does not unwrap")))
    }
}
