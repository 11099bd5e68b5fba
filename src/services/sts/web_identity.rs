//! AssumeRoleWithWebIdentity: a session of a role for somebody whom an OpenID Connect provider vouches for.
//!
//! Source: AssumeRoleWithWebIdentity (STS API reference) and "Available keys for OIDC federation" (IAM user guide). The
//! caller has no AWS credentials: the token is the proof. Its signature is checked with the provider's local key set, its
//! time by the keystore's clock, and then the role's trust policy decides on what it says.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    super::iam::PolicyText,
    super::query::{Answer, NamedSecret, operations},
    DurationSeconds, PolicyArnList, WebIdentityToken,
    assume_role::{AssumedRoleUser, TagSession, find_role, issuer, role_seconds},
    issue::{Credentials, NewSession, issue},
    session_policies,
};
use crate::{
    audit::UserIdentity,
    crypto::jwt,
    iam::{OidcProviderArn, OidcUrl, OpenIdConnectProvider, RoleSessionName, SourceIdentity},
    kms::{Call, CallError, Outcome},
    model::{AccountId, ErrorCode, PrincipalArn, Tags},
    policy::{Action, ConditionContext, PrincipalFacts},
};

/// The claim that holds session tags ("Passing session tags using AssumeRoleWithWebIdentity").
const TAGS_CLAIM: &str = "https://aws.amazon.com/tags";
/// The claim that holds the source identity.
const SOURCE_IDENTITY_CLAIM: &str = "https://aws.amazon.com/source_identity";

operations! {
    in "sts";

    /// Takes on a role with the token of an identity provider, without AWS credentials.
    AssumeRoleWithWebIdentity reads -> AssumedRoleWithWebIdentity as "" {
        /// The role's ARN.
        role_arn "RoleArn": PrincipalArn,
        /// What the session is called: it stands in the session's ARN and in the audit log.
        role_session_name "RoleSessionName": RoleSessionName,
        /// The identity provider's token: a signed JSON Web Token.
        web_identity_token "WebIdentityToken": WebIdentityToken,
        /// Managed policies that limit the session.
        policy_arns "PolicyArns": Option<PolicyArnList>,
        /// A policy that limits the session.
        policy "Policy": Option<PolicyText>,
        /// How long the session is to last in seconds: 3,600 when left out.
        duration_seconds "DurationSeconds": Option<DurationSeconds>,
    }
}

/// Temporary credentials of a role, for an identity provider's subject.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AssumedRoleWithWebIdentity {
    /// The credentials.
    pub credentials: Credentials,
    /// Whom the provider's token is about.
    pub subject_from_web_identity_token: String,
    /// Whom the credentials make of their holder.
    pub assumed_role_user: AssumedRoleUser,
    /// The provider's address, without `https://`.
    pub provider: String,
    /// Whom the token is for.
    pub audience: String,
    /// Who is behind the session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_identity: Option<SourceIdentity>,
}

impl Answer for AssumedRoleWithWebIdentity {
    const SECRET_WITHIN: &'static str = "Credentials";

    fn take_secret(&mut self) -> Option<NamedSecret> {
        self.credentials.take_secret()
    }
}

