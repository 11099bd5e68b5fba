//! The ciphertext blob: what Encrypt and GenerateDataKey answer and Decrypt takes.
//!
//! | bytes | field |
//! |---|---|
//! | 4 | `KSC` and the format's version, 1 |
//! | 1 + n | length and text of the key's ARN |
//! | 32 | id of the key material |
//! | 32 | salt |
//! | n + 16 | AES-256-GCM ciphertext and tag |
//!
//! The key of the one AES-GCM call is HKDF-SHA-256(material, salt, info = all bytes before the salt) (RFC 5869), so a
//! nonce is never used twice with a key, and the nonce may be zero. The header and the canonical encryption context
//! are the associated data: neither can be changed without the tag failing.

use super::CallError;
use crate::{
    crypto::{
        aead, kdf,
        random::{Random, RandomError},
    },
    model::{EncryptionContext, ErrorCode, KeyArn, MaterialId},
    secret::{SecretBytes, SecretKey},
};

const MAGIC: &[u8; 4] = b"KSC\x01";
const SALT_BYTES: usize = 32;
/// The nonce of a key that is used once.
const SINGLE_USE_NONCE: [u8; aead::NONCE_BYTES] = [0; aead::NONCE_BYTES];

/// The longest ciphertext blob in bytes (KMS API, Decrypt).
pub const CIPHERTEXT_BYTES_MAX: usize = 6144;

/// A ciphertext blob, taken apart and not yet authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CiphertextBlob {
    key: KeyArn,
    material: MaterialId,
    salt: [u8; SALT_BYTES],
    sealed: Vec<u8>,
}

impl CiphertextBlob {
    /// Seals `plaintext` under `material`, which belongs to `key`.
    pub(super) fn seal(
        key: &KeyArn,
        material: (MaterialId, &SecretKey),
        context: &EncryptionContext,
        plaintext: &[u8],
        random: &mut dyn Random,
    ) -> Result<Self, RandomError> {
        let (id, secret) = material;
        let mut blob = Self { key: key.clone(), material: id, salt: random.array()?, sealed: Vec::new() };
        let call_key = blob.call_key(secret);
        blob.sealed = aead::seal(&call_key, &SINGLE_USE_NONCE, &blob.aad(context), plaintext);
        Ok(blob)
    }

    /// Opens the blob with the material that it names.
    pub(super) fn open(
        &self,
        material: &SecretKey,
        context: &EncryptionContext,
    ) -> Result<SecretBytes, CallError> {
        aead::open(&self.call_key(material), &SINGLE_USE_NONCE, &self.aad(context), &self.sealed).map_err(
            |_| {
                Self::invalid(
                    "its bytes are damaged or the encryption context is not the one it was made with",
                )
            },
        )
    }

    /// Takes a blob apart.
    ///
    /// # Errors
    ///
    /// `InvalidCiphertextException` when the bytes are not a blob.
    pub fn parse(bytes: &[u8]) -> Result<Self, CallError> {
        Self::split(bytes).ok_or_else(|| Self::invalid("its bytes are not a keystead ciphertext"))
    }

    fn split(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let (length, rest) = rest.split_first()?;
        let (arn, rest) = rest.split_at_checked(usize::from(*length))?;
        let (material, rest) = rest.split_first_chunk::<32>()?;
        let (salt, sealed) = rest.split_first_chunk::<SALT_BYTES>()?;
        if sealed.len() < aead::TAG_BYTES || bytes.len() > CIPHERTEXT_BYTES_MAX {
            return None;
        }
        let key = str::from_utf8(arn).ok()?.parse().ok()?;
        Some(Self { key, material: MaterialId::from_bytes(*material), salt: *salt, sealed: sealed.to_vec() })
    }

    /// The blob's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [self.header().as_slice(), &self.salt, &self.sealed].concat()
    }

    /// The key that it names. Not authenticated.
    #[must_use]
    pub fn key(&self) -> &KeyArn {
        &self.key
    }

    /// The material that it names. Not authenticated.
    #[must_use]
    pub fn material(&self) -> &MaterialId {
        &self.material
    }

    fn header(&self) -> Vec<u8> {
        let arn = self.key.as_str();
        let length = u8::try_from(arn.len()).unwrap_or(u8::MAX);
        [MAGIC.as_slice(), &[length], arn.as_bytes(), self.material.as_bytes()].concat()
    }

    fn call_key(&self, material: &SecretKey) -> SecretKey {
        kdf::hkdf_sha256(material, &self.salt, &self.header())
    }

    fn aad(&self, context: &EncryptionContext) -> Vec<u8> {
        [self.header().as_slice(), &self.salt, &context.to_canonical_bytes()].concat()
    }

    fn invalid(why: &str) -> CallError {
        // AWS answers no words with this code; ours are for the owner of the machine.
        CallError::new(ErrorCode::InvalidCiphertext, "").explained(why)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::crypto::random::SeededRandom;

    fn sealed(context: &[(&str, &str)]) -> (CiphertextBlob, SecretKey) {
        let key =
            "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab".parse().unwrap();
        let secret = SecretKey::from_slice(&[5; 32]).unwrap();
        let context = EncryptionContext::from_pairs(context.iter().copied()).unwrap();
        let random: &mut dyn Random = &mut SeededRandom::new(3);
        let material = (MaterialId::from_bytes([6; 32]), &secret);
        (CiphertextBlob::seal(&key, material, &context, b"plain", random).unwrap(), secret)
    }

    #[test]
    fn a_blob_opens_with_its_material_and_context_alone() {
        let (blob, secret) = sealed(&[("ab", "c")]);
        let blob = CiphertextBlob::parse(&blob.to_bytes()).unwrap();
        let context = |pairs: &[(&str, &str)]| EncryptionContext::from_pairs(pairs.iter().copied()).unwrap();
        assert_eq!(blob.open(&secret, &context(&[("ab", "c")])).unwrap().expose_secret(), b"plain");
        assert!(blob.open(&secret, &context(&[("a", "bc")])).is_err());
        assert!(blob.open(&secret, &context(&[])).is_err());
        assert!(blob.open(&SecretKey::from_slice(&[6; 32]).unwrap(), &context(&[("ab", "c")])).is_err());
    }

    #[test]
    fn every_flipped_bit_and_every_truncation_is_refused() {
        let (blob, secret) = sealed(&[]);
        let bytes = blob.to_bytes();
        let opens = |bytes: &[u8]| {
            CiphertextBlob::parse(bytes)
                .is_ok_and(|blob| blob.open(&secret, &EncryptionContext::new()).is_ok())
        };
        assert!(opens(&bytes));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!opens(&flipped), "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert!(!opens(&bytes[..length]), "length {length}");
        }
        assert!(!opens(&[bytes.as_slice(), b"x"].concat()));
    }

    proptest! {
        #[test]
        fn any_bytes_parse_to_themselves_or_not_at_all(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for bytes in [bytes.clone(), [MAGIC.as_slice(), &bytes].concat()] {
                if let Ok(blob) = CiphertextBlob::parse(&bytes) { prop_assert_eq!(blob.to_bytes(), bytes); }
            }
        }
    }
}
