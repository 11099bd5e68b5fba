//! AES-256-GCM for small things: wrapped keys and KMS ciphertexts (NIST SP 800-38D; the `aes-gcm` crate).
//!
//! INVARIANT: callers never use one (key, nonce) pair twice. Keys that seal more than once take random nonces
//! ([`seal_with_random_nonce`]); keys derived for a single call may use any fixed one.

use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{Aead, Payload},
};

use super::{
    OpenError,
    random::{Random, RandomError},
    stack::wiped,
};
use crate::secret::{SecretBytes, SecretKey};

/// The nonce's length in bytes.
pub const NONCE_BYTES: usize = 12;
/// The authentication tag's length in bytes.
pub const TAG_BYTES: usize = 16;

/// Seals `plaintext`; answers ciphertext and tag. The (key, nonce) pair must never be used again.
#[must_use]
pub fn seal(key: &SecretKey, nonce: &[u8; NONCE_BYTES], aad: &[u8], plaintext: &[u8]) -> Vec<u8> {
    // AES-GCM refuses plaintexts over 64 GiB alone, and what comes here is bounded far below (KMS: 4 KiB).
    wiped(|| cipher(key).encrypt(nonce.into(), Payload { msg: plaintext, aad })).unwrap_or_default()
}

/// Opens what [`seal`] sealed.
///
/// # Errors
///
/// [`OpenError`] when key, nonce, associated data and bytes are not those it was sealed with.
pub fn open(
    key: &SecretKey,
    nonce: &[u8; NONCE_BYTES],
    aad: &[u8],
    ciphertext: &[u8],
) -> Result<SecretBytes, OpenError> {
    wiped(|| cipher(key).decrypt(nonce.into(), Payload { msg: ciphertext, aad }))
        .map(SecretBytes::new)
        .map_err(|_| OpenError)
}

/// Seals under a key that is used many times: a random nonce stands before the ciphertext. Safe for 2³² messages a
/// key (SP 800-38D, section 8.3).
///
/// # Errors
///
/// When there is no randomness.
pub fn seal_with_random_nonce(
    key: &SecretKey,
    aad: &[u8],
    plaintext: &[u8],
    random: &mut dyn Random,
) -> Result<Vec<u8>, RandomError> {
    let nonce: [u8; NONCE_BYTES] = random.array()?;
    Ok([nonce.as_slice(), &seal(key, &nonce, aad, plaintext)].concat())
}

/// Opens what [`seal_with_random_nonce`] sealed.
///
/// # Errors
///
/// As [`open`]; also when there are too few bytes.
pub fn open_with_leading_nonce(key: &SecretKey, aad: &[u8], sealed: &[u8]) -> Result<SecretBytes, OpenError> {
    let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or(OpenError)?;
    open(key, nonce, aad, ciphertext)
}

fn cipher(key: &SecretKey) -> Aes256Gcm {
    Aes256Gcm::new(key.expose_secret().into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::crypto::random::SeededRandom;

    fn key(byte: u8) -> SecretKey {
        SecretKey::from_slice(&[byte; 32]).unwrap()
    }

    /// GCM test cases 13 and 14 of "The Galois/Counter Mode of Operation" (McGrew, Viega), as in SP 800-38D's vectors.
    #[test]
    fn the_published_vectors_hold() {
        let sealed = seal(&key(0), &[0; 12], b"", b"");
        assert_eq!(hex::encode(sealed), "530f8afbc74536b9a963b4f1c4cb738b");
        let sealed = seal(&key(0), &[0; 12], b"", &[0; 16]);
        assert_eq!(hex::encode(sealed), "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
    }

    #[test]
    fn a_changed_key_nonce_context_or_bit_does_not_open() {
        let sealed = seal(&key(1), &[2; 12], b"aad", b"secret");
        assert_eq!(open(&key(1), &[2; 12], b"aad", &sealed).unwrap().expose_secret(), b"secret");
        assert!(open(&key(2), &[2; 12], b"aad", &sealed).is_err());
        assert!(open(&key(1), &[3; 12], b"aad", &sealed).is_err());
        assert!(open(&key(1), &[2; 12], b"aae", &sealed).is_err());
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&key(1), &[2; 12], b"aad", &flipped).is_err(), "bit {bit}");
        }
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_and_any_other_bytes_do_not(
            plaintext in proptest::collection::vec(any::<u8>(), 0..200),
            noise in proptest::collection::vec(any::<u8>(), 0..60),
        ) {
            let mut random = SeededRandom::new(7);
            let sealed = seal_with_random_nonce(&key(9), b"x", &plaintext, &mut random).unwrap();
            let opened = open_with_leading_nonce(&key(9), b"x", &sealed).unwrap();
            prop_assert_eq!(opened.expose_secret(), plaintext.as_slice());
            prop_assert!(open_with_leading_nonce(&key(9), b"x", &noise).is_err());
        }
    }
}
