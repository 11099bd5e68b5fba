//! CloudTrail over JSON 1.1: LookupEvents, by way of the service that `keystead audit` asks too.
//!
//! Source: LookupEvents (CloudTrail API reference) for members, limits and the errors' names.

use serde::Deserialize;

use super::{
    error::{Protocol, WireError},
    json::{is_too_deep, too_deep, written},
};
use crate::{
    kms::{CallError, Caller},
    model::{ErrorCode, Timestamp},
    services::cloudtrail::{CloudTrail, EVENTS_PER_PAGE_MAX, LookupAttribute, LookupEvents},
};

/// What stands before the operation in the header `X-Amz-Target`: as CloudTrail's model has it, and as some clients
/// shorten it.
const TARGET_PREFIXES: &[&str] =
    &["com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101", "CloudTrail_20131101"];

/// The one operation that is served.
pub const LOOKUP_EVENTS: &str = "LookupEvents";

/// The operation that a target names, when it is CloudTrail's.
#[must_use]
pub fn operation_of(target: &str) -> Option<&str> {
    let (prefix, operation) = target.rsplit_once('.')?;
    TARGET_PREFIXES.contains(&prefix).then_some(operation)
}

/// LookupEvents as it comes (CloudTrail API, LookupEventsRequest).
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Input {
    lookup_attributes: Option<Vec<Attribute>>,
    start_time: Option<f64>,
    end_time: Option<f64>,
    event_category: Option<String>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Attribute {
    attribute_key: String,
    attribute_value: String,
}

/// Answers an operation of CloudTrail. It waits for the audit record.
///
/// # Errors
///
/// What CloudTrail answers; `UnsupportedOperationException` for what it has and Keystead has not.
pub fn call(
    trail: CloudTrail<'_>,
    caller: &Caller,
    operation: &str,
    body: &[u8],
) -> Result<bytes::Bytes, WireError> {
    if operation != LOOKUP_EVENTS {
        return Err(WireError::unsupported(format!(
            "The operation {operation} is not supported by keystead."
        )));
    }
    let input = read(body)?;
    let no_events = match input.event_category.as_deref() {
        None => false,
        // Insights are what CloudTrail thinks of the events, and there is nobody here to think.
        Some("insight") => true,
        Some(_) => return Err(WireError::new("InvalidEventCategoryException", "")),
    };
    let request = request(input)?;
    let mut page = trail.lookup_events(caller, &request).map_err(|error| named(&error, &request))?;
    if no_events {
        page.events.clear();
        page.next_token = None;
    }
    written(&page)
}

fn read(body: &[u8]) -> Result<Input, WireError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Input::default());
    }
    if is_too_deep(body) {
        return Err(too_deep());
    }
    let refused = || WireError::serialization("The request body is not what LookupEvents takes.");
    // A list would do for a structure otherwise.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(refused());
    }
    serde_json::from_slice(body).map_err(|_| refused())
}

fn request(input: Input) -> Result<LookupEvents, WireError> {
    let max_results = match input.max_results.map(usize::try_from) {
        None => None,
        Some(Ok(limit)) if (1..=EVENTS_PER_PAGE_MAX).contains(&limit) => Some(limit),
        Some(_) => {
            let message = format!("MaxResults must be between 1 and {EVENTS_PER_PAGE_MAX}.");
            return Err(WireError::new("InvalidMaxResultsException", message));
        }
    };
    let (start_time, end_time) = (input.start_time.map(time), input.end_time.map(time));
    if let (Some(start), Some(end)) = (start_time, end_time)
        && start > end
    {
        return Err(WireError::new(
            "InvalidTimeRangeException",
            "The start time must not be after the end time.",
        ));
    }
    let attributes = input.lookup_attributes.unwrap_or_default().into_iter();
    Ok(LookupEvents {
        lookup_attributes: attributes
            .map(|one| LookupAttribute { key: one.attribute_key, value: one.attribute_value })
            .collect(),
        start_time,
        end_time,
        max_results,
        next_token: input.next_token,
    })
}

