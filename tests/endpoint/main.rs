//! The served endpoint as a whole program: what it answers, what it refuses, how it starts, stops and dies.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that finds another thing than it expects has to panic; clippy.toml reaches unit tests alone"
)]

mod bad_input;
mod crash;
mod exec;
mod lending;
mod life;
mod process;
mod signatures;
mod tls;
mod vpc;
