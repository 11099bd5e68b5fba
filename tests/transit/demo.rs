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
    // What is counted in the end is ticked off before.
    let ticks = said.lines().filter(|line| line.trim_start().starts_with('✓')).count();
    assert!(said.contains(&format!("{ticks} of {ticks} came out as they should")), "{said}");
    // All offsets stand in one column, and the canary is where the table says.
    let offset = |line: &str| {
        let text = line.strip_prefix("    ")?;
        text.get(..6).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit())).map(str::to_owned)
    };
    let found = said.lines().find(|line| line.contains("the prompt's canary")).unwrap();
    let found = usize::from_str_radix(found.split("server ").nth(1).unwrap().get(..6).unwrap(), 16).unwrap();
    let first = usize::from_str_radix(&said.lines().find_map(offset).unwrap(), 16).unwrap();
    assert!((first..first + 16).contains(&found), "{first:06x} {found:06x}");
    for expected in ["ClientHello", "X25519MLKEM768", "canary-", "certificate_revoked", "ChaCha20-Poly1305"] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
}
