//! What goes wrong around a command: an interrupt, a disk that fills up, a message that claims to be enormous.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot be set up has failed")]

use std::{
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
};

use crate::limits::{GIB, Place, wait_until_at_work};

/// The address space that a command gets for a hostile message, in KiB; what those messages claim is 4 GiB and more.
const ADDRESS_SPACE_KIB: u64 = 512 * 1024;
/// The size of a small disk, in MiB. A model of twice that does not fit.
const DISK_MIB: usize = 4;

#[test]
fn an_interrupt_leaves_nothing_behind() {
    let place = Place::new();
    File::create(place.path("big")).unwrap().set_len(GIB).unwrap();
    place.succeeds(&["encrypt", "big", "--key", "alias/models", "-o", "whole"]);
    let before = place.names();
    for arguments in [
        &["encrypt", "big", "--key", "alias/models", "-o", "out"][..],
        &["decrypt", "whole", "-o", "out"],
        &["reencrypt", "whole", "--key", "alias/models"],
    ] {
        let mut child = place.command(arguments).stderr(Stdio::null()).spawn().unwrap();
        wait_until_at_work(&mut child);
        let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        let ended = child.wait().unwrap();
        assert!(sent.success() && !ended.success(), "{arguments:?}: {ended}");
        assert_eq!(place.names(), before, "{arguments:?}");
    }
    place.succeeds(&["decrypt", "whole", "--force", "-o", "big"]);
    place.succeeds(&["audit", "verify"]);
}

#[test]
fn a_full_disk_leaves_the_original_and_no_part() {
    let place = Place::new();
    let model: Vec<u8> = (0..DISK_MIB << 21).map(|at| (at % 251) as u8).collect();
    fs::write(place.path("model"), &model).unwrap();
    place.succeeds(&["encrypt", "model", "--key", "alias/models"]);
    fs::create_dir(place.path("disk")).unwrap();
    fs::create_dir(place.path("models")).unwrap();
    fs::copy(place.path("model"), place.path("models/m")).unwrap();
    for (arguments, held) in [
        ("encrypt model --key alias/models -o disk/out", ""),
        ("decrypt model.sealed -o disk/out", ""),
        ("encrypt models/ --key alias/models -o disk/out", ""),
        // There is room for this message, and for no second one beside it.
        ("reencrypt disk/small.sealed --key alias/models", "small.sealed"),
    ] {
        // A disk of its own that is gone with the process: a tmpfs in a namespace.
        let script = format!(
            "mount -t tmpfs -o size={DISK_MIB}m none disk && if [ -n '{held}' ]; then \
             head -c 3000000 model | \"$KEYSTEAD\" encrypt - --key alias/models -o disk/{held} > /dev/null && \
             cp disk/{held} before; fi && {{ \"$KEYSTEAD\" {arguments} > /dev/null; code=$?; }} && ls -A disk && \
             if [ -n '{held}' ]; then cmp before disk/{held}; fi && exit $code"
        );
        let shell = ["--user", "--map-root-user", "--mount", "sh", "-c", &script];
        let output = place.other("unshare", &shell).output().unwrap();
        let words = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments}: {words}");
        assert!(words.contains("disk is full"), "{arguments}: {words}");
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), held, "{arguments}");
    }
    assert_eq!(fs::read(place.path("model")).unwrap(), model);
}

/// Where the frame length stands in a message of version 2: before the commitment and the header's tag.
fn frame_length_at(place: &Place, name: &str) -> usize {
    let output = place.command(&["inspect", name, "--json"]).output().unwrap();
    let info: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    usize::try_from(info["header_bytes"].as_u64().unwrap()).unwrap() - 16 - 32 - 4
}

