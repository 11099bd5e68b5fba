//! A KMS key as the world holds it: what everybody may know, its policy, and its materials under wrap.

use serde::{Deserialize, Serialize};

use crate::{
    model::{
        Days, KeyArn, KeyId, KeyOrigin, KeySpec, KeyState, KeyUsage, MaterialId, ParseError, RotationType,
        Tags, Tier, Timestamp,
    },
    policy::{BoundPolicy, Policy, PolicyKind, StoredBoundPolicy},
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

/// A key policy, parsed once and bound to the unique ids of the principals that it names.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "StoredBoundPolicy", into = "StoredBoundPolicy")]
pub struct KeyPolicy(BoundPolicy);

impl KeyPolicy {
    /// Takes a key policy.
    #[must_use]
    pub fn new(policy: BoundPolicy) -> Self {
        Self(policy)
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        self.0.policy()
    }

    /// Its text, as it was put.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0.text()
    }

    /// The policy with the ids that it is bound to.
    #[must_use]
    pub fn bound(&self) -> &BoundPolicy {
        &self.0
    }
}

impl TryFrom<StoredBoundPolicy> for KeyPolicy {
    type Error = ParseError;

    fn try_from(stored: StoredBoundPolicy) -> Result<Self, ParseError> {
        stored.read(PolicyKind::Key).map(Self)
    }
}

impl From<KeyPolicy> for StoredBoundPolicy {
    fn from(policy: KeyPolicy) -> Self {
        policy.0.into()
    }
}
