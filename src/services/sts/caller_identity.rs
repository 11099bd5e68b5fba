//! GetCallerIdentity and GetAccessKeyInfo: whose credentials are these?
//!
//! Source: STS API reference. Nobody needs a permission to ask who they are, and no policy can forbid it.

use serde::Serialize;

use super::super::query::{Answer, operations};
use crate::{
    iam::AccessKeyId,
    kms::{Call, CallError, Outcome},
    model::{AccountId, ErrorCode, PrincipalArn},
    policy::{AlwaysAllowed, Authorized},
};

operations! {
    in "sts";

    /// Tells who the caller is.
    GetCallerIdentity reads -> CallerIdentity as "" {}

    /// Tells the account of an access key.
    GetAccessKeyInfo reads -> AccessKeyInfo as "" {
        /// The access key's id.
        access_key_id "AccessKeyId": AccessKeyId,
    }
}

impl AlwaysAllowed for GetCallerIdentity {}

/// Who calls.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CallerIdentity {
    /// The unique id, as `aws:userid` holds it.
    pub user_id: String,
    /// The account.
    pub account: AccountId,
    /// The ARN.
    pub arn: PrincipalArn,
}

impl Answer for CallerIdentity {}

/// Whose access key it is, as far as everybody may know.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AccessKeyInfo {
    /// The account.
    pub account: AccountId,
}

impl Answer for AccessKeyInfo {}

impl GetCallerIdentity {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let arn = call.arn().cloned().ok_or_else(|| {
            CallError::new(
                ErrorCode::InvalidClientTokenId,
                "The security token included in the request is invalid.",
            )
        })?;
        let user_id = call.user_id();
        let answer = CallerIdentity { user_id, account: arn.account().clone(), arn };
        Ok(Outcome::answer(Authorized::always(), answer))
    }
}

impl GetAccessKeyInfo {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let permitted = call.authorize_any::<Self>()?;
        let identities = call.world().identities();
        let account = match identities.access_key(&self.access_key_id) {
            Some(key) => Some(key.account.clone()),
            None => {
                identities.session(&self.access_key_id).map(|session| session.principal.account().clone())
            }
        };
        let account = account.ok_or_else(|| {
            CallError::new(ErrorCode::IamValidation, "Access Key ID is not found in this keystore.")
        })?;
        Ok(Outcome::answer(permitted, AccessKeyInfo { account }))
    }
}
