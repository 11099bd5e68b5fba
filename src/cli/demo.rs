//! `keystead demo`

use std::path::PathBuf;

use clap::Args;

use super::{error::CommandError, exit::Exit, global::Global, output};
use crate::lab::demo;

/// See the whole story in a few seconds
///
/// Example: keystead demo
///
/// Makes a keystore that is thrown away, seals a model in it and walks through who can open it, and who cannot and why.
/// Each step shows the command that does the same in a keystore of yours. Exits non-zero when a step did not come out
/// as it should.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// The file to protect [default: a small model that comes with keystead]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

impl Demo {
    pub(super) fn run(&self, global: &Global) -> Result<(), CommandError> {
        let file = self.file.as_deref();
        let summary = if global.json {
            let summary = demo::run(file, &mut std::io::sink())?;
            output::json(&summary.steps)?;
            summary
        } else {
            demo::run(file, &mut anstream::stdout())?
        };
        if summary.passed() {
            Ok(())
        } else {
            Err(CommandError::new(Exit::Failed, "the demo did not come out as it should"))
        }
    }
}
