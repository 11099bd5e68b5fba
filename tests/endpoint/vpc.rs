//! Calls that come through a VPC endpoint, by the host name that the client calls.

use serde_json::{Value, json};

use crate::process::{Reply, Served, keystead};

const LOOK_ONLY: &str = r#"{"Version": "2012-10-17", "Statement":
    {"Effect": "Allow", "Principal": "*", "Action": "kms:List*", "Resource": "*"}}"#;

fn ask(served: &Served, host: &str, operation: &str) -> Reply {
    let target = format!("TrentService.{operation}");
    let headers =
        [("Host", host), ("X-Amz-Target", target.as_str()), ("Content-Type", "application/x-amz-json-1.1")];
    served.request("POST", "/", &headers, b"{}")
}

#[test]
fn a_host_name_leads_through_the_endpoint_and_its_policy() {
    let place = tempfile::tempdir().unwrap();
    let [directory, key_file] =
        ["keystore", "keystore.key"].map(|name| place.path().join(name).to_str().unwrap().to_owned());
    let keystore = ["--keystore", directory.as_str()];
    for arguments in [
        &["init", "--key-file", key_file.as_str()][..],
        &[
            "ec2",
            "create-vpc-endpoint",
            "--vpc-id",
            "vpc-1a2b3c4d",
            "--vpc-endpoint-id",
            "vpce-1a2b3c4d",
            "--policy-document",
            LOOK_ONLY,
        ],
    ] {
        let made = keystead(arguments).args(keystore).output().unwrap();
        assert!(made.status.success(), "{made:?}");
    }
    let served = Served::start(&[&keystore[..], &["--auth", "none"]].concat());
    let inside = "vpce-1a2b3c4d-5e6f.kms.us-east-1.vpce.localhost";
    assert_eq!(ask(&served, inside, "ListKeys").status, 200);
    let denied = ask(&served, inside, "CreateKey");
    let words: Value = denied.json();
    assert_eq!((denied.status, &words["__type"]), (400, &json!("AccessDeniedException")), "{words}");
    assert!(words.to_string().contains("because no VPC endpoint policy allows the kms:CreateKey action"));
    assert_eq!(ask(&served, "localhost", "CreateKey").status, 200, "who does not come through it may");
    let gone = ask(&served, "vpce-99999999.kms.us-east-1.vpce.localhost", "ListKeys");
    assert_eq!(gone.json()["__type"], json!("InvalidVpcEndpointId.NotFound"));
}
