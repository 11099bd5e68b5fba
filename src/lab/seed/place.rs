//! Where something stands in a seed's text.

use std::fmt;

/// A place in a seed's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}, column {}", self.line, self.column)
    }
}

/// A seed's text, kept to tell places in it. It may hold secrets of tests, so `Debug` does not show it.
#[derive(Clone, Default)]
pub(super) struct SeedText(String);

impl SeedText {
    pub(super) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The place of the byte at `offset`.
    pub(super) fn place(&self, offset: usize) -> Place {
        let before = self.0.get(..offset).unwrap_or(&self.0);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Place {
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).map_or(0, |line| line.chars().count()) + 1,
        }
    }
}

impl fmt::Debug for SeedText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SeedText")
    }
}
