//! What every operation is: its name, its parameters, and one function from the world to an outcome.

use serde_json::{Map, Value};

use super::{Call, CallError, OperationRow};
use crate::{
    policy::{Action, Authorized},
    world::Change,
};

/// An operation with its parameters.
///
/// [`run`](Self::run) reads from the top down as every call goes: resolve what is named, authorise, check the state, act.
/// It is a pure function of what [`Call`] holds — the world, the caller, the time and the randomness — and may run more
/// than once: the door decides again when the world has changed meanwhile.
pub trait Operation {
    /// The action whose permission an outcome proves.
    type Permission: Action;
    /// What is answered.
    type Answer: Send + 'static;
    /// The operation's name, such as `Decrypt`.
    const NAME: &'static str;
    /// The service it belongs to, as audit records name it.
    const EVENT_SOURCE: &'static str = "kms.amazonaws.com";
    /// Whether it can change nothing (CloudTrail's `readOnly`; cryptographic operations count as reading).
    const READ_ONLY: bool;
    /// Whether it is about the content of a resource rather than the resource (CloudTrail's data events).
    const DATA_EVENT: bool = false;
    /// Its row in the table of KMS operations; none when it belongs to another service.
    const ROW: Option<&'static OperationRow> = OperationRow::find(Self::EVENT_SOURCE, Self::NAME);

    /// The parameters as the audit record shows them. Never plaintext, ciphertext or key bytes.
    fn request_parameters(&self) -> Value;

    /// Decides and acts.
    ///
    /// # Errors
    ///
    /// The error that the caller is answered.
    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError>;
}

/// What came of an operation. It cannot be made without the proof that the operation was allowed.
pub struct Outcome<O: Operation + ?Sized> {
    pub(super) answer: O::Answer,
    pub(super) changes: Vec<Change>,
    pub(super) response_elements: Value,
    pub(super) additional: Map<String, Value>,
}

impl<O: Operation + ?Sized> Outcome<O> {
    /// An answer that changes nothing.
    pub(crate) fn answer(_permitted: Authorized<O::Permission>, answer: O::Answer) -> Self {
        Self { answer, changes: Vec::new(), response_elements: Value::Null, additional: Map::new() }
    }

    /// With changes to the world, and what the record shows of the answer.
    #[must_use]
    pub(crate) fn changing(mut self, changes: Vec<Change>, response_elements: Value) -> Self {
        self.changes = changes;
        self.response_elements = response_elements;
        self
    }

    /// With one more fact for the record's `additionalEventData`.
    #[must_use]
    pub(crate) fn noting(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.additional.insert(name.into(), value.into());
        self
    }
}

/// Declares actions: an empty type for each, and the name that policies know it by.
macro_rules! actions {
    ($($(#[$meta:meta])* $name:ident = $action:literal),+ $(,)?) => {
        $(
            $(#[$meta])*
            #[derive(Debug)]
            #[allow(unreachable_pub, reason = "it is public as an operation's `Permission`, and has no other use")]
            pub struct $name;

            impl $crate::policy::Action for $name {
                const NAME: &'static str = $action;
            }
        )+
    };
}
pub(crate) use actions;
