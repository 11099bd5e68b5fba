//! Certificates at the command line, where each has a serial number of its own that a transcript cannot know.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::{fs, os::unix::fs::MetadataExt, path::Path, process::Command};

use serde_json::Value;

fn run(place: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keystead"));
    command.args(arguments).current_dir(place).env("KEYSTEAD_KEYSTORE", "keystore.d");
    let output = command.env("KEYSTEAD_KEY_FILE", "keystore.key").env("NO_COLOR", "1").output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_certificate_is_issued_shown_and_revoked_and_survives_a_new_root_key() {
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let place = place.path();
    let succeeds = |arguments: &[&str]| {
        let (code, out, err) = run(place, arguments);
        assert_eq!(code, 0, "{arguments:?}: {err}");
        out
    };
    succeeds(&["init"]);
    succeeds(&["tls", "ca"]);
    let both = ["tls", "issue", "--principal", "user/admin", "--host", "localhost", "--address", "127.0.0.1"];
    let serial = succeeds(&[&both[..], &["--out", "node"]].concat());
    let serial = serial.trim();
    assert_eq!(fs::metadata(place.join("node.key")).unwrap().mode() & 0o777, 0o600);
    let shown: Value = serde_json::from_str(&succeeds(&["tls", "show", serial, "--json"])).unwrap();
    assert_eq!((&shown["Status"], &shown["Hosts"][0]), (&"VALID".into(), &"localhost".into()));
    assert_eq!(shown["Certificate"], fs::read_to_string(place.join("node.crt")).unwrap());
    assert_eq!(succeeds(&["tls", "show", serial, "--pem"]), shown["Certificate"].as_str().unwrap());

    // The keys are wrapped anew, and the authority still signs.
    let authority = succeeds(&["tls", "ca"]);
    succeeds(&["keystore", "rotate-root"]);
    assert_eq!(succeeds(&["tls", "ca"]), authority);
    succeeds(&["tls", "issue", "--host", "localhost", "--out", "other"]);

    // The serial number as other programs print it, or the certificate's file.
    let by_file = succeeds(&["tls", "show", "node.crt", "--json"]);
    assert_eq!(by_file, succeeds(&["tls", "show", serial, "--json"]));
    let (code, _, err) = run(place, &["tls", "revoke", "nosuch.crt"]);
    assert!(code == 2 && err.contains("no hexadecimal digit") && err.contains("no file"), "{err}");
    let (code, _, err) = run(place, &["tls", "revoke", "node.key"]);
    assert!(code == 1 && err.contains("`node.key` holds no certificate"), "{err}");

    succeeds(&["tls", "revoke", &serial.to_uppercase(), "--reason", "KEY_COMPROMISE"]);
    let shown: Value = serde_json::from_str(&succeeds(&["tls", "show", serial, "--json"])).unwrap();
    let status = (&shown["Status"], &shown["RevocationReason"]);
    assert_eq!(status, (&"REVOKED".into(), &"KEY_COMPROMISE".into()));
    let (code, _, err) = run(place, &["tls", "revoke", serial]);
    assert!(code == 1 && err.contains("RequestAlreadyProcessedException"), "{err}");

    let listed: Value = serde_json::from_str(&succeeds(&["tls", "list", "--json"])).unwrap();
    assert_eq!(listed["Certificates"].as_array().unwrap().len(), 2);
    // A private key is never written over, nor into the keystore.
    let (code, _, err) = run(place, &["tls", "issue", "--host", "localhost", "--out", "other"]);
    assert!(code == 1 && err.contains("already"), "{err}");
    let (code, _, _) = run(place, &["tls", "issue", "--host", "localhost", "--out", "keystore.d/mine"]);
    assert_eq!(code, 2);
}
