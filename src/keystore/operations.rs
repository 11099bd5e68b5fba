//! The operations on the keystore as a whole, by way of the door like every other.
//!
//! AWS has none of these; their actions are named `keystead:…` and an administrator's `*` covers them.

use serde_json::{Value, json};

use crate::{
    kms::{Call, CallError, Operation, Outcome, actions},
    model::{Days, Timestamp},
    world::{Change, Settings},
};

pub(super) const EVENT_SOURCE: &str = "keystead.local";

/// How far ahead of the real time a keystore's clock can be moved in all: a hundred years.
pub const CLOCK_OFFSET_MAX: Days = Days::new(36_525);

actions! {
    /// `keystead:AdvanceClock`.
    AdvanceClockPermission = "keystead:AdvanceClock",
    /// `keystead:RotateRootKey`.
    RotateRootKeyPermission = "keystead:RotateRootKey",
}

/// Moves the keystore's clock forward, so that rotation and deletion can be seen.
#[derive(Debug)]
pub(super) struct AdvanceClock {
    pub(super) by: Days,
}

impl Operation for AdvanceClock {
    type Permission = AdvanceClockPermission;
    type Answer = Timestamp;
    const NAME: &'static str = "AdvanceClock";
    const EVENT_SOURCE: &'static str = EVENT_SOURCE;
    const READ_ONLY: bool = false;

    fn request_parameters(&self) -> Value {
        json!({"days": self.by})
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let permitted = call.authorize_any::<Self::Permission>()?;
        call.require_management_account()?;
        let settings = call.world().settings();
        let offset = settings.clock_offset_millis.saturating_add(self.by.as_millis());
        if offset > CLOCK_OFFSET_MAX.as_millis() {
            return Err(CallError::validation(format!(
                "the clock can be moved {CLOCK_OFFSET_MAX} ahead at most"
            )));
        }
        let now = call.now().plus(self.by);
        let settings = Settings { clock_offset_millis: offset, ..settings.clone() };
        let elements = json!({"now": now.to_rfc3339(), "clockOffsetMillis": offset});
        Ok(Outcome::answer(permitted, now).changing(vec![Change::PutSettings(settings)], elements))
    }
}

/// Asks for leave to put a new root key in the place of the old one, and leaves the record of it.
#[derive(Debug)]
pub(super) struct RotateRootKey;

impl Operation for RotateRootKey {
    type Permission = RotateRootKeyPermission;
    type Answer = ();
    const NAME: &'static str = "RotateRootKey";
    const EVENT_SOURCE: &'static str = EVENT_SOURCE;
    const READ_ONLY: bool = true;

    fn request_parameters(&self) -> Value {
        Value::Null
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let permitted = call.authorize_any::<Self::Permission>()?;
        call.require_management_account()?;
        Ok(Outcome::answer(permitted, ()))
    }
}
