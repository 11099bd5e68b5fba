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

/// What the record of a recovery is known by. No operation has this name, so no caller can make one.
const EVENT_SOURCE: &str = "keystead.local";
const EVENT_NAME: &str = "RecoverAfterCrash";
const NOT_APPLIED: &str = "notApplied";

/// Compares what the log has beyond `state` with what a crash can leave. Changes that were recorded and never made are
/// named in a record of their own, and state and log are tied together again.
///
/// # Errors
///
/// [`KeystoreError::Torn`] when the state is older than any crash leaves it: an older copy of the database, which would
/// bring deleted keys back.
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
    let since = Since::read(directory, state.size)?;
    // The writer begins a batch only when the state has taken the one before: a crash leaves one batch unmade at most.
    if let Some((number, event)) = since.unapplied.iter().find(|(number, _)| *number < log.last_batch()) {
        return Err(KeystoreError::Torn(format!(
            "the database is an older copy: it lacks what the log's record {number} (event {event}) did, and more happened \
             after that"
        )));
    }
    let position = if since.unapplied.is_empty() {
        if !since.recovered {
            return Ok(());
        }
        log.position()
    } else {
        let events: Vec<String> = since.unapplied.into_iter().map(|(_, event)| event).collect();
        log.append_batch(&[record(world, &events)?.to_canonical_bytes()])?
    };
    Ok(storage.commit(&Batch::at(position))?)
}

/// What the log has beyond the state.
#[derive(Default)]
struct Since {
    /// The changes that are not disowned yet: number and event id.
    unapplied: Vec<(u64, String)>,
    /// Whether a recovery before this one came as far as its record.
    recovered: bool,
}

impl Since {
    fn read(directory: &Path, first: u64) -> Result<Self, KeystoreError> {
        let directory = DiskDirectory::new(directory);
        let fault = |fault: LogFault| KeystoreError::Audit(fault.into());
        let mut since = Self::default();
        for stored in read::records(&directory, first).map_err(fault)? {
            let stored = stored.map_err(fault)?;
            since.take(stored.sequence, stored.parse()?);
        }
        Ok(since)
    }

    fn take(&mut self, number: u64, record: Record) {
        if record.is_change() {
            self.unapplied.push((number, record.event_id));
        } else if (record.event_source.as_str(), record.event_name.as_str()) == (EVENT_SOURCE, EVENT_NAME) {
            self.recovered = true;
            let details = record.service_event_details.unwrap_or_default();
            let disowned = details.get(NOT_APPLIED).and_then(Value::as_array);
            self.unapplied.retain(|(_, event)| disowned.is_none_or(|events| !events.contains(&json!(event))));
        }
    }
}

fn record(world: &World, unapplied: &[String]) -> Result<Record, KeystoreError> {
    let random: &mut dyn Random = &mut SystemRandom;
    let event_id = uuid::Builder::from_random_bytes(random.array()?).into_uuid().to_string();
    let settings = world.settings();
    let details: Map<String, Value> = Map::from_iter([(NOT_APPLIED.to_owned(), json!(unapplied))]);
    Ok(Record {
        event_version: EVENT_VERSION.into(),
        user_identity: UserIdentity::aws_internal(settings.account.clone()),
        event_time: SystemClock.now().plus_millis(settings.clock_offset_millis),
        event_source: EVENT_SOURCE.into(),
        event_name: EVENT_NAME.into(),
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