impl AssumeRoleWithWebIdentity {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let subject = Subject::of_token(call, &self.web_identity_token, self.role_arn.account())?;
        call.vouch(subject.identity());
        let facts = PrincipalFacts::federated(subject.provider.to_string());
        let role = find_role::<Self>(call, &self.role_arn, Some(&facts)).map_err(unnamed)?;
        let fill = |context: &mut ConditionContext| {
            subject.fill(context);
            context.set("sts:RoleSessionName", self.role_session_name.as_str());
        };
        let permitted = call.authorize_on_role::<Self>(&role, Some(&facts), &fill).map_err(unnamed)?;
        if !subject.tags.is_empty() {
            let _permitted = call.authorize_on_role::<TagSession>(&role, Some(&facts), &fill)?;
        }
        if subject.source_identity.is_some() {
            let _permitted =
                call.authorize_on_role::<super::assume_role::SetSourceIdentity>(&role, Some(&facts), &fill)?;
        }
        let policies =
            session_policies::read(call, &role.account, self.policy.as_ref(), self.policy_arns.as_ref())?;
        let seconds = role_seconds(&role, self.duration_seconds)?;
        let user = AssumedRoleUser::of(&role, &self.role_session_name);
        let new = NewSession {
            policies,
            tags: subject.tags,
            transitive_tag_keys: subject.transitive_tag_keys,
            source_identity: subject.source_identity.clone(),
            provider: Some(subject.provider.clone()),
            ..NewSession::plain(user.arn.clone(), Some(issuer(&role)), seconds)
        };
        let (credentials, changes) = issue(call, new)?;
        let answer = AssumedRoleWithWebIdentity {
            credentials,
            subject_from_web_identity_token: subject.subject,
            assumed_role_user: user,
            provider: subject.provider.url().without_scheme().to_owned(),
            audience: subject.audience,
            source_identity: subject.source_identity,
        };
        let elements = json!({"credentials": answer.credentials.recorded(), "assumedRoleUser":
            {"assumedRoleId": answer.assumed_role_user.assumed_role_id, "arn": answer.assumed_role_user.arn},
            "subjectFromWebIdentityToken": answer.subject_from_web_identity_token, "provider": answer.provider,
            "audience": answer.audience});
        Ok(Outcome::answer(permitted, answer).changing(changes, elements))
    }
}

/// Whom a token is about, once it is believed.
struct Subject {
    provider: OidcProviderArn,
    subject: String,
    audience: String,
    authentication_methods: Vec<String>,
    tags: Tags,
    transitive_tag_keys: BTreeSet<String>,
    source_identity: Option<SourceIdentity>,
}

impl Subject {
    /// Believes a token: it is signed by a provider of this account, for one of its clients, and good now.
    fn of_token(call: &Call<'_>, token: &WebIdentityToken, account: &AccountId) -> Result<Self, CallError> {
        let provider = provider_of(call, token, account)?;
        let keys =
            provider.jwks.as_ref().ok_or_else(|| invalid("the provider was made without --custom-jwks"))?;
        let claims =
            jwt::verify(token.as_str(), keys.as_str()).map_err(|error| invalid(error.to_string()))?;
        check_times(&claims, call.now().as_millis().div_euclid(1000))?;
        let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
        let audience = audience(&claims, provider)?;
        let subject = text("sub").ok_or_else(|| rejected("the token names no subject (`sub`)"))?;
        let methods = claims.get("amr").and_then(Value::as_array);
        let authentication_methods =
            methods.into_iter().flatten().filter_map(|one| one.as_str().map(str::to_owned)).collect();
        let source_identity = text(SOURCE_IDENTITY_CLAIM)
            .map(|source| source.parse())
            .transpose()
            .map_err(|error: crate::model::ParseError| rejected(error.to_string()))?;
        let (tags, transitive_tag_keys) = session_tags(&claims)?;
        let provider = provider.arn.clone();
        Ok(Self {
            provider,
            subject,
            audience,
            authentication_methods,
            tags,
            transitive_tag_keys,
            source_identity,
        })
    }

    /// Who calls, for the record: of a denial too.
    fn identity(&self) -> UserIdentity {
        let provider = self.provider.to_string();
        UserIdentity::web_identity(self.provider.account().clone(), &provider, &self.audience, &self.subject)
    }

    fn fill(&self, context: &mut ConditionContext) {
        let name = self.provider.url().without_scheme();
        context.set(&format!("{name}:sub"), self.subject.as_str());
        context.set(&format!("{name}:aud"), self.audience.as_str());
        context.set_many(&format!("{name}:amr"), self.authentication_methods.iter().cloned());
        context.set("aws:FederatedProvider", self.provider.to_string());
        if !self.tags.is_empty() {
            context.request_tags(self.tags.iter());
        }
        context.set_many("sts:TransitiveTagKeys", self.transitive_tag_keys.iter().cloned());
        if let Some(source) = &self.source_identity {
            context.set("sts:SourceIdentity", source.as_str());
        }
    }
}

/// The provider of this account that the token says it is from.
fn provider_of<'w>(
    call: &'w Call<'_>,
    token: &WebIdentityToken,
    account: &AccountId,
) -> Result<&'w OpenIdConnectProvider, CallError> {
    let named = jwt::unverified_issuer(token.as_str())
        .ok_or_else(|| invalid("it is no JSON Web Token with an `iss`"))?;
    let url: OidcUrl = named.trim_end_matches('/').parse().map_err(|_| no_provider(&named))?;
    let arn = OidcProviderArn::new(account.clone(), url);
    let provider = call.world().identities().provider(&arn);
    provider.map(std::sync::Arc::as_ref).ok_or_else(|| no_provider(&named))
}

