//! Transcripts: each Markdown file beside this one, and the README, is a session at the terminal that is run for real.
//!
//! Every session has a directory of its own, with the keystore in it. What differs from run to run is `[..]`. To take new
//! output over after a look at it: `TRYCMD=overwrite cargo test --test cli`.

mod limits;
mod mishaps;
mod shell;
mod tls;
mod witness;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

#[test]
fn sessions_at_the_terminal_are_as_they_are_written() {
    // The modes of a checkout follow its owner's umask, and the sessions show warnings that depend on them.
    let sessions = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli");
    let folders = fs::read_dir(sessions).unwrap().map(|entry| entry.unwrap().path());
    for folder in folders.filter(|path| path.extension().is_some_and(|extension| extension == "in")) {
        for file in
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file())
        {
            fs::set_permissions(file, fs::Permissions::from_mode(0o644)).unwrap();
        }
    }
    session("tests/cli/*.md");
}

/// The README's session is run on a copy, beside the files that a clone has; so is that of a page of the docs.
#[test]
fn the_commands_of_the_readme_and_the_docs_are_as_they_are_written() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let lessons = project.join("docs/misunderstandings");
    let lessons_files: Vec<_> = fs::read_dir(&lessons).unwrap().map(|entry| entry.unwrap().path()).collect();
    let is_page = |path: &&PathBuf| {
        path.extension().is_some_and(|extension| extension == "md") && !path.ends_with("README.md")
    };
    let lessons_pages: Vec<_> = lessons_files.iter().filter(is_page).collect();
    assert_eq!(lessons_pages.len(), 10);
    let pages =
        ["README.md", "docs/simulate.md", "docs/tiers.md", "docs/transit.md"].map(|page| project.join(page));
    let in_a_shell = |page: &&PathBuf| shell::PAGES.iter().any(|shell| page.ends_with(shell));
    for page in pages.iter().chain(lessons_pages).filter(|page| !in_a_shell(page)) {
        let name = page.file_stem().unwrap().to_str().unwrap();
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages").join(name);
        let _not_there_yet = fs::remove_dir_all(&place);
        let (files, left) = (place.join("page.in"), place.join("page.out"));
        fs::create_dir_all(files.join("keystore")).unwrap();
        fs::create_dir_all(&left).unwrap();
        let model = project.join("examples/model/tiny-mlp.safetensors");
        fs::copy(page, place.join("page.md")).unwrap();
        for seed in fs::read_dir(project.join("keystore")).unwrap().map(|entry| entry.unwrap().path()) {
            fs::copy(&seed, files.join("keystore").join(seed.file_name().unwrap())).unwrap();
        }
        fs::create_dir_all(files.join("docs/misunderstandings")).unwrap();
        for file in
            lessons_files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        {
            fs::copy(file, files.join("docs/misunderstandings").join(file.file_name().unwrap())).unwrap();
        }
        // A request that a page shows is in a file beside it.
        let text = fs::read_to_string(page).unwrap();
        if let Some((request, _)) =
            text.split_once("```json\n").and_then(|(_, rest)| rest.split_once("```\n"))
        {
            fs::write(files.join("request.json"), request).unwrap();
        }
        fs::copy(&model, files.join("model.safetensors")).unwrap();
        fs::copy(&model, left.join("model.safetensors")).unwrap();
        session(place.join("page.md").to_str().unwrap());
    }
}

/// The two commands that do all the set-up are in the README, and continuous integration runs the very same test command.
#[test]
fn the_readme_and_ci_name_the_same_commands() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(project.join("README.md")).unwrap();
    assert!(readme.contains("\ncargo run -- demo ") && readme.contains("\ncargo test "));
    let ci = fs::read_to_string(project.join(".ci/run")).unwrap();
    assert!(ci.lines().any(|line| line == "cargo test"), "{ci}");
    assert!(ci.lines().any(|line| line == "cargo run -- demo"), "{ci}");
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
