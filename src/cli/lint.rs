//! `keystead lint`

use std::path::PathBuf;

use clap::Args;

use super::{error::CommandError, exit::Exit, global::Global, output, stream::expect_named};
use crate::artifact::lint::Lint as Found;

/// Look for what is wrong with encrypted files, without any key
///
/// Example: keystead lint backups/ models.sealed
///
/// Tells of messages that share a message id, suites without key commitment, frames that other clients refuse, and bytes
/// that follow a message's end. Exit code 4 when something is wrong, 6 when something is only unusual. What is no message
/// is passed over.
#[derive(Debug, Args)]
pub(super) struct Lint {
    /// Files, or folders with all that lies in them
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
}

impl Lint {
    pub(super) fn run(&self, global: &Global) -> Result<Exit, CommandError> {
        let mut lint = Found::default();
        for path in &self.paths {
            expect_named(path, "write the stream to a file first")?;
            lint.look(path).map_err(|(path, error)| {
                CommandError::new(Exit::Failed, format!("`{}` cannot be read: {error}", path.display()))
            })?;
        }
        if global.json {
            output::json(&serde_json::json!({ "Messages": lint.messages, "Findings": lint.findings }))?;
        } else {
            for finding in &lint.findings {
                output::line(&finding.to_string())?;
            }
            let messages =
                if lint.messages == 1 { "1 message".into() } else { format!("{} messages", lint.messages) };
            output::say(&format!("looked at {messages}: {} found", lint.findings.len()));
        }
        Ok(
            match (lint.findings.is_empty(), lint.findings.iter().any(|finding| finding.kind.is_dangerous()))
            {
                (true, _) => Exit::Done,
                (false, true) => Exit::Integrity,
                (false, false) => Exit::Unusual,
            },
        )
    }
}
