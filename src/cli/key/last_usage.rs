//! `keystead key last-usage`

use clap::Args;

use super::KeyArg;
use crate::{
    cli::{error::CommandError, global::Global, output},
    kms::{DescribeKey, GetKeyLastUsage},
};

/// Show when a key was last used, as the audit log knows it
///
/// Example: keystead key last-usage alias/models
#[derive(Debug, Args)]
pub(crate) struct LastUsage {
    #[command(flatten)]
    key: KeyArg,
}

impl LastUsage {
    pub(crate) fn run(&self, global: &Global) -> Result<(), CommandError> {
        let (keystore, caller) = global.session()?;
        // KMS takes no alias here; people may.
        let described = keystore.kms().describe_key(&caller, DescribeKey { key_id: self.key.key.clone() })?;
        let usage = keystore
            .cloudtrail()
            .key_last_usage(&caller, &GetKeyLastUsage { key_id: described.arn.into() })?;
        if global.json {
            return output::json(&usage);
        }
        let last = &usage.key_last_usage;
        let mut facts = vec![("Key", usage.key_id.to_string())];
        match (&last.operation, last.timestamp) {
            (Some(operation), Some(time)) => {
                facts.push(("Last used", time.to_rfc3339()));
                facts.push(("For", operation.clone()));
                facts.push(("Event", last.cloud_trail_event_id.clone().unwrap_or_default()));
            }
            _ => facts.push(("Last used", "never".into())),
        }
        facts.push(("Known since", usage.tracking_start_date.to_rfc3339()));
        Ok(output::facts(&facts)?)
    }
}
