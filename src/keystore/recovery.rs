//! What a crash leaves to be said: changes that were recorded and never made.
//!
//! A mutation's record is durable before its state. When the process dies between the two, the record stands in the log
//! and the change was never answered. The next opening appends a record that says so, naming the events.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::KeystoreError;
use crate::{
    audit::{
        AuditLog, EVENT_VERSION, EventType, LogFault, LogPosition, Record, UserIdentity,
        directory::DiskDirectory, read,
    },
    crypto::random::{Random, SystemRandom},
    kms::{Clock, SystemClock},
    storage::{Batch, Storage},
    world::World,
};

/// Appends a record that names the changes which the log has beyond `state`, and ties state and log together again.
pub(super) fn disown_unapplied(
    log: &mut AuditLog,
    storage: &mut dyn Storage,
    directory: &Path,
    world: &World,
    state: LogPosition,
) -> Result<(), KeystoreError> {
    if log.position().size == state.size {
        return Ok(());
    }
    let unapplied = unapplied_since(directory, state.size)?;
    if unapplied.is_empty() {
        return Ok(());
    }
    let record = record(world, &unapplied)?;
    let position = log.append_batch(&[record.to_canonical_bytes()])?;
    Ok(storage.commit(&Batch::at(position))?)
}

/// The ids of the events since `first` that changed something, or would have.
fn unapplied_since(directory: &Path, first: u64) -> Result<Vec<String>, KeystoreError> {
    let directory = DiskDirectory::new(directory);
    let fault = |fault: LogFault| KeystoreError::Audit(fault.into());
    let mut events = Vec::new();
    for stored in read::records(&directory, first).map_err(fault)? {
        let record = stored.map_err(fault)?.parse()?;
        if !record.read_only && record.succeeded() {
            events.push(record.event_id);
        }
    }
    Ok(events)
}

fn record(world: &World, unapplied: &[String]) -> Result<Record, KeystoreError> {
    let random: &mut dyn Random = &mut SystemRandom;
    let event_id = uuid::Builder::from_random_bytes(random.array()?).into_uuid().to_string();
    let settings = world.settings();
    let details: Map<String, Value> = Map::from_iter([("notApplied".to_owned(), json!(unapplied))]);
    Ok(Record {
        event_version: EVENT_VERSION.into(),
        user_identity: UserIdentity::aws_internal(settings.account.clone()),
        event_time: SystemClock.now().plus_millis(settings.clock_offset_millis),
        event_source: "keystead.local".into(),
        event_name: "RecoverAfterCrash".into(),
        aws_region: settings.region.clone(),
        source_ip_address: "AWS Internal".into(),
        user_agent: "AWS Internal".into(),
        error_code: None,
        error_message: None,
        request_parameters: Value::Null,
        response_elements: Value::Null,
        additional_event_data: None,
        request_id: None,
        event_id,
        read_only: true,
        resources: Vec::new(),
        event_type: EventType::AwsServiceEvent,
        management_event: true,
        recipient_account_id: settings.account.clone(),
        shared_event_id: None,
        service_event_details: Some(details),
        event_category: "Management".into(),
        tls_details: None,
    })
}
