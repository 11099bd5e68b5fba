//! LookupEvents as CloudTrail answers it: pages of at most fifty, each event with its record as text.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use serde::Serialize;

use super::{CloudTrail, Search};
use crate::{
    audit::{
        index::Found,
        query::{Attribute, Filter, username},
    },
    crypto::digest::sha256,
    kms::{CallError, Caller},
    model::Timestamp,
};

/// The most events of a page (CloudTrail API, LookupEvents, MaxResults).
pub const EVENTS_PER_PAGE_MAX: usize = 50;
/// How many bytes of a token tie it to the search that it goes on with.
const TIE_BYTES: usize = 8;

/// What of an event is compared (CloudTrail API, LookupAttributeKey).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupAttribute {
    /// `EventId`, `EventName`, `ReadOnly`, `Username`, `ResourceType`, `ResourceName`, `EventSource` or `AccessKeyId`.
    pub key: String,
    /// The value.
    pub value: String,
}

/// What is looked up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LookupEvents {
    /// What must hold; CloudTrail takes one at most.
    pub lookup_attributes: Vec<LookupAttribute>,
    /// Not before this time.
    pub start_time: Option<Timestamp>,
    /// Not after this time.
    pub end_time: Option<Timestamp>,
    /// How many, 1 to [`EVENTS_PER_PAGE_MAX`]; as many when nothing is said.
    pub max_results: Option<usize>,
    /// Where the page before ended.
    pub next_token: Option<String>,
}

/// A page of events.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct LookedUpEvents {
    /// The events, the newest first.
    pub events: Vec<Event>,
    /// With what to ask for the next page; none after the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// An event (CloudTrail API, Event).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Event {
    /// The record's id.
    pub event_id: String,
    /// The operation.
    pub event_name: String,
    /// `true` or `false`, as text.
    pub read_only: String,
    /// The access key that signed the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<String>,
    /// When; in seconds since 1970 on the wire.
    #[serde(serialize_with = "seconds")]
    pub event_time: Timestamp,
    /// The service.
    pub event_source: String,
    /// Who.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// What the call was about.
    pub resources: Vec<EventResource>,
    /// The whole record as JSON in text.
    pub cloud_trail_event: String,
}

/// A resource of an event (CloudTrail API, Resource).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct EventResource {
    /// Such as `AWS::KMS::Key`.
    pub resource_type: String,
    /// Its ARN.
    pub resource_name: String,
}

fn seconds<S: serde::Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_i64(time.as_millis().div_euclid(1000))
}

impl CloudTrail<'_> {
    /// Looks events up: a page of the management events of the caller's account, the newest first.
    ///
    /// # Errors
    ///
    /// `ValidationException` for parameters that CloudTrail refuses, `AccessDeniedException`, or when the log cannot be
    /// read.
    pub fn lookup_events(
        &self,
        caller: &Caller,
        request: &LookupEvents,
    ) -> Result<LookedUpEvents, CallError> {
        let limit = request.max_results.unwrap_or(EVENTS_PER_PAGE_MAX);
        if !(1..=EVENTS_PER_PAGE_MAX).contains(&limit) {
            return Err(CallError::validation(format!("MaxResults must be from 1 to {EVENTS_PER_PAGE_MAX}")));
        }
        if request.lookup_attributes.len() > 1 {
            return Err(CallError::validation("LookupAttributes can hold one attribute"));
        }
        if let (Some(start), Some(end)) = (request.start_time, request.end_time)
            && start > end
        {
            return Err(CallError::validation("StartTime must not be after EndTime"));
        }
        let filters = request.lookup_attributes.iter().map(filter).collect::<Result<Vec<_>, _>>()?;
        let search = Search { filters, since: request.start_time, until: request.end_time };
        let below = request.next_token.as_deref().map(|token| open_token(token, &search)).transpose()?;
        self.permit(caller, &search)?;
        let (mut events, mut below) = (Vec::new(), below);
        // Data events stand in the log too, and are not answered.
        loop {
            let found = self.find(caller, &search, below, EVENTS_PER_PAGE_MAX)?;
            let ended = found.len() < EVENTS_PER_PAGE_MAX;
            for one in found {
                if events.len() == limit {
                    let next_token = below.map(|below| token(below, &search));
                    return Ok(LookedUpEvents { events, next_token });
                }
                below = Some(one.sequence);
                if one.record.management_event {
                    events.push(event(one));
                }
            }
            if ended {
                return Ok(LookedUpEvents { events, next_token: None });
            }
        }
    }
}

fn filter(attribute: &LookupAttribute) -> Result<Filter, CallError> {
    let key = match attribute.key.as_str() {
        "EventId" => Attribute::EventId,
        "EventName" => Attribute::EventName,
        "ReadOnly" => Attribute::ReadOnly,
        "Username" => Attribute::Username,
        "ResourceType" => Attribute::ResourceType,
        "ResourceName" => Attribute::ResourceName,
        "EventSource" => Attribute::EventSource,
        "AccessKeyId" => Attribute::AccessKeyId,
        other => return Err(CallError::validation(format!("`{other}` is no lookup attribute"))),
    };
    Ok(Filter::new(key, attribute.value.as_str())?)
}

fn event(found: Found) -> Event {
    let record = found.record;
    let resource = |one: &crate::audit::ResourceEntry| EventResource {
        resource_type: one.resource_type.to_string(),
        resource_name: one.arn.clone(),
    };
    Event {
        event_id: record.event_id.clone(),
        event_name: record.event_name.to_string(),
        read_only: record.read_only.to_string(),
        access_key_id: record.user_identity.access_key_id.clone(),
        event_time: record.event_time,
        event_source: record.event_source.to_string(),
        username: username(&record).map(ToOwned::to_owned),
        resources: record.resources.iter().map(resource).collect(),
        cloud_trail_event: String::from_utf8_lossy(&record.to_canonical_bytes()).into_owned(),
    }
}

/// Where a page ended, tied to what was looked up: with another search it makes no sense.
fn token(below: u64, search: &Search) -> String {
    BASE64.encode([below.to_be_bytes().as_slice(), &tie(search)].concat())
}

fn open_token(token: &str, search: &Search) -> Result<u64, CallError> {
    let bad = || CallError::validation("the NextToken is not one of this search");
    let bytes = BASE64.decode(token).map_err(|_| bad())?;
    let (below, tied) = bytes.split_first_chunk::<8>().ok_or_else(bad)?;
    if tied == tie(search) { Ok(u64::from_be_bytes(*below)) } else { Err(bad()) }
}

fn tie(search: &Search) -> [u8; TIE_BYTES] {
    let [a, b, c, d, e, f, g, h, ..] = sha256(&[format!("{search:?}").as_bytes()]);
    [a, b, c, d, e, f, g, h]
}
