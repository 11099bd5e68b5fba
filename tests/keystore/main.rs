//! A keystore on disk, proved from outside: what it makes, what it refuses, what it erases and what it survives.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may fail loudly")]

mod audit;
mod create;
mod damage;
mod erasure;
mod export;
mod faults;
mod memory;
mod objects;
mod place;
mod rotation;
mod seals;
