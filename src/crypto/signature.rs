//! Ed25519 signatures (RFC 8032; AWS-LC by way of `aws-lc-rs`), for the audit log's checkpoints.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use super::{OpenError, stack::wiped};
use crate::secret::SecretKey;

/// The length of a public key in bytes.
pub const PUBLIC_KEY_BYTES: usize = 32;
/// The length of a signature in bytes.
pub const SIGNATURE_BYTES: usize = 64;

/// A key that signs.
pub struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// The signing key with this 32-byte seed (RFC 8032's private key).
    #[must_use]
    pub fn from_seed(seed: &SecretKey) -> Self {
        match wiped(|| Ed25519KeyPair::from_seed_unchecked(seed.expose_secret())) {
            Ok(pair) => Self(pair),
            Err(_) => unreachable!("Ed25519 takes every seed of 32 bytes"),
        }
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> [u8; PUBLIC_KEY_BYTES] {
        let mut bytes = [0; PUBLIC_KEY_BYTES];
        bytes.copy_from_slice(self.0.public_key().as_ref());
        bytes
    }

    /// Signs `message`.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_BYTES] {
        let mut bytes = [0; SIGNATURE_BYTES];
        bytes.copy_from_slice(self.0.sign(message).as_ref());
        bytes
    }
}

/// Whether `signature` is the one that the holder of `public_key` made of `message`.
///
/// # Errors
///
/// [`OpenError`] when it is not.
pub fn verify(
    public_key: &[u8; PUBLIC_KEY_BYTES],
    message: &[u8],
    signature: &[u8],
) -> Result<(), OpenError> {
    UnparsedPublicKey::new(&ED25519, public_key).verify(message, signature).map_err(|_| OpenError)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8032, section 7.1, test 2.
    #[test]
    fn the_rfc_vector_holds() {
        let seed = hex::decode("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb").unwrap();
        let key = SigningKey::from_seed(&SecretKey::from_slice(&seed).unwrap());
        assert_eq!(
            hex::encode(key.public_key()),
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
        );
        let signature = key.sign(&[0x72]);
        assert_eq!(
            hex::encode(signature),
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        );
        assert!(verify(&key.public_key(), &[0x72], &signature).is_ok());
        assert!(verify(&key.public_key(), &[0x73], &signature).is_err());
        assert!(verify(&key.public_key(), &[0x72], &signature[1..]).is_err());
    }
}
