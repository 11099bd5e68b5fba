//! `keystead verify`

use std::{io, path::PathBuf};

use clap::Args;

use super::{
    error::CommandError,
    exit::Exit,
    folder::{files, message_id},
    global::Global,
    keyring::OpeningKeys,
    output,
    progress::Meter,
    stream::with_source,
};
use crate::{
    artifact::{self, Target, folder::FolderReader},
    envelope::{Keyring, MessageId, OpenOptions},
};

/// Check an encrypted file or folder
///
/// Example: keystead verify models.sealed/ --as user/alice
///
/// Opens everything and writes nothing. Of a folder, tells each file that is missing, added, swapped, rolled back or
/// damaged. Exit code 4 when there is any.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The folder or file; `-` for standard input
    #[arg(value_name = "PATH")]
    path: PathBuf,
    #[command(flatten)]
    keys: OpeningKeys,
    /// The message id that the folder's manifest must have: then the folder as a whole is not rolled back either
    #[arg(long, value_name = "ID", value_parser = message_id)]
    manifest_id: Option<MessageId>,
}

impl Verify {
    pub(super) fn run(&self, global: &Global) -> Result<(), CommandError> {
        let options = self.keys.options()?;
        self.keys.with(global, |_, keyring| match self.path.is_dir() {
            true => self.folder(global, keyring, &options),
            false => self.file(global, keyring, &options),
        })
    }

    fn file(
        &self,
        global: &Global,
        keyring: &dyn Keyring,
        options: &OpenOptions,
    ) -> Result<(), CommandError> {
        if self.manifest_id.is_some() {
            return Err(CommandError::usage("`--manifest-id` is for folders, and this is none"));
        }
        let meter = Meter::new(global);
        let progress = &mut |progress| meter.update(&self.path, progress);
        let opened = with_source(&self.path, |source| {
            artifact::open(source, Target::Stream(&mut io::sink()), false, keyring, options, progress)
        })?;
        drop(meter);
        let message = opened.message;
        if global.json {
            return output::json(&serde_json::json!({
                "Path": self.path.to_string_lossy(),
                "MessageId": message.header.message_id,
                "EncryptionContext": message.header.context,
                "PlaintextBytes": message.plaintext_bytes,
                "Frames": message.frames,
            }));
        }
        output::say(&format!("verified {}, every frame", output::bytes(message.plaintext_bytes)));
        Ok(())
    }

    fn folder(
        &self,
        global: &Global,
        keyring: &dyn Keyring,
        options: &OpenOptions,
    ) -> Result<(), CommandError> {
        let meter = Meter::of_folder(global)?;
        let folder = FolderReader::open(&self.path, keyring, options, self.manifest_id)?;
        let differences = folder.verify(keyring, options, &meter)?;
        drop(meter);
        let manifest = folder.manifest();
        if global.json {
            output::json(&serde_json::json!({
                "Path": self.path.to_string_lossy(),
                "ManifestId": folder.manifest_id(),
                "Files": manifest.files().len(),
                "PlaintextBytes": manifest.bytes(),
                "Differences": differences,
            }))?;
        } else {
            for difference in &differences {
                output::line(&difference.to_string())?;
            }
        }
        if !differences.is_empty() {
            let count = differences.len();
            let count = if count == 1 { "1 difference".into() } else { format!("{count} differences") };
            return Err(CommandError::new(
                Exit::Integrity,
                format!("the folder is not what was sealed: {count}"),
            ));
        }
        if !global.json {
            let (count, bytes) = (files(manifest.files().len()), output::bytes(manifest.bytes()));
            output::say(&format!("verified {count}, {bytes}: nothing is missing, added or changed"));
            output::say(&format!("manifest {}", folder.manifest_id()));
        }
        Ok(())
    }
}
