//! Why a seed cannot be read or applied.

use thiserror::Error;

use crate::kms::CallError;

/// Why a seed cannot be read or applied.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SeedError {
    /// The text is not a seed.
    #[error("line {line}, column {column}: {message}")]
    Text {
        /// The line, counted from 1.
        line: usize,
        /// The column in characters, counted from 1.
        column: usize,
        /// What is wrong, and what to write instead.
        message: String,
    },
    /// Two keys have the same name.
    #[error("two keys are named `{name}`: give each its own id and aliases")]
    Twice {
        /// The id or alias.
        name: String,
    },
    /// The keystore refused a call of the plan. What came before it was done.
    #[error("`{step}` failed: {source}")]
    Call {
        /// The line of the plan.
        step: String,
        /// What the keystore answered.
        source: CallError,
    },
    /// The keystore cannot be asked.
    #[error(transparent)]
    Keystore(#[from] CallError),
}

impl SeedError {
    pub(super) fn in_text(text: &str, error: &toml::de::Error) -> Self {
        let start = error.span().map_or(0, |span| span.start);
        let before = text.get(..start).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self::Text {
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).map_or(0, |line| line.chars().count()) + 1,
            message: error.message().trim().replace('\n', ", "),
        }
    }

    /// What the user can do about it, one line each.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Call { source, .. } => source.explanation().map(str::to_owned).into_iter().collect(),
            Self::Text { .. } => vec!["`keystore/lab.toml` shows everything that a seed can say".into()],
            _ => Vec::new(),
        }
    }
}
