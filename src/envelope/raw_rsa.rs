//! A keyring of one RSA key that the user holds (AWS Encryption SDK specification, "Raw RSA keyring").
//!
//! The public half encrypts data keys, the private half decrypts them. Unlike a raw AES key it does not authenticate the
//! encryption context; the message's header does. Provider id is the namespace, provider info the name.
//!
//! PKCS #1 v1.5 is there to open what older clients wrote. Who answers strangers' messages with it tells them whether a
//! padding was right, which is all that Bleichenbacher's attack needs: choose OAEP for anything new.

use std::{fmt, str::FromStr};

use super::{
    DataKey, EncryptedDataKey, Keyring, KeyringError, NewDataKey,
    keyring::{check_raw_name, recipients},
};
use crate::crypto::rsa::{RsaKey, RsaPadding};
use crate::{
    crypto::random::Random,
    model::{EncryptionContext, ParseError},
    secret::SecretKey,
};

/// Each padding by this program's name and by that of the AWS Encryption SDK's command line.
const PADDINGS: [(RsaPadding, &str, &str); 5] = [
    (RsaPadding::OaepSha1, "oaep-sha1", "RSA_OAEP_SHA1_MGF1"),
    (RsaPadding::OaepSha256, "oaep-sha256", "RSA_OAEP_SHA256_MGF1"),
    (RsaPadding::OaepSha384, "oaep-sha384", "RSA_OAEP_SHA384_MGF1"),
    (RsaPadding::OaepSha512, "oaep-sha512", "RSA_OAEP_SHA512_MGF1"),
    (RsaPadding::Pkcs1, "pkcs1", "RSA_PKCS1"),
];

impl FromStr for RsaPadding {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        PADDINGS.iter().find(|(_, name, aws)| [*name, *aws].contains(&text)).map(|(padding, ..)| *padding).ok_or_else(
            || {
                ParseError::new(format!(
                    "`{text}` is no padding: there are oaep-sha1, oaep-sha256, oaep-sha384, oaep-sha512 and pkcs1"
                ))
            },
        )
    }
}

impl fmt::Display for RsaPadding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = PADDINGS.iter().find(|(padding, ..)| padding == self).map_or("", |(_, name, _)| name);
        formatter.write_str(name)
    }
}

/// Wraps data keys with one RSA key. Namespace and name stand in the message in clear, and say which key it is.
pub struct RawRsaKeyring {
    namespace: String,
    name: String,
    padding: RsaPadding,
    key: RsaKey,
}

impl RawRsaKeyring {
    /// The keyring of this key; with its public half alone it seals only.
    ///
    /// # Errors
    ///
    /// When namespace or name is empty or longer than 1,024 bytes, or the namespace begins with `aws-kms`.
    pub fn new(
        namespace: impl Into<String>,
        name: impl Into<String>,
        padding: RsaPadding,
        key: RsaKey,
    ) -> Result<Self, ParseError> {
        let (namespace, name) = (namespace.into(), name.into());
        check_raw_name(&namespace, &name)?;
        Ok(Self { namespace, name, padding, key })
    }

    fn full_name(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

impl Keyring for RawRsaKeyring {
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
        _context: &EncryptionContext,
        _random: &mut dyn Random,
    ) -> Result<Vec<EncryptedDataKey>, KeyringError> {
        let ciphertext = self
            .key
            .encrypt(self.padding, data_key.expose_secret())
            .ok_or_else(|| KeyringError::RawKeyDoesNotSeal { name: self.full_name() })?;
        let provider_info = self.name.clone().into_bytes();
        Ok(vec![EncryptedDataKey { provider: self.namespace.clone(), provider_info, ciphertext }])
    }

    fn unwrap(
        &self,
        encrypted: &[EncryptedDataKey],
        _context: &EncryptionContext,
    ) -> Result<DataKey, KeyringError> {
        let mut tried = Vec::new();
        let mine = |key: &&EncryptedDataKey| {
            key.provider == self.namespace && key.provider_info == self.name.as_bytes()
        };
        for key in encrypted.iter().filter(mine) {
            if !self.key.is_private() {
                return Err(KeyringError::RawKeyIsPublic { name: self.full_name() });
            }
            let opened = self.key.decrypt(self.padding, &key.ciphertext).ok().and_then(DataKey::new);
            match opened {
                Some(data_key) => return Ok(data_key),
                None => tried.push(KeyringError::RawKeyDoesNotOpen { name: self.full_name() }),
            }
        }
        Err(KeyringError::of_all_tried(tried, || recipients(encrypted)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{random::SeededRandom, rsa::tests::key_pair};

    fn keyring(name: &str, padding: RsaPadding, key: RsaKey) -> RawRsaKeyring {
        RawRsaKeyring::new("lab", name, padding, key).unwrap()
    }

    #[test]
    fn paddings_have_two_names_each() {
        for (padding, name, aws) in PADDINGS {
            assert_eq!((name.parse(), aws.parse()), (Ok(padding), Ok(padding)));
            assert_eq!(padding.to_string(), name);
        }
        assert!("oaep".parse::<RsaPadding>().is_err());
    }

    #[test]
    fn the_private_half_of_the_same_key_name_and_padding_opens_and_nothing_else() {
        let context = EncryptionContext::new();
        let (public, private) = key_pair();
        let sealing = keyring("key", RsaPadding::OaepSha256, public);
        let new = sealing.generate(&context, &mut SeededRandom::new(1)).unwrap();
        let [key] = new.encrypted.as_slice() else { panic!("one recipient") };
        assert_eq!((key.provider.as_str(), key.provider_info.as_slice()), ("lab", b"key".as_slice()));
        let open = |keyring: &RawRsaKeyring| keyring.unwrap(&new.encrypted, &context);
        assert!(matches!(open(&sealing), Err(KeyringError::RawKeyIsPublic { .. })));

        let mut opening = keyring("key", RsaPadding::OaepSha256, private);
        assert!(open(&opening).unwrap().is(&new.data_key));
        opening.padding = RsaPadding::OaepSha1;
        assert!(matches!(open(&opening), Err(KeyringError::RawKeyDoesNotOpen { .. })));
        (opening.padding, opening.name) = (RsaPadding::OaepSha256, "other".into());
        assert!(matches!(open(&opening), Err(KeyringError::NotARecipient { .. })));
        let stranger = keyring("key", RsaPadding::OaepSha256, key_pair().1);
        assert!(matches!(open(&stranger), Err(KeyringError::RawKeyDoesNotOpen { .. })));
        assert!(RawRsaKeyring::new("aws-kms", "x", RsaPadding::Pkcs1, key_pair().0).is_err());
    }
}
