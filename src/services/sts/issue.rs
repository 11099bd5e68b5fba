//! New temporary credentials: an access key, its secret, and the token that goes with every request.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Value, json};

use super::super::{iam::time, query::NamedSecret};
use crate::{
    crypto::digest::sha256,
    iam::{
        AccessKeyId, EXPIRED_SESSION_DAYS, OidcProviderArn, Session, SessionIssuer, SessionPolicies,
        SourceIdentity,
    },
    kms::{Call, CallError},
    model::{PrincipalArn, Tags, Timestamp},
    secret::SecretBytes,
    world::{Change, IdentityChange},
};

/// How many sessions that ended long ago are forgotten whenever one is made: more than one, so that they do not pile up.
const FORGOTTEN_AT_ONCE: usize = 8;

/// What a new session is to be.
pub(super) struct NewSession {
    pub(super) principal: PrincipalArn,
    pub(super) issuer: Option<SessionIssuer>,
    pub(super) seconds: u32,
    pub(super) mfa: bool,
    pub(super) policies: Option<SessionPolicies>,
    pub(super) tags: Tags,
    pub(super) transitive_tag_keys: BTreeSet<String>,
    pub(super) source_identity: Option<SourceIdentity>,
    pub(super) provider: Option<OidcProviderArn>,
}

impl NewSession {
    /// A session without anything special about it.
    pub(super) fn plain(principal: PrincipalArn, issuer: Option<SessionIssuer>, seconds: u32) -> Self {
        Self {
            principal,
            issuer,
            seconds,
            mfa: false,
            policies: None,
            tags: Tags::new(),
            transitive_tag_keys: BTreeSet::new(),
            source_identity: None,
            provider: None,
        }
    }
}

/// Temporary credentials, shown once.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Credentials {
    /// The access key's id.
    pub access_key_id: AccessKeyId,
    /// The secret that signs requests.
    #[serde(skip)]
    pub secret_access_key: SecretBytes,
    /// What every signed request carries besides.
    pub session_token: String,
    /// When they end.
    #[serde(serialize_with = "time")]
    pub expiration: Timestamp,
}

impl Credentials {
    /// Takes the secret out.
    pub(super) fn take_secret(&mut self) -> Option<NamedSecret> {
        let secret = std::mem::replace(&mut self.secret_access_key, SecretBytes::from(b"".as_slice()));
        Some(NamedSecret { name: "SecretAccessKey", secret })
    }

    /// What the audit record shows of them.
    pub(super) fn recorded(&self) -> Value {
        json!({"accessKeyId": self.access_key_id, "expiration": self.expiration.to_rfc3339()})
    }
}

/// Makes the session: its credentials, and the changes that keep it.
pub(super) fn issue(call: &mut Call<'_>, new: NewSession) -> Result<(Credentials, Vec<Change>), CallError> {
    let id = AccessKeyId::temporary_from_random(call.random().array()?);
    let (secret_access_key, wrapped) = call.new_access_key(&id)?;
    let session_token = data_encoding::BASE64.encode(&call.random().array::<48>()?);
    let issued = call.now();
    let expires = issued.plus_millis(i64::from(new.seconds) * 1000);
    let session = Session {
        access_key: id.clone(),
        principal: new.principal,
        issuer: new.issuer,
        issued,
        expires,
        mfa: new.mfa,
        policies: new.policies,
        tags: new.tags,
        transitive_tag_keys: new.transitive_tag_keys,
        source_identity: new.source_identity,
        provider: new.provider,
        token_digest: sha256(&[session_token.as_bytes()]),
        wrapped,
    };
    let long_ago = issued.plus_millis(-86_400_000 * i64::from(EXPIRED_SESSION_DAYS));
    let forgotten = call.world().identities().sessions_ended_before(long_ago).take(FORGOTTEN_AT_ONCE);
    let mut changes: Vec<Change> =
        forgotten.map(|id| Change::Identity(IdentityChange::DeleteSession(id.clone()))).collect();
    changes.push(Change::Identity(IdentityChange::PutSession(Box::new(session))));
    let credentials =
        Credentials { access_key_id: id, secret_access_key, session_token, expiration: expires };
    Ok((credentials, changes))
}
