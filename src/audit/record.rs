//! One audit record in CloudTrail's shape ("CloudTrail record contents", event version 1.11).
//!
//! The canonical bytes of a record are its compact JSON with the fields in the order in which they stand here. Those
//! bytes are what the log stores and what is hashed to the record's leaf: they are never made a second time, so
//! reading and rewriting a record is no part of verifying it.
//!
//! INVARIANT: no plaintext, ciphertext or key bytes go into a record, wrapped or not: the log is kept for ever, and
//! deleting key material must be able to erase it. The encryption context does, in clear, as at AWS.

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::model::{AccountId, ErrorCode, KeyArn, ParseError, PrincipalArn, Region, Timestamp};

/// The version of CloudTrail's record that [`Record`] is.
pub const EVENT_VERSION: &str = "1.11";

/// Room for the canonical bytes of most records: they are written in one place and not moved.
const USUAL_BYTES: usize = 2048;

/// What one call, or one act of the service itself, leaves behind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// [`EVENT_VERSION`].
    pub event_version: Cow<'static, str>,
    /// Who called.
    pub user_identity: UserIdentity,
    /// When, by the keystore's clock; CloudTrail writes whole seconds.
    #[serde(with = "rfc3339")]
    pub event_time: Timestamp,
    /// The service called, such as `kms.amazonaws.com`.
    pub event_source: Cow<'static, str>,
    /// The operation, such as `Decrypt`.
    pub event_name: Cow<'static, str>,
    /// The Region called.
    pub aws_region: Region,
    /// Where the call came from: an address, or a service's name when it called on somebody's behalf.
    #[serde(rename = "sourceIPAddress")]
    pub source_ip_address: String,
    /// The program that called.
    pub user_agent: String,
    /// Why the call failed; absent when it did not. See [`error_code`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// The same in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// What was asked, without any secret; `null` when there is nothing to say.
    pub request_parameters: Value,
    /// What was answered, for calls that change something; `null` for all others.
    pub response_elements: Value,
    /// More facts, such as `keyMaterialId`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub additional_event_data: Option<Map<String, Value>>,
    /// The call's id as its caller saw it; absent for acts of the service itself.
    #[serde(rename = "requestID", default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// This record's own id, a UUID.
    #[serde(rename = "eventID")]
    pub event_id: String,
    /// Whether the call could not change anything.
    pub read_only: bool,
    /// What the call was about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<ResourceEntry>,
    /// A call, or an act of the service itself.
    pub event_type: EventType,
    /// Whether the call was about a resource rather than its content: false for S3's objects alone.
    pub management_event: bool,
    /// The account whose log this record belongs to.
    pub recipient_account_id: AccountId,
    /// The same in both accounts' records of a call across accounts.
    #[serde(rename = "sharedEventID", default, skip_serializing_if = "Option::is_none")]
    pub shared_event_id: Option<String>,
    /// The VPC endpoint that the call came through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vpc_endpoint_id: Option<String>,
    /// What the service did, for its own acts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_event_details: Option<Map<String, Value>>,
    /// `Management`, or `Data` for S3's objects.
    pub event_category: Cow<'static, str>,
    /// How the connection was protected, when it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_details: Option<TlsDetails>,
}

impl Record {
    /// The canonical bytes: compact JSON in field order.
    #[must_use]
    pub fn to_canonical_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(USUAL_BYTES);
        match serde_json::to_writer(&mut bytes, self) {
            Ok(()) => bytes,
            Err(_) => unreachable!("a record has text keys only, and writing to memory does not fail"),
        }
    }

    /// The record with these bytes. Fields that this version does not know are passed over.
    ///
    /// # Errors
    ///
    /// [`ParseError`] when they are not a record.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ParseError> {
        serde_json::from_slice(bytes)
            .map_err(|error| ParseError::new(format!("these bytes are not an audit record: {error}")))
    }

    /// Whether the call was answered with success.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.error_code.is_none()
    }

    /// Whether what it records may have changed something: a mutation, answered with success.
    #[must_use]
    pub fn is_change(&self) -> bool {
        !self.read_only && self.succeeded()
    }

    /// Notes that the call failed, with what its caller was told.
    pub fn set_error(&mut self, code: ErrorCode, message: impl Into<String>) {
        self.error_code = Some(error_code(code).into());
        self.error_message = Some(message.into());
    }
}

/// How CloudTrail spells an error: as the wire does, but a denial is `AccessDenied`.
#[must_use]
pub fn error_code(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::AccessDenied => "AccessDenied",
        other => other.as_str(),
    }
}

