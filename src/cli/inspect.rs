//! `keystead inspect`

use std::{fs::File, io, path::PathBuf};

use clap::Args;

use super::{error::CommandError, exit::Exit, global::Global, output, stream::is_stream};
use crate::{
    artifact::lint::{Lint, LintFinding},
    envelope::{MessageInfo, inspect},
};

/// Show what an encrypted file says of itself
///
/// Example: keystead inspect model.safetensors.sealed
///
/// Needs no key and no keystore; nothing that it shows is authenticated. `-` is standard input.
#[derive(Debug, Args)]
pub(super) struct Inspect {
    /// The file, or `-`
    #[arg(value_name = "PATH")]
    path: PathBuf,
}

impl Inspect {
    pub(super) fn run(&self, global: &Global) -> Result<(), CommandError> {
        let mut info = self.read()?;
        let findings = self.dangerous_findings();
        if !findings.is_empty() {
            // What the size of a message would tell, it does not of one that is not whole.
            info.body = None;
        }
        if global.json {
            output::json(&info)?;
        } else {
            show(&info)?;
        }
        for finding in findings {
            output::warn(&finding.to_string());
        }
        Ok(())
    }

    /// What is wrong with a file beyond its header, as far as that shows without a key.
    fn dangerous_findings(&self) -> Vec<LintFinding> {
        let mut lint = Lint::default();
        // A stream, or a file that is gone by now, has nothing more to tell.
        let is_file = !is_stream(&self.path) && self.path.is_file();
        if !is_file || lint.look(&self.path).is_err() {
            return Vec::new();
        }
        lint.findings.into_iter().filter(|finding| finding.kind.is_dangerous()).collect()
    }

    fn read(&self) -> Result<MessageInfo, CommandError> {
        let unreadable = |error: io::Error| {
            CommandError::new(Exit::Failed, format!("`{}` cannot be read: {error}", self.path.display()))
        };
        let info = if is_stream(&self.path) {
            inspect(io::stdin().lock(), None)
        } else {
            let file = File::open(&self.path).map_err(unreadable)?;
            let metadata = file.metadata().map_err(unreadable)?;
            if metadata.is_dir() {
                let message = format!("`{}` is a directory, not a file", self.path.display());
                return Err(CommandError::usage(message)
                    .hint("of an encrypted folder see `keystead list PATH` and `keystead verify PATH`"));
            }
            // A pipe has no length.
            inspect(file, metadata.is_file().then_some(metadata.len()))
        };
        info.map_err(|error| {
            CommandError::new(error.class().into(), format!("`{}`: {error}", self.path.display()))
        })
    }
}

fn show(info: &MessageInfo) -> Result<(), CommandError> {
    let mut facts = vec![
        ("Format", format!("AWS Encryption SDK message, version {}", info.version)),
        ("Suite", info.suite.to_string()),
        ("Message id", info.message_id.to_string()),
    ];
    for recipient in &info.recipients {
        facts.push(("Recipient", format!("{} {}", recipient.provider, recipient.key)));
    }
    for (key, value) in info.context.iter() {
        facts.push(("Context", format!("{key}={value}")));
    }
    facts.push(("Content", info.content.into()));
    if let Some(frame) = info.frame_bytes {
        facts.push(("Frame length", format!("{frame} bytes")));
    }
    facts.push(("Header", format!("{} bytes", info.header_bytes)));
    if let Some(body) = &info.body {
        facts.push(("Plaintext", format!("{} bytes", body.plaintext_bytes)));
        facts.push(("Frames", format!("{}, the last of {} bytes", body.frames, body.final_frame_bytes)));
    }
    output::facts(&facts)?;
    output::say("nothing of this is authenticated: no key was used");
    Ok(())
}
