//! GetKeyLastUsage: leave to ask when a key was last used. The answer is the log's, so [`CloudTrail`] puts it together.
//!
//! [`CloudTrail`]: crate::services::cloudtrail::CloudTrail

use serde_json::{Value, json};

use super::{Call, CallError, Operation, Outcome, operation::actions};
use crate::model::{ErrorCode, KeyArn, KeyRef, Timestamp};

actions! {
    /// `kms:GetKeyLastUsage`.
    GetKeyLastUsagePermission = "kms:GetKeyLastUsage",
}

/// Asks when a key was last used.
#[derive(Debug)]
pub struct GetKeyLastUsage {
    /// The key, by its id or ARN: KMS takes no alias here.
    pub key_id: KeyRef,
}

impl Operation for GetKeyLastUsage {
    type Permission = GetKeyLastUsagePermission;
    /// The key and when it was made.
    type Answer = (KeyArn, Timestamp);
    const NAME: &'static str = "GetKeyLastUsage";
    const READ_ONLY: bool = true;

    fn request_parameters(&self) -> Value {
        json!({"keyId": self.key_id.to_string()})
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        if matches!(self.key_id, KeyRef::Alias(_) | KeyRef::AliasArn { .. }) {
            return Err(CallError::new(ErrorCode::InvalidArn, format!("Invalid keyId '{}'", self.key_id)));
        }
        let (named, permitted) = call.on_key::<Self::Permission>(&self.key_id)?;
        let answer = (named.key.arn.clone(), named.key.created);
        Ok(Outcome::answer(permitted, answer))
    }
}
