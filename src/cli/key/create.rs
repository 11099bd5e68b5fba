//! `keystead key create`

use std::path::PathBuf;

use clap::Args;

use super::policy::read_policy;
use crate::{
    cli::{error::CommandError, exit::Exit, global::Global, keyring::pair, output},
    keystore::Keystore,
    kms::{Caller, CreateAlias, CreateKey, EnableKeyRotation},
    model::{AliasName, Days, ErrorCode, KeyRef, Tags},
};

/// Make a customer managed key
///
/// Example: keystead key create --alias alias/models --description "model artifacts"
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// A name for it: `alias/…`
    #[arg(long, value_name = "alias/NAME")]
    alias: Option<AliasName>,
    /// What it is for
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
    description: String,
    /// Its key policy, JSON; `-` is standard input [default: the account's identity policies decide]
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Accept a policy that does not let you change it again
    #[arg(long)]
    bypass_policy_lockout_safety_check: bool,
    /// A tag; repeatable
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = pair)]
    tags: Vec<(String, String)>,
    /// Rotate it automatically, every so many days
    #[arg(long, value_name = "DAYS")]
    rotation_period_in_days: Option<u32>,
}

impl Create {
    pub(crate) fn run(&self, global: &Global) -> Result<(), CommandError> {
        let policy = self.policy.as_deref().map(read_policy).transpose()?;
        let (keystore, caller) = global.session()?;
        let kms = keystore.kms();
        if let Some(alias) = &self.alias {
            check_alias(&keystore, &caller, alias)?;
        }
        let metadata = kms.create_key(
            &caller,
            CreateKey {
                description: self.description.clone(),
                policy,
                tags: tags(&self.tags)?,
                bypass_policy_lockout_safety_check: self.bypass_policy_lockout_safety_check,
                ..CreateKey::default()
            },
        )?;
        let key: KeyRef = metadata.arn.clone().into();
        if let Some(days) = self.rotation_period_in_days {
            let rotation_period = Some(Days::new(days));
            kms.enable_key_rotation(&caller, EnableKeyRotation { key_id: key.clone(), rotation_period })?;
        }
        if let Some(alias) = &self.alias {
            let named = kms
                .create_alias(&caller, CreateAlias { alias_name: alias.clone(), target_key_id: key.clone() });
            named.map_err(|error| {
                CommandError::from(error).hint(format!("the key was made, without a name: {key}"))
            })?;
        }
        if global.json {
            return output::json(&serde_json::json!({"KeyMetadata": metadata}));
        }
        Ok(output::line(&metadata.arn.to_string())?)
    }
}

/// Refuses a name that cannot be given: else the key would be made and then stay nameless.
fn check_alias(keystore: &Keystore, caller: &Caller, alias: &AliasName) -> Result<(), CommandError> {
    if alias.is_reserved() {
        return Err(CommandError::usage(format!(
            "names like {alias}, which begin with `alias/aws/`, are AWS's own"
        )));
    }
    if keystore.world()?.alias(&caller.account(), alias).is_some() {
        let message = format!("{}: the alias {alias} exists already", ErrorCode::AlreadyExists);
        return Err(CommandError::new(Exit::Failed, message)
            .hint(format!("choose another name, or delete that one with `keystead alias delete {alias}`")));
    }
    Ok(())
}

/// Tags from pairs on the command line.
pub(super) fn tags(pairs: &[(String, String)]) -> Result<Tags, CommandError> {
    let mut tags = Tags::new();
    for (key, value) in pairs {
        if tags.get(key).is_some() {
            return Err(CommandError::usage(format!("the tag `{}` is given twice", key)));
        }
        tags.set(key.as_str(), value.as_str())?;
    }
    Ok(tags)
}
