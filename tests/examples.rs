//! Each example runs, and says what it should.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{env, path::PathBuf, process::Command};

/// `cargo test` builds the examples beside the tests.
fn run(name: &str) -> String {
    let test = env::current_exe().unwrap();
    let folder: PathBuf = test.parent().and_then(|deps| deps.parent()).unwrap().join("examples");
    let path = folder.join(name);
    assert!(
        path.exists(),
        "the example `{name}` is not built: run the whole of `cargo test`, or `cargo build --examples` first"
    );
    let output = Command::new(path).output().unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn key_tiers() {
    let said = run("key_tiers");
    assert!(said.contains("0 keys listed") && said.contains("AccessDeniedException"), "{said}");
    assert!(said.contains("customer managed"), "{said}");
}

#[test]
fn encrypt_artifact() {
    let said = run("encrypt_artifact");
    assert!(said.contains("sealed: 4920 bytes") && said.contains("the same bytes again"), "{said}");
}

#[test]
fn read_without_key() {
    let said = run("read_without_key");
    assert!(said.contains("not authorized to perform: kms:Decrypt"), "{said}");
    assert!(said.contains("log: bob Decrypt AccessDenied"), "{said}");
}
