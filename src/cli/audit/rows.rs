//! A record in a row of a table.

use crate::audit::Record;

/// When, who, what, on what and how it ended.
pub(super) fn row(record: &Record) -> Vec<String> {
    vec![when(record), who(record), record.event_name.clone(), what(record), outcome(record)]
}

/// Without the zone, which is always UTC.
pub(super) fn when(record: &Record) -> String {
    record.event_time.to_rfc3339().replace('T', " ").trim_end_matches('Z').into()
}

pub(super) fn who(record: &Record) -> String {
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

pub(super) fn last_segment(arn: &str) -> &str {
    arn.splitn(6, ':').nth(5).unwrap_or(arn)
}

pub(super) fn outcome(record: &Record) -> String {
    match &record.error_code {
        Some(code) => code.strip_suffix("Exception").unwrap_or(code).into(),
        None => "ok".into(),
    }
}
