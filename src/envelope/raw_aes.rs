//! A keyring of one AES key that the user holds (AWS Encryption SDK specification, "Raw AES keyring").
//!
//! Wraps data keys with AES-GCM and a random IV; the encryption context is authenticated with them.

use zeroize::{Zeroize, Zeroizing};

use super::{
    DataKey, EncryptedDataKey, Keyring, KeyringError, NewDataKey,
    keyring::{RAW_AES_LENGTHS, check_raw_name, recipients},
};
use crate::{
    crypto::{
        OpenError,
        frame::{FrameKey, IV_BYTES, TAG_BYTES},
        random::Random,
    },
    model::{EncryptionContext, ParseError},
    secret::{SecretBytes, SecretKey},
};

/// Wraps data keys with one AES key. Namespace and name stand in the message in clear, and say which key it is.
#[derive(Debug)]
pub struct RawAesKeyring {
    namespace: String,
    name: String,
    key: SecretBytes,
}

impl RawAesKeyring {
    /// The keyring of this AES-256 key.
    ///
    /// # Errors
    ///
    /// When namespace or name is empty or longer than 1,024 bytes, or the namespace begins with `aws-kms`.
    pub fn new(
        namespace: impl Into<String>,
        name: impl Into<String>,
        key: SecretKey,
    ) -> Result<Self, ParseError> {
        Self::of_any_length(namespace, name, SecretBytes::from(&key))
    }

    /// The keyring of this AES key of 16, 24 or 32 bytes.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new); also when the key has another length.
    pub fn of_any_length(
        namespace: impl Into<String>,
        name: impl Into<String>,
        key: SecretBytes,
    ) -> Result<Self, ParseError> {
        let (namespace, name) = (namespace.into(), name.into());
        check_raw_name(&namespace, &name)?;
        if FrameKey::of_any_length(&key).is_none() {
            return Err(ParseError::new(format!("an AES key has 16, 24 or 32 bytes, not {}", key.len())));
        }
        Ok(Self { namespace, name, key })
    }

    fn cipher(&self) -> Result<FrameKey, OpenError> {
        FrameKey::of_any_length(&self.key).ok_or(OpenError)
    }

    fn full_name(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// The IV with which this key wrapped `encrypted`, when it did.
    fn iv_of<'key>(&self, encrypted: &'key EncryptedDataKey) -> Option<&'key [u8; IV_BYTES]> {
        let info = encrypted.provider_info.strip_prefix(self.name.as_bytes())?;
        let iv = info.strip_prefix(&RAW_AES_LENGTHS)?.try_into().ok()?;
        (encrypted.provider == self.namespace).then_some(iv)
    }

    fn open(
        &self,
        iv: &[u8; IV_BYTES],
        encrypted: &EncryptedDataKey,
        context: &EncryptionContext,
    ) -> Result<DataKey, OpenError> {
        let mut buffer = Zeroizing::new(encrypted.ciphertext.clone());
        let length = self.cipher()?.open_in_place(*iv, &context.to_canonical_bytes(), &mut buffer)?;
        let opened = buffer.get(..length).ok_or(OpenError)?;
        DataKey::new(opened.into()).ok_or(OpenError)
    }
}

impl Keyring for RawAesKeyring {
    fn generate(
        &self,
        context: &EncryptionContext,
        random: &mut dyn Random,
    ) -> Result<NewDataKey, KeyringError> {
        let data_key = random.secret()?;
        let encrypted = self.wrap(&data_key, context, random)?;
        Ok(NewDataKey { data_key, encrypted })
    }

    fn wrap(
        &self,
        data_key: &SecretKey,
        context: &EncryptionContext,
        random: &mut dyn Random,
    ) -> Result<Vec<EncryptedDataKey>, KeyringError> {
        let iv: [u8; IV_BYTES] = random.array()?;
        let mut ciphertext = data_key.expose_secret().to_vec();
        let tag = self
            .cipher()
            .and_then(|cipher| cipher.seal_in_place(iv, &context.to_canonical_bytes(), &mut ciphertext));
        let Ok(tag) = tag else {
            ciphertext.zeroize();
            return Err(KeyringError::RawKeyDoesNotSeal { name: self.full_name() });
        };
        ciphertext.extend_from_slice(&tag);
        const { assert!(TAG_BYTES * 8 == RAW_AES_LENGTHS[3] as usize && IV_BYTES == RAW_AES_LENGTHS[7] as usize) }
        Ok(vec![EncryptedDataKey {
            provider: self.namespace.clone(),
            provider_info: [self.name.as_bytes(), &RAW_AES_LENGTHS, &iv].concat(),
            ciphertext,
        }])
    }

