//! `keystead decrypt`

use std::path::PathBuf;

use clap::Args;

use super::{
    error::CommandError,
    global::Global,
    keyring::{ContextArgs, RawAes},
    output,
    progress::Meter,
    stream::{with_source, with_target},
};
use crate::{
    artifact::{self, Done},
    envelope::{Keyring, KmsKeyring, MultiKeyring, OpenOptions, Opened},
    keystore::Keystore,
    model::KeyRef,
};

/// Decrypt a file
///
/// Example: keystead decrypt model.safetensors.sealed --as user/alice
///
/// By default x.sealed becomes x. Nothing appears under that name before the last frame is verified. Contexts that are
/// given must be in the message. `-` is standard input or output.
#[derive(Debug, Args)]
pub(super) struct Decrypt {
    /// The file, or `-`
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// Use this KMS key alone, whichever others the message names: id or ARN; repeatable
    #[arg(long = "key", alias = "key-id", value_name = "KEY")]
    keys: Vec<KeyRef>,
    #[command(flatten)]
    context: ContextArgs,
    /// A raw AES-256 key; repeatable. Without `--key` no KMS is asked
    #[arg(long, value_name = "NAMESPACE,NAME,KEYFILE")]
    raw_aes: Vec<RawAes>,
    /// Where to write [default: PATH without .sealed]
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
    /// Replace the output if it exists
    #[arg(long)]
    force: bool,
}

impl Decrypt {
    pub(super) fn run(&self, global: &Global) -> Result<(), CommandError> {
        let options = OpenOptions { required_context: self.context.context()?, ..OpenOptions::default() };
        let raw = self.raw_aes.iter().map(RawAes::keyring).collect::<Result<Vec<_>, _>>()?;
        let mut raw = raw.into_iter();
        let opened = if self.keys.is_empty()
            && let Some(first) = raw.next()
        {
            self.open(None, &raw.fold(MultiKeyring::new(first), MultiKeyring::with), &options)?
        } else {
            let (keystore, caller) = global.session()?;
            let kms = keystore.kms().data_keys(caller);
            let mut keyring = KmsKeyring::discovery(&kms);
            if !self.keys.is_empty() {
                keyring = keyring.limited_to(self.keys.iter().cloned())?;
            }
            self.open(Some(&keystore), &raw.fold(MultiKeyring::new(keyring), MultiKeyring::with), &options)?
        };
        tell(global, &opened)
    }

    fn open(
        &self,
        keystore: Option<&Keystore>,
        keyring: &dyn Keyring,
        options: &OpenOptions,
    ) -> Result<Done<Opened>, CommandError> {
        let mut meter = Meter::new();
        let progress = &mut |progress| meter.update(progress);
        with_source(&self.path, |source| {
            with_target(&self.path, self.output.as_deref(), keystore, artifact::opened_name, |target| {
                Ok(artifact::open(source, target, self.force, keyring, options, progress)?)
            })
        })
    }
}

fn tell(global: &Global, opened: &Done<Opened>) -> Result<(), CommandError> {
    let Some(path) = &opened.path else { return Ok(()) };
    let message = &opened.message;
    if global.json {
        return output::json(&serde_json::json!({
            "Path": path,
            "MessageId": message.header.message_id,
            "EncryptionContext": message.header.context,
            "PlaintextBytes": message.plaintext_bytes,
            "Frames": message.frames,
        }));
    }
    output::line(&path.display().to_string())?;
    output::say(&format!("opened {}, every frame verified", output::bytes(message.plaintext_bytes)));
    Ok(())
}
