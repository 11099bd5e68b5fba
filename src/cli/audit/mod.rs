//! `keystead audit`

mod export;
mod near;
mod proof;
mod prune;
mod query;
mod rows;
mod show;
mod stats;
mod tail;
mod verify;
mod witness;

use std::{fs, io::Read, path::Path};

pub(super) use rows::what;

use clap::Subcommand;

use super::{error::CommandError, exit::Exit, global::Global};
use crate::{
    keystore::Keystore,
    kms::{Caller, DescribeKey},
    model::{KeyRef, ParseError, Timestamp},
};

/// Read, verify and prove the audit log
#[expect(clippy::large_enum_variant, reason = "one is made, once")]
#[derive(Debug, Subcommand)]
pub(super) enum Audit {
    Tail(tail::Tail),
    Query(query::Query),
    Show(show::Show),
    Stats(stats::Stats),
    Verify(verify::Verify),
    Checkpoint(verify::Checkpoint),
    Prove(proof::Prove),
    ProveGrowth(proof::ProveGrowth),
    VerifyProof(proof::VerifyProof),
    #[command(subcommand)]
    Witness(witness::Witness),
    Prune(prune::Prune),
    Export(export::Export),
    PublicKeys(export::PublicKeys),
}

impl Audit {
    pub(super) fn run(&self, global: &Global) -> Result<(), CommandError> {
        match self {
            Self::Tail(command) => command.run(global),
            Self::Query(command) => command.run(global),
            Self::Show(command) => command.run(global),
            Self::Stats(command) => command.run(global),
            Self::Verify(command) => command.run(global),
            Self::Checkpoint(command) => command.run(global),
            Self::Prove(command) => command.run(global),
            Self::ProveGrowth(command) => command.run(global),
            Self::VerifyProof(command) => command.run(global),
            Self::Witness(command) => command.run(global),
            Self::Prune(command) => command.run(global),
            Self::Export(command) => command.run(global),
            Self::PublicKeys(command) => command.run(global),
        }
    }
}

/// The ARN of the key that a person names, as the caller may see it.
fn key_arn(keystore: &Keystore, caller: &Caller, key: &KeyRef) -> Result<String, CommandError> {
    let described = keystore.kms().describe_key(caller, DescribeKey { key_id: key.clone() })?;
    Ok(described.arn.to_string())
}

/// A time as records have it, or as people write it: with a space for the `T`, without a zone (UTC), or a date alone.
fn time(text: &str) -> Result<Timestamp, ParseError> {
    text.parse::<Timestamp>().or_else(|error| {
        let civil = text.parse::<jiff::civil::DateTime>().map_err(|_| error.clone())?;
        let time = civil.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| error)?;
        Ok(Timestamp::from_millis(time.timestamp().as_millisecond()))
    })
}

/// The text of a file of at most so many bytes.
fn read_text(path: &Path, bytes_max: usize) -> Result<String, CommandError> {
    let failed = |why: &dyn std::fmt::Display| CommandError::new(Exit::Failed, why).about(path);
    let file = fs::File::open(path).map_err(|error| failed(&error))?;
    let mut text = String::new();
    let read = file.take(bytes_max as u64 + 1).read_to_string(&mut text).map_err(|error| failed(&error))?;
    if read > bytes_max { Err(failed(&"the file is too long")) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_taken_as_people_write_them() {
        let expected: Timestamp = "2026-11-26T10:29:00Z".parse().unwrap();
        for text in
            ["2026-11-26T10:29:00Z", "2026-11-26 10:29:00", "2026-11-26T10:29", "2026-11-26T12:29:00+02:00"]
        {
            assert_eq!(time(text), Ok(expected), "{text}");
        }
        assert_eq!(time("2026-11-26").unwrap().to_rfc3339(), "2026-11-26T00:00:00Z");
        for text in ["", "yesterday", "10:29", "2026-13-01"] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
