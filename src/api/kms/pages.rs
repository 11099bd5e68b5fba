//! Lists in pages: Limit and Marker in, Truncated and NextMarker out.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, ser::SerializeMap};

use super::parameters::Parameters;
use crate::{api::error::WireError, model::ErrorCode};

/// How many entries an operation lists at once (KMS API reference, `Limit` of each).
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) default: usize,
    pub(super) max: usize,
}

impl Limits {
    /// ListKeys, ListKeyPolicies, ListKeyRotations.
    pub(super) const LONG: Self = Self { default: 100, max: 1000 };
    /// ListAliases, ListGrants, ListRetirableGrants.
    pub(super) const SHORT: Self = Self { default: 50, max: 100 };
    /// ListResourceTags.
    pub(super) const TAGS: Self = Self { default: 50, max: 50 };
}

/// Which page of a list is wanted.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    limit: usize,
    /// The place of the last entry of the page before.
    after: Option<String>,
}

impl Wanted {
    /// Reads Limit and Marker. A marker says which operation it is of and where the page before ended.
    pub(super) fn read(
        operation: &str,
        parameters: &Parameters<'_>,
        limits: Limits,
    ) -> Result<Self, WireError> {
        let limit = parameters.number("Limit").unwrap_or(limits.default);
        if limit > limits.max {
            return Err(WireError::validation(format!(
                "Limit must be between 1 and {}, inclusive.",
                limits.max
            )));
        }
        let after = match parameters.text("Marker") {
            None => None,
            Some(marker) => Some(opened(operation, marker).ok_or_else(|| {
                WireError::new(ErrorCode::InvalidMarker.as_str(), "The marker that was given is not valid.")
            })?),
        };
        Ok(Self { limit, after })
    }

    /// The page of this list, whose entries stand in the order of `place`.
    pub(super) fn page<T>(
        &self,
        operation: &str,
        name: &'static str,
        entries: Vec<T>,
        place: impl Fn(&T) -> String,
    ) -> Page<T> {
        let after = |entry: &T| self.after.as_ref().is_none_or(|after| place(entry) > *after);
        let mut entries: Vec<T> = entries.into_iter().filter(after).collect();
        let next = (entries.len() > self.limit)
            .then(|| self.limit.checked_sub(1).and_then(|last| entries.get(last)))
            .flatten()
            .map(|last| URL_SAFE_NO_PAD.encode(format!("{operation} {}", place(last))));
        entries.truncate(self.limit);
        Page { name, entries, next }
    }
}

fn opened(operation: &str, marker: &str) -> Option<String> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(marker).ok()?).ok()?;
    text.strip_prefix(operation)?.strip_prefix(' ').map(str::to_owned)
}

/// One page.
#[derive(Debug)]
pub(super) struct Page<T> {
    name: &'static str,
    entries: Vec<T>,
    next: Option<String>,
}

impl<T: Serialize> Serialize for Page<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(self.name, &self.entries)?;
        if let Some(next) = &self.next {
            map.serialize_entry("NextMarker", next)?;
        }
        map.serialize_entry("Truncated", &self.next.is_some())?;
        map.end()
    }
}

impl<T> Page<T> {
    /// The same page of what `make` makes of each entry.
    pub(super) fn map<U>(self, make: impl FnMut(T) -> U) -> Page<U> {
        Page { name: self.name, entries: self.entries.into_iter().map(make).collect(), next: self.next }
    }
}
