//! Python environments with the pinned AWS clients of `requirements.txt` and `requirements-cli.txt`, each made once and used
//! by every test.
//!
//! They lie under cargo's target directory, named by the digest of their requirements, so a change of those makes a new one
//! and branches that share a target directory do not disturb each other. A lock on a file beside it lets one process at
//! a time make it.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

use keystead::crypto::digest::sha256;

const REQUIREMENTS: &str = include_str!("requirements.txt");
const REQUIREMENTS_CLI: &str = include_str!("requirements-cli.txt");
/// Written last: an environment that has it is complete.
const COMPLETE: &str = "complete";

/// Runs a script of `tests/clients/` in the environment; answers what it printed.
///
/// # Panics
///
/// When the environment cannot be made or the script fails, with what it said.
pub(crate) fn run_script(script: &str, arguments: &[&str]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(script);
    // Isolated: neither the user's site-packages nor PYTHONPATH gets in.
    let output = Command::new(interpreter()).arg("-I").arg(path).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("the environment's python does not run: {error}"));
    assert!(output.status.success(), "{script} failed:\n{}", said(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The environment's Python.
pub(crate) fn interpreter() -> &'static Path {
    static INTERPRETER: OnceLock<PathBuf> = OnceLock::new();
    INTERPRETER.get_or_init(|| {
        let environment = provision(REQUIREMENTS);
        environment.join("bin/python")
    })
}

/// The command line of the AWS Encryption SDK.
pub(crate) fn encryption_cli() -> &'static Path {
    static COMMAND: OnceLock<PathBuf> = OnceLock::new();
    COMMAND.get_or_init(|| provision(REQUIREMENTS_CLI).join("bin/aws-encryption-cli"))
}

fn provision(requirements: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let digest = hex::encode(sha256(&[requirements.as_bytes()]));
    let environment = root.join(format!("python-{}", &digest[..16]));
    let lock = File::create(environment.with_extension("lock")).expect("the target directory is writable");
    // Released when the file is closed, also by a crash.
    lock.lock().expect("the target directory's file system can lock files");
    if !environment.join(COMPLETE).exists() {
        let _ = fs::remove_dir_all(&environment);
        make(&environment, requirements);
        fs::write(environment.join(COMPLETE), digest).expect("the target directory is writable");
    }
    environment
}

fn make(environment: &Path, requirements: &str) {
    const NEEDS: &str = "the tests against real AWS clients need python3 (3.9 or later) with its venv module, such as \
                         from `apt-get install python3 python3-venv`";
    let made = Command::new("python3").args(["-m", "venv"]).arg(environment).output();
    let made = made.unwrap_or_else(|error| panic!("{NEEDS}; python3 does not run: {error}"));
    assert!(made.status.success(), "{NEEDS}; `python3 -m venv` failed:\n{}", said(&made));
    let file = environment.join("requirements.txt");
    fs::write(&file, requirements).expect("the target directory is writable");
    let installed = Command::new(environment.join("bin/python"))
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"])
        .arg(&file)
        .output()
        .unwrap_or_else(|error| panic!("{NEEDS}; the environment's python does not run: {error}"));
    assert!(
        installed.status.success(),
        "the tests against real AWS clients install tests/clients/requirements*.txt once, from a Python package index \
         that pip can reach; pip failed:\n{}",
        said(&installed)
    );
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
