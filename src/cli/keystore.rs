//! `keystead keystore`

use clap::{Args, Subcommand};

use super::{
    error::CommandError,
    global::{Global, holder},
    output,
};
use crate::{keystore, lab::cost::monthly_usd_of};

/// Look after the keystore as a whole
#[derive(Debug, Subcommand)]
pub(super) enum Keystore {
    Show(Show),
    RotateRoot(RotateRoot),
    Recover(Recover),
}

/// Show where the keystore is, how it is sealed and what it holds
#[derive(Debug, Args)]
pub(super) struct Show {}

/// Reseal the keystore with a new root key
///
/// Every key material is wrapped anew. The new root key is sealed as the old one was: a new key file takes the place of
/// the old one, which opens nothing any more. Copy it.
#[derive(Debug, Args)]
pub(super) struct RotateRoot {}

/// Open a keystore whose database is an older copy than its log
///
/// Every other command refuses it, and so does this one without the flag. What was done since the copy was made is given
/// up: keys, policies and grants are as they were then, and keys that were deleted since are back. The log keeps what it
/// had, and a signed `AcceptRollback` record names what no longer holds.
#[derive(Debug, Args)]
pub(super) struct Recover {
    /// Take the older database as it is
    #[arg(long)]
    accept_rollback: bool,
}

impl Keystore {
    pub(super) fn run(&self, global: &Global) -> Result<(), CommandError> {
        match self {
            Self::Show(Show {}) => show(global),
            Self::RotateRoot(RotateRoot {}) => rotate_root(global),
            Self::Recover(recover) => recover.run(global),
        }
    }
}

impl Recover {
    fn run(&self, global: &Global) -> Result<(), CommandError> {
        let rolled_back = if self.accept_rollback {
            let (directory, mut unsealer) = (global.directory()?, global.unsealer());
            keystore::Keystore::open_accepting_rollback(&directory, &mut unsealer, &holder())?.1
        } else {
            global.open()?;
            None
        };
        if global.json {
            return output::json(&serde_json::json!({
                "StateSize": rolled_back.map(|one| one.state_size),
                "NotApplied": rolled_back.map_or(0, |one| one.not_applied),
            }));
        }
        match rolled_back {
            None => output::say("there is nothing to recover: database and log belong together"),
            Some(one) => output::say(&format!(
                "the database is as it was when the log had {} records; {} changes since are given up, and a record in the \
                 log says so",
                one.state_size, one.not_applied
            )),
        }
        Ok(())
    }
}

fn show(global: &Global) -> Result<(), CommandError> {
    let keystore = global.open()?;
    let (settings, world) = (keystore.settings()?, keystore.world()?);
    let path = keystore.path().map(|path| path.display().to_string()).unwrap_or_default();
    let (keys, buckets, identities) =
        (world.keys().count(), world.buckets().count(), world.identities().count());
    if global.json {
        return output::json(&serde_json::json!({
            "Keystore": path, "Seal": keystore.seal(), "Account": settings.account, "Region": settings.region,
            "Time": keystore.time().to_rfc3339(), "Keys": keys, "Buckets": buckets, "Identities": identities, "MonthlyUSD": monthly_usd_of(&world),
        }));
    }
    Ok(output::facts(&[
        ("Keystore", path),
        ("Sealed by", keystore.seal()),
        ("Account", settings.account.to_string()),
        ("Region", settings.region.to_string()),
        ("Time", keystore.time().to_rfc3339()),
        ("At AWS", format!("its keys would cost {} USD a month", monthly_usd_of(&world))),
        (
            "Holds",
            format!(
                "{keys} keys (the services' own included), {identities} users and roles, {buckets} buckets"
            ),
        ),
    ])?)
}

fn rotate_root(global: &Global) -> Result<(), CommandError> {
    let mut unsealer = global.unsealer();
    let (keystore, caller) = global.session_with(&mut unsealer)?;
    let seal = keystore.seal();
    keystore.rotate_root(&caller, &mut unsealer)?;
    if global.json {
        return output::json(&serde_json::json!({"Seal": seal}));
    }
    output::say(&format!("the keystore has a new root key, sealed by {seal}"));
    if seal.starts_with("key file") {
        output::say("Copies of the old key file open nothing any more: make a new copy.");
    }
    Ok(())
}
