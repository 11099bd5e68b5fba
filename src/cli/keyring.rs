//! The keys that `encrypt` and `decrypt` are given: KMS keys, raw AES keys, or both.

use std::{path::PathBuf, str::FromStr};

use clap::Args;

use super::{error::CommandError, global::Global, output};
use crate::{
    artifact::RawKeyFile,
    envelope::{Keyring, KmsKeyring, MultiKeyring, RawAesKeyring},
    keystore::Keystore,
    model::{EncryptionContext, KeyRef, ParseError},
};

/// The keys that open messages.
#[derive(Debug, Args)]
pub(super) struct OpeningKeys {
    /// Use this KMS key alone, whichever others the message names: id or ARN; repeatable
    #[arg(long = "key", alias = "key-id", value_name = "KEY")]
    keys: Vec<KeyRef>,
    #[command(flatten)]
    context: ContextArgs,
    /// A raw AES-256 key; repeatable. Without `--key` no KMS is asked
    #[arg(long, value_name = "NAMESPACE,NAME,KEYFILE")]
    raw_aes: Vec<RawAes>,
}

impl OpeningKeys {
    /// The pairs that a message must have.
    pub(super) fn required_context(&self) -> Result<EncryptionContext, CommandError> {
        self.context.context()
    }

    /// Does some work with a keyring of these keys, and with the keystore when it is needed.
    pub(super) fn with<T>(
        &self,
        global: &Global,
        work: impl FnOnce(Option<&Keystore>, &dyn Keyring) -> Result<T, CommandError>,
    ) -> Result<T, CommandError> {
        let mut raw = keyrings(&self.raw_aes)?.into_iter();
        if self.keys.is_empty()
            && let Some(first) = raw.next()
        {
            return work(None, &raw.fold(MultiKeyring::new(first), MultiKeyring::with));
        }
        let (keystore, caller) = global.session()?;
        let kms = keystore.kms().data_keys(caller);
        let mut keyring = KmsKeyring::discovery(&kms);
        if !self.keys.is_empty() {
            keyring = keyring.limited_to(self.keys.iter().cloned())?;
        }
        work(Some(&keystore), &raw.fold(MultiKeyring::new(keyring), MultiKeyring::with))
    }
}

/// The keyrings of these raw keys.
pub(super) fn keyrings(raw: &[RawAes]) -> Result<Vec<RawAesKeyring>, CommandError> {
    raw.iter().map(RawAes::keyring).collect()
}

/// A raw AES key: `NAMESPACE,NAME,KEYFILE`.
#[derive(Debug, Clone)]
pub(super) struct RawAes {
    namespace: String,
    name: String,
    key_file: PathBuf,
}

impl FromStr for RawAes {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut parts = text.splitn(3, ',');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(namespace), Some(name), Some(file))
                if !namespace.is_empty() && !name.is_empty() && !file.is_empty() =>
            {
                Ok(Self { namespace: namespace.into(), name: name.into(), key_file: file.into() })
            }
            _ => Err(ParseError::new("write it as NAMESPACE,NAME,KEYFILE")),
        }
    }
}

impl RawAes {
    /// Reads the key file.
    pub(super) fn keyring(&self) -> Result<RawAesKeyring, CommandError> {
        let file = RawKeyFile::read(&self.key_file)?;
        if let Some(mode) = file.readable_by_others {
            output::say(&format!(
                "warning: others can read the key file `{}` (mode {mode:04o}); `chmod 600` it",
                self.key_file.display()
            ));
        }
        Ok(RawAesKeyring::new(self.namespace.as_str(), self.name.as_str(), file.key)?)
    }
}

/// The encryption context on the command line.
#[derive(Debug, Args)]
pub(super) struct ContextArgs {
    /// A pair of the encryption context; repeatable
    #[arg(long = "context", alias = "encryption-context", value_name = "KEY=VALUE", value_parser = pair)]
    pairs: Vec<(String, String)>,
}

impl ContextArgs {
    pub(super) fn context(&self) -> Result<EncryptionContext, CommandError> {
        Ok(EncryptionContext::from_pairs(self.pairs.iter().cloned())?)
    }
}

/// A pair written as `KEY=VALUE`.
pub(super) fn pair(text: &str) -> Result<(String, String), ParseError> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.into(), value.into())),
        _ => Err(ParseError::new(format!("`{text}` is not a pair: write it as KEY=VALUE"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_and_raw_keys_are_taken_apart_at_their_first_marks() {
        assert_eq!(pair("a=b=c").unwrap(), ("a".into(), "b=c".into()));
        assert_eq!(pair("a=").unwrap(), ("a".into(), String::new()));
        assert!(pair("=b").is_err() && pair("a").is_err() && pair("").is_err());
        let raw: RawAes = "lab,key 1,dir,with,commas/k".parse().unwrap();
        assert_eq!((raw.namespace.as_str(), raw.name.as_str()), ("lab", "key 1"));
        assert_eq!(raw.key_file, PathBuf::from("dir,with,commas/k"));
        for bad in ["", "a", "a,b", ",b,c", "a,,c", "a,b,"] {
            assert!(bad.parse::<RawAes>().is_err(), "{bad}");
        }
    }
}
