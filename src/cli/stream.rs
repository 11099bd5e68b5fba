//! `-` on the command line: standard input and standard output in the place of files.

use std::{
    io::{self, IsTerminal, StdoutLock},
    path::{Path, PathBuf},
};

use super::error::CommandError;
use crate::{
    artifact::{ArtifactError, Source, Target},
    keystore::OwnFiles,
};

const STREAM: &str = "-";

/// Whether `path` names standard input or output.
pub(super) fn is_stream(path: &Path) -> bool {
    path == Path::new(STREAM)
}

/// Refuses standard input where a file is needed, with what to do instead.
pub(super) fn expect_named(path: &Path, instead: &str) -> Result<(), CommandError> {
    if is_stream(path) {
        return Err(CommandError::usage("this needs a file, and `-` is standard input").hint(instead));
    }
    Ok(())
}

/// Standard output for what is no text; `instead` says what to do when it is a terminal.
pub(super) fn binary_stdout(instead: &str) -> Result<StdoutLock<'static>, CommandError> {
    let stdout = io::stdout().lock();
    if stdout.is_terminal() {
        return Err(CommandError::usage("binary data would go to the terminal").hint(instead));
    }
    Ok(stdout)
}

/// Does some work on what `path` names.
pub(super) fn with_source<T>(path: &Path, work: impl FnOnce(Source<'_>) -> T) -> T {
    if is_stream(path) { work(Source::Stream(&mut io::stdin().lock())) } else { work(Source::File(path)) }
}

/// Does some work that writes to what `output` names; without one, beside the input under the name that `beside` makes, or
/// to standard output when the input is a stream. The files of the keystore that is used are not written over.
pub(super) fn with_target<T>(
    input: &Path,
    output: Option<&Path>,
    keystore: Option<&OwnFiles>,
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
        _ => work(Target::Stream(&mut binary_stdout("redirect it, or use `-o OUT`")?)),
    }
}

/// Refuses to write over the files of the keystore that is used.
pub(super) fn expect_not_the_keystores(path: &Path, keystore: Option<&OwnFiles>) -> Result<(), CommandError> {
    match keystore {
        Some(files) if files.contain(path) => {
            let message = format!("`{}` is among the keystore's own files", path.display());
            Err(CommandError::usage(message).hint("write elsewhere: `-o OUT`"))
        }
        _ => Ok(()),
    }
}
