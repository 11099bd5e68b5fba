//! `keystead inspect`

use std::{fs::File, io, path::PathBuf};

use clap::Args;

use super::{error::CommandError, exit::Exit, global::Global, output, stream::is_stream};
use crate::envelope::{HeaderError, MessageInfo, inspect};

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
        let (info, is_whole) = self.read()?;
        if global.json {
            output::json(&info)?;
        } else {
            show(&info)?;
        }
        if !is_whole {
            output::warn(
                "there is no final frame where a message of this size has it; see `keystead lint FILE`",
            );
        }
        Ok(())
    }

    /// What it says, and whether its end is where its size says; of a stream that is not known.
    fn read(&self) -> Result<(MessageInfo, bool), CommandError> {
        let unreadable = |error: io::Error| {
            CommandError::new(Exit::Failed, format!("`{}` cannot be read: {error}", self.path.display()))
        };
        let damaged = |error: HeaderError| {
            CommandError::new(error.class().into(), format!("`{}`: {error}", self.path.display()))
        };
        if is_stream(&self.path) {
            return Ok((inspect(io::stdin().lock(), None).map_err(damaged)?, true));
        }
        let file = File::open(&self.path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if metadata.is_dir() {
            let message = format!("`{}` is a directory, not a file", self.path.display());
            return Err(CommandError::usage(message)
                .hint("of an encrypted folder see `keystead list PATH` and `keystead verify PATH`"));
        }
        if !metadata.is_file() {
            // A pipe has no length.
            return Ok((inspect(file, None).map_err(damaged)?, true));
        }
        let mut info = inspect(&file, Some(metadata.len())).map_err(damaged)?;
        let is_whole = info.has_final_frame(&file).map_err(unreadable)?;
        if !is_whole {
            info.body = None;
        }
        Ok((info, is_whole))
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
