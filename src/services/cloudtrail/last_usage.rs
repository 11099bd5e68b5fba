//! GetKeyLastUsage: when a key was last used, from the log.

use serde::Serialize;

use super::CloudTrail;
use crate::{
    audit::query::{Attribute, Filter, Query},
    kms::{CallError, Caller, GetKeyLastUsage},
    model::{KeyArn, Timestamp},
};

/// What GetKeyLastUsage answers (KMS API).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct KeyLastUsage {
    /// The key's ARN.
    pub key_id: KeyArn,
    /// The last use; empty when there was none that the log still knows.
    pub key_last_usage: KeyLastUsageData,
    /// Since when the log would know: the key's creation, or the first record that was not pruned.
    #[serde(serialize_with = "seconds")]
    pub tracking_start_date: Timestamp,
    /// When the key was made.
    #[serde(serialize_with = "seconds")]
    pub key_creation_date: Timestamp,
}

/// The last use of a key (KMS API, KeyLastUsageData).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct KeyLastUsageData {
    /// The cryptographic operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "some_seconds")]
    pub timestamp: Option<Timestamp>,
    /// The id of its record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloud_trail_event_id: Option<String>,
    /// The id of its request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kms_request_id: Option<String>,
}

fn seconds<S: serde::Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_i64(time.as_millis().div_euclid(1000))
}

fn some_seconds<S: serde::Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_some(&time.map(|time| time.as_millis().div_euclid(1000)))
}

impl CloudTrail<'_> {
    /// When a key was last used with success, by whomever, and for what.
    ///
    /// # Errors
    ///
    /// `NotFoundException`, `AccessDeniedException`, or when the log cannot be read.
    pub fn key_last_usage(
        &self,
        caller: &Caller,
        request: &GetKeyLastUsage,
    ) -> Result<KeyLastUsage, CallError> {
        let (key, created) = self.door.call(caller, request)?;
        let query =
            Query::of(key.account().clone(), 1).with(Filter::new(Attribute::KeyUsed, key.to_string())?);
        let last = self.log.find(&query).map_err(super::unreadable)?.into_iter().next();
        let first_kept = self.log.first_kept().map_err(super::unreadable)?;
        let usage = last.map(|last| KeyLastUsageData {
            operation: Some(last.record.event_name.into_owned()),
            timestamp: Some(last.record.event_time),
            cloud_trail_event_id: Some(last.record.event_id),
            kms_request_id: last.record.request_id,
        });
        Ok(KeyLastUsage {
            key_id: key,
            key_last_usage: usage.unwrap_or_default(),
            tracking_start_date: first_kept.map_or(created, |first| first.max(created)),
            key_creation_date: created,
        })
    }
}
