//! A KMS on your own machine that says no when AWS would, says why, and remembers.

pub mod artifact;
pub mod audit;
#[cfg(feature = "cli")]
pub mod cli;
pub mod crypto;
pub mod envelope;
pub mod iam;
pub mod keystore;
pub mod kms;
pub mod lab;
pub mod model;
pub mod policy;
pub mod secret;
pub mod services;
pub mod storage;
pub mod testing;
pub mod world;
