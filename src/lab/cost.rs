//! What the keys of a world would cost a month.
//!
//! 1 USD for a customer managed key, and 1 USD more for each material that its first two rotations brought; keys that are
//! pending deletion cost nothing, nor do those that AWS manages or owns. Storage alone: requests are not counted.
//! Source: "AWS Key Management Service pricing".

use crate::{
    model::{KeyState, Tier},
    world::{Key, World},
};

/// The price of a key, or of a further material, in USD a month.
const USD_A_MATERIAL: u32 = 1;
/// After this many rotations no further one costs anything.
const ROTATIONS_CHARGED_MAX: u32 = 2;

/// What a key costs in USD a month.
#[must_use]
pub fn monthly_usd(key: &Key) -> u32 {
    if key.tier != Tier::CustomerManaged || key.state == KeyState::PendingDeletion {
        return 0;
    }
    let rotations = key.materials.iter().filter(|material| material.rotation.is_some()).count();
    let charged = u32::try_from(rotations).unwrap_or(u32::MAX).min(ROTATIONS_CHARGED_MAX);
    USD_A_MATERIAL * (1 + charged)
}

/// What all keys of a world cost in USD a month.
#[must_use]
pub fn monthly_usd_of(world: &World) -> u32 {
    world.keys().map(|key| monthly_usd(key)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        kms::{RotateKeyOnDemand, ScheduleKeyDeletion},
        services::s3::Encryption,
        testing::Lab,
    };

    #[test]
    fn a_key_costs_a_dollar_and_its_first_two_rotations_one_each() {
        let lab = Lab::new().unwrap();
        let (kms, admin) = (lab.kms(), lab.admin());
        let cost = || monthly_usd_of(&lab.keystore().world().unwrap());
        lab.put(&admin, "models", "owned", Encryption::Aes256, b"1").unwrap();
        lab.put(&admin, "models", "managed", Encryption::AwsManagedKey, b"2").unwrap();
        assert_eq!(cost(), 0);
        let key = lab.key().unwrap();
        lab.key().unwrap();
        assert_eq!(cost(), 2);
        for expected in [3, 4, 4] {
            kms.rotate_key_on_demand(&admin, RotateKeyOnDemand { key_id: key.clone().into() }).unwrap();
            assert_eq!(cost(), expected);
        }
        let schedule = ScheduleKeyDeletion { key_id: key.into(), pending_window: None };
        kms.schedule_key_deletion(&admin, schedule).unwrap();
        assert_eq!(cost(), 1);
    }
}