/// Whether somebody called or the service acted by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum EventType {
    /// A call.
    AwsApiCall,
    /// An act of the service: automatic rotation, deletion at the end of its window.
    AwsServiceEvent,
}

/// What kind of principal called (CloudTrail's `userIdentity.type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum IdentityType {
    /// An account's root user.
    Root,
    /// An IAM user.
    #[serde(rename = "IAMUser")]
    IamUser,
    /// A role's session.
    AssumedRole,
    /// A federated user's session.
    FederatedUser,
    /// Somebody whom an identity provider vouches for.
    WebIdentityUser,
    /// A principal of another account.
    #[serde(rename = "AWSAccount")]
    AwsAccount,
    /// A service on its own behalf.
    #[serde(rename = "AWSService")]
    AwsService,
    /// Nobody that is known.
    Unknown,
}

/// Who called (CloudTrail's `userIdentity` element).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UserIdentity {
    /// The kind of principal; absent for acts of the service itself.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub identity_type: Option<IdentityType>,
    /// The principal's unique id, such as `AIDA…`, or `AROA…:session`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal_id: Option<String>,
    /// The principal's ARN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arn: Option<PrincipalArn>,
    /// The principal's account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_id: Option<AccountId>,
    /// The access key that signed the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<String>,
    /// A user's name; for a web identity, whom the provider's token is about (`sub`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_name: Option<String>,
    /// Who vouches for a web identity: the provider's ARN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity_provider: Option<String>,
    /// The session, when temporary credentials were used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_context: Option<SessionContext>,
    /// The service that called on the principal's behalf, or `AWS Internal`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invoked_by: Option<String>,
}

impl UserIdentity {
    /// Somebody for whom an identity provider vouches, as CloudTrail names them: `PROVIDER:AUDIENCE:SUBJECT`.
    #[must_use]
    pub fn web_identity(account: AccountId, provider: &str, audience: &str, subject: &str) -> Self {
        Self {
            identity_type: Some(IdentityType::WebIdentityUser),
            principal_id: Some(format!("{provider}:{audience}:{subject}")),
            account_id: Some(account),
            user_name: Some(subject.into()),
            identity_provider: Some(provider.into()),
            ..Self::default()
        }
    }

    /// The identity under which the service acts by itself on something of this account's.
    #[must_use]
    pub fn aws_internal(account: AccountId) -> Self {
        Self { account_id: Some(account), invoked_by: Some("AWS Internal".into()), ..Self::default() }
    }
}

/// The session of temporary credentials (CloudTrail's `sessionContext`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionContext {
    /// Who issued the session: the role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_issuer: Option<SessionIssuer>,
    /// When it began and whether with MFA.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attributes: Option<Attributes>,
    /// The source identity set when the role was assumed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_identity: Option<String>,
    /// The session's tags. Not CloudTrail's: it has them in the AssumeRole record only.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub principal_tags: BTreeMap<String, String>,
}

/// The role behind a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionIssuer {
    /// `Role`, or `Root` or `IAMUser` for sessions of `GetSessionToken` and `GetFederationToken`.
    #[serde(rename = "type")]
    pub issuer_type: String,
    /// The issuer's unique id, such as `AROA…`.
    pub principal_id: String,
    /// The issuer's ARN.
    pub arn: PrincipalArn,
    /// The issuer's account.
    pub account_id: AccountId,
    /// The issuer's name.
    pub user_name: String,
}

/// Facts about a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attributes {
    /// When the session began.
    #[serde(with = "rfc3339")]
    pub creation_date: Timestamp,
    /// `true` or `false`, as text, as CloudTrail has it.
    pub mfa_authenticated: String,
}

/// Something that a call was about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceEntry {
    /// The resource's account.
    pub account_id: AccountId,
    /// The resource's type, such as `AWS::KMS::Key`.
    #[serde(rename = "type")]
    pub resource_type: Cow<'static, str>,
    /// The resource's ARN.
    #[serde(rename = "ARN")]
    pub arn: String,
}

impl ResourceEntry {
    /// The entry for a KMS key.
    #[must_use]
    pub fn kms_key(arn: &KeyArn) -> Self {
        Self {
            account_id: arn.account().clone(),
            resource_type: "AWS::KMS::Key".into(),
            arn: arn.as_str().into(),
        }
    }
}

/// How the caller's connection was protected (CloudTrail's `tlsDetails`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TlsDetails {
    /// Such as `TLSv1.3`.
    pub tls_version: String,
    /// Such as `TLS_AES_256_GCM_SHA384`.
    pub cipher_suite: String,
    /// The name the caller asked for.
    pub client_provided_host_header: String,
    /// The group of the key exchange, such as `X25519MLKEM768`; absent in a session that was resumed without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_exchange: Option<String>,
}

