//! A KMS on your own machine that says no when AWS would, says why, and remembers.

pub mod audit;
pub mod crypto;
pub mod model;
pub mod secret;
pub mod storage;
pub mod world;
