//! Algorithm suites and commitment policies.
//!
//! Source: AWS Encryption SDK specification, "Algorithm suites" and "Commitment policy". All published suites are opened;
//! those that commit to their key are sealed. Key commitment matters because AES-GCM alone lets a forger craft one
//! ciphertext that opens under two keys.

use std::{fmt, str::FromStr};

use serde::{Serialize, Serializer};

use crate::{
    crypto::{ecdsa::Curve, kdf::KdfHash},
    model::ParseError,
};

/// The number of an algorithm suite, as it stands in a message's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SuiteId(u16);

/// What a suite is made of.
struct Suite {
    number: u16,
    name: &'static str,
    /// The length of the data key and of the key of the frames, in bytes.
    key_bytes: usize,
    /// The hash that derives the frames' key; without one the data key itself is that key.
    kdf: Option<KdfHash>,
    /// What signs the message.
    curve: Option<Curve>,
}

const fn suite(
    number: u16,
    name: &'static str,
    key_bytes: usize,
    kdf: Option<KdfHash>,
    curve: Option<Curve>,
) -> Suite {
    Suite { number, name, key_bytes, kdf, curve }
}

const SHA256: Option<KdfHash> = Some(KdfHash::Sha256);
const SHA384: Option<KdfHash> = Some(KdfHash::Sha384);
const SHA512: Option<KdfHash> = Some(KdfHash::Sha512);
const P256: Option<Curve> = Some(Curve::P256);
const P384: Option<Curve> = Some(Curve::P384);

/// Each published suite. The first nine belong to message version 1 and do not commit to their key.
const SUITES: [Suite; 11] = [
    suite(0x0014, "AES_128_GCM_IV12_TAG16", 16, None, None),
    suite(0x0046, "AES_192_GCM_IV12_TAG16", 24, None, None),
    suite(0x0078, "AES_256_GCM_IV12_TAG16", 32, None, None),
    suite(0x0114, "AES_128_GCM_IV12_TAG16_HKDF_SHA256", 16, SHA256, None),
    suite(0x0146, "AES_192_GCM_IV12_TAG16_HKDF_SHA256", 24, SHA256, None),
    suite(0x0178, "AES_256_GCM_IV12_TAG16_HKDF_SHA256", 32, SHA256, None),
    suite(0x0214, "AES_128_GCM_IV12_TAG16_HKDF_SHA256_ECDSA_P256", 16, SHA256, P256),
    suite(0x0346, "AES_192_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384", 24, SHA384, P384),
    suite(0x0378, "AES_256_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384", 32, SHA384, P384),
    suite(0x0478, "AES_256_GCM_HKDF_SHA512_COMMIT_KEY", 32, SHA512, None),
    suite(0x0578, "AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384", 32, SHA512, P384),
];

impl SuiteId {
    /// AES-256-GCM with HKDF-SHA-512 and key commitment: the suite that is sealed here unless another is asked for.
    pub const COMMIT_KEY: Self = Self(0x0478);
    /// The same, signed with ECDSA P-384.
    pub const COMMIT_KEY_SIGNED: Self = Self(0x0578);

    /// The suite of this number, when it is a published one.
    #[must_use]
    pub fn from_number(number: u16) -> Option<Self> {
        SUITES.iter().any(|suite| suite.number == number).then_some(Self(number))
    }

    /// All published suites.
    pub fn all() -> impl Iterator<Item = Self> {
        SUITES.iter().map(|suite| Self(suite.number))
    }

    fn suite(self) -> &'static Suite {
        // INVARIANT: a SuiteId is made of a number of the table alone; the last entry is never the answer for another.
        let [.., last] = &SUITES;
        SUITES.iter().find(|suite| suite.number == self.0).unwrap_or(last)
    }

    /// The number in the header.
    #[must_use]
    pub fn number(self) -> u16 {
        self.0
    }

    /// The name in the specification.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.suite().name
    }

    /// The length of a data key in bytes: 16, 24 or 32.
    #[must_use]
    pub fn data_key_bytes(self) -> usize {
        self.suite().key_bytes
    }

    /// Whether a message of this suite commits to its key.
    #[must_use]
    pub fn commits(self) -> bool {
        matches!(self, Self::COMMIT_KEY | Self::COMMIT_KEY_SIGNED)
    }

    /// Whether a signature follows the message's body.
    #[must_use]
    pub fn signs(self) -> bool {
        self.curve().is_some()
    }

    /// The suite that commits to its key and signs when this one does: what a message of this suite is sealed again with.
    #[must_use]
    pub fn committing(self) -> Self {
        if self.signs() { Self::COMMIT_KEY_SIGNED } else { Self::COMMIT_KEY }
    }

    pub(super) fn curve(self) -> Option<Curve> {
        self.suite().curve
    }

    pub(super) fn kdf(self) -> Option<KdfHash> {
        self.suite().kdf
    }
}

/// [`SuiteId::COMMIT_KEY`].
impl Default for SuiteId {
    fn default() -> Self {
        Self::COMMIT_KEY
    }
}

