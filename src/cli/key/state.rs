//! `keystead key enable`, `disable`, `schedule-deletion`, `cancel-deletion`, `update-description`

use clap::Args;

use super::KeyArg;
use crate::{
    cli::{error::CommandError, global::Global, output},
    kms::{CancelKeyDeletion, DisableKey, EnableKey, ScheduleKeyDeletion, UpdateKeyDescription},
    model::Days,
};

/// Make a disabled key usable again
#[derive(Debug, Args)]
pub(crate) struct Enable {
    #[command(flatten)]
    key: KeyArg,
}

impl Enable {
    pub(crate) fn run(&self, global: &Global) -> Result<(), CommandError> {
        let (keystore, caller) = global.session()?;
        keystore.kms().enable_key(&caller, EnableKey { key_id: self.key.key.clone() })?;
        output::say(&format!("{} is enabled", self.key.key));
        Ok(())
    }
}

/// Stop every use of a key until it is enabled again
#[derive(Debug, Args)]
pub(crate) struct Disable {
    #[command(flatten)]
    key: KeyArg,
}

impl Disable {
    pub(crate) fn run(&self, global: &Global) -> Result<(), CommandError> {
        let (keystore, caller) = global.session()?;
        keystore.kms().disable_key(&caller, DisableKey { key_id: self.key.key.clone() })?;
        output::say(&format!("{} is disabled: it neither encrypts nor decrypts", self.key.key));
        Ok(())
    }
}

/// Delete a key at the end of a waiting period
///
/// Example: keystead key schedule-deletion alias/models --pending-window-in-days 7
///
/// Until then it can be taken back with `cancel-deletion`. At the end the key material is erased, and what it encrypted
/// is lost for ever. `keystead clock advance 7d` shows it at once.
#[derive(Debug, Args)]
pub(crate) struct ScheduleDeletion {
    #[command(flatten)]
    key: KeyArg,
    /// How long to wait, 7 to 30 [default: 30]
    #[arg(long, value_name = "DAYS")]
    pending_window_in_days: Option<u32>,
}

impl ScheduleDeletion {
    pub(crate) fn run(&self, global: &Global) -> Result<(), CommandError> {
        let (keystore, caller) = global.session()?;
        let pending_window = self.pending_window_in_days.map(Days::new);
        let operation = ScheduleKeyDeletion { key_id: self.key.key.clone(), pending_window };
        let scheduled = keystore.kms().schedule_key_deletion(&caller, operation)?;
        if global.json {
            return output::json(&scheduled);
        }
        output::say(&format!(
            "{} cannot be used any more and will be erased on {}",
            self.key.key, scheduled.deletion_date
        ));
        output::say(&format!(
            "take it back with `keystead key cancel-deletion {}`",
            scheduled.key_id.key_id()
        ));
        Ok(())
    }
}

/// Take a key out of its waiting period; it is disabled then
#[derive(Debug, Args)]
pub(crate) struct CancelDeletion {
    #[command(flatten)]
    key: KeyArg,
}

impl CancelDeletion {
    pub(crate) fn run(&self, global: &Global) -> Result<(), CommandError> {
        let (keystore, caller) = global.session()?;
        let operation = CancelKeyDeletion { key_id: self.key.key.clone() };
        let arn = keystore.kms().cancel_key_deletion(&caller, operation)?;
        if global.json {
            return output::json(&serde_json::json!({"KeyId": arn}));
        }
        output::say(&format!("{0} stays, disabled; `keystead key enable {0}` makes it usable", self.key.key));
        Ok(())
    }
}

/// Change what a key is said to be for
#[derive(Debug, Args)]
pub(crate) struct UpdateDescription {
    #[command(flatten)]
    key: KeyArg,
    /// What it is for
    #[arg(value_name = "TEXT")]
    description: String,
}

impl UpdateDescription {
    pub(crate) fn run(&self, global: &Global) -> Result<(), CommandError> {
        let (keystore, caller) = global.session()?;
        let operation =
            UpdateKeyDescription { key_id: self.key.key.clone(), description: self.description.clone() };
        Ok(keystore.kms().call(&caller, &operation)?)
    }
}
