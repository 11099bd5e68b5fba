//! `keystead demo transit`, from the binary alone.

use std::process::Command;

#[test]
fn the_demo_comes_out_as_it_should_and_fits_a_terminal() {
    let demo = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keystead"));
        command.args(["demo", "transit"]).args(more).env_remove("KEYSTEAD_KEYSTORE").env("NO_COLOR", "1");
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout)
    };
    let said = demo(&[]);
    for line in said.lines() {
        assert!(line.chars().count() <= 80, "{line}");
        assert!(!line.contains('\u{1b}') && !line.contains('✗'), "{line}");
    }
    for expected in ["ClientHello", "X25519MLKEM768", "canary-", "certificate_revoked", "ChaCha20-Poly1305"] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
}
