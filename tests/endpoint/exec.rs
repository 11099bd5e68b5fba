//! `keystead exec`: a command with an endpoint of its own.

use crate::process::keystead;

fn run(script: &str, before: &[&str]) -> (Option<i32>, String, String) {
    let output = keystead(&["exec"])
        .args(before)
        .args(["--", "sh", "-c", script])
        .env("AWS_PROFILE", "of-the-user")
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_command_finds_an_endpoint_and_its_exit_code_is_passed_on() {
    let script = "echo $AWS_ENDPOINT_URL $AWS_ACCESS_KEY_ID $AWS_REGION ${AWS_PROFILE:-none} ${#AWS_SECRET_ACCESS_KEY}; exit 7";
    let (code, said, words) = run(script, &["--region", "eu-west-1"]);
    assert_eq!(code, Some(7), "{words}");
    let parts: Vec<&str> = said.split_whitespace().collect();
    assert!(parts[0].starts_with("http://127.0.0.1:") && parts[1].starts_with("AKIA"), "{said}");
    assert_eq!(parts[2..], ["eu-west-1", "none", "40"]);
    assert_eq!(run("kill -9 $$", &[]).0, Some(137));
    let missing = keystead(&["exec", "--", "no-such-command-anywhere"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(127));
}

#[test]
fn nobody_is_served_afterwards() {
    let (_, said, _) = run("echo $AWS_ENDPOINT_URL", &[]);
    let address = said.trim().strip_prefix("http://").unwrap();
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[test]
fn a_caller_who_is_not_there_is_refused() {
    let output = keystead(&["exec", "--as", "user/nobody", "--", "true"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
}

#[test]
fn with_tls_the_command_is_told_whom_to_trust_as_long_as_it_runs() {
    let script = "echo $AWS_ENDPOINT_URL $AWS_CA_BUNDLE; head -1 $AWS_CA_BUNDLE";
    let (code, said, words) = run(script, &["--tls"]);
    assert_eq!(code, Some(0), "{words}");
    let (first, second) = said.trim().split_once('\n').unwrap();
    let (endpoint, bundle) = first.split_once(' ').unwrap();
    assert!(endpoint.starts_with("https://127.0.0.1:"), "{said}");
    assert_eq!(second, "-----BEGIN CERTIFICATE-----");
    assert!(!std::path::Path::new(bundle).exists(), "nothing is left behind");
    let (_, said, _) = run("echo ${AWS_CA_BUNDLE:-none}", &[]);
    assert_eq!(said.trim(), "none");
}
