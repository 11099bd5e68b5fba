//! The simulated CloudTrail: looking events up in the audit log, by way of the door.
//!
//! Asking is a call like any other: it needs `cloudtrail:LookupEvents` and stands in the log itself. What is answered are
//! the records of the caller's own account. Source: LookupEvents (CloudTrail API reference).

mod digest_key;
mod export;
mod last_usage;
mod lookup;
#[cfg(test)]
mod tests;

use serde_json::{Value, json};

pub use digest_key::DigestPublicKey;
pub use export::{ExportError, ExportOptions, Exported};
pub use last_usage::{KeyLastUsage, KeyLastUsageData};
pub use lookup::{EVENTS_PER_PAGE_MAX, Event, EventResource, LookedUpEvents, LookupAttribute, LookupEvents};

use crate::{
    audit::{
        Record,
        index::{Found, IndexError, IndexedLog, Usage},
        query::{Attribute, CIPHERTEXT_DIGEST, Filter, Query, SOURCE_CIPHERTEXT_DIGEST},
    },
    kms::{Call, CallError, Caller, Door, Operation, Outcome, actions},
    model::Timestamp,
};

actions! {
    /// `cloudtrail:LookupEvents`.
    LookupEventsPermission = "cloudtrail:LookupEvents",
}

/// The event history of a keystore.
#[derive(Clone, Copy)]
#[must_use]
pub struct CloudTrail<'k> {
    door: &'k Door,
    log: &'k IndexedLog,
}

/// What is asked of the log, within the caller's account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Search {
    /// What must hold, all of it.
    pub filters: Vec<Filter>,
    /// Not before this time.
    pub since: Option<Timestamp>,
    /// Not after this time.
    pub until: Option<Timestamp>,
}

impl<'k> CloudTrail<'k> {
    pub(crate) fn new(door: &'k Door, log: &'k IndexedLog) -> Self {
        Self { door, log }
    }

    /// The events that are asked for, the newest first, up to `limit`.
    ///
    /// # Errors
    ///
    /// When the caller may not, or the log cannot be read.
    pub fn search(&self, caller: &Caller, search: &Search, limit: usize) -> Result<Vec<Found>, CallError> {
        self.permit(caller, search)?;
        self.find(caller, search, None, limit)
    }

    /// The event with this id or number, and the events whose ciphertext it opened: for a Decrypt the GenerateDataKey or Encrypt
    /// that made it.
    ///
    /// # Errors
    ///
    /// When the caller may not, there is no such event in the caller's account, or the log cannot be read.
    pub fn event(&self, caller: &Caller, id: &str) -> Result<(Found, Vec<Found>), CallError> {
        let search = Search { filters: vec![Filter::new(Attribute::EventId, id)?], ..Search::default() };
        self.permit(caller, &search)?;
        let found = match id.parse() {
            Ok(number) => self.log.numbered(&caller.account(), number).map_err(unreadable)?,
            Err(_) => self.find(caller, &search, None, 1)?.into_iter().next(),
        };
        let Some(found) = found else {
            return Err(CallError::validation(format!("there is no event `{id}` in the log")));
        };
        let origins = match opened_ciphertext(&found.record) {
            None => Vec::new(),
            Some(digest) => {
                let filters = vec![Filter::new(Attribute::Ciphertext, digest)?];
                let search = Search { filters, ..Search::default() };
                let all = self.find(caller, &search, Some(found.sequence), usize::MAX)?;
                all.into_iter().filter(|one| made_ciphertext(&one.record) == Some(digest)).collect()
            }
        };
        Ok((found, origins))
    }

    /// Asks for leave to read the account's events, whatever they are.
    pub(crate) fn permit_all(&self, caller: &Caller) -> Result<(), CallError> {
        self.permit(caller, &Search::default())
    }

    /// How often each principal used each key since a time, hour by hour.
    ///
    /// # Errors
    ///
    /// When the caller may not, or the log cannot be read.
    pub fn usage(&self, caller: &Caller, since: Option<Timestamp>) -> Result<Vec<Usage>, CallError> {
        self.permit(caller, &Search { since, ..Search::default() })?;
        self.log.usage(&caller.account(), since).map_err(unreadable)
    }

    /// Asks for leave, which leaves its record. All that was decided before is durable then, and so can be found.
    fn permit(&self, caller: &Caller, search: &Search) -> Result<(), CallError> {
        self.door.call(caller, &PermitLookup { search })
    }

    fn find(
        &self,
        caller: &Caller,
        search: &Search,
        below: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Found>, CallError> {
        let query = Query {
            account: caller.account(),
            filters: search.filters.clone(),
            since: search.since,
            until: search.until,
            below,
            limit,
        };
        self.log.find(&query).map_err(unreadable)
    }
}

fn unreadable(error: IndexError) -> CallError {
    CallError::internal(error.to_string())
}

/// The digest of the ciphertext that a call opened.
fn opened_ciphertext(record: &Record) -> Option<&str> {
    let facts = record.additional_event_data.as_ref()?;
    let name = match &*record.event_name {
        "Decrypt" => CIPHERTEXT_DIGEST,
        "ReEncrypt" => SOURCE_CIPHERTEXT_DIGEST,
        _ => return None,
    };
    facts.get(name)?.as_str()
}

/// The digest of the ciphertext that a call made.
fn made_ciphertext(record: &Record) -> Option<&str> {
    let facts = record.additional_event_data.as_ref()?;
    if record.event_name == "Decrypt" {
        return None;
    }
    facts.get(CIPHERTEXT_DIGEST)?.as_str()
}

/// Asks for leave to look events up.
#[derive(Debug)]
struct PermitLookup<'s> {
    search: &'s Search,
}

impl Operation for PermitLookup<'_> {
    type Permission = LookupEventsPermission;
    type Answer = ();
    const NAME: &'static str = "LookupEvents";
    const EVENT_SOURCE: &'static str = "cloudtrail.amazonaws.com";
    const READ_ONLY: bool = true;

    fn request_parameters(&self) -> Value {
        let Search { filters, since, until } = self.search;
        if filters.is_empty() && since.is_none() && until.is_none() {
            return Value::Null;
        }
        let attribute = |filter: &Filter| json!({"attributeKey": format!("{:?}", filter.attribute), "attributeValue": filter.value});
        let mut parameters = serde_json::Map::new();
        if !filters.is_empty() {
            parameters.insert("lookupAttributes".into(), filters.iter().map(attribute).collect());
        }
        for (name, time) in [("startTime", since), ("endTime", until)] {
            if let Some(time) = time {
                parameters.insert(name.into(), time.to_rfc3339().into());
            }
        }
        Value::Object(parameters)
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let permitted = call.authorize_any::<Self::Permission>()?;
        Ok(Outcome::answer(permitted, ()))
    }
}
