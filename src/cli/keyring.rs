//! The keys that `encrypt` and `decrypt` are given: KMS keys, raw AES keys, or both.

use std::{path::PathBuf, str::FromStr};

use clap::Args;

use super::{error::CommandError, output};
use crate::{
    artifact::RawKeyFile,
    envelope::RawAesKeyring,
    model::{EncryptionContext, ParseError},
};

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
