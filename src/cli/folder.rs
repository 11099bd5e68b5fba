//! What the commands say of folders, and the flags that choose among the files of one.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{
    error::{CommandError, RECIPIENTS_HINT},
    exit::Exit,
    global::Global,
    output,
    progress::Meter,
    stream::Protected,
};
use crate::{
    artifact::{
        self, ArtifactError,
        folder::{FolderError, FolderReader, OpenedFolder, SealedFolder, Selection, seal_folder},
    },
    crypto::random::SystemRandom,
    envelope::{Keyring, KeyringError, MessageId, OpenMessageError, OpenOptions, SealOptions},
    model::ParseError,
};

/// Which files of a folder.
#[derive(Debug, Args)]
pub(super) struct SelectionArgs {
    /// Of a folder, take only what this glob matches; repeatable
    #[arg(long, value_name = "GLOB")]
    include: Vec<String>,
    /// Of a folder, leave out what this glob matches; repeatable
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
}

impl SelectionArgs {
    pub(super) fn selection(&self) -> Result<Selection, CommandError> {
        Ok(Selection::new(&self.include, &self.exclude)?)
    }

    /// Refuses globs beside what is no folder.
    pub(super) fn expect_none(&self) -> Result<(), CommandError> {
        if self.include.is_empty() && self.exclude.is_empty() {
            return Ok(());
        }
        Err(CommandError::usage(
            "`--include` and `--exclude` choose among the files of a folder, and this is none",
        ))
    }
}

/// The message id of a manifest.
pub(super) fn message_id(text: &str) -> Result<MessageId, ParseError> {
    let mut id = [0; MessageId::BYTES];
    hex::decode_to_slice(text, &mut id)
        .map_err(|_| ParseError::new(format!("`{text}` is not a message id: 64 hexadecimal digits")))?;
    Ok(MessageId::from_bytes(id))
}

/// Where a folder goes: where the user says, else beside its source.
fn target(
    path: &Path,
    output: Option<&Path>,
    protected: &Protected<'_>,
    beside: impl FnOnce(&Path) -> Result<PathBuf, ArtifactError>,
) -> Result<PathBuf, CommandError> {
    let target = match output {
        Some(output) if output == Path::new("-") => {
            return Err(CommandError::usage("a folder does not go to standard output").hint("use `-o OUT`"));
        }
        Some(output) => output.to_path_buf(),
        None => beside(path)?,
    };
    protected.expect_not(&target)?;
    Ok(target)
}

/// Seals a folder.
pub(super) fn seal(
    global: &Global,
    (path, output): (&Path, Option<&Path>),
    selection: &SelectionArgs,
    protected: &Protected<'_>,
    keyring: &dyn Keyring,
    options: &SealOptions,
) -> Result<(), CommandError> {
    let target = target(path, output, protected, artifact::sealed_name)?;
    let meter = Meter::of_folder(global)?;
    let sealed =
        seal_folder(path, &target, &selection.selection()?, keyring, options, &mut SystemRandom, &meter)?;
    drop(meter);
    tell_sealed(global, &sealed, "sealed")
}

/// Says what was sealed.
pub(super) fn tell_sealed(global: &Global, sealed: &SealedFolder, done: &str) -> Result<(), CommandError> {
    let manifest = &sealed.manifest;
    if global.json {
        return output::json(&serde_json::json!({
            "Path": sealed.path.to_string_lossy(),
            "ManifestId": sealed.manifest_id,
            "Files": manifest.files().len(),
            "PlaintextBytes": manifest.bytes(),
            "TakenOver": sealed.taken_over,
        }));
    }
    output::line(&sealed.path.display().to_string())?;
    output::say(&format!("{done} {}, {}", files(manifest.files().len()), output::bytes(manifest.bytes())));
    tell_taken_over(sealed.taken_over);
    output::say(&format!("manifest {}", sealed.manifest_id));
    Ok(())
}

