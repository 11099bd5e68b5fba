//! The AWS SDK and the AWS Encryption SDK for JavaScript, with the packages that `node/package-lock.json` pins.
//!
//! They are installed once, under cargo's target directory, named by the digest of the lock file.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use keystead::crypto::digest::sha256;

use crate::endpoint::{KEY_ARN, LAB, Served, keystead, lab_keystore, repository, run};

const PACKAGE: &str = include_str!("node/package.json");
const LOCK: &str = include_str!("node/package-lock.json");
/// Written last: an environment that has it is complete.
const COMPLETE: &str = "complete";

/// The directory in which the packages are.
fn packages() -> &'static Path {
    static PACKAGES: OnceLock<PathBuf> = OnceLock::new();
    PACKAGES.get_or_init(|| {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let digest = hex::encode(sha256(&[PACKAGE.as_bytes(), LOCK.as_bytes()]));
        let place = root.join(format!("node-{}", &digest[..16]));
        let lock = File::create(place.with_extension("lock")).expect("the target directory is writable");
        lock.lock().expect("the target directory's file system can lock files");
        if !place.join(COMPLETE).exists() {
            let _ = fs::remove_dir_all(&place);
            fs::create_dir_all(&place).unwrap();
            fs::write(place.join("package.json"), PACKAGE).unwrap();
            fs::write(place.join("package-lock.json"), LOCK).unwrap();
            let installed = Command::new("npm")
                .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
                .current_dir(&place)
                .output();
            let needs = "the tests against the AWS SDK for JavaScript need node (20 or later) and npm with a registry";
            let installed = installed.unwrap_or_else(|error| panic!("{needs}; npm does not run: {error}"));
            assert!(installed.status.success(), "{needs}: {}", String::from_utf8_lossy(&installed.stderr));
            fs::write(place.join(COMPLETE), digest).unwrap();
        }
        place
    })
}

fn script(command: &mut Command) -> &mut Command {
    command.arg(repository("tests/clients/node/sdk.mjs")).arg(packages())
}

#[test]
fn the_javascript_sdk_is_answered_and_denied() {
    for (caller, mode) in [("user/admin", "allowed"), ("user/bob", "denied")] {
        let mut command = keystead(&["exec", "--from", LAB, "--as", caller, "--", "node"]);
        run(script(&mut command).arg(mode));
    }
}

#[test]
fn the_javascript_encryption_sdk_and_keystead_open_what_the_other_sealed() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    lab_keystore(place.path());
    fs::write(at("plain"), vec![7; 10_000]).unwrap();
    let served = Served::start(place.path());
    let sdk = |what: &str, from: &str, to: &str| {
        let mut command = Command::new("node");
        script(&mut command).args([what, KEY_ARN]).args([at(from), at(to)]);
        run(served.with(&mut command));
    };
    // The server lends the keystore to the commands.
    let ours = |arguments: &[&str]| {
        let mut command = keystead(arguments);
        command.arg("--keystore").arg(at("keystore")).current_dir(place.path());
        command
    };
    sdk("seal", "plain", "theirs");
    run(&mut ours(&["decrypt", "theirs", "-o", "opened"]));
    assert!(fs::read(at("opened")).unwrap() == fs::read(at("plain")).unwrap());
    let denied = ours(&["decrypt", "theirs", "-o", "no", "--as", "user/bob"]).output().unwrap();
    assert_eq!(denied.status.code(), Some(3), "{denied:?}");
    run(&mut ours(&[
        "encrypt",
        "plain",
        "-o",
        "ours",
        "--key",
        "alias/models",
        "--context",
        "project=tour",
        "--sign",
    ]));
    sdk("open", "ours", "opened-by-the-sdk");
    assert!(fs::read(at("opened-by-the-sdk")).unwrap() == fs::read(at("plain")).unwrap());
}
