//! The port for TLS: who is certain of whom, what policies see, what the log says, and what is refused.

use std::{
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    sync::Arc,
};

use keystead::{
    keystore::{Keystore, WithoutAsking},
    lab::wiretap::client_hello_of_tls_11,
    transit::{Client, Limits, Now, Options, TransitError, Trust, pem},
};
use serde_json::{Value, json};

use crate::process::{Reply, Served, keystead};

const KMS: [(&str, &str); 1] = [("Content-Type", "application/x-amz-json-1.1")];

/// A client that trusts the authority in this file.
fn client(ca: &Path) -> Client {
    let trust = Trust::without_revocation(&pem::read_certificates(ca).unwrap()).unwrap();
    Client::new(None, &trust, Now::system(), &Options::default()).unwrap()
}

/// Asks KMS over TLS, as the host of this name.
fn ask(
    served: &Served,
    client: &Client,
    host: &str,
    operation: &str,
    input: &Value,
) -> Result<Reply, TransitError> {
    let socket = TcpStream::connect(served.tls.as_ref().unwrap()).unwrap();
    let mut stream = client.connect(socket, host, &Limits::default())?;
    let target = format!("TrentService.{operation}");
    let headers = [("X-Amz-Target", target.as_str()), KMS[0], ("Host", host)];
    stream.write_all(&served.head_and_body("POST", "/", &headers, input.to_string().as_bytes()))?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(Reply::parse(&answer))
}

/// A keystore on disk, served on both ports without signatures; its arguments, and the authority's file.
fn served(place: &Path, more: &[&str]) -> Served {
    let at = |name: &str| place.join(name).to_str().unwrap().to_owned();
    let keystore = ["--keystore".to_owned(), at("keystore")];
    if !place.join("keystore").exists() {
        let made = keystead(&["init", "--key-file", &at("key")]).args(&keystore).output().unwrap();
        assert!(made.status.success(), "{made:?}");
    }
    let ca = at("ca.pem");
    let mut arguments = vec!["--auth", "none", "--tls-listen", "127.0.0.1:0", "--ca-file", &ca];
    arguments.extend(keystore.iter().map(String::as_str));
    Served::start(&[&arguments[..], more].concat())
}

