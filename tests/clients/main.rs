//! Real AWS clients against what this program writes and reads.
//!
//! They need `python3` with its `venv` module, and the first run needs a package index to install
//! `tests/clients/requirements.txt` from; likewise `node` and `npm`. What is missing fails the tests with its name; nothing is skipped.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that finds another thing than it expects has to panic; clippy.toml reaches unit tests alone"
)]

#[cfg(feature = "server")]
mod encryption_cli;
mod encryption_sdk;
#[cfg(feature = "server")]
mod endpoint;
#[cfg(feature = "server")]
mod node;
mod python;
#[cfg(feature = "server")]
mod rust_sdk;
#[cfg(feature = "server")]
mod signatures;
mod suites;
#[cfg(feature = "server")]
mod validate_logs;
