//! GetFederationToken: temporary credentials that a user hands to somebody else.
//!
//! Source: GetFederationToken (STS API reference) and "Permissions for GetFederationToken" (IAM user guide). The federated
//! user has what the user's identity policies and the policies handed in both allow: without any handed in, nothing but
//! what a resource's policy gives it by name.

use serde::Serialize;
use serde_json::json;

use super::{
    super::iam::{PolicyText, TagList},
    super::query::{Answer, NamedSecret, operations},
    DurationSeconds, PolicyArnList,
    assume_role::TagSession,
    issue::{Credentials, NewSession, issue},
    session_policies,
    session_token::{lasting_caller, user_seconds},
};
use crate::{
    iam::{FederatedUserName, IdentityPolicy, SessionPolicies},
    kms::{Call, CallError, Outcome},
    model::{PrincipalArn, Tags},
    policy::{ConditionContext, Policy, PolicyKind},
};

operations! {
    in "sts";

    /// Gives temporary credentials to somebody who is no user, within what the caller may do.
    GetFederationToken reads -> FederationToken as "" {
        /// What the federated user is called.
        name "Name": FederatedUserName,
        /// A policy that limits the session.
        policy "Policy": Option<PolicyText>,
        /// Managed policies that limit the session.
        policy_arns "PolicyArns": Option<PolicyArnList>,
        /// How long the session is to last in seconds: 43,200 when left out.
        duration_seconds "DurationSeconds": Option<DurationSeconds>,
        /// Session tags.
        tags "Tags": Option<TagList>,
    }
}

/// Temporary credentials of a federated user.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct FederationToken {
    /// The credentials.
    pub credentials: Credentials,
    /// Whom they make of their holder.
    pub federated_user: FederatedUser,
}

/// A federated user.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct FederatedUser {
    /// The account and the name.
    pub federated_user_id: String,
    /// The ARN.
    pub arn: PrincipalArn,
}

impl Answer for FederationToken {
    const SECRET_WITHIN: &'static str = "Credentials";

    fn take_secret(&mut self) -> Option<NamedSecret> {
        self.credentials.take_secret()
    }
}

impl GetFederationToken {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (principal, issuer) = lasting_caller(call, "GetFederationToken")?;
        let account = principal.account().clone();
        let arn = PrincipalArn::federated_user(&account, self.name.as_str());
        let tags: Tags = self.tags.clone().unwrap_or_default().into();
        let fill = |context: &mut ConditionContext| {
            if !tags.is_empty() {
                context.request_tags(tags.iter());
            }
        };
        let permitted = call.authorize_on_with::<Self>(arn.as_str(), account.clone(), fill)?;
        if !tags.is_empty() {
            let _permitted = call.authorize_on_with::<TagSession>(arn.as_str(), account.clone(), fill)?;
        }
        let policies =
            session_policies::read(call, &account, self.policy.as_ref(), self.policy_arns.as_ref())?;
        let policies = match policies {
            Some(policies) => policies,
            None => allowing_nothing()?,
        };
        let seconds = user_seconds(principal.kind(), self.duration_seconds);
        let new =
            NewSession { policies: Some(policies), tags, ..NewSession::plain(arn.clone(), issuer, seconds) };
        let (credentials, changes) = issue(call, new)?;
        let user = FederatedUser { federated_user_id: format!("{account}:{}", self.name), arn };
        let elements = json!({"credentials": credentials.recorded(), "federatedUser":
            {"federatedUserId": user.federated_user_id, "arn": user.arn}});
        let answer = FederationToken { credentials, federated_user: user };
        Ok(Outcome::answer(permitted, answer).changing(changes, elements))
    }
}

/// The layer of a session without session policies, where one must be.
fn allowing_nothing() -> Result<SessionPolicies, CallError> {
    let nothing = Policy::parse(r#"{"Version": "2012-10-17", "Statement": []}"#, PolicyKind::Session)
        .map_err(|error| CallError::internal(error.to_string()))?;
    Ok(SessionPolicies { inline: Some(IdentityPolicy::new(nothing)), managed: Vec::new() })
}
