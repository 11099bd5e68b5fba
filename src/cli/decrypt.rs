//! `keystead decrypt`

use std::path::PathBuf;

use clap::Args;

use super::{
    error::CommandError,
    global::Global,
    keyring::OpeningKeys,
    output,
    progress::Meter,
    stream::{with_source, with_target},
};
use crate::{
    artifact::{self, Done},
    envelope::{Keyring, OpenOptions, Opened},
    keystore::Keystore,
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
    #[command(flatten)]
    keys: OpeningKeys,
    /// Where to write [default: PATH without .sealed]
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
    /// Replace the output if it exists
    #[arg(long)]
    force: bool,
}

impl Decrypt {
    pub(super) fn run(&self, global: &Global) -> Result<(), CommandError> {
        let options =
            OpenOptions { required_context: self.keys.required_context()?, ..OpenOptions::default() };
        let opened = self.keys.with(global, |keystore, keyring| self.open(keystore, keyring, &options))?;
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
