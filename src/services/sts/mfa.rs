//! An MFA code shown with a request for credentials.

use super::super::iam::AuthenticationCode;
use crate::{
    iam::{Identity, MfaDevice, MfaSerial},
    kms::{Call, CallError},
    model::{ErrorCode, PrincipalKind},
    world::{Change, IdentityChange},
};

/// Takes the code that the caller shows: none when it shows none, else the change that lets the code not count again.
///
/// # Errors
///
/// `AccessDenied` when the device is not the caller's or the code is not one of about now, and a validation error when
/// one of the two parameters is missing.
pub(super) fn take(
    call: &Call<'_>,
    serial: Option<&MfaSerial>,
    code: Option<&AuthenticationCode>,
) -> Result<Option<Change>, CallError> {
    let (serial, code) = match (serial, code) {
        (None, None) => return Ok(None),
        (Some(serial), Some(code)) => (serial, code),
        _ => {
            let message = "Both the serial number and the token code of an MFA device are needed.";
            return Err(CallError::new(ErrorCode::IamValidation, message));
        }
    };
    let mut device = own_device(call, serial).ok_or_else(|| {
        denied(
            "MultiFactorAuthentication failed, unable to validate MFA code.",
            "it is no device of the caller's",
        )
    })?;
    let unassigned = device.clone();
    let now = call.now();
    let taken = device.assigned.as_mut().is_some_and(|assigned| {
        assigned.take(now, |step| call.is_mfa_code(&unassigned, step, code.digits()))
    });
    if !taken {
        return Err(denied(
            "MultiFactorAuthentication failed with invalid MFA one time pass code.",
            "a code counts once, for half a minute around its time: wait for the next one",
        ));
    }
    Ok(Some(Change::Identity(IdentityChange::PutMfaDevice(Box::new(device)))))
}

/// The device with this serial number, if it is the calling user's or root user's.
fn own_device(call: &Call<'_>, serial: &MfaSerial) -> Option<MfaDevice> {
    let device = call.world().identities().mfa_device(serial)?;
    let assigned = device.assigned.as_ref()?;
    let user = match call.identity() {
        Some(Identity::User(user)) => Some(&user.name),
        None if call.arn()?.kind() == PrincipalKind::Root => None,
        _ => return None,
    };
    let is_own = *device.serial.account() == call.account() && assigned.user.as_ref() == user;
    is_own.then(|| MfaDevice::clone(device))
}

fn denied(message: &str, why: &str) -> CallError {
    CallError::new(ErrorCode::AccessDenied, message).explained(why)
}
