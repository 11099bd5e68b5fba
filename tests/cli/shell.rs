//! Sessions that need a shell, because one command's output goes into another's: an MFA code, the id of a session.
//!
//! What the comments of `keystore/lab.toml` say to try is typed as it is, from top to bottom. Of the pages of the docs it
//! is all blocks marked `console`, as in the other transcripts; `[..]` and `...` stand for what differs.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

/// The pages that need a shell.
pub(super) const PAGES: &[&str] = &[
    "docs/identities.md",
    "docs/misunderstandings/08-missing-keys.md",
    "docs/misunderstandings/09-grants.md",
];

/// A command, how it is to end, and what it is to say when that matters.
struct Typed {
    line: usize,
    command: String,
    code: i32,
    says: Option<String>,
}

#[test]
fn what_the_lab_says_to_try_ends_as_it_says() {
    let lab = project().join("keystore/lab.toml");
    let trials = trials(&fs::read_to_string(&lab).unwrap());
    assert!(trials.len() > 30, "{}", trials.len());
    let command = "keystead init --from keystore/lab.toml".into();
    let init = Typed { line: 0, command, code: 0, says: None };
    type_in([init].into_iter().chain(trials).collect());
}

#[test]
fn the_pages_that_need_a_shell_are_as_they_are_written() {
    for page in PAGES {
        let commands = blocks(&fs::read_to_string(project().join(page)).unwrap());
        assert!(!commands.is_empty(), "{page}");
        type_in(commands);
    }
}

#[test]
fn what_the_page_on_seeds_shows_is_a_world() {
    let page = fs::read_to_string(project().join("docs/seeds.md")).unwrap();
    let (_, after) = page.split_once("```toml\n").unwrap();
    let (seed, _) = after.split_once("```").unwrap();
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("world.toml"), seed).unwrap();
    run(
        &place,
        "keystead init --from world.toml > made 2>&1; echo $? > code; \
         keystead apply world.toml --dry-run > again 2>&1; echo $? >> code",
    );
    let read = |name: &str| fs::read_to_string(place.path().join(name)).unwrap();
    assert_eq!(read("code"), "0\n0\n", "{}{}", read("made"), read("again"));
    assert!(!read("again").contains("create"), "{}", read("again"));
}

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// `# try: COMMAND  # END`; a command goes on in the next comment line after a backslash.
fn trials(text: &str) -> Vec<Typed> {
    let mut trials: Vec<Typed> = Vec::new();
    let mut open: Option<(usize, String)> = None;
    let comments = (1..).zip(text.lines()).filter_map(|(line, text)| Some((line, text.strip_prefix("# ")?)));
    for (line, comment) in comments {
        let piece = match (comment.strip_prefix("try: "), &open) {
            (Some(begins), _) => begins,
            (None, Some(_)) => comment.trim_start(),
            (None, None) => continue,
        };
        let (began, mut command) = open.take().unwrap_or((line, String::new()));
        match (piece.strip_suffix('\\'), piece.rsplit_once("# ")) {
            (Some(goes_on), _) => {
                command.push_str(goes_on);
                open = Some((began, command));
            }
            (None, Some((last, end))) => {
                command.push_str(last.trim_end());
                let code = match end.trim() {
                    "allowed" => 0,
                    "denied" => 3,
                    "refused" => 5,
                    other => panic!("line {line}: `{other}` is no way to end"),
                };
                trials.push(Typed { line: began, command, code, says: None });
            }
            (None, None) => panic!("line {line} does not say how it ends"),
        }
    }
    trials
}

/// The commands of all blocks marked `console`.
fn blocks(text: &str) -> Vec<Typed> {
    let mut commands: Vec<Typed> = Vec::new();
    let mut inside = false;
    for (line, text) in (1..).zip(text.lines()) {
        match (inside, text) {
            (false, "```console") => inside = true,
            (true, "```") => inside = false,
            (true, text) if text.starts_with("$ ") => {
                let command = text.trim_start_matches("$ ").to_owned();
                commands.push(Typed { line, command, code: 0, says: Some(String::new()) });
            }
            (true, text) => {
                let last = commands.last_mut().unwrap();
                match (text.strip_prefix("? "), &mut last.says) {
                    (Some(code), _) => last.code = code.parse().unwrap(),
                    (None, Some(says)) => {
                        says.push_str(text);
                        says.push('\n');
                    }
                    (None, None) => {}
                }
            }
            (false, _) => {}
        }
    }
    commands
}

/// Types all of it in one shell, beside the files that a clone has, and holds each command to its end.
fn type_in(commands: Vec<Typed>) {
    let place = tempfile::tempdir().unwrap();
    for folder in ["keystore", "docs/misunderstandings"] {
        fs::create_dir_all(place.path().join(folder)).unwrap();
        for file in fs::read_dir(project().join(folder)).unwrap().map(|entry| entry.unwrap().path()) {
            fs::copy(&file, place.path().join(folder).join(file.file_name().unwrap())).unwrap();
        }
    }
    let model = project().join("examples/model/tiny-mlp.safetensors");
    fs::copy(model, place.path().join("model.safetensors")).unwrap();
    let script: String = commands
        .iter()
        .enumerate()
        .map(|(at, Typed { command, .. })| format!("{{ {command}\n}} > out.{at} 2>&1; echo $? > code.{at}\n"))
        .collect();
    run(&place, &script);
    for (at, Typed { line, command, code, says }) in commands.into_iter().enumerate() {
        let read = |name: &str| fs::read_to_string(place.path().join(format!("{name}.{at}"))).unwrap();
        let said = read("out");
        assert_eq!(read("code").trim(), code.to_string(), "line {line}: {command}\n{said}");
        if let Some(says) = says {
            // The line stands before both, so that a difference tells where it is.
            let beside = |text: &str| format!("line {line}\n{}", text.trim_end());
            snapbox::assert_data_eq!(beside(&said), beside(&says));
        }
    }
}

fn run(place: &TempDir, script: &str) {
    let keystead = PathBuf::from(env!("CARGO_BIN_EXE_keystead"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let paths = [keystead.parent().unwrap().to_path_buf()].into_iter().chain(std::env::split_paths(&path));
    let ended = Command::new("sh")
        .arg("-c")
        .arg(script)
        .current_dir(place.path())
        .env("PATH", std::env::join_paths(paths).unwrap())
        .env("KEYSTEAD_KEYSTORE", "keystore.d")
        .env("KEYSTEAD_KEY_FILE", "keystore.key")
        .env("NO_COLOR", "1")
        .env("COLUMNS", "80")
        .status()
        .unwrap();
    assert!(ended.success());
}
