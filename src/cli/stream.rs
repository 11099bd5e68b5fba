//! `-` on the command line: standard input and standard output in the place of files.

use std::{
    io::{self, IsTerminal},
    path::{Path, PathBuf},
};

use super::error::CommandError;
use crate::{
    artifact::{ArtifactError, Source, Target},
    keystore::Keystore,
};

const STREAM: &str = "-";

/// Does some work on what `path` names.
pub(super) fn with_source<T>(path: &Path, work: impl FnOnce(Source<'_>) -> T) -> T {
    if path == Path::new(STREAM) {
        work(Source::Stream(&mut io::stdin().lock()))
    } else {
        work(Source::File(path))
    }
}

/// Does some work that writes to what `output` names; without one, beside the input under the name that `beside` makes, or to standard output when the
/// input is a stream. The files of an open keystore are not written over.
pub(super) fn with_target<T>(
    input: &Path,
    output: Option<&Path>,
    keystore: Option<&Keystore>,
    beside: impl FnOnce(&Path) -> Result<PathBuf, ArtifactError>,
    work: impl FnOnce(Target<'_>) -> Result<T, CommandError>,
) -> Result<T, CommandError> {
    let stream = Path::new(STREAM);
    // A name that cannot be made is the transfer's to complain of.
    let file = output.map(Path::to_path_buf).or_else(|| beside(input).ok());
    if let Some(file) = file.filter(|file| file != stream) {
        expect_not_the_keystores(&file, keystore)?;
    }
    match output {
        Some(output) if output != stream => work(Target::File(output)),
        None if input != stream => work(Target::Beside),
        _ => {
            let mut stdout = io::stdout().lock();
            if stdout.is_terminal() {
                let error = CommandError::usage("binary data would go to the terminal");
                return Err(error.hint("redirect it, or use `-o OUT`"));
            }
            work(Target::Stream(&mut stdout))
        }
    }
}

/// Refuses to write over the files of an open keystore.
pub(super) fn expect_not_the_keystores(path: &Path, keystore: Option<&Keystore>) -> Result<(), CommandError> {
    match keystore {
        Some(keystore) if keystore.owns(path) => {
            let message = format!("`{}` is among the keystore's own files", path.display());
            Err(CommandError::usage(message).hint("write elsewhere: `-o OUT`"))
        }
        _ => Ok(()),
    }
}
