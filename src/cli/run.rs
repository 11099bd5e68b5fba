//! `keystead run`

use std::{
    ffi::{OsStr, OsString},
    os::{fd::AsRawFd, unix::ffi::OsStrExt, unix::process::CommandExt},
    path::PathBuf,
    process::Command,
};

use clap::Args;

use super::{
    error::CommandError, global::Global, keyring::OpeningKeys, progress::Meter, stream::expect_named,
};
use crate::artifact::open_in_memory;

/// What stands for the path in the command.
const PLACE: &[u8] = b"{}";

/// Run a command on an encrypted file, without its plaintext ever being on disk
///
/// Example: keystead run model.gguf.sealed -- llama-cli -m {} -p hello
///
/// The file is opened into memory without a name, and {} in the command becomes a path by which the command, and what it
/// starts, can read it. The memory is gone when the last of them has ended. Takes this program's place, so the command's
/// exit code is the answer; 127 when there is no such command, 126 when it cannot be run.
#[derive(Debug, Args)]
pub(super) struct Run {
    /// The file
    #[arg(value_name = "FILE")]
    path: PathBuf,
    #[command(flatten)]
    keys: OpeningKeys,
    /// The command, with {} for the path
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

impl Run {
    pub(super) fn run(&self, global: &Global) -> Result<(), CommandError> {
        let Some((program, arguments)) = self.command.split_first() else {
            return Err(CommandError::usage("no command was given"));
        };
        if !arguments.iter().any(|argument| position(argument).is_some()) {
            return Err(CommandError::usage("the command does not say where the path belongs")
                .hint("write {} in its place: `keystead run FILE -- COMMAND {}`"));
        }
        if global.has_passphrase_fd() {
            return Err(CommandError::usage("the command would inherit the descriptor of the passphrase")
                .hint("give the passphrase by `--passphrase-file FILE`"));
        }
        expect_named(&self.path, "the command gets this program's standard input; name a file")?;
        let options = self.keys.options()?;
        let meter = Meter::new(global);
        let progress = &mut |progress| meter.update(&self.path, progress);
        // The keystore is closed when this returns, so that the command does not hold its lock.
        let file = self
            .keys
            .with(global, |_, keyring| Ok(open_in_memory(&self.path, keyring, &options, progress)?))?;
        drop(meter);
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let arguments = arguments.iter().map(|argument| filled(argument, &path));
        let error = Command::new(program).args(arguments).exec();
        Err(CommandError::cannot_run(program, &error))
    }
}

fn position(argument: &OsStr) -> Option<usize> {
    argument.as_bytes().windows(PLACE.len()).position(|window| window == PLACE)
}

/// The argument with the path in each of its places.
fn filled(argument: &OsStr, path: &str) -> OsString {
    let (mut rest, mut made) = (argument, OsString::new());
    while let Some(at) = position(rest) {
        let (before, after) = rest.as_bytes().split_at(at);
        made.push(OsStr::from_bytes(before));
        made.push(path);
        rest = OsStr::from_bytes(after.strip_prefix(PLACE).unwrap_or(after));
    }
    made.push(rest);
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_stands_wherever_its_place_is() {
        let filled = |argument: &str| filled(OsStr::new(argument), "/p").into_string().unwrap();
        assert_eq!(filled("{}"), "/p");
        assert_eq!(filled("--model={}:{}"), "--model=/p:/p");
        assert_eq!(filled("{ }{"), "{ }{");
        assert_eq!(filled(""), "");
    }
}
