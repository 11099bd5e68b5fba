//! What one side shows the other: a certificate, and the private key that proves it to be its own.

use std::{fmt, path::Path, sync::Arc};

use rustls::{
    pki_types::{CertificateDer, PrivatePkcs8KeyDer},
    sign::CertifiedKey,
};

use super::{TransitError, pem, x509::WipedKeyPair};
use crate::secret::SecretBytes;

/// A private key that no certificate was issued for yet.
pub struct HolderKey {
    secret: SecretBytes,
    request: Vec<u8>,
}

impl HolderKey {
    /// A new ECDSA key on P-256.
    ///
    /// # Errors
    ///
    /// When there is no randomness.
    pub fn generate() -> Result<Self, TransitError> {
        let pair = WipedKeyPair::generate()?;
        Ok(Self { secret: pair.to_secret(), request: pair.request()? })
    }

    /// The request for a certificate that an authority is handed (PKCS #10, DER): the public key, and the proof that the
    /// private one is there.
    #[must_use]
    pub fn request(&self) -> &[u8] {
        &self.request
    }

    /// Writes the private key to a new file, for its owner alone.
    ///
    /// # Errors
    ///
    /// As [`pem::write_private_key`].
    pub fn write(&self, path: &Path) -> Result<(), TransitError> {
        pem::write_private_key(path, &self.secret)
    }

    /// With the certificate that was issued for it (DER).
    #[must_use]
    pub fn with_certificate(self, certificate: Vec<u8>) -> Identity {
        Identity { chain: vec![certificate], key: self.secret }
    }
}

impl fmt::Debug for HolderKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("HolderKey(…)")
    }
}

/// A certificate with its private key.
#[derive(Debug)]
pub struct Identity {
    chain: Vec<Vec<u8>>,
    key: SecretBytes,
}

impl Identity {
    /// Reads a certificate and its private key from two PEM files.
    ///
    /// # Errors
    ///
    /// When a file cannot be read or holds something else, or others may read the private key.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, TransitError> {
        Ok(Self { chain: pem::read_certificates(certificate)?, key: pem::read_private_key(key)? })
    }

    /// The holder's certificate, DER.
    #[must_use]
    pub fn certificate(&self) -> &[u8] {
        self.chain.first().map(Vec::as_slice).unwrap_or_default()
    }

    /// As `rustls` takes it. Fails when the key is not the certificate's.
    pub(super) fn certified(&self) -> Result<Arc<CertifiedKey>, TransitError> {
        let chain = self.chain.iter().map(|one| CertificateDer::from(one.clone())).collect();
        // Parsed by AWS-LC, which wipes its copy; this one belongs to us and is wiped with `self`.
        let key = PrivatePkcs8KeyDer::from(self.key.expose_secret());
        let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key.into());
        let key = key.map_err(|_| TransitError::Configuration("the private key cannot sign".into()))?;
        let certified = CertifiedKey::new(chain, key);
        certified.keys_match().map_err(|error| {
            TransitError::Configuration(format!("the private key is not the certificate's: {error}"))
        })?;
        Ok(Arc::new(certified))
    }
}

#[cfg(test)]
impl Identity {
    pub(super) fn key_for_test(&self) -> Vec<u8> {
        self.key.expose_secret().to_vec()
    }

    pub(super) fn with_key_of_for_test(self, other: Self) -> Self {
        Self { chain: self.chain, key: other.key }
    }
}
