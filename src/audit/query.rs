//! What records are asked for: CloudTrail's lookup attributes, and who, with what outcome, on which ciphertext.
//!
//! A [`Filter`] is decided on the record itself. The index only says where to look: it knows for some filters a *term*
//! under which every record that passes was filed, along with some that may not.

use std::borrow::Cow;

use serde_json::Value;

use super::Record;
use crate::model::{AccountId, ParseError, Timestamp};

/// Where a record notes the digest of the ciphertext that a call took or gave, in `additionalEventData`: SHA-256 in
/// hexadecimal. It ties a Decrypt to the GenerateDataKey or Encrypt whose ciphertext it opened; it tells nothing about
/// the plaintext, which a ciphertext does not either.
pub const CIPHERTEXT_DIGEST: &str = "ciphertextSha256";
/// The same for the ciphertext that ReEncrypt took.
pub const SOURCE_CIPHERTEXT_DIGEST: &str = "sourceCiphertextSha256";

/// The operations that count as using a key (KMS API, `KeyLastUsageTrackingOperation`).
pub const CRYPTOGRAPHIC_OPERATIONS: &[&str] = &[
    "Decrypt",
    "DeriveSharedSecret",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyPair",
    "GenerateDataKeyPairWithoutPlaintext",
    "GenerateDataKeyWithoutPlaintext",
    "GenerateMac",
    "ReEncrypt",
    "Sign",
    "Verify",
    "VerifyMac",
    "Encapsulate",
    "Decapsulate",
];

/// What of a record is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Attribute {
    /// The record's id.
    EventId,
    /// The operation.
    EventName,
    /// The service, such as `kms.amazonaws.com`.
    EventSource,
    /// `true` or `false`.
    ReadOnly,
    /// A user's name, a session's name or `root`.
    Username,
    /// Such as `AWS::KMS::Key`.
    ResourceType,
    /// A resource's ARN, or its name: a key's id, `alias/…`, a bucket, `BUCKET/OBJECT`.
    ResourceName,
    /// The access key that signed the call.
    AccessKeyId,
    /// The caller: an ARN, `user/NAME`, or `role/NAME` for every session of a role.
    Principal,
    /// `ok`, `denied`, `failed` (denied or otherwise), or an error code.
    Outcome,
    /// The digest of a ciphertext: see [`CIPHERTEXT_DIGEST`].
    Ciphertext,
    /// The ARN of a key that was used with success for one of the [`CRYPTOGRAPHIC_OPERATIONS`].
    KeyUsed,
}

/// An attribute and the value that it must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// What is compared.
    pub attribute: Attribute,
    /// With what.
    pub value: String,
}

impl Filter {
    /// The filter for this attribute and value.
    ///
    /// # Errors
    ///
    /// [`ParseError`] when no record can have the value: `ReadOnly` is `true` or `false`.
    pub fn new(attribute: Attribute, value: impl Into<String>) -> Result<Self, ParseError> {
        let value = value.into();
        if attribute == Attribute::ReadOnly && value.parse::<bool>().is_err() {
            return Err(ParseError::new(format!("`{value}` is neither `true` nor `false`")));
        }
        Ok(Self { attribute, value })
    }

    /// Whether the record has the value.
    #[must_use]
    pub fn passes(&self, record: &Record) -> bool {
        let value = self.value.as_str();
        match self.attribute {
            Attribute::EventId => record.event_id == value,
            Attribute::EventName => record.event_name == value,
            Attribute::EventSource => record.event_source == value,
            Attribute::ReadOnly => value.parse() == Ok(record.read_only),
            Attribute::Username => username(record).is_some_and(|name| name == value),
            Attribute::ResourceType => record.resources.iter().any(|one| one.resource_type == value),
            Attribute::ResourceName => record.resources.iter().any(|one| names(&one.arn, value)),
            Attribute::AccessKeyId => record.user_identity.access_key_id.as_deref() == Some(value),
            Attribute::Principal => principals(record).any(|arn| arn == value || short(&arn) == value),
            Attribute::Outcome => outcome_is(record, value),
            Attribute::Ciphertext => ciphertexts(record).any(|digest| digest == value),
            Attribute::KeyUsed => used_keys(record).any(|arn| arn == value),
        }
    }

    /// The term under which every record that passes is filed; none when so many pass that an index would not help.
    pub(super) fn term(&self) -> Option<Cow<'_, str>> {
        let value = self.value.as_str();
        match (self.attribute, value) {
            (Attribute::ReadOnly, "true")
            | (Attribute::Outcome, "ok")
            | (Attribute::ResourceType, "AWS::KMS::Key")
            | (Attribute::EventSource, "kms.amazonaws.com") => None,
            (Attribute::Outcome, "denied") => Some("AccessDenied".into()),
            (Attribute::Principal, arn) => Some(principal_term(arn)),
            (Attribute::ResourceName, arn) => Some(resource_term(arn).into()),
            _ => Some(value.into()),
        }
    }
}

