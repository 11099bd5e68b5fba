//! Algorithm suites and commitment policies.
//!
//! Source: AWS Encryption SDK specification, "Algorithm suites" and "Commitment policy". All published suites are known
//! by name, so that a message of another suite is refused by its name; one is sealed and opened here, `0x0478`.
//! Key commitment matters because AES-GCM alone lets a forger craft one ciphertext that opens under two keys.

use std::fmt;

use serde::{Serialize, Serializer};

/// The number of an algorithm suite, as it stands in a message's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SuiteId(u16);

/// Number and name of each published suite. The first nine belong to message version 1 and do not commit to their
/// key.
const SUITES: [(u16, &str); 11] = [
    (0x0014, "AES_128_GCM_IV12_TAG16"),
    (0x0046, "AES_192_GCM_IV12_TAG16"),
    (0x0078, "AES_256_GCM_IV12_TAG16"),
    (0x0114, "AES_128_GCM_IV12_TAG16_HKDF_SHA256"),
    (0x0146, "AES_192_GCM_IV12_TAG16_HKDF_SHA256"),
    (0x0178, "AES_256_GCM_IV12_TAG16_HKDF_SHA256"),
    (0x0214, "AES_128_GCM_IV12_TAG16_HKDF_SHA256_ECDSA_P256"),
    (0x0346, "AES_192_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384"),
    (0x0378, "AES_256_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384"),
    (0x0478, "AES_256_GCM_HKDF_SHA512_COMMIT_KEY"),
    (0x0578, "AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384"),
];

impl SuiteId {
    /// AES-256-GCM with HKDF-SHA-512 and key commitment: the suite that is sealed here.
    pub const COMMIT_KEY: Self = Self(0x0478);
    /// The same, signed with ECDSA P-384.
    pub const COMMIT_KEY_SIGNED: Self = Self(0x0578);

    /// The suite of this number, when it is a published one.
    #[must_use]
    pub fn from_number(number: u16) -> Option<Self> {
        SUITES.iter().any(|(known, _)| *known == number).then_some(Self(number))
    }

    /// The number in the header.
    #[must_use]
    pub fn number(self) -> u16 {
        self.0
    }

    /// The name in the specification.
    #[must_use]
    pub fn name(self) -> &'static str {
        SUITES.iter().find(|(known, _)| *known == self.0).map_or("", |(_, name)| name)
    }

    /// Whether a message of this suite commits to its key.
    #[must_use]
    pub fn commits(self) -> bool {
        matches!(self, Self::COMMIT_KEY | Self::COMMIT_KEY_SIGNED)
    }

    /// Whether a signature follows the message's body.
    #[must_use]
    pub fn signs(self) -> bool {
        matches!(self.0, 0x0214 | 0x0346 | 0x0378 | 0x0578)
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
}
