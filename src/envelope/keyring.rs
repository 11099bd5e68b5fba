//! Keyrings: what makes, wraps and unwraps data keys (AWS Encryption SDK specification, "Keyring interface" and
//! "Multi-keyring").
//!
//! Each file's frames are encrypted by a data key that is made for it alone; a keyring encrypts the data key for each
//! recipient. Whoever can unwrap one of the encrypted data keys can open the message.

use super::{DataKey, EncryptedDataKey, KeyringError};
use crate::{
    crypto::random::Random,
    model::{EncryptionContext, ParseError},
    secret::SecretKey,
};

/// A new data key and its encrypted forms, one for each recipient.
#[derive(Debug)]
pub struct NewDataKey {
    /// The data key.
    pub data_key: SecretKey,
    /// The data key, encrypted for each recipient.
    pub encrypted: Vec<EncryptedDataKey>,
}

/// Makes, wraps and unwraps data keys. Threads share it: the files of a folder are sealed side by side.
pub trait Keyring: Send + Sync {
    /// Makes a new data key and encrypts it for each recipient.
    ///
    /// # Errors
    ///
    /// When a KMS refuses, there is no randomness, or the keyring can only unwrap.
    fn generate(
        &self,
        context: &EncryptionContext,
        random: &mut dyn Random,
    ) -> Result<NewDataKey, KeyringError>;

    /// Encrypts a data key that another keyring made, for each recipient of this one.
    ///
    /// # Errors
    ///
    /// As [`generate`](Self::generate).
    fn wrap(
        &self,
        data_key: &SecretKey,
        context: &EncryptionContext,
        random: &mut dyn Random,
    ) -> Result<Vec<EncryptedDataKey>, KeyringError>;

    /// Decrypts the first of `encrypted` that one of the keyring's keys decrypts.
    ///
    /// # Errors
    ///
    /// [`KeyringError::NotARecipient`] when none is for a key of this keyring; else why each of those that are did not
    /// decrypt.
    fn unwrap(
        &self,
        encrypted: &[EncryptedDataKey],
        context: &EncryptionContext,
    ) -> Result<DataKey, KeyringError>;
}

impl<K: Keyring + ?Sized> Keyring for Box<K> {
    fn generate(
        &self,
        context: &EncryptionContext,
        random: &mut dyn Random,
    ) -> Result<NewDataKey, KeyringError> {
        (**self).generate(context, random)
    }

    fn wrap(
        &self,
        data_key: &SecretKey,
        context: &EncryptionContext,
        random: &mut dyn Random,
    ) -> Result<Vec<EncryptedDataKey>, KeyringError> {
        (**self).wrap(data_key, context, random)
    }

    fn unwrap(
        &self,
        encrypted: &[EncryptedDataKey],
        context: &EncryptionContext,
    ) -> Result<DataKey, KeyringError> {
        (**self).unwrap(encrypted, context)
    }
}

/// Several keyrings as one. Sealing makes the data key with the first and wraps it with all others; opening takes the
/// first that can.
pub struct MultiKeyring<'keyrings> {
    generator: Box<dyn Keyring + 'keyrings>,
    children: Vec<Box<dyn Keyring + 'keyrings>>,
}

impl<'keyrings> MultiKeyring<'keyrings> {
    /// The keyring that makes data keys with `generator`.
    #[must_use]
    pub fn new(generator: impl Keyring + 'keyrings) -> Self {
        Self { generator: Box::new(generator), children: Vec::new() }
    }

    /// Adds a keyring that wraps what the generator makes.
    #[must_use]
    pub fn with(mut self, child: impl Keyring + 'keyrings) -> Self {
        self.children.push(Box::new(child));
        self
    }
}

impl Keyring for MultiKeyring<'_> {
    fn generate(
        &self,
        context: &EncryptionContext,
        random: &mut dyn Random,
    ) -> Result<NewDataKey, KeyringError> {
        let mut new = self.generator.generate(context, random)?;
        for child in &self.children {
            new.encrypted.extend(child.wrap(&new.data_key, context, random)?);
        }
        Ok(new)
    }

    fn wrap(
        &self,
        data_key: &SecretKey,
        context: &EncryptionContext,
        random: &mut dyn Random,
    ) -> Result<Vec<EncryptedDataKey>, KeyringError> {
        let mut encrypted = self.generator.wrap(data_key, context, random)?;
        for child in &self.children {
            encrypted.extend(child.wrap(data_key, context, random)?);
        }
        Ok(encrypted)
    }

    fn unwrap(
        &self,
        encrypted: &[EncryptedDataKey],
        context: &EncryptionContext,
    ) -> Result<DataKey, KeyringError> {
        let mut tried = Vec::new();
        for keyring in std::iter::once(&self.generator).chain(&self.children) {
            match keyring.unwrap(encrypted, context) {
                Ok(data_key) => return Ok(data_key),
                Err(error) => tried.push(error),
            }
        }
        Err(KeyringError::of_all_tried(tried, || recipients(encrypted)))
    }
}

