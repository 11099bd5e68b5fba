//! What the door can unwrap: key materials, and the secrets of access keys and MFA devices.
//!
//! A credential's secret is wrapped like a key material, with AES-256-GCM, under another key that derives from the root
//! key; what it belongs to is the associated data, so that one cannot be passed off as another. It is unwrapped to check
//! a signature or a code and never leaves: only the call that makes it shows it.

use super::{CallError, material::Materials};
use crate::{
    crypto::{
        OpenError, aead,
        random::{Random, RandomError},
        totp,
    },
    iam::{AccessKeyId, MfaDevice, MfaSerial},
    secret::{SecretArray, SecretBytes, SecretKey},
};

/// What the door can unwrap.
pub(crate) struct Secrets {
    pub(crate) materials: Materials,
    pub(crate) credentials: Credentials,
}

impl Secrets {
    /// Wraps with these two keys, which derive from the root key.
    pub(crate) fn new(material_wrapping: SecretKey, credential_wrapping: SecretKey) -> Self {
        Self {
            materials: Materials::new(material_wrapping),
            credentials: Credentials { wrapping: credential_wrapping },
        }
    }
}

/// The key that wraps the secrets of credentials.
pub(crate) struct Credentials {
    wrapping: SecretKey,
}

/// What a secret belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum SecretOf<'a> {
    /// The secret of an access key.
    AccessKey(&'a AccessKeyId),
    /// The seed of a virtual MFA device.
    MfaDevice(&'a MfaSerial),
    /// The key with this fingerprint, which signs digest files.
    DigestKey(&'a str),
}

impl SecretOf<'_> {
    fn aad(self) -> Vec<u8> {
        match self {
            Self::AccessKey(id) => format!("keystead v1 access key\n{id}").into_bytes(),
            Self::MfaDevice(serial) => format!("keystead v1 MFA seed\n{serial}").into_bytes(),
            Self::DigestKey(fingerprint) => format!("keystead v1 digest key\n{fingerprint}").into_bytes(),
        }
    }
}

/// The length of an access key's secret in characters, as AWS makes them.
pub const ACCESS_KEY_SECRET_CHARS: usize = 40;
/// Random bytes in an access key's secret: 40 characters of base64.
const ACCESS_KEY_SECRET_BYTES: usize = 30;
/// Random bytes in an MFA device's seed: 64 characters of base32, as AWS gives.
const MFA_SEED_BYTES: usize = 40;

impl Credentials {
    /// A new access key's secret: as it is shown, and under wrap.
    pub(crate) fn new_access_key(
        &self,
        id: &AccessKeyId,
        random: &mut dyn Random,
    ) -> Result<(SecretBytes, Vec<u8>), RandomError> {
        let bytes: SecretArray<ACCESS_KEY_SECRET_BYTES> = random.secret()?;
        let secret = text_of(bytes.expose_secret(), &data_encoding::BASE64);
        let wrapped = self.wrap(SecretOf::AccessKey(id), &secret, random)?;
        Ok((secret, wrapped))
    }

    /// A new MFA device's seed: in base32, as it is shown, and under wrap.
    pub(crate) fn new_mfa_seed(
        &self,
        serial: &MfaSerial,
        random: &mut dyn Random,
    ) -> Result<(SecretBytes, Vec<u8>), RandomError> {
        let bytes: SecretArray<MFA_SEED_BYTES> = random.secret()?;
        let seed = SecretBytes::from(bytes.expose_secret().as_slice());
        let wrapped = self.wrap(SecretOf::MfaDevice(serial), &seed, random)?;
        Ok((text_of(bytes.expose_secret(), &data_encoding::BASE32), wrapped))
    }

    /// Whether `code` is what this device shows in a time step.
    pub(crate) fn is_mfa_code(&self, device: &MfaDevice, step: i64, code: &str) -> bool {
        let seed = self.unwrap(SecretOf::MfaDevice(&device.serial), &device.wrapped);
        seed.is_ok_and(|seed| totp::is_code(&seed, step, code))
    }

    /// What this device shows in a time step.
    pub(crate) fn mfa_code(&self, device: &MfaDevice, step: i64) -> Result<String, CallError> {
        let seed = self.unwrap(SecretOf::MfaDevice(&device.serial), &device.wrapped);
        let shown = seed.ok().zip(u64::try_from(step).ok()).map(|(seed, step)| totp::shown(&seed, step));
        shown.ok_or_else(|| CallError::internal(format!("the seed of {} does not unwrap", device.serial)))
    }

    /// Wraps a secret.
    pub(crate) fn wrap(
        &self,
        of: SecretOf<'_>,
        secret: &SecretBytes,
        random: &mut dyn Random,
    ) -> Result<Vec<u8>, RandomError> {
        aead::seal_with_random_nonce(&self.wrapping, &of.aad(), secret.expose_secret(), random)
    }

    /// Unwraps a secret.
    pub(crate) fn unwrap(&self, of: SecretOf<'_>, wrapped: &[u8]) -> Result<SecretBytes, OpenError> {
        aead::open_with_leading_nonce(&self.wrapping, &of.aad(), wrapped)
    }

    /// Wraps a secret anew under another wrapping key: for rotating the root key, never for a call.
    pub(crate) fn rewrap(
        &self,
        newer: &Self,
        of: SecretOf<'_>,
        wrapped: &[u8],
        random: &mut dyn Random,
    ) -> Result<Vec<u8>, CallError> {
        let secret = self
            .unwrap(of, wrapped)
            .map_err(|_| CallError::internal(format!("a secret does not unwrap: {of:?}")))?;
        Ok(newer.wrap(of, &secret, random)?)
    }
}

/// The bytes in an encoding, in a buffer that does not grow.
fn text_of(bytes: &[u8], encoding: &data_encoding::Encoding) -> SecretBytes {
    let mut text = vec![0; encoding.encode_len(bytes.len())];
    encoding.encode_mut(bytes, &mut text);
    SecretBytes::new(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::random::SystemRandom;

    #[test]
    fn a_secret_opens_as_what_it_is_and_as_nothing_else() {
        let random: &mut dyn Random = &mut SystemRandom;
        let secrets = |byte: u8| {
            let key = || SecretKey::from_slice(&[byte; 32]).unwrap();
            Secrets::new(key(), key())
        };
        let (old, newer) = (secrets(1).credentials, secrets(2).credentials);
        let (one, two) = (AccessKeyId::from_random([1; 16]), AccessKeyId::from_random([2; 16]));
        let serial: MfaSerial = "arn:aws:iam::111122223333:mfa/a".parse().unwrap();
        let of = SecretOf::AccessKey(&one);
        let wrapped = old.wrap(of, &b"secret".as_slice().into(), random).unwrap();
        assert_eq!(old.unwrap(of, &wrapped).unwrap().expose_secret(), b"secret");
        assert!(old.unwrap(SecretOf::AccessKey(&two), &wrapped).is_err());
        assert!(old.unwrap(SecretOf::MfaDevice(&serial), &wrapped).is_err());
        assert!(newer.unwrap(of, &wrapped).is_err());
        let again = old.rewrap(&newer, of, &wrapped, random).unwrap();
        assert_eq!(newer.unwrap(of, &again).unwrap().expose_secret(), b"secret");
        assert!(old.rewrap(&newer, SecretOf::AccessKey(&two), &wrapped, random).is_err());
    }
}
