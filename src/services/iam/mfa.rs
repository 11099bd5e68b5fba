//! Virtual MFA devices: Create, Enable, Resync, Deactivate, Delete and List.
//!
//! A new device is nobody's. It becomes somebody's when two codes in a row show that the seed has arrived in their
//! authenticator.

use serde_json::{Value, json};

use super::{
    access::{self, Asked, Target},
    access_keys::holder,
    answer::{MfaDeviceDetail, NewMfaDevice, UserDetail, VirtualMfaDeviceDetail, time_text},
    value::{AssignmentStatus, AuthenticationCode, TagList},
};
use crate::{
    iam::{IamPath, MFA_DEVICES_MAX, MfaAssignment, MfaDevice, MfaDeviceName, MfaSerial, UserName},
    kms::{Call, CallError, Operation, Outcome},
    model::ErrorCode,
    policy::Authorized,
    secret::SecretBytes,
    services::query::operations,
    world::{Change, IdentityChange},
};

operations! {
    /// Makes a virtual MFA device that is nobody's yet. The seed is shown this once.
    CreateVirtualMfaDevice "CreateVirtualMFADevice" writes -> NewMfaDevice as "VirtualMFADevice" {
        /// The device's name.
        virtual_mfa_device_name "VirtualMFADeviceName": MfaDeviceName,
        /// Its path; `/` when left out.
        path "Path": Option<IamPath>,
        /// Its tags.
        tags "Tags": Option<TagList>,
    }

    /// Gives an MFA device to a user, proven by two codes in a row.
    EnableMfaDevice "EnableMFADevice" writes -> () as "" {
        /// The user's name.
        user_name "UserName": UserName,
        /// The device's serial number: its ARN.
        serial_number "SerialNumber": MfaSerial,
        /// A code that the device shows.
        authentication_code1 "AuthenticationCode1": AuthenticationCode,
        /// The code that it shows next.
        authentication_code2 "AuthenticationCode2": AuthenticationCode,
    }

    /// Brings an MFA device whose clock has drifted into step, by two codes in a row.
    ResyncMfaDevice "ResyncMFADevice" writes -> () as "" {
        /// The user's name.
        user_name "UserName": UserName,
        /// The device's serial number: its ARN.
        serial_number "SerialNumber": MfaSerial,
        /// A code that the device shows.
        authentication_code1 "AuthenticationCode1": AuthenticationCode,
        /// The code that it shows next.
        authentication_code2 "AuthenticationCode2": AuthenticationCode,
    }

    /// Takes an MFA device away from its user; without a name, from the caller.
    DeactivateMfaDevice "DeactivateMFADevice" writes -> () as "" {
        /// The user's name.
        user_name "UserName": Option<UserName>,
        /// The device's serial number: its ARN.
        serial_number "SerialNumber": MfaSerial,
    }

    /// Deletes a virtual MFA device that is nobody's.
    DeleteVirtualMfaDevice "DeleteVirtualMFADevice" writes -> () as "" {
        /// The device's serial number: its ARN.
        serial_number "SerialNumber": MfaSerial,
    }

    /// Lists the MFA devices of a user; without a name, of the caller.
    ListMfaDevices "ListMFADevices" reads -> Vec<MfaDeviceDetail> as "MFADevices" {
        /// The user's name.
        user_name "UserName": Option<UserName>,
    }

    /// Lists the virtual MFA devices of the account.
    ListVirtualMfaDevices "ListVirtualMFADevices" reads -> Vec<VirtualMfaDeviceDetail> as "VirtualMFADevices" {
        /// Only those that are somebody's (`Assigned`) or nobody's (`Unassigned`); `Any` when left out.
        assignment_status "AssignmentStatus": Option<AssignmentStatus>,
    }
}

impl CreateVirtualMfaDevice {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, serial) = self.permit(call)?;
        let seed = call.new_mfa_seed(&serial)?;
        Ok(self.new_device(call, permitted, serial, seed))
    }

    /// Asks for leave to make the device, whose name must be free.
    pub(super) fn permit(&self, call: &mut Call<'_>) -> Result<(Authorized<Self>, MfaSerial), CallError> {
        let (account, path) = (call.account(), self.path.clone().unwrap_or_default());
        let serial = MfaSerial::new(account.clone(), path, self.virtual_mfa_device_name.clone());
        let tags = self.tags.clone().unwrap_or_default().into();
        let asked = Asked { request_tags: Some(&tags), ..Asked::default() };
        let permitted = access::permit(call, &device_target(&serial, None), asked)?;
        let taken = |device: &MfaDevice| {
            *device.serial.account() == account && device.serial.name().is_taken_by(serial.name())
        };
        if call.world().identities().mfa_devices().any(|device| taken(device)) {
            let message = "MFADevice entity at the same path and name already exists.";
            return Err(CallError::new(ErrorCode::EntityAlreadyExists, message));
        }
        Ok((permitted, serial))
    }

    /// The outcome of making the device with this seed: as it is shown, and under wrap.
    pub(super) fn new_device<O: Operation<Permission = Self, Answer = NewMfaDevice>>(
        &self,
        call: &Call<'_>,
        permitted: Authorized<Self>,
        serial: MfaSerial,
        (seed, wrapped): (SecretBytes, Vec<u8>),
    ) -> Outcome<O> {
        let tags = self.tags.clone().unwrap_or_default().into();
        let device = MfaDevice { serial: serial.clone(), created: call.now(), tags, assigned: None, wrapped };
        let change = Change::Identity(IdentityChange::PutMfaDevice(Box::new(device)));
        let elements = json!({"virtualMFADevice": {"serialNumber": serial}});
        let answer = NewMfaDevice { serial_number: serial, base32_string_seed: seed };
        Outcome::answer(permitted, answer).changing(vec![change], elements)
    }
}

