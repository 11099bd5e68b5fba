//! A keyring of keys in a KMS (AWS Encryption SDK specification, "AWS KMS keyring"), and the joint to that KMS.
//!
//! The data key is made by GenerateDataKey under the first key and encrypted under all others. Opening asks the KMS
//! for each encrypted data key by the ARN that stands in the message, and takes no answer of another key: else whoever
//! can write the message could have it opened under a key of their own.

use super::{
    DataKey, DataKeyError, EncryptedDataKey, Keyring, KeyringError, NewDataKey, keyring::recipients,
};
use crate::{
    crypto::random::Random,
    model::{EncryptionContext, KeyArn, KeyRef, ParseError},
    secret::SecretKey,
};

/// The provider id of data keys that a KMS encrypted.
pub(super) const PROVIDER: &str = "aws-kms";

/// A data key that a KMS made.
#[derive(Debug)]
pub struct GeneratedDataKey {
    /// The key it is encrypted under.
    pub key_arn: KeyArn,
    /// The data key.
    pub plaintext: SecretKey,
    /// The data key, encrypted.
    pub ciphertext: Vec<u8>,
}

/// A data key that a KMS encrypted.
#[derive(Debug)]
pub struct EncryptedDataKeyBlob {
    /// The key it is encrypted under.
    pub key_arn: KeyArn,
    /// The data key, encrypted.
    pub ciphertext: Vec<u8>,
}

/// A data key that a KMS decrypted.
#[derive(Debug)]
pub struct DecryptedDataKey {
    /// The key that decrypted it.
    pub key_arn: KeyArn,
    /// The data key.
    pub plaintext: DataKey,
}

/// The joint to a KMS: one that is embedded, one on a server, or AWS's own.
pub trait DataKeys: Send + Sync {
    /// Makes a data key of 32 bytes (GenerateDataKey with `AES_256`).
    ///
    /// # Errors
    ///
    /// What the KMS answers.
    fn generate_data_key(
        &self,
        key: &KeyRef,
        context: &EncryptionContext,
    ) -> Result<GeneratedDataKey, DataKeyError>;

    /// Encrypts a data key (Encrypt).
    ///
    /// # Errors
    ///
    /// What the KMS answers.
    fn encrypt_data_key(
        &self,
        key: &KeyRef,
        data_key: &SecretKey,
        context: &EncryptionContext,
    ) -> Result<EncryptedDataKeyBlob, DataKeyError>;

    /// Decrypts a data key with this key and no other (Decrypt with `KeyId`).
    ///
    /// # Errors
    ///
    /// What the KMS answers; also, as invalid ciphertext, when the plaintext has not the length of a data key.
    fn decrypt_data_key(
        &self,
        key_arn: &KeyArn,
        ciphertext: &[u8],
        context: &EncryptionContext,
    ) -> Result<DecryptedDataKey, DataKeyError>;
}

/// Makes and wraps data keys with keys in a KMS.
pub struct KmsKeyring<'kms> {
    kms: &'kms dyn DataKeys,
    /// The first makes the data key.
    sealing: Vec<KeyRef>,
    /// The only keys that may open; none: any that the message names and the KMS lets.
    opening: Option<Vec<KeyRef>>,
}

impl<'kms> KmsKeyring<'kms> {
    /// The keyring that makes data keys with `generator`.
    #[must_use]
    pub fn new(kms: &'kms dyn DataKeys, generator: KeyRef) -> Self {
        Self { kms, sealing: vec![generator], opening: None }
    }

    /// The keyring that opens with whatever key a message names, and seals with none ("discovery").
    #[must_use]
    pub fn discovery(kms: &'kms dyn DataKeys) -> Self {
        Self { kms, sealing: Vec::new(), opening: None }
    }

    /// Adds a recipient.
    #[must_use]
    pub fn with(mut self, key: KeyRef) -> Self {
        self.sealing.push(key);
        self
    }

    /// Opens with these keys alone, whatever other keys a message names.
    ///
    /// # Errors
    ///
    /// When one is an alias: a message names keys by their ARN, and what an alias stands for can change.
    pub fn limited_to(mut self, keys: impl IntoIterator<Item = KeyRef>) -> Result<Self, ParseError> {
        let keys: Vec<KeyRef> = keys.into_iter().collect();
        let is_alias = |key: &&KeyRef| matches!(key, KeyRef::Alias(_) | KeyRef::AliasArn { .. });
        if let Some(alias) = keys.iter().find(is_alias) {
            return Err(ParseError::new(format!(
                "`{alias}` cannot limit which keys open a message, since a message names keys: give a key id or key ARN"
            )));
        }
        self.opening = Some(keys);
        Ok(self)
    }

