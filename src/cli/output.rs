//! How commands print: data to standard output as text, tables or JSON; words to standard error.

use std::{
    borrow::Cow,
    io::{self, Write},
};

use anstyle::{AnsiColor, Style};
use serde::Serialize;
use serde_json::Value;

use super::{error::CommandError, table::Table};
use crate::model::Timestamp;

/// Of `error:`.
pub(super) const ERROR_STYLE: Style = AnsiColor::Red.on_default().bold();
/// Of `hint:`.
pub(super) const HINT_STYLE: Style = AnsiColor::Cyan.on_default().bold();
/// Of names of fields.
pub(super) const LABEL_STYLE: Style = Style::new().bold();

/// One line of text that came from outside, with everything escaped that could drive the terminal, pass for another line
/// or turn the direction of writing.
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, |character| character.is_control() || is_format(character))
}

/// Several lines of such text.
pub(super) fn printable_lines(text: &str) -> Cow<'_, str> {
    escaped(text, |character| character != '\n' && (character.is_control() || is_format(character)))
}

/// Line and paragraph separators, marks and overrides of direction, and other characters without a shape of their own.
fn is_format(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn escaped(text: &str, unwanted: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&unwanted) {
        return text.into();
    }
    let escape = |c: char| match (unwanted(c), c.is_ascii()) {
        (true, true) => c.escape_default().to_string(),
        (true, false) => c.escape_unicode().to_string(),
        (false, _) => c.to_string(),
    };
    text.chars().map(escape).collect::<String>().into()
}

/// Prints one line of data.
pub(super) fn line(text: &str) -> io::Result<()> {
    writeln!(anstream::stdout().lock(), "{}", printable(text))
}

/// Prints several lines of data.
pub(super) fn lines(text: &str) -> io::Result<()> {
    writeln!(anstream::stdout().lock(), "{}", printable_lines(text))
}

/// Prints one line of words.
pub(super) fn say(text: &str) {
    // When standard error is gone there is nobody to tell.
    let _unsaid = writeln!(anstream::stderr().lock(), "{}", printable(text));
}

/// Prints one line of words that must not be overlooked.
#[cfg(feature = "server")]
pub(super) fn warn(text: &str) {
    let style = ERROR_STYLE;
    // When standard error is gone there is nobody to tell.
    let _unsaid = writeln!(anstream::stderr().lock(), "{style}warning: {}{style:#}", printable(text));
}

/// Prints several lines of words.
pub(super) fn say_lines(text: &str) {
    // When standard error is gone there is nobody to tell.
    let _unsaid = writeln!(anstream::stderr().lock(), "{}", printable_lines(text));
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

/// Prints rows under a header, in columns: as wide as they are, but on a terminal no wider than that.
pub(super) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> io::Result<()> {
    Table::new(header).print(rows).map(|_printed| ())
}

/// Prints the lines that stand above a list.
pub(super) fn heading(lines: &[&str]) -> io::Result<()> {
    let (style, mut stdout) = (LABEL_STYLE, anstream::stdout().lock());
    lines.iter().try_for_each(|line| writeln!(stdout, "{style}{line}{style:#}"))
}

/// Prints labelled facts, one a line.
pub(super) fn facts(facts: &[(&str, String)]) -> io::Result<()> {
    let width = facts.iter().map(|(label, _)| label.len()).max().unwrap_or_default();
    facts.iter().try_for_each(|(label, value)| fact(label, value, width))
}

/// Prints one of them, with room for a label of this width.
pub(super) fn fact(label: &str, value: &str, width: usize) -> io::Result<()> {
    let style = LABEL_STYLE;
    writeln!(anstream::stdout().lock(), "{style}{label:width$}{style:#}  {}", printable(value))
}

/// Prints a label and several lines below it. Only what this program laid out itself may have lines.
pub(super) fn block(label: &str, lines: &str) -> io::Result<()> {
    let (style, mut stdout) = (LABEL_STYLE, anstream::stdout().lock());
    writeln!(stdout, "{style}{label}{style:#}")?;
    lines.lines().try_for_each(|line| writeln!(stdout, "    {}", printable(line)))
}

/// So many of them: `1 record`, `2 records`.
pub(super) fn count(number: u64, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}

/// A number of bytes as people read it.
pub(super) fn bytes(bytes: u64) -> String {
    let human = indicatif::HumanBytes(bytes).to_string();
    // What is rounded up to a whole unit is one of the next.
    match human.starts_with("1024.00 ") || human.starts_with("1,024.00 ") {
        true => indicatif::HumanBytes(1 << (u64::BITS - bytes.leading_zeros())).to_string(),
        false => human,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_from_outside_drives_the_terminal_or_passes_for_another_line() {
        assert_eq!(printable("a\u{1b}[31mb\tc\nState: fine"), "a\\u{1b}[31mb\\tc\\nState: fine");
        assert_eq!(printable("a\u{202e}b\u{2028}c"), "a\\u{202e}b\\u{2028}c");
        assert_eq!(printable_lines("a\nb\rc"), "a\nb\\rc");
        assert!(matches!(printable("plain, käse"), Cow::Borrowed(_)));
    }

    #[test]
    fn bytes_are_rounded_into_the_unit_that_they_reach() {
        let shown = [1023, 1024, (1 << 20) - 1, 1 << 20, (1 << 30) - 1, u64::MAX].map(bytes);
        assert_eq!(shown, ["1023 B", "1.00 KiB", "1.00 MiB", "1.00 MiB", "1.00 GiB", "16.00 EiB"]);
    }

    #[test]
    fn one_is_not_many() {
        let counted = [0, 1, 2].map(|number| count(number, "record"));
        assert_eq!(counted, ["0 records", "1 record", "2 records"]);
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
