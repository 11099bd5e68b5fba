//! A KMS on your own machine that says no when AWS would, says why, and remembers.

pub mod artifact;
pub mod crypto;
pub mod envelope;
pub mod model;
pub mod secret;
pub mod world;
