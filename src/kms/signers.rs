//! Who holds an access key, for whoever verifies signatures.
//!
//! Nothing is decided here: a signature tells who calls, and the door asks whether that caller exists and what it may do.

use super::{CallError, Door, secrets::SecretOf};
use crate::{
    iam::{AccessKeyId, AccessKeyStatus},
    model::PrincipalArn,
    secret::SecretBytes,
};

impl Door {
    /// The user or root user that an active access key belongs to.
    pub(crate) fn signer(&self, id: &AccessKeyId) -> Result<Option<PrincipalArn>, CallError> {
        let world = self.world()?;
        let Some(key) = world.identities().access_key(id).filter(|key| key.status == AccessKeyStatus::Active)
        else {
            return Ok(None);
        };
        Ok(match &key.user {
            None => Some(PrincipalArn::root(&key.account)),
            Some(name) => world.identities().user(&key.account, name).map(|user| user.arn()),
        })
    }

    /// The secret of an access key, to derive a signing key of it and drop it.
    pub(crate) fn secret_access_key(&self, id: &AccessKeyId) -> Result<SecretBytes, CallError> {
        let world = self.world()?;
        let key = world.identities().access_key(id);
        let key = key.ok_or_else(|| CallError::internal(format!("the access key {id} is gone")))?;
        self.credentials()
            .unwrap(SecretOf::AccessKey(id), &key.wrapped)
            .map_err(|_| CallError::internal(format!("the secret of the access key {id} does not unwrap")))
    }
}
