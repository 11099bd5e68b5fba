//! What is fuzzed of the wire: each entry takes any bytes and must not panic. The fuzz targets and the smoke test share
//! them.

use keystead::{
    api::{
        cloudtrail, kms,
        query::form::Form,
        sigv4::{Presented, Request, Settings, SigningKeys, verify},
    },
    crypto::digest::sha256,
    model::Timestamp,
    secret::SecretBytes,
};

/// A request written as HTTP writes it: what it says of its signature, its canonical request, its verification. No bytes
/// are signed with the secret, so nothing verifies.
pub(crate) fn signature(bytes: &[u8]) {
    let (head, body) = match bytes.windows(2).position(|pair| pair == b"\n\n") {
        Some(at) => bytes.split_at(at),
        None => (bytes, &[] as &[u8]),
    };
    let mut lines = head.split(|byte| *byte == b'\n');
    let Some(Ok(first)) = lines.next().map(str::from_utf8) else { return };
    let (method, target) = first.split_once(' ').unwrap_or((first, "/"));
    let target = target.split(' ').next().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers: Vec<(&str, &[u8])> = lines
        .filter_map(|line| {
            let at = line.iter().position(|byte| *byte == b':')?;
            let (name, value) = line.split_at(at);
            Some((str::from_utf8(name).ok()?, value.get(1..)?))
        })
        .collect();
    let body_sha256 = sha256(&[body.get(2..).unwrap_or_default()]);
    let request = Request { method, path, query, headers: &headers, body_sha256 };
    for normalize_path in [true, false] {
        let settings = Settings { normalize_path, ..Settings::default() };
        let Ok(presented) = Presented::read(&request, settings) else { continue };
        let _in_time = presented.check_time(Timestamp::from_millis(1_440_938_160_000));
        let secret =
            || Ok::<_, keystead::api::sigv4::SignatureError>(SecretBytes::from(b"nobody's".as_slice()));
        let Ok(key) = SigningKeys::default().get(presented.access_key_id(), presented.scope(), secret) else {
            return;
        };
        assert!(verify(&presented, &request, settings, &key).is_err());
    }
}

/// The JSON protocol: the operation's name, a line feed, the body.
pub(crate) fn json(bytes: &[u8]) {
    let at = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (target, body) = bytes.split_at(at);
    let Ok(target) = str::from_utf8(target) else { return };
    let _cloudtrails = cloudtrail::operation_of(target);
    if let Err(error) = kms::check(target, body) {
        assert!(error.status == 400 && !error.code.is_empty());
    }
}

/// The query protocol: a form, and what can be read of it.
pub(crate) fn form(bytes: &[u8]) {
    let Ok(form) = Form::parse(bytes) else { return };
    let names: Vec<String> =
        form.iter().map(|(name, _)| name.split('.').next().unwrap_or_default().to_owned()).collect();
    for name in &names {
        let _all =
            (form.list(name).count(), form.structures(name, ["Key", "Value"]).count(), form.tree(name));
    }
}