    fn unwrap(
        &self,
        encrypted: &[EncryptedDataKey],
        context: &EncryptionContext,
    ) -> Result<DataKey, KeyringError> {
        let mut tried = Vec::new();
        for key in encrypted {
            let Some(iv) = self.iv_of(key) else { continue };
            match self.open(iv, key, context) {
                Ok(data_key) => return Ok(data_key),
                Err(OpenError) => tried.push(KeyringError::RawKeyDoesNotOpen { name: self.full_name() }),
            }
        }
        Err(KeyringError::of_all_tried(tried, || recipients(encrypted)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::random::SeededRandom;

    fn keyring(namespace: &str, name: &str, byte: u8) -> RawAesKeyring {
        RawAesKeyring::new(namespace, name, SecretKey::from_slice(&[byte; 32]).unwrap()).unwrap()
    }

    fn context(value: &str) -> EncryptionContext {
        EncryptionContext::from_pairs([("model", value)]).unwrap()
    }

    #[test]
    fn a_data_key_has_the_form_of_the_specification() {
        let new = keyring("ns", "key", 1).generate(&context("a"), &mut SeededRandom::new(1)).unwrap();
        let [key] = new.encrypted.as_slice() else { panic!("one recipient") };
        assert_eq!((key.provider.as_str(), key.ciphertext.len()), ("ns", 48));
        assert_eq!(key.provider_info.len(), 3 + 20);
        assert_eq!(key.provider_info[..11], *b"key\0\0\0\x80\0\0\0\x0c");
        assert_eq!(key.key_name(), "key");
    }

    #[test]
    fn it_opens_with_the_same_key_name_namespace_and_context_alone() {
        let new = keyring("ns", "key", 1).generate(&context("a"), &mut SeededRandom::new(1)).unwrap();
        let open = |keyring: RawAesKeyring, value| keyring.unwrap(&new.encrypted, &context(value));
        assert!(open(keyring("ns", "key", 1), "a").unwrap().is(&new.data_key));
        let does_not_open = |result| matches!(result, Err(KeyringError::RawKeyDoesNotOpen { .. }));
        assert!(does_not_open(open(keyring("ns", "key", 2), "a")));
        assert!(does_not_open(open(keyring("ns", "key", 1), "b")));
        let no_recipient = |result| matches!(result, Err(KeyringError::NotARecipient { .. }));
        assert!(no_recipient(open(keyring("ns", "kez", 1), "a")));
        assert!(no_recipient(open(keyring("ns", "ke", 1), "a")));
        assert!(no_recipient(open(keyring("nt", "key", 1), "a")));
    }

    #[test]
    fn a_changed_bit_does_not_open() {
        let keyring = keyring("ns", "key", 1);
        let new = keyring.generate(&context("a"), &mut SeededRandom::new(1)).unwrap();
        for bit in 0..48 * 8 {
            let mut changed = new.encrypted.clone();
            changed[0].ciphertext[bit / 8] ^= 1 << (bit % 8);
            assert!(keyring.unwrap(&changed, &context("a")).is_err(), "bit {bit}");
        }
        for bit in 0..23 * 8 {
            let mut changed = new.encrypted.clone();
            changed[0].provider_info[bit / 8] ^= 1 << (bit % 8);
            assert!(keyring.unwrap(&changed, &context("a")).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_key_has_one_of_the_lengths_of_aes() {
        for length in 0..40 {
            let keyring = RawAesKeyring::of_any_length("ns", "key", SecretBytes::new(vec![5; length]));
            assert_eq!(keyring.is_ok(), [16, 24, 32].contains(&length), "{length}");
            let Ok(keyring) = keyring else { continue };
            let new = keyring.generate(&context("a"), &mut SeededRandom::new(1)).unwrap();
            assert!(keyring.unwrap(&new.encrypted, &context("a")).unwrap().is(&new.data_key));
            let other = RawAesKeyring::of_any_length("ns", "key", SecretBytes::new(vec![6; length])).unwrap();
            assert!(other.unwrap(&new.encrypted, &context("a")).is_err());
        }
    }

    #[test]
    fn names_that_the_format_keeps_are_refused() {
        let key = || SecretKey::from_slice(&[1; 32]).unwrap();
        assert!(RawAesKeyring::new("aws-kms", "x", key()).is_err());
        assert!(RawAesKeyring::new("aws-kms-lab", "x", key()).is_err());
        assert!(RawAesKeyring::new("", "x", key()).is_err());
        assert!(RawAesKeyring::new("x", "", key()).is_err());
        assert!(RawAesKeyring::new("x", "y".repeat(1025), key()).is_err());
    }
}
