//! AssumeRoot: how the management account works in the others.
//!
//! Source: STS API reference, AssumeRoot.

use serde_json::{Value, json};

use crate::{
    kms::{Call, CallError, Caller, Operation, Outcome, actions},
    model::{AccountId, PrincipalArn},
};

actions! {
    /// `sts:AssumeRoot`.
    AssumeRootPermission = "sts:AssumeRoot",
}

/// Becomes the root user of another account of the organization.
#[derive(Debug)]
pub struct AssumeRoot {
    /// The account.
    pub account: AccountId,
}

impl Operation for AssumeRoot {
    type Permission = AssumeRootPermission;
    type Answer = Caller;
    const NAME: &'static str = "AssumeRoot";
    const EVENT_SOURCE: &'static str = "sts.amazonaws.com";
    const READ_ONLY: bool = true;

    fn request_parameters(&self) -> Value {
        json!({"targetPrincipal": PrincipalArn::root(&self.account)})
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let permitted = call.authorize_any::<Self::Permission>()?;
        call.require_management_account()?;
        if self.account == call.account() || !call.world().has_account(&self.account) {
            return Err(CallError::validation(format!("{} is no member account", self.account)));
        }
        Ok(Outcome::answer(permitted, Caller::local(PrincipalArn::root(&self.account))))
    }
}
