//! EnableKey, DisableKey, ScheduleKeyDeletion, CancelKeyDeletion.
//!
//! Source: "Key states of AWS KMS keys" and "Deleting AWS KMS keys" (KMS developer guide).

use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Call, CallError, Operation, Outcome,
    conditions::KeyConditions,
    keys::{epoch_seconds, key_arn_element},
    operation::actions,
};
use crate::{
    model::{Days, KeyArn, KeyRef, KeyState, Timestamp},
    world::{Change, Key},
};

actions! {
    /// `kms:EnableKey`.
    EnableKeyPermission = "kms:EnableKey",
    /// `kms:DisableKey`.
    DisableKeyPermission = "kms:DisableKey",
    /// `kms:ScheduleKeyDeletion`.
    ScheduleKeyDeletionPermission = "kms:ScheduleKeyDeletion",
    /// `kms:CancelKeyDeletion`.
    CancelKeyDeletionPermission = "kms:CancelKeyDeletion",
}

/// The shortest deletion window (KMS API, ScheduleKeyDeletion).
pub const PENDING_WINDOW_MIN: Days = Days::new(7);
/// The longest deletion window, and the one taken when none is given.
pub const PENDING_WINDOW_MAX: Days = Days::new(30);

/// Makes a disabled key usable again.
#[derive(Debug)]
pub struct EnableKey {
    /// The key.
    pub key_id: KeyRef,
}

impl Operation for EnableKey {
    type Permission = EnableKeyPermission;
    type Answer = ();
    const NAME: &'static str = "EnableKey";
    const READ_ONLY: bool = false;

    fn request_parameters(&self) -> Value {
        json!({"keyId": self.key_id.to_string()})
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        switch::<Self>(call, &self.key_id, KeyState::Enabled)
    }
}

/// Stops every use of a key until it is enabled again.
#[derive(Debug)]
pub struct DisableKey {
    /// The key.
    pub key_id: KeyRef,
}

impl Operation for DisableKey {
    type Permission = DisableKeyPermission;
    type Answer = ();
    const NAME: &'static str = "DisableKey";
    const READ_ONLY: bool = false;

    fn request_parameters(&self) -> Value {
        json!({"keyId": self.key_id.to_string()})
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        switch::<Self>(call, &self.key_id, KeyState::Disabled)
    }
}

fn switch<O: Operation<Answer = ()>>(
    call: &mut Call<'_>,
    name: &KeyRef,
    state: KeyState,
) -> Result<Outcome<O>, CallError> {
    let (named, permitted) = call.on_key::<O::Permission>(name)?;
    call.require_state(&named.key)?;
    let mut key = Key::clone(&named.key);
    key.state = state;
    // A disabled key does not rotate. What fell due meanwhile is made up for once, now ("Rotating AWS KMS keys").
    if let (KeyState::Enabled, Some(schedule)) = (state, &mut key.rotation) {
        schedule.next = schedule.next.max(call.now());
    }
    Ok(Outcome::changed(permitted, key))
}

/// Starts a key's deletion window.
#[derive(Debug)]
pub struct ScheduleKeyDeletion {
    /// The key.
    pub key_id: KeyRef,
    /// The window, [`PENDING_WINDOW_MIN`] to [`PENDING_WINDOW_MAX`]; the latter when absent.
    pub pending_window: Option<Days>,
}

/// What ScheduleKeyDeletion answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ScheduledDeletion {
    /// The key's ARN.
    pub key_id: KeyArn,
    /// When the window ends.
    #[serde(serialize_with = "epoch_seconds")]
    pub deletion_date: Timestamp,
    /// PendingDeletion.
    pub key_state: KeyState,
    /// The window's length.
    pub pending_window_in_days: Days,
}

impl Operation for ScheduleKeyDeletion {
    type Permission = ScheduleKeyDeletionPermission;
    type Answer = ScheduledDeletion;
    const NAME: &'static str = "ScheduleKeyDeletion";
    const READ_ONLY: bool = false;

    fn request_parameters(&self) -> Value {
        json!({"keyId": self.key_id.to_string(), "pendingWindowInDays": self.window()})
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let named = call.resolve::<Self::Permission>(&self.key_id)?;
        let window = self.window();
        let conditions = KeyConditions { pending_window: Some(window), ..KeyConditions::default() };
        let permitted = call.authorize::<Self::Permission>(&named, &conditions)?;
        if !(PENDING_WINDOW_MIN..=PENDING_WINDOW_MAX).contains(&window) {
            return Err(CallError::validation(format!(
                "PendingWindowInDays must be between {} and {}, inclusive.",
                PENDING_WINDOW_MIN.get(),
                PENDING_WINDOW_MAX.get()
            )));
        }
        call.require_state(&named.key)?;
        let mut key = Key::clone(&named.key);
        let deletion_date = call.now().plus(window);
        key.state = KeyState::PendingDeletion;
        key.deletion_date = Some(deletion_date);
        let answer = ScheduledDeletion {
            key_id: key.arn.clone(),
            deletion_date,
            key_state: key.state,
            pending_window_in_days: window,
        };
        let elements = json!({
            "keyId": key.arn,
            "keyState": key.state,
            "deletionDate": deletion_date.to_rfc3339(),
            "pendingWindowInDays": window,
        });
        Ok(Outcome::answer(permitted, answer).changing(vec![Change::PutKey(Box::new(key))], elements))
    }
}

impl ScheduleKeyDeletion {
    fn window(&self) -> Days {
        self.pending_window.unwrap_or(PENDING_WINDOW_MAX)
    }
}

/// Takes a key out of its deletion window. It is disabled then.
#[derive(Debug)]
pub struct CancelKeyDeletion {
    /// The key.
    pub key_id: KeyRef,
}

impl Operation for CancelKeyDeletion {
    type Permission = CancelKeyDeletionPermission;
    type Answer = KeyArn;
    const NAME: &'static str = "CancelKeyDeletion";
    const READ_ONLY: bool = false;

    fn request_parameters(&self) -> Value {
        json!({"keyId": self.key_id.to_string()})
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (named, permitted) = call.on_key::<Self::Permission>(&self.key_id)?;
        call.require_state(&named.key)?;
        let mut key = Key::clone(&named.key);
        key.state = KeyState::Disabled;
        key.deletion_date = None;
        let (arn, elements) = (key.arn.clone(), key_arn_element(&key.arn));
        Ok(Outcome::answer(permitted, arn).changing(vec![Change::PutKey(Box::new(key))], elements))
    }
}
