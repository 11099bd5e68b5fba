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
    artifact::folder::{DirectoryEntry, FileEntry, FileMode, FolderReader, Modified},
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
        selection.expect_matches(taken.iter().map(|file| &file.path))?;
        if global.json {
            return output::json(&serde_json::json!({
                "Path": self.path.to_string_lossy(),
                "ManifestId": folder.manifest_id(),
                "EncryptionContext": folder.context(),
                "Directories": manifest.directories(),
                "Files": taken,
            }));
        }
        let row = |mode: FileMode, bytes: String, modified: Modified, path: String| {
            vec![String::from(mode), bytes, readable(modified), path]
        };
        let files_of = taken
            .iter()
            .map(|file| row(file.mode, file.size.to_string(), file.modified, file.path.to_string()));
        // Directories are listed as such where nothing is chosen among the files.
        let directories: &[DirectoryEntry] =
            if selection.is_everything() { manifest.directories() } else { &[] };
        let mut rows: Vec<_> = directories
            .iter()
            .map(|one| row(one.mode, String::new(), one.modified, format!("{}/", one.path)))
            .chain(files_of)
            .collect();
        rows.sort_by(|one, other| one.last().cmp(&other.last()));
        output::table(&["MODE", "BYTES", "MODIFIED", "PATH"], rows)?;
        let bytes = taken.iter().fold(0, |sum: u64, file| sum.saturating_add(file.size));
        output::say(&format!("{}, {}", files(taken.len()), output::bytes(bytes)));
        Ok(())
    }
}

fn readable(time: Modified) -> String {
    Timestamp::from_millis(time.seconds().saturating_mul(1000)).to_rfc3339()
}
