//! EnableKeyRotation, DisableKeyRotation, GetKeyRotationStatus, RotateKeyOnDemand, ListKeyRotations.
//!
//! Source: "Rotating AWS KMS keys" (KMS developer guide). A rotation adds a material; the older ones stay for ever, so
//! that what they sealed still opens. The rotation that falls due by itself is in `tick`.

use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Call, CallError, Operation, Outcome,
    conditions::KeyConditions,
    keys::{key_arn_element, optional_epoch_seconds},
    operation::actions,
};
use crate::{
    model::{Days, ErrorCode, KeyArn, KeyId, KeyRef, KeyState, MaterialId, RotationType, Timestamp},
    world::{Change, Key, RotationSchedule},
};

actions! {
    /// `kms:EnableKeyRotation`.
    EnableKeyRotationPermission = "kms:EnableKeyRotation",
    /// `kms:DisableKeyRotation`.
    DisableKeyRotationPermission = "kms:DisableKeyRotation",
    /// `kms:GetKeyRotationStatus`.
    GetKeyRotationStatusPermission = "kms:GetKeyRotationStatus",
    /// `kms:RotateKeyOnDemand`.
    RotateKeyOnDemandPermission = "kms:RotateKeyOnDemand",
    /// `kms:ListKeyRotations`.
    ListKeyRotationsPermission = "kms:ListKeyRotations",
}

/// The shortest rotation period (KMS API, EnableKeyRotation).
pub const ROTATION_PERIOD_MIN: Days = Days::new(90);
/// The longest rotation period.
pub const ROTATION_PERIOD_MAX: Days = Days::new(2560);
/// The rotation period when none is given, and that of AWS managed keys.
pub const ROTATION_PERIOD_DEFAULT: Days = Days::new(365);
/// How often one key can be rotated on demand (KMS, "Resource quotas").
pub const ON_DEMAND_ROTATIONS_MAX: usize = 25;

/// Turns automatic rotation on, or changes its period.
#[derive(Debug)]
pub struct EnableKeyRotation {
    /// The key.
    pub key_id: KeyRef,
    /// The days between two rotations; what was set before, else [`ROTATION_PERIOD_DEFAULT`], when absent.
    pub rotation_period: Option<Days>,
}

impl Operation for EnableKeyRotation {
    type Permission = EnableKeyRotationPermission;
    type Answer = ();
    const NAME: &'static str = "EnableKeyRotation";
    const READ_ONLY: bool = false;

    fn request_parameters(&self) -> Value {
        json!({"keyId": self.key_id.to_string(), "rotationPeriodInDays": self.rotation_period})
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let named = call.resolve::<Self::Permission>(&self.key_id)?;
        let current = named.key.rotation.map(|schedule| schedule.period);
        let period = self.rotation_period.or(current).unwrap_or(ROTATION_PERIOD_DEFAULT);
        let conditions = KeyConditions { rotation_period: Some(period), ..KeyConditions::default() };
        let permitted = call.authorize::<Self::Permission>(&named, &conditions)?;
        if !(ROTATION_PERIOD_MIN..=ROTATION_PERIOD_MAX).contains(&period) {
            return Err(CallError::validation(format!(
                "RotationPeriodInDays must be between {} and {}, inclusive.",
                ROTATION_PERIOD_MIN.get(),
                ROTATION_PERIOD_MAX.get()
            )));
        }
        call.require_state(&named.key)?;
        let mut key = Key::clone(&named.key);
        // A new period counts from now; asking for the same again moves nothing.
        if current != Some(period) {
            key.rotation = Some(RotationSchedule { period, next: call.now().plus(period) });
        }
        Ok(Outcome::changed(permitted, key))
    }
}

/// Turns automatic rotation off.
#[derive(Debug)]
pub struct DisableKeyRotation {
    /// The key.
    pub key_id: KeyRef,
}

impl Operation for DisableKeyRotation {
    type Permission = DisableKeyRotationPermission;
    type Answer = ();
    const NAME: &'static str = "DisableKeyRotation";
    const READ_ONLY: bool = false;

    fn request_parameters(&self) -> Value {
        json!({"keyId": self.key_id.to_string()})
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (named, permitted) = call.on_key::<Self::Permission>(&self.key_id)?;
        call.require_state(&named.key)?;
        let mut key = Key::clone(&named.key);
        key.rotation = None;
        Ok(Outcome::changed(permitted, key))
    }
}

/// Asks whether and when a key rotates by itself.
#[derive(Debug)]
pub struct GetKeyRotationStatus {
    /// The key.
    pub key_id: KeyRef,
}

