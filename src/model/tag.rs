//! Tags: pairs of text that a customer hangs on a resource.
//!
//! Source: "Tag naming limits and requirements" (AWS tagging guide) and KMS's TagResource.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ParseError;

/// The longest tag key in characters.
pub const TAG_KEY_CHARS_MAX: usize = 128;
/// The longest tag value in characters.
pub const TAG_VALUE_CHARS_MAX: usize = 256;
/// The most tags on one resource.
pub const TAGS_MAX: usize = 50;

/// The tags of one resource.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>", into = "BTreeMap<String, String>")]
pub struct Tags(BTreeMap<String, String>);

impl Tags {
    /// No tags.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a tag, over an older value of the same key.
    ///
    /// # Errors
    ///
    /// When key or value is too long or holds characters that AWS refuses, when the key begins with `aws:`, or when
    /// there would be more than [`TAGS_MAX`].
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<String>) -> Result<(), ParseError> {
        let (key, value) = (key.into(), value.into());
        let chars = key.chars().count();
        if chars == 0 || chars > TAG_KEY_CHARS_MAX {
            return Err(ParseError::new(format!(
                "the tag key `{key}` must have 1 to {TAG_KEY_CHARS_MAX} characters"
            )));
        }
        if value.chars().count() > TAG_VALUE_CHARS_MAX {
            return Err(ParseError::new(format!(
                "the value of the tag `{key}` must have at most {TAG_VALUE_CHARS_MAX} characters"
            )));
        }
        if is_reserved_tag_key(&key) {
            return Err(ParseError::new(format!(
                "the tag key `{key}` begins with `aws:`, which AWS keeps for itself"
            )));
        }
        if !key.chars().chain(value.chars()).all(is_tag_char) {
            return Err(ParseError::new(format!(
                "the tag `{key}` holds a character other than letters, digits, spaces and `_.:/=+-@`"
            )));
        }
        self.0.insert(key, value);
        if self.0.len() > TAGS_MAX {
            return Err(ParseError::new(format!("a resource has at most {TAGS_MAX} tags")));
        }
        Ok(())
    }

    /// Removes a tag; whether it was there.
    pub fn remove(&mut self, key: &str) -> bool {
        self.0.remove(key).is_some()
    }

    /// The value of a tag.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// The tags, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Whether AWS keeps tags with this key for itself.
#[must_use]
pub fn is_reserved_tag_key(key: &str) -> bool {
    key.to_ascii_lowercase().starts_with("aws:")
}

fn is_tag_char(character: char) -> bool {
    character.is_alphanumeric() || character == ' ' || "_.:/=+-@".contains(character)
}

impl TryFrom<BTreeMap<String, String>> for Tags {
    type Error = ParseError;

    fn try_from(pairs: BTreeMap<String, String>) -> Result<Self, ParseError> {
        let mut tags = Self::new();
        for (key, value) in pairs {
            tags.set(key, value)?;
        }
        Ok(tags)
    }
}

impl From<Tags> for BTreeMap<String, String> {
    fn from(tags: Tags) -> Self {
        tags.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_can_be_set_replaced_and_removed() {
        let mut tags = Tags::new();
        tags.set("team", "ml").unwrap();
        tags.set("team", "ops").unwrap();
        assert_eq!(tags.get("team"), Some("ops"));
        assert!(tags.remove("team"));
        assert!(!tags.remove("team"));
    }

    #[test]
    fn what_aws_refuses_is_refused() {
        let mut tags = Tags::new();
        assert!(tags.set("", "x").is_err());
        assert!(tags.set("aws:team", "x").is_err());
        assert!(tags.set("AWS:team", "x").is_err());
        assert!(tags.set("k".repeat(129), "x").is_err());
        assert!(tags.set("k", "x".repeat(257)).is_err());
        assert!(tags.set("k", "<x>").is_err());
        for number in 0..TAGS_MAX {
            tags.set(format!("k{number}"), "x").unwrap();
        }
        assert!(tags.set("one more", "x").is_err());
    }
}
