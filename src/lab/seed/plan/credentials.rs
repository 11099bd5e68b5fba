//! What users prove themselves with: access keys and MFA devices.
//!
//! An MFA device is enabled as its owner would do it, with two codes in a row: whoever made its seed can compute them.

use super::{
    super::people::{AccessKeySeed, MfaDeviceSeed, TestSecret, TestSeed, UserSeed},
    Planner, SeedCall,
};
use crate::{
    crypto::totp,
    iam::{AccessKeyId, AccessKeyStatus, IamPath, MfaAssignment, MfaDeviceName, MfaSerial, UserName},
    keystore::Keystore,
    kms::{CallError, Caller},
    model::ParseError,
    secret::SecretBytes,
    services::{
        iam::{
            AuthenticationCode, CreateAccessKey, CreateVirtualMfaDevice, EnableMfaDevice, GiveAccessKey,
            GiveMfaDevice, UpdateAccessKey,
        },
        query::Reply,
    },
};

impl Planner<'_> {
    pub(super) fn credentials(&mut self, user: &UserName, seed: &UserSeed) {
        let of_the_user = self.place;
        self.access_keys(user, seed);
        for (name, device) in &seed.mfa_devices {
            self.at(name.span());
            self.mfa_device(user, name.get_ref(), device);
        }
        self.place = of_the_user;
    }

    /// The keys that the seed names by their ids, and so many others as it has without one.
    fn access_keys(&mut self, user: &UserName, seed: &UserSeed) {
        let world = self.world;
        let named: Vec<&AccessKeyId> =
            seed.access_keys.iter().filter_map(|key| key.get_ref().id.as_ref()).collect();
        let there = world.identities().access_keys_of(self.account, Some(user));
        let mut others = there.filter(|key| !named.contains(&&key.id)).count();
        for key in &seed.access_keys {
            self.at(key.span());
            match &key.get_ref().id {
                Some(id) => self.access_key(user, id, key.get_ref()),
                None if others > 0 => others -= 1,
                None => self.create(
                    format!("user {user}: access key"),
                    NewAccessKeyOf(GivenOrMade::Made(CreateAccessKey { user_name: Some(user.clone()) })),
                ),
            }
        }
    }

    fn access_key(&mut self, user: &UserName, id: &AccessKeyId, seed: &AccessKeySeed) {
        let (world, what) = (self.world, format!("user {user}: access key {id}"));
        let there = world.identities().access_key(id);
        match there {
            None => {
                let secret = seed.secret.as_ref().map(TestSecret::to_secret);
                let give = GiveAccessKey { user_name: user.clone(), access_key_id: id.clone(), secret };
                self.create(what.clone(), NewAccessKeyOf(GivenOrMade::Given(give)));
            }
            Some(key) if key.account != *self.account || key.user.as_ref() != Some(user) => {
                self.kept(format!("{what}: it is somebody else's"));
                return;
            }
            Some(_) if seed.secret.is_some() => {
                self.kept(format!("{what}: its secret, which nobody can read or replace"));
            }
            Some(_) => {}
        }
        let current = there.map_or(AccessKeyStatus::Active, |key| key.status);
        if let Some(status) = seed.status.filter(|status| *status != current) {
            let (user_name, access_key_id) = (Some(user.clone()), id.clone());
            let call = UpdateAccessKey { user_name, access_key_id, status };
            self.update(format!("{what}: {status}"), call);
        }
    }

    fn mfa_device(&mut self, user: &UserName, name: &MfaDeviceName, seed: &MfaDeviceSeed) {
        let (world, what) = (self.world, format!("user {user}: MFA device {name}"));
        let serial = MfaSerial::new(self.account.clone(), IamPath::default(), name.clone());
        let there = world.identities().mfa_device(&serial);
        match there.map(|device| device.assigned.as_ref().map(|assigned| assigned.user.as_ref())) {
            None => self.create(
                what,
                NewMfaDeviceOf { user: user.clone(), name: name.clone(), seed: seed.seed.clone() },
            ),
            Some(Some(Some(owner))) if owner == user => {
                if seed.seed.is_some() {
                    self.kept(format!("{what}: its seed, which nobody can read or replace"));
                }
            }
            Some(Some(_)) => self.kept(format!("{what}: it is somebody else's")),
            Some(None) => {
                self.kept(format!("{what}: it is there and nobody's; enable it with two of its codes"))
            }
        }
    }
}

/// Makes an access key, and tells its secret when that was made too.
struct NewAccessKeyOf(GivenOrMade);

enum GivenOrMade {
    Given(GiveAccessKey),
    Made(CreateAccessKey),
}

impl SeedCall for NewAccessKeyOf {
    fn make(&self, keystore: &Keystore, caller: &Caller) -> Result<Option<Reply>, CallError> {
        let answer = match &self.0 {
            GivenOrMade::Given(give) => keystore.iam().call(caller, give)?,
            GivenOrMade::Made(create) => keystore.iam().call(caller, create)?,
        };
        if answer.secret_access_key.is_empty() {
            return Ok(None);
        }
        Reply::of::<CreateAccessKey>(answer).map(Some)
    }
}

/// Makes an MFA device and gives it to a user, and tells its seed when that was made too.
struct NewMfaDeviceOf {
    user: UserName,
    name: MfaDeviceName,
    /// The seed, when it is given.
    seed: Option<TestSeed>,
}

impl SeedCall for NewMfaDeviceOf {
    fn make(&self, keystore: &Keystore, caller: &Caller) -> Result<Option<Reply>, CallError> {
        let create =
            CreateVirtualMfaDevice { virtual_mfa_device_name: self.name.clone(), path: None, tags: None };
        let seed = || self.seed.as_ref().and_then(TestSeed::to_secret);
        let (device, seed) = match (seed(), seed()) {
            (Some(given), Some(same)) => {
                (keystore.iam().call(caller, &GiveMfaDevice { create, seed: given })?, Some(same))
            }
            _ => {
                let device = keystore.iam().call(caller, &create)?;
                let seed = totp::seed_from_base32(&device.base32_string_seed);
                (device, seed)
            }
        };
        let seed = seed.ok_or_else(|| CallError::internal("a new seed is not in base32"))?;
        let [one, two] = MfaAssignment::enabling_steps(keystore.time()).map(|step| code(&seed, step));
        let enable = EnableMfaDevice {
            user_name: self.user.clone(),
            serial_number: device.serial_number.clone(),
            authentication_code1: one?,
            authentication_code2: two?,
        };
        keystore.iam().call(caller, &enable)?;
        if self.seed.is_some() {
            return Ok(None);
        }
        Reply::of::<CreateVirtualMfaDevice>(device).map(Some)
    }
}

fn code(seed: &SecretBytes, step: i64) -> Result<AuthenticationCode, ParseError> {
    totp::shown(seed, u64::try_from(step).unwrap_or_default()).parse()
}
