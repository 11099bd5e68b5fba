//! Worlds to learn in: seeds that make one, the tiers of keys side by side, the demo, and an eavesdropper on the wire.

pub mod cost;
#[cfg(feature = "cli")]
pub mod demo;
#[cfg(feature = "tls")]
pub mod in_transit;
pub mod seed;
mod table;
pub mod tiers;
pub mod wiretap;
