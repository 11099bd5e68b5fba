//! Transcripts: each Markdown file beside this one, and the README, is a session at the terminal that is run for real.
//!
//! Every session has a directory of its own, with the keystore in it. What differs from run to run is `[..]`. To take new
//! output over after a look at it: `TRYCMD=overwrite cargo test --test cli`.

mod limits;

use std::{fs, path::Path};

#[test]
fn sessions_at_the_terminal_are_as_they_are_written() {
    session("tests/cli/*.md");
}

/// The README's session is run on a copy, beside the files that a clone has.
#[test]
fn the_commands_of_the_readme_are_as_they_are_written() {
    let (project, place) =
        (Path::new(env!("CARGO_MANIFEST_DIR")), Path::new(env!("CARGO_TARGET_TMPDIR")).join("readme"));
    let _not_there_yet = fs::remove_dir_all(&place);
    fs::create_dir_all(place.join("README.in/keystore")).unwrap();
    fs::create_dir_all(place.join("README.out")).unwrap();
    let copy = |from: &str, to: &str| fs::copy(project.join(from), place.join(to)).unwrap();
    copy("README.md", "README.md");
    copy("keystore/lab.toml", "README.in/keystore/lab.toml");
    copy("examples/model/tiny-mlp.safetensors", "README.in/model.safetensors");
    copy("examples/model/tiny-mlp.safetensors", "README.out/model.safetensors");
    session(place.join("README.md").to_str().unwrap());
    if std::env::var("TRYCMD").is_ok_and(|mode| mode == "overwrite") {
        fs::copy(place.join("README.md"), project.join("README.md")).unwrap();
    }
}

/// The two commands that do all the set-up are in the README, and continuous integration runs the very same test command.
#[test]
fn the_readme_and_ci_name_the_same_commands() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(project.join("README.md")).unwrap();
    assert!(readme.contains("\ncargo run --release -- demo ") && readme.contains("\ncargo test "));
    let ci = fs::read_to_string(project.join(".ci/run")).unwrap();
    assert!(ci.lines().any(|line| line == "cargo test"), "{ci}");
    assert!(ci.lines().any(|line| line == "cargo run --release -- demo"), "{ci}");
}

fn session(glob: &str) {
    trycmd::TestCases::new()
        .env("KEYSTEAD_KEYSTORE", "keystore.d")
        .env("KEYSTEAD_KEY_FILE", "keystore.key")
        .env("NO_COLOR", "1")
        .env("COLUMNS", "80")
        .case(glob);
}

/// `docs/commands.md` is what the commands say of themselves. To renew it: `KEYSTEAD_RENEW=1 cargo test --test cli`.
#[test]
fn the_command_reference_is_what_the_commands_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/commands.md");
    let reference = keystead::cli::reference();
    if std::env::var_os("KEYSTEAD_RENEW").is_some() {
        fs::write(&path, &reference).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap();
    assert!(written == reference, "docs/commands.md is out of date: KEYSTEAD_RENEW=1 cargo test --test cli");
}
