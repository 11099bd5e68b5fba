//! The AWS wire: what AWS's clients speak, on top of the operations that everything else calls too.
//!
//! ```text
//! server/    the listener: connections, limits, who may knock; health and metrics
//!   sigv4/   who signed the request
//!   kms/     JSON 1.1
//!   cloudtrail.rs   the same for LookupEvents
//!   query/   forms in, XML out: IAM and STS
//! ```
//!
//! Nothing here decides anything: each request becomes an operation, and the door decides.

pub mod cloudtrail;
pub mod error;
mod json;
pub mod kms;
pub mod query;
pub mod server;
pub mod sigv4;

pub use json::DEPTH_MAX;
