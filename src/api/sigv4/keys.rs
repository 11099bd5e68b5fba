//! Signing keys: derived from a secret access key for one day, Region and service, and kept.
//!
//! A derivation is four HMACs and the opening of a wrapped secret; a client uses one signing key all day. What is kept is
//! never asked whether an access key may be used: that is looked up afresh each time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::presented::{Scope, TERMINATOR};
use crate::{
    crypto::digest::{hmac_sha256_next_key, sigv4_date_key, verify_hmac_sha256},
    secret::{SecretBytes, SecretKey},
};

/// The most signing keys that are kept.
const KEPT_MAX: usize = 4096;

/// The signing key of an access key for one day, Region and service.
#[derive(Debug)]
pub struct SigningKey(SecretKey);

impl SigningKey {
    /// Derives the key from a secret access key.
    #[must_use]
    pub fn derive(secret_access_key: &SecretBytes, scope: &Scope) -> Self {
        let date = sigv4_date_key(secret_access_key, scope.date().as_bytes());
        let region = hmac_sha256_next_key(&date, scope.region().as_bytes());
        let service = hmac_sha256_next_key(&region, scope.service().as_bytes());
        Self(hmac_sha256_next_key(&service, TERMINATOR.as_bytes()))
    }

    /// Whether this is the signature of the string, in constant time.
    #[must_use]
    pub fn verifies(&self, string_to_sign: &[u8], signature: &[u8; 32]) -> bool {
        verify_hmac_sha256(&self.0, &[string_to_sign], signature).is_ok()
    }
}

/// By the credential as a request presents it: the access key id and the scope.
type Kept = HashMap<String, Arc<SigningKey>>;

/// The signing keys in use.
#[derive(Debug, Default)]
pub struct SigningKeys {
    kept: Mutex<Kept>,
}

impl SigningKeys {
    /// The signing key of an access key, derived when it is not there yet.
    ///
    /// INVARIANT: an access key id never stands for another secret later, so what is kept by the id stays right.
    ///
    /// # Errors
    ///
    /// What `secret` answers.
    pub fn get<E>(
        &self,
        access_key_id: &str,
        scope: &Scope,
        secret: impl FnOnce() -> Result<SecretBytes, E>,
    ) -> Result<Arc<SigningKey>, E> {
        let name = [access_key_id, scope.text()].join("/");
        if let Some(key) = self.lock().get(&name) {
            return Ok(Arc::clone(key));
        }
        let key = Arc::new(SigningKey::derive(&secret()?, scope));
        let mut kept = self.lock();
        if kept.len() >= KEPT_MAX {
            // Yesterday's keys go; when all are of today, so do they: they are derived again.
            kept.retain(|name, _| name.split('/').nth(1) == Some(scope.date()));
            if kept.len() >= KEPT_MAX {
                kept.clear();
            }
        }
        kept.insert(name, Arc::clone(&key));
        Ok(key)
    }

    /// Forgets all.
    pub fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
