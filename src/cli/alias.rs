//! `keystead alias`

use clap::{Args, Subcommand};

use super::{error::CommandError, global::Global, output, table::Table};
use crate::{
    kms::{CreateAlias, DeleteAlias, ListAliases, UpdateAlias},
    model::{AliasName, KeyRef},
};

/// Give keys names
#[derive(Debug, Subcommand)]
pub(super) enum Alias {
    Create(Create),
    Update(Update),
    Delete(Delete),
    List(List),
}

/// Give a key a name
///
/// Example: keystead alias create alias/models 1234abcd-12ab-34cd-56ef-1234567890ab
#[derive(Debug, Args)]
pub(super) struct Create {
    /// The name: `alias/…`
    #[arg(value_name = "ALIAS")]
    name: AliasName,
    /// The key: id or ARN
    #[arg(value_name = "KEY")]
    key: KeyRef,
}

/// Point a name to another key
#[derive(Debug, Args)]
pub(super) struct Update {
    /// The name: `alias/…`
    #[arg(value_name = "ALIAS")]
    name: AliasName,
    /// The key: id or ARN
    #[arg(value_name = "KEY")]
    key: KeyRef,
}

/// Take a name away; the key stays
#[derive(Debug, Args)]
pub(super) struct Delete {
    /// The name: `alias/…`
    #[arg(value_name = "ALIAS")]
    name: AliasName,
}

/// List the names
#[derive(Debug, Args)]
pub(super) struct List {
    /// Of this key alone
    #[arg(long, value_name = "KEY")]
    key_id: Option<KeyRef>,
}

impl Alias {
    pub(super) fn run(&self, global: &Global) -> Result<(), CommandError> {
        let (keystore, caller) = global.session()?;
        let kms = keystore.kms();
        match self {
            Self::Create(Create { name, key }) => {
                let operation = CreateAlias { alias_name: name.clone(), target_key_id: key.clone() };
                kms.create_alias(&caller, operation)?;
                output::say(&format!("{name} points to {key}"));
            }
            Self::Update(Update { name, key }) => {
                kms.call(&caller, &UpdateAlias { alias_name: name.clone(), target_key_id: key.clone() })?;
                output::say(&format!("{name} points to {key}"));
            }
            Self::Delete(Delete { name }) => {
                kms.delete_alias(&caller, DeleteAlias { alias_name: name.clone() })?;
                output::say(&format!("{name} is gone"));
            }
            Self::List(List { key_id }) => {
                let aliases = kms.call(&caller, &ListAliases { key_id: key_id.clone() })?;
                if global.json {
                    return output::json(&serde_json::json!({"Aliases": aliases}));
                }
                let row = |alias: &crate::kms::AliasListEntry| {
                    vec![
                        alias.alias_name.to_string(),
                        alias.target_key_id.to_string(),
                        alias.last_updated_date.to_string(),
                    ]
                };
                let table = Table::new(&["ALIAS", "KEY ID", "SINCE"]).stacked(&[&[0, 1], &[2]]);
                table.print(aliases.iter().map(row))?;
            }
        }
        Ok(())
    }
}
