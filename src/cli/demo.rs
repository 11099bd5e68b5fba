//! `keystead demo`

use std::path::PathBuf;

use clap::Args;

use super::{error::CommandError, global::Global};

/// See the whole story in a few seconds
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// The file to protect [default: a small model that comes with keystead]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

impl Demo {
    pub(super) fn run(&self, _global: &Global) -> Result<(), CommandError> {
        let _ = &self.file;
        Err(CommandError::usage("waiting for the lab"))
    }
}
