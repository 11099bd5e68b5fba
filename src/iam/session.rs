//! A session: temporary credentials, and what they say of whoever holds them.
//!
//! Source: "Temporary security credentials in IAM" (IAM user guide) and the STS API reference. A session is good until it
//! expires by the keystore's clock, and no longer than the user or role that it is of: when that one is deleted, its
//! sessions are nobody's, even if another of the same name is made.

use std::{collections::BTreeSet, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{AccessKeyId, IdentityPolicy, OidcProviderArn, PolicyArn, UniqueId};
use crate::model::{ParseError, PrincipalArn, Tags, Timestamp, text_identifier};

/// How long a session that has expired is remembered, so that who still uses it hears that it has.
pub const EXPIRED_SESSION_DAYS: u32 = 1;
/// The most managed policies handed in for one session (STS API, AssumeRole, `PolicyArns`).
pub const SESSION_POLICY_ARNS_MAX: usize = 10;

/// Declares a text with a shortest and a longest length and characters of its own.
macro_rules! sized_text {
    ($(#[$meta:meta])* $name:ident, $min:literal..=$max:literal, $more:literal, $what:literal) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        text_identifier!($name);

        impl FromStr for $name {
            type Err = ParseError;

            fn from_str(text: &str) -> Result<Self, ParseError> {
                let allowed = |byte: u8| byte.is_ascii_alphanumeric() || $more.contains(&byte);
                if ($min..=$max).contains(&text.len()) && text.bytes().all(allowed) {
                    return Ok(Self(text.into()));
                }
                let more = String::from_utf8_lossy($more);
                Err(ParseError::new(format!(
                    "`{text}` is not {}: {} to {} letters, digits and `{more}`", $what, $min, $max
                )))
            }
        }
    };
}

sized_text! {
    /// What a role's session is called: 2–64 letters, digits and `_+=,.@-` (`roleSessionNameType`).
    RoleSessionName, 2..=64, b"_+=,.@-", "the name of a role's session"
}
sized_text! {
    /// Who is behind a session, whatever roles follow: 2–256 letters, digits and `_+=,.@-` (`sourceIdentityType`).
    SourceIdentity, 2..=256, b"_+=,.@-", "a source identity"
}
sized_text! {
    /// What a third party must show to assume a role: 2–1,224 letters, digits and `_+=,.@:/-` (`externalIdType`).
    ExternalId, 2..=1224, b"_+=,.@:/-", "an external id"
}
sized_text! {
    /// What a federated user is called: 2–32 letters, digits and `_+=,.@-` (`userNameType` of STS).
    FederatedUserName, 2..=32, b"_+=,.@-", "the name of a federated user"
}

/// The policies handed in when a session is made: together they are one more layer, which must allow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionPolicies {
    /// The policy handed in as text.
    pub inline: Option<IdentityPolicy>,
    /// The managed policies named.
    pub managed: Vec<PolicyArn>,
}

/// Temporary credentials.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Session {
    /// The id of its access key, `ASIA…`.
    pub access_key: AccessKeyId,
    /// Who its holder is: a role's session, a user, a root user or a federated user.
    pub principal: PrincipalArn,
    /// The user or role that it is of; none for a root user.
    pub issuer: Option<SessionIssuer>,
    /// When it was made.
    pub issued: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
    /// Whether its holder showed an MFA code for it.
    pub mfa: bool,
    /// What was handed in to limit it; none when nothing was.
    pub policies: Option<SessionPolicies>,
    /// Its session tags, over those of its role or user.
    pub tags: Tags,
    /// The keys of the session tags that pass on when another role is assumed from it.
    pub transitive_tag_keys: BTreeSet<String>,
    /// Who is behind it.
    pub source_identity: Option<SourceIdentity>,
    /// The identity provider that vouched for its holder.
    pub provider: Option<OidcProviderArn>,
    /// The SHA-256 digest of its session token.
    #[serde(with = "hex::serde")]
    pub token_digest: [u8; 32],
    /// Its secret access key, wrapped under a key that derives from the root key.
    #[serde(with = "hex::serde")]
    pub wrapped: Vec<u8>,
}

/// The user or role that a session is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionIssuer {
    /// Its ARN.
    pub arn: PrincipalArn,
    /// Its unique id when the session was made.
    pub id: UniqueId,
}

impl Session {
    /// Whether it has ended.
    #[must_use]
    pub fn has_expired(&self, now: Timestamp) -> bool {
        now >= self.expires
    }

    /// The session tags that pass on to a role that is assumed from it.
    pub fn transitive_tags(&self) -> impl Iterator<Item = (&str, &str)> {
        self.tags
            .iter()
            .filter(|(key, _)| self.transitive_tag_keys.iter().any(|one| one.eq_ignore_ascii_case(key)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_sts() {
        assert!("alice@example.com".parse::<RoleSessionName>().is_ok());
        assert!("dept/one:two".parse::<ExternalId>().is_ok());
        for bad in ["", "a", "a b", "a/b", "ä!", &"x".repeat(65)] {
            assert!(bad.parse::<RoleSessionName>().is_err(), "{bad}");
        }
        assert!("x".repeat(257).parse::<SourceIdentity>().is_err());
        assert!("x y".parse::<ExternalId>().is_err());
        assert!("x".repeat(33).parse::<FederatedUserName>().is_err());
    }

    proptest::proptest! {
        #[test]
        fn what_parses_prints_as_it_was(text in "\\PC{0,70}") {
            if let Ok(name) = text.parse::<RoleSessionName>() {
                proptest::prop_assert_eq!(name.as_str(), text);
            }
        }
    }
}
