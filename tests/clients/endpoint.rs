//! AWS's own clients against a served keystore: each where it may and where it may not.

use std::{
    ffi::OsString,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use keystead::api::kms::{Support, support_table};

use crate::python;

pub(crate) const LAB: &str = "keystore/lab.toml";
pub(crate) const KEY_ARN: &str =
    "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

pub(crate) fn keystead(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keystead"));
    command.args(arguments).env_remove("KEYSTEAD_KEYSTORE").env_remove("KEYSTEAD_AS").env("NO_COLOR", "1");
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

/// Runs a command and answers what it printed; it must end well.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?}:\n{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

fn boto3(mode: &str, caller: &str) {
    let served: Vec<&str> = support_table()
        .into_iter()
        .filter(|(_, support)| *support == Support::Served)
        .map(|(name, _)| name)
        .collect();
    let mut command = keystead(&["exec", "--from", LAB, "--as", caller, "--"]);
    command
        .arg(python::interpreter())
        .arg("-I")
        .arg(repository("tests/clients/endpoint.py"))
        .arg(mode)
        .args(&served);
    let called: usize = run(&mut command).trim().parse().unwrap();
    assert!(called >= served.len());
}

#[test]
fn boto3_calls_every_operation_that_is_served() {
    boto3("allowed", "user/admin");
}

#[test]
fn boto3_is_denied_every_operation_that_is_served() {
    boto3("denied", "user/bob");
}

#[test]
fn a_user_made_over_the_wire_signs_with_its_own_access_key() {
    let mut command = keystead(&["exec", "--"]);
    command.arg(python::interpreter()).arg("-I").arg(repository("tests/clients/iam.py"));
    assert_eq!(run(&mut command).trim(), "done");
}

#[test]
fn boto3_speaks_tls_with_whom_the_bundle_says_and_nobody_else() {
    let mut command = keystead(&["exec", "--tls", "--"]);
    command.arg(python::interpreter()).arg("-I").arg(repository("tests/clients/tls.py"));
    assert_eq!(run(&mut command).trim(), "done");
}

/// Where there is `openssl`: a client that is neither ours nor Python's.
#[test]
fn openssl_verifies_the_servers_certificate() {
    if Command::new("openssl").arg("version").output().is_err() {
        return;
    }
    let script = "address=${AWS_ENDPOINT_URL#https://}; \
                  openssl s_client -connect $address -CAfile $AWS_CA_BUNDLE -verify_return_error \
                  -verify_hostname localhost </dev/null 2>&1";
    let said = run(keystead(&["exec", "--tls", "--", "sh", "-c"]).arg(script));
    assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
    assert!(said.contains("TLSv1.3, Cipher is TLS_AES_256_GCM_SHA384"), "{said}");
    let script = script.replace("-verify_hostname localhost", "-verify_hostname elsewhere.test");
    let output = keystead(&["exec", "--tls", "--", "sh", "-c"]).arg(script).output().unwrap();
    assert!(!output.status.success(), "{output:?}");
}

/// Runs a script of commands of the `aws` command as the administrator of an empty keystore.
fn aws_script(name: &str) -> String {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("plain"), b"weights").unwrap();
    let mut command = keystead(&["exec", "--", "sh"]);
    command.arg(repository("tests/clients").join(name)).env("PATH", path_with_tools());
    command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    run(command.current_dir(place.path()))
}

/// The search path, with the environment's commands and this program before the others.
fn path_with_tools() -> OsString {
    let program = Path::new(env!("CARGO_BIN_EXE_keystead")).parent().unwrap();
    let tools = [python::interpreter().parent().unwrap(), program].map(Path::to_path_buf);
    let others = std::env::var_os("PATH").unwrap();
    std::env::join_paths(tools.into_iter().chain(std::env::split_paths(&others))).unwrap()
}

#[test]
fn the_aws_command_leads_a_key_through_its_life() {
    assert_eq!(aws_script("key_life.sh").trim(), "alias/cli");
}

#[test]
fn by_the_aws_command_nobody_reads_without_the_key_nor_deletes_without_the_second_factor() {
    assert_eq!(aws_script("stories.sh").trim(), "PendingDeletion");
}

/// Runs every block of shell commands of the page on the endpoint, each in a directory of its own with the lab's world and
/// the page's Python files in it.
#[test]
fn the_commands_of_the_page_on_the_endpoint_work() {
    let page = fs::read_to_string(repository("docs/endpoint.md")).unwrap();
    let blocks = |language: &str| {
        let fence = format!("```{language}\n");
        let bodies = page.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned());
        bodies.collect::<Vec<_>>()
    };
    let files: Vec<(String, String)> = blocks("python")
        .into_iter()
        .map(|text| (text.lines().next().unwrap().trim_start_matches("# ").to_owned(), text))
        .collect();
    let path = path_with_tools();
    let commands = blocks("sh");
    assert!(commands.len() > 4);
    for block in commands {
        let place = tempfile::tempdir().unwrap();
        fs::copy(repository(LAB), place.path().join("lab.toml")).unwrap();
        for (name, text) in &files {
            fs::write(place.path().join(name), text).unwrap();
        }
        // `!` says that a command is to fail, and by itself does not end a script when it does not.
        let lines = block.lines().map(|line| match line.strip_prefix("! ") {
            Some(command) => format!("if {command}; then exit 9; fi\n"),
            None => format!("{line}\n"),
        });
        let lines: String = lines.collect();
        let script = format!("set -eu\ntrap 'kill ${{!:-}} 2> /dev/null || true' EXIT\n{lines}");
        let mut command = Command::new("sh");
        command
            .args(["-c", &script])
            .current_dir(place.path())
            .env("PATH", &path)
            .env("NO_PROXY", "127.0.0.1");
        for name in
            ["KEYSTEAD_KEYSTORE", "KEYSTEAD_AS", "KEYSTEAD_KEY_FILE", "AWS_PROFILE", "AWS_ENDPOINT_URL"]
        {
            command.env_remove(name);
        }
        command.env("AWS_CONFIG_FILE", "/dev/null").stderr(Stdio::piped());
        run(&mut command);
    }
}

