//! The log in CloudTrail's form: what is exported is what the log holds, chained, signed, and gone on with.
//!
//! What a digest says is worked out here from the user guide's words; `tests/clients` asks the real command too.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use keystead::{
    audit::read,
    crypto::{digest::sha256, rsa_signature::is_rsa_signature},
    keystore::{Keystore, WithoutAsking},
    model::{Days, ErrorCode, Tags},
    services::cloudtrail::{ExportError, ExportOptions, Exported},
};
use serde_json::Value;

use crate::place::{Place, files_in, make_key};

fn options(place: &Place) -> ExportOptions {
    ExportOptions { directory: place.parent().join("trail"), bucket: "logs".into(), trail: "t1".into() }
}

fn export(place: &Place, keystore: &Keystore) -> Result<Exported, ExportError> {
    keystore.cloudtrail().export(&keystore.administrator(), &options(place))
}

fn gunzipped(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(File::open(path).unwrap()).read_to_end(&mut bytes).unwrap();
    bytes
}

/// The digests, oldest first, each with its bytes.
fn digests(place: &Place) -> Vec<(PathBuf, Value, Vec<u8>)> {
    let files = files_in(&options(place).directory).into_keys();
    let digests = files.filter(|path| {
        path.to_str().unwrap().contains("/CloudTrail-Digest/") && path.extension().unwrap() == "gz"
    });
    digests
        .map(|path| {
            let bytes = gunzipped(&path);
            (path, serde_json::from_slice(&bytes).unwrap(), bytes)
        })
        .collect()
}

/// Follows the chain and answers all records in it.
fn verified(place: &Place, keystore: &Keystore) -> Vec<Value> {
    let keys = keystore.cloudtrail().list_public_keys(&keystore.administrator()).unwrap();
    let public_key = BASE64_STANDARD.decode(&keys[0].value).unwrap();
    let directory = options(place).directory;
    let (mut records, mut before) = (Vec::new(), Value::Null);
    for (path, digest, bytes) in digests(place) {
        let beside = format!("{}.metadata.json", path.display());
        let metadata: Value = serde_json::from_slice(&fs::read(beside).unwrap()).unwrap();
        let text = |name: &str| digest[name].as_str().unwrap_or("null").to_owned();
        assert_eq!(text("digestPublicKeyFingerprint"), keys[0].fingerprint);
        assert_eq!(directory.join(text("digestS3Object")), path);
        let hash = hex::encode(sha256(&[&bytes]));
        let (end, object) = (text("digestEndTime"), text("digestS3Object"));
        let signed = format!("{end}\nlogs/{object}\n{hash}\n{}", text("previousDigestSignature"));
        let signature = hex::decode(metadata["signature"].as_str().unwrap()).unwrap();
        assert!(is_rsa_signature(&public_key, signed.as_bytes(), &signature), "{}", path.display());
        if before != Value::Null {
            assert_eq!(digest["previousDigestSignature"], before["signature"]);
            assert_eq!(digest["previousDigestHashValue"], before["hash"]);
            assert_eq!(digest["digestStartTime"], before["end"], "no time is left out");
        }
        before = serde_json::json!({"signature": metadata["signature"], "hash": hash, "end": digest["digestEndTime"]});
        for file in digest["logFiles"].as_array().unwrap() {
            let content = gunzipped(&directory.join(file["s3Object"].as_str().unwrap()));
            assert_eq!(file["hashValue"], hex::encode(sha256(&[&content])));
            let content: Value = serde_json::from_slice(&content).unwrap();
            records.extend(content["Records"].as_array().unwrap().iter().cloned());
        }
    }
    records
}

#[test]
fn what_is_exported_is_the_log_once_and_goes_on_where_it_ended() {
    let place = Place::new();
    let keystore = place.create().unwrap();
    let admin = keystore.administrator();
    make_key(&keystore, None);
    let first = export(&place, &keystore).unwrap();
    assert_eq!((first.digests, first.log_files), (1, 1));
    keystore.advance_clock(&admin, Days::new(3)).unwrap();
    make_key(&keystore, None);
    drop(keystore);
    // The key that signs is wrapped under the root key as all others are, and stays the same under the next.
    place.open().unwrap().rotate_root(&admin, &mut WithoutAsking).unwrap();
    let keystore = place.open().unwrap();
    let second = export(&place, &keystore).unwrap();
    assert_eq!(second.digests, 2, "one for the hour that ended, one for the hour that has begun");
    let records = verified(&place, &keystore);
    let log: Vec<Value> = read::records(&keystore.audit_directory().unwrap(), 0)
        .unwrap()
        .map(|stored| serde_json::from_slice(&stored.unwrap().bytes).unwrap())
        .take(records.len())
        .collect();
    assert!(records == log && records.len() as u64 == first.records + second.records);
    let names: Vec<&str> = records.iter().map(|record| record["eventName"].as_str().unwrap()).collect();
    assert!(names.contains(&"CreateDigestKey") && names.last() == Some(&"ExportTrail"), "{names:?}");
}

#[test]
fn an_export_that_was_touched_or_is_anothers_is_not_gone_on_with() {
    let place = Place::new();
    let keystore = place.create().unwrap();
    export(&place, &keystore).unwrap();
    let (path, ..) = digests(&place).pop().unwrap();
    let whole = fs::read(&path).unwrap();
    let refused = |keystore: &Keystore| match export(&place, keystore).unwrap_err() {
        ExportError::Foreign { reason, .. } => reason,
        other => panic!("{other}"),
    };
    let mut bytes = gunzipped(&path);
    let at = bytes.windows(9).position(|window| window == b"\"hashValu").unwrap() + 13;
    bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
    let mut writer =
        flate2::GzBuilder::new().write(File::create(&path).unwrap(), flate2::Compression::fast());
    std::io::Write::write_all(&mut writer, &bytes).unwrap();
    writer.finish().unwrap();
    assert!(refused(&keystore).contains("did not sign"));
    fs::write(&path, whole).unwrap();
    assert_eq!(export(&place, &keystore).unwrap().digests, 1);
    let elsewhere = Place::new();
    let other = elsewhere.create().unwrap();
    assert!(refused(&other).contains("did not sign"), "another keystore's");
}

#[test]
fn who_may_not_export_writes_nothing() {
    let place = Place::new();
    let keystore = place.create().unwrap();
    keystore.iam().create_user(&keystore.administrator(), "bob".parse().unwrap(), Tags::new()).unwrap();
    let bob = keystore.caller("user/bob").unwrap();
    let error = keystore.cloudtrail().export(&bob, &options(&place)).unwrap_err();
    assert!(matches!(&error, ExportError::Call(error) if error.code() == ErrorCode::AccessDenied), "{error}");
    assert!(keystore.cloudtrail().list_public_keys(&bob).is_err());
    assert!(keystore.cloudtrail().list_public_keys(&keystore.administrator()).unwrap().is_empty());
    assert!(!options(&place).directory.exists());
}
