//! Requests that nobody's client sends: the AWS error or the closed connection; never a hang, a panic or a 500; and the
//! next request is answered.

use std::io::Write;

use serde_json::json;

use crate::process::Served;

const JSON: (&str, &str) = ("Content-Type", "application/x-amz-json-1.1");
const LIST_KEYS: (&str, &str) = ("X-Amz-Target", "TrentService.ListKeys");

fn answers(served: &Served) {
    assert_eq!(served.kms("ListKeys", &json!({})).status, 200);
}

#[test]
fn what_is_no_http_is_refused_or_closed() {
    let served = Served::open_to_all();
    let long = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    let many = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X: y\r\n".repeat(500));
    let bad: [&[u8]; 7] = [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        long.as_bytes(),
        many.as_bytes(),
    ];
    for bytes in bad {
        let answer = served.raw(bytes);
        let refused = answer.is_empty() || answer.starts_with("HTTP/1.1 4");
        assert!(refused, "{}: {answer}", String::from_utf8_lossy(bytes).chars().take(60).collect::<String>());
    }
    answers(&served);
}

#[test]
fn web_pages_and_other_names_are_refused() {
    let served = Served::open_to_all();
    for header in [
        ("Origin", "https://example.com"),
        ("Origin", "null"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Host", "rebound.example.com"),
    ] {
        let reply = served.request("POST", "/", &[LIST_KEYS, JSON, header], b"{}");
        assert_eq!(reply.status, 403, "{header:?}");
        assert!(!reply.head.contains("access-control-"), "{}", reply.head);
        assert_eq!(served.request("POST", "/_keystead/reset", &[header], b"").status, 403, "{header:?}");
    }
    for content_type in ["text/plain", "multipart/form-data; boundary=x"] {
        let reply = served.request("POST", "/", &[LIST_KEYS, ("Content-Type", content_type)], b"{}");
        assert_eq!(reply.status, 415, "{content_type}");
    }
    let preflight = served.request("OPTIONS", "/", &[], b"");
    assert!(preflight.status >= 400 && !preflight.head.contains("access-control-"), "{}", preflight.head);
    answers(&served);
}

#[test]
fn bodies_that_are_no_json_or_too_much_are_named() {
    let served = Served::open_to_all();
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(40), "]".repeat(40));
    for body in ["{", "[]", "\u{0}", "{\"Limit\":\"1\"}", deep.as_str()] {
        let reply = served.request("POST", "/", &[LIST_KEYS, JSON], body.as_bytes());
        assert_eq!((reply.status, reply.code().as_str()), (400, "SerializationException"), "{body}");
        assert!(reply.head.contains("x-amzn-requestid: "), "{}", reply.head);
    }
    let large = served.request("POST", "/", &[LIST_KEYS, JSON], &vec![b' '; 1024 * 1024 + 1]);
    assert!(large.status == 413 || large.status == 0, "{large:?}");
    let exact = served.request("POST", "/", &[LIST_KEYS, JSON], &vec![b' '; 1024 * 1024]);
    assert_eq!(exact.status, 200);
    answers(&served);
}

#[test]
fn operations_that_there_are_not_are_told_from_those_that_are_not_built() {
    let served = Served::open_to_all();
    assert_eq!(served.kms("MakeCoffee", &json!({})).code(), "UnknownOperationException");
    assert_eq!(served.kms("GetPublicKey", &json!({"KeyId": "x"})).code(), "UnsupportedOperationException");
    let other = served.request("POST", "/", &[("X-Amz-Target", "DynamoDB_20120810.ListTables"), JSON], b"{}");
    assert_eq!(other.code(), "UnknownOperationException");
    for (method, path) in [("GET", "/"), ("PUT", "/"), ("DELETE", "/x"), ("GET", "/_keystead/secrets")] {
        let status = served.request(method, path, &[], b"").status;
        assert!((400..500).contains(&status), "{method} {path}: {status}");
    }
}

#[test]
fn thousands_of_idle_connections_keep_nobody_out() {
    let served = Served::open_to_all();
    let mut idle = Vec::new();
    for number in 0..2000 {
        let Ok(mut stream) = std::net::TcpStream::connect(&served.address) else { break };
        if number % 2 == 0 {
            // Half of them have begun a request and do not go on.
            let _sent = stream.write_all(b"POST / HTTP/1.1\r\nHost: local");
        }
        idle.push(stream);
    }
    assert!(idle.len() > 200, "{}", idle.len());
    answers(&served);
}

#[test]
fn bodies_that_come_slowly_keep_nobody_out() {
    let served = Served::open_to_all();
    let head = "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: TrentService.ListKeys\r\n\
        Content-Type: application/x-amz-json-1.1\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{";
    let mut slow: Vec<_> = (0..200).map(|_| served.connect()).collect();
    for stream in &mut slow {
        stream.write_all(head.as_bytes()).unwrap();
    }
    answers(&served);
    // Half of them go away; who goes on is answered.
    slow.truncate(100);
    answers(&served);
    let mut last = slow.pop().unwrap();
    last.write_all(b"}").unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut last, &mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn a_body_that_does_not_say_how_long_it_is_ends_at_the_limit() {
    let served = Served::open_to_all();
    let head = "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: TrentService.ListKeys\r\n\
        Content-Type: application/x-amz-json-1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    let answer = served.raw(format!("{head}{}0\r\n\r\n", chunk.repeat(17)).as_bytes());
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413"), "{answer}");
    let small = served.raw(format!("{head}2\r\n{{}}\r\n0\r\n\r\n").as_bytes());
    assert!(small.starts_with("HTTP/1.1 200"), "{small}");
    answers(&served);
}
