//! `keystead encrypt`

use std::path::{Path, PathBuf};

use clap::Args;

use super::{
    error::CommandError,
    folder::{self, SelectionArgs},
    global::Global,
    keyring::{ContextArgs, RawKeys, no_key},
    lease::with_lease,
    output,
    progress::Meter,
    stream::{Protected, with_source, with_target},
};
use crate::{
    artifact::{
        self, Done,
        folder::{FolderError, RESERVED_CONTEXT_PREFIX},
    },
    crypto::random::SystemRandom,
    envelope::{FrameLength, Keyring, KmsKeyring, MultiKeyring, SealOptions, Sealed, SuiteId},
    model::{KeyRef, ParseError},
};

/// Encrypt a file or folder
///
/// Example: keystead encrypt model.safetensors --key alias/models --context project=tour
///
/// The result is an AWS Encryption SDK message, by default in FILE.sealed. Any of the given keys opens it. `-` is
/// standard input or output. Of a folder, each file becomes a message in a folder of the same shape, with a manifest
/// beside them.
#[derive(Debug, Args)]
pub(super) struct Encrypt {
    /// The file or folder, or `-`
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// A KMS key: id, ARN, alias name or alias ARN; repeatable
    #[arg(long = "key", alias = "key-id", value_name = "KEY")]
    keys: Vec<KeyRef>,
    #[command(flatten)]
    context: ContextArgs,
    #[command(flatten)]
    raw: RawKeys,
    /// Where to write [default: PATH.sealed]
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
    /// Replace the output if it exists
    #[arg(long)]
    force: bool,
    /// How many bytes each frame holds
    #[arg(long, value_name = "BYTES", default_value = "1048576", value_parser = frame_length)]
    frame_length: FrameLength,
    #[command(flatten)]
    selection: SelectionArgs,
    /// The algorithm suite, by number or name: 0x0478, or 0x0578, which is signed
    #[arg(long, value_name = "SUITE", default_value = "0x0478")]
    suite: SuiteId,
    /// Sign the message: who can only decrypt it cannot pass off another as it. Short for `--suite 0x0578`; slower, and no
    /// part of it can be read by itself
    #[arg(long, conflicts_with = "suite")]
    sign: bool,
}

pub(super) fn frame_length(text: &str) -> Result<FrameLength, ParseError> {
    FrameLength::new(text.parse().map_err(|_| ParseError::new(format!("`{text}` is not a number of bytes")))?)
}

impl Encrypt {
    pub(super) fn run(&self, global: &Global) -> Result<(), CommandError> {
        let options = SealOptions {
            context: self.context.context()?,
            frame_length: self.frame_length,
            suite: if self.sign { SuiteId::COMMIT_KEY_SIGNED } else { self.suite },
            ..SealOptions::default()
        };
        let (raw, protected) = (self.raw.keyrings()?, self.raw.protected());
        match self.keys.split_first() {
            None => {
                let mut raw = raw.into_iter();
                let first = raw.next().ok_or_else(|| no_key("--raw-"))?;
                self.seal(
                    global,
                    &protected,
                    &raw.fold(MultiKeyring::new(first), MultiKeyring::with),
                    &options,
                )
            }
            Some((first, others)) => with_lease(global, |kms| {
                let keyring =
                    others.iter().cloned().fold(KmsKeyring::new(kms, first.clone()), KmsKeyring::with);
                let keyring = raw.into_iter().fold(MultiKeyring::new(keyring), MultiKeyring::with);
                let protected = Protected { keystore: Some(kms.own_files()), ..protected };
                self.seal(global, &protected, &keyring, &options)
            }),
        }
    }

    fn seal(
        &self,
        global: &Global,
        protected: &Protected<'_>,
        keyring: &dyn Keyring,
        options: &SealOptions,
    ) -> Result<(), CommandError> {
        if self.path.is_dir() {
            let paths = (self.path.as_path(), self.output.as_deref());
            return folder::seal(global, paths, &self.selection, protected, keyring, options);
        }
        self.selection.expect_none()?;
        if let Some((key, _)) =
            options.context.iter().find(|(key, _)| key.starts_with(RESERVED_CONTEXT_PREFIX))
        {
            return Err(FolderError::ReservedContextKey { key: key.into() }.into());
        }
        let meter = Meter::new(global);
        let progress = &mut |progress| meter.update(&self.path, progress);
        let sealed = with_source(&self.path, |source| {
            with_target(&self.path, self.output.as_deref(), protected, artifact::sealed_name, |target| {
                Ok(artifact::seal(source, target, self.force, keyring, options, &mut SystemRandom, progress)?)
            })
        })?;
        drop(meter);
        tell(global, sealed.path.as_deref(), &sealed)
    }
}

fn tell(global: &Global, path: Option<&Path>, sealed: &Done<Sealed>) -> Result<(), CommandError> {
    let message = &sealed.message;
    let recipients = message.header.encrypted_data_keys.len();
    // Standard output may hold the message itself.
    let Some(path) = path else { return Ok(()) };
    if global.json {
        return output::json(&serde_json::json!({
            "Path": path.to_string_lossy(),
            "MessageId": message.header.message_id,
            "Recipients": recipients,
            "PlaintextBytes": message.plaintext_bytes,
            "MessageBytes": message.message_bytes,
            "Frames": message.frames,
        }));
    }
    output::line(&path.display().to_string())?;
    let keys = if recipients == 1 { "1 key".into() } else { format!("{recipients} keys") };
    output::say(&format!("sealed {} for {keys}", output::bytes(message.plaintext_bytes)));
    Ok(())
}
