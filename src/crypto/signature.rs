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

/// Whether a public key is a point of small order, for which anybody can make signatures that verify: never a key that
/// was made as RFC 8032 has it (section 5.1.5). Here are all encodings of those points (libsodium,
/// `ge25519_has_small_order`), without the sign bit.
#[must_use]
pub fn has_small_order(public_key: &[u8; PUBLIC_KEY_BYTES]) -> bool {
    const OF_ORDER_8: [[u8; PUBLIC_KEY_BYTES]; 2] = [
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
            0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
            0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
        ],
    ];
    let mut y = *public_key;
    if let Some(last) = y.last_mut() {
        *last &= 0x7f;
    }
    // The others are 0 and ±1, each also as p (2²⁵⁵ − 19) and more.
    match (y.split_first(), y.split_last()) {
        (Some((0 | 1, rest)), _) if rest.iter().all(|byte| *byte == 0) => true,
        (Some((0xec..=0xee, _)), Some((0x7f, rest))) if rest.iter().skip(1).all(|byte| *byte == 0xff) => true,
        _ => OF_ORDER_8.contains(&y),
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
        assert!(!has_small_order(&key.public_key()));
    }

    #[test]
    fn keys_for_which_anybody_can_sign_are_known() {
        let with = |first: u8, middle: u8, last: u8| {
            let mut key = [middle; PUBLIC_KEY_BYTES];
            (key[0], key[PUBLIC_KEY_BYTES - 1]) = (first, last);
            key
        };
        // R is the neutral element and S is 0: this "signature" of every message verifies under the neutral element.
        let mut signature = [0; SIGNATURE_BYTES];
        signature[0] = 1;
        assert!(verify(&with(1, 0, 0), b"anything", &signature).is_ok());
        for (first, middle, last) in
            [(0, 0, 0), (1, 0, 0), (0xec, 0xff, 0x7f), (0xed, 0xff, 0x7f), (0xee, 0xff, 0x7f)]
        {
            assert!(has_small_order(&with(first, middle, last)));
            assert!(has_small_order(&with(first, middle, last | 0x80)));
        }
        for (first, middle, last) in [(2, 0, 0), (0xeb, 0xff, 0x7f), (0, 1, 0), (0xed, 0xff, 0x7e)] {
            assert!(!has_small_order(&with(first, middle, last)));
        }
    }
}