/// The token's audience, which must be a client of the provider's: `azp` when there is one, else `aud`.
fn audience(claims: &Map<String, Value>, provider: &OpenIdConnectProvider) -> Result<String, CallError> {
    let of_claim = |name: &str| match claims.get(name) {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(list)) => list.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    };
    let audiences = Some(of_claim("azp")).filter(|azp| !azp.is_empty()).unwrap_or_else(|| of_claim("aud"));
    let known = |audience: &String| provider.client_ids.iter().any(|client| client.as_str() == audience);
    audiences.into_iter().find(known).ok_or_else(|| invalid("Incorrect token audience"))
}

/// The token must be good at this moment, in seconds since 1970 (RFC 7519, sections 4.1.4 and 4.1.5).
fn check_times(claims: &Map<String, Value>, now: i64) -> Result<(), CallError> {
    let malformed = |name: &str| invalid(format!("the token's `{name}` is not a time in seconds since 1970"));
    let time = |name: &str| match claims.get(name) {
        None => Ok(None),
        Some(value) => value.as_f64().map(Some).ok_or_else(|| malformed(name)),
    };
    // Seconds of this century fit in a float without loss.
    #[allow(clippy::cast_precision_loss, reason = "seconds since 1970 are far below 2^53")]
    let now = now as f64;
    let expiry = time("exp")?.ok_or_else(|| invalid("the token does not say when it ends (`exp`)"))?;
    if now >= expiry {
        return Err(CallError::new(ErrorCode::ExpiredToken, "Token expired"));
    }
    if time("nbf")?.is_some_and(|not_before| now < not_before) {
        return Err(invalid("the token is not good yet (`nbf`)"));
    }
    Ok(())
}

/// The session tags that the token carries, each with one value, and which of them pass on.
fn session_tags(claims: &Map<String, Value>) -> Result<(Tags, BTreeSet<String>), CallError> {
    let mut tags = Tags::new();
    let Some(claim) = claims.get(TAGS_CLAIM) else { return Ok((tags, BTreeSet::new())) };
    let pairs = claim.get("principal_tags").and_then(Value::as_object);
    for (key, values) in pairs.into_iter().flatten() {
        let value = match values {
            Value::String(value) => value,
            Value::Array(list) => match list.as_slice() {
                [Value::String(value)] => value,
                _ => return Err(rejected(format!("the session tag `{key}` must have one value"))),
            },
            _ => return Err(rejected(format!("the session tag `{key}` is no text"))),
        };
        tags.set(key, value).map_err(|error| rejected(error.to_string()))?;
    }
    let listed = claim.get("transitive_tag_keys").and_then(Value::as_array);
    let transitive: BTreeSet<String> =
        listed.into_iter().flatten().filter_map(|key| key.as_str().map(str::to_owned)).collect();
    match transitive.iter().find(|key| tags.get(key).is_none()) {
        Some(unknown) => Err(rejected(format!("`{unknown}` is transitive and no session tag"))),
        None => Ok((tags, transitive)),
    }
}

/// A denial in the words that AWS has for callers whom no account knows: they name nobody.
fn unnamed(error: CallError) -> CallError {
    if error.code() != ErrorCode::AccessDenied {
        return error;
    }
    let message = format!("Not authorized to perform {}", <AssumeRoleWithWebIdentity as Action>::NAME);
    let unnamed = CallError::new(ErrorCode::AccessDenied, message);
    match error.explanation() {
        Some(why) => unnamed.explained(why),
        None => unnamed,
    }
}

fn no_provider(named: &str) -> CallError {
    let message = format!("No OpenIDConnect provider found in your account for {named}");
    CallError::new(ErrorCode::InvalidIdentityToken, message)
}

fn invalid(why: impl Into<String>) -> CallError {
    let why = why.into();
    CallError::new(ErrorCode::InvalidIdentityToken, format!("Couldn't verify the identity token: {why}"))
}

fn rejected(why: impl Into<String>) -> CallError {
    CallError::new(ErrorCode::IdpRejectedClaim, why)
}
