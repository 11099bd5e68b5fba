//! The policies that are handed in when a session is made.
//!
//! Source: "Session policies" (IAM user guide). They are checked before the session is made: syntax, size, and that the
//! managed ones are there.

use super::{super::iam::PolicyText, PolicyArnList};
use crate::{
    iam::{IdentityPolicy, SessionPolicies},
    kms::{Call, CallError},
    model::{AccountId, ErrorCode},
    policy::{Policy, PolicyKind},
};

/// What was handed in to limit a session of this account; none when nothing was.
pub(super) fn read(
    call: &Call<'_>,
    account: &AccountId,
    text: Option<&PolicyText>,
    arns: Option<&PolicyArnList>,
) -> Result<Option<SessionPolicies>, CallError> {
    let malformed = |message: String| CallError::new(ErrorCode::IamMalformedPolicyDocument, message);
    let inline = text
        .map(|text| Policy::parse(text.as_str(), PolicyKind::Session).map(IdentityPolicy::new))
        .transpose()
        .map_err(|error| malformed(error.to_string()))?;
    let managed = arns.map(PolicyArnList::arns).unwrap_or_default().to_vec();
    for arn in &managed {
        let owner_fits = arn.owner().is_none_or(|owner| owner == account);
        if !owner_fits || call.world().identities().policy(arn).is_none() {
            return Err(malformed(format!("The policy {arn} does not exist in the role's account.")));
        }
    }
    let nothing = inline.is_none() && managed.is_empty();
    Ok((!nothing).then_some(SessionPolicies { inline, managed }))
}
