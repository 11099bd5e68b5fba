//! Objects at rest: orphans, replacements, damage, exchange, and what is recorded before a byte leaves.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
};

use keystead::{
    artifact::Target,
    audit::{directory::DiskDirectory, read},
    keystore::Keystore,
    kms::DisableKey,
    model::Tags,
    services::s3::{Encryption, GetObject},
};

use crate::place::{BUCKET, Place, files_in, get, get_as, put};

fn object_files(place: &Place) -> Vec<PathBuf> {
    files_in(&place.directory().join("objects")).into_keys().collect()
}

fn last_event(keystore: &Keystore) -> (String, Option<String>) {
    let record = keystore.audit_tail(&keystore.administrator(), 1).unwrap().pop().unwrap();
    (record.event_name.into_owned(), record.error_code)
}

#[test]
fn what_a_killed_process_left_behind_is_removed_at_the_next_opening() {
    let (place, ..) = Place::filled();
    let known = object_files(&place);
    let orphan = place.directory().join("objects/00ff00ff00ff00ff00ff00ff00ff00ff");
    fs::copy(&known[0], &orphan).unwrap();
    fs::set_permissions(&orphan, fs::Permissions::from_mode(0o600)).unwrap();
    let keystore = place.open().unwrap();
    assert_eq!(object_files(&place), known);
    assert_eq!(get(&keystore, "object").0, b"an object's plaintext");
}

#[test]
fn replacing_or_deleting_an_object_removes_its_file() {
    let (place, ..) = Place::filled();
    let keystore = place.open().unwrap();
    let older = object_files(&place);
    put(&keystore, "object", Encryption::Aes256, b"newer").unwrap();
    let newer = object_files(&place);
    assert!(newer.len() == 1 && newer != older);
    assert_eq!(get(&keystore, "object").0, b"newer");
    let (admin, bucket) = (keystore.administrator(), BUCKET.parse().unwrap());
    keystore.s3().delete_object(&admin, bucket, "object".parse().unwrap()).unwrap();
    assert!(object_files(&place).is_empty());
}

#[test]
fn deleting_what_is_not_there_is_no_change_that_a_crash_undid() {
    let (place, ..) = Place::filled();
    let keystore = place.open().unwrap();
    let bucket = BUCKET.parse().unwrap();
    keystore.s3().delete_object(&keystore.administrator(), bucket, "nothing".parse().unwrap()).unwrap();
    get(&keystore, "object").1.unwrap();
    drop(keystore);
    let keystore = place.open().unwrap();
    let records = keystore.audit_tail(&keystore.administrator(), 99).unwrap();
    assert!(records.iter().all(|record| record.event_name != "RecoverAfterCrash"));
}

#[test]
fn a_put_that_fails_leaves_the_older_object_and_no_file() {
    let (place, key, _) = Place::filled();
    let keystore = place.open().unwrap();
    let before = object_files(&place);
    keystore.kms().disable_key(&keystore.administrator(), DisableKey { key_id: key.clone().into() }).unwrap();
    let error = put(&keystore, "object", Encryption::KmsKey(key.into()), b"never").unwrap_err();
    assert!(error.to_string().starts_with("DisabledException"), "{error}");
    assert_eq!(object_files(&place), before);
}

#[test]
fn a_damaged_object_gives_an_error_a_record_and_no_byte() {
    let (place, ..) = Place::filled();
    let path = object_files(&place).pop().unwrap();
    let whole = fs::read(&path).unwrap();
    let keystore = place.open().unwrap();
    for at in (0..whole.len()).step_by(7) {
        for (what, bytes) in [
            (
                "flipped",
                whole.iter().enumerate().map(|(n, b)| if n == at { b ^ 4 } else { *b }).collect::<Vec<u8>>(),
            ),
            ("cut", whole[..at].to_vec()),
        ] {
            fs::write(&path, bytes).unwrap();
            let (bytes, result) = get(&keystore, "object");
            let error = result.unwrap_err();
            assert!(bytes.is_empty(), "{what} at {at}: {error}");
            assert_eq!(last_event(&keystore).0, "GetObject", "{what} at {at}");
        }
    }
    fs::write(&path, [whole.as_slice(), b"x"].concat()).unwrap();
    assert!(get(&keystore, "object").1.is_err());
    fs::write(&path, &whole).unwrap();
    assert_eq!(get(&keystore, "object").0, b"an object's plaintext");
    fs::remove_file(&path).unwrap();
    assert!(get(&keystore, "object").1.is_err());
    assert_eq!(last_event(&keystore), ("GetObject".into(), Some("KMSInternalException".into())));
}

#[test]
fn two_objects_whose_files_are_exchanged_do_not_open() {
    let (place, key, _) = Place::filled();
    let keystore = place.open().unwrap();
    let first = object_files(&place).pop().unwrap();
    put(&keystore, "other", Encryption::KmsKey(key.into()), b"the other's plaintext").unwrap();
    let second = object_files(&place).into_iter().find(|path| *path != first).unwrap();
    let (one, two) = (fs::read(&first).unwrap(), fs::read(&second).unwrap());
    fs::write(&first, two).unwrap();
    fs::write(&second, one).unwrap();
    for name in ["object", "other"] {
        let (bytes, result) = get(&keystore, name);
        let error = result.unwrap_err();
        assert!(bytes.is_empty() && error.to_string().contains("aws:s3:arn"), "{error}");
    }
}

#[test]
fn without_the_key_no_byte_leaves() {
    let (place, key, _) = Place::filled();
    let keystore = place.open().unwrap();
    let admin = keystore.administrator();
    let (bob, reads_all) = ("bob".parse().unwrap(), "reads-all".parse().unwrap());
    keystore.iam().create_user(&admin, "bob".parse().unwrap(), Tags::new()).unwrap();
    let policy =
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}"#;
    keystore.iam().put_user_policy(&admin, bob, reads_all, policy).unwrap();
    let (bytes, result) = get_as(&keystore, &keystore.caller("user/bob").unwrap(), "object");
    let error = result.unwrap_err().to_string();
    assert!(bytes.is_empty() && error.starts_with("AccessDeniedException"), "{error}");
    assert_eq!(last_event(&keystore), ("GetObject".into(), Some("AccessDenied".into())));

    assert_eq!(get(&keystore, "object").0, b"an object's plaintext", "its allowed twin");
    keystore.kms().disable_key(&admin, DisableKey { key_id: key.into() }).unwrap();
    let (bytes, result) = get(&keystore, "object");
    let error = result.unwrap_err().to_string();
    assert!(bytes.is_empty() && error.starts_with("DisabledException"), "{error}");
}

/// Looks into the log's files at the moment when the first byte arrives.
struct LogWatcher {
    log: DiskDirectory,
    events: Vec<String>,
}

impl Write for LogWatcher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.events.is_empty() && !bytes.is_empty() {
            let records = read::tail(&self.log, 2).unwrap();
            self.events =
                records.iter().map(|record| record.parse().unwrap().event_name.into_owned()).collect();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_record_of_a_read_is_durable_before_the_first_byte() {
    let (place, ..) = Place::filled();
    let keystore = place.open().unwrap();
    let mut watcher =
        LogWatcher { log: DiskDirectory::new(place.directory().join("audit")), events: Vec::new() };
    let get = GetObject::new(BUCKET.parse().unwrap(), "object".parse().unwrap());
    let target = Target::Stream(&mut watcher);
    keystore.s3().get_object(&keystore.administrator(), get, target, false, &mut |_| {}).unwrap();
    assert_eq!(watcher.events, ["Decrypt", "GetObject"]);
}
