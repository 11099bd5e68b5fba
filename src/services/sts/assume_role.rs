//! AssumeRole: a session of a role, for whom its trust policy lets in.
//!
//! Source: AssumeRole (STS API reference), "Passing session tags" and "Monitor and control actions taken with assumed
//! roles" (IAM user guide). Tags need `sts:TagSession` and a source identity `sts:SetSourceIdentity` beside
//! `sts:AssumeRole`, each allowed by the trust policy like the first.

use std::{collections::BTreeSet, sync::Arc};

use serde::Serialize;
use serde_json::json;

use super::{
    super::iam::{AuthenticationCode, PolicyText, TagList},
    super::query::{Answer, NamedSecret, operations},
    DurationSeconds, PolicyArnList,
    issue::{Credentials, NewSession, issue},
    mfa, session_policies,
};
use crate::{
    audit::ResourceEntry,
    iam::{ExternalId, Identity, MfaSerial, Role, RoleSessionName, SessionIssuer, SourceIdentity},
    kms::{Call, CallError, Outcome, actions},
    model::{ErrorCode, PrincipalArn, PrincipalKind, Tags},
    policy::{Action, ConditionContext, PrincipalFacts},
};

/// How long a role's session lasts when nothing else is asked, in seconds.
pub(super) const ROLE_SECONDS_DEFAULT: u32 = 3_600;
/// How long a session at most lasts that is made from another role's session, in seconds ("Role chaining").
const CHAINED_SECONDS_MAX: u32 = 3_600;

actions! {
    /// `sts:TagSession`.
    TagSession = "sts:TagSession",
    /// `sts:SetSourceIdentity`.
    SetSourceIdentity = "sts:SetSourceIdentity",
}

operations! {
    in "sts";

    /// Takes on a role: temporary credentials with the role's permissions.
    AssumeRole reads -> AssumedRole as "" {
        /// The role's ARN.
        role_arn "RoleArn": PrincipalArn,
        /// What the session is called: it stands in the session's ARN and in the audit log.
        role_session_name "RoleSessionName": RoleSessionName,
        /// Managed policies that limit the session.
        policy_arns "PolicyArns": Option<PolicyArnList>,
        /// A policy that limits the session.
        policy "Policy": Option<PolicyText>,
        /// How long the session is to last in seconds: 3,600 when left out.
        duration_seconds "DurationSeconds": Option<DurationSeconds>,
        /// Session tags.
        tags "Tags": Option<TagList>,
        /// The keys of the session tags that pass on to roles assumed from this one.
        transitive_tag_keys "TransitiveTagKeys": Option<Vec<String>>,
        /// What a third party must show, when the trust policy asks for it.
        external_id "ExternalId": Option<ExternalId>,
        /// The serial number of the caller's MFA device.
        serial_number "SerialNumber": Option<MfaSerial>,
        /// The code that the MFA device shows.
        token_code "TokenCode": Option<AuthenticationCode>,
        /// Who is behind the session; it stays when further roles are assumed.
        source_identity "SourceIdentity": Option<SourceIdentity>,
    }
}

/// Temporary credentials of a role.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AssumedRole {
    /// The credentials.
    pub credentials: Credentials,
    /// Whom they make of their holder.
    pub assumed_role_user: AssumedRoleUser,
    /// Who is behind the session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_identity: Option<SourceIdentity>,
}

impl Answer for AssumedRole {
    const SECRET_WITHIN: &'static str = "Credentials";

    fn take_secret(&mut self) -> Option<NamedSecret> {
        self.credentials.take_secret()
    }
}

/// A role's session.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AssumedRoleUser {
    /// The role's unique id and the session's name: what `aws:userid` holds.
    pub assumed_role_id: String,
    /// The session's ARN.
    pub arn: PrincipalArn,
}

impl AssumedRoleUser {
    pub(super) fn of(role: &Role, session: &RoleSessionName) -> Self {
        Self {
            assumed_role_id: format!("{}:{session}", role.id),
            arn: PrincipalArn::assumed_role(&role.account, role.name.as_str(), session.as_str()),
        }
    }
}

