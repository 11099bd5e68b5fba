//! `keystead audit prune`

use clap::Args;

use super::time;
use crate::{
    cli::{error::CommandError, global::Global, output},
    model::Timestamp,
};

/// Remove old segments of the log, leaving a signed record of it
///
/// Example: keystead audit prune --before 2025-01-01T00:00:00Z
///
/// Only whole segments go, and only those in which every record is older. The log is verified before. Checkpoints from
/// before what was removed can no longer be compared: take a new one first.
#[derive(Debug, Args)]
pub(crate) struct Prune {
    /// Keep every record from this time on
    #[arg(long, value_name = "TIME", value_parser = time)]
    before: Timestamp,
}

impl Prune {
    pub(crate) fn run(&self, global: &Global) -> Result<(), CommandError> {
        let (keystore, caller) = global.session()?;
        let pruned = keystore.audit_prune(&caller, self.before)?;
        if global.json {
            return output::json(&serde_json::json!({
                "FirstKept": pruned.map(|pruned| pruned.first_kept),
                "Segments": pruned.map_or(0, |pruned| pruned.segments),
            }));
        }
        output::say(&match pruned {
            Some(pruned) => {
                format!(
                    "removed {}; the log begins with record {}",
                    output::count(pruned.segments as u64, "segment"),
                    pruned.first_kept
                )
            }
            None => "nothing to remove: no closed segment is older as a whole".into(),
        });
        Ok(())
    }
}
