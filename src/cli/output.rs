//! How commands print: data to standard output as text, tables or JSON; words to standard error.

use std::{
    borrow::Cow,
    io::{self, Write},
};

use anstyle::{AnsiColor, Style};
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use serde_json::Value;

use super::error::CommandError;
use crate::model::Timestamp;

/// Of `error:`.
pub(super) const ERROR_STYLE: Style = AnsiColor::Red.on_default().bold();
/// Of `hint:`.
pub(super) const HINT_STYLE: Style = AnsiColor::Cyan.on_default().bold();
/// Of names of fields.
pub(super) const LABEL_STYLE: Style = Style::new().bold();

/// The width that tables keep to when there is no terminal to ask.
const WIDTH_DEFAULT: u16 = 80;

/// Text that came from outside, with its control characters escaped: it must not drive the terminal.
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(|c: char| c.is_control() && c != '\n') {
        return text.into();
    }
    let escape =
        |c: char| if c.is_control() && c != '\n' { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escape).collect::<String>().into()
}

/// Prints one line of data.
pub(super) fn line(text: &str) -> io::Result<()> {
    writeln!(anstream::stdout().lock(), "{}", printable(text))
}

/// Prints one line of words.
pub(super) fn say(text: &str) {
    // When standard error is gone there is nobody to tell.
    let _unsaid = writeln!(anstream::stderr().lock(), "{}", printable(text));
}

/// Prints an answer of AWS's shape as JSON, with times as the `aws` command writes them.
pub(super) fn json(value: &impl Serialize) -> Result<(), CommandError> {
    let value = with_readable_times(to_json(value)?);
    let text = serde_json::to_string_pretty(&value).map_err(io::Error::from)?;
    Ok(writeln!(anstream::stdout().lock(), "{text}")?)
}

/// Prints a value as one line of JSON.
pub(super) fn json_line(value: &impl Serialize) -> Result<(), CommandError> {
    let text = serde_json::to_string(value).map_err(io::Error::from)?;
    Ok(writeln!(anstream::stdout().lock(), "{text}")?)
}

/// A value as JSON.
pub(super) fn to_json(value: &impl Serialize) -> Result<Value, CommandError> {
    Ok(serde_json::to_value(value).map_err(io::Error::from)?)
}

/// The wire writes times as seconds since the epoch; people read them as dates.
fn with_readable_times(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let member = |(name, value): (String, Value)| match value.as_f64() {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "milliseconds of any plausible date fit 64 bits"
                )]
                Some(seconds) if name.ends_with("Date") => {
                    let time = Timestamp::from_millis((seconds * 1000.0) as i64);
                    (name, Value::String(time.to_rfc3339()))
                }
                _ => (name, with_readable_times(value)),
            };
            Value::Object(members.into_iter().map(member).collect())
        }
        Value::Array(values) => Value::Array(values.into_iter().map(with_readable_times).collect()),
        other => other,
    }
}

/// Prints rows under a header, in columns. Rows that are too wide for the terminal are wrapped within their cells.
pub(super) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> io::Result<()> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    if table.width().is_none() {
        table.set_width(WIDTH_DEFAULT);
    }
    table.set_header(header.iter().copied());
    for row in rows {
        table.add_row(row.iter().map(|cell| printable(cell).into_owned()));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let text = table.to_string();
    let mut stdout = anstream::stdout().lock();
    for (number, line) in text.lines().enumerate() {
        let style = if number == 0 { LABEL_STYLE } else { Style::new() };
        writeln!(stdout, "{style}{}{style:#}", line.trim_end())?;
    }
    Ok(())
}

/// Prints labelled facts, one a line.
pub(super) fn facts(facts: &[(&str, String)]) -> io::Result<()> {
    let width = facts.iter().map(|(label, _)| label.len()).max().unwrap_or_default();
    let mut stdout = anstream::stdout().lock();
    for (label, value) in facts {
        let style = LABEL_STYLE;
        writeln!(stdout, "{style}{label:width$}{style:#}  {}", printable(value))?;
    }
    Ok(())
}

/// A number of bytes as people read it.
pub(super) fn bytes(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(printable("a\u{1b}[31mb\tc\n"), "a\\u{1b}[31mb\\tc\n");
        assert!(matches!(printable("plain\ntext"), Cow::Borrowed(_)));
    }

    #[test]
    fn times_are_dates_and_other_numbers_stay() {
        let value = json!({"CreationDate": 0.0, "List": [{"RotationDate": 1.5, "Days": 7}]});
        let readable = with_readable_times(value);
        assert_eq!(
            readable,
            json!({"CreationDate": "1970-01-01T00:00:00Z", "List": [{"RotationDate": "1970-01-01T00:00:01Z", "Days": 7}]})
        );
    }
}
