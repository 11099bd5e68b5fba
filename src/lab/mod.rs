//! Worlds to learn in: seeds that make one, the tiers of keys side by side, and the demo.

pub mod cost;
#[cfg(feature = "cli")]
pub mod demo;
pub mod seed;
mod table;
pub mod tiers;
