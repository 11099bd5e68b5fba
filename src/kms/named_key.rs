//! A key as a request names it, and AWS's words about one that is not there.

use std::sync::Arc;

use super::{Call, CallError};
use crate::{
    model::{AccountId, AliasName, ErrorCode, KeyArn, KeyRef},
    policy::Action,
    world::Key,
};

/// A key as a request named it.
#[derive(Debug, Clone)]
pub(crate) struct NamedKey {
    pub(crate) key: Arc<Key>,
    /// The alias by which it was named, if it was.
    pub(crate) alias: Option<AliasName>,
    /// The name as the request had it.
    pub(crate) given: String,
}

impl Call<'_> {
    /// Finds the key that a request names.
    ///
    /// Within one's own account a key that is not there is `NotFoundException`. Of other accounts' keys one learns
    /// nothing: AWS answers as if access were denied.
    pub(crate) fn resolve<A: Action>(&mut self, name: &KeyRef) -> Result<NamedKey, CallError> {
        self.resolve_for(A::NAME, name)
    }

    /// The same for an action that is known by its name alone.
    pub(super) fn resolve_for(&mut self, action: &str, name: &KeyRef) -> Result<NamedKey, CallError> {
        let region = self.world.settings().region.clone();
        let (arn, alias) = match name {
            KeyRef::Id(id) => (KeyArn::new(region, self.account(), id.clone()), None),
            KeyRef::Arn(arn) if *arn.region() != region => {
                return Err(CallError::not_found(format!("Invalid arn {}", arn.region())));
            }
            KeyRef::Arn(arn) => (arn.clone(), None),
            KeyRef::Alias(alias) => {
                (self.resolve_alias(action, &self.account(), alias)?, Some(alias.clone()))
            }
            KeyRef::AliasArn { region: named, .. } if *named != region => {
                return Err(CallError::not_found(format!("Invalid arn {named}")));
            }
            KeyRef::AliasArn { account, name, .. } => {
                (self.resolve_alias(action, account, name)?, Some(name.clone()))
            }
        };
        let key = match self.world.key(&arn) {
            Some(key) => Arc::clone(key),
            None => return Err(self.no_such_key(action, name, &arn)),
        };
        self.note_key(&key);
        Ok(NamedKey { key, alias, given: name.to_string() })
    }

    fn resolve_alias(
        &self,
        action: &str,
        account: &AccountId,
        name: &AliasName,
    ) -> Result<KeyArn, CallError> {
        if let Some(alias) = self.world.alias(account, name) {
            return Ok(alias.target.clone());
        }
        let arn = format!("arn:aws:kms:{}:{account}:{name}", self.world.settings().region);
        if *account == self.account() {
            Err(CallError::not_found(format!("Alias {arn} is not found.")))
        } else {
            Err(self.out_of_reach_for(action, &arn))
        }
    }

    /// AWS has these words for an id that it would never have made, and others for the ARN of such a key.
    fn no_such_key(&self, action: &str, name: &KeyRef, arn: &KeyArn) -> CallError {
        if *arn.account() != self.account() {
            return self.out_of_reach_for(action, arn.as_str());
        }
        CallError::not_found(match name {
            KeyRef::Id(id) if !id.is_of_aws() => format!("Invalid keyId '{id}'"),
            KeyRef::Arn(_) if !arn.key_id().is_of_aws() => format!("Invalid keyId {}", arn.key_id()),
            _ => format!("Key '{arn}' does not exist"),
        })
    }

    /// AWS's words about what belongs to somebody else and may not even exist.
    pub(crate) fn out_of_reach<A: Action>(&self, what: &str) -> CallError {
        self.out_of_reach_for(A::NAME, what)
    }

    fn out_of_reach_for(&self, action: &str, what: &str) -> CallError {
        let message = format!(
            "User: {} is not authorized to perform: {action} on resource: {what} because the resource does not exist in this \
             Region, no resource-based policies allow access, or a resource-based policy explicitly denies access",
            self.authenticated.facts().name(),
        );
        CallError::new(ErrorCode::AccessDenied, message)
    }

    /// The same about the key of a ciphertext that the request did not name.
    pub(crate) fn ciphertext_out_of_reach<A: Action>(&self) -> CallError {
        let message = format!(
            "User: {} is not authorized to perform: {} on the resource associated with this ciphertext because the \
             resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy \
             explicitly denies access",
            self.authenticated.facts().name(),
            A::NAME
        );
        CallError::new(ErrorCode::AccessDenied, message)
    }
}
