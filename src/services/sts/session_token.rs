//! GetSessionToken: temporary credentials of a user or root user, mostly to show MFA once and not with every call.
//!
//! Source: GetSessionToken (STS API reference). No permission is needed and no policy can forbid it; who holds temporary
//! credentials already cannot call it.

use serde::Serialize;
use serde_json::json;

use super::{
    super::iam::AuthenticationCode,
    super::query::{Answer, NamedSecret, operations},
    DurationSeconds,
    issue::{Credentials, NewSession, issue},
    mfa,
};
use crate::{
    iam::{Identity, MfaSerial, SessionIssuer},
    kms::{Call, CallError, Outcome},
    model::{ErrorCode, PrincipalKind},
    policy::{AlwaysAllowed, Authorized},
};

/// How long a user's session lasts when nothing else is asked, in seconds: 12 hours.
pub(super) const USER_SECONDS_DEFAULT: u32 = 43_200;
/// How long a root user's session lasts at most, in seconds.
pub(super) const ROOT_SECONDS_MAX: u32 = 3_600;

operations! {
    in "sts";

    /// Gives temporary credentials to the calling user, with MFA when a code is shown.
    GetSessionToken reads -> SessionToken as "" {
        /// How long they are to last in seconds: 43,200 when left out.
        duration_seconds "DurationSeconds": Option<DurationSeconds>,
        /// The serial number of the caller's MFA device.
        serial_number "SerialNumber": Option<MfaSerial>,
        /// The code that the MFA device shows.
        token_code "TokenCode": Option<AuthenticationCode>,
    }
}

impl AlwaysAllowed for GetSessionToken {}

/// Temporary credentials of a user.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SessionToken {
    /// The credentials.
    pub credentials: Credentials,
}

impl Answer for SessionToken {
    const SECRET_WITHIN: &'static str = "Credentials";

    fn take_secret(&mut self) -> Option<NamedSecret> {
        self.credentials.take_secret()
    }
}

impl GetSessionToken {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (principal, issuer) = lasting_caller(call, "GetSessionToken")?;
        let code = mfa::take(call, self.serial_number.as_ref(), self.token_code.as_ref())?;
        let seconds = user_seconds(principal.kind(), self.duration_seconds);
        let new = NewSession { mfa: code.is_some(), ..NewSession::plain(principal, issuer, seconds) };
        let (credentials, mut changes) = issue(call, new)?;
        changes.extend(code);
        let elements = json!({"credentials": credentials.recorded()});
        let outcome = Outcome::answer(Authorized::always(), SessionToken { credentials });
        Ok(outcome.changing(changes, elements))
    }
}

/// Who calls with credentials that last, and as which user; temporary credentials are refused.
pub(super) fn lasting_caller(
    call: &Call<'_>,
    operation: &str,
) -> Result<(crate::model::PrincipalArn, Option<SessionIssuer>), CallError> {
    let arn = call.arn().filter(|_| call.session().is_none()).cloned();
    let issuer = match (call.identity(), arn.as_ref().map(|arn| arn.kind())) {
        (Some(Identity::User(user)), _) => Some(SessionIssuer { arn: user.arn(), id: user.id.clone() }),
        (None, Some(PrincipalKind::Root)) => None,
        _ => return Err(with_session(operation)),
    };
    Ok((arn.ok_or_else(|| with_session(operation))?, issuer))
}

fn with_session(operation: &str) -> CallError {
    let message = format!("Cannot call {operation} with session credentials");
    CallError::new(ErrorCode::AccessDenied, message)
}

/// How long the session of a user or root user is to last, in seconds. A root user's is cut to what is allowed.
pub(super) fn user_seconds(kind: PrincipalKind, asked: Option<DurationSeconds>) -> u32 {
    let seconds = asked.map_or(USER_SECONDS_DEFAULT, DurationSeconds::get);
    if kind == PrincipalKind::Root { seconds.min(ROOT_SECONDS_MAX) } else { seconds }
}
