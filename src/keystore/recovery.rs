//! What a crash leaves to be said: changes that were recorded and never made. And what a rollback does.
//!
//! A mutation's record is durable before its state. When the process dies between the two, the record stands in the log
//! and the change was never answered. The next opening appends a record that says so, naming the events.
//!
//! A database that lacks more than that is an older copy. It is refused, since it brings deleted keys back, unless
//! somebody says that it shall be taken: then that stands in the log, signed.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::{ADMINISTRATOR, KeystoreError};
use crate::{
    audit::{
        AuditLog, EVENT_VERSION, EventType, LogFault, LogPosition, Record, ResourceEntry, UserIdentity,
        directory::DiskDirectory, read,
    },
    crypto::random::{Random, SystemRandom},
    kms::{Caller, Clock, SystemClock, identity_in},
    model::Timestamp,
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedRollback {
    /// How many records the log had when the database was as it is now.
    pub state_size: u64,
    /// How many changes that stand in the log after that are given up.
    pub not_applied: usize,
    /// The first of them: as many as the record names.
    pub given_up: Vec<GivenUp>,
}

/// A change that stands in the log and is given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenUp {
    /// Its record's number in the log.
    pub number: u64,
    /// When it was made.
    pub time: Timestamp,
    /// The operation.
    pub event_name: String,
    /// What it was about.
    pub resources: Vec<ResourceEntry>,
    /// The record's id.
    pub event_id: String,
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
    let older = since.unapplied.iter().find(|one| one.number < log.last_batch()).cloned();
    let mut accepted = None;
    let position = match older {
        Some(GivenUp { number, event_id: event, .. }) if rollback == Rollback::Refused => {
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
            let ids = |events: &[GivenUp]| events.iter().map(|one| json!(one.event_id)).collect::<Value>();
            let record = match older {
                None => crash_record(world, ids(&since.unapplied))?,
                Some(_) => {
                    let not_applied = since.unapplied.len();
                    let mut given_up = since.unapplied;
                    given_up.truncate(EVENTS_NAMED_MAX);
                    let elements = json!({
                        "stateSize": state.size,
                        "stateRoot": hex::encode(state.root),
                        "logSize": log.position().size,
                        "notAppliedCount": not_applied,
                        (NOT_APPLIED): ids(&given_up),
                    });
                    accepted = Some(AcceptedRollback { state_size: state.size, not_applied, given_up });
                    rollback_record(world, elements)?
                }
            };
            log.append_batch(&[record.to_canonical_bytes()])?
        }
    };
    storage.commit(&Batch::at(position))?;
    Ok(accepted)
}

/// What the log has beyond the state.
#[derive(Default)]
struct Since {
    /// The changes that are not disowned yet.
    unapplied: Vec<GivenUp>,
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
        let event = (&*record.event_source, &*record.event_name);
        if event == (EVENT_SOURCE, ROLLBACK_EVENT_NAME) {
            // It is a change too: the one that undoes those before it.
            self.recovered = true;
            self.unapplied.clear();
        } else if event == (EVENT_SOURCE, EVENT_NAME) {
            self.recovered = true;
            let details = record.service_event_details.unwrap_or_default();
            let disowned = details.get(NOT_APPLIED).and_then(Value::as_array);
            self.unapplied.retain(|one| disowned.is_none_or(|events| !events.contains(&json!(one.event_id))));
        } else if record.is_change() {
            self.unapplied.push(GivenUp {
                number,
                time: record.event_time,
                event_name: record.event_name.into_owned(),
                resources: record.resources,
                event_id: record.event_id,
            });
        }
    }
}

/// What the service found by itself: a crash kept these changes from being made.
fn crash_record(world: &World, not_applied: Value) -> Result<Record, KeystoreError> {
    let details = Map::from_iter([(NOT_APPLIED.to_owned(), not_applied)]);
    let account = world.settings().account.clone();
    Ok(Record {
        service_event_details: Some(details),
        ..record(world, EVENT_NAME, UserIdentity::aws_internal(account))?
    })
}

/// What somebody did: a write, by the administrator, who acts where nobody is named. Whoever could do it had the root key;
/// the operating system's user says more than the name.
fn rollback_record(world: &World, elements: Value) -> Result<Record, KeystoreError> {
    let settings = world.settings();
    let administrator = Caller::parse(&format!("user/{ADMINISTRATOR}"), &settings.account)?;
    let uid = rustix::process::getuid().as_raw();
    let identity = identity_in(world, &administrator, time(world));
    Ok(Record {
        source_ip_address: administrator.source_ip().into(),
        user_agent: administrator.user_agent().into(),
        event_type: EventType::AwsApiCall,
        read_only: false,
        response_elements: elements,
        additional_event_data: Some(Map::from_iter([("operatingSystemUser".to_owned(), json!(uid))])),
        request_id: Some(new_id()?),
        ..record(world, ROLLBACK_EVENT_NAME, identity)?
    })
}

fn time(world: &World) -> Timestamp {
    SystemClock.now().plus_millis(world.settings().clock_offset_millis)
}

fn new_id() -> Result<String, KeystoreError> {
    let random: &mut dyn Random = &mut SystemRandom;
    Ok(random.uuid()?)
}

/// A record of this name as the service itself writes them.
fn record(world: &World, name: &'static str, user_identity: UserIdentity) -> Result<Record, KeystoreError> {
    let settings = world.settings();
    Ok(Record {
        event_version: EVENT_VERSION.into(),
        user_identity,
        event_time: time(world),
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
        event_id: new_id()?,
        read_only: true,
        resources: Vec::new(),
        event_type: EventType::AwsServiceEvent,
        management_event: true,
        recipient_account_id: settings.account.clone(),
        shared_event_id: None,
        vpc_endpoint_id: None,
        service_event_details: None,
        event_category: "Management".into(),
        tls_details: None,
    })
}