/// Opens a folder.
pub(super) fn open(
    global: &Global,
    (path, output): (&Path, Option<&Path>),
    selection: &SelectionArgs,
    manifest_id: Option<MessageId>,
    protected: &Protected<'_>,
    keyring: &dyn Keyring,
    options: &OpenOptions,
) -> Result<(), CommandError> {
    let target = target(path, output, protected, artifact::opened_name)?;
    let meter = Meter::of_folder(global)?;
    let folder = FolderReader::open(path, keyring, options, manifest_id)?;
    let selection = selection.selection()?;
    let opened = folder.open_into(&target, &selection, keyring, options, &mut SystemRandom, &meter)?;
    drop(meter);
    tell_opened(global, &opened, &folder)
}

fn tell_opened(global: &Global, opened: &OpenedFolder, folder: &FolderReader) -> Result<(), CommandError> {
    if global.json {
        return output::json(&serde_json::json!({
            "Path": opened.path.to_string_lossy(),
            "ManifestId": folder.manifest_id(),
            "EncryptionContext": folder.context(),
            "Files": opened.files,
            "PlaintextBytes": opened.bytes,
            "TakenOver": opened.taken_over,
        }));
    }
    output::line(&opened.path.display().to_string())?;
    output::say(&format!(
        "opened {}, {}, every frame verified",
        files(opened.files),
        output::bytes(opened.bytes)
    ));
    tell_taken_over(opened.taken_over);
    Ok(())
}

fn tell_taken_over(count: usize) {
    if count > 0 {
        let were = if count == 1 { "1 was" } else { &format!("{count} were") };
        output::say(&format!("{were} there already, and compared"));
    }
}

/// A number of files in words.
pub(super) fn files(count: usize) -> String {
    if count == 1 { "1 file".into() } else { format!("{count} files") }
}

impl From<FolderError> for CommandError {
    fn from(error: FolderError) -> Self {
        if let Some(answer) = error.kms_answer() {
            return answer.into();
        }
        let command_error = Self::new(Exit::from(error.class()), &error);
        match &error {
            FolderError::Exists { .. } => {
                command_error.hint("a folder is never replaced: name another with `-o OUT`")
            }
            FolderError::NoName { .. } => command_error.hint("name it from outside: `../NAME`"),
            FolderError::NothingMatches { .. } => {
                command_error.hint("a glob without `/` is of names, one with `/` of paths from the top")
            }
            FolderError::Special { .. } | FolderError::Name { .. } => {
                command_error.hint("leave it out with `--exclude GLOB`, or put a copy in its place")
            }
            FolderError::Stopped { .. } => command_error.hint("the same command goes on from there"),
            FolderError::Strange { path } => command_error.hint(format!(
                "move `{}` away, or remove the unfinished folder to begin anew",
                path.display()
            )),
            FolderError::Kept { .. } => command_error.hint(
                "see which of the two verifies, take out of the other what is to be kept, and remove it",
            ),
            FolderError::Foreign { .. } => command_error.hint(
                "have it removed, or give another output: its owner could read and change what is made there",
            ),
            FolderError::NoManifest { .. } => {
                command_error.hint("a folder that `keystead encrypt` did not finish has none: run that again")
            }
            FolderError::Differs(_) => command_error.hint(
                "see all differences with `keystead verify PATH`; get the files again from where they came",
            ),
            FolderError::Changed { .. } => command_error
                .hint("run it again once nothing writes there: what did not change is taken over"),
            FolderError::File { source, .. } => match source.as_ref() {
                ArtifactError::Open(OpenMessageError::ContextDiffers { .. }) => {
                    command_error.hint("see which context the message has with `keystead inspect FILE`")
                }
                ArtifactError::Open(OpenMessageError::Keyring(KeyringError::NotARecipient { .. })) => {
                    command_error.hint(RECIPIENTS_HINT)
                }
                _ => command_error,
            },
            _ => command_error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_id_is_64_digits() {
        assert_eq!(message_id(&"0f".repeat(32)).unwrap(), MessageId::from_bytes([0x0f; 32]));
        for bad in ["", "0f", &"0f".repeat(31), &"0g".repeat(32), &"0f".repeat(33)] {
            assert!(message_id(bad).is_err(), "{bad}");
        }
    }
}
