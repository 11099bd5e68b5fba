//! The published suite, the `aws-sigv4` crate as a signer over random requests, and what must be refused.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign},
    sign::v4,
};
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::{crypto::digest::sha256, secret::SecretBytes};

const SUITE: &str = include_str!("../../../tests/vectors/sigv4/suite.json");
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// A request taken apart, as text.
struct Text {
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Text {
    /// Takes apart what stands in a file of the suite.
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
        let mut lines = head.lines();
        let first = lines.next().unwrap();
        let (method, rest) = first.split_once(' ').unwrap();
        let target = rest.strip_suffix(" HTTP/1.1").unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut headers: Vec<(String, Vec<u8>)> = Vec::new();
        for line in lines {
            match line.split_once(':') {
                Some((name, value)) if !line.starts_with(' ') => {
                    headers.push((name.into(), value.as_bytes().to_vec()));
                }
                // A folded line goes on with the header above it.
                _ => headers.last_mut().unwrap().1.extend_from_slice(format!("\n{line}").as_bytes()),
            }
        }
        let (method, path, query) = (method.into(), path.into(), query.into());
        Self { method, path, query, headers, body: body.as_bytes().to_vec() }
    }

    fn with<T>(&self, work: impl FnOnce(&Request<'_>) -> T) -> T {
        let headers: Vec<(&str, &[u8])> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        work(&Request {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &headers,
            body_sha256: sha256(&[&self.body]),
        })
    }
}

fn check(text: &Text, settings: Settings, now: Timestamp, secret: &str) -> Result<(), SignatureError> {
    text.with(|request| {
        let presented = Presented::read(request, settings)?;
        presented.check_time(now)?;
        let key = SigningKey::derive(&SecretBytes::from(secret.as_bytes()), presented.scope());
        verify(&presented, request, settings, &key)
    })
}

/// Every case of the suite, in both forms: the canonical request, the string to sign, the signature; and none of them
/// under another secret.
#[test]
fn the_published_suite_holds() {
    let suite: Value = serde_json::from_str(SUITE).unwrap();
    let cases = suite["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 38);
    let now: Timestamp = "2015-08-30T12:36:00Z".parse().unwrap();
    for case in cases {
        let (name, context) = (case["name"].as_str().unwrap(), &case["context"]);
        let settings = Settings {
            normalize_path: context["normalize"].as_bool().unwrap(),
            sign_session_token: !context["omit_session_token"].as_bool().unwrap_or(false),
        };
        let secret = context["credentials"]["secret_access_key"].as_str().unwrap();
        for form in ["header", "query"] {
            let part = |part: &str| case[format!("{form}_{part}")].as_str().unwrap();
            let text = Text::parse(part("signed"));
            text.with(|request| {
                let presented = Presented::read(request, settings).unwrap();
                let canonical = canonical::request(&presented, request, settings);
                assert_eq!(canonical, part("canonical"), "{name}, {form}");
                assert_eq!(
                    canonical::string_to_sign(&presented, &canonical),
                    part("string_to_sign"),
                    "{name}"
                );
                let token = context["credentials"]["token"].as_str();
                assert_eq!(presented.session_token(), token, "{name}");
            });
            assert_eq!(check(&text, settings, now, secret), Ok(()), "{name}, {form}");
            assert_eq!(
                check(&text, settings, now, "another"),
                Err(SignatureError::Mismatch),
                "{name}, {form}"
            );
        }
    }
}

/// A request signed by the crate `aws-sigv4`.
fn signed_by_the_crate(mut text: Text, in_query: bool, token: Option<&str>, at: Timestamp) -> Text {
    let identity = Credentials::new("AKIDEXAMPLE", SECRET, token.map(str::to_owned), None, "test").into();
    let mut settings = SigningSettings::default();
    if in_query {
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(Duration::from_secs(300));
    }
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(at.as_millis().try_into().unwrap());
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name("kms")
        .time(time)
        .settings(settings)
        .build()
        .unwrap()
        .into();
    let uri = format!("http://{}{}?{}", "127.0.0.1:4599", text.path, text.query);
    let uri = uri.trim_end_matches('?').to_owned();
    let headers: Vec<(String, String)> = text
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), String::from_utf8(value.clone()).unwrap()))
        .collect();
    let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let signable =
        SignableRequest::new(&text.method, &uri, headers, SignableBody::Bytes(&text.body)).unwrap();
    let (instructions, _) = sign(signable, &parameters).unwrap().into_parts();
    let (new_headers, new_parameters) = instructions.into_parts();
    for header in new_headers {
        text.headers.push((header.name().to_owned(), header.value().as_bytes().to_vec()));
    }
    for (name, value) in new_parameters {
        let mut encoded = String::new();
        canonical::encode_for_tests(&mut encoded, &value);
        let separator = if text.query.is_empty() { "" } else { "&" };
        text.query.push_str(&format!("{separator}{name}={encoded}"));
    }
    text
}

