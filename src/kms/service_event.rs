//! The records of what the service does by itself (CloudTrail's `AwsServiceEvent`): nobody called, and no request id.

use serde_json::Value;

use super::{CallError, commit::Recorded};
use crate::{
    audit::{EVENT_VERSION, EventType, Record, ResourceEntry, UserIdentity},
    crypto::random::Random,
    model::{Tier, Timestamp},
    world::{Key, World},
};

/// The record of an act on this key; none when the key is a service's own, which no customer's log shows.
pub(super) fn records(
    world: &World,
    key: &Key,
    at: Timestamp,
    name: &'static str,
    details: Value,
    random: &mut dyn Random,
) -> Result<Vec<Recorded>, CallError> {
    if key.tier == Tier::AwsOwned {
        return Ok(Vec::new());
    }
    let account = key.arn.account().clone();
    let record = Record {
        event_version: EVENT_VERSION.into(),
        user_identity: UserIdentity::aws_internal(account.clone()),
        event_time: at,
        event_source: "kms.amazonaws.com".into(),
        event_name: name.into(),
        aws_region: world.settings().region.clone(),
        source_ip_address: "AWS Internal".into(),
        user_agent: "AWS Internal".into(),
        error_code: None,
        error_message: None,
        request_parameters: Value::Null,
        response_elements: Value::Null,
        additional_event_data: None,
        request_id: None,
        event_id: random.uuid()?,
        read_only: false,
        resources: vec![ResourceEntry::kms_key(&key.arn)],
        event_type: EventType::AwsServiceEvent,
        management_event: true,
        recipient_account_id: account,
        shared_event_id: None,
        vpc_endpoint_id: None,
        service_event_details: details.as_object().cloned(),
        event_category: "Management".into(),
        tls_details: None,
    };
    Ok(vec![(&record).into()])
}
