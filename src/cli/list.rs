//! `keystead list`

use std::path::PathBuf;

use clap::Args;

use super::{
    error::CommandError,
    folder::{SelectionArgs, files, message_id},
    global::Global,
    keyring::OpeningKeys,
    output,
};
use crate::{
    artifact::folder::{FileEntry, FolderReader, Modified},
    envelope::MessageId,
    model::Timestamp,
};

/// List what an encrypted folder holds
///
/// Example: keystead list models.sealed/
///
/// Opens the folder's manifest, and no other message; `keystead verify` tells whether the files are as it says.
#[derive(Debug, Args)]
pub(super) struct List {
    /// The folder
    #[arg(value_name = "PATH")]
    path: PathBuf,
    #[command(flatten)]
    keys: OpeningKeys,
    #[command(flatten)]
    selection: SelectionArgs,
    /// The message id that the folder's manifest must have
    #[arg(long, value_name = "ID", value_parser = message_id)]
    manifest_id: Option<MessageId>,
}

impl List {
    pub(super) fn run(&self, global: &Global) -> Result<(), CommandError> {
        let selection = self.selection.selection()?;
        let options = self.keys.options()?;
        let folder = self.keys.with(global, |_, keyring| {
            Ok(FolderReader::open(&self.path, keyring, &options, self.manifest_id)?)
        })?;
        let manifest = folder.manifest();
        let taken: Vec<&FileEntry> =
            manifest.files().iter().filter(|file| selection.takes(&file.path)).collect();
        if global.json {
            return output::json(&serde_json::json!({
                "Path": self.path.to_string_lossy(),
                "ManifestId": folder.manifest_id(),
                "EncryptionContext": folder.context(),
                "Directories": manifest.directories(),
                "Files": taken,
            }));
        }
        let row = |file: &&FileEntry| {
            let mode = String::from(file.mode);
            vec![mode, file.size.to_string(), readable(file.modified), file.path.to_string()]
        };
        output::table(&["MODE", "BYTES", "MODIFIED", "PATH"], taken.iter().map(row))?;
        let bytes = taken.iter().fold(0, |sum: u64, file| sum.saturating_add(file.size));
        output::say(&format!("{}, {}", files(taken.len()), output::bytes(bytes)));
        Ok(())
    }
}

fn readable(time: Modified) -> String {
    Timestamp::from_millis(time.seconds().saturating_mul(1000)).to_rfc3339()
}
