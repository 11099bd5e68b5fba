//! Why a seed cannot be read or applied.

use thiserror::Error;

use super::place::{Place, SeedText};
use crate::kms::CallError;

/// Why a seed cannot be read or applied.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SeedError {
    /// The text is not a seed.
    #[error("{place}: {message}")]
    Text {
        /// Where.
        place: Place,
        /// What is wrong, and what to write instead.
        message: String,
    },
    /// Two keys have the same name.
    #[error("{place}: another key is named `{name}` already: give each its own id and aliases")]
    Twice {
        /// Where the second one stands.
        place: Place,
        /// The id or alias.
        name: String,
    },
    /// Something is named that is neither in the seed nor in the keystore.
    #[error("{place}: there is no {what}")]
    Unknown {
        /// Where it is named.
        place: Place,
        /// What it is, and its name.
        what: String,
        /// What to write instead.
        hint: String,
    },
    /// The keystore refused a call of the plan. What came before it was done.
    #[error("{place}: `{step}` failed: {source}")]
    Call {
        /// Where what the call is for stands.
        place: Place,
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
    pub(super) fn in_text(text: &SeedText, error: &toml::de::Error) -> Self {
        Self::Text {
            place: text.place(error.span().map_or(0, |span| span.start)),
            message: error.message().trim().replace('\n', ", "),
        }
    }

    /// What the user can do about it, one line each.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Call { source, .. } => source.explanation().map(str::to_owned).into_iter().collect(),
            Self::Text { .. } => vec![
                "`docs/seeds.md` shows everything that a seed can say, and `keystore/lab.toml` a whole world"
                    .into(),
            ],
            Self::Unknown { hint, .. } => vec![hint.clone()],
            Self::Twice { .. } | Self::Keystore(_) => Vec::new(),
        }
    }
}