#[test]
fn policies_see_which_calls_came_by_tls_and_the_log_says_how() {
    let place = tempfile::tempdir().unwrap();
    let served = served(place.path(), &[]);
    let client = client(&place.path().join("ca.pem"));
    let statement = |effect: &str, action: &str, condition: Value| {
        json!({
            "Effect": effect, "Principal": {"AWS": "*"}, "Action": action, "Resource": "*", "Condition": condition,
        })
    };
    let policy = json!({"Version": "2012-10-17", "Statement": [
        statement("Allow", "kms:*", json!({})),
        statement("Deny", "kms:Encrypt", json!({"Bool": {"aws:SecureTransport": "false"}})),
    ]});
    let made = served.kms("CreateKey", &json!({"Policy": policy.to_string()})).json();
    let key = made["KeyMetadata"]["KeyId"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
    let encrypt = json!({"KeyId": key, "Plaintext": "AAAA"});
    assert_eq!(served.kms("Encrypt", &encrypt).code(), "AccessDeniedException");
    let reply = ask(&served, &client, "localhost", "Encrypt", &encrypt).unwrap();
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(ask(&served, &client, "127.0.0.1", "Encrypt", &encrypt).unwrap().status, 200);

    assert_eq!(served.terminate(), Some(0));
    let keystore = Keystore::open(&place.path().join("keystore"), &mut WithoutAsking, "test").unwrap();
    let records = keystore.audit_tail(&keystore.administrator(), 100).unwrap();
    let encrypts: Vec<_> = records.iter().filter(|record| record.event_name == "Encrypt").collect();
    let details = |at: usize| serde_json::to_value(&encrypts[at].tls_details).unwrap();
    assert_eq!((encrypts.len(), details(0)), (3, Value::Null));
    for (at, host) in [(1, "localhost"), (2, "127.0.0.1")] {
        assert_eq!(
            details(at),
            json!({
                "tlsVersion": "TLSv1.3",
                "cipherSuite": "TLS_AES_256_GCM_SHA384",
                "clientProvidedHostHeader": host,
                "keyExchange": "X25519MLKEM768",
            })
        );
    }
    // The server's own certificate went through the door like every other.
    assert!(records.iter().any(|record| record.event_name == "IssueCertificate"));
}

#[test]
fn clients_refuse_another_authority_and_another_name_and_are_refused_when_they_are_old() {
    let place = tempfile::tempdir().unwrap();
    let served = served(place.path(), &["--allow-host", "kms.test"]);
    let ours = client(&place.path().join("ca.pem"));
    let list = |client: &Client, host: &str| ask(&served, client, host, "ListKeys", &json!({}));
    assert_eq!(list(&ours, "kms.test").unwrap().status, 200);
    assert_eq!(list(&ours, "elsewhere.test").unwrap_err().name(), "WrongHost");

    let other = tempfile::tempdir().unwrap();
    let second = self::served(other.path(), &[]);
    let theirs = client(&other.path().join("ca.pem"));
    assert_eq!(list(&theirs, "localhost").unwrap_err().name(), "UnknownAuthority");
    drop(second);

    let tls = served.tls.as_ref().unwrap();
    let mut old = TcpStream::connect(tls).unwrap();
    old.write_all(&client_hello_of_tls_11("localhost")).unwrap();
    let mut answer = [0; 7];
    old.read_exact(&mut answer).unwrap();
    assert_eq!((answer[0], answer[6]), (21, 40), "the alert handshake_failure");
    assert!(!tls_12_works(tls));
    // Who speaks no TLS on this port is not answered, and TLS on the other port is no HTTP.
    let mut plain = TcpStream::connect(tls).unwrap();
    plain.write_all(b"GET /_keystead/health HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ended_or_reset = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/"), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(list(&ours, "localhost").unwrap().status, 200);
    assert_eq!(served.terminate(), Some(0));

    let served = self::served(place.path(), &["--tls12"]);
    assert!(tls_12_works(served.tls.as_ref().unwrap()));
}

/// Whether a client that speaks TLS 1.2 alone makes a handshake.
fn tls_12_works(address: &str) -> bool {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let mut connection =
        rustls::ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let mut socket = TcpStream::connect(address).unwrap();
    // This client trusts nobody: to get as far as that, the two have agreed on a version.
    let error = connection.complete_io(&mut socket).unwrap_err();
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(_)) => true,
        Some(rustls::Error::AlertReceived(rustls::AlertDescription::ProtocolVersion)) => false,
        other => panic!("{other:?}"),
    }
}

#[test]
fn other_machines_are_let_in_by_a_flag_and_signatures_alone_over_tls_too() {
    for more in [&["--auth", "none", "--allow-remote"][..], &[]] {
        let refused =
            keystead(&["serve", "--ephemeral", "--listen", "127.0.0.1:0", "--tls-listen", "0.0.0.0:0"])
                .args(more)
                .output()
                .unwrap();
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    }
}

#[test]
fn the_profile_and_the_files_say_where_tls_is_and_whom_to_trust() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    let (profile, ports, ca) = (at("profile"), at("ports"), at("ca.pem"));
    let served = Served::start(&[
        "--ephemeral",
        "--tls-listen",
        "127.0.0.1:0",
        "--credentials-file",
        &profile,
        "--port-file",
        &ports,
        "--ca-file",
        &ca,
    ]);
    let (address, tls) = (&served.address, served.tls.as_ref().unwrap());
    let profile = std::fs::read_to_string(profile).unwrap();
    assert!(profile.contains(&format!("endpoint_url = https://{tls}\n")), "{profile}");
    assert!(profile.contains(&format!("ca_bundle = {ca}\n")), "{profile}");
    let port = |address: &str| address.rsplit(':').next().unwrap().to_owned();
    assert_eq!(std::fs::read_to_string(ports).unwrap(), format!("{}\n{}\n", port(address), port(tls)));
}
