//! Users, groups and roles in a seed, with what hangs on them and what they prove themselves with.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, de};
use toml::Spanned;

use super::{
    Named,
    policy::{GroupPolicyText, RolePolicyText, TrustPolicyText, UserPolicyText},
    reference::PolicyRef,
};
use crate::{
    crypto::totp,
    iam::{AccessKeyId, AccessKeyStatus, IamPath, MaxSessionDuration, MfaDeviceName, PolicyName, UserName},
    kms::ACCESS_KEY_SECRET_CHARS,
    model::Tags,
    secret::SecretBytes,
    services::iam::Description,
};

/// A user.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UserSeed {
    pub(super) path: Option<IamPath>,
    pub(super) tags: Option<Tags>,
    #[serde(default)]
    pub(super) managed_policies: Vec<Spanned<PolicyRef>>,
    pub(super) permissions_boundary: Option<Spanned<PolicyRef>>,
    #[serde(default)]
    pub(super) policies: BTreeMap<PolicyName, UserPolicyText>,
    #[serde(default)]
    pub(super) access_keys: Vec<Spanned<AccessKeySeed>>,
    #[serde(default)]
    pub(super) mfa_devices: Named<MfaDeviceName, MfaDeviceSeed>,
}

/// A group.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GroupSeed {
    pub(super) path: Option<IamPath>,
    #[serde(default)]
    pub(super) members: Vec<Spanned<UserName>>,
    #[serde(default)]
    pub(super) managed_policies: Vec<Spanned<PolicyRef>>,
    #[serde(default)]
    pub(super) policies: BTreeMap<PolicyName, GroupPolicyText>,
}

/// A role.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RoleSeed {
    pub(super) path: Option<IamPath>,
    pub(super) description: Option<Description>,
    /// In seconds, as IAM has it.
    pub(super) max_session_duration: Option<MaxSessionDuration>,
    pub(super) trust: Option<TrustPolicyText>,
    pub(super) tags: Option<Tags>,
    #[serde(default)]
    pub(super) managed_policies: Vec<Spanned<PolicyRef>>,
    pub(super) permissions_boundary: Option<Spanned<PolicyRef>>,
    #[serde(default)]
    pub(super) policies: BTreeMap<PolicyName, RolePolicyText>,
}

/// An access key. Without an id it is one of those that the user has, or a new one.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, try_from = "UncheckedAccessKeySeed")]
pub(super) struct AccessKeySeed {
    pub(super) id: Option<AccessKeyId>,
    pub(super) status: Option<AccessKeyStatus>,
    pub(super) secret: Option<TestSecret>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UncheckedAccessKeySeed {
    id: Option<AccessKeyId>,
    status: Option<AccessKeyStatus>,
    #[serde(rename = "test_only_secret")]
    secret: Option<TestSecret>,
}

impl TryFrom<UncheckedAccessKeySeed> for AccessKeySeed {
    type Error = String;

    fn try_from(seed: UncheckedAccessKeySeed) -> Result<Self, String> {
        let UncheckedAccessKeySeed { id, status, secret } = seed;
        match &id {
            Some(id) if id.is_temporary() => {
                Err(format!("`{id}` is a session's: an access key that lasts begins with `AKIA`"))
            }
            None if status.is_some() || secret.is_some() => {
                Err("an access key with a `status` or `test_only_secret` needs an `id` to be known by".into())
            }
            _ => Ok(Self { id, status, secret }),
        }
    }
}

/// A virtual MFA device of a user, enabled.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MfaDeviceSeed {
    #[serde(rename = "test_only_seed")]
    pub(super) seed: Option<TestSeed>,
}

/// The secret of an access key that everybody who has the file knows: for tests, never for anything else.
pub(super) struct TestSecret(String);

impl TestSecret {
    pub(super) fn to_secret(&self) -> SecretBytes {
        self.0.as_bytes().into()
    }
}

impl<'de> Deserialize<'de> for TestSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.len() == ACCESS_KEY_SECRET_CHARS && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(text))
        } else {
            Err(de::Error::custom(format!(
                "an access key's secret is {ACCESS_KEY_SECRET_CHARS} letters, digits and signs"
            )))
        }
    }
}

impl fmt::Debug for TestSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TestSecret")
    }
}

/// The seed of an MFA device that everybody who has the file knows: for tests, never for anything else.
#[derive(Clone)]
pub(super) struct TestSeed(String);

impl TestSeed {
    /// The seed's bytes.
    pub(super) fn to_secret(&self) -> Option<SecretBytes> {
        totp::seed_from_base32(&self.0.as_bytes().into())
    }
}

impl<'de> Deserialize<'de> for TestSeed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seed = Self(String::deserialize(deserializer)?);
        match seed.to_secret() {
            Some(_) => Ok(seed),
            None => Err(de::Error::custom(format!(
                "the seed of an MFA device is {} to {} bytes in base32",
                totp::SEED_BYTES_MIN,
                totp::SEED_BYTES_MAX
            ))),
        }
    }
}

impl fmt::Debug for TestSeed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TestSeed")
    }
}
