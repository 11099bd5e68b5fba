//! `keystead key rotate`, `rotations`, `enable-rotation`, `disable-rotation`

use clap::Args;

use super::KeyArg;
use crate::{
    cli::{error::CommandError, global::Global, output},
    kms::{
        DisableKeyRotation, EnableKeyRotation, GetKeyRotationStatus, ListKeyRotations, RotateKeyOnDemand,
        RotationEntry,
    },
    model::Days,
};

/// Rotate a key now
///
/// Example: keystead key rotate alias/models
///
/// New ciphertexts use the new key material; older ones open as before.
#[derive(Debug, Args)]
pub(crate) struct Rotate {
    #[command(flatten)]
    key: KeyArg,
}

impl Rotate {
    pub(crate) fn run(&self, global: &Global) -> Result<(), CommandError> {
        let (keystore, caller) = global.session()?;
        let key_id = self.key.key.clone();
        let arn = keystore.kms().rotate_key_on_demand(&caller, RotateKeyOnDemand { key_id })?;
        if global.json {
            return output::json(&serde_json::json!({"KeyId": arn}));
        }
        output::say(&format!(
            "{} has a new key material; what the older ones sealed still opens",
            self.key.key
        ));
        Ok(())
    }
}

/// List a key's materials and the rotations that brought them
#[derive(Debug, Args)]
pub(crate) struct Rotations {
    #[command(flatten)]
    key: KeyArg,
}

impl Rotations {
    pub(crate) fn run(&self, global: &Global) -> Result<(), CommandError> {
        let (keystore, caller) = global.session()?;
        let key_id = self.key.key.clone();
        let list = ListKeyRotations { key_id: key_id.clone(), include_all_key_material: true };
        let rotations = keystore.kms().list_key_rotations(&caller, list)?;
        if global.json {
            return output::json(&serde_json::json!({"Rotations": rotations}));
        }
        let row = |entry: &RotationEntry| {
            vec![
                entry.key_material_id.to_string().get(..16).unwrap_or_default().to_owned() + "…",
                entry.key_material_state.to_owned(),
                entry.rotation_type.map_or_else(|| "first".into(), |kind| kind.to_string()),
                entry.rotation_date.map(|date| date.to_string()).unwrap_or_default(),
            ]
        };
        output::table(&["KEY MATERIAL", "STATE", "ROTATION", "SINCE"], rotations.iter().map(row))?;
        let status = keystore.kms().get_key_rotation_status(&caller, GetKeyRotationStatus { key_id })?;
        if let (Some(period), Some(next)) = (status.rotation_period_in_days, status.next_rotation_date) {
            output::say(&format!("rotates by itself every {period}, next on {next}"));
        }
        Ok(())
    }
}

/// Turn automatic rotation on
///
/// Example: keystead key enable-rotation alias/models --rotation-period-in-days 90
#[derive(Debug, Args)]
pub(crate) struct EnableRotation {
    #[command(flatten)]
    key: KeyArg,
    /// How often, 90 to 2560 [default: as it was before, else 365]
    #[arg(long, value_name = "DAYS")]
    rotation_period_in_days: Option<u32>,
}

impl EnableRotation {
    pub(crate) fn run(&self, global: &Global) -> Result<(), CommandError> {
        let (keystore, caller) = global.session()?;
        let (kms, key_id) = (keystore.kms(), self.key.key.clone());
        let rotation_period = self.rotation_period_in_days.map(Days::new);
        kms.enable_key_rotation(&caller, EnableKeyRotation { key_id: key_id.clone(), rotation_period })?;
        output::say(&format!(
            "{key_id} rotates by itself from now on; see `keystead key rotations {key_id}`"
        ));
        Ok(())
    }
}

/// Turn automatic rotation off
#[derive(Debug, Args)]
pub(crate) struct DisableRotation {
    #[command(flatten)]
    key: KeyArg,
}

impl DisableRotation {
    pub(crate) fn run(&self, global: &Global) -> Result<(), CommandError> {
        let (keystore, caller) = global.session()?;
        let key_id = self.key.key.clone();
        keystore.kms().disable_key_rotation(&caller, DisableKeyRotation { key_id })?;
        output::say(&format!("{} no longer rotates by itself", self.key.key));
        Ok(())
    }
}