/// All terms under which a record is filed.
pub(super) fn terms_of(record: &Record) -> Vec<(Attribute, Cow<'_, str>)> {
    let mut terms: Vec<(Attribute, Cow<'_, str>)> = vec![
        (Attribute::EventId, record.event_id.as_str().into()),
        (Attribute::EventName, (&*record.event_name).into()),
    ];
    let mut add = |attribute, term: Cow<'_, str>| {
        let known = terms.iter().any(|(other, text)| *other == attribute && *text == term);
        if !known {
            terms.push((attribute, Cow::Owned(term.into_owned())));
        }
    };
    if record.event_source != "kms.amazonaws.com" {
        add(Attribute::EventSource, (&*record.event_source).into());
    }
    if !record.read_only {
        add(Attribute::ReadOnly, "false".into());
    }
    if let Some(name) = username(record) {
        add(Attribute::Username, name.into());
    }
    for resource in &record.resources {
        if resource.resource_type != "AWS::KMS::Key" {
            add(Attribute::ResourceType, (&*resource.resource_type).into());
        }
        add(Attribute::ResourceName, resource_term(&resource.arn).into());
    }
    if let Some(id) = &record.user_identity.access_key_id {
        add(Attribute::AccessKeyId, id.as_str().into());
    }
    for arn in principals(record) {
        add(Attribute::Principal, principal_term(&arn).into_owned().into());
    }
    if let Some(code) = &record.error_code {
        add(Attribute::Outcome, code.as_str().into());
        add(Attribute::Outcome, "failed".into());
    }
    for digest in ciphertexts(record) {
        add(Attribute::Ciphertext, digest.into());
    }
    for arn in used_keys(record) {
        add(Attribute::KeyUsed, arn.into());
    }
    terms
}

/// What is looked for in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Whose records: no account sees another's.
    pub account: AccountId,
    /// What must hold, all of it.
    pub filters: Vec<Filter>,
    /// Not before this time.
    pub since: Option<Timestamp>,
    /// Not after this time.
    pub until: Option<Timestamp>,
    /// Only records with a lower number: where the page before ended.
    pub below: Option<u64>,
    /// The most records that are answered.
    pub limit: usize,
}

impl Query {
    /// All records of an account, the newest first, up to this many.
    #[must_use]
    pub fn of(account: AccountId, limit: usize) -> Self {
        Self { account, filters: Vec::new(), since: None, until: None, below: None, limit }
    }

    /// With one more thing that must hold.
    #[must_use]
    pub fn with(mut self, filter: Filter) -> Self {
        self.filters.push(filter);
        self
    }

    /// Whether a record is one of those looked for, wherever it stands.
    #[must_use]
    pub fn passes(&self, record: &Record) -> bool {
        record.recipient_account_id == self.account
            && self.since.is_none_or(|since| record.event_time >= since)
            && self.until.is_none_or(|until| record.event_time <= until)
            && self.filters.iter().all(|filter| filter.passes(record))
    }
}

/// Who called, as CloudTrail's event history names them: a user's name, a session's name, `root`.
#[must_use]
pub fn username(record: &Record) -> Option<&str> {
    let identity = &record.user_identity;
    if let Some(name) = &identity.user_name {
        return Some(name);
    }
    let arn = identity.arn.as_ref()?.as_str();
    short(arn).rsplit('/').next()
}

/// The caller and, of a session, the role behind it.
fn principals(record: &Record) -> impl Iterator<Item = String> {
    let identity = &record.user_identity;
    let session = identity.session_context.as_ref();
    let issuer = session.and_then(|session| session.session_issuer.as_ref()).map(|issuer| &issuer.arn);
    let arns = identity.arn.iter().chain(issuer).map(ToString::to_string);
    // A session says which role it is of even where no issuer is told.
    let of_session = identity.arn.as_ref().and_then(|arn| {
        let arn = arn.as_str();
        let role = short(arn).strip_prefix("assumed-role/")?.split('/').next()?;
        let account = arn.split(':').nth(4)?;
        Some(format!("arn:aws:iam::{account}:role/{role}"))
    });
    // Somebody with a web identity is found by who vouches for them.
    arns.chain(of_session).chain(identity.identity_provider.clone()).collect::<Vec<_>>().into_iter()
}

/// What of an ARN comes after the account, such as `user/alice`; the whole when it is no ARN.
fn short(arn: &str) -> &str {
    arn.split(':').nth(5).unwrap_or(arn)
}

/// Whether `value` is one of the names of the resource with this ARN.
fn names(arn: &str, value: &str) -> bool {
    arn == value || short(arn) == value || short(arn).strip_prefix("key/") == Some(value)
}

