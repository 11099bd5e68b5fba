//! The KMS service model's constraints, and AWS's words about a request that does not meet them.
//!
//! `service_model.json` beside this file is made by `service_model.py` of the model that every AWS client is generated
//! from. A value of another type than the model's is a `SerializationException`; a value out of its range, length, pattern
//! or enumeration is a `ValidationException`, and all of a request's are named in one message.

use std::{collections::HashMap, fmt, sync::OnceLock};

use base64::{Engine, engine::general_purpose::STANDARD};
use regex::Regex;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::api::error::WireError;

const SERVICE_MODEL: &str = include_str!("service_model.json");

/// The model's operations and the shapes of their inputs.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServiceModel {
    /// What stands before an operation's name in `X-Amz-Target`.
    pub(super) target_prefix: String,
    operations: HashMap<String, Option<String>>,
    shapes: HashMap<String, Shape>,
}

#[derive(Debug, Deserialize)]
struct Shape {
    #[serde(rename = "type")]
    kind: Kind,
    #[serde(default)]
    required: Vec<String>,
    #[serde(default)]
    members: Map<String, Value>,
    member: Option<String>,
    value: Option<String>,
    min: Option<i64>,
    max: Option<i64>,
    pattern: Option<String>,
    #[serde(rename = "enum", default)]
    values: Vec<String>,
    #[serde(default)]
    sensitive: bool,
    #[serde(skip)]
    regex: OnceLock<Option<Regex>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Structure,
    List,
    Map,
    String,
    Blob,
    Integer,
    Boolean,
    Timestamp,
}

/// The model, read once.
pub(super) fn service_model() -> &'static ServiceModel {
    static MODEL: OnceLock<ServiceModel> = OnceLock::new();
    MODEL.get_or_init(|| match serde_json::from_str(SERVICE_MODEL) {
        Ok(model) => model,
        Err(_) => unreachable!("the model was written by service_model.py, and tests read it"),
    })
}

