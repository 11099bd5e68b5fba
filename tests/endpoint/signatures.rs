//! Who may call: signatures that are taken and signatures that are not, by AWS's names.

use serde_json::json;

use crate::process::{AccessKey, Served};

fn served() -> (Served, AccessKey, tempfile::TempDir) {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("credentials");
    let served = Served::start(&["--ephemeral", "--credentials-file", file.to_str().unwrap()]);
    let key = AccessKey::read(&std::fs::read_to_string(&file).unwrap());
    (served, key, place)
}

#[test]
fn the_key_of_the_credentials_file_calls_and_nobody_else_reads_it() {
    use std::os::unix::fs::PermissionsExt;
    let (served, key, place) = served();
    let reply = served.signed("CreateKey", &json!({"Description": "signed"}), &key);
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.json()["KeyMetadata"]["Description"], "signed");
    let mode = std::fs::metadata(place.path().join("credentials")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn what_is_signed_wrongly_is_refused_by_name() {
    let (served, key, _place) = served();
    let refused = |key: AccessKey, code: &str, words: &str| {
        let reply = served.signed("ListKeys", &json!({}), &key);
        assert_eq!((reply.status, reply.code().as_str()), (400, code), "{reply:?}");
        assert!(reply.body.contains(words), "{}", reply.body);
    };
    refused(
        AccessKey { secret: "another".into(), ..key.clone() },
        "InvalidSignatureException",
        "does not match the signature",
    );
    refused(
        AccessKey { id: "AKIAIOSFODNN7EXAMPLE".into(), ..key.clone() },
        "UnrecognizedClientException",
        "security token",
    );
    refused(
        AccessKey { skew_seconds: -16 * 60, ..key.clone() },
        "InvalidSignatureException",
        "Signature expired",
    );
    refused(
        AccessKey { skew_seconds: 16 * 60, ..key.clone() },
        "InvalidSignatureException",
        "Signature not yet current",
    );
    refused(
        AccessKey { region: "eu-west-1".into(), ..key.clone() },
        "InvalidSignatureException",
        "scoped to a valid region",
    );
    refused(
        AccessKey { service: "s3".into(), ..key.clone() },
        "InvalidSignatureException",
        "scoped to correct service",
    );
    let unsigned = served.kms("ListKeys", &json!({}));
    assert_eq!(unsigned.code(), "MissingAuthenticationTokenException");
    let near = AccessKey { skew_seconds: -14 * 60, ..key };
    assert_eq!(served.signed("ListKeys", &json!({}), &near).status, 200);
}

#[test]
fn a_server_that_authenticates_cannot_be_reset() {
    let (served, _, _place) = served();
    for path in ["/moto-api/reset", "/_keystead/reset"] {
        assert_eq!(served.request("POST", path, &[], b"").status, 404, "{path}");
    }
    let open = Served::open_to_all();
    assert_eq!(open.kms("CreateKey", &json!({})).status, 200);
    assert_eq!(open.request("POST", "/moto-api/reset", &[], b"").status, 200);
    assert_eq!(open.kms("ListKeys", &json!({})).json()["Keys"], json!([]));
}

/// As at AWS a request can be sent again for as long as its date is good; but never with another body or operation.
#[test]
fn a_request_that_is_sent_again_says_the_same_or_is_refused() {
    let (served, key, _place) = served();
    let headers = served.sign("CreateKey", "{}", &key);
    for _ in 0..2 {
        assert_eq!(served.send(&headers, "{}").status, 200);
    }
    assert_eq!(served.send(&headers, r#"{"Description":"x"}"#).code(), "InvalidSignatureException");
    let mut other = headers.clone();
    other[1].1 = "TrentService.ListKeys".into();
    assert_eq!(served.send(&other, "{}").code(), "InvalidSignatureException");
    let mut twice = headers.clone();
    twice.push(headers[1].clone());
    assert!(served.send(&twice, "{}").status >= 400);
}
