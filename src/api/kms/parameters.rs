//! A request's members as the operations take them. Types and constraints have been checked by the model before.

use serde_json::{Map, Value};

use super::model::{missing, service_model};
use crate::{
    api::{error::WireError, json},
    kms::CallOptions,
    model::{Days, EncryptionContext, ErrorCode, GrantToken, KeyRef, Tags, is_reserved_tag_key},
    secret::SecretBytes,
};

/// The one algorithm of the keys that there are.
pub(super) const SYMMETRIC_DEFAULT: &str = "SYMMETRIC_DEFAULT";

/// The members of one request.
pub(super) struct Parameters<'a>(&'a Map<String, Value>);

impl<'a> Parameters<'a> {
    /// The members of a request, checked against the model.
    pub(super) fn checked(operation: &str, input: &'a json::Input) -> Result<Self, WireError> {
        service_model().check(operation, input.members())?;
        Ok(Self(input.members()))
    }

    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).and_then(Value::as_str)
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    pub(super) fn number(&self, name: &str) -> Option<usize> {
        self.0.get(name).and_then(Value::as_i64).and_then(|number| usize::try_from(number).ok())
    }

    pub(super) fn days(&self, name: &str) -> Option<Days> {
        self.0.get(name).and_then(Value::as_u64).and_then(|days| u32::try_from(days).ok()).map(Days::new)
    }

    pub(super) fn list(&self, name: &str) -> impl Iterator<Item = &'a Value> {
        self.0.get(name).and_then(Value::as_array).into_iter().flatten()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| !value.is_null())
    }

    /// A key by id or ARN, where AWS takes no alias.
    pub(super) fn key(&self, name: &str) -> Result<KeyRef, WireError> {
        let text = self.text(name).unwrap_or_default();
        match key_ref(text)? {
            KeyRef::Alias(_) | KeyRef::AliasArn { .. } => Err(WireError::new(
                ErrorCode::InvalidArn.as_str(),
                "Key Aliases are not supported for this operation.",
            )),
            key => Ok(key),
        }
    }

    /// A key by id, ARN, alias name or alias ARN.
    pub(super) fn key_or_alias(&self, name: &str) -> Result<KeyRef, WireError> {
        key_ref(self.text(name).unwrap_or_default())
    }

    /// The same, when it may be absent.
    pub(super) fn optional_key_or_alias(&self, name: &str) -> Result<Option<KeyRef>, WireError> {
        self.text(name).map(key_ref).transpose()
    }

    pub(super) fn blob(&self, name: &str) -> Vec<u8> {
        self.text(name).and_then(json::blob).map(|bytes| bytes.to_vec()).unwrap_or_default()
    }

    pub(super) fn secret_blob(&self, name: &str) -> SecretBytes {
        let bytes = self.text(name).and_then(json::blob);
        bytes.map(|bytes| SecretBytes::from(bytes.as_slice())).unwrap_or_default()
    }

    pub(super) fn context(&self, name: &str) -> Result<EncryptionContext, WireError> {
        let pairs = self.0.get(name).and_then(Value::as_object).into_iter().flatten();
        let pairs = pairs.map(|(key, value)| (key.as_str(), value.as_str().unwrap_or_default()));
        Ok(EncryptionContext::from_pairs(pairs)?)
    }

    /// Keys and values of a list of tags, as they came.
    pub(super) fn tag_pairs(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let member = |tag: &'a Value, name: &str| tag.get(name).and_then(Value::as_str).unwrap_or_default();
        self.list("Tags").map(move |tag| (member(tag, "TagKey"), member(tag, "TagValue")))
    }

    /// An algorithm that may be given and must be the one that symmetric keys have.
    pub(super) fn symmetric_algorithm(&self, name: &str) -> Result<(), WireError> {
        match self.text(name) {
            None | Some(SYMMETRIC_DEFAULT) => Ok(()),
            Some(other) => Err(WireError::new(
                ErrorCode::InvalidKeyUsage.as_str(),
                format!("Algorithm {other} is incompatible with key spec {SYMMETRIC_DEFAULT}."),
            )),
        }
    }

    /// The grant tokens and `DryRun`, where the model has them.
    pub(super) fn options(&self, operation: &str) -> Result<CallOptions, WireError> {
        let model = service_model();
        let tokens = self.list("GrantTokens").filter(|_| model.takes(operation, "GrantTokens"));
        Ok(CallOptions {
            grant_tokens: tokens.filter_map(Value::as_str).map(grant_token).collect::<Result<_, _>>()?,
            dry_run: model.takes(operation, "DryRun") && self.flag("DryRun"),
        })
    }

    /// A structure among the members.
    pub(super) fn structure(&self, name: &str) -> Option<Self> {
        self.0.get(name).and_then(Value::as_object).map(Self)
    }

    /// Refuses a request without a member that the model does not ask for, and this request needs.
    pub(super) fn require(&self, name: &str) -> Result<(), WireError> {
        if self.has(name) { Ok(()) } else { Err(missing(name)) }
    }

    /// Members whose meaning is not built.
    pub(super) fn without(&self, names: &[&str]) -> Result<(), WireError> {
        match names.iter().find(|name| self.has(name)) {
            None => Ok(()),
            Some(name) => Err(WireError::unsupported(format!("{name} is not supported."))),
        }
    }
}

/// Tags of a list, or AWS's TagException.
pub(super) fn tags<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Tags, WireError> {
    let refuse = |message: String| WireError::new(ErrorCode::Tag.as_str(), message);
    let mut tags = Tags::new();
    for (key, value) in pairs {
        if tags.get(key).is_some() {
            return Err(refuse("Duplicate tag keys".into()));
        }
        if is_reserved_tag_key(key) {
            return Err(refuse("Tags beginning with aws: are reserved".into()));
        }
        tags.set(key, value).map_err(|error| refuse(error.to_string()))?;
    }
    Ok(tags)
}

fn key_ref(text: &str) -> Result<KeyRef, WireError> {
    let is_arn = text.starts_with("arn:");
    text.parse().map_err(|_| match is_arn {
        true => WireError::new(ErrorCode::InvalidArn.as_str(), format!("Invalid arn {text}")),
        false => invalid_key_id(text),
    })
}

fn invalid_key_id(text: &str) -> WireError {
    WireError::new(ErrorCode::NotFound.as_str(), format!("Invalid keyId '{text}'"))
}

pub(super) fn grant_token(text: &str) -> Result<GrantToken, WireError> {
    let invalid = || WireError::new(ErrorCode::InvalidGrantToken.as_str(), "The grant token is not valid.");
    text.parse().map_err(|_| invalid())
}
