//! `keystead audit`

use clap::{Args, Subcommand};

use super::{error::CommandError, global::Global, output};
use crate::audit::Record;

/// Read and verify the audit log
#[derive(Debug, Subcommand)]
pub(super) enum Audit {
    Tail(Tail),
    Verify(Verify),
}

/// Show the last events
///
/// Example: keystead audit tail -n 5
///
/// With `--json` each event is a line in CloudTrail's shape.
#[derive(Debug, Args)]
pub(super) struct Tail {
    /// How many
    #[arg(short = 'n', long, default_value_t = 20, value_name = "N")]
    number: usize,
}

/// Verify the whole log: every record, every signature, and that it reaches as far as the keystore knows
#[derive(Debug, Args)]
pub(super) struct Verify {}

impl Audit {
    pub(super) fn run(&self, global: &Global) -> Result<(), CommandError> {
        match self {
            Self::Tail(tail) => tail.run(global),
            Self::Verify(Verify {}) => verify(global),
        }
    }
}

impl Tail {
    fn run(&self, global: &Global) -> Result<(), CommandError> {
        let (keystore, caller) = global.session()?;
        let records = keystore.audit_tail(&caller, self.number)?;
        if global.json {
            return records.iter().try_for_each(output::json_line);
        }
        let rows = records.iter().map(|record| {
            vec![when(record), who(record), record.event_name.clone(), what(record), outcome(record)]
        });
        Ok(output::table(&["TIME", "WHO", "EVENT", "RESOURCE", "RESULT"], rows)?)
    }
}

/// Without the zone, which is always UTC.
fn when(record: &Record) -> String {
    record.event_time.to_rfc3339().replace('T', " ").trim_end_matches('Z').into()
}

fn who(record: &Record) -> String {
    let identity = &record.user_identity;
    let Some(arn) = &identity.arn else { return "the service".into() };
    let name = last_segment(arn.as_str());
    let name = name.strip_prefix("assumed-role/").unwrap_or(name);
    match &identity.invoked_by {
        Some(service) => format!("{name} ({})", service.trim_end_matches(".amazonaws.com")),
        None => name.into(),
    }
}

/// What the call was about, as short as it stays clear: a bucket goes without saying beside its object, a key beside its
/// alias.
fn what(record: &Record) -> String {
    let is_there = |kind: &str| record.resources.iter().any(|resource| resource.resource_type == kind);
    let goes_without_saying = match (is_there("AWS::S3::Object"), is_there("AWS::KMS::Alias")) {
        (true, _) => "AWS::S3::Bucket",
        (_, true) => "AWS::KMS::Key",
        _ => "",
    };
    let told = record.resources.iter().filter(|resource| resource.resource_type != goes_without_saying);
    let names = told.map(|resource| {
        let name = last_segment(&resource.arn);
        match name.strip_prefix("key/").and_then(|id| id.get(..8)) {
            Some(start) => format!("key/{start}"),
            None => name.into(),
        }
    });
    names.collect::<Vec<_>>().join(" ")
}

fn last_segment(arn: &str) -> &str {
    arn.splitn(6, ':').nth(5).unwrap_or(arn)
}

fn outcome(record: &Record) -> String {
    match &record.error_code {
        Some(code) => code.strip_suffix("Exception").unwrap_or(code).into(),
        None => "ok".into(),
    }
}

fn verify(global: &Global) -> Result<(), CommandError> {
    let verified = global.open()?.audit_verify()?;
    if global.json {
        return output::json(&serde_json::json!({
            "Origin": verified.origin,
            "Records": verified.records,
            "Segments": verified.segments,
            "Checkpoints": verified.checkpoints,
            "Root": hex::encode(verified.root),
        }));
    }
    output::facts(&[
        ("Records", verified.records.to_string()),
        ("Segments", verified.segments.to_string()),
        ("Signed checkpoints", verified.checkpoints.to_string()),
        ("Root", hex::encode(verified.root)),
    ])?;
    output::say("the audit log is whole");
    Ok(())
}