/// The model of which the endpoint's constraints are made is the one that botocore has.
#[test]
fn the_service_model_is_that_of_botocore() {
    let script = repository("src/api/kms/service_model.py");
    let made = run(Command::new(python::interpreter()).arg("-I").arg(script));
    let file = repository("src/api/kms/service_model.json");
    if std::env::var_os("KEYSTEAD_RENEW").is_some() {
        fs::write(&file, &made).unwrap();
    }
    assert_eq!(
        fs::read_to_string(file).unwrap(),
        made,
        "renew it with `KEYSTEAD_RENEW=1 cargo test --test clients`"
    );
}

/// A keystore on disk that is served, until it is dropped.
pub(crate) struct Served {
    child: Child,
    pub(crate) endpoint: String,
    credentials: PathBuf,
}

impl Served {
    pub(crate) fn start(place: &Path) -> Self {
        let credentials = place.join("credentials");
        let mut command = keystead(&["serve", "--listen", "127.0.0.1:0", "--keystore"]);
        command.arg(place.join("keystore")).arg("--credentials-file").arg(&credentials);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let endpoint = line.trim().strip_prefix("ready: ").unwrap_or_else(|| panic!("`{line}`")).to_owned();
        Self { child, endpoint, credentials }
    }

    /// Gives a command the administrator's access key.
    pub(crate) fn with<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"] {
            command.env_remove(name);
        }
        command
            .env("AWS_SHARED_CREDENTIALS_FILE", &self.credentials)
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ENDPOINT_URL", &self.endpoint)
            .env("NO_PROXY", "127.0.0.1")
    }

    /// Ends it, so that others have the keystore.
    pub(crate) fn stop(mut self) {
        run(Command::new("kill").args(["-TERM", &self.child.id().to_string()]));
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _gone_already = self.child.wait();
    }
}

/// A keystore on disk with the lab in it, in `place/keystore`.
pub(crate) fn lab_keystore(place: &Path) {
    let (keystore, key_file) = (place.join("keystore"), place.join("keystore.key"));
    run(keystead(&["init", "--from", LAB, "--keystore"]).arg(keystore).arg("--key-file").arg(key_file));
}

#[test]
fn the_encryption_sdk_and_keystead_open_what_the_other_sealed_under_a_kms_key() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    lab_keystore(place.path());
    fs::write(at("plain"), vec![7; 100_000]).unwrap();
    let sdk = |served: &Served, what: &str, from: &str, to: &str| {
        let mut command = Command::new(python::interpreter());
        command
            .arg("-I")
            .arg(repository("tests/clients/sdk_kms.py"))
            .args([what, KEY_ARN])
            .args([at(from), at(to)]);
        run(served.with(&mut command));
    };
    let ours = |arguments: &[&str]| {
        let mut command = keystead(arguments);
        command.arg("--keystore").arg(at("keystore")).current_dir(place.path());
        command
    };

    let served = Served::start(place.path());
    sdk(&served, "seal", "plain", "theirs");
    served.stop();
    run(&mut ours(&["decrypt", "theirs", "-o", "opened"]));
    assert!(fs::read(at("opened")).unwrap() == fs::read(at("plain")).unwrap());
    let denied = ours(&["decrypt", "theirs", "-o", "no", "--as", "user/bob"]).output().unwrap();
    assert_eq!(denied.status.code(), Some(3), "{denied:?}");

    run(&mut ours(&["encrypt", "plain", "-o", "ours", "--key", "alias/models", "--context", "project=tour"]));
    let served = Served::start(place.path());
    sdk(&served, "open", "ours", "opened-by-the-sdk");
    assert!(fs::read(at("opened-by-the-sdk")).unwrap() == fs::read(at("plain")).unwrap());
}