fn plain(method: &str, path: &str, query: &str, headers: Vec<(String, String)>, body: Vec<u8>) -> Text {
    let mut all = vec![("host".to_owned(), b"127.0.0.1:4599".to_vec())];
    all.extend(headers.into_iter().map(|(name, value)| (name, value.into_bytes())));
    Text { method: method.into(), path: path.into(), query: query.into(), headers: all, body }
}

const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

proptest! {
    #[test]
    fn the_crate_signs_and_we_agree(
        post in any::<bool>(),
        in_query in any::<bool>(),
        token in proptest::option::of("[A-Za-z0-9/+=]{8,40}"),
        path in "(/[a-zA-Z0-9._~ -]{0,8}|/%[2-7][0-9A-F]){0,4}/?",
        query in proptest::collection::vec(("[a-zA-Z0-9_-]{1,6}", "([a-zA-Z0-9_.~-]|%[2-7][0-9A-F]){0,8}"), 0..4),
        headers in proptest::collection::vec(("x-amz-[a-z]{3,8}", "[ -~]{0,12}"), 0..4),
        body in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let method = if post { "POST" } else { "GET" };
        let path = format!("/{}", path.trim_start_matches('/')).replace(' ', "%20");
        let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut names: Vec<String> = Vec::new();
        let headers: Vec<(String, String)> = headers
            .into_iter()
            .filter(|(name, _)| !names.contains(name) && { names.push(name.clone()); true })
            .collect();
        let text = plain(method, &path, &query.join("&"), headers, body);
        let mut text = signed_by_the_crate(text, in_query, token.as_deref(), NOW);
        prop_assert_eq!(check(&text, Settings::default(), NOW, SECRET), Ok(()));

        // Another body, another method, another host: another request.
        text.body.push(b'x');
        prop_assert_eq!(check(&text, Settings::default(), NOW, SECRET), Err(SignatureError::Mismatch));
        text.body.pop();
        text.method = "PUT".into();
        prop_assert_eq!(check(&text, Settings::default(), NOW, SECRET), Err(SignatureError::Mismatch));
        text.method = method.into();
        text.headers[0].1 = b"127.0.0.1:4598".to_vec();
        prop_assert_eq!(check(&text, Settings::default(), NOW, SECRET), Err(SignatureError::Mismatch));
    }

    #[test]
    fn no_header_and_no_query_makes_the_reader_panic(
        header in "(AWS4-HMAC-SHA256 )?\\PC{0,80}",
        date in "(2015[0-9]{4}T[0-9]{6}Z)?\\PC{0,4}",
        query in "(X-Amz-Algorithm=AWS4-HMAC-SHA256&)?([A-Za-z-]{0,14}=(\\PC|%){0,12}&?){0,5}",
    ) {
        let headers = vec![("authorization".to_owned(), header), ("x-amz-date".to_owned(), date)];
        for headers in [headers, Vec::new()] {
            let text = plain("POST", "/", &query, headers, Vec::new());
            prop_assert!(check(&text, Settings::default(), NOW, SECRET).is_err());
        }
    }
}

fn example() -> Text {
    let target = ("x-amz-target".to_owned(), "TrentService.ListKeys".to_owned());
    signed_by_the_crate(plain("POST", "/", "", vec![target], b"{}".to_vec()), false, None, NOW)
}

fn at(time: i64) -> Result<(), SignatureError> {
    check(&example(), Settings::default(), NOW.plus_millis(time), SECRET)
}

#[test]
fn fifteen_minutes_of_skew_and_not_a_second_more() {
    for near in [0, SKEW_MILLIS_MAX, -SKEW_MILLIS_MAX] {
        assert_eq!(at(near), Ok(()), "{near}");
    }
    let late = at(SKEW_MILLIS_MAX + 1000).unwrap_err();
    assert_eq!(
        late.to_string(),
        "Signature expired: 20260101T000000Z is now earlier than 20260101T000001Z (20260101T001501Z - 15 min.)"
    );
    let early = at(-SKEW_MILLIS_MAX - 1000).unwrap_err();
    assert!(early.to_string().starts_with("Signature not yet current: 20260101T000000Z"), "{early}");
    assert_eq!(
        (late.json_code(), early.query_code()),
        ("InvalidSignatureException", "SignatureDoesNotMatch")
    );
}

#[test]
fn a_request_signed_in_its_query_expires_when_it_says() {
    let text =
        signed_by_the_crate(plain("GET", "/", "Action=GetCallerIdentity", vec![], vec![]), true, None, NOW);
    let after = |seconds: i64| check(&text, Settings::default(), NOW.plus_millis(seconds * 1000), SECRET);
    assert_eq!(after(300), Ok(()));
    assert_eq!(after(301), Err(SignatureError::RequestExpired));
}

