//! Two processes that talk, for real: over loopback, with an eavesdropper between them whose catch is asserted on.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that finds another thing than it expects has to panic; clippy.toml reaches unit tests alone"
)]

mod bounds;
mod demo;
mod documented;
mod eavesdropped;
mod failures;
mod nodes;
mod processes;