impl ServiceModel {
    /// The names of all operations, sorted.
    pub(super) fn operations(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.operations.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    /// The name of this operation as the model has it, if KMS has it.
    pub(super) fn name(&self, operation: &str) -> Option<&str> {
        self.operations.get_key_value(operation).map(|(name, _)| name.as_str())
    }

    /// Whether KMS has this operation.
    pub(super) fn has(&self, operation: &str) -> bool {
        self.operations.contains_key(operation)
    }

    /// Whether the operation's input has this member.
    pub(super) fn takes(&self, operation: &str, member: &str) -> bool {
        let input = self.operations.get(operation).and_then(Option::as_ref);
        input.and_then(|shape| self.shapes.get(shape)).is_some_and(|shape| shape.members.contains_key(member))
    }

    /// Checks a request's types and constraints.
    pub(super) fn check(&self, operation: &str, input: &Map<String, Value>) -> Result<(), WireError> {
        let Some(Some(shape)) = self.operations.get(operation) else { return Ok(()) };
        let mut violations = Vec::new();
        if let Some(shape) = self.shapes.get(shape) {
            self.check_members(shape, input, None, &mut violations)?;
        }
        match violations.len() {
            0 => Ok(()),
            1 => Err(WireError::validation(format!("1 validation error detected: {}", violations.concat()))),
            count => Err(WireError::validation(format!(
                "{count} validation errors detected: {}",
                violations.join("; ")
            ))),
        }
    }

    fn check_members(
        &self,
        shape: &Shape,
        members: &Map<String, Value>,
        within: Option<&Place<'_>>,
        violations: &mut Vec<String>,
    ) -> Result<(), WireError> {
        let is_there = |name: &str| members.get(name).is_some_and(|value| !value.is_null());
        for name in shape.required.iter().filter(|name| !is_there(name)) {
            let place = Place::Member(within, name);
            violations.push(violation("null", &place, "Member must not be null"));
        }
        for (name, value) in members.iter().filter(|(_, value)| !value.is_null()) {
            // A member that the model does not know is passed over, as at AWS.
            let Some(member) = shape.members.get(name).and_then(Value::as_str) else { continue };
            if let Some(member) = self.shapes.get(member) {
                let place = Place::Member(within, name);
                self.check_value(member, value, &place, violations)?;
            }
        }
        Ok(())
    }

    fn check_value(
        &self,
        shape: &Shape,
        value: &Value,
        place: &Place<'_>,
        violations: &mut Vec<String>,
    ) -> Result<(), WireError> {
        match (shape.kind, value) {
            (Kind::Structure, Value::Object(members)) => {
                self.check_members(shape, members, Some(place), violations)?;
            }
            (Kind::Map, Value::Object(entries)) => {
                let of = shape.value.as_ref().and_then(|name| self.shapes.get(name));
                for (key, value) in entries {
                    if let Some(of) = of {
                        self.check_value(of, value, &Place::Value(place, key), violations)?;
                    }
                }
            }
            (Kind::List, Value::Array(items)) => self.check_list(shape, items, place, violations)?,
            (Kind::String, Value::String(text)) => {
                violations.extend(
                    shape
                        .broken_by_text(text)
                        .into_iter()
                        .map(|constraint| violation(&shape.shown(text), place, &constraint)),
                );
            }
            (Kind::Blob, Value::String(text)) => {
                let length = blob_length(text)?;
                let shown = format!("'java.nio.HeapByteBuffer[pos=0 lim={length} cap={length}]'");
                let shown = if shape.sensitive { String::new() } else { shown };
                let broken = shape.broken_by_length(length);
                violations.extend(broken.map(|constraint| violation(&shown, place, &constraint)));
            }
            (Kind::Integer, Value::Number(number)) => {
                let Some(number) = number.as_i64() else {
                    return Err(WireError::serialization("DECIMAL_VALUE can not be converted to an Integer"));
                };
                let broken = shape.broken_by_number(number);
                violations
                    .extend(broken.map(|constraint| violation(&format!("'{number}'"), place, &constraint)));
            }
            (Kind::Boolean, Value::Bool(_)) | (Kind::Timestamp, Value::Number(_)) => {}
            (kind, value) => return Err(wrong_type(kind, value)),
        }
        Ok(())
    }

    fn check_list(
        &self,
        shape: &Shape,
        items: &[Value],
        place: &Place<'_>,
        violations: &mut Vec<String>,
    ) -> Result<(), WireError> {
        let shown = || {
            let texts =
                items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned));
            format!("'[{}]'", texts.collect::<Vec<_>>().join(", "))
        };
        if let Some(constraint) = shape.broken_by_length(items.len()) {
            violations.push(violation(&shown(), place, &constraint));
        }
        let Some(of) = shape.member.as_ref().and_then(|name| self.shapes.get(name)) else { return Ok(()) };
        let mut broken = false;
        for (number, item) in items.iter().enumerate() {
            match (of.kind, item) {
                (Kind::String, Value::String(text)) => broken |= !of.broken_by_text(text).is_empty(),
                _ => self.check_value(of, item, &Place::Item(place, number + 1), violations)?,
            }
        }
        if broken {
            let all = of.constraints().join(", ");
            violations.push(violation(&shown(), place, &format!("Member must satisfy constraint: [{all}]")));
        }
        Ok(())
    }
}

impl Shape {
    /// A value as a message shows it; what is sensitive not at all.
    fn shown(&self, text: &str) -> String {
        if self.sensitive { String::new() } else { format!("'{text}'") }
    }

    fn broken_by_text(&self, text: &str) -> Vec<String> {
        let mut broken = Vec::new();
        if !self.values.is_empty() && !self.values.iter().any(|value| value == text) {
            broken.push(self.enumeration());
        }
        if let Some(pattern) = &self.pattern
            && !self.regex(pattern).is_some_and(|regex| regex.is_match(text))
        {
            broken.push(format!("Member must satisfy regular expression pattern: {pattern}"));
        }
        broken.extend(self.broken_by_length(text.encode_utf16().count()));
        broken
    }

