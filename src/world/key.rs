//! A KMS key as the world holds it: what everybody may know, its policy, and its materials under wrap.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    model::{
        Days, KeyArn, KeyId, KeyOrigin, KeySpec, KeyState, KeyUsage, MaterialId, ParseError, PrincipalArn,
        RotationType, Tags, Tier, Timestamp,
    },
    policy::{Policy, PolicyKind},
};

/// A KMS key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Key {
    /// Its ARN: account, Region and id.
    pub arn: KeyArn,
    /// AWS owned, AWS managed or customer managed.
    pub tier: Tier,
    /// The type of its material.
    pub spec: KeySpec,
    /// What it may be used for.
    pub usage: KeyUsage,
    /// Where its material comes from.
    pub origin: KeyOrigin,
    /// When it was made.
    pub created: Timestamp,
    /// What its owner says it is for.
    pub description: String,
    /// Whether it can be used.
    pub state: KeyState,
    /// When its deletion window ends, while it is pending deletion.
    pub deletion_date: Option<Timestamp>,
    /// Its one policy, named `default`.
    pub policy: KeyPolicy,
    /// Its tags.
    pub tags: Tags,
    /// Its automatic rotation, when that is on.
    pub rotation: Option<RotationSchedule>,
    /// Its materials, oldest first; the last is the current one.
    pub materials: Vec<Material>,
}

impl Key {
    /// The key's id.
    #[must_use]
    pub fn id(&self) -> &KeyId {
        self.arn.key_id()
    }

    /// The material that new ciphertexts use.
    #[must_use]
    pub fn current_material(&self) -> Option<&Material> {
        self.materials.last()
    }

    /// The material with this id, whatever its age.
    #[must_use]
    pub fn material(&self, id: &MaterialId) -> Option<&Material> {
        self.materials.iter().find(|material| material.id == *id)
    }

    /// How many times the key was rotated on demand.
    #[must_use]
    pub fn on_demand_rotations(&self) -> usize {
        self.materials.iter().filter(|material| material.rotation == Some(RotationType::OnDemand)).count()
    }

    /// When time itself next does something to this key: the end of its deletion window, or its next rotation while
    /// it is enabled.
    #[must_use]
    pub fn due(&self) -> Option<Timestamp> {
        match self.state {
            KeyState::PendingDeletion => self.deletion_date,
            KeyState::Enabled => self.rotation.map(|schedule| schedule.next),
            KeyState::Disabled => None,
        }
    }
}

/// When a key rotates by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationSchedule {
    /// The days between two rotations.
    pub period: Days,
    /// When the next one is due.
    pub next: Timestamp,
}

/// One material of a key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Material {
    /// Its id.
    pub id: MaterialId,
    /// When it became the current one.
    pub created: Timestamp,
    /// Which kind of rotation brought it; `None` for the key's first.
    pub rotation: Option<RotationType>,
    /// The material itself, wrapped under a key that derives from the root key.
    #[serde(with = "hex::serde")]
    pub wrapped: Vec<u8>,
}

/// A key policy, parsed once and kept with its text and the unique ids of the principals that it names.
///
/// The ids are what counts, as at AWS: a user who is deleted and made again under the same name is somebody else.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "StoredKeyPolicy", into = "StoredKeyPolicy")]
pub struct KeyPolicy {
    policy: Arc<Policy>,
    principals: BTreeMap<PrincipalArn, String>,
}

impl KeyPolicy {
    /// Takes a parsed key policy, with the unique id of each principal that it names.
    #[must_use]
    pub fn new(mut policy: Policy, principals: BTreeMap<PrincipalArn, String>) -> Self {
        policy.resolve_principals(|arn| principals.get(arn).cloned());
        Self { policy: Arc::new(policy), principals }
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Its text, as it was put.
    #[must_use]
    pub fn text(&self) -> &str {
        self.policy.text()
    }
}

/// A key policy as it stands in storage.
#[derive(Serialize, Deserialize)]
struct StoredKeyPolicy {
    text: String,
    principals: BTreeMap<PrincipalArn, String>,
}

impl TryFrom<StoredKeyPolicy> for KeyPolicy {
    type Error = ParseError;

    fn try_from(stored: StoredKeyPolicy) -> Result<Self, ParseError> {
        let policy = Policy::parse(&stored.text, PolicyKind::Key)
            .map_err(|error| ParseError::new(error.to_string()))?;
        Ok(Self::new(policy, stored.principals))
    }
}

impl From<KeyPolicy> for StoredKeyPolicy {
    fn from(policy: KeyPolicy) -> Self {
        Self { text: policy.text().to_owned(), principals: policy.principals }
    }
}
