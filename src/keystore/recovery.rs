//! What a crash leaves to be said: changes that were recorded and never made. And what a rollback does.
//!
//! A mutation's record is durable before its state. When the process dies between the two, the record stands in the log
//! and the change was never answered. The next opening appends a record that says so, naming the events.
//!
//! A database that lacks more than that is an older copy. It is refused, since it brings deleted keys back, unless
//! somebody says that it shall be taken: then that stands in the log, signed.

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

/// What the records of a recovery and of a rollback are known by. No operation has these names, so no caller can make one.
const EVENT_SOURCE: &str = "keystead.local";
const EVENT_NAME: &str = "RecoverAfterCrash";
const ROLLBACK_EVENT_NAME: &str = "AcceptRollback";
const NOT_APPLIED: &str = "notApplied";
/// Events that the record of a rollback names one by one; it says how many there are in all.
const EVENTS_NAMED_MAX: usize = 1000;

/// What is done about a database that is an older copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rollback {
    /// It is not opened.
    Refused,
    /// It is taken, and the log says so.
    Accepted,
}

/// A rollback that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AcceptedRollback {
    /// How many records the log had when the database was as it is now.
    pub state_size: u64,
    /// How many changes that stand in the log after that are given up.
    pub not_applied: usize,
}

/// Compares what the log has beyond `state` with what a crash can leave. Changes that were recorded and never made are
/// named in a record of their own, and state and log are tied together again.
///
/// # Errors
///
/// [`KeystoreError::Torn`] when the state is older than any crash leaves it and that is not accepted: an older copy of the
/// database, which would bring deleted keys back.
pub(super) fn disown_unapplied(
    log: &mut AuditLog,
    storage: &mut dyn Storage,
    directory: &Path,
    world: &World,
    state: LogPosition,
    rollback: Rollback,
) -> Result<Option<AcceptedRollback>, KeystoreError> {
    if log.position().size == state.size {
        return Ok(None);
    }
    let since = Since::read(directory, state.size)?;
    // The writer begins a batch only when the state has taken the one before: a crash leaves one batch unmade at most.
    let older = since.unapplied.iter().find(|(number, _)| *number < log.last_batch()).cloned();
    let mut accepted = None;
    let position = match older {
        Some((number, event)) if rollback == Rollback::Refused => {
            return Err(KeystoreError::Torn(format!(
                "the database is an older copy: it lacks what the log's record {number} (event {event}) did, and more \
                 happened after that"
            )));
        }
        None if since.unapplied.is_empty() => {
            if !since.recovered {
                return Ok(None);
            }
            log.position()
        }
        older => {
            let mut details = Map::new();
            let mut events: Vec<String> = since.unapplied.into_iter().map(|(_, event)| event).collect();
            let name = match older {
                None => EVENT_NAME,
                Some(_) => {
                    accepted = Some(AcceptedRollback { state_size: state.size, not_applied: events.len() });
                    details.insert("stateSize".into(), json!(state.size));
                    details.insert("stateRoot".into(), json!(hex::encode(state.root)));
                    details.insert("logSize".into(), json!(log.position().size));
                    details.insert("notAppliedCount".into(), json!(events.len()));
                    events.truncate(EVENTS_NAMED_MAX);
                    ROLLBACK_EVENT_NAME
                }
            };
            details.insert(NOT_APPLIED.into(), json!(events));
            log.append_batch(&[record(world, name, details)?.to_canonical_bytes()])?
        }
    };
    storage.commit(&Batch::at(position))?;
    Ok(accepted)
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
            return;
        }
        let event = (record.event_source.as_str(), record.event_name.as_str());
        if event == (EVENT_SOURCE, ROLLBACK_EVENT_NAME) {
            self.recovered = true;
            self.unapplied.clear();
        } else if event == (EVENT_SOURCE, EVENT_NAME) {
            self.recovered = true;
            let details = record.service_event_details.unwrap_or_default();
            let disowned = details.get(NOT_APPLIED).and_then(Value::as_array);
            self.unapplied.retain(|(_, event)| disowned.is_none_or(|events| !events.contains(&json!(event))));
        }
    }
}

fn record(world: &World, name: &str, details: Map<String, Value>) -> Result<Record, KeystoreError> {
    let random: &mut dyn Random = &mut SystemRandom;
    let event_id = uuid::Builder::from_random_bytes(random.array()?).into_uuid().to_string();
    let settings = world.settings();
    Ok(Record {
        event_version: EVENT_VERSION.into(),
        user_identity: UserIdentity::aws_internal(settings.account.clone()),
        event_time: SystemClock.now().plus_millis(settings.clock_offset_millis),
        event_source: EVENT_SOURCE.into(),
        event_name: name.into(),
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
        vpc_endpoint_id: None,
        service_event_details: Some(details),
        event_category: "Management".into(),
        tls_details: None,
    })
}
