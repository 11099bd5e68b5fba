//! The keys that wrap the world's secrets, and how all of them pass from one root key to the next.

use super::{
    KeystoreError,
    seal::{Purpose, RootKey},
};
use crate::{
    crypto::random::Random,
    iam::{AccessKey, MfaDevice, Session},
    kms::{SecretOf, Secrets},
    world::{Change, DigestKey, IdentityChange, Key, Material, Settings, World},
};

/// The keys that wrap secrets, of this root key.
pub(super) fn secrets_of(root: &RootKey, keystore_id: &str) -> Secrets {
    Secrets::new(
        root.derive(keystore_id, Purpose::MaterialWrapping),
        root.derive(keystore_id, Purpose::CredentialWrapping),
    )
}

/// The same world with every secret wrapped under another root key's wrapping keys.
pub(super) fn rewrapped(
    world: &World,
    older: &Secrets,
    newer: &Secrets,
    random: &mut dyn Random,
) -> Result<World, KeystoreError> {
    let mut rewrapped = World::clone(world);
    for key in world.keys() {
        let mut key = Key::clone(key);
        let materials = key
            .materials
            .iter()
            .map(|material| older.materials.rewrap(&newer.materials, &key.arn, material, random));
        key.materials = materials.collect::<Result<Vec<Material>, _>>()?;
        rewrapped.apply(&Change::PutKey(Box::new(key)));
    }
    for authority in world.authorities() {
        let authority = older.materials.rewrap_authority(&newer.materials, authority, random)?;
        rewrapped.apply(&Change::PutAuthority(Box::new(authority)));
    }
    let (older, newer) = (&older.credentials, &newer.credentials);
    if let Some(key) = &world.settings().digest_key {
        let of = SecretOf::DigestKey(&key.fingerprint);
        let wrapped = older.rewrap(newer, of, &key.wrapped, random)?;
        let digest_key = Some(DigestKey { wrapped, ..key.clone() });
        rewrapped.apply(&Change::PutSettings(Settings { digest_key, ..world.settings().clone() }));
    }
    for access_key in world.identities().access_keys() {
        let of = SecretOf::AccessKey(&access_key.id);
        let wrapped = older.rewrap(newer, of, &access_key.wrapped, random)?;
        let access_key = AccessKey { wrapped, ..AccessKey::clone(access_key) };
        rewrapped.apply(&Change::Identity(IdentityChange::PutAccessKey(Box::new(access_key))));
    }
    for device in world.identities().mfa_devices() {
        let wrapped = older.rewrap(newer, SecretOf::MfaDevice(&device.serial), &device.wrapped, random)?;
        let device = MfaDevice { wrapped, ..MfaDevice::clone(device) };
        rewrapped.apply(&Change::Identity(IdentityChange::PutMfaDevice(Box::new(device))));
    }
    for session in world.identities().sessions() {
        let of = SecretOf::AccessKey(&session.access_key);
        let wrapped = older.rewrap(newer, of, &session.wrapped, random)?;
        let session = Session { wrapped, ..Session::clone(session) };
        rewrapped.apply(&Change::Identity(IdentityChange::PutSession(Box::new(session))));
    }
    Ok(rewrapped)
}
