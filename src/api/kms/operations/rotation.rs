//! Rotation.

use super::{Begun, keys::key_id_alone};
use crate::{
    api::{
        error::WireError,
        json::written,
        kms::{Pending, pages::Limits},
    },
    kms::{DisableKeyRotation, EnableKeyRotation, GetKeyRotationStatus, ListKeyRotations, RotateKeyOnDemand},
};

pub(super) fn enable_key_rotation(request: &Begun<'_>) -> Result<Pending, WireError> {
    let parameters = &request.parameters;
    request.call_for_nothing(&EnableKeyRotation {
        key_id: parameters.key("KeyId")?,
        rotation_period: parameters.days("RotationPeriodInDays"),
    })
}

pub(super) fn disable_key_rotation(request: &Begun<'_>) -> Result<Pending, WireError> {
    request.call_for_nothing(&DisableKeyRotation { key_id: request.parameters.key("KeyId")? })
}

pub(super) fn get_key_rotation_status(request: &Begun<'_>) -> Result<Pending, WireError> {
    request
        .call(&GetKeyRotationStatus { key_id: request.parameters.key("KeyId")? }, |status| written(&status))
}

pub(super) fn rotate_key_on_demand(request: &Begun<'_>) -> Result<Pending, WireError> {
    request.call(&RotateKeyOnDemand { key_id: request.parameters.key("KeyId")? }, key_id_alone)
}

pub(super) fn list_key_rotations(request: &Begun<'_>) -> Result<Pending, WireError> {
    let wanted = request.wanted(Limits::LONG)?;
    let operation = ListKeyRotations {
        key_id: request.parameters.key("KeyId")?,
        include_all_key_material: request.parameters.text("IncludeKeyMaterial") == Some("ALL_KEY_MATERIAL"),
    };
    request.call(&operation, move |rotations| {
        // Materials are only ever added, so that a rotation keeps its number.
        let numbered = rotations.into_iter().enumerate().collect();
        let page =
            wanted.page("ListKeyRotations", "Rotations", numbered, |(number, _)| format!("{number:06}"));
        written(&page.map(|(_, rotation)| rotation))
    })
}
