//! What every operation of a service with AWS's Query protocol has beside its deed: its parameters as AWS names them, and
//! its answer as AWS writes it. Identity management and the token service are made of it.
//!
//! The macro `operations!` is the one place where a parameter stands: it makes the field, the name on the wire, the
//! help text and the audit record's `requestParameters` of it.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use crate::{
    kms::{CallError, Caller, Kms, Operation},
    model::ErrorCode,
    secret::SecretBytes,
};

/// What a parameter holds, as far as whoever reads it from text must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Text.
    Text,
    /// A document that usually lies in a file.
    Document,
    /// A signed token, which usually lies in a file.
    Token,
    /// A whole number.
    Number,
    /// Yes or no.
    Flag,
    /// Several texts.
    List,
    /// Tags: keys and values.
    Tags,
    /// ARNs of managed policies.
    Arns,
    /// Structures, which may hold others.
    Tree,
}

/// One parameter of an operation.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// Its name on the wire, such as `UserName`.
    pub name: &'static str,
    /// What it holds.
    pub shape: Shape,
    /// Whether it may be left out.
    pub optional: bool,
    /// What it is for, in a sentence.
    pub help: &'static str,
}

/// A type that a parameter can have.
pub trait ParameterValue {
    /// How it is read from text.
    const SHAPE: Shape = Shape::Text;
    /// Whether it may be left out.
    const OPTIONAL: bool = false;
}

/// An operation with AWS's parameters by their names on the wire.
pub trait QueryOperation: Operation<Answer: Answer> + DeserializeOwned {
    /// What it does, in a sentence.
    const ABOUT: &'static str;
    /// Its parameters.
    const PARAMETERS: &'static [Parameter];
    /// Under which name the answer stands on the wire; empty when it is the whole of it.
    const RESULT: &'static str;
}

/// An answer, which may hold a secret.
pub trait Answer: Serialize {
    /// The member that the secret belongs in, when that is not the whole answer.
    const SECRET_WITHIN: &'static str = "";

    /// Takes the secret out.
    fn take_secret(&mut self) -> Option<NamedSecret> {
        None
    }
}

impl Answer for () {}

impl<T: Answer> Answer for Vec<T> {}

/// A secret of an answer, shown once.
#[derive(Debug)]
pub struct NamedSecret {
    /// Its name on the wire, beside the answer's other fields.
    pub name: &'static str,
    /// The secret, as text.
    pub secret: SecretBytes,
}

/// An answer as AWS writes it.
#[derive(Debug)]
pub struct Reply {
    /// All but the secret.
    pub body: Value,
    /// The member of `body` that the secret belongs in; empty when it is `body` itself.
    pub within: &'static str,
    /// The secret.
    pub secret: Option<NamedSecret>,
}

/// Reads an operation from its parameters and makes the call.
type Run = fn(Kms<'_>, &Caller, Map<String, Value>) -> Result<Reply, CallError>;

/// An operation in the table of all.
#[derive(Debug, Clone, Copy)]
pub struct OperationEntry {
    /// Its name, such as `CreateUser`.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub about: &'static str,
    /// Its parameters.
    pub parameters: &'static [Parameter],
    run: Run,
}

impl OperationEntry {
    /// The entry of an operation.
    pub(in crate::services) const fn of<O: QueryOperation>() -> Self {
        Self { name: O::NAME, about: O::ABOUT, parameters: O::PARAMETERS, run: run::<O> }
    }

    /// Makes the call with these parameters, by their names on the wire.
    ///
    /// # Errors
    ///
    /// `ValidationError` when a parameter is missing, unknown or not what it should be; else what the operation answers.
    pub fn call(
        &self,
        door: Kms<'_>,
        caller: &Caller,
        parameters: Map<String, Value>,
    ) -> Result<Reply, CallError> {
        (self.run)(door, caller, parameters)
    }
}

fn run<O: QueryOperation>(
    door: Kms<'_>,
    caller: &Caller,
    parameters: Map<String, Value>,
) -> Result<Reply, CallError> {
    let operation: O = serde_json::from_value(Value::Object(parameters))
        .map_err(|error| CallError::new(malformed(O::EVENT_SOURCE), error.to_string()))?;
    Reply::of::<O>(door.call(caller, &operation)?)
}

impl Reply {
    /// The answer of an operation.
    ///
    /// # Errors
    ///
    /// Never, but that a type says it cannot be written.
    pub fn of<O: QueryOperation>(mut answer: O::Answer) -> Result<Self, CallError> {
        let secret = answer.take_secret();
        let value = serde_json::to_value(&answer).map_err(|error| CallError::internal(error.to_string()))?;
        let body = match (O::RESULT, value) {
            (_, Value::Null) => json!({}),
            ("", value) => value,
            (name, value @ Value::Array(_)) if O::EVENT_SOURCE == IAM => {
                json!({name: value, "IsTruncated": false})
            }
            (name, value) => json!({name: value}),
        };
        let within = if O::RESULT.is_empty() { <O::Answer as Answer>::SECRET_WITHIN } else { O::RESULT };
        Ok(Self { body, within, secret })
    }
}

/// The service whose lists say whether there is more of them.
const IAM: &str = "iam.amazonaws.com";

/// The code of a request to a service that is not well formed.
fn malformed(event_source: &str) -> ErrorCode {
    match event_source {
        "organizations.amazonaws.com" => ErrorCode::OrganizationsInvalidInput,
        _ => ErrorCode::IamValidation,
    }
}

/// The parameters of an operation as audit records show them: names begin in lower case, and what was left out is absent.
pub(in crate::services) fn request_parameters(operation: &impl Serialize) -> Value {
    serde_json::to_value(operation).map_or(Value::Null, lower_camel)
}

fn lower_camel(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let present = members.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(present.map(|(name, value)| (lower_first(&name), lower_camel(value))).collect())
        }
        Value::Array(list) => Value::Array(list.into_iter().map(lower_camel).collect()),
        other => other,
    }
}

