//! Customer managed keys in a seed, and the grants on them.

use std::fmt;

use serde::{Deserialize, Deserializer, de};
use toml::Spanned;

use super::{SeedError, place::SeedText, policy::KeyPolicyText, reference::PrincipalRef};
use crate::{
    kms::{
        PENDING_WINDOW_MAX, PENDING_WINDOW_MIN, ROTATION_PERIOD_DEFAULT, ROTATION_PERIOD_MAX,
        ROTATION_PERIOD_MIN,
    },
    model::{AliasName, Days, EncryptionContext, GrantId, GrantName, KeyId, Tags},
    policy::{GrantConstraint, GrantOperations},
    secret::SecretKey,
};

/// A customer managed key. It is known by its id, or else by its first alias.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, try_from = "UncheckedKeySeed")]
pub(super) struct KeySeed {
    pub(super) id: Option<KeyId>,
    pub(super) aliases: Vec<AliasName>,
    pub(super) description: Option<String>,
    pub(super) policy: Option<KeyPolicyText>,
    pub(super) tags: Option<Tags>,
    pub(super) rotation: Option<Rotation>,
    pub(super) state: Option<State>,
    pub(super) deletion_window: Option<DeletionWindow>,
    pub(super) material: Option<TestMaterial>,
    pub(super) grants: Vec<Spanned<GrantSeed>>,
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
    deletion_window: Option<DeletionWindow>,
    #[serde(rename = "test_only_material")]
    material: Option<TestMaterial>,
    #[serde(default)]
    grants: Vec<Spanned<GrantSeed>>,
}

/// Automatic rotation: a period, or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rotation(pub(super) Option<Days>);

/// The state that a key shall be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum State {
    #[serde(rename = "enabled")]
    Enabled,
    #[serde(rename = "disabled")]
    Disabled,
    #[serde(rename = "pending deletion")]
    PendingDeletion,
}

/// The days until a key that is pending deletion is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u32")]
pub(super) struct DeletionWindow(pub(super) Days);

/// A grant. It is known by its name, which is what makes CreateGrant safe to repeat.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, try_from = "UncheckedGrantSeed")]
pub(super) struct GrantSeed {
    pub(super) name: GrantName,
    pub(super) id: Option<GrantId>,
    pub(super) grantee: PrincipalRef,
    pub(super) retiring: Option<PrincipalRef>,
    pub(super) operations: GrantOperations,
    pub(super) constraint: Option<GrantConstraint>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UncheckedGrantSeed {
    name: GrantName,
    id: Option<GrantId>,
    grantee_principal: PrincipalRef,
    retiring_principal: Option<PrincipalRef>,
    operations: GrantOperations,
    encryption_context_equals: Option<EncryptionContext>,
    encryption_context_subset: Option<EncryptionContext>,
}

/// A material that everybody who has the seed knows: for tests that need the same ciphertexts, never for anything else.
pub(super) struct TestMaterial(String);

/// Two keys under one name would each undo what the other did.
pub(super) fn no_two_keys_alike(keys: &[Spanned<KeySeed>], text: &SeedText) -> Result<(), SeedError> {
    let mut seen = std::collections::BTreeSet::new();
    for key in keys {
        let KeySeed { id, aliases, .. } = key.get_ref();
        let names = id.iter().map(ToString::to_string).chain(aliases.iter().map(ToString::to_string));
        for name in names {
            if !seen.insert(name.clone()) {
                return Err(SeedError::Twice { place: text.place(key.span().start), name });
            }
        }
    }
    Ok(())
}

impl TryFrom<UncheckedKeySeed> for KeySeed {
    type Error = String;

    fn try_from(seed: UncheckedKeySeed) -> Result<Self, String> {
        let UncheckedKeySeed {
            id,
            aliases,
            description,
            policy,
            tags,
            rotation,
            state,
            deletion_window,
            material,
            grants,
        } = seed;
        if id.is_none() && aliases.is_empty() {
            return Err(
                "a key needs a name to be known by: write `aliases = [\"alias/NAME\"]`, or an `id`".into()
            );
        }
        if let Some(reserved) = aliases.iter().find(|alias| alias.is_reserved()) {
            return Err(format!("`{reserved}` is kept for AWS's own keys: choose a name without `aws/`"));
        }
        if deletion_window.is_some() && state != Some(State::PendingDeletion) {
            return Err("`deletion_window` goes with `state = \"pending deletion\"`".into());
        }
        let mut names: Vec<&GrantName> = grants.iter().map(|grant| &grant.get_ref().name).collect();
        names.sort();
        if let Some([name, _]) = names.windows(2).find(|pair| pair.first() == pair.last()) {
            return Err(format!("two grants of a key are named `{name}`: give each its own name"));
        }
        Ok(Self {
            id,
            aliases,
            description,
            policy,
            tags,
            rotation,
            state,
            deletion_window,
            material,
            grants,
        })
    }
}

impl TryFrom<UncheckedGrantSeed> for GrantSeed {
    type Error = String;

    fn try_from(seed: UncheckedGrantSeed) -> Result<Self, String> {
        let constraint = match (seed.encryption_context_equals, seed.encryption_context_subset) {
            (Some(_), Some(_)) => {
                return Err(
                    "a grant has `encryption_context_equals` or `encryption_context_subset`, not both".into(),
                );
            }
            (Some(pairs), None) => Some(GrantConstraint::EncryptionContextEquals(pairs)),
            (None, Some(pairs)) => Some(GrantConstraint::EncryptionContextSubset(pairs)),
            (None, None) => None,
        };
        if seed.operations.is_empty() {
            return Err("a grant needs operations, such as `operations = [\"Decrypt\"]`".into());
        }
        Ok(Self {
            name: seed.name,
            id: seed.id,
            grantee: seed.grantee_principal,
            retiring: seed.retiring_principal,
            operations: seed.operations,
            constraint,
        })
    }
}

impl TryFrom<u32> for DeletionWindow {
    type Error = String;

    fn try_from(days: u32) -> Result<Self, String> {
        let (window, min, max) = (Days::new(days), PENDING_WINDOW_MIN, PENDING_WINDOW_MAX);
        if (min..=max).contains(&window) {
            Ok(Self(window))
        } else {
            Err(format!("a deletion window is {} to {} days", min.get(), max.get()))
        }
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
    pub(super) fn to_secret(&self) -> Option<SecretKey> {
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
