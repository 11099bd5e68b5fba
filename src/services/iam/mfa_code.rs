//! What a virtual MFA device shows now, for who has no such device: a lesson, a test.
//!
//! AWS has nothing like it: there the seed leaves once, to the device, and the device alone shows codes. Here the keystore
//! can play the device. That is an action of its own, `keystead:ShowMFACode`, decided and recorded, so that whoever may not
//! play a person's device is told no.

use serde_json::{Value, json};

use super::{
    access::{self, Asked},
    mfa::{device, device_target},
};
use crate::{
    iam::{MfaAssignment, MfaSerial, TIME_STEP_SECONDS},
    kms::{Call, CallError, Operation, Outcome, actions},
    model::ErrorCode,
};

actions! {
    /// `keystead:ShowMFACode`.
    ShowMfaCodePermission = "keystead:ShowMFACode",
}

/// Shows the code that a device's owner would read from it.
#[derive(Debug)]
pub struct ShowMfaCode {
    /// The device's serial number: its ARN.
    pub serial_number: MfaSerial,
}

/// What a device shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MfaCodes {
    /// One code that counts now; or, of a device that is nobody's yet, the two in a row that enable it.
    pub codes: Vec<String>,
}

impl Operation for ShowMfaCode {
    type Permission = ShowMfaCodePermission;
    type Answer = MfaCodes;
    const NAME: &'static str = "ShowMFACode";
    const EVENT_SOURCE: &'static str = "keystead.local";
    const READ_ONLY: bool = true;

    fn request_parameters(&self) -> Value {
        json!({"serialNumber": self.serial_number})
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let found = call.world().identities().mfa_device(&self.serial_number).cloned();
        let tags = found.as_ref().map(|device| &device.tags);
        let permitted = access::permit(call, &device_target(&self.serial_number, tags), Asked::default())?;
        let device = device(call, &self.serial_number)?;
        let steps = match &device.assigned {
            None => MfaAssignment::enabling_steps(call.now()).to_vec(),
            Some(assigned) => vec![assigned.next_step(call.now()).ok_or_else(|| {
                let message = format!(
                    "every code of about now was taken: a new one comes every {TIME_STEP_SECONDS} seconds"
                );
                CallError::new(ErrorCode::InvalidAuthenticationCode, message)
            })?],
        };
        let codes = steps.iter().map(|step| call.mfa_code(&device, *step)).collect::<Result<_, _>>()?;
        Ok(Outcome::answer(permitted, MfaCodes { codes }))
    }
}
