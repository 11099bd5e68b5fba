//! `keystead audit stats`

use std::collections::BTreeMap;

use clap::Args;
use serde_json::json;

use super::rows::{last_segment, short_id};
use crate::{
    audit::index::Usage,
    cli::{error::CommandError, global::Global, output},
    model::Days,
};

/// From no use to the most use of a row.
const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// How many characters a sparkline has.
const SPARKLINE_WIDTH: i64 = 24;

/// Show who used which key how often
///
/// Example: keystead audit stats --days 30
///
/// USED counts cryptographic calls, such as Decrypt, that succeeded; REFUSED counts calls of any kind on the key that were
/// denied or failed.
#[derive(Debug, Args)]
pub(crate) struct Stats {
    /// How many days back
    #[arg(long, default_value_t = 7, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=36_525))]
    days: u32,
}

impl Stats {
    pub(crate) fn run(&self, global: &Global) -> Result<(), CommandError> {
        let (keystore, caller) = global.session()?;
        let now = keystore.time();
        let since = now.plus_millis(-Days::new(self.days).as_millis());
        let usage = keystore.cloudtrail().usage(&caller, Some(since))?;
        let mut pairs: BTreeMap<(&str, &str), Vec<&Usage>> = BTreeMap::new();
        for hour in &usage {
            pairs.entry((&hour.who, &hour.key)).or_default().push(hour);
        }
        if global.json {
            let rows = pairs.iter().map(|((who, key), hours)| {
                let by_hour = |hour: &&Usage| json!({"Hour": hour.hour.to_rfc3339(), "Used": hour.used, "Refused": hour.refused});
                json!({
                    "Principal": who,
                    "KeyId": key,
                    "Used": sum(hours, |hour| hour.used),
                    "Refused": sum(hours, |hour| hour.refused),
                    "Hours": hours.iter().map(by_hour).collect::<Vec<_>>(),
                })
            });
            return output::json(&json!({"Usage": rows.collect::<Vec<_>>()}));
        }
        if pairs.is_empty() {
            output::say(&format!("no key was used within {}", Days::new(self.days)));
            return Ok(());
        }
        let mut rows: Vec<_> = pairs.into_iter().collect();
        rows.sort_by_key(|(_, hours)| std::cmp::Reverse(sum(hours, |hour| hour.used + hour.refused)));
        let rows = rows.into_iter().map(|((who, key), hours)| {
            let key = last_segment(key);
            vec![
                last_segment(who).to_owned(),
                short_id(key),
                sum(&hours, |hour| hour.used).to_string(),
                sum(&hours, |hour| hour.refused).to_string(),
                sparkline(&hours, since.as_millis(), now.as_millis()),
            ]
        });
        Ok(output::table(&["WHO", "KEY", "USED", "REFUSED", "OVER TIME"], rows)?)
    }
}

fn sum(hours: &[&Usage], what: impl Fn(&Usage) -> u64) -> u64 {
    hours.iter().map(|hour| what(hour)).sum()
}

/// How use was spread between two times; the row's busiest part is the full bar.
fn sparkline(hours: &[&Usage], since: i64, until: i64) -> String {
    let step = ((until - since) / SPARKLINE_WIDTH).max(1);
    let mut parts = BTreeMap::<i64, u64>::new();
    for hour in hours {
        let part = ((hour.hour.as_millis() - since) / step).clamp(0, SPARKLINE_WIDTH - 1);
        *parts.entry(part).or_default() += hour.used + hour.refused;
    }
    let most = parts.values().copied().max().unwrap_or_default().max(1);
    let bar = |part: i64| {
        let uses = parts.get(&part).copied().unwrap_or_default();
        let height = (uses * (BARS.len() as u64 - 1)).div_ceil(most);
        usize::try_from(height).ok().and_then(|height| BARS.get(height)).copied().unwrap_or(' ')
    };
    (0..SPARKLINE_WIDTH).map(bar).collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    #[test]
    fn the_busiest_part_is_the_full_bar_and_a_single_use_shows() {
        let hour = |hour: i64, used| Usage {
            who: "w".into(),
            key: "k".into(),
            hour: Timestamp::from_millis(hour * 3_600_000),
            used,
            refused: 0,
        };
        let (first, last) = (hour(0, 1), hour(23, 800));
        let line = sparkline(&[&first, &last], 0, 24 * 3_600_000);
        assert_eq!(line, format!("▁{}█", " ".repeat(22)));
        assert_eq!(sparkline(&[], 0, 1), " ".repeat(24));
    }
}
