//! `-` on the command line: standard input and standard output in the place of files.

use std::{
    io::{self, IsTerminal, StdoutLock},
    os::unix::fs::MetadataExt,
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
/// to standard output when the input is a stream. What is protected is not written over.
pub(super) fn with_target<T>(
    input: &Path,
    output: Option<&Path>,
    protected: &Protected<'_>,
    beside: impl FnOnce(&Path) -> Result<PathBuf, ArtifactError>,
    work: impl FnOnce(Target<'_>) -> Result<T, CommandError>,
) -> Result<T, CommandError> {
    let stream = Path::new(STREAM);
    // A name that cannot be made is the transfer's to complain of.
    let file = output.map(Path::to_path_buf).or_else(|| beside(input).ok());
    if let Some(file) = file.filter(|file| file != stream) {
        protected.expect_not(&file)?;
    }
    match output {
        Some(output) if output != stream => work(Target::File(output)),
        None if input != stream => work(Target::Beside),
        _ => work(Target::Stream(&mut binary_stdout("redirect it, or use `-o OUT`")?)),
    }
}

/// What a command must not write over: the files of the keystore that it uses, and the keys that it was given.
#[derive(Default)]
pub(super) struct Protected<'command> {
    pub(super) keystore: Option<&'command OwnFiles>,
    pub(super) key_files: Vec<&'command Path>,
}

impl Protected<'_> {
    /// Refuses to write to a path.
    pub(super) fn expect_not(&self, path: &Path) -> Result<(), CommandError> {
        let refused = |why: &str| {
            let message = format!("`{}` is {why}", path.display());
            Err(CommandError::usage(message).hint("write elsewhere: `-o OUT`"))
        };
        if self.keystore.is_some_and(|files| files.contain(path)) {
            return refused("among the keystore's own files");
        }
        let number = |path: &Path| path.metadata().map(|metadata| (metadata.dev(), metadata.ino())).ok();
        let target = number(path);
        if target.is_some() && self.key_files.iter().any(|key| number(key) == target) {
            return refused("one of the keys");
        }
        Ok(())
    }
}
