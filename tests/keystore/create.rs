//! Making a keystore, and who may open it.

use std::{
    fs,
    io::Write,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::Path,
};

use keystead::{
    keystore::{Keystore, KeystoreError, NewKeystore, Seal},
    services::s3::Encryption,
};

use crate::place::{
    Place, await_line, child, childs_directory, decrypt, get, make_bucket, make_key, put, refused, say,
};

fn modes_below(path: &Path, wrong: &mut Vec<String>) {
    let metadata = fs::symlink_metadata(path).unwrap();
    let wanted = if metadata.is_dir() { 0o700 } else { 0o600 };
    if metadata.mode() & 0o777 != wanted {
        wrong.push(format!("{} has mode {:o}", path.display(), metadata.mode() & 0o777));
    }
    if metadata.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| modes_below(&entry.unwrap().path(), wrong));
    }
}

#[test]
fn all_that_is_made_is_for_its_owner_alone() {
    let place = Place::new();
    let keystore = place.create().unwrap();
    let key = make_key(&keystore, None);
    make_bucket(&keystore);
    put(&keystore, "a", Encryption::KmsKey(key.into()), b"1").unwrap();
    put(&keystore, "b", Encryption::Aes256, b"2").unwrap();
    let mut wrong = Vec::new();
    let (directory, key_file) = (place.directory(), place.key_file());
    modes_below(&directory, &mut wrong);
    drop(keystore);
    modes_below(&directory, &mut wrong);
    modes_below(&key_file, &mut wrong);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_was_made_is_there_when_it_is_opened_again() {
    let (place, key, ciphertext) = Place::filled();
    for _ in 0..2 {
        let keystore = place.open().unwrap();
        assert!(keystore.world().unwrap().key(&key).is_some());
        assert_eq!(decrypt(&keystore, &ciphertext), b"a short plaintext");
        assert_eq!(get(&keystore, "object").0, b"an object's plaintext");
        keystore.audit_verify().unwrap();
    }
}

#[test]
fn a_keystore_is_never_made_over_another() {
    let (place, ..) = Place::filled();
    let before = place.files();
    let other_key = place.parent().join("other.key");
    let error = refused(place.create_with(Seal::KeyFile(other_key.clone())));
    assert!(matches!(error, KeystoreError::Exists(_)), "{error}");
    assert!(matches!(refused(place.create()), KeystoreError::Exists(_)));
    assert!(place.files() == before && !other_key.exists());
    assert!(place.open().is_ok());
}

#[test]
fn a_directory_with_something_in_it_is_left_as_it_is() {
    let place = Place::new();
    fs::create_dir(place.directory()).unwrap();
    fs::set_permissions(place.directory(), fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(place.directory().join("thesis.txt"), b"42").unwrap();
    let before = place.files();
    assert!(matches!(refused(place.create()), KeystoreError::NotEmpty(_)));
    assert!(matches!(refused(place.open()), KeystoreError::Missing(_)));
    assert!(
        place.files() == before && !place.key_file().exists() && !place.directory().join("lock").exists()
    );
    fs::remove_file(place.directory().join("thesis.txt")).unwrap();
    fs::set_permissions(place.directory(), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(matches!(refused(place.create()), KeystoreError::NotPrivate { .. }));
    fs::set_permissions(place.directory(), fs::Permissions::from_mode(0o700)).unwrap();
    assert!(place.create().is_ok(), "an empty directory will do");
}

/// Every state that a making cut short can leave: with the mark in it, a second try clears it away and begins anew.
#[test]
fn a_making_that_was_cut_short_can_be_begun_again() {
    let place = Place::new();
    drop(place.create().unwrap());
    let key = fs::read_to_string(place.key_file()).unwrap();
    let id = key.split_whitespace().nth(5).unwrap().trim_end_matches('.').to_owned();
    let mark = place.directory().join("unfinished");
    let new_key = place.parent().join("keystore.key.new");
    let only_marked = || {
        fs::write(&mark, &id).unwrap();
        fs::set_permissions(&mark, fs::Permissions::from_mode(0o600)).unwrap();
    };
    // All is there but the mark is not gone: it opens, and it can be made again until it was opened.
    only_marked();
    drop(place.open().unwrap());
    assert!(!mark.exists());
    assert!(matches!(refused(place.create()), KeystoreError::Exists(_)));

    only_marked();
    drop(place.create().unwrap());
    assert!(!mark.exists() && fs::read_to_string(place.key_file()).unwrap() != key, "it is another keystore");
    drop(place.open().unwrap());

    // The key file is not in its place, the database is not whole or not there.
    let id = fs::read_to_string(place.key_file()).unwrap().split_whitespace().nth(5).unwrap().to_owned();
    let id = id.trim_end_matches('.');
    fs::rename(place.key_file(), &new_key).unwrap();
    fs::write(&mark, id).unwrap();
    fs::set_permissions(&mark, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(place.database(), b"").unwrap();
    assert!(matches!(refused(place.open()), KeystoreError::Unfinished(_)));
    drop(place.create().unwrap());
    assert!(place.key_file().exists() && !new_key.exists() && place.open().is_ok());

    // Another keystore's key file is not touched.
    fs::remove_file(place.database()).unwrap();
    fs::write(&mark, "somebody-else").unwrap();
    fs::set_permissions(&mark, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(matches!(refused(place.create()), KeystoreError::KeyFileExists(_)));
}

#[test]
fn what_others_can_read_or_write_is_not_opened() {
    let (place, ..) = Place::filled();
    let inner: Vec<_> = place.files().into_keys().collect();
    let directories = [place.directory(), place.directory().join("audit"), place.directory().join("objects")];
    for path in directories.iter().chain(&inner).chain([&place.directory().join("lock")]) {
        let private = fs::metadata(path).unwrap().permissions();
        for wider in [0o040, 0o002] {
            fs::set_permissions(path, fs::Permissions::from_mode(private.mode() | wider)).unwrap();
            let error = refused(place.open());
            let named = matches!(&error, KeystoreError::NotPrivate { path: named, .. } if named.ends_with(path.file_name().unwrap()));
            assert!(named, "{} with {wider:o}: {error}", path.display());
            assert!(error.hints()[0].contains("chmod"), "{:?}", error.hints());
        }
        fs::set_permissions(path, private).unwrap();
    }
    assert!(place.open().is_ok());
}

#[test]
fn symbolic_links_are_not_followed() {
    let (place, ..) = Place::filled();
    let elsewhere = place.parent().join("elsewhere");
    let object = crate::place::files_in(&place.directory().join("objects")).pop_first().unwrap().0;
    for path in
        [place.directory(), place.directory().join("audit"), place.database(), place.segment(), object]
    {
        fs::rename(&path, &elsewhere).unwrap();
        symlink(&elsewhere, &path).unwrap();
        let error = refused(place.open());
        assert!(error.to_string().contains("symbolic link"), "{}: {error}", path.display());
        fs::remove_file(&path).unwrap();
        fs::rename(&elsewhere, &path).unwrap();
    }
    assert!(place.open().is_ok());
}

#[test]
fn one_process_at_a_time_has_it_open_and_the_next_hears_who() {
    if let Some(directory) = childs_directory() {
        let seal = &mut keystead::keystore::WithoutAsking;
        let keystore = Keystore::open(&directory, seal, "the child").unwrap();
        say("@open");
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).unwrap();
        drop(keystore);
        return;
    }
    let (place, ..) = Place::filled();
    let first = place.open().unwrap();
    let error = refused(place.open()).to_string();
    assert!(error.contains(&format!("process {} (the tests)", std::process::id())), "{error}");
    drop(first);

    let name = "create::one_process_at_a_time_has_it_open_and_the_next_hears_who";
    let mut other = child(name, &place.directory()).spawn().unwrap();
    await_line(&mut other, "@open");
    let error = refused(place.open());
    assert!(matches!(error, KeystoreError::Locked { .. }));
    assert!(error.to_string().contains(&format!("process {} (the child)", other.id())), "{error}");
    assert!(!error.hints().is_empty());
    other.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert!(other.wait().unwrap().success());
    assert!(place.open().is_ok());

    // A process that is killed lets go of the lock, and what it did stays.
    let mut killed = child(name, &place.directory()).spawn().unwrap();
    await_line(&mut killed, "@open");
    killed.kill().unwrap();
    killed.wait().unwrap();
    place.open().unwrap().audit_verify().unwrap();
}

#[test]
fn the_services_own_account_is_nobodys() {
    let place = Place::new();
    let new = NewKeystore { account: "000000000000".parse().unwrap(), region: "us-east-1".parse().unwrap() };
    let refused = Keystore::create(&place.directory(), new, Seal::KeyFile(place.key_file()), "test").err();
    assert!(matches!(refused, Some(KeystoreError::ReservedAccount(_))), "{refused:?}");
    assert!(!place.directory().exists() && !place.key_file().exists());
}
