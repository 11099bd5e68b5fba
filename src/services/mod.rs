//! The simulated AWS services beside KMS: storage, which uses keys on its customers' behalf, and identity management.

pub mod artifacts;
pub mod cloudtrail;
pub mod ec2;
pub mod iam;
#[cfg(feature = "tls")]
pub mod inference;
pub mod organizations;
pub mod query;
pub mod s3;
pub mod sts;
#[cfg(feature = "tls")]
pub mod tls;
