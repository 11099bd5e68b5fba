//! `keystead keystore`

use clap::{Args, Subcommand};

use super::{
    audit,
    error::CommandError,
    global::{Global, holder},
    output,
    table::Table,
};
use crate::{
    keystore::{self, AcceptedRollback},
    lab::cost::monthly_usd_of,
};

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
/// up: keys, policies and grants are as they were then, keys that were deleted since are back, and the keystore's clock
/// goes back with them. The log keeps what it had, and a signed `AcceptRollback` record names what no longer holds.
#[derive(Debug, Args)]
pub(super) struct Recover {
    /// Take the older database as it is
    #[arg(long)]
    accept_rollback: bool,
}

/// How many changes that are given up are named.
const GIVEN_UP_SHOWN: usize = 10;

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
            let events = rolled_back.iter().flat_map(|one| &one.given_up).map(|one| {
                serde_json::json!({
                    "Number": one.number, "EventTime": one.time.to_rfc3339(), "EventName": one.event_name,
                    "Resources": one.resources.iter().map(|resource| &resource.arn).collect::<Vec<_>>(),
                    "EventId": one.event_id,
                })
            });
            return output::json(&serde_json::json!({
                "StateSize": rolled_back.as_ref().map(|one| one.state_size),
                "NotApplied": rolled_back.as_ref().map_or(0, |one| one.not_applied),
                "GivenUp": events.collect::<Vec<_>>(),
            }));
        }
        let Some(one) = rolled_back else {
            output::say("there is nothing to recover: database and log belong together");
            return Ok(());
        };
        let are = if one.not_applied == 1 { "is" } else { "are" };
        output::say(&format!(
            "the database is as it was when the log had {}; {} since {are} given up, and a record in the log says so:",
            output::count(one.state_size, "record"),
            output::count(one.not_applied as u64, "change"),
        ));
        list_given_up(&one)
    }
}

/// Names the first changes that are given up.
fn list_given_up(rolled_back: &AcceptedRollback) -> Result<(), CommandError> {
    let rows = rolled_back.given_up.iter().take(GIVEN_UP_SHOWN).map(|one| {
        let resource = audit::what(&one.resources);
        vec![one.number.to_string(), one.time.to_rfc3339(), one.event_name.clone(), resource]
    });
    Table::new(&["#", "TIME", "EVENT", "RESOURCE"]).print(rows)?;
    let more = rolled_back.not_applied.saturating_sub(GIVEN_UP_SHOWN);
    if more > 0 {
        output::say(&format!("and {more} more: `keystead audit query --event-name AcceptRollback --json`"));
    }
    output::say("see one with `keystead audit show NUMBER`");
    Ok(())
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
                "{} (the services' own included), {}, {}",
                output::count(keys as u64, "key"),
                if identities == 1 {
                    "1 user or role".into()
                } else {
                    format!("{identities} users and roles")
                },
                output::count(buckets as u64, "bucket")
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
