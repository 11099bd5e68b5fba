//! Fuzzes `wire_entries::form`.
#![no_main]

#[path = "../wire_entries.rs"]
#[allow(dead_code, reason = "each target has one entry")]
mod wire_entries;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wire_entries::form(bytes));
