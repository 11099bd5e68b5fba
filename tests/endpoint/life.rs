//! How a server starts and stops.

use std::{process::Stdio, time::Instant};

use serde_json::json;

use crate::process::{Served, keystead};

/// A new keystore on disk, as its arguments.
fn keystore(place: &std::path::Path) -> [String; 2] {
    let directory = place.join("keystore").to_str().unwrap().to_owned();
    let key_file = place.join("keystore.key");
    let arguments = ["--keystore".to_owned(), directory];
    let made =
        keystead(&["init", "--key-file", key_file.to_str().unwrap()]).args(&arguments).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    arguments
}

#[test]
fn it_is_ready_soon_and_ends_when_asked() {
    let started = Instant::now();
    let served = Served::open_to_all();
    // Far more than it takes, so that a busy machine does not fail the test.
    assert!(started.elapsed().as_secs() < 10);
    let health = served.request("GET", "/_keystead/health", &[], b"");
    assert_eq!((health.status, &health.json()["status"]), (200, &json!("running")));
    assert_eq!(served.kms("ListKeys", &json!({})).status, 200);
    let metrics = served.request("GET", "/_keystead/metrics", &[], b"").body;
    assert!(
        metrics.contains("keystead_requests_total{service=\"kms\",operation=\"ListKeys\",outcome=\"ok\"} 1"),
        "{metrics}"
    );
    assert_eq!(served.terminate(), Some(0));
}

#[test]
fn a_second_start_names_the_first_and_what_was_made_stays() {
    let place = tempfile::tempdir().unwrap();
    let keystore = keystore(place.path());
    let arguments: Vec<&str> = keystore.iter().map(String::as_str).chain(["--auth", "none"]).collect();
    let first = Served::start(&arguments);
    assert_eq!(first.kms("CreateKey", &json!({})).status, 200);

    let second = keystead(&["serve", "--listen", "127.0.0.1:0"])
        .args(&keystore)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(1), "{words}");
    assert!(words.contains(&format!("keystead serve at http://{}", first.address)), "{words}");
    assert!(words.contains("hint: it is being served"), "{words}");

    assert_eq!(first.terminate(), Some(0));
    let again = Served::start(&arguments);
    assert_eq!(again.kms("ListKeys", &json!({})).json()["Keys"].as_array().unwrap().len(), 1);
    // One on disk is not reset by whoever asks.
    assert_eq!(again.request("POST", "/_keystead/reset", &[], b"").status, 404);
}

#[test]
fn other_machines_are_let_in_by_a_flag_and_signatures_alone() {
    for arguments in [
        &["serve", "--ephemeral", "--listen", "0.0.0.0:0"][..],
        &["serve", "--ephemeral", "--listen", "0.0.0.0:0", "--allow-remote", "--auth", "none"][..],
    ] {
        let refused = keystead(arguments).stdin(Stdio::null()).output().unwrap();
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    }
}

#[test]
fn without_authentication_the_access_key_id_is_the_account() {
    let served = Served::open_to_all();
    let account_of = |authorization: Option<&str>| {
        let target = ("X-Amz-Target", "TrentService.CreateKey");
        let mut headers = vec![target, ("Content-Type", "application/x-amz-json-1.1")];
        headers.extend(authorization.map(|text| ("Authorization", text)));
        let reply = served.request("POST", "/", &headers, b"{}");
        reply.json()["KeyMetadata"]["AWSAccountId"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(account_of(None), "123456789012");
    assert_eq!(
        account_of(Some("AWS4-HMAC-SHA256 Credential=222233334444/20260101/us-east-1/kms/aws4_request")),
        "222233334444"
    );
    assert_eq!(
        account_of(Some("AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/kms/aws4_request")),
        "123456789012"
    );
}

/// What the process asked for is seen from outside as its limit (proc(5)); that it is not dumpable as well is a unit
/// test's, since root reads every process.
#[cfg(target_os = "linux")]
#[test]
fn a_crash_of_it_would_leave_no_core() {
    let served = Served::open_to_all();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", served.child.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
}
