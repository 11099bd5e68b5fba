//! `keystead audit`

use clap::{Args, Subcommand};

use super::{error::CommandError, global::Global, output};
use crate::audit::{EventType, Record};

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
#[command(verbatim_doc_comment)]
pub(super) struct Tail {
    /// How many
    #[arg(short = 'n', long, default_value_t = 20, value_name = "N")]
    number: usize,
}

/// Verify the whole log: every record, every signature, and that nothing is missing
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
            vec![
                record.event_time.to_string(),
                who(record),
                record.event_name.clone(),
                what(record),
                outcome(record),
            ]
        });
        Ok(output::table(&["TIME", "WHO", "EVENT", "RESOURCE", "RESULT"], rows)?)
    }
}

fn who(record: &Record) -> String {
    let identity = &record.user_identity;
    let name = match (&identity.arn, record.event_type) {
        (Some(arn), _) => arn.as_str().splitn(6, ':').nth(5).unwrap_or_default().to_owned(),
        (None, EventType::AwsServiceEvent) => "the service itself".into(),
        (None, _) => String::new(),
    };
    match &identity.invoked_by {
        Some(service) if identity.arn.is_some() => {
            format!("{name} via {}", service.trim_end_matches(".amazonaws.com"))
        }
        _ => name,
    }
}

fn what(record: &Record) -> String {
    let names =
        record.resources.iter().map(|resource| resource.arn.splitn(6, ':').nth(5).unwrap_or_default());
    names.collect::<Vec<_>>().join(" ")
}

fn outcome(record: &Record) -> String {
    record.error_code.clone().unwrap_or_else(|| "ok".into())
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
