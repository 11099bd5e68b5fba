//! A record in a row of a table.

use crate::{
    audit::{IdentityType, Record, ResourceEntry},
    cli::table::Table,
};

/// Events, with the numbers that `show` and `prove` take. On a narrow terminal an event takes two lines.
pub(super) const EVENTS: Table<'_> =
    Table::new(&["#", "TIME", "WHO", "EVENT", "RESOURCE", "RESULT"]).stacked(&[&[0], &[1], &[3, 2], &[5, 4]]);
/// How much of a long id is shown.
const ID_CHARS: usize = 8;

/// Its number, when, who, what, on what and how it ended.
pub(super) fn row(number: u64, record: &Record) -> Vec<String> {
    vec![
        number.to_string(),
        when(record),
        who(record),
        record.event_name.to_string(),
        what(&record.resources),
        outcome(record),
    ]
}

/// As times are written everywhere else.
pub(super) fn when(record: &Record) -> String {
    record.event_time.to_rfc3339()
}

/// Who called, in short.
pub(super) fn who(record: &Record) -> String {
    let identity = &record.user_identity;
    let name = match (&identity.arn, identity.identity_type) {
        (Some(arn), _) => {
            let name = last_segment(arn.as_str());
            name.strip_prefix("assumed-role/").unwrap_or(name).to_owned()
        }
        (None, Some(IdentityType::WebIdentityUser)) => return web_identity(record),
        (None, _) => return "the service".into(),
    };
    match &identity.invoked_by {
        Some(service) => format!("{name} ({})", service.trim_end_matches(".amazonaws.com")),
        None => name,
    }
}

/// Who called, in full.
pub(super) fn whole_who(record: &Record) -> String {
    match &record.user_identity.arn {
        Some(arn) => arn.to_string(),
        None => who(record),
    }
}

/// Whom an identity provider vouches for; nobody is named when its word was not believed.
fn web_identity(record: &Record) -> String {
    let identity = &record.user_identity;
    let provider = identity.identity_provider.as_deref().map(|arn| {
        let name = last_segment(arn);
        name.strip_prefix("oidc-provider/").unwrap_or(name)
    });
    match (&identity.user_name, provider) {
        (Some(subject), Some(provider)) => format!("{subject} ({provider})"),
        _ => "a web identity".into(),
    }
}

/// What the call was about, as short as it stays clear: a bucket goes without saying beside its object, a key beside its
/// alias.
pub(crate) fn what(resources: &[ResourceEntry]) -> String {
    let is_there = |kind: &str| resources.iter().any(|resource| resource.resource_type == kind);
    let goes_without_saying = match (is_there("AWS::S3::Object"), is_there("AWS::KMS::Alias")) {
        (true, _) => "AWS::S3::Bucket",
        (_, true) => "AWS::KMS::Key",
        _ => "",
    };
    let told = resources.iter().filter(|resource| resource.resource_type != goes_without_saying);
    told.map(|resource| short_id(last_segment(&resource.arn))).collect::<Vec<_>>().join(" ")
}

/// A name whose last part is a UUID, with as much of that as tells it from others.
pub(super) fn short_id(name: &str) -> String {
    let (before, last) = name.rsplit_once('/').map_or(("", name), |(before, last)| (before, last));
    let kept = last.get(..ID_CHARS).filter(|_| uuid::Uuid::try_parse(last).is_ok());
    match (kept, before) {
        (None, _) => name.into(),
        (Some(kept), "") => format!("{kept}…"),
        (Some(kept), before) => format!("{before}/{kept}…"),
    }
}

/// What of an ARN comes after the account.
pub(super) fn last_segment(arn: &str) -> &str {
    arn.splitn(6, ':').nth(5).unwrap_or(arn)
}

/// How it ended, in short.
pub(super) fn outcome(record: &Record) -> String {
    match &record.error_code {
        Some(code) => code.strip_suffix("Exception").unwrap_or(code).into(),
        None => "ok".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{UserIdentity, sample_record as sample};

    #[test]
    fn a_row_says_who_did_what() {
        let record = sample();
        let row = row(41, &record).join("  ");
        assert_eq!(row, "41  2026-11-22T21:52:45Z  user/bob  Decrypt  key/1234abcd…  AccessDenied");
    }

    #[test]
    fn whom_a_provider_vouches_for_is_named() {
        let account = "111122223333";
        let mut record = sample();
        let provider = format!("arn:aws:iam::{account}:oidc-provider/id.example.com");
        record.user_identity = UserIdentity::web_identity(
            account.parse().unwrap(),
            &provider,
            "keystead",
            "repo:org/models:main",
        );
        assert_eq!(who(&record), "repo:org/models:main (id.example.com)");
        record.user_identity.user_name = None;
        assert_eq!(who(&record), "a web identity");
        record.user_identity = UserIdentity::aws_internal(account.parse().unwrap());
        assert_eq!(who(&record), "the service");
    }

    #[test]
    fn long_ids_are_shortened_and_names_are_not() {
        let id = "1234abcd-12ab-34cd-56ef-1234567890ab";
        assert_eq!(short_id(&format!("certificate-authority/{id}")), "certificate-authority/1234abcd…");
        assert_eq!(short_id(id), "1234abcd…");
        for name in ["alias/research/models", "models/a/model.safetensors", "user/admin", ""] {
            assert_eq!(short_id(name), name);
        }
        let mut record = sample();
        record.resources.push(ResourceEntry {
            account_id: "111122223333".parse().unwrap(),
            resource_type: "AWS::KMS::Alias".into(),
            arn: "arn:aws:kms:us-east-1:111122223333:alias/models".into(),
        });
        assert_eq!(what(&record.resources), "alias/models", "a key goes without saying beside its alias");
    }
}