#[test]
fn a_request_signed_in_its_query_lasts_a_quarter_of_an_hour_at_most() {
    let mut text =
        signed_by_the_crate(plain("GET", "/", "Action=GetCallerIdentity", vec![], vec![]), true, None, NOW);
    text.query = text.query.replace("X-Amz-Expires=300", "X-Amz-Expires=604800");
    let verified = |seconds: i64| {
        let now = NOW.plus_millis(seconds * 1000);
        text.with(|request| Presented::read(request, Settings::default())?.check_time(now))
    };
    assert_eq!(verified(900), Ok(()));
    assert_eq!(verified(901), Err(SignatureError::RequestExpired));
}

/// Changes the example's authorization header.
fn with_authorization(change: impl FnOnce(&str) -> String) -> Result<(), SignatureError> {
    let mut text = example();
    let header = text.headers.iter_mut().find(|(name, _)| name == "authorization").unwrap();
    header.1 = change(str::from_utf8(&header.1).unwrap()).into_bytes();
    check(&text, Settings::default(), NOW, SECRET)
}

#[test]
fn what_is_not_whole_is_refused_by_name() {
    let incomplete = |result: Result<(), SignatureError>, words: &str| match result {
        Err(SignatureError::Incomplete(message)) => assert!(message.contains(words), "{message}"),
        other => panic!("{words}: {other:?}"),
    };
    assert_eq!(with_authorization(str::to_owned), Ok(()));
    incomplete(with_authorization(|_| "Basic YTpi".into()), "Unsupported AWS 'algorithm'");
    incomplete(
        with_authorization(|_| ALGORITHM.into()),
        "requires 'Credential' parameter. Authorization header requires",
    );
    incomplete(with_authorization(|text| text.replace("host;", "")), "'Host' or ':authority' must be");
    incomplete(with_authorization(|text| text.replace(";x-amz-target", "")), "not signed: x-amz-target");
    incomplete(with_authorization(|text| text.replace("host;x-amz-date", "x-amz-date;host")), "sorted");
    incomplete(with_authorization(|text| text.replace("/us-east-1/", "/")), "exactly 5");
    incomplete(with_authorization(|text| format!("{text}, Signature=00")), "twice");
    let scope = with_authorization(|text| text.replace("aws4_request", "aws5_request")).unwrap_err();
    assert!(scope.to_string().contains("valid terminator"), "{scope}");
    let day = with_authorization(|text| text.replace("/20260101/", "/20260102/")).unwrap_err();
    assert!(day.to_string().starts_with("Date in Credential scope does not match"), "{day}");

    let mut text = example();
    text.headers.retain(|(name, _)| name != "authorization");
    assert_eq!(check(&text, Settings::default(), NOW, SECRET), Err(SignatureError::Missing));
    let mut text = example();
    text.headers.retain(|(name, _)| name != "x-amz-date");
    incomplete(check(&text, Settings::default(), NOW, SECRET), "existence of either a 'X-Amz-Date'");
    let mut text = example();
    let again = text.headers.iter().find(|(name, _)| name == "authorization").cloned().unwrap();
    text.headers.push(again);
    incomplete(check(&text, Settings::default(), NOW, SECRET), "more than once");
    let mut text = example();
    text.query = "X-Amz-Algorithm=AWS4-HMAC-SHA256".into();
    incomplete(check(&text, Settings::default(), NOW, SECRET), "Only one auth mechanism");
}

#[test]
fn a_signature_that_is_none_is_no_match() {
    for signature in ["", "zz", "ABCDEF", &"0".repeat(64), &"0".repeat(66)] {
        let refused = with_authorization(|text| {
            let (head, _) = text.split_once("Signature=").unwrap();
            format!("{head}Signature={signature}")
        });
        assert_eq!(refused, Err(SignatureError::Mismatch), "{signature}");
    }
}

#[test]
fn a_header_that_came_twice_is_signed_with_both_values() {
    let mut text = example();
    text.headers.push(("X-Amz-Target".into(), b"TrentService.ScheduleKeyDeletion".to_vec()));
    assert_eq!(check(&text, Settings::default(), NOW, SECRET), Err(SignatureError::Mismatch));
}

#[test]
fn signing_keys_are_derived_once_and_kept_apart() {
    let keys = SigningKeys::default();
    let scope = |service: &str| Scope::new("20260101", "us-east-1", service);
    let secret = || Ok::<_, ()>(SecretBytes::from(SECRET.as_bytes()));
    let first = keys.get("AKIDEXAMPLE", &scope("kms"), secret).unwrap();
    let again = keys.get("AKIDEXAMPLE", &scope("kms"), || Err(())).unwrap();
    assert!(std::sync::Arc::ptr_eq(&first, &again));
    assert!(keys.get("AKIDEXAMPLE", &scope("iam"), || Err(())).is_err());
    assert!(keys.get("AKIDOTHER", &scope("kms"), || Err(())).is_err());
    keys.clear();
    assert!(keys.get("AKIDEXAMPLE", &scope("kms"), || Err(())).is_err());
}
