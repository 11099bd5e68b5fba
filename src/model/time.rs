//! Points in time and whole days, in the forms that AWS writes.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::ParseError;

const MILLIS_PER_DAY: i64 = 24 * 60 * 60 * 1000;

/// A point in time: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The point this many milliseconds after the epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// This point, `days` later. Saturates at the end of time.
    #[must_use]
    pub fn plus(self, days: Days) -> Self {
        Self(self.0.saturating_add(days.as_millis()))
    }

    /// This point, `millis` milliseconds later (or earlier, when negative).
    #[must_use]
    pub fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// As CloudTrail writes it: `2026-11-22T21:46:05Z`, whole seconds, UTC.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        let seconds = self.0.div_euclid(1000);
        jiff::Timestamp::from_second(seconds).map_or_else(|_| format!("@{seconds}"), |time| time.to_string())
    }

    /// Seconds since the epoch with a fraction, as JSON 1.1 writes timestamps.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of any plausible date fit 53 bits")]
    pub fn as_epoch_seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.to_rfc3339())
    }
}

impl FromStr for Timestamp {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        text.parse::<jiff::Timestamp>().map(|time| Self(time.as_millisecond())).map_err(|_| {
            ParseError::new(format!("`{text}` is not a time: write it as `2026-11-22T21:46:05Z`"))
        })
    }
}

/// A number of whole days of 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Days(u32);

impl Days {
    /// This many days.
    #[must_use]
    pub const fn new(days: u32) -> Self {
        Self(days)
    }

    /// How many days.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The same in milliseconds.
    #[must_use]
    pub fn as_millis(self) -> i64 {
        i64::from(self.0) * MILLIS_PER_DAY
    }
}

impl fmt::Display for Days {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} day{}", self.0, if self.0 == 1 { "" } else { "s" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_cloudtrail_does() {
        let time = Timestamp::from_millis(1_795_384_365_123);
        assert_eq!(time.to_rfc3339(), "2026-11-22T21:52:45Z");
        assert_eq!("2026-11-22T21:52:45.123Z".parse::<Timestamp>().unwrap(), time);
        assert!("yesterday".parse::<Timestamp>().is_err());
    }

    #[test]
    fn days_add_up() {
        let start = Timestamp::from_millis(0);
        assert_eq!(start.plus(Days::new(365)).as_millis(), 31_536_000_000);
        assert_eq!(Timestamp::from_millis(i64::MAX).plus(Days::new(1)).as_millis(), i64::MAX);
    }
}