fn lower_first(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

/// A parameter whose shape its type tells.
pub(in crate::services) const fn parameter<T: ParameterValue>(
    name: &'static str,
    help: &'static str,
) -> Parameter {
    Parameter { name, shape: T::SHAPE, optional: T::OPTIONAL, help }
}

/// Declares operations: for each a type with AWS's parameters, the action that it needs, and its answer with the name
/// under which that stands on the wire. What an operation does is its method `act`.
macro_rules! operations {
    (in $service:literal; $(
        $(#[doc = $about:expr])+
        $name:ident $($action:literal)? $access:ident -> $answer:ty as $result:literal {
            $($(#[doc = $help:expr])+ $field:ident $wire:literal: $type:ty,)*
        }
    )+) => {
        $(
            $(#[doc = $about])+
            #[derive(Debug, Clone, ::serde::Serialize, ::serde::Deserialize)]
            #[serde(deny_unknown_fields)]
            pub struct $name {
                $($(#[doc = $help])+ #[serde(rename = $wire)] pub $field: $type,)*
            }

            impl $crate::policy::Action for $name {
                const NAME: &'static str = concat!($service, ":", $crate::services::query::operations!(@name $name $($action)?));
            }

            impl $crate::kms::Operation for $name {
                type Permission = Self;
                type Answer = $answer;
                const NAME: &'static str =
                    $crate::services::query::operations!(@name $name $($action)?);
                const EVENT_SOURCE: &'static str = concat!($service, ".amazonaws.com");
                const READ_ONLY: bool = $crate::services::query::operations!(@$access);

                fn request_parameters(&self) -> ::serde_json::Value {
                    $crate::services::query::request_parameters(self)
                }

                fn run(
                    &self,
                    call: &mut $crate::kms::Call<'_>,
                ) -> Result<$crate::kms::Outcome<Self>, $crate::kms::CallError> {
                    self.act(call)
                }
            }

            impl $crate::services::query::QueryOperation for $name {
                const ABOUT: &'static str = concat!($($about),+);
                const PARAMETERS: &'static [$crate::services::query::Parameter] = &[
                    $($crate::services::query::parameter::<$type>($wire, concat!($($help),+)),)*
                ];
                const RESULT: &'static str = $result;
            }
        )+
    };
    ($(#[doc = $about:expr])+ $name:ident $($rest:tt)+) => {
        $crate::services::query::operations! { in "iam"; $(#[doc = $about])+ $name $($rest)+ }
    };
    (@name $name:ident $action:literal) => { $action };
    (@name $name:ident) => { stringify!($name) };
    (@reads) => { true };
    (@writes) => { false };
}
pub(in crate::services) use operations;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::iam::CreateUser;

    #[test]
    fn records_show_parameters_as_cloudtrail_does() {
        let create = CreateUser {
            path: Some("/team/".parse().unwrap()),
            tags: Some([("team", "ml")].into_iter().collect()),
            ..CreateUser::new("alice".parse().unwrap())
        };
        assert_eq!(
            request_parameters(&create),
            json!({"userName": "alice", "path": "/team/", "tags": [{"key": "team", "value": "ml"}]})
        );
    }
}
