//! `keystead key tag`, `untag`

use clap::Args;

use super::{KeyArg, create::tags};
use crate::{
    cli::{error::CommandError, global::Global, keyring::pair},
    kms::{TagResource, UntagResource},
};

/// Add tags to a key, or change their values
///
/// Example: keystead key tag alias/models team=ml stage=training
#[derive(Debug, Args)]
pub(crate) struct Tag {
    #[command(flatten)]
    key: KeyArg,
    /// The tags
    #[arg(required = true, value_name = "KEY=VALUE", value_parser = pair)]
    tags: Vec<(String, String)>,
}

impl Tag {
    pub(crate) fn run(&self, global: &Global) -> Result<(), CommandError> {
        let operation = TagResource { key_id: self.key.key.clone(), tags: tags(&self.tags)? };
        let (keystore, caller) = global.session()?;
        Ok(keystore.kms().call(&caller, &operation)?)
    }
}

/// Take tags off a key
#[derive(Debug, Args)]
pub(crate) struct Untag {
    #[command(flatten)]
    key: KeyArg,
    /// The keys of the tags
    #[arg(required = true, value_name = "TAG")]
    tag_keys: Vec<String>,
}

impl Untag {
    pub(crate) fn run(&self, global: &Global) -> Result<(), CommandError> {
        let operation = UntagResource { key_id: self.key.key.clone(), tag_keys: self.tag_keys.clone() };
        let (keystore, caller) = global.session()?;
        Ok(keystore.kms().call(&caller, &operation)?)
    }
}