    fn encrypt(
        &self,
        keys: &[KeyRef],
        data_key: &SecretKey,
        context: &EncryptionContext,
        encrypted: &mut Vec<EncryptedDataKey>,
    ) -> Result<(), KeyringError> {
        for key in keys {
            let blob = self.kms.encrypt_data_key(key, data_key, context).map_err(refused(key))?;
            encrypted.push(recipient(key, blob.key_arn, blob.ciphertext)?);
        }
        Ok(())
    }

    /// The ARN of the key that `encrypted` is for, when it is one that this keyring may use.
    fn key_of(&self, encrypted: &EncryptedDataKey) -> Option<KeyArn> {
        if encrypted.provider != PROVIDER {
            return None;
        }
        let arn: KeyArn = std::str::from_utf8(&encrypted.provider_info).ok()?.parse().ok()?;
        let allowed = self.opening.as_ref().is_none_or(|keys| keys.iter().any(|key| names(key, &arn)));
        allowed.then_some(arn)
    }

    fn decrypt(
        &self,
        arn: KeyArn,
        encrypted: &EncryptedDataKey,
        context: &EncryptionContext,
    ) -> Result<DataKey, KeyringError> {
        let asked = KeyRef::Arn(arn.clone());
        let answer =
            self.kms.decrypt_data_key(&arn, &encrypted.ciphertext, context).map_err(refused(&asked))?;
        if answer.key_arn == arn { Ok(answer.plaintext) } else { Err(wrong_key(&asked, answer.key_arn)) }
    }
}

impl Keyring for KmsKeyring<'_> {
    fn generate(
        &self,
        context: &EncryptionContext,
        _random: &mut dyn Random,
    ) -> Result<NewDataKey, KeyringError> {
        let (generator, others) = self.sealing.split_first().ok_or(KeyringError::NoSealingKey)?;
        let new = self.kms.generate_data_key(generator, context).map_err(refused(generator))?;
        let mut encrypted = vec![recipient(generator, new.key_arn, new.ciphertext)?];
        self.encrypt(others, &new.plaintext, context, &mut encrypted)?;
        Ok(NewDataKey { data_key: new.plaintext, encrypted })
    }

    fn wrap(
        &self,
        data_key: &SecretKey,
        context: &EncryptionContext,
        _random: &mut dyn Random,
    ) -> Result<Vec<EncryptedDataKey>, KeyringError> {
        if self.sealing.is_empty() {
            return Err(KeyringError::NoSealingKey);
        }
        let mut encrypted = Vec::with_capacity(self.sealing.len());
        self.encrypt(&self.sealing, data_key, context, &mut encrypted)?;
        Ok(encrypted)
    }

    fn unwrap(
        &self,
        encrypted: &[EncryptedDataKey],
        context: &EncryptionContext,
    ) -> Result<DataKey, KeyringError> {
        let mut tried = Vec::new();
        for key in encrypted {
            let Some(arn) = self.key_of(key) else { continue };
            match self.decrypt(arn, key, context) {
                Ok(data_key) => return Ok(data_key),
                Err(error) => tried.push(error),
            }
        }
        Err(KeyringError::of_all_tried(tried, || recipients(encrypted)))
    }
}

/// Whether `key` names the key of this ARN. An alias may name any.
fn names(key: &KeyRef, arn: &KeyArn) -> bool {
    match key {
        KeyRef::Arn(asked) => asked == arn,
        KeyRef::Id(id) => id == arn.key_id(),
        KeyRef::Alias(_) | KeyRef::AliasArn { .. } => true,
    }
}

/// The encrypted data key of a KMS's answer, once it is by the key that was asked for.
fn recipient(asked: &KeyRef, arn: KeyArn, ciphertext: Vec<u8>) -> Result<EncryptedDataKey, KeyringError> {
    if !names(asked, &arn) {
        return Err(wrong_key(asked, arn));
    }
    Ok(EncryptedDataKey {
        provider: PROVIDER.into(),
        provider_info: arn.to_string().into_bytes(),
        ciphertext,
    })
}

fn refused(key: &KeyRef) -> impl FnOnce(DataKeyError) -> KeyringError {
    let key = key.clone();
    move |source| KeyringError::Kms { key, source }
}