/// Whom the data key is encrypted for, in words that are safe to print.
pub(super) fn recipients(encrypted: &[EncryptedDataKey]) -> Vec<String> {
    encrypted.iter().map(|key| format!("`{}`", key.recipient())).collect()
}

/// The longest namespace and the longest name in bytes. The format has room for 65,515; a header for 1 MiB in all.
const NAME_BYTES_MAX: usize = 1024;
/// What the KMS keyring keeps for itself as the beginning of a provider id.
const RESERVED_NAMESPACE: &str = "aws-kms";

/// Whether a raw key may be called this.
pub(super) fn check_raw_name(namespace: &str, name: &str) -> Result<(), ParseError> {
    for (what, text) in [("namespace", namespace), ("name", name)] {
        if text.is_empty() || text.len() > NAME_BYTES_MAX {
            return Err(ParseError::new(format!("a raw key's {what} has 1 to {NAME_BYTES_MAX} bytes")));
        }
    }
    if namespace.starts_with(RESERVED_NAMESPACE) {
        return Err(ParseError::new(format!(
            "the raw key's namespace `{namespace}` begins with `{RESERVED_NAMESPACE}`, which stands for keys in a KMS"
        )));
    }
    Ok(())
}

/// The end of a raw AES key's provider info, after the key's name: tag length in bits, IV length in bytes, IV.
pub(super) const RAW_AES_LENGTHS: [u8; 8] = [0, 0, 0, 128, 0, 0, 0, 12];

impl EncryptedDataKey {
    /// The name of the recipient's key: a KMS key's ARN or a raw key's name. Control characters are escaped, and bytes
    /// that are no text are written as hexadecimal.
    #[must_use]
    pub fn key_name(&self) -> String {
        let name = raw_aes_name(&self.provider_info).unwrap_or(&self.provider_info);
        std::str::from_utf8(name).map_or_else(|_| hex::encode(name), printable)
    }

    /// The recipient in one word: the ARN of a KMS key, or `namespace/name` of a raw one.
    pub(super) fn recipient(&self) -> String {
        if self.provider == super::kms::PROVIDER {
            self.key_name()
        } else {
            format!("{}/{}", printable(&self.provider), self.key_name())
        }
    }
}

fn raw_aes_name(info: &[u8]) -> Option<&[u8]> {
    let (head, _iv) = info.split_last_chunk::<12>()?;
    let (name, lengths) = head.split_last_chunk::<8>()?;
    (*lengths == RAW_AES_LENGTHS).then_some(name)
}

/// The text with its control characters escaped: it comes from a message that anybody may have made, and a terminal
/// would obey it.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|character| {
            let escaped = character.is_control().then(|| character.escape_default());
            let plain = escaped.is_none().then_some(character);
            escaped.into_iter().flatten().chain(plain)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{crypto::random::SeededRandom, envelope::RawAesKeyring, envelope::error::ErrorClass};

    fn raw(name: &str, byte: u8) -> RawAesKeyring {
        RawAesKeyring::new("lab", name, SecretKey::from_slice(&[byte; 32]).unwrap()).unwrap()
    }

    #[test]
    fn each_recipient_of_a_multi_keyring_opens_alone_and_others_do_not() {
        let both = MultiKeyring::new(raw("a", 1)).with(raw("b", 2));
        let context = EncryptionContext::from_pairs([("k", "v")]).unwrap();
        let new = both.generate(&context, &mut SeededRandom::new(1)).unwrap();
        assert_eq!(new.encrypted.len(), 2);
        for keyring in [raw("a", 1), raw("b", 2)] {
            assert!(keyring.unwrap(&new.encrypted, &context).unwrap().is(&new.data_key));
        }
        let stranger = MultiKeyring::new(raw("c", 1)).with(raw("d", 2));
        let error = stranger.unwrap(&new.encrypted, &context).unwrap_err();
        assert_eq!(
            error.to_string(),
            "none of the given keys is a recipient of the message, which is sealed for `lab/a`, `lab/b`"
        );
        let wrong = MultiKeyring::new(raw("a", 3)).with(raw("d", 2));
        let error = wrong.unwrap(&new.encrypted, &context).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Integrity, "{error}");
        let second = MultiKeyring::new(raw("a", 3)).with(raw("b", 2));
        assert!(second.unwrap(&new.encrypted, &context).unwrap().is(&new.data_key));
        let wrapped = both.wrap(&new.data_key, &context, &mut SeededRandom::new(2)).unwrap();
        assert!(second.unwrap(&wrapped, &context).unwrap().is(&new.data_key));
    }

    #[test]
    fn a_key_name_cannot_command_a_terminal() {
        let key = EncryptedDataKey {
            provider: "lab\n".into(),
            provider_info: b"\x1b[2Jkey".to_vec(),
            ciphertext: vec![],
        };
        assert_eq!(key.recipient(), "lab\\n/\\u{1b}[2Jkey");
        let bytes = EncryptedDataKey { provider_info: vec![0xff, 0xfe], ..key };
        assert_eq!(bytes.key_name(), "fffe");
    }
}
