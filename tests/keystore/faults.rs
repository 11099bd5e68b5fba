//! A full disk, a disk that can only be read, a clock that goes backwards: refused, nothing lost, nothing done early.
//!
//! The disks are file systems in memory that a child process mounts in a namespace of its own (`unshare`, util-linux),
//! which asks for no privilege where user namespaces are allowed, and for root where they are not.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use keystead::{
    keystore::{Keystore, KeystoreError},
    kms::{
        CancelKeyDeletion, Clock, DescribeKey, EnableKey, EnableKeyRotation, Encrypt, ScheduleKeyDeletion,
    },
    model::{Days, EncryptionContext, ErrorCode, KeyArn, KeyState, Timestamp},
};

use crate::place::{CHILD, Place, childs_directory, make_key, new_keystore, refused};

/// Runs the test `name` as a child that may mount what it likes on `directory`, seen by nobody else.
fn with_mounts(name: &str, directory: &Path) {
    let mut unshare = Command::new("unshare");
    unshare.args(["--user", "--map-root-user", "--mount", "--"]).arg(std::env::current_exe().unwrap());
    unshare.args([name, "--exact", "--nocapture", "--test-threads=1"]).env(CHILD, directory);
    let output = unshare.stdin(Stdio::null()).output().unwrap();
    let words = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(
        output.status.success(),
        "this test mounts a file system of its own: it needs `unshare` and user namespaces, or root\n{}",
        words.concat()
    );
}

fn mount(options: &str, directory: &Path) {
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", options, "keystead-test"]).arg(directory);
    assert!(mount.status().unwrap().success(), "mount -o {options}");
}

/// Encrypts under one key until nothing is answered any more.
fn encrypt_until_refused(keystore: &Keystore, key: &KeyArn) -> (usize, String) {
    let encrypt = || Encrypt {
        key_id: key.clone().into(),
        plaintext: b"a plaintext".as_slice().into(),
        encryption_context: EncryptionContext::from_pairs([("padding", "x".repeat(4000))]).unwrap(),
    };
    for answered in 0.. {
        match keystore.kms().encrypt(&keystore.administrator(), encrypt()) {
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.code(), ErrorCode::KmsInternal);
                return (answered, error.explanation().unwrap_or_default().to_owned());
            }
        }
    }
    unreachable!("no disk is that large")
}

#[test]
fn on_a_full_disk_nothing_is_answered_and_nothing_that_was_is_lost() {
    let place = Place::new();
    let Some(directory) = childs_directory() else {
        return with_mounts(
            "faults::on_a_full_disk_nothing_is_answered_and_nothing_that_was_is_lost",
            place.parent(),
        );
    };
    mount("size=2m,mode=0700", &directory);
    let place = Place::at(&directory);
    let keystore = place.create().unwrap();
    let key = make_key(&keystore, None);
    fs::write(directory.join("filler"), vec![0; 1 << 20]).unwrap();
    let (answered, why) = encrypt_until_refused(&keystore, &key);
    assert!(answered > 0 && why.contains("the disk is full"), "{answered}: {why}");
    // A read is refused as well: its record has no room either.
    let describe = || DescribeKey { key_id: key.clone().into() };
    let error = keystore.kms().describe_key(&keystore.administrator(), describe()).unwrap_err();
    assert_eq!(error.code(), ErrorCode::KmsInternal);
    drop(keystore);

    // The next opening has no room, or only enough to find out: it says so, or refuses its first call.
    match place.open() {
        Err(error) => assert!(error.hints()[0].contains("make room"), "{error}: {:?}", error.hints()),
        Ok(keystore) => drop(encrypt_until_refused(&keystore, &key)),
    }
    fs::remove_file(directory.join("filler")).unwrap();
    let keystore = place.open().unwrap();
    keystore.audit_verify().unwrap();
    assert!(keystore.kms().describe_key(&keystore.administrator(), describe()).is_ok());
    let records = keystore.audit_tail(&keystore.administrator(), 100_000).unwrap();
    let recorded = records.iter().filter(|record| record.event_name == "Encrypt" && record.succeeded());
    assert!(recorded.count() >= answered, "every answer has its record");
}

