//! `keystead decrypt`

use std::path::PathBuf;

use clap::Args;

use super::{
    error::CommandError,
    folder::{self, SelectionArgs, message_id},
    global::Global,
    keyring::OpeningKeys,
    output,
    progress::Meter,
    stream::{Protected, with_source, with_target},
};
use crate::{
    artifact::{self, Done},
    envelope::{Keyring, MessageId, OpenOptions, Opened},
};

/// Decrypt a file or folder
///
/// Example: keystead decrypt model.safetensors.sealed --as user/alice
///
/// By default x.sealed becomes x. Nothing appears under that name before the last frame is verified. Contexts that are
/// given must be in the message. `-` is standard input or output. A folder must be what its manifest says, and comes back
/// with modes and times.
#[derive(Debug, Args)]
pub(super) struct Decrypt {
    /// The file or folder, or `-`
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
    #[command(flatten)]
    selection: SelectionArgs,
    /// The message id that a folder's manifest must have: then the folder as a whole is not rolled back either
    #[arg(long, value_name = "ID", value_parser = message_id)]
    manifest_id: Option<MessageId>,
}

impl Decrypt {
    pub(super) fn run(&self, global: &Global) -> Result<(), CommandError> {
        let options = self.keys.options()?;
        self.keys.with(global, |protected, keyring| self.open(global, protected, keyring, &options))
    }

    fn open(
        &self,
        global: &Global,
        protected: &Protected<'_>,
        keyring: &dyn Keyring,
        options: &OpenOptions,
    ) -> Result<(), CommandError> {
        if self.path.is_dir() {
            let paths = (self.path.as_path(), self.output.as_deref());
            return folder::open(
                global,
                paths,
                &self.selection,
                self.manifest_id,
                protected,
                keyring,
                options,
            );
        }
        self.selection.expect_none()?;
        if self.manifest_id.is_some() {
            return Err(CommandError::usage("`--manifest-id` is for folders, and this is none"));
        }
        let meter = Meter::new(global);
        let progress = &mut |progress| meter.update(&self.path, progress);
        let opened = with_source(&self.path, |source| {
            with_target(&self.path, self.output.as_deref(), protected, artifact::opened_name, |target| {
                Ok(artifact::open(source, target, self.force, keyring, options, progress)?)
            })
        })?;
        drop(meter);
        tell(global, &opened)
    }
}

fn tell(global: &Global, opened: &Done<Opened>) -> Result<(), CommandError> {
    let Some(path) = &opened.path else { return Ok(()) };
    let message = &opened.message;
    if global.json {
        return output::json(&serde_json::json!({
            "Path": path.to_string_lossy(),
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
