//! The command line of the AWS Encryption SDK with a KMS key of a served keystore, both directions, where it may and where
//! it may not.

use std::{fs, process::Command};

use crate::{
    endpoint::{KEY_ARN, Served, keystead, lab_keystore, run},
    python,
};

#[test]
fn the_encryption_sdks_command_line_and_keystead_open_what_the_other_sealed() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    lab_keystore(place.path());
    fs::write(at("plain"), vec![7; 10_000]).unwrap();
    let served = Served::start(place.path());
    let theirs = |what: &str, from: &str, to: &str, context: &str| {
        let mut command = Command::new(python::encryption_cli());
        command.args([what, "--suppress-metadata", "--input"]).arg(at(from)).arg("--output").arg(at(to));
        command.args(["--wrapping-keys", &format!("key={KEY_ARN}"), "region=us-east-1"]);
        command.args(["--encryption-context", context]);
        command.args(["--commitment-policy", "require-encrypt-require-decrypt"]);
        served.with(&mut command);
        command
    };
    // The server lends the keystore to the commands.
    let ours = |arguments: &[&str]| {
        let mut command = keystead(arguments);
        command.arg("--keystore").arg(at("keystore")).current_dir(place.path());
        command
    };

    run(&mut theirs("--encrypt", "plain", "theirs", "project=tour"));
    run(&mut ours(&["decrypt", "theirs", "-o", "opened"]));
    assert!(fs::read(at("opened")).unwrap() == fs::read(at("plain")).unwrap());
    let denied = ours(&["decrypt", "theirs", "-o", "no", "--as", "user/bob"]).output().unwrap();
    assert_eq!(denied.status.code(), Some(3), "{denied:?}");

    run(&mut ours(&["encrypt", "plain", "-o", "ours", "--key", "alias/models", "--context", "project=tour"]));
    run(&mut theirs("--decrypt", "ours", "opened-by-the-cli", "project=tour"));
    assert!(fs::read(at("opened-by-the-cli")).unwrap() == fs::read(at("plain")).unwrap());
    // It skips what has another context, and says so.
    let skipped = theirs("--decrypt", "ours", "other-context", "project=other").output().unwrap();
    assert!(String::from_utf8_lossy(&skipped.stderr).contains("did not match required"), "{skipped:?}");
    assert!(!at("other-context").exists());
    run(&mut ours(&["key", "disable", "alias/models"]));
    let disabled = theirs("--decrypt", "ours", "disabled", "project=tour").output().unwrap();
    assert!(!disabled.status.success() && !at("disabled").exists(), "{disabled:?}");
}
