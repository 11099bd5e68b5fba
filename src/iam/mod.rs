//! Identities: the users and roles of the accounts, and the policies attached to them. Pure state and rules.
//!
//! Source: "IAM identifiers" and "IAM and AWS STS quotas" (IAM user guide). A new identity has no permission at all.

mod identity;
mod name;

pub use identity::{AttachedPolicy, Identity, IdentityKind, PrincipalId};
pub use name::{IdentityName, PolicyName};
