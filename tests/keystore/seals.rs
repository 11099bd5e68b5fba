//! What opens a keystore and what does not.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
};

use keystead::keystore::{Keystore, KeystoreError, Seal};

use crate::place::{Answers, Place, child, childs_directory, new_keystore, refused};

#[test]
fn only_its_own_key_file_opens_a_keystore() {
    let (place, ..) = Place::filled();
    let other = Place::new();
    drop(other.create().unwrap());
    let before = place.files();
    let open_with = |path| {
        let mut answers = Answers { key_file: Some(path), ..Answers::default() };
        Keystore::open(&place.directory(), &mut answers, "the tests")
    };
    let error = refused(open_with(other.key_file()));
    assert!(matches!(error, KeystoreError::WrongSeal("key file")), "{error}");
    let error = refused(open_with(place.parent().join("nowhere.key")));
    assert!(matches!(error, KeystoreError::KeyFile { .. }), "{error}");
    let moved = place.parent().join("moved.key");
    fs::rename(place.key_file(), &moved).unwrap();
    let error = refused(place.open());
    assert!(error.to_string().contains("keystore.key") && !error.hints().is_empty(), "{error}");
    assert!(open_with(moved.clone()).is_ok());

    fs::set_permissions(&moved, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(refused(open_with(moved.clone())), KeystoreError::NotPrivate { .. }));
    fs::set_permissions(&moved, fs::Permissions::from_mode(0o600)).unwrap();
    for content in ["", "KEYSTEAD-KEY-FILE-1 ", "KEYSTEAD-KEY-FILE-1 00ff\n", "no key\n"] {
        let path = place.parent().join("broken.key");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(refused(open_with(path)), KeystoreError::KeyFile { .. }), "{content:?}");
    }
    assert!(place.files() == before);
}

#[test]
fn a_seal_that_cannot_be_made_leaves_nothing_behind() {
    let place = Place::new();
    let (directory, parent) = (place.directory(), place.parent().to_owned());
    symlink(&directory, parent.join("link")).unwrap();
    let inside = [
        directory.join("k.key"),
        directory.join("new/deep/k.key"),
        directory.join("objects/k.key"),
        parent.join("link/k.key"),
        parent.join("link/new/k.key"),
        parent.join("nowhere/../keystore/k.key"),
    ];
    for path in inside {
        let error = refused(place.create_with(Seal::KeyFile(path.clone())));
        assert!(matches!(error, KeystoreError::KeyFileInside(_)), "{}: {error}", path.display());
        assert!(!directory.exists(), "{}", path.display());
    }
    let short = Seal::Passphrase(b"short".as_slice().into());
    assert!(matches!(refused(place.create_with(short)), KeystoreError::NoPassphrase(_)));
    assert!(!directory.exists());
    let unwritable = Seal::KeyFile("/proc/k.key".into());
    assert!(matches!(refused(place.create_with(unwritable)), KeystoreError::Io { .. }));
    assert!(!directory.exists());

    // A directory that was there stays, empty.
    fs::create_dir(&directory).unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();
    refused(place.create_with(Seal::KeyFile(directory.join("k.key"))));
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
    assert!(place.create_with(Seal::KeyFile(parent.join("new/deep/k.key"))).is_ok());
    assert!(place.open().is_ok());
}

#[test]
fn only_its_own_passphrase_opens_a_keystore() {
    let place = Place::new();
    drop(place.create_with(Seal::Passphrase(b"correct horse".as_slice().into())).unwrap());
    let before = place.files();
    let open_with = |passphrase| {
        let mut answers = Answers { passphrase, ..Answers::default() };
        Keystore::open(&place.directory(), &mut answers, "the tests")
    };
    assert!(matches!(refused(open_with(Some("correct house"))), KeystoreError::WrongSeal("passphrase")));
    assert!(matches!(refused(open_with(Some(""))), KeystoreError::WrongSeal("passphrase")));
    assert!(matches!(refused(open_with(None)), KeystoreError::NoPassphrase(_)));
    assert!(matches!(refused(place.open()), KeystoreError::NoPassphrase(_)));
    assert!(place.files() == before);
    assert!(open_with(Some("correct horse")).is_ok());
}

/// In a child process without a session bus: the tests must not write to anybody's real keyring.
#[test]
fn without_a_keyring_the_error_says_so_and_nothing_is_left() {
    if let Some(directory) = childs_directory() {
        let error = refused(Keystore::create(&directory, new_keystore(), Seal::Keyring, "the child"));
        assert!(matches!(error, KeystoreError::Keyring(_)), "{error}");
        assert!(error.hints()[0].contains("--seal keyfile"), "{:?}", error.hints());
        return;
    }
    let place = Place::new();
    let mut command =
        child("seals::without_a_keyring_the_error_says_so_and_nothing_is_left", &place.directory());
    command.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent").env_remove("XDG_RUNTIME_DIR");
    assert!(command.env_remove("DISPLAY").status().unwrap().success());
    assert!(!place.directory().exists());
}
