//! `keystead key policy`

use std::{
    fs::File,
    io::{IsTerminal, Read},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};

use super::KeyArg;
use crate::{
    cli::{error::CommandError, exit::Exit, global::Global, output},
    kms::{GetKeyPolicy, PutKeyPolicy},
    policy::KEY_POLICY_BYTES_MAX,
};

/// Read or replace a key's policy
#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    Get(Get),
    Put(Put),
}

/// Print a key's policy
#[derive(Debug, Args)]
pub(crate) struct Get {
    #[command(flatten)]
    key: KeyArg,
}

/// Replace a key's policy
///
/// Example: keystead key policy put alias/models policy.json
#[derive(Debug, Args)]
pub(crate) struct Put {
    #[command(flatten)]
    key: KeyArg,
    /// The new policy, JSON; `-` is standard input
    #[arg(value_name = "FILE", default_value = "-", hide_default_value = true)]
    file: PathBuf,
    /// Accept a policy that does not let you change it again
    #[arg(long)]
    bypass_policy_lockout_safety_check: bool,
}

impl Policy {
    pub(crate) fn run(&self, global: &Global) -> Result<(), CommandError> {
        match self {
            Self::Get(get) => {
                let (keystore, caller) = global.session()?;
                let key_id = get.key.key.clone();
                let policy = keystore.kms().get_key_policy(&caller, GetKeyPolicy { key_id })?;
                if global.json {
                    return output::json(&serde_json::json!({"Policy": policy, "PolicyName": "default"}));
                }
                Ok(output::lines(&policy)?)
            }
            Self::Put(put) => {
                let policy = read_policy(&put.file)?;
                let (keystore, caller) = global.session()?;
                let operation = PutKeyPolicy {
                    key_id: put.key.key.clone(),
                    policy,
                    bypass_policy_lockout_safety_check: put.bypass_policy_lockout_safety_check,
                };
                keystore.kms().put_key_policy(&caller, operation)?;
                output::say(&format!("{} has a new key policy", put.key.key));
                Ok(())
            }
        }
    }
}

/// Reads a policy, no more of it than a key policy may have.
pub(super) fn read_policy(path: &Path) -> Result<String, CommandError> {
    let unreadable = |error| {
        CommandError::new(Exit::Failed, format!("cannot read the policy `{}`: {error}", path.display()))
    };
    let limit = u64::try_from(KEY_POLICY_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let mut text = String::new();
    if path == Path::new("-") {
        if std::io::stdin().is_terminal() {
            output::say("reading the policy from standard input; end it with Ctrl-D");
        }
        std::io::stdin().lock().take(limit).read_to_string(&mut text).map_err(unreadable)?;
    } else {
        File::open(path).and_then(|file| file.take(limit).read_to_string(&mut text)).map_err(unreadable)?;
    }
    Ok(text)
}
