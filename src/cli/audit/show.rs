//! `keystead audit show`

use clap::Args;
use serde_json::json;

use super::rows;
use crate::cli::{error::CommandError, global::Global, output};

/// Show one event, and of a Decrypt where its ciphertext came from
///
/// Example: keystead audit show 42
///
/// The number is the one that `keystead audit tail` and `query` show; an event's id does as well.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The event's number or id
    event: String,
}

impl Show {
    pub(crate) fn run(&self, global: &Global) -> Result<(), CommandError> {
        let (keystore, caller) = global.session()?;
        let (found, origins) = keystore.cloudtrail().event(&caller, &self.event)?;
        if global.json {
            let origins: Vec<_> = origins.iter().map(|one| &one.record).collect();
            return output::json(&json!({
                "Number": found.sequence,
                "Record": found.record,
                "MadeBy": origins,
            }));
        }
        let record = &found.record;
        let mut facts = vec![
            ("Number", found.sequence.to_string()),
            ("Event", format!("{} ({})", record.event_name, record.event_source)),
            ("Time", rows::when(record)),
            ("Who", rows::whole_who(record)),
            ("Result", rows::outcome(record)),
        ];
        if let Some(message) = &record.error_message {
            facts.push(("Message", message.clone()));
        }
        for origin in &origins {
            let made = format!(
                "#{} {} by {} at {}",
                origin.sequence,
                origin.record.event_name,
                rows::who(&origin.record),
                rows::when(&origin.record)
            );
            facts.push(("Ciphertext", made));
        }
        output::facts(&facts)?;
        let text = serde_json::to_string_pretty(record).map_err(std::io::Error::from)?;
        output::line("")?;
        Ok(output::lines(&text)?)
    }
}
