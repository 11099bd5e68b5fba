//! `keystead audit query`

use clap::Args;

use super::{near::Asked, rows, time};
use crate::{
    audit::query::{Attribute, Filter},
    cli::{error::CommandError, global::Global, output},
    model::{KeyRef, ParseError, Timestamp},
    services::cloudtrail::Search,
};

/// Find events, the newest first
///
/// Example: keystead audit query --principal user/bob --outcome denied --since 2026-11-01T00:00:00Z
///
/// Several flags must all hold. With `--json` each event is a line in CloudTrail's shape.
#[derive(Debug, Args)]
pub(crate) struct Query {
    /// The event with this id
    #[arg(long, value_name = "ID")]
    event_id: Option<String>,
    /// The operation, such as Decrypt
    #[arg(long, value_name = "NAME")]
    event_name: Option<String>,
    /// The service, such as kms.amazonaws.com
    #[arg(long, value_name = "SERVICE")]
    event_source: Option<String>,
    /// Whether the call could change nothing: true or false
    #[arg(long, value_name = "BOOL")]
    read_only: Option<bool>,
    /// A user's or session's name
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    /// A resource's type, such as AWS::KMS::Key
    #[arg(long, value_name = "TYPE")]
    resource_type: Option<String>,
    /// A resource's ARN or name
    #[arg(long, value_name = "NAME")]
    resource_name: Option<String>,
    /// The access key that signed the call
    #[arg(long, value_name = "ID")]
    access_key_id: Option<String>,
    /// The caller: user/NAME, role/NAME or an ARN
    #[arg(long, value_name = "WHO")]
    principal: Option<String>,
    /// A key by id, ARN or alias, whatever name the call had for it
    #[arg(long, value_name = "KEY")]
    key: Option<KeyRef>,
    /// How the call ended: ok, denied, failed (denied or otherwise) or an error code, such as NotFoundException
    #[arg(long, value_name = "OUTCOME", value_parser = outcome)]
    outcome: Option<String>,
    /// Not before this time, such as 2026-11-22T21:46:05Z; in UTC when no zone is given
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,
    /// Not after this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
    /// How many at most
    #[arg(short = 'n', long, default_value_t = 20, value_name = "N")]
    number: usize,
}

/// How a call can have ended, but for the codes of errors.
const OUTCOMES: &[&str] = &["ok", "denied", "failed"];

/// An outcome as the records have it; the short code that a table shows is taken too.
fn outcome(text: &str) -> Result<String, ParseError> {
    let is_code = text.starts_with(|first: char| first.is_ascii_uppercase())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '.');
    match text.strip_suffix("Exception").unwrap_or(text) {
        "AccessDenied" => Ok("AccessDenied".into()),
        _ if is_code || OUTCOMES.contains(&text) => Ok(text.into()),
        _ => Err(ParseError::new(format!(
            "`{text}` is no outcome: it is {} or an error's code, such as AccessDenied",
            OUTCOMES.join(", ")
        ))),
    }
}

impl Query {
    pub(crate) fn run(&self, global: &Global) -> Result<(), CommandError> {
        let (keystore, caller) = global.session()?;
        let key = match &self.key {
            None => None,
            Some(key) => Some(super::key_arn(&keystore, &caller, key)?),
        };
        let read_only = self.read_only.map(|read_only| read_only.to_string());
        let given = [
            (Attribute::EventId, &self.event_id),
            (Attribute::EventName, &self.event_name),
            (Attribute::EventSource, &self.event_source),
            (Attribute::ReadOnly, &read_only),
            (Attribute::Username, &self.username),
            (Attribute::ResourceType, &self.resource_type),
            (Attribute::ResourceName, &self.resource_name),
            (Attribute::ResourceName, &key),
            (Attribute::AccessKeyId, &self.access_key_id),
            (Attribute::Principal, &self.principal),
            (Attribute::Outcome, &self.outcome),
        ];
        let filters = given.into_iter().filter_map(|(attribute, value)| {
            value.as_ref().map(|value| Filter::new(attribute, value.as_str()))
        });
        let search =
            Search { filters: filters.collect::<Result<_, _>>()?, since: self.since, until: self.until };
        let found = keystore.cloudtrail().search(&caller, &search, self.number)?;
        if global.json {
            return found.iter().try_for_each(|one| output::json_line(&one.record));
        }
        if found.is_empty() {
            output::say("no event is like that");
            let asked = Asked {
                event_name: self.event_name.as_deref(),
                principal: self.principal.as_deref(),
                outcome: self.outcome.as_deref().filter(|outcome| !OUTCOMES.contains(outcome)),
            };
            asked.hints(&keystore, &caller)?.iter().for_each(|hint| output::say(hint));
            return Ok(());
        }
        rows::EVENTS.print(found.iter().map(|one| rows::row(one.sequence, &one.record)))?;
        Ok(())
    }
}
