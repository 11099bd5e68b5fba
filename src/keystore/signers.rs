//! Access keys, for a server that verifies signatures.

use super::Keystore;
use crate::{iam::AccessKeyId, kms::CallError, model::PrincipalArn, secret::SecretBytes};

impl Keystore {
    /// Whom an active access key belongs to.
    pub(crate) fn signer(&self, access_key_id: &AccessKeyId) -> Result<Option<PrincipalArn>, CallError> {
        self.door.signer(access_key_id)
    }

    /// The secret of an access key, to derive a signing key of it and drop it.
    pub(crate) fn secret_access_key(&self, access_key_id: &AccessKeyId) -> Result<SecretBytes, CallError> {
        self.door.secret_access_key(access_key_id)
    }
}
