//! `keystead key list`, `show`

use clap::Args;
use serde_json::json;

use super::KeyArg;
use crate::{
    cli::{error::CommandError, global::Global, output, table::Table},
    kms::{
        CallError, Caller, DescribeKey, GetKeyRotationStatus, KeyMetadata, Kms, ListAliases, ListKeys,
        ListResourceTags,
    },
    model::KeyRef,
};

/// List the keys of the account: customer managed and AWS managed ones
#[derive(Debug, Args)]
pub(crate) struct List {}

impl List {
    pub(crate) fn run(&self, global: &Global) -> Result<(), CommandError> {
        let (keystore, caller) = global.session()?;
        let kms = keystore.kms();
        let keys = kms.list_keys(&caller, ListKeys::default())?;
        if global.json {
            return output::json(&json!({"Keys": keys}));
        }
        let rows = keys.iter().map(|entry| {
            let key: KeyRef = entry.key_arn.clone().into();
            let aliases = aliases(&kms, &caller, &key).unwrap_or_else(not_allowed);
            match kms.describe_key(&caller, DescribeKey { key_id: key }) {
                Ok(key) => {
                    vec![
                        aliases,
                        key.key_id.to_string(),
                        key.key_state.to_string(),
                        key.key_manager.to_string(),
                    ]
                }
                // Who may list keys may still not look at each of them.
                Err(error) => {
                    vec![aliases, entry.key_id.to_string(), error.code().to_string(), String::new()]
                }
            }
        });
        let rows: Vec<_> = rows.collect();
        if rows.is_empty() {
            output::say("there are no keys yet; make one with `keystead key create`");
            return Ok(());
        }
        let table = Table::new(&["ALIAS", "KEY ID", "STATE", "MANAGER"]).stacked(&[&[0, 1], &[2], &[3]]);
        table.print(rows)?;
        Ok(())
    }
}

/// Show what is known of a key
///
/// Example: keystead key show alias/models
#[derive(Debug, Args)]
pub(crate) struct Show {
    #[command(flatten)]
    key: KeyArg,
}

impl Show {
    pub(crate) fn run(&self, global: &Global) -> Result<(), CommandError> {
        let (keystore, caller) = global.session()?;
        let kms = keystore.kms();
        let metadata = kms.describe_key(&caller, DescribeKey { key_id: self.key.key.clone() })?;
        if global.json {
            return output::json(&json!({"KeyMetadata": metadata}));
        }
        let key: KeyRef = metadata.arn.clone().into();
        let mut facts = facts(&metadata);
        facts.push(("Aliases", aliases(&kms, &caller, &key).unwrap_or_else(not_allowed)));
        let tags = kms.call(&caller, &ListResourceTags { key_id: key.clone() });
        let tags = tags.map(|tags| {
            tags.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
        });
        facts.push(("Tags", tags.unwrap_or_else(not_allowed)));
        let status = kms.get_key_rotation_status(&caller, GetKeyRotationStatus { key_id: key });
        let rotation =
            status.map(|status| match (status.rotation_period_in_days, status.next_rotation_date) {
                (Some(period), Some(next)) => format!("every {period}, next on {next}"),
                _ => "on demand only".into(),
            });
        facts.push(("Rotation", rotation.unwrap_or_else(not_allowed)));
        facts.retain(|(_, value)| !value.is_empty());
        Ok(output::facts(&facts)?)
    }
}

fn facts(key: &KeyMetadata) -> Vec<(&'static str, String)> {
    vec![
        ("ARN", key.arn.to_string()),
        ("State", key.key_state.to_string()),
        ("Erased on", key.deletion_date.map(|date| date.to_string()).unwrap_or_default()),
        ("Description", key.description.clone()),
        ("Manager", key.key_manager.to_string()),
        ("Spec", format!("{} for {}, origin {}", key.key_spec, key.key_usage, key.origin)),
        ("Made", key.creation_date.to_string()),
        ("Material", key.current_key_material_id.map(|id| id.to_string()).unwrap_or_default()),
    ]
}

/// A key's aliases as one text.
fn aliases(kms: &Kms<'_>, caller: &Caller, key: &KeyRef) -> Result<String, CallError> {
    let aliases = kms.call(caller, &ListAliases { key_id: Some(key.clone()) })?;
    Ok(aliases.iter().map(|alias| alias.alias_name.as_str()).collect::<Vec<_>>().join(" "))
}

/// What stands in the place of a fact that the caller may not know.
fn not_allowed(error: CallError) -> String {
    format!("({})", error.code())
}