fn resource_term(name: &str) -> &str {
    let name = short(name);
    name.strip_prefix("key/").unwrap_or(name)
}

/// A session is filed under its role.
fn principal_term(name: &str) -> Cow<'_, str> {
    let name = short(name);
    match name.strip_prefix("assumed-role/").and_then(|session| session.split('/').next()) {
        Some(role) => format!("role/{role}").into(),
        None => name.into(),
    }
}

fn outcome_is(record: &Record, value: &str) -> bool {
    match (&record.error_code, value) {
        (None, value) => value == "ok",
        (Some(_), "failed") => true,
        (Some(code), "denied") => code == "AccessDenied",
        (Some(code), value) => code == value,
    }
}

/// The digests of the ciphertexts that the call took and gave.
fn ciphertexts(record: &Record) -> impl Iterator<Item = &str> {
    let facts = record.additional_event_data.as_ref();
    [CIPHERTEXT_DIGEST, SOURCE_CIPHERTEXT_DIGEST]
        .into_iter()
        .filter_map(move |name| facts?.get(name).and_then(Value::as_str))
}

/// The keys that the call used with success.
pub(super) fn used_keys(record: &Record) -> impl Iterator<Item = &str> {
    let counts = record.succeeded()
        && record.event_source == "kms.amazonaws.com"
        && CRYPTOGRAPHIC_OPERATIONS.contains(&&*record.event_name);
    let keys = record.resources.iter().filter(|one| one.resource_type == "AWS::KMS::Key");
    keys.filter(move |_| counts).map(|one| one.arn.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::record::tests::sample;

    const KEY: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";

    fn passes(attribute: Attribute, value: &str, record: &Record) -> bool {
        let filter = Filter::new(attribute, value).unwrap();
        let passes = filter.passes(record);
        if let Some(term) = filter.term() {
            let filed = terms_of(record).contains(&(attribute, term.into_owned().into()));
            assert!(filed || !passes, "{attribute:?} {value}: a record that passes is filed under its term");
        }
        passes
    }

    #[test]
    fn each_attribute_finds_what_it_names_and_nothing_else() {
        let record = sample();
        let key_arn = format!("arn:aws:kms:us-east-1:111122223333:key/{KEY}");
        let yes = [
            (Attribute::EventId, "66666666-7777-4888-9999-000000000000"),
            (Attribute::EventName, "Decrypt"),
            (Attribute::EventSource, "kms.amazonaws.com"),
            (Attribute::ReadOnly, "true"),
            (Attribute::Username, "bob"),
            (Attribute::ResourceType, "AWS::KMS::Key"),
            (Attribute::ResourceName, &key_arn),
            (Attribute::ResourceName, KEY),
            (Attribute::Principal, "arn:aws:iam::111122223333:user/bob"),
            (Attribute::Principal, "user/bob"),
            (Attribute::Outcome, "denied"),
            (Attribute::Outcome, "failed"),
            (Attribute::Outcome, "AccessDenied"),
        ];
        for (attribute, value) in yes {
            assert!(passes(attribute, value, &record), "{attribute:?} {value}");
        }
        let no = [
            (Attribute::EventName, "decrypt"),
            (Attribute::ReadOnly, "false"),
            (Attribute::Username, "alice"),
            (Attribute::ResourceName, "1234"),
            (Attribute::Principal, "bob"),
            (Attribute::Principal, "arn:aws:iam::444455556666:user/bob"),
            (Attribute::Outcome, "ok"),
            (Attribute::AccessKeyId, "AKIAEXAMPLE"),
            (Attribute::Ciphertext, "00"),
            (Attribute::KeyUsed, &key_arn),
        ];
        for (attribute, value) in no {
            assert!(!passes(attribute, value, &record), "{attribute:?} {value}");
        }
        assert!(Filter::new(Attribute::ReadOnly, "yes").is_err());
    }

    #[test]
    fn a_session_is_found_by_its_role_and_by_itself() {
        let mut record = sample();
        record.error_code = None;
        record.user_identity.user_name = None;
        record.user_identity.arn = Some("arn:aws:sts::111122223333:assumed-role/ops/deploy".parse().unwrap());
        for value in [
            "role/ops",
            "arn:aws:iam::111122223333:role/ops",
            "arn:aws:sts::111122223333:assumed-role/ops/deploy",
            "assumed-role/ops/deploy",
        ] {
            assert!(passes(Attribute::Principal, value, &record), "{value}");
        }
        assert!(!passes(Attribute::Principal, "assumed-role/ops/other", &record));
        assert!(passes(Attribute::Username, "deploy", &record));
        let key = format!("arn:aws:kms:us-east-1:111122223333:key/{KEY}");
        assert!(passes(Attribute::KeyUsed, &key, &record), "it succeeded now");
    }
}
