//! The shipped model is what its script makes.

use std::{fs, path::Path, process::Command};

#[test]
fn the_shipped_model_is_what_its_script_trains() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/model");
    let place = tempfile::tempdir().unwrap();
    let trained = place.path().join("trained.safetensors");
    let ran = Command::new("python3").arg(folder.join("train.py")).arg(&trained).output();
    let output = ran.expect("python3 is needed to train the model again: install it and put it on the PATH");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let shipped = fs::read(folder.join("tiny-mlp.safetensors")).unwrap();
    assert!(
        fs::read(&trained).unwrap() == shipped,
        "the trained model differs from the one that the repository ships"
    );
    let digest = hex::encode(keystead::crypto::digest::sha256(&[&shipped]));
    let readme = fs::read_to_string(folder.join("README.md")).unwrap();
    assert!(readme.contains(&digest), "examples/model/README.md does not state the SHA-256 {digest}");
}