#[test]
fn a_directory_that_cannot_be_written_is_refused_as_it_is() {
    let place = Place::new();
    let Some(directory) = childs_directory() else {
        return with_mounts("faults::a_directory_that_cannot_be_written_is_refused_as_it_is", place.parent());
    };
    mount("size=4m,mode=0700", &directory);
    let place = Place::at(&directory);
    drop(place.create().unwrap());
    let before = place.files();
    mount("remount,ro", &directory);
    let error = refused(place.open());
    assert!(matches!(error, KeystoreError::Io { .. }), "{error}");
    assert!(error.hints()[0].contains("must be writable"), "{error}: {:?}", error.hints());
    mount("remount,rw", &directory);
    assert!(place.files() == before);
    place.open().unwrap().audit_verify().unwrap();
}

/// A clock that somebody sets.
#[derive(Debug)]
struct SetClock(AtomicI64);

impl SetClock {
    fn set_to_day(&self, day: i64) {
        self.0.store(START + day * Days::new(1).as_millis(), Ordering::SeqCst);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// 2026-01-01T00:00:00Z.
const START: i64 = 1_767_225_600_000;

#[test]
fn a_clock_that_goes_backwards_destroys_nothing_early_and_does_nothing_twice() {
    let clock = Arc::new(SetClock(AtomicI64::new(START)));
    let keystore = Keystore::in_memory(new_keystore(), Arc::clone(&clock) as _).unwrap();
    let (kms, admin) = (keystore.kms(), keystore.administrator());
    let (deleted, rotated) = (make_key(&keystore, None), make_key(&keystore, None));
    let enable = EnableKeyRotation { key_id: rotated.clone().into(), rotation_period: Some(Days::new(90)) };
    kms.call(&admin, &enable).unwrap();
    clock.set_to_day(100);
    let materials = || keystore.world().unwrap().key(&rotated).unwrap().materials.len();
    assert_eq!(materials(), 2, "it was rotated on day 90");
    let schedule =
        |days| ScheduleKeyDeletion { key_id: deleted.clone().into(), pending_window: Some(Days::new(days)) };
    kms.schedule_key_deletion(&admin, schedule(7)).unwrap();
    let state = || keystore.world().unwrap().key(&deleted).map(|key| key.state);

    // Back before everything: the key waits for the day that was promised, and the rotation is not done again.
    for day in [50, 0, -400, 106] {
        clock.set_to_day(day);
        assert_eq!((state(), materials()), (Some(KeyState::PendingDeletion), 2), "day {day}");
    }
    clock.set_to_day(20);
    kms.call(&admin, &CancelKeyDeletion { key_id: deleted.clone().into() }).unwrap();
    kms.call(&admin, &EnableKey { key_id: deleted.clone().into() }).unwrap();
    clock.set_to_day(108);
    assert_eq!(
        state(),
        Some(KeyState::Enabled),
        "cancelled while the clock was back, and cancelled it stays"
    );
    kms.schedule_key_deletion(&admin, schedule(30)).unwrap();
    clock.set_to_day(60);
    clock.set_to_day(137);
    assert_eq!(state(), Some(KeyState::PendingDeletion));
    clock.set_to_day(138);
    assert_eq!(state(), None, "on its day and not before");
    assert_eq!(materials(), 2, "the second rotation is due on day 180");
    keystore.audit_verify().unwrap();
    let records = keystore.audit_tail(&admin, 99).unwrap();
    let count = |name: &str| records.iter().filter(|record| record.event_name == name).count();
    assert_eq!((count("DeleteKey"), count("RotateKey")), (1, 1));
}
