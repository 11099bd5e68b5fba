//! A KMS on your own machine that says no when AWS would, says why, and remembers.

pub mod crypto;
pub mod model;
pub mod policy;
pub mod secret;
pub mod world;