#[test]
fn a_message_that_claims_to_be_enormous_gets_little_memory() {
    let place = Place::new();
    fs::write(place.path("model"), b"weights").unwrap();
    let limited = |arguments: &str| {
        let script = format!("ulimit -v {ADDRESS_SPACE_KIB}; exec \"$KEYSTEAD\" {arguments}");
        let output = place.other("sh", &["-c", &script]).output().unwrap();
        // An allocation that fails ends a process by a signal: then there is no code.
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    // Whoever may seal may claim the longest frames there are; they cost what they hold.
    let longest = "encrypt model --key alias/models --frame-length 67108864 -o longest";
    assert_eq!(limited(longest).0, Some(0), "{}", limited(longest).1);
    assert_eq!(limited("decrypt longest -o opened").0, Some(0));
    assert_eq!(limited("cat longest --range 0-3").0, Some(0));
    assert_eq!(fs::read(place.path("opened")).unwrap(), b"weights");

    // Anybody may claim anything.
    let message = fs::read(place.path("longest")).unwrap();
    let at = frame_length_at(&place, "longest");
    let mut forged = message.clone();
    forged[at..at + 4].copy_from_slice(&u32::MAX.to_be_bytes());
    fs::write(place.path("forged"), &forged).unwrap();
    forged.truncate(at + 4 + 32 + 16);
    let hole = Path::new("hole");
    fs::write(place.0.path().join(hole), &forged).unwrap();
    File::options().write(true).open(place.path("hole")).unwrap().set_len(64 * GIB).unwrap();
    for name in ["forged", "hole"] {
        for (arguments, code) in [
            (format!("decrypt {name} -o out"), 4),
            (format!("cat {name} --range 0-3"), 4),
            (format!("tensors {name}"), 4),
            (format!("reencrypt {name} --key alias/models"), 4),
            (format!("inspect {name}"), 0),
        ] {
            let (ended, words) = limited(&arguments);
            assert_eq!(ended, Some(code), "{arguments}: {words}");
        }
        assert!(!place.path("out").exists(), "{name}");
    }
}

#[test]
fn a_rollback_that_is_accepted_names_what_is_given_up() {
    let place = Place::new();
    let made = String::from_utf8(place.command(&["key", "create"]).output().unwrap().stdout).unwrap();
    let before = fs::read(place.path("keystore.d/keystore.db")).unwrap();
    for number in 0..12 {
        place.succeeds(&["alias", "create", &format!("alias/new-{number}"), made.trim()]);
    }
    fs::write(place.path("keystore.d/keystore.db"), before).unwrap();
    let recover = |arguments: &[&str]| {
        let output = place.command(arguments).output().unwrap();
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        (output.status.code().unwrap(), said.concat())
    };
    assert_eq!(recover(&["keystore", "recover"]).0, 4);
    let (code, said) = recover(&["keystore", "recover", "--accept-rollback"]);
    assert_eq!(code, 0, "{said}");
    let named: Vec<&str> = said.lines().filter(|line| line.contains("CreateAlias")).collect();
    assert_eq!(named.len(), 10, "{said}");
    assert!(
        named.iter().zip(0..).all(|(line, number)| line.ends_with(&format!("alias/new-{number}"))),
        "{said}"
    );
    assert!(said.contains("12 changes since are given up") && said.contains("and 2 more"), "{said}");
    // What is named can be looked at, and the record is found as the write of somebody.
    let number = named[0].split(' ').next().unwrap();
    place.succeeds(&["audit", "show", number]);
    let (_, found) = recover(&["audit", "query", "--event-name", "AcceptRollback", "--read-only", "false"]);
    assert!(found.lines().count() == 2 && found.contains("user/admin"), "{found}");
}

/// JSON has no place for such a name; what was done is told all the same.
#[test]
fn a_name_that_is_not_utf_8_is_told_as_far_as_it_can_be_shown() {
    let place = Place::new();
    let script = r#"name=$(printf '\377\376') && echo weights > "$name" &&
        "$KEYSTEAD" encrypt "$name" --key alias/models --json &&
        "$KEYSTEAD" decrypt "$name.sealed" --force --json &&
        "$KEYSTEAD" verify "$name.sealed" --json &&
        cp "$name.sealed" "$name.copy" && "$KEYSTEAD" lint "$name.sealed" "$name.copy" --json"#;
    let output = place.other("sh", &["-c", script]).output().unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(6), "a copy is unusual: {out}{err}");
    assert!(out.matches("\u{fffd}\u{fffd}.sealed").count() >= 3, "{out}");
}