fn wrong_key(asked: &KeyRef, answered: KeyArn) -> KeyringError {
    KeyringError::WrongKeyUsed { asked: Box::new(asked.clone()), answered: Box::new(answered) }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::{
        crypto::{aead, random::SeededRandom},
        envelope::ErrorClass,
        model::ErrorCode,
    };

    const KEY_A: &str = "arn:aws:kms:us-east-1:111122223333:key/aaaaaaaa-0000-4000-8000-000000000000";
    const KEY_B: &str = "arn:aws:kms:us-east-1:111122223333:key/bbbbbbbb-0000-4000-8000-000000000000";

    /// A KMS of two keys that encrypts with the key's ARN as key, and refuses what it is told to.
    #[derive(Default)]
    struct Kms {
        refuses: Option<(&'static str, ErrorCode)>,
        answers_for: Option<&'static str>,
        calls: Mutex<Vec<String>>,
    }

    impl Kms {
        fn resolve(&self, operation: &str, key: &KeyRef) -> Result<(KeyArn, SecretKey), DataKeyError> {
            let arn = if key.to_string() == "alias/a" { KEY_A.into() } else { key.to_string() };
            self.calls.lock().unwrap().push(format!("{operation} {arn}"));
            if let Some((refused, code)) = self.refuses.filter(|(refused, _)| *refused == arn) {
                return Err(DataKeyError::new(code, format!("no {refused} for you")));
            }
            let answered = self.answers_for.unwrap_or(&arn).parse().unwrap();
            Ok((answered, SecretKey::from_slice(&arn.as_bytes()[arn.len() - 36..][..32]).unwrap()))
        }
    }

    impl DataKeys for Kms {
        fn generate_data_key(
            &self,
            key: &KeyRef,
            context: &EncryptionContext,
        ) -> Result<GeneratedDataKey, DataKeyError> {
            let (key_arn, kek) = self.resolve("generate", key)?;
            let plaintext = SecretKey::from_slice(&[42; 32]).unwrap();
            let ciphertext = aead::seal(&kek, &[0; 12], &context.to_canonical_bytes(), &[42; 32]);
            Ok(GeneratedDataKey { key_arn, plaintext, ciphertext })
        }

        fn encrypt_data_key(
            &self,
            key: &KeyRef,
            data_key: &SecretKey,
            context: &EncryptionContext,
        ) -> Result<EncryptedDataKeyBlob, DataKeyError> {
            let (key_arn, kek) = self.resolve("encrypt", key)?;
            let aad = context.to_canonical_bytes();
            Ok(EncryptedDataKeyBlob {
                key_arn,
                ciphertext: aead::seal(&kek, &[0; 12], &aad, data_key.expose_secret()),
            })
        }

        fn decrypt_data_key(
            &self,
            key_arn: &KeyArn,
            ciphertext: &[u8],
            context: &EncryptionContext,
        ) -> Result<DecryptedDataKey, DataKeyError> {
            let (key_arn, kek) = self.resolve("decrypt", &KeyRef::Arn(key_arn.clone()))?;
            let opened = aead::open(&kek, &[0; 12], &context.to_canonical_bytes(), ciphertext)
                .map_err(|_| DataKeyError::new(ErrorCode::InvalidCiphertext, ""))?;
            Ok(DecryptedDataKey { key_arn, plaintext: DataKey::new(opened).unwrap() })
        }
    }

    fn context(value: &str) -> EncryptionContext {
        EncryptionContext::from_pairs([("model", value)]).unwrap()
    }

    fn key(text: &str) -> KeyRef {
        text.parse().unwrap()
    }

    fn sealed(keyring: &KmsKeyring<'_>) -> Vec<EncryptedDataKey> {
        keyring.generate(&context("a"), &mut SeededRandom::new(1)).unwrap().encrypted
    }

    #[test]
    fn the_generator_makes_the_data_key_and_each_other_key_encrypts_it() {
        let kms = Kms::default();
        let encrypted = sealed(&KmsKeyring::new(&kms, key("alias/a")).with(key(KEY_B)));
        assert_eq!(*kms.calls.lock().unwrap(), [format!("generate {KEY_A}"), format!("encrypt {KEY_B}")]);
        let names: Vec<String> = encrypted.iter().map(EncryptedDataKey::recipient).collect();
        assert_eq!(names, [KEY_A, KEY_B]);
        let opened = KmsKeyring::discovery(&kms).unwrap(&encrypted, &context("a")).unwrap();
        let data_key = SecretKey::from_slice(&[42; 32]).unwrap();
        assert!(opened.is(&data_key));
        let wrapped =
            KmsKeyring::new(&kms, key(KEY_B)).wrap(&data_key, &context("a"), &mut SeededRandom::new(1));
        assert_eq!(wrapped.unwrap(), encrypted[1..]);
    }

    #[test]
    fn another_context_is_refused_in_the_words_of_the_kms() {
        let kms = Kms::default();
        let encrypted = sealed(&KmsKeyring::new(&kms, key(KEY_A)));
        let error = KmsKeyring::discovery(&kms).unwrap(&encrypted, &context("b")).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Integrity);
    }

    #[test]
    fn a_second_key_opens_when_the_first_is_denied_and_without_one_the_denial_survives() {
        let encrypted = sealed(&KmsKeyring::new(&Kms::default(), key(KEY_A)).with(key(KEY_B)));
        let kms = Kms { refuses: Some((KEY_A, ErrorCode::AccessDenied)), ..Kms::default() };
        assert!(KmsKeyring::discovery(&kms).unwrap(&encrypted, &context("a")).is_ok());
        let limited = KmsKeyring::discovery(&kms).limited_to([key(KEY_A)]).unwrap();
        let error = limited.unwrap(&encrypted, &context("a")).unwrap_err();
        assert_eq!(error.class(), ErrorClass::AccessDenied);
        assert_eq!(error.kms_answer().unwrap().message(), format!("no {KEY_A} for you"));
        let error = KmsKeyring::new(&kms, key(KEY_A)).generate(&context("a"), &mut SeededRandom::new(1));
        assert_eq!(error.unwrap_err().class(), ErrorClass::AccessDenied);
        let kms = Kms { refuses: Some((KEY_A, ErrorCode::Disabled)), ..Kms::default() };
        let error = KmsKeyring::discovery(&kms).unwrap(&encrypted[..1], &context("a")).unwrap_err();
        assert_eq!(error.class(), ErrorClass::KeyUnusable);
    }

    #[test]
    fn an_answer_of_another_key_is_refused() {
        let encrypted = sealed(&KmsKeyring::new(&Kms::default(), key(KEY_A)));
        let kms = Kms { answers_for: Some(KEY_B), ..Kms::default() };
        let error = KmsKeyring::discovery(&kms).unwrap(&encrypted, &context("a")).unwrap_err();
        assert!(matches!(error, KeyringError::WrongKeyUsed { .. }), "{error}");
        let error = KmsKeyring::new(&kms, key(KEY_A)).generate(&context("a"), &mut SeededRandom::new(1));
        assert!(matches!(error, Err(KeyringError::WrongKeyUsed { .. })));
    }

    #[test]
    fn a_limited_keyring_does_not_even_ask_for_other_keys() {
        let kms = Kms::default();
        let encrypted = sealed(&KmsKeyring::new(&kms, key(KEY_A)));
        kms.calls.lock().unwrap().clear();
        let limited = KmsKeyring::discovery(&kms).limited_to([key(KEY_B)]).unwrap();
        let error = limited.unwrap(&encrypted, &context("a")).unwrap_err();
        assert!(matches!(error, KeyringError::NotARecipient { .. }));
        assert!(kms.calls.lock().unwrap().is_empty());
        let by_id = key(KEY_A.rsplit('/').next().unwrap());
        let limited = KmsKeyring::discovery(&kms).limited_to([by_id]).unwrap();
        assert!(limited.unwrap(&encrypted, &context("a")).is_ok());
        assert!(KmsKeyring::discovery(&kms).limited_to([key("alias/a")]).is_err());
    }

    #[test]
    fn data_keys_of_other_providers_and_of_no_key_arn_are_passed_over() {
        let kms = Kms::default();
        let mut other = sealed(&KmsKeyring::new(&kms, key(KEY_A)));
        other[0].provider = "lab".into();
        let mut alias = sealed(&KmsKeyring::new(&kms, key(KEY_A)));
        alias[0].provider_info = b"arn:aws:kms:us-east-1:111122223333:alias/a".to_vec();
        for encrypted in [other, alias] {
            let error = KmsKeyring::discovery(&kms).unwrap(&encrypted, &context("a")).unwrap_err();
            assert!(matches!(error, KeyringError::NotARecipient { .. }));
        }
        let error = KmsKeyring::discovery(&kms).generate(&context("a"), &mut SeededRandom::new(1));
        assert!(matches!(error, Err(KeyringError::NoSealingKey)));
    }
}
