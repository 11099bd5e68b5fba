//! An OpenID Connect provider: somebody else who vouches for people, and the keys by which that is believed.
//!
//! Source: "Create an OpenID Connect (OIDC) identity provider in IAM" (IAM user guide); RFC 7517 for the key set. AWS
//! fetches the provider's keys from its address; here the key set is handed in, so that nothing leaves the machine.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{AccountId, Arn, ParseError, Tags, Timestamp, text_identifier};

/// The most client ids of one provider (IAM quotas).
pub const CLIENT_IDS_MAX: usize = 100;
/// The longest address of a provider in characters, and the longest client id (IAM API).
const URL_CHARS_MAX: usize = 255;
/// The longest key set in bytes: many times what providers publish.
const JWKS_BYTES_MAX: usize = 65_536;

/// The address of a provider: `https://HOST/PATH`, without a query, a fragment or a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct OidcUrl(String);

text_identifier!(OidcUrl);

impl OidcUrl {
    /// Without `https://`, as it stands in the ARN and in condition keys such as `HOST/PATH:sub`.
    #[must_use]
    pub fn without_scheme(&self) -> &str {
        self.0.strip_prefix("https://").unwrap_or(&self.0)
    }
}

impl FromStr for OidcUrl {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let rest = text.strip_prefix("https://").filter(|_| text.len() <= URL_CHARS_MAX);
        let well_formed = rest.is_some_and(|rest| {
            let (host, path) = rest.split_once('/').map_or((rest, None), |(host, path)| (host, Some(path)));
            let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
            let is_path = |byte: u8| byte.is_ascii_alphanumeric() || b"./_~-".contains(&byte);
            !host.is_empty()
                && host.bytes().all(is_host)
                && path
                    .is_none_or(|path| !path.is_empty() && !path.ends_with('/') && path.bytes().all(is_path))
        });
        if well_formed {
            Ok(Self(text.into()))
        } else {
            Err(ParseError::new(format!(
                "`{text}` is not the address of a provider: `https://HOST` or `https://HOST/PATH`"
            )))
        }
    }
}

/// A client id (audience) that a provider's tokens may be for: 1–255 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct ClientId(String);

text_identifier!(ClientId);

impl FromStr for ClientId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if (1..=URL_CHARS_MAX).contains(&text.chars().count()) && !text.contains(char::is_control) {
            Ok(Self(text.into()))
        } else {
            Err(ParseError::new(format!("a client id has 1 to {URL_CHARS_MAX} characters")))
        }
    }
}

/// The ARN of a provider: `arn:aws:iam::ACCOUNT:oidc-provider/HOST/PATH`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OidcProviderArn {
    account: AccountId,
    url: OidcUrl,
}

impl OidcProviderArn {
    /// The ARN of the provider at this address.
    #[must_use]
    pub fn new(account: AccountId, url: OidcUrl) -> Self {
        Self { account, url }
    }

    /// The account it belongs to.
    #[must_use]
    pub fn account(&self) -> &AccountId {
        &self.account
    }

    /// The provider's address.
    #[must_use]
    pub fn url(&self) -> &OidcUrl {
        &self.url
    }
}

impl fmt::Display for OidcProviderArn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "arn:aws:iam::{}:oidc-provider/{}", self.account, self.url.without_scheme())
    }
}

impl FromStr for OidcProviderArn {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let not_one = || {
            ParseError::new(format!(
                "`{text}` is not the ARN of an OpenID Connect provider: `arn:aws:iam::ACCOUNT:oidc-provider/HOST`"
            ))
        };
        let arn: Arn = text.parse().map_err(|_| not_one())?;
        let place = (arn.partition(), arn.service(), arn.region());
        let address = arn.resource().strip_prefix("oidc-provider/").filter(|_| place == ("aws", "iam", ""));
        let url = format!("https://{}", address.ok_or_else(not_one)?);
        Ok(Self {
            account: arn.account().parse().map_err(|_| not_one())?,
            url: url.parse().map_err(|_| not_one())?,
        })
    }
}

impl TryFrom<String> for OidcProviderArn {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl From<OidcProviderArn> for String {
    fn from(arn: OidcProviderArn) -> Self {
        arn.to_string()
    }
}

/// A provider's public keys: a JSON Web Key Set (RFC 7517, section 5), kept as its text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Jwks(String);

text_identifier!(Jwks);

/// Members that hold private or shared keys (RFC 7518, section 6).
const PRIVATE_MEMBERS: &[&str] = &["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

impl FromStr for Jwks {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let refused = |why: &str| ParseError::new(format!("this is not a JSON Web Key Set: {why}"));
        if text.len() > JWKS_BYTES_MAX {
            return Err(refused("it is longer than 64 KiB"));
        }
        let set: Value = serde_json::from_str(text).map_err(|error| refused(&error.to_string()))?;
        let keys =
            set.get("keys").and_then(Value::as_array).ok_or_else(|| refused("it has no list `keys`"))?;
        for key in keys {
            if key.get("kty").and_then(Value::as_str).is_none() {
                return Err(refused("a key has no `kty`"));
            }
            if PRIVATE_MEMBERS.iter().any(|member| key.get(member).is_some()) {
                return Err(refused("it holds a private key, and a provider publishes public ones"));
            }
        }
        Ok(Self(text.into()))
    }
}

/// An OpenID Connect provider.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpenIdConnectProvider {
    /// Its ARN: account and address.
    pub arn: OidcProviderArn,
    /// The audiences that its tokens may be for.
    pub client_ids: BTreeSet<ClientId>,
    /// Its public keys; without them none of its tokens is believed.
    pub jwks: Option<Jwks>,
    /// When it was made.
    pub created: Timestamp,
    /// Its tags.
    pub tags: Tags,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_https_without_query_or_port() {
        let url: OidcUrl = "https://token.example.com/tenant".parse().unwrap();
        assert_eq!(url.without_scheme(), "token.example.com/tenant");
        let arn = OidcProviderArn::new("111122223333".parse().unwrap(), url);
        assert_eq!(arn.to_string(), "arn:aws:iam::111122223333:oidc-provider/token.example.com/tenant");
        assert_eq!(arn.to_string().parse::<OidcProviderArn>().unwrap(), arn);
        for bad in [
            "",
            "http://token.example.com",
            "https://",
            "https://a:8443",
            "https://a/",
            "https://a?x=1",
            "https://a/b#c",
            "https://user@a",
        ] {
            assert!(bad.parse::<OidcUrl>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_key_set_holds_public_keys() {
        assert!(
            r#"{"keys": [{"kty": "RSA", "kid": "1", "n": "AQAB", "e": "AQAB"}]}"#.parse::<Jwks>().is_ok()
        );
        for bad in [
            "",
            "[]",
            "{}",
            r#"{"keys": [{}]}"#,
            r#"{"keys": [{"kty": "EC", "d": "AAAA"}]}"#,
            r#"{"keys": [{"kty": "oct", "k": "AAAA"}]}"#,
        ] {
            assert!(bad.parse::<Jwks>().is_err(), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn parsing_never_panics_and_what_parses_prints_as_it_was(text in "(https://|arn:aws:iam::111122223333:oidc-provider/)?\\PC{0,40}") {
            if let Ok(url) = text.parse::<OidcUrl>() { proptest::prop_assert_eq!(url.to_string(), text.clone()); }
            if let Ok(arn) = text.parse::<OidcProviderArn>() { proptest::prop_assert_eq!(arn.to_string(), text.clone()); }
            let _no_panic = (text.parse::<Jwks>(), text.parse::<ClientId>());
        }
    }
}