/// By number (`0x0578`) or by name.
impl FromStr for SuiteId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let number = Some(digits).filter(|digits| digits.len() == 4);
        let number = number.and_then(|digits| u16::from_str_radix(digits, 16).ok());
        SUITES
            .iter()
            .find(|suite| Some(suite.number) == number || suite.name == text)
            .map(|suite| Self(suite.number))
            .ok_or_else(|| ParseError::new(format!("`{text}` is no algorithm suite")))
    }
}

impl fmt::Display for SuiteId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "0x{:04X} {}", self.0, self.name())
    }
}

/// As its printed form, `0x0478 AES_256_GCM_HKDF_SHA512_COMMIT_KEY`.
impl Serialize for SuiteId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Which suites may be sealed and opened, by AWS's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum CommitmentPolicy {
    /// Seal without commitment, open both. For moving off old clients only; nothing is sealed here under it, since
    /// every suite that is sealed here commits.
    ForbidEncryptAllowDecrypt,
    /// Seal with commitment, open both.
    RequireEncryptAllowDecrypt,
    /// Seal with commitment, open with commitment alone.
    #[default]
    RequireEncryptRequireDecrypt,
}

impl CommitmentPolicy {
    const ALL: [Self; 3] = [
        Self::ForbidEncryptAllowDecrypt,
        Self::RequireEncryptAllowDecrypt,
        Self::RequireEncryptRequireDecrypt,
    ];

    /// Whether a message of `suite` may be sealed.
    #[must_use]
    pub fn allows_sealing(self, suite: SuiteId) -> bool {
        suite.commits() != (self == Self::ForbidEncryptAllowDecrypt)
    }

    /// Whether a message of `suite` may be opened.
    #[must_use]
    pub fn allows_opening(self, suite: SuiteId) -> bool {
        suite.commits() || self != Self::RequireEncryptRequireDecrypt
    }
}

impl fmt::Display for CommitmentPolicy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::ForbidEncryptAllowDecrypt => "FORBID_ENCRYPT_ALLOW_DECRYPT",
            Self::RequireEncryptAllowDecrypt => "REQUIRE_ENCRYPT_ALLOW_DECRYPT",
            Self::RequireEncryptRequireDecrypt => "REQUIRE_ENCRYPT_REQUIRE_DECRYPT",
        })
    }
}

/// By AWS's name, as the clients (`REQUIRE_ENCRYPT_ALLOW_DECRYPT`) and as their command line
/// (`require-encrypt-allow-decrypt`) write it.
impl FromStr for CommitmentPolicy {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let name = text.to_ascii_uppercase().replace('-', "_");
        Self::ALL.into_iter().find(|policy| policy.to_string() == name).ok_or_else(|| {
            ParseError::new(format!(
                "`{text}` is no commitment policy: there are forbid-encrypt-allow-decrypt, \
                 require-encrypt-allow-decrypt and require-encrypt-require-decrypt"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_is_printed_by_number_and_name() {
        assert_eq!(SuiteId::COMMIT_KEY.to_string(), "0x0478 AES_256_GCM_HKDF_SHA512_COMMIT_KEY");
        assert_eq!(SuiteId::from_number(0x0478), Some(SuiteId::COMMIT_KEY));
        assert_eq!(SuiteId::from_number(0x0479), None);
    }

    #[test]
    fn a_suite_is_read_by_number_or_name() {
        for suite in SuiteId::all() {
            assert_eq!(format!("0x{:04x}", suite.number()).parse(), Ok(suite));
            assert_eq!(suite.name().parse(), Ok(suite));
            assert_eq!(suite.suite().number, suite.number());
        }
        for bad in ["", "0x0479", "0x", "AES", "0x10478"] {
            assert!(bad.parse::<SuiteId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn each_policy_allows_and_forbids_as_its_name_says() {
        let (committing, plain) = (SuiteId::COMMIT_KEY, SuiteId::from_number(0x0178).unwrap());
        let allowed = |policy: CommitmentPolicy| {
            [
                policy.allows_sealing(committing),
                policy.allows_sealing(plain),
                policy.allows_opening(committing),
                policy.allows_opening(plain),
            ]
        };
        assert_eq!(allowed(CommitmentPolicy::ForbidEncryptAllowDecrypt), [false, true, true, true]);
        assert_eq!(allowed(CommitmentPolicy::RequireEncryptAllowDecrypt), [true, false, true, true]);
        assert_eq!(allowed(CommitmentPolicy::RequireEncryptRequireDecrypt), [true, false, true, false]);
        assert_eq!(CommitmentPolicy::default(), CommitmentPolicy::RequireEncryptRequireDecrypt);
    }

    #[test]
    fn a_policy_is_read_in_both_spellings() {
        for policy in CommitmentPolicy::ALL {
            let name = policy.to_string();
            assert_eq!(name.parse(), Ok(policy));
            assert_eq!(name.to_lowercase().replace('_', "-").parse(), Ok(policy));
        }
        assert!("allow-all".parse::<CommitmentPolicy>().is_err());
    }
}
