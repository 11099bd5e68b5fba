//! The policy language of AWS: parse, match, decide, explain, simulate. Pure: nothing here does I/O or reads a clock.

mod authorized;
mod context;
mod decide;
mod decision;
mod document;
mod grant;
mod json;
mod kind;
mod request;

// The public interface is:
pub use authorized::{Action, Authorized};
pub use context::{ConditionContext, ContextValue};
pub use decide::decide;
pub use decision::{CheckType, Decision, DecisionEffect, Decisive, Denied, StatementRef};
pub use document::Policy;
pub use grant::{
    ChildGrant, ConstraintResult, GrantConstraint, GrantFacts, GrantOperation, GrantOperations, GranteeMatch,
    parse_operations,
};
pub use json::{Position, Span};
pub use kind::*;
pub use request::{Layers, NamedPolicy, PrincipalFacts, Request, Resource};