impl AssumeRole {
    /// A request for a session of this name and nothing more.
    #[must_use]
    pub fn new(role_arn: PrincipalArn, role_session_name: RoleSessionName) -> Self {
        Self {
            role_arn,
            role_session_name,
            policy_arns: None,
            policy: None,
            duration_seconds: None,
            tags: None,
            transitive_tag_keys: None,
            external_id: None,
            serial_number: None,
            token_code: None,
            source_identity: None,
        }
    }

    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        if call.arn().is_some_and(|arn| arn.kind() == PrincipalKind::Root) {
            let why = "the root user assumes no role: call as a user, or take the role directly with `--as role/NAME`";
            let message = "Roles may not be assumed by root accounts.";
            return Err(CallError::new(ErrorCode::AccessDenied, message).explained(why));
        }
        let role = find_role::<Self>(call, &self.role_arn, None)?;
        let code = mfa::take(call, self.serial_number.as_ref(), self.token_code.as_ref())?;
        let passed_on = PassedOn::from_callers_session(call);
        let tags = passed_on.tags_with(self.tags.as_ref(), self.transitive_tag_keys.as_deref())?;
        let source = passed_on.source_identity(self.source_identity.as_ref())?;
        let fill = |context: &mut ConditionContext| {
            self.fill(context, &tags, source.as_ref());
            if code.is_some() {
                context.set_bool("aws:MultiFactorAuthPresent", true).mfa_age(0);
            }
        };
        let permitted = call.authorize_on_role::<Self>(&role, None, &fill)?;
        if !tags.all.is_empty() {
            let _permitted = call.authorize_on_role::<TagSession>(&role, None, &fill)?;
        }
        if source.is_some() {
            let _permitted = call.authorize_on_role::<SetSourceIdentity>(&role, None, &fill)?;
        }
        let policies =
            session_policies::read(call, &role.account, self.policy.as_ref(), self.policy_arns.as_ref())?;
        let seconds = role_seconds(&role, self.duration_seconds)?;
        if passed_on.is_chained && seconds > CHAINED_SECONDS_MAX {
            let message = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining";
            return Err(CallError::new(ErrorCode::IamValidation, message));
        }
        let user = AssumedRoleUser::of(&role, &self.role_session_name);
        let new = NewSession {
            policies,
            tags: tags.all,
            transitive_tag_keys: tags.transitive,
            source_identity: source.clone(),
            ..NewSession::plain(user.arn.clone(), Some(issuer(&role)), seconds)
        };
        let (credentials, mut changes) = issue(call, new)?;
        changes.extend(code);
        let elements = json!({"credentials": credentials.recorded(), "assumedRoleUser":
            {"assumedRoleId": user.assumed_role_id, "arn": user.arn}, "sourceIdentity": source});
        let answer = AssumedRole { credentials, assumed_role_user: user, source_identity: source };
        Ok(Outcome::answer(permitted, answer).changing(changes, elements))
    }

    fn fill(&self, context: &mut ConditionContext, tags: &SessionTags, source: Option<&SourceIdentity>) {
        context.set("sts:RoleSessionName", self.role_session_name.as_str());
        if let Some(id) = &self.external_id {
            context.set("sts:ExternalId", id.as_str());
        }
        if let Some(source) = source {
            context.set("sts:SourceIdentity", source.as_str());
        }
        if !tags.all.is_empty() {
            context.request_tags(tags.all.iter());
        }
        context.set_many("sts:TransitiveTagKeys", tags.transitive.iter().cloned());
    }
}

/// What a session that assumes another role passes on to it.
struct PassedOn {
    is_chained: bool,
    tags: Tags,
    source_identity: Option<SourceIdentity>,
}

/// The tags that a new session is to have.
struct SessionTags {
    all: Tags,
    transitive: BTreeSet<String>,
}

impl PassedOn {
    fn from_callers_session(call: &Call<'_>) -> Self {
        let is_chained = matches!(call.identity(), Some(Identity::Role(_)));
        let session = call.session();
        let mut tags = Tags::new();
        for (key, value) in session.into_iter().flat_map(crate::iam::Session::transitive_tags) {
            // They were tags already, so they can be tags again.
            let _always_ok = tags.set(key, value);
        }
        let source_identity = session.and_then(|session| session.source_identity.clone());
        Self { is_chained, tags, source_identity }
    }

    /// The tags asked for, with those passed on: these cannot be overridden.
    fn tags_with(
        &self,
        asked: Option<&TagList>,
        transitive: Option<&[String]>,
    ) -> Result<SessionTags, CallError> {
        let invalid = |message: String| CallError::new(ErrorCode::IamValidation, message);
        let mut all = self.tags.clone();
        for (key, value) in asked.into_iter().flat_map(|list| list.tags().iter()) {
            if self.tags.iter().any(|(passed, _)| passed.eq_ignore_ascii_case(key)) {
                let message = format!(
                    "The session tag {key} is transitive in the calling session and cannot be overridden."
                );
                return Err(invalid(message));
            }
            all.set(key, value).map_err(|error| invalid(error.to_string()))?;
        }
        let mut transitive: BTreeSet<String> = transitive.unwrap_or_default().iter().cloned().collect();
        if let Some(unknown) = transitive.iter().find(|key| all.get(key).is_none()) {
            return Err(invalid(format!(
                "The transitive tag key {unknown} is not a key of the session tags."
            )));
        }
        transitive.extend(self.tags.iter().map(|(key, _)| key.to_owned()));
        Ok(SessionTags { all, transitive })
    }

    /// The source identity: one that is set cannot be changed.
    fn source_identity(&self, asked: Option<&SourceIdentity>) -> Result<Option<SourceIdentity>, CallError> {
        match (&self.source_identity, asked) {
            (Some(set), Some(asked)) if set != asked => {
                let message = "The source identity of the calling session cannot be changed.";
                Err(CallError::new(ErrorCode::AccessDenied, message))
            }
            (Some(set), _) => Ok(Some(set.clone())),
            (None, asked) => Ok(asked.cloned()),
        }
    }
}

/// The role with this ARN. That there is none is not told: it is a denial like any other.
pub(super) fn find_role<A: Action>(
    call: &mut Call<'_>,
    arn: &PrincipalArn,
    subject: Option<&PrincipalFacts>,
) -> Result<Arc<Role>, CallError> {
    let found = match call.world().identities().find(arn) {
        Some(Identity::Role(role)) if arn.kind() == PrincipalKind::Role => Some(role),
        _ => None,
    };
    if let Some(role) = &found {
        call.note(ResourceEntry {
            account_id: role.account.clone(),
            resource_type: "AWS::IAM::Role".into(),
            arn: arn.to_string(),
        });
    }
    found.ok_or_else(|| call.denied_role::<A>(arn, subject, format!("there is no role {arn}")))
}

/// How long the session of a role is to last, in seconds.
pub(super) fn role_seconds(role: &Role, asked: Option<DurationSeconds>) -> Result<u32, CallError> {
    let seconds = asked.map_or(ROLE_SECONDS_DEFAULT, DurationSeconds::get);
    if seconds <= role.max_session_duration.seconds() {
        return Ok(seconds);
    }
    let message = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.";
    Err(CallError::new(ErrorCode::IamValidation, message))
}

/// The role as what a session is of.
pub(super) fn issuer(role: &Role) -> SessionIssuer {
    SessionIssuer { arn: role.arn(), id: role.id.clone() }
}