/// Time as CloudTrail writes it.
mod rfc3339 {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::model::Timestamp;

    pub(super) fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&time.to_rfc3339())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    /// A denied Decrypt by a user.
    pub(crate) fn sample() -> Record {
        let account: AccountId = "111122223333".parse().unwrap();
        let key: KeyArn =
            "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab".parse().unwrap();
        let mut record = Record {
            event_version: EVENT_VERSION.into(),
            user_identity: UserIdentity {
                identity_type: Some(IdentityType::IamUser),
                principal_id: Some("AIDAEXAMPLE".into()),
                arn: Some("arn:aws:iam::111122223333:user/bob".parse().unwrap()),
                account_id: Some(account.clone()),
                user_name: Some("bob".into()),
                ..UserIdentity::default()
            },
            event_time: Timestamp::from_millis(1_795_384_365_000),
            event_source: "kms.amazonaws.com".into(),
            event_name: "Decrypt".into(),
            aws_region: "us-east-1".parse().unwrap(),
            source_ip_address: "127.0.0.1".into(),
            user_agent: "keystead/0.1.0".into(),
            error_code: None,
            error_message: None,
            request_parameters: json!({"encryptionContext": {"project": "tour"}, "encryptionAlgorithm": "SYMMETRIC_DEFAULT"}),
            response_elements: Value::Null,
            additional_event_data: None,
            request_id: Some("11111111-2222-4333-8444-555555555555".into()),
            event_id: "66666666-7777-4888-9999-000000000000".into(),
            read_only: true,
            resources: vec![ResourceEntry::kms_key(&key)],
            event_type: EventType::AwsApiCall,
            management_event: true,
            recipient_account_id: account,
            shared_event_id: None,
            vpc_endpoint_id: None,
            service_event_details: None,
            event_category: "Management".into(),
            tls_details: None,
        };
        record.set_error(ErrorCode::AccessDenied, "bob may not");
        record
    }

    #[test]
    fn the_canonical_bytes_are_compact_json_in_cloudtrails_order() {
        let bytes = sample().to_canonical_bytes();
        assert_eq!(
            String::from_utf8(bytes.clone()).unwrap(),
            concat!(
                r#"{"eventVersion":"1.11","userIdentity":{"type":"IAMUser","principalId":"AIDAEXAMPLE","#,
                r#""arn":"arn:aws:iam::111122223333:user/bob","accountId":"111122223333","userName":"bob"},"#,
                r#""eventTime":"2026-11-22T21:52:45Z","eventSource":"kms.amazonaws.com","eventName":"Decrypt","#,
                r#""awsRegion":"us-east-1","sourceIPAddress":"127.0.0.1","userAgent":"keystead/0.1.0","#,
                r#""errorCode":"AccessDenied","errorMessage":"bob may not","#,
                r#""requestParameters":{"encryptionContext":{"project":"tour"},"encryptionAlgorithm":"SYMMETRIC_DEFAULT"},"#,
                r#""responseElements":null,"requestID":"11111111-2222-4333-8444-555555555555","#,
                r#""eventID":"66666666-7777-4888-9999-000000000000","readOnly":true,"#,
                r#""resources":[{"accountId":"111122223333","type":"AWS::KMS::Key","#,
                r#""ARN":"arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"}],"#,
                r#""eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"111122223333","#,
                r#""eventCategory":"Management"}"#,
            )
        );
        assert_eq!(Record::from_bytes(&bytes).unwrap(), sample());
    }

    #[test]
    fn an_act_of_the_service_has_no_caller_and_no_request() {
        let record = Record {
            user_identity: UserIdentity::aws_internal("111122223333".parse().unwrap()),
            event_type: EventType::AwsServiceEvent,
            request_id: None,
            ..sample()
        };
        let text = String::from_utf8(record.to_canonical_bytes()).unwrap();
        assert!(text.contains(r#""userIdentity":{"accountId":"111122223333","invokedBy":"AWS Internal"}"#));
        assert!(text.contains(r#""eventType":"AwsServiceEvent""#) && !text.contains("requestID"));
        assert_eq!(Record::from_bytes(text.as_bytes()).unwrap(), record);
    }

    #[test]
    fn what_is_no_record_is_refused() {
        for bad in [&b""[..], b"{}", b"[]", b"null", &[0xff, 0xfe]] {
            assert!(Record::from_bytes(bad).is_err());
        }
    }
}
