//! The name of a file or directory inside a folder: relative, and unable to lead out of it.
//!
//! Parse, don't validate: what walks a folder, what a manifest says and what is made on the way out are all values of this
//! one type, so a path that climbs (`..`), starts anew (`/x`) or hides something in its name cannot get that far.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{artifact::SEALED_SUFFIX, model::ParseError};

/// The longest name: what file systems take (255 bytes, `NAME_MAX`), less the ending of a sealed file's.
const NAME_BYTES_MAX: usize = 255 - SEALED_SUFFIX.len();
/// The longest path in bytes, well below what the system takes at once (`PATH_MAX`, 4,096).
const PATH_BYTES_MAX: usize = 3072;
/// How deep directories may lie in one another.
const DEPTH_MAX: usize = 128;

/// A path inside a folder: names joined by `/`, none of them empty, `.` or `..`, in UTF-8 without control characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FolderPath(String);

impl FolderPath {
    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The names that it is made of, from the top.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// The last name.
    pub(super) fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The directory that it lies in; none at the top.
    pub(super) fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.into()))
    }

    /// The directories that it lies in, the nearest first.
    pub(super) fn ancestors(&self) -> impl Iterator<Item = Self> {
        std::iter::successors(self.parent(), Self::parent)
    }

    /// What the sealed file is called.
    pub(super) fn sealed_name(&self) -> String {
        format!("{}{SEALED_SUFFIX}", self.name())
    }

    /// The path of the sealed file.
    pub(super) fn sealed(&self) -> String {
        format!("{}{SEALED_SUFFIX}", self.0)
    }
}

impl FromStr for FolderPath {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let refused = |why: &str| Err(ParseError::new(format!("`{}` {why}", text.escape_debug())));
        if text.len() > PATH_BYTES_MAX {
            return refused(&format!("is longer than {PATH_BYTES_MAX} bytes"));
        }
        if text.split('/').count() > DEPTH_MAX {
            return refused(&format!("lies deeper than {DEPTH_MAX} directories"));
        }
        for name in text.split('/') {
            match name {
                "" => return refused("has an empty name in it"),
                "." | ".." => return refused("would lead elsewhere"),
                name if name.len() > NAME_BYTES_MAX => {
                    return refused(&format!("has a name of more than {NAME_BYTES_MAX} bytes in it"));
                }
                name if name.chars().any(char::is_control) => {
                    return refused("has a control character in it");
                }
                _ => {}
            }
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for FolderPath {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl From<FolderPath> for String {
    fn from(path: FolderPath) -> Self {
        path.0
    }
}

impl fmt::Display for FolderPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_stays_inside_is_a_path_and_what_leads_out_or_cannot_be_shown_is_not() {
        for good in ["a", "a/b", "käse/…", "a b", ".hidden", "...", "a/..b", "a\\b", "-"] {
            assert_eq!(good.parse::<FolderPath>().unwrap().as_str(), good);
        }
        let long =
            ["a".repeat(NAME_BYTES_MAX + 1), vec!["a"; DEPTH_MAX + 1].join("/"), vec!["ab"; 1025].join("/")];
        let bad =
            ["", "/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "./a", "a/./b", "a\nb", "a\0", "\u{7f}"];
        for bad in bad.into_iter().chain(long.iter().map(String::as_str)) {
            assert!(bad.parse::<FolderPath>().is_err(), "{bad}");
            assert!(serde_json::from_value::<FolderPath>(bad.into()).is_err(), "{bad}");
        }
        assert!("a".repeat(NAME_BYTES_MAX).parse::<FolderPath>().is_ok());
    }

    #[test]
    fn a_path_knows_the_directories_that_it_lies_in() {
        let path: FolderPath = "a/b/c".parse().unwrap();
        let above: Vec<String> = path.ancestors().map(String::from).collect();
        assert_eq!((above.as_slice(), path.name()), (&["a/b".to_owned(), "a".into()][..], "c"));
        assert_eq!((path.sealed(), path.sealed_name()), ("a/b/c.sealed".into(), "c.sealed".into()));
    }

    proptest! {
        #[test]
        fn no_text_panics_and_none_that_is_taken_climbs(text in ".{0,40}") {
            if let Ok(path) = text.parse::<FolderPath>() {
                prop_assert!(path.names().all(|name| !matches!(name, "" | "." | "..")));
                prop_assert!(!std::path::Path::new(path.as_str()).is_absolute());
            }
        }
    }
}
