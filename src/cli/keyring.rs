//! The keys that `encrypt` and `decrypt` are given: KMS keys, raw AES and RSA keys, or several of them.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

use clap::Args;

use super::{error::CommandError, exit::Exit, global::Global, lease::with_lease, output, stream::Protected};
use crate::{
    artifact::{RawKeyFile, RsaKeyFile},
    crypto::rsa::RsaPadding,
    envelope::{
        CommitmentPolicy, Keyring, KmsKeyring, MultiKeyring, OpenOptions, RawAesKeyring, RawRsaKeyring,
    },
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
    /// Raw keys; without `--key` no KMS is asked.
    #[command(flatten)]
    raw: RawKeys,
    /// Which messages to open: require-encrypt-allow-decrypt opens those of old suites too, which do not commit to
    /// their key
    #[arg(long, value_name = "POLICY", default_value = "require-encrypt-require-decrypt")]
    commitment_policy: CommitmentPolicy,
}

impl OpeningKeys {
    /// What a message must be and have.
    pub(super) fn options(&self) -> Result<OpenOptions, CommandError> {
        Ok(OpenOptions {
            required_context: self.context.context()?,
            commitment_policy: self.commitment_policy,
        })
    }

    /// Does some work with a keyring of these keys, and with what it must not write over.
    pub(super) fn with<T>(
        &self,
        global: &Global,
        work: impl FnOnce(&Protected<'_>, &dyn Keyring) -> Result<T, CommandError>,
    ) -> Result<T, CommandError> {
        let (mut raw, protected) = (self.raw.keyrings()?.into_iter(), self.raw.protected());
        if self.keys.is_empty()
            && let Some(first) = raw.next()
        {
            return work(&protected, &raw.fold(MultiKeyring::new(first), MultiKeyring::with));
        }
        if self.keys.is_empty() && !global.directory()?.exists() {
            // Perhaps it was not sealed for a KMS at all.
            let why = CommandError::new(
                Exit::Failed,
                "no raw key was given, and there is no keystore for the others",
            );
            return Err(why
                .hint("see whom it is sealed for with `keystead inspect FILE`")
                .hint("for raw keys: `--raw-aes NAMESPACE,NAME,KEYFILE`, `--raw-rsa NAMESPACE,NAME,PADDING,PEMFILE`")
                .hint("name the keystore with `--keystore DIR`, or make one with `keystead init`"));
        }
        with_lease(global, |kms| {
            let mut keyring = KmsKeyring::discovery(kms);
            if !self.keys.is_empty() {
                keyring = keyring.limited_to(self.keys.iter().cloned())?;
            }
            let protected = Protected { keystore: Some(kms.own_files()), ..protected };
            work(&protected, &raw.fold(MultiKeyring::new(keyring), MultiKeyring::with))
        })
    }
}

/// Keys that the user holds.
#[derive(Debug, Args)]
pub(super) struct RawKeys {
    /// A raw AES key, for work without any KMS; repeatable
    #[arg(long, value_name = "NAMESPACE,NAME,KEYFILE")]
    raw_aes: Vec<RawAes>,
    /// A raw RSA key; PADDING is oaep-sha1, oaep-sha256, oaep-sha384, oaep-sha512 or pkcs1; repeatable
    #[arg(long, value_name = "NAMESPACE,NAME,PADDING,PEMFILE")]
    raw_rsa: Vec<RawRsa>,
}

impl RawKeys {
    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.raw_aes.is_empty() && self.raw_rsa.is_empty()
    }

    /// Their files, which nothing must be written over.
    pub(super) fn protected(&self) -> Protected<'_> {
        let aes = self.raw_aes.iter().map(|key| key.key_file.as_path());
        let rsa = self.raw_rsa.iter().map(|key| key.key_file.as_path());
        Protected { keystore: None, key_files: aes.chain(rsa).collect() }
    }

    /// Their keyrings.
    pub(super) fn keyrings(&self) -> Result<Vec<Box<dyn Keyring>>, CommandError> {
        keyrings(&self.raw_aes, &self.raw_rsa)
    }
}

/// The keyrings of raw keys.
pub(super) fn keyrings(aes: &[RawAes], rsa: &[RawRsa]) -> Result<Vec<Box<dyn Keyring>>, CommandError> {
    let mut keyrings: Vec<Box<dyn Keyring>> = Vec::new();
    for key in aes {
        keyrings.push(Box::new(key.keyring()?));
    }
    for key in rsa {
        keyrings.push(Box::new(key.keyring()?));
    }
    Ok(keyrings)
}

/// Nothing was named to seal with; `raw` is what the flags of raw keys begin with.
pub(super) fn no_key(raw: &str) -> CommandError {
    CommandError::usage("no key was given").hint("name a KMS key with `--key KEY`").hint(format!(
        "or a key of your own with `{raw}aes NAMESPACE,NAME,KEYFILE` or `{raw}rsa NAMESPACE,NAME,PADDING,PEMFILE`"
    ))
}

/// A raw RSA key: `NAMESPACE,NAME,PADDING,PEMFILE`.
#[derive(Debug, Clone)]
pub(super) struct RawRsa {
    namespace: String,
    name: String,
    padding: RsaPadding,
    key_file: PathBuf,
}

impl FromStr for RawRsa {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut parts = text.splitn(4, ',').filter(|part| !part.is_empty());
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(namespace), Some(name), Some(padding), Some(file)) => Ok(Self {
                namespace: namespace.into(),
                name: name.into(),
                padding: padding.parse()?,
                key_file: file.into(),
            }),
            _ => Err(ParseError::new("write it as NAMESPACE,NAME,PADDING,PEMFILE")),
        }
    }
}

impl RawRsa {
    /// Reads the key file.
    fn keyring(&self) -> Result<RawRsaKeyring, CommandError> {
        let file = RsaKeyFile::read(&self.key_file)?;
        warn_of_readers(&self.key_file, file.readable_by_others);
        Ok(RawRsaKeyring::new(self.namespace.as_str(), self.name.as_str(), self.padding, file.key)?)
    }
}

fn warn_of_readers(key_file: &Path, mode: Option<u32>) {
    if let Some(mode) = mode {
        let name = key_file.display();
        output::say(&format!(
            "warning: others can read the key file `{name}` (mode {mode:04o}); `chmod 600` it"
        ));
    }
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
    fn keyring(&self) -> Result<RawAesKeyring, CommandError> {
        let file = RawKeyFile::read(&self.key_file)?;
        warn_of_readers(&self.key_file, file.readable_by_others);
        Ok(RawAesKeyring::of_any_length(self.namespace.as_str(), self.name.as_str(), file.key)?)
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
        let raw: RawRsa = "lab,key 1,oaep-sha256,dir,with,commas/k".parse().unwrap();
        assert_eq!((raw.namespace.as_str(), raw.padding), ("lab", RsaPadding::OaepSha256));
        assert_eq!(raw.key_file, PathBuf::from("dir,with,commas/k"));
        for bad in ["", "a,b,pkcs1", "a,b,none,file", "a,,pkcs1,file", "a,b,pkcs1,"] {
            assert!(bad.parse::<RawRsa>().is_err(), "{bad}");
        }
    }
}
