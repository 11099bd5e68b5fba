//! The policy language of AWS: parse, match, decide, explain, simulate.
//!
//! Source: "IAM JSON policy elements reference" and "Policy evaluation logic" (IAM user guide); "Key policies",
//! "Grants" and "Determining access to AWS KMS keys" (KMS developer guide). Most people want [`decide`];
//! [`explain`] gives the same answer with everything that led to it, and [`simulate_text`] both for a request
//! written in JSON.
//!
//! The module is pure: a decision depends on its [`Request`] alone. What cannot be understood never allows, and a
//! Deny that cannot be understood is refused when it is written. Where AWS is silent the stricter reading is taken,
//! each in one place: the operators' doubts in `condition`, `*` and grants in `combine`, NotPrincipal in
//! `principal`.

mod actions;
mod authorized;
mod bound;
mod combine;
mod condition;
mod context;
mod control;
mod decide;
mod decision;
mod document;
mod fix;
mod glob;
mod grant;
mod json;
mod keys;
mod kind;
mod known;
mod notes;
mod operator;
mod parse;
mod principal;
mod request;
mod simulate;
mod trace;
mod value;
mod words;

// The public interface is:
pub use actions::{needs_key, works_across_accounts};
pub(crate) use authorized::AlwaysAllowed;
pub use authorized::{Action, Authorized};
pub use bound::{BoundPolicy, StoredBoundPolicy};
pub use context::{ConditionContext, ContextValue};
pub use control::RCP_SERVICES;
pub use decide::{decide, keeps_control};
pub use decision::{CheckType, Decision, DecisionEffect, Decisive, Denied, StatementRef};
pub use document::{Effect, Policy};
pub use fix::{FixChange, SmallestFix};
pub use grant::{
    ChildGrant, ConstraintResult, GrantConstraint, GrantFacts, GrantOperation, GrantOperations, GranteeMatch,
    parse_operations,
};
pub use json::{Position, Span};
pub use kind::*;
pub use known::{KMS_ACTIONS, UnknownAction, check_action, check_kms_action};
pub use principal::PrincipalMatch;
pub use request::{Layers, NamedPolicy, PrincipalFacts, Request, RequestContext, Resource};
pub use simulate::{
    SIMULATE_TEXT_BYTES_MAX, SimulateError, Simulation, Simulations, simulate, simulate_text,
};
pub use trace::{
    Actual, CheckEffect, CheckTrace, ConditionReason, ConditionTrace, FailedElement, GrantTrace, Listed,
    NearMiss, PairTrace, StatementTrace, Trace, explain,
};
pub(crate) use words::quoted;
