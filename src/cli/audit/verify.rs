//! `keystead audit verify`, `checkpoint`

use std::{io::Write, path::PathBuf};

use clap::Args;

use super::read_text;
use crate::cli::{error::CommandError, global::Global, output};

/// A checkpoint with many signatures is shorter.
pub(super) const CHECKPOINT_BYTES_MAX: usize = 16 << 10;

/// Verify the whole log: every record, every signature, and that it reaches as far as the keystore knows
///
/// Example: keystead audit verify --checkpoint /mnt/elsewhere/checkpoint
///
/// With a checkpoint that was kept elsewhere also a log that was rewritten as a whole is found out. Exit codes: 10 a gap,
/// 11 an edit, 12 a truncation, 13 a bad signature, 14 a fork, 15 a required witness has not signed, 16 what would be
/// compared was pruned.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// A checkpoint that this log once printed
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
}

impl Verify {
    pub(crate) fn run(&self, global: &Global) -> Result<(), CommandError> {
        let kept =
            self.checkpoint.as_deref().map(|path| read_text(path, CHECKPOINT_BYTES_MAX)).transpose()?;
        let verified = global.open()?.audit_verify_against(kept.as_deref())?;
        if global.json {
            return output::json(&serde_json::json!({
                "Origin": verified.origin,
                "FirstKept": verified.first_kept,
                "Records": verified.records,
                "Segments": verified.segments,
                "Checkpoints": verified.checkpoints,
                "Root": hex::encode(verified.root),
            }));
        }
        let mut facts = vec![("Records", verified.records.to_string())];
        if verified.first_kept > 0 {
            facts.push(("Pruned before", verified.first_kept.to_string()));
        }
        facts.extend([
            ("Segments", verified.segments.to_string()),
            ("Signed checkpoints", verified.checkpoints.to_string()),
            ("Root", hex::encode(verified.root)),
        ]);
        output::facts(&facts)?;
        output::say(match self.checkpoint {
            Some(_) => "the audit log is whole, and holds all that it held at the checkpoint",
            None => "the audit log is whole",
        });
        Ok(())
    }
}

/// Print the newest checkpoint, a signed note to be kept elsewhere
///
/// Example: keystead audit checkpoint > /mnt/elsewhere/checkpoint
#[derive(Debug, Args)]
pub(crate) struct Checkpoint {
    /// Print the public key that verifies checkpoints and proofs instead
    #[arg(long)]
    key: bool,
}

impl Checkpoint {
    pub(crate) fn run(&self, global: &Global) -> Result<(), CommandError> {
        let keystore = global.open()?;
        if self.key {
            return Ok(output::line(&keystore.audit_key()?.to_string())?);
        }
        // Byte for byte: the signatures are over what stands there.
        Ok(anstream::stdout().lock().write_all(keystore.audit_checkpoint()?.as_bytes())?)
    }
}