/// Seconds since 1970 with a fraction; what lies beyond the times that there are is the last or the first of them.
#[allow(
    clippy::cast_possible_truncation,
    reason = "a cast from a float saturates, and that is what is wanted"
)]
fn time(seconds: f64) -> Timestamp {
    Timestamp::from_millis((seconds * 1000.0) as i64)
}

/// The service's refusals of parameters have names of CloudTrail's own on the wire.
fn named(error: &CallError, request: &LookupEvents) -> WireError {
    let code = match (error.code(), &request.next_token) {
        (ErrorCode::Validation, Some(_)) => "InvalidNextTokenException",
        (ErrorCode::Validation, None) => "InvalidLookupAttributesException",
        _ => return WireError::of_call(error, Protocol::Json),
    };
    WireError::new(code, error.message())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::Lab;

    fn ask(lab: &Lab, caller: &Caller, input: &Value) -> Result<Value, String> {
        let trail = lab.keystore().cloudtrail();
        let answer = call(trail, caller, LOOKUP_EVENTS, input.to_string().as_bytes());
        answer.map(|body| serde_json::from_slice(&body).unwrap()).map_err(|error| error.code)
    }

    #[test]
    fn events_are_looked_up_by_who_may_in_the_shape_that_clients_read() {
        let lab = Lab::new().unwrap();
        let (admin, bob) = (lab.admin(), lab.user("bob", &["kms:*"]).unwrap());
        let key = lab.key().unwrap().to_string();
        let by_name =
            json!({"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "CreateKey"}]});
        let page = ask(&lab, &admin, &by_name).unwrap();
        let event = &page["Events"][0];
        assert_eq!((&event["EventName"], &event["ReadOnly"]), (&json!("CreateKey"), &json!("false")));
        assert_eq!(event["Resources"][0]["ResourceName"], json!(key));
        assert!(event["EventTime"].is_number());
        let record: Value = serde_json::from_str(event["CloudTrailEvent"].as_str().unwrap()).unwrap();
        assert_eq!(record["eventName"], "CreateKey");
        assert_eq!(ask(&lab, &admin, &json!({"EndTime": 0.5})).unwrap()["Events"], json!([]));
        assert_eq!(ask(&lab, &admin, &json!({"EventCategory": "insight"})).unwrap()["Events"], json!([]));
        assert_eq!(ask(&lab, &bob, &by_name), Err("AccessDeniedException".into()));
    }

    #[test]
    fn what_cloudtrail_refuses_has_its_names() {
        let lab = Lab::new().unwrap();
        for (input, code) in [
            (json!({"MaxResults": 51}), "InvalidMaxResultsException"),
            (json!({"MaxResults": 0}), "InvalidMaxResultsException"),
            (json!({"StartTime": 2, "EndTime": 1}), "InvalidTimeRangeException"),
            (json!({"NextToken": "x"}), "InvalidNextTokenException"),
            (json!({"EventCategory": "x"}), "InvalidEventCategoryException"),
            (
                json!({"LookupAttributes": [{"AttributeKey": "x", "AttributeValue": ""}]}),
                "InvalidLookupAttributesException",
            ),
            (json!({"StartTime": "now"}), "SerializationException"),
            (json!([]), "SerializationException"),
        ] {
            assert_eq!(ask(&lab, &lab.admin(), &input).unwrap_err(), code, "{input}");
        }
        let other = call(lab.keystore().cloudtrail(), &lab.admin(), "CreateTrail", b"{}").unwrap_err();
        assert_eq!(other.code, "UnsupportedOperationException");
        assert_eq!(operation_of("CloudTrail_20131101.LookupEvents"), Some(LOOKUP_EVENTS));
        assert_eq!(operation_of("TrentService.LookupEvents"), None);
    }
}