    fn broken_by_length(&self, length: usize) -> Option<String> {
        let length = i64::try_from(length).unwrap_or(i64::MAX);
        match (self.min, self.max) {
            (Some(min), _) if length < min => {
                Some(format!("Member must have length greater than or equal to {min}"))
            }
            (_, Some(max)) if length > max => {
                Some(format!("Member must have length less than or equal to {max}"))
            }
            _ => None,
        }
    }

    fn broken_by_number(&self, number: i64) -> Option<String> {
        match (self.min, self.max) {
            (Some(min), _) if number < min => {
                Some(format!("Member must have value greater than or equal to {min}"))
            }
            (_, Some(max)) if number > max => {
                Some(format!("Member must have value less than or equal to {max}"))
            }
            _ => None,
        }
    }

    fn enumeration(&self) -> String {
        format!("Member must satisfy enum value set: [{}]", self.values.join(", "))
    }

    /// All constraints of a list's member, which AWS names together.
    fn constraints(&self) -> Vec<String> {
        let length =
            |text: &str, bound: i64| format!("Member must have length {text} than or equal to {bound}");
        let mut all = Vec::new();
        all.extend(self.max.map(|max| length("less", max)));
        all.extend(self.min.map(|min| length("greater", min)));
        all.extend(
            self.pattern
                .as_ref()
                .map(|text| format!("Member must satisfy regular expression pattern: {text}")),
        );
        if !self.values.is_empty() {
            all.push(self.enumeration());
        }
        all
    }

    /// The pattern over the whole of a text, with the classes of ASCII, as Java's `matches` has it.
    fn regex(&self, pattern: &str) -> Option<&Regex> {
        let compiled = self.regex.get_or_init(|| {
            let ascii = pattern.replace(r"\w", "A-Za-z0-9_").replace(r"\s", r" \t\n\x0B\f\r");
            Regex::new(&format!(r"\A(?:{})\z", ascii.replace("[[", "[").replace("]]", "]"))).ok()
        });
        compiled.as_ref()
    }
}

/// The refusal of a request without this member.
pub(super) fn missing(name: &str) -> WireError {
    let violation = violation("null", &Place::Member(None, name), "Member must not be null");
    WireError::validation(format!("1 validation error detected: {violation}"))
}

/// Where in a request a value stands, as messages write it: spelled out when one is written.
enum Place<'a> {
    /// A member, of the request or of a structure in it.
    Member(Option<&'a Place<'a>>, &'a str),
    /// The value of this key of a map.
    Value(&'a Place<'a>, &'a str),
    /// The item of this number of a list.
    Item(&'a Place<'a>, usize),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Member(None, name) => formatter.write_str(&lower_first(name)),
            Self::Member(Some(within), name) => write!(formatter, "{within}.{}", lower_first(name)),
            Self::Value(map, key) => write!(formatter, "{map}.{key}.member"),
            Self::Item(list, number) => write!(formatter, "{list}.{number}.member"),
        }
    }
}

fn violation(value: &str, place: &Place<'_>, constraint: &str) -> String {
    let space = if value.is_empty() { "" } else { " " };
    format!("Value{space}{value} at '{place}' failed to satisfy constraint: {constraint}")
}

fn lower_first(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect()
}

/// How many bytes a text in base64 stands for.
fn blob_length(text: &str) -> Result<usize, WireError> {
    let mut bytes = zeroize::Zeroizing::new(vec![0; base64::decoded_len_estimate(text.len())]);
    STANDARD.decode_slice(text, &mut bytes).map_err(|_| {
        WireError::serialization("STRING_VALUE can not be converted to a Blob: it is not base64")
    })
}

