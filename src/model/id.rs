//! Identifiers: accounts, regions, keys and key materials.

use std::{fmt, str::FromStr};

use compact_str::CompactString;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize, Serializer};

use super::ParseError;

/// Implements what every identifier made by parsing shares: text in, text out, serde by way of the text.
macro_rules! text_identifier {
    ($name:ident) => {
        impl $name {
            /// The identifier's text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::model::ParseError;

            fn try_from(text: String) -> Result<Self, $crate::model::ParseError> {
                text.parse()
            }
        }

        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl ::std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}
pub(crate) use text_identifier;

/// An AWS account: exactly 12 digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct AccountId(CompactString);

text_identifier!(AccountId);

impl AccountId {
    /// The account in which the simulated services keep the keys that they own. No customer can have it.
    #[must_use]
    pub fn of_the_services() -> Self {
        Self("000000000000".into())
    }

    /// Whether this is the services' own account.
    #[must_use]
    pub fn is_of_the_services(&self) -> bool {
        self.0 == "000000000000"
    }
}

impl FromStr for AccountId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(Self(text.into()))
        } else {
            Err(ParseError::new(format!("`{text}` is not an account: an account is 12 digits")))
        }
    }
}

/// An AWS Region's name, such as `us-east-1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Region(CompactString);

text_identifier!(Region);

impl FromStr for Region {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let well_formed = (3..=32).contains(&text.len())
            && text.starts_with(|first: char| first.is_ascii_lowercase())
            && text.contains('-')
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if well_formed {
            Ok(Self(text.into()))
        } else {
            Err(ParseError::new(format!("`{text}` is not a Region: a Region looks like `us-east-1`")))
        }
    }
}

/// A KMS key's id: a UUID as AWS makes them, or 1–128 letters, digits, `-` and `_` for keys that are seeded with
/// an id of their own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct KeyId(String);

text_identifier!(KeyId);

/// The longest key id in bytes. Its whole ARN must fit the one-byte length in a ciphertext blob's header.
const KEY_ID_BYTES_MAX: usize = 128;

impl KeyId {
    /// A new random id (UUID version 4) made of these 16 bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(uuid::Builder::from_random_bytes(bytes).into_uuid().to_string())
    }

    /// Whether AWS could have made it: a UUID with its hyphens, or `mrk-` and 32 hexadecimal digits.
    #[must_use]
    pub fn is_of_aws(&self) -> bool {
        let is_uuid = |text: &str| uuid::Uuid::try_parse(text).is_ok();
        match self.0.strip_prefix("mrk-") {
            Some(digits) => digits.len() == 32 && is_uuid(digits),
            None => self.0.len() == 36 && is_uuid(&self.0),
        }
    }
}

impl FromStr for KeyId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let well_formed = (1..=KEY_ID_BYTES_MAX).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if well_formed {
            Ok(Self(text.into()))
        } else {
            Err(ParseError::new(format!("`{text}` is not a key id")))
        }
    }
}

/// The id of one key material of a KMS key: 32 bytes, written as 64 hexadecimal digits (AWS's `KeyMaterialId`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct MaterialId([u8; 32]);

impl MaterialId {
    /// The id with these bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The id's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for MaterialId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        HEXLOWER.encode_display(&self.0).fmt(formatter)
    }
}

impl FromStr for MaterialId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| {
            ParseError::new(format!("`{text}` is not a key material id: 64 hexadecimal digits"))
        })?;
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for MaterialId {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl Serialize for MaterialId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_twelve_digits() {
        assert!("111122223333".parse::<AccountId>().is_ok());
        for bad in ["", "11112222333", "1111222233334", "11112222333x", "１11122223333"] {
            assert!(bad.parse::<AccountId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_region_looks_like_one() {
        assert!("us-east-1".parse::<Region>().is_ok());
        for bad in ["", "us", "US-EAST-1", "us east 1", "-us-east"] {
            assert!(bad.parse::<Region>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_random_key_id_is_a_version_4_uuid() {
        let id = KeyId::from_random([0xff; 16]);
        assert_eq!(id.as_str(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(id.as_str().parse::<KeyId>().unwrap(), id);
    }

    #[test]
    fn a_key_id_has_no_slash_colon_or_space() {
        for bad in ["", "a/b", "a:b", "a b", "ä"] {
            assert!(bad.parse::<KeyId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_material_id_survives_its_text() {
        let id = MaterialId::from_bytes([7; 32]);
        assert_eq!(id.to_string().parse::<MaterialId>().unwrap(), id);
        assert!("07".parse::<MaterialId>().is_err());
    }
}
