//! Access keys: whose they are, for the command line and for a server that verifies signatures.

use super::Keystore;
use crate::{
    iam::AccessKeyId,
    kms::{CallError, Caller},
};
#[cfg(feature = "server")]
use crate::{
    model::{PrincipalArn, Region},
    secret::SecretBytes,
};

impl Keystore {
    /// The caller as a person names it: as [`Caller::parse`] has it, or by the id of an access key (`AKIA…`) or session
    /// (`ASIA…`). Whether there is such a caller is the door's question.
    ///
    /// # Errors
    ///
    /// When the text names nobody.
    pub fn named_caller(&self, name: &str) -> Result<Caller, CallError> {
        match name.parse::<AccessKeyId>() {
            Ok(id) => self.sts().caller(&id),
            Err(_) => Ok(Caller::parse(name, &self.settings()?.account)?),
        }
    }

    /// The Region that signatures are scoped to.
    #[cfg(feature = "server")]
    pub(crate) fn region(&self) -> Result<Region, CallError> {
        Ok(self.door.world()?.settings().region.clone())
    }

    /// Whom an active access key belongs to; with a session token, whose session it is.
    #[cfg(feature = "server")]
    pub(crate) fn signer(
        &self,
        access_key_id: &AccessKeyId,
        token: Option<&str>,
    ) -> Result<Option<PrincipalArn>, CallError> {
        self.door.signer(access_key_id, token)
    }

    /// The secret of an access key, to derive a signing key of it and drop it.
    #[cfg(feature = "server")]
    pub(crate) fn secret_access_key(&self, access_key_id: &AccessKeyId) -> Result<SecretBytes, CallError> {
        self.door.secret_access_key(access_key_id)
    }
}
