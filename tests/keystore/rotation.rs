//! Rotating the root key: what was sealed opens still, what opened it before does not, and a crash in between costs nothing.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use keystead::{
    keystore::{Keystore, KeystoreError, Seal, WithoutAsking},
    kms::RotateKeyOnDemand,
    model::Tags,
};

use crate::place::{Answers, Place, decrypt, files_in, get, put, refused};

fn rotate(place: &Place) {
    let keystore = place.open().unwrap();
    let admin = keystore.administrator();
    keystore.rotate_root(&admin, &mut WithoutAsking).unwrap();
}

/// Writes what only its owner may read.
fn write_private(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn after_a_rotation_all_opens_with_the_new_key_and_nothing_with_the_old() {
    let (place, key, ciphertext) = Place::filled();
    let keystore = place.open().unwrap();
    let rotate_key = RotateKeyOnDemand { key_id: key.into() };
    keystore.kms().rotate_key_on_demand(&keystore.administrator(), rotate_key).unwrap();
    put(&keystore, "owned", Default::default(), b"under the service's key").unwrap();
    let world = keystore.world().unwrap();
    let wrapped: Vec<String> =
        world.keys().flat_map(|key| &key.materials).map(|material| hex::encode(&material.wrapped)).collect();
    assert_eq!(wrapped.len(), 3);
    drop((keystore, world));
    let old_key_file = fs::read(place.key_file()).unwrap();
    let database = fs::read(place.database()).unwrap();
    assert!(wrapped.iter().all(|digits| contains(&database, digits.as_bytes())), "they are found before");

    rotate(&place);
    let new_key_file = fs::read(place.key_file()).unwrap();
    assert_ne!(new_key_file, old_key_file);
    for (path, bytes) in files_in(place.parent()) {
        let left = wrapped.iter().any(|digits| contains(&bytes, digits.as_bytes()));
        assert!(!left, "{} holds a material wrapped under the old root key", path.display());
    }
    write_private(&place.key_file(), &old_key_file);
    assert!(matches!(refused(place.open()), KeystoreError::WrongSeal("key file")));
    write_private(&place.key_file(), &new_key_file);

    let keystore = place.open().unwrap();
    assert_eq!(decrypt(&keystore, &ciphertext), b"a short plaintext");
    assert_eq!(get(&keystore, "object").0, b"an object's plaintext");
    assert_eq!(get(&keystore, "owned").0, b"under the service's key");
    let records = keystore.audit_tail(&keystore.administrator(), 99).unwrap();
    assert!(records.iter().any(|record| record.event_name == "RotateRootKey"));
    keystore.audit_verify().unwrap();
}

#[test]
fn who_may_not_rotate_changes_nothing() {
    let (place, ..) = Place::filled();
    let keystore = place.open().unwrap();
    keystore.iam().create_user(&keystore.administrator(), "bob".parse().unwrap(), Tags::new()).unwrap();
    let bob = keystore.caller("user/bob").unwrap();
    let error = keystore.rotate_root(&bob, &mut WithoutAsking).unwrap_err();
    assert!(error.to_string().starts_with("AccessDeniedException"), "{error}");
    assert!(place.open().is_ok());
    assert_eq!(fs::read_dir(place.parent()).unwrap().count(), 2, "the directory and the key file");
}

#[test]
fn a_crash_before_the_database_took_the_new_seal_leaves_the_old_one_good() {
    let (place, ..) = Place::filled();
    let key_file = fs::read(place.key_file()).unwrap();
    let new = place.parent().join("keystore.key.new");
    // Written whole, or cut off anywhere.
    for end in [key_file.len(), key_file.len() - 20, 60, 0] {
        let mut unfinished = key_file.clone();
        let last = unfinished.len() - 2;
        unfinished[last] ^= 1;
        write_private(&new, &unfinished[..end]);
        drop(place.open().unwrap());
        assert!(!new.exists(), "{end}");
        assert!(fs::read(place.key_file()).unwrap() == key_file);
    }
    rotate(&place);
    assert!(place.open().is_ok());
}

#[test]
fn another_keystores_key_is_never_taken_for_a_leftover() {
    let (place, ..) = Place::filled();
    let other = Place::new();
    let theirs = place.parent().join("keystore.key.new");
    drop(other.create_with(Seal::KeyFile(theirs.clone())).unwrap());
    drop(place.open().unwrap());
    assert!(theirs.exists() && other.open().is_ok());
    let keystore = place.open().unwrap();
    let admin = keystore.administrator();
    let error = keystore.rotate_root(&admin, &mut WithoutAsking).unwrap_err();
    assert!(matches!(error, KeystoreError::KeyFileExists(_)), "{error}");
    assert!(other.open().is_ok() && place.open().is_ok());
}

#[test]
fn a_crash_after_the_database_took_the_new_seal_is_finished_at_the_next_opening() {
    for old_is_there in [true, false] {
        let (place, _, ciphertext) = Place::filled();
        let new = place.parent().join("keystore.key.new");
        let old_key_file = fs::read(place.key_file()).unwrap();
        rotate(&place);
        fs::rename(place.key_file(), &new).unwrap();
        if old_is_there {
            write_private(&place.key_file(), &old_key_file);
        }
        let keystore = place.open().unwrap();
        assert_eq!(decrypt(&keystore, &ciphertext), b"a short plaintext");
        assert!(!new.exists() && place.key_file().exists());
        drop(keystore);
        assert!(place.open().is_ok());
    }
}

#[test]
fn a_passphrase_seals_the_new_root_key_as_it_did_the_old() {
    let place = Place::new();
    drop(place.create_with(Seal::Passphrase(b"correct horse".as_slice().into())).unwrap());
    let mut answers = Answers { passphrase: Some("correct horse"), ..Answers::default() };
    let keystore = Keystore::open(&place.directory(), &mut answers, "the tests").unwrap();
    let before = fs::read(place.database()).unwrap();
    let admin = keystore.administrator();
    keystore.rotate_root(&admin, &mut answers).unwrap();
    assert_ne!(fs::read(place.database()).unwrap(), before);
    Keystore::open(&place.directory(), &mut answers, "the tests").unwrap().audit_verify().unwrap();
    answers.passphrase = Some("correct house");
    let error = refused(Keystore::open(&place.directory(), &mut answers, "the tests"));
    assert!(matches!(error, KeystoreError::WrongSeal("passphrase")));
}
