//! Credentials whose secrets are given and not made: for seeds, whose tests know them.
//!
//! They are the AWS operations CreateAccessKey and CreateVirtualMFADevice, decided and recorded as such; AWS takes no
//! secret from outside, so neither can be called by its wire.

use serde_json::{Value, json};

use super::{
    access_keys::{CreateAccessKey, holder, new_key},
    answer::{NewAccessKey, NewMfaDevice},
    mfa::CreateVirtualMfaDevice,
};
use crate::{
    iam::{AccessKeyId, UserName},
    kms::{Call, CallError, Operation, Outcome, SecretOf},
    model::ErrorCode,
    secret::SecretBytes,
};

/// An access key with an id of one's own, and a secret of one's own or a new one.
#[derive(Debug)]
pub struct GiveAccessKey {
    /// The user's name.
    pub user_name: UserName,
    /// Its id, which nobody else's key has.
    pub access_key_id: AccessKeyId,
    /// Its secret; made when absent.
    pub secret: Option<SecretBytes>,
}

impl Operation for GiveAccessKey {
    type Permission = CreateAccessKey;
    type Answer = NewAccessKey;
    const NAME: &'static str = <CreateAccessKey as Operation>::NAME;
    const EVENT_SOURCE: &'static str = CreateAccessKey::EVENT_SOURCE;
    const READ_ONLY: bool = false;

    fn request_parameters(&self) -> Value {
        json!({"userName": self.user_name, "accessKeyId": self.access_key_id})
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, user) = holder(call, Some(&self.user_name))?;
        let id = &self.access_key_id;
        if id.is_temporary() {
            let message = format!("{id} is the id of a session's access key");
            return Err(CallError::new(ErrorCode::IamValidation, message));
        }
        if call.world().identities().access_key(id).is_some() {
            let message = format!("The access key {id} exists already.");
            return Err(CallError::new(ErrorCode::EntityAlreadyExists, message));
        }
        let secret = match &self.secret {
            None => call.new_access_key(id)?,
            Some(given) => {
                let wrapped = call.wrap_given(SecretOf::AccessKey(id), given)?;
                (SecretBytes::default(), wrapped)
            }
        };
        new_key(call, permitted, user, id.clone(), secret)
    }
}

/// A virtual MFA device with a seed of one's own.
#[derive(Debug)]
pub struct GiveMfaDevice {
    /// Everything but the seed.
    pub create: CreateVirtualMfaDevice,
    /// Its seed's bytes.
    pub seed: SecretBytes,
}

impl Operation for GiveMfaDevice {
    type Permission = CreateVirtualMfaDevice;
    type Answer = NewMfaDevice;
    const NAME: &'static str = <CreateVirtualMfaDevice as Operation>::NAME;
    const EVENT_SOURCE: &'static str = CreateVirtualMfaDevice::EVENT_SOURCE;
    const READ_ONLY: bool = false;

    fn request_parameters(&self) -> Value {
        self.create.request_parameters()
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, serial) = self.create.permit(call)?;
        let wrapped = call.wrap_given(SecretOf::MfaDevice(&serial), &self.seed)?;
        Ok(self.create.new_device(call, permitted, serial, (SecretBytes::default(), wrapped)))
    }
}
