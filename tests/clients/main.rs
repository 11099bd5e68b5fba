//! Real AWS clients against what this program writes and reads.
//!
//! They need `python3` with its `venv` module, and the first run needs a package index to install
//! `tests/clients/requirements.txt` from. What is missing fails the tests with its name; nothing is skipped.

mod encryption_sdk;
mod python;
