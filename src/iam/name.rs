//! Names and paths of what identity management holds.
//!
//! Source: the patterns of `userNameType`, `roleNameType`, `groupNameType`, `policyNameType`, `virtualMFADeviceName` and
//! `policyPathType` in the IAM API. At AWS a user's or role's path may hold any printable character; here all paths hold
//! what a policy's path may, so that every ARN can be taken apart again.

use std::{fmt, str::FromStr};

use serde::Deserialize;

use crate::model::{ParseError, text_identifier};

/// The longest path in characters.
const PATH_CHARS_MAX: usize = 512;
/// The longest part of a path in characters: that of a name within an ARN.
const PATH_PART_CHARS_MAX: usize = 128;
/// The longest name of a virtual MFA device in characters: its serial number has at most 256, of which the rest are the
/// ARN's.
const DEVICE_NAME_CHARS_MAX: usize = 226;

/// Declares a name: its type, its longest length and what it names.
macro_rules! name {
    ($(#[$meta:meta])* $name:ident, $chars_max:expr, $what:literal) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        text_identifier!($name);

        impl $name {
            /// Whether two names are one, as AWS has it: within an account, names do not differ by case alone.
            #[must_use]
            pub fn is_taken_by(&self, other: &Self) -> bool {
                self.0.eq_ignore_ascii_case(&other.0)
            }
        }

        impl FromStr for $name {
            type Err = ParseError;

            fn from_str(text: &str) -> Result<Self, ParseError> {
                if (1..=$chars_max).contains(&text.len()) && text.bytes().all(is_name_byte) {
                    return Ok(Self(text.into()));
                }
                Err(ParseError::new(format!(
                    "`{text}` is not the name of {}: 1 to {} letters, digits and `+=,.@_-`",
                    $what, $chars_max
                )))
            }
        }
    };
}

name! {
    /// The name of a user: 1–64 letters, digits and `+=,.@_-`.
    UserName, 64, "a user"
}
name! {
    /// The name of a role: 1–64 letters, digits and `+=,.@_-`.
    RoleName, 64, "a role"
}
name! {
    /// The name of a group: 1–128 letters, digits and `+=,.@_-`.
    GroupName, 128, "a group"
}
name! {
    /// The name of a policy: 1–128 letters, digits and `+=,.@_-`.
    PolicyName, 128, "a policy"
}
name! {
    /// The name of a virtual MFA device: 1–226 letters, digits and `+=,.@_-`.
    MfaDeviceName, DEVICE_NAME_CHARS_MAX, "an MFA device"
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte)
}

/// A path: `/`, or parts between slashes such as `/team/research/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct IamPath(String);

text_identifier!(IamPath);

impl IamPath {
    /// The path followed by a name, as it stands in an ARN behind the kind: `team/research/alice`.
    #[must_use]
    pub fn with(&self, name: &impl fmt::Display) -> String {
        format!("{}{name}", self.in_arn())
    }

    /// The path as it stands in an ARN: without the slash at its beginning.
    pub(super) fn in_arn(&self) -> &str {
        self.0.strip_prefix('/').unwrap_or(&self.0)
    }

    /// Takes `team/research/alice` apart into its path and its name.
    pub(super) fn split(path_and_name: &str) -> Result<(Self, &str), ParseError> {
        match path_and_name.rsplit_once('/') {
            None => Ok((Self::default(), path_and_name)),
            Some((path, name)) => Ok((format!("/{path}/").parse()?, name)),
        }
    }

    /// Whether it is the root path, `/`.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0 == "/"
    }
}

impl Default for IamPath {
    fn default() -> Self {
        Self("/".into())
    }
}

impl FromStr for IamPath {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let is_part =
            |part: &str| (1..=PATH_PART_CHARS_MAX).contains(&part.len()) && part.bytes().all(is_name_byte);
        let parts = text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
        let well_formed = text == "/"
            || (text.len() <= PATH_CHARS_MAX && parts.is_some_and(|parts| parts.split('/').all(is_part)));
        if well_formed {
            Ok(Self(text.into()))
        } else {
            Err(ParseError::new(format!(
                "`{text}` is not a path: `/`, or letters, digits and `+=,.@_-` between slashes, such as `/team/`"
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_iam_names() {
        assert!("alice@example.com".parse::<UserName>().is_ok());
        for bad in ["", "a b", "a/b", "ä", &"x".repeat(65)] {
            assert!(bad.parse::<UserName>().is_err(), "{bad}");
        }
        assert!("x".repeat(128).parse::<PolicyName>().is_ok());
        assert!("x".repeat(129).parse::<PolicyName>().is_err());
        let name: GroupName = "Admins".parse().unwrap();
        assert!(name.is_taken_by(&"ADMINS".parse().unwrap()));
        assert!(!name.is_taken_by(&"Admin".parse().unwrap()));
    }

    #[test]
    fn paths_begin_and_end_with_a_slash() {
        for good in ["/", "/team/", "/team/research/"] {
            assert_eq!(good.parse::<IamPath>().unwrap().as_str(), good);
        }
        for bad in
            ["", "team", "/team", "team/", "//", "/a//b/", "/a b/", "/ä/", &format!("/{}/", "x".repeat(600))]
        {
            assert!(bad.parse::<IamPath>().is_err(), "{bad}");
        }
        assert_eq!("/team/".parse::<IamPath>().unwrap().with(&"alice"), "team/alice");
        assert_eq!(IamPath::default().with(&"alice"), "alice");
    }

    proptest! {
        #[test]
        fn what_parses_prints_as_it_was_and_splits_again(text in "\\PC{0,80}|(/[a-z+=,.@_-]{1,9}){0,4}/") {
            if let Ok(name) = text.parse::<MfaDeviceName>() { prop_assert_eq!(name.to_string(), text.clone()); }
            if let Ok(path) = text.parse::<IamPath>() {
                prop_assert_eq!(path.as_str(), text);
                let (again, name) = IamPath::split(&path.with(&"alice")).map(|(p, n)| (p, n.to_owned())).unwrap();
                prop_assert_eq!((again, name.as_str()), (path, "alice"));
            }
        }
    }
}
