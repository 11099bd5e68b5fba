//! `keystead completions` and `keystead man`

use std::{io, path::PathBuf};

use clap::Args;
use clap_complete::Shell;

use super::{command, error::CommandError, exit::Exit};

/// Print a completion script for a shell
///
/// Example: keystead completions bash > ~/.local/share/bash-completion/completions/keystead
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self) -> Result<(), CommandError> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command(), "keystead", &mut script);
        Ok(io::Write::write_all(&mut io::stdout(), &script)?)
    }
}

/// Print the manual page, or write all of them
///
/// Example: keystead man | man -l -
#[derive(Debug, Args)]
pub(super) struct Man {
    /// Write a page for each command into this directory
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
}

impl Man {
    pub(super) fn run(&self) -> Result<(), CommandError> {
        let Some(directory) = &self.directory else {
            return Ok(clap_mangen::Man::new(command()).render(&mut io::stdout())?);
        };
        clap_mangen::generate_to(command(), directory).map_err(|error| {
            CommandError::new(Exit::Failed, format!("cannot write into `{}`: {error}", directory.display()))
        })
    }
}
