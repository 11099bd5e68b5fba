//! What time does by itself: automatic rotation, and deletion at the end of its window.
//!
//! Each act is dated when it fell due, not when somebody came by, and leaves a record as CloudTrail has it for acts of
//! the service ("RotateKey", "DeleteKey"; KMS developer guide, "Logging AWS KMS API calls").

use serde_json::json;

use super::{CallError, commit::Entry, material::Materials, service_event};
use crate::{
    crypto::random::Random,
    model::{KeyState, RotationType, Timestamp},
    world::{Change, Key, RotationSchedule, World},
};

/// The next key with which something has fallen due by `now`, and when it did.
pub(super) fn due(world: &World, now: Timestamp) -> Option<(Timestamp, &Key)> {
    let (due, arn) = world.next_due().filter(|(due, _)| *due <= now)?;
    Some((*due, world.key(arn)?))
}

/// Does what has fallen due with a key.
pub(super) fn act(
    world: &World,
    (due, key): (Timestamp, &Key),
    materials: &Materials,
    random: &mut dyn Random,
) -> Result<Entry, CallError> {
    match key.state {
        KeyState::PendingDeletion => delete(world, key, due, random),
        _ => rotate(world, key, due, materials, random),
    }
}

fn delete(world: &World, key: &Key, due: Timestamp, random: &mut dyn Random) -> Result<Entry, CallError> {
    let aliases = world
        .aliases_of(&key.arn)
        .map(|alias| Change::DeleteAlias(alias.account.clone(), alias.name.clone()));
    let mut changes: Vec<Change> = aliases.collect();
    let grants = world.grants_on(&key.arn, None);
    changes.extend(grants.map(|grant| Change::DeleteGrant(grant.key.clone(), grant.id.clone())));
    changes.push(Change::EraseKey(key.arn.clone()));
    let materials: Vec<String> = key.materials.iter().map(|material| material.id.to_string()).collect();
    let details = json!({"keyId": key.id(), "erasedKeyMaterialIds": materials});
    Ok(Entry { records: service_event::records(world, key, due, "DeleteKey", details, random)?, changes })
}

fn rotate(
    world: &World,
    key: &Key,
    due: Timestamp,
    materials: &Materials,
    random: &mut dyn Random,
) -> Result<Entry, CallError> {
    let mut rotated = key.clone();
    let previous = key.current_material().map(|material| material.id.to_string());
    let material = materials.generate(&key.arn, due, Some(RotationType::Automatic), random)?;
    let details = json!({
        "rotationType": RotationType::Automatic,
        "keyOrigin": key.origin,
        "previousKeyMaterialId": previous,
        "currentKeyMaterialId": material.id,
        "keyId": key.id(),
    });
    rotated.materials.push(material);
    rotated.rotation =
        key.rotation.map(|schedule| RotationSchedule { next: due.plus(schedule.period), ..schedule });
    let changes = vec![Change::PutKey(Box::new(rotated))];
    Ok(Entry { records: service_event::records(world, key, due, "RotateKey", details, random)?, changes })
}
