//! Buckets and objects of the simulated storage service, as the world holds them. The objects' bytes lie elsewhere,
//! sealed.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::model::{AccountId, KeyArn, ParseError, Timestamp, text_identifier};

/// A bucket's name: 3–63 lower-case letters, digits, `.` and `-` ("Bucket naming rules", S3 user guide).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct BucketName(String);

text_identifier!(BucketName);

impl FromStr for BucketName {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let alphanumeric = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let bytes = text.as_bytes();
        let well_formed = (3..=63).contains(&bytes.len())
            && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-".contains(b))
            && alphanumeric(bytes.first())
            && alphanumeric(bytes.last())
            && !text.contains("..");
        if well_formed {
            Ok(Self(text.into()))
        } else {
            Err(ParseError::new(format!(
                "`{text}` is not a bucket name: 3 to 63 lower-case letters, digits, `.` and `-`"
            )))
        }
    }
}

/// An object's key: 1–1,024 bytes of UTF-8 without control characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct ObjectKey(String);

text_identifier!(ObjectKey);

impl FromStr for ObjectKey {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if (1..=1024).contains(&text.len()) && !text.contains(char::is_control) {
            Ok(Self(text.into()))
        } else {
            Err(ParseError::new("an object key has 1 to 1,024 bytes and no control characters"))
        }
    }
}

/// A bucket.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Bucket {
    /// Its name, unique in the keystore.
    pub name: BucketName,
    /// The account that owns it.
    pub owner: AccountId,
    /// When it was made.
    pub created: Timestamp,
}

impl Bucket {
    /// The bucket's ARN.
    #[must_use]
    pub fn arn(&self) -> String {
        format!("arn:aws:s3:::{}", self.name)
    }
}

/// How an object is encrypted at rest, by the names of the `x-amz-server-side-encryption` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ServerSideEncryption {
    /// Under a key that the storage service owns.
    #[serde(rename = "AES256")]
    Aes256,
    /// Under a KMS key of the customer's account.
    #[serde(rename = "aws:kms")]
    AwsKms,
}

impl ServerSideEncryption {
    /// The header's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aes256 => "AES256",
            Self::AwsKms => "aws:kms",
        }
    }
}

impl fmt::Display for ServerSideEncryption {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl FromStr for ServerSideEncryption {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text {
            "AES256" => Ok(Self::Aes256),
            "aws:kms" => Ok(Self::AwsKms),
            _ => Err(ParseError::new(format!("`{text}` is not a kind of encryption: `AES256` or `aws:kms`"))),
        }
    }
}

/// An object: what is known of it without opening it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Object {
    /// The bucket it lies in.
    pub bucket: BucketName,
    /// Its key in the bucket.
    pub key: ObjectKey,
    /// The length of its plaintext in bytes.
    pub size: u64,
    /// When it was put.
    pub modified: Timestamp,
    /// How it is encrypted.
    pub encryption: ServerSideEncryption,
    /// The key it is encrypted under.
    pub kms_key: KeyArn,
    /// The name of the file that holds its message.
    pub file: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_names_follow_the_rules() {
        assert!("my-models.v1".parse::<BucketName>().is_ok());
        for bad in ["ab", "Models", "a..b", "-ab", "ab-", "a/b", &"x".repeat(64)] {
            assert!(bad.parse::<BucketName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn object_keys_may_hold_slashes_and_no_control_characters() {
        assert!("a/b/../c.safetensors".parse::<ObjectKey>().is_ok());
        for bad in ["", "a\nb", &"x".repeat(1025)] {
            assert!(bad.parse::<ObjectKey>().is_err(), "{bad:?}");
        }
    }
}
