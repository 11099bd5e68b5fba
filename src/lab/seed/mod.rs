//! Seeds: a world as text, made real by calls through the door.
//!
//! A seed says in TOML what there must be: accounts, people, roles, buckets, keys. [`Seed::plan`] compares it with a
//! keystore and answers the calls that are missing; [`Plan::apply`] makes them, so each leaves its audit record and none
//! goes round a permission. Applied twice, the second time changes nothing.
//!
//! ```
//! use keystead::{lab::seed::Seed, testing::Lab};
//!
//! let seed = Seed::parse(r#"
//!     buckets = ["models"]
//!
//!     [users.alice.policies.storage]
//!     allow = ["s3:*"]
//!
//!     [[keys]]
//!     aliases = ["alias/models"]
//!     rotation = 365
//! "#)?;
//! let lab = Lab::new()?;
//! seed.plan(lab.keystore())?.apply(lab.keystore(), &lab.admin())?;
//! assert!(seed.plan(lab.keystore())?.changes_nothing());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What a seed does not say, it does not touch: an unmentioned user stays, and so does the description of a key whose
//! seed has none. What it says of a key is exact: a tag that is not among its `tags` is taken off.
//!
//! In policies `{account}` stands for the account they belong to, `{region}` for the keystore's Region and `{home}` for
//! the keystore's own account.

mod error;
mod plan;
mod policy;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, de};

pub use error::SeedError;
pub use plan::{Plan, Step, StepKind};

use self::policy::{IdentityPolicyText, KeyPolicyText};
use crate::{
    iam::{PolicyName, RoleName, UserName},
    kms::{ROTATION_PERIOD_DEFAULT, ROTATION_PERIOD_MAX, ROTATION_PERIOD_MIN},
    model::{AccountId, AliasName, Days, KeyId, Tags},
    secret::SecretKey,
    services::organizations::AccountName,
    world::BucketName,
};

/// The world that the demo and the tour begin with: `keystore/lab.toml`.
pub const LAB: &str = include_str!("../../../keystore/lab.toml");

/// A seed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seed {
    #[serde(default)]
    accounts: BTreeMap<AccountId, AccountSeed>,
    #[serde(default)]
    users: BTreeMap<UserName, IdentitySeed>,
    #[serde(default)]
    roles: BTreeMap<RoleName, IdentitySeed>,
    #[serde(default)]
    buckets: Vec<BucketName>,
    #[serde(default)]
    keys: Vec<KeySeed>,
}

/// What shall be in an account beside the keystore's own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountSeed {
    name: AccountName,
    #[serde(default)]
    users: BTreeMap<UserName, IdentitySeed>,
    #[serde(default)]
    roles: BTreeMap<RoleName, IdentitySeed>,
    #[serde(default)]
    buckets: Vec<BucketName>,
    #[serde(default)]
    keys: Vec<KeySeed>,
}

/// A user or a role.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct IdentitySeed {
    tags: Option<Tags>,
    #[serde(default)]
    policies: BTreeMap<PolicyName, IdentityPolicyText>,
}

/// A customer managed key. It is known by its id, or else by its first alias.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, try_from = "UncheckedKeySeed")]
struct KeySeed {
    id: Option<KeyId>,
    aliases: Vec<AliasName>,
    description: Option<String>,
    policy: Option<KeyPolicyText>,
    tags: Option<Tags>,
    rotation: Option<Rotation>,
    state: Option<State>,
    material: Option<TestMaterial>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UncheckedKeySeed {
    id: Option<KeyId>,
    #[serde(default)]
    aliases: Vec<AliasName>,
    description: Option<String>,
    policy: Option<KeyPolicyText>,
    tags: Option<Tags>,
    rotation: Option<Rotation>,
    state: Option<State>,
    #[serde(rename = "test_only_material")]
    material: Option<TestMaterial>,
}

/// Automatic rotation: a period, or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rotation(Option<Days>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Enabled,
    Disabled,
}

/// A material that everybody who has the seed knows: for tests that need the same ciphertexts, never for anything else.
struct TestMaterial(String);

impl Seed {
    /// Reads a seed.
    ///
    /// # Errors
    ///
    /// [`SeedError::Text`] with the line and column of what is not understood, and what to write there.
    pub fn parse(text: &str) -> Result<Self, SeedError> {
        let seed: Self = toml::from_str(text).map_err(|error| SeedError::in_text(text, &error))?;
        no_two_keys_alike(&seed.keys)?;
        for account in seed.accounts.values() {
            no_two_keys_alike(&account.keys)?;
        }
        Ok(seed)
    }
}

/// Two keys under one name would each undo what the other did.
fn no_two_keys_alike(keys: &[KeySeed]) -> Result<(), SeedError> {
    let ids = keys.iter().filter_map(|key| key.id.as_ref()).map(ToString::to_string);
    let aliases = keys.iter().flat_map(|key| &key.aliases).map(ToString::to_string);
    let mut names: Vec<String> = ids.chain(aliases).collect();
    names.sort();
    match names.windows(2).find_map(|pair| match pair {
        [one, other] if one == other => Some(one.clone()),
        _ => None,
    }) {
        Some(name) => Err(SeedError::Twice { name }),
        None => Ok(()),
    }
}

impl TryFrom<UncheckedKeySeed> for KeySeed {
    type Error = String;

    fn try_from(seed: UncheckedKeySeed) -> Result<Self, String> {
        let UncheckedKeySeed { id, aliases, description, policy, tags, rotation, state, material } = seed;
        if id.is_none() && aliases.is_empty() {
            return Err(
                "a key needs a name to be known by: write `aliases = [\"alias/NAME\"]`, or an `id`".into()
            );
        }
        if let Some(reserved) = aliases.iter().find(|alias| alias.is_reserved()) {
            return Err(format!("`{reserved}` is kept for AWS's own keys: choose a name without `aws/`"));
        }
        Ok(Self { id, aliases, description, policy, tags, rotation, state, material })
    }
}

impl<'de> Deserialize<'de> for Rotation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Rotation;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                let (min, max) = (ROTATION_PERIOD_MIN.get(), ROTATION_PERIOD_MAX.get());
                write!(formatter, "the days between two rotations, {min} to {max}, or `false` for none")
            }

            fn visit_bool<E: de::Error>(self, on: bool) -> Result<Rotation, E> {
                Ok(Rotation(on.then_some(ROTATION_PERIOD_DEFAULT)))
            }

            fn visit_i64<E: de::Error>(self, days: i64) -> Result<Rotation, E> {
                let period = u32::try_from(days).ok().map(Days::new);
                match period.filter(|days| (ROTATION_PERIOD_MIN..=ROTATION_PERIOD_MAX).contains(days)) {
                    Some(period) => Ok(Rotation(Some(period))),
                    None => Err(E::invalid_value(de::Unexpected::Signed(days), &self)),
                }
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl TestMaterial {
    fn to_secret(&self) -> Option<SecretKey> {
        SecretKey::from_slice(&hex::decode(&self.0).ok()?)
    }
}

impl<'de> Deserialize<'de> for TestMaterial {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let material = Self(String::deserialize(deserializer)?);
        match material.to_secret() {
            Some(_) => Ok(material),
            None => Err(de::Error::custom("a key material is 64 hexadecimal digits: 32 bytes")),
        }
    }
}

impl fmt::Debug for TestMaterial {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TestMaterial")
    }
}