/// What GetKeyRotationStatus answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct KeyRotationStatus {
    /// The key's ARN.
    pub key_id: KeyArn,
    /// Whether automatic rotation is on. Never while the key is pending deletion.
    pub key_rotation_enabled: bool,
    /// The days between two rotations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotation_period_in_days: Option<Days>,
    /// When the next rotation is due.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_epoch_seconds")]
    pub next_rotation_date: Option<Timestamp>,
}

impl Operation for GetKeyRotationStatus {
    type Permission = GetKeyRotationStatusPermission;
    type Answer = KeyRotationStatus;
    const NAME: &'static str = "GetKeyRotationStatus";
    const READ_ONLY: bool = true;

    fn request_parameters(&self) -> Value {
        json!({"keyId": self.key_id.to_string()})
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (named, permitted) = call.on_key::<Self::Permission>(&self.key_id)?;
        let key = &named.key;
        let schedule = key.rotation.filter(|_| key.state != KeyState::PendingDeletion);
        let answer = KeyRotationStatus {
            key_id: key.arn.clone(),
            key_rotation_enabled: schedule.is_some(),
            rotation_period_in_days: schedule.map(|schedule| schedule.period),
            next_rotation_date: schedule.map(|schedule| schedule.next),
        };
        Ok(Outcome::answer(permitted, answer))
    }
}

/// Rotates a key now.
#[derive(Debug)]
pub struct RotateKeyOnDemand {
    /// The key.
    pub key_id: KeyRef,
}

impl Operation for RotateKeyOnDemand {
    type Permission = RotateKeyOnDemandPermission;
    type Answer = KeyArn;
    const NAME: &'static str = "RotateKeyOnDemand";
    const READ_ONLY: bool = false;

    fn request_parameters(&self) -> Value {
        json!({"keyId": self.key_id.to_string()})
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (named, permitted) = call.on_key::<Self::Permission>(&self.key_id)?;
        call.require_state(&named.key)?;
        if named.key.on_demand_rotations() >= ON_DEMAND_ROTATIONS_MAX {
            return Err(CallError::new(
                ErrorCode::LimitExceeded,
                format!(
                    "The on-demand rotations limit has been reached for the given keyId. No more on-demand rotations \
                     can be performed for this key: {}",
                    named.key.arn
                ),
            ));
        }
        let mut key = Key::clone(&named.key);
        let material =
            call.materials.generate(&key.arn, call.now(), Some(RotationType::OnDemand), call.random)?;
        let id = material.id;
        key.materials.push(material);
        let (arn, elements) = (key.arn.clone(), key_arn_element(&key.arn));
        Ok(Outcome::answer(permitted, arn)
            .changing(vec![Change::PutKey(Box::new(key))], elements)
            .noting("keyMaterialId", id.to_string()))
    }
}

/// Lists a key's materials and the rotations that brought them.
#[derive(Debug)]
pub struct ListKeyRotations {
    /// The key.
    pub key_id: KeyRef,
    /// Whether the key's first material, which no rotation brought, is listed too (`ALL_KEY_MATERIAL`).
    pub include_all_key_material: bool,
}

/// One line of ListKeyRotations.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RotationEntry {
    /// The key's id.
    pub key_id: KeyId,
    /// The material.
    pub key_material_id: MaterialId,
    /// `CURRENT` or `NON_CURRENT`.
    pub key_material_state: &'static str,
    /// When the material came.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_epoch_seconds")]
    pub rotation_date: Option<Timestamp>,
    /// Which kind of rotation brought it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotation_type: Option<RotationType>,
}

impl Operation for ListKeyRotations {
    type Permission = ListKeyRotationsPermission;
    type Answer = Vec<RotationEntry>;
    const NAME: &'static str = "ListKeyRotations";
    const READ_ONLY: bool = true;

    fn request_parameters(&self) -> Value {
        json!({"keyId": self.key_id.to_string()})
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (named, permitted) = call.on_key::<Self::Permission>(&self.key_id)?;
        let key = &named.key;
        let current = key.current_material().map(|material| material.id);
        let listed = key.materials.iter().filter(|m| self.include_all_key_material || m.rotation.is_some());
        let entries = listed.map(|material| RotationEntry {
            key_id: key.id().clone(),
            key_material_id: material.id,
            key_material_state: if Some(material.id) == current { "CURRENT" } else { "NON_CURRENT" },
            rotation_date: material.rotation.map(|_| material.created),
            rotation_type: material.rotation,
        });
        Ok(Outcome::answer(permitted, entries.collect()))
    }
}
