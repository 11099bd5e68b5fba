//! `keystead clock`

use std::str::FromStr;

use clap::{Args, Subcommand};

use super::{error::CommandError, global::Global, output};
use crate::model::{Days, ParseError};

/// Show or move the keystore's clock, so that rotation and deletion can be seen
#[derive(Debug, Subcommand)]
pub(super) enum Clock {
    Show(Show),
    Advance(Advance),
}

/// Show what time it is in the keystore
#[derive(Debug, Args)]
pub(super) struct Show {}

/// Move the clock forward
///
/// Example: keystead clock advance 400d
///
/// What falls due meanwhile is done, each thing at its own time: keys rotate, deletion windows end. The clock cannot be
/// moved back.
#[derive(Debug, Args)]
pub(super) struct Advance {
    /// How far, in days: `400d`
    #[arg(value_name = "DAYS")]
    by: DayCount,
}

/// A number of days written as `400d`, or weeks as `2w`.
#[derive(Debug, Clone, Copy)]
struct DayCount(Days);

impl FromStr for DayCount {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong = || ParseError::new(format!("`{text}` is not a span of days: write it as `400d`"));
        let (number, days) = match (text.strip_suffix('d'), text.strip_suffix('w')) {
            (Some(number), _) => (number, 1),
            (_, Some(number)) => (number, 7),
            _ => return Err(wrong()),
        };
        let number: u32 = number.parse().map_err(|_| wrong())?;
        number.checked_mul(days).map(|days| Self(Days::new(days))).ok_or_else(wrong)
    }
}

impl Clock {
    pub(super) fn run(&self, global: &Global) -> Result<(), CommandError> {
        let (keystore, caller) = global.session()?;
        let now = match self {
            Self::Show(Show {}) => keystore.time(),
            Self::Advance(advance) => keystore.advance_clock(&caller, advance.by.0)?,
        };
        let offset = keystore.settings()?.clock_offset_millis;
        if global.json {
            return output::json(&serde_json::json!({"Now": now.to_rfc3339(), "OffsetMilliseconds": offset}));
        }
        output::line(&now.to_rfc3339())?;
        match offset / Days::new(1).as_millis() {
            0 => output::say("the keystore's clock is the real one"),
            1 => output::say("1 day ahead of the real clock"),
            days => output::say(&format!("{days} days ahead of the real clock")),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_days_or_weeks() {
        let days = |text: &str| text.parse::<DayCount>().map(|count| count.0.get()).ok();
        assert_eq!((days("400d"), days("2w"), days("0d")), (Some(400), Some(14), Some(0)));
        for bad in ["", "d", "10", "-1d", "1.5d", "4294967296d", "4294967295w", "d10", "10 d"] {
            assert_eq!(days(bad), None, "{bad}");
        }
    }
}