fn wrong_type(kind: Kind, value: &Value) -> WireError {
    let wanted = match kind {
        Kind::String => "a String",
        Kind::Blob => "a Blob",
        Kind::Integer => "an Integer",
        Kind::Boolean => "a Boolean",
        Kind::Timestamp => "a Timestamp",
        Kind::Structure | Kind::Map => {
            return WireError::serialization("Unexpected field type: a structure or map was expected");
        }
        Kind::List => return WireError::serialization("Expected list or null"),
    };
    let given = match value {
        Value::String(_) => "STRING_VALUE",
        Value::Number(_) => "NUMBER_VALUE",
        Value::Bool(true) => "TRUE_VALUE",
        Value::Bool(false) => "FALSE_VALUE",
        Value::Object(_) | Value::Array(_) | Value::Null => {
            return WireError::serialization("Start of structure or map found where not expected.");
        }
    };
    WireError::serialization(format!("{given} can not be converted to {wanted}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(operation: &str, input: Value) -> Result<(), String> {
        let Value::Object(input) = input else { panic!("an object") };
        service_model()
            .check(operation, &input)
            .map_err(|error| format!("{}: {}", error.code, error.message.unwrap_or_default()))
    }

    fn refused(operation: &str, input: Value) -> String {
        check(operation, input).unwrap_err()
    }

    #[test]
    fn every_pattern_of_the_model_compiles() {
        let patterns =
            service_model().shapes.values().filter_map(|shape| Some((shape, shape.pattern.as_ref()?)));
        let mut count = 0;
        for (shape, pattern) in patterns {
            assert!(shape.regex(pattern).is_some(), "{pattern}");
            count += 1;
        }
        assert!(count > 10);
        assert_eq!(service_model().operations().len(), 56);
        assert_eq!(service_model().target_prefix, "TrentService");
    }

    #[test]
    fn the_actions_of_policies_are_the_operations_of_the_model() {
        use crate::policy::KMS_ACTIONS;
        let operations = service_model().operations();
        // ReEncrypt is two permissions.
        let missing: Vec<_> = operations.iter().filter(|name| !KMS_ACTIONS.contains(name)).collect();
        assert_eq!(missing, [&"ReEncrypt"]);
        let more: Vec<_> = KMS_ACTIONS.iter().filter(|name| !operations.contains(name)).collect();
        assert_eq!(more, [&"ReEncryptFrom", &"ReEncryptTo", &"SynchronizeMultiRegionKey"]);
    }

    #[test]
    fn the_model_and_the_table_of_operations_agree_on_grant_tokens_and_dry_run() {
        for row in crate::kms::OPERATIONS {
            let takes = |member| service_model().takes(row.name, member);
            assert_eq!(
                (takes("GrantTokens"), takes("DryRun")),
                (row.grant_tokens, row.dry_run),
                "{}",
                row.name
            );
        }
    }

    #[test]
    fn what_meets_the_model_passes() {
        assert_eq!(check("Encrypt", json!({"KeyId": "alias/a", "Plaintext": "eA==", "Later": 1})), Ok(()));
        assert_eq!(check("ListKeys", json!({"Limit": 1, "Marker": null})), Ok(()));
        assert_eq!(check("GetKeyPolicy", json!({"KeyId": "x", "PolicyName": "default"})), Ok(()));
        assert_eq!(check("PutKeyPolicy", json!({"KeyId": "x", "Policy": "{\n \"a\": \"\u{e4}\"}"})), Ok(()));
        let pairs = json!({"EncryptionContextSubset": {"a": "b"}});
        let grant = json!({"KeyId": "x", "GranteePrincipal": "arn:aws:iam::111122223333:role/r", "Operations": ["Decrypt"], "Constraints": pairs});
        assert_eq!(check("CreateGrant", grant), Ok(()));
    }

    #[test]
    fn constraints_are_told_in_the_form_of_aws() {
        assert_eq!(
            refused("Encrypt", json!({})),
            "ValidationException: 2 validation errors detected: Value null at 'keyId' failed to satisfy constraint: Member must \
             not be null; Value null at 'plaintext' failed to satisfy constraint: Member must not be null"
        );
        assert_eq!(
            refused("DescribeKey", json!({"KeyId": "x".repeat(2049)})),
            format!(
                "ValidationException: 1 validation error detected: Value '{}' at 'keyId' failed to satisfy constraint: Member must \
                 have length less than or equal to 2048",
                "x".repeat(2049)
            )
        );
        assert_eq!(
            refused("GenerateDataKey", json!({"KeyId": "x", "KeySpec": "AES_512"})),
            "ValidationException: 1 validation error detected: Value 'AES_512' at 'keySpec' failed to satisfy constraint: Member \
             must satisfy enum value set: [AES_256, AES_128]"
        );
        assert_eq!(
            refused("GenerateDataKey", json!({"KeyId": "x", "NumberOfBytes": 1025})),
            "ValidationException: 1 validation error detected: Value '1025' at 'numberOfBytes' failed to satisfy constraint: \
             Member must have value less than or equal to 1024"
        );
        assert_eq!(
            refused("Decrypt", json!({"CiphertextBlob": ""})),
            "ValidationException: 1 validation error detected: Value 'java.nio.HeapByteBuffer[pos=0 lim=0 cap=0]' at \
             'ciphertextBlob' failed to satisfy constraint: Member must have length greater than or equal to 1"
        );
        assert_eq!(
            refused("CreateAlias", json!({"AliasName": "alias/a b", "TargetKeyId": "x"})),
            "ValidationException: 1 validation error detected: Value 'alias/a b' at 'aliasName' failed to satisfy constraint: \
             Member must satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$"
        );
        assert_eq!(
            refused(
                "TagResource",
                json!({"KeyId": "x", "Tags": [{"TagKey": "k", "TagValue": "v"}, {"TagKey": ""}]})
            ),
            "ValidationException: 2 validation errors detected: Value null at 'tags.2.member.tagValue' failed to satisfy \
             constraint: Member must not be null; Value '' at 'tags.2.member.tagKey' failed to satisfy constraint: Member must \
             have length greater than or equal to 1"
        );
    }

    #[test]
    fn a_secret_is_not_shown_in_what_refuses_it() {
        let long = STANDARD.encode([b'x'; 4097]);
        assert_eq!(
            refused("Encrypt", json!({"KeyId": "x", "Plaintext": long})),
            "ValidationException: 1 validation error detected: Value at 'plaintext' failed to satisfy constraint: Member must have \
             length less than or equal to 4096"
        );
    }

    #[test]
    fn a_value_of_another_type_does_not_deserialize() {
        for (input, words) in [
            (json!({"KeyId": 1}), "NUMBER_VALUE can not be converted to a String"),
            (json!({"KeyId": ["x"]}), "Start of structure or map found where not expected."),
            (json!({"KeyId": "x", "NumberOfBytes": "1"}), "STRING_VALUE can not be converted to an Integer"),
            (json!({"KeyId": "x", "NumberOfBytes": 1.5}), "DECIMAL_VALUE can not be converted to an Integer"),
            (json!({"KeyId": "x", "DryRun": "true"}), "STRING_VALUE can not be converted to a Boolean"),
            (json!({"KeyId": "x", "GrantTokens": "t"}), "Expected list or null"),
            (
                json!({"KeyId": "x", "EncryptionContext": {"a": 1}}),
                "NUMBER_VALUE can not be converted to a String",
            ),
        ] {
            assert_eq!(refused("GenerateDataKey", input), format!("SerializationException: {words}"));
        }
        assert!(refused("Decrypt", json!({"CiphertextBlob": "*"})).contains("not base64"));
    }
}