impl EnableMfaDevice {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, user) = access::user(call, &self.user_name, Asked::default())?;
        let device = device(call, &self.serial_number)?;
        if device.assigned.is_some() {
            let message = "The MFA device is already in use.";
            return Err(CallError::new(ErrorCode::EntityAlreadyExists, message));
        }
        let there = call.world().identities().mfa_devices_of(&user.account, Some(&user.name)).count();
        if there >= MFA_DEVICES_MAX {
            return Err(access::over_quota("MFADevicesPerUser", MFA_DEVICES_MAX));
        }
        let codes = [&self.authentication_code1, &self.authentication_code2];
        let change = assign(call, device, &user.name, codes)?;
        Ok(Outcome::answer(permitted, ()).changing(vec![change], Value::Null))
    }
}

impl ResyncMfaDevice {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, user) = access::user(call, &self.user_name, Asked::default())?;
        let device = device_of(call, &self.serial_number, Some(&user.name))?;
        let codes = [&self.authentication_code1, &self.authentication_code2];
        let change = assign(call, device, &user.name, codes)?;
        Ok(Outcome::answer(permitted, ()).changing(vec![change], Value::Null))
    }
}

impl DeactivateMfaDevice {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, user) = holder(call, self.user_name.as_ref())?;
        let device = device_of(call, &self.serial_number, user.as_ref())?;
        let device = MfaDevice { assigned: None, ..device };
        let change = Change::Identity(IdentityChange::PutMfaDevice(Box::new(device)));
        Ok(Outcome::answer(permitted, ()).changing(vec![change], Value::Null))
    }
}

impl DeleteVirtualMfaDevice {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let found = call.world().identities().mfa_device(&self.serial_number).cloned();
        let tags = found.as_ref().map(|device| &device.tags);
        let permitted = access::permit(call, &device_target(&self.serial_number, tags), Asked::default())?;
        let device = device(call, &self.serial_number)?;
        if device.assigned.is_some() {
            return Err(access::conflict("deactivate the MFA device"));
        }
        let change = Change::Identity(IdentityChange::DeleteMfaDevice(device.serial));
        Ok(Outcome::answer(permitted, ()).changing(vec![change], Value::Null))
    }
}

impl ListMfaDevices {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, user) = holder(call, self.user_name.as_ref())?;
        let account = call.account();
        let devices = call.world().identities().mfa_devices_of(&account, user.as_ref());
        let listed = devices.filter_map(|device| {
            let assigned = device.assigned.as_ref()?;
            Some(MfaDeviceDetail {
                user_name: assigned.user.clone(),
                serial_number: device.serial.clone(),
                enable_date: time_text(assigned.enabled),
            })
        });
        let listed = listed.collect();
        Ok(Outcome::answer(permitted, listed))
    }
}

impl ListVirtualMfaDevices {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let permitted = call.authorize_any::<Self>()?;
        let account = call.account();
        let identities = call.world().identities();
        let status = self.assignment_status.unwrap_or_default();
        let devices = identities
            .mfa_devices()
            .filter(|device| *device.serial.account() == account && status.admits(device.assigned.is_some()));
        let listed = devices.map(|device| {
            let assigned = device.assigned.as_ref();
            let user = assigned.and_then(|one| identities.user(&account, one.user.as_ref()?));
            VirtualMfaDeviceDetail {
                serial_number: device.serial.clone(),
                user: user.map(|user| UserDetail::listed(user)),
                enable_date: assigned.map(|one| time_text(one.enabled)),
            }
        });
        let listed = listed.collect();
        Ok(Outcome::answer(permitted, listed))
    }
}

pub(super) fn device_target<'a>(serial: &MfaSerial, tags: Option<&'a crate::model::Tags>) -> Target<'a> {
    Target { arn: serial.to_string(), kind: "AWS::IAM::VirtualMFADevice", tags }
}

/// The device with this serial number in the caller's account.
pub(super) fn device(call: &Call<'_>, serial: &MfaSerial) -> Result<MfaDevice, CallError> {
    let found = call.world().identities().mfa_device(serial);
    let found = found.filter(|device| *device.serial.account() == call.account());
    found.map(|device| MfaDevice::clone(device)).ok_or_else(|| {
        let message = format!("VirtualMFADevice with serial number {serial} doesn't exist.");
        CallError::new(ErrorCode::NoSuchEntity, message)
    })
}

/// The device with this serial number, which must be this user's.
fn device_of(call: &Call<'_>, serial: &MfaSerial, user: Option<&UserName>) -> Result<MfaDevice, CallError> {
    let device = device(call, serial)?;
    let is_theirs = device.assigned.as_ref().is_some_and(|one| one.user.as_ref() == user);
    if is_theirs { Ok(device) } else { Err(access::no_such("MFA device", serial)) }
}

/// The change that makes a device this user's, when the codes are its codes.
fn assign(
    call: &Call<'_>,
    device: MfaDevice,
    user: &UserName,
    codes: [&AuthenticationCode; 2],
) -> Result<Change, CallError> {
    let assigned = MfaAssignment::by_two_codes(Some(user.clone()), call.now(), |which, step| {
        codes.get(which).is_some_and(|code| call.is_mfa_code(&device, step, code.digits()))
    });
    let Some(assigned) = assigned else {
        let message = "Authentication code for device is not valid.";
        return Err(CallError::new(ErrorCode::InvalidAuthenticationCode, message));
    };
    let device = MfaDevice { assigned: Some(assigned), ..device };
    Ok(Change::Identity(IdentityChange::PutMfaDevice(Box::new(device))))
}
